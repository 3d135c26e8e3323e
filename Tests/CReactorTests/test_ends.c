/* Every way in which a connection ends, in one table: the event of its owner, and the view of its peer. */
#include "both.h"
#include "engine/command.h"

/* What the client sees at the end; an end that it makes itself, it does not see. */
typedef enum seen { NOTHING, ORDERLY, RESET } seen;

typedef struct ending {
    const char *name;
    cre_protocol protocol;
    void (*happen)(net_server *net, net_client *client, cre_session session);
    cre_close_reason reason;
    uint16_t code;
    bool error; /* one is reported */
    seen seen;
    const char *says; /* NULL, or the client receives this before the end */
    cre_engine_config config;
} ending;

/* ---- how they end ---- */

static uint8_t large[400000];

static void command(net_server *net, uint8_t kind, cre_session session) {
    CHECK_EQ(cre_engine_command(net->engine, &(cre_record){ .kind = kind, .session = session }, NULL, 0), 0);
}

static void wait_only(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)client, (void)session;
}

static void peer_says_goodbye(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    net_ws_send_close(client, 4000);
}

static void peer_half_closes(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    shutdown(client->descriptor, SHUT_WR);
}

static void peer_aborts(net_server *net, net_client *client, cre_session session) {
    (void)session;
    net_abort(client);
    net_turn(net);
}

static void peer_aborts_unread(net_server *net, net_client *client, cre_session session) {
    cre_engine_push(net->engine, session, CRE_WS_BINARY, large, sizeof large);
    peer_aborts(net, client, session);
}

static void server_closes(net_server *net, net_client *client, cre_session session) {
    CHECK_EQ(cre_engine_close(net->engine, session, 4001, "enough"), 0);
    CHECK_EQ(net_ws_expect_close(client), 4001);
    net_ws_send_close(client, 4001);
}

static void server_closes_in_vain(net_server *net, net_client *client, cre_session session) {
    (void)client;
    CHECK_EQ(cre_engine_close(net->engine, session, 4001, NULL), 0);
}

static void server_closes_stream(net_server *net, net_client *client, cre_session session) {
    (void)client;
    CHECK_EQ(cre_engine_send(net->engine, session, "last", 4), 0);
    CHECK_EQ(cre_engine_close(net->engine, session, 0, NULL), 0);
}

static void server_resets(net_server *net, net_client *client, cre_session session) {
    (void)client;
    command(net, CRE_COMMAND_RESET, session);
}

static void frame_without_mask(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    net_send(client, "\x81\x01x", 3);
}

static void message_too_large(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    net_ws_send(client, CRE_WS_FIN | CRE_WS_BINARY, large, 2000);
}

static void text_that_is_none(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    net_ws_send(client, CRE_WS_FIN | CRE_WS_TEXT, "\xff", 1);
}

static void packet_too_large(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    net_send(client, large, 2000);
}

static int refuse(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)net, (void)payload;
    return event->kind == CRE_EVENT_MESSAGE ? CRE_ELINK_FULL : 0;
}

static void handler_refuses(net_server *net, net_client *client, cre_session session) {
    (void)session;
    net->act = refuse;
    net_ws_text(client, "x");
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_MESSAGE) == 1);
}

/* The peer reads nothing, and commands that come over a link are not dropped. */
static void too_much(net_server *net, cre_session session, uint8_t kind) {
    cre_record record = {
        .kind = kind, .opcode = CRE_WS_BINARY, .flags = CRE_RECORD_FINAL, .session = session
    };
    cre_slice part = { large, sizeof large };
    int result = 0;
    for (int i = 0; i < 1000 && !result; i++) {
        result = cre__command_accepted(net->engine, &record, &part, 1);
        net_turn(net);
    }
    CHECK(result != 0);
}

static void frames_overflow(net_server *net, net_client *client, cre_session session) {
    (void)client;
    too_much(net, session, CRE_COMMAND_PUSH);
}

static void bytes_overflow(net_server *net, net_client *client, cre_session session) {
    (void)client;
    too_much(net, session, CRE_COMMAND_SEND);
}

static void slow_receiver_is_closed(net_server *net, net_client *client, cre_session session) {
    (void)client, (void)session;
    for (int i = 0; i < 1000 && !net_count_events(net, CRE_EVENT_CLOSE); i++) {
        CHECK_EQ(cre_engine_broadcast(net->engine, CRE_WS_BINARY, large, sizeof large, 0), 0);
        net_turn(net);
    }
}

