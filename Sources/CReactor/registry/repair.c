/* Repairs what other processes have overwritten in the table. The owner of a connection knows what is right.
 */
#include <time.h>

#include "core/memory.h"
#include "registry/table_internal.h"

#define WORKER_BITS 0xffff000000000000u

/* The values of request_taken that a worker writes; see runtime/worker.c. */
#define MAX_REQUEST_TAKEN 0x3ffu

static uint64_t get(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static bool is_used(const cre_table *table, uint32_t index) {
    return get(&table->shown->used[index / 64]) >> (index % 64) & 1;
}

/* Each bit of `word` changes the upper bits of the next product. */
static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* It finds stray writes. The seed is in the same memory, so against intent no hash of it would be strong. */
uint8_t cre__slot_checksum(const cre_table *table, const cre__slot *slot) {
    uint64_t counted = atomic_load_explicit(&slot->counted, memory_order_relaxed);
    uint64_t hash = mix(table->seed[0], get(&slot->place) & ~WORKER_BITS);
    hash = mix(hash, get(&slot->address[0]));
    hash = mix(hash, get(&slot->address[1]));
    return (uint8_t)(mix(hash, get(&slot->connect_time_ms) ^ counted << 56) >> 56);
}

bool cre__table_shows(const cre_table *table, const cre_connection_info *info, uint8_t checksum,
                      uint32_t queue_limit) {
    const uint32_t index = cre__table_index(table, info->session);
    const cre__slot *slot = &cre__table_slots(table)[index];
    uint8_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    return (state == info->state || state == CRE_CONNECTION_CLOSING) &&
           atomic_load_explicit(&slot->queue_limit, memory_order_relaxed) == queue_limit &&
           get(&slot->session) == info->session && cre__slot_worker(slot) == info->worker &&
           atomic_load_explicit(&slot->owner, memory_order_relaxed) == info->owner &&
           atomic_load_explicit(cre__table_user(table, info->session), memory_order_relaxed) ==
               info->user_id &&
           cre__slot_checksum(table, slot) == checksum && is_used(table, index);
}

void cre__table_restore(cre_table *table, const cre_connection_info *info, bool counted) {
    const uint32_t index = cre__table_index(table, info->session);
    cre__slot *slot = &cre__table_slots(table)[index];
    /* Only the worker knows which request it has taken. */
    uint32_t taken = atomic_load_explicit(&slot->request_taken, memory_order_relaxed);
    atomic_store_explicit(&slot->session, 0, memory_order_relaxed);
    cre__slot_fill(table, slot, info);
    if (taken <= MAX_REQUEST_TAKEN) atomic_store_explicit(&slot->request_taken, taken, memory_order_relaxed);
    atomic_store_explicit(&slot->counted, counted, memory_order_relaxed);
    atomic_store_explicit(&slot->queued, info->queued, memory_order_relaxed);
    atomic_store_explicit(cre__table_user(table, info->session), info->user_id, memory_order_relaxed);
    atomic_store_explicit(&slot->session, info->session, memory_order_release);
    atomic_fetch_or_explicit(&table->shown->used[index / 64], 1ull << (index % 64), memory_order_relaxed);
}

uint32_t cre__table_restore_counts(cre_table *table) {
    if (!cre__table_is_kept(table)) return 0;
    uint32_t restored = cre__local_restore(table);
    for (uint32_t word = 0; word * 64 < table->slots; word++) {
        /* In this order: another thread claims in `memory` first, and both may change at any time. */
        uint64_t shown = get(&table->shown->used[word]), kept = get(&table->memory->used[word]);
        if (shown == kept) continue;
        atomic_fetch_or_explicit(&table->shown->used[word], kept & ~shown, memory_order_relaxed);
        atomic_fetch_and_explicit(&table->shown->used[word], ~(shown & ~kept), memory_order_relaxed);
        restored++;
    }
    uint32_t count = atomic_load_explicit(&table->memory->count, memory_order_relaxed);
    atomic_store_explicit(&table->shown->count, count, memory_order_relaxed);
    return restored;
}

/* ---- tables whose connections have owners in several processes ---- */

#define RECOUNT_MS 1000u

static uint64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_valid(const cre_table *table, uint32_t index) {
    const cre__slot *slot = &cre__table_slots(table)[index];
    uint64_t session = get(&slot->session);
    return session && cre__table_index(table, session) == index &&
           atomic_load_explicit(&slot->owner, memory_order_relaxed) < CRE__TABLE_NODES;
}

bool cre__table_recount(cre_table *table) {
    const uint64_t now = monotonic_ms();
    const uint32_t words = (table->slots + 63) / 64;
    uint64_t last = atomic_load(&table->recounted_at);
    if (cre__table_is_kept(table) || now - last < RECOUNT_MS ||
        !atomic_compare_exchange_strong(&table->recounted_at, &last, now))
        return false; /* perhaps another thread does */
    if (!table->invalid) table->invalid = cre__calloc(words, sizeof *table->invalid);
    if (!table->invalid) return false;
    uint32_t live = 0, before = atomic_load_explicit(&table->memory->count, memory_order_relaxed);
    for (uint32_t word = 0; word < words; word++) {
        uint64_t invalid = 0;
        for (uint64_t bits = get(&table->memory->used[word]); bits; bits &= bits - 1) {
            uint32_t at = (uint32_t)__builtin_ctzll(bits);
            if (is_valid(table, word * 64 + at))
                live++;
            else
                invalid |= 1ull << at; /* or it is being claimed: the next time it is not */
        }
        uint64_t freed = invalid & table->invalid[word];
        if (freed) atomic_fetch_and_explicit(&table->memory->used[word], ~freed, memory_order_relaxed);
        table->invalid[word] = invalid & ~freed;
    }
    /* Other processes claim and release meanwhile, so only a difference that stays is one. */
    const uint32_t surplus = before - live, last_surplus = table->surplus;
    table->surplus = surplus;
    if (!surplus || surplus != last_surplus) return false;
    table->surplus = 0;
    atomic_fetch_sub_explicit(&table->memory->count, surplus, memory_order_relaxed);
    return true;
}
