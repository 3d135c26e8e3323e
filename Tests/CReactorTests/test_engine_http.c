/* HTTP on real sockets. */
#include "both.h"

/* GET /now is answered at once, /later by the test; the answer is the path, then the body. */
static int serve(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, payload, event->length), 0);
    CHECK(cre_request_view_is_whole(&view));
    CHECK_EQ((view.head->flags & CRE_HTTP_SECURE) != 0, net_tls_now != NULL);
    const char *path = (const char *)view.bytes + view.head->path;
    if (cre_request_is(payload, event->length, "/later")) return 0;
    if (cre_request_is(payload, event->length, "/gone"))
        return cre_engine_respond(net->engine, event->session, 404, "X-A: 1\r\nX-B: 2\r\n", "no such page",
                                  12);
    char *body = malloc(view.head->path_length + view.body_length);
    REQUIRE(body != NULL);
    memcpy(body, path, view.head->path_length);
    if (view.body_length) memcpy(body + view.head->path_length, view.body, view.body_length);
    CHECK_EQ(cre_engine_respond(net->engine, event->session, 200, NULL, body,
                                view.head->path_length + view.body_length),
             0);
    int again = cre_engine_respond(net->engine, event->session, 200, NULL, NULL, 0);
    CHECK(again == CRE_ENO_REQUEST || again == CRE_EGONE);
    free(body);
    return 0;
}

static net_server *start(void) {
    return net_start((cre_engine_config){ .http = true, .max_body = 100000 }, serve);
}

static void expect(net_client *client, int status, const char *body) {
    char got[8192];
    CHECK_EQ(net_response(client, got, sizeof got, false), status);
    if (body) CHECK_STR(got, body);
}

TEST_BOTH(requests_on_one_connection) {
    net_server *net = start();
    net_client client = net_connect(net);
    for (int i = 0; i < 5; i++) {
        net_send_text(&client, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
        expect(&client, 200, "/now");
    }
    net_send_text(&client, "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    size_t at = net_find(&client, "X-B: 2\r\n");
    CHECK(at > 0);
    expect(&client, 404, "no such page");
    net_send_text(&client, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    net_find(&client, "Connection: close\r\n");
    expect(&client, 200, "/now");
    net_await_end(&client);
    net_close(&client);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 0); /* no WebSocket, no CLOSE */
    net_stop(net);
}

/* What another process may have written. */
TEST(a_request_whose_parts_are_elsewhere_is_not_whole) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, "GET /later?q HTTP/1.1\r\nHost: a\r\n\r\n");
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
    static const size_t lengths[] = {
        offsetof(cre_http_head, method_length),
        offsetof(cre_http_head, target_length),
        offsetof(cre_http_head, path_length),
        offsetof(cre_http_head, query_length),
        offsetof(cre_http_head, host_length),
        sizeof(cre_http_head) + offsetof(cre_http_field, name_length),
        sizeof(cre_http_head) + offsetof(cre_http_field, value_length),
    };
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, event->payload, event->record.length), 0);
    CHECK(cre_request_view_is_whole(&view));
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint16_t *length = (uint16_t *)(void *)((uint8_t *)event->payload + lengths[i]);
        const uint16_t before = *length, start = length[-1],
                       most = (uint16_t)(view.head->head_length - start);
        *length = most;
        CHECK(cre_request_view_is_whole(&view));
        *length = (uint16_t)(most + 1);
        CHECK(!cre_request_view_is_whole(&view));
        *length = UINT16_MAX;
        CHECK(!cre_request_view_is_whole(&view));
        *length = before;
    }
    net_close(&client);
    net_stop(net);
}

