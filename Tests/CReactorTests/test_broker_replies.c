/* Replies of Redis that are long, or take long. */
#include "brokers.h"

/* ---- long replies ---- */

enum { MOST_AWAITED = 4 << 20, LARGE = 1000 };

/* Publishes messages that look like large ones when they are recovered. */
static void publish_large(const char *topic, int count) {
    const cre_broker_history all = { .count = 390, .seconds = 60 };
    servers[0].message_bytes = LARGE;
    for (int i = 1; i <= count; i++)
        publish(1, topic, i, all);
    run(10);
}

static int recover(const char *topic, uint64_t offset) {
    const cre_broker_position since = { machines[1].position.epoch, offset };
    return cre_broker_recover(machines[0].broker, text(topic), kept, since, 77);
}

/* Moves the bytes of a machine until nothing moves. Returns the most bytes that the replies that were awaited
 * together might have had. */
static size_t awaited_at_most(int index) {
    size_t most = 0;
    do {
        if (servers[0].asked_bytes > most) most = servers[0].asked_bytes;
        servers[0].asked_bytes = 0;
        cre_broker_tick(machines[index].broker, now);
    } while (move(&machines[index], 0));
    return most;
}

/* Many connections return and have missed much: Redis never has more to send at once than it sends. */
TEST(recoveries_wait_for_room) {
    enum { COUNT = 200, MESSAGES = 300 };
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    publish_large("news", MESSAGES);
    int messages = 0;
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(recover("news", (uint64_t)i), 0);
        messages += MESSAGES - i;
    }
    const size_t most = awaited_at_most(0);
    CHECK(most <= MOST_AWAITED && most > MOST_AWAITED / 2);
    CHECK_EQ(machines[0].recovered, COUNT);
    CHECK_EQ(machines[0].recover_result, 0);
    CHECK_EQ(machines[0].missed, messages);
    CHECK(servers[0].recoveries <= 1 + 3 * COUNT); /* with the check of machine 1 */
    finish();
}

/* Who has missed the same gets the same reply. The current position is that after the question. */
TEST(recoveries_of_the_same_messages) {
    enum { COUNT = 350, MESSAGES = 30 };
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    publish_large("news", MESSAGES);
    const int before = servers[0].recoveries;
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(recover("news", 10), 0);
    run(10);
    CHECK_EQ(machines[0].recovered, COUNT);
    CHECK_EQ(machines[0].missed, COUNT * (MESSAGES - 10));
    CHECK_EQ(servers[0].recoveries, before + 2);
    /* another position, another topic, and no position */
    CHECK(!recover("news", 10) && !recover("news", 29) && !recover("other", 29));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, (cre_broker_position){ 0 }, 77),
                 0);
    run(10);
    CHECK_EQ(machines[0].recovered, COUNT + 6);
    CHECK_EQ(servers[0].recoveries, before + 2 + 2 + 1 + 1 + 3);
    finish();
}

/* There is no room before a recovery expires, or before the connection is lost. */
TEST(recoveries_without_room) {
    enum { COUNT = 350, AT_ONCE = MOST_AWAITED / ((16 << 10) + 64) };
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    publish_large("news", 380);
    machine *m = &machines[0];
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(recover("news", (uint64_t)i), 0);
    cre_broker_tick(m->broker, now);
    now += 5000;
    cre_broker_tick(m->broker, now);
    CHECK_EQ(recover("news", 375), 0); /* expires later */
    CHECK_EQ(m->recovered, 0);
    now += 5000;
    cre_broker_tick(m->broker, now);
    CHECK_EQ(m->recovered, COUNT - AT_ONCE);
    CHECK_EQ(m->recover_result, CRE_EBROKER_SILENT);
    run(10);
    CHECK_EQ(m->recovered, COUNT + 1);
    CHECK_EQ(m->recover_result, 0);
    CHECK_EQ(m->broken, 0);

    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(recover("news", (uint64_t)i), 0);
    cut(m, 0);
    CHECK_EQ(m->recovered, 2 * COUNT + 1);
    CHECK_EQ(m->recover_result, CRE_EBROKER_UNAVAILABLE);
    run(1000);
    for (int i = 0; i < COUNT; i++) /* ends with the broker */
        CHECK(!recover("news", (uint64_t)i) && !recover("news", (uint64_t)i));
    finish();
}

