/*
 * A broker at a cluster of NATS whose servers do not deliver all that they have stored: messages that a new
 * leader has stored without publishing them, or that were lost between two servers. The cluster is played by
 * this program, and time is its own.
 */
#include <creactor/broker.h>
#include <creactor/error.h>
#include <errno.h>

#include "core/base64.h"
#include "test.h"
#include "text.h"

enum { STORED = 64 };

static const cre_broker_history kept = { .count = 20, .seconds = 600 };

/* What servers reply that are asked directly, instead of the leader. */
typedef enum direct_replies {
    NOT_ALLOWED, /* the stream does not allow it */
    SINGLE,      /* one message each */
    BATCHES,     /* several messages, as servers from 2.11 on */
    NOBODY,      /* that there are none */
    DENIED,      /* that it is not permitted */
    NOTHING
} direct_replies;

/* The stream: messages of the topic have sequences 2, 4, 6 ...; the others are of other topics. */
static struct {
    bool stored[STORED], read[STORED]; /* the leader has it; the leader finds it */
    bool applied[STORED];              /* the server that is asked directly has it */
    direct_replies direct;
    int last;
    const char *leader;
    int polls, reads, direct_reads;
    bool silent;  /* nobody leads the stream */
    bool reading; /* the question is one for a message */
} cluster;

static struct {
    cre_broker *broker;
    uint64_t now;
    bool wants;
    int closed; /* by the broker */
    uint64_t epoch;
    int received[STORED], count, lost, missed, last_missed, recovered, result;
} machine;

/* ---- the broker's caller ---- */

static void on_connect(void *context, uint32_t shard) {
    (void)context;
    (void)shard;
    machine.wants = true;
}

static void on_disconnect(void *context, uint32_t shard) {
    (void)context;
    (void)shard;
    machine.closed++;
}

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    (void)context;
    (void)topic;
    char number[8] = "";
    REQUIRE(payload.length < sizeof number && machine.count < STORED);
    memcpy(number, payload.data, payload.length);
    if (position.epoch) CHECK_EQ(position.offset, atoi(number));
    machine.epoch = position.epoch;
    machine.received[machine.count++] = atoi(number);
}

static void on_position(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    (void)position;
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    on_position(context, topic, position);
    machine.lost++;
}

static void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)result;
    (void)position;
}

static void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    char number[8] = "";
    on_published(context, tag, 0, position);
    REQUIRE(payload.length < sizeof number);
    memcpy(number, payload.data, payload.length);
    CHECK_EQ(position.offset, atoi(number));
    CHECK_EQ(position.offset, machine.last_missed + 2);
    machine.last_missed = (int)position.offset;
    machine.missed++;
}

static void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    on_published(context, tag, result, position);
    machine.recovered++;
    machine.result = result;
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice cause) {
    (void)context;
    (void)shard;
    (void)state;
    (void)error;
    (void)cause;
}

/* ---- the cluster ---- */

static void deliver(const char *bytes, size_t length) {
    cre_broker_received(machine.broker, 0, (const uint8_t *)bytes, length, machine.now);
}

static void reply(const char *to, const char *json) {
    char bytes[2048];
    const int length = snprintf(bytes, sizeof bytes, "MSG %s 1 %zu\r\n%s\r\n", to, strlen(json), json);
    deliver(bytes, (size_t)length);
}

static void describe_stream(const char *to) {
    char json[1024];
    snprintf(
        json, sizeof json,
        "{\"config\":{\"name\":\"sws-20-600\",\"allow_direct\":%s,\"subjects\":[\"sws.h.20-600.>\"],\"max_msgs_per_subject\":21,"
        "\"max_age\":600000000000,\"duplicate_window\":300000000000,\"republish\":{\"src\":"
        "\"sws.h.20-600.>\",\"dest\":\"sws.l.>\"},\"retention\":\"limits\",\"discard\":\"old\"},"
        "\"created\":\"today\",\"state\":{\"last_seq\":%d},\"cluster\":{\"leader\":\"%s\"}}",
        cluster.direct == NOT_ALLOWED ? "false" : "true", cluster.last, cluster.leader);
    cluster.polls++;
    reply(to, json);
}

