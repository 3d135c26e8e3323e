/* Values that two machines share at a real server of NATS. Skipped where nats-server is not installed. */
/* before the cases, whose variables its own would shadow */
#include "nats_process.h"

#include "broker_values.h"

static const char *settings = "";

static int connect_nats(int *fd) {
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons(nats_processes[0].port) };
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* connects to this machine at once */
    return *fd >= 0 && connect(*fd, (const struct sockaddr *)&to, sizeof to) ? -errno : 0;
}

static void start_with_data(bool fresh) {
    char lines[1024];
    snprintf(lines, sizeof lines, "%s\n%s", nats_store(0, fresh), settings);
    nats_start(0, lines);
}

static void server_start(void) {
    start_with_data(true);
}

static void server_kill(void) {
    nats_kill(0);
}

static void server_stop(bool stops) {
    kill(nats_processes[0].pid, stops ? SIGSTOP : SIGCONT);
}

/* Gives the server a command on a connection of its own, and returns what it sends up to the text `expected`.
 */
static const char *command(const char *line, const char *expected) {
    static char reply[16384];
    size_t used = 0;
    int fd;
    REQUIRE(connect_nats(&fd) == 0);
    const char *const parts[] = { "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB x 1\r\n", line,
                                  "PING\r\n" };
    for (int i = 0; i < 3; i++)
        CHECK_EQ(send(fd, parts[i], strlen(parts[i]), MSG_NOSIGNAL), (ssize_t)strlen(parts[i]));
    for (reply[0] = 0; !strstr(reply, expected); reply[used] = 0) {
        struct pollfd polled = { .fd = fd, .events = POLLIN };
        if (used == sizeof reply - 1 || poll(&polled, 1, DEADLINE_MS) != 1) break;
        const ssize_t n = read(fd, reply + used, sizeof reply - 1 - used);
        if (n <= 0) break;
        used += (size_t)n;
    }
    if (!strstr(reply, expected)) TEST_FAIL("the server has sent %s", reply);
    close(fd);
    return reply;
}

/* A request to JetStream. */
static const char *ask(const char *subject, const char *payload, const char *expected) {
    char line[512];
    snprintf(line, sizeof line, "PUB $JS.API.%s x %zu\r\n%s\r\n", subject, strlen(payload), payload);
    return command(line, expected);
}

/* Both machines add to one number at the same time: no addition is lost. The last one waits for all others,
 * on a busy computer for longer than usual. */
TEST(contention) {
    enum { ADDITIONS = 200 };
    const uint32_t usual = real.config.timeout_ms;
    real.config.timeout_ms = 100000;
    begin();
    real.config.timeout_ms = usual;
    const cre_value_operation addition = { .kind = CRE_VALUE_ADD, .key = text("n"), .amount = 1 };
    for (int i = 0; i < ADDITIONS; i++)
        for (int j = 0; j < MACHINES; j++)
            CHECK_EQ(cre_broker_apply(machines[j].broker, &addition, 9), 0);
    WAIT(machines[0].values == ADDITIONS && machines[1].values == ADDITIONS);
    CHECK_EQ(machines[0].value_result + machines[1].value_result, 2);
    check_value(0, "n", "400");
    finish();
}

/* Operations of one machine for one key are carried out in their order. */
TEST(order) {
    begin();
    char number[16];
    for (int i = 0; i < 100; i++) {
        snprintf(number, sizeof number, "%d", i);
        const cre_value_operation set = { .kind = CRE_VALUE_SET, .key = text("k"), .value = text(number) };
        CHECK_EQ(cre_broker_apply(machines[0].broker, &set, 9), 0);
        const int before = machines[0].values;
        if (i % 10) continue;
        const cre_value_operation get_value = { .kind = CRE_VALUE_GET, .key = text("k") };
        CHECK_EQ(cre_broker_apply(machines[0].broker, &get_value, 9), 0);
        WAIT(machines[0].values > before && machines[0].values == i + i / 10 + 2);
        CHECK_EQ(machines[0].value_length, strlen(number));
        CHECK_MEM(machines[0].value, number, strlen(number));
    }
    finish();
}

/* Keys with bytes that subjects cannot have. */
TEST(keys) {
    static const char *const keys[] = { "a.b", ".a..b.", "*", ">", "a b\r\n", "%2E", "\xff\"\\", "." };
    enum { COUNT = sizeof keys / sizeof *keys };
    begin();
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(set(0, keys[i], keys[i], 0), 1);
    for (int i = 0; i < COUNT; i++)
        check_value(1, keys[i], keys[i]);
    finish();
}

/* A server that was killed has its values when it is back; lifetimes continue. */
TEST(restarted_server) {
    begin();
    CHECK_EQ(set(0, "stays", "one", 0), 1);
    CHECK_EQ(set(0, "long", "two", 3600000), 1);
    CHECK_EQ(set(0, "brief", "three", 50), 1);
    nats_kill(0);
    WAIT(machines[0].losses == 1 && machines[1].losses == 1);
    CHECK_EQ(get(0, "stays"), CRE_EBROKER_UNAVAILABLE);
    start_with_data(false);
    WAIT(machines[0].established == 2 && machines[1].established == 2);
    check_value(1, "stays", "one");
    check_value(0, "long", "two");
    WAIT(get(1, "brief") == 0);
    finish();
}