/* A server that returns fills the gaps of its topics one after the other. */
TEST(gaps_wait_for_room) {
    enum { TOPICS = 30, MESSAGES = 12 };
    char topic[32];
    begin(1, NULL);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        subscribe(0, topic, true);
    }
    run(10);
    cut(&machines[0], 0);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        for (int j = 1; j <= MESSAGES; j++)
            publish(1, topic, j, kept);
    }
    while (move(&machines[1], 0)) {
    }
    servers[0].message_bytes = 30000;
    servers[0].asked_bytes = 0;
    while (!machines[0].wanted[0]) {
        now += 10;
        cre_broker_tick(machines[0].broker, now);
    }
    CHECK(awaited_at_most(0) <= MOST_AWAITED);
    CHECK_EQ(machines[0].received, TOPICS * MESSAGES);
    CHECK_EQ(machines[0].lost, 0);
    CHECK_EQ(machines[0].established, 2);
    finish();
}

/* ---- values ---- */

enum { GETS = 200, GETS_AT_ONCE = MOST_AWAITED / (CRE_VALUE_MAX + 64) };

static void apply(cre_value_kind kind, int tag) {
    const cre_value_operation operation = { .kind = (uint32_t)kind, .key = text("k") };
    CHECK_EQ(cre_broker_apply(machines[0].broker, &operation, (uint64_t)tag), 0);
}

/* Each value may be long. Operations keep their order, however short their replies are. */
TEST(values_wait_for_room) {
    begin(1, NULL);
    run(10);
    for (int i = 0; i < GETS; i++)
        apply(i % 4 == 3 ? CRE_VALUE_SET : CRE_VALUE_GET, i);
    const size_t most = awaited_at_most(0);
    CHECK(most <= MOST_AWAITED && most > MOST_AWAITED / 2);
    CHECK_EQ(machines[0].values, GETS);
    CHECK_EQ(machines[0].disordered, 0);
    for (int i = 0; i < GETS; i++)
        CHECK_EQ(machines[0].value_results[i], 1);
    finish();
}

/* What was not sent before it expires, or before the connection is lost, was not done. */
TEST(values_without_room) {
    begin(1, NULL);
    run(10);
    machine *m = &machines[0];
    for (int i = 0; i < GETS; i++)
        apply(CRE_VALUE_GET, i);
    for (int i = 0; i < 3; i++, now += 5000)
        cre_broker_tick(m->broker, now);
    CHECK_EQ(m->values, GETS - GETS_AT_ONCE);
    for (int i = GETS_AT_ONCE; i < GETS; i++)
        CHECK_EQ(m->value_results[i], CRE_EBROKER_UNAVAILABLE);
    for (int i = GETS; i < MOST; i++)
        apply(CRE_VALUE_GET, i);
    cut(m, 0);
    CHECK_EQ(m->values, MOST);
    for (int i = 0; i < GETS_AT_ONCE; i++)
        CHECK_EQ(m->value_results[i], CRE_EBROKER_UNKNOWN);
    for (int i = GETS; i < MOST; i++)
        CHECK_EQ(m->value_results[i], CRE_EBROKER_UNAVAILABLE);
    run(1000);
    apply(CRE_VALUE_GET, 0);
    apply(CRE_VALUE_GET, 1); /* ends with the broker */
    finish();
}

/* ---- connections that begin slowly ---- */

static void send_output(machine *m) {
    const cre_slice output = cre_broker_output(m->broker, 0);
    server_receive(&servers[0], (int)(m - machines), output.data, output.length);
    cre_broker_sent(m->broker, 0, output.length);
}

/* Machine 1 connects again after a loss. Returns when it has subscribed to all of its channels, and has no
 * reply yet. */
static void connect_again(int channels) {
    machine *m = &machines[1];
    cut(m, 0);
    for (uint64_t due = now; !m->wanted[0];) {
        now = due;
        due = cre_broker_tick(m->broker, now);
    }
    for (int i = 0; i < 2; i++) /* connects, greets and receives the identifiers of the scripts */
        CHECK(move(m, 0));
    send_output(m);
    CHECK_EQ(servers[0].connections[1].count, channels);
}

