/*
 * A broker at a cluster of NATS whose servers do not deliver all that they have stored: messages that a new
 * leader has stored without publishing them, or that were lost between two servers.
 */
#include "played_cluster.h"

TEST(the_last_message_of_a_leader_that_died) {
    begin();
    store(6);
    cluster.leader = "b";
    pass(3000);
    finish(6);
}

/* It answers before it has read everything. */
TEST(a_leader_that_reads_late) {
    begin();
    cluster.leader = "b";
    pass(3000);
    store(6);
    pass(5000);
    finish(6);
}

TEST(a_message_lost_between_servers) {
    begin();
    store(6);
    pass(3000);
    CHECK_EQ(machine.count, 3);
    const int reads = cluster.reads;
    pass(60000); /* nothing new: nothing is read */
    CHECK_EQ(cluster.reads, reads);
    CHECK(cluster.polls >= 30);
    finish(6);
}

/* The broker does not know the stream when messages arrive, nor when it loses the connection. */
TEST(a_connection_lost_before_the_stream_is_known) {
    create();
    cluster.silent = true;
    connect_broker();
    publish(2);
    publish(4);
    pass(3000);
    CHECK_EQ(machine.count, 2);
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    store(6);
    pass(1000);
    connect_broker();
    publish(8);
    pass(3000);
    publish(10);
    CHECK_EQ(machine.count, 2);
    cluster.silent = false;
    pass(2000);
    finish(10);
}

/* The first reply about the stream is older than what was delivered before. */
TEST(messages_before_the_stream_is_known) {
    create();
    cluster.silent = true;
    connect_broker();
    publish(2);
    publish(4);
    cluster.last = 2;
    cluster.stored[6] = cluster.read[6] = true; /* which nobody delivers */
    cluster.silent = false;
    pass(2000);
    finish(6);
}

/* Nor has the leader found all of them when it replies. */
TEST(messages_that_the_leader_does_not_find_yet) {
    create();
    cluster.silent = true;
    connect_broker();
    publish(2);
    publish(4);
    cluster.read[4] = false;
    cluster.last = 2;
    cluster.silent = false;
    pass(2000);
    CHECK_EQ(machine.position, 4);
    cluster.read[4] = true;
    publish(6);
    pass(2000);
    finish(6);
}

static void publish_next(void) {
    if (cluster.last < 40) publish(cluster.last + 2);
}

/* With each question another message arrives. They are not read again. */
TEST(a_gap_of_a_busy_topic) {
    begin();
    store(6);
    const int reads = cluster.reads;
    publish(8);
    cre_broker_tick(machine.broker, machine.now);
    serve(publish_next);
    CHECK(cluster.reads - reads <= 3);
    while (cluster.last < 40)
        publish_next();
    finish(40);
}

/* More messages than the history has, of which it has the last one only. */
static void publish_many(void) {
    if (!cluster.reading || cluster.last > 8) return;
    for (int i = 0; i < 22; i++) {
        cluster.read[cluster.last] = false;
        publish(cluster.last + 2);
    }
}

/* Nothing is missing: what the topic has got meanwhile follows its position. */
TEST(an_audit_of_a_topic_whose_messages_are_deleted) {
    begin();
    const int reads = cluster.reads;
    machine.now += 2000;
    cre_broker_tick(machine.broker, machine.now);
    serve(publish_many);
    CHECK(cluster.reads > reads);
    finish(48);
}

/* While a topic is read, messages are lost again. */
TEST(a_second_gap) {
    begin();
    store(6);
    publish(8);
    store(10);
    publish(12);
    publish(14);
    cre_broker_tick(machine.broker, machine.now);
    serve(NULL);
    finish(14);
}

TEST(a_published_message_that_the_leader_does_not_find_yet) {
    begin();
    publish(6);
    cluster.stored[8] = true;
    cluster.last = 10;
    cluster.stored[10] = true;
    republish(10);
    pass(3000);
    CHECK_EQ(machine.count, 3);
    store(8);
    store(10);
    pass(1000);
    finish(10);
}

/* It will not find it. */
TEST(a_published_message_that_nobody_has) {
    begin();
    cluster.stored[6] = cluster.stored[8] = true;
    republish(8);
    pass(4000);
    CHECK_EQ(machine.lost, 0);
    pass(4000);
    CHECK_EQ(machine.lost, 1);
    publish(10);
    pass(1000);
    CHECK_EQ(machine.received[machine.count - 1], 10);
    cre_broker_destroy(machine.broker);
}

/* ---- topics that are new ---- */

/* Its leader replies that 4 is the last message before it publishes that. */
static void subscribe_early(void) {
    create();
    store(2);
    store(4);
    connect_broker();
    CHECK_EQ(machine.positions, 0);
}

TEST(a_message_behind_the_reply_that_names_it) {
    subscribe_early();
    republish(4);
    publish(6);
    pass(3000);
    CHECK_EQ(machine.positions, 0);
    CHECK_EQ(machine.count, 2);
    CHECK_EQ(machine.received[0], 4);
    cre_broker_destroy(machine.broker);
}

