/* Values at a server of NATS that is played by this program, and whose replies come late or not at all. Time
 * is its own. */
#include "played_nats.h"

enum { TIMEOUT_MS = 5000 };

static int ended, results[MOST];
static char value[64];

static void on_value(void *context, uint64_t tag, int result, cre_slice found) {
    (void)context;
    REQUIRE(ended < MOST && found.length < sizeof value);
    CHECK_EQ(tag, ended); /* in order */
    results[ended++] = result;
    if (found.length) memcpy(value, found.data, found.length);
    value[found.length] = 0;
}

static const char *const none =
    "{\"error\":{\"code\":404,\"err_code\":10037,\"description\":\"no message found\"}}";
static const char *const conflict =
    "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last\"}}";
static const char *const unavailable =
    "{\"error\":{\"code\":503,\"err_code\":10008,\"description\":\"later\"}}";
static const char *const acknowledged = "{\"stream\":\"sws-values\",\"seq\":9}";
static const char *const get_message = "$JS.API.STREAM.MSG.GET.sws-values";

static void describe(const char *more) {
    char json[512];
    snprintf(json, sizeof json,
             "{\"config\":{\"name\":\"sws-values\",\"subjects\":[\"sws.v.>\"],\"retention\":\"limits\","
             "\"max_msgs_per_subject\":1,\"max_age\":0,\"discard\":\"new\"%s},\"created\":\"today\"}",
             more);
    answer("$JS.API.STREAM.INFO.sws-values", json);
}

static void apply(cre_value_operation operation) {
    static uint64_t tag;
    if (!ended && !count) tag = 0;
    operation.key = text("key");
    CHECK_EQ(cre_broker_apply(broker, &operation, tag++), 0);
    turn();
}

static const cre_value_operation get = { .kind = CRE_VALUE_GET };

static void create(void) {
    ended = 0;
    start((cre_broker_config){ 0 }, (cre_broker_handlers){ .value = on_value });
}

/* The clock of the server is a day and 250 ms at the first time of the machine. */
static void learn_clock(void) {
    answer("sws.v.time", acknowledged);
    answer_message(get_message, 9, "", "");
}

static void begin(const char *more) {
    create();
    apply(get);
    describe(more);
    learn_clock();
    answer(get_message, none);
    CHECK(ended == 1 && results[0] == 0 && count == 0);
}

static void finish(int operations) {
    CHECK_EQ(ended, operations);
    cre_broker_destroy(broker);
    CHECK_EQ(ended, operations);
}

/* ---- tests ---- */

