/*
 * Masking. A key is a uint32_t with its four bytes in memory order; "rotated" by n it masks data that begins
 * at offset n of the payload.
 *
 * The source and the destination of each function are the same or do not overlap. The result is nonzero if a
 * byte of the output has its high bit set, so that ASCII text needs no second pass.
 */
#ifndef CRE_WS_MASK_H
#define CRE_WS_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t cre__ws_v16 __attribute__((vector_size(16)));

#define CRE__WS_HIGH_BITS 0x8080808080808080u

static inline uint32_t cre__ws_key(const uint8_t key[4]) {
    uint32_t value;
    memcpy(&value, key, 4);
    return value;
}

static inline uint32_t cre__ws_key_rotate(uint32_t key, size_t offset) {
    unsigned bits = 8 * (unsigned)(offset & 3);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits = -bits & 31;
#endif
    return key >> bits | key << (-bits & 31);
}

static inline uint64_t cre__ws_key_64(uint32_t key) {
    return (uint64_t)key << 32 | key;
}

static inline cre__ws_v16 cre__ws_load_16(const uint8_t *data) {
    cre__ws_v16 value;
    memcpy(&value, data, 16);
    return value;
}

/* Masks at least 16 bytes. The last block overlaps the one before, so it is read before anything is written.
 */
static inline uint64_t cre__ws_mask_blocks(uint8_t *to, const uint8_t *from, size_t length, uint32_t key) {
    size_t last = length - 16;
    uint64_t wide = cre__ws_key_64(key), wide_last = cre__ws_key_64(cre__ws_key_rotate(key, last));
    cre__ws_v16 mask = { wide, wide }, mask_last = { wide_last, wide_last };
    cre__ws_v16 tail = cre__ws_load_16(from + last) ^ mask_last, seen = tail;
#pragma GCC unroll 1 /* mostly there are few */
    for (size_t i = 0; i < last; i += 16) {
        cre__ws_v16 block = cre__ws_load_16(from + i) ^ mask;
        memcpy(to + i, &block, 16);
        seen |= block;
    }
    memcpy(to + last, &tail, 16);
    return (seen[0] | seen[1]) & CRE__WS_HIGH_BITS;
}

/* Masks any length without a call, for short payloads. */
static inline uint64_t cre__ws_mask_short(uint8_t *to, const uint8_t *from, size_t length, uint32_t key) {
    if (length >= 16) return cre__ws_mask_blocks(to, from, length, key);
    if (length >= 8) {
        uint64_t a, b;
        memcpy(&a, from, 8);
        memcpy(&b, from + length - 8, 8);
        a ^= cre__ws_key_64(key);
        b ^= cre__ws_key_64(cre__ws_key_rotate(key, length));
        memcpy(to, &a, 8);
        memcpy(to + length - 8, &b, 8);
        return (a | b) & CRE__WS_HIGH_BITS;
    }
    if (length >= 4) {
        uint32_t a, b;
        memcpy(&a, from, 4);
        memcpy(&b, from + length - 4, 4);
        a ^= key;
        b ^= cre__ws_key_rotate(key, length);
        memcpy(to, &a, 4);
        memcpy(to + length - 4, &b, 4);
        return (a | b) & CRE__WS_HIGH_BITS;
    }
    uint8_t seen = 0, bytes[4];
    memcpy(bytes, &key, 4);
    for (size_t i = 0; i < length; i++) {
        to[i] = from[i] ^ bytes[i];
        seen |= to[i];
    }
    return seen & 0x80;
}

/* Masks any length with the widest registers of this processor. */
uint64_t cre__ws_mask(uint8_t *to, const uint8_t *from, size_t length, uint32_t key);

/* Masks at least 16 bytes, four blocks per iteration, which saturates 16-byte registers (SSE2, NEON). */
uint64_t cre__ws_mask_wide(uint8_t *to, const uint8_t *from, size_t length, uint32_t key);

#if defined(__x86_64__)
/* Masks at least 32 bytes, on a processor with AVX2. */
uint64_t cre__ws_mask_avx2(uint8_t *to, const uint8_t *from, size_t length, uint32_t key);
#endif

#endif
