/* The budget for queued output over all connections. */
#include "both.h"
#include "registry/table_internal.h"

#define MIB (1u << 20)

static uint8_t piece[256 << 10];

static net_server *start(cre_table *table, uint64_t budget) {
    return net_start(
        (cre_engine_config){
            .table = table, .max_queue = 64 * MIB, .memory_budget = budget, .close_timeout_ms = 600000 },
        NULL);
}

static cre_session opened(net_server *net) {
    return net_expect_event(net, CRE_EVENT_OPEN)->record.session;
}

static uint32_t queued(net_server *net, cre_session session) {
    cre__conn *conn = cre__engine_find(net->engine, session);
    return conn ? conn->transport.queued : 0;
}

/* Its client reads nothing, and what the system takes does not count. */
static void fill(net_server *net, cre_session session, uint32_t length) {
    while (queued(net, session) < length) {
        if (cre_engine_push(net->engine, session, CRE_WS_BINARY, piece, sizeof piece)) break;
        net_turn(net);
    }
}

static void expect_budget(const net_event *event, cre_session session) {
    cre_closed closed = net_closed(event);
    CHECK_EQ(event->record.session, session);
    CHECK_EQ(closed.reason, CRE_CLOSED_OVERFLOW);
    CHECK_EQ(closed.error, CRE_EBUDGET);
    CHECK_EQ(closed.code, 1006);
}

TEST_BOTH(the_longest_queues_are_closed) {
    enum { COUNT = 6 };
    static const uint32_t lengths[COUNT] = { 2, 9, 3, 1, 20, 1 };
    net_server *net = start(NULL, 40 * MIB);
    net_client clients[COUNT];
    cre_session sessions[COUNT];
    for (int i = 0; i < COUNT; i++) {
        clients[i] = net_ws_connect(net);
        sessions[i] = opened(net);
        fill(net, sessions[i], lengths[i] * MIB);
    }
    uint64_t total = 0;
    for (int i = 0; i < COUNT; i++)
        total += queued(net, sessions[i]);
    CHECK(total > 36 * MIB && total <= 40 * MIB);
    CHECK_EQ(net_stats(net).queued, total);
    NET_UNTIL(net, cre_loop_now(net->loop) > 0);
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 0);
    fill(net, sessions[0], 8 * MIB);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) > 0);
    net_settle(net);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 1);
    expect_budget(&net->events[net->count - 1], sessions[4]);
    CHECK_EQ(net_stats(net).shed, 1);
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_OVERFLOW], 1);
    CHECK(net_stats(net).queued <= 40 * MIB);
    /* The others have lost nothing. */
    for (int i = 0; i < COUNT; i++) {
        if (i == 4) continue;
        CHECK_EQ(cre_engine_push(net->engine, sessions[i], CRE_WS_TEXT, "last", 4), 0);
        for (cre_ws_frame frame; net_ws_next(&clients[i], &frame);) {
            bool last = frame.opcode == CRE_WS_TEXT;
            CHECK_EQ(frame.length, last ? 4 : sizeof piece);
            net_take(&clients[i], frame.size);
            if (last) break;
        }
    }
    CHECK_EQ(net_stats(net).queued, 0);
    for (int i = 0; i < COUNT; i++)
        net_close(&clients[i]);
    net_stop(net);
}

/* Connections whose streams have ended count as well, and are not spared at the cost of others. */
TEST_BOTH(a_queue_that_outlives_its_stream_is_dropped) {
    net_server *net = start(NULL, 20 * MIB);
    net_client leaving = net_ws_connect(net);
    cre_session left = opened(net);
    fill(net, left, 15 * MIB);
    net_ws_send_close(&leaving, 1000);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 1);
    CHECK_EQ(net_closed(net_next(net)).code, 1000);
    CHECK(net_stats(net).queued > 15 * MIB);
    net_client client = net_ws_connect(net);
    cre_session session = opened(net);
    fill(net, session, 7 * MIB);
    NET_UNTIL(net, net_stats(net).shed > 0);
    net_settle(net);
    CHECK_EQ(net_stats(net).shed, 1);
    CHECK_EQ(net_count_events(net, CRE_EVENT_CLOSE), 1);
    CHECK(queued(net, session) >= 7 * MIB);
    net_close(&leaving);
    net_close(&client);
    net_stop(net);
}

static uint64_t in_transit;

static void take_back(void *link) {
    uint64_t *freed = link;
    in_transit -= *freed;
    *freed = 0;
}

/* What a link holds counts, but not what its receivers have freed, which a busy loop has not taken back. */
TEST(freed_payloads_are_taken_back_first) {
    net_server *net = start(NULL, 20 * MIB);
    uint64_t freed = 15 * MIB;
    in_transit = 15 * MIB;
    cre__engine_set_transit(net->engine,
                            &(cre__transit){ .held = &in_transit, .reclaim = take_back, .link = &freed });
    net_client client = net_ws_connect(net);
    cre_session session = opened(net);
    fill(net, session, 8 * MIB);
    NET_UNTIL(net, in_transit == 0);
    net_settle(net);
    CHECK_EQ(net_stats(net).shed, 0);
    CHECK(queued(net, session) >= 8 * MIB);
    in_transit = 15 * MIB; /* and nothing of it is freed */
    cre_engine_push(net->engine, session, CRE_WS_BINARY, piece, sizeof piece);
    NET_UNTIL(net, net_count_events(net, CRE_EVENT_CLOSE) == 1);
    expect_budget(&net->events[net->count - 1], session);
    cre__engine_set_transit(net->engine, NULL);
    net_close(&client);
    net_stop(net);
}

/* The total is the server's: an engine with little may be over it because of another one. */
TEST(engines_share_the_budget) {
    size_t size = cre_table_size(100);
    void *memory = NULL;
    REQUIRE(posix_memalign(&memory, 64, size) == 0);
    memset(memory, 0, size);
    cre_table *table = cre_table_open(memory, 100);
    REQUIRE(table != NULL);
    net_server *first = start(table, 20 * MIB), *second = start(table, 20 * MIB);
    net_client large = net_ws_connect(first), idle = net_ws_connect(second), small = net_ws_connect(second);
    cre_session of_large = opened(first);
    opened(second);
    cre_session of_small = opened(second);
    fill(first, of_large, 15 * MIB);
    net_settle(first);
    CHECK_EQ(net_count_events(first, CRE_EVENT_CLOSE), 0);
    fill(second, of_small, 8 * MIB);
    NET_UNTIL(second, net_count_events(second, CRE_EVENT_CLOSE) == 1);
    expect_budget(&second->events[second->count - 1], of_small);
    net_settle(first);
    CHECK_EQ(net_count_events(first, CRE_EVENT_CLOSE), 0); /* below it again */
    net_ws_text(&idle, "x");
    net_expect_event(second, CRE_EVENT_CLOSE);
    net_expect_event(second, CRE_EVENT_MESSAGE);
    net_close(&large);
    net_close(&idle);
    net_close(&small);
    net_stop(first);
    CHECK(cre__table_total(table) == 0);
    net_stop(second);
    cre_table_close(table);
    free(memory);
}

TEST_MAIN()
