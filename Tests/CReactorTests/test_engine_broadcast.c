/* Topics and broadcast on real sockets. */
#include "both.h"
#include "engine/publish.h"

#define PUBLISH(net, topic, text, except) \
    cre_engine_publish((net)->engine, topic, strlen(topic), CRE_WS_TEXT, text, strlen(text), except)
#define SUBSCRIBE(net, session, topic)   cre_engine_subscribe((net)->engine, session, topic, strlen(topic))
#define UNSUBSCRIBE(net, session, topic) cre_engine_unsubscribe((net)->engine, session, topic, strlen(topic))

/* An open WebSocket and its id. */
static net_client join(net_server *net, cre_session *session) {
    net_client client = net_ws_connect(net);
    *session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    return client;
}

/* Nothing has come, and nothing comes. */
static void expect_nothing(net_client *client) {
    net_settle(client->net);
    net_pull(client);
    CHECK_EQ(client->length, 0);
}

static char noted_topics[256];

static void note_topic(void *context, const void *name, size_t length, bool exists) {
    const size_t used = strlen(noted_topics);
    (void)context;
    snprintf(noted_topics + used, sizeof noted_topics - used, "%c%.*s ", exists ? '+' : '-', (int)length,
             (const char *)name);
}

/* The first subscriber of each topic and the last one are reported, however it goes. */
TEST_BOTH(topics_are_reported) {
    net_server *net = net_start((cre_engine_config){ .on_topic = note_topic, .max_topics = 2 }, NULL);
    cre_session ids[3];
    net_client a = join(net, &ids[0]), b = join(net, &ids[1]), c = join(net, &ids[2]);
    noted_topics[0] = 0;
    CHECK_EQ(SUBSCRIBE(net, ids[0], "news"), 0);
    CHECK_EQ(SUBSCRIBE(net, ids[1], "news"), 0);
    CHECK_EQ(SUBSCRIBE(net, ids[1], "sport"), 0);
    CHECK_EQ(SUBSCRIBE(net, ids[1], "third"), CRE_ELIMIT);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "all", 3, 0), 0); /* everyone is no topic */
    CHECK_STR(noted_topics, "+news +sport ");
    CHECK_EQ(UNSUBSCRIBE(net, ids[0], "news"), 0);
    CHECK_EQ(UNSUBSCRIBE(net, ids[0], "news"), 0);
    CHECK_STR(noted_topics, "+news +sport ");
    CHECK_EQ(UNSUBSCRIBE(net, ids[1], "news"), 0);
    CHECK_STR(noted_topics, "+news +sport -news ");
    net_close(&b);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 2);
    CHECK_STR(noted_topics, "+news +sport -news -sport ");
    noted_topics[0] = 0;
    CHECK_EQ(SUBSCRIBE(net, ids[0], "last"), 0);
    net_stop(net); /* with its connections */
    CHECK_STR(noted_topics, "+last -last ");
    net_close(&a);
    net_close(&c);
}

TEST_BOTH(topics_reach_their_subscribers_only) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_session ids[3];
    net_client a = join(net, &ids[0]), b = join(net, &ids[1]), c = join(net, &ids[2]);
    CHECK_EQ(PUBLISH(net, "news", "nobody", 0), 0);
    CHECK_EQ(SUBSCRIBE(net, ids[0], "news"), 0);
    CHECK_EQ(SUBSCRIBE(net, ids[1], "news"), 0);
    CHECK_EQ(SUBSCRIBE(net, ids[1], "news"), 0); /* changes nothing */
    CHECK_EQ(SUBSCRIBE(net, ids[2], "other"), 0);
    CHECK(cre_engine_subscribed(net->engine, ids[0], "news", 4));
    CHECK(!cre_engine_subscribed(net->engine, ids[2], "news", 4));
    CHECK_EQ(PUBLISH(net, "news", "one", 0), 0);
    CHECK_EQ(PUBLISH(net, "news", "two", ids[0]), 0);
    CHECK_EQ(PUBLISH(net, "news", "three", ids[1]), 0);
    CHECK_EQ(PUBLISH(net, "news", "four", ids[2]), 0);
    net_ws_expect_text(&a, "one");
    net_ws_expect_text(&a, "three");
    net_ws_expect_text(&a, "four");
    net_ws_expect_text(&b, "one");
    net_ws_expect_text(&b, "two");
    net_ws_expect_text(&b, "four");
    expect_nothing(&c);
    CHECK_EQ(net_stats(net).messages_out, 6);
    CHECK_EQ(net_stats(net).topics, 2);
    CHECK_EQ(net_stats(net).subscriptions, 3);
    CHECK_EQ(UNSUBSCRIBE(net, ids[0], "news"), 0);
    CHECK_EQ(UNSUBSCRIBE(net, ids[0], "never was"), 0);
    CHECK_EQ(PUBLISH(net, "news", "five", 0), 0);
    net_ws_expect_text(&b, "five");
    expect_nothing(&a);
    expect_nothing(&b);
    net_close(&a);
    net_close(&b);
    net_close(&c);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
    CHECK_EQ(net->engine->topics.count, 0);
    net_stop(net);
}

