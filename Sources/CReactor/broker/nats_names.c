/*
 * Topics as subjects of NATS. A topic may have any bytes, a subject may not: what is not allowed in it or in
 * JSON, and "%", is written as "%" and two hexadecimal digits. A dot stays one, except where a token would be
 * empty.
 */
#include <stdio.h>

#include "broker/nats.h"

static bool is_plain(uint8_t c) {
    return c > ' ' && c < 0x7f && c != '%' && c != '*' && c != '>' && c != '"' && c != '\\';
}

static uint8_t *put_topic(uint8_t *out, cre_slice topic) {
    bool empty = true; /* the token, so far */
    for (size_t i = 0; i < topic.length; i++) {
        const uint8_t c = topic.data[i];
        const bool separates = c == '.' && !empty && i + 1 < topic.length && topic.data[i + 1] != '.';
        if (separates || (c != '.' && is_plain(c))) {
            *out++ = c;
        } else {
            *out++ = '%';
            *out++ = (uint8_t)"0123456789ABCDEF"[c >> 4];
            *out++ = (uint8_t)"0123456789ABCDEF"[c & 15];
        }
        empty = separates;
    }
    return out;
}

static cre_slice finish(cre__nats_subject *out, const uint8_t *end) {
    return (cre_slice){ out->bytes, (size_t)(end - out->bytes) };
}

static uint8_t *put_format(cre__nats_subject *out, const char *prefix, const char *kind) {
    const int length = snprintf((char *)out->bytes, sizeof out->bytes, "%s.%s.", prefix, kind);
    return out->bytes + length;
}

cre_slice cre__nats_live_subject(const cre_broker *broker, cre_slice topic, cre__nats_subject *out) {
    return finish(out, put_topic(put_format(out, broker->prefix, "l"), topic));
}

cre_slice cre__nats_value_subject(const cre_broker *broker, cre_slice key, cre__nats_subject *out) {
    return finish(out, put_topic(put_format(out, broker->prefix, "v.k"), key));
}

cre_slice cre__nats_kept_subject(const cre_broker *broker, cre_slice topic, cre_broker_history history,
                                 cre__nats_subject *out) {
    char kind[32];
    snprintf(kind, sizeof kind, "h.%u-%u", history.count, history.seconds);
    return finish(out, put_topic(put_format(out, broker->prefix, kind), topic));
}

cre_slice cre__nats_stream_name(const cre_broker *broker, cre_broker_history history,
                                cre__nats_subject *out) {
    const int length = snprintf((char *)out->bytes, sizeof out->bytes, "%s-%u-%u", broker->prefix,
                                history.count, history.seconds);
    return (cre_slice){ out->bytes, (size_t)length };
}

cre_slice cre__nats_own_subject(const cre_broker *broker, const char *kind, const char *rest,
                                cre__nats_subject *out) {
    uint8_t *at = put_format(out, broker->prefix, kind);
    memcpy(at, rest, strlen(rest));
    return finish(out, at + strlen(rest));
}

cre_slice cre__nats_inbox(const cre_broker *broker, const char *rest, cre__nats_subject *out) {
    char kind[32];
    snprintf(kind, sizeof kind, "r.%016llx", (unsigned long long)broker->config.seed);
    return cre__nats_own_subject(broker, kind, rest, out);
}

static int digit_of(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t cre__nats_topic_of(const cre_broker *broker, cre_slice subject, uint8_t out[CRE_BROKER_MAX_TOPIC]) {
    cre__nats_subject start;
    const size_t before = (size_t)(put_format(&start, broker->prefix, "l") - start.bytes);
    if (subject.length <= before || memcmp(subject.data, start.bytes, before) != 0) return 0;
    size_t length = 0;
    for (size_t i = before; i < subject.length; i++) {
        uint8_t c = subject.data[i];
        if (c == '%') {
            if (subject.length - i < 3) return 0;
            const int high = digit_of(subject.data[i + 1]), low = digit_of(subject.data[i + 2]);
            if (high < 0 || low < 0) return 0;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (length == CRE_BROKER_MAX_TOPIC) return 0;
        out[length++] = c;
    }
    return length;
}
