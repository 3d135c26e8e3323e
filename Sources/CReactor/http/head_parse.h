/*
 * The head parser, compiled once for each instruction set (head_avx2.c, head_ssse3.c, head_scalar.c). The
 * including file defines CRE__NAME(name) and the two functions below.
 *
 * The head is looked at in blocks of 64 bytes. For each, two masks are made: which bytes end a field name
 * (all that are no token characters) and which may end a field value (all control characters). Names and
 * values are then found by counting zero bits, and every byte has been checked on the way.
 */
#ifndef CRE_HTTP_HEAD_PARSE_H
#define CRE_HTTP_HEAD_PARSE_H

#include <string.h>

#include "chars.h"
#include "head_internal.h"

typedef struct masks {
    uint64_t no_token; /* no token characters */
    uint64_t control;  /* control characters, the tab among them */
} masks;

typedef struct target_masks {
    uint64_t stop;     /* bytes that a request target cannot hold */
    uint64_t question; /* '?' */
} target_masks;

/* Of exactly 64 readable bytes; bit n is byte n. */
static inline masks classify(const uint8_t *bytes64);
static inline target_masks classify_target(const uint8_t *bytes64);

typedef struct scan {
    const uint8_t *data;
    size_t length;
    size_t base; /* the block's first byte */
    masks now;
} scan;

typedef struct block {
    const uint8_t *at;
    unsigned shift;   /* bits before the wanted ones */
    uint64_t outside; /* bits behind the end of the data */
} block;

/* 64 readable bytes that hold the data from `base` on. Near the end these are the last 64 bytes, and `room`
 * when there are fewer altogether. Nothing behind the end is ever read. */
static inline block block_at(const uint8_t *data, size_t length, size_t base, uint8_t room[64]) {
    if (base + 64 <= length) return (block){ data + base, 0, 0 };
    const size_t rest = length - base;
    uint64_t outside = rest ? ~(uint64_t)0 << rest : ~(uint64_t)0;
    if (length >= 64) return (block){ data + length - 64, (unsigned)(64 - rest) & 63, outside };
    memset(room, 0, 64);
    const uint8_t *from = data + base;
    if (rest >= 32) {
        memcpy(room, from, 32);
        memcpy(room + rest - 32, from + rest - 32, 32);
    } else if (rest >= 16) {
        memcpy(room, from, 16);
        memcpy(room + rest - 16, from + rest - 16, 16);
    } else {
        for (size_t i = 0; i < rest; i++)
            room[i] = from[i];
    }
    return (block){ room, 0, outside };
}

static inline void scan_load(scan *s, size_t base) {
    uint8_t room[64];
    block b = block_at(s->data, s->length, base, room);
    masks found = classify(b.at);
    s->now.no_token = found.no_token >> b.shift | b.outside;
    s->now.control = found.control >> b.shift | b.outside;
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
    SCAN_FOR(s, from, no_token)
}

static inline size_t find_control(scan *s, size_t from) {
    SCAN_FOR(s, from, control)
}

/* The end of the target that starts at `from`, and its first '?' (the end when there is none). */
static inline size_t find_target_end(const uint8_t *data, size_t length, size_t from, size_t *question) {
    uint8_t room[64];
    bool asked = false;
    size_t at = from;
    /* a short target is faster without */
    for (const size_t near = length - from < 8 ? length : from + 8; at < near && data[at] != '?'; at++) {
        if (cre__is(data[at], CRE__TARGET)) continue;
        *question = at;
        return at;
    }
    for (; at < length; at += 64) {
        block b = block_at(data, length, at, room);
        target_masks found = classify_target(b.at);
        uint64_t stop = found.stop >> b.shift | b.outside, ask = found.question >> b.shift;
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

/* The end of the value that starts at `value`: where its line's CR LF is. Or an error, or what is missing: 0.
 */
static __attribute__((noinline)) int odd_value_end(scan *s, size_t *end) {
    const uint8_t *data = s->data;
    size_t at = *end;
    while (at < s->length && data[at] == '\t')
        at = find_control(s, at + 1);
    *end = at;
    if (at >= s->length) return 0;
    if (at + 1 == s->length) return cre__http_line_cut(data[at]);
    return data[at] == '\r' && data[at + 1] == '\n' ? 1 : cre__http_bad_value_end(data[at]);
}

/* A field line has no name: the head's end, or an error. */
static __attribute__((noinline)) int head_end(const uint8_t *data, size_t length, size_t at, size_t count,
                                              const cre__http_job *job, cre_http_head *head) {
    if (data[at] != '\r') return cre__http_bad_line_start(data[at]);
    if (at + 1 >= length) return 0;
    if (data[at + 1] != '\n') return CRE_EHTTP_LINE_END;
    head->head_length = (uint32_t)at + 2;
    head->field_count = (uint16_t)count;
    int error = job->finish(head);
    return error ? error : (int)head->head_length;
}

/* The field lines from `at` on. Returns the head's length, 0 or an error. */
static inline int parse_fields(scan *s, size_t at, const cre__http_job *job, cre_http_head *head,
                               cre_http_field *fields) {
    const uint8_t *data = s->data;
    const size_t length = s->length, room = job->max_fields;
    size_t count = 0;
    for (;; count++) {
        size_t name_end = find_name_end(s, at);
        if (name_end >= length) return at < length && count == room ? CRE_EHTTP_TOO_MANY_FIELDS : 0;
        if (name_end == at) return head_end(data, length, at, count, job, head);
        if (count == room) return CRE_EHTTP_TOO_MANY_FIELDS;
        if (data[name_end] != ':') return CRE_EHTTP_BAD_FIELD;

        size_t value = name_end + 1, end = find_control(s, value);
        if (__builtin_expect(end + 1 >= length || data[end] != '\r' || data[end + 1] != '\n', 0)) {
            int found = odd_value_end(s, &end);
            if (found <= 0) return found;
        }
        const size_t next = end + 2;
        /* almost always there is one space; the tab is the only control character here besides the CR at the
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
            int error = job->known(head, field, data, known);
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

    /* The line may use this many bytes; that they are not enough is only found out by needing more. */
    const size_t window = length - start < job->max_line ? length : start + job->max_line;
    const int cut = length - start < job->max_line ? 0 : CRE_EHTTP_LINE_TOO_LONG;
    scan s = { .data = data, .length = length };
    if (start >= length) return 0;
    scan_load(&s, start);

    const size_t method_end = find_name_end(&s, start);
    if (method_end >= window) return cut;
    if (method_end == start || data[method_end] != ' ') return cre__http_bad_request_line(data[method_end]);
    const size_t target = method_end + 1;
    size_t question;
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
        head->minor = 0;
    }
    cre__http_begin(head);
    head->method_start = (uint16_t)start;
    head->method_length = (uint16_t)(method_end - start);
    head->method = (uint8_t)cre__http_method_of(data + start, method_end - start);
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
    return parse_fields(&s, version + 10, job, head, fields);
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
    return parse_fields(&s, end + 2, job, head, fields);
}

#undef SCAN_FOR

#endif