TEST_BOTH(broadcast_reaches_all_open_websockets) {
    net_server *net = net_start((cre_engine_config){ .http = true }, NULL);
    cre_session ids[3];
    net_client a = join(net, &ids[0]), b = join(net, &ids[1]), plain = net_connect(net);
    net_settle(net);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "hi", 2, 0), 0);
    net_client c = join(net, &ids[2]); /* from now on it is in */
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_BINARY, "you", 3, ids[0]), 0);
    net_ws_expect_text(&a, "hi");
    net_ws_expect_text(&b, "hi");
    net_ws_expect(&b, CRE_WS_BINARY, "you", 3);
    net_ws_expect(&c, CRE_WS_BINARY, "you", 3);
    expect_nothing(&a);
    expect_nothing(&plain);
    net_close(&a);
    net_close(&plain);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 2);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "", 0, 0), 0);
    net_ws_expect_text(&b, "");
    net_ws_expect_text(&c, "");
    net_close(&b);
    net_close(&c);
    net_stop(net);
}

TEST_BOTH(order_is_that_of_the_calls) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_session id, other;
    net_client a = join(net, &id), b = join(net, &other);
    SUBSCRIBE(net, id, "x");
    SUBSCRIBE(net, id, "y");
    SUBSCRIBE(net, other, "x");
    for (int i = 0; i < 3; i++) {
        PUBLISH(net, "x", "1", 0);
        PUBLISH(net, "x", "2", 0);
        cre_engine_push(net->engine, id, CRE_WS_TEXT, "3", 1);
        PUBLISH(net, "y", "4", 0);
        PUBLISH(net, "x", "5", 0);
        cre_engine_broadcast(net->engine, CRE_WS_TEXT, "6", 1, 0);
        UNSUBSCRIBE(net, other, "x");
        PUBLISH(net, "x", "7", 0);
        SUBSCRIBE(net, other, "x");
        static uint8_t large[10000];
        cre_engine_push(net->engine, id, CRE_WS_BINARY, large, sizeof large);
        PUBLISH(net, "x", "8", 0);
        for (char digit = '1'; digit <= '7'; digit++)
            net_ws_expect_text(&a, ((char[]){ digit, 0 }));
        net_ws_expect(&a, CRE_WS_BINARY, large, sizeof large);
        net_ws_expect_text(&a, "8");
        for (const char *digit = "12568"; *digit; digit++)
            net_ws_expect_text(&b, ((char[]){ *digit, 0 }));
    }
    /* What was published before a close arrives before it. */
    PUBLISH(net, "x", "last", 0);
    cre_engine_close(net->engine, id, 1000, NULL);
    PUBLISH(net, "x", "too late", 0);
    net_ws_expect_text(&a, "last");
    CHECK_EQ(net_ws_expect_close(&a), 1000);
    net_ws_expect_text(&b, "last");
    net_ws_expect_text(&b, "too late");
    net_close(&a);
    net_close(&b);
    net_stop(net);
}

TEST_BOTH(large_and_many_messages_arrive_whole) {
    net_server *net = net_start((cre_engine_config){ .max_queue = 64 << 20 }, NULL);
    enum { CLIENTS = 5, COUNT = 300 };
    net_client clients[CLIENTS];
    cre_session id;
    static uint8_t bytes[300000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = join(net, &id);
        SUBSCRIBE(net, id, "t");
    }
    static const size_t sizes[] = { 5, 125, 126, 900, 5000, 65536, 300000 };
    for (int i = 0; i < COUNT; i++) {
        size_t size = sizes[i % 7];
        CHECK_EQ(cre_engine_publish(net->engine, "t", 1, CRE_WS_BINARY, bytes, size, 0), 0);
    }
    for (int i = 0; i < COUNT; i++) /* all are slow at first, and then one after the other catches up */
        for (int k = 0; k < CLIENTS; k++)
            net_ws_expect(&clients[k], CRE_WS_BINARY, bytes, sizes[i % 7]);
    CHECK_EQ(net_stats(net).skipped, 0);
    for (int k = 0; k < CLIENTS; k++)
        net_close(&clients[k]);
    net_stop(net);
}

