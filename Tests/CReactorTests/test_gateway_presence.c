/* Members of topics of two servers, whose gateways are killed, at a real server of Redis. */
#include "gateways.h"
#include "runtime/presence.h"

/* What the worker gets of the gateway. */
static char changes[1024]; /* "+topic/id=info " and "-topic/id=info " */
static char members[1024]; /* the last answer, "id=info " for each */
static cre_member_list listed;
static int answers, result_of_answer;

static void append(char *to, size_t size, char kind, cre_slice topic, cre_slice id, cre_slice info) {
    const size_t used = strlen(to);
    const int length =
        snprintf(to + used, size - used, "%.*s%.*s%s%.*s=%.*s ", kind != 0, &kind, (int)topic.length,
                 (const char *)topic.data, topic.length ? "/" : "", (int)id.length, (const char *)id.data,
                 (int)info.length, (const char *)info.data);
    REQUIRE((size_t)length < size - used);
}

static void on_answer(const cre_record *record, const uint8_t *payload) {
    cre_answer head;
    const uint8_t *at = payload + sizeof head, *end = payload + record->length;
    memcpy(&head, payload, sizeof head);
    result_of_answer = head.result;
    answers += record->flags & CRE_RECORD_FINAL ? 1 : 0;
    if (head.result) return;
    memcpy(&listed, at, sizeof listed);
    for (at += sizeof listed; at < end;) {
        cre_listed_member member;
        memcpy(&member, at, sizeof member);
        at += sizeof member;
        append(members, sizeof members, 0, (cre_slice){ 0 }, (cre_slice){ at, member.id_length },
               (cre_slice){ at + member.id_length, member.info_length });
        at += member.id_length + member.info_length;
    }
}

static void on_message(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre__membership member;
    (void)context;
    CHECK_EQ(from, GATEWAY);
    if (record->kind == CRE_MESSAGE_ANSWER) {
        on_answer(record, payload);
        return;
    }
    REQUIRE(record->kind == CRE_MESSAGE_MEMBER && cre__membership_read(record, payload, &member));
    append(changes, sizeof changes, record->opcode ? '+' : '-', member.topic, member.id, member.info);
}

static int ask_members(const char *topic, uint32_t most) {
    const cre_members_question question = { .most = most };
    const cre_slice parts[] = { { (const uint8_t *)&question, sizeof question },
                                { (const uint8_t *)topic, strlen(topic) } };
    const int before = answers;
    members[0] = 0;
    const int result = ask_gateway(CRE_QUESTION_MEMBERS, parts, 2);
    if (result) return result;
    AWAIT(answers > before);
    return result_of_answer;
}

/* The members are listed by no order. */
static bool has(const char *topic, uint64_t count, const char *first, const char *second) {
    turn();
    return ask_members(topic, 100) == 0 && listed.count == count && listed.complete &&
           strlen(members) == strlen(first) + strlen(second) && strstr(members, first) &&
           strstr(members, second);
}

static void join(server *it, cre_session session, const char *topic, const char *id, const char *info) {
    CHECK_EQ(cre_worker_join(it->worker, session, text(topic), text(id), text(info)), 0);
}

static void begin_asking(void) {
    changes[0] = 0;
    start_asker(&servers[0], on_message, NULL);
}

static void start(void) {
    presence_ms = 960;
    start_servers(0, 0);
    begin_asking();
}

static void stop(void) {
    stop_asker();
    stop_servers();
}

static void check_changes(const char *expected) {
    AWAIT(strlen(changes) >= strlen(expected));
    if (strcmp(changes, expected) != 0) TEST_FAIL("changes are \"%s\", not \"%s\"", changes, expected);
    test_checks++;
    changes[0] = 0;
}

