/* What the streams of an HTTP/2 connection have queued together. */
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "http2_net.h"

enum { MAX_QUEUE = 100000, STREAMS = 12 };

static int ignore(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)net, (void)event, (void)payload;
    return 0;
}

static net_server *start(uint64_t in_flight) {
    static cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_HTTP };
    port.max_queue = MAX_QUEUE;
    return net_start((cre_engine_config){ .ports = &port, .port_count = 1, .in_flight = in_flight }, ignore);
}

/* A client that opens no window, with a request in progress on each of STREAMS streams. */
static h2_client *open_without_window(net_server *net) {
    h2_client *c = h2_connect(net);
    put_preface(&c->out);
    put_setting(&c->out, 4, 0);
    put_frame(&c->out, SETTINGS, ACK, 0, NULL, 0);
    for (uint32_t i = 0; i < STREAMS; i++)
        put_headers(&c->out, 1 + 2 * i, END_STREAM, H2_GET("/wait"));
    h2_send(c);
    h2_await(c, "SETTINGS ack|");
    for (int i = 0; net->count < STREAMS && i < NET_WAITS; i++)
        net_turn(net);
    REQUIRE(net->count == STREAMS);
    return c;
}

static void respond(net_server *net, int request, size_t length) {
    static const char body[20 * MAX_QUEUE] = { 0 };
    const cre_session session = net->events[request].record.session;
    CHECK_EQ(cre_engine_respond(net->engine, session, 200, NULL, body, length), 0);
}

static void open_window(h2_client *c, uint32_t stream) {
    put_window_update(&c->out, stream, 1 << 24);
    h2_send(c);
}

/* Eight queues together; beyond that the longest one pays, and nobody else. */
TEST(the_longest_queue_is_reset) {
    net_server *net = start(0);
    h2_client *c = open_without_window(net), *bystander = h2_open(net);
    for (int i = 0; i < 7; i++)
        respond(net, i, MAX_QUEUE);
    respond(net, 7, MAX_QUEUE / 2);
    net_turn(net);
    net_turn(net);
    CHECK_EQ(net_stats(net).queued, 7 * MAX_QUEUE + MAX_QUEUE / 2);
    CHECK_EQ(net_stats(net).http2_stalled, 0);
    respond(net, 8, MAX_QUEUE + 1); /* more than one queue, and into an empty one */
    h2_await(c, "RST_STREAM 17 code=8|");
    CHECK_EQ(net_stats(net).queued, 7 * MAX_QUEUE + MAX_QUEUE / 2);
    CHECK_EQ(net_stats(net).http2_stalled, 1);
    open_window(c, 0);
    open_window(c, 15);
    h2_await_data(c, MAX_QUEUE / 2); /* the streams beside it go on */
    h2_get(bystander, 1, H2_GET("/other"));
    net_expect_event(net, CRE_EVENT_REQUEST);
    h2_close(bystander);
    h2_close(c);
    net_stop(net);
}

/* One response may be longer than everything: as an empty queue takes anything. */
TEST(a_response_that_is_alone_has_no_limit) {
    net_server *net = start(0);
    h2_client *c = open_without_window(net);
    respond(net, 0, 20 * MAX_QUEUE);
    net_turn(net);
    net_turn(net);
    CHECK_EQ(net_stats(net).http2_stalled, 0);
    open_window(c, 0);
    open_window(c, 1);
    h2_await_data(c, 20 * MAX_QUEUE);
    h2_close(c);
    net_stop(net);
}

/* What was accepted on the other side of a link, before the queues were known, is no reason to reset. */
TEST(bytes_in_flight_are_allowed) {
    net_server *net = start(3 * MAX_QUEUE);
    h2_client *c = open_without_window(net);
    for (int i = 0; i < 11; i++)
        respond(net, i, MAX_QUEUE);
    net_turn(net);
    net_turn(net);
    CHECK_EQ(net_stats(net).http2_stalled, 0);
    respond(net, 11, MAX_QUEUE);
    h2_await(c, "RST_STREAM ");
    CHECK_EQ(net_stats(net).http2_stalled, 1);
    CHECK_EQ(net_stats(net).queued, 11 * MAX_QUEUE);
    h2_close(c);
    net_stop(net);
}

/* The budget of the server ends the largest one, also before any of it could be sent. */
TEST(the_budget_of_the_server) {
    cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_HTTP };
    net_server *net = net_start(
        (cre_engine_config){ .ports = &port, .port_count = 1, .memory_budget = 12 * MAX_QUEUE }, ignore);
    h2_client *c = open_without_window(net);
    respond(net, 0, 10 * MAX_QUEUE);
    respond(net, 1, 5 * MAX_QUEUE);
    h2_await(c, "RST_STREAM 1 code=");
    CHECK(!strstr(c->in.frames.bytes, "RST_STREAM 3 "));
    CHECK_EQ(net_stats(net).shed, 1);
    h2_close(c);
    net_stop(net);
}

#else

TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}

#endif

TEST_MAIN()
