/* HTTP/2: requests, responses and flow control. */
#include <creactor/error.h>
#include <creactor/http2.h>

#include "test.h"

TEST(preface) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore";
    const uint8_t *data = (const uint8_t *)preface;
    for (size_t i = 0; i < CRE_HTTP2_PREFACE_LENGTH; i++)
        CHECK_EQ(cre_http2_match_preface(data, i), 0);
    CHECK_EQ(cre_http2_match_preface(data, 24), 1);
    CHECK_EQ(cre_http2_match_preface(data, 28), 1);
    CHECK_EQ(cre_http2_match_preface((const uint8_t *)"G", 1), CRE_EHTTP2_PREFACE);
    CHECK_EQ(cre_http2_match_preface((const uint8_t *)"PRI * HTTP/2.0\r\n\r\nXM", 20), CRE_EHTTP2_PREFACE);
}

#ifndef CRE_HAVE_HTTP2
TEST(unsupported) {
    cre_http2 *session;
    CHECK(!cre_http2_supported());
    CHECK_EQ(cre_http2_create(&(cre_http2_config){ .size = sizeof(cre_http2_config) }, &session),
             CRE_EUNSUPPORTED);
}
#else
#include "http2_client.h"

TEST(configuration) {
    cre_http2 *session;
    cre_http2_config config = { .size = sizeof config };
    CHECK(cre_http2_supported());
    CHECK_EQ(cre_http2_create(NULL, &session), CRE_EINVALID);
    CHECK_EQ(cre_http2_create(&config, &session), CRE_EINVALID);
    config.on_event = take_event;
    config.size = 0;
    CHECK_EQ(cre_http2_create(&config, &session), CRE_ECONFIG_SIZE);
    config.size = sizeof config;
    config.stream_window = 65534;
    CHECK_EQ(cre_http2_create(&config, &session), CRE_EINVALID);
    config.stream_window = 0;
    config.max_memory = 1000;
    CHECK_EQ(cre_http2_create(&config, &session), CRE_EINVALID);
    config.max_memory = 0;
    REQUIRE(cre_http2_create(&config, &session) == 0);
    cre_http2_destroy(session);
    cre_http2_destroy(NULL);
}

/* ---- requests ---- */

static char head_text[4096];

static void keep_head(client *c, const cre_http2_event *event) {
    (void)c;
    if (event->kind != CRE_HTTP2_REQUEST) return;
    const cre_http_head *head = event->head;
    REQUIRE(head->head_length < sizeof head_text);
    memcpy(head_text, event->head_bytes, head->head_length);
    head_text[head->head_length] = 0;
    /* all offsets are those of the text */
    for (unsigned i = 0; i < head->field_count; i++) {
        const cre_http_field *field = &event->fields[i];
        CHECK(memcmp(event->head_bytes + field->name + field->name_length, ": ", 2) == 0);
        CHECK(memcmp(event->head_bytes + field->value + field->value_length, "\r\n", 2) == 0);
    }
    CHECK(memcmp(event->head_bytes + head->head_length - 4, "\r\n\r\n", 4) == 0);
}

TEST(head_as_http1) {
    client *c = client_begin(NULL);
    c->on_event = keep_head;
    put_headers(&c->out, 1, END_STREAM,
                ":path: /a/b?c=d\n:authority: a.example:81\n:scheme: http\n:method: DELETE\n"
                "cookie: a=1\nx-one: 1\ncookie: b=2\nhost: A.example:81\ncookie: c=3\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 DELETE /a/b?c=d final");
    CHECK_STR(head_text,
              "DELETE /a/b?c=d HTTP/2.0\r\nhost: a.example:81\r\nx-one: 1\r\ncookie: a=1; b=2; c=3\r\n\r\n");
    CHECK_EQ(stats_of(c).requests, 1);
    client_destroy(c);
}

static cre_http_head last_head;

static void keep_parsed(client *c, const cre_http2_event *event) {
    keep_head(c, event);
    if (event->kind == CRE_HTTP2_REQUEST) last_head = *event->head;
}

