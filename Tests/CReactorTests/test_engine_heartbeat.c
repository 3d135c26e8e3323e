/* Signs of life, limits per address, and what others see of it. These tests wait for the clock. */
#include <time.h>

#include "both.h"

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int protect(net_server *net, cre_session session, bool on) {
    cre_record command = { .kind = CRE_COMMAND_PROTECT, .opcode = on, .session = session };
    return cre_engine_command(net->engine, &command, NULL, 0);
}

static net_client join(net_server *net, cre_session *session) {
    net_client client = net_ws_connect(net);
    *session = net_expect_event(net, CRE_EVENT_OPEN)->record.session;
    return client;
}

TEST_BOTH(the_silent_one_is_closed) {
    net_server *net = net_start((cre_engine_config){ .heartbeat_idle_ms = 500 }, NULL);
    cre_session silent_id, talking_id, protected_id;
    const uint64_t begin = now_ms(); /* before the silence */
    net_client silent = join(net, &silent_id), talking = join(net, &talking_id),
               spared = join(net, &protected_id);
    CHECK_EQ(protect(net, protected_id, true), 0);
    uint64_t said = now_ms();
    while (net->seen == net->count && now_ms() - begin < 5000) {
        net_turn(net);
        net_rest(net, -1);
        if (now_ms() - said > 100) {
            net_ws_send(&talking, CRE_WS_FIN | CRE_WS_PONG, NULL, 0); /* any byte counts */
            said = now_ms();
        }
    }
    const net_event *event = net_expect_event(net, CRE_EVENT_CLOSE);
    CHECK(now_ms() - begin >= 500);
    CHECK_EQ(event->record.session, silent_id);
    CHECK_EQ(net_closed(event).reason, CRE_CLOSED_HEARTBEAT);
    CHECK_EQ(net_closed(event).code, 1006);
    CHECK_EQ(net_ws_expect_close(&silent), 1001);
    /* Half a frame is a sign of life, too; then the other one is silent as well. */
    net_send(&talking, "\x81", 1);
    event = net_expect_event(net, CRE_EVENT_CLOSE);
    CHECK_EQ(event->record.session, talking_id);
    CHECK_EQ(cre_table_count(cre_engine_table(net->engine)), 1);
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_HEARTBEAT], 2);
    CHECK_EQ(protect(net, protected_id, false), 0);
    event = net_expect_event(net, CRE_EVENT_CLOSE);
    CHECK_EQ(event->record.session, protected_id);
    CHECK_EQ(protect(net, protected_id, true), CRE_EGONE);
    net_close(&silent);
    net_close(&talking);
    net_close(&spared);
    net_stop(net);
}

/* Streams have the same time, and no pings. */
TEST_BOTH(a_silent_stream_is_closed) {
    static const cre_port_options port = { .size = sizeof port, .protocol = CRE_PROTOCOL_STREAM };
    net_server *net = net_start(
        (cre_engine_config){
            .ports = &port, .port_count = 1, .heartbeat_idle_ms = 500, .ping_interval_ms = 100 },
        NULL);
    const uint64_t begin = now_ms(); /* before the silence */
    net_client silent = net_connect(net), talking = net_connect(net), spared = net_connect(net);
    cre_session ids[3];
    for (int i = 0; i < 3; i++)
        ids[i] = net_expect_event(net, CRE_EVENT_CONNECT)->record.session;
    CHECK_EQ(protect(net, ids[2], true), 0);
    uint64_t said = now_ms();
    while (net_count_events(net, CRE_EVENT_CLOSE) == 0 && now_ms() - begin < 5000) {
        net_turn(net);
        net_rest(net, -1);
        if (now_ms() - said > 100) {
            net_send_text(&talking, "x");
            said = now_ms();
        }
    }
    const net_event *event = NULL;
    while (net->seen < net->count) {
        event = net_next(net);
        if (event->record.kind == CRE_EVENT_CLOSE) break;
    }
    REQUIRE(event != NULL);
    CHECK(now_ms() - begin >= 500);
    CHECK_EQ(event->record.session, ids[0]);
    CHECK_EQ(net_closed(event).reason, CRE_CLOSED_HEARTBEAT);
    CHECK_EQ(net_closed(event).code, 0);
    net_await_end(&silent);
    CHECK_EQ(silent.length, 0);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 1);
    net_close(&silent);
    net_close(&talking);
    net_close(&spared);
    net_stop(net);
}