/* The first message from a sequence on, or the last one. */
static int find(const char *request) {
    const char *from = strstr(request, "\"seq\":");
    for (int i = from ? atoi(from + 6) : STORED - 1; from ? i < STORED : i > 0; i += from ? 1 : -1)
        if (cluster.read[i]) return i;
    return 0;
}

static void read_message(const char *to, const char *request) {
    char json[512], number[8], encoded[32] = "";
    const int sequence = find(request);
    cluster.reads++;
    if (!sequence) {
        reply(to, "{\"error\":{\"code\":404,\"err_code\":10037,\"description\":\"no message found\"}}");
        return;
    }
    snprintf(number, sizeof number, "%d", sequence);
    cre__base64_encode((const uint8_t *)number, strlen(number), encoded);
    snprintf(json, sizeof json, "{\"message\":{\"subject\":\"x\",\"seq\":%d,\"data\":\"%s\"}}", sequence,
             encoded);
    reply(to, json);
}

static void reply_with_headers(const char *to, const char *headers, const char *payload) {
    char bytes[512];
    const size_t length = strlen(headers);
    deliver(bytes, (size_t)snprintf(bytes, sizeof bytes, "HMSG %s 1 %zu %zu\r\n%s%s\r\n", to, length,
                                    length + strlen(payload), headers, payload));
}

/* A server that has the stream, and perhaps does not lead it, is asked for messages. */
static void read_directly(const char *to, const char *subject, const char *request) {
    char headers[128], number[8];
    cluster.direct_reads++;
    if (cluster.direct == NOTHING) return;
    if (cluster.direct == DENIED) {
        char error[256];
        deliver(error, (size_t)snprintf(error, sizeof error,
                                        "-ERR 'Permissions Violation for Publish to \"%s\"'\r\n", subject));
        return;
    }
    const char *most = cluster.direct == BATCHES ? strstr(request, "\"batch\":") + 8 : "1";
    int at = atoi(strstr(request, "\"seq\":") + 6), left = 0, sent = 0;
    for (int i = at; i < STORED && cluster.direct != NOBODY; i++)
        left += cluster.applied[i];
    for (; left && sent < atoi(most); at++) {
        if (!cluster.applied[at]) continue;
        left--;
        sent++;
        int length = snprintf(headers, sizeof headers, "NATS/1.0\r\nNats-Sequence: %d\r\n", at);
        if (cluster.direct == BATCHES)
            length +=
                snprintf(headers + length, sizeof headers - (size_t)length, "Nats-Num-Pending: %d\r\n", left);
        snprintf(headers + length, sizeof headers - (size_t)length, "\r\n");
        snprintf(number, sizeof number, "%d", at);
        reply_with_headers(to, headers, number);
    }
    if (!sent)
        reply_with_headers(to, cluster.direct == NOBODY ? "NATS/1.0 503\r\n\r\n" : "NATS/1.0 404\r\n\r\n",
                           "");
    snprintf(headers, sizeof headers, "NATS/1.0 204 EOB\r\nNats-Num-Pending: %d\r\n\r\n", left);
    if (sent && cluster.direct == BATCHES) reply_with_headers(to, headers, "");
}

/* Answers what the broker has sent. Between a request and its reply `meanwhile` happens. */
static void serve(void (*meanwhile)(void)) {
    for (cre_slice out; (out = cre_broker_output(machine.broker, 0)).length;) {
        char *bytes = strndup((const char *)out.data, out.length);
        REQUIRE(bytes);
        cre_broker_sent(machine.broker, 0, out.length);
        for (char *line = bytes, *end; (end = strstr(line, "\r\n")); line = end + 2) {
            char subject[128], to[128];
            int size;
            *end = 0;
            if (strncmp(line, "PING", 4) == 0) deliver("PONG\r\n", 6);
            if (sscanf(line, "PUB %127s %127s %d", subject, to, &size) != 3) continue;
            char *payload = end + 2;
            payload[size] = 0;
            end = payload + size;
            cluster.reading = strstr(subject, "STREAM.MSG.GET") != NULL;
            if (meanwhile) meanwhile();
            if (strstr(subject, "DIRECT.GET"))
                read_directly(to, subject, payload);
            else if (cluster.silent)
                continue;
            else if (strstr(subject, "STREAM.INFO"))
                describe_stream(to);
            else if (cluster.reading)
                read_message(to, payload);
        }
        free(bytes);
        cre_broker_tick(machine.broker, machine.now);
    }
}

