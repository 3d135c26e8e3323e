/* Members of topics on two machines at a real server, which the including test starts and kills. */
#ifndef CRE_PRESENCE_CASES_H
#define CRE_PRESENCE_CASES_H

#include "real_brokers.h"

enum { LIFETIME_MS = 960 }; /* renewed each 400 ms */

/* The server, which has nothing when it starts. */
static void server_start(void);
static void server_kill(void);

static void begin(uint32_t lifetime_ms) {
    server_start();
    real.config.presence_ms = lifetime_ms;
    start_machines();
    WAIT(machines[0].established == 1 && machines[1].established == 1);
}

static void finish(void) {
    stop_machines();
    server_kill();
}

static void join(int index, const char *topic, const char *id, const char *info) {
    CHECK_EQ(cre_broker_join(machines[index].broker, text(topic), text(id), text(info)), 0);
}

static void leave(int index, const char *topic, const char *id) {
    cre_broker_leave(machines[index].broker, text(topic), text(id));
}

static bool is_answered(int index, const char *topic, uint32_t most) {
    machine *m = &machines[index];
    const int before = m->answers, result = cre_broker_list_members(m->broker, text(topic), most, 7);
    if (result == CRE_EBROKER_UNAVAILABLE) return false;
    CHECK_EQ(result, 0);
    WAIT(m->answers > before);
    return m->answer != CRE_EBROKER_UNAVAILABLE;
}

/* Asks again while there is no answer, as after a loss. */
static const machine *ask(int index, const char *topic, uint32_t most) {
    WAIT(is_answered(index, topic, most));
    CHECK_EQ(machines[index].answer, 0);
    return &machines[index];
}

/* The changes of a machine so far are these, after the answers to everything before. */
static void check_changes(int index, const char *expected) {
    ask(index, "none", 0);
    WAIT(!cre_broker_sends_members(machines[index].broker));
    if (strcmp(machines[index].changes, expected) != 0)
        TEST_FAIL("changes are \"%s\", not \"%s\"", machines[index].changes, expected);
    test_checks++;
    machines[index].changes[0] = 0;
}

static bool has_member(const machine *m, const char *member) {
    return strstr(m->members, member) != NULL;
}

/* The same id on two machines is one member. */
TEST(members_join_and_leave) {
    begin(0);
    join(0, "room", "ann", "Ann");
    join(0, "room", "bob", "");
    join(0, "room", "ann", "Ann");
    check_changes(0, "+room/ann=Ann +room/bob= ");
    join(1, "room", "ann", "Ann B.");
    check_changes(1, "");
    const machine *m = ask(1, "room", 100);
    CHECK(m->presence.count == 2 && m->presence.listed == 2 && m->presence.complete);
    CHECK(has_member(m, "ann=Ann B. ") && has_member(m, "bob= "));
    leave(0, "room", "ann");
    leave(0, "room", "nobody");
    leave(0, "nowhere", "ann");
    check_changes(0, "");
    CHECK_EQ(ask(0, "room", 0)->presence.count, 2);
    leave(1, "room", "ann");
    check_changes(1, "-room/ann=Ann B. ");
    m = ask(0, "room", 1);
    CHECK(m->presence.count == 1 && has_member(m, "bob= "));
    leave(0, "room", "bob");
    check_changes(0, "-room/bob= ");
    m = ask(0, "room", 100);
    CHECK(m->presence.count == 0 && m->presence.complete && m->presence.listed == 0);
    finish();
}

TEST(limits) {
    static char id[CRE_BROKER_MAX_MEMBER_ID + 2], info[CRE_BROKER_MAX_MEMBER_INFO + 2];
    begin(0);
    const uint32_t shortest =
        real.config.kind == CRE_BROKER_NATS ? CRE_BROKER_MIN_NATS_PRESENCE : CRE_BROKER_MIN_PRESENCE;
    cre_broker *broker = machines[0].broker;
    memset(id, 'i', sizeof id - 1);
    memset(info, 'n', sizeof info - 1);
    CHECK_EQ(cre_broker_join(broker, text("room"), text(id), text("")), CRE_EINVALID);
    CHECK_EQ(cre_broker_join(broker, text("room"), text(""), text("")), CRE_EINVALID);
    CHECK_EQ(cre_broker_join(broker, text(""), text("ann"), text("")), CRE_EINVALID);
    CHECK_EQ(cre_broker_join(broker, text("room"), text("ann"), text(info)), CRE_EINVALID);
    CHECK_EQ(cre_broker_list_members(broker, text(""), 1, 7), CRE_EINVALID);
    CHECK_EQ(cre_broker_list_members(broker, text("room"), CRE_BROKER_MAX_LISTED + 1, 7), CRE_EINVALID);
    id[CRE_BROKER_MAX_MEMBER_ID] = info[CRE_BROKER_MAX_MEMBER_INFO] = 0;
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "member %d", i);
        CHECK_EQ(cre_broker_join(broker, text("hall"), text(id), text(i % 2 ? info : "x")), 0);
        if (i % 50 == 0) ask(0, "none", 0);
        machines[0].changes[0] = 0;
    }
    for (int i = 0; i < 100 && ask(0, "hall", 0)->presence.count < 3000; i++)
        machines[0].changes[0] = 0;
    const machine *m = ask(1, "hall", CRE_BROKER_MAX_LISTED);
    CHECK(m->presence.count == 3000 && m->presence.listed == 3000 && m->presence.complete);
    m = ask(1, "hall", 2999);
    CHECK(m->presence.count == 3000 && m->presence.listed == 0 && !m->presence.complete);

    const cre_broker_config few = { .size = sizeof few,
                                    .shards = 1,
                                    .seed = 5,
                                    .max_members = 2,
                                    .presence_ms = shortest,
                                    .kind = real.config.kind };
    cre_broker *small;
    REQUIRE(cre_broker_create(&few, &handlers, &machines[0], &small) == 0);
    CHECK_EQ(cre_broker_join(small, text("room"), text("1"), text("")), 0);
    CHECK_EQ(cre_broker_join(small, text("room"), text("2"), text("")), 0);
    CHECK_EQ(cre_broker_join(small, text("other"), text("3"), text("")), CRE_ELIMIT);
    CHECK_EQ(cre_broker_join(small, text("room"), text("2"), text("more")), 0);
    CHECK_EQ(cre_broker_list_members(small, text("room"), 1, 7), CRE_EBROKER_UNAVAILABLE);
    cre_broker_destroy(small);
    const cre_broker_config hasty = {
        .size = sizeof hasty, .shards = 1, .seed = 5, .presence_ms = shortest - 1, .kind = real.config.kind
    };
    CHECK_EQ(cre_broker_create(&hasty, &handlers, NULL, &small), CRE_EINVALID);
    finish();
}

