/*
 * Brokers of two machines at a real server of NATS, which is started here and killed. Skipped where
 * nats-server is not installed.
 */
#include "nats_credentials.h"
#include "nats_process.h"
#include "real_brokers.h"

static int connect_nats(int *fd) {
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons(nats_processes[0].port) };
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* connects to this machine at once */
    const int error = *fd >= 0 && connect(*fd, (const struct sockaddr *)&to, sizeof to) ? -errno : 0;
    return error;
}

static void start(const char *settings, cre_broker_config config) {
    real = (real_server){ .connect = connect_nats, .config = config, .has_gaps = true };
    real.config.kind = CRE_BROKER_NATS;
    real.config.max_backoff_ms = 200;
    nats_start(0, settings);
    start_machines();
}

static void finish(void) {
    stop_machines();
    nats_kill(0);
}

static void begin(void) {
    start(nats_store(0, true), (cre_broker_config){ 0 });
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), kept), 0);
    WAIT(machines[0].established == 1 && machines[1].established == 1);
}

static const cre_broker_history none = { 0 };

static void publish_live(const char *topic, const char *message) {
    CHECK_EQ(cre_broker_publish(machines[0].broker, text(topic), text(message), none, 1), 0);
}

/* Topics with bytes that subjects cannot have. */
TEST(live_topics) {
    static const char *const topics[] = {
        "news", "a.b", ".a..b.", "*", ">", "a b\r\n", "%2E", "\xff\"\\", "."
    };
    enum { COUNT = sizeof topics / sizeof *topics };
    char longest[CRE_BROKER_MAX_TOPIC + 1];
    memset(longest, ' ', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    start("", (cre_broker_config){ 0 });
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(cre_broker_subscribe(machines[1].broker, text(topics[i]), none), 0);
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text(longest), none), 0);
    WAIT(machines[0].established == 1 && machines[1].established == 1);
    for (int i = 0; i < COUNT; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i + 1);
        publish_live(topics[i], number);
    }
    publish_live(longest, "100");
    WAIT(machines[1].received == COUNT + 1 && machines[0].published == COUNT + 1);
    CHECK_EQ(machines[1].last, 100);
    CHECK_EQ(machines[1].doubled + machines[0].failed, 0);

    cre_broker_unsubscribe(machines[1].broker, text("news"));
    publish_live("news", "101");
    publish_live("a.b", "102");
    WAIT(machines[1].last == 102);
    CHECK_EQ(machines[1].received, COUNT + 2);
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), none), 0);
    turn();
    WAIT(machines[0].published == COUNT + 3);
    finish();
}

TEST(history) {
    int number = 0;
    begin();
    publish_up_to(&number, 900);
    WAIT(machines[1].received == 900 && machines[0].published == 900);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    CHECK_EQ(machines[1].position.offset, 900);

    const cre_broker_position first = { machines[1].position.epoch, 1 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, first, 1), 0);
    WAIT(machines[0].recovered == 1);
    CHECK_EQ(machines[0].recover_result, 0);
    CHECK_EQ(machines[0].missed, 899);
    CHECK_EQ(cre_broker_recover(machines[1].broker, text("news"), kept, first, 1), 0);
    WAIT(machines[1].recovered == 1);
    CHECK_EQ(machines[1].recover_result, 0);
    CHECK_EQ(machines[1].missed, 899);
    const cre_broker_position other = { first.epoch ^ 2, 5 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, other, 1), 0);
    WAIT(machines[0].recovered == 2);
    CHECK_EQ(machines[0].recover_result, CRE_EBROKER_GAP);
    CHECK_EQ(machines[0].missed, 899);
    finish();
}

TEST(trimmed_history) {
    const cre_broker_history five = { .count = 5, .seconds = 600 };
    start(nats_store(0, true), (cre_broker_config){ 0 });
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), five), 0);
    WAIT(machines[1].established == 1);
    for (int i = 1; i <= 20; i++) {
        const char *topic = i % 2 ? "news" : "other"; /* sequences 1, 3, ... 19 */
        CHECK_EQ(cre_broker_publish(machines[0].broker, text(topic), text("x"), five, 1), 0);
    }
    WAIT(machines[0].published == 20 && machines[1].position.offset == 19);
    for (uint64_t since = 5; since <= 19; since += 2) {
        machines[0].missed = machines[0].recovered = 0;
        const cre_broker_position position = { machines[1].position.epoch, since };
        CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), five, position, 1), 0);
        WAIT(machines[0].recovered == 1);
        CHECK_EQ(machines[0].recover_result, since < 9 ? CRE_EBROKER_GAP : 0);
        CHECK_EQ(machines[0].missed, since < 9 ? 0 : (19 - (int)since) / 2);
    }
    finish();
}