TEST(a_path_is_compared_without_its_query) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, "GET /later?now HTTP/1.1\r\nHost: a\r\n\r\n");
    const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
    const uint8_t *payload = event->payload;
    uint32_t length = event->record.length;
    CHECK(cre_request_is(payload, length, "/later"));
    CHECK(!cre_request_is(payload, length, "/late"));
    CHECK(!cre_request_is(payload, length, "/later?now"));
    CHECK(!cre_request_is(payload, length, "/Later"));
    CHECK(!cre_request_is(payload, length, ""));
    for (uint32_t part = 0; part < length; part++)
        CHECK(!cre_request_is(payload, part, "/later")); /* not a whole payload */
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(http_1_0) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    net_find(&client, "Connection: keep-alive\r\n");
    expect(&client, 200, "/now");
    net_send_text(&client, "GET /now HTTP/1.0\r\n\r\n");
    expect(&client, 200, "/now");
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(head_has_a_length_and_no_body) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, "HEAD /now HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    net_find(&client, "Content-Length: 4\r\n");
    char body[16];
    CHECK_EQ(net_response(&client, body, sizeof body, true), 200);
    expect(&client, 200, "/now");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(statuses_without_a_body) {
    net_server *net = start();
    net_client client = net_connect(net);
    static const int statuses[] = { 204, 304, 200 };
    for (int i = 0; i < 3; i++) {
        net_send_text(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
        cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
        CHECK_EQ(cre_engine_respond(net->engine, session, (uint16_t)statuses[i], NULL, "x", i == 2), 0);
        size_t head = net_find(&client, "\r\n\r\n");
        client.data[head - 1] = 0;
        bool length = strstr((char *)client.data, "Content-Length") != NULL;
        CHECK_EQ(length, i == 2);
        CHECK_EQ(client.length, head + (i == 2));
        net_take(&client, client.length);
    }
    net_send_text(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(cre_engine_respond(net->engine, session, 205, NULL, "x", 1), 0);
    expect(&client, 205, "");
    net_settle(net);
    CHECK_EQ(client.length, 0);
    net_send_text(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(cre_engine_respond(net->engine, session, 101, NULL, NULL, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_respond(net->engine, session, 1000, NULL, NULL, 0), CRE_EINVALID);
    CHECK_EQ(cre_engine_respond(net->engine, session, 599, NULL, "x", 1), 0);
    expect(&client, 599, "x");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pipelined_requests_are_answered_in_order) {
    net_server *net = start();
    net_client client = net_connect(net);
    char text[4000] = "", path[64];
    for (int i = 0; i < 50; i++) {
        snprintf(path, sizeof path, "GET /%s%d HTTP/1.1\r\nHost: a\r\n\r\n", i % 3 ? "" : "later?", i);
        strcat(text, path);
    }
    net_send(&client, text, strlen(text));
    for (int i = 0; i < 50; i++) {
        const net_event *event = net_expect_event(net, CRE_EVENT_REQUEST);
        if (i % 3 == 0) {
            net_settle(net);
            CHECK_EQ(net->count, net->seen); /* nothing overtakes */
            snprintf(path, sizeof path, "late %d", i);
            CHECK_EQ(cre_engine_respond(net->engine, event->record.session, 200, NULL, path, strlen(path)),
                     0);
        } else {
            snprintf(path, sizeof path, "/%d", i);
        }
        expect(&client, 200, path);
    }
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pipelining_waits_while_paused) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    cre_record command = { .kind = CRE_COMMAND_PAUSE, .session = session };
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "1", 1), 0);
    expect(&client, 200, "1");
    net_settle(net);
    CHECK_EQ(net->count, net->seen);
    command.kind = CRE_COMMAND_RESUME;
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    expect(&client, 200, "/now");
    net_send_text(&client, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&client, 200, "/now");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_client_may_end_its_side_after_its_requests) {
    net_server *net = start();
    for (int later = 0; later < 2; later++) {
        net_client client = net_connect(net);
        const char *text = later
                               ? "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n"
                               : "GET /now HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n";
        net_send(&client, text, strlen(text));
        shutdown(client.descriptor, SHUT_WR);
        if (later) {
            cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
            net_settle(net);
            CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "/now", 4), 0);
        }
        expect(&client, 200, "/now");
        expect(&client, 200, "/now");
        net_await_end(&client);
        net_close(&client);
        NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
        net_forget(net);
    }
    net_client client = net_connect(net);
    net_send_text(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    shutdown(client.descriptor, SHUT_WR);
    net_settle(net);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "last", 4), 0);
    net_find(&client, "Connection: close\r\n");
    expect(&client, 200, "last");
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(bodies_split_everywhere) {
    static const char *const requests[] = {
        "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
        "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n",
        "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\nT: 1\r\n\r\n",
    };
    net_server *net = start();
    net->quiet = true;
    for (size_t r = 0; r < 3; r++) {
        net_client client = net_connect(net);
        size_t size = strlen(requests[r]);
        for (size_t split = 0; split <= size; split++) {
            net_send(&client, requests[r], split);
            net_settle(net);
            net_send(&client, requests[r] + split, size - split);
            /* One more request in the same segment as the end of the body. */
            net_send_text(&client, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
            expect(&client, 200, "/bhello world");
            expect(&client, 200, "/now");
        }
        for (size_t i = 0; i < size; i++) {
            net_send(&client, requests[r] + i, 1);
            net_turn(net);
        }
        expect(&client, 200, "/bhello world");
        net_close(&client);
    }
    net_stop(net);
}

TEST_BOTH(large_bodies_both_ways) {
    net_server *net = net_start((cre_engine_config){ .http = true, .max_body = 3000000 }, serve);
    net->quiet = true;
    size_t size = 3000000;
    char *body = malloc(size + 8), *got = malloc(size + 8);
    REQUIRE(body && got);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 23);
    net_client client = net_connect(net);
    net_send_text(&client, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
    net_send(&client, body, size);
    CHECK_EQ(net_response(&client, got, size + 8, false), 200);
    CHECK_MEM(got, "/b", 2);
    CHECK_MEM(got + 2, body, size);
    net_send_text(&client, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&client, 200, "/now");
    free(body);
    free(got);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(continue_is_said_only_when_the_client_waits) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client,
                  "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    size_t head = net_find(&client, "HTTP/1.1 100 Continue\r\n\r\n");
    net_take(&client, head);
    net_send_text(&client, "ok");
    expect(&client, 200, "/bok");
    net_send_text(&client,
                  "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok");
    expect(&client, 200, "/bok");
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(errors_have_a_page_and_end_the_connection) {
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "malformed\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", 413 },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n", 413 },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186A1", 413 },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000", 413 },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400 },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
        { "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n", 501 },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: magic\r\n\r\n", 417 },
        { "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
          426 },
    };
    net_server *net = start();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net_client client = net_connect(net);
        net_send(&client, cases[i].text, strlen(cases[i].text));
        net_find(&client,
                 cases[i].status == 426 ? "Connection: upgrade, close\r\n" : "Connection: close\r\n");
        char body[256];
        CHECK_EQ(net_response(&client, body, sizeof body, false), cases[i].status);
        CHECK(strstr(body, "<h1>") != NULL);
        net_await_end(&client);
        CHECK_EQ(client.length, 0);
        net_close(&client);
    }
    CHECK_EQ(net->count, 0);
    net_stop(net);
}