/* The members of a machine that was killed leave once, also from a topic that no other machine has, and not
 * when another machine has them. */
TEST(crashed_machine) {
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    join(0, "room", "bob", "B");
    join(0, "other", "ann", "A");
    check_changes(0, "+room/ann=A +room/bob=B +other/ann=A ");
    join(1, "room", "bob", "B");
    join(1, "room", "eve", "E");
    check_changes(1, "+room/eve=E ");
    stop_machine(0);
    WAIT(strstr(machines[1].changes, "-room/ann=A ") && strstr(machines[1].changes, "-other/ann=A "));
    const machine *m = ask(1, "room", 100);
    CHECK(m->presence.count == 2 && has_member(m, "bob=B ") && has_member(m, "eve=E "));
    for (const uint64_t end = milliseconds() + LIFETIME_MS; milliseconds() < end;)
        turn();
    CHECK_EQ(strlen(machines[1].changes), strlen("-room/ann=A -other/ann=A "));
    CHECK_EQ(ask(1, "other", 0)->presence.count, 0);
    leave(1, "room", "bob");
    machines[1].changes[0] = 0;
    check_changes(1, "-room/bob=B ");
    finish();
}

/* A successor has the same members, and none of them has joined or left for the others. */
TEST(lost_connections) {
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    join(1, "room", "bob", "B");
    check_changes(0, "+room/ann=A ");
    check_changes(1, "+room/bob=B ");
    /* what changes without a connection takes effect with the next one */
    lose(&machines[0], -ECONNRESET, milliseconds());
    join(0, "room", "cat", "C");
    join(0, "room", "dan", "D");
    leave(0, "room", "dan");
    leave(0, "room", "ann");
    WAIT(machines[0].established == 2);
    check_changes(0, "+room/cat=C -room/ann=A ");
    /* the server has lost everything */
    server_kill();
    server_start();
    WAIT(machines[0].established == 3 && machines[1].established == 2);
    const machine *m = ask(0, "room", 100);
    WAIT(ask(0, "room", 100)->presence.count == 2);
    CHECK(has_member(m, "cat=C ") && has_member(m, "bob=B "));
    machines[0].changes[0] = machines[1].changes[0] = 0;
    finish();
}

/* A machine that ends: its members are not listed any more, and another machine reports those that have not
 * come back. */
TEST(retired_machine) {
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    join(0, "room", "bob", "B");
    check_changes(0, "+room/ann=A +room/bob=B ");
    cre_broker_retire(machines[0].broker);
    join(0, "room", "late", "");
    CHECK(cre_broker_sends_members(machines[0].broker));
    WAIT(!cre_broker_sends_members(machines[0].broker));
    CHECK_EQ(ask(1, "room", 10)->presence.count, 0);
    join(1, "room", "bob", "B");
    stop_machine(0);
    WAIT(machines[1].changes[0]);
    check_changes(1, "-room/ann=A ");
    CHECK_EQ(ask(1, "room", 10)->presence.count, 1);
    finish();
}

/* Members stay longer than their lifetime while their machine renews them. */
TEST(renewal) {
    begin(LIFETIME_MS);
    join(0, "room", "ann", "A");
    check_changes(0, "+room/ann=A ");
    for (const uint64_t end = milliseconds() + 2 * LIFETIME_MS; milliseconds() < end;) {
        CHECK_EQ(ask(1, "room", 10)->presence.count, 1);
        usleep(20000);
    }
    CHECK_EQ(strlen(machines[0].changes) + strlen(machines[1].changes), 0);
    finish();
}

#endif
