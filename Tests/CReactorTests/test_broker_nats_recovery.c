/* Recoveries at a cluster of NATS: from the leader of the stream, or from any server that has it. */
#include <creactor/error.h>

#include "core/shard.h"
#include "played_cluster.h"

/* A new leader has not read up to a client's position yet. */
TEST(a_recovery_at_a_new_leader) {
    begin();
    publish(6);
    publish(8);
    pass(3000);
    cluster.leader = "b";
    cluster.read[6] = cluster.read[8] = false;
    recover(6);
    CHECK_EQ(machine.recovered, 0);
    pass(2000);
    CHECK_EQ(machine.recovered, 0);
    cluster.read[6] = cluster.read[8] = true;
    pass(1000);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, 0);
    CHECK_EQ(machine.missed, 1);
    finish(8);
}

/* It dies, too. The one after it has time to read, however long there was none. */
TEST(a_recovery_at_a_second_new_leader) {
    begin();
    publish(6);
    publish(8);
    pass(3000);
    cluster.leader = "b";
    cluster.read[6] = cluster.read[8] = false;
    recover(6);
    cluster.silent = true;
    pass(10000);
    cluster.leader = "c";
    cluster.silent = false;
    pass(2000);
    CHECK_EQ(machine.recovered, 0);
    cluster.read[6] = cluster.read[8] = true;
    pass(1000);
    check_recovered(1);
    finish(8);
}

/* Of a leader that has been there for long, the answer is final. */
TEST(a_recovery_of_a_message_that_was_deleted) {
    begin();
    cluster.read[2] = false;
    recover(2);
    pass(400); /* the broker asks whether the leader is another one */
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    finish(4);
}

/* Any server that has the stream serves for a recovery. */
TEST(a_recovery_without_a_leader) {
    begin_with(BATCHES);
    publish(6);
    publish(8);
    cluster.silent = true;
    pass(5000); /* the stream is asked for all the time */
    recover(4);
    check_recovered(2);
    CHECK_EQ(cluster.direct_reads, 1);
    cluster.silent = false;
    pass(1000);
    finish(8);
}

/* Each message would come from another server, so nothing shows that all of them have come. */
TEST(a_recovery_at_servers_without_batches) {
    begin_with(SINGLE);
    publish(6);
    publish(8);
    cluster.silent = true;
    pass(5000);
    recover(4);
    pass(3000);
    CHECK_EQ(machine.recovered, 0);
    cluster.silent = false;
    pass(1000);
    check_recovered(2);
    CHECK_EQ(cluster.direct_reads, 1);
    finish(8);
}

TEST(a_recovery_without_a_leader_after_a_loss_of_the_connection) {
    begin_with(BATCHES);
    publish(6);
    cluster.silent = true;
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    pass(1000);
    connect_broker();
    recover(4);
    CHECK_EQ(machine.recovered, 0); /* the stream may be another one now */
    pass(1500);
    check_recovered(1);
    cluster.silent = false;
    pass(1000);
    finish(6);
}

/* A server that does not have all messages yet is believed nothing but what it has. */
TEST(a_recovery_at_a_server_that_is_behind) {
    for (int first = 4; first <= 8; first += 2) {
        begin_with(first == 6 ? SINGLE : BATCHES);
        publish(6);
        publish(8);
        for (int i = first; i <= 8; i++)
            cluster.applied[i] = false;
        recover(4);
        check_recovered(2);
        cluster.silent = true;
        pass(3000);
        recover(4);
        pass(3000);
        CHECK_EQ(machine.recovered, 0);
        cluster.silent = false;
        pass(2000);
        check_recovered(2);
        finish(8);
    }
}

/* Such a server does not know that messages are missing which it never had. */
TEST(a_recovery_at_a_server_without_the_first_message) {
    begin_with(BATCHES);
    publish(6);
    publish(8);
    cluster.applied[4] = false;
    recover(4);
    check_recovered(2);
    finish(8);
}

/* Each server deletes what is too old by its own clock. The leader has deleted what another one, which does
 * not have the last messages yet, has kept. */
TEST(a_recovery_at_servers_with_different_clocks) {
    for (direct_replies direct = SINGLE; direct <= BATCHES; direct++) {
        begin_with(direct);
        for (int i = 6; i <= 20; i += 2)
            publish(i);
        cluster.read[4] = cluster.read[6] = cluster.read[8] = false;
        for (int i = 8; i <= 20; i++)
            cluster.applied[i] = false;
        recover(4);
        pass(6000); /* the leader may have just been elected */
        CHECK_EQ(machine.recovered, 1);
        CHECK_EQ(machine.result, CRE_EBROKER_GAP);
        CHECK_EQ(machine.missed, 0);
        finish(20);
    }
}

/* The second request would reach a server that has deleted more than the first one. */
static void expire(void) {
    if (cluster.direct_reads == 1) cluster.applied[8] = cluster.applied[10] = false;
}

