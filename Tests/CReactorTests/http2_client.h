/* A session under test, with a client on its other side. */
#ifndef CRE_HTTP2_CLIENT_H
#define CRE_HTTP2_CLIENT_H

#include <creactor/error.h>

#include "http2_wire.h"

typedef struct client client;

struct client {
    cre_http2 *session;
    wire out;     /* for the session, by send_all */
    reader in;    /* what it has produced */
    text events;  /* what it has reported, separated by '|' */
    uint64_t now; /* in milliseconds */
    bool last_is_data;
    size_t data;                                               /* bytes of DATA events */
    void (*on_event)(client *c, const cre_http2_event *event); /* after it was noted; NULL: nothing */
};

static inline void note_fields(client *c, const cre_http2_event *event) {
    for (size_t i = 0; i < event->field_count; i++) {
        const cre_http_field *field = &event->fields[i];
        if (field->value_length > 1000)
            note(&c->events, " %.*s: %u bytes", field->name_length,
                 (const char *)event->head_bytes + field->name, field->value_length);
        else
            note(&c->events, " %.*s=%.*s", field->name_length, (const char *)event->head_bytes + field->name,
                 field->value_length, (const char *)event->head_bytes + field->value);
    }
}

static inline void note_event(client *c, const cre_http2_event *event) {
    const bool joins = event->kind == CRE_HTTP2_DATA && c->last_is_data;
    if (c->events.length && !joins) note(&c->events, "|");
    c->last_is_data = event->kind == CRE_HTTP2_DATA;
    switch (event->kind) {
    case CRE_HTTP2_REQUEST:
        REQUIRE(event->head->flags & CRE_HTTP_2 && event->head->minor == 0);
        REQUIRE(event->head->head_length <= CRE_HTTP_MAX_HEAD);
        note(&c->events, "request %u %.*s %.*s%s", event->stream, event->head->method_length,
             (const char *)event->head_bytes, event->head->target_length,
             (const char *)event->head_bytes + event->head->target, event->final ? " final" : "");
        break;
    case CRE_HTTP2_DATA:
        REQUIRE(event->length > 0);
        c->data += event->length;
        if (c->data > 4096) {
            if (!joins) note(&c->events, "data %u ...", event->stream);
            break;
        }
        if (!joins) note(&c->events, "data %u ", event->stream);
        note(&c->events, "%.*s", (int)event->length, (const char *)event->data);
        break;
    case CRE_HTTP2_END: note(&c->events, "end %u", event->stream); break;
    case CRE_HTTP2_WRITABLE: note(&c->events, "writable %u", event->stream); break;
    case CRE_HTTP2_CLOSED:
        note(&c->events, "closed %u code=%u%s", event->stream, event->code,
             event->complete ? " complete" : "");
        if (event->error) note(&c->events, " error=%s", cre_error_name(event->error));
        break;
    case CRE_HTTP2_RESPONSE:
        REQUIRE(event->head->flags & CRE_HTTP_2 && event->field_count == event->head->field_count);
        note(&c->events, "response %u %u", event->stream, event->head->status);
        note_fields(c, event);
        note(&c->events, "%s", event->final ? " final" : "");
        break;
    case CRE_HTTP2_TRAILERS:
        note(&c->events, "trailers %u", event->stream);
        note_fields(c, event);
        break;
    case CRE_HTTP2_PEER: note(&c->events, "peer"); break;
    default: TEST_FAIL("unknown event %d", event->kind);
    }
}

static inline void take_event(void *context, cre_http2 *session, const cre_http2_event *event) {
    client *c = context;
    REQUIRE(!c->session || c->session == session);
    note_event(c, event);
    if (c->on_event) c->on_event(c, event);
}

/* A client whose session has the given limits; `config` NULL: the defaults. */
static inline client *client_create(const cre_http2_config *config) {
    client *c = calloc(1, sizeof *c);
    REQUIRE(c);
    cre_http2_config own = { 0 };
    if (config) own = *config;
    own.size = sizeof own;
    own.on_event = take_event;
    own.context = c;
    REQUIRE(cre_http2_create(&own, &c->session) == 0);
    reader_init(&c->in);
    c->now = 1000;
    return c;
}

static inline void client_destroy(client *c) {
    cre_http2_destroy(c->session);
    reader_deinit(&c->in);
    free(c);
}

