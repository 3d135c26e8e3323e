/*
 * The head parser, compiled once for each instruction set (head_avx2.c, head_ssse3.c, head_scalar.c). The
 * including file defines CRE__NAME(name) and, after the include, the functions below. CRE__VECTORS: they are
 * fast.
 *
 * The head is read in blocks of 64 bytes. For each block there are two masks: the bytes that end a field name
 * (all but token characters) and those that may end a field value (control characters). Names and values are
 * then found by counting zero bits, which checks every byte at the same time.
 */
#ifndef CRE_HTTP_HEAD_PARSE_H
#define CRE_HTTP_HEAD_PARSE_H

#include <string.h>

#include "chars.h"
#include "head_internal.h"

/* Two masks of a block; bit n is byte n. */
typedef struct masks {
    uint64_t stop;  /* all but token characters; in targets: invalid bytes */
    uint64_t other; /* control characters, with or without the tab; in targets: '?' */
} masks;

/* Computes the masks of exactly 32 readable bytes. */
static inline masks classify(const uint8_t *bytes);
static inline masks classify_target(const uint8_t *bytes);
#ifdef CRE__VECTORS
/* The mask of the bytes that registered names have only percent-encoded. */
static inline uint32_t classify_host(const uint8_t *bytes);
#endif

typedef struct scan {
    const uint8_t *data;
    size_t length;
    size_t base; /* the block's first byte */
    masks now;
} scan;

/* Copies up to 32 bytes to `room`, where 32 can be read. */
static inline const uint8_t *copied(const uint8_t *from, size_t size, uint8_t room[32]) {
    memset(room, 0, 32);
    for (size_t i = 0; i < size; i++)
        room[i] = from[i];
    return room;
}

/*
 * Computes the masks of the 64 bytes from `base` on. Nothing behind the end is read: near it the last 32
 * bytes are used and their bits shifted. All bits behind the end are set.
 */
static inline __attribute__((always_inline)) masks block_masks(masks (*of)(const uint8_t *),
                                                               const uint8_t *data, size_t length,
                                                               size_t base) {
    const uint8_t *from = data + base;
    const size_t rest = length - base;
    if (__builtin_expect(rest >= 64, 1)) {
        const masks low = of(from), high = of(from + 32);
        return (masks){ low.stop | high.stop << 32, low.other | high.other << 32 };
    }
    const uint64_t outside = ~(uint64_t)0 << rest;
    if (rest >= 32) {
        const masks low = of(from), high = of(from + rest - 32);
        return (masks){ low.stop | high.stop << (rest - 32) | outside,
                        low.other | high.other << (rest - 32) | outside };
    }
    uint8_t room[32];
    const bool alone = length < 32;
    const masks low = of(alone ? copied(from, rest, room) : from + rest - 32);
    const size_t before = alone ? 0 : 32 - rest;
    return (masks){ low.stop >> before | outside, low.other >> before | outside };
}

static inline void scan_load(scan *s, size_t base) {
    s->now = block_masks(classify, s->data, s->length, base);
    s->base = base;
}

/* The first byte at or after `from` in the mask, or the length. `from` is not before the block. */
#define SCAN_FOR(s, from, mask)                                           \
    size_t at = (from);                                                   \
    if (at - (s)->base < 64) {                                            \
        uint64_t bits = (s)->now.mask >> (at - (s)->base);                \
        if (__builtin_expect(bits != 0, 1)) return at + lowest_bit(bits); \
        at = (s)->base + 64;                                              \
    }                                                                     \
    for (;; at += 64) {                                                   \
        if (at >= (s)->length) return (s)->length;                        \
        scan_load((s), at);                                               \
        if ((s)->now.mask) return at + lowest_bit((s)->now.mask);         \
    }

static inline unsigned lowest_bit(uint64_t bits) {
    return (unsigned)__builtin_ctzll(bits);
}

static inline size_t find_name_end(scan *s, size_t from) {
    SCAN_FOR(s, from, stop)
}

static inline size_t find_control(scan *s, size_t from) {
    SCAN_FOR(s, from, other)
}

/* The sign bits of the bytes equal to zero; those behind the first one may be set, too. */
static inline uint64_t zero_bytes(uint64_t word) {
    return (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
}

/* The sign bit of the first of 8 bytes that end a target or begin its query; those behind it are
 * undefined. */
static inline uint64_t target_stop_8(const uint8_t *bytes) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, bytes, 8);
    const uint64_t control = (word - ones * 0x21) & ~word & ones * 0x80; /* and the space */
    return control | (word & ones * 0x80) | zero_bytes(word ^ ones * 0x7F) | zero_bytes(word ^ ones * '#') |
           zero_bytes(word ^ ones * '?');
}

