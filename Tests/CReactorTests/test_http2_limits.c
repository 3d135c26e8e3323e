/* HTTP/2: malformed requests, violations of the protocol, and limits. */
#include <creactor/error.h>
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2
#include "http2_server.h"

/* ---- requests that are not delivered ---- */

#define HEAD ":method: GET\n:scheme: https\n:authority: a\n:path: /\n"

TEST(malformed_requests) {
    static const struct {
        const char *fields, *answer;
    } cases[] = {
        /* what nghttp2 checks */
        { ":method: GET\n:scheme: https\n:authority: a\n", "RST_STREAM 1 code=1|" },
        { ":method: GET\n:authority: a\n:path: /\n", "RST_STREAM 1 code=1|" },
        { ":scheme: https\n:authority: a\n:path: /\n", "RST_STREAM 1 code=1|" },
        { HEAD ":path: /\n", "RST_STREAM 1 code=1|" },
        { HEAD ":status: 200\n", "RST_STREAM 1 code=1|" },
        { HEAD ":protocol: websocket\n", "RST_STREAM 1 code=1|" },
        { ":method: GET\n:scheme: https\n:authority: a\nx: y\n:path: /\n", "RST_STREAM 1 code=1|" },
        { HEAD "X-Upper: 1\n", "RST_STREAM 1 code=1|" },
        { HEAD "a b: 1\n", "RST_STREAM 1 code=1|" },
        { HEAD "a: 1\r\n", "RST_STREAM 1 code=1|" },
        { HEAD "connection: close\n", "RST_STREAM 1 code=1|" },
        { HEAD "keep-alive: 1\n", "RST_STREAM 1 code=1|" },
        { HEAD "proxy-connection: x\n", "RST_STREAM 1 code=1|" },
        { HEAD "transfer-encoding: chunked\n", "RST_STREAM 1 code=1|" },
        { HEAD "upgrade: websocket\n", "RST_STREAM 1 code=1|" },
        { HEAD "te: gzip\n", "RST_STREAM 1 code=1|" },
        { HEAD "content-length: 1x\n", "RST_STREAM 1 code=1|" },
        { HEAD "content-length: 0\ncontent-length: 0\n", "RST_STREAM 1 code=1|" },
        { HEAD "content-length: 5\n", "RST_STREAM 1 code=1|" }, /* without a body */
        { ":method: CONNECT\n:scheme: https\n:authority: a:1\n:path: /\n", "RST_STREAM 1 code=1|" },
        { ":method: GET\n:scheme: https\n:path: /\n", "RST_STREAM 1 code=1|" },
        /* what the rules of HTTP/1 heads add */
        { ":method: GET\n:scheme: ftp\n:authority: a\n:path: /\n",
          "HEADERS 1 :status=400 content-length=0 end|" },
        { ":method: GET\n:scheme: https\n:authority: u@a\n:path: /\n",
          "HEADERS 1 :status=400 content-length=0 end|" },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: x\n", "*" },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: *\n", "*" },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: http://b/\n", "*" },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: /a#b\n", "*" },
        { ":method: CONNECT\n:authority: a\n", "HEADERS 1 :status=400 content-length=0 end|" },
        { HEAD "host: b\n", "HEADERS 1 :status=400 content-length=0 end|" },
        { ":method: GET\n:scheme: https\n:path: /\nhost: a\nhost: a\n", "*" },
        { ":method: GET\n:scheme: https\n:path: /\nhost: a b\n", "*" },
        { HEAD "expect: magic\n", "HEADERS 1 :status=417 content-length=0 end|" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client *c = client_begin(NULL);
        put_headers(&c->out, 1, END_STREAM, cases[i].fields);
        put_get(&c->out, 3); /* the connection goes on */
        CHECK_EQ(exchange(c), 0);
        CHECK_EVENTS(c, "request 3 GET / final");
        if (strcmp(cases[i].answer, "*") == 0)
            CHECK(strstr(c->in.frames.bytes, "HEADERS 1 :status=400") ||
                  strstr(c->in.frames.bytes, "RST_STREAM 1"));
        else
            CHECK_FRAMES(c, cases[i].answer);
        CHECK_EQ(stats_of(c).refused, 1);
        CHECK_EQ(stats_of(c).requests, 1);
        if (test_failures) fprintf(stderr, "case: %s\n", cases[i].fields);
        client_destroy(c);
    }
}

