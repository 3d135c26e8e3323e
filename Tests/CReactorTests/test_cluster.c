/* Brokers on loops, with real connections to a real server of Redis. */
#include <creactor/cluster.h>
#include <errno.h>

#include "loops.h"
#ifdef CRE_HAVE_TLS
#include "tls_net.h"
#else
#include "net.h"
#endif
#include "redis_process.h"
#include "text.h"

enum { MACHINES = 2 };

typedef struct machine {
    cre_cluster *cluster;
    int established, broken, received, published, failed, last_error;
    size_t bytes;
    char text[128]; /* of the last message */
} machine;

static machine machines[MACHINES];

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    machine *m = context;
    (void)topic;
    (void)position;
    m->received++;
    m->bytes += payload.length;
    snprintf(m->text, sizeof m->text, "%.*s", (int)payload.length, (const char *)payload.data);
}

static void on_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    CHECK(topic.length > 0 && position.epoch);
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    (void)position;
    TEST_FAIL("messages were lost");
}

static void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)position;
    m->published += result == 0;
    m->failed += result != 0;
}

static void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)payload;
    (void)position;
}

static void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)result;
    (void)position;
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice words) {
    machine *m = context;
    (void)shard;
    (void)words;
    m->established += state == CRE_BROKER_CONNECTED;
    m->broken += state == CRE_BROKER_LOST;
    if (state == CRE_BROKER_LOST) m->last_error = error;
}

static const cre_broker_handlers handlers = {
    .message = on_message,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .published = on_published,
    .missed = on_missed,
    .recovered = on_recovered,
    .state = on_state,
};

static const cre_broker_history kept = { .count = 100, .seconds = 60 };

#define WAIT(condition) WAIT_WITH(turn(), condition)

static int try_start(int index, cre_broker_config broker, const cre_cluster_server *servers,
                     cre_tls_client *tls) {
    const cre_cluster_config config = { .size = sizeof config,
                                        .broker = &broker,
                                        .servers = servers,
                                        .handlers = &handlers,
                                        .context = &machines[index],
                                        .tls = tls };
    broker.size = sizeof broker;
    broker.seed = milliseconds() * 1000 + (uint64_t)index + 1;
    machines[index] = (machine){ 0 };
    return cre_cluster_create(loop, &config, &machines[index].cluster);
}

static void start_machines(cre_broker_config broker, const cre_cluster_server *servers, cre_tls_client *tls) {
    REQUIRE(cre_loop_create(&loop) == 0);
    for (int i = 0; i < MACHINES; i++)
        REQUIRE(try_start(i, broker, servers, tls) == 0);
}

static void stop_machines(void) {
    for (int i = 0; i < MACHINES; i++)
        cre_cluster_destroy(machines[i].cluster);
    cre_loop_destroy(loop);
}

static int publish(int index, const char *topic, cre_slice payload) {
    return cre_broker_publish(cre_cluster_broker(machines[index].cluster), text(topic), payload, kept, 1);
}

static void subscribe(int index, const char *topic) {
    CHECK_EQ(cre_broker_subscribe(cre_cluster_broker(machines[index].cluster), text(topic), kept), 0);
}

TEST(messages) {
    redis_start(true);
    const cre_cluster_server redis = { .host = redis_host };
    start_machines((cre_broker_config){ .shards = 1 }, &redis, NULL);
    subscribe(1, "news");
    WAIT(machines[0].established && machines[1].established);
    CHECK_EQ(publish(0, "news", text("hello")), 0);
    WAIT(machines[1].received == 1 && machines[0].published == 1);
    CHECK_STR(machines[1].text, "hello");

    /* more than the sockets and the connections' queues hold at once */
    static char large[3 << 20];
    memset(large, 'x', sizeof large);
    CHECK_EQ(publish(0, "news", (cre_slice){ (const uint8_t *)large, sizeof large }), 0);
    CHECK_EQ(publish(0, "news", (cre_slice){ (const uint8_t *)large, sizeof large }), 0);
    WAIT(machines[1].received == 3 && machines[0].published == 3);
    CHECK_EQ(machines[1].bytes, 5 + 2 * sizeof large);

    redis_kill();
    WAIT(machines[0].broken && machines[1].broken);
    CHECK_EQ(publish(0, "news", text("waits")), 0);
    /* refused connections are tried again */
    WAIT(machines[0].broken > 3 && machines[0].last_error == -ECONNREFUSED);
    redis_start(true);
    WAIT(machines[1].received == 4 && machines[0].published == 4);
    CHECK_STR(machines[1].text, "waits");
    CHECK_EQ(machines[0].failed, 0);
    stop_machines();
    redis_kill();
}

/* ---- servers of two machines ---- */