/* Time passes in the steps of the broker's timers. */
static void pass(uint64_t milliseconds) {
    const uint64_t end = machine.now + milliseconds;
    for (;;) {
        cre_broker_tick(machine.broker, machine.now);
        serve(NULL);
        if (machine.now == end) return;
        const uint64_t next = cre_broker_tick(machine.broker, machine.now);
        machine.now = next > machine.now && next < end ? next : end;
    }
}

static void store(int sequence) {
    cluster.stored[sequence] = cluster.read[sequence] = cluster.applied[sequence] = true;
    cluster.last = sequence;
}

/* The leader publishes what it has stored. */
static void republish(int sequence) {
    char bytes[512], headers[256];
    int before = sequence - 1;
    while (before && !cluster.stored[before])
        before--;
    snprintf(headers, sizeof headers,
             "NATS/1.0\r\nNats-Stream: sws-20-600\r\nNats-Sequence: %d\r\nNats-Last-Sequence: %d\r\n\r\n",
             sequence, before);
    const int digits = snprintf(NULL, 0, "%d", sequence);
    const int length = snprintf(bytes, sizeof bytes, "HMSG sws.l.news 2 %zu %zu\r\n%s%d\r\n", strlen(headers),
                                strlen(headers) + (size_t)digits, headers, sequence);
    deliver(bytes, (size_t)length);
}

static void publish(int sequence) {
    store(sequence);
    republish(sequence);
}

static void connect_broker(void) {
    static const char info[] = "INFO {\"headers\":true,\"max_payload\":1048576,\"cluster\":\"c\"}\r\n";
    cre_broker_tick(machine.broker, machine.now);
    REQUIRE(machine.wants);
    machine.wants = false;
    cre_broker_connected(machine.broker, 0, machine.now);
    deliver(info, sizeof info - 1);
    serve(NULL);
}

static void create(void) {
    const cre_broker_handlers handlers = {
        .connect = on_connect,
        .disconnect = on_disconnect,
        .message = on_message,
        .subscribed = on_position,
        .lost = on_lost,
        .published = on_published,
        .missed = on_missed,
        .recovered = on_recovered,
        .state = on_state,
    };
    const cre_broker_config config = {
        .size = sizeof config,
        .shards = 1,
        .seed = 7,
        .kind = CRE_BROKER_NATS,
        .probe_ms = 1000000,
    };
    memset(&cluster, 0, sizeof cluster);
    memset(&machine, 0, sizeof machine);
    cluster.leader = "a";
    machine.now = 1000;
    REQUIRE(cre_broker_create(&config, &handlers, NULL, &machine.broker) == 0);
    REQUIRE(cre_broker_subscribe(machine.broker, text("news"), kept) == 0);
}

static void begin_with(direct_replies direct) {
    create();
    cluster.direct = direct;
    connect_broker();
    publish(2);
    pass(10000); /* the leader is no new one any more */
    publish(4);
    CHECK_EQ(machine.count, 2);
    CHECK(cre_broker_is_connected(machine.broker, 0));
}

static void begin(void) {
    begin_with(NOT_ALLOWED);
}

/* Each message was received once, in order, and none was reported as lost. */
static void finish(int last) {
    CHECK_EQ(machine.count, last / 2);
    for (int i = 0; i < machine.count; i++)
        CHECK_EQ(machine.received[i], 2 * (i + 1));
    CHECK_EQ(machine.lost + machine.closed, 0);
    cre_broker_destroy(machine.broker);
}

/* ---- tests ---- */

TEST(the_last_message_of_a_leader_that_died) {
    begin();
    store(6);
    cluster.leader = "b";
    pass(3000);
    finish(6);
}

/* It answers before it has read everything. */
TEST(a_leader_that_reads_late) {
    begin();
    cluster.leader = "b";
    pass(3000);
    store(6);
    pass(5000);
    finish(6);
}

TEST(a_message_lost_between_servers) {
    begin();
    store(6);
    pass(3000);
    CHECK_EQ(machine.count, 3);
    const int reads = cluster.reads;
    pass(60000); /* nothing new: nothing is read */
    CHECK_EQ(cluster.reads, reads);
    CHECK(cluster.polls >= 30);
    finish(6);
}

