/* Brokers of two machines at a real server, on sockets. The test says in `real` which one. */
#ifndef CRE_REAL_BROKERS_H
#define CRE_REAL_BROKERS_H

#include <creactor/broker.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "text.h"
#include "wait.h"

enum { MACHINES = 2 };

typedef struct machine {
    cre_broker *broker;
    int fd; /* -1: none */
    bool connecting;
    bool stopped; /* it is not served, as if its process were stopped */
    int refused;  /* the error of connecting */
    cre_broker_position position;
    int received, last, lost, disordered, doubled, established, published, failed;
    int missed, recovered, recover_result;
    uint64_t oldest;      /* the offset of the first message that a recovery has found */
    int losses, refusals; /* of connections; of the server, without one */
    char text[256];       /* the cause of the last of them */
    /* changes of members as "+topic/id=info " and "-topic/id=info ", and the last answer */
    char changes[1 << 16];
    int answers, answer;
    cre_broker_presence presence; /* without its members... */
    char members[4096];           /* ...which are here as "id=info " */
    int values, value_result;     /* operations that have ended; the last result, and its value */
    uint8_t value[CRE_VALUE_MAX];
    size_t value_length;
} machine;

typedef struct real_server {
    /* Opens a socket and begins to connect. Returns 0 or an error. */
    int (*connect)(int *fd);
    cre_broker_config config; /* what is not the same for all */
    bool has_gaps;            /* between the offsets of a topic */
} real_server;

static real_server real;
static machine machines[MACHINES];

/* ---- the machines ---- */

static inline void on_connect(void *context, uint32_t shard) {
    machine *m = context;
    (void)shard;
    m->refused = real.connect(&m->fd);
    REQUIRE(m->fd >= 0);
    m->connecting = true; /* the next turn reports it */
}

static inline void on_disconnect(void *context, uint32_t shard) {
    machine *m = context;
    (void)shard;
    close(m->fd);
    m->fd = -1;
}

static inline bool follows(cre_broker_position before, cre_broker_position position) {
    const bool later = real.has_gaps ? position.offset > before.offset : position.offset == before.offset + 1;
    return position.epoch == before.epoch && later;
}

static inline void on_message(void *context, cre_slice topic, cre_slice payload,
                              cre_broker_position position) {
    machine *m = context;
    char number[16] = "";
    (void)topic;
    memcpy(number, payload.data, payload.length < 15 ? payload.length : 15);
    if (m->position.epoch && !follows(m->position, position)) m->disordered++;
    if (atoi(number) <= m->last) m->doubled++;
    m->last = atoi(number);
    m->position = position;
    m->received++;
}

static inline void on_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    CHECK(topic.length > 0 && position.epoch);
}

static inline void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    machine *m = context;
    (void)topic;
    m->lost++;
    m->position = position;
}

static inline void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)position;
    m->published += result == 0;
    m->failed += result != 0;
}

static inline void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)payload;
    if (!real.has_gaps) CHECK_EQ(position.offset, m->missed + 1);
    if (!m->oldest) m->oldest = position.offset;
    m->missed++;
}

static inline void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)position;
    m->recovered++;
    m->recover_result = result;
}

static inline void on_state(void *context, uint32_t shard, cre_broker_state state, int error,
                            cre_slice cause) {
    machine *m = context;
    (void)shard;
    (void)error;
    m->established += state == CRE_BROKER_CONNECTED;
    m->losses += state == CRE_BROKER_LOST;
    if (cause.length) snprintf(m->text, sizeof m->text, "%.*s", (int)cause.length, (const char *)cause.data);
}

static inline void append(char *to, size_t size, const char *format, ...) {
    va_list arguments;
    const size_t used = strlen(to);
    va_start(arguments, format);
    REQUIRE((size_t)vsnprintf(to + used, size - used, format, arguments) < size - used);
    va_end(arguments);
}

static inline void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joined) {
    machine *m = context;
    append(m->changes, sizeof m->changes, "%c%.*s/%.*s=%.*s ", joined ? '+' : '-', (int)topic.length,
           (const char *)topic.data, (int)member->id.length, (const char *)member->id.data,
           (int)(member->info.length < 32 ? member->info.length : 32), (const char *)member->info.data);
}

static inline void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    machine *m = context;
    CHECK_EQ(tag, 7);
    m->answers++;
    m->answer = result;
    m->members[0] = 0;
    m->presence = presence ? *presence : (cre_broker_presence){ 0 };
    for (size_t i = 0; i < m->presence.listed && i < 20; i++) {
        const cre_broker_member *member = &presence->members[i];
        append(m->members, sizeof m->members, "%.*s=%.*s ", (int)member->id.length,
               (const char *)member->id.data, (int)(member->info.length < 32 ? member->info.length : 32),
               (const char *)member->info.data);
    }
}

