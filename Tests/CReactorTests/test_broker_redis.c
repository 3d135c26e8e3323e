/*
 * Messages of two machines at a real server of Redis, which is started here and killed. Skipped where
 * redis-server is not installed.
 */
#include "real_brokers.h"
#include "redis_process.h"

static void begin(bool persistent) {
    redis_start(persistent);
    start_machines();
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), kept), 0);
    WAIT(machines[0].established == 1 && machines[1].established == 1);
}

static void finish(void) {
    stop_machines();
    redis_kill();
}

TEST(history) {
    int number = 0;
    begin(false);
    publish_up_to(&number, 900);
    WAIT(machines[1].received == 900 && machines[0].published == 900);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    CHECK_EQ(machines[1].position.offset, 900);

    const cre_broker_position first = { machines[1].position.epoch, 0 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, first, 1), 0);
    WAIT(machines[0].recovered == 1);
    CHECK_EQ(machines[0].recover_result, 0);
    CHECK_EQ(machines[0].missed, 900);
    const cre_broker_position other = { first.epoch ^ 2, 5 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, other, 1), 0);
    WAIT(machines[0].recovered == 2);
    CHECK_EQ(machines[0].recover_result, CRE_EBROKER_GAP);
    CHECK_EQ(machines[0].missed, 900);
    /* A client has made a position up: there are no messages behind it, and the history stays. */
    const cre_broker_position invented = { first.epoch, 1000 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, invented, 1), 0);
    WAIT(machines[0].recovered == 3);
    CHECK_EQ(machines[0].recover_result, CRE_EBROKER_GAP);
    publish_up_to(&number, 901);
    WAIT(machines[1].received == 901);
    CHECK_EQ(machines[1].position.epoch, first.epoch);
    CHECK_EQ(machines[1].position.offset, 901);
    CHECK_EQ(machines[1].lost, 0);
    finish();
}

/* Trimming by the server: recovery is possible from the oldest message on that is there. */
TEST(trimmed_history) {
    begin(false);
    for (int i = 1; i <= 20; i++) {
        const cre_broker_history five = { .count = 5, .seconds = 600 };
        CHECK_EQ(cre_broker_publish(machines[0].broker, text("news"), text("x"), five, 1), 0);
    }
    WAIT(machines[0].published == 20 && machines[1].position.offset == 20);
    for (uint64_t since = 13; since <= 17; since++) {
        machines[0].missed = (int)since; /* `missed` checks offsets */
        machines[0].recovered = 0;
        const cre_broker_position position = { machines[1].position.epoch, since };
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, position, 1), 0);
        WAIT(machines[0].recovered == 1);
        CHECK_EQ(machines[0].recover_result, since < 15 ? CRE_EBROKER_GAP : 0);
        CHECK_EQ(machines[0].missed, since < 15 ? (int)since : 20);
    }
    finish();
}

/* Redis has counted an offset that no message has. The messages behind it are not lost for that. */
TEST(missing_offset) {
    begin(false);
    real.has_gaps = true;
    for (int i = 1; i <= 10; i++) {
        publish(i);
        if (i != 5) continue;
        WAIT(machines[0].published == 5 && machines[1].received == 5);
        REQUIRE(redis_cli("hincrby $(redis-cli -s %s keys '*:m:news') s 1 | grep -q 6", redis_socket()));
    }
    WAIT(machines[0].published == 10 && machines[1].received == 10);
    CHECK_EQ(machines[1].position.offset, 11);
    CHECK_EQ(machines[1].lost + machines[1].doubled, 0);
    for (uint64_t since = 4; since <= 6; since++) {
        machines[0].missed = 0;
        machines[0].recovered = 0;
        const cre_broker_position position = { machines[1].position.epoch, since };
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, position, 1), 0);
        WAIT(machines[0].recovered == 1);
        CHECK_EQ(machines[0].recover_result, 0);
        CHECK_EQ(machines[0].missed, since == 4 ? 6 : 5);
    }
    real.has_gaps = false;
    finish();
}

/* Connections are reset while messages are published: each message arrives once, in order. */
TEST(broken_connections) {
    int number = 0;
    begin(false);
    for (int round = 0; round < 30; round++) {
        publish_up_to(&number, number + 40);
        machine *m = &machines[round % 3 == 0 ? 0 : 1];
        if (m->fd >= 0 && !m->connecting) lose(m, -ECONNRESET, milliseconds());
    }
    WAIT(machines[1].received >= number && machines[0].published == number);
    CHECK_EQ(machines[1].received, number);
    CHECK_EQ(machines[1].last, number);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    finish();
}