static void no_memory(net_server *net, net_client *client, cre_session session) {
    (void)client;
    atomic_store(&test_fail_at, 1);
    for (int i = 0; i < 100 && atomic_load(&test_fail_at) > 0; i++)
        if (cre_engine_push(net->engine, session, CRE_WS_BINARY, large, 4000) == CRE_ENOT_STREAM) break;
    atomic_store(&test_fail_at, 0);
}

static void shutdown_in_order(net_server *net, net_client *client, cre_session session) {
    (void)session;
    cre_engine_shutdown(net->engine, 600000, NULL, NULL);
    CHECK_EQ(net_ws_expect_close(client), 1001);
    net_ws_send_close(client, 1001);
}

static void shutdown_in_vain(net_server *net, net_client *client, cre_session session) {
    (void)client, (void)session;
    cre_engine_shutdown(net->engine, 1, NULL, NULL);
}

/* What has no closing handshake ends at once, long before the deadline. */
static void shutdown_at_once(net_server *net, net_client *client, cre_session session) {
    (void)client, (void)session;
    cre_engine_shutdown(net->engine, 600000, NULL, NULL);
}

static void say_request(net_client *client, const char *text) {
    net_send(client, text, strlen(text));
}

static void half_a_head(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    say_request(client, "GET / HTTP/1.1\r\nHo");
}

