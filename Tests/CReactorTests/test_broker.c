/* Brokers whose connections work, and those that have none. */
#include "brokers.h"

/* ---- connected ---- */

TEST(messages_reach_all_machines) {
    begin(1, NULL);
    subscribe(0, "news", false);
    run(10);
    subscribe(1, "news", false);
    run(10);
    publish(0, "news", 1, (cre_broker_history){ 0 });
    publish(1, "other", 1, (cre_broker_history){ 0 });
    run(10);
    publish(1, "news", 2, (cre_broker_history){ 0 });
    run(10);
    check_received(0, 2, "here");
    check_received(1, 2, "there");
    CHECK_EQ(machines[0].established, 1);
    CHECK_EQ(machines[0].published, 1);
    CHECK_EQ(machines[1].published, 2);
    CHECK(cre_broker_is_connected(machines[0].broker, 0));
    cre_broker_unsubscribe(machines[1].broker, text("news"));
    cre_broker_unsubscribe(machines[1].broker, text("unknown"));
    run(10);
    publish(0, "news", 3, kept);
    run(10);
    check_received(0, 3, "here");
    check_received(1, 2, "there, unsubscribed");
    finish();
}

TEST(positions) {
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    for (int i = 1; i <= 5; i++)
        publish(0, "news", i, kept);
    run(10);
    check_received(1, 5, "with history");
    CHECK_EQ(machines[1].position.offset, 5);
    CHECK(machines[1].position.epoch != 0);
    CHECK_EQ(machines[1].disordered, 0);
    CHECK_EQ(machines[0].published, 5);

    const cre_broker_position second = { machines[1].position.epoch, 2 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, second, 77), 0);
    run(10);
    CHECK_EQ(machines[0].recovered, 1);
    CHECK_EQ(machines[0].recover_result, 0);
    CHECK_EQ(machines[0].missed, 3);
    CHECK_EQ(machines[0].recover_position.offset, 5);
    /* only the position */
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, (cre_broker_position){ 0 }, 77), 0);
    run(10);
    CHECK_EQ(machines[0].missed, 3);
    CHECK_EQ(machines[0].recover_result, 0);
    CHECK_EQ(machines[0].recover_position.offset, 5);
    /* another epoch, and a position that does not exist yet */
    const cre_broker_position other = { second.epoch + 1, 2 }, future = { second.epoch, 6 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, other, 77), 0);
    run(10);
    CHECK_EQ(machines[0].recover_result, CRE_EBROKER_GAP);
    CHECK_EQ(machines[0].recover_position.offset, 5);
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, future, 77), 0);
    run(10);
    CHECK_EQ(machines[0].recover_result, CRE_EBROKER_GAP);
    CHECK_EQ(machines[0].missed, 3);
    finish();
}

/* A recovery has all messages or none. */
TEST(trimmed_history_is_refused) {
    begin(1, &(cre_broker_config){ .max_recover = 4 });
    run(10);
    for (int i = 1; i <= 8; i++)
        publish(0, "news", i, (cre_broker_history){ .count = 5, .seconds = 60 });
    run(10);
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, (cre_broker_position){ 0 }, 77), 0);
    run(10);
    const uint64_t epoch = machines[0].recover_position.epoch;
    for (uint64_t since = 0; since <= 8; since++) {
        machines[0].missed = 0;
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept,
                                    (cre_broker_position){ epoch, since }, 77),
                 0);
        run(10);
        const bool possible = since >= 4; /* by the limit of a recovery, and from 3 on by the history */
        CHECK_EQ(machines[0].recover_result, possible ? 0 : CRE_EBROKER_GAP);
        CHECK_EQ(machines[0].missed, possible ? 8 - (int)since : 0);
    }
    finish();
}

TEST(callbacks_may_unsubscribe) {
    begin(1, NULL);
    subscribe(1, "news", true);
    run(10);
    machines[1].unsubscribe = "news";
    for (int i = 1; i <= 3; i++)
        publish(0, "news", i, kept);
    run(10);
    check_received(1, 1, "after it has unsubscribed");
    finish();
}

