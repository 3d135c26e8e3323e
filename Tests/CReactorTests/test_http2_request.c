/* HTTP/2: sessions of clients. */
#include <creactor/error.h>
#include <creactor/http2_request.h>

#include "test.h"

#ifndef CRE_HAVE_HTTP2
TEST(unsupported) {
    cre_http2_config config = { .size = sizeof config, .client = 1 };
    cre_http2 *session;
    CHECK_EQ(cre_http2_create(&config, &session), CRE_EUNSUPPORTED);
    uint32_t stream;
    CHECK_EQ(cre_http2_send_request(NULL, &(cre_http2_request){ 0 }, true, NULL, &stream), CRE_EUNSUPPORTED);
    CHECK_EQ(cre_http2_room(NULL), 0);
}
#else
#include "http2_server.h"

static const uint32_t connect_setting[][2] = { { ENABLE_CONNECT, 1 } };

/* ---- requests ---- */

TEST(bytes_of_requests) {
    client *c = asker_create(NULL);
    take_output(c, 16384);
    /* SETTINGS, and a window that is larger than the default */
    CHECK_FRAMES(c, "SETTINGS|WINDOW_UPDATE 0 983041|");
    clear(&c->in.frames);
    const cre_http_header fields[] = {
        { "X-One", "1", 5, 1 },
        { "Connection", "close", 10, 5 },
        { "Host", "b", 4, 1 },
        { "TE", "trailers", 2, 8 },
        { "te", "gzip", 2, 4 },
        { "content-length", "7", 14, 1 },
        { "Cookie", "a=b", 6, 3 },
        { "upgrade", "x", 7, 1 },
        { "Transfer-Encoding", "chunked", 17, 7 },
        { "keep-alive", "1", 10, 1 },
    };
    cre_http2_request request = { .method = "GET",
                                  .scheme = "https",
                                  .authority = "a.example:81",
                                  .path = "/a?b=c",
                                  .fields = fields,
                                  .field_count = sizeof fields / sizeof *fields };
    CHECK_EQ(ask(c, &request, true), 1);
    request = (cre_http2_request){ .method = "PUT",
                                   .scheme = "http",
                                   .authority = "[::1]",
                                   .path = "/",
                                   .has_length = true,
                                   .content_length = 12345 };
    CHECK_EQ(ask(c, &request, false), 3);
    request = (cre_http2_request){ .method = "OPTIONS", .scheme = "http", .authority = "a", .path = "*" };
    CHECK_EQ(ask(c, &request, true), 5);
    take_output(c, 16384);
    CHECK_FRAMES(c, "HEADERS 1 :method=GET :scheme=https :authority=a.example:81 :path=/a?b=c x-one=1"
                    " te=trailers cookie=a=b end|"
                    "HEADERS 3 :method=PUT :scheme=http :authority=[::1] :path=/ content-length=12345|"
                    "HEADERS 5 :method=OPTIONS :scheme=http :authority=a :path=* end|");
    CHECK_EQ(stats_of(c).requests, 3);
    CHECK_EQ(stats_of(c).streams, 3);
    client_destroy(c);
}

TEST(requests_that_are_refused) {
    static const struct {
        const char *method, *scheme, *authority, *path;
        int result;
    } cases[] = {
        { "GET", "https", "a", "", CRE_EINVALID },       { "GET", "https", "a", "/ b", CRE_EINVALID },
        { "GET", "https", "a", "b", CRE_EINVALID },      { "GET", "https", "a", "*", CRE_EINVALID },
        { "", "https", "a", "/", CRE_EINVALID },         { "G T", "https", "a", "/", CRE_EINVALID },
        { "GET", "ftp", "a", "/", CRE_EINVALID },        { "GET", "https", "a b", "/", CRE_EINVALID },
        { "GET", "https", "", "/", CRE_EINVALID },       { "CONNECT", "https", "a", "/", CRE_EUNSUPPORTED },
        { "OPTIONS", "https", "a", "*x", CRE_EINVALID },
    };
    client *c = asker_begin(NULL, NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cre_http2_request request = { .method = cases[i].method,
                                            .scheme = cases[i].scheme,
                                            .authority = cases[i].authority,
                                            .path = cases[i].path };
        CHECK_EQ(ask(c, &request, true), cases[i].result);
    }
    cre_http2_request request = get_request();
    static char large[70000];
    memset(large, 'x', sizeof large);
    cre_http_header field = { "a b", "", 3, 0 };
    request.fields = &field, request.field_count = 1;
    CHECK_EQ(ask(c, &request, true), CRE_EHTTP_INVALID_FIELD);
    field = (cre_http_header){ "a", large, 1, sizeof large };
    CHECK_EQ(ask(c, &request, true), CRE_EHTTP_HEAD_TOO_LARGE);
    CHECK_EQ(stats_of(c).streams, 0);
    take_output(c, 16384);
    CHECK_FRAMES(c, "");
    client_destroy(c);
    c = client_begin(NULL); /* that of a server */
    CHECK_EQ(get(c), CRE_ESTATE);
    CHECK_EQ(cre_http2_room(c->session), 0);
    client_destroy(c);
}

