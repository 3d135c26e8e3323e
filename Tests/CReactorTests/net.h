/*
 * Real sockets for the tests of the I/O half: an engine that is turned by hand and clients in the same
 * thread, so that a test decides what happens between two turns and waits by counting turns, never by the
 * clock.
 */
#ifndef CRE_TEST_NET_H
#define CRE_TEST_NET_H

#include <arpa/inet.h>
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/memory.h"
#include "engine/command.h"
#include "engine/conn.h"
#include "test.h"

#define NET_EVENTS 4096
#define NET_WAITS  10000 /* turns without success, of up to a millisecond each, before a test fails */

typedef struct net_event {
    cre_record record;
    uint8_t *payload; /* a copy */
} net_event;

/* A server. `act` is called for each event after it was noted. */
typedef struct net_server {
    cre_loop *loop;
    cre_engine *engine;
    uint16_t port;
    int (*act)(struct net_server *net, const cre_record *event, uint8_t *payload);
    void *context;
    net_event events[NET_EVENTS];
    int count, seen; /* noted so far; already looked at by net_next */
    int overflow;
    bool quiet; /* do not note */
} net_server;

static inline cre_engine_stats net_stats(const net_server *net) {
    cre_engine_stats stats;
    cre_engine_get_stats(net->engine, &stats, sizeof stats);
    return stats;
}

typedef struct net_client {
    net_server *net; /* NULL: the server runs elsewhere */
    const struct net_layer *layer;
    void *state; /* the layer's */
    int descriptor;
    uint8_t *data; /* received and not taken */
    size_t length, capacity;
    bool eof;
    int error; /* of the last receive */
} net_client;

/* What lies between clients and their sockets: nothing, or TLS. As the system's calls these return -1 with an
 * errno when there is nothing to do. */
typedef struct net_layer {
    void (*open)(net_client *client);
    ssize_t (*receive)(net_client *client, void *at, size_t room);
    ssize_t (*send)(net_client *client, const void *data, size_t length);
    void (*close)(net_client *client);
} net_layer;

/* Of all servers and clients that are made from now on. */
static const net_layer *net_layer_now;
static cre_tls *net_tls_now;

static inline int net_on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    net_server *net = context;
    (void)engine;
    if (!net->quiet) {
        REQUIRE(net->count < NET_EVENTS);
        net_event *note = &net->events[net->count++];
        note->record = *event;
        note->payload = malloc(event->length + 1);
        REQUIRE(note->payload != NULL);
        if (event->length) memcpy(note->payload, payload, event->length);
        note->payload[event->length] = 0;
    }
    return net->act ? net->act(net, event, payload) : 0;
}

static inline net_server *net_start(cre_engine_config config,
                                    int (*act)(net_server *net, const cre_record *event, uint8_t *payload)) {
    net_server *net = calloc(1, sizeof *net);
    REQUIRE(net != NULL);
    net->act = act;
    config.size = sizeof config;
    config.on_event = net_on_event;
    config.context = net;
    REQUIRE(cre_loop_create(&net->loop) == 0);
    REQUIRE(cre_engine_create(net->loop, &config, &net->engine) == 0);
    REQUIRE(cre_engine_listen(net->engine,
                              &(cre_listen_options){ .size = sizeof(cre_listen_options),
                                                     .host = "127.0.0.1",
                                                     .tls = net_tls_now },
                              &net->port) == 0);
    return net;
}

static inline void net_forget(net_server *net) {
    for (int i = 0; i < net->count; i++)
        free(net->events[i].payload);
    net->count = net->seen = 0;
}

static inline void net_stop(net_server *net) {
    cre_engine_destroy(net->engine);
    cre_loop_destroy(net->loop);
    net_forget(net);
    free(net);
}

static inline void net_turn(net_server *net) {
    if (net) cre__loop_turn(net->loop, false);
}

/* Lets the kernel and other threads get on between two turns. */
static inline void net_rest(net_server *net, int descriptor) {
    net_turn(net);
    struct pollfd polled[2] = { { .fd = descriptor, .events = POLLIN },
                                { .fd = net ? cre__loop_descriptor(net->loop) : -1, .events = POLLIN } };
    poll(polled, 2, 1);
}

