/* A gateway without a cluster, on one loop with an owner of sockets and a worker, which are this program. */
#include <creactor/internal/gateway.h>

#include "loops.h"
#include "runtime/presence.h"
#include "text.h"

enum { OWNER, WORKER, GATEWAY, NODES };

#define WAIT(condition) WAIT_WITH(turn(), condition)

static const cre_cluster_place place = { .gateway = GATEWAY, .shards = 1, .local = true };
static cre_bus *bus;
static cre_node *owner, *worker;
static cre_gateway *gateway;
static int requests;      /* for reports of the owner */
static char changes[256]; /* "+id " and "-id " */

static int on_owner_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context, (void)payload;
    CHECK_EQ(from, GATEWAY);
    CHECK_EQ(record->kind, CRE_MESSAGE_INTERESTS);
    requests++;
    return 0;
}

static int on_worker_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre__membership member;
    const size_t used = strlen(changes);
    (void)context;
    CHECK_EQ(from, GATEWAY);
    REQUIRE(record->kind == CRE_MESSAGE_MEMBER && cre__membership_read(record, payload, &member));
    snprintf(changes + used, sizeof changes - used, "%c%.*s ", record->opcode ? '+' : '-',
             (int)member.id.length, (const char *)member.id.data);
    return 0;
}

static void start_gateway(void) {
    const cre_broker_config broker = { .size = sizeof broker, .shards = 1, .seed = 7 };
    const cre_gateway_config config = { .bus = bus,
                                        .place = &place,
                                        .first_owner = OWNER,
                                        .owner_count = 1,
                                        .first_worker = WORKER,
                                        .worker_count = 1,
                                        .broker = &broker };
    REQUIRE(cre_gateway_create(loop, &config, &gateway) == 0);
}

static void start(void) {
    const cre_bus_config config = { .nodes = NODES, .connections = 1 };
    REQUIRE(cre_loop_create(&loop) == 0);
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    const cre_node_handlers owns = { .record = on_owner_record }, works = { .record = on_worker_record };
    REQUIRE(cre_node_open(bus, OWNER, loop, &owns, NULL, &owner) == 0);
    REQUIRE(cre_node_open(bus, WORKER, loop, &works, NULL, &worker) == 0);
    requests = 0;
    changes[0] = 0;
    start_gateway();
    WAIT(requests == 1);
}

static void stop(void) {
    cre_gateway_destroy(gateway);
    cre_node_close(owner);
    cre_node_close(worker);
    cre_bus_destroy(bus);
    cre_loop_destroy(loop);
}

static void report(cre_interest kind) {
    const cre_record record = { .kind = CRE_MESSAGE_INTEREST, .opcode = (uint8_t)kind };
    const cre_topic_position none = { 0 };
    const cre_slice part = { (const uint8_t *)&none, sizeof none };
    CHECK_EQ(cre_node_send(owner, GATEWAY, &record, &part, 1), 0);
}

static void change(const char *id, bool joined) {
    const cre__membership member = { text("room"), text(id), text("") };
    CHECK_EQ(cre__membership_send(owner, GATEWAY, &member, joined), 0);
}

/* A member whose owner reports it later than the successor of a gateway waits for that has not joined again.
 * Others have. */
TEST(late_reports) {
    enum { LONGER_MS = 2100 }; /* than the gateway waits */
    start();
    report(CRE_INTEREST_BEGIN);
    change("ann", true);
    report(CRE_INTEREST_END);
    change("bob", true);
    WAIT(strlen(changes) >= strlen("+ann +bob "));
    cre_gateway_destroy(gateway);
    start_gateway();
    WAIT(requests == 2);
    for (const uint64_t end = milliseconds() + LONGER_MS; milliseconds() < end;)
        turn();
    report(CRE_INTEREST_BEGIN);
    change("ann", true);
    change("bob", true);
    change("bob", false);
    report(CRE_INTEREST_END);
    change("eve", true);
    WAIT(strstr(changes, "eve"));
    CHECK_STR(changes, "+ann +bob -bob +eve ");
    stop();
}

TEST_MAIN()
