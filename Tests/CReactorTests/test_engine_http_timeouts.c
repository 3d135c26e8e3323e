/* The times that HTTP connections have: for a head, for a body, and between two requests. */
#include "both.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* A request is answered with its path, when all of it is there: /later by the test, and one before /both
 * together with that. */
static int serve(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, payload, event->length), 0);
    if (cre_request_is(payload, event->length, "/later")) return 0;
    if (cre_request_is(payload, event->length, "/both"))
        CHECK_EQ(cre_engine_respond(net->engine, event->session, 200, NULL, "before", 6), 0);
    return cre_engine_respond(net->engine, event->session, 200, NULL,
                              (const char *)view.bytes + view.head->path, view.head->path_length);
}

static void expect(net_client *client, int status, const char *body) {
    char got[8192];
    CHECK_EQ(net_response(client, got, sizeof got, false), status);
    if (body) CHECK_STR(got, body);
}

TEST_BOTH(timeouts_of_requests) {
    net_server *net = net_start((cre_engine_config){ .http = true,
                                                     .head_timeout_ms = 1,
                                                     .body_timeout_ms = 1,
                                                     .idle_timeout_ms = 1,
                                                     .close_timeout_ms = 1 },
                                serve);
    net_client client = net_connect(net); /* says nothing */
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    client = net_connect(net); /* half a head */
    net_send_text(&client, "GET / HT");
    expect(&client, 408, NULL);
    net_await_end(&client);
    net_close(&client);
    client = net_connect(net); /* half a body */
    net_send_text(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    expect(&client, 408, NULL);
    net_await_end(&client);
    net_close(&client);
    client = net_connect(net); /* one request, then nothing */
    net_send_text(&client, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&client, 200, "/now");
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(the_owner_may_take_its_time) {
    net_server *net =
        net_start((cre_engine_config){ .http = true, .head_timeout_ms = 1, .idle_timeout_ms = 1 }, serve);
    net_client client = net_connect(net), witness = net_connect(net);
    net_send_text(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    net_await_end(&witness); /* its timeout, which is the same, has passed */
    net_close(&witness);
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "x", 1), 0);
    expect(&client, 200, "x");
    net_close(&client);
    net_stop(net);
}

/* Requests that are answered while their connection is read, or outside of it. */
TEST_BOTH(nothing_follows_a_batch) {
    net_server *net = net_start(
        (cre_engine_config){ .http = true, .head_timeout_ms = 600000, .idle_timeout_ms = 1 }, serve);
    static const char batch[] = "GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
                                "GET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int later = 0; later < 2; later++) {
        net_client client = net_connect(net);
        const char *requests = later ? batch : strchr(batch + 1, 'G');
        net_send(&client, requests, strlen(requests));
        cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
        if (later) CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "x", 1), 0);
        if (later) expect(&client, 200, "x");
        expect(&client, 200, "/2");
        expect(&client, 200, "/3");
        net_await_end(&client);
        CHECK_EQ(client.length, 0);
        net_close(&client);
        net_forget(net);
    }
    net_stop(net);
}

/* What waited for an answer is served outside of a read. */
TEST_BOTH(nothing_follows_requests_that_waited) {
    net_server *net = net_start(
        (cre_engine_config){
            .http = true, .max_pipelined = 2, .head_timeout_ms = 600000, .idle_timeout_ms = 1 },
        serve);
    net_client client = net_connect(net);
    net_send_text(&client, GET("/later") GET("/later") GET("/both"));
    net_expect_event(net, CRE_EVENT_REQUEST);
    cre_session session = net_expect_event(net, CRE_EVENT_REQUEST)->record.session;
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, "first", 5), 0);
    expect(&client, 200, "first");
    expect(&client, 200, "before");
    expect(&client, 200, "/both");
    net_await_end(&client);
    CHECK_EQ(client.length, 0);
    net_close(&client);
    net_stop(net);
}

/* The rest of a body has its own time, also behind a request that was answered in the same read. */
TEST_BOTH(half_a_body_in_a_batch) {
    static const char half[] = GET("/1") "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel";
    for (int streamed = 0; streamed < 2; streamed++) {
        cre_port_options port = { .size = sizeof port,
                                  .protocol = CRE_PROTOCOL_HTTP,
                                  .http = true,
                                  .stream_bodies = streamed,
                                  .body_timeout_ms = 1,
                                  .idle_timeout_ms = 600000 };
        net_server *net = net_start((cre_engine_config){ .ports = &port, .port_count = 1 }, serve);
        net_client client = net_connect(net);
        net_send_text(&client, half);
        expect(&client, 200, "/1");
        if (streamed)
            expect(&client, 200, "/2"); /* without the body, which is dropped */
        else
            expect(&client, 408, NULL);
        net_await_end(&client);
        net_close(&client);
        net_stop(net);
    }
}

TEST_MAIN()
