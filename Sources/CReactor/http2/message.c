/* The rules of messages, as far as not each head needs them; see message.h. */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <string.h>

#include "http2/message.h"

/* ---- bytes ---- */

/* Whether one of eight bytes is below `least`, which is at most 128, or DEL. */
static inline bool any_control(const uint8_t *at, uint64_t least) {
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    const uint64_t deletes = word ^ ones * 0x7F;
    return (((word - ones * least) & ~word) | ((deletes - ones) & ~deletes)) & tops;
}

/* Whether no byte is below `least`, or DEL; tabs are allowed in values. */
static inline bool is_text(const uint8_t *at, size_t length, uint8_t least, bool tabs) {
    for (; length >= 8; at += 8, length -= 8) {
        if (!any_control(at, least)) continue;
        for (size_t i = 0; i < 8; i++)
            if ((at[i] < least || at[i] == 0x7F) && !(tabs && at[i] == '\t')) return false;
    }
    for (size_t i = 0; i < length; i++)
        if ((at[i] < least || at[i] == 0x7F) && !(tabs && at[i] == '\t')) return false;
    return true;
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t';
}

bool cre__h2_is_value(const uint8_t *value, size_t length) {
    if (length && (is_space(value[0]) || is_space(value[length - 1]))) return false;
    return is_text(value, length, ' ', true);
}

static bool is_authority(const uint8_t *value, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!cre__is(value[i], CRE__HOST) && !(value[i] && strchr("%:@[]", value[i]))) return false;
    return true;
}

static bool is_scheme(const uint8_t *value, size_t length) {
    if (!cre__is(value[0], CRE__ALPHA)) return false;
    for (size_t i = 1; i < length; i++)
        if (!cre__is(value[i], CRE__ALPHA | CRE__DIGIT) && !(value[i] && strchr("+-.", value[i])))
            return false;
    return true;
}

bool cre__h2_length_of(const uint8_t *value, size_t length, uint64_t *sum) {
    *sum = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)value[i] - '0';
        if (digit > 9 || *sum > ((uint64_t)INT64_MAX - digit) / 10) return false;
        *sum = *sum * 10 + digit;
    }
    return length != 0;
}

/* ---- pseudo fields ---- */

bool cre__h2_check_other_scheme(cre__h2_head *head, const uint8_t *value, size_t length) {
    if (cre__is_word(value, length, "http") || cre__is_word(value, length, "https")) return true;
    cre__h2_refuse(head, CRE_EHTTP_BAD_TARGET);
    head->seen |= CRE__H2_OTHER_SCHEME;
    return is_scheme(value, length);
}

bool cre__h2_check_other_authority(cre__h2_head *head, const uint8_t *value, size_t length) {
    cre__h2_refuse(head, CRE_EHTTP_BAD_HOST);
    return is_authority(value, length);
}

bool cre__h2_check_other_path(cre__h2_head *head, const uint8_t *value, size_t length) {
    if (length == 1 && value[0] == '*') {
        head->seen |= CRE__H2_ASTERISK;
        return true;
    }
    if (value[0] == '/') head->seen |= CRE__H2_ROOTED;
    cre__h2_refuse(head, CRE_EHTTP_BAD_TARGET);
    return is_text(value, length, '!', false);
}

/* ---- other fields ---- */

static bool check_length(cre__h2_head *head, const uint8_t *value, size_t length) {
    uint64_t sum;
    if (head->stream->expected >= 0 || !cre__h2_length_of(value, length, &sum)) return false;
    head->stream->expected = (int64_t)sum;
    head->parsed.content_length = sum;
    head->parsed.flags |= CRE_HTTP_HAS_LENGTH;
    return true;
}

static bool check_host(cre__h2_head *head, const uint8_t *value, size_t length) {
    if (head->stream->has_host || !length) return false;
    head->stream->has_host = true;
    return is_authority(value, length);
}

/* Fields of several lines are one dictionary: an invalid line makes all of it invalid. */
static void take_priority(cre__h2_head *head, const uint8_t *value, size_t length) {
    cre__h2_priority *priority = &head->priority;
    if (head->trailers || priority->invalid) return;
    priority->invalid = !cre__h2_priority_read(value, length, priority);
    priority->given = !priority->invalid;
}

cre__h2_field cre__h2_check_meaning(cre__h2_head *head, const uint8_t *name, size_t name_length,
                                    const uint8_t *value, size_t length) {
    switch (name_length) {
    case 2:
        return cre__h2_is(name, name_length, "te") && !cre__is_word(value, length, "trailers")
                   ? CRE__H2_MALFORMED
                   : CRE__H2_ORDINARY;
    case 4:
        if (!cre__h2_is(name, name_length, "host")) break;
        return check_host(head, value, length) ? CRE__H2_HOST : CRE__H2_MALFORMED;
    case 6:
        if (cre__h2_is(name, name_length, "cookie")) return CRE__H2_COOKIE;
        return cre__h2_is(name, name_length, "expect") ? CRE__H2_EXPECT : CRE__H2_ORDINARY;
    case 7: return cre__h2_is(name, name_length, "upgrade") ? CRE__H2_MALFORMED : CRE__H2_ORDINARY;
    case 8:
        if (cre__h2_is(name, name_length, "priority")) take_priority(head, value, length);
        break;
    case 10:
        return cre__h2_is(name, name_length, "connection") || cre__h2_is(name, name_length, "keep-alive")
                   ? CRE__H2_MALFORMED
                   : CRE__H2_ORDINARY;
    case 14:
        if (!cre__h2_is(name, name_length, "content-length")) break;
        return check_length(head, value, length) ? CRE__H2_ORDINARY : CRE__H2_MALFORMED;
    case 16: return cre__h2_is(name, name_length, "proxy-connection") ? CRE__H2_MALFORMED : CRE__H2_ORDINARY;
    case 17: return cre__h2_is(name, name_length, "transfer-encoding") ? CRE__H2_MALFORMED : CRE__H2_ORDINARY;
    default: break;
    }
    return CRE__H2_ORDINARY;
}

/* ---- whole messages ---- */

bool cre__h2_check_head(cre__h2_head *head) {
    const unsigned seen = head->seen, needed = CRE__H2_METHOD | CRE__H2_SCHEME | CRE__H2_PATH;
    const bool connect = seen & CRE__H2_CONNECT;
    if (connect && !(seen & CRE__H2_PROTOCOL)) {
        head->stream->expected = -1; /* the bytes of a tunnel have no length */
        return seen & CRE__H2_AUTHORITY && !(seen & (CRE__H2_SCHEME | CRE__H2_PATH));
    }
    if ((seen & needed) != needed || !(seen & CRE__H2_AUTHORITY || head->stream->has_host)) return false;
    if (seen & CRE__H2_PROTOCOL && !(connect && seen & CRE__H2_AUTHORITY)) return false;
    if (seen & (CRE__H2_ROOTED | CRE__H2_OTHER_SCHEME)) return true;
    return seen & CRE__H2_ASTERISK && head->parsed.method == CRE_HTTP_OPTIONS;
}

bool cre__h2_check_end(const cre__h2_stream *stream) {
    return stream->expected < 0 || stream->expected == stream->received;
}

bool cre__h2_check_data(cre__h2_stream *stream, size_t length) {
    stream->received += (int64_t)length;
    return stream->expected < 0 || stream->received <= stream->expected;
}

#endif