/* Gives the session `data` in pieces of `step` bytes at the end of a page that must not be left. */
static inline int give(client *c, const uint8_t *data, size_t size, size_t step) {
    guard_page guard = guard_make(step < size ? step : size ? size : 1);
    int result = 0;
    for (size_t at = 0; at < size && !result; at += step) {
        size_t piece = size - at < step ? size - at : step;
        result = cre_http2_receive(c->session, guard_place(&guard, data + at, piece), piece, c->now);
    }
    guard_free(&guard);
    return result;
}

/* Takes the output in pieces of `step` bytes. Returns its size. */
static inline size_t take_output(client *c, size_t step) {
    uint8_t out[20000];
    size_t size, sum = 0;
    REQUIRE(step <= sizeof out);
    for (;;) {
        int result = cre_http2_produce(c->session, out, step, &size);
        if (result) CHECK_EQ(result, cre_http2_error(c->session));
        read_output(&c->in, out, size);
        sum += size;
        if (size < step) return sum;
    }
}

/* Gives what is in `out` and takes the output. Returns the result of receiving. */
static inline int exchange(client *c) {
    int result = give(c, c->out.bytes, c->out.length, c->out.length ? c->out.length : 1);
    c->out.length = 0;
    take_output(c, 16384);
    return result;
}

/* The preface and SETTINGS of both sides; nothing of it is in the texts. */
static inline client *client_begin(const cre_http2_config *config) {
    client *c = client_create(config);
    put_preface(&c->out);
    REQUIRE(exchange(c) == 0);
    CHECK(strstr(c->in.frames.bytes, "SETTINGS|") && strstr(c->in.frames.bytes, "SETTINGS ack|"));
    put_frame(&c->out, SETTINGS, ACK, 0, NULL, 0);
    REQUIRE(exchange(c) == 0);
    clear(&c->in.frames);
    return c;
}

static inline int respond(client *c, uint32_t stream, uint16_t status, const char *body, bool final) {
    const cre_http2_response response = { .status = status };
    const cre_slice part = { (const uint8_t *)body, body ? strlen(body) : 0 };
    return cre_http2_respond(c->session, stream, &response, &part, 1, final);
}

static inline int send_bytes(client *c, uint32_t stream, const void *data, size_t length, bool final) {
    const cre_slice part = { data, length };
    return cre_http2_send(c->session, stream, &part, 1, final);
}

static inline cre_http2_stats stats_of(const client *c) {
    cre_http2_stats stats;
    cre_http2_get_stats(c->session, &stats, sizeof stats);
    return stats;
}

/* A conversation with everything that a client sends. */
static inline void put_conversation(wire *w) {
    put_preface(w);
    put_window_update(w, 0, 1000);
    put_headers(w, 1, 0, POST_FIELDS "content-length: 10\n");
    put_frame(w, DATA, 0, 1, "01234", 5);
    put_get(w, 3);
    put_frame(w, DATA, PADDED | END_STREAM, 1, "\00356789\0\0\0", 9);
    put_frame(w, PING, 0, 0, "12345678", 8);
    put_headers(w, 5, 0, POST_FIELDS "te: trailers\n");
    put_frame(w, DATA, 0, 5, "abc", 3);
    put_headers(w, 5, END_STREAM, "checksum: 1\n");
    /* a head in three frames, with a padded first one and a priority */
    put_frame_head(w, 1 + 5 + 3 + 2, HEADERS, END_STREAM | PADDED | 0x20, 7);
    put(w, "\002\0\0\0\0\020\x82\x87\x84\0\0", 11);
    size_t at = w->length;
    put_frame_head(w, 0, CONTINUATION, 0, 7);
    put_field_bytes(w, ":authority", "a", 1);
    w->bytes[at + 2] = (uint8_t)(w->length - at - 9);
    at = w->length;
    put_frame_head(w, 0, CONTINUATION, END_HEADERS, 7);
    put_field_bytes(w, "x", "y", 1);
    w->bytes[at + 2] = (uint8_t)(w->length - at - 9);
    put_frame(w, 0xF0, 0, 0, "unknown", 7);
    put_headers(w, 9, 0, POST_FIELDS);
    put_reset(w, 9, CRE_HTTP2_CANCEL);
    put_setting(w, 4, 100000);
}

#define CHECK_EVENTS(c, expected) CHECK_STR((c)->events.bytes, expected)
#define CHECK_FRAMES(c, expected) CHECK_STR((c)->in.frames.bytes, expected)

#endif
