/* Extended CONNECT of HTTP/2 (RFC 8441), and the handshake of WebSocket over it. */
#include <creactor/handshake.h>
#include <creactor/http2.h>

#include "test.h"

#ifndef CRE_HAVE_HTTP2
TEST(without_http2) {
    CHECK(!cre_http2_supported());
}
#else
#include "http2_client.h"

#define CONNECT \
    ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a.example\n:path: /chat?r=1\n"
#define VERSION "sec-websocket-version: 13\n"

#define CHECK_EVENTS(c, expected) CHECK_STR((c)->events.bytes, expected)
#define CHECK_FRAMES(c, expected) CHECK_STR((c)->in.frames.bytes, expected)

static const cre_http2_config enabled = { .extended_connect = 1 };

static char head_text[4096], protocol[128];
static cre_http_head last_head;
static cre_http_field last_fields[CRE_HTTP_DEFAULT_FIELDS];

static void keep(client *c, const cre_http2_event *event) {
    (void)c;
    if (event->kind != CRE_HTTP2_REQUEST) return;
    REQUIRE(event->head->head_length < sizeof head_text && event->protocol_length < sizeof protocol);
    last_head = *event->head;
    memcpy(head_text, event->head_bytes, last_head.head_length);
    head_text[last_head.head_length] = 0;
    memcpy(last_fields, event->fields, last_head.field_count * sizeof *last_fields);
    CHECK_EQ(event->protocol != NULL, event->protocol_length != 0);
    if (event->protocol) memcpy(protocol, event->protocol, event->protocol_length);
    protocol[event->protocol_length] = 0;
}

static int check_handshake(cre_ws_handshake *handshake) {
    return cre_ws_request_check(&last_head, last_fields, (const uint8_t *)head_text, handshake);
}

TEST(the_setting) {
    static const uint8_t setting[] = { 0, 8, 0, 0, 0, 1 };
    for (unsigned on = 0; on <= 1; on++) {
        client *c = client_create(&(cre_http2_config){ .extended_connect = on });
        uint8_t out[256];
        size_t size;
        put_preface(&c->out);
        CHECK_EQ(give(c, c->out.bytes, c->out.length, 100), 0);
        CHECK_EQ(cre_http2_produce(c->session, out, sizeof out, &size), 0);
        bool found = false;
        for (size_t at = 9; at + 6 <= 9u + out[2]; at += 6)
            found |= memcmp(out + at, setting, 6) == 0;
        CHECK_EQ(found, on);
        client_destroy(c);
    }
    cre_http2 *session;
    const cre_http2_config wrong = { .size = sizeof wrong, .on_event = take_event, .extended_connect = 2 };
    CHECK_EQ(cre_http2_create(&wrong, &session), CRE_EINVALID);
}