static inline void on_refused(void *context, uint32_t shard, cre_slice cause) {
    machine *m = context;
    (void)shard;
    m->refusals++;
    snprintf(m->text, sizeof m->text, "%.*s", (int)cause.length, (const char *)cause.data);
}

static inline void on_value(void *context, uint64_t tag, int result, cre_slice value) {
    machine *m = context;
    CHECK_EQ(tag, 9);
    m->values++;
    m->value_result = result;
    m->value_length = value.length;
    REQUIRE(value.length <= sizeof m->value);
    if (value.length) memcpy(m->value, value.data, value.length);
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

static const cre_broker_history kept = { .count = 10000, .seconds = 600 };

static inline void start_machine(int i) {
    cre_broker_config config = real.config;
    config.size = sizeof config;
    config.shards = 1;
    config.seed = milliseconds() * 1000 + (uint64_t)i + 1;
    config.max_queue = 1 << 20;
    config.max_recover = 10000; /* more than any case publishes */
    machines[i] = (machine){ .fd = -1 };
    REQUIRE(cre_broker_create(&config, &handlers, &machines[i], &machines[i].broker) == 0);
}

/* As if its process were killed. */
static inline void stop_machine(int i) {
    cre_broker_destroy(machines[i].broker);
    machines[i].broker = NULL;
    if (machines[i].fd >= 0) close(machines[i].fd);
    machines[i].fd = -1;
}

static inline void start_machines(void) {
    for (int i = 0; i < MACHINES; i++)
        start_machine(i);
}

static inline void stop_machines(void) {
    for (int i = 0; i < MACHINES; i++)
        stop_machine(i);
}

static inline void lose(machine *m, int error, uint64_t now) {
    on_disconnect(m, 0);
    cre_broker_closed(m->broker, 0, error, now);
}

static inline void serve(machine *m, short events, uint64_t now) {
    static uint8_t bytes[65536];
    if (m->connecting) {
        m->connecting = false;
        if (m->refused)
            lose(m, m->refused, now);
        else
            cre_broker_connected(m->broker, 0, now);
        return;
    }
    if (events & ~POLLOUT) {
        const ssize_t n = recv(m->fd, bytes, sizeof bytes, 0);
        if (n > 0)
            cre_broker_received(m->broker, 0, bytes, (size_t)n, now);
        else if (n == 0 || errno != EAGAIN)
            lose(m, n ? -errno : 0, now);
    }
}

/* Serves both machines for a moment. */
static inline void turn(void) {
    struct pollfd polled[MACHINES];
    uint64_t now = milliseconds(), next = now + 20;
    for (int i = 0; i < MACHINES; i++) {
        machine *m = &machines[i];
        polled[i].fd = -1;
        if (!m->broker || m->stopped) continue;
        const uint64_t due = cre_broker_tick(m->broker, now);
        if (due < next) next = due;
        const cre_slice output = cre_broker_output(m->broker, 0);
        if (output.length && m->fd >= 0 && !m->connecting) {
            const ssize_t n = send(m->fd, output.data, output.length, MSG_NOSIGNAL);
            if (n > 0) cre_broker_sent(m->broker, 0, (size_t)n);
        }
        const bool writes = m->connecting || cre_broker_output(m->broker, 0).length;
        polled[i] = (struct pollfd){ .fd = m->fd, .events = (short)(POLLIN | (writes ? POLLOUT : 0)) };
    }
    poll(polled, MACHINES, next > now ? (int)(next - now) : 0);
    now = milliseconds();
    for (int i = 0; i < MACHINES; i++)
        if (polled[i].fd >= 0 && polled[i].fd == machines[i].fd) serve(&machines[i], polled[i].revents, now);
}

#define WAIT(condition) WAIT_WITH(turn(), condition)

/* A message of `size` bytes that begins with its number; 0: only that. */
static inline void publish_bytes_to(const char *topic, int number, size_t size) {
    static char message[128 << 10];
    REQUIRE(size < sizeof message);
    memset(message, 'x', size);
    const size_t digits = (size_t)snprintf(message, 16, "%d", number);
    message[digits] = size ? ' ' : 0;
    message[size > digits ? size : digits] = 0;
    int result = CRE_EBROKER_UNAVAILABLE;
    for (const uint64_t end = milliseconds() + DEADLINE_MS; result && milliseconds() < end;) {
        result = cre_broker_publish(machines[0].broker, text(topic), text(message), kept, 1);
        if (result) turn();
    }
    CHECK_EQ(result, 0);
}

static inline void publish_bytes(int number, size_t size) {
    publish_bytes_to("news", number, size);
}

static inline void publish(int number) {
    publish_bytes(number, 0);
}

/* Publishes up to `count` messages, of which at most some hundred wait for their replies. */
static inline void publish_up_to(int *number, int count) {
    while (*number < count) {
        publish(++*number);
        if (*number % 10 == 0 || *number - machines[0].published > 300) turn();
    }
}

#endif
