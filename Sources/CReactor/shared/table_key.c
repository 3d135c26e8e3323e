/* Keys in the form in which they are compared, and their hash: SipHash-1-3 with the table's seed. */
#include <string.h>

#include "shared/table_internal.h"

static uint64_t rotate(uint64_t value, unsigned by) {
    return value << by | value >> (64 - by);
}

static void mix(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* Of the words as they stand: the length is their first byte, so no two keys have the same. */
static uint64_t hash_of(const uint64_t seed[2], const uint64_t *words, unsigned count) {
    uint64_t v[4] = { seed[0] ^ 0x736F6D6570736575u, seed[1] ^ 0x646F72616E646F6Du,
                      seed[0] ^ 0x6C7967656E657261u, seed[1] ^ 0x7465646279746573u };
    for (unsigned i = 0; i < count; i++) {
        v[3] ^= words[i];
        mix(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xFF;
    for (int round = 0; round < 3; round++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

bool cre__key_make(const cre_shared_table *table, const void *bytes, size_t length, cre__key *key) {
    if (length < 1 || length > CRE_SHARED_KEY_MAX) return false;
    memset(key->words, 0, sizeof key->words);
    uint8_t *at = (uint8_t *)key->words;
    at[0] = (uint8_t)length;
    memcpy(at + 1, bytes, length);
    key->used = (unsigned)length / 8 + 1;
    key->hash = hash_of(table->head->seed, key->words, key->used);
    return true;
}
