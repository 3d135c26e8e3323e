/* Requests of HTTP/2 that are well-formed or not (RFC 9113 section 8), however they are cut. */
#include <creactor/http2.h>

#include "test.h"

#ifdef CRE_HAVE_HTTP2

#include "http2/http2_internal.h"
#include "http2_client.h"

#define FIRST  ":method: GET\n:scheme: https\n:authority: a.example\n:path: /\n"
#define RESET  "RST_STREAM 1 code=1|"
#define STATUS "HEADERS 1 :status=400 content-length=0 end|"

typedef struct sample {
    const char *fields, *answer; /* the frames for stream 1; NULL: it is delivered, and nothing is sent */
} sample;

/* A session that has seen SETTINGS, behind the head of stream 1 with these fields, of which `cut` bytes are
 * in HEADERS and the rest in CONTINUATION, in pieces of `step` bytes. */
static void check_head(const sample *s, size_t cut, size_t step) {
    static const cre_http2_config config = { .extended_connect = 1 };
    static wire block;
    client *c = client_begin(&config);
    block.length = 0;
    put_fields(&block, s->fields);
    put_frame(&c->out, HEADERS, END_STREAM, 1, block.bytes, cut);
    put_frame(&c->out, CONTINUATION, END_HEADERS, 1, block.bytes + cut, block.length - cut);
    put_get(&c->out, 3); /* the connection goes on */
    CHECK_EQ(give(c, c->out.bytes, c->out.length, step), 0);
    take_output(c, 16384);
    CHECK_FRAMES(c, s->answer ? s->answer : "");
    CHECK_EQ(strstr(c->events.bytes, "request 1 ") != NULL, !s->answer);
    CHECK(strstr(c->events.bytes, "request 3 GET / final"));
    CHECK_EQ(stats_of(c).refused, s->answer != NULL);
    CHECK_EQ(stats_of(c).resets, s->answer && strcmp(s->answer, RESET) == 0);
    client_destroy(c);
}

static void check_heads(const sample *samples, size_t count) {
    static wire block;
    for (size_t i = 0; i < count; i++) {
        block.length = 0;
        put_fields(&block, samples[i].fields);
        /* at any byte of the fields that all of them have */
        for (size_t cut = i % 3; cut <= block.length; cut += 3 * TEST_STRIDE)
            check_head(&samples[i], cut, cut % 2 ? 1 : SIZE_MAX / 2);
        if (!test_failures) continue;
        fprintf(stderr, "head: %s\n", samples[i].fields);
        return;
    }
}

TEST(well_formed_heads) {
    static const sample samples[] = {
        { FIRST, NULL },
        { ":path: /a?b\n:authority: [::1]:8080\n:method: x-!#$%&'*+.^_`|~\n:scheme: HTTPS\n", NULL },
        { ":method: OPTIONS\n:scheme: https\n:authority: a\n:path: *\n", NULL },
        { ":method: GET\n:scheme: http\n:path: /\nhost: a.example\n", NULL },
        { FIRST "host: A.example\n", NULL },
        { FIRST "te: Trailers\n", NULL },
        { FIRST "x: a\tb\x80\xff 0123456789\t0123456789\n", NULL },
        { FIRST "x:\nabcdefgh-ijklmnop_qrstuvwxyz.0123456789!#$%&'*+^`|~: y\n", NULL },
        { FIRST "content-length: 0\n", NULL },
        { FIRST "priority: u=9, x=\"\n", NULL }, /* which is ignored */
        { FIRST "connections: 1\nkeep-alives: 1\ntx: 1\nhost-: 1\nupgradf: 1\n", NULL },
    };
    check_heads(samples, sizeof samples / sizeof *samples);
}

