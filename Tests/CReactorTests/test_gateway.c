/* Two servers with a gateway each, in processes of their own that are killed, at a real server of Redis. */
#include <creactor/internal/gateway.h>

#include "hosts.h"
#include "redis_process.h"

enum { SERVERS = 2, GATEWAY = 2, DEADLINE_MS = 60000 };

/* Node 0 is a reactor, 1 a worker that only sends, 2 the gateway. */
typedef struct server {
    reactor_host host;
    cre_worker *worker;
    net_client client;
    cre_session session; /* of the client */
    pid_t gateway;
} server;

static server servers[SERVERS];

static const cre_topic_rule rules[] = { { .pattern = "kept*", .history_count = 10000, .history_seconds = 60 },
                                        { .pattern = "first", .local_first = true } };
static const cre_cluster_place place = { .gateway = GATEWAY, .shards = 1, .rules = rules, .rule_count = 2 };

static uint64_t milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* ---- gateways ---- */

static _Noreturn void run_gateway(const server *it) {
    cre_loop *loop;
    cre_gateway *gateway;
    const cre_broker_config broker = { .size = sizeof broker,
                                       .shards = 1,
                                       .seed = (uint64_t)getpid() << 32 | milliseconds(),
                                       .max_backoff_ms = 200 };
    const cre_cluster_server redis = { .host = redis_host };
    const cre_gateway_config config = {
        .bus = it->host.bus, .place = &place, .owner_count = 1, .broker = &broker, .servers = &redis
    };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (cre_loop_create(&loop) || cre_gateway_create(loop, &config, &gateway)) _exit(1);
    cre_loop_run(loop);
    _exit(0);
}

static void start_gateway(server *it) {
    it->gateway = fork();
    REQUIRE(it->gateway >= 0);
    if (it->gateway == 0) run_gateway(it);
}

static void kill_gateway(server *it) {
    kill(it->gateway, SIGKILL);
    REQUIRE(waitpid(it->gateway, NULL, 0) == it->gateway);
    cre_bus_forget(it->host.bus, GATEWAY);
}

static cre_cluster_stats stats_of(const server *it) {
    cre_cluster_stats stats;
    cre_bus_get_cluster_stats(it->host.bus, &stats);
    return stats;
}

#define WAIT(condition)                                                                          \
    do {                                                                                         \
        for (const uint64_t test_end = milliseconds() + DEADLINE_MS; !(condition); usleep(1000)) \
            if (milliseconds() > test_end) {                                                     \
                TEST_FAIL("%s did not become true", #condition);                                 \
                break;                                                                           \
            }                                                                                    \
    } while (0)

/* ---- servers ---- */

static void count_violation(void *context, uint32_t from) {
    CHECK_EQ(from, GATEWAY);
    atomic_fetch_add(&((reactor_host *)context)->violations, 1);
}

static void start_server(server *it, uint32_t ring_bytes, uint32_t queue_bytes) {
    memset(it, 0, sizeof *it);
    const cre_bus_config config = { .nodes = 3,
                                    .ring_bytes = ring_bytes,
                                    .queue_bytes = queue_bytes,
                                    .connections = 200,
                                    .max_payload = 9 << 20,
                                    .spin_ns = 2000,
                                    .journal_bytes = cre_gateway_journal_bytes(1, 0) };
    REQUIRE(cre_bus_create(&config, &it->host.bus) == 0);
    it->host.listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &it->host.port);
    REQUIRE(it->host.listener >= 0);
    start_gateway(it);
    const cre_reactor_config reactor = {
        .bus = it->host.bus,
        .engine = { .first_worker = 1, .worker_count = 1, .max_queue = 32 << 20, .close_timeout_ms = 600000 },
        .violation = count_violation,
        .context = &it->host,
        .gateway = GATEWAY
    };
    REQUIRE(cre_reactor_start(&reactor, &it->host.reactor) == 0);
    const cre_worker_config worker = { .bus = it->host.bus, .node = 1, .owner_count = 1, .cluster = &place };
    REQUIRE(cre_worker_create(NULL, &worker, &it->worker) == 0);
    it->client = connect_ws(&it->host);
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_bus_table(it->host.bus), &cursor, &it->session, 1) == 1);
}

static void start_servers(uint32_t ring_bytes, uint32_t queue_bytes) {
    redis_start(true);
    for (int i = 0; i < SERVERS; i++)
        start_server(&servers[i], ring_bytes, queue_bytes);
    for (int i = 0; i < SERVERS; i++)
        WAIT(stats_of(&servers[i]).connected == 1);
}

static void stop_servers(void) {
    for (int i = 0; i < SERVERS; i++) {
        server *it = &servers[i];
        net_close(&it->client);
        cre_worker_destroy(it->worker);
        cre_reactor_stop(it->host.reactor);
        kill_gateway(it);
        close(it->host.listener);
        cre_bus_destroy(it->host.bus);
    }
    redis_kill();
}

