/* Columns, memory and counters of a shared table. */
#include <creactor/error.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "core/config.h"
#include "core/memory.h"
#include "core/round.h"
#include "shared/shared_table_internal.h"

enum { MIN_STRIPES = 8, MAX_STRIPES = 256 };

/* Computes the offsets of the columns, in words. */
static int lay_out(cre_shared_table *table, const cre_column *columns, size_t count) {
    size_t words = 0;
    for (size_t i = 0; i < count; i++) {
        const cre_column *from = &columns[i];
        cre__column *column = &table->columns[i];
        size_t length = from->name ? strnlen(from->name, sizeof column->name) : 0;
        if (!length || length == sizeof column->name) return CRE_EINVALID;
        if (cre_shared_table_column(table, from->name) >= 0) return CRE_EINVALID;
        bool is_bytes = from->type == CRE_COLUMN_BYTES;
        if (!is_bytes && from->type != CRE_COLUMN_INT && from->type != CRE_COLUMN_DOUBLE) return CRE_EINVALID;
        if (is_bytes && (from->size == 0 || from->size > CRE_SHARED_ROW_MAX)) return CRE_EINVALID;
        memcpy(column->name, from->name, length);
        column->type = from->type;
        column->size = is_bytes ? from->size : 8;
        column->offset = (uint32_t)words;
        /* Bytes follow their length. */
        words += is_bytes ? 1 + cre__round_up(from->size, 8) / 8 : 1;
        if (words * 8 > CRE_SHARED_ROW_MAX) return CRE_EINVALID;
        table->column_count++;
    }
    table->words = (uint32_t)words;
    return 0;
}

/* FNV-1a over what two programs must agree on to share a table. */
static uint64_t schema_of(const cre_shared_table *table) {
    const uint8_t *bytes = (const uint8_t *)table->columns;
    uint64_t hash = 0xCBF29CE484222325u ^ table->rows;
    for (size_t i = 0; i < table->column_count * sizeof *table->columns; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return hash;
}

static int prepare(uint32_t rows, const cre_column *columns, size_t count, cre_shared_table **out) {
    if (!rows || rows > CRE_SHARED_ROWS_MAX || !count || count > CRE_SHARED_COLUMNS_MAX) return CRE_EINVALID;
    cre_shared_table *table = cre__calloc(1, sizeof *table + count * sizeof(cre__column));
    if (!table) return CRE_ENOMEM;
    int result = lay_out(table, columns, count);
    if (result) {
        cre__free(table);
        return result;
    }
    uint32_t buckets = MIN_STRIPES, stripes = MIN_STRIPES;
    while (buckets < rows)
        buckets *= 2;
    while (stripes < MAX_STRIPES && stripes < buckets / 8)
        stripes *= 2;
    table->rows = rows;
    table->bucket_mask = buckets - 1;
    table->stripe_mask = stripes - 1;
    table->stripe_bytes = cre__round_up(sizeof(cre__stripe) + table->words * 8, 64);
    table->node_bytes = sizeof(cre__node) + table->words * 8;
    *out = table;
    return 0;
}

/* Sets the pointers into the segment, if there is one, and returns the size it must have. */
static size_t place(cre_shared_table *table) {
    size_t at = cre__round_up(sizeof(cre__table_head), 64);
    uint8_t *base = table->segment.memory;
    table->head = (cre__table_head *)(void *)base;
    if (base) table->stripes = base + at;
    at += (table->stripe_mask + 1) * table->stripe_bytes;
    if (base) table->buckets = (_Atomic uint32_t *)(void *)(base + at);
    at = cre__round_up(at + ((size_t)table->bucket_mask + 1) * sizeof(uint32_t), 64);
    if (base) table->nodes = base + at;
    return at + table->rows * table->node_bytes;
}

static int start(cre_shared_table *table) {
    cre__table_head *head = table->head;
    /* Clients may choose keys. Without knowing the seed they cannot choose keys that share a chain.
     */
    if (getrandom(head->seed, sizeof head->seed, 0) != sizeof head->seed) return -errno;
    int result = cre__mutex_init(&head->pool);
    for (uint32_t i = 0; !result && i <= table->stripe_mask; i++)
        result = cre__mutex_init(&cre__stripe_of(table, i)->mutex);
    return result;
}

int cre_shared_table_create(uint32_t rows, const cre_column *columns, size_t count, cre_shared_table **out) {
    cre_shared_table *table;
    int result = prepare(rows, columns, count, &table);
    if (result) return result;
    result = cre__segment_create(&table->segment, CRE__SEGMENT_TABLE, schema_of(table), place(table));
    if (result) {
        cre__free(table);
        return result;
    }
    place(table);
    result = start(table);
    if (result)
        cre_shared_table_destroy(table);
    else
        *out = table;
    return result;
}

int cre_shared_table_attach(int descriptor, uint32_t rows, const cre_column *columns, size_t count,
                            cre_shared_table **out) {
    cre_shared_table *table;
    int result = prepare(rows, columns, count, &table);
    if (result) return result;
    result =
        cre__segment_attach(&table->segment, descriptor, CRE__SEGMENT_TABLE, schema_of(table), place(table));
    if (result) {
        cre__free(table);
        return result;
    }
    place(table);
    *out = table;
    return 0;
}

int cre_shared_table_descriptor(const cre_shared_table *table) {
    return table->segment.descriptor;
}

void cre_shared_table_destroy(cre_shared_table *table) {
    if (!table) return;
    cre__segment_close(&table->segment);
    cre__free(table);
}

int cre_shared_table_column(const cre_shared_table *table, const char *name) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0) return (int)i;
    return CRE_ESHARED_COLUMN;
}

