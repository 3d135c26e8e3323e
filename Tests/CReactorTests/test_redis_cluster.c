/* Shards of a Redis Cluster, with real nodes, between which slots are moved, and of which one is killed. */
#include <creactor/cluster.h>
#include <creactor/error.h>
#include <stdarg.h>

#include "broker/redis_slots.h"
#include "loops.h"
#include "redis_processes.h"
#include "text.h"
#ifdef CRE_HAVE_TLS
#include "tls_net.h"
#endif

enum { MASTERS = 3, NODES = 5, SHARDS = 16 };

static cre_cluster *cluster;
static int connects, breaks, last_error, published, failed, received, joined, left, answered, next_number;
static char cause[128];
static uint64_t members;
static int sum; /* of what was added to the value */

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    char expected[16];
    (void)context;
    (void)topic;
    if (!position.epoch) return;
    snprintf(expected, sizeof expected, "%d", received++);
    CHECK_EQ(payload.length, strlen(expected));
    if (payload.length == strlen(expected)) CHECK_MEM(payload.data, expected, payload.length);
}

static void on_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    CHECK(position.epoch);
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    (void)context;
    (void)topic;
    (void)position;
    TEST_FAIL("messages were lost");
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
    CHECK_EQ(result, 0);
    answered++;
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

static void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joins) {
    (void)context;
    (void)topic;
    (void)member;
    joined += joins;
    left += !joins;
}

static void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    (void)context;
    (void)tag;
    CHECK_EQ(result, 0);
    members = presence ? presence->count : 0;
    answered++;
}

static int value_result;

static void on_value(void *context, uint64_t tag, int result, cre_slice value) {
    (void)context;
    (void)tag;
    answered++;
    value_result = result;
    if (result == 1) CHECK(value.length == 1 && value.data[0] == (uint8_t)('0' + sum));
}

static const cre_broker_handlers handlers = {
    .message = on_message,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .published = on_published,
    .missed = on_missed,
    .recovered = on_recovered,
    .state = on_state,
    .member = on_member,
    .present = on_present,
    .value = on_value,
};

#define WAIT(condition) WAIT_WITH(turn(), condition)

static uint16_t bus_ports[NODES];
static process nodes[NODES]; /* three masters, a replica of the first one, and a master without slots */

static bool node_says(int node, const char *wanted, const char *format, ...) {
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    REQUIRE((size_t)vsnprintf(command, sizeof command, format, arguments) < sizeof command);
    va_end(arguments);
    return says(&nodes[node], "pw", command, wanted);
}

/* Whether a server that was started answers, or has ended, as without a port that another program has taken:
 * perhaps another node, which answers then. */
static bool answers(const process *it) {
    char own[32];
    snprintf(own, sizeof own, "process_id:%d\r", (int)it->pid);
    for (;; usleep(5000)) {
        if (says(it, "pw", "INFO server", own)) return true;
        if (waitpid(it->pid, NULL, WNOHANG) == it->pid) return false;
    }
}

static void start_node(int node) {
    process *it = &nodes[node];
    char port[8], bus[8], file[32];
    it->port = free_port();
    bus_ports[node] = free_port();
    snprintf(port, sizeof port, "%u", it->port);
    snprintf(bus, sizeof bus, "%u", bus_ports[node]);
    snprintf(file, sizeof file, "%d.conf", node);
    it->pid = fork();
    REQUIRE(it->pid >= 0);
    if (it->pid) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp(redis_program(), redis_program(), "--bind", "127.0.0.1", "--port", port, "--cluster-port", bus,
           "--cluster-enabled", "yes", "--cluster-config-file", file, "--cluster-node-timeout", "500",
           "--save", "", "--dir", redis_folder, "--logfile", "/dev/null", "--requirepass", "pw",
           "--masterauth", "pw", "--repl-diskless-sync-delay", "0", (char *)NULL);
    _exit(127);
}

#ifdef CRE_HAVE_TLS

