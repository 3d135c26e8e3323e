/* Wake-ups over the death of who wakes. Tests/Model has the protocol as a whole. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <poll.h>
#include <unistd.h>

#include "link/bus_internal.h"
#include "loop/loop_internal.h"
#include "test.h"

enum { RECEIVER, SENDER };

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)from, (void)record, (void)payload;
    ++*(int *)context;
    return 0;
}

static cre_bus *bus;

/* Without a loop: it is flushed by hand, and receives nothing. */
static cre_node *open_node(uint32_t id) {
    static int count;
    const cre_node_handlers handlers = { .record = on_record };
    cre_node *node = NULL;
    REQUIRE(cre_node_open(bus, id, NULL, &handlers, &count, &node) == 0);
    return node;
}

static void make_bus(void) {
    REQUIRE(
        cre_bus_create(
            &(cre_bus_config){ .nodes = 3, .ring_bytes = 4096, .connections = 10, .queue_bytes = 1 << 20 },
            &bus) == 0);
}

/* Whether the node was woken since the last call. */
static bool was_woken(uint32_t node) {
    uint64_t count;
    return read(bus->eventfds[node], &count, sizeof count) == sizeof count;
}

/* A process that wakes clears `sleeping` before it writes the eventfd. Here it dies between the two. */
static void die_while_waking(uint32_t node) {
    REQUIRE(atomic_exchange(&bus->nodes[node].sleeping, 0));
}

static void send_one(cre_node *from, uint32_t to, size_t length) {
    static uint8_t data[1 << 16];
    const cre_slice part = { data, length };
    CHECK_EQ(cre_node_send(from, to, &(cre_record){ .kind = 1 }, &part, 1), 0);
    cre_node_flush(from);
}

static cre_node *send_and_die_while_waking(void) {
    make_bus();
    cre_node *receiver = open_node(RECEIVER), *sender = open_node(SENDER);
    atomic_store(&bus->nodes[RECEIVER].sleeping, 1);
    send_one(sender, RECEIVER, 10);
    CHECK(was_woken(RECEIVER));
    atomic_store(&bus->nodes[RECEIVER].sleeping, 1);
    die_while_waking(RECEIVER);
    cre_node_close(sender);
    CHECK(!was_woken(RECEIVER));
    return receiver;
}

TEST(the_successor_of_a_sender_wakes_the_receiver) {
    cre_node *receiver = send_and_die_while_waking();
    cre_node *successor = open_node(SENDER);
    CHECK(was_woken(RECEIVER));
    CHECK(!was_woken(2));
    cre_node_close(successor);
    cre_node_close(receiver);
    cre_bus_destroy(bus);
}

/* Others send to it as well, and a successor may be long in coming. */
TEST(a_receiver_is_woken_when_the_sender_is_forgotten) {
    cre_node *receiver = send_and_die_while_waking();
    cre_bus_forget(bus, SENDER);
    CHECK(was_woken(RECEIVER));
    cre_node_close(receiver);
    cre_bus_destroy(bus);
}

TEST(the_successor_of_a_receiver_wakes_who_waits_for_room) {
    make_bus();
    cre_node *receiver = open_node(RECEIVER), *sender = open_node(SENDER);
    for (int i = 0; i < 10; i++)
        send_one(sender, RECEIVER, 1000);
    cre__ring_control *control = cre__bus_ring(bus, SENDER, RECEIVER);
    CHECK_EQ(atomic_load(&control->producer_waits), 1);
    cre_node_close(receiver);
    /* The receiver took everything, and died when it had cleared both flags. */
    atomic_store(&control->taken, atomic_load(&control->tail));
    atomic_store(&control->spill_taken, atomic_load(&control->spill_tail));
    REQUIRE(atomic_exchange(&control->producer_waits, 0));
    atomic_store(&bus->nodes[SENDER].sleeping, 1);
    die_while_waking(SENDER);
    CHECK(!was_woken(SENDER));
    receiver = open_node(RECEIVER);
    CHECK(was_woken(SENDER));
    cre_node_close(receiver);
    cre_node_close(sender);
    cre_bus_destroy(bus);
}

/* Any process can write the eventfd of any node. */
TEST(a_counter_at_its_end_does_not_swallow_a_wake_up) {
    make_bus();
    cre_node *sender = open_node(SENDER);
    cre_loop *loop;
    int count = 0;
    const cre_node_handlers handlers = { .record = on_record };
    cre_node *receiver;
    REQUIRE(cre_loop_create(&loop) == 0);
    REQUIRE(cre_node_open(bus, RECEIVER, loop, &handlers, &count, &receiver) == 0);
    for (int i = 0; i < 5; i++)
        cre__loop_turn(loop, false);
    const uint64_t most = UINT64_MAX - 1;
    CHECK_EQ(write(bus->eventfds[RECEIVER], &most, sizeof most), sizeof most);
    cre__loop_turn(loop, false);
    struct pollfd at = { .fd = cre__loop_descriptor(loop), .events = POLLIN };
    CHECK_EQ(poll(&at, 1, 0), 0); /* asleep, although nobody has read it */
    atomic_store(&bus->nodes[RECEIVER].sleeping, 1);
    send_one(sender, RECEIVER, 10);
    CHECK_EQ(poll(&at, 1, 0), 1);
    cre_node_close(receiver);
    cre_loop_destroy(loop);
    cre_node_close(sender);
    cre_bus_destroy(bus);
}

TEST_MAIN()