/* What one client gets of `count` numbered messages while it reads nothing. */
static void publish_numbers(net_server *net, uint32_t count) {
    static uint8_t bytes[3000];
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes, &i, sizeof i);
        CHECK_EQ(cre_engine_publish(net->engine, "t", 1, CRE_WS_BINARY, bytes, sizeof bytes, 0), 0);
        if (i % 8 == 0) net_turn(net);
    }
}

TEST_BOTH(a_slow_receiver_goes_without) {
    long live = atomic_load(&test_live_allocations);
    net_server *net = net_start((cre_engine_config){ .max_queue = 100000 }, NULL);
    cre_session slow_id, fast_id;
    net_client slow = join(net, &slow_id), fast = join(net, &fast_id);
    SUBSCRIBE(net, slow_id, "t");
    SUBSCRIBE(net, fast_id, "t");
    enum { COUNT = 4000 };
    uint32_t expected = 0;
    for (int round = 0; round < COUNT / 100; round++) {
        publish_numbers(net, 100);
        for (uint32_t i = 0; i < 100; i++) {
            cre_ws_frame frame;
            REQUIRE(net_ws_next(&fast, &frame));
            CHECK_MEM(frame.payload, &i, sizeof i);
            net_take(&fast, frame.size);
            expected++;
        }
    }
    CHECK_EQ(expected, COUNT);
    uint64_t skipped = net_stats(net).skipped;
    CHECK(skipped > 0);
    CHECK_EQ(net_stats(net).messages_out, 2 * COUNT - skipped);
    CHECK(net_count_events(net, CRE_EVENT_FULL) > 0);
    /* What it did get is whole, and it is in order again with the next. */
    for (uint64_t i = 0; i < COUNT - skipped; i++) {
        cre_ws_frame frame;
        REQUIRE(net_ws_next(&slow, &frame));
        CHECK_EQ(frame.length, 3000);
        net_take(&slow, frame.size);
    }
    expect_nothing(&slow);
    PUBLISH(net, "t", "again", 0);
    net_ws_expect_text(&slow, "again");
    net_close(&slow);
    net_close(&fast);
    net_stop(net);
    CHECK_EQ(atomic_load(&test_live_allocations), live);
}

TEST_BOTH(or_is_closed) {
    net_server *net = net_start((cre_engine_config){ .max_queue = 100000, .close_slow = true }, NULL);
    cre_session slow_id, fast_id;
    net_client slow = join(net, &slow_id), fast = join(net, &fast_id);
    SUBSCRIBE(net, slow_id, "t");
    SUBSCRIBE(net, fast_id, "t");
    for (int round = 0; round < 400 && !net_count_events(net, CRE_EVENT_CLOSE); round++) {
        publish_numbers(net, 20);
        for (int i = 0; i < 20; i++) {
            cre_ws_frame frame;
            REQUIRE(net_ws_next(&fast, &frame));
            net_take(&fast, frame.size);
        }
    }
    const net_event *event;
    do
        event = net_next(net);
    while (event->record.kind != CRE_EVENT_CLOSE);
    CHECK_EQ(event->record.session, slow_id);
    CHECK_EQ(net_closed(event).reason, CRE_CLOSED_OVERFLOW);
    PUBLISH(net, "t", "on it goes", 0);
    net_ws_expect_text(&fast, "on it goes");
    net_close(&slow);
    net_close(&fast);
    net_stop(net);
}