/* A server that writes everything to its disk is killed: nothing is lost. */
TEST(killed_server_with_persistence) {
    int number = 0;
    begin(true);
    for (int round = 0; round < 3; round++) {
        publish_up_to(&number, number + 200);
        redis_kill();
        publish_up_to(&number, number + 50); /* these wait */
        redis_start(true);
        WAIT(cre_broker_is_connected(machines[0].broker, 0) &&
             cre_broker_is_connected(machines[1].broker, 0));
    }
    WAIT(machines[1].received >= number && machines[0].published == number);
    CHECK_EQ(machines[1].received, number);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    finish();
}

/* Without its data the server starts a new history, and that is reported. All messages that were accepted
 * after that arrive, whichever machine connects first. */
TEST(killed_server_without_persistence) {
    int number = 0;
    begin(false);
    publish_up_to(&number, 100);
    WAIT(machines[1].received == 100 && machines[0].published == 100);
    redis_kill();
    redis_start(false);
    publish_up_to(&number, 150);
    WAIT(machines[0].published == 150 && machines[1].lost == 1);
    publish_up_to(&number, 160);
    WAIT(machines[1].last == 160);
    CHECK_EQ(machines[1].received, 160);
    CHECK_EQ(machines[1].position.offset, 60);

    stop_machine(1);
    start_machine(1);
    machines[1].last = 160;
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), kept), 0);
    WAIT(machines[1].established == 1);
    publish_up_to(&number, 170);
    WAIT(machines[1].received == 10 && machines[0].published == 170);
    redis_kill();
    lose(&machines[1], -ECONNRESET, milliseconds() + 60000); /* it waits, and the other one is the first */
    redis_start(false);
    const int established = machines[0].established;
    WAIT(machines[0].established > established);
    publish_up_to(&number, 200);
    WAIT(machines[0].published == 200);
    REQUIRE(machines[1].established == 1);
    cre_broker_tick(machines[1].broker, milliseconds() + 120000);
    WAIT(machines[1].received == 40);
    CHECK_EQ(machines[1].lost, 1);
    CHECK_EQ(machines[1].disordered + machines[1].doubled, 0);
    finish();
}

/* The server has forgotten the positions of a topic that was idle for long: its next message arrives. The
 * positions of a topic that machines check are not forgotten. */
TEST(idle_topic) {
    int number = 0;
    begin(false);
    publish_up_to(&number, 10);
    WAIT(machines[1].received == 10 && machines[0].published == 10);
    REQUIRE(redis_cli("del $(redis-cli -s %s keys '*:m:news')", redis_socket()));
    publish_up_to(&number, 20);
    WAIT(machines[1].received == 20 && machines[0].published == 20);
    CHECK_EQ(machines[1].lost, 1);
    CHECK_EQ(machines[1].position.offset, 10);

    REQUIRE(redis_cli("expire $(redis-cli -s %s keys '*:m:news') 1000", redis_socket()));
    lose(&machines[1], -ECONNRESET, milliseconds());
    WAIT(machines[1].established == 2);
    REQUIRE(redis_cli("ttl $(redis-cli -s %s keys '*:m:news') | grep -q '60[0-9]...'", redis_socket()));
    CHECK_EQ(machines[1].lost, 1);
    CHECK_EQ(machines[1].disordered + machines[1].doubled, 0);
    finish();
}

/* A server refuses to write, as one without replicas does after a fail-over with `min-replicas-to-write`: the
 * messages wait, a machine that connects meanwhile gets what it has missed, and nothing is lost. */
TEST(server_that_does_not_write) {
    static const char *const settings[][2] = { { "min-replicas-to-write 1", "min-replicas-to-write 0" },
                                               { "maxmemory 1", "maxmemory 0" } };
    int number = 0;
    begin(false);
    publish_up_to(&number, 10);
    WAIT(machines[1].received == 10 && machines[0].published == 10);
    const int losses = machines[0].losses;
    for (int i = 0; i < 2; i++) {
        REQUIRE(redis_cli("config set %s", settings[i][0]));
        lose(&machines[1], -ECONNRESET, milliseconds());
        for (int j = 0; j < 50; j++)
            publish(++number);
        WAIT(machines[0].refusals == i + 1 && machines[1].established == i + 2);
        CHECK(strstr(machines[0].text, i ? "OOM" : "NOREPLICAS"));
        CHECK_EQ(machines[0].published, number - 50);
        REQUIRE(redis_cli("config set %s", settings[i][1]));
        WAIT(machines[1].received == number && machines[0].published == number);
    }
    CHECK_EQ(machines[0].losses, losses);
    CHECK_EQ(machines[0].failed + machines[1].lost, 0);
    CHECK_EQ(machines[1].disordered + machines[1].doubled, 0);
    finish();
}

/* Redis drops the connection of a machine that does not read, by its limit for subscribers. The machine gets
 * what it has missed in replies that are below that limit. */