static void follow(void *context, const void *name, size_t length, bool exists) {
    const net_server *net = context;
    cre_broker *broker = cre_cluster_broker(net->context);
    const cre_slice topic = { name, length };
    if (exists)
        CHECK_EQ(cre_broker_subscribe(broker, topic, kept), 0);
    else
        cre_broker_unsubscribe(broker, topic);
}

/* The client's message is published to "news", which each client that connects is subscribed to. */
static int serve(net_server *net, const cre_record *event, uint8_t *payload) {
    const cre_slice message = { payload, event->length };
    if (event->kind == CRE_EVENT_OPEN)
        CHECK_EQ(cre_engine_subscribe(net->engine, event->session, "news", 4), 0);
    if (event->kind == CRE_EVENT_MESSAGE)
        CHECK_EQ(cre_broker_publish(cre_cluster_broker(net->context), text("news"), message, kept, 1), 0);
    return 0;
}

static void deliver(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    net_server *net = context;
    (void)position;
    CHECK_EQ(cre_engine_publish(net->engine, topic.data, topic.length, CRE_WS_TEXT, payload.data,
                                payload.length, 0),
             0);
}

static void ignore_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice words) {
    (void)context;
    (void)shard;
    (void)state;
    (void)error;
    (void)words;
}

static void ignore_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)position;
    CHECK_EQ(result, 0);
}

/* What a client of one server sends reaches the clients of both, also over the death of Redis. */
TEST(two_servers) {
    const cre_broker_handlers both = { .message = deliver,
                                       .subscribed = on_subscribed,
                                       .lost = on_lost,
                                       .published = ignore_published,
                                       .missed = on_missed,
                                       .recovered = on_recovered,
                                       .state = ignore_state };
    net_server *nets[2];
    net_client clients[2];
    redis_start(true);
    for (int i = 0; i < 2; i++) {
        const cre_cluster_server redis = { .host = redis_host };
        const cre_broker_config broker = { .size = sizeof broker,
                                           .shards = 1,
                                           .seed = milliseconds() * 1000 + 1 + (uint64_t)i };
        nets[i] = net_start((cre_engine_config){ .on_topic = follow }, serve);
        const cre_cluster_config config = {
            .size = sizeof config, .broker = &broker, .servers = &redis, .handlers = &both, .context = nets[i]
        };
        cre_cluster *cluster;
        REQUIRE(cre_cluster_create(nets[i]->loop, &config, &cluster) == 0);
        nets[i]->context = cluster;
        clients[i] = net_ws_connect(nets[i]);
    }
    for (int i = 0; i < 2; i++) {
        const cre_broker *broker = cre_cluster_broker(nets[i]->context);
        for (const uint64_t end = milliseconds() + DEADLINE_MS; milliseconds() < end;) {
            net_turn(nets[i]);
            if (cre_broker_is_connected(broker, 0)) break;
            usleep(1000);
        }
        CHECK(cre_broker_is_connected(broker, 0));
    }
    for (int round = 0; round < 3; round++) {
        char message[16];
        snprintf(message, sizeof message, "message %d", round);
        if (round == 2) redis_kill();
        net_ws_text(&clients[round % 2], message);
        net_turn(nets[round % 2]);
        if (round == 2) redis_start(true);
        const uint64_t end = milliseconds() + DEADLINE_MS;
        for (int i = 0; i < 2; i++) {
            while (!clients[i].length && milliseconds() < end) {
                net_turn(nets[0]);
                net_turn(nets[1]);
                net_pull(&clients[i]);
                usleep(1000);
            }
            net_ws_expect_text(&clients[i], message);
        }
    }
    for (int i = 0; i < 2; i++) {
        net_close(&clients[i]);
        NET_UNTIL(nets[i], cre_table_count(cre_engine_table(nets[i]->engine)) == 0);
        cre_cluster_destroy(nets[i]->context);
        net_stop(nets[i]);
    }
    redis_kill();
}

/* Two shards, of which one has a name that does not exist: its topics wait, the others do not. */
TEST(a_shard_that_cannot_be_reached) {
    redis_start(false);
    const cre_cluster_server servers[] = { { .host = redis_host },
                                           { .host = "no-such-host.invalid", .port = 6379 } };
    start_machines((cre_broker_config){ .shards = 2 }, servers, NULL);
    char topics[2][16] = { "", "" };
    for (int i = 0; !topics[0][0] || !topics[1][0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "topic%d", i);
        strcpy(topics[cre_broker_shard(cre_cluster_broker(machines[0].cluster), text(name))], name);
    }
    subscribe(1, topics[0]);
    subscribe(1, topics[1]);
    WAIT(machines[0].established == 1 && machines[1].established == 1 && machines[0].broken > 0);
    CHECK_EQ(publish(0, topics[1], text("never")), 0);
    CHECK_EQ(publish(0, topics[0], text("now")), 0);
    WAIT(machines[1].received == 1);
    WAIT(machines[0].published == 1);
    CHECK_STR(machines[1].text, "now");
    stop_machines();
    redis_kill();
}