TEST(malformed_fields) {
    static const sample samples[] = {
        { FIRST "x y: 1\n", RESET },
        { FIRST "x\x7f: 1\n", RESET },
        { FIRST "abcdefgh\x80: 1\n", RESET },
        { FIRST "abcdefghijklmnopZ: 1\n", RESET },
        { FIRST "abcdefgHijklmnop: 1\n", RESET },
        { FIRST "Abcdefghijklmnop: 1\n", RESET },
        { FIRST "x: a\x01\n", RESET },
        { FIRST "x: 0123456789\x1f"
                "0123456789\n",
          RESET },
        { FIRST "x: 0123456\r0123456789\n", RESET },
        { FIRST "x: 01234567\x7f\n", RESET },
        { FIRST "x: 012345\x7f"
                "7\n",
          RESET },
        { FIRST "x: a \n", RESET },
        { FIRST "x: a\t\n", RESET },
        { FIRST "x: \ta\n", RESET },
        { FIRST "te: trailers, gzip\n", RESET },
        { FIRST "te:\n", RESET },
        { FIRST "connection: x\n", RESET },
        { FIRST "keep-alive: x\n", RESET },
        { FIRST "proxy-connection: x\n", RESET },
        { FIRST "transfer-encoding: chunked\n", RESET },
        { FIRST "upgrade: x\n", RESET },
        { FIRST "content-length:\n", RESET },
        { FIRST "content-length: -1\n", RESET },
        { FIRST "content-length: 9223372036854775808\n", RESET },
        { FIRST "content-length: 0\ncontent-length: 0\n", RESET },
        { FIRST "content-length: 1\n", RESET }, /* without a body */
        { FIRST "host:\n", RESET },
        { FIRST "host: a.example\nhost: a.example\n", RESET },
        { FIRST "host: a/b\n", RESET },
        { FIRST "host: b\n", STATUS },
        /* also behind what is only refused */
        { ":method: GET\n:scheme: ftp\n:authority: a\n:path: /\nx: a\x01\n", RESET },
    };
    check_heads(samples, sizeof samples / sizeof *samples);
}

TEST(malformed_pseudo_fields) {
    static const sample samples[] = {
        { ":method: GET\n" FIRST, RESET },
        { ":scheme: https\n" FIRST, RESET },
        { ":authority: a.example\n" FIRST, RESET },
        { ":path: /\n" FIRST, RESET },
        { FIRST ":unknown: x\n", RESET },
        { FIRST ":: x\n", RESET },
        { FIRST ":Path: x\n", RESET },
        { ":method:\n:scheme: https\n:authority: a\n:path: /\n", RESET },
        { ":method: GET\n:scheme:\n:authority: a\n:path: /\n", RESET },
        { ":method: GET\n:scheme: https\n:authority:\n:path: /\n", RESET },
        { ":method: GET\n:scheme: https\n:authority: a\n:path:\n", RESET },
        { ":method: G(T\n:scheme: https\n:authority: a\n:path: /\n", RESET },
        { ":method: GET\n:scheme: 1http\n:authority: a\n:path: /\n", RESET },
        { ":method: GET\n:scheme: ht_tp\n:authority: a\n:path: /\n", RESET },
        { ":method: GET\n:scheme: git+ssh\n:authority: a\n:path: /\n", STATUS },
        { ":method: GET\n:scheme: git+ssh\n:authority: a\n:path: x\n", STATUS },
        { ":method: GET\n:scheme: https\n:authority: a/b\n:path: /\n", RESET },
        { ":method: GET\n:scheme: https\n:authority: u@a\n:path: /\n", STATUS },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: /a b\n", RESET },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: /\x7f\n", RESET },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: /0123456\x1f"
          "8\n",
          RESET },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: /\x80\n", STATUS },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: *\n", RESET },
        { ":method: GET\n:scheme: https\n:authority: a\n:path: a\n", RESET },
        { ":method: OPTIONS\n:scheme: https\n:authority: a\n:path: **\n", RESET },
        { ":method: GET\n:scheme: https\nx: y\n:authority: a\n:path: /\n", RESET },
        { ":method: GET\n:scheme: https\n:path: /\n", RESET }, /* no host at all */
        { ":method: CONNECT\n:authority: a:1\n:path: /\n", RESET },
        { ":method: CONNECT\n:authority: a:1\n:scheme: https\n", RESET },
        { ":method: CONNECT\nhost: a:1\n", RESET },
        { FIRST ":protocol: websocket\n", RESET },
        { ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /\nhost: a\n", RESET },
        { ":method: CONNECT\n:protocol: websocket\n:authority: a\n:path: /\n", RESET },
        { ":method: CONNECT\n:protocol: a\x01\n:scheme: https\n:authority: a\n:path: /\n", RESET },
        /* with END_STREAM, which a tunnel must not begin with */
        { ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: /\nx: y\n", STATUS },
    };
    check_heads(samples, sizeof samples / sizeof *samples);
}

