/* Recoveries at a cluster of NATS that have to wait, and what does not wait for them. */
#include <creactor/error.h>

#include "played_cluster.h"

/* It ends after 15 seconds, whether the leader is missing, or some of its replies are. */
TEST(a_recovery_that_nobody_answers) {
    for (int i = 0; i < 4; i++) {
        begin_with(i == 3 ? NOTHING : NOT_ALLOWED);
        cluster.silent = i != 1;
        cluster.ignored = i ? "\"seq\"" : NULL;
        if (i != 2) pass(5000);
        recover(2);
        pass(13000);
        CHECK_EQ(machine.recovered, 0);
        pass(4000);
        CHECK_EQ(machine.recovered, 1);
        CHECK_EQ(machine.result, CRE_EBROKER_SILENT);
        cluster.silent = false;
        cluster.ignored = NULL;
        cluster.direct = NOT_ALLOWED;
        pass(2000);
        recover(2);
        check_recovered(1);
        finish(4);
    }
}

/* What cannot be had from any server is not asked for again until the connection ends: it would be an error
 * of the server and a line of the log for each client. */
TEST(recoveries_at_leaders_only) {
    for (direct_replies direct = NOT_ALLOWED; direct <= DENIED; direct++) {
        if (direct == BATCHES || direct == NOBODY) continue;
        begin_with(direct);
        for (int i = 0; i < 3; i++) {
            recover(2);
            check_recovered(1);
            pass(3000); /* the stream is polled */
        }
        CHECK_EQ(cluster.direct_reads, direct != NOT_ALLOWED);
        cluster.silent = true;
        for (int i = 1; i <= 2; i++) {
            cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
            pass(1000);
            connect_broker();
            pass(2000);
            recover(2);
            recover(2);
            CHECK_EQ(cluster.direct_reads, i + (direct != NOT_ALLOWED));
        }
        cre_broker_destroy(machine.broker);
    }
}

/* The server that is asked has died. The next one has not. */
TEST(a_recovery_at_a_server_that_died) {
    begin_with(NOTHING);
    cluster.silent = true;
    recover(2);
    cluster.direct = BATCHES;
    pass(800);
    CHECK_EQ(machine.recovered, 0);
    pass(200);
    check_recovered(1);
    CHECK_EQ(cluster.direct_reads, 2);
    cluster.silent = false;
    pass(1000);
    finish(4);
}

/* Those that wait for the leader of a stream do not keep others waiting. */
TEST(recoveries_beside_some_that_need_a_dead_leader) {
    static const cre_broker_history other = { .count = 20, .seconds = 700 };
    begin_with(BATCHES);
    const cre_broker_position since = { machine.epoch, 2 };
    cluster.silent = true;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(cre_broker_recover(machine.broker, text("idle"), kept, since, 1), 0);
    pass(100);
    recover(2);
    check_recovered(1);
    pass(2000);
    machine.last_missed = 2;
    CHECK_EQ(cre_broker_recover(machine.broker, text("idle"), other, since, 2), 0);
    pass(100);
    CHECK_EQ(machine.recovered, 2);
    CHECK_EQ(machine.result, 0);
    machine.last_missed = 2;
    cluster.silent = false;
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    CHECK_EQ(machine.recovered, 102);
    pass(1000);
    connect_broker();
    finish(4);
}

/* Clients claim positions that no leader has, or that are too old. */
TEST(recoveries_that_ask_again) {
    begin();
    const cre_broker_position claimed = { machine.epoch, 120 };
    for (int i = 0; i < 100; i++)
        CHECK_EQ(cre_broker_recover(machine.broker, text("idle"), kept, claimed, 1), 0);
    pass(300);
    recover(2);
    check_recovered(1);
    pass(6000);
    CHECK_EQ(machine.recovered, 101);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    /* nor do recoveries without replies keep topics from being checked */
    cluster.ignored = "\"seq\":120";
    for (int i = 0; i < 100; i++)
        CHECK_EQ(cre_broker_recover(machine.broker, text("idle"), kept, claimed, 1), 0);
    pass(100);
    store(6);
    publish(8);
    pass(100);
    finish(8);
}

/* Recoveries do not keep a connection from being ready, wherever they wait for replies. */
TEST(recoveries_all_the_time) {
    for (direct_replies direct = NOT_ALLOWED; direct <= NOTHING; direct++) {
        begin_with(direct);
        publish(6);
        cluster.silent = direct == NOTHING;
        cluster.ignored = "";
        cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
        pass(1000);
        connect_broker();
        const cre_broker_position since = { machine.epoch, 4 };
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(cre_broker_recover(machine.broker, text("idle"), kept, since, 1), 0);
            machine.last_missed = 4;
            CHECK_EQ(cre_broker_recover(machine.broker, text("news"), kept, since, 1), 0);
            pass(500);
        }
        CHECK(cre_broker_is_connected(machine.broker, 0));
        cre_broker_destroy(machine.broker);
    }
}

/* Nor do topics that are subscribed when it has begun. */
TEST(new_topics_all_the_time) {
    begin();
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    pass(1000);
    cluster.ignored = "";
    connect_broker();
    CHECK(!cre_broker_is_connected(machine.broker, 0)); /* "news" is not checked yet */
    cluster.ignored = "later";
    for (int i = 0; i < 10; i++) {
        const cre_broker_history history = { .count = 20, .seconds = 601 + (uint32_t)i };
        char topic[16];
        snprintf(topic, sizeof topic, "later%d", i);
        CHECK_EQ(cre_broker_subscribe(machine.broker, text(topic), i % 2 ? history : kept), 0);
        pass(500);
    }
    CHECK(cre_broker_is_connected(machine.broker, 0));
    cre_broker_destroy(machine.broker);
}

TEST_MAIN()
