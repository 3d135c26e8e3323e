/* Clients of client.h: handshakes, failures and limits, against sockets that the case serves by hand. */
#include "client_record.h"
#include "raw_server.h"
#ifdef CRE_HAVE_TLS
#include "dialer.h"
#endif

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

/* Accepts the handshake; `more` follows the head in the same write. */
static void raw_upgrade(raw_server *raw, net_server *net, const char *before, const char *fields,
                        const void *more, size_t more_length) {
    raw_read_request(raw, net);
    const char *key = strstr(raw->request, "Sec-WebSocket-Key: ");
    REQUIRE(key != NULL);
    char accept[CRE_WS_ACCEPT_LENGTH], head[2048];
    cre_ws_accept((const uint8_t *)key + 19, accept);
    int length = snprintf(head, sizeof head,
                          "%sHTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %.28s\r\n%s\r\n",
                          before, accept, fields);
    memcpy(head + length, more, more_length);
    raw_write(raw, head, (size_t)length + more_length);
}

TEST(the_handshake_request) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    raw_server raw;
    raw_start(&raw);
    record_of it = { 0 };
    cre_http_header field = { "Cookie", "a=b", 6, 3 };
    cre_client_options options = options_for(&it, raw.port, true);
    options.target = "/a?b";
    options.subprotocols = "chat, superchat";
    options.origin = "https://example.com";
    options.fields = &field;
    options.field_count = 1;
    record_start(net, &options);
    /* An interim response, a subprotocol, and a frame behind the head. */
    raw_upgrade(&raw, net, "HTTP/1.1 103 Early Hints\r\n\r\n", "Sec-WebSocket-Protocol: superchat\r\n",
                "\x81\x02hi", 4);
    NET_UNTIL(net, it.messages);
    CHECK_STR((char *)it.data, "hi");
    CHECK_STR(it.subprotocol, "superchat");
    char host[64];
    snprintf(host, sizeof host, "Host: 127.0.0.1:%u\r\n", raw.port);
    CHECK(strstr(raw.request, "GET /a?b HTTP/1.1\r\n") == raw.request);
    CHECK(strstr(raw.request, host) != NULL);
    CHECK(strstr(raw.request, "Cookie: a=b\r\n") != NULL);
    CHECK(strstr(raw.request, "Origin: https://example.com\r\n") != NULL);
    CHECK(strstr(raw.request, "Sec-WebSocket-Protocol: chat, superchat\r\n") != NULL);
    record_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

TEST(a_handshake_that_is_refused) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    raw_server raw;
    raw_start(&raw);
    record_of it = { 0 };
    cre_client_options options = options_for(&it, raw.port, true);
    record_start(net, &options);
    raw_read_request(&raw, net);
    static const char response[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    raw_write(&raw, response, sizeof response - 1);
    shutdown(raw.descriptor, SHUT_WR);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.opened, 0);
    CHECK_EQ(it.ending.error, CRE_EHTTP_HANDSHAKE_STATUS);
    CHECK_EQ(it.ending.status, 403);
    record_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

TEST(responses_that_are_not_valid) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    static const struct {
        const char *fields, *more;
        int error, code;
    } cases[] = {
        { "Sec-WebSocket-Protocol: other\r\n", "", CRE_EHTTP_HANDSHAKE_PROTOCOL, 0 },
        { "Sec-WebSocket-Extensions: x\r\n", "", CRE_EHTTP_HANDSHAKE_EXTENSION, 0 },
        { "", "\x81\x82xxxxxx", CRE_EWS_MASKED, 1002 },
        { "", "\x81\x01\xff", CRE_EWS_UTF8, 1007 },
        { "", "\x82\x7e\xff\xff", CRE_EWS_TOO_BIG, 1009 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        raw_server raw;
        raw_start(&raw);
        record_of it = { 0 };
        cre_client_options options = options_for(&it, raw.port, true);
        options.max_message = 1000;
        record_start(net, &options);
        raw_upgrade(&raw, net, "", cases[i].fields, cases[i].more, strlen(cases[i].more));
        shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.ending.error, cases[i].error);
        CHECK_EQ(it.ending.code, cases[i].code);
        record_stop(&it);
        raw_stop(&raw);
    }
    net_stop(net);
}

/* A limit that is raised for large messages admits more fragments, too. */
/* ---- an invalid frame behind messages that are not answered yet ---- */

static int failing_calls;

static void on_failing(void *context, cre_client *client) {
    (void)context;
    (void)client;
    failing_calls++;
}

static bool raw_receive_more(raw_server *raw, size_t length) {
    ssize_t got = recv(raw->descriptor, raw->request + raw->length, sizeof raw->request - raw->length, 0);
    if (got > 0) raw->length += (size_t)got;
    return raw->length >= length;
}