/* The body of a request for stream 1, and trailers. */
static void check_body(const char *fields, const char *body, size_t padding, const char *trailers,
                       const char *frames) {
    for (size_t step = 1; step < 40; step++) {
        client *c = client_begin(NULL);
        uint8_t payload[100] = { (uint8_t)padding };
        const size_t length = strlen(body);
        char head[200];
        snprintf(head, sizeof head, POST_FIELDS "%s", fields);
        put_headers(&c->out, 1, 0, head);
        memcpy(payload + 1, body, length);
        put_frame(&c->out, DATA, (trailers ? 0 : END_STREAM) | (padding ? PADDED : 0), 1,
                  padding ? payload : payload + 1, padding ? 1 + length + padding : length);
        if (trailers) put_headers(&c->out, 1, END_STREAM, trailers);
        put_get(&c->out, 3);
        CHECK_EQ(give(c, c->out.bytes, c->out.length, step), 0);
        take_output(c, 16384);
        CHECK_EQ(strstr(c->events.bytes, "end 1") != NULL, !*frames);
        CHECK_EQ(strstr(c->in.frames.bytes, frames) != NULL, true);
        CHECK_EQ(strstr(c->in.frames.bytes, "RST_STREAM") != NULL, *frames != 0);
        CHECK(strstr(c->events.bytes, "request 3 GET / final"));
        CHECK_EQ(stats_of(c).resets, *frames != 0);
        client_destroy(c);
    }
}

TEST(bodies_and_their_length) {
    check_body("", "12345", 0, NULL, "");
    check_body("content-length: 5\n", "12345", 0, NULL, "");
    check_body("content-length: 5\n", "12345", 7, NULL, "");
    check_body("content-length: 0\n", "", 0, NULL, "");
    check_body("content-length: 4\n", "12345", 0, NULL, RESET);
    check_body("content-length: 6\n", "12345", 0, NULL, RESET);
    check_body("content-length: 6\n", "12345", 7, NULL, RESET);
    check_body("content-length: 1\n", "", 0, NULL, RESET);
}

TEST(trailers_of_requests) {
    check_body("content-length: 5\n", "12345", 0, "sum: 1\npriority: u=1\ncookie: a\nte: trailers\n", "");
    check_body("", "12345", 0, "content-length: 5\nhost: a\n", "");
    check_body("", "12345", 0, "content-length: 4\n", RESET);
    check_body("content-length: 5\n", "12345", 0, "content-length: 5\n", RESET);
    check_body("content-length: 6\n", "12345", 0, "sum: 1\n", RESET);
    check_body("host: a.example\n", "12345", 0, "host: a.example\n", RESET);
    check_body("", "12345", 0, ":path: /\n", RESET);
    check_body("", "12345", 0, "Sum: 1\n", RESET);
    check_body("", "12345", 0, "sum: a\x01\n", RESET);
    check_body("", "12345", 0, "connection: close\n", RESET);
}

/* The window of the connection is given back for bytes that a malformed message has. */
TEST(window_behind_a_body_that_is_too_long) {
    static uint8_t bytes[16384];
    client *c = client_begin(&(cre_http2_config){ .connection_window = 65535 });
    for (uint32_t stream = 1; stream < 41; stream += 2) {
        put_headers(&c->out, stream, 0, POST_FIELDS "content-length: 3\n");
        put_frame(&c->out, DATA, 0, stream, bytes, sizeof bytes);
        CHECK_EQ(exchange(c), 0);
    }
    CHECK_EQ(stats_of(c).resets, 20);
    CHECK(strstr(c->in.frames.bytes, "WINDOW_UPDATE 0 "));
    CHECK(!strstr(c->in.frames.bytes, "GOAWAY"));
    client_destroy(c);
}