TEST(bodies_of_requests) {
    static char bytes[100000];
    const cre_http_header trailer = { "Checksum", "1", 8, 1 };
    client *c = asker_begin(&(cre_http2_config){ .max_queue = 50000 }, NULL, 0);
    CHECK_EQ(post(c), 1);
    CHECK_EQ(send_bytes(c, 1, "hello", 5, false), 0); /* before the head has left */
    take_output(c, 16384);
    CHECK(strstr(c->in.frames.bytes, "DATA 1 'hello'|"));
    CHECK_EQ(send_bytes(c, 1, bytes, sizeof bytes, false), 0);
    CHECK_EQ(send_bytes(c, 1, bytes, 1, false), CRE_EQUEUE_FULL);
    c->in.data = 0;
    take_output(c, 16384);
    CHECK_EQ(c->in.data, 65535 - 5); /* the windows */
    CHECK_EVENTS(c, "");
    put_window_update(&c->out, 0, 100000);
    put_window_update(&c->out, 1, 100000);
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(c->in.data, sizeof bytes);
    CHECK_EVENTS(c, "writable 1");
    clear(&c->in.frames);
    CHECK_EQ(cre_http2_send_trailers(c->session, 1, &trailer, 1), 0);
    CHECK_EQ(send_bytes(c, 1, "x", 1, true), CRE_ESTATE);
    take_output(c, 16384);
    CHECK_FRAMES(c, "HEADERS 1 checksum=1 end|");
    client_destroy(c);
}

/* ---- responses ---- */

static const char answers[] =
    "peer|response 1 103 link=</a>|response 1 200 content-length=10|data 1 01234"
    "|response 3 404 x=y set-cookie=a=1 set-cookie=b=2 final|closed 3 code=0 complete"
    "|data 1 56789|end 1|closed 1 code=0 complete|response 5 200|data 5 abc|trailers 5 checksum=1|end 5"
    "|closed 5 code=0 complete|response 7 200|data 7 tunnel|closed 9 code=7|end 7|peer";

/* A session that has sent the requests of put_answers. */
static client *asker_with_requests(void) {
    client *c = asker_begin(NULL, connect_setting, 1);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(get(c), 3);
    CHECK_EQ(get(c), 5);
    cre_http2_request request = get_request();
    request.protocol = "websocket";
    CHECK_EQ(ask(c, &request, false), 7);
    CHECK_EQ(get(c), 9);
    take_output(c, 16384);
    CHECK(strstr(c->in.frames.bytes, "HEADERS 7 :method=CONNECT :protocol=websocket :scheme=https"
                                     " :authority=a.example :path=/|"));
    return c;
}

