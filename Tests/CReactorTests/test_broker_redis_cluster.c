/* A broker at a node of a Redis Cluster, without I/O: what it sends, and what it makes of refused commands.
 */
#include <creactor/broker.h>

#include "broker/redis.h"
#include "test.h"
#include "text.h"

enum { STEP = 7 }; /* bytes of the node arrive in pieces of this size */

static cre_broker *broker;
static uint64_t now;
static bool wants, connected;
static int established, losses, received, published, failed, lost, recovered;
static int last_error, last_result;
static char cause[128], sent[65536];
static size_t used;

static const cre_broker_history kept = { .count = 100, .seconds = 60 }, live = { 0 };

static void on_connect(void *context, uint32_t shard) {
    (void)context;
    CHECK_EQ(shard, 0);
    wants = true;
}

static void on_disconnect(void *context, uint32_t shard) {
    (void)context;
    CHECK_EQ(shard, 0);
    wants = connected = false;
}

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    (void)context;
    (void)topic;
    (void)payload;
    (void)position;
    received++;
}

static void on_position(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    CHECK(position.epoch);
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    (void)position;
    lost++;
}

static void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)position;
    published += result == 0;
    failed += result != 0;
}

static void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)payload;
    (void)position;
}

static void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)position;
    recovered++;
    last_result = result;
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice words) {
    (void)context;
    (void)shard;
    established += state == CRE_BROKER_CONNECTED;
    losses += state == CRE_BROKER_LOST;
    last_error = error;
    snprintf(cause, sizeof cause, "%.*s", (int)words.length, (const char *)words.data);
}

static void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    (void)context;
    (void)tag;
    CHECK(!presence == (result != 0));
    last_result = result;
}

/* Takes the output. */
static void pump(void) {
    cre_broker_tick(broker, now);
    const cre_slice output = cre_broker_output(broker, 0);
    REQUIRE(used + output.length < sizeof sent);
    if (output.length) memcpy(sent + used, output.data, output.length);
    used += output.length;
    sent[used] = 0;
    cre_broker_sent(broker, 0, output.length);
}

/* How often the broker has sent these bytes since the last call. */
static int count(const char *bytes) {
    int times = 0;
    pump();
    for (const char *at = sent; (at = strstr(at, bytes)); at++)
        times++;
    return times;
}

static void forget_sent(void) {
    pump();
    used = 0;
    sent[0] = 0;
}

static void says(const char *bytes) {
    for (size_t at = 0, length = strlen(bytes); at < length && connected; at += STEP)
        cre_broker_received(broker, 0, (const uint8_t *)bytes + at, length - at < STEP ? length - at : STEP,
                            now);
    pump();
}

/* The node confirms all subscriptions of the output. */
static void confirm(int channels) {
    for (int i = 0; i < channels; i++)
        says(">3\r\n$10\r\nssubscribe\r\n$1\r\nx\r\n:1\r\n");
}

#define CURRENT "*4\r\n$16\r\n00000000000000aa\r\n$1\r\n0\r\n:1\r\n*0\r\n"
#define PLACED  "*2\r\n$16\r\n00000000000000aa\r\n$1\r\n1\r\n"
#define ASK     "-ASK 8192 10.0.0.2:7000\r\n"

static void connect_node(const char *version) {
    char hello[64];
    now += 1000;
    pump();
    REQUIRE(wants);
    wants = false;
    connected = true;
    forget_sent();
    cre_broker_connected(broker, 0, now);
    snprintf(hello, sizeof hello, "%%2\r\n+proto\r\n:3\r\n+version\r\n$5\r\n%s\r\n", version);
    says(hello);
    for (int i = 0; i < CRE__SCRIPTS; i++)
        says("$40\r\n0000000000000000000000000000000000000000\r\n");
}

/* A broker with one topic with history. */
static void begin(void) {
    static const cre_broker_handlers handlers = {
        .connect = on_connect,
        .disconnect = on_disconnect,
        .message = on_message,
        .subscribed = on_position,
        .lost = on_lost,
        .published = on_published,
        .missed = on_missed,
        .recovered = on_recovered,
        .state = on_state,
        .present = on_present,
    };
    const cre_broker_config config = {
        .size = sizeof config, .shards = 1, .seed = 1, .kind = CRE_BROKER_REDIS_CLUSTER
    };
    established = losses = received = published = failed = lost = recovered = last_error = last_result = 0;
    wants = connected = false;
    used = 0;
    now = 1000;
    REQUIRE(cre_broker_create(&config, &handlers, NULL, &broker) == 0);
    CHECK_EQ(cre_broker_subscribe(broker, text("news"), kept), 0);
}

