/* SipHash-1-3 over whole words: a hash whose collisions cannot be chosen without knowing the seed. */
#ifndef CRE_CORE_SIPHASH_H
#define CRE_CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t cre__siphash_rotate(uint64_t value, unsigned by) {
    return value << by | value >> (64 - by);
}

static inline void cre__siphash_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = cre__siphash_rotate(v[1], 13) ^ v[0];
    v[3] = cre__siphash_rotate(v[3], 16) ^ v[2];
    v[0] = cre__siphash_rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = cre__siphash_rotate(v[3], 21) ^ v[0];
    v[1] = cre__siphash_rotate(v[1], 17) ^ v[2];
    v[2] = cre__siphash_rotate(v[2], 32);
}

/* The hash of `count` words. Unlike the published function it does not add the length: the words themselves
 * must distinguish inputs of different lengths. */
static inline uint64_t cre__siphash(const uint64_t seed[2], const uint64_t *words, unsigned count) {
    uint64_t v[4] = { seed[0] ^ 0x736F6D6570736575u, seed[1] ^ 0x646F72616E646F6Du,
                      seed[0] ^ 0x6C7967656E657261u, seed[1] ^ 0x7465646279746573u };
    for (unsigned i = 0; i < count; i++) {
        v[3] ^= words[i];
        cre__siphash_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xFF;
    for (int round = 0; round < 3; round++)
        cre__siphash_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The hash of bytes, which is not that of the same bytes as words: their number is added. */
static inline uint64_t cre__siphash_bytes(const uint64_t seed[2], const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    uint64_t words[2] = { 0, length };
    for (; length >= 8; at += 8, length -= 8) {
        uint64_t next;
        memcpy(&next, at, 8);
        words[0] ^= next;
        words[0] = cre__siphash(seed, words, 2);
    }
    uint64_t rest = 0;
    if (length) memcpy(&rest, at, length);
    uint64_t last[3] = { words[0], words[1], rest };
    return cre__siphash(seed, last, 3);
}

#endif
