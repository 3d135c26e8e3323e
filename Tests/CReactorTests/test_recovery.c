/* Questions of a process to the gateway, which is killed, at a real server of Redis. */
#include "gateways.h"
#include "runtime/worker_internal.h"

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

/* Runs the loop until an answer has come, or the time has passed. */
static bool await_answer(uint32_t limit_ms) {
    cre_timer *timer;
    REQUIRE(cre_timer_start(loop, limit_ms, 0, stop_loop, NULL, &timer) == 0);
    cre_loop_run(loop);
    if (answer.ended) cre_timer_stop(timer);
    return answer.ended;
}

static int send_question(cre_question question, const void *data, size_t length) {
    const cre_slice part = { data, length };
    memset(&answer, 0, sizeof answer);
    return ask_gateway(question, &part, 1);
}

/* Returns the result of the answer. */
static int ask(cre_question question, const void *data, size_t length) {
    const int result = send_question(question, data, length);
    if (result) return result;
    REQUIRE(await_answer(DEADLINE_MS));
    CHECK_EQ(answer.number, last_question);
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
    start_asker(&servers[0], on_answer, NULL);
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
    start_asker(&servers[0], on_answer, NULL);
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
    CHECK_EQ(answer.number, last_question - 1);
    WAIT(ask_position("kept:d", &position) == 0);
    stop_asker();
    stop_servers();
}

/* The gateway reads no more from a process that asks a malformed question. */
TEST(malformed_questions) {
    static char long_name[CRE_MAX_TOPIC + 1];
    for (int i = 0; i < 4; i++) {
        start_servers(0, 0);
        start_asker(&servers[0], on_answer, NULL);
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
    start_asker(&servers[0], on_answer, on_liar);
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

/* ---- recovery ---- */

static uint64_t asker_mark;

/* Returns the result of the answer; with 0 *recovered is set. */
static int recover(const server *of, cre_session session, const char *topic, cre_topic_position since,
                   cre_recovered *recovered) {
    uint8_t bytes[sizeof(cre_recovery) + CRE_MAX_TOPIC];
    const cre_recovery recovery = { .session = session, .since = since, .mark = asker_mark };
    (void)of;
    memcpy(bytes, &recovery, sizeof recovery);
    memcpy(bytes + sizeof recovery, topic, strlen(topic));
    const int result = ask(CRE_QUESTION_RECOVER, bytes, sizeof recovery + strlen(topic));
    CHECK_EQ(answer.length, result ? 0 : sizeof *recovered);
    if (!result) memcpy(recovered, answer.bytes, sizeof *recovered);
    return result;
}

static void publish_numbers(server *by, const char *topic, int from, int end) {
    const uint64_t before = stats_of(by).published;
    char text[16];
    for (int i = from; i < end; i++) {
        snprintf(text, sizeof text, "%d", i);
        CHECK_EQ(publish(by, topic, text, 0), 0);
    }
    WAIT(stats_of(by).published == before + (uint64_t)(end - from));
}

static void expect_numbers(net_client *client, int from, int end) {
    char text[16];
    for (int i = from; i < end; i++) {
        snprintf(text, sizeof text, "%d", i);
        net_ws_expect_text(client, text);
    }
}

TEST(a_connection_gets_what_it_has_missed) {
    start_servers(0, 0);
    start_asker(&servers[0], on_answer, NULL);
    server *it = &servers[0];
    cre_topic_position start;
    cre_recovered recovered;
    CHECK_EQ(ask_position("kept:r", &start), 0);
    publish_numbers(&servers[1], "kept:r", 0, 10);
    const cre_topic_position since = { start.epoch, 4 };
    CHECK_EQ(recover(it, it->session, "kept:r", since, &recovered), 0);
    CHECK_EQ(recovered.outcome, CRE_RECOVERY_COMPLETE);
    CHECK_EQ(recovered.messages, 6);
    CHECK_EQ(recovered.position.offset, 10);
    expect_numbers(&it->client, 4, 10);
    /* and then the live ones */
    publish_numbers(&servers[1], "kept:r", 10, 20);
    expect_numbers(&it->client, 10, 20);
    /* subscribed once, it gets nothing again */
    CHECK_EQ(recover(it, it->session, "kept:r", since, &recovered), 0);
    CHECK_EQ(recovered.outcome, CRE_RECOVERY_SUBSCRIBED);
    CHECK_EQ(recovered.position.offset, 20);
    publish_numbers(&servers[0], "kept:r", 20, 21);
    expect_numbers(&it->client, 20, 21);
    /* nothing was missed */
    net_client other = connect_ws(&it->host);
    cre_session sessions[2];
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_bus_table(it->host.bus), &cursor, sessions, 2) == 2);
    const cre_session second = sessions[0] == it->session ? sessions[1] : sessions[0];
    CHECK_EQ(recover(it, second, "kept:r", (cre_topic_position){ start.epoch, 21 }, &recovered), 0);
    CHECK_EQ(recovered.outcome, CRE_RECOVERY_COMPLETE);
    CHECK_EQ(recovered.messages, 0);
    /* without a position the next message is the first one */
    CHECK_EQ(recover(it, second, "kept:s", (cre_topic_position){ 0 }, &recovered), 0);
    CHECK_EQ(recovered.outcome, CRE_RECOVERY_SUBSCRIBED);
    publish_numbers(&servers[1], "kept:s", 0, 2);
    expect_numbers(&other, 0, 2);
    CHECK_EQ(recover(it, it->session, "live", start, &recovered), CRE_ESTATE);
    CHECK_EQ(recover(it, it->session + 1000, "kept:r", start, &recovered), CRE_EGONE);
    /* something that was sent before is not there */
    asker_mark = UINT64_MAX;
    CHECK_EQ(recover(it, second, "kept:t", start, &recovered), -EAGAIN);
    asker_mark = 0;
    CHECK_EQ(recover(it, second, "kept:t", start, &recovered), 0);
    net_close(&other);
    stop_asker();
    stop_servers();
}

