/* Nodes: records between loops through shared memory. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <pthread.h>

#include "link/bus_internal.h"
#include "loop/loop_internal.h"
#include "test.h"

#define RING 4096u
/* One end of the bus, turned by hand. */
typedef struct side {
    cre_bus *bus;
    cre_loop *loop;
    cre_node *node;
    uint32_t id;
    uint64_t received, bytes, last; /* last: the session of the last record */
    uint64_t expected;              /* number: when not 0, sessions must come in this order */
    int rooms, violations;
    uint8_t kind, opcode;
    uint16_t flags;
    void (*on_room)(struct side *end, uint32_t to);
} side;

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    side *end = context;
    (void)from;
    end->received++;
    end->bytes += record->length;
    end->last = record->session;
    end->kind = record->kind;
    end->opcode = record->opcode;
    end->flags = record->flags;
    if (end->expected) CHECK_EQ(record->session, end->expected++);
    CHECK_EQ((uintptr_t)payload % 8, 0);
    for (uint32_t i = 0; i < record->length; i++)
        if (payload[i] != (uint8_t)(record->session + i / 1000)) {
            TEST_FAIL("byte %u of record %llu", i, (unsigned long long)record->session);
            break;
        }
    return record->kind == 99 ? CRE_EINVALID : 0;
}

static void on_room(void *context, uint32_t to) {
    side *end = context;
    end->rooms++;
    if (end->on_room) end->on_room(end, to);
}

static void on_violation(void *context, uint32_t from) {
    (void)from;
    ((side *)context)->violations++;
}

static cre_bus *make_bus(cre_bus_config config) {
    cre_bus *bus;
    if (!config.ring_bytes) config.ring_bytes = RING;
    if (!config.nodes) config.nodes = 3;
    if (!config.arena_bytes) config.arena_bytes = CRE_BUS_NO_ARENA; /* test_arena.c */
    config.connections = 100;
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    return bus;
}

static void open_node(side *end) {
    cre_node_handlers handlers = { .record = on_record, .room = on_room, .violation = on_violation };
    REQUIRE(cre_node_open(end->bus, end->id, end->loop, &handlers, end, &end->node) == 0);
}

static side open_end(cre_bus *bus, uint32_t id) {
    side it = { .bus = bus, .id = id };
    REQUIRE(cre_loop_create(&it.loop) == 0);
    return it;
}

static void close_end(side *end) {
    cre_node_close(end->node);
    cre_loop_destroy(end->loop);
}

static void turn(side *end) {
    cre__loop_turn(end->loop, false);
}

static int send_number(side *from, uint32_t to, uint64_t number, uint32_t length) {
    uint8_t *data = malloc(length + 1);
    REQUIRE(data != NULL);
    for (uint32_t i = 0; i < length; i++)
        data[i] = (uint8_t)(number + i / 1000);
    /* In three parts, one of them empty. */
    cre_slice parts[3] = { { data, length / 3 }, { NULL, 0 }, { data + length / 3, length - length / 3 } };
    cre_record record = { .kind = 2, .opcode = 7, .flags = CRE_RECORD_FINAL, .session = number };
    int result = cre_node_send(from->node, to, &record, parts, 3);
    free(data);
    return result;
}

#define PAIR(...)                                         \
    cre_bus *bus = make_bus((cre_bus_config)__VA_ARGS__); \
    side a = open_end(bus, 0), b = open_end(bus, 1);      \
    open_node(&a);                                        \
    open_node(&b)

#define PAIR_END() \
    close_end(&a); \
    close_end(&b); \
    cre_bus_destroy(bus)

#define TURN_UNTIL(condition)                                          \
    do {                                                               \
        for (int turns = 0; !(condition) && turns < 100000; turns++) { \
            turn(&a);                                                  \
            turn(&b);                                                  \
        }                                                              \
        CHECK(condition);                                              \
    } while (0)

