/* Keys in the form in which they are compared, and their hash. */
#include <string.h>

#include "core/siphash.h"
#include "shared/shared_table_internal.h"

bool cre__key_make(const cre_shared_table *table, const void *bytes, size_t length, cre__key *key) {
    if (length < 1 || length > CRE_SHARED_KEY_MAX) return false;
    memset(key->words, 0, sizeof key->words);
    uint8_t *at = (uint8_t *)key->words;
    at[0] = (uint8_t)length; /* so keys of different lengths have different words */
    memcpy(at + 1, bytes, length);
    key->used = (unsigned)length / 8 + 1;
    key->hash = cre__siphash(table->head->seed, key->words, key->used);
    return true;
}
