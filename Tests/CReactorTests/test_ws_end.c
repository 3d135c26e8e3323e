/* The end of a WebSocket whose owner answers later: its last answers come before the end is answered. */
#include "both.h"

static uint8_t large[3000000];

/* Notes events only: the test is the owner, and answers when it likes. */
static net_server *start(uint32_t close_timeout_ms) {
    return net_start((cre_engine_config){ .half_open = true,
                                          .http = true,
                                          .max_message = sizeof large,
                                          .close_timeout_ms = close_timeout_ms },
                     NULL);
}

/* Sends some frames as one piece, and returns the session when all of them are reported up to END. */
static cre_session send_all(net_server *net, net_client *client, const char *end, size_t end_size) {
    size_t size;
    uint8_t bytes[256], *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, "first", 5, &size);
    memcpy(bytes, frame, size);
    memcpy(bytes + size, frame, size);
    memcpy(bytes + 2 * size, end, end_size);
    free(frame);
    net_send(client, bytes, 2 * size + end_size);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    net_expect_event(net, CRE_EVENT_MESSAGE);
    net_expect_event(net, CRE_EVENT_MESSAGE);
    net_expect_event(net, CRE_EVENT_END);
    return session;
}

#define CLOSE_4000 "\x88\x82\0\0\0\0\x0f\xa0"

static void expect_closed(net_server *net, cre_close_reason reason, uint16_t code) {
    cre_closed closed = net_closed(net_next(net));
    CHECK_EQ(closed.reason, reason);
    CHECK_EQ(closed.code, code);
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 1);
    CHECK_EQ(net_count_events(net, CRE_EVENT_END), 1);
}

TEST_BOTH(answers_come_before_the_end) {
    static const struct {
        const char *bytes;
        size_t size;
        cre_close_reason reason;
        uint16_t code;
    } ends[] = {
        { CLOSE_4000, 8, CRE_CLOSED_PEER, 4000 },
        { "\x88\x80\0\0\0\0", 6, CRE_CLOSED_PEER, 1005 },
        { "\x83\x80\0\0\0\0", 6, CRE_CLOSED_PROTOCOL, 1002 },
        { "\x81\x81\0\0\0\0\xff", 7, CRE_CLOSED_PROTOCOL, 1007 },
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        net_server *net = start(600000);
        net_client client = net_ws_connect(net);
        cre_session session = send_all(net, &client, ends[i].bytes, ends[i].size);
        net_settle(net);
        net_pull(&client);
        CHECK_EQ(client.length, 0);
        CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "one", 3), 0);
        net_ws_expect_text(&client, "one");
        CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "two", 3), 0);
        CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
        CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), CRE_EGONE);
        CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "x", 1), CRE_EGONE);
        net_ws_expect_text(&client, "two");
        CHECK_EQ(net_ws_expect_close(&client), ends[i].code);
        net_await_end(&client);
        CHECK_EQ(client.error, 0);
        expect_closed(net, ends[i].reason, ends[i].code);
        net_close(&client);
        net_stop(net);
    }
}

TEST(input_behind_the_close_frame_does_no_harm) {
    net_server *net = start(600000);
    net_client client = net_ws_connect(net);
    cre_session session = send_all(net, &client, CLOSE_4000, 8);
    for (int i = 0; i < 50; i++)
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, large, 1000);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_BINARY, large, sizeof large), 0);
    CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
    for (int i = 0; i < 50; i++)
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, large, 1000);
    net_ws_expect(&client, CRE_WS_BINARY, large, sizeof large);
    CHECK_EQ(net_ws_expect_close(&client), 4000);
    net_await_end(&client);
    CHECK_EQ(client.error, 0);
    net_close(&client);
    expect_closed(net, CRE_CLOSED_PEER, 4000);
    NET_UNTIL(net, net_stats(net).closed == 1);
    net_stop(net);
}

/* The close frame of a client that leaves at once was received nevertheless. */
TEST(who_does_not_wait_has_closed_in_order) {
    net_server *net = start(600000);
    net_client client = net_ws_connect(net);
    cre_session session = send_all(net, &client, CLOSE_4000, 8);
    net_abort(&client);
    for (int i = 0; i < NET_WAITS && !net_count_events(net, CRE_EVENT_CLOSE); i++) {
        cre_engine_push(net->engine, session, CRE_WS_BINARY, large, 100000);
        net_turn(net);
    }
    expect_closed(net, CRE_CLOSED_PEER, 4000);
    net_stop(net);
}

TEST_BOTH(the_owner_has_limited_time) {
    net_server *net = start(1);
    net_client client = net_ws_connect(net);
    send_all(net, &client, CLOSE_4000, 8);
    CHECK_EQ(net_ws_expect_close(&client), 4000);
    net_await_end(&client);
    expect_closed(net, CRE_CLOSED_PEER, 4000);
    net_close(&client);
    net_stop(net);
}

static void set_flag(void *context) {
    *(bool *)context = true;
}

TEST_BOTH(a_shutdown_waits_for_the_last_answers) {
    net_server *net = start(600000);
    net_client client = net_ws_connect(net);
    cre_session session = send_all(net, &client, CLOSE_4000, 8);
    bool done = false;
    cre_engine_shutdown(net->engine, 600000, set_flag, &done);
    net_settle(net);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "last", 4), 0);
    CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
    net_ws_expect_text(&client, "last");
    CHECK_EQ(net_ws_expect_close(&client), 4000);
    net_await_end(&client);
    net_close(&client);
    NET_UNTIL(net, done);
    net_stop(net);
}

/* The client keeps its side open. */
TEST_BOTH(a_shutdown_does_not_wait_for_who_has_everything) {
    net_server *net = start(600000);
    net_client client = net_connect(net);
    net_send_text(&client, "malformed\r\n\r\n");
    CHECK_EQ(net_response(&client, NULL, 0, false), 400);
    net_await_end(&client);
    bool done = false;
    net_settle(net);
    CHECK_EQ(net_stats(net).closed, 0);
    cre_engine_shutdown(net->engine, 600000, set_flag, &done);
    NET_UNTIL(net, done);
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