static process secure_node;
static uint16_t secure_port; /* 0: this redis-server has no TLS */

static void write_file(const char *name, const char *bytes) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", redis_folder, name);
    FILE *file = fopen(path, "w");
    REQUIRE(file && fputs(bytes, file) >= 0 && fclose(file) == 0);
}

/* A cluster of one node, which does not know its host. With TLS it names the port of TLS. */
static void start_secure_node(void) {
    process *it = &secure_node;
    char port[8], secure[8], bus[8];
    it->port = free_port();
    secure_port = free_port();
    snprintf(port, sizeof port, "%u", it->port);
    snprintf(secure, sizeof secure, "%u", secure_port);
    snprintf(bus, sizeof bus, "%u", free_port());
    write_file("secure.conf", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa :0@0 myself,master - 0 0 1 connected "
                              "0-16383\nvars currentEpoch 1 lastVoteEpoch 0\n");
    write_file("chain.pem", server.chain_pem);
    write_file("key.pem", server.key_pem);
    write_file("authority.pem", authority.chain_pem);
    it->pid = fork();
    REQUIRE(it->pid >= 0);
    if (it->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        REQUIRE(chdir(redis_folder) == 0);
        execlp(redis_program(), redis_program(), "--bind", "127.0.0.1", "--port", port, "--tls-port", secure,
               "--tls-cert-file", "chain.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file",
               "authority.pem", "--tls-auth-clients", "no", "--tls-cluster", "yes", "--cluster-port", bus,
               "--cluster-enabled", "yes", "--cluster-config-file", "secure.conf", "--save", "", "--logfile",
               "/dev/null", "--requirepass", "pw", (char *)NULL);
        _exit(127);
    }
}

static void await_secure_node(void) {
    for (int i = 0; i < 5; i++) {
        if (answers(&secure_node)) return;
        start_secure_node();
    }
    stop(&secure_node);
    secure_port = 0;
}

#endif

static void copy_id(int node, char id[41]) {
    REQUIRE(node_says(node, "$40", "CLUSTER MYID"));
    const char *at = strstr(said, "$40\r\n");
    REQUIRE(at);
    snprintf(id, 41, "%.40s", at + 5);
}

static void start_nodes(void) {
    static bool has_started;
    char id[41];
    if (has_started) return;
    has_started = true;
    REQUIRE(cre_loop_create(&loop) == 0);
    for (int i = 0; i < NODES; i++)
        start_node(i);
#ifdef CRE_HAVE_TLS
    start_secure_node();
    await_secure_node();
#endif
    for (int i = 0; i < NODES; i++) {
        while (!answers(&nodes[i]))
            start_node(i);
        CHECK(node_says(i, "+OK\r\n+OK", "CLUSTER SET-CONFIG-EPOCH %d", i + 1));
        if (i < MASTERS)
            CHECK(node_says(i, "+OK\r\n+OK", "CLUSTER ADDSLOTSRANGE %d %d", i * CRE__SLOTS / MASTERS,
                            (i + 1) * CRE__SLOTS / MASTERS - 1));
    }
    for (int i = 1; i < NODES; i++)
        CHECK(node_says(0, "+OK\r\n+OK", "CLUSTER MEET 127.0.0.1 %u %u", nodes[i].port, bus_ports[i]));
    for (int i = 0; i < NODES; i++) {
        WAIT(node_says(i, "cluster_state:ok", "CLUSTER INFO"));
        WAIT(node_says(i, "cluster_known_nodes:5", "CLUSTER INFO"));
    }
    copy_id(0, id);
    WAIT(node_says(MASTERS, "+OK\r\n+OK", "CLUSTER REPLICATE %s", id));
    WAIT(node_says(MASTERS, "master_link_status:up", "INFO replication"));
    cre_loop_destroy(loop);
}

/* A topic that belongs to a master and was in no case before. */
static char topic[16];
static uint32_t slot;