TEST(parts_of_a_head) {
    client *c = client_begin(NULL);
    c->on_event = keep_parsed;
    put_headers(&c->out, 1, 0,
                ":method: POST\n:scheme: https\n:authority: [::1]\n:path: /p?q=1&r\ncontent-length: 5\n"
                "expect: 100-continue\n");
    put_headers(&c->out, 3, END_STREAM, ":method: OPTIONS\n:scheme: https\n:authority: b\n:path: *\n");
    CHECK_EQ(give(c, c->out.bytes, c->out.length - 1, 1 << 20), 0);
    CHECK_EQ(last_head.method, CRE_HTTP_POST);
    CHECK_EQ(last_head.content_length, 5);
    CHECK_EQ(last_head.flags, CRE_HTTP_2 | CRE_HTTP_KEEP_ALIVE | CRE_HTTP_HAS_BODY | CRE_HTTP_HAS_LENGTH |
                                  CRE_HTTP_EXPECT_CONTINUE | CRE_HTTP_HAS_QUERY | CRE_HTTP_HAS_HOST);
    CHECK_EQ(last_head.path_length, 2);
    CHECK_MEM(head_text + last_head.query, "q=1&r", 5);
    CHECK_EQ(last_head.query_length, 5);
    CHECK_MEM(head_text + last_head.host, "[::1]", 5);
    CHECK_EQ(give(c, c->out.bytes + c->out.length - 1, 1, 1), 0);
    CHECK_EQ(last_head.method, CRE_HTTP_OPTIONS);
    CHECK(last_head.flags & CRE_HTTP_ASTERISK_FORM && !(last_head.flags & CRE_HTTP_HAS_BODY));
    c->out.length = 0;
    put_headers(&c->out, 5, 0, ":method: CONNECT\n:authority: c.example:443\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(last_head.method, CRE_HTTP_CONNECT);
    CHECK(last_head.flags & CRE_HTTP_AUTHORITY_FORM);
    CHECK_STR(head_text, "CONNECT c.example:443 HTTP/2.0\r\nhost: c.example:443\r\n\r\n");
    put_headers(&c->out, 7, END_STREAM, ":method: GET\n:scheme: http\n:path: /\nhost: only.host\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_STR(head_text, "GET / HTTP/2.0\r\nhost: only.host\r\n\r\n");
    CHECK_EQ(last_head.host_length, 9);
    client_destroy(c);
}

static const char conversation[] =
    "request 1 POST /|data 1 01234|request 3 GET / final|data 1 56789|end 1|request 5 POST /|data 5 abc|end 5|"
    "request 7 GET / final|request 9 POST /|closed 9 code=8";

TEST(input_split_everywhere) {
    static wire input;
    input.length = 0;
    put_conversation(&input);
    for (size_t split = 0; split <= input.length; split++) {
        client *c = client_create(NULL);
        CHECK_EQ(give(c, input.bytes, split, 1 << 20), 0);
        CHECK_EQ(give(c, input.bytes + split, input.length - split, 1 << 20), 0);
        CHECK_EVENTS(c, conversation);
        client_destroy(c);
    }
    client *c = client_create(NULL);
    CHECK_EQ(give(c, input.bytes, input.length, 1), 0);
    CHECK_EVENTS(c, conversation);
    client_destroy(c);
}

TEST(output_split_everywhere) {
    static wire input;
    static text whole;
    for (size_t step = 16384; step; step = step > 40 ? 40 : step - 1) {
        client *c = client_create(NULL);
        input.length = 0;
        put_conversation(&input);
        CHECK_EQ(give(c, input.bytes, input.length, 1 << 20), 0);
        CHECK_EQ(respond(c, 3, 200, "three", true), 0);
        CHECK_EQ(respond(c, 1, 404, NULL, true), 0);
        CHECK_EQ(respond(c, 5, 200, "five", false), 0);
        take_output(c, step);
        CHECK_EQ(send_bytes(c, 5, " more", 5, true), 0);
        take_output(c, step);
        if (step == 16384) whole = c->in.frames;
        CHECK_FRAMES(c, whole.bytes);
        CHECK_EQ(c->in.input.length, 0);
        CHECK(strstr(c->events.bytes,
                     "|closed 3 code=0 complete|closed 1 code=0 complete|closed 5 code=0 complete") ||
              strstr(c->events.bytes,
                     "|closed 1 code=0 complete|closed 3 code=0 complete|closed 5 code=0 complete"));
        client_destroy(c);
    }
    CHECK(strstr(whole.bytes, "HEADERS 3 :status=200|"));
    CHECK(strstr(whole.bytes, "DATA 3 'three' end|"));
    CHECK(strstr(whole.bytes, "HEADERS 1 :status=404 end|"));
    CHECK(strstr(whole.bytes, "DATA 5 'five'|DATA 5 ' more' end|"));
}

/* ---- responses ---- */

TEST(response_head) {
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    const cre_http_header fields[] = { { "Content-Type", "text/plain", 12, 10 },
                                       { "Connection", "close", 10, 5 },
                                       { "Content-Length", "99", 14, 2 },
                                       { "Server", "other", 6, 5 },
                                       { "Transfer-Encoding", "chunked", 17, 7 },
                                       { "Upgrade", "x", 7, 1 },
                                       { "Keep-Alive", "5", 10, 1 },
                                       { "Proxy-Connection", "x", 16, 1 } };
    const cre_http2_response response = { .status = 299,
                                          .has_length = true,
                                          .content_length = 2,
                                          .date = "Thu, 01 Jan 1970 00:00:00 GMT",
                                          .server = "test",
                                          .fields = fields,
                                          .field_count = 8 };
    const cre_slice parts[] = { { (const uint8_t *)"h", 1 }, { NULL, 0 }, { (const uint8_t *)"i", 1 } };
    CHECK_EQ(cre_http2_respond(c->session, 1, &response, parts, 3, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "HEADERS 1 :status=299 date=Thu, 01 Jan 1970 00:00:00 GMT content-length=2 "
                    "content-type=text/plain server=other|DATA 1 'hi' end|");
    CHECK_EVENTS(c, "request 1 GET / final|closed 1 code=0 complete");
    client_destroy(c);
}

TEST(responses_without_a_body) {
    client *c = client_begin(NULL);
    put_headers(&c->out, 1, END_STREAM, ":method: HEAD\n:scheme: https\n:authority: a\n:path: /\n");
    put_get(&c->out, 3);
    put_get(&c->out, 5);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, "x", true), CRE_EINVALID);
    const cre_http2_response length = { .status = 200, .has_length = true, .content_length = UINT64_MAX };
    CHECK_EQ(cre_http2_respond(c->session, 1, &length, NULL, 0, false), 0);
    CHECK_EQ(send_bytes(c, 1, "x", 1, true), CRE_EINVALID);
    CHECK_EQ(send_bytes(c, 1, NULL, 0, true), 0);
    CHECK_EQ(respond(c, 3, 204, "x", true), CRE_EINVALID);
    CHECK_EQ(respond(c, 3, 304, "x", true), CRE_EINVALID);
    CHECK_EQ(respond(c, 3, 204, NULL, true), 0);
    CHECK_EQ(respond(c, 5, 304, NULL, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "HEADERS 1 :status=200 content-length=18446744073709551615"));
    CHECK(strstr(c->in.frames.bytes, "HEADERS 3 :status=204 end|HEADERS 5 :status=304 end|"));
    CHECK(strstr(c->in.frames.bytes, "DATA 1 '' end|"));
    client_destroy(c);
}

TEST(interim_responses) {
    client *c = client_begin(NULL);
    put_headers(&c->out, 1, 0, POST_FIELDS "expect: 100-continue\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 100, NULL, false), 0);
    CHECK_EQ(respond(c, 1, 103, NULL, true), CRE_EINVALID);
    CHECK_EQ(respond(c, 1, 103, "x", false), CRE_EINVALID);
    CHECK_EQ(respond(c, 1, 101, NULL, false), CRE_EINVALID);
    CHECK_EQ(respond(c, 1, 103, NULL, false), 0);
    put_frame(&c->out, DATA, END_STREAM, 1, "x", 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, NULL, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "HEADERS 1 :status=100|HEADERS 1 :status=103|HEADERS 1 :status=200 end|");
    client_destroy(c);
}

/* What a head refers to is gone with its stream, and the next stream has other values. */
TEST(a_response_that_is_reset_before_it_is_sent) {
    client *c = client_begin(NULL);
    const char date[] = "Thu, 01 Jan 1970 00:00:00 GMT";
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    const cre_http2_response first = {
        .status = 404, .has_length = true, .content_length = 77, .date = date
    };
    CHECK_EQ(cre_http2_respond(c->session, 1, &first, NULL, 0, false), 0);
    put_reset(&c->out, 1, CRE_HTTP2_CANCEL);
    put_get(&c->out, 3);
    CHECK_EQ(give(c, c->out.bytes, c->out.length, 1), 0);
    c->out.length = 0;
    const cre_http2_response second = { .status = 200, .has_length = true, .date = date };
    CHECK_EQ(cre_http2_respond(c->session, 3, &second, NULL, 0, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "HEADERS 3 :status=200 date=Thu, 01 Jan 1970 00:00:00 GMT content-length=0 end|");
    client_destroy(c);
}

TEST(what_may_not_be_sent) {
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    static const cre_http_header bad[] = { { "a b", "x", 3, 1 },
                                           { "", "x", 0, 1 },
                                           { ":status", "200", 7, 3 },
                                           { "a", "x\r\nb: c", 1, 7 },
                                           { "a", " x", 1, 2 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const cre_http2_response response = { .status = 200, .fields = &bad[i], .field_count = 1 };
        CHECK_EQ(cre_http2_respond(c->session, 1, &response, NULL, 0, true), CRE_EHTTP_INVALID_FIELD);
    }
    const cre_http2_response server = { .status = 200, .server = "x\r\ny" };
    CHECK_EQ(cre_http2_respond(c->session, 1, &server, NULL, 0, true), CRE_EHTTP_INVALID_FIELD);
    static char large[65536];
    memset(large, 'x', sizeof large);
    const cre_http_header long_field = { "a", large, 1, 65500 };
    const cre_http2_response too_large = { .status = 200, .fields = &long_field, .field_count = 1 };
    CHECK_EQ(cre_http2_respond(c->session, 1, &too_large, NULL, 0, true), CRE_EHTTP_HEAD_TOO_LARGE);
    const cre_http_header fits = { "a", large, 1, 60000 };
    const cre_http2_response largest = { .status = 200, .fields = &fits, .field_count = 1 };
    CHECK_EQ(respond(c, 1, 99, NULL, true), CRE_EINVALID);
    CHECK_EQ(respond(c, 1, 1000, NULL, true), CRE_EINVALID);
    CHECK_EQ(send_bytes(c, 1, "x", 1, true), CRE_ESTATE);
    CHECK_EQ(cre_http2_send_trailers(c->session, 1, NULL, 0), CRE_ESTATE);
    CHECK_EQ(respond(c, 0, 200, NULL, true), CRE_EGONE);
    CHECK_EQ(respond(c, 3, 200, NULL, true), CRE_EGONE);
    CHECK_EQ(respond(c, UINT32_MAX, 200, NULL, true), CRE_EGONE);
    CHECK_EQ(cre_http2_respond(c->session, 1, &largest, NULL, 0, true), 0);
    CHECK_EQ(respond(c, 1, 200, NULL, true), CRE_ESTATE);
    CHECK_EQ(send_bytes(c, 1, "x", 1, true), CRE_ESTATE);
    take_output(c, 16384);
    CHECK_EVENTS(c, "request 1 GET / final|closed 1 code=0 complete");
    CHECK_EQ(send_bytes(c, 1, "x", 1, true), CRE_EGONE);
    client_destroy(c);
}

TEST(trailers) {
    client *c = client_begin(NULL);
    put_setting(&c->out, 4, 3); /* the client's window is three bytes */
    put_get(&c->out, 1);
    put_get(&c->out, 3);
    CHECK_EQ(exchange(c), 0);
    clear(&c->in.frames);
    const cre_http_header fields[] = { { "Checksum", "1", 8, 1 }, { "x", "", 1, 0 } };
    const cre_http_header framing = { "Content-Length", "1", 14, 1 };
    CHECK_EQ(respond(c, 1, 200, "abcd", false), 0);
    CHECK_EQ(cre_http2_send_trailers(c->session, 1, &framing, 1), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_http2_send_trailers(c->session, 1, fields, 2), 0);
    CHECK_EQ(cre_http2_send_trailers(c->session, 1, fields, 2), CRE_ESTATE);
    CHECK_EQ(send_bytes(c, 1, "x", 1, false), CRE_ESTATE);
    CHECK_EQ(respond(c, 3, 200, NULL, false), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(cre_http2_send_trailers(c->session, 3, fields, 1), 0);
    CHECK_EQ(exchange(c), 0);
    /* trailers do not overtake the body, which waits for the window */
    CHECK_FRAMES(c, "HEADERS 1 :status=200|HEADERS 3 :status=200|DATA 1 'abc'|HEADERS 3 checksum=1 end|");
    clear(&c->in.frames);
    put_window_update(&c->out, 1, 10);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "DATA 1 'd'|HEADERS 1 checksum=1 x= end|");
    client_destroy(c);
}

TEST(response_before_the_end_of_the_request) {
    client *c = client_begin(NULL);
    put_headers(&c->out, 1, 0, POST_FIELDS);
    put_frame(&c->out, DATA, 0, 1, "abc", 3);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 413, "no", true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "HEADERS 1 :status=413|DATA 1 'no' end|RST_STREAM 1 code=0|");
    CHECK_EVENTS(c, "request 1 POST /|data 1 abc|closed 1 code=0 complete");
    put_frame(&c->out, DATA, END_STREAM, 1, "late", 4); /* was on its way */
    put_get(&c->out, 3);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 POST /|data 1 abc|closed 1 code=0 complete|request 3 GET / final");
    client_destroy(c);
}

/* ---- flow control ---- */

static void put_data(wire *w, uint32_t stream, size_t length, bool final) {
    static uint8_t zeros[16384];
    for (; length > sizeof zeros; length -= sizeof zeros)
        put_frame(w, DATA, 0, stream, zeros, sizeof zeros);
    put_frame(w, DATA, final ? END_STREAM : 0, stream, zeros, length);
}

TEST(windows_of_requests) {
    client *c = client_begin(NULL);
    put_headers(&c->out, 1, 0, POST_FIELDS);
    put_data(&c->out, 1, 65535, false);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(c->data, 65535);
    CHECK_FRAMES(c, ""); /* nothing is consumed, so no window opens */
    CHECK_EQ(cre_http2_consume(c->session, 1, 65536), CRE_EINVALID);
    CHECK_EQ(cre_http2_consume(c->session, 1, 40000), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "WINDOW_UPDATE 1 40000|");
    CHECK_EQ(cre_http2_consume(c->session, 1, 25535), 0);
    CHECK_EQ(cre_http2_consume(c->session, 1, 1), CRE_EINVALID);
    put_data(&c->out, 1, 40001, false); /* more than the window */
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "RST_STREAM 1 code=3|"));
    CHECK(strstr(c->events.bytes, "|closed 1 code=3"));
    client_destroy(c);
}

TEST(closed_streams_give_the_connection_window_back) {
    client *c = client_begin(&(cre_http2_config){ .connection_window = 65535 });
    for (uint32_t i = 0; i < 20; i++) {
        put_headers(&c->out, 2 * i + 1, 0, POST_FIELDS);
        put_data(&c->out, 2 * i + 1, 60000, true);
        CHECK_EQ(exchange(c), 0);
        CHECK_EQ(respond(c, 2 * i + 1, 200, NULL, true), 0); /* without consuming the body */
        CHECK_EQ(exchange(c), 0);
    }
    CHECK_EQ(c->data, 20 * 60000);
    CHECK_EQ(cre_http2_error(c->session), 0);
    client_destroy(c);
}

TEST(windows_of_responses) {
    client *c = client_begin(NULL);
    static char body[100000];
    put_get(&c->out, 1);
    put_get(&c->out, 3);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, NULL, false), 0);
    CHECK_EQ(send_bytes(c, 1, body, sizeof body, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(c->in.data, 65535);
    CHECK_EQ(stats_of(c).queued, sizeof body - 65535);
    put_window_update(&c->out, 0, 1 << 20);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(c->in.data, 65535);
    CHECK_EQ(respond(c, 3, 200, "other", true), 0); /* a stream that is not blocked goes on */
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "DATA 3 'other' end|"));
    put_window_update(&c->out, 1, 1 << 20);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(c->in.data, sizeof body + 5);
    CHECK_EQ(stats_of(c).queued, 0);
    CHECK(strstr(c->events.bytes, "closed 3 code=0 complete|closed 1 code=0 complete"));
    client_destroy(c);
}

