/* WebSocket on real sockets. */
#include "both.h"

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        CHECK_EQ(cre_engine_push(net->engine, event->session, event->opcode, payload, event->length), 0);
    return 0;
}

static cre_session first_session(const net_server *net) {
    cre_session session = 0;
    uint32_t cursor = 0;
    CHECK_EQ(cre_table_list(cre_engine_table(net->engine), &cursor, &session, 1), 1);
    return session;
}

TEST_BOTH(messages_are_echoed) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_ws_connect(net);
    const net_event *open = net_expect_event(net, CRE_EVENT_OPEN);
    cre_request_view request;
    CHECK_EQ(cre_request_view_init(&request, open->payload, open->record.length), 0);
    CHECK_EQ(request.head->path_length, 5);
    CHECK_MEM(request.bytes + request.head->path, "/chat", 5);
    static uint8_t bytes[200000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    static const size_t sizes[] = { 0, 1, 125, 126, 127, 4000, 4001, 65535, 65536, 200000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, sizes[i]);
        net_ws_expect(&client, CRE_WS_BINARY, bytes, sizes[i]);
        const net_event *event = net_expect_event(net, CRE_EVENT_MESSAGE);
        CHECK_EQ(event->record.session, open->record.session);
        CHECK(event->record.flags & CRE_RECORD_FINAL);
        CHECK_EQ(event->record.length, sizes[i]);
    }
    net_ws_text(&client, "grüße");
    net_ws_expect_text(&client, "grüße");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(many_frames_in_one_segment_cost_one_read_and_one_write) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_ws_connect(net);
    uint8_t segment[2048];
    size_t used = 0;
    for (int i = 0; i < 100; i++) {
        size_t size;
        uint8_t text[2] = { (uint8_t)('0' + i / 10), (uint8_t)('0' + i % 10) };
        uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, text, 2, &size);
        memcpy(segment + used, frame, size);
        used += size;
        free(frame);
    }
    net_settle(net);
    net_send(&client, segment, used);
    CHECK(net_await(&client, 400));
    for (int i = 0; i < 100; i++) {
        char text[3] = { (char)('0' + i / 10), (char)('0' + i % 10), 0 };
        net_ws_expect_text(&client, text);
    }
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(frames_may_come_with_the_upgrade) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    size_t size, head = sizeof NET_UPGRADE - 1;
    uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, "early", 5, &size), all[512];
    memcpy(all, NET_UPGRADE, head);
    memcpy(all + head, frame, size);
    memcpy(all + head + size, frame, size);
    size_t total = head + 2 * size;
    for (size_t split = 0; split <= total; split++) {
        net_client client = net_connect(net);
        net_send(&client, all, split);
        net_settle(net);
        net_send(&client, all + split, total - split);
        net_upgraded(&client);
        net_ws_expect_text(&client, "early");
        net_ws_expect_text(&client, "early");
        net_close(&client);
        NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
        net_forget(net);
    }
    free(frame);
    net_stop(net);
}

TEST_BOTH(every_byte_may_come_alone) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_connect(net);
    for (const char *at = NET_UPGRADE; *at; at++) {
        net_send(&client, at, 1);
        net_turn(net);
    }
    net_upgraded(&client);
    char text[300];
    memset(text, 'x', sizeof text);
    size_t size;
    uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_TEXT, text, sizeof text, &size);
    for (size_t i = 0; i < size; i++) {
        net_send(&client, frame + i, 1);
        net_turn(net);
    }
    net_ws_expect(&client, CRE_WS_TEXT, text, sizeof text);
    free(frame);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(the_peer_closes) {
    static const uint16_t codes[] = { 1000, 1001, 1003, 1008, 3000, 4999 };
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        net_client client = net_ws_connect(net);
        net_expect_event(net, CRE_EVENT_OPEN);
        uint8_t payload[5] = { (uint8_t)(codes[i] >> 8), (uint8_t)codes[i], 'b', 'y', 'e' };
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_CLOSE, payload, 5);
        net_ws_text(&client, "too late");
        CHECK_EQ(net_ws_expect_close(&client), codes[i]);
        net_await_end(&client);
        const net_event *event = net_next(net);
        cre_closed closed = net_closed(event);
        CHECK_EQ(closed.reason, CRE_CLOSED_PEER);
        CHECK_EQ(closed.code, codes[i]);
        CHECK_EQ(closed.text_length, 3);
        CHECK_MEM(event->payload + sizeof closed, "bye", 3);
        net_close(&client);
    }
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 6);
    CHECK_EQ(net_count_events(net, CRE_EVENT_MESSAGE), 0);
    net_stop(net);
}