static void choose_topic(int master) {
    static int last;
    for (;;) {
        snprintf(topic, sizeof topic, "topic%d", last++);
        const uint32_t shard = cre_broker_shard(cre_cluster_broker(cluster), text(topic));
        slot = cre__slot_of_shard(shard, SHARDS);
        if ((int)(slot * MASTERS / CRE__SLOTS) == master) return;
    }
}

static const cre_broker_history kept = { .count = 10000, .seconds = 60 };

static const char *user; /* NULL: the default user */
static cre_tls_client *tls;

static int try_start(const cre_cluster_server *servers, uint32_t count) {
    const cre_broker_config broker = { .size = sizeof broker,
                                       .shards = SHARDS,
                                       .seed = SHARDS * milliseconds(),
                                       .user = user,
                                       .password = user ? "app" : "pw",
                                       .max_backoff_ms = 200,
                                       .presence_ms = 60000,
                                       .kind = CRE_BROKER_REDIS_CLUSTER };
    const cre_cluster_config config = { .size = sizeof config,
                                        .broker = &broker,
                                        .handlers = &handlers,
                                        .servers = servers,
                                        .server_count = count,
                                        .tls = tls };
    connects = breaks = last_error = published = failed = received = joined = left = answered = sum = 0;
    next_number = 0;
    cause[0] = 0;
    return cre_cluster_create(loop, &config, &cluster);
}

/* Connects by the addresses of some node, and subscribes to a topic that is at a master. */
static void start(int seed, int master) {
    start_nodes();
    const cre_cluster_server servers[] = { { .host = "127.0.0.1", .port = free_port() },
                                           { .host = "127.0.0.1", .port = nodes[seed].port },
                                           { .host = "127.0.0.1", .port = free_port() } };
    REQUIRE(cre_loop_create(&loop) == 0);
    REQUIRE(try_start(servers, 3) == 0);
    choose_topic(master);
    cre_broker *broker = cre_cluster_broker(cluster);
    CHECK_EQ(cre_broker_subscribe(broker, text(topic), kept), 0);
    CHECK_EQ(cre_broker_join(broker, text(topic), text("ann"), text("Ann")), 0);
    WAIT(connects == SHARDS && joined == 1);
}

static void finish(void) {
    CHECK_EQ(failed, 0);
    cre_cluster_destroy(cluster);
    cre_loop_destroy(loop);
}

static void publish(int count) {
    for (int i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", next_number++);
        CHECK_EQ(cre_broker_publish(cre_cluster_broker(cluster), text(topic), text(number), kept, 1), 0);
    }
}

static void publish_and_turn(void) {
    publish(5);
    turn();
}

static void ask_for_members(void) {
    answered = 0;
    CHECK_EQ(cre_broker_list_members(cre_cluster_broker(cluster), text(topic), 10, 9), 0);
    WAIT(answered == 1);
    CHECK_EQ(members, 1);
    CHECK(joined == 1 && left == 0);
}

/* A value whose key is in the slot, too. Returns CRE_EBROKER_UNAVAILABLE while the slot is moved. */
static int try_add(void) {
    const cre_value_operation operation = {
        .kind = CRE_VALUE_ADD, .key = text(topic), .amount = 1, .lifetime_ms = 60000
    };
    answered = 0;
    sum++;
    value_result = cre_broker_apply(cre_cluster_broker(cluster), &operation, 9);
    if (value_result == 0) WAIT(answered == 1);
    if (value_result != 1) sum--;
    return value_result;
}

static void check_history(void) {
    answered = 0;
    CHECK_EQ(
        cre_broker_recover(cre_cluster_broker(cluster), text(topic), kept, (cre_broker_position){ 0 }, 9), 0);
    WAIT(answered == 1);
}

