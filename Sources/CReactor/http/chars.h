/* Classes of bytes, as a table. */
#ifndef CRE_HTTP_CHARS_H
#define CRE_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CRE__TOKEN = 1 << 0,  /* RFC 9110 token characters */
    CRE__VALUE = 1 << 1,  /* allowed in a field value: no control characters except the tab */
    CRE__TARGET = 1 << 2, /* allowed in a request target */
    CRE__HOST =
        1
        << 3, /* allowed in a registered name: unreserved, sub-delims; not '%', which is checked separately */
    CRE__COOKIE = 1 << 4, /* RFC 6265 cookie octets */
    CRE__PLAIN = 1 << 5,  /* unreserved: never percent-encoded */
    CRE__DIGIT = 1 << 6,
    CRE__ALPHA = 1 << 7
};

extern const uint8_t cre__chars[256];

/* The value of a hex digit, -1 for other bytes. */
extern const int8_t cre__hex[256];

static inline bool cre__is(uint8_t byte, int classes) {
    return cre__chars[byte] & classes;
}

/* Lower case of ASCII letters; other bytes are unchanged. */
static inline uint8_t cre__lower(uint8_t byte) {
    return (uint8_t)(byte - 'A') < 26 ? (uint8_t)(byte | 0x20) : byte;
}

static inline bool cre__all(const void *text, size_t length, int classes) {
    const uint8_t *at = text;
    for (size_t i = 0; i < length; i++)
        if (!cre__is(at[i], classes)) return false;
    return true;
}

/* Whether `text` in lower case equals `lowercase`. */
static inline bool cre__same(const void *text, const char *lowercase, size_t length) {
    const uint8_t *at = text;
    for (size_t i = 0; i < length; i++)
        if (cre__lower(at[i]) != (uint8_t)lowercase[i]) return false;
    return true;
}

/* For terminated constants: cre__is_word(text, length, "chunked"). */
#define cre__is_word(text, length, word) \
    ((length) == sizeof(word) - 1 && cre__same(text, word, sizeof(word) - 1))

#endif
