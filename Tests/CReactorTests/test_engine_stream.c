/* Plain streams on real sockets: bytes, packets, ends. */
#include "both.h"

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_RECEIVE)
        cre_engine_send(net->engine, event->session, payload, event->length);
    if (event->kind == CRE_EVENT_END) cre_engine_close(net->engine, event->session, 0, NULL);
    return 0;
}

static net_server *start(cre_port_options port, bool half_open) {
    port.size = sizeof port;
    port.protocol = CRE_PROTOCOL_STREAM;
    return net_start((cre_engine_config){ .ports = &port, .port_count = 1, .half_open = half_open }, echo);
}

static int reason_of(net_server *net) {
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) > 0);
    for (int i = 0; i < net->count; i++)
        if (net->events[i].record.kind == CRE_EVENT_CLOSE) return net_closed(&net->events[i]).reason;
    return 0;
}

TEST_BOTH(bytes_come_back) {
    net_server *net = start((cre_port_options){ 0 }, false);
    net_client client = net_connect(net);
    const net_event *connected = net_expect_event(net, CRE_EVENT_CONNECT);
    cre_session session = connected->record.session;
    CHECK_EQ(connected->record.length, 0);
    CHECK_EQ(cre_table_state(cre_engine_table(net->engine), session), CRE_CONNECTION_STREAM);
    net_send_text(&client, "hello");
    CHECK(net_await(&client, 5));
    CHECK_MEM(client.data, "hello", 5);
    const net_event *received = net_expect_event(net, CRE_EVENT_RECEIVE);
    CHECK_EQ(received->record.session, session);
    CHECK_EQ(received->record.length, 5);
    /* What belongs to other protocols is refused and harms nothing. */
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "x", 1), CRE_ENOT_WEBSOCKET);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, NULL, 0), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_send(net->engine, session, NULL, 0), 0);
    CHECK_EQ(cre_engine_send(net->engine, session + 1, "x", 1), CRE_EGONE);
    net_close(&client);
    cre_closed closed = net_closed(net_expect_event(net, CRE_EVENT_CLOSE));
    CHECK_EQ(closed.reason, CRE_CLOSED_PEER);
    CHECK_EQ(closed.code, 0);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 1);
    net_stop(net);
}

TEST_BOTH(send_belongs_to_streams) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_send(net->engine, session, "x", 1), CRE_ENOT_STREAM);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_large_send_arrives_whole) {
    net_server *net = start((cre_port_options){ 0 }, false);
    net_client client = net_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    size_t size = 5u << 20;
    uint8_t *data = malloc(size);
    REQUIRE(data != NULL);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 9));
    CHECK_EQ(cre_engine_send(net->engine, session, data, size), 0);
    CHECK(net_await(&client, size));
    CHECK_MEM(client.data, data, size);
    net_take(&client, size);
    net->quiet = true;
    net_send(&client, data, size); /* and back in pieces */
    CHECK(net_await(&client, size));
    CHECK_MEM(client.data, data, size);
    free(data);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_slow_reader_is_noticed) {
    net_server *net =
        start((cre_port_options){ .max_queue = 4u << 20, .high_water = 1u << 20, .low_water = 1000 }, false);
    net_client client = net_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    static uint8_t block[65536];
    size_t sent = 0;
    int result;
    while ((result = cre_engine_send(net->engine, session, block, sizeof block)) == 0) {
        sent += sizeof block;
        net_turn(net);
    }
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(net_count_events(net, CRE_EVENT_FULL), 1);
    CHECK(net_await(&client, sent));
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_DRAINED) == 1);
    CHECK_EQ(cre_engine_send(net->engine, session, "more", 4), 0);
    CHECK(net_await(&client, sent + 4));
    net_close(&client);
    net_stop(net);
}

/* ---- packets ---- */

static const cre_framing_config lines = {
    .size = sizeof lines, .kind = CRE_FRAMING_MARKER_SPLIT, .marker = "\r\n", .marker_length = 2
};
static const cre_framing_config lengths = { .size = sizeof lengths,
                                            .kind = CRE_FRAMING_LENGTH,
                                            .length_type = 'N',
                                            .body_offset = 4,
                                            .max_length = 1000 };