/* Connections are reset while messages are published: each message arrives once, in order. */
TEST(broken_connections) {
    int number = 0;
    begin();
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

TEST(killed_server) {
    int number = 0;
    begin();
    for (int round = 0; round < 3; round++) {
        publish_up_to(&number, number + 200);
        nats_kill(0);
        publish_up_to(&number, number + 50); /* these wait */
        nats_start(0, nats_store(0, false));
        WAIT(cre_broker_is_connected(machines[0].broker, 0) &&
             cre_broker_is_connected(machines[1].broker, 0));
    }
    WAIT(machines[1].received >= number && machines[0].published == number);
    CHECK_EQ(machines[1].received, number);
    CHECK_EQ(machines[1].disordered + machines[1].doubled + machines[1].lost + machines[0].failed, 0);
    finish();
}

/* Without its data the server starts a new history, and that is reported. */
TEST(killed_server_without_its_data) {
    int number = 0;
    begin();
    publish_up_to(&number, 100);
    WAIT(machines[1].received == 100 && machines[0].published == 100);
    nats_kill(0);
    nats_start(0, nats_store(0, true));
    publish_up_to(&number, 150);
    WAIT(machines[0].published == 150 && machines[1].lost == 1);
    publish_up_to(&number, 160);
    WAIT(machines[1].last == 160);
    CHECK_EQ(machines[1].doubled, 0);
    finish();
}

/* ---- refusals ---- */

static void publish_kept(const char *message) {
    CHECK_EQ(cre_broker_publish(machines[0].broker, text("news"), text(message), kept, 1), 0);
}

static bool mentions(const machine *m, const char *word) {
    return strstr(m->text, word) != NULL;
}

/* Topics without history need no JetStream. */
TEST(a_server_without_jetstream) {
    start("", (cre_broker_config){ 0 });
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), kept), 0);
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("live"), none), 0);
    WAIT(machines[1].established == 1 && machines[1].refusals == 1);
    CHECK(mentions(&machines[1], "sws-10000-600") && mentions(&machines[1], "JetStream"));
    publish_kept("1");
    WAIT(machines[0].failed == 1 && machines[0].refusals == 1);
    publish_live("live", "2");
    WAIT(machines[1].received == 1);
    publish_kept("3");
    WAIT(machines[0].failed == 2);
    const cre_broker_position since = { 1, 1 };
    CHECK_EQ(cre_broker_recover(machines[0].broker, text("news"), kept, since, 1), CRE_EBROKER_UNAVAILABLE);
    CHECK_EQ(machines[0].losses + machines[1].losses, 0);
    finish();
}

/* A program that speaks NATS directly. */
static int raw_connect(void) {
    int fd;
    char line[8192];
    REQUIRE(connect_nats(&fd) == 0);
    REQUIRE(recv(fd, line, sizeof line, 0) > 0);
    return fd;
}

static void raw_request(int fd, const char *subject, const char *payload) {
    char bytes[1024];
    const int length =
        snprintf(bytes, sizeof bytes, "CONNECT {\"verbose\":false}\r\nSUB box 1\r\nPUB %s box %zu\r\n%s\r\n",
                 subject, strlen(payload), payload);
    REQUIRE(send(fd, bytes, (size_t)length, MSG_NOSIGNAL) == length);
    REQUIRE(recv(fd, bytes, sizeof bytes, 0) > 0);
}

TEST(a_stream_with_other_settings) {
    start(nats_store(0, true), (cre_broker_config){ 0 });
    const int fd = raw_connect();
    raw_request(fd, "$JS.API.STREAM.CREATE.sws-10000-600",
                "{\"name\":\"sws-10000-600\",\"subjects\":[\"sws.h.10000-600.>\"],\"max_msgs_per_subject\":7,"
                "\"retention\":\"limits\",\"discard\":\"old\",\"storage\":\"file\",\"num_replicas\":1}");
    publish_kept("1");
    WAIT(machines[0].failed == 1 && machines[0].refusals == 1);
    CHECK(mentions(&machines[0], "max_msgs_per_subject"));
    /* Nobody has to restart anything when it was corrected. */
    raw_request(fd, "$JS.API.STREAM.DELETE.sws-10000-600", "");
    CHECK_EQ(cre_broker_subscribe(machines[1].broker, text("news"), kept), 0);
    WAIT(machines[1].position.epoch || (publish_kept("2"), machines[1].received > 0));
    close(fd);
    finish();
}