/* The broker does not know the stream when messages arrive, nor when it loses the connection. */
TEST(a_connection_lost_before_the_stream_is_known) {
    create();
    cluster.silent = true;
    connect_broker();
    publish(2);
    publish(4);
    pass(3000);
    CHECK_EQ(machine.count, 2);
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    store(6);
    pass(1000);
    connect_broker();
    publish(8);
    pass(3000);
    publish(10);
    CHECK_EQ(machine.count, 2);
    cluster.silent = false;
    pass(2000);
    finish(10);
}

/* The first reply about the stream is older than what was delivered before. */
TEST(messages_before_the_stream_is_known) {
    create();
    cluster.silent = true;
    connect_broker();
    publish(2);
    publish(4);
    cluster.last = 2;
    cluster.stored[6] = cluster.read[6] = true; /* which nobody delivers */
    cluster.silent = false;
    pass(2000);
    finish(6);
}

static void publish_next(void) {
    if (cluster.last < 40) publish(cluster.last + 2);
}

/* With each question another message arrives. They are not read again. */
TEST(a_gap_of_a_busy_topic) {
    begin();
    store(6);
    const int reads = cluster.reads;
    publish(8);
    cre_broker_tick(machine.broker, machine.now);
    serve(publish_next);
    CHECK(cluster.reads - reads <= 3);
    while (cluster.last < 40)
        publish_next();
    finish(40);
}

/* More messages than the history has, of which it has the last one only. */
static void publish_many(void) {
    if (!cluster.reading || cluster.last > 8) return;
    for (int i = 0; i < 22; i++) {
        cluster.read[cluster.last] = false;
        publish(cluster.last + 2);
    }
}

/* Nothing is missing: what the topic has got meanwhile follows its position. */
TEST(an_audit_of_a_topic_whose_messages_are_deleted) {
    begin();
    const int reads = cluster.reads;
    machine.now += 2000;
    cre_broker_tick(machine.broker, machine.now);
    serve(publish_many);
    CHECK(cluster.reads > reads);
    finish(48);
}

/* While a topic is read, messages are lost again. */
TEST(a_second_gap) {
    begin();
    store(6);
    publish(8);
    store(10);
    publish(12);
    publish(14);
    cre_broker_tick(machine.broker, machine.now);
    serve(NULL);
    finish(14);
}

TEST(a_published_message_that_the_leader_does_not_find_yet) {
    begin();
    publish(6);
    cluster.stored[8] = true;
    cluster.last = 10;
    cluster.stored[10] = true;
    republish(10);
    pass(3000);
    CHECK_EQ(machine.count, 3);
    store(8);
    store(10);
    pass(1000);
    finish(10);
}

/* It will not find it. */
TEST(a_published_message_that_nobody_has) {
    begin();
    cluster.stored[6] = cluster.stored[8] = true;
    republish(8);
    pass(4000);
    CHECK_EQ(machine.lost, 0);
    pass(4000);
    CHECK_EQ(machine.lost, 1);
    publish(10);
    pass(1000);
    CHECK_EQ(machine.received[machine.count - 1], 10);
    cre_broker_destroy(machine.broker);
}

static void recover_of(const char *topic, uint64_t offset) {
    const cre_broker_position since = { machine.epoch, offset };
    machine.missed = machine.recovered = 0;
    machine.last_missed = (int)offset;
    CHECK_EQ(cre_broker_recover(machine.broker, text(topic), kept, since, 1), 0);
    pass(100);
}

static void recover(uint64_t offset) {
    recover_of("news", offset);
}

static void check_recovered(int missed) {
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, 0);
    CHECK_EQ(machine.missed, missed);
}

/* A new leader has not read up to a client's position yet. */
TEST(a_recovery_at_a_new_leader) {
    begin();
    publish(6);
    publish(8);
    pass(3000);
    cluster.leader = "b";
    cluster.read[6] = cluster.read[8] = false;
    recover(6);
    CHECK_EQ(machine.recovered, 0);
    pass(2000);
    CHECK_EQ(machine.recovered, 0);
    cluster.read[6] = cluster.read[8] = true;
    pass(1000);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, 0);
    CHECK_EQ(machine.missed, 1);
    finish(8);
}