/* ---- no connection ---- */

TEST(the_queue_is_bounded) {
    begin(1, &(cre_broker_config){ .max_queue = 4096 });
    char message[512];
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = 0;
    int accepted = 0, result = 0;
    for (; accepted < 100 && !result; accepted += !result)
        result = cre_broker_publish(machines[0].broker, text("news"), text(message), kept, 5);
    CHECK_EQ(result, CRE_EBROKER_UNAVAILABLE);
    CHECK(accepted >= 5 && accepted <= 8);
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, (cre_broker_position){ 0 }, 77),
             CRE_EBROKER_UNAVAILABLE);
    run(1000);
    CHECK_EQ(machines[0].published, accepted);
    publish(0, "news", 1, kept);
    run(10);
    CHECK_EQ(machines[0].published, accepted + 1);
    /* one of any size has room in an empty queue */
    static char large[9000];
    memset(large, 'x', sizeof large - 1);
    CHECK_EQ(cre_broker_publish(machines[0].broker, text("news"), text(large), kept, 5), 0);
    CHECK_EQ(cre_broker_publish(machines[0].broker, text("news"), text("x"), kept, 5),
             CRE_EBROKER_UNAVAILABLE);
    run(10);
    CHECK_EQ(machines[0].published, accepted + 2);
    finish();
}

TEST(attempts_are_spread) {
    begin(1, NULL);
    uint64_t last = now, delays[12];
    for (int i = 0; i < 12; i++) {
        const int before = machines[0].attempts;
        for (uint64_t due = now; machines[0].attempts == before;) {
            now = due;
            due = cre_broker_tick(machines[0].broker, now);
        }
        delays[i] = now - last;
        last = now;
        machines[0].wanted[0] = false;
        cre_broker_closed(machines[0].broker, 0, -ECONNREFUSED, now);
    }
    CHECK_EQ(delays[0], 0);
    uint64_t bound = 50;
    for (int i = 1; i < 12; i++, bound = bound * 2 > 5000 ? 5000 : bound * 2)
        CHECK(delays[i] >= bound / 2 && delays[i] <= bound);
    CHECK_EQ(machines[0].last_error, -ECONNREFUSED);
    /* and not at the same times as those of another machine */
    CHECK(delays[11] != 5000 || delays[10] != 5000);
    finish();
}

TEST(silence) {
    begin(1, NULL);
    subscribe(1, "news", false);
    run(60000); /* probes keep an idle connection */
    CHECK_EQ(machines[1].broken, 0);
    CHECK_EQ(machines[1].established, 1);
    /* a server that replies and does not deliver */
    servers[0].drops_messages = true;
    run(25000);
    CHECK_EQ(machines[1].broken, 1);
    CHECK_EQ(machines[1].last_error, CRE_EBROKER_SILENT);
    servers[0].drops_messages = false;
    run(25000);
    CHECK_EQ(machines[1].established, 1 + machines[1].broken);

    /* one that accepts connections and is silent */
    machine *m = &machines[0];
    cut(m, 0);
    const int broken = m->broken;
    for (uint64_t due = now; !m->wanted[0];) {
        now = due;
        due = cre_broker_tick(m->broker, now);
    }
    m->wanted[0] = false;
    cre_broker_connected(m->broker, 0, now);
    now += 5000;
    cre_broker_tick(m->broker, now);
    CHECK_EQ(m->broken, broken + 1);
    CHECK_EQ(m->last_error, CRE_EBROKER_SILENT);
    finish();
}

TEST(passwords) {
    servers[0].password = "secret";
    begin(1, &(cre_broker_config){ .password = "wrong" });
    run(1000);
    CHECK_EQ(machines[0].established, 0);
    CHECK_EQ(machines[0].last_error, CRE_EBROKER_REFUSED);
    CHECK_STR(machines[0].error_text, "WRONGPASS invalid username-password pair");
    finish();
    servers[0].password = "secret";
    begin(1, &(cre_broker_config){ .user = "app", .password = "secret" });
    run(1000);
    CHECK_EQ(machines[0].established, 1);
    finish();
}