TEST_BOTH(connect_behind_a_head_request_has_a_page) {
    net_server *net = start();
    net_client client = net_connect(net);
    net_send_text(&client, "HEAD /now HTTP/1.1\r\nHost: a\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    char body[256];
    CHECK_EQ(net_response(&client, body, sizeof body, true), 200);
    CHECK_EQ(net_response(&client, body, sizeof body, false), 501);
    CHECK(strstr(body, "<h1>") != NULL);
    net_await_end(&client);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(a_refused_head_request_has_no_body) {
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "HEAD / HTTP/1.1\r\n\r\n", 400 },
        { "HEAD / HTTP/1.1\r\nHost: a\r\nB d: 1\r\n\r\n", 400 },
        { "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", 413 },
        { "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\n\r\n", 400 },
        { "HEAD / HTTP/1.1\r\nHost: a\r\n", 408 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t limit = cases[i].status == 408 ? 1 : 600000;
        net_server *net = net_start(
            (cre_engine_config){ .http = true, .max_body = 100000, .head_timeout_ms = limit }, serve);
        net_client client = net_connect(net);
        net_send(&client, cases[i].text, strlen(cases[i].text));
        if (cases[i].text[0] == 'G') expect(&client, 200, "/");
        net_find(&client, "Connection: close\r\n");
        CHECK_EQ(net_response(&client, NULL, 0, true), cases[i].status);
        net_await_end(&client);
        CHECK_EQ(client.length, 0);
        net_close(&client);
        net_stop(net);
    }
}

TEST_BOTH(a_head_has_a_limit) {
    net_server *net = net_start((cre_engine_config){ .http = true, .max_head = 2000 }, serve);
    for (int step = 7; step < 3000; step += 990) {
        net_client client = net_connect(net);
        char text[3000];
        memset(text, 'x', sizeof text);
        memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
        for (int at = 0; at < 2900 && !client.eof; at += step) {
            net_send(&client, text + at, (size_t)(2900 - at < step ? 2900 - at : step));
            net_turn(net);
        }
        expect(&client, 431, NULL);
        net_await_end(&client);
        net_close(&client);
    }
    net_stop(net);
}

TEST_BOTH(without_http_a_request_gets_400) {
    net_server *net = net_start((cre_engine_config){ 0 }, serve);
    net_client client = net_connect(net);
    net_send_text(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&client, 400, NULL);
    net_await_end(&client);
    net_close(&client);
    CHECK_EQ(net->count, 0);
    net_stop(net);
}

/* A RESPOND with one field, as it comes over a link. */
static int receive_response(net_server *net, cre_session session, uint8_t request, const char *name,
                            const char *value) {
    uint8_t payload[128];
    cre_response response = { .status = 200 };
    const size_t room = sizeof payload - sizeof response;
    response.fields_length = (uint32_t)cre_http_fields_put(payload + sizeof response, room, name,
                                                           strlen(name), value, strlen(value));
    memcpy(payload, &response, sizeof response);
    const size_t head = sizeof response + response.fields_length;
    memcpy(payload + head, "body", 4);
    const cre_record command = {
        .length = (uint32_t)head + 4, .kind = CRE_COMMAND_RESPOND, .opcode = request, .session = session
    };
    return cre__command_receive(net->engine, &command, &(cre_slice){ payload, head + 4 });
}

/* More bytes of fields than a head may have. */
static int receive_large_response(net_server *net, cre_session session, uint8_t request) {
    static uint8_t payload[sizeof(cre_response) + CRE_HTTP_MAX_HEAD + 1];
    const cre_response response = { .status = 200, .fields_length = CRE_HTTP_MAX_HEAD + 1 };
    memcpy(payload, &response, sizeof response);
    const cre_record command = {
        .length = sizeof payload, .kind = CRE_COMMAND_RESPOND, .opcode = request, .session = session
    };
    return cre__command_receive(net->engine, &command, &(cre_slice){ payload, sizeof payload });
}

/* Less than the head says. The rest is that of the memory, so a reader beyond the end is found. */
static int receive_short_response(net_server *net, cre_session session, uint8_t request, size_t length) {
    const cre_response response = { .status = 200, .fields_length = 8 };
    uint8_t *payload = cre__malloc(length);
    REQUIRE(payload);
    memcpy(payload, &response, length < sizeof response ? length : sizeof response);
    if (length > sizeof response) memset(payload + sizeof response, 0, length - sizeof response);
    const cre_record command = {
        .length = (uint32_t)length, .kind = CRE_COMMAND_RESPOND, .opcode = request, .session = session
    };
    const int result = cre__command_receive(net->engine, &command, &(cre_slice){ payload, length });
    cre__free(payload);
    return result;
}

/* Nothing of an invalid one is sent, and its sender is known to be broken, whether it was due or not. */
TEST_BOTH(responses_of_other_processes_are_checked) {
    net_server *net = net_start((cre_engine_config){ .http = true, .max_pipelined = 4 }, serve);
    net_client client = net_connect(net);
    net_send_text(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    const cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    const uint8_t second = net_expect_event(net, CRE_EVENT_REQUEST)->record.opcode;
    const uint8_t first = (uint8_t)(second - 1), none = (uint8_t)(second + 1);
    const uint8_t numbers[] = { first, second, none };
    for (size_t i = 0; i < sizeof numbers; i++) {
        CHECK_EQ(receive_response(net, session, numbers[i], "X-A", "1\r\nX-B: 2"), CRE_EHTTP_INVALID_FIELD);
        CHECK_EQ(receive_response(net, session, numbers[i], "X A", "1"), CRE_EHTTP_INVALID_FIELD);
        CHECK_EQ(receive_response(net, session, numbers[i], "", "1"), CRE_EHTTP_INVALID_FIELD);
        CHECK_EQ(receive_response(net, session, numbers[i], "X-A", " 1"), CRE_EHTTP_INVALID_FIELD);
        CHECK_EQ(receive_large_response(net, session, numbers[i]), CRE_EINVALID);
        for (size_t length = 1; length < sizeof(cre_response) + 8; length++)
            CHECK_EQ(receive_short_response(net, session, numbers[i], length), CRE_EINVALID);
    }
    CHECK_EQ(receive_response(net, session + 1, first, "X A", "1"), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(receive_response(net, session + 1, first, "X-A", "1"), 0);
    CHECK_EQ(receive_response(net, session, none, "X-A", "1"), 0);
    CHECK_EQ(receive_response(net, session, second, "X-A", "two"), 0);
    CHECK_EQ(receive_response(net, session, first, "X-A", "one"), 0);
    static const char head[] = "HTTP/1.1 200 OK\r\nX-A: one\r\n";
    CHECK_EQ(net_find(&client, head), sizeof head - 1); /* nothing is before it */
    expect(&client, 200, "body");
    expect(&client, 200, "body");
    net_close(&client);
    net_stop(net);
}

static int close_in_open(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    if (event->kind == CRE_EVENT_OPEN) CHECK_EQ(cre_engine_close(net->engine, event->session, 4000, NULL), 0);
    return 0;
}

TEST_BOTH(a_close_in_open_meets_frames_that_came_along) {
    net_server *net = net_start((cre_engine_config){ .close_timeout_ms = 600000 }, close_in_open);
    size_t size, head = sizeof NET_UPGRADE - 1;
    uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_CLOSE, "\x03\xe8", 2, &size), all[512];
    memcpy(all, NET_UPGRADE, head);
    memcpy(all + head, frame, size);
    free(frame);
    for (size_t split = 1; split < head; split += 10) {
        net_client client = net_connect(net);
        net_send(&client, all, split);
        net_settle(net);
        net_send(&client, all + split, head + size - split);
        net_upgraded(&client);
        CHECK_EQ(net_ws_expect_close(&client), 4000);
        net_await_end(&client);
        net_close(&client);
        net_expect_event(net, CRE_EVENT_OPEN);
        CHECK_EQ(net_closed(net_next(net)).code, 4000);
    }
    net_stop(net);
}

TEST_MAIN()
