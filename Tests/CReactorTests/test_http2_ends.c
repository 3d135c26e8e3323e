/* The ends of HTTP/2 streams and sessions, and their memory. */
#include <creactor/error.h>
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "http2_client.h"

TEST(reset_by_the_application) {
    client *c = client_begin(NULL);
    put_headers(&c->out, 1, 0, POST_FIELDS);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, "partial", false), 0);
    CHECK_EQ(cre_http2_reset(c->session, 1, CRE_HTTP2_INTERNAL_ERROR), 0);
    CHECK_EQ(cre_http2_reset(c->session, 1, CRE_HTTP2_INTERNAL_ERROR), CRE_EGONE);
    CHECK_EQ(send_bytes(c, 1, "x", 1, true), CRE_EGONE);
    put_frame(&c->out, DATA, END_STREAM, 1, "dropped", 7);
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "RST_STREAM 1 code=2|"));
    CHECK(!strstr(c->in.frames.bytes, "DATA"));
    CHECK_EVENTS(c, "request 1 POST /|closed 1 code=2");
    CHECK_EQ(stats_of(c).streams, 0);
    CHECK_EQ(stats_of(c).resets, 0); /* it is not the client's doing */
    client_destroy(c);
}

/* The client's reset crosses that of the application, whose frame is not produced yet: one reset, by the
 * client. */
TEST(resets_of_both_sides) {
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(cre_http2_reset(c->session, 1, CRE_HTTP2_CANCEL), 0);
    put_reset(&c->out, 1, CRE_HTTP2_CANCEL);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(stats_of(c).resets, 1);
    CHECK_EQ(stats_of(c).streams, 0);
    CHECK_EVENTS(c, "request 1 GET / final|closed 1 code=8");
    put_get(&c->out, 3); /* nghttp2 resets it */
    put_window_update(&c->out, 3, 0x7FFFFFFF);
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "RST_STREAM 3 code=3|"));
    CHECK_EQ(stats_of(c).resets, 2);
    client_destroy(c);
}

TEST(stalled_responses) {
    client *c = client_begin(&(cre_http2_config){ .stall_timeout_ms = 6000 });
    put_setting(&c->out, 4, 3);
    put_get(&c->out, 1);
    put_get(&c->out, 3);
    put_headers(&c->out, 5, 0, POST_FIELDS); /* its request is not complete: not a matter of this limit */
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, "never read", true), 0);
    CHECK_EQ(respond(c, 3, 200, "slowly, but steadily", true), 0);
    CHECK_EQ(exchange(c), 0);
    for (int i = 0; i < 3; i++) {
        cre_http2_expire(c->session, c->now += 2500);
        put_window_update(&c->out, 3, 1);
        CHECK_EQ(exchange(c), 0);
        CHECK_EQ(stats_of(c).stalled, 0);
    }
    cre_http2_expire(c->session, c->now += 2500);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(stats_of(c).stalled, 1);
    CHECK(strstr(c->events.bytes, "|closed 1 code=8"));
    CHECK(!strstr(c->events.bytes, "closed 3"));
    client_destroy(c);
}

TEST(graceful_end) {
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(cre_http2_announce_end(c->session), 0);
    put_get(&c->out, 3); /* was on its way */
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "GOAWAY last=2147483647 code=0|");
    clear(&c->in.frames);
    CHECK_EQ(cre_http2_goaway(c->session, CRE_HTTP2_NO_ERROR), 0);
    CHECK_EQ(exchange(c), 0);
    put_get(&c->out, 5); /* too late */
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "GOAWAY last=3 code=0|");
    CHECK_EVENTS(c, "request 1 GET / final|request 3 GET / final");
    CHECK(!cre_http2_is_done(c->session));
    CHECK_EQ(respond(c, 1, 200, "a", true), 0);
    CHECK_EQ(respond(c, 3, 200, "b", true), 0);
    CHECK(!cre_http2_is_done(c->session));
    CHECK_EQ(exchange(c), 0);
    CHECK(cre_http2_is_done(c->session));
    CHECK_EQ(cre_http2_error(c->session), 0);
    client_destroy(c);
}

