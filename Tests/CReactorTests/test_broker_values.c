/*
 * Values that two machines share at a real server of Redis, which is started here and killed. Skipped where
 * redis-server is not installed.
 */
#include "real_brokers.h"
#include "redis_process.h"

static void begin(void) {
    redis_start(false);
    start_machines();
    WAIT(machines[0].established == 1 && machines[1].established == 1);
}

static void finish(void) {
    stop_machines();
    redis_kill();
}

static int apply(int index, cre_value_operation operation) {
    machine *m = &machines[index];
    const int before = m->values, result = cre_broker_apply(m->broker, &operation, 9);
    if (result) return result;
    WAIT(m->values > before);
    return m->value_result;
}

static int set(int index, const char *key, const char *value, uint64_t lifetime) {
    return apply(
        index, (cre_value_operation){
                   .kind = CRE_VALUE_SET, .key = text(key), .value = text(value), .lifetime_ms = lifetime });
}

static int change(int index, const char *key, cre_value_kind kind, cre_value_condition condition,
                  const char *value, const char *expected) {
    return apply(index, (cre_value_operation){ .kind = kind,
                                               .condition = condition,
                                               .key = text(key),
                                               .value = text(value),
                                               .expected = text(expected) });
}

static int add(int index, const char *key, int64_t amount, uint64_t lifetime) {
    return apply(index,
                 (cre_value_operation){
                     .kind = CRE_VALUE_ADD, .key = text(key), .amount = amount, .lifetime_ms = lifetime });
}

static int get(int index, const char *key) {
    return apply(index, (cre_value_operation){ .kind = CRE_VALUE_GET, .key = text(key) });
}

static void check(int index, const char *expected) {
    CHECK_EQ(machines[index].value_length, strlen(expected));
    CHECK_MEM(machines[index].value, expected, strlen(expected));
}

static void check_value(int index, const char *key, const char *expected) {
    CHECK_EQ(get(index, key), 1);
    check(index, expected);
}

