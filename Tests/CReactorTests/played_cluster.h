/*
 * A broker at a cluster of NATS whose servers do not deliver all that they have stored, or do not all have
 * it. The cluster is played by this program, and time is its own.
 */
#ifndef CRE_PLAYED_CLUSTER_H
#define CRE_PLAYED_CLUSTER_H

#include <creactor/broker.h>
#include <errno.h>

#include "core/base64.h"
#include "test.h"
#include "text.h"

enum { STORED = 160 };

static const cre_broker_history kept = { .count = 20, .seconds = 600 };

/* What servers reply that are asked directly, instead of the leader. */
typedef enum direct_replies {
    NOT_ALLOWED, /* the stream does not allow it */
    SINGLE,      /* one message each */
    BATCHES,     /* several messages, as servers from 2.12 on */
    NOBODY,      /* that there are none */
    DENIED,      /* that it is not permitted */
    NOTHING
} direct_replies;

/* The stream: messages of the topic have sequences 2, 4, 6 ...; the others are of other topics. */
static struct {
    bool stored[STORED], read[STORED]; /* the leader has it; the leader finds it */
    bool applied[STORED];              /* the server that is asked directly has it */
    direct_replies direct;
    int batch; /* what a server sends at most for one request; 0: any number */
    int aged;  /* the last one that it deletes by age once it has sent the first one of a batch */
    int last;
    const char *leader, *version;
    bool alone;                   /* it is a server without a cluster... */
    const char *time, *stored_at; /* ...with this time, and has stored messages at that one */
    int polls, reads, direct_reads;
    bool silent;         /* nobody leads the stream of `kept` */
    bool reading;        /* the question is one for a message */
    const char *ignored; /* those with this text have no reply from the leader; NULL: all have one */
    bool counts;         /* the leader's replies have a header that those of batches have */
} cluster;

static struct {
    cre_broker *broker;
    uint64_t now;
    bool wants;
    int closed; /* by the broker */
    uint64_t epoch;
    int position, positions; /* of the topic; how often it was reported without a message */
    int received[STORED], count, lost, missed, last_missed, recovered, result;
} machine;

/* ---- the broker's caller ---- */

static inline void on_connect(void *context, uint32_t shard) {
    (void)context;
    (void)shard;
    machine.wants = true;
}

static inline void on_disconnect(void *context, uint32_t shard) {
    (void)context;
    (void)shard;
    machine.closed++;
}

static inline void on_message(void *context, cre_slice topic, cre_slice payload,
                              cre_broker_position position) {
    (void)context;
    (void)topic;
    char number[8] = "";
    REQUIRE(payload.length < sizeof number && machine.count < STORED);
    memcpy(number, payload.data, payload.length);
    if (position.epoch) {
        CHECK_EQ(position.offset, atoi(number));
        if (atoi(number) <= machine.position) return; /* subscribers are taken to know it */
        machine.position = atoi(number);
    }
    machine.epoch = position.epoch;
    machine.received[machine.count++] = atoi(number);
}

static inline void on_position(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    machine.epoch = position.epoch;
    machine.position = (int)position.offset;
    machine.positions++;
}

static inline void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    on_position(context, topic, position);
    machine.lost++;
}

static inline void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)result;
    (void)position;
}

static inline void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    char number[8] = "";
    on_published(context, tag, 0, position);
    REQUIRE(payload.length < sizeof number);
    memcpy(number, payload.data, payload.length);
    CHECK_EQ(position.offset, atoi(number));
    CHECK_EQ(position.offset, machine.last_missed + 2);
    machine.last_missed = (int)position.offset;
    machine.missed++;
}

static inline void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    on_published(context, tag, result, position);
    machine.recovered++;
    machine.result = result;
}

static inline void on_state(void *context, uint32_t shard, cre_broker_state state, int error,
                            cre_slice cause) {
    (void)context;
    (void)shard;
    (void)state;
    (void)error;
    (void)cause;
}

/* ---- the cluster ---- */

static inline void deliver(const char *bytes, size_t length) {
    cre_broker_received(machine.broker, 0, (const uint8_t *)bytes, length, machine.now);
}

