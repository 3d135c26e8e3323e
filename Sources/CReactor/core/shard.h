/* The shard of a topic, on which all machines and all processes agree. */
#ifndef CRE_CORE_SHARD_H
#define CRE_CORE_SHARD_H

#include <creactor/buffer.h>

#include "core/siphash.h"

/* The seed is fixed, because all machines must get the same hash. */
static inline uint64_t cre__shard_hash(cre_slice topic) {
    static const uint64_t seed[2] = { 0x73776966742D7365u, 0x727665722D636C75u };
    return cre__siphash_bytes(seed, topic.data, topic.length);
}

/* Consistent hashing (Lamping and Veach): of one more bucket, only the keys that move to it change theirs. */
static inline uint32_t cre__shard_of(uint64_t key, uint32_t buckets) {
    int64_t bucket = -1, next = 0;
    while (next < (int64_t)buckets) {
        bucket = next;
        key = key * 2862933555777941757u + 1;
        next = (int64_t)((double)(bucket + 1) * ((double)(1ll << 31) / (double)((key >> 33) + 1)));
    }
    return (uint32_t)bucket;
}

#endif
