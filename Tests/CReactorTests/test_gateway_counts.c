/* The number of subscribers that other servers have: questions of a worker to its gateway, and of gateways to
 * each other, at real servers of Redis and NATS. */
#include <inttypes.h>

#include "nats_process.h"
/* `server` has another meaning there */
#include "gateways.h"

enum { LONG_MS = 50000, SHORT_MS = 100 };

static int answers, result_of_answer;
static cre_count counted;
static uint64_t sum; /* of all answers */

static void on_message(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre_answer head;
    (void)context;
    CHECK_EQ(from, GATEWAY);
    REQUIRE(record->kind == CRE_MESSAGE_ANSWER && record->flags & CRE_RECORD_FINAL);
    memcpy(&head, payload, sizeof head);
    answers++;
    result_of_answer = head.result;
    counted = (cre_count){ 0 };
    if (head.result) return;
    _Static_assert(sizeof counted == sizeof(cre_member_list), "their numbers are at the same place");
    REQUIRE(record->length == sizeof head + sizeof counted);
    memcpy(&counted, payload + sizeof head, sizeof counted);
    sum += counted.count;
}

static int begin(const char *topic, uint32_t timeout_ms) {
    const cre_count_question question = { .timeout_ms = timeout_ms };
    const cre_slice parts[] = { { (const uint8_t *)&question, sizeof question }, text(topic) };
    return ask_gateway(CRE_QUESTION_COUNT, parts, 2);
}

static int ask(const char *topic, uint32_t timeout_ms) {
    const int before = answers, result = begin(topic, timeout_ms);
    if (result) return result;
    AWAIT(answers > before);
    return result_of_answer;
}

/* Whether all other servers have answered, and this is the sum. */
static bool is_count(const char *topic, uint64_t count) {
    turn();
    return ask(topic, LONG_MS) == 0 && !counted.missing && counted.count == count;
}

/* What the worker has commanded is done when this message arrives. */
static void settle(server *it) {
    CHECK_EQ(cre_worker_push(it->worker, it->session, CRE_WS_TEXT, true, "settled", 7), 0);
    net_ws_expect_text(&it->client, "settled");
}

/* The number of servers that are listed. */
static uint64_t listed(void) {
    const cre_members_question question = { .most = 0 };
    const cre_slice parts[] = { { (const uint8_t *)&question, sizeof question }, text(CRE_TOPIC_NODES) };
    const int before = answers, result = ask_gateway(CRE_QUESTION_MEMBERS, parts, 2);
    if (result) return 0;
    AWAIT(answers > before);
    return result_of_answer ? 0 : counted.count;
}

static uint32_t lease_ms = 1200;

static void start_both(void) {
    presence_ms = lease_ms;
    for (int i = 0; i < SERVERS; i++)
        start_server(&servers[i], 0, 0);
    for (int i = 0; i < SERVERS; i++)
        WAIT(stats_of(&servers[i]).connected == 1);
    start_asker(&servers[0], on_message, NULL);
    subscribe(&servers[1], "started");
    settle(&servers[1]);
}

static void start(void) {
    redis_start(false);
    start_both();
    /* A server that is not listed yet is not waited for. */
    AWAIT(listed() == SERVERS);
}

static void stop_both(void) {
    for (int i = 0; i < SERVERS; i++)
        CHECK_EQ(atomic_load(&servers[i].host.violations), 0);
    stop_asker();
    for (int i = 0; i < SERVERS; i++)
        stop_server(&servers[i]);
}

static void stop(void) {
    stop_both();
    redis_kill();
}

TEST(subscribers_of_other_servers) {
    start();
    server *other = &servers[1];
    subscribe(&servers[0], "news"); /* not one of another server */
    settle(&servers[0]);
    CHECK(is_count("news", 0));
    subscribe(other, "news");
    settle(other);
    CHECK(is_count("news", 1));
    net_client second = connect_ws(&other->host);
    cre_session sessions[2];
    uint32_t cursor = 0;
    REQUIRE(cre_table_list(cre_bus_table(other->host.bus), &cursor, sessions, 2) == 2);
    const cre_session of_second = sessions[sessions[0] == other->session];
    CHECK_EQ(cre_worker_subscribe(other->worker, of_second, "news", 4, true), 0);
    CHECK_EQ(cre_worker_bind_name(other->worker, of_second, "alice", 5), 0);
    settle(other);
    CHECK(is_count("news", 2));
    CHECK(is_count(CRE_TOPIC_USER "alice", 1));
    CHECK(is_count(CRE_TOPIC_USER "bob", 0));
    CHECK_EQ(cre_worker_subscribe(other->worker, other->session, "news", 4, false), 0);
    settle(other);
    CHECK(is_count("news", 1));
    const cre_record reset = { .kind = CRE_COMMAND_RESET, .session = of_second };
    CHECK_EQ(cre_worker_command(other->worker, &reset, NULL, 0), 0);
    settle(other);
    CHECK(is_count("news", 0));
    CHECK(is_count(CRE_TOPIC_USER "alice", 0));
    net_close(&second);
    /* Questions are no messages of the application. */
    const cre_cluster_stats stats = stats_of(&servers[0]), of_other = stats_of(other);
    CHECK(stats.published == 0 && stats.received == 0 && of_other.received == 0 && of_other.invalid == 0);
    CHECK(stats.questions == last_question && stats.questions_open == 0);
    stop();
}

