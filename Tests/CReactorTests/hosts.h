/* A reactor, and a worker that echoes: for tests of several threads and processes. */
#ifndef HOSTS_H
#define HOSTS_H

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "link/bus_internal.h"
#include "net.h"

/* Node 0 is the reactor, 1 the worker. */
typedef struct reactor_host {
    cre_bus *bus;
    cre_reactor *reactor;
    int listener;
    uint16_t port;
    int blocked[2]; /* a worker that hangs writes here */
    atomic_int violations;
    atomic_ullong repaired;
    atomic_bool done;
} reactor_host;

static inline void on_violation(void *context, uint32_t worker) {
    CHECK_EQ(worker, 1);
    atomic_fetch_add(&((reactor_host *)context)->violations, 1);
}

static inline void on_repaired(void *context, uint64_t count) {
    CHECK(count > 0);
    atomic_fetch_add(&((reactor_host *)context)->repaired, count);
}

/* Before the reactor, so that a test may fork in between. With `ring_bytes` everything goes through rings of
 * that size; 0: the default, and arenas. */
static inline void make_bus(reactor_host *it, uint32_t ring_bytes) {
    memset(it, 0, sizeof *it);
    cre_bus_config config = { .nodes = 3,
                              .ring_bytes = ring_bytes,
                              .connections = 200,
                              .max_payload = 8 << 20,
                              .spin_ns = 2000,
                              .arena_bytes = ring_bytes ? CRE_BUS_NO_ARENA : 0 };
    REQUIRE(cre_bus_create(&config, &it->bus) == 0);
    REQUIRE(pipe(it->blocked) == 0);
    it->listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &it->port);
    REQUIRE(it->listener >= 0);
}

static inline void start_reactor(reactor_host *it) {
    cre_reactor_config config = {
        .bus = it->bus,
        .engine = { .first_worker = 1,
                    .worker_count = 1,
                    .http = true,
                    .max_pipelined = 32,
                    .stream_bodies = true,
                    .max_message = 8 << 20,
                    .max_queue = 32 << 20,
                    .close_timeout_ms = 600000 },
        .violation = on_violation,
        .repaired = on_repaired,
        .context = it,
    };
    REQUIRE(cre_reactor_start(&config, &it->reactor) == 0);
}

static inline net_client connect_client(reactor_host *it) {
    net_client client = net_connect_to(NULL, it->port);
    int accepted = -1;
    for (int i = 0; accepted < 0 && i < NET_WAITS; i++) {
        accepted = accept4(it->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) net_rest(NULL, it->listener);
    }
    REQUIRE(accepted >= 0);
    REQUIRE(cre_reactor_hand_over(it->reactor, accepted, 0) == 0);
    return client;
}

static inline net_client connect_ws(reactor_host *it) {
    net_client client = connect_client(it);
    net_send_text(&client, NET_UPGRADE);
    net_upgraded(&client);
    return client;
}

static inline void end_host(reactor_host *it) {
    cre_reactor_stop(it->reactor);
    close(it->listener);
    close(it->blocked[0]);
    close(it->blocked[1]);
    cre_bus_destroy(it->bus);
}

/* ---- a worker that echoes ---- */

typedef struct echoer {
    reactor_host *host;
    cre_loop *loop;
    cre_worker *worker;
    int gate[2];    /* "block" is answered when something can be read here */
    int events[32]; /* by kind */
    size_t body;    /* bytes of one that comes in pieces */
    pthread_t thread;
} echoer;

static inline void run_wild(echoer *it) {
    cre__ring_control *ring = cre__bus_ring(it->host->bus, 1, 0);
    memset((uint8_t *)ring + sizeof *ring, 0xA5, it->host->bus->config.ring_bytes);
    atomic_fetch_add(&ring->tail, 4096);
    cre__bus_wake(it->host->bus, 0);
}

/* A response of which the last piece has no room on its way: nothing is published while this runs. */
static inline void flood(echoer *it, cre_session id, uint8_t number) {
    static uint8_t piece[100000];
    int result = cre_worker_respond_more(it->worker, id, number, 200, false, NULL, 0, "x", 1);
    while (!result)
        result = cre_worker_respond_body(it->worker, id, number, piece, sizeof piece, false);
    CHECK_EQ(cre_worker_respond_body(it->worker, id, number, piece, sizeof piece, true), CRE_ELINK_FULL);
}