TEST(answers_split_everywhere) {
    static wire input;
    input.length = 0;
    put_answers(&input);
    for (size_t split = 0; split <= input.length; split++) {
        client *c = asker_with_requests();
        CHECK_EQ(give(c, input.bytes, split, 1 << 20), 0);
        CHECK_EQ(give(c, input.bytes + split, input.length - split, 1 << 20), 0);
        CHECK_EVENTS(c, answers);
        client_destroy(c);
    }
    client *c = asker_with_requests();
    CHECK_EQ(give(c, input.bytes, input.length, 1), 0);
    CHECK_EVENTS(c, answers);
    CHECK(peer_of(c).leaving && peer_of(c).settled);
    CHECK_EQ(cre_http2_room(c->session), 0);
    CHECK_EQ(get(c), CRE_EGONE);
    /* the tunnel is open still */
    CHECK(!cre_http2_is_done(c->session));
    CHECK_EQ(send_bytes(c, 7, "bye", 3, true), 0);
    take_output(c, 16384);
    CHECK(strstr(c->in.frames.bytes, "DATA 7 'bye' end|"));
    CHECK(strstr(c->events.bytes, "|closed 7 code=0 complete"));
    CHECK(cre_http2_is_done(c->session));
    client_destroy(c);
}

static char head_text[512];

static void keep_head(client *c, const cre_http2_event *event) {
    (void)c;
    if (event->kind != CRE_HTTP2_RESPONSE) return;
    const cre_http_head *head = event->head;
    REQUIRE(head->head_length < sizeof head_text && head->minor == 0);
    memcpy(head_text, event->head_bytes, head->head_length);
    head_text[head->head_length] = 0;
    CHECK_EQ(head->target_length, 0); /* there is no phrase */
    CHECK(!!(head->flags & CRE_HTTP_HAS_BODY) == (!event->final && head->status >= 200));
}

TEST(head_as_http1) {
    client *c = asker_begin(NULL, NULL, 0);
    c->on_event = keep_head;
    CHECK_EQ(get(c), 1);
    take_output(c, 16384);
    put_headers(&c->out, 1, 0, ":status: 206\ncontent-length: 3\nx: \n");
    CHECK_EQ(exchange(c), 0);
    CHECK_STR(head_text, "HTTP/2.0 206 \r\ncontent-length: 3\r\nx: \r\n\r\n");
    CHECK_EQ(get(c), 3);
    take_output(c, 16384);
    put_headers(&c->out, 3, END_STREAM, ":status: 204\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_STR(head_text, "HTTP/2.0 204 \r\n\r\n");
    client_destroy(c);
}

/* The window of a stream opens by what is consumed; that of the connection does not wait for it. */
TEST(flow_control_by_the_reader) {
    static const uint8_t bytes[16000];
    client *c = asker_begin(&(cre_http2_config){ .connection_window = 65535 }, NULL, 0);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(get(c), 3);
    take_output(c, 16384);
    put_headers(&c->out, 1, 0, ":status: 200\n");
    put_headers(&c->out, 3, 0, ":status: 200\n");
    CHECK_EQ(exchange(c), 0);
    clear(&c->in.frames);
    for (int i = 0; i < 4; i++)
        put_frame(&c->out, DATA, 0, 1, bytes, sizeof bytes);
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->in.frames.bytes, "WINDOW_UPDATE 0 ") && !strstr(c->in.frames.bytes, "WINDOW_UPDATE 1"));
    /* another stream is not stopped by it */
    for (int i = 0; i < 4; i++) {
        put_frame(&c->out, DATA, 0, 3, bytes, sizeof bytes);
        CHECK_EQ(exchange(c), 0);
    }
    CHECK_EQ(cre_http2_error(c->session), 0);
    clear(&c->in.frames);
    CHECK_EQ(cre_http2_consume(c->session, 1, 64001), CRE_EINVALID);
    CHECK_EQ(cre_http2_consume(c->session, 1, 64000), 0);
    take_output(c, 16384);
    CHECK_FRAMES(c, "WINDOW_UPDATE 1 64000|");
    /* more than the window */
    put_frame(&c->out, DATA, 0, 3, bytes, 1536);
    exchange(c);
    CHECK(strstr(c->events.bytes, "closed 3 code=3"));
    client_destroy(c);
}

TEST(window_of_the_connection_after_a_reset) {
    static const uint8_t bytes[16000];
    client *c = asker_begin(&(cre_http2_config){ .connection_window = 65535 }, NULL, 0);
    for (uint32_t stream = 1; stream < 41; stream += 2) {
        CHECK_EQ(get(c), stream);
        take_output(c, 16384);
        put_headers(&c->out, stream, 0, ":status: 200\n");
        put_frame(&c->out, DATA, 0, stream, bytes, sizeof bytes);
        CHECK_EQ(exchange(c), 0);
        CHECK_EQ(cre_http2_reset(c->session, stream, CRE_HTTP2_CANCEL), 0);
        take_output(c, 16384);
        put_frame(&c->out, DATA, 0, stream, bytes, sizeof bytes); /* it was on its way */
        CHECK_EQ(exchange(c), 0);
    }
    CHECK_EQ(stats_of(c).streams, 0);
    client_destroy(c);
}

