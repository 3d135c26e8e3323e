/* Clients of http_client.h, against servers of the library and against sockets that the case serves by hand.
 */
#include "http_record.h"

/* ---- with a server ---- */

CLIENT_BOTH(requests_on_one_connection) {
    net_server *net = start();
    http_record it = { .again_in_complete = true };
    cre_http_client_options options = http_options(&it, net->port);
    http_start(&it, net, &options);
    const cre_http_request early = { .method = "GET", .target = "/", .host = "a" };
    CHECK_EQ(cre_http_client_send(it.client, &early, NULL, 0), CRE_ESTATE);
    NET_UNTIL(net, it.opened);
    get(&it, "/first");
    CHECK_EQ(cre_http_client_send(it.client, &early, NULL, 0), CRE_ESTATE);
    CHECK_EQ(cre_http_client_write(it.client, "x", 1), CRE_ESTATE);
    CHECK_EQ(cre_http_client_end(it.client), CRE_ESTATE);
    NET_UNTIL(net, it.complete == 5);
    CHECK_EQ(it.reusable, 5);
    CHECK_EQ(it.heads, 5);
    CHECK_EQ(it.status, 200);
    CHECK_STR(it.field, "y");
    CHECK_STR((char *)it.body, "1/first1/again1/again1/again1/again");
    CHECK_EQ(net_stats(net).accepted, 1);
    http_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(bodies_of_requests) {
    net_server *net = start();
    http_record it = { 0 };
    http_open(&it, net, net->port);
    cre_http_request request = {
        .method = "PUT", .target = "/a", .host = "a", .has_length = true, .content_length = 5
    };
    CHECK_EQ(cre_http_client_send(it.client, &request, "too long", 8), CRE_EINVALID);
    CHECK_EQ(cre_http_client_send(it.client, &request, "hello", 5), 0);
    NET_UNTIL(net, it.complete == 1);
    CHECK_STR((char *)it.body, "4/ahello");
    CHECK_EQ(cre_http_client_send(it.client, &request, "he", 2), 0);
    CHECK_EQ(cre_http_client_end(it.client), CRE_EINVALID);
    CHECK_EQ(cre_http_client_write(it.client, "llo!", 4), CRE_EINVALID);
    CHECK_EQ(cre_http_client_write(it.client, "llo", 3), 0);
    CHECK_EQ(cre_http_client_end(it.client), 0);
    CHECK_EQ(cre_http_client_end(it.client), CRE_ESTATE);
    NET_UNTIL(net, it.complete == 2);
    CHECK_STR((char *)it.body, "4/ahello4/ahello");
    request = (cre_http_request){ .method = "POST", .target = "/b", .host = "a", .chunked = true };
    CHECK_EQ(cre_http_client_send(it.client, &request, "he", 2), 0);
    CHECK_EQ(cre_http_client_write(it.client, "", 0), 0);
    CHECK_EQ(cre_http_client_write(it.client, "llo", 3), 0);
    CHECK_EQ(cre_http_client_end(it.client), 0);
    NET_UNTIL(net, it.complete == 3);
    CHECK_STR((char *)it.body, "4/ahello4/ahello3/bhello");
    CHECK_EQ(it.reusable, 3);
    http_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(large_bodies_with_back_pressure) {
    net_server *net = start();
    http_record it = { .pause_each = true };
    cre_http_client_options options = http_options(&it, net->port);
    options.max_queue = 100000;
    http_start(&it, net, &options);
    NET_UNTIL(net, it.opened);
    enum { PIECE = 60000, PIECES = 50 };
    static uint8_t piece[PIECE];
    for (int i = 0; i < PIECE; i++)
        piece[i] = (uint8_t)(i * 7);
    const cre_http_request request = { .method = "POST", .target = "/", .host = "a", .chunked = true };
    CHECK_EQ(cre_http_client_send(it.client, &request, NULL, 0), 0);
    int refused = 0;
    for (int i = 0; i < PIECES;) {
        int result = cre_http_client_write(it.client, piece, PIECE);
        if (result == 0) {
            i++;
            continue;
        }
        CHECK_EQ(result, CRE_EQUEUE_FULL);
        refused++;
        int before = it.drained;
        cre_http_client_await_drain(it.client);
        NET_UNTIL(net, it.drained > before);
    }
    CHECK(refused > 0);
    CHECK_EQ(cre_http_client_end(it.client), 0);
    NET_UNTIL(net, it.heads);
    net_settle(net);
    CHECK_EQ(it.length, 0);
    for (size_t length = 0; length < 2 + (size_t)PIECE * PIECES; length = it.length) {
        cre_http_client_resume(it.client);
        CHECK_EQ(it.length, length);
        NET_UNTIL(net, it.length > length);
        size_t now = it.length;
        net_turn(net);
        CHECK_EQ(it.length, now);
        if (it.length == length) break;
    }
    cre_http_client_resume(it.client);
    NET_UNTIL(net, it.complete);
    CHECK_EQ(it.length, 2 + (size_t)PIECE * PIECES);
    for (int i = 0; i < PIECES; i++)
        CHECK_MEM(it.body + 2 + (size_t)i * PIECE, piece, PIECE);
    http_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(a_server_that_closes_an_idle_connection) {
    net_server *net = net_start((cre_engine_config){ .http = true, .idle_timeout_ms = 1 }, serve);
    http_record it = { 0 };
    http_open(&it, net, net->port);
    get(&it, "/");
    NET_UNTIL(net, it.complete);
    CHECK_EQ(it.reusable, 1);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, 0);
    CHECK(it.ending.by_server);
    http_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(limits_of_time) {
    net_server *net = start();
    http_record it = { 0 };
    cre_http_client_options options = http_options(&it, net->port);
    options.idle_timeout_ms = 1;
    http_start(&it, net, &options);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, 0);
    CHECK(!it.ending.by_server);
    http_stop(&it);
    options.idle_timeout_ms = 0;
    options.read_timeout_ms = 1;
    http_start(&it, net, &options);
    NET_UNTIL(net, it.opened);
    get(&it, "/silence");
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, -ETIMEDOUT);
    CHECK_EQ(it.heads, 0);
    http_stop(&it);
    net_stop(net);
}

CLIENT_BOTH(aborts) {
    net_server *net = start();
    http_record it = { .abort_in_head = true };
    http_open(&it, net, net->port);
    get(&it, "/");
    NET_UNTIL(net, it.heads);
    net_settle(net);
    CHECK_EQ(it.length, 0);
    CHECK_EQ(it.closed, 0);
    http_stop(&it);
    cre_http_client_options options = http_options(&it, net->port);
    http_start(&it, net, &options);
    cre_http_client_abort(it.client);
    cre_http_client_abort(NULL);
    net_settle(net);
    CHECK_EQ(it.closed, 0);
    http_stop(&it);
    http_start(&it, net, &options);
    http_stop(&it);
    net_stop(net);
}

TEST(options_and_requests_that_are_refused) {
    net_server *net = start();
    http_record it = { 0 };
    cre_http_client *none;
    REQUIRE(cre_clients_create(net->loop, &it.clients) == 0);
    cre_http_client_options options = http_options(&it, net->port);
    options.size = 0;
    CHECK_EQ(cre_http_client_connect(it.clients, &options, &none), CRE_ECONFIG_SIZE);
    for (int i = 0; i < 5; i++) {
        options = http_options(&it, net->port);
        if (i == 0) options.host = NULL;
        if (i == 1) options.head = NULL;
        if (i == 2) options.complete = NULL;
        if (i == 3) options.closed = NULL;
        if (i == 4) options.port = 65536;
        CHECK_EQ(cre_http_client_connect(it.clients, &options, &none), CRE_EINVALID);
    }
    options = http_options(&it, net->port);
    options.tunnel = "a b:1";
    CHECK_EQ(cre_http_client_connect(it.clients, &options, &none), CRE_EHTTP_INVALID_FIELD);
    cre_clients_destroy(it.clients);
    http_open(&it, net, net->port);
    static char large[65536];
    memset(large, 'a', sizeof large - 1);
    const cre_http_header bad = { "a\r\nb", "c", 4, 1 }, huge = { "a", large, 1, sizeof large - 1 };
    cre_http_request request = { .method = "CONNECT", .target = "/", .host = "a" };
    CHECK_EQ(cre_http_client_send(it.client, &request, NULL, 0), CRE_EUNSUPPORTED);
    request.method = "GE T";
    CHECK_EQ(cre_http_client_send(it.client, &request, NULL, 0), CRE_EHTTP_INVALID_FIELD);
    request.method = "GET";
    request.fields = &bad;
    request.field_count = 1;
    CHECK_EQ(cre_http_client_send(it.client, &request, NULL, 0), CRE_EHTTP_INVALID_FIELD);
    request.fields = &huge;
    CHECK_EQ(cre_http_client_send(it.client, &request, NULL, 0), CRE_ELIMIT);
    get(&it, "/ok");
    NET_UNTIL(net, it.complete);
    CHECK_STR((char *)it.body, "1/ok");
    http_stop(&it);
    net_stop(net);
}

/* ---- with a raw server ---- */

/* A client that has sent GET / to a raw server, which has read it. */
static net_server *raw_get(http_record *it, raw_server *raw) {
    net_server *net = open_to_raw(it, raw);
    get(it, "/");
    raw_read_request(raw, net);
    return net;
}

TEST(the_request) {
    raw_server raw;
    http_record it;
    net_server *net = open_to_raw(&it, &raw);
    const cre_http_header field = { "Accept", "text/plain", 6, 10 };
    const cre_http_request request = { .method = "POST",
                                       .target = "/a?b",
                                       .host = "example.com",
                                       .chunked = true,
                                       .fields = &field,
                                       .field_count = 1 };
    CHECK_EQ(cre_http_client_send(it.client, &request, "hello", 5), 0);
    CHECK_EQ(cre_http_client_write(it.client, "0123456789abcdef", 16), 0);
    CHECK_EQ(cre_http_client_end(it.client), 0);
    NET_UNTIL(net, raw_receive(&raw) && strstr(raw.request, "\r\n0\r\n\r\n"));
    CHECK_STR(raw.request,
              "POST /a?b HTTP/1.1\r\nHost: example.com\r\nAccept: text/plain\r\n"
              "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
    answer(&raw, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end");
    NET_UNTIL(net, it.length == 13);
    CHECK_EQ(it.complete, 0);
    CHECK_EQ(it.interim, 1);
    shutdown(raw.descriptor, SHUT_WR);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.complete, 1);
    CHECK_EQ(it.reusable, 0);
    CHECK_EQ(it.ending.error, 0);
    stop_all(&it, &raw, net);
}

TEST(trailers) {
    raw_server raw;
    http_record it;
    net_server *net = open_to_raw(&it, &raw);
    cre_http_request request = { .method = "PUT", .target = "/", .host = "a", .chunked = true };
    CHECK_EQ(cre_http_client_send(it.client, &request, "hello", 5), 0);
    const cre_http_header good[] = { { "Digest", "sha=x", 6, 5 }, { "A", "", 1, 0 } };
    static char large[CRE_HTTP_CHUNKED_OVERHEAD];
    memset(large, 'a', sizeof large);
    const cre_http_header bad[] = { { "Content-Length", "5", 14, 1 },
                                    { "host", "b", 4, 1 },
                                    { "Trailer", "b", 7, 1 },
                                    { "transfer-encoding", "b", 17, 1 },
                                    { "Connection", "b", 10, 1 },
                                    { "A", "b\r\nC: d", 1, 7 },
                                    { "", "b", 0, 1 } },
                          huge = { "A", large, 1, sizeof large };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(cre_http_client_end_with(it.client, &bad[i], 1), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_http_client_end_with(it.client, &huge, 1), CRE_ELIMIT);
    CHECK_EQ(cre_http_client_end_with(it.client, good, 2), 0);
    CHECK_EQ(cre_http_client_end_with(it.client, good, 2), CRE_ESTATE);
    NET_UNTIL(net, ((void)raw_receive(&raw), strstr(raw.request, "A: \r\n\r\n")));
    CHECK(strstr(raw.request, "\r\n\r\n5\r\nhello\r\n0\r\nDigest: sha=x\r\nA: \r\n\r\n"));
    answer(&raw, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nB: c\r\nD: e\r\n\r\n");
    NET_UNTIL(net, it.complete);
    CHECK_STR((char *)it.body, "ok");
    CHECK_STR(it.trailers, "B=c;D=e;");
    CHECK_EQ(it.reusable, 1);
    request = (cre_http_request){
        .method = "PUT", .target = "/", .host = "a", .has_length = true, .content_length = 5
    };
    CHECK_EQ(cre_http_client_send(it.client, &request, NULL, 0), 0);
    CHECK_EQ(cre_http_client_end_with(it.client, good, 2), CRE_EINVALID);
    stop_all(&it, &raw, net);
}

TEST(servers_that_misbehave) {
    static const struct {
        const char *text;
        int error, complete;
        bool close;
    } cases[] = {
        { "", CRE_EGONE, 0, true },
        { "HTTP/1.1 200 OK\r\nConte", CRE_EGONE, 0, true },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", CRE_EGONE, 0, true },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", CRE_EGONE, 0, true },
        { "garbage", CRE_EHTTP_BAD_LINE, 0, false },
        { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", CRE_EHTTP_CONTENT_LENGTH, 0,
          false },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", CRE_EHTTP_CHUNK, 0, false },
        { "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", CRE_EUNSUPPORTED,
          0, false },
        /* The connection is not used again: what follows can be the answer to nothing. */
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", 0, 1, false },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", 0, 1, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        raw_server raw;
        http_record it;
        net_server *net = raw_get(&it, &raw);
        answer(&raw, cases[i].text);
        if (cases[i].close) shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.complete || it.closed);
        if (it.complete) shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.ending.error, cases[i].error);
        CHECK_EQ(it.complete, cases[i].complete);
        CHECK_EQ(it.reusable, 0);
        stop_all(&it, &raw, net);
    }
}

