/* HTTP/2 of clients: requests and WebSockets that one connection carries. */
#include <creactor/http_client.h>

#include "test.h"

#ifndef CRE_HAVE_HTTP2
#include "http_record.h"
TEST(unsupported) {
    net_server *net = start();
    http_record it = { 0 };
    cre_http_client_options options = http_options(&it, net->port);
    options.http2 = CRE_HTTP_CLIENT_HTTP2_ONLY;
    REQUIRE(cre_clients_create(net->loop, &it.clients) == 0);
    CHECK_EQ(cre_http_client_connect(it.clients, &options, &it.client), CRE_EUNSUPPORTED);
    http_stop(&it);
    net_stop(net);
}
#else
#include "http_record.h"
/* behind them: its types have common names */
#include "http2_wire.h"

enum { REQUESTS = 20 };

/* A connection, and the requests that it carries. */
typedef struct carrier {
    net_server *net;
    http_record own, requests[REQUESTS];
    int changed;
} carrier;

static void changed(void *context, cre_http_client *client) {
    carrier *it = (carrier *)((char *)context - offsetof(carrier, own));
    (void)client;
    it->changed++;
}

static void carrier_begin(carrier *it, net_server *net, uint16_t port) {
    memset(it, 0, sizeof *it);
    it->net = net;
    cre_http_client_options options = http_options(&it->own, port);
    options.http2 = CRE_HTTP_CLIENT_HTTP2_ONLY;
    options.changed = changed;
    options.max_streams = REQUESTS;
    http_start(&it->own, net, &options);
}

static cre_http_client_carrier state_of(const carrier *it) {
    cre_http_client_carrier state = { 0 };
    if (it->own.client) cre_http_client_get_carrier(it->own.client, &state, sizeof state);
    return state;
}

static void carrier_open(carrier *it, net_server *net) {
    carrier_begin(it, net, net->port);
    NET_UNTIL(net, it->own.opened);
    CHECK(state_of(it).http2 && state_of(it).websockets && !state_of(it).leaving);
    CHECK_EQ(state_of(it).room, REQUESTS);
}

static void carrier_stop(carrier *it) {
    cre_clients_destroy(it->own.clients);
    for (int i = 0; i < REQUESTS; i++)
        free(it->requests[i].body);
}

static int begin(carrier *it, int index) {
    http_record *request = &it->requests[index];
    cre_http_client_options options = http_options(request, 0);
    options.carrier = it->own.client;
    options.max_queue = 100000;
    return cre_http_client_connect(it->own.clients, &options, &request->client);
}

static void open_request(carrier *it, int index) {
    REQUIRE(begin(it, index) == 0);
    NET_UNTIL(it->net, it->requests[index].opened);
}

TEST(many_requests_on_one_connection) {
    static carrier it;
    char target[32], expected[32];
    net_server *net = start();
    carrier_open(&it, net);
    const cre_http_request request = { .method = "GET", .target = "/", .host = "a" };
    CHECK_EQ(cre_http_client_send(it.own.client, &request, NULL, 0), CRE_ESTATE);
    for (int i = 0; i < REQUESTS; i++) {
        CHECK_EQ(state_of(&it).room, REQUESTS - i);
        open_request(&it, i);
    }
    CHECK_EQ(begin(&it, 0), CRE_ELIMIT);
    for (int i = 0; i < REQUESTS; i++) {
        snprintf(target, sizeof target, "/%d", i);
        get(&it.requests[i], target);
    }
    for (int i = 0; i < REQUESTS; i++) {
        NET_UNTIL(net, it.requests[i].closed);
        snprintf(expected, sizeof expected, "1/%d", i);
        CHECK_STR((char *)it.requests[i].body, expected);
        CHECK_STR(it.requests[i].field, "y");
        CHECK_EQ(it.requests[i].complete, 1);
        CHECK_EQ(it.requests[i].reusable, 0);
        CHECK_EQ(it.requests[i].ending.error, 0);
    }
    NET_UNTIL(net, state_of(&it).room == REQUESTS);
    CHECK(it.changed > 0);
    CHECK_EQ(net_stats(net).accepted, 1);
    CHECK_EQ(net_stats(net).http2_resets, 0);
    carrier_stop(&it);
    net_stop(net);
}

