/*
 * Checks of names and values of fields, which copy them in the same pass if they are sent.
 *
 * Both are tested in blocks of 16 bytes. The test of a block may reject bytes that are allowed but rare (a
 * digit in a name, a tab in a value); the tables of chars.h then decide.
 */
#ifndef CRE_HTTP_FIELD_TEXT_H
#define CRE_HTTP_FIELD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http/chars.h"

typedef uint8_t cre__block __attribute__((vector_size(16)));

/* The mask of the bytes other than letters and '-'. */
static inline cre__block cre__name_block(cre__block block) {
    cre__block letter = (block | 0x20) - 'a';
    return (cre__block)((letter > 25) & (block != '-'));
}

/* The mask of the bytes below the space, and DEL. */
static inline cre__block cre__value_block(cre__block block) {
    return (cre__block)((block <= 0x1F) | (block == 0x7F));
}

static inline cre__block cre__block_of(uint64_t low, uint64_t high) {
    uint64_t words[2] = { low, high };
    cre__block block;
    memcpy(&block, words, sizeof block);
    return block;
}

static inline bool cre__block_any(cre__block mask) {
    uint64_t words[2];
    memcpy(words, &mask, sizeof words);
    return (words[0] | words[1]) != 0;
}

/* Tests a text and copies it, unless `out` is NULL. Returns a mask that is nonzero if the test rejects a
 * byte. Blocks may overlap; only the `length` bytes are read and written. */
static inline __attribute__((always_inline)) cre__block cre__pass(char *out, const uint8_t *text,
                                                                  size_t length,
                                                                  cre__block (*test)(cre__block)) {
    const uint64_t filling = 0x6161616161616161u; /* "aaaaaaaa" */
    if (length > 16) {
        cre__block bad = { 0 }, block;
        for (size_t i = 0; i < length - 16; i += 16) {
            memcpy(&block, text + i, 16);
            bad |= test(block);
            if (out) memcpy(out + i, &block, 16);
        }
        memcpy(&block, text + length - 16, 16);
        if (out) memcpy(out + length - 16, &block, 16);
        return bad | test(block);
    }
    if (length >= 8) {
        uint64_t head, tail;
        memcpy(&head, text, 8);
        memcpy(&tail, text + length - 8, 8);
        if (out) {
            memcpy(out, &head, 8);
            memcpy(out + length - 8, &tail, 8);
        }
        return test(cre__block_of(head, tail));
    }
    if (length >= 4) {
        uint32_t head, tail;
        memcpy(&head, text, 4);
        memcpy(&tail, text + length - 4, 4);
        if (out) {
            memcpy(out, &head, 4);
            memcpy(out + length - 4, &tail, 4);
        }
        return test(cre__block_of(head | (uint64_t)tail << 32, filling));
    }
    if (!length) return (cre__block){ 0 };
    uint8_t first = text[0], middle = text[length / 2], end = text[length - 1];
    if (out) {
        out[0] = (char)first;
        out[length / 2] = (char)middle;
        out[length - 1] = (char)end;
    }
    uint64_t three = first | (uint64_t)middle << 8 | (uint64_t)end << 16;
    return test(cre__block_of(three | filling << 24, filling));
}

/* Whether a name may be sent: it is a token. */
static inline bool cre__name_valid(const void *name, size_t length) {
    if (!cre__block_any(cre__pass(NULL, name, length, cre__name_block))) return length > 0;
    return cre__all(name, length, CRE__TOKEN);
}

/* Whether a value may be sent: no control characters but tabs, no white space at its ends. */
static inline bool cre__value_valid(const void *value, size_t length) {
    const uint8_t *text = value;
    if (!length) return true;
    uint8_t first = text[0], last = text[length - 1];
    if (first == ' ' || first == '\t' || last == ' ' || last == '\t') return false;
    return !cre__block_any(cre__pass(NULL, text, length, cre__value_block)) ||
           cre__all(text, length, CRE__VALUE);
}

typedef enum cre__field_kind {
    CRE__FIELD_OTHER,
    CRE__FIELD_FRAMING, /* Connection, Content-Length, Transfer-Encoding: written by the library alone */
    CRE__FIELD_DATE,
    CRE__FIELD_SERVER,
} cre__field_kind;

/* The kind of a name that has the length of one of these. */
cre__field_kind cre__field_kind_named(const void *name, size_t length);

static inline cre__field_kind cre__field_kind_of(const void *name, size_t length) {
    const uint32_t lengths = 1u << 4 | 1u << 6 | 1u << 10 | 1u << 14 | 1u << 17;
    return length <= 17 && lengths >> length & 1 ? cre__field_kind_named(name, length) : CRE__FIELD_OTHER;
}

#endif