static void head_too_long(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    say_request(client, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(large, 'x', 2000);
    net_send(client, large, 2000);
}

static void half_a_body(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    say_request(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
}

static void body_too_long(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    say_request(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n");
}

static void malformed(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    say_request(client, "malformed\r\n\r\n");
}

static int answer(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    if (event->kind == CRE_EVENT_REQUEST)
        cre_engine_respond(net->engine, event->session, 200, NULL, "hello", 5);
    return 0;
}

static void one_request(net_server *net, net_client *client, cre_session session) {
    (void)session;
    net->act = answer;
    say_request(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void last_request(net_server *net, net_client *client, cre_session session) {
    (void)session;
    net->act = answer;
    say_request(client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
}

static int answer_too_much(net_server *net, const cre_record *event, uint8_t *payload) {
    (void)payload;
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    /* An empty queue takes anything, a full one not even the end of a response. */
    CHECK_EQ(cre_engine_respond_more(net->engine, event->session, 200, NULL, large, sizeof large), 0);
    int result = 0;
    for (int i = 0; i < 1000 && !result; i++) /* the client reads nothing */
        result = cre_engine_respond_body(net->engine, event->session, large, sizeof large, false);
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    CHECK_EQ(cre_engine_respond_body(net->engine, event->session, large, sizeof large, false),
             CRE_EQUEUE_FULL);
    CHECK_EQ(cre_engine_respond_body(net->engine, event->session, large, sizeof large, true),
             CRE_EQUEUE_FULL);
    return 0;
}

static void answer_overflows(net_server *net, net_client *client, cre_session session) {
    (void)session;
    net->act = answer_too_much;
    say_request(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* Behind the back of TLS. */
static void damaged_record(net_server *net, net_client *client, cre_session session) {
    (void)net, (void)session;
    CHECK_EQ(send(client->descriptor, "\x17\x03\x03\x00\x05xxxxx", 10, 0), 10);
}

/* ---- the table ---- */

#define WEBSOCKET      CRE_PROTOCOL_WEBSOCKET
#define HTTP           CRE_PROTOCOL_HTTP
#define STREAM         CRE_PROTOCOL_STREAM
#define CLOSED(reason) CRE_CLOSED_##reason

/* clang-format off */
static const ending endings[] = {
    /*                                                       reason            code  error  seen     says */
    { "close frame",       WEBSOCKET, peer_says_goodbye,     CLOSED(PEER),      4000, false, ORDERLY, "\x88\x02\x0f\xa0", { 0 } },
    { "end",               WEBSOCKET, peer_half_closes,      CLOSED(PEER),      1006, false, ORDERLY, NULL, { 0 } },
    { "reset",             WEBSOCKET, peer_aborts,           CLOSED(PEER),      1006, false, NOTHING, NULL, { 0 } },
    { "reset, unread",     WEBSOCKET, peer_aborts_unread,    CLOSED(PEER),      1006, false, NOTHING, NULL, { 0 } },
    { "closed",            WEBSOCKET, server_closes,         CLOSED(SERVER),    4001, false, ORDERLY, NULL, { 0 } },
    { "close timeout",     WEBSOCKET, server_closes_in_vain, CLOSED(SERVER),    4001, false, RESET,   NULL, { .close_timeout_ms = 1 } },
    { "reset by us",       WEBSOCKET, server_resets,         CLOSED(SERVER),    1006, false, RESET,   NULL, { 0 } },
    { "no mask",           WEBSOCKET, frame_without_mask,    CLOSED(PROTOCOL),  1002, true,  ORDERLY, "\x03\xea", { 0 } },
    { "no UTF-8",          WEBSOCKET, text_that_is_none,     CLOSED(PROTOCOL),  1007, true,  ORDERLY, "\x03\xef", { 0 } },
    { "large message",     WEBSOCKET, message_too_large,     CLOSED(PROTOCOL),  1009, true,  ORDERLY, "\x03\xf1", { .max_message = 1000 } },
    { "handler refuses",   WEBSOCKET, handler_refuses,       CLOSED(ERROR),     1006, true,  NOTHING, NULL, { 0 } },
    { "overflow",          WEBSOCKET, frames_overflow,       CLOSED(OVERFLOW),  1006, true,  NOTHING, NULL, { .max_queue = 1000000 } },
    { "slow receiver",     WEBSOCKET, slow_receiver_is_closed, CLOSED(OVERFLOW), 1006, true, NOTHING, NULL, { .max_queue = 1000000, .close_slow = true } },
    { "no memory",         WEBSOCKET, no_memory,             CLOSED(NOMEM),     1006, true,  NOTHING, NULL, { 0 } },
    { "silence",           WEBSOCKET, wait_only,             CLOSED(HEARTBEAT), 1006, false, ORDERLY, "\x03\xe9", { .heartbeat_idle_ms = 1 } },
    { "no pong",           WEBSOCKET, wait_only,             CLOSED(HEARTBEAT), 1006, false, ORDERLY, "\x89", { .ping_interval_ms = 1, .pong_timeout_ms = 1 } },
    { "shutdown",          WEBSOCKET, shutdown_in_order,     CLOSED(SHUTDOWN),  1001, false, ORDERLY, NULL, { 0 } },
    { "shutdown deadline", WEBSOCKET, shutdown_in_vain,      CLOSED(SHUTDOWN),  1006, false, NOTHING, NULL, { 0 } },
    { "damaged record",    WEBSOCKET, damaged_record,        CLOSED(TLS),       1006, true,  NOTHING, NULL, { 0 } },

    { "end",               STREAM,    peer_half_closes,      CLOSED(PEER),         0, false, ORDERLY, NULL, { 0 } },
    { "half open",         STREAM,    peer_half_closes,      CLOSED(PEER),         0, false, ORDERLY, NULL, { .half_open = true, .idle_timeout_ms = 1 } },
    { "reset",             STREAM,    peer_aborts,           CLOSED(PEER),         0, false, NOTHING, NULL, { 0 } },
    { "closed",            STREAM,    server_closes_stream,  CLOSED(SERVER),       0, false, ORDERLY, "last", { 0 } },
    { "reset by us",       STREAM,    server_resets,         CLOSED(SERVER),       0, false, RESET,   NULL, { 0 } },
    { "large packet",      STREAM,    packet_too_large,      CLOSED(PROTOCOL),     0, true,  ORDERLY, NULL, { 0 } },
    { "overflow",          STREAM,    bytes_overflow,        CLOSED(OVERFLOW),     0, true,  NOTHING, NULL, { .max_queue = 1000000 } },
    { "shutdown",          STREAM,    shutdown_at_once,      CLOSED(SHUTDOWN),     0, false, ORDERLY, NULL, { 0 } },
    { "damaged record",    STREAM,    damaged_record,        CLOSED(TLS),          0, true,  NOTHING, NULL, { 0 } },

    { "end",               HTTP,      peer_half_closes,      CLOSED(PEER),         0, false, ORDERLY, NULL, { 0 } },
    { "reset",             HTTP,      peer_aborts,           CLOSED(PEER),         0, false, NOTHING, NULL, { 0 } },
    { "no head",           HTTP,      wait_only,             CLOSED(TIMEOUT),      0, false, ORDERLY, NULL, { .head_timeout_ms = 1 } },
    { "half a head",       HTTP,      half_a_head,           CLOSED(SERVER),       0, false, ORDERLY, "HTTP/1.1 408 ", { .head_timeout_ms = 1 } },
    { "half a body",       HTTP,      half_a_body,           CLOSED(SERVER),       0, false, ORDERLY, "HTTP/1.1 408 ", { .body_timeout_ms = 1 } },
    { "nothing after one", HTTP,      one_request,           CLOSED(TIMEOUT),      0, false, ORDERLY, "hello", { .idle_timeout_ms = 1 } },
    { "the last one",      HTTP,      last_request,          CLOSED(SERVER),       0, false, ORDERLY, "hello", { 0 } },
    { "malformed",         HTTP,      malformed,             CLOSED(SERVER),       0, false, ORDERLY, "HTTP/1.1 400 ", { 0 } },
    { "long head",         HTTP,      head_too_long,         CLOSED(SERVER),       0, false, ORDERLY, "HTTP/1.1 431 ", { .max_head = 1000 } },
    { "long body",         HTTP,      body_too_long,         CLOSED(SERVER),       0, false, ORDERLY, "HTTP/1.1 413 ", { .max_body = 1000 } },
    { "overflow",          HTTP,      answer_overflows,      CLOSED(OVERFLOW),     0, false, NOTHING, NULL, { .max_queue = 1000 } },
    { "shutdown",          HTTP,      shutdown_at_once,      CLOSED(SHUTDOWN),     0, false, ORDERLY, NULL, { 0 } },
};
/* clang-format on */

static cre_session the_session(net_server *net) {
    cre_session session = 0;
    uint32_t cursor = 0;
    IGNORE(cre_table_list(cre_engine_table(net->engine), &cursor, &session, 1)); /* none: 0 */
    return session;
}

static void check_end(const ending *row) {
    static const cre_framing_config lines = { .size = sizeof lines,
                                              .kind = CRE_FRAMING_MARKER_SPLIT,
                                              .marker = "\n",
                                              .marker_length = 1,
                                              .max_length = 1000 };
    cre_port_options port = { .size = sizeof port,
                              .protocol = row->protocol,
                              .framing = row->happen == packet_too_large ? &lines : NULL };
    cre_engine_config config = row->config;
    config.ports = &port;
    config.port_count = 1;
    if (!config.close_timeout_ms) config.close_timeout_ms = 600000;
    int descriptors = net_descriptors();
    net_server *net = net_start(config, NULL);
    net_client client = row->protocol == WEBSOCKET ? net_ws_connect(net) : net_connect(net);
    NET_UNTIL(net, the_session(net) != 0);
    NET_UNTIL(net, !net_layer_now || net_stats(net).tls_handshakes == 1);
    cre_session session = the_session(net);
    row->happen(net, &client, session);
    NET_UNTIL(net, cre_table_count(cre_engine_table(net->engine)) == 0);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == (row->protocol != HTTP));
    cre_engine_stats stats = net_stats(net);
    for (int reason = 0; reason < CRE_CLOSE_REASONS; reason++)
        CHECK_EQ(stats.closed_by[reason], reason == (int)row->reason);
    int closes = net_count_events(net, CRE_EVENT_CLOSE);
    CHECK_EQ(closes, row->protocol != HTTP);
    if (closes == 1) {
        const net_event *event = &net->events[net->count - 1]; /* the last one of its session */
        cre_closed closed = net_closed(event);
        CHECK_EQ(event->record.session, session);
        CHECK_EQ(closed.reason, row->reason);
        CHECK_EQ(closed.code, row->code);
        CHECK_EQ(closed.error < 0, row->error);
    }
    if (row->says) net_find(&client, row->says);
    if (row->seen != NOTHING) {
        net_await_end(&client);
        CHECK_EQ(client.error, row->seen == RESET ? ECONNRESET : 0);
    }
    net_close(&client);
    NET_UNTIL(net, net->engine->net.open == 0);
    net_stop(net);
    CHECK_EQ(net_descriptors(), descriptors);
}

TEST_BOTH(every_end_has_its_reason) {
    net_stop(net_start((cre_engine_config){ 0 }, NULL)); /* what libuv makes once */
    bool covered[CRE_CLOSE_REASONS] = { 0 };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const ending *row = &endings[i];
        if (row->reason == CRE_CLOSED_TLS && !net_layer_now) continue;
        int failures = test_failures;
        check_end(row);
        covered[row->reason] = true;
        if (test_failures != failures) fprintf(stderr, "    protocol %d: %s\n", row->protocol, row->name);
    }
#define XX(name, number, text) CHECK(covered[number] || number == CRE_CLOSED_TLS);
    CRE_CLOSE_REASON_MAP(XX)
#undef XX
}

TEST_MAIN()