TEST(wrong_lengths_and_trailers) {
    client *c = client_begin(NULL);
    put_headers(&c->out, 1, 0, POST_FIELDS "content-length: 3\n");
    put_frame(&c->out, DATA, END_STREAM, 1, "12345", 5);
    put_headers(&c->out, 3, 0, POST_FIELDS "content-length: 3\n");
    put_frame(&c->out, DATA, END_STREAM, 3, "12", 2);
    put_headers(&c->out, 5, 0, POST_FIELDS);
    put_headers(&c->out, 5, END_STREAM, "connection: close\n");
    put_headers(&c->out, 7, 0, POST_FIELDS);
    put_headers(&c->out, 7, END_STREAM, ":path: /\n");
    put_headers(&c->out, 9, 0, POST_FIELDS);
    put_headers(&c->out, 9, 0, "trailers: without end\n");
    CHECK_EQ(exchange(c), 0);
    for (unsigned stream = 1; stream <= 9; stream += 2) {
        char expected[64];
        snprintf(expected, sizeof expected, "RST_STREAM %u code=1|", stream);
        CHECK(strstr(c->in.frames.bytes, expected));
        snprintf(expected, sizeof expected, "|closed %u code=1", stream);
        CHECK(strstr(c->events.bytes, expected));
        snprintf(expected, sizeof expected, "end %u", stream);
        CHECK(!strstr(c->events.bytes, expected));
    }
    CHECK_EQ(stats_of(c).resets, 5);
    client_destroy(c);
}

TEST(heads_beyond_their_limits) {
    client *c = client_begin(&(cre_http2_config){ .max_head = 300, .max_fields = 5 });
    static char value[4000];
    memset(value, 'v', sizeof value - 1);
    static char fields[8000];
    snprintf(fields, sizeof fields, HEAD "x: %.*s\n", 269, value);
    put_headers(&c->out, 1, END_STREAM, fields);
    snprintf(fields, sizeof fields, HEAD "x: %.*s\n", 268, value);
    put_headers(&c->out, 3, END_STREAM, fields);
    put_headers(&c->out, 5, END_STREAM, HEAD "a: 1\nb: 1\nc: 1\nd: 1\n"); /* five with Host */
    put_headers(&c->out, 7, END_STREAM, HEAD "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\n");
    put_headers(&c->out, 9, END_STREAM, HEAD "a: 1\nb: 1\nc: 1\ncookie: 1\ncookie: 2\n");
    put_headers(&c->out, 11, END_STREAM, HEAD "a: 1\nb: 1\nc: 1\ncookie: 1\nd: 1\n");
    snprintf(fields, sizeof fields, HEAD "cookie: %.*s\ncookie: %.*s\n", 100, value, 200, value);
    put_headers(&c->out, 13, END_STREAM, fields);
    snprintf(fields, sizeof fields, ":method: GET\n:scheme: https\n:authority: a\n:path: /%.*s\n", 299,
             value);
    put_headers(&c->out, 15, END_STREAM, fields);
    snprintf(fields, sizeof fields, ":method: GET\n:scheme: https\n:authority: %.*s\n:path: /\n", 280, value);
    put_headers(&c->out, 17, END_STREAM, fields);
    snprintf(fields, sizeof fields, HEAD "x: %s\n", value);
    put_headers(&c->out, 19, 0, fields); /* a body follows, which nobody wants */
    put_frame(&c->out, DATA, 0, 19, "body", 4);
    CHECK_EQ(exchange(c), 0);
    static const bool fits[] = { false, true, true, false, true, false, false, false, false, false };
    for (unsigned i = 0; i < 10; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "request %u ", 2 * i + 1);
        CHECK_EQ(strstr(c->events.bytes, expected) != NULL, fits[i]);
        snprintf(expected, sizeof expected, "HEADERS %u :status=431 content-length=0 end|", 2 * i + 1);
        CHECK_EQ(strstr(c->in.frames.bytes, expected) != NULL, !fits[i]);
    }
    CHECK(strstr(c->in.frames.bytes, "RST_STREAM 19 code=0|"));
    CHECK_EQ(stats_of(c).refused, 7);
    CHECK_EQ(stats_of(c).streams, 3);
    client_destroy(c);
}

