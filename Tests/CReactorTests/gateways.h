/* Servers with a gateway each, in processes of their own that are killed, at a real server of Redis. */
#ifndef CRE_GATEWAYS_H
#define CRE_GATEWAYS_H

#include <creactor/internal/gateway.h>

#include "hosts.h"
#include "loops.h"
#include "redis_process.h"
#include "text.h"

enum { SERVERS = 2, GATEWAY = 2, ASKER = 3 };

/* Node 0 is a reactor, 1 a worker that only sends, 2 the gateway, 3 is for a worker of the test. */
typedef struct server {
    reactor_host host;
    cre_worker *worker;
    net_client client;
    cre_session session; /* of the client */
    pid_t gateway;
} server;

static server servers[SERVERS];
static uint32_t presence_ms;              /* of the gateways that start; 0: the default */
static uint32_t client_queue = 32 << 20;  /* bytes that wait for a client */
static cre_broker_kind gateway_kind;      /* of the gateways that start */
static cre_cluster_server gateway_server; /* without a host: redis_host */

static const cre_topic_rule rules[] = {
    { .pattern = "kept*", .history_count = 10000, .history_seconds = 60 },
    { .pattern = "first", .local_first = true },
    { .pattern = "short*", .history_count = 3, .history_seconds = 60 },
    { .pattern = "enveloped*", .history_count = 100, .history_seconds = 60, .enveloped = true },
    { .pattern = "local*", .local_first = true, .enveloped = true },
    { .pattern = CRE_TOPIC_USER "kept", .history_count = 10, .history_seconds = 60 }
};
static cre_cluster_place place = { .gateway = GATEWAY, .shards = 1, .rules = rules, .rule_count = 6 };

/* ---- gateways ---- */

static inline _Noreturn void run_gateway(const server *it) {
    cre_gateway *gateway;
    const cre_broker_config broker = { .size = sizeof broker,
                                       .kind = gateway_kind,
                                       .shards = 1,
                                       .seed = (uint64_t)getpid() << 32 | milliseconds(),
                                       .max_topics = 1, /* of no effect: those of the owners hold */
                                       .max_backoff_ms = 200,
                                       .presence_ms = presence_ms };
    const cre_cluster_server redis = { .host = redis_host };
    const cre_gateway_config config = { .bus = it->host.bus,
                                        .place = &place,
                                        .owner_count = 1,
                                        .first_worker = ASKER,
                                        .worker_count = 1,
                                        .broker = &broker,
                                        .servers = gateway_server.host ? &gateway_server : &redis,
                                        .server_count = gateway_kind != CRE_BROKER_REDIS };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (cre_loop_create(&loop) || cre_gateway_create(loop, &config, &gateway)) _exit(1);
    cre_loop_run(loop);
    _exit(0);
}

static inline void start_gateway(server *it) {
    it->gateway = fork();
    REQUIRE(it->gateway >= 0);
    if (it->gateway == 0) run_gateway(it);
}

static inline void kill_gateway(server *it) {
    kill(it->gateway, SIGKILL);
    REQUIRE(waitpid(it->gateway, NULL, 0) == it->gateway);
    cre_bus_forget(it->host.bus, GATEWAY);
}

static inline cre_cluster_stats stats_of(const server *it) {
    cre_cluster_stats stats;
    cre_bus_get_cluster_stats(it->host.bus, &stats);
    return stats;
}

#define WAIT(condition) WAIT_WITH(usleep(1000), condition)

/* ---- servers ---- */

static inline void count_violation(void *context, uint32_t from) {
    CHECK_EQ(from, GATEWAY);
    atomic_fetch_add(&((reactor_host *)context)->violations, 1);
}

