/* A shard whose master Redis Sentinel names: the questions without I/O, then real servers with a real
 * sentinel, of which the master is killed. */
#include <creactor/cluster.h>
#include <creactor/error.h>

#include "cluster/inquiry.h"
#include "loops.h"
#include "redis_processes.h"
#include "text.h"

/* ---- questions ---- */

/* What comes of a reply that arrives in two pieces. */
static int reply(cre__inquiry *inquiry, const char *master, const char *password, const char *bytes,
                 size_t split) {
    REQUIRE(cre__inquiry_begin(inquiry, master, NULL, password) == 0);
    const uint8_t *data = (const uint8_t *)bytes;
    int result = cre__inquiry_received(inquiry, data, split);
    if (!result) result = cre__inquiry_received(inquiry, data + split, strlen(bytes) - split);
    cre__inquiry_end(inquiry);
    return result;
}

static void expect_reply(const char *master, const char *password, const char *bytes, int expected) {
    cre__inquiry inquiry;
    for (size_t split = 0; split <= strlen(bytes); split++)
        CHECK_EQ(reply(&inquiry, master, password, bytes, split), expected);
}

TEST(questions) {
    cre__inquiry inquiry;
    const char *ask = "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$4\r\nmine\r\n";
    const char *role = "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$2\r\npw\r\n*1\r\n$4\r\nROLE\r\n";
    REQUIRE(cre__inquiry_begin(&inquiry, "mine", "ann", NULL) == 0);
    CHECK_EQ(cre__inquiry_output(&inquiry).length, strlen(ask));
    CHECK_MEM(cre__inquiry_output(&inquiry).data, ask, strlen(ask));
    cre__inquiry_end(&inquiry);
    REQUIRE(cre__inquiry_begin(&inquiry, NULL, "ann", "pw") == 0);
    CHECK_EQ(cre__inquiry_output(&inquiry).length, strlen(role));
    CHECK_MEM(cre__inquiry_output(&inquiry).data, role, strlen(role));
    cre__inquiry_end(&inquiry);
    cre__inquiry_end(&inquiry);
    const char *address = "+OK\r\n*2\r\n$8\r\n10.0.0.5\r\n$5\r\n65535\r\n";
    expect_reply("mine", "pw", address, 1);
    CHECK_EQ(reply(&inquiry, "mine", "pw", address, 3), 1);
    CHECK_STR(inquiry.host, "10.0.0.5");
    CHECK_EQ(inquiry.port, 65535);
    expect_reply("mine", NULL, "*-1\r\n", CRE_EBROKER_NO_MASTER);
    expect_reply("mine", "pw", "-WRONGPASS invalid\r\n", CRE_EBROKER_REFUSED);
    const char *malformed[] = { "+OK\r\n",
                                "*1\r\n$1\r\na\r\n",
                                "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
                                "*2\r\n$1\r\na\r\n$5\r\n65536\r\n",
                                "*2\r\n$1\r\na\r\n$2\r\n-1\r\n",
                                "*2\r\n$1\r\na\r\n:7\r\n",
                                "*2\r\n$0\r\n\r\n$1\r\n7\r\n",
                                "*2\r\n*1\r\n$1\r\na\r\n$1\r\n7\r\n" };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        expect_reply("mine", NULL, malformed[i], CRE_EREDIS_PROTOCOL);
    expect_reply(NULL, NULL, "*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n", 1);
    expect_reply(NULL, NULL, "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:7\r\n$9\r\nconnected\r\n:1\r\n",
                 CRE_EBROKER_NO_MASTER);
    expect_reply(NULL, NULL, "*0\r\n", CRE_EREDIS_PROTOCOL);
    expect_reply(NULL, NULL, "-NOPERM no\r\n", CRE_EBROKER_REFUSED);
}

static bool ask_without_memory(void) {
    cre__inquiry inquiry;
    if (cre__inquiry_begin(&inquiry, "mine", "ann", "pw")) return false;
    cre__inquiry_end(&inquiry);
    return true;
}

TEST(questions_without_memory) {
    test_fail_each_allocation(ask_without_memory);
}

/* ---- servers ---- */

enum { MESSAGES = 150 };

/* `master`: 0, or the port of the server that it replicates. */
static void start_redis(process *it, uint16_t master) {
    char port[8], replica[32] = "", file[32];
    if (!it->port) it->port = free_port();
    snprintf(port, sizeof port, "%u", it->port);
    snprintf(file, sizeof file, "%u.rdb", it->port);
    if (master) snprintf(replica, sizeof replica, "127.0.0.1 %u", master);
    it->pid = fork();
    REQUIRE(it->pid >= 0);
    if (it->pid) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp(redis_program(), redis_program(), "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir",
           redis_folder, "--dbfilename", file, "--repl-diskless-sync-delay", "0", "--logfile", "/dev/null",
           "--requirepass", "pw", "--masterauth", "pw", master ? "--replicaof" : "--slave-priority",
           master ? replica : "100", (char *)NULL);
    _exit(127);
}