TEST(records_arrive_in_order) {
    PAIR({ 0 });
    b.expected = 1;
    for (uint64_t n = 1; n <= 5000; n++) {
        CHECK_EQ(send_number(&a, 1, n, (uint32_t)(n * 37 % 1200)), 0);
        if (n % 10 == 0) TURN_UNTIL(b.received == n);
    }
    CHECK_EQ(b.kind, 2);
    CHECK_EQ(b.opcode, 7);
    CHECK_EQ(b.flags, CRE_RECORD_FINAL);
    PAIR_END();
}

TEST(large_records_come_in_one_piece) {
    PAIR({ .max_payload = 8 << 20 });
    b.expected = a.expected = 1;
    for (uint64_t n = 1; n <= 3; n++) {
        CHECK_EQ(send_number(&a, 1, n, 5000000), 0);
        CHECK_EQ(send_number(&b, 0, n, 1009), 0); /* one byte more than one piece holds */
        TURN_UNTIL(b.received == n && a.received == n);
        CHECK_EQ(b.flags, CRE_RECORD_FINAL);
    }
    CHECK_EQ(b.bytes, 15000000);
    PAIR_END();
}

TEST(limits) {
    PAIR({ .max_payload = 100000, .queue_bytes = 50000 });
    CHECK_EQ(send_number(&a, 1, 1, 100001), CRE_ELIMIT);
    CHECK_EQ(send_number(&a, 0, 1, 1), CRE_EINVALID);
    CHECK_EQ(send_number(&a, 3, 1, 1), CRE_EINVALID);
    cre_record nothing = { .session = 1 };
    CHECK_EQ(cre_node_send(a.node, 1, &nothing, NULL, 0), CRE_EINVALID); /* of no kind */
    CHECK(!cre_node_congested(a.node, 1));
    CHECK_EQ(send_number(&a, 1, 1, 100000), 0); /* one may be larger than the queue */
    CHECK(cre_node_congested(a.node, 1));
    CHECK_EQ(send_number(&a, 1, 2, 1000), CRE_ELINK_FULL);
    CHECK_EQ(send_number(&a, 1, 2, 0), 0); /* small ones have a reserve */
    CHECK_EQ(a.rooms, 0);
    TURN_UNTIL(b.received == 2 && a.rooms == 1);
    CHECK(!cre_node_congested(a.node, 1));
    /* Flags of chunks and references are the bus's own. */
    cre_record flagged = { .kind = 5, .flags = 0xFFFF, .session = 3 };
    CHECK_EQ(cre_node_send(a.node, 1, &flagged, NULL, 0), 0);
    TURN_UNTIL(b.received == 3);
    CHECK_EQ(b.flags, 0x0FFF);
    CHECK_EQ(b.violations, 0);
    PAIR_END();
}

TEST(a_full_ring_overflows_and_empties_again) {
    PAIR({ .queue_bytes = 1 << 20 });
    b.expected = 1;
    uint64_t sent = 0;
    for (int round = 0; round < 20; round++) {
        int result;
        while ((result = send_number(&a, 1, sent + 1, (uint32_t)(sent * 31 % 3000))) == 0)
            sent++;
        CHECK_EQ(result, CRE_ELINK_FULL);
        CHECK(cre_node_congested(a.node, 1));
        int rooms = a.rooms;
        TURN_UNTIL(a.rooms > rooms);
        CHECK(!cre_node_congested(a.node, 1));
    }
    TURN_UNTIL(b.received == sent);
    CHECK_EQ(a.rooms, 20);
    PAIR_END();
}

static void send_one_more(side *end, uint32_t to) {
    CHECK_EQ(send_number(end, to, 1000, 10), 0);
}

TEST(what_room_sends_goes_out_at_once) {
    PAIR({ 0 });
    a.on_room = send_one_more;
    CHECK_EQ(send_number(&a, 1, 1, 100000), 0);
    TURN_UNTIL(a.rooms == 1);
    TURN_UNTIL(b.received == 2);
    CHECK_EQ(b.last, 1000);
    PAIR_END();
}

static side *fast_consumer;

/* As much as has room, and the consumer takes what it can see. */
static void send_all_there_is(side *end, uint32_t to) {
    if (end->rooms >= 100) return;
    while (!cre_node_congested(end->node, to))
        CHECK_EQ(send_number(end, to, 1000, 500), 0);
    for (int i = 0; i < 5; i++)
        turn(fast_consumer);
}

