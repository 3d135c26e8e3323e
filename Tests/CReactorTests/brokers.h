/* Brokers of two machines at simulated servers of Redis, on virtual time, with connections that are cut. */
#ifndef CRE_BROKERS_H
#define CRE_BROKERS_H

#include <creactor/broker.h>
#include <errno.h>

#include "redis_server.h"
#include "text.h"

enum { MACHINES = 2, SHARDS = 3, MOST = 400 };

typedef struct machine {
    cre_broker *broker;
    bool connected[SHARDS], wanted[SHARDS]; /* a socket; an attempt to connect */
    int attempts, established, broken;
    int last_error;
    char error_text[128];
    /* messages of the topic that the case looks at */
    char *messages[MOST];
    cre_broker_position position; /* of the last one, or of a loss */
    cre_broker_position loss;     /* of the last loss */
    int received, lost, disordered;
    int published, refused, unknown;
    int refusals; /* reports of the server's reason, of which this is the last one */
    char refusal[256];
    int missed, recovered;
    int recover_result;
    cre_broker_position recover_position;
    const char *unsubscribe;         /* in the next callback */
    char changes[256];               /* of members, as "+ann " and "-ann " */
    char members[256];               /* of the last list, as "ann " */
    int values, value_results[MOST]; /* operations that have ended, and their results by tags */
} machine;

static redis_server servers[SHARDS];
static machine machines[MACHINES];
static uint32_t shards;
static uint64_t now;
static long cut_after; /* bytes until a connection is cut; 0: never */
static bool cut_forgets;
static bool holds_checks; /* the scripts of machine 1 do not reach the servers, nor what follows them */

static inline void on_connect(void *context, uint32_t shard) {
    machine *m = context;
    m->wanted[shard] = true;
    m->attempts++;
}

static inline void disconnect(machine *m, uint32_t shard) {
    server_drop(&servers[shard], (int)(m - machines));
    m->connected[shard] = m->wanted[shard] = false;
}

static inline void on_disconnect(void *context, uint32_t shard) {
    disconnect(context, shard);
}

static inline void on_message(void *context, cre_slice topic, cre_slice payload,
                              cre_broker_position position) {
    machine *m = context;
    if (position.epoch) {
        const bool follows = position.epoch == m->position.epoch && position.offset == m->position.offset + 1;
        if (m->position.epoch && !follows) m->disordered++;
        m->position = position;
    }
    REQUIRE(m->received < MOST);
    m->messages[m->received++] = server_copy(payload);
    if (m->unsubscribe) cre_broker_unsubscribe(m->broker, text(m->unsubscribe));
    CHECK(topic.length > 0 && topic.data[0] != 0);
}

static inline void on_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    CHECK(topic.length > 0 && position.epoch);
}

static inline void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    machine *m = context;
    (void)topic;
    m->lost++;
    m->position = m->loss = position;
}

static inline void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    CHECK(tag != 0);
    if (result == CRE_EBROKER_UNKNOWN)
        m->unknown++;
    else if (result)
        m->refused++;
    else
        m->published++;
    CHECK(result == 0 || position.epoch == 0);
}

static inline void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    machine *m = context;
    char expected[32];
    CHECK_EQ(tag, 77);
    snprintf(expected, sizeof expected, "m%llu", (unsigned long long)position.offset);
    CHECK_EQ(payload.length, strlen(expected));
    CHECK_MEM(payload.data, expected, payload.length);
    m->missed++;
}

static inline void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    CHECK_EQ(tag, 77);
    m->recovered++;
    m->recover_result = result;
    m->recover_position = position;
}

static inline void on_state(void *context, uint32_t shard, cre_broker_state state, int error,
                            cre_slice cause) {
    machine *m = context;
    (void)shard;
    m->established += state == CRE_BROKER_CONNECTED;
    m->broken += state == CRE_BROKER_LOST;
    if (state == CRE_BROKER_LOST) {
        m->last_error = error;
        snprintf(m->error_text, sizeof m->error_text, "%.*s", (int)cause.length, (const char *)cause.data);
    }
}

static inline void on_refused(void *context, uint32_t shard, cre_slice cause) {
    machine *m = context;
    (void)shard;
    m->refusals++;
    snprintf(m->refusal, sizeof m->refusal, "%.*s", (int)cause.length, (const char *)cause.data);
}

static inline void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joined) {
    machine *m = context;
    const size_t used = strlen(m->changes);
    CHECK(topic.length > 0);
    snprintf(m->changes + used, sizeof m->changes - used, "%c%.*s ", joined ? '+' : '-',
             (int)member->id.length, (const char *)member->id.data);
}

static inline void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    machine *m = context;
    CHECK_EQ(tag, 78);
    REQUIRE(result == 0);
    m->members[0] = 0;
    for (size_t i = 0; i < presence->listed; i++) {
        const cre_slice id = presence->members[i].id;
        const size_t used = strlen(m->members);
        snprintf(m->members + used, sizeof m->members - used, "%.*s ", (int)id.length, (const char *)id.data);
    }
}

static inline void on_value(void *context, uint64_t tag, int result, cre_slice value) {
    machine *m = context;
    (void)value;
    REQUIRE(tag < MOST);
    if (tag != (uint64_t)m->values++) m->disordered++;
    m->value_results[tag] = result;
}

static const cre_broker_handlers handlers = {
    .connect = on_connect,
    .disconnect = on_disconnect,
    .message = on_message,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .published = on_published,
    .missed = on_missed,
    .recovered = on_recovered,
    .state = on_state,
    .refused = on_refused,
    .member = on_member,
    .present = on_present,
    .value = on_value,
};