TEST(many_at_the_same_time) {
    enum { QUESTIONS = 300 };
    start();
    const int before = answers;
    sum = 0;
    for (int i = 0; i < QUESTIONS; i++)
        CHECK_EQ(begin("started", LONG_MS), 0);
    AWAIT(answers == before + QUESTIONS);
    CHECK_EQ(sum, QUESTIONS);
    CHECK_EQ(stats_of(&servers[0]).questions_open, 0);
    stop();
}

/* A server that does not answer is missing, not counted as 0, until its lease has ended. Those that answer
 * each repetition are counted once. */
TEST(killed_server) {
    server third;
    start();
    start_server(&third, 0, 0);
    subscribe(&third, "started");
    settle(&third);
    AWAIT(listed() == SERVERS + 1);
    CHECK(is_count("started", 2));
    kill_gateway(&servers[1]);
    CHECK_EQ(ask("started", SHORT_MS), 0);
    CHECK(counted.missing == 1 && counted.count == 1);
    CHECK(is_count("started", 1));
    start_gateway(&servers[1]);
    AWAIT(is_count("started", 2));
    stop_server(&third);
    stop();
}

/* The question is repeated for a gateway that has replaced another one. */
TEST(gateway_that_is_replaced_meanwhile) {
    start();
    presence_ms = 0;
    kill(servers[1].gateway, SIGSTOP);
    const int before = answers;
    CHECK_EQ(begin("started", LONG_MS), 0);
    AWAIT(stats_of(&servers[0]).questions_open == 1);
    kill_gateway(&servers[1]);
    presence_ms = 1200;
    start_gateway(&servers[1]);
    AWAIT(answers > before);
    CHECK(result_of_answer == 0 && counted.missing == 0 && counted.count == 1);
    stop();
}

TEST(without_redis) {
    enum { MOST = 1024 };
    start();
    redis_stop(true);
    CHECK_EQ(ask("started", SHORT_MS), CRE_EBROKER_UNAVAILABLE); /* nobody has answered in time */
    const int before = answers;
    for (int i = 0; i < MOST; i++)
        CHECK_EQ(begin("started", LONG_MS), 0);
    CHECK_EQ(ask("started", LONG_MS), CRE_EBROKER_UNAVAILABLE); /* too many */
    CHECK_EQ(answers, before + 1);
    CHECK_EQ(stats_of(&servers[0]).questions_open, MOST);
    redis_kill();
    AWAIT(answers == before + 1 + MOST);
    CHECK_EQ(ask("started", LONG_MS), CRE_EBROKER_UNAVAILABLE);
    redis_start(false);
    AWAIT(is_count("started", 1));
    stop();
}

/* Nothing more is read from a process that sends malformed questions; others are answered. */
TEST(malformed_questions) {
    start();
    const cre_slice topic = text("started");
    CHECK_EQ(cre_worker_ask(servers[0].worker, 1, CRE_QUESTION_COUNT, &topic, 1), 0);
    CHECK_EQ(publish(&servers[0], "news", "x", 0), 0);
    for (int i = 0; i < 20; i++)
        CHECK(is_count("started", 1));
    CHECK_EQ(stats_of(&servers[0]).published, 0);
    stop();
}

/* Reads the first line of a command's output that begins like this, into `line`. */
static void first_line(FILE *output, const char *beginning, char line[300]) {
    do {
        REQUIRE(fgets(line, 300, output) != NULL);
        line[strcspn(line, "\n")] = 0;
    } while (strncmp(line, beginning, strlen(beginning)) != 0);
}

static FILE *redis_output(const char *command, const char *pattern) {
    char shell[300];
    snprintf(shell, sizeof shell, "exec redis-cli -s %s %s '%s' 2>/dev/null", redis_socket(), command,
             pattern);
    FILE *output = popen(shell, "r");
    REQUIRE(output != NULL);
    return output;
}

/* Publishes as another program, past the gateways. '0' is what gateways put before a message without history.
 */
static void publish_past(const char *topic, const char *message) {
    char pattern[64], channel[300];
    snprintf(pattern, sizeof pattern, "*:%s", topic);
    FILE *output = redis_output("PUBSUB CHANNELS", pattern);
    first_line(output, "sws:", channel);
    pclose(output);
    CHECK(redis_cli("PUBLISH '%s' '%s'", channel, message));
}

