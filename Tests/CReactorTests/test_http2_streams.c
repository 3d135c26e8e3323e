/* Streams of HTTP/2 in an engine: bodies as they arrive, their ends, shutdowns, and abuse. */
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "http2_net.h"

static bool worker_is_congested;

static int act(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_REQUEST && cre_request_is(payload, event->length, "/fill"))
        worker_is_congested = true;
    if (event->kind == CRE_EVENT_REQUEST && cre_request_is(payload, event->length, "/hello"))
        CHECK_EQ(cre_engine_respond(net->engine, event->session, 200, NULL, "hello", 5), 0);
    return 0;
}

static net_server *start_with(cre_engine_config config, cre_port_options options) {
    options.size = sizeof options;
    options.protocol = CRE_PROTOCOL_HTTP;
    config.ports = &options;
    config.port_count = 1;
    return net_start(config, act);
}

static net_server *start(cre_port_options options) {
    return start_with((cre_engine_config){ 0 }, options);
}

static cre_session wait_for_request(net_server *net) {
    return net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
}

static void command(net_server *net, cre_session session, cre_command kind) {
    const cre_record record = { .kind = (uint8_t)kind, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &record, NULL, 0), 0);
}

/* Another connection gets its answer. */
static void check_bystander(net_server *net, h2_client *bystander, uint32_t stream) {
    char expected[40];
    snprintf(expected, sizeof expected, "DATA %u 'hello' end|", stream);
    h2_get(bystander, stream, H2_GET("/hello"));
    h2_await(bystander, expected);
    net_forget(net);
}

/* ---- interim responses ---- */

TEST(interim_responses) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, H2_GET("/wait"));
    const cre_session session = wait_for_request(net);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, "Link: </a>\r\nConnection: x\r\n"), 0);
    h2_await(c, "HEADERS 1 :status=103 link=</a>|");
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 101, NULL), CRE_EINVALID);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, "X: a\x01\r\n"), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "a", 1), 0);
    CHECK_EQ(cre_engine_respond_interim(net->engine, session, 103, NULL), CRE_ENO_REQUEST);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, "b", 1, true), 0);
    h2_await(c, "end|");
    CHECK(strstr(c->in.frames.bytes, "|HEADERS 1 :status=200 "));
    CHECK_EQ(c->in.data, 2);
    h2_close(c);
    net_stop(net);
}

TEST(too_many_interim_responses_cost_no_response) {
    static char hints[8000] = "Link: <";
    memset(hints + 7, 'a', sizeof hints - 11);
    memcpy(hints + sizeof hints - 4, ">\r\n", 4);
    net_server *net = start((cre_port_options){ .max_streams = 1 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, H2_GET("/wait"));
    const cre_session session = wait_for_request(net);
    int sent = 0, result;
    while ((result = cre_engine_respond_interim(net->engine, session, 103, hints)) == 0)
        REQUIRE(++sent < 1000); /* they leave at the end of the turn */
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK(sent > 1);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "done", 4), 0);
    h2_await(c, "DATA 1 'done' end|");
    h2_close(c);
    net_stop(net);
}

/* ---- bodies ---- */

TEST(bodies_as_they_arrive) {
    net_server *net = start((cre_port_options){ .stream_bodies = true });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, H2_POST("/wait"));
    h2_send(c);
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
    CHECK_EQ(event->record.flags & (CRE_RECORD_FINAL | CRE_RECORD_MORE_BODY), CRE_RECORD_MORE_BODY);
    const cre_session session = event->record.session;
    put_frame(&c->out, DATA, 0, 1, "abc", 3);
    h2_send(c);
    event = net_expect_event(net, CRE_EVENT_REQUEST_BODY);
    CHECK_EQ(event->record.session, session);
    CHECK_STR((const char *)event->payload, "abc");
    put_headers(&c->out, 1, END_STREAM, "sum: 1\n");
    h2_send(c);
    event = net_expect_event(net, CRE_EVENT_REQUEST_BODY);
    CHECK_EQ(event->record.length, 0);
    CHECK_EQ(event->record.flags & CRE_RECORD_FINAL, CRE_RECORD_FINAL);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 1 'ok' end|");
    h2_close(c);
    net_stop(net);
}