TEST(messages_behind_the_reply_that_names_the_last_one) {
    subscribe_early();
    republish(2);
    republish(4);
    pass(3000);
    CHECK_EQ(machine.positions, 0);
    finish(4);
}

/* Of which the last one is lost. */
TEST(a_loss_behind_the_reply_that_names_it) {
    subscribe_early();
    republish(2);
    publish(6);
    pass(100);
    finish(6);
}

TEST(a_loss_behind_a_new_position) {
    subscribe_early();
    store(6);
    publish(8);
    pass(3000);
    CHECK_EQ(machine.count, 2);
    CHECK_EQ(machine.received[0], 6);
    cre_broker_destroy(machine.broker);
}

/* Its position is reported when the last message would have come. */
TEST(a_new_topic_that_is_quiet) {
    subscribe_early();
    pass(900);
    CHECK_EQ(machine.positions, 0);
    pass(200);
    CHECK_EQ(machine.positions, 1);
    CHECK_EQ(machine.position, 4);
    publish(6);
    CHECK_EQ(machine.count, 1);
    CHECK_EQ(machine.lost, 0);
    cre_broker_destroy(machine.broker);
}

/* When the stream has had that message for long, or later ones have come, it is known at once. */
TEST(a_new_topic_of_a_known_stream) {
    begin();
    for (int i = 0; i < 2; i++) {
        const int before = machine.positions;
        CHECK_EQ(cre_broker_subscribe(machine.broker, text(i ? "second" : "first"), kept), 0);
        cre_broker_tick(machine.broker, machine.now);
        serve(NULL);
        CHECK_EQ(machine.positions, before + 1);
        CHECK_EQ(machine.position, i ? 6 : 4);
        store(6);
        pass(5000);
    }
    cre_broker_destroy(machine.broker);
}

/* A later message of another topic has come before its time. */
TEST(a_new_topic_of_a_busy_stream) {
    subscribe_early();
    CHECK_EQ(cre_broker_subscribe(machine.broker, text("other"), kept), 0);
    pass(100);
    publish(6);
    machine.positions = 0;
    pass(100);
    CHECK_EQ(machine.positions, 1); /* of the other one */
    CHECK_EQ(machine.count, 1);
    cre_broker_destroy(machine.broker);
}

/* A server alone is not polled, and has clocks. */
TEST(a_new_topic_that_was_quiet_for_long) {
    for (int i = 0; i < 4; i++) {
        create();
        cluster.alone = true;
        cluster.time = i == 2 ? NULL : "1970-01-03T00:02:00.123456789Z";
        cluster.stored_at = i == 0   ? "1970-01-03T00:00:30.5Z"
                            : i == 1 ? "1970-01-03T00:01:30Z"
                                     : "1970-01-01T00:00:00Z";
        if (i == 3) cluster.stored_at = "1970-01-04T00:00:00Z";
        store(2);
        connect_broker();
        CHECK_EQ(machine.positions, i == 0);
        pass(1100);
        CHECK_EQ(machine.positions, 1);
        CHECK_EQ(machine.position, 2);
        cre_broker_destroy(machine.broker);
    }
}

TEST(a_new_topic_whose_connection_is_lost) {
    subscribe_early();
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    CHECK_EQ(machine.position, 4);
    store(6);
    pass(1000);
    connect_broker();
    pass(1000);
    CHECK_EQ(machine.positions, 1);
    CHECK_EQ(machine.count, 1);
    CHECK_EQ(machine.received[0], 6);
    cre_broker_destroy(machine.broker);
}

TEST(a_new_topic_that_is_left) {
    subscribe_early();
    cre_broker_unsubscribe(machine.broker, text("news"));
    pass(3000);
    CHECK_EQ(machine.positions, 0);
    cre_broker_destroy(machine.broker);
}

/* The one before it dies with its last message. */
TEST(a_new_topic_at_a_new_leader) {
    subscribe_early();
    store(6);
    cluster.leader = "b";
    machine.now += 500;
    cluster.silent = true;
    pass(3000);
    cluster.silent = false;
    pass(3000);
    CHECK_EQ(machine.count, 1);
    CHECK_EQ(machine.received[0], 6);
    cre_broker_destroy(machine.broker);
}

/* A message with an old number makes the broker ask a server for its stream again. */
TEST(a_new_topic_while_the_stream_is_asked_for) {
    create();
    cluster.alone = true;
    connect_broker();
    publish(2);
    pass(5000);
    publish(4);
    republish(2);
    cre_broker_tick(machine.broker, machine.now); /* the question is sent */
    const int before = machine.positions;
    CHECK_EQ(cre_broker_subscribe(machine.broker, text("other"), kept), 0);
    pass(2000);
    CHECK_EQ(machine.positions, before + 1);
    CHECK_EQ(machine.position, 4);
    cre_broker_destroy(machine.broker);
}

TEST_MAIN()
