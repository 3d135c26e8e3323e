/* Operations of a client of NATS. */
#include <creactor/nats.h>
#include <string.h>

#include "core/decimal.h"

enum { MOST = 1 << 30 };

bool cre_nats_subject_is_valid(cre_slice subject, bool wildcards) {
    if (!subject.length || subject.length > CRE_NATS_MAX_SUBJECT) return false;
    size_t start = 0;
    for (size_t i = 0; i <= subject.length; i++) {
        const uint8_t c = i < subject.length ? subject.data[i] : '.';
        if (c <= ' ' || c == 0x7f) return false;
        if (c != '.') continue;
        if (i == start) return false;
        const uint8_t first = subject.data[start];
        const bool alone = i == start + 1;
        if (alone && first == '*' && !wildcards) return false;
        if (alone && first == '>' && (!wildcards || i < subject.length)) return false;
        start = i + 1;
    }
    return true;
}

static uint8_t *put(uint8_t *out, const void *data, size_t length) {
    if (length) memcpy(out, data, length);
    return out + length;
}

static uint8_t *put_number(uint8_t *out, uint64_t number) {
    char digits[CRE__MAX_DECIMAL];
    return put(out, digits, (size_t)(cre__put_decimal(digits, number) - digits));
}

static uint8_t *put_word(uint8_t *out, cre_slice word) {
    *out++ = ' ';
    return put(out, word.data, word.length);
}

/* A word of SUB that is no subject may still not be two. */
static bool is_word(cre_slice text) {
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] == 0x7f) return false;
    return text.length <= CRE_NATS_MAX_SUBJECT;
}

size_t cre_nats_subscribe(uint8_t *out, size_t capacity, cre_slice subject, cre_slice queue,
                          uint64_t subscription) {
    if (!cre_nats_subject_is_valid(subject, true) || !is_word(queue)) return 0;
    if (capacity < 3 + 1 + subject.length + 1 + queue.length + 1 + CRE__MAX_DECIMAL + 2) return 0;
    uint8_t *at = put_word(put(out, "SUB", 3), subject);
    if (queue.length) at = put_word(at, queue);
    *at++ = ' ';
    at = put(put_number(at, subscription), "\r\n", 2);
    return (size_t)(at - out);
}

size_t cre_nats_unsubscribe(uint8_t *out, size_t capacity, uint64_t subscription, uint64_t after) {
    if (capacity < 6 + 2 * (size_t)CRE__MAX_DECIMAL + 1 + 2) return 0;
    uint8_t *at = put_number(put(out, "UNSUB ", 6), subscription);
    if (after) {
        *at++ = ' ';
        at = put_number(at, after);
    }
    return (size_t)(put(at, "\r\n", 2) - out);
}

static const char head[] = "NATS/1.0\r\n";

/* Whole lines, none of them empty: an empty one would end the headers. */
static bool are_headers(cre_slice headers) {
    const uint8_t *at = headers.data, *end = at + headers.length;
    while (at < end) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end || line_end - at < 2 || line_end[-1] != '\r') return false;
        const uint8_t *colon = memchr(at, ':', (size_t)(line_end - at));
        if (!colon || colon == at || memchr(at, '\r', (size_t)(line_end - at) - 1)) return false;
        at = line_end + 1;
    }
    return true;
}

static size_t digits(uint64_t number) {
    size_t count = 1;
    while (number /= 10)
        count++;
    return count;
}

static size_t header_size(const cre_nats_publication *publication) {
    return publication->headers.length ? sizeof head - 1 + publication->headers.length + 2 : 0;
}

size_t cre_nats_publish_size(const cre_nats_publication *publication) {
    const cre_nats_publication *p = publication;
    if (!cre_nats_subject_is_valid(p->subject, false)) return 0;
    if (p->reply.length && !cre_nats_subject_is_valid(p->reply, false)) return 0;
    if (p->payload.length > MOST / 2 || p->headers.length > MOST / 4) return 0;
    if (p->headers.length && !are_headers(p->headers)) return 0;
    const size_t headers = header_size(p), body = headers + p->payload.length;
    const size_t numbers = 1 + digits(body) + (headers ? 1 + digits(headers) : 0);
    const size_t reply = p->reply.length ? 1 + p->reply.length : 0;
    return (headers ? 4 : 3) + 1 + p->subject.length + reply + numbers + 2 + body + 2;
}

size_t cre_nats_publish(uint8_t *out, const cre_nats_publication *publication) {
    const cre_nats_publication *p = publication;
    const size_t headers = header_size(p);
    uint8_t *at = headers ? put(out, "HPUB", 4) : put(out, "PUB", 3);
    at = put_word(at, p->subject);
    if (p->reply.length) at = put_word(at, p->reply);
    *at++ = ' ';
    if (headers) {
        at = put_number(at, headers);
        *at++ = ' ';
    }
    at = put(put_number(at, headers + p->payload.length), "\r\n", 2);
    if (headers) {
        at = put(at, head, sizeof head - 1);
        at = put(put(at, p->headers.data, p->headers.length), "\r\n", 2);
    }
    at = put(put(at, p->payload.data, p->payload.length), "\r\n", 2);
    return (size_t)(at - out);
}
