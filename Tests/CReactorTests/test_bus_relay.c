/* What a node passes on, and what others had sent before it. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <creactor/internal/worker.h>
#include <string.h>

#include "link/node_internal.h"
#include "loop/loop_internal.h"
#include "test.h"

/* The owner reads the others in this order. */
enum { OWNER, WORKER, BUSY, RELAY, NODES };

enum { ORDINARY = 2, INVALID };

static cre_bus *bus;
static cre_loop *loop; /* of the owner */
static cre_node *nodes[NODES];
static uint64_t next; /* number that the owner expects, 0: any */
static uint64_t received[NODES], last;
static void (*meanwhile)(void); /* while the owner handles a record of BUSY */

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context, (void)payload;
    received[from]++;
    last = record->session;
    if (from == BUSY) {
        if (meanwhile) meanwhile();
        return 0;
    }
    if (record->kind == INVALID) return CRE_EINVALID;
    if (next) CHECK_EQ(record->session, next++);
    return 0;
}

static void open_nodes(void) {
    const cre_bus_config config = {
        .nodes = NODES, .ring_bytes = 4096, .connections = 10, .queue_bytes = 1 << 20
    };
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    REQUIRE(cre_loop_create(&loop) == 0);
    const cre_node_handlers handlers = { .record = on_record };
    for (uint32_t id = 0; id < NODES; id++)
        REQUIRE(cre_node_open(bus, id, id == OWNER ? loop : NULL, &handlers, NULL, &nodes[id]) == 0);
    cre__node_set_relay(nodes[OWNER], RELAY);
    memset(received, 0, sizeof received);
    next = 1;
    meanwhile = NULL;
}

static void close_nodes(void) {
    for (uint32_t id = 0; id < NODES; id++)
        cre_node_close(nodes[id]);
    cre_loop_destroy(loop);
    cre_bus_destroy(bus);
}

static void send_one(uint32_t from, uint8_t kind, uint64_t number) {
    static const uint8_t data[64];
    const cre_slice part = { data, sizeof data };
    CHECK_EQ(cre_node_send(nodes[from], OWNER, &(cre_record){ .kind = kind, .session = number }, &part, 1),
             0);
    cre_node_flush(nodes[from]);
}

static void turn_until(uint64_t from_relay) {
    for (int turns = 0; turns < 150 && received[RELAY] < from_relay; turns++)
        cre__loop_turn(loop, false);
    CHECK_EQ(received[RELAY], from_relay);
}

static void subscribe_and_publish(void) {
    meanwhile = NULL;
    send_one(WORKER, ORDINARY, 1);
    send_one(RELAY, ORDINARY, 2);
}

/* The worker's ring was read, and was empty, when it sent a record that the relay's follows from. */
TEST(a_record_that_was_sent_meanwhile_comes_before_what_follows_from_it) {
    for (int has_sent_before = 0; has_sent_before < 2; has_sent_before++) {
        open_nodes();
        if (has_sent_before) {
            send_one(WORKER, ORDINARY, 1);
            send_one(RELAY, ORDINARY, 2);
            turn_until(1);
            next = 1;
        }
        meanwhile = subscribe_and_publish;
        send_one(BUSY, ORDINARY, 0);
        turn_until(1 + (uint64_t)has_sent_before);
        CHECK_EQ(next, 3);
        close_nodes();
    }
}

/* More than one turn reads, and more than the ring takes. */
TEST(all_that_was_sent_before_comes_before_what_follows_from_it) {
    open_nodes();
    for (uint64_t i = 1; i <= 5000; i++)
        send_one(WORKER, ORDINARY, i);
    send_one(RELAY, ORDINARY, 5001);
    turn_until(1);
    CHECK_EQ(next, 5002);
    close_nodes();
}

/* One more record for each that is read, for ever. */
static void send_more(void) {
    send_one(WORKER, ORDINARY, 1);
    send_one(BUSY, ORDINARY, 0);
}

TEST(what_is_sent_later_holds_up_nothing) {
    enum { BEFORE = 3000 };
    open_nodes();
    next = 0;
    for (int i = 0; i < BEFORE; i++)
        send_one(WORKER, ORDINARY, 1);
    send_one(RELAY, ORDINARY, 2);
    meanwhile = send_more;
    send_one(BUSY, ORDINARY, 0);
    turn_until(1);
    CHECK(received[WORKER] >= BEFORE);
    CHECK(received[WORKER] < BEFORE + 100);
    close_nodes();
}

TEST(nobody_waits_for_what_follows_an_invalid_record) {
    open_nodes();
    next = 0;
    send_one(WORKER, INVALID, 1);
    for (uint64_t i = 0; i < 100; i++)
        send_one(WORKER, ORDINARY, 2);
    send_one(RELAY, ORDINARY, 3);
    turn_until(1);
    CHECK_EQ(last, 3);
    CHECK_EQ(received[WORKER], 1);
    close_nodes();
}