TEST(malformed_input_ends_the_connection) {
    begin(1, NULL);
    run(10);
    cre_broker_received(machines[0].broker, 0, (const uint8_t *)"HTTP/1.1 400\r\n", 14, now);
    CHECK_EQ(machines[0].broken, 1);
    CHECK_EQ(machines[0].last_error, CRE_EREDIS_PROTOCOL);
    run(1000);
    CHECK_EQ(machines[0].established, 2);
    /* messages that no broker has published are no reason */
    subscribe(0, "news", true);
    run(10);
    cre__key key;
    const cre_slice channel =
        cre__broker_key(machines[0].broker, cre__shard_hash(text("news")), 'c', text("news"), &key);
    static const char *const strange[] = { "",
                                           "x",
                                           "1",
                                           "11",
                                           "11:",
                                           "1:0123456789abcdef:x",
                                           "11:0123456789abcde:x",
                                           "1x:0123456789abcdef:x",
                                           "10:0123456789abcdef:x",
                                           "11:0000000000000000:x",
                                           "11:0123456789abcdefx" };
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        server_publish(&servers[0], channel, strange[i], strlen(strange[i]));
    run(10);
    CHECK_EQ(machines[0].received, 0);
    CHECK_EQ(machines[0].broken, 1);
    finish();
}

/* ---- shards and topics ---- */

TEST(shards) {
    begin(3, NULL);
    char topic[32];
    int count[SHARDS] = { 0 };
    for (int i = 0; i < 300; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        subscribe(1, topic, false);
        count[cre_broker_shard(machines[1].broker, text(topic))]++;
    }
    run(10);
    for (int i = 0; i < 300; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        publish(0, topic, i + 1, (cre_broker_history){ 0 });
    }
    run(10);
    CHECK_EQ(machines[1].received, 300);
    for (int i = 0; i < SHARDS; i++) {
        CHECK(count[i] > 60);
        CHECK_EQ(servers[i].connections[1].count, count[i] + 1);
    }
    /* one server less does not disturb the others */
    cut(&machines[1], 1);
    for (int i = 0; i < 50; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        publish(0, topic, i + 1, (cre_broker_history){ 0 });
    }
    settle();
    CHECK(machines[1].received > 320 && machines[1].received < 350);
    run(1000);
    CHECK_EQ(servers[1].connections[1].count, count[1] + 1); /* subscribed again */
    finish();
}

/* Each shard lists its topics, so what concerns one shard costs nothing for those of the others. */
static int listed_topics(uint32_t shard, int *of_members) {
    const cre__link *link = &machines[1].broker->links[shard];
    int count = 0;
    *of_members = 0;
    for (const cre__broker_topic *topic = link->topics; topic; topic = topic->older, count++)
        CHECK_EQ(topic->shard, shard);
    for (const cre__presence_topic *topic = link->presence.topics; topic; topic = topic->older, ++*of_members)
        CHECK_EQ(topic->shard, shard);
    return count;
}

TEST(topics_of_a_shard) {
    enum { TOPICS = 300 };
    begin(SHARDS, NULL);
    cre_broker *broker = machines[1].broker;
    int expected[SHARDS] = { 0 }, of_members;
    char topic[32];
    run(10);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        subscribe(1, topic, false);
        CHECK_EQ(cre_broker_join(broker, text(topic), text("ann"), text("")), 0);
        expected[cre_broker_shard(broker, text(topic))]++;
    }
    /* the first, the last and others */
    for (int i = 0; i < TOPICS; i += i == 297 ? 2 : 3) {
        snprintf(topic, sizeof topic, "topic%d", i);
        cre_broker_unsubscribe(broker, text(topic));
        cre_broker_leave(broker, text(topic), text("ann"));
        expected[cre_broker_shard(broker, text(topic))]--;
    }
    run(10);
    for (uint32_t i = 0; i < SHARDS; i++) {
        CHECK_EQ(listed_topics(i, &of_members), expected[i]);
        CHECK_EQ(of_members, expected[i]);
    }
    /* each topic is renewed once, at its server */
    int commands[SHARDS];
    run(24000);
    for (uint32_t i = 0; i < SHARDS; i++)
        commands[i] = servers[i].members;
    run(2000);
    for (uint32_t i = 0; i < SHARDS; i++)
        CHECK_EQ(servers[i].members - commands[i], expected[i]);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic%d", i);
        cre_broker_unsubscribe(broker, text(topic));
        cre_broker_leave(broker, text(topic), text("ann"));
    }
    run(10);
    for (uint32_t i = 0; i < SHARDS; i++)
        CHECK(listed_topics(i, &of_members) == 0 && of_members == 0);
    finish();
}