/* A consumer that keeps up with what `room` sends must not keep the sender in its flush. */
TEST(there_is_room_once_per_flush) {
    PAIR({ 0 });
    a.on_room = send_all_there_is;
    fast_consumer = &b;
    CHECK_EQ(send_number(&a, 1, 1, 100000), 0);
    for (int i = 0; i < 300; i++) {
        int rooms = a.rooms;
        turn(&a);
        CHECK(a.rooms <= rooms + 3); /* a turn of the loop may flush more than once */
        turn(&b);
    }
    TURN_UNTIL(a.rooms >= 100 && !cre_node_congested(a.node, 1)); /* nothing is forgotten */
    PAIR_END();
}

/* ---- wake-ups ---- */

#define PINGS 3000

static int on_ping(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    side *end = context;
    (void)payload;
    end->received++;
    CHECK_EQ(record->session, end->received);
    uint64_t dice = record->session * 0x9E3779B97F4A7C15u >> 40;
    if (dice % 8 == 0)
        usleep((useconds_t)(dice % 150)); /* so that both meet in every state of falling asleep */
    if (record->session <= PINGS) {
        cre_record answer = { .kind = 1, .session = record->session + (end->id != 0) };
        CHECK_EQ(cre_node_send(end->node, from, &answer, NULL, 0), 0);
    }
    if (record->session >= PINGS + (end->id == 0)) cre_loop_stop(end->loop);
    return 0;
}

static void *run_end(void *context) {
    cre_loop_run(((side *)context)->loop);
    return NULL;
}

static void ping_pong(uint32_t spin_ns) {
    cre_bus *bus = make_bus((cre_bus_config){ .spin_ns = spin_ns });
    side ends[2] = { open_end(bus, 0), open_end(bus, 1) };
    cre_node_handlers handlers = { .record = on_ping };
    for (uint32_t i = 0; i < 2; i++)
        REQUIRE(cre_node_open(bus, i, ends[i].loop, &handlers, &ends[i], &ends[i].node) == 0);
    cre_record first = { .kind = 1, .session = 1 };
    CHECK_EQ(cre_node_send(ends[1].node, 0, &first, NULL, 0), 0);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&threads[i], NULL, run_end, &ends[i]) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL); /* a lost wake-up would keep us here */
    CHECK(ends[0].received >= PINGS && ends[1].received >= PINGS);
    for (int i = 0; i < 2; i++)
        close_end(&ends[i]);
    cre_bus_destroy(bus);
}

TEST(no_wake_up_is_lost) {
    ping_pong(0);
}

TEST(no_wake_up_is_lost_while_spinning) {
    ping_pong(5000);
}

/* One side floods through a small ring, the other is slow by turns: the sender sleeps when it is full. */
#define FLOOD 20000

static void flood(side *end, uint32_t to) {
    while (end->bytes < FLOOD) {
        cre_record record = { .kind = 1, .session = end->bytes + 1 };
        uint8_t data[100];
        memset(data, (int)record.session, sizeof data);
        cre_slice part = { data, sizeof data };
        if (cre_node_send(end->node, to, &record, &part, 1)) return;
        end->bytes++;
        if (cre_node_congested(end->node, to)) return;
    }
    cre_loop_stop(end->loop);
}

static int on_flood(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    side *end = context;
    (void)from;
    (void)payload;
    CHECK_EQ(record->session, ++end->received);
    if (record->session % 997 == 0) usleep(200);
    if (end->received == FLOOD) cre_loop_stop(end->loop);
    return 0;
}

static void start_flood(void *context) {
    flood(context, 1);
}

TEST(a_sender_that_waits_for_room_is_woken) {
    cre_bus *bus = make_bus((cre_bus_config){ 0 });
    side ends[2] = { open_end(bus, 0), open_end(bus, 1) };
    cre_node_handlers handlers = { .record = on_flood, .room = on_room };
    for (uint32_t i = 0; i < 2; i++)
        REQUIRE(cre_node_open(bus, i, ends[i].loop, &handlers, &ends[i], &ends[i].node) == 0);
    ends[0].on_room = flood;
    CHECK_EQ(cre_loop_post(ends[0].loop, start_flood, &ends[0]), 0);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&threads[i], NULL, run_end, &ends[i]) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(ends[1].received, FLOOD);
    for (int i = 0; i < 2; i++)
        close_end(&ends[i]);
    cre_bus_destroy(bus);
}