TEST(bodies_with_back_pressure) {
    enum { PIECE = 60000, PIECES = 50 };
    static uint8_t piece[PIECE];
    static carrier it;
    for (int i = 0; i < PIECE; i++)
        piece[i] = (uint8_t)(i * 7);
    net_server *net = start();
    carrier_open(&it, net);
    open_request(&it, 0);
    open_request(&it, 1);
    http_record *slow = &it.requests[0];
    slow->pause_each = true;
    const cre_http_request request = { .method = "POST", .target = "/", .host = "a", .chunked = true };
    CHECK_EQ(cre_http_client_send(slow->client, &request, NULL, 0), 0);
    int refused = 0;
    for (int i = 0; i < PIECES;) {
        int result = cre_http_client_write(slow->client, piece, PIECE);
        if (result == 0) {
            i++;
            continue;
        }
        CHECK_EQ(result, CRE_EQUEUE_FULL);
        refused++;
        int before = slow->drained;
        cre_http_client_await_drain(slow->client);
        NET_UNTIL(net, slow->drained > before);
    }
    CHECK(refused > 0);
    CHECK_EQ(cre_http_client_end(slow->client), 0);
    NET_UNTIL(net, slow->heads);
    net_settle(net);
    CHECK_EQ(slow->length, 0);
    /* the response that nobody reads does not stop another one */
    get(&it.requests[1], "/other");
    NET_UNTIL(net, it.requests[1].complete);
    CHECK_STR((char *)it.requests[1].body, "1/other");
    while (slow->length < 2 + (size_t)PIECE * PIECES) {
        size_t length = slow->length;
        cre_http_client_resume(slow->client);
        CHECK_EQ(slow->length, length);
        NET_UNTIL(net, slow->length > length);
        CHECK(slow->length - length <= 65535);
        if (slow->length == length) break;
    }
    CHECK_EQ(slow->complete, 0);
    cre_http_client_resume(slow->client);
    NET_UNTIL(net, slow->complete);
    for (int i = 0; i < PIECES; i++)
        CHECK_MEM(slow->body + 2 + (size_t)i * PIECE, piece, PIECE);
    carrier_stop(&it);
    net_stop(net);
}

TEST(cancelled_requests) {
    static carrier it;
    net_server *net = start();
    carrier_open(&it, net);
    for (int i = 0; i < 4; i++)
        open_request(&it, i);
    get(&it.requests[0], "/silence");
    get(&it.requests[1], "/");
    NET_UNTIL(net, it.requests[1].complete);
    cre_http_client_abort(it.requests[0].client);
    NET_UNTIL(net, net_stats(net).http2_resets == 1);
    cre_http_client_abort(it.requests[2].client); /* nothing was sent on it */
    get(&it.requests[3], "/");
    NET_UNTIL(net, it.requests[3].complete);
    NET_UNTIL(net, state_of(&it).room == REQUESTS);
    CHECK_EQ(it.requests[0].closed, 0);
    /* the end of the connection is that of its requests */
    open_request(&it, 4);
    get(&it.requests[4], "/silence");
    cre_http_client_abort(it.own.client);
    it.own.client = NULL;
    NET_UNTIL(net, it.requests[4].closed);
    CHECK_EQ(it.requests[4].ending.error, CRE_EGONE);
    carrier_stop(&it);
    net_stop(net);
}

TEST(limits_of_time) {
    static carrier it;
    net_server *net = start();
    memset(&it, 0, sizeof it);
    it.net = net;
    cre_http_client_options options = http_options(&it.own, net->port);
    options.http2 = CRE_HTTP_CLIENT_HTTP2_ONLY;
    options.idle_timeout_ms = 300;
    http_start(&it.own, net, &options);
    NET_UNTIL(net, it.own.opened);
    http_record *request = &it.requests[0];
    options = http_options(request, 0);
    options.carrier = it.own.client;
    options.read_timeout_ms = 1;
    REQUIRE(cre_http_client_connect(it.own.clients, &options, &request->client) == 0);
    NET_UNTIL(net, request->opened);
    get(request, "/silence");
    NET_UNTIL(net, request->closed);
    CHECK_EQ(request->ending.error, -ETIMEDOUT);
    NET_UNTIL(net, it.own.closed); /* idle, or found dead */
    carrier_stop(&it);
    net_stop(net);
}

/* ---- a server that is served by hand ---- */

static wire out;

static void put_out(raw_server *raw) {
    raw_write(raw, out.bytes, out.length);
    out.length = 0;
}

static void put_goaway(wire *w, uint32_t last) {
    put_frame_head(w, 8, GOAWAY, 0, 0);
    put_u32(w, last);
    put_u32(w, 0);
}

/* The connection to a raw server, which has sent its SETTINGS. */
static void carrier_open_raw(carrier *it, net_server *net, raw_server *raw) {
    raw_start(raw);
    carrier_begin(it, net, raw->port);
    NET_UNTIL(net, raw_receive(raw)); /* the preface has an empty line */
    CHECK_EQ(it->own.opened, 0);
    put_setting(&out, 3, 4);
    put_out(raw);
    NET_UNTIL(net, it->own.opened);
    CHECK_EQ(state_of(it).room, 4);
    CHECK(!state_of(it).websockets);
}

