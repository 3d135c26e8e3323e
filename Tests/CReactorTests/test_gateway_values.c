/* Values that the processes of two servers share through their gateways, at a real server of Redis. */
#include "gateways.h"

static int answers, result_of_answer;
static bool done;
static uint8_t value[CRE_VALUE_MAX];
static size_t value_length;

static void on_message(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre_answer head;
    cre_value_answer answer;
    (void)context;
    CHECK_EQ(from, GATEWAY);
    REQUIRE(record->kind == CRE_MESSAGE_ANSWER && record->flags & CRE_RECORD_FINAL);
    CHECK_EQ(record->session, last_question);
    memcpy(&head, payload, sizeof head);
    answers++;
    result_of_answer = head.result;
    if (head.result) return;
    REQUIRE(record->length >= sizeof head + sizeof answer);
    memcpy(&answer, payload + sizeof head, sizeof answer);
    done = answer.done == 1;
    value_length = record->length - sizeof head - sizeof answer;
    REQUIRE(value_length <= sizeof value);
    memcpy(value, payload + sizeof head + sizeof answer, value_length);
}

static int ask(cre_value_question question, const char *key, cre_slice bytes, const char *expected) {
    question.key_length = (uint16_t)strlen(key);
    question.value_length = (uint32_t)bytes.length;
    question.expected_length = (uint32_t)strlen(expected);
    const cre_slice parts[] = { { (const uint8_t *)&question, sizeof question },
                                { (const uint8_t *)key, strlen(key) },
                                bytes,
                                { (const uint8_t *)expected, strlen(expected) } };
    done = false;
    value_length = 0;
    const int before = answers, result = ask_gateway(CRE_QUESTION_VALUE, parts, 4);
    if (result) return result;
    AWAIT(answers > before);
    return result_of_answer;
}

static int get(const char *key) {
    return ask((cre_value_question){ .kind = CRE_VALUE_GET }, key, text(""), "");
}

static int add(const char *key, int64_t amount) {
    return ask((cre_value_question){ .kind = CRE_VALUE_ADD, .amount = amount }, key, text(""), "");
}

static void check(const char *expected) {
    CHECK(done);
    CHECK_EQ(value_length, strlen(expected));
    CHECK_MEM(value, expected, value_length);
}

static void start(void) {
    start_servers(0, 0);
    start_asker(&servers[0], on_message, NULL);
}

static void stop(void) {
    stop_asker();
    stop_servers();
}

TEST(questions) {
    static uint8_t bytes[CRE_VALUE_MAX];
    const cre_value_question set = { .kind = CRE_VALUE_SET },
                             absent = { .kind = CRE_VALUE_SET, .condition = CRE_VALUE_IF_ABSENT };
    const cre_value_question equal = { .kind = CRE_VALUE_SET, .condition = CRE_VALUE_IF_EQUAL };
    start();
    CHECK_EQ(get("key"), 0);
    CHECK(!done && value_length == 0);
    CHECK_EQ(ask(absent, "key", text("one"), ""), 0);
    CHECK(done);
    CHECK_EQ(ask(absent, "key", text("two"), ""), 0);
    CHECK(!done);
    CHECK_EQ(ask(equal, "key", text("two"), "one"), 0);
    CHECK(done);
    CHECK_EQ(get("key"), 0);
    check("two");
    CHECK_EQ(add("n", -5), 0);
    check("-5");
    CHECK_EQ(add("key", 1), CRE_EVALUE_NUMBER);
    CHECK_EQ(ask((cre_value_question){ .kind = CRE_VALUE_REMOVE }, "key", text(""), ""), 0);
    CHECK(done);
    CHECK_EQ(get("key"), 0);
    CHECK(!done);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i / 3);
    CHECK_EQ(ask(set, "large", (cre_slice){ bytes, sizeof bytes }, ""), 0);
    CHECK_EQ(get("large"), 0);
    CHECK_EQ(value_length, sizeof bytes);
    CHECK_MEM(value, bytes, sizeof bytes);
    const cre_cluster_stats stats = stats_of(&servers[0]);
    CHECK_EQ(stats.questions, last_question);
    CHECK_EQ(stats.questions_failed, 1);
    CHECK_EQ(stats.questions_open, 0);
    redis_stop(true);
    const cre_value_question first = { .key_length = 1 };
    const cre_slice parts[] = { { (const uint8_t *)&first, sizeof first }, text("k") };
    const int before = answers;
    CHECK_EQ(ask_gateway(CRE_QUESTION_VALUE, parts, 2), 0);
    AWAIT(stats_of(&servers[0]).questions_open == 1);
    redis_stop(false);
    AWAIT(answers > before);
    CHECK_EQ(stats_of(&servers[0]).questions_open, 0);
    stop();
}

/* The successor of a gateway answers, and what its predecessor has done is there. */
TEST(killed_gateway) {
    start();
    CHECK_EQ(add("kept", 1), 0);
    kill_gateway(&servers[0]);
    CHECK_EQ(add("kept", 1), CRE_EBROKER_UNAVAILABLE);
    start_gateway(&servers[0]);
    AWAIT(get("kept") == 0);
    check("1");
    stop();
}

/* Nothing more is read from a process that sends malformed questions; others are answered. */
TEST(malformed_questions) {
    start();
    const cre_value_question questions[] = { { .key_length = 4 },
                                             { .key_length = 3, .value_length = UINT32_MAX } };
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const cre_slice parts[] = { { (const uint8_t *)&questions[i], sizeof questions[i] }, text("key") };
        CHECK_EQ(cre_worker_ask(servers[0].worker, 1, CRE_QUESTION_VALUE, parts, 2), 0);
    }
    const cre_slice part = text("short");
    CHECK_EQ(cre_worker_ask(servers[0].worker, 1, CRE_QUESTION_VALUE, &part, 1), 0);
    CHECK_EQ(publish(&servers[0], "news", "x", 0), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(add("others", 1), 0);
    check("20");
    CHECK_EQ(stats_of(&servers[0]).published, 0);
    stop();
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
