/* A broker without servers: members of topics, and nothing else. */
#include <creactor/broker.h>
#include <creactor/error.h>

#include "test.h"
#include "text.h"

static char events[256], listed[256];
static int answers;

static void add(char *to, size_t size, const char *what, const cre_broker_member *member) {
    const size_t used = strlen(to);
    snprintf(to + used, size - used, "%s%.*s=%.*s ", what, (int)member->id.length,
             (const char *)member->id.data, (int)member->info.length, (const char *)member->info.data);
}

static void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joined) {
    (void)context;
    CHECK_MEM(topic.data, "room", topic.length);
    add(events, sizeof events, joined ? "+" : "-", member);
}

static void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    (void)context;
    CHECK_EQ(tag, 7);
    CHECK_EQ(result, 0);
    answers++;
    listed[0] = 0;
    for (size_t i = 0; i < presence->listed; i++)
        add(listed, sizeof listed, "", &presence->members[i]);
}

static cre_broker *make(void) {
    const cre_broker_handlers handlers = { .member = on_member, .present = on_present };
    const cre_broker_config config = {
        .size = sizeof config, .shards = 1, .seed = 7, .kind = CRE_BROKER_LOCAL, .max_members = 3
    };
    cre_broker *broker;
    REQUIRE(cre_broker_create(&config, &handlers, NULL, &broker) == 0);
    events[0] = listed[0] = 0;
    return broker;
}

static void check(cre_broker *broker, const char *expected_events, const char *expected_list) {
    CHECK_STR(events, expected_events);
    const int before = answers;
    CHECK_EQ(cre_broker_list_members(broker, text("room"), 10, 7), 0);
    CHECK_EQ(answers, before + 1);
    CHECK_STR(listed, expected_list);
}

TEST(members) {
    cre_broker *broker = make();
    CHECK(cre_broker_is_connected(broker, 0));
    CHECK_EQ(cre_broker_join(broker, text("room"), text("b"), text("B")), 0);
    CHECK_EQ(cre_broker_join(broker, text("room"), text("aa"), text("")), 0);
    CHECK_EQ(cre_broker_join(broker, text("room"), text("a"), text("A")), 0);
    CHECK_EQ(cre_broker_join(broker, text("room"), text("c"), text("C")), CRE_ELIMIT);
    check(broker, "+b=B +aa= +a=A ", "a=A aa= b=B ");
    CHECK_EQ(cre_broker_join(broker, text("room"), text("b"), text("other")), 0); /* no event */
    cre_broker_leave(broker, text("room"), text("aa"));
    cre_broker_leave(broker, text("room"), text("aa"));
    check(broker, "+b=B +aa= +a=A -aa= ", "a=A b=other ");
    cre_broker_destroy(broker);
}

TEST(nothing_else) {
    cre_broker *broker = make();
    const cre_broker_history kept = { .count = 1, .seconds = 1 };
    const cre_value_operation get = { .kind = CRE_VALUE_GET, .key = text("key") };
    CHECK_EQ(cre_broker_publish(broker, text("room"), text("x"), (cre_broker_history){ 0 }, 1),
             CRE_EBROKER_UNSUPPORTED);
    CHECK_EQ(cre_broker_subscribe(broker, text("room"), kept), CRE_EBROKER_UNSUPPORTED);
    CHECK_EQ(cre_broker_recover(broker, text("room"), kept, (cre_broker_position){ 0 }, 1),
             CRE_EBROKER_UNSUPPORTED);
    CHECK_EQ(cre_broker_apply(broker, &get, 1), CRE_EBROKER_UNSUPPORTED);
    CHECK(cre_broker_tick(broker, 1000000) > 1000000);
    CHECK_EQ(cre_broker_output(broker, 0).length, 0);
    cre_broker_destroy(broker);
    const cre_broker_config two = { .size = sizeof two, .shards = 2, .seed = 7, .kind = CRE_BROKER_LOCAL };
    CHECK_EQ(cre_broker_create(&two, &(cre_broker_handlers){ 0 }, NULL, &broker), CRE_EINVALID);
}

TEST_MAIN()
