/* Input that is not complete: its time, and its share of the memory budget. Times are the clock's. */
#include "both.h"

#define KIB 1024u

static const cre_framing_config framing = { .size = sizeof framing,
                                            .kind = CRE_FRAMING_MARKER_SPLIT,
                                            .marker = "\n",
                                            .marker_length = 1,
                                            .max_length = 1 << 20 };
static const cre_port_options lines = { .size = sizeof lines,
                                        .protocol = CRE_PROTOCOL_STREAM,
                                        .framing = &framing };

static net_server *start(cre_protocol protocol, uint32_t timeout, uint64_t budget) {
    cre_port_options port =
        protocol == CRE_PROTOCOL_STREAM ? lines : (cre_port_options){ .size = sizeof port, .http = true };
    return net_start(
        (cre_engine_config){
            .ports = &port, .port_count = 1, .message_timeout_ms = timeout, .memory_budget = budget },
        NULL);
}

/* The next event of a kind; others before it are skipped. */
static const net_event *next_of(net_server *net, cre_event kind) {
    for (;;) {
        const net_event *event = net_next(net);
        if (event->record.kind == kind) return event;
    }
}

static cre_session opened(net_server *net) {
    return next_of(net, CRE_EVENT_OPEN)->record.session;
}

static void expect_timeout(net_server *net, cre_session session, uint16_t code) {
    const net_event *event = next_of(net, CRE_EVENT_CLOSE);
    CHECK_EQ(event->record.session, session);
    CHECK_EQ(net_closed(event).reason, CRE_CLOSED_TIMEOUT);
    CHECK_EQ(net_closed(event).error, CRE_EMESSAGE_TIMEOUT);
    CHECK_EQ(net_closed(event).code, code);
}

/* ---- time ---- */

TEST_BOTH(an_unfinished_message_is_closed) {
    static const struct {
        const uint8_t *bytes;
        size_t length;
    } unfinished[] = {
        { (const uint8_t *)"\x81", 1 },                                   /* half a header */
        { (const uint8_t *)"\x81\x85", 2 },                               /* without its key */
        { (const uint8_t *)"\x81\x85\1\2\3\4H", 7 },                      /* half a payload */
        { (const uint8_t *)"\x01\x81\1\2\3\4H", 7 },                      /* the first fragment */
        { (const uint8_t *)"\x82\xfe\xff\xff\1\2\3\4H", 9 },              /* the beginning of a large one */
        { (const uint8_t *)"\x81\x81\1\2\3\4H\x89", 8 },                  /* half a ping behind a whole one */
        { (const uint8_t *)"\x01\x81\1\2\3\4H\x89\x80\1\2\3\4", 13 },     /* a ping between two fragments */
        { (const uint8_t *)"\x81\x81\1\2\3\4H\x81\x81\1\2\3\4H\x81", 15 } /* behind two whole ones */
    };
    enum { COUNT = sizeof unfinished / sizeof *unfinished };
    net_server *net = start(CRE_PROTOCOL_WEBSOCKET, 300, 0);
    net_client idle = net_ws_connect(net);
    opened(net);
    net_client clients[COUNT];
    for (int i = 0; i < COUNT; i++) {
        clients[i] = net_ws_connect(net);
        net_send(&clients[i], unfinished[i].bytes, unfinished[i].length);
    }
    for (int i = 0; i < COUNT; i++) {
        cre_closed closed = net_closed(next_of(net, CRE_EVENT_CLOSE));
        CHECK_EQ(closed.reason, CRE_CLOSED_TIMEOUT);
        CHECK_EQ(closed.error, CRE_EMESSAGE_TIMEOUT);
        CHECK_EQ(closed.code, 1008);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(net_ws_expect_close(&clients[i]), 1008);
        net_close(&clients[i]);
    }
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_TIMEOUT], COUNT);
    NET_UNTIL(net, net_stats(net).buffered == 0);
    net_ws_text(&idle, "no message was unfinished");
    next_of(net, CRE_EVENT_MESSAGE);
    net_close(&idle);
    net_stop(net);
}

/* Progress within the message gives it no more time, and neither do pings. */
TEST_BOTH(endless_fragments_are_closed) {
    net_server *net = start(CRE_PROTOCOL_WEBSOCKET, 300, 0);
    net_client client = net_ws_connect(net);
    cre_session session = opened(net);
    net_ws_send(&client, CRE_WS_TEXT, "x", 1);
    while (!net_count_events(net, CRE_EVENT_CLOSE) && !client.eof) {
        net_ws_send(&client, 0, "x", 1);
        net_ws_send(&client, CRE_WS_FIN | CRE_WS_PING, NULL, 0);
        net_rest(net, -1);
        net_pull(&client);
    }
    expect_timeout(net, session, 1008);
    CHECK_EQ(net_count_events(net, CRE_EVENT_MESSAGE), 0);
    net_close(&client);
    net_stop(net);
}

