/* Members of topics at a server of NATS that is played by this program. */
#include "played_nats.h"

enum { ENTRIES = 512, RENEWED_MS = 60000 };

static int answers, result;
static uint64_t members; /* of the last list */
static int joined, left;

static void on_present(void *context, uint64_t tag, int error, const cre_broker_presence *presence) {
    (void)context, (void)tag;
    answers++;
    result = error;
    members = presence ? presence->count : 0;
}

static void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joins) {
    (void)context, (void)topic, (void)member;
    ++*(joins ? &joined : &left);
}

static const char *const conflict =
    "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last\"}}";

/* The stream of members, or that of leases, with `more` settings. */
static void describe_stream(bool leases, const char *retention, const char *more) {
    char subject[64], json[512];
    const char *name = leases ? "sws-leases-60000" : "sws-members-60000";
    snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", name);
    snprintf(json, sizeof json,
             "{\"config\":{\"name\":\"%s\",\"subjects\":[\"sws.%s.60000.*.*\"],\"retention\":\"%s\","
             "\"max_msgs_per_subject\":1,\"max_age\":%s%s},\"created\":\"today\"}",
             name, leases ? "n" : "p", retention, leases ? "60000000000" : "0", more);
    answer(subject, json);
}

/* The two streams, with `more` settings of that of members. */
static void describe(const char *retention, const char *more) {
    describe_stream(false, retention, more);
    describe_stream(true, "limits", "");
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

/* Another machine has created the stream in the same moment. A server that has found none then reports the
 * subjects of that; those of any other stream are still there at the next attempt. */
TEST(a_stream_that_two_machines_create) {
    static const char none[] = "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"not found\"}}";
    static const char overlap[] =
        "{\"error\":{\"code\":400,\"err_code\":10065,\"description\":\"subjects overlap\"}}";
    for (int is_other = 0; is_other < 2; is_other++) {
        begin();
        CHECK_EQ(cre_broker_join(broker, text("room"), text("bob"), text("B")), 0);
        answer("STREAM.INFO.sws-members-60000", none);
        describe_stream(true, "limits", "");
        answer("STREAM.CREATE.sws-members-60000", overlap);
        CHECK_EQ(refusals, 0);
        now += 250;
        turn();
        if (is_other) {
            answer("STREAM.INFO.sws-members-60000", none);
            answer("STREAM.CREATE.sws-members-60000", overlap);
            CHECK_EQ(refusals, 1);
            CHECK(strstr(refusal, "subjects overlap"));
        } else {
            describe_stream(false, "limits", "");
            answer(".none", "{\"seq\":1}"); /* the lease */
            answer("sws.p.60000.cm9vbQ.YW5u", "{\"seq\":2}");
            answer("sws.p.60000.cm9vbQ.Ym9i", "{\"seq\":3}");
            CHECK_EQ(refusals, 0);
        }
        CHECK_EQ(count, 0);
        finish();
    }
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

/* ---- a machine that crashes ---- */

enum { OWN = 7, OTHER = 9 }; /* sessions */

static uint64_t deadline; /* of the lease of the other machine */
static const char *ann;   /* what is stored of the member of the other machine */

/* Which machines are alive, by the clock of the server. */
static void answer_nodes(void) {
    char json[256], other[64] = "";
    if (now < deadline) snprintf(other, sizeof other, ",\"sws.n.60000.%016x.sweeps\":1", OTHER);
    snprintf(json, sizeof json, "{\"state\":{\"subjects\":{\"sws.n.60000.%016x.sweeps\":1%s}}}", OWN, other);
    answer("STREAM.INFO.sws-leases-60000", json);
}

/* Answers a consumer, whose only message is of a member. */
static void answer_consumer(void) {
    char bytes[512], reply[64];
    answer("CONSUMER.CREATE.sws-members-60000", "{\"name\":\"c\",\"num_pending\":1}");
    REQUIRE(count == 1 && strstr(requests[0].subject, "CONSUMER.MSG.NEXT.sws-members-60000.c"));
    snprintf(reply, sizeof reply, "%s", requests[0].reply);
    count = 0;
    const int size =
        snprintf(bytes, sizeof bytes, "MSG sws.p.60000.cm9vbQ.YW5u %s $JS.ACK.s.c.1.5.1.1.0 %zu\r\n%s\r\n",
                 strrchr(reply, '.') + 1, strlen(ann), ann);
    deliver(bytes, (size_t)size);
    turn();
    /* A scan asks only when the member may have been left behind. */
    while (count && strstr(requests[0].subject, "$JS.API."))
        if (strstr(requests[0].subject, "CONSUMER.DELETE"))
            answer("", "{}");
        else
            answer_nodes();
}

/* Answers what is sent because time passes, and returns whether a scan has begun. */
static bool serve_time(void) {
    turn();
    while (count) {
        if (strstr(requests[0].subject, "STREAM.INFO.sws-leases")) {
            answer_nodes();
        } else if (strstr(requests[0].subject, "sws.n.")) {
            answer("", "{\"seq\":8}"); /* the lease is renewed */
        } else if (strstr(requests[0].subject, "STREAM.INFO.sws-members")) {
            describe_stream(false, "limits", "");
        } else {
            CHECK(strstr(requests[0].subject, "CONSUMER.CREATE") || strstr(requests[0].subject, "MSG.GET"));
            return true;
        }
    }
    return false;
}

static uint64_t list_members(void) {
    const int before = answers;
    CHECK_EQ(cre_broker_list_members(broker, text("room"), 9, 7), 0);
    turn();
    answer_consumer();
    CHECK_EQ(answers, before + 1);
    return members;
}

/* Its members are listed until its lease ends, and have left one interval of sweeping later. */
TEST(members_of_a_crashed_machine) {
    enum { SWEPT = RENEWED_MS / 4, STEP = 100 };
    static char one[64];
    snprintf(one, sizeof one, "%016x%016x:A", OTHER, OTHER);
    ann = one;
    for (deadline = 70000; deadline < 70000 + 2 * SWEPT; deadline += SWEPT / 4 + 1) {
        answers = joined = left = 0;
        start((cre_broker_config){ .sweeps = 1 },
              (cre_broker_handlers){ .present = on_present, .member = on_member });
        describe("limits", "");
        answer(".sweeps", "{\"seq\":1}");
        bool scans = serve_time();
        for (; now + STEP < deadline; now += STEP) { /* the first sweep reads what there was before */
            scans = serve_time();
            if (scans) answer_consumer();
        }
        CHECK_EQ(list_members(), 1);
        CHECK_EQ(left, 0);
        for (now = deadline; !(scans = serve_time()) && now < deadline + 2 * SWEPT;)
            now += STEP;
        CHECK(scans && now <= deadline + SWEPT + STEP);
        answer_consumer();
        REQUIRE(count == 1 && strstr(requests[0].subject, "sws.p.60000.cm9vbQ.YW5u"));
        CHECK_EQ(strlen(requests[0].payload), 0); /* nobody has the member */
        answer("sws.p.60000.cm9vbQ.YW5u", "{\"seq\":9}");
        CHECK_EQ(left, 1);
        CHECK_EQ(joined, 0);
        count = 0;
        finish();
    }
}

/* ---- consumers that do not reply ---- */

static const char *const no_message =
    "{\"error\":{\"code\":404,\"err_code\":10037,\"description\":\"no message found\"}}";

/* Answers a question for the first message of the topic from a sequence on. */
static void answer_step(int from, int sequence, const char *subject) {
    char expected[96];
    snprintf(expected, sizeof expected, "{\"seq\":%d,\"next_by_subj\":\"sws.p.60000.", from);
    REQUIRE(count > 0);
    CHECK(strstr(requests[0].payload, expected) == requests[0].payload);
    stored_subject = subject;
    if (sequence)
        answer_message("STREAM.MSG.GET.sws-members-60000", sequence, "", ann);
    else
        answer("STREAM.MSG.GET.sws-members-60000", no_message);
}

static void begin_list(void) {
    static char own[64];
    snprintf(own, sizeof own, "%016x%016x:A", OWN, OWN);
    ann = own;
    deadline = 0;
    begin();
    describe("limits", "");
    answer(".none", "{\"seq\":1}");
    answer("sws.p.60000.cm9vbQ.YW5u", "{\"seq\":2}");
    CHECK_EQ(cre_broker_list_members(broker, text("room"), 9, 7), 0);
    turn();
}

static void lose_request(const char *subject) {
    REQUIRE(count == 1 && strstr(requests[0].subject, subject));
    count = 0;
    now += 5000;
    turn();
}

static void answer_list(int first, int second) {
    answer_step(1, first, "sws.p.60000.cm9vbQ.YW5u");
    answer_step(first + 1, second, "sws.p.60000.cm9vbQ.Ym9i");
    answer_step(second + 1, 0, "");
    answer_nodes();
    CHECK_EQ(result, 0);
    CHECK_EQ(members, 2);
    while (count)
        answer("", "{}"); /* the consumer is deleted */
}

TEST(a_list_without_a_consumer) {
    begin_list();
    lose_request("CONSUMER.CREATE");
    answer_list(3, 8);
    CHECK_EQ(answers, 1);
    CHECK_EQ(cre_broker_list_members(broker, text("room"), 9, 7), 0);
    turn();
    answer_list(4, 5); /* no consumer is tried again soon */
    CHECK_EQ(answers, 2);
    now += 10000;
    CHECK_EQ(cre_broker_list_members(broker, text("room"), 9, 7), 0);
    turn();
    REQUIRE(count == 1 && strstr(requests[0].subject, "CONSUMER.CREATE"));
    count = 0;
    finish();
}

/* They are stored again behind those that are read. The last ones count. */
TEST(members_that_change_while_they_are_listed) {
    begin_list();
    lose_request("CONSUMER.CREATE");
    answer_step(1, 3, "sws.p.60000.cm9vbQ.YW5u");
    answer_step(4, 4, "sws.p.60000.cm9vbQ.Ym9i");
    answer_step(5, 6, "sws.p.60000.cm9vbQ.Ym9");
    answer_step(7, 8, "sws.p.60000.cm9vbQ.YW5u");
    ann = "";
    answer_step(9, 9, "sws.p.60000.cm9vbQ.Ym9i"); /* has left */
    answer_step(10, 0, "");
    answer_nodes();
    CHECK_EQ(result, 0);
    CHECK_EQ(members, 2);
    CHECK_EQ(answers, 1);
    count = 0;
    finish();
}

TEST(a_list_whose_consumer_falls_silent) {
    char message[256], *to;
    begin_list();
    const int subscribed = subscriptions;
    answer("CONSUMER.CREATE.sws-members-60000", "{\"name\":\"c\",\"num_pending\":2}");
    REQUIRE(count == 1);
    to = strrchr(requests[0].reply, '.') + 1;
    const int size =
        snprintf(message, sizeof message,
                 "MSG sws.p.60000.cm9vbQ.YW5u %s $JS.ACK.s.c.1.5.1.1.0 %zu\r\n%s\r\n", to, strlen(ann), ann);
    deliver(message, (size_t)size);
    lose_request("CONSUMER.MSG.NEXT");
    deliver(message, (size_t)size); /* too late */
    answer_list(5, 6);
    CHECK_EQ(answers, 1);
    CHECK_EQ(subscriptions, subscribed - 1);
    finish();
}

TEST(a_list_without_a_consumer_and_without_a_leader) {
    begin_list();
    lose_request("CONSUMER.CREATE");
    answer_step(1, 3, "sws.p.60000.cm9vbQ.YW5u");
    lose_request("MSG.GET");
    CHECK_EQ(answers, 1);
    CHECK_EQ(result, CRE_EBROKER_UNAVAILABLE);
    count = 0;
    finish();
}

TEST(a_scan_without_a_consumer) {
    static char one[64];
    snprintf(one, sizeof one, "%016x%016x:A", OTHER, OTHER);
    ann = one;
    deadline = 0;
    answers = joined = left = 0;
    start((cre_broker_config){ .sweeps = 1 },
          (cre_broker_handlers){ .present = on_present, .member = on_member });
    describe("limits", "");
    answer(".sweeps", "{\"seq\":1}");
    for (int i = 0; !serve_time() && i < 1000; i++)
        now += 100;
    lose_request("CONSUMER.CREATE");
    REQUIRE(serve_time());
    answer_step(1, 5, "sws.p.60000.cm9vbQ.YW5u");
    answer_step(6, 0, "");
    answer_nodes();
    REQUIRE(count == 1 && strstr(requests[0].subject, "sws.p.60000.cm9vbQ.YW5u"));
    CHECK_EQ(strlen(requests[0].payload), 0);
    answer("sws.p.60000.cm9vbQ.YW5u", "{\"seq\":9}");
    CHECK_EQ(left, 1);
    count = 0;
    finish();
}

int main(int argc, char **argv) {
    return test_main(argc, argv);
}
