/*
 * Values that two machines share at a real server of Redis, which is started here and killed. Skipped where
 * redis-server is not installed.
 */
#include "broker/redis.h"
#include "broker_values.h"
#include "redis_process.h"

static void server_start(void) {
    redis_start(false);
}

static void server_kill(void) {
    redis_kill();
}

static void server_stop(bool stops) {
    redis_stop(stops);
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

static bool error_is(const char *message, const char *code) {
    const cre_redis_value error = { .type = CRE_REDIS_ERROR, .text = text(message) };
    return cre__error_is(&error, code);
}

TEST(codes_of_errors) {
    static const char *const full[] = {
        "OOM command not allowed when used memory > 'maxmemory'. script: f00d, on @user_script:11.",
        /* of Redis 6, by call and pcall */
        "ERR Error running script (call to f_f00d): @user_script:9: @user_script: 9: -OOM command not allowed",
        "@user_script: 14: -OOM command not allowed when used memory > 'maxmemory'.",
    };
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
        CHECK(error_is(full[i], "OOM"));
        CHECK(!error_is(full[i], "READONLY"));
    }
    CHECK(error_is("@user_script: 14: -READONLY You can't write against a read only replica.", "READONLY"));
    CHECK(!error_is("ERR OOM", "OOM") && !error_is("ERR: -OOM", "OOM") && !error_is("", "OOM"));
    CHECK(!error_is("@user_script: 14: -", "OOM") && !error_is("@user_script: ", "OOM"));
    const cre_redis_value string = { .type = CRE_REDIS_STRING, .text = text("OOM") };
    CHECK(!cre__error_is(&string, "OOM"));
}

TEST(refused_operations) {
    begin();
    CHECK_EQ(set(0, "n", "1", 0), 1);
    command("SCRIPT FLUSH\r\n");
    CHECK_EQ(add(0, "n", 1, 0), CRE_EBROKER_UNAVAILABLE); /* and the script is loaded again */
    CHECK_EQ(add(0, "n", 1, 0), 1);
    check("2");
    command("CONFIG SET maxmemory 1\r\n");
    CHECK_EQ(set(0, "n", "9", 0), CRE_EVALUE_FULL);
    CHECK_EQ(add(0, "n", 1, 0), CRE_EVALUE_FULL);
    check_value(0, "n", "2");
    CHECK_EQ(drop(0, "n"), 1);
    command("CONFIG SET maxmemory 0\r\n");
    CHECK_EQ(machines[0].refusals, 0);
    command("ACL SETUSER default -incr -incrby\r\n");
    CHECK_EQ(add(0, "n", 1, 0), CRE_EBROKER_REFUSED); /* the cause is reported */
    CHECK(machines[0].refusals == 1 && machines[0].text[0]);
    CHECK_EQ(set(0, "n", "9", 0), 1);
    finish();
}

/* All that a server may be asked for at a time is more than it keeps for a connection with subscriptions. */
TEST(many_large_values) {
    static uint8_t bytes[CRE_VALUE_MAX];
    enum { COUNT = 1000 };
    const cre_value_operation get = { .kind = CRE_VALUE_GET, .key = text("k") }, large = {
        .kind = CRE_VALUE_SET, .key = text("k"), .value = { bytes, sizeof bytes }
    };
    begin();
    CHECK_EQ(apply(0, large), 1);
    const int values = machines[0].values, losses = machines[0].losses;
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(cre_broker_apply(machines[0].broker, &get, 9), 0);
    WAIT(machines[0].values == values + COUNT);
    CHECK_EQ(machines[0].losses, losses);
    CHECK_EQ(machines[0].value_result, 1);
    CHECK_EQ(machines[0].value_length, sizeof bytes);
    finish();
}

int main(int argc, char **argv) {
    real.connect = redis_connect;
    return redis_test_main(argc, argv);
}
