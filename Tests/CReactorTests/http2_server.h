/* The session of a client under test, with a server on its other side. */
#ifndef CRE_HTTP2_SERVER_H
#define CRE_HTTP2_SERVER_H

#include <creactor/http2_request.h>

#include "http2_client.h"

enum { MAX_CONCURRENT_STREAMS = 3, INITIAL_WINDOW = 4, ENABLE_CONNECT = 8 };

/* A session with the given limits; `config` NULL: the defaults. The server has sent nothing. */
static inline client *asker_create(const cre_http2_config *config) {
    cre_http2_config own = { 0 };
    if (config) own = *config;
    own.client = 1;
    client *c = client_create(&own);
    c->in.skip = CRE_HTTP2_PREFACE_LENGTH;
    return c;
}

/* SETTINGS of both sides; nothing of it is in the texts. `settings`: pairs of number and value. */
static inline client *asker_begin(const cre_http2_config *config, const uint32_t (*settings)[2],
                                  size_t count) {
    client *c = asker_create(config);
    put_frame_head(&c->out, 6 * count, SETTINGS, 0, 0);
    for (size_t i = 0; i < count; i++) {
        put_byte(&c->out, settings[i][0] >> 8);
        put_byte(&c->out, settings[i][0] & 0xFF);
        put_u32(&c->out, settings[i][1]);
    }
    put_frame(&c->out, SETTINGS, ACK, 0, NULL, 0);
    REQUIRE(exchange(c) == 0);
    CHECK_EVENTS(c, "peer");
    CHECK(strstr(c->in.frames.bytes, "SETTINGS|") && strstr(c->in.frames.bytes, "SETTINGS ack|"));
    clear(&c->in.frames);
    clear(&c->events);
    return c;
}

static inline cre_http2_request get_request(void) {
    return (cre_http2_request){ .method = "GET", .scheme = "https", .authority = "a.example", .path = "/" };
}

/* Sends a request. Returns the number of its stream, or an error. */
static inline int64_t ask(client *c, const cre_http2_request *request, bool final) {
    uint32_t stream = 0;
    int result = cre_http2_send_request(c->session, request, final, NULL, &stream);
    return result ? result : (int64_t)stream;
}

static inline int64_t get(client *c) {
    const cre_http2_request request = get_request();
    return ask(c, &request, true);
}

static inline int64_t post(client *c) {
    cre_http2_request request = get_request();
    request.method = "POST";
    return ask(c, &request, false);
}

static inline cre_http2_peer peer_of(const client *c) {
    cre_http2_peer peer;
    cre_http2_get_peer(c->session, &peer, sizeof peer);
    return peer;
}

static inline void put_goaway(wire *w, uint32_t last, uint32_t code) {
    put_frame_head(w, 8, GOAWAY, 0, 0);
    put_u32(w, last);
    put_u32(w, code);
}

/* Everything that a server sends, for the requests 1 to 9, of which 7 is extended. */
static inline void put_answers(wire *w) {
    put_setting(w, ENABLE_CONNECT, 1);
    put_headers(w, 1, 0, ":status: 103\nlink: </a>\n");
    put_headers(w, 1, 0, ":status: 200\ncontent-length: 10\n");
    put_frame(w, DATA, 0, 1, "01234", 5);
    put_headers(w, 3, END_STREAM, ":status: 404\nx: y\nset-cookie: a=1\nset-cookie: b=2\n");
    put_frame(w, DATA, PADDED | END_STREAM, 1, "\00356789\0\0\0", 9);
    put_frame(w, PING, 0, 0, "12345678", 8);
    put_headers(w, 5, 0, ":status: 200\n");
    put_frame(w, DATA, 0, 5, "abc", 3);
    put_headers(w, 5, END_STREAM, "checksum: 1\n");
    put_window_update(w, 0, 1000);
    put_headers(w, 7, 0, ":status: 200\n");
    put_frame(w, DATA, 0, 7, "tunnel", 6);
    put_frame(w, 0xF0, 0, 0, "unknown", 7);
    put_reset(w, 9, CRE_HTTP2_REFUSED_STREAM);
    put_frame(w, DATA, END_STREAM, 7, NULL, 0);
    put_goaway(w, 9, 0);
}

#endif