static void start_sentinel(process *it, uint16_t master) {
    char path[64];
    it->port = free_port();
    snprintf(path, sizeof path, "%s/sentinel", redis_folder);
    FILE *file = fopen(path, "w");
    REQUIRE(file);
    fprintf(file,
            "bind 127.0.0.1\nport %u\nlogfile /dev/null\nrequirepass sentinel\n"
            "sentinel monitor mine 127.0.0.1 %u 1\nsentinel auth-pass mine pw\n"
            "sentinel down-after-milliseconds mine 300\nsentinel failover-timeout mine 3000\n",
            it->port, master);
    fclose(file);
    it->pid = fork();
    REQUIRE(it->pid >= 0);
    if (it->pid) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp(redis_program(), redis_program(), path, "--sentinel", (char *)NULL);
    _exit(127);
}

/* ---- a cluster ---- */

static cre_cluster *cluster;
static int connects, breaks, last_error, published, failed, received, lost;
static int next_number;
static bool may_lose;
static char cause[128];
static uint64_t epoch;

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    char expected[16];
    (void)context;
    (void)topic;
    CHECK(position.epoch != 0);
    epoch = position.epoch;
    snprintf(expected, sizeof expected, "%d", received++);
    CHECK_EQ(payload.length, strlen(expected));
    if (payload.length == strlen(expected)) CHECK_MEM(payload.data, expected, payload.length);
}

static void on_position(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    (void)position;
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    CHECK(position.epoch != epoch);
    CHECK(may_lose);
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
    (void)result;
    (void)position;
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice words) {
    (void)context;
    (void)shard;
    connects += state == CRE_BROKER_CONNECTED;
    breaks += state == CRE_BROKER_LOST;
    if (state == CRE_BROKER_CONNECTED) return;
    last_error = error;
    snprintf(cause, sizeof cause, "%.*s", (int)words.length, (const char *)words.data);
}

static const cre_broker_handlers handlers = {
    .message = on_message,
    .subscribed = on_position,
    .lost = on_lost,
    .published = on_published,
    .missed = on_missed,
    .recovered = on_recovered,
    .state = on_state,
};

#define WAIT(condition) WAIT_WITH(turn(), condition)

static uint32_t kind = CRE_BROKER_REDIS;

static int try_start(const cre_cluster_sentinels *sentinels) {
    /* an even number: the first sentinel is the first one that is asked */
    const cre_broker_config broker = { .size = sizeof broker,
                                       .shards = 1,
                                       .seed = 2 * milliseconds(),
                                       .password = "pw",
                                       .max_backoff_ms = 200,
                                       .kind = kind };
    const cre_cluster_config config = {
        .size = sizeof config, .broker = &broker, .handlers = &handlers, .sentinels = sentinels
    };
    connects = breaks = last_error = published = failed = received = lost = 0;
    next_number = 0;
    return cre_cluster_create(loop, &config, &cluster);
}

static const cre_broker_history kept = { .count = 10000, .seconds = 60 };

static void publish(int count) {
    for (int i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", next_number++);
        CHECK_EQ(cre_broker_publish(cre_cluster_broker(cluster), text("news"), text(number), kept, 1), 0);
    }
}

/* What the replica has is there after the fail-over, and what is published meanwhile waits for it. */
TEST(the_master_is_killed) {
    process servers[2] = { 0 }, sentinel = { 0 };
    REQUIRE(cre_loop_create(&loop) == 0);
    start_redis(&servers[0], 0);
    start_redis(&servers[1], servers[0].port);
    WAIT(says(&servers[1], "pw", "INFO replication", "master_link_status:up"));
    start_sentinel(&sentinel, servers[0].port);
    WAIT(says(&sentinel, "sentinel", "INFO sentinel", "slaves=1"));
    const cre_cluster_server addresses[] = { { .host = "127.0.0.1", .port = free_port() },
                                             { .host = "127.0.0.1", .port = sentinel.port } };
    const char *const names[] = { "mine" }, *const unknown[] = { "other" };
    cre_cluster_sentinels sentinels = { .servers = addresses, .count = 2, .masters = unknown };
    /* It wants a password, and knows nothing of the other name. */
    REQUIRE(try_start(&sentinels) == 0);
    WAIT(last_error == CRE_EBROKER_REFUSED);
    CHECK(strstr(cause, "NOAUTH"));
    cre_cluster_destroy(cluster);
    sentinels.password = "sentinel";
    REQUIRE(try_start(&sentinels) == 0);
    WAIT(last_error == CRE_EBROKER_NO_MASTER);
    CHECK_STR(cause, "");
    cre_cluster_destroy(cluster);
    sentinels.masters = names;
    REQUIRE(try_start(&sentinels) == 0);
    CHECK_EQ(cre_broker_subscribe(cre_cluster_broker(cluster), text("news"), kept), 0);
    WAIT(connects == 1);
    CHECK_EQ(breaks, 0); /* the first sentinel does not answer, so the second one is asked at once */
    publish(MESSAGES);
    WAIT(published == MESSAGES && received == MESSAGES);
    WAIT(says(&servers[0], "pw", "SET last 1\r\nWAIT 1 100", ":1"));
    stop(&servers[0]);
    publish(MESSAGES);
    WAIT(connects == 2);
    publish(MESSAGES);
    WAIT(published == 3 * MESSAGES && received == 3 * MESSAGES);
    CHECK(says(&servers[1], "pw", "ROLE", "master"));
    CHECK_EQ(failed, 0);
    cre_cluster_destroy(cluster);
    cre_loop_destroy(loop);
    stop(&sentinel);
    stop(&servers[1]);
}

