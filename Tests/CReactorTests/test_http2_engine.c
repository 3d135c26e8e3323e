/* HTTP/2 served by an engine: each stream is a session with one request. */
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "engine/command.h"
#include "http2_net.h"

static const char large[300000] = { 0 };

/* Answers by the path of a request; /wait is not answered. */
static int act(net_server *net, const cre_record *event, uint8_t *payload) {
    cre_engine *engine = net->engine;
    const cre_session session = event->session;
    cre_request_view view;
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    CHECK_EQ(cre_request_view_init(&view, payload, event->length), 0);
    CHECK(cre_request_view_is_whole(&view));
    if (cre_request_is(payload, event->length, "/hello"))
        CHECK_EQ(cre_engine_respond(engine, session, 200, "X: y\r\nConnection: close\r\n", "hello", 5), 0);
    else if (cre_request_is(payload, event->length, "/none"))
        CHECK_EQ(cre_engine_respond(engine, session, 204, NULL, NULL, 0), 0);
    else if (cre_request_is(payload, event->length, "/large"))
        CHECK_EQ(cre_engine_respond(engine, session, 200, NULL, large, sizeof large), 0);
    else if (cre_request_is(payload, event->length, "/echo") && event->flags & CRE_RECORD_FINAL)
        CHECK_EQ(cre_engine_respond(engine, session, 200, NULL, view.body, view.body_length), 0);
    return 0;
}

static net_server *start(cre_port_options options) {
    options.size = sizeof options;
    options.protocol = CRE_PROTOCOL_HTTP;
    return net_start((cre_engine_config){ .ports = &options, .port_count = 1 }, act);
}

/* A request that is not answered yet. */
static cre_session wait_for_request(net_server *net) {
    return net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
}

#define DATE " date="

/* Checks the fields of an answer other than its date. */
static void check_answer(h2_client *c, const char *before, const char *after) {
    char *date = strstr(c->in.frames.bytes, DATE);
    CHECK(date != NULL);
    if (!date) return;
    memmove(date, date + strlen(DATE) + 29, strlen(date + strlen(DATE) + 29) + 1);
    CHECK(strncmp(c->in.frames.bytes, before, strlen(before)) == 0);
    CHECK_STR(c->in.frames.bytes + strlen(before), after);
    clear(&c->in.frames);
}

TEST(prior_knowledge_in_two_pieces) {
    net_server *net = start((cre_port_options){ 0 });
    for (size_t first = 1; first < 40; first++) {
        h2_client *c = h2_connect(net);
        put_preface(&c->out);
        put_headers(&c->out, 1, END_STREAM, H2_GET("/hello"));
        net_send(&c->socket, c->out.bytes, first);
        net_settle(net);
        net_send(&c->socket, c->out.bytes + first, c->out.length - first);
        h2_await(c, "DATA 1 'hello' end|");
        h2_close(c);
    }
    CHECK_EQ(net_stats(net).http2_connections, 39);
    net_stop(net);
}

TEST(other_beginnings) {
    net_server *net = start((cre_port_options){ 0 });
    static const char *const invalid[] = { "PRI * HTTP/2.0\r\n\r\nSN", "PRI * HTTP/2.1\r\n\r\n",
                                           "PRI / HTTP/2.0\r\n\r\n" };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        net_client client = net_connect(net);
        net_send(&client, invalid[i], strlen(invalid[i]));
        CHECK(net_find(&client, "HTTP/1.1 "));
        CHECK(client.data[9] == '4' || client.data[9] == '5');
        net_close(&client);
    }
    /* not behind a request */
    net_client client = net_connect(net);
    net_send_text(&client, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    NET_UNTIL(net, net->count);
    const cre_session session = wait_for_request(net);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, NULL, 0), 0);
    CHECK(net_find(&client, "\r\n\r\n"));
    client.length = 0;
    net_send_text(&client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    CHECK(net_find(&client, "HTTP/1.1 505 "));
    net_close(&client);
    net_stop(net);
}