/* ---- violations ---- */

/* The session ends with this error, and GOAWAY has this code. */
static void check_end(client *c, int error, unsigned code) {
    int result = exchange(c);
    if (result) CHECK_EQ(result, error);
    char expected[32];
    snprintf(expected, sizeof expected, "code=%u|", code);
    const char *goaway = strstr(c->in.frames.bytes, "GOAWAY");
    CHECK(goaway && strstr(goaway, expected));
    CHECK(cre_http2_is_done(c->session));
    CHECK_EQ(cre_http2_error(c->session), error);
    CHECK_EQ(stats_of(c).goaway_code, code);
    /* more input changes nothing */
    size_t before = c->events.length;
    put_get(&c->out, 99);
    result = exchange(c);
    if (result) CHECK_EQ(result, error);
    CHECK_EQ(c->events.length, before);
    CHECK_EQ(respond(c, 1, 200, NULL, true), CRE_EGONE);
    client_destroy(c);
}

/* A limit ends the session, which reports which one. */
static void check_exceeded(client *c, cre_http2_limit limit) {
    const int result = exchange(c);
    if (result) CHECK_EQ(result, CRE_EHTTP2_FLOOD);
    CHECK_EQ(stats_of(c).limit, limit);
    check_end(c, CRE_EHTTP2_FLOOD, CRE_HTTP2_ENHANCE_YOUR_CALM);
}

TEST(violations_end_the_session) {
    static const struct {
        const char *frame;
        size_t length;
        unsigned code;
    } cases[] = {
        { "\0\0\4\0\0\0\0\0\0data", 13, 1 },                   /* DATA of stream 0 */
        { "\0\0\1\0\0\0\0\0\1x", 10, 1 },                      /* DATA of an idle stream */
        { "\0\0\4\3\0\0\0\0\1\0\0\0\0", 13, 1 },               /* RST_STREAM of an idle stream */
        { "\0\0\1\1\5\0\0\0\2\x82", 10, 1 },                   /* HEADERS of a stream of the server */
        { "\0\0\1\1\5\0\0\0\0\x82", 10, 1 },                   /* HEADERS of stream 0 */
        { "\0\0\1\1\5\0\0\0\1\x80", 10, 9 },                   /* index 0 */
        { "\0\0\1\1\5\0\0\0\1\xfe", 10, 9 },                   /* an index that does not exist */
        { "\0\0\0\x09\4\0\0\0\1", 9, 1 },                      /* CONTINUATION without HEADERS */
        { "\0\0\1\1\0\0\0\0\1\x82\0\0\0\4\0\0\0\0\0", 19, 1 }, /* SETTINGS between HEADERS and CONTINUATION */
        { "\0\0\5\4\0\0\0\0\0\0\0\0\0\0", 14, 6 },             /* SETTINGS of five bytes */
        { "\0\0\0\4\0\0\0\0\1", 9, 1 },                        /* SETTINGS of a stream */
        { "\0\0\6\4\0\0\0\0\0\0\4\x80\0\0\0", 15, 3 },         /* a window beyond 31 bits */
        { "\0\0\6\4\0\0\0\0\0\0\5\0\0\0\1", 15, 1 },           /* frames of one byte */
        { "\0\0\1\6\0\0\0\0\0x", 10, 6 },                      /* PING of one byte */
        { "\0\0\4\x08\0\0\0\0\0\0\0\0\0", 13, 1 },             /* a window opened by 0 */
        { "\0\0\4\x08\0\0\0\0\0\x7f\xff\xff\xff", 13, 3 },     /* ...beyond 31 bits */
        { "\0\x80\0\0\0\0\0\0\1", 9, 6 },                      /* a frame of 32 KiB */
        { "\0\0\4\5\4\0\0\0\1\0\0\0\2", 13, 1 },               /* PUSH_PROMISE */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client *c = client_begin(NULL);
        put(&c->out, cases[i].frame, cases[i].length);
        int failures = test_failures;
        check_end(c, CRE_EHTTP2, cases[i].code);
        if (test_failures != failures) fprintf(stderr, "in case %zu\n", i);
    }
}