/* ---- somebody is replaced ---- */

TEST(a_sender_dies_within_a_large_record) {
    PAIR({ 0 });
    CHECK_EQ(send_number(&a, 1, 1, 100), 0);
    turn(&a);
    turn(&b);
    cre_node_close(a.node);
    /* Records are published as a whole; only a process that goes wrong leaves a part. */
    cre__ring ring;
    cre__ring_open_producer(&ring, cre__bus_ring(bus, 0, 1), RING);
    REQUIRE(cre__ring_write(&ring, &(cre_record){ .kind = 2 }, CRE_RECORD_MORE, 1000));
    cre__ring_publish(&ring);
    turn(&b);
    CHECK(cre_node_receiving(b.node));
    cre_bus_forget(bus, 0);
    open_node(&a);
    CHECK_EQ(send_number(&a, 1, 2, 50), 0);
    CHECK_EQ(send_number(&a, 1, 3, 50000), 0);
    TURN_UNTIL(b.last == 3);
    CHECK_EQ(b.received, 3);
    CHECK_EQ(b.violations, 0);
    PAIR_END();
}

TEST(a_receiver_dies_within_a_large_record) {
    PAIR({ 0 });
    CHECK_EQ(send_number(&a, 1, 1, 100000), 0);
    CHECK_EQ(send_number(&a, 1, 2, 50), 0);
    turn(&a);
    turn(&b);
    cre_node_close(b.node);
    cre_bus_forget(bus, 1);
    CHECK_EQ(cre_bus_pid(bus, 1), 0);
    turn(&a);
    open_node(&b);
    CHECK_EQ(cre_bus_pid(bus, 1), getpid());
    TURN_UNTIL(b.last == 2);
    CHECK_EQ(b.received, 1); /* half a record is of no use */
    CHECK_EQ(b.violations, 0);
    TURN_UNTIL(a.rooms == 1);
    PAIR_END();
}

TEST(the_unread_is_left_to_the_successor) {
    PAIR({ 0 });
    b.expected = 1;
    for (uint64_t n = 1; n <= 200; n++)
        CHECK_EQ(send_number(&a, 1, n, 100), 0);
    for (int i = 0; i < 10; i++) {
        turn(&a);
        turn(&b);
        cre_node_close(b.node);
        cre_bus_forget(bus, 1);
        open_node(&b);
    }
    TURN_UNTIL(b.received == 200);
    PAIR_END();
}

TEST(a_node_that_stops_receiving_finishes_what_it_began) {
    PAIR({ 0 });
    CHECK_EQ(send_number(&a, 1, 1, 100000), 0);
    CHECK_EQ(send_number(&a, 1, 2, 50), 0);
    turn(&a);
    turn(&b);
    cre_node_stop_receiving(b.node, 0, 1024);
    TURN_UNTIL(b.received == 1);
    for (int i = 0; i < 20; i++) {
        turn(&a);
        turn(&b);
    }
    CHECK_EQ(b.last, 1);
    CHECK_EQ(send_number(&b, 0, 9, 10), 0); /* it may still speak */
    TURN_UNTIL(a.received == 1);
    cre_node_close(b.node);
    open_node(&b);
    TURN_UNTIL(b.last == 2);
    CHECK_EQ(b.received, 2);
    PAIR_END();
}

/* ---- a program that another one executed ---- */