/* ---- how requests end ---- */

TEST(ends_of_requests) {
    client *c = asker_begin(NULL, NULL, 0);
    for (int64_t stream = 1; stream <= 13; stream += 2)
        CHECK_EQ(get(c), stream);
    take_output(c, 16384);
    put_headers(&c->out, 1, 0, ":status: 200\n");
    put_reset(&c->out, 1, CRE_HTTP2_INTERNAL_ERROR);
    put_reset(&c->out, 3, CRE_HTTP2_REFUSED_STREAM);
    put_headers(&c->out, 5, END_STREAM, ":status: 200\n");
    put_headers(&c->out, 7, 0, ":status: 200\ncontent-length: 2\n");
    put_frame(&c->out, DATA, END_STREAM, 7, "x", 1);
    put_headers(&c->out, 9, END_STREAM, "x: y\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(
        c,
        "response 1 200|closed 1 code=2|closed 3 code=7|response 5 200 final"
        "|closed 5 code=0 complete|response 7 200 content-length=2|data 7 x|closed 7 code=1|closed 9 code=1");
    clear(&c->events);
    put_goaway(&c->out, 11, 0);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "peer|closed 13 code=7");
    CHECK(!cre_http2_is_done(c->session));
    put_headers(&c->out, 11, END_STREAM, ":status: 200\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "peer|closed 13 code=7|response 11 200 final|closed 11 code=0 complete");
    CHECK(cre_http2_is_done(c->session));
    CHECK_EQ(cre_http2_error(c->session), 0);
    client_destroy(c);
}

TEST(goaway_before_the_request_has_left) {
    client *c = asker_begin(NULL, NULL, 0);
    CHECK_EQ(post(c), 1);
    CHECK_EQ(send_bytes(c, 1, "x", 1, true), 0);
    CHECK_EQ(get(c), 3);
    put_goaway(&c->out, 0, CRE_HTTP2_NO_ERROR);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "peer|closed 1 code=7|closed 3 code=7");
    CHECK(!strstr(c->in.frames.bytes, "HEADERS"));
    CHECK(cre_http2_is_done(c->session));
    client_destroy(c);
}

TEST(cancelled_requests) {
    client *c = asker_begin(NULL, NULL, 0);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(cre_http2_reset(c->session, 1, CRE_HTTP2_CANCEL), 0); /* nothing has left */
    CHECK_EQ(cre_http2_reset(c->session, 1, CRE_HTTP2_CANCEL), CRE_EGONE);
    take_output(c, 16384);
    CHECK_FRAMES(c, "");
    CHECK_EVENTS(c, "closed 1 code=8");
    CHECK_EQ(post(c), 3);
    take_output(c, 16384);
    CHECK_EQ(cre_http2_reset(c->session, 3, CRE_HTTP2_CANCEL), 0);
    CHECK_EQ(send_bytes(c, 3, "x", 1, true), CRE_EGONE);
    take_output(c, 16384);
    CHECK(strstr(c->in.frames.bytes, "RST_STREAM 3 code=8|"));
    CHECK_EVENTS(c, "closed 1 code=8|closed 3 code=8");
    /* answers to it are dropped, any number of requests long */
    for (uint32_t stream = 5; stream < 4005; stream += 2) {
        CHECK_EQ(get(c), stream);
        take_output(c, 16384);
        CHECK_EQ(cre_http2_reset(c->session, stream, CRE_HTTP2_CANCEL), 0);
        take_output(c, 16384);
        put_headers(&c->out, stream, 0, ":status: 200\n");
        put_reset(&c->out, stream, CRE_HTTP2_CANCEL);
        REQUIRE(exchange(c) == 0);
        clear(&c->in.frames);
        clear(&c->events);
    }
    client_destroy(c);
}

