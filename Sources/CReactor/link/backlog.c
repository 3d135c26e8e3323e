#include "link/backlog.h"

#include <creactor/error.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/round.h"

static uint32_t slots_of(uint32_t bytes) {
    return bytes / CRE__BACKLOG_SHARE;
}

static size_t head_size(uint32_t bytes) {
    return cre__round_up(sizeof(cre__backlog_control) + slots_of(bytes) * sizeof(cre__backlog_slot), 4096);
}

size_t cre__backlog_size(uint32_t bytes) {
    return bytes ? head_size(bytes) + bytes : 0;
}

static int open_memory(cre__backlog *backlog) {
    if (backlog->entries) return 0;
    if (cre__arena_open(&backlog->arena, backlog->memory, backlog->bytes, CRE__BACKLOG_GRANULE))
        return CRE_ENOMEM;
    backlog->entries = cre__calloc(backlog->capacity, sizeof *backlog->entries);
    if (backlog->entries) return 0;
    cre__arena_close(&backlog->arena);
    return CRE_ENOMEM;
}

static size_t size_of(const cre_record *record) {
    return record->length ? record->length : 1;
}

static void set_order(cre__backlog *backlog, uint32_t slot, uint64_t order) {
    atomic_store_explicit(&backlog->slots[slot].order, order, memory_order_release);
}

static void add_free(cre__backlog *backlog, uint32_t slot) {
    backlog->entries[slot].order = 0;
    backlog->entries[slot].next_free = backlog->first_free;
    backlog->first_free = slot + 1;
}

/* Finds the entries of a predecessor. Others can write there, so each is checked. */
static void find_entries(cre__backlog *backlog) {
    for (uint32_t i = backlog->used; i--;) {
        cre__backlog_slot *slot = &backlog->slots[i];
        cre__backlog_entry *entry = &backlog->entries[i];
        *entry = (cre__backlog_entry){ .order = atomic_load(&slot->order),
                                       .record = slot->record,
                                       .mark = slot->mark,
                                       .granule = slot->granule };
        if (!entry->order || !cre__arena_keep(&backlog->arena, entry->granule, size_of(&entry->record))) {
            set_order(backlog, i, 0);
            add_free(backlog, i);
            continue;
        }
        if (entry->order > backlog->last_order) backlog->last_order = entry->order;
        backlog->count++;
    }
    backlog->arena.touched = backlog->arena.granules; /* any of it may have been used */
}

int cre__backlog_open(cre__backlog *backlog, void *memory, uint32_t bytes) {
    *backlog = (cre__backlog){ 0 };
    if (!bytes) return 0;
    backlog->control = memory;
    backlog->slots = (cre__backlog_slot *)(backlog->control + 1);
    backlog->capacity = slots_of(bytes);
    backlog->memory = (uint8_t *)memory + head_size(bytes);
    backlog->bytes = bytes;
    backlog->used = atomic_load(&backlog->control->used);
    if (backlog->used > backlog->capacity) backlog->used = backlog->capacity;
    if (!backlog->used) return 0;
    int result = open_memory(backlog);
    if (!result) find_entries(backlog);
    return result;
}

void cre__backlog_close(cre__backlog *backlog) {
    cre__free(backlog->entries);
    cre__arena_close(&backlog->arena);
    *backlog = (cre__backlog){ 0 };
}

/* Returns a ticket, or 0. */
static uint32_t take_slot(cre__backlog *backlog) {
    const uint32_t ticket = backlog->first_free;
    if (ticket) {
        backlog->first_free = backlog->entries[ticket - 1].next_free;
        return ticket;
    }
    if (backlog->used == backlog->capacity) return 0;
    set_order(backlog, backlog->used, 0); /* where nobody was before there may be any bits */
    atomic_store_explicit(&backlog->control->used, ++backlog->used, memory_order_release);
    return backlog->used;
}

