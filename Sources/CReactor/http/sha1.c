#include "sha1.h"

#include <string.h>

static inline uint32_t rotate(uint32_t word, int bits) {
    return word << bits | word >> (32 - bits);
}

/* One step; `mix` is the function of the round of b, c and d. */
#define STEP(i, mix, key)                                              \
    do {                                                               \
        const uint32_t next = rotate(a, 5) + (mix) + e + (key) + w[i]; \
        e = d;                                                         \
        d = c;                                                         \
        c = rotate(b, 30);                                             \
        b = a;                                                         \
        a = next;                                                      \
    } while (0)

static void add_block(uint32_t state[5], const uint8_t *bytes) {
    uint32_t w[80];
    for (int i = 0; i < 16; i++, bytes += 4)
        w[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 20; i++)
        STEP(i, d ^ (b & (c ^ d)), 0x5a827999);
    for (int i = 20; i < 40; i++)
        STEP(i, b ^ c ^ d, 0x6ed9eba1);
    for (int i = 40; i < 60; i++)
        STEP(i, (b & c) | (d & (b | c)), 0x8f1bbcdc);
    for (int i = 60; i < 80; i++)
        STEP(i, b ^ c ^ d, 0xca62c1d6);
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void cre__sha1(const void *data, size_t length, uint8_t digest[20]) {
    uint32_t state[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    const uint8_t *at = data;
    size_t left = length;
    for (; left >= 64; left -= 64, at += 64)
        add_block(state, at);
    /* the rest, a one bit, zeros, and the length in bits, in one or two blocks */
    uint8_t tail[128] = { 0 };
    if (left) memcpy(tail, at, left);
    tail[left] = 0x80;
    size_t size = left < 56 ? 64 : 128;
    uint64_t bits = (uint64_t)length * 8;
    for (int i = 0; i < 8; i++)
        tail[size - 1 - (size_t)i] = (uint8_t)(bits >> (8 * i));
    add_block(state, tail);
    if (size == 128) add_block(state, tail + 64);
    for (int i = 0; i < 20; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - i % 4 * 8));
}
