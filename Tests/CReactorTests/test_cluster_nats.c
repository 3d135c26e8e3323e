/*
 * Brokers on a loop with real servers of NATS: TLS, and a cluster of three of which one is killed. Skipped
 * where nats-server is not installed.
 */
#include <creactor/cluster.h>
#include <creactor/error.h>

#include "loops.h"
#include "nats_process.h"
#include "ports.h"
#include "text.h"
#ifdef CRE_HAVE_TLS
#include "tls_net.h"
#endif

enum { MACHINES = 2 };

typedef struct machine {
    cre_cluster *cluster;
    int received, last, disordered, doubled, lost, established, broken, published, failed, last_error;
    cre_broker_position first; /* of the first message with one, or of the last one before it */
    int missed, recovered, recover_result;
    int values, value; /* operations that have ended; the last number, or the error of the last one */
    char text[256];
} machine;

static machine machines[MACHINES];

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    machine *m = context;
    char number[16] = "";
    (void)topic;
    if (!m->first.offset) m->first = position;
    memcpy(number, payload.data, payload.length < 15 ? payload.length : 15);
    if (atoi(number) <= m->last) m->doubled++;
    if (atoi(number) != m->last + 1) m->disordered++;
    m->last = atoi(number);
    m->received++;
}

static void on_position(void *context, cre_slice topic, cre_broker_position position) {
    machine *m = context;
    if (!m->first.offset) m->first = position;
    CHECK(topic.length > 0 && position.epoch);
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    (void)topic;
    (void)position;
    ((machine *)context)->lost++;
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
    CHECK_EQ(position.offset, m->first.offset + (uint64_t)++m->missed);
}

static void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    machine *m = context;
    (void)tag;
    (void)position;
    m->recovered++;
    m->recover_result = result;
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice words) {
    machine *m = context;
    (void)shard;
    m->established += state == CRE_BROKER_CONNECTED;
    m->broken += state == CRE_BROKER_LOST;
    if (state == CRE_BROKER_CONNECTED) return;
    m->last_error = error;
    snprintf(m->text, sizeof m->text, "%.*s", (int)words.length, (const char *)words.data);
}

static void on_value(void *context, uint64_t tag, int result, cre_slice value) {
    machine *m = context;
    char number[16] = "";
    (void)tag;
    if (value.length) memcpy(number, value.data, value.length < 15 ? value.length : 15);
    m->values++;
    m->value = result < 0 ? result : atoi(number);
}

static const cre_broker_handlers handlers = {
    .message = on_message,
    .subscribed = on_position,
    .lost = on_lost,
    .published = on_published,
    .missed = on_missed,
    .recovered = on_recovered,
    .state = on_state,
    .value = on_value,
};

static const cre_broker_history kept = { .count = 1000, .seconds = 600 };

#define WAIT(condition) WAIT_WITH(turn(), condition)

/* `first`: the server that is tried first. */
static int try_start(int index, const cre_cluster_server *servers, uint32_t count, uint32_t first,
                     cre_tls_client *tls) {
    const uint64_t random = milliseconds() * 1000 + (uint64_t)index + 1;
    const cre_broker_config broker = { .size = sizeof broker,
                                       .shards = 1,
                                       .seed = random / count * count + first,
                                       .kind = CRE_BROKER_NATS,
                                       .max_backoff_ms = 200 };
    const cre_cluster_config config = { .size = sizeof config,
                                        .broker = &broker,
                                        .servers = servers,
                                        .server_count = count,
                                        .handlers = &handlers,
                                        .context = &machines[index],
                                        .tls = tls };
    machines[index] = (machine){ 0 };
    return cre_cluster_create(loop, &config, &machines[index].cluster);
}

static cre_broker *broker_of(int index) {
    return cre_cluster_broker(machines[index].cluster);
}

/* A client of machine 1 comes back, which has got messages up to the first position. The machine may not have
 * noticed yet that its connection is lost. */
