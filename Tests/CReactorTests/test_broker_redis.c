/*
 * Brokers of two machines at a real server of Redis, which is started here and killed. Skipped where
 * redis-server is not installed.
 */
#include <creactor/broker.h>
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "redis_process.h"

enum { MACHINES = 2, DEADLINE_MS = 60000 };

typedef struct machine {
    cre_broker *broker;
    int fd; /* -1: none */
    bool connecting;
    bool sparse; /* offsets may be missing */
    int refused; /* the error of connecting */
    cre_broker_position position;
    int received, last, lost, disordered, doubled, established, published, failed;
    int missed, recovered, recover_result;
} machine;

static machine machines[MACHINES];

static uint64_t milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static cre_slice text(const char *string) {
    return (cre_slice){ (const uint8_t *)string, strlen(string) };
}

/* ---- the machines ---- */

static void on_connect(void *context, uint32_t shard) {
    machine *m = context;
    const struct sockaddr_un to = redis_address();
    (void)shard;
    m->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(m->fd >= 0);
    m->refused = connect(m->fd, (const struct sockaddr *)&to, sizeof to) ? -errno : 0;
    m->connecting = true; /* the next turn reports it */
}

static void on_disconnect(void *context, uint32_t shard) {
    machine *m = context;
    (void)shard;
    close(m->fd);
    m->fd = -1;
}

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    machine *m = context;
    char number[16] = "";
    (void)topic;
    memcpy(number, payload.data, payload.length < 15 ? payload.length : 15);
    const bool follows = position.epoch == m->position.epoch && position.offset == m->position.offset + 1;
    if (m->position.epoch && !follows) m->disordered++;
    if (atoi(number) <= m->last) m->doubled++;
    m->last = atoi(number);
    m->position = position;
    m->received++;
}

static void on_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    CHECK(topic.length > 0 && position.epoch);
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    machine *m = context;
    (void)topic;
    m->lost++;
    m->position = position;
}

static void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)position;
    m->published += result == 0;
    m->failed += result != 0;
}

static void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)payload;
    CHECK(m->sparse || position.offset == (uint64_t)m->missed + 1);
    m->missed++;
}

static void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)position;
    m->recovered++;
    m->recover_result = result;
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice cause) {
    machine *m = context;
    (void)shard;
    (void)error;
    (void)cause;
    m->established += state == CRE_BROKER_CONNECTED;
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
};

static const cre_broker_history kept = { .count = 10000, .seconds = 600 };

static void start_machines(void) {
    for (int i = 0; i < MACHINES; i++) {
        const cre_broker_config config = { .size = sizeof config,
                                           .shards = 1,
                                           .seed = milliseconds() * 1000 + (uint64_t)i + 1,
                                           .max_queue = 1 << 20,
                                           .max_recover = 10000 /* more than any case publishes */ };
        machines[i] = (machine){ .fd = -1 };
        REQUIRE(cre_broker_create(&config, &handlers, &machines[i], &machines[i].broker) == 0);
    }
}

static void stop_machines(void) {
    for (int i = 0; i < MACHINES; i++) {
        cre_broker_destroy(machines[i].broker);
        if (machines[i].fd >= 0) close(machines[i].fd);
    }
}

static void lose(machine *m, int error, uint64_t now) {
    on_disconnect(m, 0);
    cre_broker_closed(m->broker, 0, error, now);
}

static void serve(machine *m, short events, uint64_t now) {
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
static void turn(void) {
    struct pollfd polled[MACHINES];
    uint64_t now = milliseconds(), next = now + 20;
    for (int i = 0; i < MACHINES; i++) {
        machine *m = &machines[i];
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

#define WAIT(condition)                                                                    \
    do {                                                                                   \
        for (const uint64_t test_end = milliseconds() + DEADLINE_MS; !(condition); turn()) \
            if (milliseconds() > test_end) {                                               \
                TEST_FAIL("%s did not become true", #condition);                           \
                break;                                                                     \
            }                                                                              \
    } while (0)

static void begin(bool persistent) {
    redis_start(persistent);
    start_machines();
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), kept), 0);
    WAIT(machines[0].established == 1 && machines[1].established == 1);
}

static void finish(void) {
    stop_machines();
    redis_kill();
}

static void publish(int number) {
    char message[16];
    snprintf(message, sizeof message, "%d", number);
    int result = CRE_EBROKER_UNAVAILABLE;
    for (const uint64_t end = milliseconds() + DEADLINE_MS; result && milliseconds() < end;) {
        result = cre_broker_publish(machines[0].broker, text("news"), text(message), kept, 1);
        if (result) turn();
    }
    CHECK_EQ(result, 0);
}

/* Publishes up to `count` messages, of which at most some hundred wait for their replies. */
static void publish_up_to(int *number, int count) {
    while (*number < count) {
        publish(++*number);
        if (*number % 10 == 0 || *number - machines[0].published > 300) turn();
    }
}

TEST(history) {
    int number = 0;
    begin(false);
    publish_up_to(&number, 900);
    WAIT(machines[1].received == 900 && machines[0].published == 900);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    CHECK_EQ(machines[1].position.offset, 900);

    const cre_broker_position first = { machines[1].position.epoch, 0 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, first, 1), 0);
    WAIT(machines[0].recovered == 1);
    CHECK_EQ(machines[0].recover_result, 0);
    CHECK_EQ(machines[0].missed, 900);
    const cre_broker_position other = { first.epoch ^ 2, 5 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, other, 1), 0);
    WAIT(machines[0].recovered == 2);
    CHECK_EQ(machines[0].recover_result, CRE_EBROKER_GAP);
    CHECK_EQ(machines[0].missed, 900);
    finish();
}