/* Moves the slot, keys and all, while messages are published. */
static void move_slot(int from, int to) {
    char ids[2][41], keys[2048], host[] = "127.0.0.1";
    copy_id(from, ids[0]);
    copy_id(to, ids[1]);
    CHECK(node_says(to, "+OK\r\n+OK", "CLUSTER SETSLOT %u IMPORTING %s", slot, ids[0]));
    CHECK(node_says(from, "+OK\r\n+OK", "CLUSTER SETSLOT %u MIGRATING %s", slot, ids[1]));
    publish_and_turn();
    for (;;) {
        REQUIRE(node_says(from, "*", "CLUSTER GETKEYSINSLOT %u 20", slot));
        keys[0] = 0;
        for (char *line = strtok(said, "\r\n"); line && strcmp(line, "$7"); line = strtok(NULL, "\r\n"))
            if (!strncmp(line, "sws:", 4)) strcat(strcat(keys, " "), line);
        if (!keys[0]) break;
        CHECK(node_says(from, "+OK\r\n+OK", "MIGRATE %s %u \"\" 0 5000 AUTH pw KEYS%s", host, nodes[to].port,
                        keys));
        publish_and_turn();
    }
    const int before = published;
    for (const uint64_t end = milliseconds() + 120; milliseconds() < end;)
        turn();
    CHECK_EQ(published, before); /* they wait until all keys are in one place */
    CHECK_EQ(try_add(), CRE_EBROKER_UNAVAILABLE);
    CHECK(node_says(to, "+OK\r\n+OK", "CLUSTER SETSLOT %u NODE %s", slot, ids[1]));
    publish_and_turn();
    CHECK(node_says(from, "+OK\r\n+OK", "CLUSTER SETSLOT %u NODE %s", slot, ids[1]));
    publish_and_turn();
}

TEST(moved_slots) {
    start(1, 2);
    publish(100);
    WAIT(received == 100 && published == 100);
    CHECK_EQ(try_add(), 1);
    move_slot(2, 1);
    WAIT(received == next_number && published == next_number);
    CHECK_EQ(breaks, 1);
    CHECK_EQ(try_add(), 1);
    ask_for_members();
    check_history();
    /* to a node that had none until now */
    move_slot(1, 4);
    WAIT(received == next_number && published == next_number);
    CHECK_EQ(breaks, 2);
    CHECK_EQ(try_add(), 1);
    ask_for_members();
    finish();
}

/* The migration is cancelled: what waited is published here. */
TEST(a_cancelled_move) {
    char id[41];
    start(2, 1);
    copy_id(0, id);
    publish(10);
    WAIT(published == 10);
    CHECK(node_says(1, "+OK\r\n+OK", "CLUSTER SETSLOT %u MIGRATING %s", slot, id));
    publish(10);
    CHECK_EQ(cre_broker_join(cre_cluster_broker(cluster), text(topic), text("bob"), text("Bob")), 0);
    for (const uint64_t end = milliseconds() + 120; milliseconds() < end;)
        turn();
    CHECK_EQ(published, 10);
    CHECK(node_says(1, "+OK\r\n+OK", "CLUSTER SETSLOT %u STABLE", slot));
    WAIT(published == 20 && received == 20 && joined == 2);
    CHECK_EQ(breaks, 0);
    finish();
}

TEST(an_unserved_slot) {
    start(1, 1);
    publish(10);
    WAIT(published == 10);
    CHECK(node_says(1, "+OK\r\n+OK", "CLUSTER DELSLOTS %u", slot));
    publish(10);
    WAIT(breaks >= 1);
    CHECK_EQ(published, 10);
    CHECK(node_says(1, "+OK\r\n+OK", "CLUSTER ADDSLOTS %u", slot));
    WAIT(published == 20 && received == 20);
    finish();
}

