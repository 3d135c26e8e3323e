/* Clients of HTTP/2 on sockets: frames are written by http2_wire.h, and answers become its lines. */
#ifndef CRE_TEST_HTTP2_NET_H
#define CRE_TEST_HTTP2_NET_H

#include "net.h"
/* behind it: its types have common names */
#include "http2_wire.h"

typedef struct h2_client {
    net_client socket;
    wire out;
    reader in;
} h2_client;

/* Takes in what is there. */
static inline void h2_pull(h2_client *c) {
    net_pull(&c->socket);
    if (c->socket.length) read_output(&c->in, c->socket.data, c->socket.length);
    c->socket.length = 0;
}

static inline void h2_send(h2_client *c) {
    net_send(&c->socket, c->out.bytes, c->out.length);
    c->out.length = 0;
}

/* Waits for a text among the frames. */
static inline void h2_await(h2_client *c, const char *wanted) {
    for (int waits = 0; waits < NET_WAITS; waits++) {
        if (strstr(c->in.frames.bytes, wanted) || c->socket.eof) break;
        net_turn(c->socket.net);
        size_t before = c->in.frames.length;
        h2_pull(c);
        if (c->in.frames.length == before) net_rest(c->socket.net, c->socket.descriptor);
    }
    test_checks++;
    if (!strstr(c->in.frames.bytes, wanted))
        TEST_FAIL("never received: %s, but: %s", wanted, c->in.frames.bytes);
}

static inline void h2_await_end(h2_client *c) {
    for (int waits = 0; !c->socket.eof && waits < NET_WAITS; waits++) {
        net_turn(c->socket.net);
        h2_pull(c);
        if (!c->socket.eof) net_rest(c->socket.net, c->socket.descriptor);
    }
    CHECK(c->socket.eof);
}

/* Waits until `bytes` bytes of DATA frames were received. */
static inline void h2_await_data(h2_client *c, size_t bytes) {
    for (int waits = 0; c->in.data < bytes && !c->socket.eof && waits < NET_WAITS; waits++) {
        net_turn(c->socket.net);
        size_t before = c->in.data;
        h2_pull(c);
        clear(&c->in.frames);
        if (c->in.data == before) net_rest(c->socket.net, c->socket.descriptor);
    }
    CHECK_EQ(c->in.data, bytes);
}

static inline h2_client *h2_connect(net_server *net) {
    h2_client *c = calloc(1, sizeof *c);
    REQUIRE(c != NULL);
    c->socket = net_connect(net);
    reader_init(&c->in);
    return c;
}

/* A client, and the first frames of both sides, of which nothing is in the text. */
static inline h2_client *h2_open(net_server *net) {
    h2_client *c = h2_connect(net);
    put_preface(&c->out);
    put_frame(&c->out, SETTINGS, ACK, 0, NULL, 0);
    h2_send(c);
    h2_await(c, "SETTINGS ack|");
    clear(&c->in.frames);
    return c;
}

static inline void h2_close(h2_client *c) {
    net_close(&c->socket);
    reader_deinit(&c->in);
    free(c);
}

#define H2_GET(path)  ":method: GET\n:scheme: http\n:authority: a.example\n:path: " path "\n"
#define H2_HEAD(path) ":method: HEAD\n:scheme: http\n:authority: a.example\n:path: " path "\n"
#define H2_POST(path) ":method: POST\n:scheme: http\n:authority: a.example\n:path: " path "\n"

static inline void h2_get(h2_client *c, uint32_t stream, const char *fields) {
    put_headers(&c->out, stream, END_STREAM, fields);
    h2_send(c);
}

#endif