static void recover(void) {
    machine *m = &machines[1];
    m->recover_result = CRE_EBROKER_UNAVAILABLE;
    for (int i = 1; i <= 10 && m->recover_result == CRE_EBROKER_UNAVAILABLE; i++) {
        WAIT(cre_broker_recover(broker_of(1), text("news"), kept, m->first, 1) == 0);
        WAIT(m->recovered == i);
    }
    CHECK_EQ(m->recover_result, 0);
    CHECK_EQ(m->missed, m->last - (int)m->first.offset);
}

static void publish(int number) {
    char message[16];
    snprintf(message, sizeof message, "%d", number);
    CHECK_EQ(cre_broker_publish(broker_of(0), text("news"), text(message), kept, 1), 0);
}

/* Adds to a number that all machines share. Returns the sum, or an error. */
static int add(int index, int64_t amount) {
    machine *m = &machines[index];
    const int before = m->values;
    const cre_value_operation operation = { .kind = CRE_VALUE_ADD, .key = text("n"), .amount = amount };
    const int result = cre_broker_apply(broker_of(index), &operation, 1);
    if (result) return result;
    WAIT(m->values > before);
    return m->value;
}

/* ---- a cluster ---- */

static void start_member(int index, bool fresh) {
    char settings[512];
    snprintf(settings, sizeof settings,
             "%s\ncluster { name: c, listen: \"127.0.0.1:%d\", routes: [ \"nats://127.0.0.1:%d\", "
             "\"nats://127.0.0.1:%d\", \"nats://127.0.0.1:%d\" ] }",
             nats_store(index, fresh), nats_processes[index].cluster_port, nats_processes[0].cluster_port,
             nats_processes[1].cluster_port, nats_processes[2].cluster_port);
    nats_start(index, settings);
}

/* The server that both machines are connected with is killed. Machine 1 has learned from it that there are
 * others. With NATS_ROUNDS in the environment, others are killed, too. */
TEST(a_cluster_whose_servers_are_killed) {
    REQUIRE(cre_loop_create(&loop) == 0);
    for (int i = 0; i < NATS_SERVERS; i++)
        nats_processes[i].cluster_port = free_port();
    for (int i = 0; i < NATS_SERVERS; i++)
        start_member(i, true);
    cre_cluster_server servers[NATS_SERVERS] = { 0 };
    for (int i = 0; i < NATS_SERVERS; i++)
        servers[i] = (cre_cluster_server){ .host = "127.0.0.1", .port = nats_processes[i].port };
    REQUIRE(try_start(0, servers, NATS_SERVERS, 0, NULL) == 0);
    REQUIRE(try_start(1, servers, 1, 0, NULL) == 0);
    CHECK_EQ(cre_broker_subscribe(broker_of(1), text("news"), kept), 0);
    WAIT(machines[0].established && machines[1].established);
    int number = 0, asked = 0, done = 0, sum = 0;
    const int test_rounds =
        getenv("NATS_ROUNDS") ? atoi(getenv("NATS_ROUNDS")) : 1; /* elections take seconds */
    for (int round = 0; round < test_rounds; round++) {
        for (int i = 0; i < 50; i++)
            publish(++number);
        if (round == 0) WAIT(machines[1].received == number); /* the stream is there */
        while ((!machines[1].first.offset || number < (int)machines[1].first.offset + 5) && number < 1000) {
            publish(++number);
            WAIT(machines[1].received == number);
        }
        for (int i = 0; i < 20; i++, asked++)
            done += add(i % MACHINES, 1) > 0;
        nats_kill(round % NATS_SERVERS);
        if (round == 0) recover();
        for (int i = 0; i < 20; i++, asked++)
            done += add(i % MACHINES, 1) > 0;
        for (int i = 0; i < 50; i++)
            publish(++number);
        WAIT(machines[1].last == number && machines[0].published == number);
        WAIT((sum = add(1, 0)) > 0); /* what was confirmed is there, and nothing that was not asked for */
        CHECK(done <= sum && sum <= asked && done >= 20);
        start_member(round % NATS_SERVERS, false);
    }
    CHECK_EQ(machines[1].doubled, 0);
    CHECK_EQ(machines[1].received, number);
    CHECK_EQ(machines[1].disordered + machines[1].lost, 0);
    CHECK_EQ(machines[0].failed, 0);
    CHECK(machines[0].broken > 0 && machines[1].broken > 0);
    for (int i = 0; i < MACHINES; i++)
        cre_cluster_destroy(machines[i].cluster);
    cre_loop_destroy(loop);
    for (int i = 0; i < NATS_SERVERS; i++)
        nats_kill(i);
}