static size_t sent;

/* Sends again and again, as an application that is refused does. */
static void refill(client *c, const cre_http2_event *event) {
    static const char piece[1000];
    if (event->kind != CRE_HTTP2_WRITABLE && event->kind != CRE_HTTP2_REQUEST) return;
    if (event->kind == CRE_HTTP2_REQUEST) CHECK_EQ(respond(c, event->stream, 200, NULL, false), 0);
    int result = 0;
    while (sent < 300000 && (result = send_bytes(c, event->stream, piece, sizeof piece, false)) == 0)
        sent += sizeof piece;
    if (result) CHECK_EQ(result, CRE_EQUEUE_FULL);
    if (sent == 300000) CHECK_EQ(send_bytes(c, event->stream, NULL, 0, true), 0);
}

TEST(queue_of_a_response) {
    client *c = client_begin(&(cre_http2_config){ .max_queue = 10000 });
    sent = 0;
    c->on_event = refill;
    put_window_update(&c->out, 0, 1 << 20);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(c->in.data, 65535);
    CHECK(sent <= 65535 + 10000 && sent > 65535);
    CHECK(stats_of(c).queued <= 10000);
    put_window_update(&c->out, 1, 1 << 20);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(c->in.data, 300000);
    CHECK(strstr(c->events.bytes, "writable 1|closed 1 code=0 complete"));
    client_destroy(c);
}

TEST(queues_of_all_responses) {
    client *c = client_begin(&(cre_http2_config){ .max_total_queue = 10000 });
    static const char piece[10000];
    put_setting(&c->out, 4, 0); /* no window at all */
    put_get(&c->out, 1);
    put_get(&c->out, 3);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, NULL, false), 0);
    CHECK_EQ(respond(c, 3, 200, NULL, false), 0);
    CHECK_EQ(send_bytes(c, 1, piece, sizeof piece, true), 0);
    CHECK_EQ(send_bytes(c, 3, "x", 1, true), CRE_EQUEUE_FULL);
    CHECK_EQ(exchange(c), 0);
    CHECK(!strstr(c->events.bytes, "writable"));
    put_reset(&c->out, 1, CRE_HTTP2_CANCEL); /* what it has queued is dropped */
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 GET / final|request 3 GET / final|closed 1 code=8|writable 3");
    CHECK_EQ(send_bytes(c, 3, "x", 1, true), 0);
    client_destroy(c);
}
#endif

TEST_MAIN()