TEST(whole_requests_and_responses) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, H2_GET("/hello"));
    h2_await(c, "end|");
    check_answer(c, "HEADERS 1 :status=200", " content-length=5 x=y|DATA 1 'hello' end|");
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, event->payload, event->record.length), 0);
    CHECK(view.head->flags & CRE_HTTP_2);
    CHECK(!(view.head->flags & CRE_HTTP_SECURE));
    CHECK_EQ(event->record.opcode, 0);
    CHECK_EQ(event->record.flags & CRE_RECORD_FINAL, CRE_RECORD_FINAL);
    h2_get(c, 3, H2_HEAD("/hello"));
    h2_await(c, "end|");
    check_answer(c, "HEADERS 3 :status=200", " content-length=5 x=y end|");
    h2_get(c, 5, H2_GET("/none"));
    h2_await(c, "end|");
    check_answer(c, "HEADERS 5 :status=204", " end|");
    put_headers(&c->out, 7, 0, H2_POST("/echo"));
    put_frame(&c->out, DATA, 0, 7, "one ", 4);
    put_frame(&c->out, DATA, END_STREAM, 7, "two", 3);
    h2_send(c);
    h2_await(c, "DATA 7 'one two' end|");
    put_headers(&c->out, 9, 0, H2_POST("/echo") "content-length: 3\nexpect: 100-continue\n");
    h2_send(c);
    h2_await(c, "HEADERS 9 :status=100|");
    put_frame(&c->out, DATA, END_STREAM, 9, "abc", 3);
    h2_send(c);
    h2_await(c, "DATA 9 'abc' end|");
    CHECK_EQ(net_stats(net).requests, 5);
    CHECK_EQ(net_stats(net).responses, 5);
    CHECK_EQ(net_stats(net).accepted, 1);
    CHECK_EQ(cre_table_count(cre_engine_table(net->engine)), 1);
    h2_close(c);
    NET_UNTIL(net, !cre_table_count(cre_engine_table(net->engine)));
    CHECK_EQ(net_stats(net).closed, 1);
    net_stop(net);
}

TEST(the_longest_timeout) {
    net_server *net = start((cre_port_options){ .idle_timeout_ms = UINT32_MAX });
    h2_client *c = h2_open(net);
    put_headers(&c->out, 1, END_STREAM, H2_GET("/hello"));
    h2_send(c);
    h2_await(c, "DATA 1 'hello' end|");
    h2_close(c);
    net_stop(net);
}

TEST(error_pages) {
    net_server *net = start((cre_port_options){ .max_body = 10 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, ":method: CONNECT\n:authority: a.example:80\n");
    h2_await(c, "HEADERS 1 :status=501");
    put_headers(&c->out, 3, 0, H2_POST("/echo") "content-length: 11\n");
    h2_send(c);
    h2_await(c, "HEADERS 3 :status=413");
    put_headers(&c->out, 5, 0, H2_POST("/echo"));
    put_frame(&c->out, DATA, 0, 5, "0123456789", 10);
    put_frame(&c->out, DATA, 0, 5, "0", 1);
    h2_send(c);
    h2_await(c, "HEADERS 5 :status=413");
    h2_await(c, "RST_STREAM 5 code=0|"); /* the rest is not wanted */
    h2_get(c, 7, H2_GET("/hello"));
    h2_await(c, "DATA 7 'hello' end|");
    CHECK_EQ(net->count, 1);
    h2_close(c);
    net_stop(net);
}

TEST(answers_in_any_order) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    cre_session sessions[3];
    for (uint32_t i = 0; i < 3; i++)
        put_headers(&c->out, 1 + 2 * i, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    for (int i = 0; i < 3; i++)
        sessions[i] = wait_for_request(net);
    static const char *const frames[] = { "DATA 1 '0' end|", "DATA 3 '1' end|", "DATA 5 '2' end|" };
    for (int i = 2; i >= 0; i--) {
        const char body[] = { (char)('0' + i), 0 };
        CHECK_EQ(cre_engine_respond(net->engine, sessions[i], 200, NULL, body, 1), 0);
        CHECK_EQ(cre_engine_respond(net->engine, sessions[i], 200, NULL, body, 1), CRE_EGONE);
        h2_await(c, frames[i]);
    }
    h2_close(c);
    net_stop(net);
}

/* A body that is larger than the client's windows, while another stream is served. */
/* What one batch of 16 requests has needed serves the next ones. */
TEST(requests_use_the_memory_of_those_before) {
    net_server *net = start((cre_port_options){ 0 });
    net->quiet = true;
    h2_client *c = h2_open(net);
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t stream = 1;
        for (uint32_t k = 0; k < 16; k++) {
            stream = 2 * (16 * i + k) + 1;
            put_headers(&c->out, stream, END_STREAM, H2_GET("/hello"));
        }
        char last[40];
        snprintf(last, sizeof last, "DATA %u 'hello' end|", stream);
        const long allocated = atomic_load(&test_allocations);
        h2_send(c);
        h2_await(c, last);
        /* each second has a date of its own, which the field compression keeps; sanitizers see all memory
         * freed */
        if (i > 1 && TEST_STRIDE == 1) CHECK(atomic_load(&test_allocations) - allocated < 8);
        clear(&c->in.frames);
    }
    h2_close(c);
    net_stop(net);
}