TEST(invalid_settings) {
    const cre_cluster_server good = { .host = "127.0.0.1", .port = 1 };
    const cre_cluster_server mixed[] = { good, { .host = "127.0.0.1", .port = 1, .secure = 1 } };
    REQUIRE(cre_loop_create(&loop) == 0);
    CHECK_EQ(try_start(0, mixed, 2, 0, NULL), CRE_EINVALID);
    CHECK_EQ(try_start(0, mixed + 1, 1, 0, NULL), CRE_EINVALID);
    cre_cluster_server many[65];
    for (int i = 0; i < 65; i++)
        many[i] = good;
    CHECK_EQ(try_start(0, many, 65, 0, NULL), CRE_EINVALID);
    CHECK_EQ(try_start(0, many, 64, 0, NULL), 0);
    cre_cluster_destroy(machines[0].cluster);
    cre_loop_destroy(loop);
}

#ifdef CRE_HAVE_TLS

static void write_file(const char *name, const char *text, char path[64]) {
    snprintf(path, 64, "%s/%s", nats_folder, name);
    FILE *file = fopen(path, "w");
    REQUIRE(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void check_tls(const char *settings, uint16_t secure, bool trusted, bool connects) {
    const cre_tls_client_config trust = {
        .size = sizeof trust, .authorities = in_memory(trusted ? authority.chain_pem : other_server.chain_pem)
    };
    char why[CRE_TLS_MESSAGE];
    cre_tls_client *tls;
    REQUIRE(cre_loop_create(&loop) == 0);
    nats_start(0, settings);
    REQUIRE(cre_tls_client_create(&trust, &tls, why) == 0);
    const cre_cluster_server to = {
        .host = "127.0.0.1", .port = nats_processes[0].port, .secure = secure, .tls_name = "localhost"
    };
    REQUIRE(try_start(0, &to, 1, 0, secure ? tls : NULL) == 0);
    cre_tls_client_release(tls);
    CHECK_EQ(cre_broker_subscribe(broker_of(0), text("live"), (cre_broker_history){ 0 }), 0);
    WAIT(machines[0].established || machines[0].broken > 1);
    CHECK_EQ(machines[0].established > 0, connects);
    if (connects) {
        CHECK_EQ(cre_broker_publish(broker_of(0), text("live"), text("1"), (cre_broker_history){ 0 }, 1), 0);
        WAIT(machines[0].received == 1 && machines[0].published == 1);
    }
    cre_cluster_destroy(machines[0].cluster);
    cre_loop_destroy(loop);
    nats_kill(0);
}

TEST(tls) {
    char certificate[64], key[64], settings[512];
    write_file("server.pem", server.chain_pem, certificate);
    write_file("server.key", server.key_pem, key);
    snprintf(settings, sizeof settings, "tls { cert_file: \"%s\", key_file: \"%s\" }", certificate, key);
    check_tls(settings, 1, true, true);
    check_tls(settings, 1, false, false);
    CHECK_EQ(machines[0].last_error, CRE_ETLS);
    check_tls(settings, 0, true, false);
    CHECK_STR(machines[0].text, "the server requires TLS");
    check_tls("", 1, true, false);
    CHECK_STR(machines[0].text, "the server has no TLS");
}

#endif

int main(int argc, char **argv) {
    return nats_test_main(argc, argv);
}