/* The end of the target that starts at `from`, and its first '?' (the end when there is none). */
static inline size_t find_target_end(const uint8_t *data, size_t length, size_t from, size_t *question) {
    bool asked = false;
    size_t at = from;
#ifdef CRE__VECTORS
    /* most targets are short */
    if (length - from >= 32) {
        const masks found = classify_target(data + from);
        if (found.stop) {
            *question = from + lowest_bit(found.stop | found.other);
            return from + lowest_bit(found.stop);
        }
    }
#elif __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* a short target without '?' is faster without blocks */
    if (length - from >= 8) {
        const uint64_t stop = target_stop_8(data + from);
        if (stop) {
            at += lowest_bit(stop) / 8;
            if (data[at] != '?') return *question = at;
            at = from;
        }
    }
#endif
    for (; at < length; at += 64) {
        const masks found = block_masks(classify_target, data, length, at);
        const uint64_t stop = found.stop, ask = found.other;
        if (!asked && ask && (!stop || lowest_bit(ask) < lowest_bit(stop))) {
            *question = at + lowest_bit(ask);
            asked = true;
        }
        if (stop) {
            size_t end = at + lowest_bit(stop);
            if (!asked) *question = end;
            return end;
        }
    }
    if (!asked) *question = length;
    return length;
}

/*
 * Continues a value behind the control character at `at`. Returns the position of the line's CR LF, 0 when
 * the line is incomplete, or an error. Tabs are rare, so this does not use the masks and does not occupy
 * registers.
 */
static __attribute__((noinline)) long odd_value_end(const uint8_t *data, size_t length, size_t at) {
    while (at < length && cre__is(data[at], CRE__VALUE))
        at++;
    if (at >= length) return 0;
    if (at + 1 == length) return cre__http_line_cut(data[at]);
    return data[at] == '\r' && data[at + 1] == '\n' ? (long)at : cre__http_bad_value_end(data[at]);
}

/* The length of the beginning of a host that is a registered name without percent-encoding; 0: any. */
static inline size_t plain_host(const uint8_t *data, const cre_http_field *field) {
#ifdef CRE__VECTORS
    const size_t length = field->value_length, end = field->value + length;
    if (length - 1 < 32 && end >= 32) { /* what is before it can be read, too */
        const uint32_t outside = classify_host(data + end - 32) >> (32 - length);
        return outside ? lowest_bit(outside) : length;
    }
#else
    (void)data, (void)field;
#endif
    return 0;
}

static inline int host_field(cre_http_head *head, const cre_http_field *field, const uint8_t *data) {
    if (head->flags & CRE_HTTP_HAS_HOST) return CRE_EHTTP_BAD_HOST;
    const size_t plain = plain_host(data, field);
    if (plain < field->value_length &&
        !cre__http_host_valid_from(data + field->value, plain, field->value_length))
        return CRE_EHTTP_BAD_HOST;
    head->flags |= CRE_HTTP_HAS_HOST;
    /* a host in the target takes precedence */
    if (head->flags & (CRE_HTTP_ABSOLUTE_FORM | CRE_HTTP_AUTHORITY_FORM)) return 0;
    head->host = field->value;
    head->host_length = field->value_length;
    return 0;
}

/* Handles a line without a field name: the end of the head, or an error. */
static inline int head_end(const uint8_t *data, size_t length, size_t at, size_t count, bool of_request,
                           cre_http_head *head) {
    if (data[at] != '\r') return cre__http_bad_line_start(data[at]);
    if (at + 1 >= length) return 0;
    if (data[at + 1] != '\n') return CRE_EHTTP_LINE_END;
    head->head_length = (uint32_t)at + 2;
    head->field_count = (uint16_t)count;
    int error = of_request ? cre__http_request_finish(head) : cre__http_response_finish(head);
    return error ? error : (int)at + 2;
}

/* Parses the field lines from `at` on. Returns the head's length, 0 or an error. Inlined, so that the scan is
 * kept in registers. */
static inline __attribute__((always_inline)) int parse_fields(scan s, size_t at, size_t room, bool of_request,
                                                              cre_http_head *head, cre_http_field *fields) {
    const uint8_t *const data = s.data;
    const size_t length = s.length;
    size_t count = 0;
    for (;; count++) {
        size_t name_end = find_name_end(&s, at);
        if (name_end >= length) return at < length && count == room ? CRE_EHTTP_TOO_MANY_FIELDS : 0;
        if (name_end == at) return head_end(data, length, at, count, of_request, head);
        if (count == room) return CRE_EHTTP_TOO_MANY_FIELDS;
        if (data[name_end] != ':') return CRE_EHTTP_BAD_FIELD;

        size_t value = name_end + 1, end = find_control(&s, value);
        if (__builtin_expect(end + 1 >= length || data[end] != '\r' || data[end + 1] != '\n', 0)) {
            const long found = odd_value_end(data, length, end);
            if (found <= 0) return (int)found;
            end = (size_t)found;
        }
        const size_t next = end + 2;
        /* usually there is one space; the tab is the only control character here besides the CR at the
         * end */
        value += data[value] == ' ';
        if (__builtin_expect(data[value] <= ' ' || data[end - 1] <= ' ', 0)) {
            while (value < end && data[value] <= ' ')
                value++;
            while (end > value && data[end - 1] <= ' ')
                end--;
        }
        cre_http_field *field = &fields[count];
        field->name = (uint16_t)at;
        field->name_length = (uint16_t)(name_end - at);
        field->value = (uint16_t)value;
        field->value_length = (uint16_t)(end - value);
        enum cre__http_known known = cre__http_known_of(data + at, name_end - at);
        if (known) {
            int error = !of_request                ? cre__http_response_known(head, field, data, known)
                        : known == CRE__HOST_FIELD ? host_field(head, field, data)
                                                   : cre__http_request_known(head, field, data, known);
            if (error) return error;
        }
        at = next;
    }
}