/* The rights that docs/cluster.md names are enough. */
TEST(a_user) {
    start_nodes();
    for (int i = 0; i < NODES; i++)
        CHECK(
            node_says(i, "+OK\r\n+OK",
                      "ACL SETUSER app on >app ~sws:* &sws:* -@all +cluster|slots +ssubscribe +sunsubscribe "
                      "+spublish +hello +script|load +evalsha +hget +hmget +hset +hincrby +hlen +hdel +xadd "
                      "+xrange +zadd +zrem +zcard +zcount +zrange +zrangebyscore +exists +del +expire "
                      "+time +get +set +incrby +pexpire"));
    user = "app";
    start(1, 2);
    publish(10);
    WAIT(received == 10 && published == 10);
    check_history();
    ask_for_members();
    cre_broker_unsubscribe(cre_cluster_broker(cluster), text(topic));
    cre_broker_leave(cre_cluster_broker(cluster), text(topic), text("ann"));
    WAIT(left == 1);
    CHECK_EQ(try_add(), 1);
    CHECK_EQ(breaks, 0);
    finish();
    user = NULL;
}

/* What the replica has is there after the fail-over, and what is published meanwhile waits for it. */
/* How many bytes of changes a node has sent, or has received. */
static long long replicated(int node) {
    static const char name[] = "master_repl_offset:";
    REQUIRE(node_says(node, name, "INFO replication"));
    return atoll(strstr(said, name) + strlen(name));
}

TEST(a_master_is_killed) {
    start(2, 0);
    publish(100);
    WAIT(received == 100 && published == 100);
    const long long all = replicated(0);
    WAIT(replicated(MASTERS) >= all);
    stop(&nodes[0]);
    nodes[0].pid = 0;
    publish(100);
    WAIT(received == 200 && published == 200);
    CHECK(node_says(MASTERS, "master", "ROLE"));
    ask_for_members();
    finish();
}

TEST(a_wrong_user) {
    start_nodes();
    const cre_cluster_server address = { .host = "127.0.0.1", .port = nodes[1].port };
    REQUIRE(cre_loop_create(&loop) == 0);
    user = "nobody";
    REQUIRE(try_start(&address, 1) == 0);
    user = NULL;
    WAIT(last_error == CRE_EBROKER_REFUSED);
    CHECK(strstr(cause, "WRONGPASS"));
    CHECK_EQ(connects, 0);
    cre_cluster_destroy(cluster);
    cre_loop_destroy(loop);
}

TEST(a_server_without_cluster) {
    redis_start(false);
    REQUIRE(cre_loop_create(&loop) == 0);
    const cre_cluster_server address = { .host = redis_host };
    REQUIRE(try_start(&address, 1) == 0);
    WAIT(last_error == CRE_EBROKER_NO_CLUSTER);
    cre_cluster_destroy(cluster);
    CHECK_EQ(try_start(&address, 0), CRE_EINVALID);
    cre_loop_destroy(loop);
    redis_kill();
}

#ifdef CRE_HAVE_TLS

TEST(secure_nodes) {
    start_nodes();
    if (!secure_port) {
        printf("skipped: this redis-server has no TLS\n");
        return;
    }
    const cre_tls_client_config trust = { .size = sizeof trust,
                                          .authorities = in_memory(authority.chain_pem) };
    char why[CRE_TLS_MESSAGE];
    REQUIRE(cre_tls_client_create(&trust, &tls, why) == 0);
    REQUIRE(cre_loop_create(&loop) == 0);
    WAIT(says(&secure_node, "pw", "CLUSTER INFO", "cluster_state:ok"));
    cre_cluster_server address = {
        .host = "127.0.0.1", .port = secure_port, .secure = 1, .tls_name = "localhost"
    };
    REQUIRE(try_start(&address, 1) == 0);
    WAIT(connects == SHARDS);
    cre_cluster_destroy(cluster);
    address.tls_name = NULL; /* the certificate has not the host of the node */
    REQUIRE(try_start(&address, 1) == 0);
    WAIT(last_error == CRE_ETLS);
    cre_cluster_destroy(cluster);
    cre_loop_destroy(loop);
    cre_tls_client_release(tls);
    tls = NULL;
    stop(&secure_node);
}

#endif

int main(int argc, char **argv) {
    const int result = redis_test_main(argc, argv);
    for (int i = 0; i < NODES; i++)
        if (nodes[i].pid) stop(&nodes[i]);
    return result;
}