/* "/keep" is never answered, of "/begin" only the beginning, and "/block" never returns. */
static inline bool is_odd(echoer *it, const cre_record *event, const uint8_t *payload) {
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, payload, event->length), 0);
    const char *path = (const char *)view.bytes + view.head->path;
    char byte;
    if (memcmp(path, "/block", 6) == 0) {
        CHECK_EQ(write(it->host->blocked[1], "b", 1), 1);
        CHECK_EQ(read(it->gate[0], &byte, 1), 1);
    } else if (memcmp(path, "/begin", 6) == 0) {
        cre_worker_respond_more(it->worker, event->session, event->opcode, 200, false, NULL, 0, "begun", 5);
    } else if (memcmp(path, "/flood", 6) == 0) {
        flood(it, event->session, event->opcode);
    } else if (memcmp(path, "/lose", 5) == 0) { /* said, and never published */
        cre_worker_respond(it->worker, event->session, event->opcode, 200, false, NULL, 0, "lost", 4);
        CHECK_EQ(write(it->host->blocked[1], "b", 1), 1);
        CHECK_EQ(read(it->gate[0], &byte, 1), 1);
    } else {
        return memcmp(path, "/keep", 5) == 0;
    }
    return true;
}

/* Each piece is asked for; the answer is how many good bytes there were. */
static inline void count_body(echoer *it, const cre_record *event, const uint8_t *payload) {
    for (uint32_t i = 0; i < event->length; i++)
        it->body += payload[i] == 'u';
    cre_record command = { .kind = CRE_COMMAND_PAUSE, .session = event->session };
    cre_worker_command(it->worker, &command, NULL, 0);
    command.kind = CRE_COMMAND_RESUME;
    cre_worker_command(it->worker, &command, NULL, 0);
    char text[16];
    int length = snprintf(text, sizeof text, "%zu", it->body);
    if (event->flags & CRE_RECORD_FINAL)
        cre_worker_respond(it->worker, event->session, event->opcode, 200, false, NULL, 0, text,
                           (size_t)length);
}

static inline void echo(void *context, const cre_record *event, uint8_t *payload) {
    echoer *it = context;
    it->events[event->kind]++;
    if (event->kind == CRE_EVENT_REQUEST) {
        if (is_odd(it, event, payload)) return;
        it->body = 0;
        if (event->flags & CRE_RECORD_MORE_BODY) return;
        cre_worker_respond(it->worker, event->session, event->opcode, 200, false, NULL, 0, "hello", 5);
        return;
    }
    if (event->kind == CRE_EVENT_REQUEST_BODY) count_body(it, event, payload);
    if (event->kind == CRE_EVENT_END) cre_worker_close(it->worker, event->session, 0, NULL, 0);
    if (event->kind != CRE_EVENT_MESSAGE) return;
    char byte;
    if (event->length == 5 && memcmp(payload, "block", 5) == 0) {
        CHECK_EQ(write(it->host->blocked[1], "b", 1), 1);
        CHECK_EQ(read(it->gate[0], &byte, 1), 1);
    }
    if (event->length == 4 && memcmp(payload, "wild", 4) == 0) {
        run_wild(it);
        return;
    }
    if (event->length == 3 && memcmp(payload, "bye", 3) == 0) {
        cre_worker_close(it->worker, event->session, 4001, "goodbye", 7);
        return;
    }
    int result = cre_worker_push(it->worker, event->session, event->opcode, true, payload, event->length);
    CHECK(result == 0 || result == CRE_EGONE);
}

static inline void open_echoer(echoer *it, reactor_host *its_host) {
    it->host = its_host;
    REQUIRE(cre_loop_create(&it->loop) == 0);
    cre_worker_config config = {
        .bus = its_host->bus, .node = 1, .on_event = echo, .context = it, .max_queue = 32 << 20
    };
    REQUIRE(cre_worker_create(it->loop, &config, &it->worker) == 0);
}

static inline void close_echoer(echoer *it) {
    cre_worker_destroy(it->worker);
    cre_loop_destroy(it->loop);
}

static inline void *run_loop(void *loop) {
    cre_loop_run(loop);
    return NULL;
}

static inline void start_thread(echoer *it, reactor_host *its_host) {
    memset(it, 0, sizeof *it);
    REQUIRE(pipe(it->gate) == 0);
    open_echoer(it, its_host);
    REQUIRE(pthread_create(&it->thread, NULL, run_loop, it->loop) == 0);
}

static inline void stop_thread(echoer *it) {
    cre_loop_stop(it->loop);
    pthread_join(it->thread, NULL);
    close_echoer(it);
    close(it->gate[0]);
    close(it->gate[1]);
}

#endif