/* ---- members ---- */

static void join(int index, const char *id) {
    CHECK_EQ(cre_broker_join(machines[index].broker, text("room"), text(id), text("")), 0);
}

static const char *list_members(int index) {
    machine *m = &machines[index];
    snprintf(m->members, sizeof m->members, "no answer");
    CHECK_EQ(cre_broker_list_members(m->broker, text("room"), 10, 78), 0);
    settle();
    return m->members;
}

/* Whenever a machine crashes, its members are listed until the deadline of the last renewal, and have left
 * one interval of sweeping later. Those that another machine has stay. */
TEST(members_of_a_crashed_machine) {
    enum { LIFETIME = 12000, RENEWED = 5000, SWEPT = 3000 };
    for (uint64_t alive = 100; alive < 2 * LIFETIME; alive += 700) {
        begin(1, &(cre_broker_config){ .presence_ms = LIFETIME, .sweeps = 1 });
        servers[0].clock = &now;
        run(10);
        join(0, "ann");
        join(0, "bob");
        run(1 + alive % 1000); /* not at the same times as the other one */
        join(1, "bob");
        run(alive);
        CHECK_STR(machines[0].changes, "+ann +bob ");
        const server_member *entry = server_find(&servers[0], "room", NULL, "ann");
        REQUIRE(entry);
        const uint64_t deadline = entry->expires;
        CHECK(deadline >= now + LIFETIME - RENEWED && deadline <= now + LIFETIME);
        stop_machine(0);
        machines[0] = (machine){ 0 };
        run(deadline - 1 - now);
        CHECK(strstr(list_members(1), "ann ") && strstr(machines[1].members, "bob "));
        CHECK_STR(machines[1].changes, "");
        run(1);
        CHECK_STR(list_members(1), "bob ");
        run(SWEPT);
        CHECK_STR(machines[1].changes, "-ann ");
        run(2 * LIFETIME);
        CHECK_STR(list_members(1), "bob ");
        CHECK_STR(machines[1].changes, "-ann ");
        finish();
    }
}

TEST(consistent_hashing) {
    int moved = 0, counts[8] = { 0 };
    for (uint64_t key = 0; key < 8000; key++) {
        const uint64_t hash = cre__shard_hash((cre_slice){ (const uint8_t *)&key, sizeof key });
        const uint32_t seven = cre__shard_of(hash, 7), eight = cre__shard_of(hash, 8);
        CHECK(seven < 7 && (eight == seven || eight == 7));
        moved += seven != eight;
        counts[eight]++;
    }
    CHECK(moved > 850 && moved < 1150);
    for (int i = 0; i < 8; i++)
        CHECK(counts[i] > 850 && counts[i] < 1150);
    CHECK_EQ(cre__shard_hash(text("news")), cre__shard_hash(text("news")));
}