TEST(response_before_the_end_of_the_request) {
    client *c = asker_begin(NULL, NULL, 0);
    CHECK_EQ(post(c), 1);
    CHECK_EQ(post(c), 3);
    take_output(c, 16384);
    put_headers(&c->out, 1, END_STREAM, ":status: 413\n");
    put_reset(&c->out, 1, CRE_HTTP2_NO_ERROR);
    put_headers(&c->out, 3, END_STREAM, ":status: 200\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "response 1 413 final|closed 1 code=0 complete|response 3 200 final");
    CHECK_EQ(send_bytes(c, 3, "x", 1, true), 0); /* the server may want it */
    take_output(c, 16384);
    CHECK(strstr(c->events.bytes, "|closed 3 code=0 complete"));
    client_destroy(c);
}

/* ---- limits ---- */

TEST(streams_at_the_same_time) {
    static const uint32_t two[][2] = { { MAX_CONCURRENT_STREAMS, 2 } };
    client *c = asker_begin(&(cre_http2_config){ .max_streams = 3 }, two, 1);
    CHECK_EQ(peer_of(c).max_streams, 2);
    CHECK_EQ(cre_http2_room(c->session), 2);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(get(c), 3);
    CHECK_EQ(cre_http2_room(c->session), 0);
    CHECK_EQ(get(c), CRE_ELIMIT);
    put_setting(&c->out, MAX_CONCURRENT_STREAMS, 10);
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "peer");
    CHECK_EQ(cre_http2_room(c->session), 1); /* the own limit */
    put_headers(&c->out, 1, END_STREAM, ":status: 200\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EQ(cre_http2_room(c->session), 2);
    client_destroy(c);
}

TEST(large_heads) {
    static char fields[20000], filler[5000];
    memset(filler, 'x', sizeof filler - 1);
    client *c = asker_begin(&(cre_http2_config){ .max_head = 4096, .max_fields = 5 }, NULL, 0);
    CHECK_EQ(get(c), 1);
    CHECK_EQ(get(c), 3);
    CHECK_EQ(get(c), 5);
    CHECK_EQ(get(c), 7);
    take_output(c, 16384);
    snprintf(fields, sizeof fields, ":status: 200\nx: %s\n", filler);
    put_headers(&c->out, 1, 0, fields);
    put_frame(&c->out, DATA, END_STREAM, 1, "dropped", 7);
    put_headers(&c->out, 3, END_STREAM, ":status: 200\na: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\n");
    put_headers(&c->out, 5, 0, ":status: 200\n");
    snprintf(fields, sizeof fields, "x: %s\n", filler);
    put_headers(&c->out, 5, END_STREAM, fields);
    put_headers(&c->out, 7, END_STREAM, ":status: 200\n");
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->events.bytes, "closed 1 code=8 error=CRE_EHTTP_HEAD_TOO_LARGE"));
    CHECK(strstr(c->events.bytes, "closed 3 code=0 error=CRE_EHTTP_TOO_MANY_FIELDS"));
    CHECK(strstr(c->events.bytes, "closed 5 code=0 error=CRE_EHTTP_HEAD_TOO_LARGE"));
    CHECK(strstr(c->events.bytes, "response 7 200 final"));
    CHECK(!strstr(c->events.bytes, "dropped"));
    client_destroy(c);
}

static int result_of_flood(void (*put_one)(wire *w), int count) {
    client *c = asker_begin(NULL, NULL, 0);
    CHECK_EQ(get(c), 1);
    take_output(c, 16384);
    int result = 0;
    for (int i = 0; i < count && !result; i++) {
        put_one(&c->out);
        result = give(c, c->out.bytes, c->out.length, 1 << 20);
        c->out.length = 0;
        take_output(c, 16384);
        CHECK(stats_of(c).memory < 1 << 20);
        clear(&c->events);
        clear(&c->in.frames);
    }
    CHECK(!result || cre_http2_is_done(c->session));
    client_destroy(c);
    return result;
}