/* A replica became the master that has not received the last messages: their positions begin again, so that
 * the next ones are not taken for those. */
TEST(a_master_that_has_lost_messages) {
    process server = { 0 }, sentinel = { 0 };
    REQUIRE(cre_loop_create(&loop) == 0);
    start_redis(&server, 0);
    WAIT(says(&server, "pw", "ROLE", "master"));
    start_sentinel(&sentinel, server.port);
    const cre_cluster_server address = { .host = "127.0.0.1", .port = sentinel.port };
    const char *const names[] = { "mine" };
    const cre_cluster_sentinels sentinels = {
        .servers = &address, .count = 1, .masters = names, .password = "sentinel"
    };
    REQUIRE(try_start(&sentinels) == 0);
    CHECK_EQ(cre_broker_subscribe(cre_cluster_broker(cluster), text("news"), kept), 0);
    WAIT(connects == 1);
    publish(10);
    WAIT(received == 10 && published == 10);
    const char *forget =
        "EVAL \"return redis.call('HINCRBY', redis.call('KEYS', '*:m:news')[1], 's', -5)\" 0";
    CHECK(says(&server, "pw", forget, ":5"));
    may_lose = true;
    says(&server, "pw", "CLIENT KILL SKIPME yes TYPE pubsub", ":1");
    WAIT(lost == 1 && connects == 2);
    may_lose = false;
    publish(10);
    WAIT(received == 20 && published == 20);
    cre_cluster_destroy(cluster);
    cre_loop_destroy(loop);
    stop(&sentinel);
    stop(&server);
}

/* A sentinel that has not noticed yet names a server that is no master: nothing is published there. */
TEST(a_replica_is_refused) {
    process servers[2] = { 0 }, sentinel = { 0 };
    REQUIRE(cre_loop_create(&loop) == 0);
    start_redis(&servers[0], 0);
    WAIT(says(&servers[0], "pw", "ROLE", "master"));
    start_sentinel(&sentinel, servers[0].port);
    WAIT(says(&sentinel, "sentinel", "INFO sentinel", "status=ok"));
    char command[64];
    servers[1].port = free_port();
    snprintf(command, sizeof command, "REPLICAOF 127.0.0.1 %u", servers[1].port);
    CHECK(says(&servers[0], "pw", command, "+OK\r\n+OK"));
    const cre_cluster_server address = { .host = "127.0.0.1", .port = sentinel.port };
    const char *const names[] = { "mine" };
    const cre_cluster_sentinels sentinels = {
        .servers = &address, .count = 1, .masters = names, .password = "sentinel"
    };
    REQUIRE(try_start(&sentinels) == 0);
    WAIT(last_error == CRE_EBROKER_NO_MASTER);
    CHECK_EQ(connects, 0);
    CHECK(says(&servers[0], "pw", "REPLICAOF NO ONE", "+OK\r\n+OK"));
    WAIT(connects == 1);
    cre_cluster_destroy(cluster);
    /* Members that are missing. */
    cre_cluster_sentinels invalid = sentinels;
    invalid.count = 0;
    CHECK_EQ(try_start(&invalid), CRE_EINVALID);
    invalid = sentinels;
    invalid.secure = 1; /* without TLS */
    CHECK_EQ(try_start(&invalid), CRE_EINVALID);
    cre_cluster_server many[65];
    for (int i = 0; i < 65; i++)
        many[i] = address;
    invalid = sentinels;
    invalid.servers = many;
    invalid.count = 65;
    CHECK_EQ(try_start(&invalid), CRE_EINVALID);
    CHECK_EQ(try_start(NULL), CRE_EINVALID);
    kind = CRE_BROKER_NATS;
    CHECK_EQ(try_start(&sentinels), CRE_EINVALID);
    kind = CRE_BROKER_REDIS;
    cre_loop_destroy(loop);
    stop(&sentinel);
    stop(&servers[0]);
}

int main(int argc, char **argv) {
    return redis_test_main(argc, argv);
}
