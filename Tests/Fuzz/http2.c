/*
 * HTTP/2 sessions: a client that sends anything, and an application that answers in all ways. Input in pieces
 * must cause the same events as the whole, and each request has exactly one end.
 *
 * Input: one byte of settings, one byte that is the length of the pieces, then what the client sends, without
 * the preface and the first SETTINGS unless the settings say so.
 */
#include <creactor/error.h>
#include <creactor/http2.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum {
    SMALL_LIMITS = 1,
    RAW = 2,
    CONSUME = 4,
    STREAMED = 8,
    RESETS = 16,
    GOAWAY = 32,
    EXPIRE = 64,
    EXTENDED_CONNECT = 128,
    BODIES = 1024
};

typedef struct outcome {
    uint64_t hash;
    int result;
    uint32_t open; /* streams with a REQUEST and without CLOSED */
    uint8_t settings;
    size_t produced;
    uint64_t bodies[BODIES]; /* hashes of the bodies so far, by the number of the stream */
} outcome;

static void mix(outcome *o, uint64_t value) {
    o->hash = (o->hash ^ value) * 1099511628211u;
}

static uint64_t *body_of(outcome *o, uint32_t stream) {
    return &o->bodies[stream / 2 % BODIES];
}

static void check_head(outcome *o, const cre_http2_event *event) {
    const cre_http_head *head = event->head;
    const uint8_t *bytes = event->head_bytes;
    REQUIRE(head->head_length <= CRE_HTTP_MAX_HEAD && head->flags & CRE_HTTP_2);
    REQUIRE(!event->protocol == !event->protocol_length);
    REQUIRE(!event->protocol || (o->settings & EXTENDED_CONNECT && !event->final));
    REQUIRE(head->host_length && head->flags & CRE_HTTP_HAS_HOST);
    REQUIRE(head->target + head->target_length < head->head_length);
    REQUIRE(head->path + head->path_length < head->head_length);
    REQUIRE(memcmp(bytes + head->head_length - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < head->head_length; i++)
        mix(o, bytes[i]);
    for (unsigned i = 0; i < head->field_count; i++) {
        const cre_http_field *field = &event->fields[i];
        const cre_http_header pair = { (const char *)bytes + field->name, (const char *)bytes + field->value,
                                       field->name_length, field->value_length };
        REQUIRE((size_t)field->value + field->value_length + 4 <= head->head_length);
        REQUIRE(cre_http_header_valid(&pair));
        for (size_t k = 0; k < pair.name_length; k++)
            REQUIRE(pair.name[k] < 'A' || pair.name[k] > 'Z');
    }
}

static void answer(cre_http2 *session, const outcome *o, const cre_http2_event *event) {
    static const char text[3000];
    const cre_http_header fields[] = { { "Content-Type", "text/plain", 12, 10 }, { "x", "", 1, 0 } };
    const cre_http2_response response = {
        .status = 200, .fields = fields, .field_count = 2, .server = "fuzz"
    };
    const cre_http2_response interim = { .status = 103, .fields = fields, .field_count = 1 };
    const cre_slice body = { (const uint8_t *)text, event->head->method == CRE_HTTP_HEAD ? 0 : sizeof text };
    uint32_t id = event->stream;
    switch ((id / 2 + o->settings) % 6) {
    case 0: REQUIRE(cre_http2_respond(session, id, &response, &body, 1, true) <= 0); break;
    case 1:
        REQUIRE(cre_http2_respond(session, id, &interim, NULL, 0, false) <= 0);
        if (cre_http2_respond(session, id, &response, NULL, 0, false) == 0)
            REQUIRE(cre_http2_send_trailers(session, id, fields, 2) == (event->protocol ? CRE_EINVALID : 0));
        break;
    case 2:
        if (cre_http2_respond(session, id, &response, NULL, 0, false) == 0)
            while (cre_http2_send(session, id, &body, 1, false) == 0 && body.length)
                ;
        break;
    case 3:
        if (o->settings & RESETS) REQUIRE(cre_http2_reset(session, id, CRE_HTTP2_CANCEL) == 0);
        break;
    case 4:
        REQUIRE(cre_http2_respond(session, id, &response, NULL, 0, !(o->settings & STREAMED)) <= 0);
        break;
    default: break;
    }
}

static void on_event(void *context, cre_http2 *session, const cre_http2_event *event) {
    outcome *o = context;
    static const uint8_t more[100];
    const cre_slice piece = { more, sizeof more };
    if (event->kind != CRE_HTTP2_REQUEST) REQUIRE(!cre_http2_receive_more(session));
    if (event->kind != CRE_HTTP2_DATA) mix(o, (uint64_t)event->kind << 32 | event->stream);
    switch (event->kind) {
    case CRE_HTTP2_REQUEST:
        o->open++;
        *body_of(o, event->stream) = 0;
        check_head(o, event);
        answer(session, o, event);
        if (event->stream % 8 == 7) /* those behind it are received inside this event */
            while (cre_http2_receive_more(session))
                ;
        break;
    case CRE_HTTP2_DATA:
        REQUIRE(event->length);
        for (size_t i = 0; i < event->length; i++)
            *body_of(o, event->stream) = *body_of(o, event->stream) * 31 + event->data[i] + 1;
        if (o->settings & CONSUME) REQUIRE(cre_http2_consume(session, event->stream, event->length) == 0);
        break;
    /* of a body that is too long or never ends, the pieces decide how much is received */
    case CRE_HTTP2_END: mix(o, *body_of(o, event->stream)); break;
    case CRE_HTTP2_WRITABLE: (void)!cre_http2_send(session, event->stream, &piece, 1, true); break;
    case CRE_HTTP2_CLOSED:
        mix(o, event->code);
        REQUIRE(o->open);
        o->open--;
        break;
    default: break;
    }
}

static void produce(cre_http2 *session, outcome *o) {
    uint8_t out[777];
    size_t size;
    do {
        int result = cre_http2_produce(session, out, sizeof out, &size);
        REQUIRE(result == 0 && size <= sizeof out);
        o->produced += size;
    } while (size == sizeof out);
}

static void run(uint8_t settings, const uint8_t *data, size_t size, size_t step, bool interleaved,
                outcome *o) {
    static const uint8_t begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    cre_http2_config config = { .size = sizeof config, .on_event = on_event, .context = o };
    if (settings & SMALL_LIMITS) {
        config.max_streams = 4, config.max_head = 300, config.max_fields = 6, config.max_queue = 5000;
        config.max_total_queue = 9000, config.reset_burst = 5, config.control_burst = 20,
        config.max_continuations = 2;
        config.stall_timeout_ms = 1000;
    }
    config.extended_connect = (settings & EXTENDED_CONNECT) != 0;
    cre_http2 *session;
    *o = (outcome){ .settings = settings };
    REQUIRE(cre_http2_create(&config, &session) == 0);
    if (!(settings & RAW)) REQUIRE(cre_http2_receive(session, begin, sizeof begin, 0) == 0);
    if (interleaved) produce(session, o);
    uint64_t now = 0;
    for (size_t at = 0; at < size && !o->result; at += step) {
        size_t piece = size - at < step ? size - at : step;
        /* exactly as many bytes as there are, so that reading more is noticed */
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        o->result = cre_http2_receive(session, copy, piece, now);
        free(copy);
        if (!interleaved) continue;
        produce(session, o);
        if (settings & EXPIRE) cre_http2_expire(session, now += 400);
    }
    if (o->result) REQUIRE(o->result == cre_http2_error(session) && o->result != CRE_ENOMEM);
    if (settings & GOAWAY) (void)!cre_http2_goaway(session, CRE_HTTP2_NO_ERROR);
    produce(session, o);
    cre_http2_stats stats;
    cre_http2_get_stats(session, &stats, sizeof stats);
    if (!cre_http2_error(session)) REQUIRE(o->open <= stats.streams);
    if (o->result) REQUIRE(cre_http2_is_done(session));
    REQUIRE(stats.memory < (1 << 20) + (128 << 10));
    cre_http2_destroy(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static outcome whole, pieces, interleaved;
    if (size < 2 || !cre_http2_supported()) return 0;
    const size_t step = data[1] ? data[1] : 1;
    run(data[0], data + 2, size - 2, size, false, &whole);
    run(data[0], data + 2, size - 2, step, false, &pieces);
    REQUIRE(whole.result == pieces.result && whole.open == pieces.open);
    REQUIRE(whole.hash == pieces.hash);
    run(data[0], data + 2, size - 2, step, true, &interleaved);
    return 0;
}