TEST(bytes_on_an_idle_connection) {
    raw_server raw;
    http_record it;
    net_server *net = raw_get(&it, &raw);
    answer(&raw, "HTTP/1.1 204 No Content\r\n\r\n");
    NET_UNTIL(net, it.complete);
    CHECK_EQ(it.reusable, 1);
    answer(&raw, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, CRE_ESTATE);
    CHECK_EQ(it.heads, 1);
    stop_all(&it, &raw, net);
}

/* The server answers and closes before it has read the body. */
static bool received_all(raw_server *raw, size_t *left) {
    static char room[65536];
    ssize_t got = recv(raw->descriptor, room, sizeof room, MSG_DONTWAIT);
    if (got > 0) *left -= (size_t)got;
    return *left == 0;
}

/* The output that `drained` causes while input is read is sent, and the rest after it. */
TEST(a_body_that_begins_in_a_callback) {
    net_server *net = start();
    raw_server raw;
    http_record it = { .unsent = 1000000 };
    raw_start(&raw);
    cre_http_client_options options = http_options(&it, raw.port);
    options.max_queue = 1;
    http_start(&it, net, &options);
    NET_UNTIL(net, it.opened);
    const cre_http_request request = {
        .method = "PUT", .target = "/", .host = "a", .has_length = true, .content_length = 1000000
    };
    CHECK_EQ(cre_http_client_send(it.client, &request, NULL, 0), 0);
    raw_read_request(&raw, net);
    answer(&raw, "HTTP/1.1 100 Continue\r\n\r\n");
    size_t left = 1000000;
    NET_UNTIL(net, received_all(&raw, &left));
    answer(&raw, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    NET_UNTIL(net, it.complete);
    CHECK_EQ(it.reusable, 1);
    http_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

TEST(an_early_answer) {
    raw_server raw;
    http_record it;
    net_server *net = open_to_raw(&it, &raw);
    const cre_http_request request = {
        .method = "POST", .target = "/", .host = "a", .has_length = true, .content_length = 100000000
    };
    static uint8_t piece[1000000];
    CHECK_EQ(cre_http_client_send(it.client, &request, piece, sizeof piece), 0);
    raw_read_request(&raw, net);
    answer(&raw, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    close(raw.descriptor);
    raw.descriptor = -1;
    for (int i = 0; i < 90 && it.client; i++) {
        int result = cre_http_client_write(it.client, piece, sizeof piece);
        CHECK(result == 0 || result == CRE_EQUEUE_FULL || result == CRE_ESTATE);
        net_turn(net);
    }
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.complete, 1);
    CHECK_EQ(it.reusable, 0);
    CHECK_EQ(it.status, 413);
    CHECK_STR((char *)it.body, "no");
    stop_all(&it, &raw, net);
}

TEST_MAIN()