/* A broker that is ready. */
static void begin_ready(void) {
    begin();
    connect_node("7.0.0");
    confirm(2);
    says(CURRENT ":0\r\n");
    CHECK_EQ(established, 1);
    forget_sent();
}

static void publish(cre_broker_history history) {
    CHECK_EQ(cre_broker_publish(broker, text("news"), text("x"), history, 1), 0);
}

static void end(int error) {
    CHECK_EQ(losses, 1);
    CHECK_EQ(last_error, error);
    CHECK(!connected);
    cre_broker_destroy(broker);
}

/* Everything of the shard has one tag, and nothing is published before the node has said that it serves the
 * slot. */
TEST(a_node) {
    begin();
    publish(kept);
    connect_node("7.0.0");
    CHECK_EQ(count("redis.call('SPUBLISH'"), 1);
    CHECK_EQ(count("redis.call('PUBLISH'"), 0);
    CHECK_EQ(count("ssubscribe\r\n"), 2);
    CHECK_EQ(count("sws:{8209}:c:news"), 1);
    CHECK_EQ(count("sws:{8209}:probe:0000000000000001"), 1);
    publish(live);
    CHECK_EQ(count("SPUBLISH\r\n"), 0);
    CHECK_EQ(count("EVALSHA\r\n"), 1); /* the check */
    CHECK_EQ(count("EXISTS\r\n"), 0);
    confirm(2);
    says(CURRENT);
    CHECK_EQ(count("EXISTS\r\n$13\r\nsws:{8209}:n:"), 1);
    CHECK_EQ(count("EVALSHA\r\n"), 1);
    says(":0\r\n");
    CHECK_EQ(established, 1);
    CHECK_EQ(count("EVALSHA\r\n"), 2);
    CHECK_EQ(count("SPUBLISH\r\n"), 1);
    says(PLACED ":1\r\n");
    CHECK_EQ(published, 2);
    /* a node that has lost the others is noticed, also where nothing is published */
    forget_sent();
    now += 10000;
    CHECK_EQ(count("EXISTS\r\n"), 1);
    says(">3\r\n$8\r\nsmessage\r\n$33\r\nsws:{8209}:probe:0000000000000001\r\n$0\r\n\r\n");
    says("-CLUSTERDOWN The cluster is down\r\n");
    CHECK_STR(cause, "CLUSTERDOWN The cluster is down");
    end(CRE_EBROKER_REFUSED);
}

TEST(a_node_that_is_too_old) {
    static const char *const versions[] = { "6.2.1", "5.0.9", "x.y.z" };
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        begin();
        connect_node(versions[i]);
        end(CRE_EBROKER_VERSION);
    }
    begin();
    connect_node("10.01");
    CHECK_EQ(losses, 0);
    cre_broker_destroy(broker);
}