TEST(not_http2) {
    client *c = client_create(NULL);
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    CHECK_EQ(give(c, (const uint8_t *)request, sizeof request - 1, 100), CRE_EHTTP2_PREFACE);
    CHECK_EQ(give(c, (const uint8_t *)request, sizeof request - 1, 100), CRE_EHTTP2_PREFACE);
    CHECK_EQ(cre_http2_error(c->session), CRE_EHTTP2_PREFACE);
    take_output(c, 16384);
    CHECK(cre_http2_is_done(c->session));
    client_destroy(c);
}

/* ---- floods ---- */

TEST(settings_flood) {
    client *c = client_begin(NULL);
    for (int i = 0; i < 1000; i++)
        put_setting(&c->out, 3, 100);
    check_exceeded(c, CRE_HTTP2_LIMIT_SETTINGS);
}

TEST(ping_flood_and_its_budget) {
    client *c = client_begin(&(cre_http2_config){ .control_burst = 50, .control_rate = 10 });
    c->now += 10000; /* the budget is full again */
    for (int i = 0; i < 50; i++)
        put_frame(&c->out, PING, 0, 0, "12345678", 8);
    CHECK_EQ(exchange(c), 0);
    for (int second = 0; second < 5; second++) {
        c->now += 1000;
        for (int i = 0; i < 10; i++)
            put_frame(&c->out, PING, 0, 0, "12345678", 8);
        CHECK_EQ(exchange(c), 0);
    }
    c->now -= 5000; /* a clock that goes back earns nothing */
    put_frame(&c->out, PING, 0, 0, "12345678", 8);
    check_exceeded(c, CRE_HTTP2_LIMIT_PINGS);
}

/* Acknowledgements that are never read are bounded, too. */
TEST(unread_acknowledgements) {
    client *c = client_begin(&(cre_http2_config){ .control_burst = 100, .control_rate = 1000000 });
    int result = 0;
    for (int i = 0; i < 500 && !result; i++) {
        c->now += 1000;
        put_frame(&c->out, PING, 0, 0, "12345678", 8);
        result = give(c, c->out.bytes, c->out.length, c->out.length);
        c->out.length = 0;
    }
    CHECK_EQ(result, CRE_EHTTP2_FLOOD);
    CHECK(stats_of(c).memory < 128 << 10);
    check_exceeded(c, CRE_HTTP2_LIMIT_ACKNOWLEDGEMENTS);
}

/* Where the budget would allow them, the memory of the session does not. */
TEST(memory_of_acknowledgements) {
    client *c = client_begin(&(cre_http2_config){ .control_burst = 1000000, .max_memory = 256 << 10 });
    int result = 0;
    for (int i = 0; i < 100000 && !result; i++) {
        put_frame(&c->out, PING, 0, 0, "12345678", 8);
        result = give(c, c->out.bytes, c->out.length, c->out.length);
        c->out.length = 0;
    }
    CHECK_EQ(result, CRE_ENOMEM);
    CHECK(stats_of(c).memory < (256 << 10) + 4096);
    CHECK_EQ(stats_of(c).limit, CRE_HTTP2_LIMIT_MEMORY);
    check_end(c, CRE_ENOMEM, CRE_HTTP2_INTERNAL_ERROR);
}

TEST(window_update_flood) {
    client *c = client_begin(NULL);
    for (int i = 0; i < 1000; i++)
        put_window_update(&c->out, 0, 1);
    check_exceeded(c, CRE_HTTP2_LIMIT_WINDOW_UPDATES);
}

TEST(window_update_flood_behind_a_response) {
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, "a", true), 0);
    CHECK_EQ(exchange(c), 0);
    for (int i = 0; i < 1000; i++)
        put_window_update(&c->out, 0, 1);
    check_exceeded(c, CRE_HTTP2_LIMIT_WINDOW_UPDATES);
}