TEST(what_is_no_longer_available_is_lost) {
    start_servers(0, 0);
    start_asker(&servers[0], on_answer, NULL);
    server *it = &servers[0];
    cre_topic_position start;
    cre_recovered recovered;
    CHECK_EQ(ask_position("short:a", &start), 0);
    publish_numbers(&servers[1], "short:a", 0, 4);
    CHECK_EQ(recover(it, it->session, "short:a", start, &recovered), 0); /* 3 of 4 are left */
    CHECK_EQ(recovered.outcome, CRE_RECOVERY_LOST);
    CHECK_EQ(recovered.messages, 0);
    CHECK_EQ(recovered.position.offset, 4);
    publish_numbers(&servers[1], "short:a", 4, 5);
    expect_numbers(&it->client, 4, 5);
    /* of another history */
    const cre_topic_position other = { start.epoch + 1, 1 };
    CHECK_EQ(cre_worker_subscribe(it->worker, it->session, "short:a", 7, false), 0);
    WAIT(recover(it, it->session, "short:a", other, &recovered) == 0 &&
         recovered.outcome == CRE_RECOVERY_LOST);
    publish_numbers(&servers[1], "short:a", 5, 6);
    expect_numbers(&it->client, 5, 6);
    stop_asker();
    stop_servers();
}

static void expect_enveloped(net_client *client, const char *topic, cre_topic_position position,
                             const char *message) {
    char text[512];
    if (position.epoch)
        snprintf(text, sizeof text, "{\"topic\":\"%s\",\"position\":\"%llu:%016llx\"}\n%s", topic,
                 (unsigned long long)position.offset, (unsigned long long)position.epoch, message);
    else
        snprintf(text, sizeof text, "{\"topic\":\"%s\"}\n%s", topic, message);
    net_ws_expect_text(client, text);
}

TEST(envelopes_have_the_position) {
    start_servers(0, 0);
    start_asker(&servers[0], on_answer, NULL);
    server *it = &servers[0];
    cre_topic_position start;
    cre_recovered recovered;
    CHECK_EQ(ask_position("enveloped:\"", &start), 0);
    publish_numbers(&servers[1], "enveloped:\"", 0, 2);
    CHECK_EQ(recover(it, it->session, "enveloped:\"", start, &recovered), 0);
    CHECK_EQ(recovered.messages, 2);
    publish_numbers(&servers[1], "enveloped:\"", 2, 3);
    const char *messages[] = { "0", "1", "2" };
    for (uint64_t i = 0; i < 3; i++)
        expect_enveloped(&it->client, "enveloped:\\\"", (cre_topic_position){ start.epoch, i + 1 },
                         messages[i]);
    /* local first */
    subscribe(it, "local:a");
    CHECK_EQ(publish(it, "local:a", "here", 0), 0);
    expect_enveloped(&it->client, "local:a", (cre_topic_position){ 0 }, "here");
    WAIT(stats_of(it).published == 1); /* so that the next subscriber does not get it, too */
    subscribe_surely(&servers[1], "local:a");
    CHECK_EQ(publish(it, "local:a", "there", 0), 0);
    expect_enveloped(&servers[1].client, "local:a", (cre_topic_position){ 0 }, "there");
    stop_asker();
    stop_servers();
}