/* The stream is deleted while it is used: another one begins, and that is reported. */
TEST(a_deleted_stream) {
    begin();
    publish_kept("1");
    WAIT(machines[1].received == 1 && machines[0].published == 1);
    const int fd = raw_connect();
    raw_request(fd, "$JS.API.STREAM.DELETE.sws-10000-600", "");
    publish_kept("2");
    WAIT(machines[0].published == 2);
    WAIT(machines[1].lost == 1 || machines[1].last == 2);
    publish_kept("3");
    WAIT(machines[1].last == 3);
    close(fd);
    finish();
}

TEST(messages_above_the_payload_of_the_server) {
    static char large[2 << 20];
    memset(large, 'x', sizeof large - 1);
    begin();
    publish_live("news", large);
    WAIT(machines[0].failed == 1);
    CHECK(mentions(&machines[0], "max_payload of 1048576 bytes"));
    publish_kept(large);
    WAIT(machines[0].failed == 2);
    publish_kept("1");
    WAIT(machines[0].published == 1 && machines[1].received == 1);
    CHECK_EQ(machines[0].losses, 0);
    finish();
}

TEST(permissions) {
    start("authorization { users: [ { user: a, password: b, permissions: { "
          "publish: { deny: [\"sws.l.secret\", \"sws.h.1-1.secret\", \"$JS.API.STREAM.INFO.sws-2-2\"] }, "
          "subscribe: { deny: \"sws.l.secret\" } } } ] }",
          (cre_broker_config){ .user = "a", .password = "b" });
    WAIT(machines[0].established == 1);
    publish_live("secret", "1");
    publish_live("open", "2");
    WAIT(machines[0].failed == 1 && machines[0].published == 1);
    CHECK(mentions(&machines[0], "Permissions Violation for Publish to \"sws.l.secret\""));
    CHECK_EQ(cre_broker_subscribe(machines[0].broker, text("secret"), none), 0);
    WAIT(machines[0].refusals == 2);
    CHECK(mentions(&machines[0], "Permissions Violation for Subscription"));
    const cre_broker_history second = { 2, 2 };
    CHECK_EQ(cre_broker_publish(machines[0].broker, text("x"), text("x"), second, 1), 0);
    WAIT(machines[0].failed == 2);
    CHECK(mentions(&machines[0], "sws-2-2: not permitted"));
    CHECK_EQ(machines[0].losses, 0);
    finish();
}

/* ---- users ---- */

static void check_login(const char *settings, cre_broker_config config, const char *refusal) {
    start(settings, config);
    WAIT(machines[0].established || machines[0].losses > 1);
    CHECK_EQ(machines[0].established, refusal ? 0 : 1);
    if (refusal && !mentions(&machines[0], refusal)) TEST_FAIL("the cause is '%s'", machines[0].text);
    finish();
}

TEST(users) {
    const char password[] = "authorization { user: app, password: \"se\\\"cret\" }";
    const char token[] = "authorization { token: \"T0\" }";
    check_login(password, (cre_broker_config){ .user = "app", .password = "se\"cret" }, NULL);
    check_login(password, (cre_broker_config){ .user = "app", .password = "wrong" },
                "Authorization Violation");
    check_login(password, (cre_broker_config){ 0 }, "Authorization Violation");
    check_login(token, (cre_broker_config){ .token = "T0" }, NULL);
    check_login(token, (cre_broker_config){ .token = "T1" }, "Authorization Violation");
}

#ifdef CRE_HAVE_TLS
/* The keys were made for this test. */
TEST(nkeys) {
    const char seed[] = "SUAHNEWDVU2UBO4AHQBAWOXOM3GYRBYSGI2OUDDOOFB4BLOXH72DD3LYWQ";
    const char settings[] =
        "authorization { users: [ { nkey: UB4GK4UDGLQDUY5WIQVUF34Y52Y5JPX5D2OFAMVYHVYPMTS7KUNFA6SC } ] }";
    check_login(settings, (cre_broker_config){ .nkey = seed }, NULL);
    check_login(settings,
                (cre_broker_config){ .nkey = "SUAD7RGM7Z2FQ4HCYDMZ64PTB7YGK3EN5XKBZQOX2PJXNMG342C6F43L24" },
                "Authorization Violation");
}

/* A file of credentials: a JWT that the account of an operator has signed, and the seed of its user. */
TEST(credentials) {
    char other[sizeof nats_user];
    check_login(nats_operator, (cre_broker_config){ .credentials = nats_user }, NULL);
    memcpy(other, nats_user, sizeof other);
    char *seed = strstr(other, "SU");
    memcpy(seed, "SUAD7RGM7Z2FQ4HCYDMZ64PTB7YGK3EN5XKBZQOX2PJXNMG342C6F43L24", 58);
    check_login(nats_operator, (cre_broker_config){ .credentials = other }, "Authorization Violation");
}
#endif

int main(int argc, char **argv) {
    return nats_test_main(argc, argv);
}