TEST_BOTH(fragments_are_not_torn_apart) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_session id;
    net_client client = join(net, &id);
    SUBSCRIBE(net, id, "t");
    cre_record piece = { .kind = CRE_COMMAND_PUSH, .opcode = CRE_WS_TEXT, .session = id };
    cre_slice part = { (const uint8_t *)"ab", 2 };
    CHECK_EQ(cre_engine_command(net->engine, &piece, &part, 1), 0);
    PUBLISH(net, "t", "between", 0);
    net_settle(net);
    PUBLISH(net, "t", "and", 0);
    cre_engine_push(net->engine, id, CRE_WS_PING, "", 0);
    piece.opcode = CRE_WS_CONTINUATION;
    CHECK_EQ(cre_engine_command(net->engine, &piece, &part, 1), 0);
    piece.flags = CRE_RECORD_FINAL;
    CHECK_EQ(cre_engine_command(net->engine, &piece, &part, 1), 0);
    static const uint8_t opcodes[] = { CRE_WS_TEXT, CRE_WS_PING, CRE_WS_CONTINUATION, CRE_WS_CONTINUATION };
    for (int i = 0; i < 4; i++) {
        cre_ws_frame frame;
        REQUIRE(net_ws_next(&client, &frame));
        CHECK_EQ(frame.opcode, opcodes[i]);
        net_take(&client, frame.size);
    }
    net_ws_expect_text(&client, "between");
    net_ws_expect_text(&client, "and");
    /* One that ends between two fragments takes what waits with it. */
    piece.opcode = CRE_WS_TEXT;
    piece.flags = 0;
    cre_engine_command(net->engine, &piece, &part, 1);
    PUBLISH(net, "t", "lost", 0);
    net_settle(net);
    net_abort(&client);
    net_expect_event(net, CRE_EVENT_CLOSE);
    CHECK(net->engine->topics.deferred == NULL);
    net_stop(net);
}

/* ---- handlers that do everything ---- */

static int busy(net_server *net, const cre_record *event, uint8_t *payload) {
    char text[32];
    switch (event->kind) {
    case CRE_EVENT_OPEN:
        SUBSCRIBE(net, event->session, "all");
        snprintf(text, sizeof text, "+%d", (int)event->session);
        PUBLISH(net, "all", text, event->session);
        break;
    case CRE_EVENT_CLOSE:
        CHECK_EQ(SUBSCRIBE(net, event->session, "all"), CRE_EGONE);
        snprintf(text, sizeof text, "-%d", (int)event->session);
        PUBLISH(net, "all", text, 0);
        break;
    case CRE_EVENT_MESSAGE:
        PUBLISH(net, "all", "m", 0);
        UNSUBSCRIBE(net, event->session, "all");
        PUBLISH(net, "all", "n", 0);
        SUBSCRIBE(net, event->session, "all");
        if (event->length && payload[0] == 'q') cre_engine_close(net->engine, event->session, 1000, NULL);
        if (event->length && payload[0] == 'r') {
            cre_record reset = { .kind = CRE_COMMAND_RESET, .session = event->session };
            cre_engine_command(net->engine, &reset, NULL, 0);
        }
        PUBLISH(net, "all", "o", 0);
        break;
    default: break;
    }
    return 0;
}

TEST_BOTH(publishing_inside_handlers) {
    net_server *net = net_start((cre_engine_config){ 0 }, busy);
    cre_session a_id, b_id;
    net_client a = join(net, &a_id), b = join(net, &b_id);
    net_ws_expect_text(&a, "+2");
    net_ws_text(&b, "x");
    for (const char *at = "mno"; *at; at++)
        net_ws_expect_text(&a, ((char[]){ *at, 0 }));
    net_ws_expect_text(&b, "m");
    net_ws_expect_text(&b, "o");
    net_ws_text(&b, "r");
    for (const char *at = "mno"; *at; at++)
        net_ws_expect_text(&a, ((char[]){ *at, 0 }));
    net_ws_expect_text(&a, "-2"); /* its end is reported when the handler has returned */
    net_close(&b);
    net_close(&a);
    net_stop(net);
}

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

TEST_BOTH(coming_and_going_at_random) {
    long live = atomic_load(&test_live_allocations);
    net_server *net = net_start((cre_engine_config){ .max_queue = 50000 }, busy);
    net->quiet = true;
    enum { SLOTS = 24 };
    net_client clients[SLOTS];
    for (int i = 0; i < SLOTS; i++)
        clients[i] = (net_client){ .descriptor = -1 };
    uint32_t state = 7;
    for (int step = 0; step < 4000; step++) {
        net_client *client = &clients[next_random(&state) % SLOTS];
        uint32_t what = next_random(&state) % 10;
        if (client->descriptor < 0)
            *client = net_ws_connect(net);
        else if (what < 5)
            net_ws_text(client, what < 4 ? "x" : next_random(&state) % 2 ? "q" : "r");
        else if (what == 5)
            net_close(client);
        else if (what == 6)
            net_abort(client);
        else if (what == 7)
            net_pull(client);
        else if (what == 8)
            cre_engine_broadcast(net->engine, CRE_WS_TEXT, "everyone", 8, 0);
        else
            net_turn(net);
    }
    for (int i = 0; i < SLOTS; i++)
        net_close(&clients[i]);
    NET_UNTIL(net, net->engine->net.open == 0);
    CHECK_EQ(net->engine->topics.count, 0);
    CHECK_EQ(net->engine->topics.everyone->count, 0);
    net_stop(net);
    CHECK_EQ(atomic_load(&test_live_allocations), live);
}