uint32_t cre__backlog_add(cre__backlog *backlog, const cre_record *record, const uint8_t *payload,
                          uint64_t mark) {
    if (!backlog->control || size_of(record) > backlog->bytes || open_memory(backlog)) return 0;
    uint8_t *room = cre__arena_take(&backlog->arena, size_of(record));
    const uint32_t ticket = room ? take_slot(backlog) : 0;
    if (!ticket) {
        if (room) cre__arena_give(&backlog->arena, room);
        return 0;
    }
    if (record->length) memcpy(room, payload, record->length);
    const uint32_t granule = (uint32_t)((size_t)(room - backlog->memory) / CRE__BACKLOG_GRANULE);
    backlog->entries[ticket - 1] = (cre__backlog_entry){
        .order = ++backlog->last_order, .record = *record, .mark = mark, .granule = granule
    };
    backlog->slots[ticket - 1].record = *record;
    backlog->slots[ticket - 1].mark = mark;
    backlog->slots[ticket - 1].granule = granule;
    set_order(backlog, ticket - 1, backlog->last_order);
    backlog->count++;
    return ticket;
}

static cre__backlog_entry *entry_of(const cre__backlog *backlog, uint32_t ticket) {
    if (!ticket || ticket > backlog->used || !backlog->entries[ticket - 1].order) return NULL;
    return &backlog->entries[ticket - 1];
}

bool cre__backlog_has_mark(const cre__backlog *backlog, cre_session session, uint64_t mark) {
    for (uint32_t i = 0; i < backlog->used; i++) {
        const cre__backlog_entry *entry = &backlog->entries[i];
        if (entry->order && entry->record.session == session && entry->mark == mark) return true;
    }
    return false;
}

bool cre__backlog_has_like(const cre__backlog *backlog, const cre_record *record) {
    for (uint32_t i = 0; i < backlog->used; i++) {
        const cre__backlog_entry *entry = &backlog->entries[i];
        if (entry->order && entry->record.session == record->session && entry->record.kind == record->kind &&
            entry->record.opcode == record->opcode)
            return true;
    }
    return false;
}

bool cre__backlog_has(const cre__backlog *backlog, uint32_t ticket) {
    return entry_of(backlog, ticket) != NULL;
}

void cre__backlog_remove(cre__backlog *backlog, uint32_t ticket) {
    cre__backlog_entry *entry = entry_of(backlog, ticket);
    if (!entry) return;
    set_order(backlog, ticket - 1, 0);
    cre__arena_give(&backlog->arena, backlog->memory + (size_t)entry->granule * CRE__BACKLOG_GRANULE);
    add_free(backlog, ticket - 1);
    if (--backlog->count) return;
    backlog->used = backlog->first_free = 0;
    atomic_store_explicit(&backlog->control->used, 0, memory_order_release);
}

typedef struct place {
    uint64_t order;
    uint32_t ticket;
} place;

static int by_order(const void *a, const void *b) {
    const uint64_t first = ((const place *)a)->order, second = ((const place *)b)->order;
    return (first > second) - (first < second);
}

int cre__backlog_list(const cre__backlog *backlog, uint32_t *tickets) {
    if (!backlog->count) return 0;
    place *places = cre__malloc(backlog->count * sizeof *places);
    if (!places) return CRE_ENOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < backlog->used; i++)
        if (backlog->entries[i].order) places[count++] = (place){ backlog->entries[i].order, i + 1 };
    qsort(places, count, sizeof *places, by_order);
    for (uint32_t i = 0; i < count; i++)
        tickets[i] = places[i].ticket;
    cre__free(places);
    return 0;
}

uint8_t *cre__backlog_find(const cre__backlog *backlog, uint32_t ticket, cre_record *record) {
    const cre__backlog_entry *entry = &backlog->entries[ticket - 1];
    *record = entry->record;
    return backlog->memory + (size_t)entry->granule * CRE__BACKLOG_GRANULE;
}

void cre__backlog_show(cre__backlog *backlog, uint32_t ticket, bool shown) {
    const cre__backlog_entry *entry = entry_of(backlog, ticket);
    if (entry) set_order(backlog, ticket - 1, shown ? entry->order : 0);
}

bool cre__backlog_tidy(cre__backlog *backlog) {
    if (!backlog->entries) return false;
    if (!backlog->arena.active) cre__arena_trim(&backlog->arena);
    backlog->arena.active = false;
    return backlog->arena.touched != 0;
}