TEST(a_recovery_of_more_messages_than_a_batch_has) {
    begin_with(BATCHES);
    for (int i = 6; i <= 20; i += 2)
        publish(i);
    cluster.batch = 2;
    const cre_broker_position since = { machine.epoch, 4 };
    machine.last_missed = 4;
    CHECK_EQ(cre_broker_recover(machine.broker, text("news"), kept, since, 1), 0);
    cre_broker_tick(machine.broker, machine.now);
    serve(expire);
    check_recovered(8);
    CHECK_EQ(cluster.direct_reads, 1);
    finish(20);
}

/* Others send too few messages, or one too many. */
TEST(recoveries_at_servers_of_versions) {
    static const struct {
        const char *version;
        int reads;
    } cases[] = { { "2.12.0", 1 }, { "2.12.0-RC.1", 1 }, { "2.15.1", 1 },     { "3.0.0", 1 },
                  { "2.11.9", 0 }, { "2.9.25", 0 },      { "1.99.0", 0 },     { "2", 0 },
                  { "", 0 },       { "v2.12.0", 0 },     { "99999999.99", 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_with(BATCHES);
        cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
        pass(1000);
        cluster.version = cases[i].version;
        connect_broker();
        pass(1000);
        recover(2);
        check_recovered(1);
        CHECK_EQ(cluster.direct_reads, cases[i].reads);
        finish(4);
    }
}

/* The third message becomes too old while the server sends the batch, and so do those before it. */
TEST(a_recovery_while_messages_of_a_batch_expire) {
    begin_with(BATCHES);
    for (int i = 6; i <= 20; i += 2)
        publish(i);
    cluster.aged = 8;
    recover(4);
    check_recovered(8);
    CHECK_EQ(cluster.direct_reads, 1);
    finish(20);
}

/* The leader dies behind the second message. The next one has deleted the third one, and what was before it.
 */
static void elect(void) {
    if (!cluster.reading || cluster.reads != 2) return;
    cluster.silent = true;
    cluster.read[4] = cluster.read[6] = cluster.read[8] = false;
}

/* The third message becomes too old before it is read, and so do those before it. */
static void age(void) {
    if (cluster.reading && cluster.reads == 2) cluster.read[4] = cluster.read[6] = cluster.read[8] = false;
}

static void age_all(void) {
    if (cluster.reading && cluster.reads == 1) memset(cluster.read, 0, sizeof cluster.read);
}

TEST(a_recovery_while_messages_expire) {
    for (int all = 0; all < 2; all++) {
        begin();
        for (int i = 6; i <= 20; i += 2)
            publish(i);
        const cre_broker_position since = { machine.epoch, 4 };
        cluster.reads = 0;
        machine.last_missed = 4;
        CHECK_EQ(cre_broker_recover(machine.broker, text("news"), kept, since, 1), 0);
        cre_broker_tick(machine.broker, machine.now);
        serve(all ? age_all : age);
        pass(1000); /* the broker asks whether the leader is another one */
        CHECK_EQ(machine.recovered, 1);
        CHECK_EQ(machine.result, CRE_EBROKER_GAP);
        CHECK_EQ(machine.missed, 0);
        finish(20);
    }
}

/* The broker has been away for as long as the history keeps messages, and the message of its position is
 * still there. */
static void return_late(void (*meanwhile)(void)) {
    begin();
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    machine.now += kept.seconds * 1000;
    for (int i = 6; i <= 20; i += 2)
        store(i);
    cluster.ignored = "";
    connect_broker();
    pass(10000);
    CHECK_EQ(machine.count, 2);
    cluster.ignored = NULL;
    cluster.reads = 0;
    while (!cluster.reads) {
        machine.now += 100;
        cre_broker_tick(machine.broker, machine.now);
        serve(meanwhile);
    }
}

TEST(a_late_return) {
    return_late(NULL);
    finish(20);
}

TEST(a_late_return_while_messages_expire) {
    return_late(age);
    pass(6000); /* the leader may have just been elected */
    CHECK_EQ(machine.count, 2);
    CHECK_EQ(machine.lost, 1);
    publish(22);
    CHECK_EQ(machine.count, 3);
    cre_broker_destroy(machine.broker);
}

/* When everything is read and the message of the position is asked for again, another gap appears. */
static void leave_gap(void) {
    if (!cluster.reading || cluster.reads != 10 || cluster.last > 20) return;
    store(22);
    publish(24);
}

TEST(a_late_return_with_another_gap) {
    return_late(leave_gap);
    finish(24);
}

/* Messages come, and as many expire. */
static void publish_for(uint64_t milliseconds, const int *ended) {
    for (uint64_t passed = 0; passed < milliseconds && !*ended; passed += 200) {
        publish(cluster.last + 2);
        memset(cluster.read, 0, sizeof cluster.read[0] * (size_t)(cluster.last - 30));
        pass(200);
    }
}

/* Messages that come all the time, and are fewer than the history has, do not keep it going. */
TEST(a_recovery_of_an_expired_message_of_a_busy_topic) {
    begin();
    while (cluster.last < 40)
        publish(cluster.last + 2);
    publish_for(200, &machine.recovered);
    recover(2);
    publish_for(10000, &machine.recovered);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    CHECK_EQ(machine.missed, 0);
    finish(cluster.last);
}

TEST(a_return_to_a_busy_topic_after_its_messages_have_expired) {
    begin();
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    machine.now += kept.seconds * 1000 + 1000;
    for (int i = 6; i <= 40; i += 2)
        store(i);
    memset(cluster.read, 0, sizeof cluster.read[0] * 10);
    connect_broker();
    publish_for(10000, &machine.lost);
    CHECK_EQ(machine.lost, 1);
    const int count = machine.count;
    publish(cluster.last + 2);
    pass(100);
    CHECK_EQ(machine.count, count + 1);
    cre_broker_destroy(machine.broker);
}

TEST(a_recovery_at_two_leaders) {
    begin();
    for (int i = 6; i <= 20; i += 2)
        publish(i);
    const cre_broker_position since = { machine.epoch, 4 };
    machine.last_missed = 4;
    cluster.reads = 0;
    CHECK_EQ(cre_broker_recover(machine.broker, text("news"), kept, since, 1), 0);
    cre_broker_tick(machine.broker, machine.now);
    serve(elect);
    cluster.leader = "b";
    pass(2000);
    CHECK_EQ(machine.recovered, 0);
    cluster.silent = false;
    pass(8000);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    CHECK_EQ(machine.missed, 0);
    finish(20);
}

/* Where live messages are not known the leader says which one is the last. */
TEST(a_recovery_of_a_topic_that_is_not_subscribed) {
    begin_with(BATCHES);
    const int reads = cluster.reads;
    recover_of("other", 2);
    check_recovered(1);
    CHECK_EQ(cluster.direct_reads, 0);
    CHECK_EQ(cluster.reads, reads + 4);
    finish(4);
}

/* The reply of any server may come before live messages. */
TEST(a_recovery_of_a_message_that_was_not_delivered_yet) {
    begin_with(BATCHES);
    store(6);
    const int reads = cluster.reads;
    recover(4);
    check_recovered(1);
    CHECK_EQ(cluster.direct_reads, 1);
    CHECK_EQ(cluster.reads, reads + 4);
    pass(3000);
    finish(6);
}

TEST(a_recovery_where_only_the_leader_answers) {
    for (direct_replies direct = NOBODY; direct <= NOTHING; direct++) {
        begin_with(direct);
        for (int i = 0; i < 2; i++) {
            recover(2);
            pass(direct == NOTHING ? 2000 : 1000);
            check_recovered(1);
        }
        CHECK_EQ(cluster.direct_reads, direct == DENIED ? 1 : direct == NOBODY ? 2 : 4);
        finish(4);
    }
}

/* It would end at a message that comes later. */
TEST(a_recovery_of_a_topic_that_is_new) {
    for (int late = 0; late < 2; late++) {
        create();
        store(2);
        store(4);
        connect_broker();
        machine.epoch = cre__shard_hash(text("today")) | 1;
        recover(2);
        CHECK_EQ(machine.recovered, 0);
        if (late)
            pass(1000);
        else
            republish(4);
        pass(100);
        check_recovered(1);
        CHECK_EQ(machine.position, 4);
        cre_broker_destroy(machine.broker);
    }
}

/* Each request to a leader has one reply, whatever headers that has. */
TEST(a_recovery_at_a_leader_that_counts) {
    begin_with(NOBODY);
    cluster.counts = true;
    recover(2);
    check_recovered(1);
    pass(2000); /* no request is left that times out */
    CHECK_EQ(machine.recovered, 1);
    finish(4);
}

/* It ends before all of them have arrived. */
TEST(a_recovery_of_too_many_messages) {
    begin_with(BATCHES);
    for (int i = 6; i <= 44; i += 2)
        publish(i);
    recover(2);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    CHECK_EQ(machine.missed, 0);
    recover(4);
    check_recovered(20);
    finish(44);
}

/* Before the second question the history has got more messages than it keeps. */
static void overflow(void) {
    if (!cluster.reading || cluster.reads != 1) return;
    for (int i = 0; i < 25; i++)
        publish(cluster.last + 2);
    for (int i = 0; i < cluster.last - 2 * (int)kept.count; i++)
        cluster.read[i] = false;
}

/* What the stream has deleted since the first message was read must not be missing. */
TEST(a_recovery_while_messages_are_deleted) {
    begin();
    const cre_broker_position since = { machine.epoch, 2 };
    cluster.reads = 0;
    machine.last_missed = 2;
    CHECK_EQ(cre_broker_recover(machine.broker, text("news"), kept, since, 1), 0);
    cre_broker_tick(machine.broker, machine.now);
    serve(overflow);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    CHECK_EQ(machine.missed, 0);
    finish(54);
}

TEST_MAIN()
