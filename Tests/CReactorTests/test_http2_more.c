/* Requests of HTTP/2 that are received inside the event of the one before. */
#include <creactor/error.h>
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "http2_client.h"

static int depth;
static bool follows; /* the last REQUEST had input behind it */

/* Answers requests, and has those behind them received, whose events are in brackets. */
static void receive_all(client *c, const cre_http2_event *event) {
    if (event->kind != CRE_HTTP2_REQUEST) return;
    follows = event->followed;
    CHECK_EQ(respond(c, event->stream, 200, "x", true), 0);
    if (depth) return;
    depth++;
    note(&c->events, " [");
    while (cre_http2_receive_more(c->session))
        ;
    note(&c->events, " ]");
    CHECK(!cre_http2_receive_more(c->session));
    depth--;
}

static client *begin(const cre_http2_config *config) {
    client *c = client_begin(config);
    c->on_event = receive_all;
    return c;
}

TEST(requests_are_received_inside_the_event_of_the_first) {
    client *c = begin(NULL);
    put_get(&c->out, 1);
    put_get(&c->out, 3);
    put_frame(&c->out, PING, 0, 0, "12345678", 8);
    put_headers(&c->out, 5, 0, POST_FIELDS);
    put_frame(&c->out, DATA, END_STREAM, 5, "body", 4);
    put_get(&c->out, 7);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 GET / final [|request 3 GET / final|request 5 POST /|data 5 body|end 5|"
                    "request 7 GET / final ]|closed 1 code=0 complete|closed 3 code=0 complete|"
                    "closed 5 code=0 complete|closed 7 code=0 complete");
    CHECK(!follows);
    CHECK_EQ(stats_of(c).requests, 4);
    client_destroy(c);
}

/* However the input is cut, the same is received. */
TEST(input_in_pieces) {
    wire all = { 0 };
    put_conversation(&all);
    put_get(&all, 11);
    text expected = { 0 };
    for (size_t step = all.length; step; step--) {
        client *c = client_create(NULL);
        c->on_event = receive_all;
        CHECK_EQ(give(c, all.bytes, all.length, step), 0);
        text events = { 0 };
        for (const char *at = c->events.bytes; *at; at++)
            if (strncmp(at, " [", 2) == 0 || strncmp(at, " ]", 2) == 0)
                at++;
            else
                note(&events, "%c", *at);
        if (step == all.length) expected = events;
        CHECK_STR(events.bytes, expected.bytes);
        take_output(c, 16384);
        CHECK_EQ(stats_of(c).requests, 6);
        client_destroy(c);
    }
}

TEST(input_behind_a_request) {
    client *c = begin(NULL);
    put_get(&c->out, 1);
    put_frame_head(&c->out, 8, PING, 0, 0);
    CHECK_EQ(exchange(c), 0);
    CHECK(follows);
    put(&c->out, "12345678", 8);
    put_get(&c->out, 3);
    CHECK_EQ(exchange(c), 0);
    CHECK(!follows);
    client_destroy(c);
}

/* The memory of a head that is not complete is in use. */
TEST(a_head_that_begins_inside_an_event) {
    static char value[12000];
    memset(value, 'v', sizeof value);
    client *c = begin(NULL);
    put_get(&c->out, 1);
    const size_t at = c->out.length;
    put_frame_head(&c->out, 0, HEADERS, END_STREAM, 3);
    put(&c->out, "\x82\x87\x84\x01\x01", 5);
    put(&c->out, "a", 1);
    put_field_bytes(&c->out, "x", value, sizeof value);
    c->out.bytes[at + 1] = (uint8_t)((c->out.length - at - 9) >> 8);
    c->out.bytes[at + 2] = (uint8_t)(c->out.length - at - 9);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 GET / final [ ]|closed 1 code=0 complete");
    const size_t rest = c->out.length;
    put_frame_head(&c->out, 0, CONTINUATION, END_HEADERS, 3);
    put_field_bytes(&c->out, "y", value, 3000);
    const size_t length = c->out.length - rest - 9;
    c->out.bytes[rest + 1] = (uint8_t)(length >> 8);
    c->out.bytes[rest + 2] = (uint8_t)length;
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 GET / final [ ]|closed 1 code=0 complete|request 3 GET / final [ ]|"
                    "closed 3 code=0 complete");
    client_destroy(c);
}

/* Its error is that of cre_http2_receive. */
TEST(the_session_fails_inside_an_event) {
    client *c = begin(NULL);
    put_get(&c->out, 1);
    put_get(&c->out, 3);
    put_frame(&c->out, PRIORITY, 0, 0, "\0\0\0\0\0", 5);
    put_get(&c->out, 5);
    CHECK_EQ(exchange(c), CRE_EHTTP2);
    CHECK(strstr(c->events.bytes, "request 1 GET / final [|request 3 GET / final ]"));
    CHECK(!strstr(c->events.bytes, "request 5"));
    CHECK(strstr(c->in.frames.bytes, "GOAWAY last=3 code=1|"));
    CHECK(cre_http2_is_done(c->session));
    client_destroy(c);
}

TEST(streams_that_end_inside_an_event) {
    client *c = begin(NULL);
    put_get(&c->out, 1);
    put_headers(&c->out, 3, 0, POST_FIELDS);
    put_reset(&c->out, 3, CRE_HTTP2_CANCEL);
    put_headers(&c->out, 5, END_STREAM, "x: no pseudo fields\n");
    put_get(&c->out, 7);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 GET / final [|request 3 POST /|closed 3 code=8|request 7 GET / final ]|"
                    "closed 1 code=0 complete|closed 7 code=0 complete");
    CHECK(strstr(c->in.frames.bytes, "RST_STREAM 5 code=1|"));
    client_destroy(c);
}

static void ask(client *c, const cre_http2_event *event) {
    if (event->kind != CRE_HTTP2_REQUEST) CHECK(!cre_http2_receive_more(c->session));
    CHECK_EQ(cre_http2_receive(c->session, NULL, 0, 0), CRE_ESTATE);
}

TEST(outside_of_the_event_of_a_request) {
    client *c = client_begin(NULL);
    CHECK(!cre_http2_receive_more(c->session));
    c->on_event = ask;
    put_headers(&c->out, 1, 0, POST_FIELDS);
    put_frame(&c->out, DATA, END_STREAM, 1, "body", 4);
    put_get(&c->out, 3);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, "x", true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 POST /|data 1 body|end 1|request 3 GET / final|closed 1 code=0 complete");
    CHECK(!cre_http2_receive_more(c->session));
    client_destroy(c);
}

#endif

TEST_MAIN()