/* Frames that nghttp2 would ignore. */
TEST(priorities_of_stream_0) {
    static const struct {
        int type;
        const char *payload;
    } cases[] = { { PRIORITY, "\0\0\0\0\020" }, { 16, "\0\0\0\0u=1" }, { 16, "\200\0\0\0u=1" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client *c = client_begin(NULL);
        put_frame(&c->out, cases[i].type, 0, 0, cases[i].payload, cases[i].type == PRIORITY ? 5 : 7);
        CHECK_EQ(exchange(c), CRE_EHTTP2);
        CHECK_FRAMES(c, "GOAWAY last=0 code=1|");
        CHECK(cre_http2_is_done(c->session));
        client_destroy(c);
    }
}

/* Also when it arrives together with the GOAWAY. */
TEST(input_behind_the_clients_goaway_is_ignored) {
    static const uint8_t goaway[8] = { 0 };
    for (size_t step = 1; step < 100; step++) {
        client *c = client_begin(NULL);
        put_frame(&c->out, GOAWAY, 0, 0, goaway, sizeof goaway);
        put_setting(&c->out, 4, 3);
        put_get(&c->out, 1);
        CHECK_EQ(give(c, c->out.bytes, c->out.length, step), 0);
        CHECK_EVENTS(c, "");
        CHECK_EQ(stats_of(c).streams, 0);
        while (take_output(c, 100))
            ;
        CHECK(cre_http2_is_done(c->session));
        CHECK_EQ(cre_http2_error(c->session), 0);
        client_destroy(c);
    }
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    put_frame(&c->out, GOAWAY, 0, 0, goaway, sizeof goaway);
    CHECK_EQ(exchange(c), 0);
    CHECK(!cre_http2_is_done(c->session)); /* what is open is served */
    CHECK_EQ(respond(c, 1, 200, "a", true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK(cre_http2_is_done(c->session));
    client_destroy(c);
}

TEST(goaway_with_a_code_and_an_error) {
    client *c = client_begin(NULL);
    CHECK_EQ(cre_http2_goaway(c->session, CRE_HTTP2_INTERNAL_ERROR), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "GOAWAY last=0 code=2|");
    CHECK(cre_http2_is_done(c->session));
    CHECK_EQ(cre_http2_error(c->session), 0);
    client_destroy(c);
    c = client_begin(NULL);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(cre_http2_goaway(c->session, CRE_HTTP2_NO_ERROR), 0);
    put_frame(&c->out, DATA, 0, 0, "x", 1);
    CHECK_EQ(exchange(c), 0);
    CHECK(cre_http2_is_done(c->session));
    CHECK_EQ(cre_http2_error(c->session), CRE_EHTTP2);
    client_destroy(c);
}

TEST(client_says_goodbye) {
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    put_frame(&c->out, GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    CHECK_EQ(exchange(c), 0);
    CHECK(!cre_http2_is_done(c->session));
    CHECK_EQ(respond(c, 1, 200, NULL, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK(cre_http2_is_done(c->session));
    CHECK_EQ(cre_http2_error(c->session), 0);
    client_destroy(c);
}

static void call_back(client *c, const cre_http2_event *event) {
    uint8_t out[16] = { 0 };
    size_t size;
    (void)event;
    CHECK_EQ(cre_http2_receive(c->session, out, 0, 0), CRE_ESTATE);
    CHECK_EQ(cre_http2_produce(c->session, out, sizeof out, &size), CRE_ESTATE);
    cre_http2_expire(c->session, c->now += 1000000);
}

TEST(calls_inside_events) {
    client *c = client_begin(NULL);
    c->on_event = call_back;
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, "a", true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 GET / final|closed 1 code=0 complete");
    client_destroy(c);
}

/* A whole conversation, while memory runs out at any point. */
static bool converse(void) {
    static wire input;
    client *c = calloc(1, sizeof *c);
    REQUIRE(c);
    cre_http2_config config = { .size = sizeof config, .on_event = take_event, .context = c };
    int result = cre_http2_create(&config, &c->session);
    if (result) {
        CHECK_EQ(result, CRE_ENOMEM);
        free(c);
        return false;
    }
    input.length = 0;
    put_conversation(&input);
    c->now = 1;
    result = give(c, input.bytes, input.length, 1 << 20);
    const cre_http_header trailer = { "a", "b", 1, 1 };
    if (!result) result = respond(c, 1, 200, "one", false);
    if (!result) result = cre_http2_send_trailers(c->session, 1, &trailer, 1);
    if (!result) result = respond(c, 3, 404, "three", true);
    if (!result) result = cre_http2_reset(c->session, 5, CRE_HTTP2_CANCEL);
    if (!result) result = cre_http2_goaway(c->session, CRE_HTTP2_NO_ERROR);
    uint8_t out[1000];
    size_t size;
    int produced = cre_http2_produce(c->session, out, sizeof out, &size);
    bool reset =
        !result && !produced && strstr(c->events.bytes, "closed 1 code=2"); /* no memory for trailers */
    if (!result) result = produced;
    if (result) CHECK_EQ(result, CRE_ENOMEM);
    if (produced || cre_http2_error(c->session)) CHECK(cre_http2_is_done(c->session));
    cre_http2_destroy(c->session);
    free(c);
    return !result && !reset;
}

TEST(out_of_memory) {
    test_fail_each_allocation(converse);
}

TEST(memory_is_counted) {
    long live = test_live_allocations;
    client *c = client_begin(NULL);
    CHECK(stats_of(c).memory > 0 && stats_of(c).memory < 128 << 10);
    const uint64_t idle = stats_of(c).memory;
    for (uint32_t i = 0; i < 100; i++)
        put_get(&c->out, 2 * i + 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(stats_of(c).streams, 100);
    CHECK(stats_of(c).memory > idle && stats_of(c).memory - idle < 100 * 1024);
    printf("idle session: %llu bytes, stream: %llu bytes\n", (unsigned long long)idle,
           (unsigned long long)(stats_of(c).memory - idle) / 100);
    for (uint32_t i = 0; i < 100; i++)
        CHECK_EQ(respond(c, 2 * i + 1, 200, NULL, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(stats_of(c).streams, 0);
    CHECK(stats_of(c).memory <= idle + (72 << 10)); /* blocks for the next requests */
    const long kept = test_live_allocations;
    for (uint32_t i = 100; i < 130; i++) {
        put_get(&c->out, 2 * i + 1);
        CHECK_EQ(exchange(c), 0);
        CHECK_EQ(respond(c, 2 * i + 1, 200, NULL, true), 0);
    }
    CHECK_EQ(exchange(c), 0);
    CHECK(test_live_allocations <= kept + 4);
    cre_http2_expire(c->session, c->now);
    CHECK(stats_of(c).memory <= idle + 8192);
    CHECK(test_live_allocations <= live + 60);
    client_destroy(c);
    CHECK_EQ(test_live_allocations, live);
}
#else
TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}
#endif

TEST_MAIN()