static inline void start_server(server *it, uint32_t ring_bytes, uint32_t queue_bytes) {
    memset(it, 0, sizeof *it);
    const cre_bus_config config = { .nodes = 4,
                                    .ring_bytes = ring_bytes,
                                    .queue_bytes = queue_bytes,
                                    .connections = 200,
                                    .max_payload = 9 << 20,
                                    .spin_ns = 2000,
                                    .journal_bytes = place.local ? 0 : cre_gateway_journal_bytes(1, 0) };
    REQUIRE(cre_bus_create(&config, &it->host.bus) == 0);
    it->host.listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &it->host.port);
    REQUIRE(it->host.listener >= 0);
    start_gateway(it);
    const cre_reactor_config reactor = { .bus = it->host.bus,
                                         .engine = { .first_worker = 1,
                                                     .worker_count = 1,
                                                     .max_queue = client_queue,
                                                     .close_timeout_ms = 600000 },
                                         .violation = count_violation,
                                         .context = &it->host,
                                         .cluster = &place };
    REQUIRE(cre_reactor_start(&reactor, &it->host.reactor) == 0);
    const cre_worker_config worker = { .bus = it->host.bus, .node = 1, .owner_count = 1, .cluster = &place };
    REQUIRE(cre_worker_create(NULL, &worker, &it->worker) == 0);
    it->client = connect_ws(&it->host);
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_bus_table(it->host.bus), &cursor, &it->session, 1) == 1);
}

static inline void stop_server(server *it) {
    net_close(&it->client);
    cre_worker_destroy(it->worker);
    cre_reactor_stop(it->host.reactor);
    kill_gateway(it);
    close(it->host.listener);
    cre_bus_destroy(it->host.bus);
}

static inline void start_servers(uint32_t ring_bytes, uint32_t queue_bytes) {
    redis_start(true);
    for (int i = 0; i < SERVERS; i++)
        start_server(&servers[i], ring_bytes, queue_bytes);
    for (int i = 0; i < SERVERS; i++)
        WAIT(stats_of(&servers[i]).connected == 1);
}

static inline void stop_servers(void) {
    for (int i = 0; i < SERVERS; i++)
        stop_server(&servers[i]);
    redis_kill();
}

static inline void subscribe(server *it, const char *topic) {
    int result;
    WAIT((result = cre_worker_subscribe(it->worker, it->session, topic, strlen(topic), true)) !=
         CRE_ELINK_FULL);
    CHECK_EQ(result, 0);
}

static inline int publish(server *it, const char *topic, const char *message, cre_session except) {
    return cre_worker_publish(it->worker, topic, strlen(topic), CRE_WS_TEXT, message, strlen(message),
                              except);
}

/* Subscribes, and waits until the messages of other servers arrive, too. */
static inline void subscribe_surely(server *it, const char *topic) {
    subscribe(it, topic);
    subscribe(it, "own");
    CHECK_EQ(publish(it, "own", "subscribed", 0), 0);
    net_ws_expect_text(&it->client, "subscribed");
    CHECK_EQ(cre_worker_subscribe(it->worker, it->session, "own", 3, false), 0);
}

/* ---- a worker of a server that asks the gateway ---- */

static cre_worker *asker; /* on `loop` */
static uint64_t last_question;

static inline void start_asker(const server *of,
                               void (*on_message)(void *context, uint32_t from, const cre_record *record,
                                                  uint8_t *payload),
                               void (*violation)(void *context, uint32_t from)) {
    const cre_worker_config config = { .bus = of->host.bus,
                                       .node = ASKER,
                                       .owner_count = 1,
                                       .on_message = on_message,
                                       .violation = violation,
                                       .cluster = &place };
    REQUIRE(cre_loop_create(&loop) == 0);
    REQUIRE(cre_worker_create(loop, &config, &asker) == 0);
}

static inline void stop_asker(void) {
    cre_worker_destroy(asker);
    cre_loop_destroy(loop);
}

/* Sends the next question, with the results of cre_worker_ask. */
static inline int ask_gateway(cre_question question, const cre_slice *parts, int count) {
    return cre_worker_ask(asker, ++last_question, question, parts, count);
}

/* Runs the asker until the condition is true. */
#define AWAIT(condition) WAIT_WITH(turn(), condition)

#endif