/* A stream that is not read gets no more than its window, and holds up no other one. */
TEST(paused_streams) {
    static const char piece[16000] = { 0 };
    net_server *net = start((cre_port_options){ .stream_bodies = true });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, H2_POST("/wait"));
    h2_send(c);
    const cre_session slow = wait_for_request(net);
    command(net, slow, CRE_COMMAND_PAUSE);
    for (int i = 0; i < 4; i++)
        put_frame(&c->out, DATA, 0, 1, piece, sizeof piece);
    put_frame(&c->out, DATA, END_STREAM, 1, "end", 3);
    put_headers(&c->out, 3, 0, H2_POST("/wait"));
    put_frame(&c->out, DATA, END_STREAM, 3, "x", 1);
    h2_send(c);
    CHECK(wait_for_request(net) != slow);
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST_BODY);
    CHECK(event->record.session != slow);
    CHECK_EQ(cre_engine_respond(net->engine, event->record.session, 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 3 'ok' end|");
    CHECK(!strstr(c->in.frames.bytes, "WINDOW_UPDATE 1"));
    CHECK(net_stats(net).buffered >= 4 * sizeof piece);
    command(net, slow, CRE_COMMAND_RESUME);
    size_t sum = 0;
    bool final = false;
    while (!final) {
        event = net_next(net);
        if (event->record.kind != CRE_EVENT_REQUEST_BODY || event->record.session != slow) continue;
        sum += event->record.length;
        final = event->record.flags & CRE_RECORD_FINAL;
    }
    CHECK_EQ(sum, 4 * sizeof piece + 3);
    CHECK_EQ(cre_engine_respond(net->engine, slow, 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 1 'ok' end|");
    h2_close(c);
    net_stop(net);
}

/* Uploads larger than all windows, whole and in pieces. */
TEST(windows_open_as_bodies_are_taken) {
    static const char piece[16000] = { 0 };
    for (int streams = 0; streams < 2; streams++) {
        net_server *net = start((cre_port_options){ .stream_bodies = streams, .stream_window = 100000 });
        h2_client *c = h2_open(net);
        put_headers(&c->out, 1, 0, H2_POST("/wait"));
        size_t window = 100000, left = 1600000;
        while (left) {
            for (; window >= sizeof piece && left; left -= sizeof piece, window -= sizeof piece)
                put_frame(&c->out, DATA, left == sizeof piece ? END_STREAM : 0, 1, piece, sizeof piece);
            h2_send(c);
            if (!left) break;
            h2_await(c, "WINDOW_UPDATE 1 ");
            const char *update = strstr(c->in.frames.bytes, "WINDOW_UPDATE 1 ");
            if (update) window += strtoul(update + 16, NULL, 10);
            clear(&c->in.frames);
        }
        size_t sum = 0;
        cre_session session = 0;
        for (bool final = false; !final;) {
            const net_event *event = net_next(net);
            session = event->record.session;
            sum += event->record.length;
            final = event->record.flags & CRE_RECORD_FINAL;
        }
        CHECK(sum >= 1600000);
        CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "ok", 2), 0);
        h2_await(c, "DATA 1 'ok' end|");
        h2_close(c);
        net_stop(net);
    }
}

/* ---- ends ---- */

TEST(streams_that_the_client_resets) {
    net_server *net = start((cre_port_options){ .stream_bodies = true });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, H2_POST("/wait"));
    put_headers(&c->out, 3, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    const cre_session broken = wait_for_request(net), other = wait_for_request(net);
    put_reset(&c->out, 1, CRE_HTTP2_CANCEL);
    h2_send(c);
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST_BODY);
    CHECK_EQ(event->record.flags, CRE_RECORD_FINAL | CRE_RECORD_CLOSE);
    CHECK_EQ(event->record.session, broken);
    CHECK_EQ(cre_engine_respond(net->engine, broken, 200, NULL, "ok", 2), CRE_EGONE);
    CHECK_EQ(cre_engine_respond(net->engine, other, 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 3 'ok' end|");
    CHECK_EQ(net_stats(net).http2_resets, 1);
    h2_close(c);
    net_stop(net);
}

TEST(streams_that_the_server_resets) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    for (uint32_t i = 0; i < 3; i++)
        put_headers(&c->out, 1 + 2 * i, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    const cre_session first = wait_for_request(net), second = wait_for_request(net),
                      third = wait_for_request(net);
    command(net, first, CRE_COMMAND_RESET);
    h2_await(c, "RST_STREAM 1 code=2|");
    CHECK_EQ(cre_engine_respond_more(net->engine, second, 200, NULL, "part", 4), 0);
    h2_await(c, "DATA 3 'part'|");
    command(net, second, CRE_COMMAND_ABANDON); /* as when its worker has died */
    h2_await(c, "RST_STREAM 3 code=2|");
    command(net, third, CRE_COMMAND_ABANDON);
    h2_await(c, "HEADERS 5 :status=500");
    check_bystander(net, c, 7);
    h2_close(c);
    net_stop(net);
}

TEST(lost_connections) {
    net_server *net = start((cre_port_options){ .stream_bodies = true });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, H2_POST("/wait"));
    put_headers(&c->out, 3, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    wait_for_request(net);
    const cre_session other = wait_for_request(net);
    net_abort(&c->socket);
    CHECK_EQ(net_expect_event(net, CRE_EVENT_REQUEST_BODY)->record.flags,
             CRE_RECORD_FINAL | CRE_RECORD_CLOSE);
    CHECK_EQ(cre_engine_respond(net->engine, other, 200, NULL, "ok", 2), CRE_EGONE);
    CHECK_EQ(cre_table_count(cre_engine_table(net->engine)), 0);
    h2_close(c);
    net_stop(net);
}

/* Answers are received after the client has ended its side of the connection. */
TEST(half_closed_connections) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, H2_GET("/wait"));
    const cre_session session = wait_for_request(net);
    shutdown(c->socket.descriptor, SHUT_WR);
    net_settle(net);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 1 'ok' end|");
    h2_await_end(c);
    h2_close(c);
    net_stop(net);
}

