/* WebSockets over HTTP/2 (RFC 8441): the frames are the same, and each socket is a stream. */
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "http2_net.h"

#define CONNECT_FIELDS(path)                                                                     \
    ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a.example\n:path: " path \
    "\nsec-websocket-version: 13\n"

static int act(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        CHECK_EQ(cre_engine_push(net->engine, event->session, event->opcode, payload, event->length), 0);
    return 0;
}

static net_server *start(cre_port_options options) {
    static const char *const subprotocols[] = { "chat", NULL };
    options.size = sizeof options;
    options.http = true;
    return net_start((cre_engine_config){ .ports = &options, .port_count = 1, .subprotocols = subprotocols },
                     act);
}

/* A frame of a client, masked with zeros, in a DATA frame. */
static void put_ws(wire *w, uint32_t stream, int flags, uint8_t opcode, const char *payload) {
    uint8_t frame[200] = { (uint8_t)(CRE_WS_FIN | opcode), (uint8_t)(0x80 | strlen(payload)) };
    REQUIRE(strlen(payload) < 126);
    memcpy(frame + 6, payload, strlen(payload));
    put_frame(w, DATA, flags, stream, frame, 6 + strlen(payload));
}

TEST(messages_on_several_streams) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, CONNECT_FIELDS("/a") "sec-websocket-protocol: chat\n");
    put_headers(&c->out, 3, 0, CONNECT_FIELDS("/b"));
    put_ws(&c->out, 3, 0, CRE_WS_TEXT, "early");
    h2_send(c);
    h2_await(c, "HEADERS 1 :status=200 sec-websocket-protocol=chat|");
    h2_await(c, "HEADERS 3 :status=200|");
    h2_await(c, "DATA 3 '\x81\x05"
                "early'|");
    const net_event *event = net_expect_event(net, CRE_EVENT_OPEN);
    const cre_session first = event->record.session;
    CHECK_EQ(cre_table_state(cre_engine_table(net->engine), first), CRE_CONNECTION_OPEN);
    put_ws(&c->out, 1, 0, CRE_WS_TEXT, "one");
    h2_send(c);
    h2_await(c, "DATA 1 '\x81\x03"
                "one'|");
    /* a push, and the server's close */
    CHECK_EQ(cre_engine_push(net->engine, first, CRE_WS_TEXT, "push", 4), 0);
    h2_await(c, "DATA 1 '\x81\x04"
                "push'|");
    CHECK_EQ(cre_engine_close(net->engine, first, 1000, NULL), 0);
    h2_await(c, "DATA 1 '\x88\x02\x03\xe8'|");
    put_ws(&c->out, 1, END_STREAM, CRE_WS_CLOSE, "\x03\xe8");
    h2_send(c);
    h2_await(c, "DATA 1 '' end|");
    /* the client's close of the other one, which is still served */
    put_ws(&c->out, 3, 0, CRE_WS_TEXT, "two");
    put_ws(&c->out, 3, 0, CRE_WS_CLOSE, "\x03\xe8");
    h2_send(c);
    h2_await(c, "DATA 3 '\x81\x03"
                "two\x88\x02\x03\xe8' end|");
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 2);
    CHECK_EQ(net_stats(net).accepted, 1);
    h2_close(c);
    net_stop(net);
}

/* The end of a WebSocket that the server closes does not wait for a client that never ends its side. */
TEST(a_stream_that_the_client_keeps_open) {
    net_server *net = start((cre_port_options){ .close_timeout_ms = 1 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, CONNECT_FIELDS("/a"));
    h2_send(c);
    h2_await(c, "HEADERS 1 :status=200|");
    const cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_close(net->engine, session, 1000, NULL), 0);
    h2_await(c, "DATA 1 '\x88\x02\x03\xe8'|");
    put_ws(&c->out, 1, 0, CRE_WS_CLOSE, "\x03\xe8");
    h2_send(c);
    h2_await(c, "DATA 1 '' end|RST_STREAM 1 code=8|");
    h2_close(c);
    net_stop(net);
}

TEST(messages_in_many_frames) {
    static uint8_t frame[8 + 40000] = { CRE_WS_FIN | CRE_WS_BINARY, 0x80 | 126, 40000 >> 8, 40000 & 0xFF };
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, CONNECT_FIELDS("/a"));
    for (size_t at = 0; at < sizeof frame; at += 5001) {
        put_frame(&c->out, DATA, 0, 1, frame + at, sizeof frame - at < 5001 ? sizeof frame - at : 5001);
        h2_send(c);
        net_settle(net);
    }
    h2_await_data(c, 4 + 40000);
    h2_close(c);
    net_stop(net);
}