/* A client may open its windows for each frame that it receives. */
TEST(window_updates_that_are_earned) {
    client *c = client_begin(&(cre_http2_config){ .control_burst = 16 });
    static char piece[1000];
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, NULL, false), 0);
    for (int i = 0; i < 500; i++) {
        CHECK_EQ(send_bytes(c, 1, piece, sizeof piece, false), 0);
        CHECK_EQ(exchange(c), 0);
        put_window_update(&c->out, 0, 1000);
        put_window_update(&c->out, 1, 1000);
    }
    CHECK_EQ(c->in.data, 500000);
    CHECK_EQ(cre_http2_error(c->session), 0);
    client_destroy(c);
}

TEST(empty_frames_and_unknown_ones) {
    client *c = client_begin(NULL);
    put_headers(&c->out, 1, 0, POST_FIELDS);
    for (int i = 0; i < 1000; i++)
        put_frame(&c->out, DATA, 0, 1, NULL, 0);
    check_exceeded(c, CRE_HTTP2_LIMIT_EMPTY_DATA);
    c = client_begin(NULL);
    put_headers(&c->out, 1, 0, POST_FIELDS);
    for (int i = 0; i < 1000; i++)
        put_frame(&c->out, DATA, PADDED, 1, "\3\0\0\0", 4);
    check_exceeded(c, CRE_HTTP2_LIMIT_EMPTY_DATA);
    c = client_begin(NULL);
    for (int i = 0; i < 1000; i++)
        put_frame(&c->out, 0x77, 0, 0, NULL, 0);
    check_exceeded(c, CRE_HTTP2_LIMIT_OTHER_FRAMES);
    c = client_begin(NULL);
    for (int i = 0; i < 1000; i++)
        put_frame(&c->out, PRIORITY, 0, 1, "\0\0\0\0\1", 5);
    check_exceeded(c, CRE_HTTP2_LIMIT_OTHER_FRAMES);
}

/* Heads of a stream that is closed are ignored, though not without end. */
TEST(heads_of_closed_streams) {
    client *c = client_begin(NULL);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, NULL, true), 0);
    CHECK_EQ(exchange(c), 0);
    for (int i = 0; i < 300; i++)
        put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(cre_http2_error(c->session), 0);
    for (int i = 0; i < 300; i++)
        put_get(&c->out, 1);
    check_exceeded(c, CRE_HTTP2_LIMIT_OTHER_FRAMES);
}

TEST(continuation_flood) {
    client *c = client_begin(NULL);
    put_frame(&c->out, HEADERS, 0, 1, "\x82\x87\x84", 3);
    for (int i = 0; i < 9; i++)
        put_frame(&c->out, CONTINUATION, 0, 1, NULL, 0);
    check_exceeded(c, CRE_HTTP2_LIMIT_CONTINUATIONS);
}

/* One field in the table and many references to it: a byte each. */
TEST(hpack_bomb) {
    client *c = client_begin(NULL);
    static uint8_t block[16384];
    wire *w = &c->out;
    size_t start = w->length;
    put_frame_head(w, 0, HEADERS, END_HEADERS | END_STREAM, 1);
    put_fields(w, HEAD);
    put_byte(w, 0x40); /* literal with indexing */
    put_integer(w, 0, 7, 1);
    put(w, "x", 1);
    put_integer(w, 0, 7, 4000);
    memset(block, 'v', 4000);
    put(w, block, 4000);
    memset(block, 0xBE, sizeof block); /* the newest entry of the table */
    put(w, block, 8000);
    size_t length = w->length - start - 9;
    w->bytes[start + 1] = (uint8_t)(length >> 8);
    w->bytes[start + 2] = (uint8_t)length;
    CHECK_EQ(give(c, w->bytes, w->length, 1 << 20), CRE_EHTTP2_FLOOD);
    CHECK(stats_of(c).memory < 512 << 10);
    w->length = 0;
    check_exceeded(c, CRE_HTTP2_LIMIT_HEAD);
}