/* Each message has its own time: a client whose reads always end within one goes on. */
TEST_BOTH(finished_messages_give_new_time) {
    net_server *net = start(CRE_PROTOCOL_WEBSOCKET, 300, 0);
    net_client busy = net_ws_connect(net), late = net_ws_connect(net);
    opened(net);
    cre_session of_late = opened(net);
    int messages = 0;
    net_send(&busy, "\x81\x81", 2);
    net_send(&late, "\x81\x81", 2);
    /* For twice the time of the other one, which begins again when it was closed. */
    for (int rounds = 0; rounds < 2; rounds++) {
        while (!late.eof) {
            net_send(&busy, "\1\2\3\4H\x81\x81", 7);
            messages++;
            net_rest(net, -1);
            net_pull(&late);
        }
        expect_timeout(net, of_late, 1008);
        net_close(&late);
        late = net_ws_connect(net);
        of_late = opened(net);
        net_send(&late, "\x81\x81", 2);
    }
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_MESSAGE) == messages);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 2);
    net_close(&busy);
    net_close(&late);
    net_stop(net);
}

/* The time for which the server does not read is not the client's. */
TEST_BOTH(a_paused_message_has_time) {
    net_server *net = start(CRE_PROTOCOL_WEBSOCKET, 300, 0);
    net_client paused = net_ws_connect(net), other = net_ws_connect(net);
    cre_session of_paused = opened(net), of_other = opened(net);
    net_send(&paused, "\x81\x81", 2);
    net_settle(net);
    cre_record command = { .kind = CRE_COMMAND_PAUSE, .session = of_paused };
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    net_send(&paused, "\1\2\3\4H", 5);
    net_send(&other, "\x81\x81", 2);
    expect_timeout(net, of_other, 1008);
    command.kind = CRE_COMMAND_RESUME;
    CHECK_EQ(cre_engine_command(net->engine, &command, NULL, 0), 0);
    CHECK_EQ(next_of(net, CRE_EVENT_MESSAGE)->record.session, of_paused);
    net_close(&paused);
    net_close(&other);
    net_stop(net);
}

TEST_BOTH(an_unfinished_packet_is_closed) {
    net_server *net = start(CRE_PROTOCOL_STREAM, 300, 0);
    net_client idle = net_connect(net), client = net_connect(net);
    next_of(net, CRE_EVENT_CONNECT);
    cre_session session = next_of(net, CRE_EVENT_CONNECT)->record.session;
    net_send_text(&client, "one\ntwo\nthr");
    expect_timeout(net, session, 0);
    net_await_end(&client);
    CHECK_EQ(net_count_events(net, CRE_EVENT_RECEIVE), 2);
    net_send_text(&idle, "one\n");
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_RECEIVE) == 3);
    net_close(&idle);
    net_close(&client);
    NET_UNTIL(net, net_stats(net).buffered == 0);
    net_stop(net);
}

/* Bytes without packets are never unfinished. */
TEST(bytes_have_no_time) {
    cre_port_options ports[] = { { .size = sizeof *ports, .protocol = CRE_PROTOCOL_STREAM }, lines };
    net_server *net =
        net_start((cre_engine_config){ .ports = ports, .port_count = 2, .message_timeout_ms = 300 }, NULL);
    uint16_t number;
    REQUIRE(cre_engine_listen(
                net->engine, &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" },
                &number) == 0);
    net_client bytes = net_connect(net), packets = net_connect_to(net, number);
    net_send_text(&bytes, "abc");
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_RECEIVE) == 1);
    net_send_text(&packets, "abc");
    next_of(net, CRE_EVENT_CLOSE);
    net_send_text(&bytes, "def");
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_RECEIVE) == 2);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 1);
    net_close(&bytes);
    net_close(&packets);
    net_stop(net);
}

/* Between the handshake of TLS and the upgrade the time of a head runs. */
TEST_BOTH(a_client_that_never_upgrades_is_closed) {
    net_server *net = net_start((cre_engine_config){ .head_timeout_ms = 300 }, NULL);
    net_client silent = net_connect(net), half = net_connect(net);
    net_send_text(&half, "GET / HT");
    net_await_end(&silent);
    net_await_end(&half);
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_TIMEOUT], 1);
    CHECK_EQ(net_count_events(net, CRE_EVENT_OPEN), 0);
    net_close(&silent);
    net_close(&half);
    net_stop(net);
}

/* ---- memory ---- */

