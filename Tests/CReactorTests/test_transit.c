/* Large and queued records between processes count against the memory budget of the server. */
#include "hosts.h"
#include "link/node_internal.h"

#define KIB (1u << 10)
#define MIB (1u << 20)

/* ---- nodes ---- */

typedef struct side {
    cre_loop *loop;
    cre_node *node;
    uint64_t received;
} side;

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)from;
    (void)record;
    (void)payload;
    ((side *)context)->received++;
    return 0;
}

static cre_bus *make_pair(side *a, side *b) {
    cre_bus_config config = { .nodes = 2,
                              .ring_bytes = 4096,
                              .connections = 10,
                              .max_payload = MIB,
                              .queue_bytes = MIB,
                              .arena_bytes = CRE_BUS_NO_ARENA };
    cre_node_handlers handlers = { .record = on_record };
    cre_bus *bus;
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    *a = *b = (side){ 0 };
    REQUIRE(cre_loop_create(&a->loop) == 0 && cre_loop_create(&b->loop) == 0);
    REQUIRE(cre_node_open(bus, 0, a->loop, &handlers, a, &a->node) == 0);
    REQUIRE(cre_node_open(bus, 1, b->loop, &handlers, b, &b->node) == 0);
    return bus;
}

static void end_pair(side *a, side *b, cre_bus *bus) {
    cre_node_close(a->node);
    cre_node_close(b->node);
    cre_loop_destroy(a->loop);
    cre_loop_destroy(b->loop);
    cre_bus_destroy(bus);
}

static void turn(side *it) {
    cre__loop_turn(it->loop, false);
}

static uint8_t bytes[MIB];

static int send_bytes(side *from, uint32_t to, size_t length) {
    cre_slice part = { bytes, length };
    return cre_node_send(from->node, to, &(cre_record){ .kind = 2, .session = 1 }, &part, 1);
}

static uint64_t held(const side *it) {
    return *cre__node_held(it->node);
}

TEST(queued_and_incomplete_records_are_held) {
    side a, b;
    cre_bus *bus = make_pair(&a, &b);
    CHECK_EQ(send_bytes(&a, 1, 100), 0);
    CHECK_EQ(held(&a), 0); /* in the ring, whose memory is always there */
    for (int i = 0; i < 5; i++)
        CHECK_EQ(send_bytes(&a, 1, 100 * KIB), 0);
    CHECK(held(&a) > 490 * KIB && held(&a) < 520 * KIB);
    turn(&a);
    CHECK_EQ(held(&b), 0);
    turn(&b); /* a part of it */
    CHECK(b.received < 6);
    CHECK(held(&b) > 400 * KIB && held(&b) < 900 * KIB);
    for (int i = 0; i < 10000 && (b.received < 6 || held(&a) || held(&b)); i++) {
        turn(&b);
        turn(&a);
    }
    CHECK_EQ(b.received, 6);
    CHECK_EQ(held(&a), 0);
    CHECK_EQ(held(&b), 0);
    end_pair(&a, &b, bus);
}

/* Positions are the other process's: a wrong one must not look as if the server were full. */
TEST(a_position_that_others_wrote_counts_for_no_more_than_may_queue) {
    side a, b;
    cre_bus *bus = make_pair(&a, &b);
    cre__ring_control *control = cre__bus_ring(bus, 0, 1);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(send_bytes(&a, 1, 100 * KIB), 0);
    const uint64_t sent = held(&a);
    turn(&a);
    atomic_store(&control->spill_taken, atomic_load(&control->spill_taken) - 64 * MIB);
    turn(&a);
    CHECK(held(&a) <= sent);
    atomic_store(&control->spill_taken, 0);
    atomic_store(&control->spill_tail, 64 * MIB);
    turn(&b);
    CHECK(held(&b) <= 4 * MIB);
    end_pair(&a, &b, bus);
}

static bool drop(void *context, const cre_record *record, size_t size) {
    CHECK_EQ(record->kind, 2);
    CHECK(size > 0);
    return context != NULL;
}

TEST(the_rest_of_a_dropped_record_is_skipped) {
    side a, b;
    cre_bus *bus = make_pair(&a, &b);
    CHECK_EQ(send_bytes(&a, 1, MIB), 0);
    turn(&a);
    turn(&b);
    CHECK(cre_node_receiving(b.node));
    const uint64_t before = held(&b);
    cre__node_each_partial(b.node, drop, NULL);
    CHECK_EQ(held(&b), before);
    cre__node_each_partial(b.node, drop, &b);
    CHECK(!cre_node_receiving(b.node));
    CHECK(held(&b) < before);
    CHECK_EQ(send_bytes(&a, 1, 10), 0);
    for (int i = 0; i < 10000 && (!b.received || held(&a) || held(&b)); i++) {
        turn(&a);
        turn(&b);
    }
    CHECK_EQ(b.received, 1); /* the small one */
    CHECK_EQ(held(&a), 0);
    CHECK_EQ(held(&b), 0);
    end_pair(&a, &b, bus);
}