/* Streams that are opened and reset: they are never too many at the same time. */
TEST(rapid_reset) {
    client *c = client_begin(NULL);
    for (uint32_t i = 0; i < 1000; i++) {
        put_get(&c->out, 2 * i + 1);
        put_reset(&c->out, 2 * i + 1, CRE_HTTP2_CANCEL);
    }
    REQUIRE(give(c, c->out.bytes, c->out.length, 1 << 20) == CRE_EHTTP2_FLOOD);
    CHECK_EQ(stats_of(c).requests, 201);
    CHECK_EQ(stats_of(c).resets, 201);
    c->out.length = 0;
    check_exceeded(c, CRE_HTTP2_LIMIT_RESETS);
}

TEST(resets_within_the_budget) {
    client *c = client_begin(&(cre_http2_config){ .reset_burst = 10, .reset_rate = 5 });
    for (uint32_t i = 0; i < 100; i++) {
        put_get(&c->out, 2 * i + 1);
        put_reset(&c->out, 2 * i + 1, CRE_HTTP2_CANCEL);
        c->now += 200;
        CHECK_EQ(exchange(c), 0);
    }
    CHECK_EQ(stats_of(c).resets, 100);
    CHECK_EQ(stats_of(c).streams, 0);
    client_destroy(c);
}

/* The client has the server reset its streams, by a window that overflows or a body of another length. */
TEST(resets_that_the_client_causes) {
    for (int way = 0; way < 2; way++) {
        client *c = client_begin(NULL);
        int result = 0;
        uint32_t i = 0;
        for (; i < 1000 && !result; i++) {
            put_headers(&c->out, 2 * i + 1, 0, POST_FIELDS "content-length: 3\n");
            if (way)
                put_window_update(&c->out, 2 * i + 1, 0x7FFFFFFF);
            else
                put_frame(&c->out, DATA, 0, 2 * i + 1, "1234", 4);
            result = exchange(c);
        }
        /* a body that is too long ends the session when it is received, a window when the reset is sent */
        CHECK_EQ(i, way ? 202 : 201);
        CHECK_EQ(stats_of(c).requests, 201);
        check_exceeded(c, CRE_HTTP2_LIMIT_RESETS);
    }
}

/* A client resets a tunnel behind which trailers come, and has a budget of that, too. */
TEST(resets_that_the_server_causes) {
    static const uint32_t connect[][2] = { { ENABLE_CONNECT, 1 } };
    client *c = asker_begin(&(cre_http2_config){ .reset_burst = 1, .reset_rate = 1 }, connect, 1);
    cre_http2_request request = get_request();
    request.protocol = "websocket";
    for (unsigned stream = 1; stream < 4; stream += 2) {
        CHECK_EQ(ask(c, &request, false), stream);
        put_headers(&c->out, stream, 0, ":status: 200\n");
        put_headers(&c->out, stream, END_STREAM, "x: y\n");
    }
    take_output(c, 16384);
    CHECK_EQ(exchange(c), CRE_EHTTP2_FLOOD);
    check_exceeded(c, CRE_HTTP2_LIMIT_RESETS);
}

TEST(too_many_streams) {
    /* before the client knows the limit */
    client *c = client_create(&(cre_http2_config){ .max_streams = 10 });
    put_preface(&c->out);
    for (uint32_t i = 0; i < 12; i++)
        put_get(&c->out, 2 * i + 1);
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "RST_STREAM 21 code=7|RST_STREAM 23 code=7|"));
    CHECK_EQ(stats_of(c).streams, 10);
    CHECK_EQ(stats_of(c).resets, 2);
    CHECK_EQ(stats_of(c).refused, 2);
    put_frame(&c->out, SETTINGS, ACK, 0, NULL, 0);
    CHECK_EQ(respond(c, 1, 200, NULL, true), 0);
    CHECK_EQ(exchange(c), 0);
    put_get(&c->out, 25);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(stats_of(c).streams, 10);
    CHECK_EQ(stats_of(c).requests, 11);
    /* and when it does */
    put_get(&c->out, 27);
    check_end(c, CRE_EHTTP2, CRE_HTTP2_PROTOCOL_ERROR);
}

