/* The order of responses on a connection of HTTP/2: urgency and incremental (RFC 9218). */
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "http2_client.h"

/* More than one DATA frame has room for. */
enum { BODY = 40000 };

static void get(client *c, uint32_t stream, const char *priority) {
    char fields[200];
    snprintf(fields, sizeof fields, GET_FIELDS "%s%s%s", priority ? "priority: " : "",
             priority ? priority : "", priority ? "\n" : "");
    put_headers(&c->out, stream, END_STREAM, fields);
}

static void update(client *c, uint32_t stream, const char *priority) {
    put_frame_head(&c->out, 4 + strlen(priority), 16, 0, 0);
    put_u32(&c->out, stream);
    put(&c->out, priority, strlen(priority));
}

/* A client whose windows are no reason to wait. */
static client *begin(void) {
    client *c = client_begin(NULL);
    put_setting(&c->out, 4, 1 << 24);
    put_window_update(&c->out, 0, 1 << 24);
    CHECK_EQ(exchange(c), 0);
    return c;
}

/* Answers the streams, and writes the streams of the DATA frames to `order`, each run of them once. */
static void answer(client *c, const uint32_t *streams, size_t count, char order[100]) {
    static const char body[BODY];
    const cre_slice part = { (const uint8_t *)body, BODY };
    const cre_http2_response response = { .status = 200 };
    CHECK_EQ(exchange(c), 0);
    clear(&c->in.frames);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(cre_http2_respond(c->session, streams[i], &response, &part, 1, true), 0);
    take_output(c, 16384);
    *order = 0;
    unsigned last = 0;
    size_t length = 0;
    for (const char *at = c->in.frames.bytes; (at = strstr(at, "DATA ")); at += 5) {
        unsigned stream = (unsigned)strtoul(at + 5, NULL, 10);
        if (stream != last) length += (size_t)snprintf(order + length, 100 - length, "%u ", stream);
        REQUIRE(length < 90);
        last = stream;
    }
    CHECK_EQ(c->in.data, count * BODY);
}

static const uint32_t streams[] = { 1, 3, 5 };

TEST(urgent_responses_come_first) {
    char order[100];
    client *c = begin();
    get(c, 1, "u=7");
    get(c, 3, NULL); /* 3 */
    get(c, 5, "u=1");
    answer(c, streams, 3, order);
    CHECK_STR(order, "5 3 1 ");
    client_destroy(c);
}

TEST(responses_of_one_urgency_come_one_after_the_other) {
    char order[100];
    client *c = begin();
    get(c, 1, "u=2");
    get(c, 3, "u=2, i=?0");
    get(c, 5, "u=2");
    answer(c, streams, 3, order);
    CHECK_STR(order, "1 3 5 ");
    client_destroy(c);
}

TEST(incremental_responses_share_the_connection) {
    char order[100];
    client *c = begin();
    get(c, 1, "u=2, i");
    get(c, 3, "u=2, i");
    get(c, 5, "u=1");
    answer(c, streams, 3, order);
    CHECK(strncmp(order, "5 1 3 1 3 ", 10) == 0);
    client_destroy(c);
}

TEST(updates_of_a_priority) {
    char order[100];
    client *c = begin();
    update(c, 3, "u=0"); /* before its request */
    get(c, 1, NULL);
    get(c, 3, NULL);
    get(c, 5, NULL);
    update(c, 1, "u=6");
    answer(c, streams, 3, order);
    CHECK_STR(order, "3 5 1 ");
    client_destroy(c);
}

/* A body of no urgency is sent while a more urgent one has nothing to send. */
TEST(nothing_waits_for_a_response_without_bytes) {
    client *c = begin();
    get(c, 1, "u=0");
    get(c, 3, "u=7");
    CHECK_EQ(exchange(c), 0);
    clear(&c->in.frames);
    CHECK_EQ(respond(c, 1, 200, "begun ", false), 0);
    CHECK_EQ(respond(c, 3, 200, "whole", true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "DATA 1 'begun '|DATA 3 'whole' end|"));
    CHECK_EQ(send_bytes(c, 1, "ended", 5, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "DATA 1 'ended' end|"));
    client_destroy(c);
}
#else
TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}
#endif

TEST_MAIN()
