/* A shutdown that closes connections over a time. */
#include "engine/spread.h"

#include "both.h"

#define CLIENTS 40

static int echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    return 0;
}

TEST(moments_are_even_and_depend_on_the_seed) {
    enum { SESSIONS = 10000, SPREAD = 5000, PARTS = 10 };
    int same = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        int parts[PARTS] = { 0 };
        for (cre_session session = 1; session <= SESSIONS; session++) {
            uint32_t due = cre__spread_due(session, seed, SPREAD);
            REQUIRE(due < SPREAD);
            CHECK_EQ(cre__spread_due(session, seed, SPREAD), due);
            same += due == cre__spread_due(session, seed + 7, SPREAD);
            parts[due / (SPREAD / PARTS)]++;
        }
        for (int i = 0; i < PARTS; i++)
            CHECK(parts[i] > SESSIONS / PARTS * 8 / 10 && parts[i] < SESSIONS / PARTS * 12 / 10);
    }
    CHECK(same < SESSIONS / 100);
    CHECK_EQ(cre__spread_due(7, 7, 1), 0);
    CHECK(cre__spread_due(7, 7, UINT32_MAX) < UINT32_MAX);
}

static void count_call(void *context) {
    ++*(int *)context;
}

TEST_BOTH(all_are_closed_within_the_time) {
    net_server *net = net_start((cre_engine_config){ .shutdown_spread_ms = 20, .shutdown_code = 1012 }, echo);
    net_client clients[CLIENTS];
    int done = 0;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = net_ws_connect(net);
    cre_engine_shutdown(net->engine, 600000, count_call, &done);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQ(net_ws_expect_close(&clients[i]), 1012);
        net_ws_send_close(&clients[i], 1012);
        net_await_end(&clients[i]);
        net_close(&clients[i]);
    }
    NET_UNTIL(net, done == 1);
    CHECK_EQ(net_stats(net).closed_by[CRE_CLOSED_SHUTDOWN], CLIENTS);
    net_stop(net);
}

/* Until its moment a connection is served; requests are finished and idle connections closed at once. */
TEST_BOTH(connections_are_served_until_their_moment) {
    net_server *net = net_start((cre_engine_config){ .http = true, .shutdown_spread_ms = 3600000 }, echo);
    net_client clients[CLIENTS], idle = net_connect(net);
    int done = 0, open = 0;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = net_ws_connect(net);
    cre_engine_shutdown(net->engine, 7200000, count_call, &done);
    net_await_end(&idle);
    net_close(&idle);
    for (int i = 0; i < CLIENTS; i++) {
        cre_ws_frame frame;
        net_ws_text(&clients[i], "still here");
        REQUIRE(net_ws_next(&clients[i], &frame));
        open += frame.opcode == CRE_WS_TEXT;
        net_take(&clients[i], frame.size);
    }
    CHECK(open > 0);
    CHECK_EQ(done, 0);
    cre_engine_shutdown(net->engine, 0, NULL, NULL);
    NET_UNTIL(net, done == 1);
    for (int i = 0; i < CLIENTS; i++)
        net_close(&clients[i]);
    net_stop(net);
}

/* A time that is longer than the limit of the shutdown is cut. */
TEST(the_time_ends_before_the_deadline) {
    net_server *net = net_start((cre_engine_config){ .shutdown_spread_ms = 3600000 }, echo);
    net_client client = net_ws_connect(net);
    int done = 0;
    cre_engine_shutdown(net->engine, 30, count_call, &done);
    NET_UNTIL(net, done == 1);
    net_close(&client);
    net_stop(net);
}

TEST(an_engine_is_destroyed_meanwhile) {
    net_server *net = net_start((cre_engine_config){ .shutdown_spread_ms = 3600000 }, echo);
    net_client client = net_ws_connect(net);
    cre_engine_shutdown(net->engine, 7200000, NULL, NULL);
    net_settle(net);
    net_stop(net);
    net_close(&client);
}

/* Without memory all are closed at once. */
TEST(without_memory_all_are_closed_at_once) {
    for (long n = 1; n <= 2; n++) {
        net_server *net = net_start((cre_engine_config){ .shutdown_spread_ms = 3600000 }, echo);
        net_client client = net_ws_connect(net);
        test_fail_at = n;
        cre_engine_shutdown(net->engine, 7200000, NULL, NULL);
        test_fail_at = 0;
        CHECK_EQ(net_ws_expect_close(&client), 1001);
        net_close(&client);
        net_stop(net);
    }
}

TEST(invalid_codes_are_refused) {
    cre_loop *loop;
    cre_engine *engine;
    REQUIRE(cre_loop_create(&loop) == 0);
    cre_engine_config config = { .size = sizeof config, .on_event = net_on_event, .shutdown_code = 1005 };
    CHECK_EQ(cre_engine_create(loop, &config, &engine), CRE_EINVALID);
    cre_loop_destroy(loop);
}

TEST_MAIN()
