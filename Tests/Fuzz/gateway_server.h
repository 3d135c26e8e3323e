/*
 * The server of gateway.c, on one loop: a worker that owns a WebSocket, a process that writes what the input
 * says, and a gateway with a broker at a simulated Redis. Instead of the cluster's connections, which the
 * library has, there are those of this file.
 */
#ifndef CRE_FUZZ_GATEWAY_SERVER_H
#define CRE_FUZZ_GATEWAY_SERVER_H

#include <creactor/engine.h>
#include <creactor/error.h>
#include <creactor/internal/gateway.h>
#include <creactor/websocket_frame.h>
#include <sys/socket.h>

#include "link/bus_internal.h"
#include "loop/loop_internal.h"
#include "redis_server.h"

/* Node 0 is the worker; both 0 and 1 may own sockets. */
enum { WORKER, ROGUE, GATEWAY, NODES };
enum { RING = 4096, CONNECTIONS = 4, MOST_ROUNDS = 200, MOST_NUMBERS = 4096 };

#define UPGRADE                                                                    \
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" \
    "\r\n"

static const cre_topic_rule rules[] = {
    { .pattern = "kept*", .history_count = 300, .history_seconds = 60 },
    { .pattern = "enveloped", .history_count = 3, .history_seconds = 60, .enveloped = true },
    { .pattern = "first", .local_first = true },
};
static const cre_cluster_place place = { .gateway = GATEWAY, .shards = 1, .rules = rules, .rule_count = 3 };

/* ---- connections ---- */

struct cre_cluster {
    cre_broker *broker;
    bool waits, wanted, connected;
};

static redis_server redis;
static cre_cluster *cluster; /* of the gateway; NULL: there is none */
static uint64_t now;
static size_t cut_after; /* bytes until the connection is lost; 0: it is not */

static void on_connect(void *context, uint32_t shard) {
    (void)context;
    REQUIRE(shard == 0 && !cluster->connected);
    cluster->wanted = true;
}

static void on_disconnect(void *context, uint32_t shard) {
    (void)context;
    REQUIRE(shard == 0);
    cluster->wanted = cluster->connected = false;
    server_drop(&redis, 0);
}

int cre_cluster_create(cre_loop *loop, const cre_cluster_config *config, cre_cluster **out) {
    cre_broker_handlers handlers = *config->handlers;
    (void)loop;
    handlers.connect = on_connect;
    handlers.disconnect = on_disconnect;
    cluster = calloc(1, sizeof *cluster);
    REQUIRE(cluster != NULL);
    cluster->waits = config->waits;
    REQUIRE(cre_broker_create(config->broker, &handlers, config->context, &cluster->broker) == 0);
    *out = cluster;
    return 0;
}

int cre_cluster_connect(cre_cluster *it) {
    it->waits = false;
    return 0;
}

void cre_cluster_destroy(cre_cluster *it) {
    if (!it) return;
    cre_broker_destroy(it->broker);
    server_drop(&redis, 0);
    free(it);
    cluster = NULL;
}

cre_broker *cre_cluster_broker(cre_cluster *it) {
    return it->broker;
}

static size_t pass(size_t length) {
    if (!cut_after) return length;
    if (length > cut_after) length = cut_after;
    cut_after -= length;
    return length;
}

static void lose_connection(void) {
    cluster->connected = false;
    server_drop(&redis, 0);
    cre_broker_closed(cluster->broker, 0, -ECONNRESET, now);
}

/* Moves bytes in both directions. Returns whether there were any. */
static bool move_bytes(void) {
    const bool cuts = cut_after != 0;
    cre_slice output = cre_broker_output(cluster->broker, 0);
    output.length = pass(output.length);
    if (output.length) server_receive(&redis, 0, output.data, output.length);
    cre_broker_sent(cluster->broker, 0, output.length);
    server_connection *connection = &redis.connections[0];
    const size_t length = pass(connection->length);
    if (length) {
        uint8_t *copy = malloc(length); /* ends where it ends */
        REQUIRE(copy != NULL);
        memcpy(copy, connection->out, length);
        memmove(connection->out, connection->out + length, connection->length - length);
        connection->length -= length;
        cre_broker_received(cluster->broker, 0, copy, length, now);
        free(copy);
    }
    if (cuts && !cut_after && cluster->connected) lose_connection();
    return output.length || length;
}

static bool serve_cluster(void) {
    if (!cluster || cluster->waits) return false;
    cre_broker_tick(cluster->broker, now);
    if (cluster->wanted) {
        cluster->wanted = false;
        cluster->connected = true;
        server_accept(&redis, 0);
        cre_broker_connected(cluster->broker, 0, now);
    }
    return cluster->connected && move_bytes();
}

/* ---- processes ---- */

