/*
 * HTTP/2 sessions of clients: requests of all kinds, and a server that sends anything. Input in pieces must
 * cause the same events as the whole, and each request has at most one end.
 *
 * Input: one byte of settings, one byte that is the length of the pieces, then what the server sends, behind
 * its first SETTINGS unless the settings say so.
 */
#include <creactor/error.h>
#include <creactor/http2_request.h>
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
    LEAVES = 32,
    EXPIRE = 64,
    TUNNELS = 128
};

enum { REQUESTS = 10 };

typedef struct request {
    bool sent, answered, final, closed, tunnel;
    uint64_t body;
} request;

typedef struct outcome {
    uint64_t hash;
    int result;
    uint8_t settings;
    request requests[REQUESTS];
} outcome;

static void mix(outcome *o, uint64_t value) {
    o->hash = (o->hash ^ value) * 1099511628211u;
}

static void check_fields(outcome *o, const cre_http2_event *event) {
    for (size_t i = 0; i < event->field_count; i++) {
        const cre_http_field *field = &event->fields[i];
        const cre_http_header pair = { (const char *)event->head_bytes + field->name,
                                       (const char *)event->head_bytes + field->value, field->name_length,
                                       field->value_length };
        REQUIRE(cre_http_header_valid(&pair));
        for (size_t k = 0; k < pair.name_length; k++) {
            REQUIRE(pair.name[k] < 'A' || pair.name[k] > 'Z');
            mix(o, (uint8_t)pair.name[k]);
        }
        for (size_t k = 0; k < pair.value_length; k++)
            mix(o, (uint8_t)pair.value[k]);
    }
}

static void check_head(outcome *o, const cre_http2_event *event) {
    const cre_http_head *head = event->head;
    REQUIRE(head->status >= 100 && head->status <= 999 && head->status != 101);
    REQUIRE(head->head_length <= CRE_HTTP_MAX_HEAD && head->flags & CRE_HTTP_2);
    REQUIRE(memcmp(event->head_bytes + head->head_length - 4, "\r\n\r\n", 4) == 0);
    REQUIRE(event->field_count == head->field_count);
    mix(o, head->status);
    check_fields(o, event);
}

static void on_event(void *context, cre_http2 *session, const cre_http2_event *event) {
    outcome *o = context;
    request *it = event->stream_context;
    if (event->kind == CRE_HTTP2_PEER) {
        mix(o, event->kind);
        return;
    }
    REQUIRE(it && it->sent && !it->closed && event->stream == 2 * (uint32_t)(it - o->requests) + 1);
    if (event->kind != CRE_HTTP2_DATA && event->kind != CRE_HTTP2_WRITABLE)
        mix(o, (uint64_t)event->kind << 32 | event->stream);
    switch (event->kind) {
    case CRE_HTTP2_RESPONSE:
        REQUIRE(!it->answered);
        it->answered = event->head->status >= 200;
        it->final = event->final;
        REQUIRE(!it->final || it->answered);
        check_head(o, event);
        if (o->settings & RESETS && event->head->status == 404)
            REQUIRE(cre_http2_reset(session, event->stream, CRE_HTTP2_CANCEL) == 0);
        break;
    case CRE_HTTP2_DATA:
        REQUIRE(it->answered && !it->final && event->length);
        for (size_t i = 0; i < event->length; i++)
            it->body = it->body * 31 + event->data[i] + 1;
        if (o->settings & CONSUME) REQUIRE(cre_http2_consume(session, event->stream, event->length) == 0);
        break;
    case CRE_HTTP2_TRAILERS:
        REQUIRE(it->answered && !it->final);
        check_fields(o, event);
        break;
    case CRE_HTTP2_END:
        REQUIRE(it->answered && !it->final);
        it->final = true;
        mix(o, it->body);
        break;
    case CRE_HTTP2_WRITABLE: break;
    case CRE_HTTP2_CLOSED:
        REQUIRE(event->complete == it->final);
        it->closed = true;
        mix(o, event->code);
        mix(o, (uint64_t)-event->error);
        break;
    default: abort();
    }
}

