/* Clients of client.h against servers of the library, plain and over TLS. */
#include "both.h"
#include "client_record.h"
#ifdef CRE_HAVE_TLS
#include "dialer.h"
#endif

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_RECEIVE)
        cre_engine_send(net->engine, event->session, payload, event->length);
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

static net_server *stream_server(void) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    return net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, echo);
}

/* ---- streams ---- */

CLIENT_BOTH(a_stream) {
    net_server *net = stream_server();
    record_of it = { 0 };
    cre_client_options options = options_for(&it, net->port, false);
    record_start(net, &options);
    CHECK_EQ(cre_client_send(it.client, "x", 1), CRE_ESTATE);
    CHECK_EQ(cre_client_close(it.client, 0, NULL, 0), CRE_ESTATE);
    NET_UNTIL(net, it.opened);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "x", 1), CRE_ESTATE);
    CHECK_EQ(cre_client_send(it.client, "hello server", 12), 0);
    CHECK_EQ(cre_client_queued(it.client), 12);
    cre_client_await_drain(it.client);
    NET_UNTIL(net, it.length >= 12);
    CHECK_STR((char *)it.data, "hello server");
    CHECK_EQ(it.drained, 1);
    CHECK_EQ(cre_client_close(it.client, 0, NULL, 0), 0);
    CHECK_EQ(cre_client_close(it.client, 0, NULL, 0), CRE_ESTATE);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, 0);
    CHECK(it.ending.opened);
    CHECK(!it.ending.by_server);
    record_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(a_server_that_ends_a_stream) {
    net_server *net = stream_server();
    record_of it = { 0 };
    cre_client_options options = options_for(&it, net->port, false);
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    cre_engine_close(net->engine, net_expect_event(net, CRE_EVENT_CONNECT)->record.session, 0, NULL);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, 0);
    CHECK(it.ending.by_server);
    record_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(packets_one_at_a_time) {
    net_server *net = stream_server();
    record_of it = { .pause_each = true };
    cre_framing_config framing = {
        .size = sizeof framing, .kind = CRE_FRAMING_MARKER_SPLIT, .marker = "\r\n", .marker_length = 2
    };
    cre_client_options options = options_for(&it, net->port, false);
    options.framing = &framing;
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(cre_client_send(it.client, "0123456789\r\n", 12), 0);
    for (int i = 1; i <= 100; i++) {
        NET_UNTIL(net, it.messages == i);
        net_settle(net);
        CHECK_EQ(it.messages, i);
        cre_client_resume(it.client);
        CHECK_EQ(it.messages, i);
    }
    CHECK_EQ(it.length, 1200);
    record_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(a_packet_that_is_too_long) {
    net_server *net = stream_server();
    record_of it = { 0 };
    cre_framing_config framing = { .size = sizeof framing,
                                   .kind = CRE_FRAMING_MARKER_SPLIT,
                                   .marker = "\n",
                                   .marker_length = 1,
                                   .max_length = 10 };
    cre_client_options options = options_for(&it, net->port, false);
    options.framing = &framing;
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    CHECK_EQ(cre_client_send(it.client, "0123456789abcdef", 16), 0);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, CRE_EFRAMING_NO_MARKER);
    record_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(a_full_queue) {
    net_server *net = stream_server();
    record_of it = { 0 };
    static uint8_t bytes[100000];
    cre_client_options options = options_for(&it, net->port, false);
    options.max_queue = sizeof bytes;
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    CHECK_EQ(cre_client_send(it.client, bytes, sizeof bytes), 0);
    CHECK_EQ(cre_client_send(it.client, bytes, 1), CRE_EQUEUE_FULL);
    CHECK_EQ(cre_client_send(it.client, bytes, (size_t)CRE_CLIENT_MAX_SEND + 1), CRE_ELIMIT);
    cre_client_await_drain(it.client);
    NET_UNTIL(net, it.drained);
    CHECK_EQ(cre_client_send(it.client, bytes, 1), 0);
    NET_UNTIL(net, it.length == sizeof bytes + 1);
    record_stop(&it);
    net_stop(net);
}

/* ---- WebSockets ---- */

CLIENT_BOTH(messages) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    record_of it = { 0 };
    cre_client_options options = options_for(&it, net->port, true);
    options.target = "/chat?room=1";
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    CHECK(!it.compressed);
    CHECK_EQ(cre_client_send(it.client, "x", 1), CRE_ESTATE);
    static uint8_t bytes[200000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    static const size_t sizes[] = { 0, 1, 125, 126, 127, 4000, 4001, 65535, 65536, 200000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        it.length = 0;
        CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_BINARY, bytes, sizes[i]), 0);
        NET_UNTIL(net, it.messages == (int)i + 1);
        CHECK_EQ(it.opcode, CRE_WS_BINARY);
        CHECK_EQ(it.length, sizes[i]);
        CHECK_MEM(it.data, bytes, sizes[i]);
    }
    it.length = 0;
    CHECK_EQ(cre_client_push(it.client, CRE_WS_TEXT, "gr\xc3", 3), 0);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "x", 1), CRE_EWS_INTERLEAVED);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_PING, "p", 1), 0);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_CONTINUATION, "\xbc\xc3\x9f", 3), 0);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "\xff", 1), CRE_EWS_UTF8);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_CLOSE, NULL, 0), CRE_EINVALID);
    NET_UNTIL(net, it.length == 7);
    CHECK_STR((char *)it.data, "pgr\xc3\xbc\xc3\x9f"); /* the pong overtakes the message */
    CHECK_EQ(cre_client_close(it.client, 4000, "done", 4), 0);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "x", 1), CRE_ESTATE);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, 0);
    CHECK_EQ(it.ending.code, 4000);
    CHECK(!it.ending.by_server);
    record_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(a_paused_websocket) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    record_of it = { .pause_each = true };
    cre_client_options options = options_for(&it, net->port, true);
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    static uint8_t bytes[70000];
    for (int i = 0; i < 20; i++)
        CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_BINARY, bytes, i % 3 ? 10 : sizeof bytes), 0);
    for (int i = 1; i <= 20; i++) {
        NET_UNTIL(net, it.messages == i);
        net_settle(net);
        CHECK_EQ(it.messages, i);
        cre_client_resume(it.client);
    }
    CHECK_EQ(it.length, 7 * sizeof bytes + 13 * 10);
    /* Closing does not wait for messages that are not taken. */
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "a", 1), 0);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "b", 1), 0);
    NET_UNTIL(net, it.messages == 21);
    CHECK_EQ(cre_client_close(it.client, 1000, NULL, 0), 0);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.messages, 21);
    CHECK_EQ(it.ending.error, 0);
    record_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(a_server_that_closes_a_websocket) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    record_of it = { 0 };
    cre_client_options options = options_for(&it, net->port, true);
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    cre_engine_close(net->engine, net_expect_event(net, CRE_EVENT_OPEN)->record.session, 4321, "enough");
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, 0);
    CHECK_EQ(it.ending.code, 4321);
    CHECK_STR(it.text, "enough");
    CHECK(it.ending.by_server);
    record_stop(&it);
    net_stop(net);
}