static void put_interim(wire *w) {
    put_headers(w, 1, 0, ":status: 103\nlink: x\n");
}
static void put_one_setting(wire *w) {
    put_setting(w, INITIAL_WINDOW, 70000);
}
static void put_ping(wire *w) {
    put_frame(w, PING, 0, 0, "12345678", 8);
}
static void put_unknown(wire *w) {
    put_frame(w, 0x20, 0, 0, NULL, 0);
}
static void put_late(wire *w) {
    put_reset(w, 1, CRE_HTTP2_CANCEL);
}
static void put_empty(wire *w) {
    if (!w->length) put_headers(w, 1, 0, ":status: 200\n");
    put_frame(w, DATA, 0, 1, NULL, 0);
}

TEST(floods) {
    CHECK_EQ(result_of_flood(put_interim, 350), 0);
    CHECK_EQ(result_of_flood(put_interim, 1000), CRE_EHTTP2_FLOOD);
    CHECK_EQ(result_of_flood(put_one_setting, 1000), CRE_EHTTP2_FLOOD);
    CHECK_EQ(result_of_flood(put_ping, 1000), CRE_EHTTP2_FLOOD);
    CHECK_EQ(result_of_flood(put_unknown, 1000), CRE_EHTTP2_FLOOD);
    CHECK_EQ(result_of_flood(put_late, 1000), CRE_EHTTP2_FLOOD);
    CHECK(result_of_flood(put_empty, 1000) != 0);
}

/* ---- servers that violate the protocol ---- */

static int result_of_input(const void *data, size_t length) {
    client *c = asker_create(NULL);
    (void)get(c);
    take_output(c, 16384);
    int result = give(c, data, length, length);
    take_output(c, 16384);
    CHECK_EQ(cre_http2_error(c->session), result ? result : cre_http2_error(c->session));
    result = cre_http2_error(c->session);
    CHECK(!result || cre_http2_is_done(c->session));
    CHECK(!result || get(c) == CRE_EGONE);
    client_destroy(c);
    return result;
}