static void produce(cre_http2 *session) {
    uint8_t out[777];
    size_t size;
    do {
        int result = cre_http2_produce(session, out, sizeof out, &size);
        REQUIRE(result == 0 && size <= sizeof out);
    } while (size == sizeof out);
}

/* Requests with and without a body, and tunnels if the server accepts them. */
static void ask(cre_http2 *session, outcome *o) {
    static const uint8_t text[3000];
    static const cre_http_header fields[] = { { "Accept", "*", 6, 1 }, { "TE", "trailers", 2, 8 } };
    const cre_slice body = { text, sizeof text };
    for (size_t i = 0; i < REQUESTS; i++) {
        cre_http2_request head = { .method = i % 3 ? "GET" : "POST",
                                   .scheme = "https",
                                   .authority = "a.example",
                                   .path = "/",
                                   .fields = fields,
                                   .field_count = i % 4 ? 0 : 2 };
        const bool final = i % 3 != 0 && i != 4;
        if (i == 4 && o->settings & TUNNELS) head.protocol = "websocket";
        if (i == 5) head.method = "HEAD";
        uint32_t stream = 0;
        o->requests[i].sent = true;
        int result = cre_http2_send_request(session, &head, final, &o->requests[i], &stream);
        if (result) {
            REQUIRE(result == CRE_ELIMIT || result == CRE_EGONE || result == CRE_EUNSUPPORTED);
            o->requests[i].sent = false;
            return;
        }
        REQUIRE(stream == 2 * i + 1);
        if (!final && cre_http2_send(session, stream, &body, 1, false) == 0 && o->settings & STREAMED &&
            !head.protocol)
            REQUIRE(cre_http2_send_trailers(session, stream, fields, 1) <= 0);
    }
}

static void run(uint8_t settings, const uint8_t *data, size_t size, size_t step, bool interleaved,
                outcome *o) {
    static const uint8_t begin[] = "\0\0\6\4\0\0\0\0\0\0\10\0\0\0\1"; /* extended CONNECT is accepted */
    cre_http2_config config = { .size = sizeof config, .on_event = on_event, .context = o, .client = 1 };
    if (settings & SMALL_LIMITS) {
        config.max_streams = 8, config.max_head = 300, config.max_fields = 6, config.max_queue = 5000;
        config.max_total_queue = 9000, config.control_burst = 20, config.max_continuations = 2;
        config.stall_timeout_ms = 1000;
    }
    cre_http2 *session;
    *o = (outcome){ .settings = settings };
    REQUIRE(cre_http2_create(&config, &session) == 0);
    if (!(settings & RAW)) REQUIRE(cre_http2_receive(session, begin, sizeof begin - 1, 0) == 0);
    ask(session, o);
    produce(session);
    uint64_t now = 0;
    for (size_t at = 0; at < size && !o->result; at += step) {
        size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        o->result = cre_http2_receive(session, copy, piece, now);
        free(copy);
        if (!interleaved) continue;
        produce(session);
        if (settings & EXPIRE) cre_http2_expire(session, now += 400);
    }
    if (o->result) REQUIRE(o->result == cre_http2_error(session) && o->result != CRE_ENOMEM);
    if (o->result) REQUIRE(cre_http2_room(session) == 0);
    if (settings & LEAVES) (void)!cre_http2_goaway(session, CRE_HTTP2_NO_ERROR);
    produce(session);
    cre_http2_stats stats;
    cre_http2_get_stats(session, &stats, sizeof stats);
    uint32_t open = 0;
    for (size_t i = 0; i < REQUESTS; i++)
        open += o->requests[i].sent && !o->requests[i].closed;
    if (!cre_http2_error(session)) REQUIRE(open == stats.streams);
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
    REQUIRE(whole.result == pieces.result && whole.hash == pieces.hash);
    run(data[0], data + 2, size - 2, step, true, &interleaved);
    return 0;
}