/* Turns until `condition`, which is evaluated each time. */
#define NET_UNTIL(server, condition)                                    \
    do {                                                                \
        int net_waits = 0;                                              \
        for (; !(condition) && net_waits < NET_WAITS; net_waits++) {    \
            net_turn(server);                                           \
            if (!(condition) && net_waits > 3) net_rest((server), -1);  \
        }                                                               \
        test_checks++;                                                  \
        if (!(condition)) TEST_FAIL("never came true: %s", #condition); \
    } while (0)

/* Some turns in which nothing is expected to happen. */
static inline void net_settle(net_server *net) {
    for (int i = 0; i < 20; i++)
        net_turn(net);
}

/* The next event; it must come. */
static inline const net_event *net_next(net_server *net) {
    NET_UNTIL(net, net->seen < net->count);
    REQUIRE(net->seen < net->count);
    return &net->events[net->seen++];
}

static inline const net_event *net_expect_event(net_server *net, cre_event kind) {
    const net_event *event = net_next(net);
    CHECK_EQ(event->record.kind, kind);
    return event;
}

static inline cre_closed net_closed(const net_event *event) {
    cre_closed closed = { 0 };
    CHECK_EQ(event->record.kind, CRE_EVENT_CLOSE);
    if (event->record.length >= sizeof closed) memcpy(&closed, event->payload, sizeof closed);
    CHECK_EQ(event->record.length, sizeof closed + closed.text_length);
    return closed;
}

static inline int net_count_events(const net_server *net, cre_event kind) {
    int count = 0;
    for (int i = 0; i < net->count; i++)
        count += net->events[i].record.kind == kind;
    return count;
}

/* ---- clients ---- */

static inline net_client net_connect_to(net_server *net, uint16_t port) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(descriptor >= 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    REQUIRE(connect(descriptor, (struct sockaddr *)&at, sizeof at) == 0);
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    net_client client = { .net = net, .descriptor = descriptor, .layer = net_layer_now };
    if (client.layer) client.layer->open(&client);
    return client;
}

static inline net_client net_connect(net_server *net) {
    return net_connect_to(net, net->port);
}

static inline void net_close(net_client *client) {
    if (client->layer) client->layer->close(client);
    if (client->descriptor >= 0) close(client->descriptor);
    free(client->data);
    *client = (net_client){ .descriptor = -1 };
}

/* Ends with a reset instead of an orderly end. */
static inline void net_abort(net_client *client) {
    struct linger now = { .l_onoff = 1 };
    setsockopt(client->descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    net_close(client);
}

/* Takes in what is there; returns whether anything was. */
static inline bool net_pull(net_client *client) {
    bool any = false;
    while (!client->eof) {
        if (client->capacity - client->length < 65536) {
            client->capacity = client->capacity ? client->capacity * 2 : 131072;
            client->data = realloc(client->data, client->capacity);
            REQUIRE(client->data != NULL);
        }
        uint8_t *at = client->data + client->length;
        ssize_t got = client->layer ? client->layer->receive(client, at, 65536)
                                    : recv(client->descriptor, at, 65536, 0);
        if (got > 0) {
            client->length += (size_t)got;
            any = true;
            continue;
        }
        if (got < 0 && errno == EAGAIN) break;
        client->error = got < 0 ? errno : 0;
        client->eof = true;
        any = true;
    }
    return any;
}

static inline void net_send(net_client *client, const void *data, size_t length) {
    const uint8_t *at = data;
    for (int waits = 0; length && waits < NET_WAITS; waits++) {
        ssize_t sent = client->layer ? client->layer->send(client, at, length)
                                     : send(client->descriptor, at, length, MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            length -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN) return; /* the server ended it: the next read shows that */
        net_turn(client->net);
        net_pull(client); /* or both sides wait for each other */
        net_rest(client->net, client->descriptor);
    }
    CHECK_EQ(length, 0);
}

#define net_send_text(client, text) net_send((client), (text), sizeof(text) - 1)

/* Waits for `length` bytes, or the end. */
static inline bool net_await(net_client *client, size_t length) {
    for (int waits = 0; client->length < length && !client->eof && waits < NET_WAITS; waits++) {
        net_turn(client->net);
        if (!net_pull(client)) net_rest(client->net, client->descriptor);
    }
    return client->length >= length;
}

static inline bool net_await_end(net_client *client) {
    for (int waits = 0; !client->eof && waits < NET_WAITS; waits++) {
        net_turn(client->net);
        if (!net_pull(client)) net_rest(client->net, client->descriptor);
    }
    CHECK(client->eof);
    return client->eof;
}

static inline void net_take(net_client *client, size_t length) {
    REQUIRE(length <= client->length);
    memmove(client->data, client->data + length, client->length - length);
    client->length -= length;
}

/* The position behind `needle` in what was received; waits for it. 0: it never came. */
static inline size_t net_find(net_client *client, const char *needle) {
    size_t size = strlen(needle);
    for (int waits = 0; waits < NET_WAITS; waits++) {
        void *at = client->length ? memmem(client->data, client->length, needle, size) : NULL;
        if (at) return (size_t)((uint8_t *)at - client->data) + size;
        if (client->eof) break;
        net_turn(client->net);
        if (!net_pull(client)) net_rest(client->net, client->descriptor);
    }
    TEST_FAIL("never received: %s", needle);
    return 0;
}

/* One response: status, and the body in `body` (cut to its capacity, terminated). */
static inline int net_response(net_client *client, char *body, size_t capacity, bool head_only) {
    size_t head = net_find(client, "\r\n\r\n");
    if (!head) return 0;
    client->data[head - 1] = 0;
    const char *text = (const char *)client->data, *field = strstr(text, "Content-Length: ");
    int status = atoi(text + 9);
    size_t length = field && !head_only ? strtoul(field + 16, NULL, 10) : 0;
    CHECK(net_await(client, head + length));
    if (head + length > client->length) return 0;
    if (capacity) {
        size_t n = length < capacity - 1 ? length : capacity - 1;
        memcpy(body, client->data + head, n);
        body[n] = 0;
    }
    net_take(client, head + length);
    return status;
}

/* ---- WebSocket clients ---- */

#define NET_UPGRADE                                                          \
    "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"        \
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
    "Sec-WebSocket-Version: 13\r\n\r\n"

static inline void net_upgraded(net_client *client) {
    size_t head = net_find(client, "\r\n\r\n");
    REQUIRE(head > 0);
    CHECK(memcmp(client->data, "HTTP/1.1 101 ", 13) == 0);
    net_take(client, head);
}

static inline net_client net_ws_connect_to(net_server *net, uint16_t port) {
    net_client client = net_connect_to(net, port);
    net_send_text(&client, NET_UPGRADE);
    net_upgraded(&client);
    return client;
}

static inline net_client net_ws_connect(net_server *net) {
    return net_ws_connect_to(net, net->port);
}

/* A masked frame in memory of the caller's (free it). */
static inline uint8_t *net_frame(uint8_t first, const void *data, size_t length, size_t *size) {
    static const uint8_t key[4] = { 0x11, 0xa2, 0x33, 0xc4 };
    uint8_t *out = malloc(length + CRE_WS_MAX_HEADER);
    REQUIRE(out != NULL);
    size_t header = cre_ws_header(out, first, length, key);
    if (length) memcpy(out + header, data, length);
    cre_ws_mask(out + header, length, key, 0);
    *size = header + length;
    return out;
}

static inline void net_ws_send(net_client *client, uint8_t first, const void *data, size_t length) {
    size_t size;
    uint8_t *frame = net_frame(first, data, length, &size);
    net_send(client, frame, size);
    free(frame);
}

#define net_ws_text(client, text) net_ws_send((client), CRE_WS_FIN | CRE_WS_TEXT, (text), strlen(text))

/* Waits for a frame; false: the connection ended first. Its bytes stay until net_take(client, frame->size).
 */
static inline bool net_ws_next(net_client *client, cre_ws_frame *frame) {
    for (int waits = 0; waits < NET_WAITS; waits++) {
        int result = client->length ? cre_ws_unpack(client->data, client->length, frame) : 0;
        CHECK(result >= 0);
        if (result) return result > 0;
        if (client->eof) return false;
        net_turn(client->net);
        if (!net_pull(client)) net_rest(client->net, client->descriptor);
    }
    TEST_FAIL("no frame came");
    return false;
}

static inline void net_ws_expect(net_client *client, uint8_t opcode, const void *data, size_t length) {
    cre_ws_frame frame;
    bool came = net_ws_next(client, &frame);
    CHECK(came);
    if (!came) return;
    CHECK_EQ(frame.opcode, opcode);
    CHECK(frame.final && !frame.masked);
    CHECK_EQ(frame.length, length);
    if (frame.length == length) CHECK_MEM(frame.payload, data, length);
    net_take(client, frame.size);
}

#define net_ws_expect_text(client, text) net_ws_expect((client), CRE_WS_TEXT, (text), strlen(text))

/* Expects a close frame and returns its code (1005: none). */
static inline int net_ws_expect_close(net_client *client) {
    cre_ws_frame frame;
    while (net_ws_next(client, &frame)) {
        int code = frame.length >= 2 ? frame.payload[0] << 8 | frame.payload[1] : 1005;
        bool close = frame.opcode == CRE_WS_CLOSE;
        net_take(client, frame.size);
        if (close) return code;
    }
    TEST_FAIL("no close frame");
    return 0;
}

static inline void net_ws_send_close(net_client *client, uint16_t code) {
    uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
    net_ws_send(client, CRE_WS_FIN | CRE_WS_CLOSE, payload, 2);
}

/* Open descriptors of this process. */
static inline int net_descriptors(void) {
    int all[1024];
    return cre_process_descriptors(all, 1024);
}

#endif
