/* Users: connections that are reached, and closed, by the name of their user. */
#include "both.h"

#define TOPIC(name) CRE_TOPIC_USER name
#define PUBLISH(net, topic, text, except) \
    cre_engine_publish((net)->engine, topic, strlen(topic), CRE_WS_TEXT, text, strlen(text), except)

/* An open WebSocket and its id. */
static net_client join(net_server *net, cre_session *session) {
    net_client client = net_ws_connect(net);
    *session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    return client;
}

static int bind_name(net_server *net, cre_session session, const char *name) {
    const cre_record command = { .kind = CRE_COMMAND_BIND, .session = session };
    const cre_binding binding = { .user_id = 0 };
    const cre_slice parts[] = { { (const uint8_t *)&binding, sizeof binding },
                                { (const uint8_t *)name, strlen(name) } };
    return cre_engine_command(net->engine, &command, parts, 2);
}

static int unbind(net_server *net, cre_session session) {
    const cre_record command = { .kind = CRE_COMMAND_UNBIND, .session = session };
    return cre_engine_command(net->engine, &command, NULL, 0);
}

static int disconnect(net_server *net, const char *topic, const char *payload, size_t length,
                      cre_session except) {
    return cre_engine_publish(net->engine, topic, strlen(topic), CRE_WS_CLOSE, payload, length, except);
}

static void expect_nothing(net_client *client) {
    net_settle(client->net);
    net_pull(client);
    CHECK_EQ(client->length, 0);
}

static uint32_t user_id(const net_server *net, cre_session session) {
    cre_connection_info info;
    CHECK(cre_table_get_info(cre_engine_table(net->engine), session, &info, sizeof info));
    return info.user_id;
}

TEST_BOTH(messages_reach_the_connections_of_a_user) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_session ids[3];
    net_client a = join(net, &ids[0]), b = join(net, &ids[1]), c = join(net, &ids[2]);
    CHECK_EQ(bind_name(net, ids[0], "alice"), 0);
    CHECK_EQ(bind_name(net, ids[0], "alice"), CRE_ESTATE);
    CHECK_EQ(cre_engine_bind(net->engine, ids[0], 7), CRE_ESTATE);
    CHECK_EQ(user_id(net, ids[0]), 0);
    CHECK_EQ(bind_name(net, ids[1], "alice"), 0);
    CHECK_EQ(cre_engine_bind(net->engine, ids[2], 42), 0);
    CHECK_EQ(bind_name(net, ids[2], "bob"), CRE_ESTATE);
    CHECK_EQ(PUBLISH(net, TOPIC("alice"), "both", 0), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("alice"), "other", ids[0]), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("42"), "number", 0), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("bob"), "nobody", 0), 0);
    net_ws_expect_text(&a, "both");
    net_ws_expect_text(&b, "both");
    net_ws_expect_text(&b, "other");
    net_ws_expect_text(&c, "number");
    /* Another user afterwards. */
    CHECK_EQ(unbind(net, ids[0]), 0);
    CHECK_EQ(unbind(net, ids[0]), 0);
    CHECK_EQ(net_stats(net).users, 2); /* "alice" and 42 */
    CHECK_EQ(bind_name(net, ids[0], "bob"), 0);
    CHECK_EQ(net_stats(net).users, 3);
    CHECK_EQ(unbind(net, ids[2]), 0);
    CHECK_EQ(user_id(net, ids[2]), 0);
    CHECK_EQ(cre_engine_bind(net->engine, ids[2], 43), 0);
    CHECK_EQ(user_id(net, ids[2]), 43);
    CHECK_EQ(PUBLISH(net, TOPIC("alice"), "one", 0), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("bob"), "two", 0), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("42"), "three", 0), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("43"), "four", 0), 0);
    net_ws_expect_text(&b, "one");
    net_ws_expect_text(&a, "two");
    net_ws_expect_text(&c, "four");
    net_close(&a);
    net_close(&b);
    net_close(&c);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
    CHECK_EQ(net_stats(net).topics, 0);
    CHECK_EQ(net_stats(net).users, 0);
    net_stop(net);
}

TEST_BOTH(names_that_are_no_users) {
    char longest[CRE_MAX_USER + 2];
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_session id;
    net_client client = join(net, &id);
    memset(longest, 'x', sizeof longest);
    longest[CRE_MAX_USER + 1] = 0;
    CHECK_EQ(bind_name(net, id, ""), CRE_EINVALID);
    CHECK_EQ(bind_name(net, id, longest), CRE_EINVALID);
    CHECK_EQ(bind_name(net, id, longest + 1), 0);
    /* A client that chooses its topics cannot receive the messages of other users. */
    CHECK_EQ(cre_engine_subscribe(net->engine, id, TOPIC("bob"), strlen(TOPIC("bob"))), CRE_EINVALID);
    CHECK_EQ(cre_engine_subscribe(net->engine, id, CRE_TOPIC_RESERVED, 5), CRE_EINVALID);
    CHECK_EQ(cre_engine_unsubscribe(net->engine, id, longest, 255 - 10), 0);
    CHECK_EQ(cre_engine_subscribe(net->engine, id, "$sws", 4), 0);
    net_close(&client);
    net_stop(net);
}