#ifdef CRE_HAVE_DEFLATE
CLIENT_BOTH(compressed_messages) {
    cre_ws_deflate_config deflate = { .size = sizeof deflate };
    net_server *net = net_start((cre_engine_config){ .deflate = &deflate }, echo);
    record_of it = { 0 };
    cre_client_options options = options_for(&it, net->port, true);
    options.deflate = &deflate;
    record_start(net, &options);
    NET_UNTIL(net, it.opened);
    CHECK(it.compressed);
    static char text[20000];
    memset(text, 'a', sizeof text);
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, text, sizeof text), 0);
        CHECK(cre_client_queued(it.client) < 1000);
        NET_UNTIL(net, it.messages == i);
    }
    CHECK_EQ(it.length, 3 * sizeof text);
    CHECK_EQ(it.data[it.length - 1], 'a');
    record_stop(&it);
    net_stop(net);
}
#endif

CLIENT_BOTH(aborting) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    record_of it = { .abort_in_callback = true };
    cre_client_options options = options_for(&it, net->port, true);
    record_start(net, &options);
    cre_client *other;
    REQUIRE(cre_client_connect(it.clients, &options, &other) == 0);
    cre_client_abort(other); /* while it connects */
    cre_client_abort(NULL);
    REQUIRE(cre_client_connect(it.clients, &options, &other) == 0); /* aborted with the clients */
    NET_UNTIL(net, it.opened == 2);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "x", 1), 0);
    NET_UNTIL(net, it.messages == 1);
    net_settle(net);
    CHECK_EQ(it.closed, 0);
    record_stop(&it);
    net_stop(net);
}

TEST_MAIN()