TEST(large_responses) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, H2_GET("/large"));
    h2_await_data(c, 65535);
    put_window_update(&c->out, 0, 1 << 20);
    h2_get(c, 3, H2_GET("/hello"));
    h2_await_data(c, 65535 + 5);
    put_window_update(&c->out, 1, 1 << 20);
    h2_send(c);
    h2_await_data(c, sizeof large + 5);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 1);
    CHECK_EQ(net_stats(net).queued, 0);
    h2_close(c);
    net_stop(net);
}

TEST(bodies_in_pieces_with_trailers) {
    net_server *net =
        start((cre_port_options){ .max_queue = 200000, .high_water = 100000, .low_water = 50000 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, H2_GET("/wait"));
    const cre_session session = wait_for_request(net);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "first", 5), 0);
    h2_await(c, "DATA 1 'first'|");
    /* until the queue is full, and empty again */
    CHECK_EQ(cre_engine_respond_body(net->engine, session, large, 180000, false), 0);
    net_expect_event(net, CRE_EVENT_FULL);
    CHECK_EQ(cre_engine_respond_body(net->engine, session, large, 180000, false), CRE_EQUEUE_FULL);
    put_window_update(&c->out, 0, 1 << 20);
    put_window_update(&c->out, 1, 1 << 20);
    h2_send(c);
    net_expect_event(net, CRE_EVENT_DRAINED);
    h2_await_data(c, 5 + 180000);
    uint8_t fields[64];
    const size_t size = cre_http_fields_put(fields, sizeof fields, "Sum", 3, "1", 1);
    const cre_trailers trailers = { .fields_length = (uint32_t)size };
    const cre_slice parts[] = { { (const uint8_t *)&trailers, sizeof trailers },
                                { fields, size },
                                { (const uint8_t *)"last", 4 } };
    const cre_record command = { .kind = CRE_COMMAND_RESPOND_BODY,
                                 .flags = CRE_RECORD_FINAL | CRE_RECORD_TRAILERS,
                                 .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &command, parts, 3), 0);
    h2_await(c, "DATA 1 'last'|HEADERS 1 sum=1 end|");
    h2_close(c);
    net_stop(net);
}

/* Begins a response, and ends it with trailers of this name and value, and "Sum: 1". */
static int end_with_trailers(net_server *net, h2_client *c, uint32_t stream, const char *name,
                             const char *value, size_t length) {
    static uint8_t fields[CRE_HTTP_MAX_HEAD];
    h2_get(c, stream, H2_GET("/wait"));
    const cre_session session = wait_for_request(net);
    CHECK_EQ(cre_engine_respond_more(net->engine, session, 200, NULL, "first", 5), 0);
    size_t size = cre_http_fields_put(fields, sizeof fields, name, strlen(name), value, length);
    size += cre_http_fields_put(fields + size, sizeof fields - size, "Sum", 3, "1", 1);
    const cre_trailers trailers = { .fields_length = (uint32_t)size };
    const cre_slice parts[] = { { (const uint8_t *)&trailers, sizeof trailers }, { fields, size } };
    const cre_record command = { .kind = CRE_COMMAND_RESPOND_BODY,
                                 .flags = CRE_RECORD_FINAL | CRE_RECORD_TRAILERS,
                                 .session = session };
    return cre_engine_command(net->engine, &command, parts, 2);
}

