/* The table of the shared table's tests, and edits of its rows. */
#ifndef CRE_TEST_SHARED_ROWS_H
#define CRE_TEST_SHARED_ROWS_H

#include <creactor/shared_table.h>

#include "test.h"

enum { VISITS, SCORE, NAME, COLUMNS };
static const cre_column columns[COLUMNS] = {
    [VISITS] = { "visits", CRE_COLUMN_INT, 0 },
    [SCORE] = { "score", CRE_COLUMN_DOUBLE, 0 },
    [NAME] = { "name", CRE_COLUMN_BYTES, 20 },
};
enum { WORDS = 6 }; /* of such a row */

static inline cre_shared_table *make(uint32_t rows) {
    cre_shared_table *table = NULL;
    REQUIRE(cre_shared_table_create(rows, columns, COLUMNS, &table) == 0);
    REQUIRE(cre_shared_table_row_words(table) == WORDS);
    return table;
}

typedef struct row_change {
    cre_shared_table *table;
    int64_t visits;
    const char *name;
    int verdict;
    bool existed;
} row_change;

static inline int apply(void *context, uint64_t *row, bool exists) {
    row_change *change = context;
    change->existed = exists;
    int result = cre_shared_row_set_int(change->table, row, VISITS, change->visits);
    if (!result && change->name)
        result = cre_shared_row_set_bytes(change->table, row, NAME, change->name, strlen(change->name));
    return result ? result : change->verdict;
}

static inline int set(cre_shared_table *table, const char *key, int64_t visits, const char *name) {
    row_change change = { table, visits, name, CRE_SHARED_STORE, false };
    return cre_shared_table_edit(table, key, strlen(key), true, apply, &change);
}

static inline int64_t visits_of(const cre_shared_table *table, const char *key) {
    uint64_t row[WORDS];
    int64_t visits = -1;
    if (cre_shared_table_get(table, key, strlen(key), row)) return -1;
    CHECK_EQ(cre_shared_row_int(table, row, VISITS, &visits), 0);
    return visits;
}

/* A row whose columns belong together: n, and n in words. */
static inline int advance(void *context, uint64_t *row, bool exists) {
    (void)exists;
    const cre_shared_table *table = context;
    int64_t visits = 0;
    char name[21];
    CHECK_EQ(cre_shared_row_int(table, row, VISITS, &visits), 0);
    visits++;
    snprintf(name, sizeof name, "%020lld", (long long)visits);
    CHECK_EQ(cre_shared_row_set_int(table, row, VISITS, visits), 0);
    CHECK_EQ(cre_shared_row_set_bytes(table, row, NAME, name, 20), 0);
    return CRE_SHARED_STORE;
}

static inline bool is_whole(const cre_shared_table *table, const uint64_t *row) {
    int64_t visits = 0;
    const uint8_t *bytes;
    size_t length;
    char name[21];
    if (cre_shared_row_int(table, row, VISITS, &visits)) return false;
    if (cre_shared_row_bytes(table, row, NAME, &bytes, &length)) return false;
    snprintf(name, sizeof name, "%020lld", (long long)visits);
    return length == 20 && memcmp(bytes, name, 20) == 0;
}

#endif