TEST(a_handshake_as_http1) {
    client *c = client_begin(&enabled);
    c->on_event = keep;
    put_headers(&c->out, 1, 0,
                CONNECT VERSION "origin: https://o\nsec-websocket-protocol: one, two\n"
                                "sec-websocket-extensions: permessage-deflate\ncookie: a=1\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "request 1 GET /chat?r=1");
    CHECK_STR(protocol, "websocket");
    CHECK_STR(head_text, "GET /chat?r=1 HTTP/2.0\r\nhost: a.example\r\nsec-websocket-version: 13\r\n"
                         "origin: https://o\r\nsec-websocket-protocol: one, two\r\n"
                         "sec-websocket-extensions: permessage-deflate\r\ncookie: a=1\r\n\r\n");
    CHECK_EQ(last_head.method, CRE_HTTP_GET);
    CHECK_EQ(last_head.method_length, 3);
    CHECK_EQ(last_head.path_length, 5);
    CHECK_MEM(head_text + last_head.path, "/chat?r=1", 9);
    CHECK_EQ(last_head.flags, CRE_HTTP_2 | CRE_HTTP_KEEP_ALIVE | CRE_HTTP_UPGRADE_WEBSOCKET |
                                  CRE_HTTP_HAS_QUERY | CRE_HTTP_HAS_HOST);
    cre_ws_handshake handshake;
    CHECK_EQ(check_handshake(&handshake), 0);
    CHECK(handshake.has_origin && handshake.has_protocols && handshake.has_extensions);
    CHECK_MEM(head_text + handshake.origin, "https://o", 9);
    /* an ordinary request is no handshake */
    put_headers(&c->out, 3, END_STREAM, GET_FIELDS VERSION);
    CHECK_EQ(exchange(c), 0);
    CHECK_STR(protocol, "");
    CHECK_EQ(check_handshake(&handshake), CRE_EHTTP_HANDSHAKE_UPGRADE);
    client_destroy(c);
}

TEST(checks_of_the_handshake) {
    static const struct {
        const char *fields;
        int error;
    } cases[] = {
        { CONNECT VERSION "sec-websocket-key: ignored\n", 0 },
        { CONNECT VERSION "expect: 100-continue\n", 0 },
        { CONNECT, CRE_EHTTP_HANDSHAKE_VERSION },
        { CONNECT VERSION VERSION, CRE_EHTTP_HANDSHAKE_VERSION },
        { CONNECT VERSION "sec-websocket-protocol: a b\n", CRE_EHTTP_HANDSHAKE_PROTOCOL },
        { CONNECT VERSION "sec-websocket-extensions: ;\n", CRE_EHTTP_HANDSHAKE_EXTENSION },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client *c = client_begin(&enabled);
        cre_ws_handshake handshake;
        c->on_event = keep;
        put_headers(&c->out, 1, 0, cases[i].fields);
        CHECK_EQ(exchange(c), 0);
        CHECK_EVENTS(c, "request 1 GET /chat?r=1");
        CHECK(!(last_head.flags & (CRE_HTTP_EXPECT_CONTINUE | CRE_HTTP_HAS_BODY)));
        CHECK_EQ(check_handshake(&handshake), cases[i].error);
        client_destroy(c);
    }
}

TEST(other_protocols) {
    client *c = client_begin(&enabled);
    c->on_event = keep;
    put_headers(
        &c->out, 1, 0,
        ":protocol: connect-udp\n:path: /masque/h/443/\n:authority: a\n:scheme: https\n:method: CONNECT\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_STR(protocol, "connect-udp");
    CHECK_STR(head_text, "CONNECT /masque/h/443/ HTTP/2.0\r\nhost: a\r\n\r\n");
    CHECK_EQ(last_head.method, CRE_HTTP_CONNECT);
    CHECK_EQ(last_head.path_length, 14);
    CHECK_EQ(last_head.flags, CRE_HTTP_2 | CRE_HTTP_KEEP_ALIVE | CRE_HTTP_HAS_HOST);
    put_headers(&c->out, 3, 0,
                ":protocol: WebSocket\n:path: /\n:authority: a\n:scheme: http\n:method: CONNECT\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_STR(head_text, "GET / HTTP/2.0\r\nhost: a\r\n\r\n"); /* names of protocols have no letter case */
    CHECK(last_head.flags & CRE_HTTP_UPGRADE_WEBSOCKET);
    put_headers(&c->out, 5, 0,
                ":method: CONNECT\n:authority: c.example:443\n"); /* a plain one is as before */
    CHECK_EQ(exchange(c), 0);
    CHECK_STR(protocol, "");
    CHECK_STR(head_text, "CONNECT c.example:443 HTTP/2.0\r\nhost: c.example:443\r\n\r\n");
    CHECK(last_head.flags & CRE_HTTP_AUTHORITY_FORM && last_head.flags & CRE_HTTP_HAS_BODY);
    client_destroy(c);
}

#define LONG_TOKEN "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg"

TEST(invalid_combinations) {
    static const struct {
        unsigned enabled;
        const char *fields, *frames;
    } cases[] = {
        /* malformed (RFC 8441 section 4, RFC 9113 section 8.1.1) */
        { 0, CONNECT, "RST_STREAM 1 code=1|" },
        { 1, ":method: GET\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: /\n",
          "RST_STREAM 1 code=1|" },
        { 1, ":method: CONNECT\n:protocol: websocket\n:authority: a\n:path: /\n", "RST_STREAM 1 code=1|" },
        { 1, ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a\n",
          "RST_STREAM 1 code=1|" },
        { 1, ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /\n", "RST_STREAM 1 code=1|" },
        { 1, ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:path: /\nhost: a\n",
          "RST_STREAM 1 code=1|" },
        { 1, CONNECT ":protocol: websocket\n", "RST_STREAM 1 code=1|" },
        { 1, ":method: CONNECT\n:scheme: https\n:authority: a\n:path: /\nx: y\n:protocol: websocket\n",
          "RST_STREAM 1 code=1|" },
        { 1, ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: *\n",
          "RST_STREAM 1 code=1|" },
        { 1, CONNECT "connection: upgrade\n", "RST_STREAM 1 code=1|" },
        { 1, CONNECT "upgrade: websocket\n", "RST_STREAM 1 code=1|" },
        { 1, ":method: CONNECT\n:protocol:\n:scheme: https\n:authority: a\n:path: /\n",
          "RST_STREAM 1 code=1|" },
        /* refused */
        { 1, ":method: CONNECT\n:protocol: a/b\n:scheme: https\n:authority: a\n:path: /\n",
          "HEADERS 1 :status=400 content-length=0 end|RST_STREAM 1 code=0|" },
        { 1, ":method: CONNECT\n:protocol: " LONG_TOKEN "\n:scheme: https\n:authority: a\n:path: /\n",
          "HEADERS 1 :status=400 content-length=0 end|RST_STREAM 1 code=0|" },
        { 1, ":method: CONNECT\n:protocol: websocket\n:scheme: ftp\n:authority: a\n:path: /\n",
          "HEADERS 1 :status=400 content-length=0 end|RST_STREAM 1 code=0|" },
        { 1, CONNECT "content-length: 0\n",
          "HEADERS 1 :status=400 content-length=0 end|RST_STREAM 1 code=0|" },
        { 1, CONNECT "content-length: 5\n",
          "HEADERS 1 :status=400 content-length=0 end|RST_STREAM 1 code=0|" },
        { 1, CONNECT "host: other\n", "HEADERS 1 :status=400 content-length=0 end|RST_STREAM 1 code=0|" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client *c = client_begin(&(cre_http2_config){ .extended_connect = cases[i].enabled });
        put_headers(&c->out, 1, 0, cases[i].fields);
        CHECK_EQ(exchange(c), 0);
        if (strcmp(c->in.frames.bytes, cases[i].frames) != 0)
            TEST_FAIL("case %zu: %s instead of %s", i, c->in.frames.bytes, cases[i].frames);
        CHECK_EVENTS(c, "");
        CHECK_EQ(stats_of(c).refused, 1);
        CHECK_EQ(stats_of(c).streams, 0);
        client_destroy(c);
    }
    client *c = client_begin(&enabled);
    put_headers(&c->out, 1, END_STREAM, CONNECT VERSION);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "HEADERS 1 :status=400 content-length=0 end|");
    CHECK_EVENTS(c, "");
    client_destroy(c);
}

TEST(input_split_everywhere) {
    static wire input;
    input.length = 0;
    put_preface(&input);
    put_headers(&input, 1, 0, CONNECT VERSION);
    put_frame(&input, DATA, 0, 1, "\x81\x82mask..", 8);
    put_get(&input, 3);
    put_frame(&input, DATA, END_STREAM, 1, "more", 4);
    for (size_t split = 0; split <= input.length + 1; split++) {
        const bool bytewise = split > input.length;
        client *c = client_create(&enabled);
        c->on_event = keep;
        if (bytewise) {
            CHECK_EQ(give(c, input.bytes, input.length, 1), 0);
        } else {
            CHECK_EQ(give(c, input.bytes, split, 1 << 20), 0);
            CHECK_EQ(give(c, input.bytes + split, input.length - split, 1 << 20), 0);
        }
        CHECK_EVENTS(c,
                     "request 1 GET /chat?r=1|data 1 \x81\x82mask..|request 3 GET / final|data 1 more|end 1");
        client_destroy(c);
    }
}

/* ---- tunnels ---- */

static client *open_tunnel(const cre_http2_config *config) {
    client *c = client_begin(config);
    put_headers(&c->out, 1, 0, CONNECT VERSION);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 200, NULL, false), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "HEADERS 1 :status=200|");
    clear(&c->in.frames);
    clear(&c->events);
    return c;
}

TEST(bytes_in_both_directions) {
    client *c = open_tunnel(&enabled);
    CHECK_EQ(send_bytes(c, 1, "hello", 5, false), 0);
    put_frame(&c->out, DATA, 0, 1, "world", 5);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "data 1 world");
    CHECK_FRAMES(c, "DATA 1 'hello'|");
    /* the server ends its side first: the client may still send */
    CHECK_EQ(send_bytes(c, 1, "bye", 3, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "DATA 1 'hello'|DATA 1 'bye' end|");
    put_frame(&c->out, DATA, 0, 1, "late", 4);
    put_frame(&c->out, DATA, END_STREAM, 1, NULL, 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "data 1 worldlate|end 1|closed 1 code=0 complete");
    CHECK_FRAMES(c, "DATA 1 'hello'|DATA 1 'bye' end|");
    client_destroy(c);
    /* the client ends first */
    c = open_tunnel(&enabled);
    put_frame(&c->out, DATA, END_STREAM, 1, "bye", 3);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(send_bytes(c, 1, "bye", 3, true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "data 1 bye|end 1|closed 1 code=0 complete");
    client_destroy(c);
}

TEST(more_bytes_than_the_windows) {
    client *c = open_tunnel(&enabled);
    static char bytes[16384];
    size_t sum = 0;
    for (int i = 0; i < 100; i++) {
        put_frame(&c->out, DATA, 0, 1, bytes, sizeof bytes);
        CHECK_EQ(exchange(c), 0);
        sum += sizeof bytes;
        CHECK_EQ(c->data, sum);
        CHECK_EQ(cre_http2_consume(c->session, 1, sizeof bytes), 0);
        CHECK_EQ(exchange(c), 0);
    }
    CHECK(strstr(c->in.frames.bytes, "WINDOW_UPDATE 1 "));
    client_destroy(c);
}

TEST(a_tunnel_that_the_client_keeps_open) {
    client *c = open_tunnel(&(cre_http2_config){ .extended_connect = 1, .stall_timeout_ms = 1000 });
    cre_http2_expire(c->session, c->now += 100000); /* one in use has no limit */
    cre_http2_expire(c->session, c->now += 100000);
    CHECK_EQ(send_bytes(c, 1, "bye", 3, true), 0);
    CHECK_EQ(exchange(c), 0);
    cre_http2_expire(c->session, c->now += 100000);
    cre_http2_expire(c->session, c->now += 999);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "DATA 1 'bye' end|");
    cre_http2_expire(c->session, c->now += 1);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "DATA 1 'bye' end|RST_STREAM 1 code=8|");
    CHECK_EVENTS(c, "closed 1 code=8 complete");
    client_destroy(c);
}

TEST(refused_by_the_application) {
    client *c = client_begin(&enabled);
    put_headers(&c->out, 1, 0, CONNECT VERSION);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(respond(c, 1, 403, "no", true), 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "HEADERS 1 :status=403|DATA 1 'no' end|RST_STREAM 1 code=0|");
    CHECK_EVENTS(c, "request 1 GET /chat?r=1|closed 1 code=0 complete");
    client_destroy(c);
}

static void check_tunnel_without(const char *trailers) {
    client *c = client_begin(&enabled);
    put_headers(&c->out, 1, 0, CONNECT VERSION);
    CHECK_EQ(exchange(c), 0);
    const cre_http2_response sized = { .status = 200, .has_length = true, .content_length = 1 };
    CHECK_EQ(cre_http2_respond(c->session, 1, &sized, NULL, 0, false), CRE_EINVALID);
    CHECK_EQ(respond(c, 1, 200, NULL, false), 0);
    const cre_http_header trailer = { "a", "b", 1, 1 };
    CHECK_EQ(cre_http2_send_trailers(c->session, 1, &trailer, 1), CRE_EINVALID);
    CHECK_EQ(exchange(c), 0);
    clear(&c->in.frames);
    put_headers(&c->out, 1, END_STREAM, trailers);
    put_get(&c->out, 3); /* the session goes on */
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "RST_STREAM 1 code=1|");
    CHECK_EVENTS(c, "request 1 GET /chat?r=1|request 3 GET / final|closed 1 code=1");
    CHECK_EQ(stats_of(c).resets, 1);
    client_destroy(c);
}