TEST(other_protocols) {
    static const char http1[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    static const char ssh[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
    CHECK_EQ(result_of_input(http1, sizeof http1 - 1), CRE_EHTTP2_PREFACE);
    CHECK_EQ(result_of_input(ssh, sizeof ssh - 1), CRE_EHTTP2_PREFACE);
    CHECK_EQ(result_of_input("\0\0\0\4\0\0\0\0\0", 9), 0);
}

static void put_push(wire *w) {
    put_frame_head(w, 4 + 4, PUSH_PROMISE, END_HEADERS, 1);
    put_u32(w, 2);
    put(w, "\x82\x87\x84\x01", 4);
}

TEST(violations) {
    static wire w;
    static const struct {
        const char *name;
        int type, flags;
        uint32_t stream;
        const char *payload;
        size_t length;
    } cases[] = {
        { "data on stream 0", DATA, 0, 0, "x", 1 },
        { "data of an idle stream", DATA, 0, 5, "x", 1 },
        { "headers of an idle stream", HEADERS, END_HEADERS, 5, "\x88", 1 },
        { "a stream of the server", HEADERS, END_HEADERS, 2, "\x88", 1 },
        { "invalid HPACK", HEADERS, END_HEADERS, 1, "\xff\xff\xff\xff", 4 },
        { "reset of an idle stream", RST_STREAM, 0, 7, "\0\0\0\1", 4 },
        { "ping of a wrong size", PING, 0, 0, "x", 1 },
        { "settings that enable pushes", SETTINGS, 0, 0, "\0\2\0\0\0\1", 6 },
        { "window update of 0", WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4 },
        { "continuation without headers", CONTINUATION, END_HEADERS, 1, "\x88", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w.length = 0;
        put_frame(&w, SETTINGS, 0, 0, NULL, 0);
        put_frame(&w, cases[i].type, cases[i].flags, cases[i].stream, cases[i].payload, cases[i].length);
        int result = result_of_input(w.bytes, w.length);
        if (!result) TEST_FAIL("%s was accepted", cases[i].name);
    }
    w.length = 0;
    put_frame(&w, SETTINGS, 0, 0, NULL, 0);
    put_push(&w);
    CHECK_EQ(result_of_input(w.bytes, w.length), CRE_EHTTP2);
}

/* ---- extended CONNECT ---- */

TEST(extended_connect) {
    cre_http2_request request = get_request();
    request.protocol = "websocket";
    client *c = asker_begin(NULL, NULL, 0);
    CHECK(!peer_of(c).extended_connect);
    CHECK_EQ(ask(c, &request, false), CRE_EUNSUPPORTED);
    client_destroy(c);

    c = asker_begin(NULL, connect_setting, 1);
    CHECK(peer_of(c).extended_connect);
    CHECK_EQ(ask(c, &request, true), CRE_EINVALID);
    CHECK_EQ(ask(c, &request, false), 1);
    CHECK_EQ(ask(c, &request, false), 3);
    CHECK_EQ(ask(c, &request, false), 5);
    CHECK_EQ(send_bytes(c, 1, "early", 5, false), 0);
    take_output(c, 16384);
    put_headers(&c->out, 1, 0, ":status: 200\nsec-websocket-protocol: chat\n");
    put_frame(&c->out, DATA, 0, 1, "up", 2);
    put_headers(&c->out, 3, 0, ":status: 403\ncontent-length: 2\n");
    put_frame(&c->out, DATA, END_STREAM, 3, "no", 2);
    put_headers(&c->out, 5, 0, ":status: 200\n");
    put_headers(&c->out, 5, END_STREAM, "x: y\n"); /* a tunnel has no trailers */
    CHECK_EQ(exchange(c), 0);
    CHECK(strstr(c->events.bytes, "response 1 200 sec-websocket-protocol=chat|data 1 up"));
    CHECK(strstr(c->events.bytes, "|response 3 403 content-length=2|data 3 no|end 3|"));
    CHECK(strstr(c->events.bytes, "closed 5 code=1"));
    CHECK(!strstr(c->events.bytes, "trailers"));
    CHECK_EQ(send_bytes(c, 1, "down", 4, true), 0);
    take_output(c, 16384);
    CHECK(strstr(c->in.frames.bytes, "DATA 1 'early'|") && strstr(c->in.frames.bytes, "DATA 1 'down' end|"));
    client_destroy(c);
}

/* ---- the end of the session ---- */

TEST(leaving) {
    client *c = asker_begin(NULL, NULL, 0);
    CHECK_EQ(get(c), 1);
    take_output(c, 16384);
    CHECK_EQ(cre_http2_goaway(c->session, CRE_HTTP2_NO_ERROR), 0);
    CHECK_EQ(get(c), CRE_EGONE);
    CHECK_EQ(cre_http2_room(c->session), 0);
    take_output(c, 16384);
    CHECK(strstr(c->in.frames.bytes, "GOAWAY last=0 code=0|"));
    CHECK(!cre_http2_is_done(c->session));
    put_headers(&c->out, 1, END_STREAM, ":status: 200\n");
    CHECK_EQ(exchange(c), 0);
    CHECK_EVENTS(c, "response 1 200 final|closed 1 code=0 complete");
    CHECK(cre_http2_is_done(c->session));
    client_destroy(c);
}

static bool converse(void) {
    static wire input;
    uint8_t out[4096];
    size_t size;
    static client c;
    memset(&c, 0, offsetof(client, out));
    c.events.length = 0;
    cre_http2_config config = { .size = sizeof config, .on_event = take_event, .context = &c, .client = 1 };
    if (cre_http2_create(&config, &c.session)) return false;
    input.length = 0;
    put_answers(&input);
    cre_http2_request request = get_request();
    const cre_slice part = { (const uint8_t *)"body", 4 };
    bool good = true;
    uint32_t id;
    for (int i = 0; i < 5 && good; i++) {
        if (i == 3) request.has_length = false;
        good = cre_http2_send_request(c.session, &request, i != 2, NULL, &id) == 0;
    }
    if (good) good = cre_http2_send(c.session, 5, &part, 1, true) == 0;
    if (good) good = cre_http2_produce(c.session, out, sizeof out, &size) == 0;
    /* without the tunnel, which the server must have announced before */
    if (good) good = cre_http2_receive(c.session, input.bytes, input.length, 1) == 0;
    if (good) good = cre_http2_produce(c.session, out, sizeof out, &size) == 0;
    cre_http2_destroy(c.session);
    return good;
}

TEST(allocations_fail) {
    test_fail_each_allocation(converse);
}
#endif

TEST_MAIN()