typedef struct numbers {
    int accepted; /* by publish */
    int arrived;  /* the last one that the client has got */
    int missing;  /* before that */
} numbers;

typedef struct target {
    cre_loop *loop;
    cre_bus *bus;
    cre_worker *worker;
    cre_gateway *gateway; /* NULL: the input is the gateway */
    uint64_t gateways;    /* that there were */
    cre_node *rogue;
    uint32_t rogue_node;
    cre_session session; /* of the client */
    int client;
    bool client_ended;
    uint8_t *received;
    size_t length;
    numbers kept, resumed;
    cre_topic_position position;      /* the last that an answer has had */
    uint64_t asked, answered, unsure; /* questions; those that a gateway may have taken and not answered */
    uint64_t answers;                 /* a bit for each question that was answered */
    bool may_lose;                    /* messages, because of what the input did */
    bool may_disorder;                /* the same for their order */
} target;

static void touch(const uint8_t *bytes, size_t length) {
    static volatile uint8_t sum;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + bytes[i]);
}

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    (void)context;
    touch(payload, event->length);
}

static void on_message(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    target *t = context;
    touch(payload, record->length);
    if (record->kind != CRE_MESSAGE_ANSWER) return;
    cre_answer head;
    REQUIRE(record->length >= sizeof head && from != WORKER);
    memcpy(&head, payload, sizeof head);
    const size_t rest = record->length - sizeof head;
    if (from == GATEWAY && rest >= sizeof t->position)
        memcpy(&t->position, payload + sizeof head, sizeof t->position);
    if (!(record->flags & CRE_RECORD_FINAL) || t->rogue_node == GATEWAY || from != GATEWAY) return;
    const uint64_t bit = 1ull << record->session % 64;
    REQUIRE(t->may_disorder || (record->session && record->session <= t->asked && !(t->answers & bit)));
    t->answers |= bit;
    t->answered++;
}

static int on_rogue_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context;
    (void)from;
    touch(payload, record->length);
    return 0;
}

static void open_rogue(target *t) {
    static const cre_node_handlers handlers = { .record = on_rogue_record };
    REQUIRE(cre_node_open(t->bus, t->rogue_node, t->loop, &handlers, t, &t->rogue) == 0);
}

static void on_lost(void *context, const char *topic, size_t length) {
    const target *t = context;
    REQUIRE(t->may_lose || length != 4 || memcmp(topic, "kept", 4) != 0);
}

static void open_gateway(target *t) {
    const cre_broker_config broker = { .size = sizeof broker,
                                       .shards = 1,
                                       .seed = ++t->gateways,
                                       .max_queue = 64 << 10,
                                       .max_members = 8,
                                       .max_backoff_ms = 100 };
    const cre_cluster_server nowhere = { .host = "" };
    const cre_gateway_config config = { .bus = t->bus,
                                        .place = &place,
                                        .owner_count = 2,
                                        .worker_count = 1,
                                        .name = "fuzzed",
                                        .broker = &broker,
                                        .servers = &nowhere,
                                        .lost = on_lost,
                                        .context = t };
    REQUIRE(cre_gateway_create(t->loop, &config, &t->gateway) == 0);
}

/* As if its process had died. A gateway would wait for the reports of this one. */
static void close_rogue(target *t) {
    cre_node_close(t->rogue);
    cre_bus_forget(t->bus, t->rogue_node);
}

/* As if its process had died between two turns. */
static void replace_gateway(target *t) {
    if (!t->gateway) return;
    close_rogue(t);
    cre_gateway_destroy(t->gateway);
    cre_bus_forget(t->bus, GATEWAY);
    t->unsure = t->asked - t->answered;
    open_gateway(t);
    open_rogue(t);
}

static void open_worker(target *t) {
    const cre_engine_config engine = { .max_queue = 1 << 20, .max_topics = 8 };
    const cre_worker_config config = { .bus = t->bus,
                                       .node = WORKER,
                                       .on_event = on_event,
                                       .on_message = on_message,
                                       .context = t,
                                       .engine = &engine,
                                       .owner_count = 2,
                                       .cluster = &place };
    REQUIRE(cre_worker_create(t->loop, &config, &t->worker) == 0);
}

/* ---- the client ---- */

/* The worker's own messages to it are binary; those of others are not, unless the input forges them. */
static void note_number(target *t, const uint8_t *data, size_t length) {
    char text[16] = "";
    if (length < 2 || length >= sizeof text) return;
    memcpy(text, data, length);
    numbers *of = *text == 'k' ? &t->kept : *text == 'r' ? &t->resumed : NULL;
    const int number = atoi(text + 1);
    if (!of || number <= 0) return;
    REQUIRE(t->may_disorder || (number > of->arrived && number <= of->accepted));
    of->missing += number - of->arrived - 1;
    of->arrived = number;
}

