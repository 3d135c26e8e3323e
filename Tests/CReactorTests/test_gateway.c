/* Two servers with a gateway each, in processes of their own that are killed, at a real server of Redis. */
#include "gateways.h"

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

/* The limits of the processes that own connections hold, and no other one. */
TEST(as_many_topics_as_the_owners_have) {
    enum { TOPICS = 20 };
    char topic[16];
    start_servers(0, 0);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        subscribe(&servers[0], topic);
    }
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        CHECK_EQ(publish(&servers[0], topic, topic, 0), 0);
        net_ws_expect_text(&servers[0].client, topic);
    }
    stop_servers();
}

/* Messages for a user reach its connections on all servers, and so does their end; messages for all need no
 * subscription. */
TEST(users_and_everyone) {
    static const uint8_t bye[] = { 0x0f, 0xa1, 'b', 'y', 'e' };
    start_servers(0, 0);
    for (int i = 0; i < SERVERS; i++) {
        CHECK_EQ(cre_worker_bind_name(servers[i].worker, servers[i].session, "kept", 4), 0);
        subscribe_surely(&servers[i], "other");
    }
    CHECK_EQ(cre_worker_subscribe(servers[0].worker, servers[0].session, CRE_TOPIC_USER "x", 11, true),
             CRE_EINVALID);
    CHECK_EQ(publish(&servers[0], CRE_TOPIC_USER "kept", "not this way", 0), CRE_EINVALID);
    CHECK_EQ(cre_worker_publish_to_user(servers[0].worker, "kept", 4, CRE_WS_TEXT, "one", 3, 0), 0);
    for (int i = 0; i < SERVERS; i++)
        net_ws_expect_text(&servers[i].client, "one");
    cre_worker *worker = servers[1].worker;
    const cre_session session = servers[1].session;
    CHECK_EQ(cre_worker_publish_to_user(worker, "kept", 4, CRE_WS_TEXT, "two", 3, session), 0);
    net_ws_expect_text(&servers[0].client, "two");
    CHECK_EQ(cre_worker_broadcast_to_cluster(worker, CRE_WS_TEXT, "them", 4, session), 0);
    CHECK_EQ(cre_worker_broadcast_to_cluster(worker, CRE_WS_TEXT, "all", 3, 0), 0);
    CHECK_EQ(cre_worker_broadcast_to_cluster(worker, CRE_WS_CLOSE, bye, sizeof bye, 0), CRE_EINVALID);
    net_ws_expect_text(&servers[0].client, "them");
    for (int i = 0; i < SERVERS; i++)
        net_ws_expect_text(&servers[i].client, "all");
    /* Unlike messages it is not kept. */
    CHECK_EQ(cre_worker_publish_to_user(servers[0].worker, "kept", 4, CRE_WS_CLOSE, bye, sizeof bye, 0), 0);
    for (int i = 0; i < SERVERS; i++) {
        CHECK_EQ(net_ws_expect_close(&servers[i].client), 4001);
        CHECK_EQ(atomic_load(&servers[i].host.violations), 0);
    }
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

/* A server that was away for longer than a broker's usual recovery gets all that the history has. */
TEST(a_long_gap_is_filled) {
    enum { MESSAGES = 3000 };
    start_servers(0, 0);
    subscribe_surely(&servers[1], "kept:a");
    CHECK_EQ(publish(&servers[0], "kept:a", "0", 0), 0);
    net_ws_expect_text(&servers[1].client, "0");
    kill_gateway(&servers[1]);
    for (int number = 1; number < MESSAGES; number++) {
        char text[16];
        snprintf(text, sizeof text, "%d", number);
        CHECK_EQ(publish(&servers[0], "kept:a", text, 0), 0);
    }
    WAIT(stats_of(&servers[0]).published == MESSAGES);
    start_gateway(&servers[1]);
    for (int number = 1; number < MESSAGES; number++)
        expect_number(&servers[1].client, number);
    CHECK_EQ(stats_of(&servers[1]).lost, 0);
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
