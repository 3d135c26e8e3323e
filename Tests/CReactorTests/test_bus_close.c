/* A node that is closed while records wait for room. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>

#include "link/bus_internal.h"
#include "loop/loop_internal.h"
#include "test.h"

enum { LENGTH = 100000, QUEUE = 50000 };

typedef struct side {
    cre_loop *loop;
    cre_node *node;
    int rooms;
} side;

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    (void)context;
    (void)from;
    (void)record;
    (void)payload;
    return 0;
}

static void on_room(void *context, uint32_t to) {
    ((side *)context)->rooms++;
    CHECK_EQ(to, 1);
}

static void open_side(side *it, cre_bus *bus, uint32_t id) {
    const cre_node_handlers handlers = { .record = on_record, .room = on_room };
    REQUIRE(cre_loop_create(&it->loop) == 0);
    REQUIRE(cre_node_open(bus, id, it->loop, &handlers, it, &it->node) == 0);
}

static void close_side(side *it) {
    cre_node_close(it->node);
    cre_loop_destroy(it->loop);
}

/* Sends a large record, and lets both sides have turns until `room` is called, or at most `most`. Then the
 * sender is closed. Returns the number of turns. */
static int turns_until_closed(int most) {
    static uint8_t payload[LENGTH];
    const cre_bus_config config = { .nodes = 2,
                                    .ring_bytes = 4096,
                                    .arena_bytes = CRE_BUS_NO_ARENA,
                                    .max_payload = LENGTH,
                                    .queue_bytes = QUEUE,
                                    .connections = 10 };
    const cre_record record = { .kind = 2, .session = 1 };
    const cre_slice part = { payload, sizeof payload };
    cre_bus *bus;
    side sender = { 0 }, receiver = { 0 };
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    open_side(&sender, bus, 0);
    open_side(&receiver, bus, 1);
    CHECK_EQ(cre_node_send(sender.node, 1, &record, &part, 1), 0);
    CHECK(cre_node_congested(sender.node, 1));
    int turns = 0;
    for (; turns < most && sender.rooms == 0; turns++) {
        cre__loop_turn(sender.loop, false);
        cre__loop_turn(receiver.loop, false);
    }
    const int rooms = sender.rooms;
    close_side(&sender);
    CHECK_EQ(sender.rooms, rooms); /* what it uses may be freed already */
    close_side(&receiver);
    cre_bus_destroy(bus);
    return turns;
}

TEST(it_calls_nobody) {
    const int turns = turns_until_closed(1000);
    CHECK(turns > 0 && turns < 1000);
    for (int i = 0; i < turns; i++)
        turns_until_closed(i);
}

TEST_MAIN()