static void set_true(void *context) {
    *(bool *)context = true;
}

TEST(shutdown_finishes_requests) {
    net_server *net = start((cre_port_options){ .body_timeout_ms = 100000 });
    h2_client *c = h2_open(net), *idle = h2_open(net);
    h2_get(c, 1, H2_GET("/wait"));
    const cre_session session = wait_for_request(net);
    bool done = false;
    cre_engine_shutdown(net->engine, 60000, set_true, &done);
    h2_await(c, "GOAWAY last=2147483647 code=0|");
    h2_get(c, 3, H2_GET("/hello")); /* it was on its way */
    h2_await(c, "DATA 3 'hello' end|");
    h2_await(c, "GOAWAY last=3 code=0|");
    CHECK(!done);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 1 'ok' end|");
    h2_await_end(c);
    /* by which it knows that nothing it may have sent since was served */
    h2_await(idle, "GOAWAY last=2147483647 code=0|GOAWAY last=0 code=0|");
    h2_await_end(idle);
    h2_close(c);
    h2_close(idle);
    NET_UNTIL(net, done);
    net_stop(net);
}

/* The client may send it to another server: no handler has had it. */
TEST(shutdown_refuses_incomplete_requests) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, H2_POST("/hello") "content-length: 6\n");
    put_frame(&c->out, DATA, 0, 1, "abc", 3);
    put_headers(&c->out, 3, END_STREAM, H2_GET("/hello"));
    h2_send(c);
    h2_await(c, "DATA 3 'hello' end|");
    bool done = false;
    cre_engine_shutdown(net->engine, 60000, set_true, &done);
    h2_await(c, "RST_STREAM 1 code=7|");
    h2_await_end(c);
    h2_close(c);
    NET_UNTIL(net, done);
    net_stop(net);
}

TEST(destroyed_with_open_streams) {
    net_server *net = start((cre_port_options){ .stream_bodies = true });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, 0, H2_POST("/wait"));
    put_headers(&c->out, 3, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    wait_for_request(net);
    const cre_session other = wait_for_request(net);
    CHECK_EQ(cre_engine_respond_more(net->engine, other, 200, NULL, "part", 4), 0);
    net_stop(net);
    c->socket.net = NULL;
    h2_close(c);
}