static void subscribe(server *it, const char *topic) {
    int result;
    WAIT((result = cre_worker_subscribe(it->worker, it->session, topic, strlen(topic), true)) !=
         CRE_ELINK_FULL);
    CHECK_EQ(result, 0);
}

static int publish(server *it, const char *topic, const char *message, cre_session except) {
    return cre_worker_publish(it->worker, topic, strlen(topic), CRE_WS_TEXT, message, strlen(message),
                              except);
}

/* Subscribes, and waits until the messages of other servers arrive, too. */
static void subscribe_surely(server *it, const char *topic) {
    subscribe(it, topic);
    subscribe(it, "own");
    CHECK_EQ(publish(it, "own", "subscribed", 0), 0);
    net_ws_expect_text(&it->client, "subscribed");
    CHECK_EQ(cre_worker_subscribe(it->worker, it->session, "own", 3, false), 0);
}

/* ---- cases ---- */

TEST(messages_reach_the_subscribers_of_all_servers) {
    start_servers(0, 0);
    subscribe(&servers[0], "news");
    /* a worker's own subscription holds for what it publishes next */
    CHECK_EQ(publish(&servers[0], "news", "one", 0), 0);
    net_ws_expect_text(&servers[0].client, "one");
    subscribe(&servers[1], "news");
    CHECK_EQ(publish(&servers[1], "news", "two", 0), 0);
    net_ws_expect_text(&servers[0].client, "two");
    net_ws_expect_text(&servers[1].client, "two");
    /* a session is excepted on its own server only: the other one has a session of the same number */
    CHECK_EQ(servers[0].session, servers[1].session);
    CHECK_EQ(publish(&servers[0], "news", "three", servers[0].session), 0);
    net_ws_expect_text(&servers[1].client, "three");
    CHECK_EQ(publish(&servers[0], "news", "four", 0), 0);
    net_ws_expect_text(&servers[0].client, "four");
    net_ws_expect_text(&servers[1].client, "four");
    CHECK_EQ(publish(&servers[0], "", "nobody", 0), CRE_EINVALID);
    stop_servers();
}

TEST(local_first) {
    start_servers(0, 0);
    subscribe(&servers[0], "first");
    redis_kill();
    WAIT(stats_of(&servers[0]).connected == 0);
    CHECK_EQ(publish(&servers[0], "first", "at once", 0), 0);
    net_ws_expect_text(&servers[0].client, "at once");
    redis_start(true);
    WAIT(stats_of(&servers[0]).published == 1 && stats_of(&servers[1]).connected == 1);
    subscribe(&servers[1], "first");
    CHECK_EQ(publish(&servers[1], "first", "once", 0), 0);
    net_ws_expect_text(&servers[1].client, "once");
    net_ws_expect_text(&servers[0].client, "once"); /* and "at once" did not come again */
    CHECK_EQ(publish(&servers[0], "first", "everywhere", 0), 0);
    net_ws_expect_text(&servers[0].client, "everywhere");
    net_ws_expect_text(&servers[1].client, "everywhere");
    stop_servers();
}

static void expect_number(net_client *client, int number) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    net_ws_expect_text(client, text);
}

/* Messages with history that one server publishes while gateways and Redis are killed: all arrive at both,
 * once and in order. */
TEST(no_message_with_history_is_lost_or_doubled) {
    enum { ROUNDS = 12, EACH = 250 };
    start_servers(0, 0);
    for (int i = 0; i < SERVERS; i++)
        subscribe_surely(&servers[i], "kept:a");
    int sent = 0;
    for (int round = 0; round < ROUNDS; round++) {
        server *victim = &servers[round % SERVERS];
        for (int i = 0; i < EACH; i++) {
            char text[16];
            snprintf(text, sizeof text, "%d", sent);
            CHECK_EQ(publish(&servers[0], "kept:a", text, 0), 0);
            sent++;
            if (i == EACH / 2 && round % 4 == 3) {
                redis_kill();
                redis_start(true);
            }
            if (i == EACH / 2) kill_gateway(victim);
            if (i == EACH * 3 / 4) start_gateway(victim);
        }
        /* Redis must be there again before it is killed: it would not start with a file that it has not
         * written completely */
        WAIT(stats_of(&servers[0]).connected == 1 && stats_of(&servers[1]).connected == 1);
    }
    for (int i = 0; i < SERVERS; i++)
        for (int number = 0; number < sent; number++)
            expect_number(&servers[i].client, number);
    WAIT(stats_of(&servers[0]).queued == 0);
    CHECK_EQ(stats_of(&servers[0]).dropped, 0);
    CHECK_EQ(stats_of(&servers[0]).lost + stats_of(&servers[1]).lost, 0);
    CHECK_EQ(stats_of(&servers[0]).skipped + stats_of(&servers[1]).skipped, 0);
    stop_servers();
}