TEST(invalid_arguments) {
    cre_broker *broker;
    const cre_broker_config bad[] = {
        { .size = sizeof *bad, .seed = 1 },
        { .size = sizeof *bad, .shards = 1 },
        { .size = sizeof *bad, .seed = 1, .shards = CRE_BROKER_MAX_SHARDS + 1 },
        { .size = sizeof *bad, .seed = 1, .shards = 1, .prefix = "" },
        { .size = sizeof *bad, .seed = 1, .shards = 1, .prefix = "a{b" },
        { .size = sizeof *bad, .seed = 1, .shards = 1, .prefix = "a prefix that is longer than 32 b" },
        { .size = sizeof *bad, .seed = 1, .shards = 1, .user = "app" },
        { .size = sizeof *bad, .seed = 1, .shards = 1, .max_recover = 10001 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(cre_broker_create(&bad[i], &handlers, NULL, &broker), CRE_EINVALID);
    begin(1, &(cre_broker_config){ .max_topics = 1 });
    broker = machines[0].broker;
    char name[CRE_BROKER_MAX_TOPIC + 2];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK_EQ(cre_broker_subscribe(broker, text(name), (cre_broker_history){ 0 }), CRE_EINVALID);
    CHECK_EQ(cre_broker_subscribe(broker, text(""), (cre_broker_history){ 0 }), CRE_EINVALID);
    CHECK_EQ(cre_broker_publish(broker, text(name), text("x"), kept, 1), CRE_EINVALID);
    CHECK_EQ(cre_broker_publish(broker, text(""), text("x"), kept, 1), CRE_EINVALID);
    CHECK_EQ(cre_broker_publish(broker, text("a"), text("x"), (cre_broker_history){ .count = 1 }, 1),
             CRE_EINVALID);
    CHECK_EQ(cre_broker_publish(broker, text("a"), text("x"), (cre_broker_history){ 10001, 1 }, 1),
             CRE_EINVALID);
    const cre_slice large = { (const uint8_t *)name, CRE_BROKER_MAX_PAYLOAD + 1 };
    CHECK_EQ(cre_broker_publish(broker, text("a"), large, kept, 1), CRE_ELIMIT);
    CHECK_EQ(cre_broker_recover(broker, text(""), kept, (cre_broker_position){ 0 }, 1), CRE_EINVALID);
    const cre_broker_history none = { 0 };
    CHECK_EQ(cre_broker_recover(broker, text("a"), none, (cre_broker_position){ 0 }, 1), CRE_EINVALID);
    CHECK_EQ(cre_broker_resume(broker, text("a"), none, (cre_broker_position){ 1, 1 }), CRE_EINVALID);
    CHECK_EQ(cre_broker_subscribe(broker, text("a"), (cre_broker_history){ .count = 1 }), CRE_EINVALID);
    name[CRE_BROKER_MAX_TOPIC] = 0;
    CHECK_EQ(cre_broker_subscribe(broker, text(name), (cre_broker_history){ 0 }), 0);
    CHECK_EQ(cre_broker_subscribe(broker, text(name), (cre_broker_history){ 0 }), 0);
    CHECK_EQ(cre_broker_subscribe(broker, text("b"), (cre_broker_history){ 0 }), CRE_ELIMIT);
    publish(1, name, 1, kept); /* the longest name in keys and channels */
    run(10);
    check_received(0, 1, "of the longest name");
    finish();
}

/* ---- without memory ---- */

static bool exchange(void) {
    bool done = true;
    cre_broker_config config = { .size = sizeof config, .shards = 1, .seed = 5 };
    shards = 1;
    now = 1000;
    machines[0] = machines[1] = (machine){ 0 };
    if (cre_broker_create(&config, &handlers, &machines[0], &machines[0].broker)) return false;
    done = !cre_broker_subscribe(machines[0].broker, text("news"), kept);
    run(500);
    for (int i = 1; i <= 3; i++)
        done = !cre_broker_publish(machines[0].broker, text("news"), text("m1"), kept, 1) && done;
    run(500);
    done = done && machines[0].received == 3;
    stop_machine(0);
    server_stop(&servers[0]);
    servers[0] = (redis_server){ 0 };
    return done;
}

/* A broker without memory loses a connection, or refuses a call; with memory again it goes on. */
TEST(without_memory) {
    for (long n = 1;; n++) {
        atomic_store(&test_fail_at, n);
        const bool done = exchange();
        if (atomic_exchange(&test_fail_at, 0) > 0) {
            CHECK(done);
            break;
        }
    }
}

TEST_MAIN()
