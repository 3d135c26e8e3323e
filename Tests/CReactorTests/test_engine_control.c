/* Control frames that a port delivers as messages. */
#include "both.h"

/* The last word of an owner: the code of its CLOSE on a delivered close frame, or on END; 0: none. */
static uint16_t on_frame, on_end;

static int answer(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    bool frame = event->kind == CRE_EVENT_MESSAGE && event->opcode == CRE_WS_CLOSE;
    if (frame && on_frame) CHECK_EQ(cre_engine_close(net->engine, event->session, on_frame, "chosen"), 0);
    if (event->kind != CRE_EVENT_END) return 0;
    cre_closing closing = { .code = on_end };
    cre_slice part = { (const uint8_t *)&closing, sizeof closing };
    cre_record command = { .kind = CRE_COMMAND_CLOSE, .session = event->session };
    CHECK_EQ(cre_engine_command(net->engine, &command, &part, 1), 0);
    return 0;
}

static net_server *start(cre_port_options port, bool half_open) {
    port.size = sizeof port;
    return net_start((cre_engine_config){ .ports = &port, .port_count = 1, .half_open = half_open }, answer);
}

static void expect_message(net_server *net, uint8_t opcode, const void *payload, size_t length) {
    const net_event *event = net_expect_event(net, CRE_EVENT_MESSAGE);
    CHECK_EQ(event->record.opcode, opcode);
    CHECK_EQ(event->record.length, length);
    if (event->record.length == length) CHECK_MEM(event->payload, payload, length);
}

TEST_BOTH(pings_are_delivered_instead_of_answered) {
    net_server *net = start((cre_port_options){ .deliver_ping = true }, true);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PONG, "unasked", 7);
    net_ws_send(&client, CRE_WS_BINARY, "fr", 2);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, "inside", 6);
    net_ws_send(&client, CRE_WS_FIN, "ag", 2);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, "", 0);
    expect_message(net, CRE_WS_PING, "inside", 6);
    expect_message(net, CRE_WS_BINARY, "frag", 4);
    expect_message(net, CRE_WS_PING, "", 0);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_PONG, "own", 3), 0);
    net_ws_expect(&client, CRE_WS_PONG, "own", 3); /* and none before */
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pongs_are_delivered_and_pings_answered) {
    net_server *net = start((cre_port_options){ .deliver_pong = true }, true);
    net_client client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, "x", 1);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PONG, "beat", 4);
    expect_message(net, CRE_WS_PONG, "beat", 4);
    net_ws_expect(&client, CRE_WS_PONG, "x", 1);
    net_close(&client);
    net_stop(net);
}

/* Sends a close frame, and expects it as a message, before END in a half-open engine, and another one as the
 * answer. */
static void close_and_expect(net_server *net, bool half_open, uint16_t code, uint16_t answered) {
    uint8_t payload[5] = { (uint8_t)(code >> 8), (uint8_t)code, 'b', 'y', 'e' };
    size_t length = code ? sizeof payload : 0;
    net_client client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_CLOSE, payload, length);
    net_ws_text(&client, "too late");
    CHECK_EQ(net_ws_expect_close(&client), answered);
    net_await_end(&client);
    CHECK_EQ(client.error, 0);
    expect_message(net, CRE_WS_CLOSE, payload, length);
    const net_event *event = net_next(net);
    if (half_open && !on_frame) {
        CHECK_EQ(event->record.kind, CRE_EVENT_END);
        event = net_next(net);
    }
    cre_closed closed = net_closed(event); /* as the peer has said */
    CHECK_EQ(closed.reason, CRE_CLOSED_PEER);
    CHECK_EQ(closed.code, code ? code : 1005);
    net_close(&client);
}

TEST_BOTH(close_frames_are_delivered_and_answered) {
    for (int half_open = 0; half_open < 2; half_open++) {
        net_server *net = start((cre_port_options){ .deliver_close = true }, half_open);
        on_frame = on_end = 0;
        close_and_expect(net, half_open, 4000, 4000);
        close_and_expect(net, half_open, 0, 1005);
        on_frame = 4321;
        close_and_expect(net, half_open, 4000, 4321);
        close_and_expect(net, half_open, 0, 4321);
        on_frame = 0;
        on_end = 4322;
        close_and_expect(net, half_open, 4000, half_open ? 4322 : 4000);
        net_settle(net);
        CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 5);
        net_stop(net);
    }
}

/* A port without the option answers with the code of the peer, whatever its owner says. */
TEST_BOTH(other_ports_answer_themselves) {
    net_server *net = start((cre_port_options){ 0 }, true);
    on_frame = 0;
    on_end = 4322;
    net_client client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_ws_send_close(&client, 4000);
    CHECK_EQ(net_ws_expect_close(&client), 4000);
    net_await_end(&client);
    CHECK_EQ(net_count_events(net, CRE_EVENT_MESSAGE), 0);
    net_close(&client);
    net_stop(net);
}

/* The answer to our own close frame is no message. */
TEST_BOTH(the_answer_to_a_close_is_not_delivered) {
    net_server *net = start((cre_port_options){ .deliver_close = true, .deliver_ping = true }, true);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_close(net->engine, session, 4000, NULL), 0);
    CHECK_EQ(net_ws_expect_close(&client), 4000);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, "late", 4);
    net_ws_send_close(&client, 4000);
    net_await_end(&client);
    CHECK_EQ(net_closed(net_next(net)).reason, CRE_CLOSED_SERVER);
    CHECK_EQ(net_count_events(net, CRE_EVENT_MESSAGE), 0);
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