/* ---- limits and malformed commands ---- */

TEST_BOTH(limits_of_topics) {
    net_server *net = net_start((cre_engine_config){ .max_topics = 40, .max_subscriptions = 30 }, NULL);
    cre_session ids[2];
    net_client a = join(net, &ids[0]), b = join(net, &ids[1]);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "x", 1, 0), 0);
    char name[300];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "topic with the number %d", i);
        CHECK_EQ(SUBSCRIBE(net, ids[0], name), 0);
    }
    CHECK_EQ(SUBSCRIBE(net, ids[0], "one more"), CRE_ELIMIT);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "another topic %d", i);
        CHECK_EQ(SUBSCRIBE(net, ids[1], name), 0);
    }
    CHECK_EQ(SUBSCRIBE(net, ids[1], "one more"), CRE_ELIMIT);
    CHECK_EQ(SUBSCRIBE(net, ids[1], "topic with the number 7"), 0); /* it exists */
    CHECK_EQ(net_stats(net).topics, 40);
    CHECK_EQ(net_stats(net).subscriptions, 41); /* without those of the broadcast */
    net_ws_expect_text(&a, "x");
    PUBLISH(net, "topic with the number 7", "seven", 0);
    net_ws_expect_text(&a, "seven");
    memset(name, 'n', sizeof name);
    CHECK_EQ(UNSUBSCRIBE(net, ids[1], "another topic 3"), 0);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[1], name, 255), 0);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[1], name, 256), CRE_EINVALID);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[1], name, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_publish(net->engine, name, 256, CRE_WS_TEXT, "x", 1, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_publish(net->engine, name, 0, CRE_WS_TEXT, "x", 1, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_publish(net->engine, name, 255, CRE_WS_PING, "x", 1, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_CLOSE, "x", 1, 0), CRE_EINVALID);
    CHECK_EQ(SUBSCRIBE(net, ids[1] + 1000, "x"), CRE_EGONE);
    net_client plain = net_connect(net);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 3);
    CHECK_EQ(SUBSCRIBE(net, ids[1] + 1, "x"), CRE_ENOT_WEBSOCKET);
    cre_record malformed = { .kind = CRE_COMMAND_PUBLISH, .opcode = CRE_WS_TEXT };
    cre_slice part = { (const uint8_t *)"\xff\xff\0\0\0\0\0\0abc", 11 };
    for (part.length = 0; part.length <= 11; part.length++) {
        CHECK_EQ(cre_engine_command(net->engine, &malformed, &part, 1), CRE_EINVALID);
        CHECK_EQ(cre__command_check(&malformed, &part, 1), CRE_EINVALID);
    }
    net_close(&plain);
    net_close(&a);
    net_close(&b);
    net_stop(net);
}

TEST_BOTH(without_memory) {
    for (int n = 1; n < 25; n++) {
        long live = atomic_load(&test_live_allocations);
        net_server *net = net_start((cre_engine_config){ 0 }, NULL);
        cre_session ids[6];
        net_client clients[6];
        for (int i = 0; i < 6; i++)
            clients[i] = join(net, &ids[i]);
        static uint8_t bytes[200000];
        atomic_store(&test_fail_at, n);
        for (int i = 0; i < 6; i++)
            SUBSCRIBE(net, ids[i], i < 5 ? "t" : "u");
        PUBLISH(net, "t", "small", 0);
        PUBLISH(net, "u", "small", 0);
        cre_engine_publish(net->engine, "t", 1, CRE_WS_BINARY, bytes, sizeof bytes, 0);
        cre_engine_broadcast(net->engine, CRE_WS_BINARY, bytes, 70000, 0);
        net_turn(net);
        net_turn(net);
        atomic_store(&test_fail_at, 0);
        net_settle(net);
        CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "end", 3, 0), 0);
        int ended = 0;
        for (int i = 0; i < 6; i++) {
            cre_ws_frame frame;
            bool last = false;
            while (!last && net_ws_next(&clients[i], &frame)) {
                last = frame.length == 3 && memcmp(frame.payload, "end", 3) == 0;
                net_take(&clients[i], frame.size);
            }
            ended += !last;
        }
        CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), ended);
        for (int i = 0; i < 6; i++)
            net_close(&clients[i]);
        net_stop(net);
        CHECK_EQ(atomic_load(&test_live_allocations), live);
    }
}

TEST_MAIN()
