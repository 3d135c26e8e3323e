/* A server with two processes that own connections, and its gateway, at a real server of Redis: what the
 * gateway does once for both. */
#include <sys/mman.h>

/* Counts the envelopes that are encoded on this machine, whichever process does. */
#define cre__client_envelope_put encode
#include "runtime/client_envelope.c"
#undef cre__client_envelope_put
#include "gateways.h"

enum { OWNERS = 2, WORKER = 3, CLIENTS = 3 };

typedef struct encodings {
    atomic_int count;
    cre_topic_position position; /* of the last one */
} encodings;

static encodings *encoded; /* in shared memory */

size_t cre__client_envelope_put(uint8_t out[CRE__MAX_CLIENT_ENVELOPE], cre_slice topic,
                                cre_topic_position position);
size_t cre__client_envelope_put(uint8_t out[CRE__MAX_CLIENT_ENVELOPE], cre_slice topic,
                                cre_topic_position position) {
    encoded->position = position;
    atomic_fetch_add(&encoded->count, 1);
    return encode(out, topic, position);
}

static cre_bus *bus;
static reactor_host owners[OWNERS];
static net_client clients[OWNERS * CLIENTS];
static cre_session sessions[OWNERS * CLIENTS];
static cre_worker *worker;
static pid_t gateway_pid;

static cre_cluster_stats stats(void) {
    cre_cluster_stats out;
    cre_bus_get_cluster_stats(bus, &out);
    return out;
}

static void start_one_gateway(void) {
    const cre_broker_config broker = { .size = sizeof broker, .shards = 1, .seed = milliseconds() };
    const cre_cluster_server redis = { .host = redis_host };
    const cre_gateway_config config = { .bus = bus,
                                        .place = &place,
                                        .owner_count = OWNERS,
                                        .first_worker = WORKER,
                                        .worker_count = 1,
                                        .broker = &broker,
                                        .servers = &redis };
    cre_gateway *gateway;
    gateway_pid = fork();
    REQUIRE(gateway_pid >= 0);
    if (gateway_pid) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (cre_loop_create(&loop) || cre_gateway_create(loop, &config, &gateway)) _exit(1);
    cre_loop_run(loop);
    _exit(0);
}

static void start_owner(reactor_host *it, uint32_t node) {
    const cre_reactor_config config = { .bus = bus,
                                        .node = node,
                                        .engine = { .first_worker = WORKER,
                                                    .worker_count = 1,
                                                    .max_queue = 1 << 20,
                                                    .close_timeout_ms = 600000 },
                                        .violation = count_violation,
                                        .context = it,
                                        .cluster = &place };
    it->bus = bus;
    it->listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &it->port);
    REQUIRE(it->listener >= 0);
    REQUIRE(cre_reactor_start(&config, &it->reactor) == 0);
}

static void start(void) {
    const cre_bus_config config = { .nodes = WORKER + 1,
                                    .connections = 200,
                                    .max_payload = 1 << 20,
                                    .spin_ns = 2000,
                                    .journal_bytes = cre_gateway_journal_bytes(1, 0) };
    encoded = mmap(NULL, sizeof *encoded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(encoded != MAP_FAILED);
    redis_start(false);
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    start_one_gateway();
    for (uint32_t i = 0; i < OWNERS; i++)
        start_owner(&owners[i], i);
    const cre_worker_config own = { .bus = bus, .node = WORKER, .owner_count = OWNERS, .cluster = &place };
    REQUIRE(cre_worker_create(NULL, &own, &worker) == 0);
    for (int i = 0; i < OWNERS * CLIENTS; i++)
        clients[i] = connect_ws(&owners[i % OWNERS]);
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_bus_table(bus), &cursor, sessions, OWNERS * CLIENTS) == OWNERS * CLIENTS);
    WAIT(stats().connected == 1);
}

static void stop(void) {
    for (int i = 0; i < OWNERS * CLIENTS; i++)
        net_close(&clients[i]);
    cre_worker_destroy(worker);
    for (int i = 0; i < OWNERS; i++) {
        cre_reactor_stop(owners[i].reactor);
        close(owners[i].listener);
        CHECK_EQ(atomic_load(&owners[i].violations), 0);
    }
    kill(gateway_pid, SIGKILL);
    REQUIRE(waitpid(gateway_pid, NULL, 0) == gateway_pid);
    cre_bus_destroy(bus);
    redis_kill();
    munmap(encoded, sizeof *encoded);
}

/* The gateway encodes the envelope of a message once, for all owners and all of their connections. */
TEST(an_envelope_is_encoded_once) {
    enum { MESSAGES = 5 };
    static const char topic[] = "enveloped:a";
    char message[16], expected[128];
    start();
    for (int i = 0; i < OWNERS * CLIENTS; i++) {
        CHECK_EQ(cre_worker_subscribe(worker, sessions[i], topic, strlen(topic), true), 0);
        CHECK_EQ(cre_worker_push(worker, sessions[i], CRE_WS_TEXT, true, "subscribed", 10), 0);
    }
    for (int i = 0; i < OWNERS * CLIENTS; i++) /* the owners are done with the worker's commands */
        net_ws_expect_text(&clients[i], "subscribed");
    for (int i = 1; i <= MESSAGES; i++) {
        snprintf(message, sizeof message, "m%d", i);
        CHECK_EQ(cre_worker_publish(worker, topic, strlen(topic), CRE_WS_TEXT, message, strlen(message), 0),
                 0);
    }
    WAIT(atomic_load(&encoded->count) >= MESSAGES);
    for (int i = 1; i <= MESSAGES; i++) {
        snprintf(expected, sizeof expected, "{\"topic\":\"%s\",\"position\":\"%d:%016llx\"}\nm%d", topic, i,
                 (unsigned long long)encoded->position.epoch, i);
        for (int j = 0; j < OWNERS * CLIENTS; j++)
            net_ws_expect_text(&clients[j], expected);
    }
    CHECK_EQ(stats().delivered, OWNERS * MESSAGES);
    CHECK_EQ(atomic_load(&encoded->count), MESSAGES);
    stop();
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