/* Nothing remains of values whose lifetime has ended, that were removed, or that a machine has found dead. */
TEST(expired_messages) {
    char key[16];
    begin();
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "key %d", i);
        CHECK_EQ(set(0, key, "x", i % 2 ? 1 : 20), 1);
    }
    CHECK_EQ(set(0, "removed", "x", 0), 1);
    CHECK_EQ(drop(1, "removed"), 1);
    /* the machine removes them, or the server does; one message is the clock */
    WAIT(strstr(ask("STREAM.INFO.sws-values", "", "consumer_count"), "\"messages\":1,"));
    finish();
}

/* A stream of an administrator, with a limit that it has reached. */
TEST(a_full_stream) {
    static const char config[] =
        "{\"name\":\"sws-values\",\"subjects\":[\"sws.v.>\"],\"max_msgs_per_subject\":1,"
        "\"discard\":\"new\",\"storage\":\"file\",\"num_replicas\":1,"
        "\"max_bytes\":2000}";
    char large[1500];
    begin();
    ask("STREAM.CREATE.sws-values", config, "\"did_create\":true");
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    CHECK_EQ(set(0, "n", "1", 0), 1);
    CHECK_EQ(set(0, "key", large, 0), 1);
    CHECK_EQ(set(0, "other", large, 0), CRE_EVALUE_FULL);
    check_value(1, "n", "1");
    CHECK_EQ(machines[0].refusals, 0);
    CHECK_EQ(drop(0, "key"), 1);
    CHECK_EQ(set(0, "other", large, 0), 1);
    finish();
}

static void check_refused(const char *cause) {
    const int result = get(0, "key"); /* at once, or when the cause is known */
    CHECK(result == CRE_EBROKER_REFUSED || result == CRE_EBROKER_UNAVAILABLE);
    CHECK(machines[0].refusals >= 1);
    CHECK(strstr(machines[0].text, cause));
    CHECK(cre_broker_is_connected(machines[0].broker, 0));
}

TEST(another_stream) {
    begin();
    ask("STREAM.CREATE.sws-values",
        "{\"name\":\"sws-values\",\"subjects\":[\"sws.v.>\"],\"storage\":\"file\"}", "\"did_create\":true");
    check_refused("stream sws-values: it exists with a different max_msgs_per_subject");
    finish();
}

TEST(without_jetstream) {
    nats_start(0, "");
    start_machines();
    WAIT(machines[0].established == 1);
    check_refused("cannot use values: stream sws-values: JetStream is not available");
    finish();
}

/* The permissions that the documentation names are enough. Others are reported. */
TEST(permissions) {
    settings =
        "authorization { users: [ { user: u, password: p, permissions: { subscribe: \"sws.>\", publish: "
        "[\"sws.>\", \"$JS.API.STREAM.INFO.*\", \"$JS.API.STREAM.CREATE.*\", "
        "\"$JS.API.STREAM.MSG.GET.*\", \"$JS.API.STREAM.MSG.DELETE.*\"] } } ] }";
    real.config.user = "u";
    real.config.password = "p";
    begin();
    CHECK_EQ(set(0, "key", "one", 1000), 1);
    check_value(1, "key", "one");
    CHECK_EQ(drop(1, "key"), 1);
    CHECK_EQ(machines[0].refusals + machines[1].refusals, 0);
    finish();
    settings =
        "authorization { users: [ { user: u, password: p, permissions: { subscribe: \"sws.>\", publish: "
        "[\"sws.r.>\", \"sws.v.time\", \"sws.v.k.public\", \"$JS.API.STREAM.INFO.*\", "
        "\"$JS.API.STREAM.CREATE.*\", \"$JS.API.STREAM.MSG.GET.*\"] } } ] }";
    begin();
    CHECK_EQ(set(0, "public", "one", 0), 1);
    CHECK_EQ(set(0, "secret", "one", 0), CRE_EBROKER_REFUSED);
    CHECK(strstr(machines[0].text, "sws.v.k.secret"));
    check_value(0, "public", "one");
    finish();
    settings =
        "authorization { users: [ { user: u, password: p, permissions: { subscribe: \"sws.>\", publish: "
        "[\"sws.>\", \"$JS.API.STREAM.INFO.*\", \"$JS.API.STREAM.CREATE.*\"] } } ] }";
    begin();
    check_refused("not permitted by the server");
    finish();
    settings = "";
    real.config.user = real.config.password = NULL;
}

/* Somebody deletes the stream: it is created again. */
TEST(deleted_stream) {
    begin();
    CHECK_EQ(set(0, "key", "one", 0), 1);
    ask("STREAM.DELETE.sws-values", "", "\"success\":true");
    CHECK_EQ(get(0, "key"), 0);
    CHECK_EQ(add(1, "n", 1, 0), 1);
    check_value(0, "n", "1");
    CHECK_EQ(machines[0].losses + machines[1].losses, 0);
    finish();
}

/* A value of another program. */
TEST(other_programs) {
    begin();
    CHECK_EQ(set(0, "key", "one", 0), 1);
    command("PUB sws.v.k.season 6\r\nwinter\r\n", "PONG");
    WAIT(get(0, "season") == 1);
    check("winter");
    command("HPUB sws.v.k.key 28 33\r\nNATS/1.0\r\nSws-Expires: x\r\n\r\nother\r\n", "PONG");
    WAIT(get(1, "key") == 1 && length == 5);
    check("other");
    finish();
}

int main(int argc, char **argv) {
    real = (real_server){ .connect = connect_nats,
                          .config = { .kind = CRE_BROKER_NATS, .max_backoff_ms = 200 } };
    return nats_test_main(argc, argv);
}