/* Whole frames, whatever the input is. */
static void read_frames(target *t) {
    cre_ws_frame frame;
    size_t at = 0;
    int result;
    while ((result = cre_ws_unpack(t->received + at, t->length - at, &frame)) > 0) {
        REQUIRE(!frame.masked);
        if (frame.opcode == CRE_WS_CLOSE) t->client_ended = true;
        if (frame.opcode == CRE_WS_BINARY) note_number(t, frame.payload, frame.length);
        at += frame.size;
    }
    REQUIRE(result == 0);
    memmove(t->received, t->received + at, t->length - at);
    t->length -= at;
}

static bool read_client(target *t) {
    uint8_t bytes[4096];
    bool any = false;
    for (ssize_t got; (got = recv(t->client, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0; any = true) {
        if (got == 0) {
            t->client_ended = true;
            break;
        }
        t->received = realloc(t->received, t->length + (size_t)got);
        REQUIRE(t->received != NULL);
        memcpy(t->received + t->length, bytes, (size_t)got);
        t->length += (size_t)got;
    }
    return any;
}

static void connect_client(target *t) {
    int pair[2];
    uint32_t cursor = 0;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    t->client = pair[0];
    cre_engine_adopt(cre_worker_engine(t->worker), pair[1], 0);
    REQUIRE(send(t->client, UPGRADE, sizeof UPGRADE - 1, 0) == sizeof UPGRADE - 1);
    for (int i = 0; i < 3; i++)
        cre__loop_turn(t->loop, false);
    read_client(t);
    const uint8_t *end = memmem(t->received, t->length, "\r\n\r\n", 4);
    REQUIRE(end && end + 4 == t->received + t->length);
    t->length = 0;
    REQUIRE(cre_table_list(cre_bus_table(t->bus), &cursor, &t->session, 1) == 1);
    REQUIRE(cre_worker_subscribe(t->worker, t->session, "kept", 4, true) == 0);
    REQUIRE(cre_worker_subscribe(t->worker, t->session, "live", 4, true) == 0);
}

/* ---- time ---- */

static bool turn(target *t) {
    cre__loop_turn(t->loop, false);
    const bool got = read_client(t);
    if (got) read_frames(t);
    return got;
}

/* Until nothing moves any more. */
static void settle(target *t) {
    for (int quiet = 0, round = 0; quiet < 4 && round < MOST_ROUNDS; round++) {
        now += 20;
        const bool served = serve_cluster();
        const bool moved = turn(t) || served;
        quiet = moved || (cluster && !cluster->connected && !cluster->waits) ? 0 : quiet + 1;
    }
}

/* ---- the beginning and the end ---- */

static void target_open(target *t, uint32_t rogue_node) {
    const cre_bus_config config = { .nodes = NODES,
                                    .ring_bytes = RING,
                                    .connections = CONNECTIONS,
                                    .queue_bytes = 64 << 10,
                                    .max_payload = 1 << 20,
                                    .arena_bytes = 64 << 10,
                                    .backlog_bytes = CRE_BUS_NO_BACKLOG,
                                    .journal_bytes = cre_gateway_journal_bytes(1, 64 << 10) };
    *t = (target){ .rogue_node = rogue_node };
    now = 1000;
    cut_after = 0;
    REQUIRE(cre_loop_create(&t->loop) == 0 && cre_bus_create(&config, &t->bus) == 0);
    t->bus->control->server = 7;
    open_worker(t);
    if (rogue_node != GATEWAY) open_gateway(t);
    open_rogue(t); /* after the gateway's start, which would wait for it */
    connect_client(t);
    settle(t);
}

static bool was_short_of_room(const target *t) {
    cre_cluster_stats stats;
    cre_bus_get_cluster_stats(t->bus, &stats);
    return stats.dropped || stats.skipped;
}

/* What was accepted has arrived, once and in order, and each question is answered. */
static void target_check(target *t) {
    settle(t);
    if (t->rogue_node == GATEWAY || t->may_lose || t->may_disorder || was_short_of_room(t)) return;
    REQUIRE(t->asked - t->answered <= t->unsure);
    if (t->client_ended) return;
    REQUIRE(t->kept.arrived == t->kept.accepted && t->kept.missing == 0);
}

static void target_close(target *t) {
    cre_gateway_destroy(t->gateway);
    cre_node_close(t->rogue);
    cre_worker_destroy(t->worker);
    cre_loop_destroy(t->loop);
    cre_bus_destroy(t->bus);
    server_stop(&redis);
    redis = (redis_server){ 0 };
    read_client(t);
    read_frames(t);
    free(t->received);
    close(t->client);
}

#endif