size_t cre_shared_table_row_words(const cre_shared_table *table) {
    return table->words;
}

uint32_t cre_shared_table_count(const cre_shared_table *table) {
    return atomic_load_explicit(&table->head->count, memory_order_relaxed);
}

void cre_shared_table_get_stats(const cre_shared_table *table, cre_shared_table_stats *stats, size_t size) {
    cre_shared_table_stats now = { .memory = table->segment.size,
                                   .rows = cre_shared_table_count(table),
                                   .capacity = table->rows };
    for (uint32_t i = 0; i <= table->stripe_mask; i++) {
        const cre__stripe *stripe = cre__stripe_of(table, i);
        now.inserted += atomic_load_explicit(&stripe->inserted, memory_order_relaxed);
        now.updated += atomic_load_explicit(&stripe->updated, memory_order_relaxed);
        now.deleted += atomic_load_explicit(&stripe->deleted, memory_order_relaxed);
        now.repaired += atomic_load_explicit(&stripe->repaired, memory_order_relaxed);
    }
    cre__config_give(stats, size, &now, sizeof now);
}

/* ---- values in a row ---- */

static const cre__column *column_of(const cre_shared_table *table, uint32_t index, cre_column_type type) {
    if (index >= table->column_count || table->columns[index].type != (uint32_t)type) return NULL;
    return &table->columns[index];
}

int cre_shared_row_int(const cre_shared_table *table, const uint64_t *row, uint32_t index, int64_t *value) {
    const cre__column *column = column_of(table, index, CRE_COLUMN_INT);
    if (!column) return CRE_ESHARED_COLUMN;
    *value = (int64_t)row[column->offset];
    return 0;
}

int cre_shared_row_double(const cre_shared_table *table, const uint64_t *row, uint32_t index, double *value) {
    const cre__column *column = column_of(table, index, CRE_COLUMN_DOUBLE);
    if (!column) return CRE_ESHARED_COLUMN;
    memcpy(value, &row[column->offset], sizeof *value);
    return 0;
}

int cre_shared_row_bytes(const cre_shared_table *table, const uint64_t *row, uint32_t index,
                         const uint8_t **bytes, size_t *length) {
    const cre__column *column = column_of(table, index, CRE_COLUMN_BYTES);
    if (!column) return CRE_ESHARED_COLUMN;
    uint64_t size = row[column->offset];
    *bytes = (const uint8_t *)&row[column->offset + 1];
    *length = size < column->size ? (size_t)size : column->size;
    return 0;
}

int cre_shared_row_set_int(const cre_shared_table *table, uint64_t *row, uint32_t index, int64_t value) {
    const cre__column *column = column_of(table, index, CRE_COLUMN_INT);
    if (!column) return CRE_ESHARED_COLUMN;
    row[column->offset] = (uint64_t)value;
    return 0;
}

int cre_shared_row_set_double(const cre_shared_table *table, uint64_t *row, uint32_t index, double value) {
    const cre__column *column = column_of(table, index, CRE_COLUMN_DOUBLE);
    if (!column) return CRE_ESHARED_COLUMN;
    memcpy(&row[column->offset], &value, sizeof value);
    return 0;
}

int cre_shared_row_set_bytes(const cre_shared_table *table, uint64_t *row, uint32_t index, const void *bytes,
                             size_t length) {
    const cre__column *column = column_of(table, index, CRE_COLUMN_BYTES);
    if (!column) return CRE_ESHARED_COLUMN;
    if (length > column->size) return CRE_ESHARED_TOO_LONG;
    row[column->offset] = length;
    if (length) memcpy(&row[column->offset + 1], bytes, length);
    return 0;
}