/* The replies of the server arrive in pieces, one each six seconds. */
static void receive_slowly(int pieces) {
    machine *m = &machines[1];
    server_connection *connection = &servers[0].connections[1];
    char *bytes = connection->out;
    const size_t length = connection->length, piece = length / (size_t)pieces + 1;
    connection->out = NULL;
    connection->length = 0;
    for (size_t at = 0; at < length && m->connected[0]; at += piece) {
        now += 6000;
        cre_broker_tick(m->broker, now);
        const size_t rest = length - at;
        cre_broker_received(m->broker, 0, (const uint8_t *)bytes + at, rest < piece ? rest : piece, now);
    }
    free(bytes);
}

static void subscribe_to_many(void) {
    char topic[32];
    for (int i = 0; i < 300; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        subscribe(1, topic, i < 20);
    }
    run(10);
}

/* Subscribing again may take longer than a server may be silent. One that replies and does not deliver is
 * found when that has ended. */
TEST(a_long_resumption) {
    begin(1, NULL);
    subscribe_to_many();
    connect_again(301);
    receive_slowly(20);
    CHECK_EQ(machines[1].broken, 1);
    run(10);
    CHECK_EQ(machines[1].established, 2);
    CHECK_EQ(servers[0].connections[1].count, 301);
    run(60000);
    CHECK_EQ(machines[1].broken, 1);
    servers[0].drops_messages = true;
    run(25000);
    CHECK_EQ(machines[1].broken, 2);
    CHECK_EQ(machines[1].last_error, CRE_EBROKER_SILENT);
    servers[0].drops_messages = false;
    finish();
}

TEST(silence_during_a_resumption) {
    begin(1, NULL);
    subscribe_to_many();
    connect_again(301);
    now += 10000;
    cre_broker_tick(machines[1].broker, now);
    CHECK_EQ(machines[1].broken, 1);
    now += 10000;
    cre_broker_tick(machines[1].broker, now);
    CHECK_EQ(machines[1].broken, 2);
    CHECK_EQ(machines[1].last_error, CRE_EBROKER_SILENT);
    finish();
}

/* There is always a topic that was subscribed a moment ago, and is being checked. The connection is ready
 * when those topics are checked that there were at its beginning. */
TEST(subscriptions_during_a_resumption) {
    machine *m = &machines[1];
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    publish(0, "news", 1, kept);
    run(10);
    cut(m, 0);
    for (int i = 2; i <= 5; i++) /* more than the server sends at once */
        publish(0, "news", i, kept);
    settle();
    connect_again(2);
    for (int i = 0; i < 6; i++) {
        server_connection *connection = &servers[0].connections[1];
        char topic[32], *bytes = connection->out;
        const size_t length = connection->length;
        connection->out = NULL;
        connection->length = 0;
        snprintf(topic, sizeof topic, "topic%d", i);
        subscribe(1, topic, true);
        cre_broker_received(m->broker, 0, (const uint8_t *)bytes, length, now);
        free(bytes);
        if (m->established == 2) CHECK_EQ(m->received, 5);
        send_output(m);
    }
    CHECK_EQ(m->established, 2);
    run(10);
    check_received(1, 5, "after the checks");
    finish();
}

/* Each reply may be long, and the members in it are gone then: few are on their way at once. */
TEST(expired_members_are_searched_in_turn) {
    const cre_broker_config config = { .sweeps = true, .presence_ms = 4000 };
    int most = 0;
    begin(1, &config);
    run(500);
    const int before = servers[0].commands;
    for (const uint64_t end = now + 1100; now < end; now += 20) {
        for (bool moved = true; moved;) {
            const int commands = servers[0].commands;
            cre_broker_tick(machines[0].broker, now);
            moved = move(&machines[0], 0);
            if (servers[0].commands - commands > most) most = servers[0].commands - commands;
        }
    }
    CHECK(servers[0].commands - before >= 128);
    CHECK(most <= 8);
    finish();
}

TEST_MAIN()