static void publish_to_server(const server *it, const char *message) {
    char topic[64];
    snprintf(topic, sizeof topic, CRE_TOPIC_SERVER "%016llx",
             (unsigned long long)it->host.bus->control->server);
    publish_past(topic, message);
}

/* Other programs may publish anything: messages that are no questions, and answers that nobody has asked for.
 */
TEST(malformed_messages_of_others) {
    static const char *const messages[] = { "q",
                                            "0q",
                                            "0q0",
                                            "0q0123456789abcdef0123456789abcdef",
                                            "0q0123456789abcdeX0123456789abcdeft",
                                            "0a0123456789abcdef0123456789abcdef1" };
    static const char *const malformed[] = { "a",
                                             "0a",
                                             "0b1",
                                             "0a0123456789abcdef0123456789abcdef",
                                             "0a0123456789abcdef0123456789abcdef-1",
                                             "0a0123456789abcdef0123456789abcdef1" };
    start();
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        publish_past(CRE_TOPIC_ALL, messages[i]);
    char question[300];
    snprintf(question, sizeof question, "0q0123456789abcdef0123456789abcdef%0256d", 0); /* too long a topic */
    publish_past(CRE_TOPIC_ALL, question);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        publish_to_server(&servers[0], malformed[i]);
    CHECK(is_count("started", 1));
    CHECK_EQ(stats_of(&servers[0]).received, 1); /* the last of `messages`, which is one to everyone */
    stop();
}

static uint64_t number_of_question; /* as the asking gateway has numbered it */

static void answer_as(const server *it, const char *count) {
    char message[100];
    snprintf(message, sizeof message, "0a%016llx%016llx%s", (unsigned long long)it->host.bus->control->server,
             (unsigned long long)number_of_question, count);
    publish_to_server(&servers[0], message);
}

/* Of each server one number is counted, which has to be one that it can have. */
TEST(numbers_of_others) {
    static const char *const refused[] = { "4294967296", "18446744073709551616", "-1", "", "1x" };
    char line[300];
    server third;
    lease_ms = 60000; /* of those that are stopped */
    start();
    lease_ms = 1200;
    start_server(&third, 0, 0);
    AWAIT(listed() == SERVERS + 1);
    kill(servers[1].gateway, SIGSTOP);
    kill(third.gateway, SIGSTOP);
    FILE *output = redis_output("PSUBSCRIBE", "*:" CRE_TOPIC_ALL);
    first_line(output, "psubscribe", line);
    const int before = answers;
    CHECK_EQ(begin("started", LONG_MS), 0);
    AWAIT(stats_of(&servers[0]).questions_open == 1);
    first_line(output, "0q", line);
    REQUIRE(sscanf(line, "0q%*16c%16" SCNx64 "started", &number_of_question) == 1);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        answer_as(&servers[1], refused[i]);
    answer_as(&servers[1], "4294967295");
    answer_as(&servers[1], "7"); /* once more */
    answer_as(&third, "1");
    AWAIT(answers > before);
    CHECK(result_of_answer == 0 && counted.missing == 0);
    CHECK_EQ(counted.count, UINT32_MAX + 1ull);
    kill(servers[1].gateway, SIGCONT);
    kill(third.gateway, SIGCONT);
    stop_server(&third);
    stop();
    pclose(output);
}

/* ---- NATS ---- */

static void start_at_nats(const char *settings) {
    nats_start(0, settings);
    gateway_kind = CRE_BROKER_NATS;
    gateway_server = (cre_cluster_server){ .host = "127.0.0.1", .port = nats_processes[0].port };
    start_both();
}

static void stop_at_nats(void) {
    stop_both();
    nats_kill(0);
    gateway_kind = CRE_BROKER_REDIS;
    gateway_server = (cre_cluster_server){ 0 };
}

TEST(with_nats) {
    if (!nats_is_installed()) return;
    start_at_nats(nats_store(0, true));
    AWAIT(listed() == SERVERS);
    CHECK(is_count("started", 1));
    kill_gateway(&servers[1]);
    CHECK_EQ(ask("started", SHORT_MS), 0);
    CHECK(counted.missing == 1 && counted.count == 0);
    start_gateway(&servers[1]);
    AWAIT(is_count("started", 1));
    stop_at_nats();
}

/* Without JetStream nobody knows which servers are alive. */
TEST(with_nats_without_jetstream) {
    if (!nats_is_installed()) return;
    start_at_nats("");
    CHECK_EQ(ask("started", LONG_MS), CRE_EBROKER_UNAVAILABLE);
    stop_at_nats();
}

int main(int argc, char **argv) {
    if (nats_is_installed()) nats_make_folder();
    const int result = redis_test_main(argc, argv);
    return nats_is_installed() ? result | nats_remove_folder() : result;
}
