/*
 * How many connections each remote address has, over all processes that share the table.
 *
 * A number per address, in buckets of one cache line. A bucket is looked through as a whole, so a number that
 * falls to zero is simply free again and nothing is ever moved; the rare bucket that is full of other
 * addresses lets a connection pass uncounted.
 */
#include <creactor/error.h>
#include <netinet/in.h>
#include <string.h>

#include "registry/table_internal.h"

#define PER_BUCKET 8u
#define COUNT_BITS 24 /* the table has no more connections */
#define COUNT(n)   ((n) & ((1u << COUNT_BITS) - 1))

typedef _Atomic uint64_t entry; /* a part of the address's hash above its count; a count of 0: free */

size_t cre__address_bytes(uint32_t slots) {
    return (size_t)slots * sizeof(entry);
}

static bool counts(uint8_t family) {
    return family == AF_INET || family == AF_INET6;
}

/* One host has all the addresses of an IPv6 /64. */
static uint64_t hash_of(uint8_t family, const void *address) {
    uint64_t word = 0;
    memcpy(&word, address, family == AF_INET6 ? 8 : 4);
    uint64_t hash = (word ^ family) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93u;
    return hash ^ hash >> 29;
}

static entry *bucket_of(cre_table *table, uint64_t hash) {
    entry *entries = (entry *)(cre__table_slots(table) + table->slots);
    return entries + (hash & (table->slots / PER_BUCKET - 1)) * PER_BUCKET;
}

bool cre__address_enter(cre_table *table, uint8_t family, const void *address, uint32_t limit) {
    if (!counts(family)) return true;
    uint64_t hash = hash_of(family, address), tag = hash >> COUNT_BITS << COUNT_BITS, all = 0;
    entry *bucket = bucket_of(table, hash), *own = NULL, *vacant = NULL;
    for (uint32_t i = 0; i < PER_BUCKET; i++) {
        uint64_t value = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        if (COUNT(value) == 0) {
            if (!vacant) vacant = &bucket[i];
        } else if (value - COUNT(value) == tag) {
            all += COUNT(value); /* it may stand twice, when two processes began it at the same time */
            if (!own) own = &bucket[i];
        }
    }
    if (all >= limit) return false;
    entry *at = own ? own : vacant;
    if (!at) return true;
    uint64_t value = atomic_load_explicit(at, memory_order_relaxed), count;
    do {
        count = COUNT(value);
        if (count && value - count != tag) return true; /* somebody was faster */
    } while (!atomic_compare_exchange_weak_explicit(at, &value, (tag | count) + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void cre__address_leave(cre_table *table, uint8_t family, const void *address) {
    if (!counts(family)) return;
    uint64_t hash = hash_of(family, address), tag = hash >> COUNT_BITS << COUNT_BITS;
    entry *bucket = bucket_of(table, hash);
    for (uint32_t i = 0; i < PER_BUCKET; i++) {
        uint64_t value = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        while (COUNT(value) && value - COUNT(value) == tag)
            if (atomic_compare_exchange_weak_explicit(&bucket[i], &value, value - 1, memory_order_relaxed,
                                                      memory_order_relaxed))
                return;
    }
}

int cre__address_claim(cre_table *table, cre_connection_info *info, uint16_t workers, uint32_t most) {
    if (most && !cre__address_enter(table, info->family, info->remote_address, most)) return CRE_ELIMIT;
    int result = cre__table_claim(table, info, workers);
    if (!most) return result;
    if (result) {
        cre__address_leave(table, info->family, info->remote_address);
        return result;
    }
    cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, info->session)];
    atomic_store_explicit(&slot->counted, 1, memory_order_relaxed);
    return 0;
}