TEST(ends_of_requests) {
    static carrier it;
    raw_server raw;
    net_server *net = start();
    carrier_open_raw(&it, net, &raw);
    for (int i = 0; i < 4; i++) {
        open_request(&it, i);
        get(&it.requests[i], "/");
    }
    CHECK_EQ(begin(&it, 4), CRE_ELIMIT);
    net_settle(net);
    put_reset(&out, 1, CRE_HTTP2_REFUSED_STREAM);
    put_headers(&out, 3, 0, ":status: 200\n");
    put_reset(&out, 3, CRE_HTTP2_INTERNAL_ERROR);
    put_headers(&out, 5, 0, ":status: 200\nx: z\n");
    put_goaway(&out, 5);
    put_out(&raw);
    NET_UNTIL(net, it.requests[3].closed);
    CHECK_EQ(it.requests[0].ending.error, CRE_EHTTP2_REFUSED);
    CHECK_EQ(it.requests[1].ending.error, CRE_EHTTP2_RESET);
    CHECK_EQ(it.requests[1].heads, 1);
    CHECK_EQ(it.requests[3].ending.error, CRE_EHTTP2_REFUSED);
    CHECK(state_of(&it).leaving && state_of(&it).room == 0);
    CHECK_EQ(begin(&it, 4), CRE_ELIMIT);
    CHECK_EQ(it.own.closed, 0);
    put_frame(&out, DATA, 0, 5, "rest", 4);
    put_headers(&out, 5, END_STREAM, "checksum: 1\n");
    put_out(&raw);
    NET_UNTIL(net, it.requests[2].closed);
    CHECK_STR((char *)it.requests[2].body, "rest");
    CHECK_STR(it.requests[2].trailers, "checksum=1;");
    CHECK_EQ(it.requests[2].complete, 1);
    NET_UNTIL(net, it.own.closed);
    CHECK_EQ(it.own.ending.error, 0);
    carrier_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

static int end_of_carrier(const void *data, size_t length, bool closes, int *request_error) {
    static carrier it;
    raw_server raw;
    net_server *net = start();
    carrier_open_raw(&it, net, &raw);
    open_request(&it, 0);
    get(&it.requests[0], "/");
    net_settle(net);
    raw_write(&raw, data, length);
    if (closes) shutdown(raw.descriptor, SHUT_WR);
    NET_UNTIL(net, it.own.closed && it.requests[0].closed);
    int error = it.own.ending.error;
    *request_error = it.requests[0].ending.error;
    carrier_stop(&it);
    raw_stop(&raw);
    net_stop(net);
    return error;
}

TEST(ends_of_connections) {
    int request;
    CHECK_EQ(end_of_carrier("", 0, true, &request), CRE_EGONE);
    CHECK_EQ(request, CRE_EGONE);
    CHECK_EQ(end_of_carrier("\0\0\1\0\0\0\0\0\0x", 10, false, &request), CRE_EHTTP2);
    CHECK_EQ(request, CRE_EHTTP2);
}

TEST(a_server_without_http2) {
    static carrier it;
    raw_server raw;
    net_server *net = start();
    raw_start(&raw);
    carrier_begin(&it, net, raw.port);
    raw_read_request(&raw, net);
    answer(&raw, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    NET_UNTIL(net, it.own.closed);
    CHECK_EQ(it.own.ending.error, CRE_EHTTP2_PREFACE);
    CHECK(!it.own.ending.opened);
    CHECK_EQ(it.own.opened, 0);
    carrier_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

/* ---- WebSockets ---- */

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        CHECK_EQ(cre_engine_push(net->engine, event->session, event->opcode, payload, event->length), 0);
    return 0;
}

static cre_client_options socket_options(record_of *it, carrier *by) {
    cre_client_options options = options_for(it, 80, true);
    options.carrier = by->own.client;
    options.target = "/chat";
    options.subprotocols = "talk, chat";
    return options;
}

TEST(websockets) {
    enum { SOCKETS = 5, LARGE = 300000 };
    static carrier it;
    static uint8_t large[LARGE];
    static const char *const subprotocols[] = { "chat", NULL };
    record_of sockets[SOCKETS] = { 0 };
    cre_port_options port = { .size = sizeof port, .http = true };
    net_server *net =
        net_start((cre_engine_config){ .ports = &port, .port_count = 1, .subprotocols = subprotocols }, echo);
    carrier_open(&it, net);
    for (int i = 0; i < SOCKETS; i++) {
        const cre_client_options options = socket_options(&sockets[i], &it);
        REQUIRE(cre_client_connect(it.own.clients, &options, &sockets[i].client) == 0);
        CHECK_EQ(cre_client_push(sockets[i].client, CRE_WS_FIN | CRE_WS_TEXT, "x", 1), CRE_ESTATE);
    }
    for (int i = 0; i < SOCKETS; i++) {
        NET_UNTIL(net, sockets[i].opened);
        CHECK_STR(sockets[i].subprotocol, "chat");
        CHECK_EQ(cre_client_push(sockets[i].client, CRE_WS_FIN | CRE_WS_TEXT, "hello", 5), 0);
    }
    for (int i = 0; i < SOCKETS; i++) {
        NET_UNTIL(net, sockets[i].messages);
        CHECK_STR((char *)sockets[i].data, "hello");
    }
    /* one that is paused does not stop another one */
    cre_client_pause(sockets[0].client);
    CHECK_EQ(cre_client_push(sockets[0].client, CRE_WS_FIN | CRE_WS_BINARY, large, LARGE), 0);
    net_settle(net);
    CHECK_EQ(cre_client_push(sockets[1].client, CRE_WS_FIN | CRE_WS_TEXT, "two", 3), 0);
    NET_UNTIL(net, sockets[1].messages == 2);
    CHECK_EQ(sockets[0].messages, 1);
    cre_client_resume(sockets[0].client);
    NET_UNTIL(net, sockets[0].messages == 2);
    CHECK_EQ(sockets[0].length, 5 + LARGE);
    /* the ends */
    CHECK_EQ(cre_client_close(sockets[0].client, 4000, "bye", 3), 0);
    NET_UNTIL(net, sockets[0].closed);
    CHECK_EQ(sockets[0].ending.error, 0);
    CHECK_EQ(sockets[0].ending.code, 4000);
    cre_client_abort(sockets[2].client);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 2);
    cre_http_client_abort(it.own.client);
    it.own.client = NULL;
    NET_UNTIL(net, sockets[1].closed);
    CHECK_EQ(sockets[1].ending.error, CRE_EGONE);
    CHECK_EQ(sockets[1].ending.code, 1006);
    CHECK_EQ(net_stats(net).accepted, 1);
    for (int i = 0; i < SOCKETS; i++)
        free(sockets[i].data);
    carrier_stop(&it);
    net_stop(net);
}

TEST(websockets_that_are_refused) {
    static carrier it;
    record_of socket = { 0 };
    raw_server raw;
    net_server *net = start();
    carrier_open_raw(&it, net, &raw);
    cre_client_options options = socket_options(&socket, &it);
    CHECK_EQ(cre_client_connect(it.own.clients, &options, &socket.client), CRE_EHTTP2_CONNECT);
    put_frame_head(&out, 6, SETTINGS, 0, 0);
    put(&out, "\0\10\0\0\0\1", 6);
    put_out(&raw);
    NET_UNTIL(net, state_of(&it).websockets);
    for (int i = 0; i < 3; i++) {
        static const char *const answers[] = { ":status: 403\n",
                                               ":status: 200\nsec-websocket-protocol: other\n",
                                               ":status: 200\nsec-websocket-extensions: x\n" };
        static const int errors[] = { CRE_EHTTP_HANDSHAKE_STATUS, CRE_EHTTP_HANDSHAKE_PROTOCOL,
                                      CRE_EHTTP_HANDSHAKE_EXTENSION };
        socket = (record_of){ 0 };
        REQUIRE(cre_client_connect(it.own.clients, &options, &socket.client) == 0);
        net_settle(net);
        put_headers(&out, 1 + 2 * (uint32_t)i, 0, answers[i]);
        put_out(&raw);
        NET_UNTIL(net, socket.closed);
        CHECK_EQ(socket.ending.error, errors[i]);
        CHECK_EQ(socket.ending.status, i ? 200 : 403);
        CHECK_EQ(socket.opened, 0);
    }
    carrier_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

/* A server that says nothing any more, neither to a handshake nor to pings: the connection is not used again.
 */
TEST(websockets_of_a_dead_connection) {
    for (int is_open = 0; is_open < 2; is_open++) {
        static carrier it;
        record_of socket = { 0 };
        raw_server raw;
        net_server *net = start();
        carrier_open_raw(&it, net, &raw);
        put_setting(&out, 8, 1);
        put_out(&raw);
        NET_UNTIL(net, state_of(&it).websockets);
        cre_client_options options = socket_options(&socket, &it);
        options.subprotocols = NULL;
        options.timeout_ms = is_open ? 0 : 30;
        options.ping_interval_ms = options.ping_timeout_ms = 30;
        REQUIRE(cre_client_connect(it.own.clients, &options, &socket.client) == 0);
        if (is_open) {
            net_settle(net);
            put_headers(&out, 1, 0, ":status: 200\n");
            put_out(&raw);
            NET_UNTIL(net, socket.opened);
        }
        NET_UNTIL(net, socket.closed);
        NET_UNTIL(net, it.own.closed);
        CHECK_EQ(it.own.ending.error, -ETIMEDOUT);
        carrier_stop(&it);
        raw_stop(&raw);
        net_stop(net);
    }
}
#endif

TEST_MAIN()