/* Responses that are refused for memory, and a session that goes on. */
TEST(memory_of_response_heads) {
    client *c = client_begin(&(cre_http2_config){ .max_memory = 512 << 10 });
    static char value[20000];
    memset(value, 'v', sizeof value);
    const cre_http_header field = { "x", value, 1, sizeof value };
    const cre_http2_response response = { .status = 200, .fields = &field, .field_count = 1 };
    for (uint32_t i = 0; i < 50; i++)
        put_get(&c->out, 2 * i + 1);
    CHECK_EQ(exchange(c), 0);
    uint32_t accepted = 0;
    int result = 0;
    while (accepted < 50 &&
           !(result = cre_http2_respond(c->session, 2 * accepted + 1, &response, NULL, 0, true)))
        accepted++;
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK(accepted >= 5);
    CHECK(stats_of(c).memory <= 512 << 10);
    CHECK_EQ(exchange(c), 0);
    char expected[64];
    snprintf(expected, sizeof expected, "writable %u", 2 * accepted + 1);
    CHECK(strstr(c->events.bytes, expected));
    CHECK_EQ(cre_http2_respond(c->session, 2 * accepted + 1, &response, NULL, 0, true), 0);
    CHECK_EQ(exchange(c), 0);
    client_destroy(c);
}

static char large_value[20000];
static uint32_t writable_events;

static int respond_with_large_head(client *c, uint32_t stream) {
    memset(large_value, 'v', sizeof large_value);
    const cre_http_header field = { "x", large_value, 1, sizeof large_value };
    const cre_http2_response response = { .status = 200, .fields = &field, .field_count = 1 };
    return cre_http2_respond(c->session, stream, &response, NULL, 0, true);
}

/* An application that tries again as soon as it may. */
static void respond_again(client *c, const cre_http2_event *event) {
    if (event->kind != CRE_HTTP2_WRITABLE || ++writable_events > 100) return;
    (void)!respond_with_large_head(c, event->stream);
}

/* Memory is held by trailers whose bodies wait for the client's windows. */
TEST(a_response_waits_for_memory_without_spinning) {
    client *c = client_begin(&(cre_http2_config){ .max_memory = 512 << 10 });
    put_setting(&c->out, 4, 0);
    for (uint32_t i = 0; i < 12; i++)
        put_get(&c->out, 2 * i + 1);
    CHECK_EQ(exchange(c), 0);
    memset(large_value, 'v', sizeof large_value);
    const cre_http_header field = { "x", large_value, 1, sizeof large_value };
    uint32_t waiting = 0;
    int result = 0;
    for (; waiting < 11; waiting++) {
        CHECK_EQ(respond(c, 2 * waiting + 1, 200, "body", false), 0);
        result = cre_http2_send_trailers(c->session, 2 * waiting + 1, &field, 1);
        if (result) break;
        CHECK_EQ(exchange(c), 0);
    }
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(respond_with_large_head(c, 23), CRE_EQUEUE_FULL);
    c->on_event = respond_again;
    writable_events = 0;
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(writable_events, 0);
    put_reset(&c->out, 1, CRE_HTTP2_CANCEL);
    put_reset(&c->out, 3, CRE_HTTP2_CANCEL);
    CHECK_EQ(exchange(c), 0);
    CHECK(writable_events >= 1 && writable_events <= 2);
    CHECK(strstr(c->events.bytes, "closed 23 code=0 complete"));
    client_destroy(c);
}

TEST(a_head_that_can_never_fit_is_refused) {
    static char value[40000];
    memset(value, 'v', sizeof value);
    const cre_http_header field = { "x", value, 1, sizeof value };
    const cre_http2_response response = { .status = 200, .fields = &field, .field_count = 1 };
    client *c = client_begin(&(cre_http2_config){ .max_memory = 256 << 10 });
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(cre_http2_respond(c->session, 1, &response, NULL, 0, true), CRE_EHTTP_HEAD_TOO_LARGE);
    CHECK_EQ(respond_with_large_head(c, 1), 0);
    CHECK_EQ(exchange(c), 0);
    client_destroy(c);
}

#else
TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}
#endif

TEST_MAIN()