enum { CLIENTS = 24, LENGTH = 90 * KIB };

static uint8_t large[LENGTH];

typedef struct kind {
    cre_protocol protocol;
    cre_event begun, done;
    const char *head; /* of what is sent, behind which the payload follows */
} kind;

static net_client begin(net_server *net, const kind *it) {
    net_client client = it->begun == CRE_EVENT_OPEN ? net_ws_connect(net) : net_connect(net);
    if (it->head) net_send(&client, it->head, strlen(it->head));
    return client;
}

/* All but the last byte; it is unfinished then. */
static void send_most(net_client *client, const kind *it) {
    if (it->begun != CRE_EVENT_OPEN) {
        net_send(client, large, LENGTH - 1);
        return;
    }
    size_t size;
    uint8_t *frame = net_frame(CRE_WS_FIN | CRE_WS_BINARY, large, LENGTH, &size);
    net_send(client, frame, size - 1);
    free(frame);
}

static void send_last(net_client *client, const kind *it) {
    static const uint8_t key[4] = { 0x11, 0xa2, 0x33, 0xc4 };
    uint8_t last = it->protocol == CRE_PROTOCOL_STREAM ? '\n' : 'x';
    if (it->begun == CRE_EVENT_OPEN) last = large[LENGTH - 1] ^ key[(LENGTH - 1) % 4];
    net_send(client, &last, 1);
}

static void expect_budget(const kind *it) {
    memset(large, 'x', sizeof large);
    net_server *net = start(it->protocol, 600000, 1024 * KIB);
    net_client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = begin(net, it);
        send_most(&clients[i], it);
        for (int turns = 0; turns < 50; turns++) { /* more than the pause between two looks at the budget */
            net_rest(net, -1);
            if (net_stats(net).buffered <= 1024 * KIB && turns > 3) break;
        }
    }
    NET_UNTIL(net, net_stats(net).buffered <= 1024 * KIB);
    uint64_t shed = net_stats(net).shed;
    CHECK(shed >= CLIENTS / 3);
    CHECK(shed < CLIENTS - 4);
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_OVERFLOW], shed);
    CHECK(net_stats(net).buffered > 4ull * LENGTH);
    CHECK_EQ(net_stats(net).queued, 0);
    /* Those that are left lose nothing. */
    int done = 0;
    for (int i = 0; i < CLIENTS; i++) {
        net_pull(&clients[i]);
        if (clients[i].eof) continue;
        send_last(&clients[i], it);
        NET_UNTIL(net, net_count_events(net, it->done) > done);
        done++;
    }
    CHECK_EQ((uint64_t)done, CLIENTS - shed);
    CHECK_EQ(net_stats(net).shed, shed);
    net_settle(net);
    CHECK_EQ(net_stats(net).buffered, 0);
    for (int i = 0; i < net->count; i++) {
        if (net->events[i].record.kind != CRE_EVENT_CLOSE) continue;
        CHECK_EQ(net_closed(&net->events[i]).reason, CRE_CLOSED_OVERFLOW);
        CHECK_EQ(net_closed(&net->events[i]).error, CRE_EBUDGET);
    }
    for (int i = 0; i < CLIENTS; i++)
        net_close(&clients[i]);
    net_settle(net);
    CHECK(cre__table_total(cre_engine_table(net->engine)) == 0);
    net_stop(net);
}

TEST_BOTH(unfinished_messages_count) {
    expect_budget(&(kind){ CRE_PROTOCOL_WEBSOCKET, CRE_EVENT_OPEN, CRE_EVENT_MESSAGE, NULL });
}

TEST_BOTH(unfinished_packets_count) {
    expect_budget(&(kind){ CRE_PROTOCOL_STREAM, CRE_EVENT_CONNECT, CRE_EVENT_RECEIVE, NULL });
}

TEST_BOTH(unfinished_bodies_count) {
    expect_budget(&(kind){ CRE_PROTOCOL_HTTP, CRE_EVENT_REQUEST, CRE_EVENT_REQUEST,
                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 92160\r\n\r\n" });
}

/* An announced length alone costs nothing. */
TEST(announcements_do_not_count) {
    net_server *net = start(CRE_PROTOCOL_WEBSOCKET, 600000, 512 * KIB);
    net_client clients[16];
    for (int i = 0; i < 16; i++) {
        clients[i] = net_ws_connect(net);
        net_send(&clients[i], "\x82\xff\0\0\0\0\0\x0f\xff\xff\1\2\3\4x", 15);
    }
    net_settle(net);
    CHECK_EQ(net_stats(net).shed, 0);
    for (int i = 0; i < 16; i++)
        net_close(&clients[i]);
    net_stop(net);
}

TEST_MAIN()