TEST(lifetimes) {
    const cre_value_operation set = { .kind = CRE_VALUE_SET, .value = text("v"), .lifetime_ms = 1500 };
    begin("");
    apply(set);
    CHECK_STR(requests[0].subject, "sws.v.k.key");
    CHECK_STR(requests[0].headers, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n");
    answer("sws.v.k.key", acknowledged);
    apply((cre_value_operation){ .kind = CRE_VALUE_ADD, .amount = 2, .lifetime_ms = 5 });
    answer_message(get_message, 9, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n", "40");
    CHECK_STR(requests[0].headers,
              "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 9\r\nSws-Expires: 86401750\r\n\r\n");
    answer("sws.v.k.key", "{\"seq\":10}");
    CHECK_STR(value, "42");
    now += 1499;
    apply(get);
    answer_message(get_message, 10, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n", "42");
    CHECK(ended == 4 && results[3] == 1);
    CHECK_EQ(count, 0);
    now++; /* both messages are removed, of which only one is there */
    turn();
    CHECK_STR(requests[0].payload, "{\"seq\":9,\"no_erase\":true}");
    answer("STREAM.MSG.DELETE.sws-values", none);
    answer("STREAM.MSG.DELETE.sws-values", "{\"success\":true}");
    apply(get); /* another machine has not done so */
    answer_message(get_message, 11, "NATS/1.0\r\nSws-Expires: 86401750\r\n\r\n", "42");
    answer("STREAM.MSG.DELETE.sws-values", none);
    CHECK(ended == 5 && results[4] == 0);
    finish(5);
}

/* A server that removes expired messages gets their lifetime, and no requests. */
TEST(lifetimes_at_the_server) {
    const cre_value_operation set = { .kind = CRE_VALUE_SET, .value = text("v"), .lifetime_ms = 1500 };
    begin(",\"allow_msg_ttl\":true");
    apply(set);
    CHECK_STR(requests[0].headers, "NATS/1.0\r\nSws-Expires: 86401750\r\nNats-TTL: 3s\r\n\r\n");
    answer("sws.v.k.key", acknowledged);
    now += 10000;
    turn();
    CHECK_EQ(count, 0);
    finish(2);
}

TEST(conflicts) {
    const cre_value_operation absent = { .kind = CRE_VALUE_SET,
                                         .condition = CRE_VALUE_IF_ABSENT,
                                         .value = text("v") };
    begin("");
    apply(absent);
    answer("sws.v.k.key", conflict);
    answer_message(get_message, 5, "NATS/1.0\r\nSws-Expires: 7\r\n\r\n", "old");
    CHECK_STR(requests[0].headers, "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 5\r\n\r\n");
    answer("sws.v.k.key", conflict);
    answer_message(get_message, 6, "", "other");
    CHECK(ended == 2 && results[1] == 0);
    /* it ends in time, though others are always first */
    apply((cre_value_operation){ .kind = CRE_VALUE_ADD, .amount = 1 });
    int attempts = 0;
    for (const uint64_t end = now + TIMEOUT_MS; now < end && ended == 2; now += 20, attempts++) {
        turn();
        while (count)
            if (strcmp(requests[0].subject, get_message) == 0)
                answer_message(get_message, 5, "", "1");
            else
                answer(requests[0].subject, conflict);
    }
    turn();
    CHECK(ended == 3 && results[2] == CRE_EBROKER_UNAVAILABLE && attempts > 100);
    finish(3);
}

/* Nothing was changed by an operation that was not sent; of one that was, nobody knows. */
TEST(without_replies) {
    const cre_value_operation set = { .kind = CRE_VALUE_SET, .value = text("v") };
    create();
    apply(get);
    apply(get);
    now += TIMEOUT_MS;
    turn();
    CHECK(ended == 2 && results[0] == CRE_EBROKER_UNAVAILABLE && results[1] == CRE_EBROKER_UNAVAILABLE);
    count = 0;
    now += 1000;
    turn();
    apply(set);
    describe("");
    learn_clock();
    CHECK_EQ(count, 1);
    apply(get); /* behind it */
    CHECK_EQ(count, 1);
    count = 0;
    now += TIMEOUT_MS;
    turn();
    CHECK(results[2] == CRE_EBROKER_UNKNOWN && results[3] == CRE_EBROKER_UNAVAILABLE);
    CHECK_EQ(closed, 0);
    finish(4);
}

/* JetStream is not available for a moment, which nobody notices. */
TEST(retries) {
    begin("");
    apply((cre_value_operation){ .kind = CRE_VALUE_ADD, .amount = 1 });
    answer(get_message, unavailable);
    now += 250;
    turn();
    describe("");
    answer(get_message, none);
    answer("sws.v.k.key", unavailable);
    now += 250;
    turn();
    describe("");
    answer(get_message, none);
    answer("sws.v.k.key", acknowledged);
    CHECK(ended == 2 && results[1] == 1 && refusals == 0);
    CHECK_STR(value, "1");
    finish(2);
}

static void check_malformed(const char *reply) {
    begin("");
    apply(get);
    answer(get_message, reply);
    CHECK_EQ(closed, 1);
    CHECK(ended == 2 && results[1] == CRE_EBROKER_UNKNOWN);
    finish(2);
}

TEST(malformed_replies) {
    check_malformed("{}");
    check_malformed("{\"message\":{\"seq\":0,\"data\":\"eA==\"}}");
    check_malformed("{\"message\":{\"seq\":1,\"data\":\"e\"}}");
    check_malformed("{\"message\":{\"seq\":1,\"hdrs\":\"!\",\"data\":\"eA==\"}}");
    static const char *const times[] = { "", "1970-01-02T00:00:00", "1970-13-02T00:00:00Z", "today",
                                         "1970-01-02T00:00:0xZ" };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char json[128];
        create();
        apply(get);
        describe("");
        answer("sws.v.time", acknowledged);
        snprintf(json, sizeof json, "{\"message\":{\"seq\":1,\"time\":\"%s\"}}", times[i]);
        answer(get_message, json);
        CHECK_EQ(closed, 1);
        CHECK(ended == 1 && results[0] == CRE_EBROKER_UNKNOWN);
        finish(1);
    }
}

TEST(streams_that_differ) {
    create();
    apply(get);
    answer(
        "$JS.API.STREAM.INFO.sws-values",
        "{\"config\":{\"subjects\":[\"sws.v.>\"],\"max_msgs_per_subject\":1,\"max_age\":0,\"discard\":\"old\"},"
        "\"created\":\"today\"}");
    CHECK(ended == 1 && results[0] == CRE_EBROKER_REFUSED && refusals == 1);
    cre_value_operation operation = get;
    operation.key = text("key");
    CHECK_EQ(cre_broker_apply(broker, &operation, 9), CRE_EBROKER_UNAVAILABLE);
    finish(1);
}

TEST(limits) {
    static uint8_t bytes[CRE_VALUE_MAX];
    cre_value_operation set = { .kind = CRE_VALUE_SET,
                                .key = text("key"),
                                .value = { bytes, CRE_VALUE_MAX } };
    begin("");
    CHECK_EQ(cre_broker_apply(broker, &set, 1), 0);
    deliver("INFO {\"headers\":true,\"max_payload\":65000}\r\n", 43);
    CHECK_EQ(cre_broker_apply(broker, &set, 2), CRE_ELIMIT);
    set.value.length = 64000;
    CHECK_EQ(cre_broker_apply(broker, &set, 2), 0);
    finish(1);
}

int main(int argc, char **argv) {
    return test_main(argc, argv);
}