static void expect_packets(net_server *net, net_client *client, const char *stream, size_t length,
                           const size_t *sizes, int count) {
    CHECK(net_await(client, length));
    CHECK_MEM(client->data, stream, length);
    net_take(client, length);
    for (int i = 0; i < count; i++) {
        const net_event *packet = net_expect_event(net, CRE_EVENT_RECEIVE);
        CHECK_EQ(packet->record.length, sizes[i]);
        CHECK_MEM(packet->payload, stream, sizes[i]);
        stream += sizes[i];
    }
    CHECK_EQ(net->seen, net->count);
}

TEST_BOTH(packets_are_split_wherever_the_segments_are) {
    static const char text[] = "one\r\n\r\nthree\r\n";
    static const char sized[] = "\0\0\0\3abc\0\0\0\0\0\0\0\7defghij";
    static const size_t text_sizes[] = { 5, 2, 7 }, sized_sizes[] = { 7, 4, 11 };
    for (int kind = 0; kind < 2; kind++) {
        net_server *net = start((cre_port_options){ .framing = kind ? &lengths : &lines }, false);
        const char *stream = kind ? sized : text;
        size_t size = kind ? sizeof sized - 1 : sizeof text - 1;
        const size_t *sizes = kind ? sized_sizes : text_sizes;
        net_client client = net_connect(net);
        net_expect_event(net, CRE_EVENT_CONNECT);
        for (size_t split = 1; split <= size; split++) {
            net_send(&client, stream, split);
            net_settle(net);
            net_send(&client, stream + split, size - split);
            expect_packets(net, &client, stream, size, sizes, 3);
        }
        for (size_t i = 0; i < size; i++) {
            net_send(&client, stream + i, 1);
            net_settle(net);
        }
        expect_packets(net, &client, stream, size, sizes, 3);
        net_close(&client);
        net_stop(net);
    }
}

TEST_BOTH(a_marker_may_be_looked_for_at_the_end_only) {
    cre_framing_config framing = lines;
    framing.kind = CRE_FRAMING_MARKER_CHECK;
    net_server *net = start((cre_port_options){ .framing = &framing }, false);
    net_client client = net_connect(net);
    net_expect_event(net, CRE_EVENT_CONNECT);
    net_send_text(&client, "one\r\ntwo");
    net_settle(net);
    CHECK_EQ(net->seen, net->count);
    net_send_text(&client, "\r\nthree\r\n");
    expect_packets(net, &client, "one\r\ntwo\r\nthree\r\n", 17, (size_t[]){ 17 }, 1);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_packet_above_the_limit_ends_the_connection) {
    cre_framing_config limited = lines;
    limited.max_length = 100;
    const cre_framing_config framings[] = {
        lengths, limited, { .size = sizeof(cre_framing_config), .kind = CRE_FRAMING_MQTT }
    };
    static const char *const inputs[] = { "\0\0\4\0", NULL, "\x30\xff\xff\xff\xff\x01" };
    static const int errors[] = { CRE_EFRAMING_TOO_LONG, CRE_EFRAMING_NO_MARKER, CRE_EFRAMING_MQTT };
    static const size_t lengths_of[] = { 4, 0, 6 };
    for (int i = 0; i < 3; i++) {
        net_server *net = start((cre_port_options){ .framing = &framings[i] }, i == 0);
        net_client client = net_connect(net);
        net_expect_event(net, CRE_EVENT_CONNECT);
        char long_line[200];
        memset(long_line, 'x', sizeof long_line);
        net_send(&client, inputs[i] ? inputs[i] : long_line, inputs[i] ? lengths_of[i] : sizeof long_line);
        net_await_end(&client);
        CHECK_EQ(client.length, 0);
        CHECK_EQ(client.error, 0);
        cre_closed closed = net_closed(net_expect_event(net, CRE_EVENT_CLOSE));
        CHECK_EQ(closed.reason, CRE_CLOSED_PROTOCOL);
        CHECK_EQ(closed.error, errors[i]);
        net_close(&client);
        net_stop(net);
    }
}