TEST(priorities) {
    static const struct {
        const char *value;
        int urgency; /* -1: it is malformed */
        bool incremental;
    } samples[] = {
        { "", 3, false },
        { "  ", 3, false },
        { "u=0", 0, false },
        { "u=7, i", 7, true },
        { " u=5 \t,\t i=?1 ", 5, true },
        { "i, i=?0", 3, false },
        { "u=2;x=1;y, i;z=\"a\\\"b\\\\\"", 2, true },
        { "u=8, i", 3, true }, /* out of range: as if it was not there (RFC 9218 section 4) */
        { "u=-1", 3, false },
        { "u=1.5, i=1", 3, false },
        { "u=1, u=9", 3, false }, /* the last value of a key holds */
        { "u=9, u=1, i=1, i", 1, true },
        { "i, i=a, u=0, u=?1", 3, false },
        { "u, i=a", 3, false },
        { "u=(1 2), i", 3, true },
        { "x=(\"a\" b;c=?0 :YQ==: );d, *y=*t/:, u=4", 4, false },
        { "x-1_.*=-123.456, uu=1, ii", 3, false },
        { "x=:YWJj+/8=:, i", 3, true },
        { "x=123456789012345, i", 3, true },
        { "x=123456789012.345, i", 3, true },
        { "u=1,", -1, false },
        { ",u=1", -1, false },
        { "u=1 i", -1, false },
        { "U=1", -1, false },
        { "u=", -1, false },
        { "u=1;", -1, false },
        { "u=1;=", -1, false },
        { "u=1;x=", -1, false },
        { "x=1234567890123456", -1, false },
        { "x=1234567890123.1", -1, false },
        { "x=1.", -1, false },
        { "x=1.2345", -1, false },
        { "x=-", -1, false },
        { "x=?2", -1, false },
        { "x=?", -1, false },
        { "x=\"a", -1, false },
        { "x=\"\\a\"", -1, false },
        { "x=\"\\", -1, false },
        { "x=\"\x7f\"", -1, false },
        { "x=:a", -1, false },
        { "x=:-:", -1, false },
        { "x=(a", -1, false },
        { "x=(a,b)", -1, false },
        { "x=(\"a\"b)", -1, false },
        { "x=(a);", -1, false },
        { "x={}", -1, false },
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const size_t length = strlen(samples[i].value);
        guard_page guard = guard_make(length + 1);
        cre__h2_priority priority = { .urgency = 3 };
        bool valid = cre__h2_priority_read(guard_place(&guard, samples[i].value, length), length, &priority);
        CHECK_EQ(valid, samples[i].urgency >= 0);
        if (valid) {
            CHECK_EQ(priority.urgency, samples[i].urgency);
            CHECK_EQ(priority.incremental, samples[i].incremental);
        }
        guard_free(&guard);
        if (!test_failures) continue;
        fprintf(stderr, "priority: %s\n", samples[i].value);
        return;
    }
}

/* Several lines are one dictionary, and all of it is ignored when one line is malformed. */
TEST(priorities_in_several_lines) {
    static const char body[40000];
    static const char *const lines[] = { "", "priority: u=0\npriority: u=\n", "priority: u=\npriority: u=0\n",
                                         "priority: u=1\npriority: i\n" };
    client *c = client_begin(NULL);
    put_setting(&c->out, 4, 1 << 24);
    put_window_update(&c->out, 0, 1 << 24);
    for (uint32_t i = 0; i < 4; i++) {
        char fields[200];
        snprintf(fields, sizeof fields, GET_FIELDS "%s", lines[i]);
        put_headers(&c->out, 2 * i + 1, END_STREAM, fields);
    }
    CHECK_EQ(exchange(c), 0);
    clear(&c->in.frames);
    const cre_slice part = { (const uint8_t *)body, sizeof body };
    for (uint32_t stream = 1; stream < 8; stream += 2)
        CHECK_EQ(
            cre_http2_respond(c->session, stream, &(cre_http2_response){ .status = 200 }, &part, 1, true), 0);
    take_output(c, 16384);
    static const char *const order[] = { "DATA 7 ", "DATA 1 ", "DATA 3 ", "DATA 5 " };
    const char *last = c->in.frames.bytes;
    for (size_t i = 0; i < 4; i++) {
        const char *at = strstr(c->in.frames.bytes, order[i]);
        REQUIRE(at);
        CHECK(at >= last);
        last = at;
    }
    client_destroy(c);
}

#else
TEST(nothing_without_http2) {
    CHECK(!cre_http2_supported());
}
#endif

TEST_MAIN()