/* Users count for no limit of topics and subscriptions. */
TEST_BOTH(users_beside_limits) {
    net_server *net = net_start((cre_engine_config){ .max_topics = 1, .max_subscriptions = 1 }, NULL);
    cre_session ids[2];
    net_client a = join(net, &ids[0]), b = join(net, &ids[1]);
    CHECK_EQ(bind_name(net, ids[0], "a"), 0);
    CHECK_EQ(bind_name(net, ids[1], "b"), 0);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_TEXT, "all", 3, 0), 0);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[0], "t", 1), 0);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[0], "u", 1), CRE_ELIMIT);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[1], "u", 1), CRE_ELIMIT);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[1], "t", 1), 0);
    CHECK_EQ(unbind(net, ids[0]), 0);
    CHECK_EQ(cre_engine_subscribe(net->engine, ids[0], "u", 1), CRE_ELIMIT);
    net_close(&a);
    net_close(&b);
    net_stop(net);
}

static int publish_on_close(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    if (event->kind == CRE_EVENT_CLOSE) CHECK_EQ(PUBLISH(net, TOPIC("alice"), "closed", 0), 0);
    return 0;
}

TEST_BOTH(all_connections_of_a_user_are_closed) {
    static const char bye[] = "\x0f\xa1"
                              "bye";
    net_server *net = net_start((cre_engine_config){ 0 }, publish_on_close);
    cre_session ids[4];
    net_client a = join(net, &ids[0]), b = join(net, &ids[1]), c = join(net, &ids[2]);
    net_client other = join(net, &ids[3]);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(bind_name(net, ids[i], "alice"), 0);
    CHECK_EQ(bind_name(net, ids[3], "bob"), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("alice"), "before", 0), 0);
    CHECK_EQ(disconnect(net, TOPIC("alice"), bye, 5, ids[1]), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("alice"), "after", 0), 0);
    net_client *closed[] = { &a, &c };
    for (int i = 0; i < 2; i++) {
        cre_ws_frame frame;
        net_ws_expect_text(closed[i], "before");
        REQUIRE(net_ws_next(closed[i], &frame));
        CHECK_EQ(frame.opcode, CRE_WS_CLOSE);
        CHECK_EQ(frame.length, 5);
        CHECK_MEM(frame.payload, bye, 5);
        net_take(closed[i], frame.size);
        net_ws_send_close(closed[i], 4001);
        const net_event *event = net_expect_event(net, CRE_EVENT_CLOSE);
        CHECK_EQ(net_closed(event).reason, CRE_CLOSED_SERVER);
        CHECK_EQ(net_closed(event).code, 4001);
        CHECK(net_await_end(closed[i]));
    }
    const char *expected[] = { "before", "after", "closed", "closed" };
    for (int i = 0; i < 4; i++)
        net_ws_expect_text(&b, expected[i]);
    expect_nothing(&other);
    /* Nobody is there, and malformed payloads. */
    CHECK_EQ(disconnect(net, TOPIC("carol"), bye, 5, 0), 0);
    CHECK_EQ(disconnect(net, TOPIC("alice"), "", 0, 0), CRE_EINVALID);
    CHECK_EQ(disconnect(net, TOPIC("alice"), "\x0f", 1, 0), CRE_EINVALID);
    CHECK_EQ(disconnect(net, TOPIC("alice"), "\x03\xed", 2, 0), CRE_EINVALID); /* 1005 */
    CHECK_EQ(disconnect(net, TOPIC("alice"), "\x0f\xa1\xff", 3, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_CLOSE, bye, 5, 0), CRE_EINVALID);
    net_close(&a);
    net_close(&b);
    net_close(&c);
    net_close(&other);
    net_stop(net);
}

static const cre_port_options asking = {
    .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_WEBSOCKET, .http = true, .ask_upgrade = true
};

/* A number may be given before the handshake is answered, and to connections that are none. */
TEST_BOTH(a_user_before_the_handshake) {
    net_server *net = net_start((cre_engine_config){ .ports = &asking, .port_count = 1 }, NULL);
    net_client client = net_connect(net);
    net_send_text(&client, NET_UPGRADE);
    const cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(bind_name(net, session, "alice"), CRE_ENOT_WEBSOCKET);
    CHECK_EQ(cre_engine_bind(net->engine, session, 42), 0);
    CHECK_EQ(PUBLISH(net, TOPIC("42"), "early", 0), 0);
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), 0);
    net_upgraded(&client);
    CHECK_EQ(PUBLISH(net, TOPIC("42"), "open", 0), 0);
    net_ws_expect_text(&client, "open");
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