static void publish_large(server *by, const char *topic, int count) {
    static char message[1 << 20];
    memset(message, 'x', sizeof message);
    for (int i = 0; i < count; i++) {
        const uint64_t before = stats_of(by).published;
        CHECK_EQ(
            cre_worker_publish(by->worker, topic, strlen(topic), CRE_WS_TEXT, message, sizeof message, 0), 0);
        WAIT(stats_of(by).published == before + 1);
    }
}

/* The connection's queue holds all missed messages or gets none of them. */
TEST(a_queue_that_is_too_short) {
    enum { COUNT = 6 };
    client_queue = 4 << 20;
    start_servers(0, 0);
    start_asker(&servers[0], on_answer, NULL);
    server *it = &servers[0];
    cre_topic_position start;
    cre_recovered recovered;
    CHECK_EQ(ask_position("kept:l", &start), 0);
    publish_large(&servers[1], "kept:l", COUNT);
    static char large[1 << 20];
    int result, pushed = 0;
    while (!(result = cre_worker_push(it->worker, it->session, CRE_WS_BINARY, true, large, sizeof large))) {
        pushed++;
        usleep(2000);
    }
    CHECK_EQ(result, CRE_EQUEUE_FULL);
    const cre_topic_position since = { start.epoch, COUNT - 2 };
    CHECK_EQ(recover(it, it->session, "kept:l", since, &recovered), CRE_EQUEUE_FULL);
    for (; pushed; pushed--)
        net_ws_expect(&it->client, CRE_WS_BINARY, large, sizeof large);
    WAIT((result = recover(it, it->session, "kept:l", since, &recovered)) != CRE_EQUEUE_FULL);
    CHECK_EQ(result, 0);
    CHECK_EQ(recovered.outcome, CRE_RECOVERY_COMPLETE);
    memset(large, 'x', sizeof large);
    for (int i = 0; i < 2; i++)
        net_ws_expect(&it->client, CRE_WS_TEXT, large, sizeof large);
    /* they never fit */
    CHECK_EQ(cre_worker_subscribe(it->worker, it->session, "kept:l", 6, false), 0);
    WAIT(recover(it, it->session, "kept:l", start, &recovered) == 0 &&
         recovered.outcome == CRE_RECOVERY_LOST);
    CHECK_EQ(recovered.position.offset, COUNT);
    publish_numbers(&servers[1], "kept:l", 0, 1);
    expect_numbers(&it->client, 0, 1);
    stop_asker();
    stop_servers();
    client_queue = 32 << 20;
}

/* Messages are published while connections come and recover: each gets all behind its position, in order and
 * once, however the recovered and the live ones meet. */
TEST(recovered_and_live_messages_meet_without_a_gap) {
    enum { CLIENTS = 20 };
    start_servers(0, 0);
    start_asker(&servers[0], on_answer, NULL);
    server *it = &servers[0];
    cre_topic_position start;
    cre_recovered recovered;
    net_client clients[CLIENTS];
    CHECK_EQ(ask_position("kept:m", &start), 0);
    const pid_t publisher = fork();
    REQUIRE(publisher >= 0);
    if (publisher == 0) {
        char text[16];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0;; i++) {
            snprintf(text, sizeof text, "%d", i);
            if (cre_worker_publish(servers[1].worker, "kept:m", 6, CRE_WS_TEXT, text, strlen(text), 0)) i--;
            usleep(500);
        }
    }
    cre_session last = it->session;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_ws(&it->host);
        cre_session sessions[CLIENTS + 1];
        uint32_t cursor = 0;
        const size_t count = cre_table_list(cre_bus_table(it->host.bus), &cursor, sessions, CLIENTS + 1);
        for (size_t at = 0; at < count; at++)
            if (sessions[at] > last) last = sessions[at];
        WAIT(recover(it, last, "kept:m", start, &recovered) == 0);
        CHECK_EQ(recovered.outcome, CRE_RECOVERY_COMPLETE);
        if (i == CLIENTS / 2) { /* the successor recovers for those that come later */
            kill_gateway(it);
            start_gateway(it);
        }
    }
    const int end = (int)recovered.position.offset + 100;
    for (int i = 0; i < CLIENTS; i++)
        expect_numbers(&clients[i], 0, end);
    kill(publisher, SIGKILL);
    REQUIRE(waitpid(publisher, NULL, 0) == publisher);
    for (int i = 0; i < CLIENTS; i++)
        net_close(&clients[i]);
    stop_asker();
    stop_servers();
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
