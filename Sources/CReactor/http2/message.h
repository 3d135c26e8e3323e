/*
 * The rules of messages (RFC 9113 section 8), for requests: who breaks one has the stream reset. nghttp2 has
 * the same rules, and applies them for clients only: a server would look at each head twice, since head.c
 * distinguishes the pseudo fields and reads the values in any case.
 *
 * What each head needs is here, to be a part of the functions that take the fields; the rest is in message.c.
 */
#ifndef CRE_HTTP2_MESSAGE_H
#define CRE_HTTP2_MESSAGE_H

#include "http/chars.h"
#include "http/head_internal.h"
#include "http2/http2_internal.h"

/* For constants in lower case, as all names are in HTTP/2. */
#define cre__h2_is(text, length, word) \
    ((length) == sizeof(word) - 1 && memcmp(text, word, sizeof(word) - 1) == 0)

/* What a field that is no pseudo field means here. */
typedef enum cre__h2_field {
    CRE__H2_ORDINARY,
    CRE__H2_HOST,
    CRE__H2_COOKIE,
    CRE__H2_EXPECT,
    CRE__H2_MALFORMED, /* it makes the message malformed */
} cre__h2_field;

/* ---- message.c ---- */

/* The same for a field whose name and value are valid. */
cre__h2_field cre__h2_check_meaning(cre__h2_head *head, const uint8_t *name, size_t name_length,
                                    const uint8_t *value, size_t length);
/* Whether the bytes may be in a value; it does not begin or end with white space. */
bool cre__h2_is_value(const uint8_t *value, size_t length);
/* Values of pseudo fields that are not the usual ones: whether the message is not malformed. Those that are
 * valid, but not here, have the head refused. */
bool cre__h2_check_other_scheme(cre__h2_head *head, const uint8_t *value, size_t length);
bool cre__h2_check_other_authority(cre__h2_head *head, const uint8_t *value, size_t length);
bool cre__h2_check_other_path(cre__h2_head *head, const uint8_t *value, size_t length);

/* ---- names ---- */

/* Whether eight bytes, all of which are tokens, have an upper-case letter. */
static inline bool cre__h2_any_upper(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return ((word + ones * (0x80 - 'A')) & ~(word + ones * (0x7F - 'Z'))) & ones << 7;
}

static inline bool cre__h2_is_name(const uint8_t *name, size_t length) {
    size_t at = 0;
    for (; length - at >= 8; at += 8) {
        uint64_t word;
        unsigned classes = CRE__TOKEN;
        memcpy(&word, name + at, sizeof word);
        for (size_t i = 0; i < 8; i++)
            classes &= cre__chars[name[at + i]];
        if (!classes || cre__h2_any_upper(word)) return false;
    }
    for (; at < length; at++)
        if (!cre__is(name[at], CRE__TOKEN) || (uint8_t)(name[at] - 'A') < 26) return false;
    return length != 0;
}

/* ---- pseudo fields ---- */

/* The bit of a pseudo field of requests; 0: there is no such one. */
static inline unsigned cre__h2_pseudo_of(const uint8_t *name, size_t length) {
    switch (length) {
    case 5: return cre__h2_is(name, length, ":path") ? CRE__H2_PATH : 0;
    case 7:
        if (cre__h2_is(name, length, ":method")) return CRE__H2_METHOD;
        return cre__h2_is(name, length, ":scheme") ? CRE__H2_SCHEME : 0;
    case 9: return cre__h2_is(name, length, ":protocol") ? CRE__H2_PROTOCOL : 0;
    case 10: return cre__h2_is(name, length, ":authority") ? CRE__H2_AUTHORITY : 0;
    default: return 0;
    }
}

static inline bool cre__h2_check_method(cre__h2_head *head, const uint8_t *value, size_t length) {
    head->parsed.method = (uint8_t)cre__http_method_of(value, length);
    if (head->parsed.method == CRE_HTTP_CONNECT) head->seen |= CRE__H2_CONNECT;
    return head->parsed.method != CRE_HTTP_OTHER || cre__all(value, length, CRE__TOKEN);
}

static inline bool cre__h2_check_scheme(cre__h2_head *head, const uint8_t *value, size_t length) {
    return cre__h2_is(value, length, "http") || cre__h2_is(value, length, "https") ||
           cre__h2_check_other_scheme(head, value, length);
}

static inline bool cre__h2_check_authority(cre__h2_head *head, const uint8_t *value, size_t length) {
    bool has_port;
    return cre__http_host_valid(value, length, &has_port) ||
           cre__h2_check_other_authority(head, value, length);
}

static inline bool cre__h2_check_path(cre__h2_head *head, const uint8_t *value, size_t length) {
    if (value[0] == '/' && cre__all(value, length, CRE__TARGET)) {
        head->seen |= CRE__H2_ROOTED;
        return true;
    }
    return cre__h2_check_other_path(head, value, length);
}

/* Whether a pseudo field may be here: each of them is there once, in front of the others. */
static inline bool cre__h2_may_follow(cre__h2_head *head, unsigned kind) {
    if (!kind || head->seen & (kind | CRE__H2_REGULAR)) return false;
    head->seen |= kind;
    return true;
}

/* ---- other fields ---- */

/* What another field means, also of trailers. */
static inline cre__h2_field cre__h2_check_field(cre__h2_head *head, const uint8_t *name, size_t name_length,
                                                const uint8_t *value, size_t length) {
    head->seen |= CRE__H2_REGULAR;
    if (!cre__h2_is_name(name, name_length) || !cre__h2_is_value(value, length)) return CRE__H2_MALFORMED;
    /* the lengths of the names that have a meaning */
    const uint32_t lengths =
        1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 14 | 1 << 16 | 1 << 17;
    if (name_length > 17 || !(lengths >> name_length & 1)) return CRE__H2_ORDINARY;
    return cre__h2_check_meaning(head, name, name_length, value, length);
}

#endif