TEST(connections_are_members) {
    start();
    server *one = &servers[0], *other = &servers[1];
    net_client second = connect_ws(&one->host);
    cre_session sessions[2];
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_bus_table(one->host.bus), &cursor, sessions, 2) == 2);
    join(one, sessions[0], "room", "ann", "A");
    check_changes("+room/ann=A ");
    join(one, sessions[1], "room", "ann", "A"); /* a second tab */
    join(other, other->session, "room", "bob", "B");
    AWAIT(has("room", 2, "ann=A ", "bob=B "));
    CHECK_EQ(stats_of(one).members, 1);
    CHECK_EQ(ask_members("room", 1), 0);
    CHECK(listed.count == 2 && !listed.complete && !members[0]);

    const cre_record reset = { .kind = CRE_COMMAND_RESET,
                               .session = sessions[sessions[0] == one->session ? 1 : 0] };
    CHECK_EQ(cre_worker_command(one->worker, &reset, NULL, 0), 0);
    net_close(&second);
    join(one, one->session, "room", "ann", "A2");
    AWAIT(has("room", 2, "ann=A2 ", "bob=B "));
    join(one, one->session, "room", "eve", ""); /* somebody else */
    check_changes("+room/eve= -room/ann=A2 ");
    CHECK_EQ(cre_worker_subscribe(one->worker, one->session, "room", 4, false), 0);
    check_changes("-room/eve= ");
    CHECK_EQ(stats_of(one).members, 0);
    CHECK(has("room", 1, "bob=B ", ""));
    CHECK_EQ(cre_worker_join(one->worker, one->session, text("room"), text(""), text("")), CRE_EINVALID);
    CHECK_EQ(cre_worker_join(one->worker, one->session, text("$sws:user:ann"), text("ann"), text("")),
             CRE_EINVALID);
    stop();
}

/* Members stay while their gateway is replaced. Those of a server whose gateway does not come back leave. */
TEST(killed_gateways) {
    start();
    server *one = &servers[0], *other = &servers[1];
    join(one, one->session, "room", "ann", "A");
    check_changes("+room/ann=A ");
    join(other, other->session, "room", "bob", "B");
    AWAIT(has("room", 2, "ann=A ", "bob=B "));
    kill_gateway(one);
    CHECK_EQ(ask_members("room", 100), CRE_EBROKER_UNAVAILABLE);
    start_gateway(one);
    AWAIT(has("room", 2, "ann=A ", "bob=B "));
    for (const uint64_t end = milliseconds() + presence_ms; milliseconds() < end;)
        CHECK(has("room", 2, "ann=A ", "bob=B "));
    CHECK_EQ(strlen(changes), 0);
    kill_gateway(other);
    check_changes("-room/bob=B ");
    CHECK(has("room", 1, "ann=A ", ""));
    start_gateway(other);
    AWAIT(has("room", 2, "ann=A ", "bob=B "));
    stop();
}

/* Without a cluster the gateway keeps the members of its server; a successor gets them of their owners. */
TEST(one_server) {
    place.local = true;
    start_server(&servers[0], 0, 0);
    begin_asking();
    server *one = &servers[0];
    net_client second = connect_ws(&one->host);
    cre_session sessions[2];
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_bus_table(one->host.bus), &cursor, sessions, 2) == 2);
    AWAIT(cre_bus_pid(one->host.bus, GATEWAY));
    join(one, sessions[0], "room", "ann", "A");
    join(one, sessions[1], "room", "ann", "A2");
    join(one, sessions[1], "hall", "bob", "");
    check_changes("+room/ann=A +hall/bob= ");
    AWAIT(has("room", 1, "ann=A2 ", ""));
    CHECK_EQ(stats_of(one).members, 2);
    CHECK_EQ(ask_members("room", 0), 0);
    CHECK(listed.count == 1 && !listed.complete);
    CHECK_EQ(ask_members("nowhere", 10), 0);
    CHECK(listed.count == 0 && listed.complete);
    kill_gateway(one);
    CHECK_EQ(ask_members("room", 100), CRE_EBROKER_UNAVAILABLE);
    start_gateway(one);
    AWAIT(has("room", 1, "ann=A2 ", ""));
    AWAIT(has("hall", 1, "bob= ", ""));
    CHECK_EQ(strlen(changes), 0);
    /* messages do not pass the gateway */
    subscribe(one, "news");
    CHECK_EQ(publish(one, "news", "here", 0), 0);
    net_ws_expect_text(&one->client, "here");
    CHECK_EQ(stats_of(one).published, 0);
    const cre_session other = sessions[sessions[0] == one->session ? 1 : 0];
    const cre_record reset = { .kind = CRE_COMMAND_RESET, .session = other };
    CHECK_EQ(cre_worker_subscribe(one->worker, one->session, "room", 4, false), 0);
    CHECK_EQ(cre_worker_command(one->worker, &reset, NULL, 0), 0);
    net_close(&second);
    check_changes(other == sessions[1] ? "-hall/bob= -room/ann=A2 " : "-room/ann=A2 ");
    stop_asker();
    stop_server(&servers[0]);
    place.local = false;
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