static inline void reply_with_headers(const char *to, const char *headers, const char *payload) {
    char bytes[2048];
    const size_t length = strlen(headers);
    deliver(bytes, (size_t)snprintf(bytes, sizeof bytes, "HMSG %s 1 %zu %zu\r\n%s%s\r\n", to, length,
                                    length + strlen(payload), headers, payload));
}

static inline void reply(const char *to, const char *json) {
    char bytes[2048];
    if (cluster.counts)
        reply_with_headers(to, "NATS/1.0\r\nNats-Num-Pending: 3\r\n\r\n", json);
    else
        deliver(bytes,
                (size_t)snprintf(bytes, sizeof bytes, "MSG %s 1 %zu\r\n%s\r\n", to, strlen(json), json));
}

static inline void describe_stream(const char *to, int seconds) {
    char json[1024];
    snprintf(
        json, sizeof json,
        "{\"config\":{\"name\":\"sws-20-%1$d\",\"allow_direct\":%2$s,\"subjects\":[\"sws.h.20-%1$d.>\"],\"max_msgs_per_subject\":21,"
        "\"max_age\":%1$d000000000,\"duplicate_window\":300000000000,\"republish\":{\"src\":"
        "\"sws.h.20-%1$d.>\",\"dest\":\"sws.l.>\"},\"retention\":\"limits\",\"discard\":\"old\"},"
        "\"created\":\"today\",\"state\":{\"last_seq\":%3$d},\"cluster\":{\"leader\":\"%4$s\"},\"ts\":\"%5$s\"}",
        seconds, cluster.direct == NOT_ALLOWED ? "false" : "true", cluster.last, cluster.leader,
        cluster.time ? cluster.time : "");
    cluster.polls++;
    reply(to, json);
}

/* The first message from a sequence on, or the last one. */
static inline int find(const char *request) {
    const char *from = strstr(request, "\"seq\":");
    for (int i = from ? atoi(from + 6) : STORED - 1; from ? i < STORED : i > 0; i += from ? 1 : -1)
        if (cluster.read[i]) return i;
    return 0;
}

static inline void read_message(const char *to, const char *request) {
    char json[512], number[8], encoded[32] = "";
    const int sequence = find(request);
    cluster.reads++;
    if (!sequence) {
        reply(to, "{\"error\":{\"code\":404,\"err_code\":10037,\"description\":\"no message found\"}}");
        return;
    }
    snprintf(number, sizeof number, "%d", sequence);
    cre__base64_encode((const uint8_t *)number, strlen(number), encoded);
    snprintf(json, sizeof json,
             "{\"message\":{\"subject\":\"x\",\"seq\":%d,\"data\":\"%s\",\"time\":\"%s\"}}", sequence,
             encoded, cluster.stored_at ? cluster.stored_at : "");
    reply(to, json);
}

/* A server that has the stream, and perhaps does not lead it, is asked for messages. */
static inline void read_directly(const char *to, const char *subject, const char *request) {
    char headers[128], number[8];
    cluster.direct_reads++;
    if (cluster.direct == NOTHING) return;
    if (cluster.direct == DENIED) {
        char error[256];
        deliver(error, (size_t)snprintf(error, sizeof error,
                                        "-ERR 'Permissions Violation for Publish to \"%s\"'\r\n", subject));
        return;
    }
    CHECK(strstr(request, "\"batch\":1025,")); /* the message of the position, and 1,024 behind it */
    int most = cluster.direct == BATCHES ? atoi(strstr(request, "\"batch\":") + 8) : 1;
    if (cluster.batch && cluster.batch < most) most = cluster.batch;
    int at = atoi(strstr(request, "\"seq\":") + 6), left = 0, sent = 0;
    for (int i = at; i < STORED && cluster.direct != NOBODY; i++)
        left += cluster.applied[i];
    for (; left && sent < most; at++) {
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
        for (int i = at; i <= cluster.aged; i++) {
            left -= i > at && cluster.applied[i];
            cluster.applied[i] = false;
        }
    }
    if (!sent)
        reply_with_headers(to, cluster.direct == NOBODY ? "NATS/1.0 503\r\n\r\n" : "NATS/1.0 404\r\n\r\n",
                           "");
    snprintf(headers, sizeof headers, "NATS/1.0 204 EOB\r\nNats-Num-Pending: %d\r\n\r\n", left);
    if (sent && cluster.direct == BATCHES) reply_with_headers(to, headers, "");
}

