/* Members of topics at a server of NATS that is played by this program. */
#include "played_nats.h"

enum { ENTRIES = 512, RENEWED_MS = 60000 };

static int answers, result;

static void on_present(void *context, uint64_t tag, int error, const cre_broker_presence *presence) {
    (void)context, (void)tag, (void)presence;
    answers++;
    result = error;
}

static const char *const conflict =
    "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last\"}}";

/* The two streams, with `more` settings of that of members. */
static void describe(const char *retention, const char *more) {
    static const char *const names[] = { "sws-members-60000", "sws-leases-60000" };
    for (int i = 0; i < 2; i++) {
        char subject[64], json[512];
        snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", names[i]);
        snprintf(json, sizeof json,
                 "{\"config\":{\"name\":\"%s\",\"subjects\":[\"sws.%s.60000.*.*\"],\"retention\":\"%s\","
                 "\"max_msgs_per_subject\":1,\"max_age\":%s%s},\"created\":\"today\"}",
                 names[i], i ? "n" : "p", i ? "limits" : retention, i ? "60000000000" : "0", i ? "" : more);
        answer(subject, json);
    }
}

static void begin(void) {
    answers = 0;
    start((cre_broker_config){ 0 }, (cre_broker_handlers){ .present = on_present });
    CHECK_EQ(cre_broker_join(broker, text("room"), text("ann"), text("A")), 0);
    turn();
}

static void finish(void) {
    CHECK_EQ(closed, 0);
    cre_broker_destroy(broker);
}

/* What is stored when `count` other machines have the member. */
static const char *record_of(int machines) {
    static char record[LONGEST];
    size_t length = 0;
    for (int i = 0; i < machines; i++)
        length += (size_t)snprintf(record + length, sizeof record - length, "%016x%016x%c", i + 100, i + 100,
                                   i + 1 < machines ? ',' : ':');
    snprintf(record + length, sizeof record - length, "A");
    return record;
}

/* It is stored when one of the other machines has left, and the cause is reported before. */
TEST(more_machines_than_a_member_may_have) {
    begin();
    CHECK_EQ(cre_broker_join(broker, text("room"), text("bob"), text("B")), 0);
    describe("limits", "");
    answer(".none", "{\"seq\":1}"); /* the lease */
    answer("sws.p.60000.cm9vbQ.YW5u", conflict);
    answer("sws.p.60000.cm9vbQ.Ym9i", "{\"seq\":2}");
    answer_message("STREAM.MSG.GET.sws-members-60000", 5, "", record_of(ENTRIES));
    CHECK_EQ(refusals, 1);
    CHECK(strstr(refusal, "512 servers"));
    CHECK_EQ(count, 0);
    for (const uint64_t end = now + RENEWED_MS; now < end && !count; now += 1000)
        turn();
    if (count && strstr(requests[0].subject, ".none")) answer(".none", "{\"seq\":2}");
    if (count && strstr(requests[0].subject, "INFO"))
        answer("INFO.sws-members-60000", "{\"error\":{\"code\":503}}");
    REQUIRE(count == 1);
    answer(requests[0].subject, conflict);
    answer_message("STREAM.MSG.GET.sws-members-60000", 6, "", record_of(ENTRIES - 1));
    REQUIRE(count == 1);
    CHECK(strstr(requests[0].payload, "0000000000000007"));
    answer("sws.p.60000.cm9vbQ.YW5u", "{\"seq\":7}");
    CHECK_EQ(count, 0);
    finish();
}

static void check_refused(const char *retention, const char *more, const char *cause) {
    begin();
    CHECK_EQ(cre_broker_join(broker, text("room"), text("bob"), text("B")), 0);
    describe(retention, more);
    CHECK_EQ(refusals, 1);
    CHECK(strstr(refusal, cause));
    finish();
}

/* Members could not be removed, or would be at once. */
TEST(streams_that_do_not_suit) {
    check_refused("workqueue", "", "it exists with a different retention");
    check_refused("limits", ",\"deny_delete\":true", "it exists with a different deny_delete");
}

/* The server refuses a consumer: nothing remains of the subscription to it. */
TEST(a_list_that_is_refused) {
    static const char denied[] = "-ERR 'Permissions Violation for Publish to "
                                 "\"$JS.API.CONSUMER.CREATE.sws-members-60000\"'\r\n";
    begin();
    describe("limits", "");
    answer(".none", "{\"seq\":1}");
    answer("sws.p.60000.cm9vbQ.YW5u", "{\"seq\":2}");
    const int before = subscriptions;
    CHECK_EQ(cre_broker_list_members(broker, text("room"), 9, 7), 0);
    turn();
    CHECK_EQ(subscriptions, before + 1);
    deliver(denied, sizeof denied - 1);
    turn();
    CHECK_EQ(answers, 1);
    CHECK_EQ(result, CRE_EBROKER_UNAVAILABLE);
    CHECK_EQ(subscriptions, before);
    finish();
}

int main(int argc, char **argv) {
    return test_main(argc, argv);
}