TEST(a_paused_node_reads_what_its_relay_sends) {
    open_nodes();
    cre__node_never_pause(nodes[OWNER], RELAY);
    cre_node_set_paused(nodes[OWNER], true);
    send_one(WORKER, ORDINARY, 2);
    send_one(RELAY, ORDINARY, 1);
    turn_until(1);
    CHECK_EQ(received[WORKER], 0);
    cre_node_set_paused(nodes[OWNER], false);
    for (int turns = 0; turns < 10; turns++)
        cre__loop_turn(loop, false);
    CHECK_EQ(received[WORKER], 1);
    close_nodes();
}

static void turn_often(void) {
    for (int turns = 0; turns < 200; turns++)
        cre__loop_turn(loop, false);
}

/* Has a ring reset by the successor of its sender. */
static void break_ring(uint32_t from) {
    for (int i = 0; i < 6000; i++) {
        send_one(from, ORDINARY, 1);
        cre__loop_turn(loop, false);
    }
    send_one(from, INVALID, 1);
    cre__loop_turn(loop, false);
}

static void replace(uint32_t id) {
    const cre_node_handlers handlers = { .record = on_record };
    cre_node_close(nodes[id]);
    REQUIRE(cre_node_open(bus, id, NULL, &handlers, NULL, &nodes[id]) == 0);
}

TEST(the_ring_of_a_relay_is_read_again_when_it_was_reset) {
    open_nodes();
    next = 0;
    break_ring(RELAY);
    replace(RELAY);
    turn_often();
    received[RELAY] = 0;
    meanwhile = subscribe_and_publish;
    next = 1;
    send_one(BUSY, ORDINARY, 0);
    turn_until(1);
    CHECK_EQ(next, 3);
    close_nodes();
}

/* Until then the owner would not sleep. */
TEST(the_ring_of_a_relay_that_never_sent_is_opened_when_it_was_reset) {
    open_nodes();
    cre__ring_control *ring = cre__bus_ring(bus, RELAY, OWNER);
    atomic_store(&ring->tail, 5); /* of no record */
    turn_often();
    CHECK(nodes[OWNER]->in[RELAY].ring.broken);
    CHECK_EQ(nodes[OWNER]->in[RELAY].ring.own, 0);
    cre__ring successor; /* that dies before it sends */
    cre__ring_open_producer(&successor, ring, bus->config.ring_bytes);
    turn_often();
    CHECK(!nodes[OWNER]->in[RELAY].ring.broken);
    replace(RELAY);
    send_one(RELAY, ORDINARY, 1);
    turn_until(1);
    close_nodes();
}

TEST(nobody_waits_for_a_ring_that_was_reset) {
    enum { MANY = 5000 }; /* more than a turn reads */
    open_nodes();
    next = 0;
    break_ring(WORKER);
    for (int i = 0; i < MANY; i++)
        send_one(RELAY, ORDINARY, 1);
    cre__loop_turn(loop, false);
    replace(WORKER);
    meanwhile = send_more;
    send_one(BUSY, ORDINARY, 0);
    turn_until(MANY);
    close_nodes();
}

/* Whatever a process writes to the positions of its ring. */
TEST(nobody_waits_for_what_was_only_announced) {
    open_nodes();
    next = 0;
    send_one(WORKER, ORDINARY, 1);
    turn_often();
    cre__ring_control *control = cre__bus_ring(bus, WORKER, OWNER);
    const uint64_t tail = atomic_load(&control->tail);
    for (int i = 0; i < 100; i++)
        send_one(RELAY, ORDINARY, 1);
    cre_node_set_paused(nodes[OWNER], true); /* sees, and reads nothing */
    atomic_store(&control->tail, tail + (1ull << 40));
    cre__loop_turn(loop, false);
    atomic_store(&control->tail, tail);
    cre_node_set_paused(nodes[OWNER], false);
    turn_until(100);
    close_nodes();
}

/* Whatever the relay does with a message, the owner finds what the worker had sent before it. */
TEST(what_a_worker_has_sent_is_published_before_its_message_for_the_cluster) {
    static const cre_cluster_place place = { .gateway = RELAY, .shards = 1 };
    cre_loop *own;
    cre_worker *worker;
    REQUIRE(cre_bus_create(&(cre_bus_config){ .nodes = NODES, .connections = 10 }, &bus) == 0);
    REQUIRE(cre_loop_create(&own) == 0);
    const cre_worker_config config = {
        .bus = bus, .node = WORKER, .first_owner = OWNER, .owner_count = 1, .cluster = &place
    };
    REQUIRE(cre_worker_create(own, &config, &worker) == 0);
    CHECK_EQ(cre_worker_publish(worker, "before", 6, CRE_WS_TEXT, "1", 1, 0), 0);
    CHECK_EQ(cre_worker_broadcast(worker, CRE_WS_TEXT, "2", 1, 0), 0);
    CHECK_EQ(cre__bus_published(bus, WORKER, OWNER), 0);
    CHECK_EQ(cre_worker_publish(worker, "after", 5, CRE_WS_TEXT, "3", 1, 0), 0);
    CHECK(cre__bus_published(bus, WORKER, OWNER) > 0);
    cre_worker_destroy(worker);
    cre_loop_destroy(own);
    cre_bus_destroy(bus);
}

TEST_MAIN()