static inline void start_machine(int index, const cre_broker_config *given) {
    cre_broker_config config = given ? *given : (cre_broker_config){ 0 };
    config.size = sizeof config;
    config.shards = shards;
    config.seed = 1000 + (uint64_t)index;
    machines[index] = (machine){ 0 };
    REQUIRE(cre_broker_create(&config, &handlers, &machines[index], &machines[index].broker) == 0);
}

static inline void begin(uint32_t count, const cre_broker_config *config) {
    shards = count;
    now = 1000;
    cut_after = 0;
    cut_forgets = holds_checks = false;
    for (int i = 0; i < MACHINES; i++)
        start_machine(i, config);
}

static inline void stop_machine(int index) {
    machine *m = &machines[index];
    for (uint32_t i = 0; i < shards; i++)
        disconnect(m, i);
    cre_broker_destroy(m->broker);
    for (int i = 0; i < m->received; i++)
        free(m->messages[i]);
}

static inline void finish(void) {
    for (int i = 0; i < MACHINES; i++)
        stop_machine(i);
    for (uint32_t i = 0; i < shards; i++) {
        server_stop(&servers[i]);
        servers[i] = (redis_server){ 0 };
    }
}

/* The number of bytes that pass until the connection is cut, up to `length`. */
static inline size_t pass(size_t length, bool *cut) {
    *cut = cut_after && (long)length >= cut_after;
    if (*cut) length = (size_t)cut_after;
    if (cut_after) cut_after = *cut ? 0 : cut_after - (long)length;
    return length;
}

static inline void cut(machine *m, uint32_t shard) {
    disconnect(m, shard);
    if (cut_forgets) {
        server_forget(&servers[shard]);
        for (int i = 0; i < MACHINES; i++)
            if (machines[i].connected[shard]) {
                disconnect(&machines[i], shard);
                cre_broker_closed(machines[i].broker, shard, -ECONNRESET, now);
            }
    }
    cre_broker_closed(m->broker, shard, -ECONNRESET, now);
}

/* Moves the bytes of one connection. Returns whether there were any. */
static inline bool move(machine *m, uint32_t shard) {
    const int index = (int)(m - machines);
    server_connection *connection = &servers[shard].connections[index];
    bool is_cut = false, moved = false;
    if (m->wanted[shard]) {
        m->wanted[shard] = false;
        m->connected[shard] = true;
        server_accept(&servers[shard], index);
        cre_broker_connected(m->broker, shard, now);
        return true;
    }
    if (!m->connected[shard]) return false;
    const cre_slice output = cre_broker_output(m->broker, shard);
    const uint8_t *script =
        index == 1 && holds_checks ? memmem(output.data, output.length, "EVALSHA", 7) : NULL;
    const size_t ready = script ? (size_t)(script - output.data) - strlen("*11\r\n$7\r\n") : output.length;
    if (ready) {
        const size_t length = pass(ready, &is_cut);
        server_receive(&servers[shard], index, output.data, length);
        cre_broker_sent(m->broker, shard, length);
        moved = true;
    }
    if (!is_cut && connection->length) {
        char *bytes = connection->out;
        const size_t length = pass(connection->length, &is_cut);
        connection->out = NULL;
        connection->length = 0;
        for (size_t at = 0; at < length && m->connected[shard]; at += 7) /* in small pieces */
            cre_broker_received(m->broker, shard, (const uint8_t *)bytes + at,
                                length - at < 7 ? length - at : 7, now);
        free(bytes);
        moved = true;
    }
    if (is_cut && m->connected[shard]) cut(m, shard);
    return moved;
}

/* Until nothing moves at this time. Returns the time at which something is due. */
static inline uint64_t settle(void) {
    for (int round = 0; round < 10000; round++) {
        uint64_t next = UINT64_MAX;
        bool moved = false;
        for (int i = 0; i < MACHINES; i++) {
            const uint64_t due = machines[i].broker ? cre_broker_tick(machines[i].broker, now) : UINT64_MAX;
            if (due < next) next = due;
            for (uint32_t shard = 0; shard < shards && machines[i].broker; shard++)
                moved = move(&machines[i], shard) || moved;
        }
        if (!moved) return next;
    }
    TEST_FAIL("the brokers do not come to rest");
    return UINT64_MAX;
}

static inline void run(uint64_t milliseconds) {
    const uint64_t end = now + milliseconds;
    for (;;) {
        const uint64_t next = settle();
        if (next > end) break;
        now = next > now ? next : now + 1;
    }
    now = end;
}

static const cre_broker_history kept = { .count = 100, .seconds = 60 };

static inline void publish(int index, const char *topic, int number, cre_broker_history history) {
    char message[32];
    snprintf(message, sizeof message, "m%d", number);
    CHECK_EQ(
        cre_broker_publish(machines[index].broker, text(topic), text(message), history, (uint64_t)number), 0);
}

static inline void subscribe(int index, const char *topic, bool history) {
    CHECK_EQ(
        cre_broker_subscribe(machines[index].broker, text(topic), history ? kept : (cre_broker_history){ 0 }),
        0);
}

/* The machine has received m1 to m<count>, each once and in order. */
static inline void check_received(int index, int count, const char *when) {
    machine *m = &machines[index];
    if (m->received != count) TEST_FAIL("%d messages instead of %d %s", m->received, count, when);
    for (int i = 0; i < m->received && i < count; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "m%d", i + 1);
        if (strcmp(m->messages[i], expected) != 0)
            TEST_FAIL("message %d is %s %s", i + 1, m->messages[i], when);
    }
    test_checks++;
}

#endif