/* A client that has got "hi" and an invalid frame. */
static void start_failing(net_server *net, raw_server *raw, record_of *it, uint32_t close_timeout_ms) {
    raw_start(raw);
    cre_client_options options = options_for(it, raw->port, true);
    options.failing = on_failing;
    options.close_timeout_ms = close_timeout_ms;
    failing_calls = 0;
    record_start(net, &options);
    raw_upgrade(raw, net, "", "",
                "\x81\x02hi\x83\x01x\x81\x04"
                "late",
                13);
    NET_UNTIL(net, failing_calls);
    raw->length = 0;
}

TEST(answers_before_an_invalid_frame_ends_the_connection) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    raw_server raw;
    record_of it = { 0 };
    start_failing(net, &raw, &it, 60000);
    net_settle(net);
    CHECK_EQ(it.closed, 0);
    CHECK_EQ(it.messages, 1);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "hi", 2), 0);
    cre_client_conclude(it.client);
    CHECK_EQ(cre_client_push(it.client, CRE_WS_FIN | CRE_WS_TEXT, "hi", 2), CRE_ESTATE);
    NET_UNTIL(net, raw_receive_more(&raw, 8 + 6 + 2));
    CHECK_EQ((uint8_t)raw.request[0], CRE_WS_FIN | CRE_WS_TEXT);
    CHECK_EQ((uint8_t)raw.request[1], 0x80 | 2);
    CHECK_EQ((uint8_t)raw.request[8], CRE_WS_FIN | CRE_WS_CLOSE);
    shutdown(raw.descriptor, SHUT_WR);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(failing_calls, 1);
    CHECK_EQ(it.messages, 1);
    CHECK_EQ(it.ending.code, 1002);
    CHECK(it.ending.error < 0);
    record_stop(&it);
    raw_stop(&raw);
    net_stop(net);
}

/* Who does not conclude is ended by time, by a close, or by the end of the input. */
TEST(an_invalid_frame_ends_the_connection_in_any_case) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    for (int end = 0; end < 3; end++) {
        raw_server raw;
        record_of it = { 0 };
        start_failing(net, &raw, &it, end == 0 ? 1 : 60000);
        if (end == 1) CHECK_EQ(cre_client_close(it.client, 4000, NULL, 0), 0);
        if (end != 1) net_settle(net);
        shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.ending.code, 1002);
        CHECK(it.ending.error < 0);
        record_stop(&it);
        raw_stop(&raw);
    }
    net_stop(net);
}

TEST(messages_of_many_fragments) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    static uint8_t frames[3 * 20000];
    for (size_t i = 0; i < sizeof frames; i += 3) {
        frames[i] =
            (uint8_t)((i ? CRE_WS_CONTINUATION : CRE_WS_BINARY) | (i + 3 == sizeof frames ? CRE_WS_FIN : 0));
        frames[i + 1] = 1;
    }
    for (int raised = 0; raised < 2; raised++) {
        raw_server raw;
        raw_start(&raw);
        record_of it = { 0 };
        cre_client_options options = options_for(&it, raw.port, true);
        options.max_message = raised ? 2 << 20 : 0;
        record_start(net, &options);
        raw_upgrade(&raw, net, "", "", "", 0);
        raw_write(&raw, frames, sizeof frames);
        shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.messages, raised);
        CHECK_EQ(it.ending.error, raised ? CRE_EGONE : CRE_EWS_FRAGMENTS);
        if (raised) CHECK_EQ(it.length, 20000);
        record_stop(&it);
        raw_stop(&raw);
    }
    net_stop(net);
}

TEST(ends_without_a_closing_handshake) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    for (int upgraded = 0; upgraded < 2; upgraded++) {
        raw_server raw;
        raw_start(&raw);
        record_of it = { 0 };
        cre_client_options options = options_for(&it, raw.port, true);
        record_start(net, &options);
        if (upgraded)
            raw_upgrade(&raw, net, "", "", "", 0);
        else
            raw_read_request(&raw, net);
        NET_UNTIL(net, it.opened == upgraded);
        shutdown(raw.descriptor, SHUT_WR);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.ending.error, CRE_EGONE);
        CHECK_EQ(it.ending.code, upgraded ? 1006 : 0);
        CHECK_EQ(it.ending.opened, upgraded);
        record_stop(&it);
        raw_stop(&raw);
    }
    net_stop(net);
}

TEST(time_limits) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    for (int what = 0; what < 3; what++) {
        raw_server raw;
        raw_start(&raw);
        record_of it = { 0 };
        cre_client_options options = options_for(&it, raw.port, true);
        if (what == 0) options.timeout_ms = 1;
        options.close_timeout_ms = 1;
        options.ping_interval_ms = options.ping_timeout_ms = what == 2;
        record_start(net, &options);
        if (what) {
            raw_upgrade(&raw, net, "", "", "", 0);
            NET_UNTIL(net, it.opened);
        }
        if (what == 1) CHECK_EQ(cre_client_close(it.client, 1000, NULL, 0), 0);
        NET_UNTIL(net, it.closed);
        CHECK_EQ(it.ending.error, -ETIMEDOUT);
        CHECK_EQ(it.ending.code, what ? 1006 : 0);
        record_stop(&it);
        raw_stop(&raw);
    }
    net_stop(net);
}