TEST(invalid_settings) {
    const cre_cluster_server good = { .host = "127.0.0.1", .port = 1 }, nameless = { .port = 1 },
                             secure = { .host = "127.0.0.1", .port = 1, .secure = 1 };
    REQUIRE(cre_loop_create(&loop) == 0);
    CHECK_EQ(try_start(0, (cre_broker_config){ 0 }, &good, NULL), CRE_EINVALID);
    CHECK_EQ(try_start(0, (cre_broker_config){ .shards = 65 }, &good, NULL), CRE_EINVALID);
    CHECK_EQ(try_start(0, (cre_broker_config){ .shards = 1, .user = "x" }, &good, NULL), CRE_EINVALID);
    CHECK_EQ(try_start(0, (cre_broker_config){ .shards = 1 }, &nameless, NULL), CRE_EINVALID);
    CHECK_EQ(try_start(0, (cre_broker_config){ .shards = 1 }, &secure, NULL), CRE_EINVALID);
    CHECK_EQ(try_start(0, (cre_broker_config){ .shards = 1 }, NULL, NULL), CRE_EINVALID);
    cre_cluster *cluster;
    CHECK_EQ(cre_cluster_create(loop, &(cre_cluster_config){ .size = 3 }, &cluster), CRE_ECONFIG_SIZE);
    cre_loop_destroy(loop);
}

static bool create(void) {
    const cre_cluster_server redis = { .host = "127.0.0.1", .port = 1, .tls_name = "redis.test" };
    const cre_broker_config broker = { .shards = 1, .user = "u", .password = "p" };
    int result = cre_loop_create(&loop);
    if (!result) {
        result = try_start(0, broker, &redis, NULL);
        if (!result) cre_cluster_destroy(machines[0].cluster);
        cre_loop_destroy(loop);
    }
    CHECK(result == 0 || result == CRE_ENOMEM);
    return result == 0;
}

TEST(without_memory) {
    test_fail_each_allocation(create);
}

#ifdef CRE_HAVE_TLS

/* Servers with TLS and an authority of their own, here one of the library that answers as Redis does. */
static int answer(net_server *net, const cre_record *event, uint8_t *payload) {
    static const char hello[] = "%1\r\n+proto\r\n:3\r\n";
    static const char script[] = "$40\r\n0000000000000000000000000000000000000000\r\n";
    if (event->kind != CRE_EVENT_RECEIVE) return 0;
    const uint8_t *at = payload, *end = payload + event->length;
    if (memmem(at, event->length, "HELLO", 5))
        cre_engine_send(net->engine, event->session, hello, sizeof hello - 1);
    for (; (at = memmem(at, (size_t)(end - at), "$4\r\nLOAD", 8)); at++)
        cre_engine_send(net->engine, event->session, script, sizeof script - 1);
    if (memmem(payload, event->length, "PING", 4)) {
        static const char subscribed[] = ">3\r\n+subscribe\r\n+probe\r\n:1\r\n+PONG\r\n";
        cre_engine_send(net->engine, event->session, subscribed, sizeof subscribed - 1);
    }
    return 0;
}

TEST(tls) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    for (int trusted = 0; trusted < 2; trusted++) {
        cre_tls_certificate certificate = certificate_of(&server, NULL);
        const cre_tls_config own = { .size = sizeof own, .certificates = &certificate, .count = 1 };
        char why[CRE_TLS_MESSAGE];
        cre_tls_client *tls;
        REQUIRE(cre_tls_create(&own, &net_tls_now, why) == 0);
        net_server *net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, answer);
        const cre_tls_client_config trust = { .size = sizeof trust,
                                              .authorities = in_memory(trusted ? authority.chain_pem
                                                                               : other_server.chain_pem) };
        REQUIRE(cre_tls_client_create(&trust, &tls, why) == 0);
        loop = net->loop;
        const cre_cluster_server to = {
            .host = "127.0.0.1", .port = net->port, .secure = 1, .tls_name = "localhost"
        };
        REQUIRE(try_start(0, (cre_broker_config){ .shards = 1 }, &to, tls) == 0);
        cre_tls_client_release(tls);
        WAIT(machines[0].established || machines[0].broken > 1);
        CHECK_EQ(machines[0].established, trusted);
        if (!trusted) CHECK_EQ(machines[0].last_error, CRE_ETLS);
        cre_cluster_destroy(machines[0].cluster);
        net_stop(net);
        cre_tls_release(net_tls_now);
        net_tls_now = NULL;
    }
}

#endif

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