TEST_BOTH(the_peer_closes_without_a_code) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_CLOSE, "", 0);
    CHECK_EQ(net_ws_expect_close(&client), 1005);
    net_await_end(&client);
    CHECK_EQ(net_closed(net_next(net)).code, 1005);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(the_server_closes) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    static const uint16_t codes[] = { 0, 1000, 1001, 3000, 4321 };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        net_client client = net_ws_connect(net);
        cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
        uint16_t code = codes[i] ? codes[i] : 1000;
        CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "last", 4), 0);
        CHECK_EQ(cre_engine_close(net->engine, session, codes[i], "enough"), 0);
        CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "late", 4), CRE_EGONE);
        CHECK_EQ(cre_table_state(cre_engine_table(net->engine), session), CRE_CONNECTION_CLOSING);
        CHECK_EQ(cre_engine_close(net->engine, session, 1000, NULL), CRE_EGONE);
        net_ws_expect_text(&client, "last");
        CHECK_EQ(net_ws_expect_close(&client), code);
        net_settle(net);
        CHECK_EQ(net->seen, net->count); /* the peer has not answered yet */
        net_ws_send_close(&client, code);
        cre_closed closed = net_closed(net_next(net));
        CHECK_EQ(closed.reason, CRE_CLOSED_SERVER);
        CHECK_EQ(closed.code, code);
        net_await_end(&client);
        CHECK_EQ(client.error, 0);
        net_close(&client);
        CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, "x", 1), CRE_EGONE);
    }
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 5);
    net_stop(net);
}

TEST_BOTH(a_close_reason_is_cut_between_characters) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    char reason[400] = "";
    for (int i = 0; i < 100; i++)
        strcat(reason, i % 7 ? "\xe2\x82\xac" : "x");
    for (int shift = 0; shift < 4; shift++) {
        net_client client = net_ws_connect(net);
        cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
        char shifted[410];
        snprintf(shifted, sizeof shifted, "%.*s%s", shift, "abc", reason);
        CHECK_EQ(cre_engine_close(net->engine, session, 1000, shifted), 0);
        cre_ws_frame frame;
        REQUIRE(net_ws_next(&client, &frame));
        CHECK_EQ(frame.opcode, CRE_WS_CLOSE);
        CHECK(frame.length > 2 + 119 && frame.length <= 125);
        CHECK(cre_utf8_valid(frame.payload + 2, frame.length - 2));
        CHECK_MEM(frame.payload + 2, shifted, frame.length - 2);
        net_close(&client);
        net_closed(net_next(net));
    }
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_close(net->engine, session, 1000, "\xff"), CRE_EINVALID);
    CHECK_EQ(cre_engine_close(net->engine, session, 1005, NULL), CRE_EINVALID);
    CHECK_EQ(cre_engine_close(net->engine, session, 999, NULL), CRE_EINVALID);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_peer_that_does_not_answer_the_close) {
    net_server *net = net_start((cre_engine_config){ .close_timeout_ms = 1 }, echo);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_close(net->engine, session, 1000, NULL), 0);
    cre_record pause = { .kind = CRE_COMMAND_PAUSE, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &pause, NULL, 0), 0);
    cre_closed closed = net_closed(net_next(net));
    CHECK_EQ(closed.reason, CRE_CLOSED_SERVER);
    CHECK_EQ(closed.code, 1000);
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pausing_does_not_keep_the_answer_to_a_close_away) {
    net_server *net = net_start((cre_engine_config){ .close_timeout_ms = 600000 }, echo);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    CHECK_EQ(cre_engine_close(net->engine, session, 1000, NULL), 0);
    cre_record pause = { .kind = CRE_COMMAND_PAUSE, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &pause, NULL, 0), 0);
    net_ws_send_close(&client, 1000);
    CHECK_EQ(net_closed(net_next(net)).code, 1000);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(protocol_errors_have_their_codes) {
    static const struct {
        const char *bytes;
        size_t size;
        int code, error;
    } cases[] = {
        { "\x81\x01x", 3, 1002, CRE_EWS_UNMASKED },
        { "\x83\x80\0\0\0\0", 6, 1002, CRE_EWS_OPCODE },
        { "\xc1\x80\0\0\0\0", 6, 1002, CRE_EWS_RSV },
        { "\x80\x80\0\0\0\0", 6, 1002, CRE_EWS_CONTINUATION },
        { "\x09\x80\0\0\0\0", 6, 1002, CRE_EWS_CONTROL_FRAGMENT },
        { "\x81\x81\0\0\0\0\xff", 7, 1007, CRE_EWS_UTF8 },
        { "\x88\x81\0\0\0\0\x03", 7, 1002, CRE_EWS_CLOSE_SIZE },
        { "\x88\x82\0\0\0\0\x03\xed", 8, 1002, CRE_EWS_CLOSE_CODE },
        { "\x82\xff\0\0\0\0\0\x20\0\0\0\0\0\0", 14, 1009, CRE_EWS_TOO_BIG },
    };
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net_client client = net_ws_connect(net);
        net_expect_event(net, CRE_EVENT_OPEN);
        net_send(&client, cases[i].bytes, cases[i].size);
        CHECK_EQ(net_ws_expect_close(&client), cases[i].code);
        cre_closed closed = net_closed(net_next(net));
        CHECK_EQ(closed.reason, CRE_CLOSED_PROTOCOL);
        CHECK_EQ(closed.code, cases[i].code);
        CHECK_EQ(closed.error, cases[i].error);
        net_await_end(&client);
        net_close(&client);
    }
    net_stop(net);
}