/* Trimming by the server: recovery is possible from the oldest message on that is there. */
TEST(trimmed_history) {
    begin(false);
    for (int i = 1; i <= 20; i++) {
        const cre_broker_history five = { .count = 5, .seconds = 600 };
        CHECK_EQ(cre_broker_publish(machines[0].broker, text("news"), text("x"), five, 1), 0);
    }
    WAIT(machines[0].published == 20 && machines[1].position.offset == 20);
    for (uint64_t since = 13; since <= 17; since++) {
        machines[0].missed = (int)since; /* `missed` checks offsets */
        machines[0].recovered = 0;
        const cre_broker_position position = { machines[1].position.epoch, since };
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, position, 1), 0);
        WAIT(machines[0].recovered == 1);
        CHECK_EQ(machines[0].recover_result, since < 15 ? CRE_EBROKER_GAP : 0);
        CHECK_EQ(machines[0].missed, since < 15 ? (int)since : 20);
    }
    finish();
}

/* Redis has counted an offset that no message has. The messages behind it are not lost for that. */
TEST(missing_offset) {
    char command[192];
    begin(false);
    machines[0].sparse = true;
    for (int i = 1; i <= 10; i++) {
        publish(i);
        if (i != 5) continue;
        WAIT(machines[0].published == 5 && machines[1].received == 5);
        const char *redis = redis_host + strlen("unix:");
        snprintf(command, sizeof command,
                 "redis-cli -s %s hincrby $(redis-cli -s %s keys '*:m:news') s 1 | grep -q 6", redis, redis);
        REQUIRE(system(command) == 0);
    }
    WAIT(machines[0].published == 10 && machines[1].received == 10);
    CHECK_EQ(machines[1].position.offset, 11);
    CHECK_EQ(machines[1].lost + machines[1].doubled, 0);
    for (uint64_t since = 4; since <= 6; since++) {
        machines[0].missed = 0;
        machines[0].recovered = 0;
        const cre_broker_position position = { machines[1].position.epoch, since };
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, position, 1), 0);
        WAIT(machines[0].recovered == 1);
        CHECK_EQ(machines[0].recover_result, 0);
        CHECK_EQ(machines[0].missed, since == 4 ? 6 : 5);
    }
    finish();
}

/* Connections are reset while messages are published: each message arrives once, in order. */
TEST(broken_connections) {
    int number = 0;
    begin(false);
    for (int round = 0; round < 30; round++) {
        publish_up_to(&number, number + 40);
        machine *m = &machines[round % 3 == 0 ? 0 : 1];
        if (m->fd >= 0 && !m->connecting) lose(m, -ECONNRESET, milliseconds());
    }
    WAIT(machines[1].received >= number && machines[0].published == number);
    CHECK_EQ(machines[1].received, number);
    CHECK_EQ(machines[1].last, number);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    finish();
}

/* A server that writes everything to its disk is killed: nothing is lost. */
TEST(killed_server_with_persistence) {
    int number = 0;
    begin(true);
    for (int round = 0; round < 3; round++) {
        publish_up_to(&number, number + 200);
        redis_kill();
        publish_up_to(&number, number + 50); /* these wait */
        redis_start(true);
        WAIT(cre_broker_is_connected(machines[0].broker, 0) &&
             cre_broker_is_connected(machines[1].broker, 0));
    }
    WAIT(machines[1].received >= number && machines[0].published == number);
    CHECK_EQ(machines[1].received, number);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    finish();
}

/* Without its data the server starts a new history, and that is reported. */
TEST(killed_server_without_persistence) {
    int number = 0;
    begin(false);
    publish_up_to(&number, 100);
    WAIT(machines[1].received == 100 && machines[0].published == 100);
    redis_kill();
    redis_start(false);
    publish_up_to(&number, 150);
    WAIT(machines[0].published == 150 && machines[1].lost == 1);
    publish_up_to(&number, 160);
    WAIT(machines[1].last == 160);
    CHECK_EQ(machines[1].disordered + machines[1].doubled, 0);
    finish();
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