TEST(settings_that_make_no_sense_are_refused) {
    cre_loop *loop;
    cre_engine *engine;
    REQUIRE(cre_loop_create(&loop) == 0);
    const cre_framing_config markerless = { .size = sizeof markerless, .kind = CRE_FRAMING_MARKER_SPLIT };
    const cre_port_options wrong[] = {
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_STREAM, .framing = &markerless },
        { .size = sizeof(cre_port_options), .protocol = CRE_PROTOCOL_WEBSOCKET, .framing = &lines },
        { .size = sizeof(cre_port_options), .protocol = (cre_protocol)9 },
        { .size = sizeof(cre_port_options), .max_queue = 1000, .high_water = 1001 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cre_engine_config config = {
            .size = sizeof config, .on_event = net_on_event, .ports = &wrong[i], .port_count = 1
        };
        CHECK_EQ(cre_engine_create(loop, &config, &engine), CRE_EINVALID);
    }
    cre_loop_destroy(loop);
}

/* ---- ends ---- */

TEST_BOTH(what_came_before_the_end_is_answered) {
    for (int half_open = 0; half_open < 2; half_open++) {
        net_server *net = start((cre_port_options){ 0 }, half_open);
        net_client client = net_connect(net);
        net_send_text(&client, "last words");
        shutdown(client.descriptor, SHUT_WR);
        net_await_end(&client);
        CHECK_EQ(client.length, 10);
        CHECK_EQ(client.error, 0);
        CHECK_EQ(reason_of(net), CRE_CLOSED_PEER);
        CHECK_EQ(net_count_events(net, CRE_EVENT_END), half_open);
        net_close(&client);
        net_stop(net);
    }
}

static int keep_half_open(net_server *net, const cre_record *event, uint8_t *payload) {
    return event->kind == CRE_EVENT_END ? 0 : echo(net, event, payload);
}

TEST_BOTH(a_half_open_stream_does_not_stay_for_ever) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM, .idle_timeout_ms = 1 };
    net_server *net =
        net_start((cre_engine_config){ .ports = &port, .port_count = 1, .half_open = true }, keep_half_open);
    net_client client = net_connect(net);
    shutdown(client.descriptor, SHUT_WR);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_END) == 1);
    cre_session session = net->events[0].record.session;
    CHECK_EQ(cre_engine_send(net->engine, session, "still", 5), 0);
    net_await_end(&client);
    CHECK_EQ(client.length, 5);
    CHECK_EQ(reason_of(net), CRE_CLOSED_PEER);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(each_end_has_its_reason) {
    net_server *net = start((cre_port_options){ 0 }, false);
    net_client client = net_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    CHECK_EQ(cre_engine_send(net->engine, session, "bye", 3), 0);
    CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
    CHECK_EQ(net_closed(net_expect_event(net, CRE_EVENT_CLOSE)).reason, CRE_CLOSED_SERVER);
    CHECK_EQ(cre_engine_send(net->engine, session, "late", 4), CRE_EGONE);
    net_await_end(&client);
    CHECK_EQ(client.length, 3);
    CHECK_EQ(client.error, 0);
    net_close(&client);

    client = net_connect(net);
    session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    cre_record reset = { .kind = CRE_COMMAND_RESET, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &reset, NULL, 0), 0);
    CHECK_EQ(net_closed(net_expect_event(net, CRE_EVENT_CLOSE)).reason, CRE_CLOSED_SERVER);
    net_await_end(&client);
    CHECK_EQ(client.error, ECONNRESET);
    net_close(&client);

    client = net_connect(net);
    net_expect_event(net, CRE_EVENT_CONNECT);
    net_send_text(&client, "before the reset");
    net_abort(&client);
    CHECK_EQ(net_expect_event(net, CRE_EVENT_RECEIVE)->record.length, strlen("before the reset"));
    CHECK_EQ(net_closed(net_expect_event(net, CRE_EVENT_CLOSE)).reason, CRE_CLOSED_PEER);

    client = net_connect(net);
    net_expect_event(net, CRE_EVENT_CONNECT);
    cre_engine_shutdown(net->engine, 5000, NULL, NULL);
    CHECK_EQ(net_closed(net_expect_event(net, CRE_EVENT_CLOSE)).reason, CRE_CLOSED_SHUTDOWN);
    net_await_end(&client);
    net_close(&client);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CONNECT), net_count_events(net, CRE_EVENT_CLOSE));
    net_stop(net);
}