TEST(handshakes_that_are_asked_about) {
    net_server *net = start((cre_port_options){ .ask_upgrade = true });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, CONNECT_FIELDS("/a"));
    put_ws(&c->out, 1, 0, CRE_WS_TEXT, "early");
    put_headers(&c->out, 3, 0, CONNECT_FIELDS("/b"));
    put_headers(&c->out, 5, 0, CONNECT_FIELDS("/c"));
    h2_send(c);
    const cre_session accepted = net_expect_event(net, CRE_EVENT_REQUEST)->record.session,
                      refused = net_expect_event(net, CRE_EVENT_REQUEST)->record.session,
                      other = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(cre_engine_upgrade(net->engine, accepted, NULL, "X: y\r\n"), 0);
    h2_await(c, "HEADERS 1 :status=200 x=y|");
    h2_await(c, "DATA 1 '\x81\x05"
                "early'|");
    CHECK_EQ(cre_engine_respond(net->engine, refused, 403, NULL, "no", 2), 0);
    h2_await(c, "HEADERS 3 :status=403");
    h2_await(c, "DATA 3 'no' end|");
    CHECK_EQ(cre_engine_respond(net->engine, other, 200, NULL, "page", 4), 0);
    h2_await(c, "DATA 5 'page' end|");
    h2_close(c);
    net_stop(net);
}

TEST(a_message_whose_end_arrives_before_the_answer) {
    static uint8_t frame[8 + 20000] = { CRE_WS_FIN | CRE_WS_BINARY, 0x80 | 126, 20000 >> 8, 20000 & 0xFF };
    net_server *net = start((cre_port_options){ .ask_upgrade = true });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, CONNECT_FIELDS("/a"));
    for (size_t at = 0; at < sizeof frame; at += 5002) {
        put_frame(&c->out, DATA, 0, 1, frame + at, 5002);
        h2_send(c);
        net_settle(net);
    }
    const cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(cre_engine_upgrade(net->engine, session, NULL, NULL), 0);
    h2_await_data(c, 4 + 20000);
    h2_close(c);
    net_stop(net);
}

TEST(lost_streams_and_connections) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, CONNECT_FIELDS("/a"));
    put_headers(&c->out, 3, 0, CONNECT_FIELDS("/b"));
    h2_send(c);
    h2_await(c, "HEADERS 3 :status=200|");
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_OPEN) == 2);
    put_reset(&c->out, 1, CRE_HTTP2_CANCEL);
    h2_send(c);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 1);
    net_abort(&c->socket);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 2);
    for (int i = 0; i < net->count; i++)
        if (net->events[i].record.kind == CRE_EVENT_CLOSE)
            CHECK_EQ(net_closed(&net->events[i]).reason, CRE_CLOSED_PEER);
    h2_close(c);
    net_stop(net);
}

/* A client that does not take the messages of one socket holds up no other one. */
TEST(slow_streams) {
    static const char message[60000] = { 0 };
    net_server *net = start((cre_port_options){ .max_queue = 100000 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, CONNECT_FIELDS("/a"));
    put_headers(&c->out, 3, 0, CONNECT_FIELDS("/b"));
    put_window_update(&c->out, 0, 1 << 20);
    h2_send(c);
    h2_await(c, "HEADERS 3 :status=200|");
    const cre_session slow = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_push(net->engine, slow, CRE_WS_BINARY, message, sizeof message), 0);
    h2_await_data(c, sizeof message + 4);
    CHECK_EQ(cre_engine_push(net->engine, slow, CRE_WS_BINARY, message, sizeof message), 0);
    net_settle(net);
    CHECK_EQ(cre_engine_push(net->engine, slow, CRE_WS_BINARY, message, sizeof message), CRE_EQUEUE_FULL);
    put_ws(&c->out, 3, 0, CRE_WS_TEXT, "fast");
    h2_send(c);
    h2_await(c, "DATA 3 '\x81\x04"
                "fast'|");
    put_window_update(&c->out, 1, 1 << 20);
    h2_send(c);
    h2_await_data(c, 2 * (sizeof message + 4) + 6);
    h2_close(c);
    net_stop(net);
}
#else
TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}
#endif

TEST_MAIN()