TEST(what_a_tunnel_must_not_have) {
    check_tunnel_without("a: b\n");
    check_tunnel_without("connection: a\n"); /* one error, not two */
    check_tunnel_without(":path: /\n");
}

TEST(trailers_behind_many_tunnels) {
    client *c = client_begin(&(cre_http2_config){ .extended_connect = 1, .reset_burst = 3, .reset_rate = 1 });
    int result = 0;
    for (uint32_t id = 1; id <= 9 && !result; id += 2) {
        put_headers(&c->out, id, 0, CONNECT VERSION);
        put_headers(&c->out, id, END_STREAM, "a: b\n");
        result = exchange(c);
        CHECK_EQ(result, id < 7 ? 0 : CRE_EHTTP2_FLOOD);
    }
    CHECK(strstr(c->in.frames.bytes, "GOAWAY last=7 code=11|"));
    client_destroy(c);
}

/* ---- other ---- */

TEST(settings_that_are_not_acknowledged) {
    client *c = client_create(&(cre_http2_config){ .ack_timeout_ms = 5000 });
    put_preface(&c->out);
    put_get(&c->out, 1);
    CHECK_EQ(exchange(c), 0);
    cre_http2_expire(c->session, c->now += 60000);
    cre_http2_expire(c->session, c->now += 4999);
    CHECK_EQ(exchange(c), 0);
    CHECK(!strstr(c->in.frames.bytes, "GOAWAY"));
    cre_http2_expire(c->session, c->now += 1);
    take_output(c, 16384);
    CHECK(strstr(c->in.frames.bytes, "GOAWAY last=1 code=4|"));
    CHECK_EQ(cre_http2_error(c->session), CRE_EHTTP2);
    CHECK(cre_http2_is_done(c->session));
    client_destroy(c);
    c = client_begin(&(cre_http2_config){ .ack_timeout_ms = 1 });
    cre_http2_expire(c->session, c->now += 60000);
    cre_http2_expire(c->session, c->now += 60000);
    CHECK_EQ(exchange(c), 0);
    CHECK_FRAMES(c, "");
    client_destroy(c);
}