/* Of a leader that has been there for long, the answer is final. */
TEST(a_recovery_of_a_message_that_was_deleted) {
    begin();
    cluster.read[2] = false;
    recover(2);
    pass(400); /* the broker asks whether the leader is another one */
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    finish(4);
}

/* Any server that has the stream serves for a recovery. */
TEST(a_recovery_without_a_leader) {
    for (direct_replies direct = SINGLE; direct <= BATCHES; direct++) {
        begin_with(direct);
        publish(6);
        publish(8);
        cluster.silent = true;
        pass(5000); /* the stream is asked for all the time */
        recover(4);
        check_recovered(2);
        CHECK_EQ(cluster.direct_reads, direct == BATCHES ? 1 : 4);
        cluster.silent = false;
        pass(1000);
        finish(8);
    }
}

TEST(a_recovery_without_a_leader_after_a_loss_of_the_connection) {
    begin_with(BATCHES);
    publish(6);
    cluster.silent = true;
    cre_broker_closed(machine.broker, 0, -ECONNRESET, machine.now);
    pass(1000);
    connect_broker();
    recover(4);
    CHECK_EQ(machine.recovered, 0); /* the stream may be another one now */
    pass(1500);
    check_recovered(1);
    cluster.silent = false;
    pass(1000);
    finish(6);
}

/* A server that does not have all messages yet is believed nothing but what it has. */
TEST(a_recovery_at_a_server_that_is_behind) {
    for (int first = 4; first <= 8; first += 2) {
        begin_with(first == 6 ? SINGLE : BATCHES);
        publish(6);
        publish(8);
        for (int i = first; i <= 8; i++)
            cluster.applied[i] = false;
        recover(4);
        check_recovered(2);
        cluster.silent = true;
        pass(3000);
        recover(4);
        pass(3000);
        CHECK_EQ(machine.recovered, 0);
        cluster.silent = false;
        pass(2000);
        check_recovered(2);
        finish(8);
    }
}

/* Such a server does not know that messages are missing which it never had. */
TEST(a_recovery_at_a_server_without_the_first_message) {
    begin_with(BATCHES);
    publish(6);
    publish(8);
    cluster.applied[4] = false;
    recover(4);
    check_recovered(2);
    finish(8);
}

/* Where live messages are not known the leader says which one is the last. */
TEST(a_recovery_of_a_topic_that_is_not_subscribed) {
    begin_with(BATCHES);
    const int reads = cluster.reads;
    recover_of("other", 2);
    check_recovered(1);
    CHECK_EQ(cluster.direct_reads, 1);
    CHECK_EQ(cluster.reads, reads + 1);
    finish(4);
}

TEST(a_recovery_where_only_the_leader_answers) {
    for (direct_replies direct = NOBODY; direct <= NOTHING; direct++) {
        begin_with(direct);
        for (int i = 0; i < 2; i++) {
            recover(2);
            pass(1000);
            check_recovered(1);
        }
        CHECK_EQ(cluster.direct_reads, direct == DENIED ? 1 : 2);
        finish(4);
    }
}

/* It ends before all of them have arrived. */
TEST(a_recovery_of_too_many_messages) {
    begin_with(BATCHES);
    for (int i = 6; i <= 44; i += 2)
        publish(i);
    recover(2);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    CHECK_EQ(machine.missed, 0);
    recover(4);
    check_recovered(20);
    finish(44);
}

/* Before the second question the history has got more messages than it keeps. */
static void overflow(void) {
    if (!cluster.reading || cluster.reads != 1) return;
    for (int i = 0; i < 25; i++)
        publish(cluster.last + 2);
    for (int i = 0; i < cluster.last - 2 * (int)kept.count; i++)
        cluster.read[i] = false;
}

/* What the stream has deleted since the first message was read must not be missing. */
TEST(a_recovery_while_messages_are_deleted) {
    begin();
    const cre_broker_position since = { machine.epoch, 2 };
    cluster.reads = 0;
    machine.last_missed = 2;
    CHECK_EQ(cre_broker_recover(machine.broker, text("news"), kept, since, 1), 0);
    cre_broker_tick(machine.broker, machine.now);
    serve(overflow);
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, CRE_EBROKER_GAP);
    CHECK_EQ(machine.missed, 0);
    finish(54);
}

int main(int argc, char **argv) {
    return test_main(argc, argv);
}