/* Answers what the broker has sent. Between a request and its reply `meanwhile` happens. */
static inline void serve(void (*meanwhile)(void)) {
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
            else if (cluster.silent && strstr(subject, "sws-20-600"))
                continue;
            else if (strstr(subject, "STREAM.INFO"))
                describe_stream(to, atoi(strrchr(subject, '-') + 1));
            else if (cluster.reading && !(cluster.ignored && strstr(payload, cluster.ignored)))
                read_message(to, payload);
        }
        free(bytes);
        cre_broker_tick(machine.broker, machine.now);
    }
}

/* Time passes in the steps of the broker's timers. */
static inline void pass(uint64_t milliseconds) {
    const uint64_t end = machine.now + milliseconds;
    for (;;) {
        cre_broker_tick(machine.broker, machine.now);
        serve(NULL);
        if (machine.now == end) return;
        const uint64_t next = cre_broker_tick(machine.broker, machine.now);
        machine.now = next > machine.now && next < end ? next : end;
    }
}

static inline void store(int sequence) {
    cluster.stored[sequence] = cluster.read[sequence] = cluster.applied[sequence] = true;
    cluster.last = sequence;
}

/* The leader publishes what it has stored. */
static inline void republish(int sequence) {
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

static inline void publish(int sequence) {
    store(sequence);
    republish(sequence);
}

static inline void connect_broker(void) {
    char info[160];
    const int length = snprintf(info, sizeof info,
                                "INFO {\"version\":\"%s\",\"headers\":true,\"max_payload\":1048576%s}\r\n",
                                cluster.version, cluster.alone ? "" : ",\"cluster\":\"c\"");
    cre_broker_tick(machine.broker, machine.now);
    REQUIRE(machine.wants);
    machine.wants = false;
    cre_broker_connected(machine.broker, 0, machine.now);
    deliver(info, (size_t)length);
    serve(NULL);
}

static inline void create(void) {
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
    cluster.version = "2.12.0";
    machine.now = 1000;
    REQUIRE(cre_broker_create(&config, &handlers, NULL, &machine.broker) == 0);
    REQUIRE(cre_broker_subscribe(machine.broker, text("news"), kept) == 0);
}

static inline void begin_with(direct_replies direct) {
    create();
    cluster.direct = direct;
    connect_broker();
    publish(2);
    pass(10000); /* the leader is no new one any more */
    publish(4);
    CHECK_EQ(machine.count, 2);
    CHECK(cre_broker_is_connected(machine.broker, 0));
}

static inline void begin(void) {
    begin_with(NOT_ALLOWED);
}

/* ---- tests ---- */

static inline void recover_of(const char *topic, uint64_t offset) {
    const cre_broker_position since = { machine.epoch, offset };
    machine.missed = machine.recovered = 0;
    machine.last_missed = (int)offset;
    CHECK_EQ(cre_broker_recover(machine.broker, text(topic), kept, since, 1), 0);
    pass(100);
}

static inline void recover(uint64_t offset) {
    recover_of("news", offset);
}

static inline void check_recovered(int missed) {
    CHECK_EQ(machine.recovered, 1);
    CHECK_EQ(machine.result, 0);
    CHECK_EQ(machine.missed, missed);
}

/* Each message was received once, in order, and none was reported as lost. */
static inline void finish(int last) {
    CHECK_EQ(machine.count, last / 2);
    for (int i = 0; i < machine.count; i++)
        CHECK_EQ(machine.received[i], 2 * (i + 1));
    CHECK_EQ(machine.lost + machine.closed, 0);
    cre_broker_destroy(machine.broker);
}

#endif