TEST(operations) {
    begin();
    CHECK_EQ(get(0, "key"), 0);
    CHECK_EQ(set(0, "key", "one", 0), 1);
    check_value(1, "key", "one");
    CHECK_EQ(set(1, "key", "", 0), 1);
    check_value(0, "key", "");
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "two", ""), 0);
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", "other"), 0);
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", ""), 1);
    check_value(1, "key", "two");
    CHECK_EQ(change(0, "new", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", ""), 0);
    CHECK_EQ(change(0, "new", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "first", ""), 1);
    CHECK_EQ(change(1, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_EQUAL, "", "firs"), 0);
    CHECK_EQ(change(1, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_EQUAL, "", "first"), 1);
    CHECK_EQ(change(1, "new", CRE_VALUE_REMOVE, CRE_VALUE_ALWAYS, "", ""), 0);
    CHECK_EQ(change(0, "key", CRE_VALUE_REMOVE, CRE_VALUE_ALWAYS, "", ""), 1);
    CHECK_EQ(get(1, "key"), 0);
    finish();
}

TEST(bytes) {
    static uint8_t bytes[CRE_VALUE_MAX + 1];
    static char key[CRE_VALUE_MAX_KEY + 2];
    begin();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    memset(key, 'k', CRE_VALUE_MAX_KEY);
    cre_value_operation operation = { .kind = CRE_VALUE_SET,
                                      .key = text(key),
                                      .value = { bytes, CRE_VALUE_MAX } };
    CHECK_EQ(apply(0, operation), 1);
    CHECK_EQ(get(1, key), 1);
    CHECK_EQ(machines[1].value_length, CRE_VALUE_MAX);
    CHECK_MEM(machines[1].value, bytes, CRE_VALUE_MAX);
    operation.condition = CRE_VALUE_IF_EQUAL;
    operation.expected = operation.value;
    operation.value.length = 3;
    CHECK_EQ(apply(1, operation), 1);
    CHECK_EQ(apply(1, operation), 0);
    operation.value.length = CRE_VALUE_MAX + 1;
    CHECK_EQ(apply(0, operation), CRE_ELIMIT);
    key[CRE_VALUE_MAX_KEY] = 'k';
    CHECK_EQ(get(0, key), CRE_EINVALID);
    CHECK_EQ(get(0, ""), CRE_EINVALID);
    finish();
}

TEST(numbers) {
    begin();
    CHECK_EQ(add(0, "n", 40, 0), 1);
    CHECK_EQ(add(1, "n", 2, 0), 1);
    check(1, "42");
    CHECK_EQ(add(0, "n", INT64_MAX - 42, 0), 1);
    check(0, "9223372036854775807"); /* not rounded */
    CHECK_EQ(add(0, "n", 1, 0), CRE_EVALUE_NUMBER);
    check_value(1, "n", "9223372036854775807");
    CHECK_EQ(add(0, "other", INT64_MIN, 0), 1);
    check(0, "-9223372036854775808");
    CHECK_EQ(set(0, "n", "many", 0), 1);
    CHECK_EQ(add(0, "n", 1, 0), CRE_EVALUE_NUMBER);
    check_value(0, "n", "many");
    finish();
}

TEST(lifetimes) {
    begin();
    CHECK_EQ(set(0, "key", "one", 30), 1);
    CHECK_EQ(set(0, "stays", "one", 30), 1);
    CHECK_EQ(set(0, "stays", "two", 0), 1);
    CHECK_EQ(add(0, "window", 1, 30), 1);
    CHECK_EQ(set(0, "n", "1", 0), 1);
    CHECK_EQ(add(0, "n", 1, 30), 1); /* it was there before */
    WAIT(get(1, "key") == 0 && get(1, "window") == 0);
    check_value(1, "stays", "two");
    check_value(1, "n", "2");
    finish();
}

/* An operation whose reply is lost has an unknown end, and one after that none at all. */
TEST(lost_connections) {
    begin();
    const cre_value_operation addition = { .kind = CRE_VALUE_ADD, .key = text("n"), .amount = 1 };
    CHECK_EQ(cre_broker_apply(machines[0].broker, &addition, 9), 0);
    lose(&machines[0], -ECONNRESET, milliseconds());
    CHECK_EQ(machines[0].values, 1);
    CHECK_EQ(machines[0].value_result, CRE_EBROKER_UNKNOWN);
    CHECK_EQ(get(0, "n"), CRE_EBROKER_UNAVAILABLE);
    WAIT(machines[0].established == 2);
    CHECK_EQ(add(0, "n", 1, 0), 1);
    finish();
}

/* Gives the server a command on a connection of its own. */
static void command(const char *line) {
    char reply[64] = "";
    int fd;
    const int result = redis_connect(&fd);
    struct pollfd polled = { .fd = fd, .events = POLLIN };
    CHECK_EQ(result, 0);
    CHECK_EQ(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    CHECK_EQ(poll(&polled, 1, DEADLINE_MS), 1);
    CHECK(recv(fd, reply, sizeof reply - 1, 0) > 0);
    CHECK_STR(reply, "+OK\r\n");
    close(fd);
}

TEST(refused_operations) {
    begin();
    CHECK_EQ(set(0, "n", "1", 0), 1);
    command("SCRIPT FLUSH\r\n");
    CHECK_EQ(add(0, "n", 1, 0), CRE_EBROKER_UNAVAILABLE); /* and the script is loaded again */
    CHECK_EQ(add(0, "n", 1, 0), 1);
    check(0, "2");
    command("CONFIG SET maxmemory 1\r\n");
    CHECK_EQ(set(0, "n", "9", 0), CRE_EVALUE_FULL);
    CHECK_EQ(add(0, "n", 1, 0), CRE_EVALUE_FULL);
    check_value(0, "n", "2");
    CHECK_EQ(change(0, "n", CRE_VALUE_REMOVE, CRE_VALUE_ALWAYS, "", ""), 1);
    command("CONFIG SET maxmemory 0\r\n");
    CHECK_EQ(machines[0].refusals, 0);
    command("ACL SETUSER default -incr -incrby\r\n");
    CHECK_EQ(add(0, "n", 1, 0), CRE_EBROKER_REFUSED); /* the cause is reported */
    CHECK(machines[0].refusals == 1 && machines[0].text[0]);
    CHECK_EQ(set(0, "n", "9", 0), 1);
    finish();
}

/* What waits for a server that does not answer is bounded. */
TEST(silent_server) {
    static uint8_t bytes[CRE_VALUE_MAX];
    begin();
    redis_stop(true);
    const cre_value_operation operation = { .kind = CRE_VALUE_SET,
                                            .key = text("k"),
                                            .value = { bytes, sizeof bytes } };
    int count = 0, result;
    while ((result = cre_broker_apply(machines[0].broker, &operation, 9)) == 0 && count < 1000)
        count++;
    CHECK_EQ(result, CRE_EBROKER_UNAVAILABLE);
    CHECK(count > 100 && count <= 128);
    redis_stop(false);
    WAIT(machines[0].values == count);
    CHECK_EQ(apply(0, operation), 1);
    finish();
}

int main(int argc, char **argv) {
    real.connect = redis_connect;
    return redis_test_main(argc, argv);
}