/* What is published while Redis cannot be reached waits, up to a limit. */
TEST(unavailable) {
    enum { SIZE = 64 << 10 };
    static char message[SIZE + 1];
    start_servers(0, 0);
    memset(message, 'x', SIZE);
    redis_kill();
    WAIT(stats_of(&servers[0]).connected == 0);
    int accepted = 0, result = 0;
    for (int i = 0; i < 1000 && !(result = publish(&servers[0], "kept:b", message, 0)); i++) {
        accepted++;
        usleep(100);
    }
    CHECK_EQ(result, CRE_EBROKER_UNAVAILABLE);
    CHECK(accepted >= CRE_BROKER_DEFAULT_QUEUE / 2 / SIZE - 1 && accepted < 1000);
    redis_start(true);
    WAIT(stats_of(&servers[0]).published == (uint64_t)accepted);
    WAIT(publish(&servers[0], "kept:b", message, 0) == 0);
    CHECK_EQ(stats_of(&servers[0]).dropped, 0);
    stop_servers();
}

/* More changes of topics than there is room for while nobody reads them: the gateway gets a complete report.
 */
TEST(changes_of_topics_that_have_no_room) {
    enum { TOPICS = 250 };
    char name[200];
    start_servers(4096, 4096);
    server *it = &servers[0];
    const uint64_t connects = stats_of(it).connects;
    subscribe(it, "early");
    WAIT(stats_of(it).topics == 1);
    kill_gateway(it);
    CHECK_EQ(cre_worker_subscribe(it->worker, it->session, "early", 5, false), 0);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(name, sizeof name, "%0190d", i);
        subscribe(it, name);
    }
    start_gateway(it);
    WAIT(stats_of(it).connects > connects && stats_of(it).topics == TOPICS);
    WAIT(cre_bus_pid(it->host.bus, GATEWAY) == it->gateway);
    for (int i = 0; i < TOPICS; i += 83) {
        snprintf(name, sizeof name, "%0190d", i);
        CHECK_EQ(publish(&servers[1], name, name, 0), 0);
        net_ws_expect_text(&it->client, name);
    }
    stop_servers();
}

static int ignore(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context;
    (void)from;
    (void)payload;
    return record->kind == CRE_MESSAGE_PUBLISH ? CRE_NODE_TAKE : 0;
}

static void deliver(cre_node *node, uint64_t epoch, uint64_t offset, uint16_t length, const char *text) {
    const cre_delivery delivery = { .position = { epoch, offset }, .topic_length = length };
    const cre_record record = { .kind = CRE_MESSAGE_DELIVER, .opcode = text ? CRE_WS_TEXT : 0 };
    const cre_slice parts[] = { { (const uint8_t *)&delivery, sizeof delivery },
                                { (const uint8_t *)"kept:c", 6 },
                                { (const uint8_t *)text, text ? strlen(text) : 0 } };
    CHECK_EQ(cre_node_send(node, 0, &record, parts, 3), 0);
    cre_node_flush(node);
}

/* A successor of a gateway repeats messages for the sake of subscribers of other processes. */
TEST(an_owner_delivers_a_message_once) {
    start_servers(0, 0);
    server *it = &servers[0];
    subscribe_surely(it, "kept:c");
    kill_gateway(it);
    cre_loop *loop;
    cre_node *node;
    const cre_node_handlers handlers = { .record = ignore,
                                         .taking_first = CRE_MESSAGE_PUBLISH,
                                         .taking_last = CRE_MESSAGE_PUBLISH };
    REQUIRE(cre_loop_create(&loop) == 0);
    REQUIRE(cre_node_open(it->host.bus, GATEWAY, loop, &handlers, NULL, &node) == 0);
    deliver(node, 7, 5, 6, "five");
    deliver(node, 7, 5, 6, "five");
    deliver(node, 7, 4, 6, "four");
    deliver(node, 7, 8, 6, NULL); /* the position after messages that nobody has */
    deliver(node, 7, 8, 6, "eight");
    deliver(node, 7, 9, 6, "nine");
    deliver(node, 8, 1, 6, "one"); /* of another history */
    deliver(node, 0, 0, 6, "live");
    deliver(node, 0, 0, 6, "live");
    const char *expected[] = { "five", "nine", "one", "live", "live" };
    for (int i = 0; i < 5; i++)
        net_ws_expect_text(&it->client, expected[i]);
    CHECK_EQ(atomic_load(&it->host.violations), 0);
    deliver(node, 7, 5, 600, "malformed");
    WAIT(atomic_load(&it->host.violations) > 0);
    cre_node_close(node);
    cre_loop_destroy(loop);
    start_gateway(it);
    stop_servers();
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