TEST(trailers_that_have_no_place_there_are_skipped) {
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    static const char *const names[] = { "Content-Length",   "transfer-encoding", "Connection", "Keep-Alive",
                                         "Proxy-Connection", "Upgrade",           "Host",       "Trailer" };
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        const uint32_t stream = 1 + 2 * i;
        CHECK_EQ(end_with_trailers(net, c, stream, names[i], "1", 1), 0);
        char wanted[64];
        snprintf(wanted, sizeof wanted, "DATA %u 'first'|HEADERS %u sum=1 end|", stream, stream);
        h2_await(c, wanted);
    }
    h2_close(c);
    net_stop(net);
}

/* The client has the beginning of the response. */
TEST(a_stream_ends_whose_trailers_are_too_large) {
    static char value[60000];
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    memset(value, 'x', sizeof value);
    CHECK_EQ(end_with_trailers(net, c, 1, "A", value, sizeof value), 0);
    h2_await(c, "HEADERS 1 a: 60000 bytes sum=1 end|");
    h2_close(c);
    c = h2_open(net);
    /* as nghttp2 counts */
    static char more[CRE_HTTP_MAX_HEAD - 100];
    memset(more, 'x', sizeof more);
    CHECK_EQ(end_with_trailers(net, c, 1, "A", more, sizeof more), CRE_EHTTP_HEAD_TOO_LARGE);
    h2_await(c, "RST_STREAM 1 ");
    h2_close(c);
    net_stop(net);
}

/* A worker's response whose fields are valid, and more than fit into a head: nobody waits for it. */
TEST(a_response_of_another_process_that_is_too_large) {
    static uint8_t payload[sizeof(cre_response) + CRE_HTTP_MAX_HEAD];
    static char value[CRE_HTTP_MAX_HEAD - CRE_HTTP_FIELD_OVERHEAD - 1];
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    h2_get(c, 1, H2_GET("/wait"));
    const cre_session session = wait_for_request(net);
    const cre_response response = { .status = 200, .fields_length = CRE_HTTP_MAX_HEAD };
    memcpy(payload, &response, sizeof response);
    memset(value, 'x', sizeof value);
    CHECK_EQ(cre_http_fields_put(payload + sizeof response, CRE_HTTP_MAX_HEAD, "a", 1, value, sizeof value),
             CRE_HTTP_MAX_HEAD);
    const cre_record command = { .length = sizeof payload, .kind = CRE_COMMAND_RESPOND, .session = session };
    CHECK_EQ(cre__command_receive(net->engine, &command, &(cre_slice){ payload, sizeof payload }), 0);
    h2_await(c, "RST_STREAM 1 ");
    h2_close(c);
    net_stop(net);
}

TEST(files) {
    char path[] = "/tmp/creactor-http2-XXXXXX";
    int descriptor = mkstemp(path);
    REQUIRE(descriptor >= 0);
    CHECK_EQ(write(descriptor, large, sizeof large), (ssize_t)sizeof large);
    close(descriptor);
    net_server *net = start((cre_port_options){ 0 });
    h2_client *c = h2_open(net);
    put_window_update(&c->out, 0, 1 << 20);
    put_setting(&c->out, 4, 1 << 20);
    static const size_t lengths[] = { 100, sizeof large };
    size_t sum = 0;
    for (uint32_t i = 0; i < 2; i++) {
        h2_get(c, 1 + 4 * i, H2_GET("/wait"));
        cre_session session = wait_for_request(net);
        CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, NULL, path, 0, lengths[i]), 0);
        sum += lengths[i];
        h2_await_data(c, sum);
        h2_get(c, 3 + 4 * i, H2_HEAD("/wait"));
        session = wait_for_request(net);
        CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, NULL, path, 0, lengths[i]), 0);
        h2_await(c, i ? "content-length=300000 end|" : "content-length=100 end|");
    }
    h2_get(c, 9, H2_GET("/wait"));
    cre_session session = wait_for_request(net);
    CHECK_EQ(cre_engine_respond_file(net->engine, session, 200, NULL, "/nowhere", 0, 1), -ENOENT);
    h2_await(c, "HEADERS 9 :status=404");
    unlink(path);
    h2_close(c);
    net_stop(net);
}
#else
TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}
#endif

TEST_MAIN()