TEST_BOTH(checks_come_together) {
    net_server *net =
        net_start((cre_engine_config){ .heartbeat_idle_ms = 100, .heartbeat_check_ms = 2000 }, NULL);
    cre_session id;
    uint64_t begin = now_ms();
    net_client client = join(net, &id);
    net_expect_event(net, CRE_EVENT_CLOSE);
    CHECK(now_ms() - begin >= 100);
    CHECK(now_ms() - begin <= 2000 + 1500);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(pings_are_answered_or_not) {
    net_server *net = net_start((cre_engine_config){ .ping_interval_ms = 250, .pong_timeout_ms = 250 }, NULL);
    cre_session dead_id, alive_id;
    net_client dead = join(net, &dead_id), alive = join(net, &alive_id);
    int pings = 0;
    uint64_t begin = now_ms();
    while (pings < 3 && now_ms() - begin < 10000) {
        cre_ws_frame frame;
        REQUIRE(net_ws_next(&alive, &frame));
        CHECK_EQ(frame.opcode, CRE_WS_PING);
        net_take(&alive, frame.size);
        net_ws_send(&alive, CRE_WS_FIN | CRE_WS_PONG, NULL, 0);
        pings++;
    }
    CHECK_EQ(pings, 3);
    const net_event *event = net_expect_event(net, CRE_EVENT_CLOSE);
    CHECK_EQ(event->record.session, dead_id);
    CHECK_EQ(net_closed(event).reason, CRE_CLOSED_HEARTBEAT);
    CHECK_EQ(net->count, net->seen);
    cre_ws_frame frame;
    REQUIRE(net_ws_next(&dead, &frame));
    CHECK_EQ(frame.opcode, CRE_WS_PING);
    net_close(&dead);
    net_close(&alive);
    net_stop(net);
}

TEST_BOTH(nothing_ticks_without_a_heartbeat) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_session id;
    net_client client = join(net, &id);
    NET_UNTIL(net, net->engine->net.ticker == NULL);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(last_signs_are_in_the_table) {
    net_server *net = net_start((cre_engine_config){ 0 }, NULL);
    cre_session id;
    net_client client = join(net, &id);
    cre_connection_info first, later;
    CHECK(cre_table_get_info(cre_engine_table(net->engine), id, &first, sizeof first));
    CHECK(first.last_receive_ms >= first.connect_time_ms);
    CHECK(first.last_receive_ms <= first.connect_time_ms + 2000);
    CHECK(first.last_send_ms > 0);
    uint64_t begin = now_ms();
    while (now_ms() - begin < 400)
        net_rest(net, -1);
    net_ws_text(&client, "x");
    net_expect_event(net, CRE_EVENT_MESSAGE);
    CHECK(cre_table_get_info(cre_engine_table(net->engine), id, &later, sizeof later));
    CHECK(later.last_receive_ms >= first.last_receive_ms + 200);
    CHECK(later.last_send_ms < first.last_send_ms + 200);
    CHECK_EQ(later.queued, 0);
    static uint8_t much[4 << 20];
    CHECK_EQ(cre_engine_push(net->engine, id, CRE_WS_BINARY, much, sizeof much), 0);
    net_turn(net);
    CHECK(cre_table_get_info(cre_engine_table(net->engine), id, &later, sizeof later));
    CHECK(later.queued > 0);
    CHECK(later.last_send_ms >= first.last_send_ms + 200);
    net_close(&client);
    net_stop(net);
}

/* A connection is not read while its queue is full: neither pongs nor anything else shows that its peer
 * lives, except that it takes the output. */
TEST_BOTH(a_slow_reader_lives) {
    enum { LONG = 100000 };
    static uint8_t piece[100000];
    net_server *net = net_start((cre_engine_config){ .max_queue = 1 << 20,
                                                     .heartbeat_idle_ms = LONG,
                                                     .ping_interval_ms = LONG / 4,
                                                     .pong_timeout_ms = LONG / 4 },
                                NULL);
    cre_session id;
    net_client client = join(net, &id);
    for (int i = 0; i < 1000 && !net_count_events(net, CRE_EVENT_FULL); i++) {
        cre_engine_push(net->engine, id, CRE_WS_BINARY, piece, sizeof piece);
        net_turn(net);
    }
    CHECK_EQ(net_count_events(net, CRE_EVENT_FULL), 1);
    cre__conn *conn = cre__engine_find(net->engine, id);
    REQUIRE(conn != NULL);
    uint32_t now = (uint32_t)cre_loop_now(net->loop);
    conn->transport.last_receive = now - 3 * LONG;
    conn->stream.pinged = true;
    conn->stream.pinged_at = now - 2 * LONG;
    conn->transport.last_send = now;
    cre__conn_events.due(&conn->transport);
    CHECK(cre__engine_find(net->engine, id) == conn);
    CHECK(!conn->stream.pinged);
    /* One that takes nothing does not. */
    conn->transport.last_send = now - 2 * LONG;
    cre__conn_events.due(&conn->transport);
    CHECK(cre__engine_find(net->engine, id) == NULL);
    net_close(&client);
    net_stop(net);
}

TEST_BOTH(so_many_per_address) {
    net_server *net = net_start((cre_engine_config){ .max_per_address = 3, .max_connections = 100 }, NULL);
    cre_session id;
    for (int round = 0; round < 5; round++) {
        net_client clients[3];
        for (int i = 0; i < 3; i++)
            clients[i] = join(net, &id);
        net_client more = net_connect(net);
        CHECK(net_await_end(&more));
        net_close(&more);
        net_close(&clients[1]);
        net_expect_event(net, CRE_EVENT_CLOSE);
        clients[1] = join(net, &id);
        for (int i = 0; i < 3; i++)
            net_close(&clients[i]);
        for (int i = 0; i < 3; i++)
            net_expect_event(net, CRE_EVENT_CLOSE);
    }
    CHECK_EQ(net_stats(net).refused, 5);
    net_stop(net);
}

TEST_BOTH(counters_are_shared_and_go_on) {
    static uint64_t shared[sizeof(cre_engine_stats) / sizeof(uint64_t)];
    memset(shared, 0, sizeof shared);
    for (int life = 1; life <= 2; life++) {
        net_server *net = net_start((cre_engine_config){ .shared_stats = shared }, NULL);
        cre_session id;
        net_client client = join(net, &id);
        net_ws_text(&client, "x");
        net_expect_event(net, CRE_EVENT_MESSAGE);
        net_turn(net);
        cre_engine_stats stats;
        memcpy(&stats, shared, sizeof stats);
        CHECK_EQ(stats.accepted, life);
        CHECK_EQ(stats.messages_in, life);
        CHECK(stats.bytes_in > 0);
        net_close(&client);
        net_stop(net);
        memcpy(&stats, shared, sizeof stats);
        CHECK_EQ(stats.closed, life);
        CHECK_EQ(stats.closed_by[CRE_CLOSED_SHUTDOWN] + stats.closed_by[CRE_CLOSED_PEER], life);
    }
}

TEST_MAIN()