int CRE__NAME(request)(const uint8_t *data, uint32_t length, const cre__http_job *job, cre_http_head *head,
                       cre_http_field *fields) {
    size_t start = 0;
    while (__builtin_expect(start < length && data[start] == '\r', 0)) {
        if (start + 1 >= length) return 0;
        if (data[start + 1] != '\n') return CRE_EHTTP_LINE_END;
        start += 2;
        if (start > 2 * CRE__EMPTY_LINES) return CRE_EHTTP_BAD_LINE;
    }

    /* The bytes that the line may use; the limit is exceeded only when it needs more. */
    const size_t window = length - start < job->max_line ? length : start + job->max_line;
    const int cut = length - start < job->max_line ? 0 : CRE_EHTTP_LINE_TOO_LONG;
    scan s = { .data = data, .length = length };
    if (start >= length) return 0;
    scan_load(&s, start);

    const size_t method_end = find_name_end(&s, start);
    if (method_end >= window) return cut;
    if (method_end == start || data[method_end] != ' ') return cre__http_bad_request_line(data[method_end]);
    const size_t target = method_end + 1;
    size_t question = 0; /* always set, though gcc does not see it for each architecture */
    const size_t end = find_target_end(data, window, target, &question);
    if (end >= window) return cut;
    if (end == target || data[end] != ' ') return cre__http_bad_target_end(data[end], end == target);

    const size_t version = end + 1;
    if (__builtin_expect(window - version < 10, 0)) {
        int error = cre__http_version_check(data + version, (uint32_t)(window - version));
        return error ? error : cut;
    }
    if (memcmp(data + version, "HTTP/1.1\r\n", 10) == 0) {
        head->minor = 1;
    } else {
        int error = cre__http_version_check(data + version, 10);
        if (error) return error;
        head->minor = data[version + 7] != '0'; /* a later HTTP/1 is read as HTTP/1.1 */
    }
    cre__http_begin(head);
    head->method_start = (uint16_t)start;
    head->method_length = (uint16_t)(method_end - start);
    head->method = method_end - start == 3 && memcmp(data + start, "GET", 3) == 0
                       ? CRE_HTTP_GET
                       : (uint8_t)cre__http_method_of(data + start, method_end - start);
    head->target = (uint16_t)target;
    head->target_length = (uint16_t)(end - target);
    if (__builtin_expect(data[target] == '/' && head->method != CRE_HTTP_CONNECT, 1)) {
        head->path = (uint16_t)target;
        head->path_length = (uint16_t)(question - target);
        if (question < end) {
            head->flags |= CRE_HTTP_HAS_QUERY;
            head->query = (uint16_t)(question + 1);
            head->query_length = (uint16_t)(end - question - 1);
        }
    } else {
        int error = cre__http_other_target(head, data);
        if (error) return error;
    }
    return parse_fields(s, version + 10, job->max_fields, true, head, fields);
}

int CRE__NAME(response)(const uint8_t *data, uint32_t length, const cre__http_job *job, cre_http_head *head,
                        cre_http_field *fields) {
    const size_t window = length < job->max_line ? length : job->max_line;
    const int cut = length < job->max_line ? 0 : CRE_EHTTP_LINE_TOO_LONG;
    scan s = { .data = data, .length = length };
    if (!length) return 0;
    scan_load(&s, 0);
    size_t end = find_control(&s, 0);
    while (end < window && data[end] == '\t')
        end = find_control(&s, end + 1);
    if (end > window) end = window;
    int error = cre__http_status_line(head, data, (uint32_t)end, end < window);
    if (error) return error;
    if (end >= window) return cut;
    if (data[end] != '\r') return data[end] == '\n' ? CRE_EHTTP_LINE_END : CRE_EHTTP_BAD_LINE;
    if (end + 1 >= window) return cut;
    if (data[end + 1] != '\n') return CRE_EHTTP_LINE_END;
    head->method = job->request_method;
    return parse_fields(s, end + 2, job->max_fields, false, head, fields);
}

#undef SCAN_FOR

#endif