/* Scripts are refused while the slot is being moved: they are sent again when it is all here. */
TEST(a_slot_that_is_being_moved) {
    static const char *const refusals[] = { ASK, "-TRYAGAIN Multiple keys request during rehashing\r\n" };
    for (int i = 0; i < 2; i++) {
        begin_ready();
        publish(kept);
        publish(kept);
        CHECK_EQ(cre_broker_recover(broker, text("news"), kept, (cre_broker_position){ 0 }, 1), 0);
        CHECK_EQ(cre_broker_list_members(broker, text("news"), 10, 1), 0);
        CHECK_EQ(count("EVALSHA\r\n"), 4);
        says(PLACED);
        says(refusals[i]);
        says(refusals[i]);
        CHECK(recovered == 1 && last_result == CRE_EBROKER_UNAVAILABLE);
        last_result = 0;
        says(refusals[i]);
        CHECK_EQ(last_result, CRE_EBROKER_UNAVAILABLE);
        CHECK_EQ(published, 1);
        forget_sent();
        publish(kept);
        publish(live);
        CHECK_EQ(cre_broker_join(broker, text("news"), text("ann"), text("")), 0);
        CHECK_EQ(count("EVALSHA\r\n"), 0);
        CHECK_EQ(count("SPUBLISH\r\n"), 1); /* channels are where the slot was until it has been moved */
        says(":1\r\n");
        CHECK_EQ(published, 2);
        forget_sent();
        now += 50;
        CHECK_EQ(count("EXISTS\r\n"), 1);
        says(ASK);
        now += 50;
        CHECK_EQ(count("EXISTS\r\n"), 2);
        CHECK_EQ(count("EVALSHA\r\n"), 0);
        publish(live);
        says(":0\r\n");
        CHECK_EQ(count("EVALSHA\r\n"), 3); /* two messages, then the member */
        CHECK_EQ(count("SPUBLISH\r\n"), 1);
        says(":1\r\n" PLACED PLACED);
        says(refusals[i]); /* it is moved again */
        now += 50;
        CHECK_EQ(count("EXISTS\r\n"), 3);
        CHECK_EQ(count("EVALSHA\r\n"), 3);
        says(":0\r\n");
        CHECK_EQ(count("EVALSHA\r\n"), 4); /* the member */
        says("*0\r\n");
        CHECK(published == 5 && failed == 0 && losses == 0);
        cre_broker_destroy(broker);
    }
}

/* So are checks, also those of a new connection, which is ready. */
TEST(a_refused_check) {
    begin();
    connect_node("7.0.0");
    confirm(2);
    says(ASK ASK);
    CHECK(established == 1 && lost == 0);
    forget_sent();
    now += 50;
    CHECK_EQ(count("EXISTS\r\n"), 1);
    says(":0\r\n");
    CHECK_EQ(count("EVALSHA\r\n"), 1);
    says(CURRENT);
    /* a message is missing: later ones come with the reply to the next check */
    forget_sent();
    says(">3\r\n$8\r\nsmessage\r\n$17\r\nsws:{8209}:c:news\r\n$21\r\n12:00000000000000aa:b\r\n");
    CHECK_EQ(count("EVALSHA\r\n"), 1);
    says("-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    now += 50;
    CHECK_EQ(count("EXISTS\r\n"), 1);
    says(":0\r\n");
    CHECK_EQ(count("EVALSHA\r\n"), 2);
    says(
        "*4\r\n$16\r\n00000000000000aa\r\n$1\r\n2\r\n:1\r\n*4\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n2\r\n$1\r\nb\r\n");
    CHECK(received == 2 && lost == 0 && losses == 0);
    cre_broker_destroy(broker);
}

/* The connection ends, and the next one is another node's. What was refused is published there. */
TEST(a_slot_that_was_moved) {
    begin_ready();
    publish(live);
    publish(kept);
    says("-MOVED 8192 10.0.0.2:7000\r\n");
    CHECK_STR(cause, "MOVED 8192 10.0.0.2:7000");
    CHECK(losses == 1 && last_error == CRE_EBROKER_REFUSED && failed == 0);
    connect_node("7.0.0");
    confirm(2);
    says(CURRENT ":0\r\n");
    CHECK_EQ(count("SPUBLISH\r\n"), 1);
    CHECK_EQ(count("EVALSHA\r\n"), 2);
    says(":1\r\n" PLACED);
    CHECK(published == 2 && failed == 0);
    /* the node ends a subscription */
    says(">3\r\n$12\r\nsunsubscribe\r\n$17\r\nsws:{8209}:c:news\r\n:1\r\n");
    CHECK(losses == 2 && last_error == CRE_EBROKER_MOVED);
    /* or does not accept one */
    connect_node("7.0.0");
    says("-MOVED 8192 10.0.0.2:7000\r\n");
    CHECK_EQ(losses, 3);
    CHECK_EQ(established, 2);
    cre_broker_destroy(broker);
}

/* A confirmation of the broker's own command is no sign of a move. */
TEST(an_unsubscription) {
    begin_ready();
    cre_broker_unsubscribe(broker, text("news"));
    CHECK_EQ(count("sunsubscribe\r\n"), 1);
    says(">3\r\n$12\r\nsunsubscribe\r\n$17\r\nsws:{8209}:c:news\r\n:1\r\n");
    CHECK_EQ(losses, 0);
    cre_broker_destroy(broker);
}

TEST_MAIN()