/* ---- a reactor ---- */

typedef struct client_of {
    cre_session session;
    cre_closed closed;
    int closes;
} client_of;

static void on_event(void *context, const cre_record *event, uint8_t *payload) {
    client_of *it = context;
    if (event->kind == CRE_EVENT_OPEN) it->session = event->session;
    if (event->kind != CRE_EVENT_CLOSE) return;
    memcpy(&it->closed, payload, sizeof it->closed);
    it->closes++;
}

static cre_engine_stats stats_of(const reactor_host *host) {
    cre_engine_stats stats;
    cre_bus_get_stats(host->bus, &stats);
    return stats;
}

/* Writes one chunk of a push, as a process does that publishes its records in parts. */
static void write_chunk(reactor_host *host, cre__ring *ring, cre_session session, uint16_t flags,
                        uint32_t length) {
    cre_record chunk = { .kind = CRE_COMMAND_PUSH,
                         .opcode = CRE_WS_BINARY,
                         .flags = flags | CRE_RECORD_FINAL,
                         .session = session };
    uint8_t *payload = cre__ring_write(ring, &chunk, chunk.flags, length);
    REQUIRE(payload != NULL);
    memset(payload, 'x', length);
    cre__ring_publish(ring);
    cre__bus_wake(host->bus, 0);
}

static bool is_read(const cre__ring *ring) {
    return atomic_load(&ring->control->head) == ring->own;
}

TEST(incomplete_pushes_count_against_the_budget) {
    enum { CHUNK = 200 * KIB, FEW = 3, BUDGET = 4 * MIB };
    reactor_host host;
    client_of it = { 0 };
    cre_loop *loop;
    cre_worker *worker;
    make_bus(&host, 0);
    REQUIRE(cre_loop_create(&loop) == 0);
    cre_worker_config worker_config = { .bus = host.bus, .node = 1, .on_event = on_event, .context = &it };
    REQUIRE(cre_worker_create(loop, &worker_config, &worker) == 0);
    cre_reactor_config config = {
        .bus = host.bus,
        .engine = { .first_worker = 1, .worker_count = 1, .memory_budget = BUDGET, .max_queue = 32 * MIB },
        .violation = on_violation,
        .context = &host,
    };
    REQUIRE(cre_reactor_start(&config, &host.reactor) == 0);
    net_server turned = { .loop = loop };
    net_client client = connect_ws(&host);
    client.net = &turned;
    NET_UNTIL(&turned, it.session != 0);
    const cre_session session = it.session;
    net_client other = connect_ws(&host);

    /* The third process sends, and the reactor has to wait for the rest. */
    atomic_fetch_or(&host.bus->nodes[0].senders[0], 1u << 2);
    cre__ring ring;
    cre__ring_open_producer(&ring, cre__bus_ring(host.bus, 2, 0), host.bus->config.ring_bytes);
    uint16_t flags = CRE_RECORD_MORE;
    for (int i = 0; i < FEW; i++, flags = CRE_RECORD_MORE | CRE_RECORD_CONTINUED)
        write_chunk(&host, &ring, session, flags, CHUNK);
    NET_UNTIL(&turned, stats_of(&host).transit >= FEW * CHUNK);
    CHECK_EQ(stats_of(&host).shed, 0);
    write_chunk(&host, &ring, session, CRE_RECORD_CONTINUED, CHUNK);
    static uint8_t whole[(FEW + 1) * CHUNK];
    memset(whole, 'x', sizeof whole);
    net_ws_expect(&client, CRE_WS_BINARY, whole, sizeof whole);
    NET_UNTIL(&turned, stats_of(&host).transit == 0);
    CHECK_EQ(it.closes, 0);

    /* More than the budget. */
    flags = CRE_RECORD_MORE;
    for (int i = 0; i * CHUNK <= BUDGET + CHUNK; i++, flags = CRE_RECORD_MORE | CRE_RECORD_CONTINUED) {
        NET_UNTIL(&turned, is_read(&ring));
        write_chunk(&host, &ring, session, flags, CHUNK);
    }
    NET_UNTIL(&turned, it.closes > 0);
    CHECK_EQ(it.closed.reason, CRE_CLOSED_OVERFLOW);
    CHECK_EQ(it.closed.error, CRE_EBUDGET);
    CHECK_EQ(stats_of(&host).shed, 1);
    NET_UNTIL(&turned, stats_of(&host).transit == 0);
    NET_UNTIL(&turned, is_read(&ring));
    write_chunk(&host, &ring, session, CRE_RECORD_CONTINUED, CHUNK); /* its end */
    NET_UNTIL(&turned, is_read(&ring));
    CHECK_EQ(stats_of(&host).transit, 0);
    CHECK_EQ(host.violations, 0);
    CHECK_EQ(it.closes, 1);
    net_close(&client);
    net_close(&other);
    cre_reactor_stop(host.reactor);
    host.reactor = NULL;
    cre_worker_destroy(worker);
    cre_loop_destroy(loop);
    end_host(&host);
}

TEST_MAIN()
