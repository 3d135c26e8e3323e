/*
 * The engine side of record.c: an engine with one connection in each state that commands distinguish, and the
 * two functions by which a reactor passes on what a worker wrote. Whatever changes in the engine's interface,
 * changes here.
 */
#ifndef CRE_FUZZ_RECORD_ENGINE_H
#define CRE_FUZZ_RECORD_ENGINE_H

#include <creactor/engine.h>
#include <creactor/error.h>
#include <creactor/websocket_frame.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/command.h"
#include "input.h"
#include "loop/loop_internal.h"
#include "registry/table_internal.h"

enum { PORT_WEB, PORT_BODIES, PORT_STREAM, PORT_DATAGRAM, PORTS };
enum { MAX_CONNECTIONS = 16, MAX_QUEUE = 16384 };

#define UPGRADE                                                                      \
    "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
#define GET "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

/* What the client of each connection has sent when the commands begin. */
static const struct opening {
    uint16_t port;
    const char *bytes;
} openings[] = {
    { PORT_WEB, "" },
    { PORT_WEB, "GET / HTTP/1.1\r\nHost" },
    { PORT_WEB, GET },
    { PORT_WEB, GET GET GET },
    { PORT_WEB, "HEAD / HTTP/1.0\r\n\r\n" },
    { PORT_WEB, UPGRADE "\r\n" },
    { PORT_WEB, UPGRADE "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" },
    { PORT_WEB, UPGRADE "\r\n\x88\x80\x01\x02\x03\x04" }, /* closing */
    { PORT_BODIES, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n" },
    { PORT_BODIES, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" },
    { PORT_STREAM, "hello" },
    { PORT_STREAM, "" },
};

enum { CONNECTIONS = sizeof openings / sizeof *openings };

typedef struct target {
    cre_loop *loop;
    cre_engine *engine;
    cre_table *table;
    uint8_t *table_memory; /* shared with workers, which may write to it */
    size_t table_size;
    struct client {
        int descriptor;
        uint8_t *received;
        size_t length;
    } clients[MAX_CONNECTIONS];
    uint32_t client_count;
    uint32_t opened, closed; /* one bit per session, which count from 1 */
    uint32_t requests;
} target;

/* Checks what an engine promises about its events, whatever its owner commands. */
static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    target *t = context;
    (void)engine;
    volatile uint8_t sum = 0; /* reads the whole payload */
    for (uint32_t i = 0; i < event->length; i++)
        sum = (uint8_t)(sum + payload[i]);
    t->requests += event->kind == CRE_EVENT_REQUEST;
    if (event->kind == CRE_EVENT_PACKET) return 0;
    REQUIRE(event->session >= 1 && event->session <= t->client_count);
    const uint32_t bit = 1u << event->session;
    REQUIRE(!(t->closed & bit));
    cre_request_view view;
    if (event->kind == CRE_EVENT_OPEN || event->kind == CRE_EVENT_CONNECT) {
        REQUIRE(!(t->opened & bit));
        t->opened |= bit;
    }
    if (event->kind == CRE_EVENT_OPEN || event->kind == CRE_EVENT_REQUEST)
        REQUIRE(cre_request_view_init(&view, payload, event->length) == 0);
    if (event->kind == CRE_EVENT_CLOSE) {
        cre_closed closed;
        REQUIRE(t->opened & bit && event->length >= sizeof closed);
        memcpy(&closed, payload, sizeof closed);
        REQUIRE(event->length == sizeof closed + closed.text_length && closed.reason > 0);
        t->closed |= bit;
    }
    return 0;
}

static void target_turn(target *t) {
    cre__loop_turn(t->loop, false);
}

/* Receives what the server sent, so that a blocked connection goes on. */
static void target_client_reads(target *t, uint32_t which) {
    struct client *client = &t->clients[which % t->client_count];
    uint8_t bytes[4096];
    for (ssize_t got; (got = recv(client->descriptor, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) {
        client->received = realloc(client->received, client->length + (size_t)got);
        REQUIRE(client->received != NULL);
        memcpy(client->received + client->length, bytes, (size_t)got);
        client->length += (size_t)got;
    }
}

/* A WebSocket client gets whole frames, whatever a worker commands. */
static void check_frames(const struct client *client) {
    static const char accepted[] = "HTTP/1.1 101 ";
    if (client->length < sizeof accepted || memcmp(client->received, accepted, sizeof accepted - 1) != 0)
        return;
    const uint8_t *end = client->received + client->length;
    const uint8_t *at = memmem(client->received, client->length, "\r\n\r\n", 4);
    REQUIRE(at != NULL);
    cre_ws_frame frame;
    int result;
    for (at += 4; (result = cre_ws_unpack(at, (size_t)(end - at), &frame)) > 0; at += frame.size)
        REQUIRE(!frame.masked);
    REQUIRE(result == 0); /* at the end perhaps the beginning of one */
}

static void target_client_sends(target *t, uint32_t client, const void *bytes, size_t size) {
    (void)!send(t->clients[client % t->client_count].descriptor, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void target_client_ends(target *t, uint32_t client) {
    shutdown(t->clients[client % t->client_count].descriptor, SHUT_WR);
}

static void target_connect(target *t, uint16_t port, const char *bytes, size_t size) {
    int pair[2], room = 4096;
    if (t->client_count == MAX_CONNECTIONS) return;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* a queue fills soon */
    t->clients[t->client_count++] = (struct client){ .descriptor = pair[0] };
    cre_engine_adopt(t->engine, pair[1], port);
    if (size) target_client_sends(t, t->client_count - 1, bytes, size);
}

/* Writes to the connection table as a worker may. */
static void target_damage(target *t, uint32_t at, const void *bytes, size_t size) {
    if (size > t->table_size) size = t->table_size;
    memcpy(t->table_memory + at % (t->table_size - size + 1), bytes, size);
}

static void target_fill(target *t, uint8_t byte) {
    memset(t->table_memory, byte, t->table_size);
}

/* The engine serves on, whatever is in the table: one more connection is opened and answered, and what the
 * table shows is what the engine has. */
static void target_check(target *t) {
    cre__engine_repair(t->engine);
    REQUIRE(cre__engine_repair(t->engine) == 0);
    REQUIRE(cre_table_count(t->table) == atomic_load(&t->table->shown->count));
    if (cre_table_count(t->table) == MAX_CONNECTIONS || t->client_count == MAX_CONNECTIONS) return;
    cre_engine_stats before, now;
    const uint32_t requests = t->requests;
    cre_engine_get_stats(t->engine, &before, sizeof before);
    target_connect(t, PORT_WEB, GET, sizeof GET - 1);
    target_turn(t);
    target_turn(t);
    cre_engine_get_stats(t->engine, &now, sizeof now);
    REQUIRE(now.accepted == before.accepted + 1 && t->requests > requests);
}

/* What runtime/reactor.c does with a record of a worker. */
static void target_record(target *t, const cre_record *record, uint8_t *payload) {
    cre_slice part = { payload, record->length };
    if (cre__command_check(record, &part, 1) == 0) cre__command_accepted(t->engine, record, &part, 1);
}

/* And with one that was too large for its memory. */
static void target_lost(target *t, const cre_record *record) {
    cre__command_lost(t->engine, record);
}

static void target_has_room(target *t, uint16_t worker) {
    cre_engine_resume(t->engine, worker);
}

/* A UDP socket whose packets never leave the machine, or none. */
static void serve_datagrams(target *t) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    static const char device[IFNAMSIZ] = "lo";
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, sizeof device) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) ||
        cre_engine_serve(t->engine, fd, PORT_DATAGRAM))
        close(fd);
}

static void target_open(target *t) {
    static const cre_ws_deflate_config deflate = { .size = sizeof deflate,
                                                   .server_no_context_takeover = true };
    static const cre_port_options ports[PORTS] = {
        [PORT_WEB] = { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_WEBSOCKET, .http = true },
        [PORT_BODIES] = { .size = sizeof(cre_port_options),
                          .protocol = CRE_PROTOCOL_HTTP,
                          .stream_bodies = true },
        [PORT_STREAM] = { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM },
        [PORT_DATAGRAM] = { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_DATAGRAM },
    };
    *t = (target){ 0 };
    t->table_size = cre_table_size(MAX_CONNECTIONS);
    t->table_memory = aligned_alloc(64, (t->table_size + 63) & ~(size_t)63);
    REQUIRE(t->table_memory != NULL);
    memset(t->table_memory, 0, t->table_size);
    t->table = cre_table_open(t->table_memory, MAX_CONNECTIONS);
    REQUIRE(t->table && cre__table_keep(t->table) == 0); /* as runtime/reactor.c does */
    const cre_engine_config config = {
        .size = sizeof config,
        .on_event = on_event,
        .context = t,
        .table = t->table,
        .worker_count = 2,
        .dispatch = CRE_DISPATCH_BY_USER,
        .ports = ports,
        .port_count = PORTS,
        .half_open = true,
        .max_pipelined = 4,
        .deflate = &deflate,
        .max_queue = MAX_QUEUE,
        .max_topics = 4,
        .max_subscriptions = 3,
    };
    REQUIRE(cre_loop_create(&t->loop) == 0 && cre_engine_create(t->loop, &config, &t->engine) == 0);
    serve_datagrams(t);
    for (int i = 0; i < CONNECTIONS; i++)
        target_connect(t, openings[i].port, openings[i].bytes, strlen(openings[i].bytes));
    target_turn(t);
    target_turn(t);
}

static void target_close(target *t) {
    cre_engine_destroy(t->engine);
    REQUIRE(t->opened == t->closed && cre_table_count(t->table) == 0);
    cre_loop_destroy(t->loop);
    cre_table_close(t->table);
    free(t->table_memory);
    for (uint32_t i = 0; i < t->client_count; i++) {
        target_client_reads(t, i);
        check_frames(&t->clients[i]);
        free(t->clients[i].received);
        close(t->clients[i].descriptor);
    }
}

#endif