TEST(fields_of_the_answer) {
    static const cre_http_header extra[] = { { "X-A", "b", 3, 1 },
                                             { "Connection", "close", 10, 5 },
                                             { "sec-websocket-accept", "x", 20, 1 } };
    cre_http_header out[3];
    CHECK_EQ(cre_ws_response_fields(out, 3, "chat", "permessage-deflate", extra, 3), 3);
    CHECK_MEM(out[0].name, "sec-websocket-protocol", out[0].name_length);
    CHECK_MEM(out[0].value, "chat", out[0].value_length);
    CHECK_MEM(out[1].name, "sec-websocket-extensions", out[1].name_length);
    CHECK_EQ(out[1].value_length, 18);
    CHECK_MEM(out[2].name, "X-A", out[2].name_length);
    CHECK_EQ(cre_ws_response_fields(out, 2, "chat", "permessage-deflate", extra, 3), CRE_ELIMIT);
    CHECK_EQ(cre_ws_response_fields(out, 0, NULL, NULL, extra + 1, 2), 0);
    CHECK_EQ(cre_ws_response_fields(out, 3, "a b", NULL, NULL, 0), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_ws_response_fields(out, 3, "", NULL, NULL, 0), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_ws_response_fields(out, 3, NULL, "a\nb", NULL, 0), CRE_EHTTP_INVALID_FIELD);
}
#endif

TEST_MAIN()
