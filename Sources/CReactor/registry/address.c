/*
 * The number of connections of each remote address, over all processes that share the table.
 *
 * There is a counter for each address, in buckets of one cache line. An address has two buckets, chosen by a
 * hash with a random seed, and its counter is in the one that had more room when it was needed first. Both
 * are always searched as a whole, so a counter that falls to zero is free again and nothing is ever moved.
 *
 * The table has at least twice as many counters as connections, so two full buckets are practically
 * impossible, and without the seed nobody can choose addresses that collide. If it happens, the connection is
 * refused.
 */
#include <creactor/error.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include "core/siphash.h"
#include "registry/table_internal.h"

#define BUCKET     8u
#define COUNT_BITS 24 /* the table has no more connections */
#define COUNT_MASK ((1u << COUNT_BITS) - 1)
#define COUNT(n)   ((n) & COUNT_MASK)

/* Each lost race means that another process has succeeded, so only corrupt memory causes this many. */
#define MAX_TRIES 1000

typedef _Atomic uint64_t
    counter; /* the tag, a part of the address's hash, above a count; a count of 0: free */

typedef struct place {
    counter *buckets[2];
    uint64_t tag;
} place;

size_t cre__address_bytes(uint32_t slots) {
    return (size_t)slots * sizeof(counter);
}

bool cre__address_seed(cre_table *table) {
    for (int i = 0; i < 2; i++) {
        _Atomic uint64_t *shared = &table->memory->seed[i];
        uint64_t seed = atomic_load_explicit(shared, memory_order_relaxed), fresh;
        if (!seed) {
            if (getrandom(&fresh, sizeof fresh, 0) != sizeof fresh) return false;
            fresh |= 1; /* not 0 */
            if (atomic_compare_exchange_strong_explicit(shared, &seed, fresh, memory_order_relaxed,
                                                        memory_order_relaxed))
                seed = fresh;
        }
        table->seed[i] = seed;
    }
    return true;
}

static bool is_counted(uint8_t family) {
    return family == AF_INET || family == AF_INET6;
}

static place place_of(const cre_table *table, uint8_t family, const void *address) {
    uint64_t words[2] = { family, 0 };
    memcpy(&words[1], address, family == AF_INET6 ? 8 : 4); /* one host has all addresses of an IPv6 /64 */
    uint64_t hash = cre__siphash(table->seed, words, 2);
    counter *counters = (counter *)(cre__table_slots_in(table, table->memory) + table->slots);
    uint32_t count = table->slots / BUCKET; /* a power of two, at least 8 */
    uint32_t first = (uint32_t)hash & (count - 1),
             second = first ^ (1 + (uint32_t)(hash >> 32) % (count - 1));
    return (place){ { counters + first * BUCKET, counters + second * BUCKET }, hash & ~(uint64_t)COUNT_MASK };
}

/* Sums up the connections of the address, which has several counters when processes created them at the same
 * time. *own is set to one of them, or NULL; *vacant to a free one in the emptier bucket, or NULL. */
static uint64_t search(const place *at, counter **own, counter **vacant) {
    uint64_t total = 0;
    unsigned most = 0;
    *own = *vacant = NULL;
    for (int b = 0; b < 2; b++) {
        unsigned vacancies = 0;
        counter *first = NULL;
        for (uint32_t i = 0; i < BUCKET; i++) {
            counter *it = &at->buckets[b][i];
            uint64_t value = atomic_load(it);
            if (COUNT(value) == 0) {
                if (!vacancies++) first = it;
            } else if (value - COUNT(value) == at->tag) {
                total += COUNT(value);
                *own = it;
            }
        }
        if (vacancies > most) {
            most = vacancies;
            *vacant = first;
        }
    }
    return total;
}

static void leave(const place *at) {
    for (uint32_t i = 0; i < 2 * BUCKET; i++) {
        counter *it = &at->buckets[i / BUCKET][i % BUCKET];
        uint64_t value = atomic_load(it);
        while (COUNT(value) && value - COUNT(value) == at->tag)
            if (atomic_compare_exchange_weak(it, &value, value - 1)) return;
    }
}

bool cre__address_enter(cre_table *table, uint8_t family, const void *address, uint32_t limit) {
    if (!is_counted(family)) return true;
    place at = place_of(table, family, address);
    if (limit > COUNT_MASK) limit = COUNT_MASK;
    counter *own, *vacant;
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        if (search(&at, &own, &vacant) >= limit) return false;
        counter *it = own ? own : vacant;
        if (!it) return false;
        uint64_t value = atomic_load(it), count = COUNT(value);
        if (count && value - count != at.tag) continue; /* another address has taken it since */
        if (!atomic_compare_exchange_strong(it, &value, (at.tag | count) + 1)) continue;
        /* Another process may have created a second counter meanwhile. */
        if (search(&at, &own, &vacant) <= limit) return true;
        leave(&at);
        return false;
    }
    return false;
}

void cre__address_leave(cre_table *table, uint8_t family, const void *address) {
    if (!is_counted(family)) return;
    place at = place_of(table, family, address);
    leave(&at);
}

int cre__address_claim(cre_table *table, cre_connection_info *info, uint16_t workers, uint32_t limit) {
    if (limit && !cre__address_enter(table, info->family, info->remote_address, limit)) return CRE_ELIMIT;
    int result = cre__table_claim(table, info, workers);
    if (!limit) return result;
    if (result) {
        cre__address_leave(table, info->family, info->remote_address);
        return result;
    }
    cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, info->session)];
    atomic_store_explicit(&slot->counted, 1, memory_order_relaxed);
    return 0;
}
