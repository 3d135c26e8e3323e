/* Clients of http_client.h, against servers of the library and against sockets that the case serves by hand.
 */
#include <creactor/http_client.h>
#include <poll.h>

#include "both.h"
#include "client_record.h"
#include "raw_server.h"
#ifdef CRE_HAVE_TLS
#include "dialer.h"
#endif

/* ---- a client that records what happens to it ---- */

typedef struct http_record {
    cre_clients *clients;
    cre_http_client *client; /* NULL after `closed` */
    int opened, heads, interim, complete, reusable, drained, closed;
    unsigned status;
    char field[64]; /* the value of "x" */
    uint8_t *body;
    size_t length;
    bool pause_each, abort_in_head, again_in_complete;
    cre_client_ending ending;
    char text[CRE_TLS_MESSAGE + 1];
} http_record;

static void get(http_record *it, const char *target) {
    const cre_http_request request = { .method = "GET", .target = target, .host = "a" };
    CHECK_EQ(cre_http_client_send(it->client, &request, NULL, 0), 0);
}

static void http_opened(void *context, cre_http_client *client) {
    http_record *it = context;
    CHECK(client == it->client);
    it->opened++;
}

static void http_head(void *context, cre_http_client *client, const cre_http_client_head *head) {
    http_record *it = context;
    it->status = head->head->status;
    if (it->status < 200) {
        it->interim++;
        return;
    }
    it->heads++;
    const cre_http_field *field = cre_http_find(head->head, head->fields, head->bytes, "x", 1);
    if (field) snprintf(it->field, sizeof it->field, "%.*s", field->value_length, head->bytes + field->value);
    if (it->abort_in_head) {
        cre_http_client_abort(client);
        it->client = NULL;
    } else if (it->pause_each) {
        cre_http_client_pause(client);
    }
}

static void http_body(void *context, cre_http_client *client, uint8_t *data, size_t length) {
    http_record *it = context;
    CHECK(length > 0);
    it->body = realloc(it->body, it->length + length + 1);
    REQUIRE(it->body != NULL);
    memcpy(it->body + it->length, data, length);
    it->length += length;
    it->body[it->length] = 0;
    if (it->pause_each) cre_http_client_pause(client);
}

static void http_complete(void *context, cre_http_client *client, bool reusable) {
    http_record *it = context;
    it->complete++;
    it->reusable += reusable;
    if (!reusable) {
        const cre_http_request request = { .method = "GET", .target = "/", .host = "a" };
        CHECK_EQ(cre_http_client_send(client, &request, NULL, 0), CRE_ESTATE);
    } else if (it->again_in_complete && it->complete < 5) {
        get(it, "/again");
    }
}

static void http_drained(void *context, cre_http_client *client) {
    CHECK_EQ(cre_http_client_queued(client), 0);
    ((http_record *)context)->drained++;
}

static void http_closed(void *context, cre_http_client *client, const cre_client_ending *ending) {
    http_record *it = context;
    CHECK(client == it->client);
    it->client = NULL;
    it->closed++;
    it->ending = *ending;
    snprintf(it->text, sizeof it->text, "%.*s", (int)ending->text_length, ending->text);
}

static cre_http_client_options http_options(http_record *it, uint16_t port) {
    return (cre_http_client_options){ .size = sizeof(cre_http_client_options),
                                      .host = "127.0.0.1",
                                      .port = port,
                                      .tls = tls_of_case,
                                      .tls_name = "localhost",
                                      .context = it,
                                      .opened = http_opened,
                                      .head = http_head,
                                      .body = http_body,
                                      .complete = http_complete,
                                      .drained = http_drained,
                                      .closed = http_closed };
}

static void http_start(http_record *it, net_server *net, const cre_http_client_options *options) {
    REQUIRE(cre_clients_create(net->loop, &it->clients) == 0);
    REQUIRE(cre_http_client_connect(it->clients, options, &it->client) == 0);
}

static void http_open(http_record *it, net_server *net, uint16_t port) {
    cre_http_client_options options = http_options(it, port);
    http_start(it, net, &options);
    NET_UNTIL(net, it->opened);
}

static void http_stop(http_record *it) {
    cre_clients_destroy(it->clients);
    free(it->body);
    *it = (http_record){ 0 };
}

/* ---- with a server ---- */

/* Answers with the method's number, the path and the body. */
static int serve(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, payload, event->length), 0);
    if (cre_request_is(payload, event->length, "/silence")) return 0;
    size_t path = view.head->path_length, length = path + 1 + view.body_length;
    char *body = malloc(length);
    REQUIRE(body != NULL);
    body[0] = (char)('0' + view.head->method);
    memcpy(body + 1, view.bytes + view.head->path, path);
    if (view.body_length) memcpy(body + 1 + path, view.body, view.body_length);
    CHECK_EQ(cre_engine_respond(net->engine, event->session, 200, "X: y\r\n", body, length), 0);
    free(body);
    return 0;
}