TEST(idle_connections) {
    net_server *net = start((cre_port_options){ .head_timeout_ms = 1, .idle_timeout_ms = 1 });
    h2_client *silent = h2_connect(net);
    net_send(&silent->socket, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    h2_await_end(silent);
    h2_client *c = h2_connect(net);
    put_preface(&c->out);
    h2_send(c);
    h2_await(c, "GOAWAY last=0 code=0|");
    h2_await_end(c);
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_TIMEOUT], 2);
    h2_close(silent);
    h2_close(c);
    net_stop(net);
}

/* ---- counters ---- */

TEST(connections_and_streams_are_counted) {
    net_server *net = start((cre_port_options){ .max_head = 1000 });
    h2_client *c = h2_open(net), *other = h2_open(net);
    static char large[1100] = H2_GET("/");
    size_t used = strlen(large);
    memcpy(large + used, "x: ", 3);
    memset(large + used + 3, 'v', 1000);
    large[used + 1003] = '\n';
    h2_get(c, 1, H2_GET("/wait"));
    h2_get(c, 3, H2_GET("/wait"));
    h2_get(c, 5, large);
    h2_await(c, ":status=431");
    cre_engine_stats stats = net_stats(net);
    CHECK_EQ(stats.http2_connections, 2);
    CHECK_EQ(stats.http2_open_connections, 2);
    CHECK_EQ(stats.http2_requests, 2);
    CHECK_EQ(stats.http2_open_streams, 2);
    CHECK_EQ(stats.http2_refused, 1);
    CHECK_EQ(stats.http2_heads_too_large, 1);
    CHECK_EQ(cre_engine_respond(net->engine, wait_for_request(net), 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 1 'ok' end|");
    CHECK_EQ(net_stats(net).http2_open_streams, 1);
    put_reset(&c->out, 3, CRE_HTTP2_CANCEL);
    h2_send(c);
    h2_close(c);
    for (int i = 0; net_stats(net).http2_open_connections == 2 && i < NET_WAITS; i++)
        net_turn(net);
    stats = net_stats(net);
    CHECK_EQ(stats.http2_open_connections, 1);
    CHECK_EQ(stats.http2_open_streams, 0);
    CHECK_EQ(stats.http2_resets, 1);
    CHECK_EQ(stats.http2_connections, 2);
    CHECK_EQ(stats.http2_requests, 2);
    h2_close(other);
    net_stop(net);
}

/* ---- limits ---- */

TEST(streams_count_against_the_table) {
    net_server *net = start_with((cre_engine_config){ .max_connections = 3, .max_per_address = 1 },
                                 (cre_port_options){ .max_streams = 10 });
    h2_client *c = h2_open(net);
    for (uint32_t i = 0; i < 4; i++)
        put_headers(&c->out, 1 + 2 * i, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    h2_await(c, "RST_STREAM 5 code=7|");
    h2_await(c, "RST_STREAM 7 code=7|");
    CHECK_EQ(net->count, 2);
    CHECK_EQ(net_stats(net).http2_refused, 2);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(cre_engine_respond(net->engine, wait_for_request(net), 200, NULL, "ok", 2), 0);
    h2_await(c, "DATA 3 'ok' end|");
    check_bystander(net, c, 9);
    h2_close(c);
    net_stop(net);
}

TEST(rapid_reset) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *bystander = h2_open(net), *c = h2_open(net);
    for (uint32_t i = 0; i < 1000; i++) {
        put_headers(&c->out, 1 + 2 * i, END_STREAM, H2_GET("/wait"));
        put_reset(&c->out, 1 + 2 * i, CRE_HTTP2_CANCEL);
    }
    h2_send(c);
    h2_await(c, "code=11|"); /* ENHANCE_YOUR_CALM */
    h2_await_end(c);
    CHECK_EQ(net_stats(net).http2_exceeded[CRE_HTTP2_LIMIT_RESETS], 1);
    CHECK(net->count <= 210);
    CHECK_EQ(net_stats(net).http2_requests, net->count);
    net->seen = net->count;
    check_bystander(net, bystander, 1);
    h2_close(c);
    h2_close(bystander);
    net_stop(net);
}

TEST(floods) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *bystander = h2_open(net);
    for (int kind = 0; kind < 4; kind++) {
        h2_client *c = h2_open(net);
        if (kind == 1) put_frame(&c->out, HEADERS, END_STREAM, 1, "\x82\x87\x84", 3);
        if (kind == 3) put_headers(&c->out, 1, 0, H2_POST("/wait"));
        for (int i = 0; i < 2000; i++) {
            if (kind == 0) put_frame(&c->out, PING, 0, 0, "12345678", 8);
            if (kind == 1) put_frame(&c->out, CONTINUATION, 0, 1, NULL, 0);
            if (kind == 2) put_frame(&c->out, SETTINGS, 0, 0, NULL, 0);
            if (kind == 3) put_frame(&c->out, DATA, 0, 1, NULL, 0);
        }
        h2_send(c);
        h2_await(c, "code=11|");
        h2_await_end(c);
        h2_close(c);
        check_bystander(net, bystander, 1 + 2 * (uint32_t)kind);
    }
    static const cre_http2_limit limits[] = { CRE_HTTP2_LIMIT_PINGS, CRE_HTTP2_LIMIT_CONTINUATIONS,
                                              CRE_HTTP2_LIMIT_SETTINGS, CRE_HTTP2_LIMIT_EMPTY_DATA };
    const cre_engine_stats stats = net_stats(net);
    uint64_t sum = 0;
    for (int kind = 0; kind < 4; kind++)
        CHECK_EQ(stats.http2_exceeded[limits[kind]], 1);
    for (int i = 0; i < CRE_HTTP2_LIMITS; i++)
        sum += stats.http2_exceeded[i];
    CHECK_EQ(sum, 4);
    h2_close(bystander);
    net_stop(net);
}

/* ---- requests that wait ---- */

static bool is_congested(void *context, uint16_t worker) {
    (void)context, (void)worker;
    return worker_is_congested;
}

/* The link to the worker is full: requests wait, with their bodies, until there is room. */
TEST(requests_wait_for_their_worker) {
    worker_is_congested = false;
    net_server *net = start_with((cre_engine_config){ .congested = is_congested }, (cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, END_STREAM, H2_GET("/fill"));
    put_headers(&c->out, 3, END_STREAM, H2_GET("/hello"));
    put_headers(&c->out, 5, 0, H2_POST("/hello"));
    put_frame(&c->out, DATA, END_STREAM, 5, "body", 4);
    put_headers(&c->out, 7, END_STREAM, H2_GET("/hello"));
    put_reset(&c->out, 7, CRE_HTTP2_CANCEL);
    put_frame(&c->out, PING, 0, 0, "12345678", 8);
    h2_send(c);
    h2_await(c, "PING ack");
    CHECK_EQ(net->count, 1);
    CHECK(net_stats(net).buffered > 0);
    worker_is_congested = false;
    cre_engine_resume(net->engine, 0);
    h2_await(c, "DATA 3 'hello' end|");
    h2_await(c, "DATA 5 'hello' end|");
    CHECK_EQ(net_count_events(net, CRE_EVENT_REQUEST), 3);
    CHECK_EQ(net_stats(net).http2_open_streams, 1);
    h2_close(c);
    net_stop(net);
}

/* A client that takes no output gets no more requests served once that has max_queue bytes. */
TEST(requests_wait_for_the_output_of_others) {
    net_server *net = start((cre_port_options){ .max_queue = 100000, .max_streams = 10 });
    static char large[60000];
    size_t length = sizeof large; /* together more than max_queue, the second alone less than half of it */
    h2_client *c = h2_connect(net);
    put_preface(&c->out);
    put_setting(&c->out, 4, 0); /* no window */
    put_frame(&c->out, SETTINGS, ACK, 0, NULL, 0);
    h2_send(c);
    h2_await(c, "SETTINGS ack|");
    for (uint32_t stream = 1; stream < 9; stream += 2) {
        h2_get(c, stream, H2_GET("/large"));
        put_frame(&c->out, PING, 0, 0, "12345678", 8);
        clear(&c->in.frames);
        h2_send(c);
        h2_await(c, "PING ack");
        CHECK_EQ(net->count, stream < 5 ? (stream + 1) / 2 : 2);
        if (stream >= 5) continue;
        const cre_session session = net->events[net->count - 1].record.session;
        CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, large, length), 0);
        length = 45000;
    }
    CHECK(net_stats(net).queued <= 2 * sizeof large);
    put_reset(&c->out, 5, CRE_HTTP2_CANCEL); /* one of those that wait */
    put_window_update(&c->out, 1, sizeof large);
    h2_send(c);
    for (int i = 0; net->count < 3 && i < NET_WAITS; i++)
        net_turn(net);
    CHECK_EQ(net->count, 3);
    CHECK_EQ(net->events[2].record.kind, CRE_EVENT_REQUEST);
    h2_close(c);
    net_stop(net);
}