TEST_BOTH(messages_have_a_limit) {
    net_server *net = net_start((cre_engine_config){ .max_message = 100000 }, echo);
    static uint8_t bytes[100001];
    net_client client = net_ws_connect(net);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, 100000);
    net_ws_expect(&client, CRE_WS_BINARY, bytes, 100000);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_BINARY, bytes, 100001);
    CHECK_EQ(net_ws_expect_close(&client), 1009);
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pings_are_answered_and_pongs_ignored) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, "are you there", 13);
    net_ws_expect(&client, CRE_WS_PONG, "are you there", 13);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PONG, "unasked", 7);
    net_ws_send(&client, CRE_WS_TEXT, "half ", 5);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, "between", 7);
    net_ws_expect(&client, CRE_WS_PONG, "between", 7);
    net_ws_send(&client, CRE_WS_FIN | CRE_WS_CONTINUATION, "done", 4);
    net_ws_expect_text(&client, "half done");
    CHECK_EQ(cre_engine_push(net->engine, first_session(net), CRE_WS_PING, "ours", 4), 0);
    net_ws_expect(&client, CRE_WS_PING, "ours", 4);
    net_expect_event(net, CRE_EVENT_MESSAGE);
    CHECK_EQ(net->count, net->seen);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(what_may_not_be_pushed) {
    net_server *net = net_start((cre_engine_config){ .http = true }, NULL);
    net_client client = net_connect(net);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 1);
    cre_session session = first_session(net);
    char text[126] = "";
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_TEXT, text, 1), CRE_ENOT_WEBSOCKET);
    CHECK_EQ(cre_engine_push(net->engine, session + 1, CRE_WS_TEXT, text, 1), CRE_EGONE);
    CHECK_EQ(cre_engine_push(net->engine, 0, CRE_WS_TEXT, text, 1), CRE_EGONE);
    net_send_text(&client, NET_UPGRADE);
    net_upgraded(&client);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_CLOSE, text, 2), CRE_EINVALID);
    CHECK_EQ(cre_engine_push(net->engine, session, 3, text, 1), CRE_EINVALID);
    CHECK_EQ(cre_engine_push(net->engine, session, 0x81, text, 1), CRE_EINVALID);
    CHECK_EQ(cre_engine_push(net->engine, session, CRE_WS_PING, text, 126), CRE_EINVALID);
    cre_record ping = { .kind = CRE_COMMAND_PUSH, .opcode = CRE_WS_PING, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &ping, NULL, 0), CRE_EINVALID); /* without FINAL */
    cre_record odd = { .kind = 200, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &odd, NULL, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, NULL, 0), CRE_ENO_REQUEST);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(the_end_of_the_peer_is_1006) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_close(&client);
    cre_closed closed = net_closed(net_next(net));
    CHECK_EQ(closed.reason, CRE_CLOSED_PEER);
    CHECK_EQ(closed.code, 1006);

    client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    net_abort(&client);
    closed = net_closed(net_next(net));
    CHECK_EQ(closed.reason, CRE_CLOSED_PEER);
    CHECK_EQ(closed.code, 1006);
    CHECK_EQ(closed.error, 0); /* nothing went wrong here */

    client = net_ws_connect(net);
    net_expect_event(net, CRE_EVENT_OPEN);
    shutdown(client.descriptor, SHUT_WR);
    CHECK_EQ(net_closed(net_next(net)).code, 1006);
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_reset_drops_what_is_queued) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net_client client = net_ws_connect(net);
    cre_session session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    cre_record reset = { .kind = CRE_COMMAND_RESET, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &reset, NULL, 0), 0);
    CHECK_EQ(cre_engine_command(net->engine, &reset, NULL, 0), CRE_EGONE);
    cre_closed closed = net_closed(net_next(net));
    CHECK_EQ(closed.reason, CRE_CLOSED_SERVER);
    CHECK_EQ(closed.code, 1006);
    net_await_end(&client);
    CHECK_EQ(client.error, ECONNRESET);
    CHECK_EQ(net_stats(net).stale_commands, 1);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(no_allocation_per_message) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    net->quiet = true;
    net_client client = net_ws_connect(net);
    for (int i = 0; i < 10; i++) {
        net_ws_text(&client, "warm");
        net_ws_expect_text(&client, "warm");
    }
    long before = atomic_load(&test_allocations);
    for (int i = 0; i < 200; i++) {
        net_ws_text(&client, "hello");
        net_ws_expect_text(&client, "hello");
    }
    CHECK_EQ(atomic_load(&test_allocations), before);
    net_close(&client);
    net_stop(net);
}

TEST_MAIN()