/* Pings go to silent servers only, and any answer will do. */
TEST(heartbeat) {
    net_server *net = net_start((cre_engine_config){ 0 }, echo);
    record_of it = { 0 };
    cre_client_options options = options_for(&it, net->port, true);
    options.ping_interval_ms = 1;
    record_start(net, &options);
    NET_UNTIL(net, it.messages >= 2);
    CHECK_EQ(it.opcode, CRE_WS_PONG);
    CHECK_EQ(it.closed, 0);
    record_stop(&it);
    net_stop(net);
}

TEST(options_that_are_not_valid) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_clients *clients;
    cre_client *client;
    record_of it = { 0 };
    REQUIRE(cre_clients_create(net->loop, &clients) == 0);
    cre_client_options good = options_for(&it, 80, true), options = good;
    options.size = 0;
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_ECONFIG_SIZE);
    options = good;
    options.host = NULL;
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_EINVALID);
    options = good;
    options.closed = NULL;
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_EINVALID);
    options = good;
    options.port = 0;
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_EINVALID);
    options = good;
    options.target = "/a b";
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_EHTTP_INVALID_FIELD);
    cre_ws_deflate_config deflate = { .size = sizeof deflate, .level = 10 };
    options = good;
    options.deflate = &deflate;
#ifdef CRE_HAVE_DEFLATE
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_EINVALID);
#else
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_EUNSUPPORTED);
#endif
    cre_framing_config framing = { .size = sizeof framing, .kind = CRE_FRAMING_LENGTH };
    options = good;
    options.websocket = 0;
    options.framing = &framing;
    CHECK_EQ(cre_client_connect(clients, &options, &client), CRE_EINVALID);
    cre_clients_destroy(clients);
    cre_clients_destroy(NULL);
    CHECK_EQ(it.closed, 0);
    net_stop(net);
}

TEST(nobody_listens) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    raw_server raw;
    raw_start(&raw);
    raw_stop(&raw);
    record_of it = { 0 };
    cre_client_options options = options_for(&it, raw.port, false);
    record_start(net, &options);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, -ECONNREFUSED);
    CHECK(!it.ending.opened);
    record_stop(&it);
    net_stop(net);
}

#ifdef CRE_HAVE_TLS
TEST(a_certificate_that_is_not_trusted) {
    net_server *net = tls_start((cre_engine_config){ 0 }, (cre_tls_config){ 0 });
    tls_of_case = trusting(&authority);
    record_of it = { 0 };
    cre_client_options options = options_for(&it, net->port, true);
    options.tls_name = NULL; /* the address, which is not in the certificate */
    record_start(net, &options);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, CRE_ETLS);
    CHECK_STR(it.text, "IP address mismatch");
    record_stop(&it);
    options.tls_name = ".example";
    record_start(net, &options);
    NET_UNTIL(net, it.closed);
    CHECK_EQ(it.ending.error, CRE_EINVALID);
    record_stop(&it);
    cre_tls_client_release(tls_of_case);
    tls_of_case = NULL;
    tls_stop(net);
}
#endif

/* ---- memory ---- */

/* A step of a raw server that accepts the handshake and sends two messages. */
static void raw_step(raw_server *raw) {
    if (raw->served || !raw_receive(raw)) return;
    raw->served = true;
    raw_upgrade(raw, NULL, "", "", "\x81\x02hi\x81\x03you", 9);
}

static bool two_messages(void) {
    net_server turned = { 0 };
    if (cre_loop_create(&turned.loop)) return false;
    raw_server raw;
    raw_start(&raw);
    record_of it = { .pause_each = true };
    cre_client_options options = options_for(&it, raw.port, true);
    cre_ws_deflate_config deflate = { .size = sizeof deflate };
    options.subprotocols = "a";
#ifdef CRE_HAVE_DEFLATE
    options.deflate = &deflate;
#endif
    bool started = cre_clients_create(turned.loop, &it.clients) == 0 &&
                   cre_client_connect(it.clients, &options, &it.client) == 0;
    for (int waits = 0; started && waits < NET_WAITS && !it.closed && it.messages < 2; waits++) {
        net_rest(&turned, raw.listener);
        raw_step(&raw);
        if (it.messages && it.client) cre_client_resume(it.client);
    }
    bool done = it.messages == 2;
    if (started && !done) CHECK_EQ(it.ending.error, CRE_ENOMEM);
    record_stop(&it);
    raw_stop(&raw);
    cre_loop_destroy(turned.loop);
    return done;
}

TEST(without_memory) {
    test_fail_each_allocation(two_messages);
}

TEST_MAIN()