/* Heads of responses to all streams, up to the largest, are sent however many there are in one turn. */
TEST(large_heads_of_all_streams) {
    enum { STREAMS = 40 };
    net_server *net = start((cre_port_options){ .max_streams = STREAMS });
    static char fields[50001] = "X: ";
    memset(fields + 3, 'v', sizeof fields - 6);
    memcpy(fields + sizeof fields - 3, "\r\n", 3);
    h2_client *c = h2_open(net);
    for (uint32_t i = 0; i < STREAMS; i++)
        put_headers(&c->out, 1 + 2 * i, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    for (int i = 0; net->count < STREAMS && i < NET_WAITS; i++)
        net_turn(net);
    CHECK_EQ(net->count, STREAMS);
    for (int i = 0; i < STREAMS; i++)
        CHECK_EQ(cre_engine_respond(net->engine, net->events[i].record.session, 200, fields, "a", 1), 0);
    size_t received = 0;
    for (int i = 0; received < STREAMS * 43000 && i < NET_WAITS; i++) {
        net_turn(net);
        net_pull(&c->socket);
        received += c->socket.length;
        c->socket.length = 0;
    }
    CHECK(received >= STREAMS * 43000);
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_OVERFLOW], 0);
    h2_close(c);
    net_stop(net);
}