static net_server *start(void) {
    return net_start((cre_engine_config){ .http = true, .max_body = 10000000 }, serve);
}

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
static void raw_get(http_record *it, raw_server *raw, net_server *net) {
    raw_start(raw);
    http_open(it, net, raw->port);
    get(it, "/");
    raw_read_request(raw, net);
}

static void answer(raw_server *raw, const char *text) {
    raw_write(raw, text, strlen(text));
}

TEST(the_request) {
    net_server *net = start();
    raw_server raw;
    http_record it = { 0 };
    raw_start(&raw);
    http_open(&it, net, raw.port);
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
    http_stop(&it);
    raw_stop(&raw);
    net_stop(net);
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
        net_server *net = start();
        raw_server raw;
        http_record it = { 0 };
        raw_get(&it, &raw, net);
        answer(&raw, cases[i].text);
        if (cases[i].close) shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.complete || it.closed);
        if (it.complete) shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.ending.error, cases[i].error);
        CHECK_EQ(it.complete, cases[i].complete);
        CHECK_EQ(it.reusable, 0);
        http_stop(&it);
        raw_stop(&raw);
        net_stop(net);
    }
}

TEST(bytes_on_an_idle_connection) {
    net_server *net = start();
    raw_server raw;
    http_record it = { 0 };
    raw_get(&it, &raw, net);
    answer(&raw, "HTTP/1.1 204 No Content\r\n\r\n");
    NET_UNTIL(net, it.complete);
    CHECK_EQ(it.reusable, 1);
    answer(&raw, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, CRE_ESTATE);
    CHECK_EQ(it.heads, 1);
    http_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

/* The server answers and closes before it has read the body. */
TEST(an_early_answer) {
    net_server *net = start();
    raw_server raw;
    http_record it = { 0 };
    raw_start(&raw);
    http_open(&it, net, raw.port);
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
    http_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

/* ---- through a proxy ---- */

static void tunnel_options(cre_http_client_options *options, http_record *it, raw_server *raw) {
    static const cre_http_header field = { "Proxy-Authorization", "Basic x", 19, 7 };
    *options = http_options(it, raw->port);
    options->tunnel = "localhost:443";
    options->tunnel_fields = &field;
    options->tunnel_field_count = 1;
}

/* Passes on what either side has sent. */
static bool relay(int from, int to) {
    char room[65536];
    ssize_t got = recv(from, room, sizeof room, MSG_DONTWAIT);
    for (ssize_t sent = 0; sent < got;) {
        ssize_t result = send(to, room + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        if (result > 0) sent += result;
    }
    return got > 0;
}

CLIENT_BOTH(a_tunnel) {
    net_server *net = start();
    raw_server raw;
    http_record it = { 0 };
    cre_http_client_options options;
    raw_start(&raw);
    tunnel_options(&options, &it, &raw);
    http_start(&it, net, &options);
    raw_read_request(&raw, net);
    CHECK_STR(raw.request, "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n"
                           "Proxy-Authorization: Basic x\r\n\r\n");
    CHECK_EQ(it.opened, 0);
    answer(&raw, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    const net_layer *layer = net_layer_now;
    net_layer_now = NULL;
    net_client behind = net_connect(net);
    net_layer_now = layer;
    int upstream = behind.descriptor;
#define RELAYED(condition) \
    NET_UNTIL(net, (relay(raw.descriptor, upstream), relay(upstream, raw.descriptor), (condition)))
    RELAYED(it.opened);
    for (int i = 1; i <= 2; i++) {
        get(&it, "/tunnel");
        RELAYED(it.complete == i);
    }
    CHECK_STR((char *)it.body, "1/tunnel1/tunnel");
    http_stop(&it);
    raw_stop(&raw);
    net_close(&behind);
    net_stop(net);
}

TEST(a_proxy_that_refuses) {
    static const struct {
        const char *text;
        int error, status;
        bool close;
    } cases[] = {
        { "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", CRE_EPROXY, 407, false },
        { "HTTP/1.1 200 OK\r\n\r\nearly", CRE_EPROXY, 200, false },
        { "garbage", CRE_EHTTP_BAD_LINE, 0, false },
        { "HTTP/1.1 2", CRE_EGONE, 0, true },
        { "", -ETIMEDOUT, 0, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net_server *net = start();
        raw_server raw;
        http_record it = { 0 };
        cre_http_client_options options;
        raw_start(&raw);
        tunnel_options(&options, &it, &raw);
        if (cases[i].error == -ETIMEDOUT) options.timeout_ms = 300;
        http_start(&it, net, &options);
        raw_read_request(&raw, net);
        answer(&raw, cases[i].text);
        if (cases[i].close) shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.opened, 0);
        CHECK(!it.ending.opened);
        CHECK_EQ(it.ending.error, cases[i].error);
        CHECK_EQ(it.ending.status, cases[i].status);
        http_stop(&it);
        raw_stop(&raw);
        net_stop(net);
    }
}

TEST_MAIN()