TEST_BOTH(a_paused_stream_is_not_read) {
    net_server *net = start((cre_port_options){ 0 }, false);
    net_client client = net_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    cre_record command = { .kind = CRE_COMMAND_PAUSE, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    net_send_text(&client, "wait");
    net_settle(net);
    CHECK_EQ(net->seen, net->count);
    command.kind = CRE_COMMAND_RESUME;
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    CHECK(net_await(&client, 4));
    net_close(&client);
    net_stop(net);
}

static bool one_run(void) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM, .framing = &lines };
    cre_loop *loop = NULL;
    cre_engine *engine = NULL;
    net_server net = { .quiet = true, .act = echo };
    cre_engine_config config = { .size = sizeof config,
                                 .on_event = net_on_event,
                                 .context = &net,
                                 .ports = &port,
                                 .port_count = 1,
                                 .max_connections = 8 };
    if (cre_loop_create(&loop)) return false;
    bool done = false;
    if (!cre_engine_create(loop, &config, &engine)) {
        net.loop = loop;
        net.engine = engine;
        int pair[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
        if (!cre_engine_adopt(engine, pair[1], 0)) {
            char answer[8];
            REQUIRE(send(pair[0], "on", 2, 0) == 2);
            net_settle(&net);
            send(pair[0], "e\r\n", 3, MSG_NOSIGNAL);
            net_settle(&net);
            done = recv(pair[0], answer, sizeof answer, 0) == 5;
        }
        close(pair[0]);
        cre_engine_destroy(engine);
    }
    cre_loop_destroy(loop);
    return done;
}

TEST(without_memory_a_connection_ends_and_nothing_is_lost) {
    test_fail_each_allocation(one_run);
}

/* ---- the end ---- */

/* The table has the session until it ends. */
static int close_inside(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    int *depth = net->context;
    CHECK_EQ(*depth, 0); /* no event inside a handler that closes */
    cre_connection_info info;
    CHECK_EQ(cre_table_get_info(cre_engine_table(net->engine), event->session, &info, sizeof info),
             event->kind != CRE_EVENT_CLOSE);
    if (event->kind != CRE_EVENT_RECEIVE) return 0;
    ++*depth;
    CHECK_EQ(cre_engine_close(net->engine, event->session, 0, NULL), 0);
    CHECK_EQ(cre_engine_close(net->engine, event->session, 0, NULL), CRE_EGONE);
    CHECK_EQ(cre_engine_send(net->engine, event->session, "late", 4), CRE_EGONE);
    --*depth;
    return 0;
}

TEST(the_end_is_reported_after_the_handler) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM, .framing = &lines };
    net_server *net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, close_inside);
    int depth = 0;
    net->context = &depth;
    net_client client = net_connect(net);
    net_expect_event(net, CRE_EVENT_CONNECT);
    net_send_text(&client, "one\r\ntwo\r\n");
    net_expect_event(net, CRE_EVENT_RECEIVE);
    CHECK_EQ(net_closed(net_expect_event(net, CRE_EVENT_CLOSE)).reason, CRE_CLOSED_SERVER);
    net_await_end(&client);
    CHECK_EQ(cre_table_count(cre_engine_table(net->engine)), 0);
    net_close(&client);
    /* From outside of a handler, too; and without another turn the end of the engine reports it. */
    client = net_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
    CHECK_EQ(net->seen, net->count);
    CHECK_EQ(cre_table_count(cre_engine_table(net->engine)), 0); /* gone before anybody is notified */
    net_event *events = net->events;
    int *count = &net->count, before = net->count;
    cre_engine_destroy(net->engine);
    CHECK_EQ(*count, before + 1);
    CHECK_EQ(events[before].record.kind, CRE_EVENT_CLOSE);
    cre_loop_destroy(net->loop);
    net_forget(net);
    free(net);
    net_close(&client);
}

TEST_MAIN()