/* A client that opens no window: its stream ends, and what is queued for it is freed. */
TEST(stalled_windows) {
    static const char body[100000] = { 0 };
    net_server *net = start((cre_port_options){ .idle_timeout_ms = 300 });
    h2_client *bystander = h2_open(net), *c = h2_open(net);
    put_headers(&c->out, 1, END_STREAM, H2_GET("/wait"));
    put_headers(&c->out, 3, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    const cre_session whole = wait_for_request(net), streamed = wait_for_request(net);
    CHECK_EQ(cre_engine_respond(net->engine, whole, 200, NULL, body, sizeof body), 0);
    CHECK_EQ(cre_engine_respond_more(net->engine, streamed, 200, NULL, body, sizeof body), 0);
    h2_await(c, "RST_STREAM 1 code=8|");
    h2_await(c, "RST_STREAM 3 code=8|");
    CHECK_EQ(net_stats(net).queued, 0);
    h2_close(c);
    h2_close(bystander);
    net_stop(net);
}

/* Output of streams counts against the budget, and the largest one ends. */
TEST(memory_budget) {
    static const char body[3000000] = { 0 };
    net_server *net = start_with((cre_engine_config){ .memory_budget = 4000000 }, (cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, END_STREAM, H2_GET("/wait"));
    put_headers(&c->out, 3, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    const cre_session first = wait_for_request(net), second = wait_for_request(net);
    CHECK_EQ(cre_engine_respond(net->engine, first, 200, NULL, body, sizeof body), 0);
    CHECK_EQ(cre_engine_respond(net->engine, second, 200, NULL, body, sizeof body / 2), 0);
    h2_await(c, "RST_STREAM 1 code=");
    CHECK_EQ(net_stats(net).shed, 1);
    put_window_update(&c->out, 0, 1 << 20);
    check_bystander(net, c, 5);
    h2_close(c);
    net_stop(net);
}
#else
TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}
#endif

TEST_MAIN()