TEST(slow_subscriber) {
    begin(false);
    REQUIRE(redis_cli("config set client-output-buffer-limit 'pubsub 1mb 0 0'"));
    publish(1);
    WAIT(machines[1].received == 1);
    const int losses = machines[1].losses;
    machines[1].stopped = true;
    for (int i = 2; i <= 400; i++)
        publish_bytes(i, 10000);
    publish_bytes(401, 120000);
    WAIT(machines[0].published == 401);
    machines[1].stopped = false;
    WAIT(machines[1].received == 401);
    CHECK_EQ(machines[1].losses, losses + 1);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost, 0);
    finish();
}

/* The same with many topics, all of which have missed something: 13 MB for the 6 MB that Redis keeps. */
TEST(slow_subscriber_of_many_topics) {
    enum { TOPICS = 200, EACH = 4 };
    char topic[16];
    begin(false);
    REQUIRE(redis_cli("config set client-output-buffer-limit 'pubsub 6mb 0 0'"));
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic %d", i);
        CHECK_EQ(cre_broker_subscribe(machines[1].broker, text(topic), kept), 0);
    }
    CHECK_EQ(cre_broker_recover(machines[1].broker, text(topic), kept, (cre_broker_position){ 0 }, 1), 0);
    WAIT(machines[1].recovered == 1); /* and the replies to the checks are here */
    const int losses = machines[1].losses, established = machines[1].established;
    machines[1].stopped = true;
    for (int i = 0; i < TOPICS * EACH; i++) {
        snprintf(topic, sizeof topic, "topic %d", i % TOPICS);
        publish_bytes_to(topic, i, 16000);
    }
    WAIT(machines[0].published == TOPICS * EACH);
    machines[1].stopped = false;
    WAIT(machines[1].established > established);
    CHECK_EQ(machines[1].received, TOPICS * EACH);
    CHECK_EQ(machines[1].losses, losses + 1);
    CHECK_EQ(machines[1].lost, 0);
    finish();
}

/* What a client recovers is bounded by bytes: it gets all of it or nothing. A machine gets more. */
TEST(large_recovery) {
    begin(false);
    for (int i = 1; i <= 180; i++)
        publish_bytes(i, 100000);
    WAIT(machines[1].received == 180);
    for (uint64_t since = 0; since <= 20; since += 20) {
        const cre_broker_position position = { machines[1].position.epoch, since };
        machines[0].missed = (int)since; /* `missed` checks offsets */
        machines[0].recovered = 0;
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, position, 1), 0);
        WAIT(machines[0].recovered == 1);
        CHECK_EQ(machines[0].recover_result, since ? 0 : CRE_EBROKER_GAP);
        CHECK_EQ(machines[0].missed, since ? 180 : 0);
    }
    const cre_broker_position beginning = { machines[1].position.epoch, 0 };
    stop_machine(1);
    start_machine(1);
    CHECK_EQ(cre_broker_resume(machines[1].broker, text("news"), kept, beginning), 0);
    WAIT(machines[1].received == 180);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost, 0);
    finish();
}

/* A server's connections return and recover at once what they have missed: more than Redis keeps for one that
 * has subscriptions. */
TEST(many_recoveries) {
    enum { MESSAGES = 450, CLIENTS = 350, SIZE = 1 << 10 };
    static char message[SIZE + 1];
    begin(false);
    memset(message, 'x', SIZE);
    for (int i = 0; i < MESSAGES; i++) {
        CHECK_EQ(cre_broker_publish(machines[0].broker, text("news"), text(message), kept, 1), 0);
        if (i % 50 == 0) WAIT(machines[0].published >= i);
    }
    WAIT(machines[0].published == MESSAGES && machines[1].position.offset == MESSAGES);
    real.has_gaps = true;                  /* the positions are different ones */
    const int losses = machines[1].losses; /* before Redis had started */
    int missed = 0;
    for (int i = 0; i < CLIENTS; i++) {
        const cre_broker_position since = { machines[1].position.epoch, (uint64_t)i };
        CHECK_EQ(cre_broker_recover(machines[1].broker, text("news"), kept, since, 1), 0);
        missed += MESSAGES - i;
    }
    for (int i = 0; i < 5; i++) { /* a gateway that is busy */
        turn();
        usleep(100000);
    }
    WAIT(machines[1].recovered == CLIENTS);
    CHECK_EQ(machines[1].recover_result, 0);
    CHECK_EQ(machines[1].missed, missed);
    CHECK_EQ(machines[1].losses, losses);
    real.has_gaps = false;
    finish();
}

int main(int argc, char **argv) {
    real = (real_server){ .connect = redis_connect };
    return redis_test_main(argc, argv);
}
