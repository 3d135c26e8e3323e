/* Questions of a process to the gateway, which is killed, at a real server of Redis. */
#include "gateways.h"
#include "runtime/worker_internal.h"

/* A worker of the first server that asks. */
static cre_loop *loop;
static cre_worker *asker;
static uint64_t last_number;

static struct {
    uint64_t number;
    int result;
    uint32_t parts, length;
    bool ended;
    uint8_t bytes[4096];
} answer;

static void on_answer(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre_answer head;
    (void)context;
    REQUIRE(record->kind == CRE_MESSAGE_ANSWER && record->length <= sizeof answer.bytes);
    CHECK(from == GATEWAY || from == 0);
    memcpy(&head, payload, sizeof head);
    answer.number = record->session;
    answer.result = head.result;
    answer.parts++;
    answer.length = record->length - (uint32_t)sizeof head;
    memcpy(answer.bytes, payload + sizeof head, answer.length);
    answer.ended = record->flags & CRE_RECORD_FINAL;
    if (answer.ended) cre_loop_stop(loop);
}

static void start_asker(const server *of, void (*violation)(void *context, uint32_t from)) {
    const cre_worker_config config = { .bus = of->host.bus,
                                       .node = ASKER,
                                       .owner_count = 1,
                                       .on_message = on_answer,
                                       .violation = violation,
                                       .cluster = &place };
    REQUIRE(cre_loop_create(&loop) == 0);
    REQUIRE(cre_worker_create(loop, &config, &asker) == 0);
}

static void stop_asker(void) {
    cre_worker_destroy(asker);
    cre_loop_destroy(loop);
}

static void give_up(void *context, cre_timer *timer) {
    (void)context;
    (void)timer;
    cre_loop_stop(loop);
}

/* Runs the loop until an answer has come, or the time has passed. */
static bool await_answer(uint32_t limit_ms) {
    cre_timer *timer;
    REQUIRE(cre_timer_start(loop, limit_ms, 0, give_up, NULL, &timer) == 0);
    cre_loop_run(loop);
    if (answer.ended) cre_timer_stop(timer);
    return answer.ended;
}

static int send_question(cre_question question, const void *data, size_t length) {
    const cre_slice part = { data, length };
    memset(&answer, 0, sizeof answer);
    return cre_worker_ask(asker, ++last_number, question, &part, 1);
}

/* Returns the result of the answer. */
static int ask(cre_question question, const void *data, size_t length) {
    const int result = send_question(question, data, length);
    if (result) return result;
    REQUIRE(await_answer(DEADLINE_MS));
    CHECK_EQ(answer.number, last_number);
    CHECK_EQ(answer.parts, 1);
    return answer.result;
}

static int ask_position(const char *topic, cre_topic_position *position) {
    const int result = ask(CRE_QUESTION_POSITION, topic, strlen(topic));
    CHECK_EQ(answer.length, result ? 0 : sizeof *position);
    if (!result) memcpy(position, answer.bytes, sizeof *position);
    return result;
}

TEST(the_gateway_answers_questions) {
    start_servers(0, 0);
    start_asker(&servers[0], NULL);
    cre_topic_position before, after;
    CHECK_EQ(ask_position("kept:q", &before), 0);
    CHECK(before.epoch && before.offset == 0);
    CHECK_EQ(publish(&servers[1], "kept:q", "one", 0), 0);
    CHECK_EQ(publish(&servers[1], "kept:q", "two", 0), 0);
    WAIT(stats_of(&servers[1]).published == 2);
    CHECK_EQ(ask_position("kept:q", &after), 0);
    CHECK_EQ(after.epoch, before.epoch);
    CHECK_EQ(after.offset, 2);
    CHECK_EQ(ask_position("live", &after), CRE_ESTATE); /* it has no history */
    redis_kill();
    WAIT(stats_of(&servers[0]).connected == 0);
    CHECK_EQ(ask_position("kept:q", &after), CRE_EBROKER_UNAVAILABLE);
    redis_start(true);
    WAIT(stats_of(&servers[0]).connected == 1 && stats_of(&servers[1]).connected == 1);
    CHECK_EQ(ask_position("kept:q", &after), 0);
    CHECK_EQ(after.epoch, before.epoch);
    stop_asker();
    stop_servers();
}

/* Without a gateway nothing is asked; one that dies with a question never answers it, and its successor
 * answers further ones. */
TEST(a_dead_gateway_does_not_answer) {
    start_servers(0, 0);
    start_asker(&servers[0], NULL);
    cre_topic_position position;
    CHECK_EQ(ask_position("kept:d", &position), 0);
    kill(servers[0].gateway, SIGSTOP);
    CHECK_EQ(send_question(CRE_QUESTION_POSITION, "kept:d", 6), 0);
    CHECK(!await_answer(20));
    /* a question in the ring is the successor's */
    kill_gateway(&servers[0]);
    CHECK_EQ(send_question(CRE_QUESTION_POSITION, "kept:d", 6), CRE_EBROKER_UNAVAILABLE);
    start_gateway(&servers[0]);
    CHECK(await_answer(DEADLINE_MS));
    CHECK_EQ(answer.number, last_number - 1);
    WAIT(ask_position("kept:d", &position) == 0);
    stop_asker();
    stop_servers();
}

/* The gateway reads no more from a process that asks a malformed question. */
TEST(malformed_questions) {
    static char long_name[CRE_MAX_TOPIC + 1];
    for (int i = 0; i < 4; i++) {
        start_servers(0, 0);
        start_asker(&servers[0], NULL);
        memset(long_name, 'x', sizeof long_name);
        const cre_question kinds[] = { (cre_question)0, (cre_question)200, CRE_QUESTION_POSITION,
                                       CRE_QUESTION_POSITION };
        const size_t lengths[] = { 6, 6, 0, sizeof long_name };
        CHECK_EQ(send_question(kinds[i], long_name, lengths[i]), 0);
        CHECK(!await_answer(50));
        CHECK_EQ(send_question(CRE_QUESTION_POSITION, "kept:m", 6), 0);
        CHECK(!await_answer(50));
        stop_asker();
        stop_servers();
    }
}

/* Only the gateway and owners of sockets answer. */
static void on_liar(void *context, uint32_t from) {
    (void)context;
    CHECK_EQ(from, 1);
    answer.ended = true;
    cre_loop_stop(loop);
}

TEST(answers_of_others_are_invalid) {
    start_servers(0, 0);
    start_asker(&servers[0], on_liar);
    memset(&answer, 0, sizeof answer);
    const cre_answer head = { 0 };
    const cre_record record = { .kind = CRE_MESSAGE_ANSWER, .flags = CRE_RECORD_FINAL, .session = 1 };
    const cre_slice part = { (const uint8_t *)&head, sizeof head };
    CHECK_EQ(cre__worker_send(servers[0].worker, ASKER, &record, &part, 1), 0);
    CHECK(await_answer(DEADLINE_MS));
    CHECK_EQ(answer.parts, 0);
    stop_asker();
    stop_servers();
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