TEST(an_attached_bus_is_the_same_bus) {
    cre_bus_config config = { .nodes = 3, .ring_bytes = RING, .connections = 100 };
    config.arena_bytes = CRE_BUS_NO_ARENA;
    cre_bus *bus = make_bus((cre_bus_config){ 0 }), *again = NULL;
    int descriptors[8], copies[8];
    CHECK_EQ(cre_bus_descriptors(bus, descriptors, 3), 4);
    CHECK_EQ(cre_bus_descriptors(bus, descriptors, 8), 4);
    for (int i = 0; i < 4; i++)
        copies[i] = dup(descriptors[i]);
    cre_bus_config other = config;
    other.ring_bytes = 2 * RING;
    CHECK_EQ(cre_bus_attach(&other, copies, 4, &again), CRE_ELINK_MISMATCH);
    other = config;
    other.max_payload = 1 << 20;
    CHECK_EQ(cre_bus_attach(&other, copies, 4, &again), CRE_ELINK_MISMATCH);
    CHECK_EQ(cre_bus_attach(&config, copies, 3, &again), CRE_ELINK_MISMATCH);
    int wrong[4] = { copies[1], copies[1], copies[2], copies[3] };
    CHECK_EQ(cre_bus_attach(&config, wrong, 4, &again), CRE_ELINK_MISMATCH);
    REQUIRE(cre_bus_attach(&config, copies, 4, &again) == 0);
    side a = open_end(bus, 0), b = open_end(again, 1);
    open_node(&a);
    open_node(&b);
    CHECK_EQ(send_number(&a, 1, 7, 100), 0);
    turn(&a);
    turn(&b);
    turn(&b);
    CHECK_EQ(b.last, 7);
    CHECK_EQ(cre_bus_pid(again, 0), getpid());
    close_end(&a);
    close_end(&b);
    cre_bus_destroy(again);
    cre_bus_destroy(bus);
}

/* ---- somebody runs wild ---- */

TEST(a_corrupt_ring_does_not_affect_the_others) {
    PAIR({ 0 });
    side c = open_end(bus, 2);
    open_node(&c);
    CHECK_EQ(send_number(&a, 1, 1, 10), 0);
    CHECK_EQ(send_number(&c, 1, 2, 10), 0);
    turn(&c);
    TURN_UNTIL(b.received == 2);
    cre__ring_control *ring = cre__bus_ring(bus, 0, 1);
    memset((uint8_t *)ring + sizeof *ring, 0xEE, RING);
    atomic_store(&ring->tail, atomic_load(&ring->tail) + 64);
    TURN_UNTIL(b.violations == 1);
    CHECK_EQ(send_number(&a, 1, 3, 10), 0); /* it goes on as if nothing had been */
    CHECK_EQ(send_number(&c, 1, 4, 10), 0);
    turn(&c);
    TURN_UNTIL(b.received == 3);
    CHECK_EQ(b.last, 4);
    CHECK_EQ(b.violations, 1);
    cre_node_close(a.node);
    cre_bus_forget(bus, 0);
    open_node(&a);
    CHECK_EQ(send_number(&a, 1, 5, 2000), 0);
    TURN_UNTIL(b.last == 5);
    /* A record that the owner refuses counts as corrupt, too. */
    cre_record refused = { .kind = 99, .session = 6 };
    CHECK_EQ(cre_node_send(a.node, 1, &refused, NULL, 0), 0);
    TURN_UNTIL(b.violations == 2);
    close_end(&c);
    PAIR_END();
}

TEST(bits_of_senders_that_do_not_exist) {
    PAIR({ 0 });
    for (int i = 0; i < 16; i++)
        atomic_store(&bus->nodes[1].senders[i], UINT64_MAX);
    CHECK_EQ(send_number(&a, 1, 1, 10), 0);
    TURN_UNTIL(b.received == 1);
    PAIR_END();
}

TEST(a_successor_mends_what_its_predecessor_destroyed) {
    uint64_t seed = 1;
    for (int round = 0; round < 300; round++) {
        PAIR({ 0 });
        CHECK_EQ(send_number(&a, 1, 1, 500), 0);
        CHECK_EQ(send_number(&b, 0, 1, 500), 0);
        TURN_UNTIL(a.received == 1 && b.received == 1);
        if (round % 3 == 0) CHECK_EQ(send_number(&a, 1, 2, round % 2 ? 100000 : 100), 0);
        turn(&a);
        /* b writes all over both rings, or only over what steers them, and dies. */
        size_t size = round % 2 ? cre__ring_size(RING) : sizeof(cre__ring_control);
        uint8_t *rings[2] = { cre__bus_ring(bus, 1, 0), cre__bus_ring(bus, 0, 1) };
        for (int r = 0; r < 2; r++)
            for (size_t i = 0; i < size; i++)
                if ((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 60 < 8)
                    rings[r][i] = (uint8_t)(seed >> 33);
        for (int i = 0; i < 4; i++)
            turn(&a);
        /* Each successor that does not get through is killed like its predecessor. */
        uint64_t last_a = a.received, last_b = b.received;
        bool through = false;
        for (int life = 0; life < 4 && !through; life++) {
            cre_node_close(b.node);
            cre_bus_forget(bus, 1);
            open_node(&b);
            a.received = last_a, b.received = last_b;
            a.last = b.last = 0;
            CHECK_EQ(send_number(&b, 0, 77, 200), 0);
            for (int i = 0; i < 300 && !(a.last == 77 && b.last == 78); i++) {
                if (i % 20 == 0) send_number(&a, 1, 78, 100);
                turn(&b);
                turn(&a);
            }
            through = a.last == 77 && b.last == 78;
        }
        CHECK(through);
        PAIR_END();
        if (test_failures) break;
    }
}

/* ---- without memory, and with bad settings ---- */

static bool make_and_open(void) {
    cre_bus_config config = { .nodes = 2, .ring_bytes = RING, .connections = 10 };
    cre_node_handlers handlers = { .record = on_record };
    cre_bus *bus = NULL;
    cre_loop *loop = NULL;
    cre_node *node = NULL;
    bool good = cre_bus_create(&config, &bus) == 0;
    if (good) good = cre_loop_create(&loop) == 0;
    if (good) good = cre_node_open(bus, 0, loop, &handlers, NULL, &node) == 0;
    cre_record record = { .kind = 1 };
    static const uint8_t data[20000];
    cre_slice part = { data, sizeof data };
    if (good) good = cre_node_send(node, 1, &record, &part, 1) == 0;
    cre_node_close(node);
    cre_loop_destroy(loop);
    cre_bus_destroy(bus);
    return good;
}

TEST(each_allocation_may_fail) {
    test_fail_each_allocation(make_and_open);
}

/* The longest turn of all nodes, and the turns of a node and its predecessor. */
static cre_loop_stats stats_of(const cre_loop *loop) {
    cre_loop_stats stats;
    cre_loop_get_stats(loop, &stats, sizeof stats);
    return stats;
}

TEST(loops_are_counted_together) {
    PAIR({ 0 });
    cre_loop_stats all;
    for (int i = 0; i < 10; i++) {
        turn(&a);
        turn(&b);
    }
    cre_loop_stats one = stats_of(a.loop), other = stats_of(b.loop);
    cre_bus_get_loop_stats(bus, &all);
    CHECK_EQ(all.turns, one.turns + other.turns);
    CHECK_EQ(all.work_ns, one.work_ns + other.work_ns);
    CHECK_EQ(all.longest_ns, one.longest_ns > other.longest_ns ? one.longest_ns : other.longest_ns);
    close_end(&b);
    b = open_end(bus, 1);
    open_node(&b);
    uint64_t before = all.turns;
    for (int i = 0; i < 10; i++)
        turn(&b);
    cre_bus_get_loop_stats(bus, &all);
    CHECK_EQ(all.turns, before + stats_of(b.loop).turns);
    CHECK(all.turns >= before + 9);
    PAIR_END();
}

TEST(settings_are_checked) {
    static const cre_bus_config bad[] = {
        { .nodes = 0, .connections = 1 },
        { .nodes = 1025, .connections = 1 },
        { .nodes = 1, .connections = 0 },
        { .nodes = 1, .connections = (1u << 24) + 1 },
        { .nodes = 1, .connections = 1, .ring_bytes = 5000 },
        { .nodes = 1, .connections = 1, .ring_bytes = 2048 },
    };
    cre_bus *bus;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(cre_bus_create(&bad[i], &bus), CRE_EINVALID);
}

TEST_MAIN()
