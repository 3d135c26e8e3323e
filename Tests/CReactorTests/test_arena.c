/* Large payloads in shared memory: what their sender keeps, and what happens when either side dies. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "link/node_internal.h"
#include "loop/loop_internal.h"
#include "test.h"

enum { GRANULES = 8, BYTES = GRANULES * CRE__GRANULE, LARGE = CRE__BY_REFERENCE };

/* ---- nodes ---- */

typedef struct side {
    cre_bus *bus;
    uint32_t id;
    cre_loop *loop;
    cre_node *node;
    uint64_t last;
    const uint8_t *payload;
    int received, by_reference, violations, lost;
    bool answers, returns;
    const struct side *disturber; /* sends while the first record is served */
} side;

static uint8_t byte_of(uint64_t number) {
    return (uint8_t)(number * 31 + 7);
}

static void send_number(const side *from, uint32_t to, uint64_t number, uint32_t length) {
    static uint8_t data[1 << 20];
    memset(data, byte_of(number), length);
    cre_slice part = { data, length };
    CHECK_EQ(cre_node_send(from->node, to, &(cre_record){ .kind = 2, .session = number }, &part, 1), 0);
}

static bool is_whole(const cre_record *record, const uint8_t *payload) {
    return payload[0] == byte_of(record->session) && memcmp(payload, payload + 1, record->length - 1) == 0;
}

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    side *it = context;
    CHECK_EQ(record->flags, 0);
    CHECK(record->session > it->last);
    CHECK(is_whole(record, payload));
    const uint8_t *arena = cre__bus_arena(it->bus, from);
    it->by_reference += payload >= arena && payload + record->length <= arena + it->bus->arena_bytes;
    it->payload = payload;
    it->last = record->session;
    it->received++;
    if (it->disturber && it->received == 1) {
        send_number(it->disturber, it->id, 2, LARGE);
        send_number(it->disturber, it->id, 3, LARGE);
        CHECK(is_whole(record, payload));
    }
    return 0;
}

static void on_violation(void *context, uint32_t from) {
    (void)from;
    ((side *)context)->violations++;
}

static void on_lost(void *context, uint32_t from, const cre_record *record) {
    (void)from;
    CHECK_EQ(record->session, 2);
    ((side *)context)->lost++;
}

static void open_node(side *it) {
    cre_node_handlers handlers = { .record = on_record, .violation = on_violation, .lost = on_lost };
    REQUIRE(cre_node_open(it->bus, it->id, it->loop, &handlers, it, &it->node) == 0);
}

static side begin(cre_bus *bus, uint32_t id) {
    side it = { .bus = bus, .id = id };
    REQUIRE(cre_loop_create(&it.loop) == 0);
    return it;
}

static void end(side *it) {
    cre_node_close(it->node);
    cre_loop_destroy(it->loop);
}

static cre_bus *make_bus(uint32_t arena_bytes) {
    cre_bus *bus;
    cre_bus_config config = { .nodes = 3, .ring_bytes = 65536, .connections = 1, .arena_bytes = arena_bytes };
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    return bus;
}

static void turn(side *it) {
    cre__loop_turn(it->loop, false);
}

static void turn_often(side *it) {
    for (int i = 0; i < 50; i++)
        turn(it);
}

#define PAIR(arena_bytes)                      \
    cre_bus *bus = make_bus(arena_bytes);      \
    side a = begin(bus, 0), b = begin(bus, 1); \
    open_node(&a);                             \
    open_node(&b)

#define PAIR_END() \
    end(&a);       \
    end(&b);       \
    cre_bus_destroy(bus)

TEST(large_payloads_are_served_where_they_were_written) {
    PAIR(0);
    send_number(&a, 1, 1, LARGE - 1);
    send_number(&a, 1, 2, LARGE);
    send_number(&a, 1, 3, 1 << 20);
    turn(&a);
    CHECK(*cre__node_held(a.node) >= LARGE + (1 << 20));
    turn_often(&b);
    CHECK_EQ(b.received, 3);
    CHECK_EQ(b.by_reference, 2);
    cre__node_tidy_arena(a.node);
    CHECK_EQ(a.node->arena.taken, 0);
    CHECK_EQ(*cre__node_held(a.node), 0);
    PAIR_END();
}

TEST(payloads_are_freed_before_the_loop_sleeps) {
    PAIR(0);
    send_number(&a, 1, 1, LARGE);
    turn(&a);
    CHECK(a.node->arena.taken > 0);
    turn(&b);
    turn(&a);
    CHECK_EQ(a.node->arena.taken, 0);
    CHECK_EQ(*cre__node_held(a.node), 0);
    PAIR_END();
}

TEST(a_payload_in_the_arena_is_not_copied) {
    PAIR(0);
    uint8_t *room = cre__node_take_room(a.node, 100000);
    REQUIRE(room != NULL);
    memset(room, byte_of(1), 100000);
    cre_slice part = { room, 100000 };
    CHECK_EQ(cre_node_send(a.node, 1, &(cre_record){ .kind = 2, .session = 1 }, &part, 1), 0);
    CHECK_EQ(a.node->arena.taken, 49);
    cre__node_give_room(a.node, room);
    turn(&a);
    CHECK_EQ(a.node->arena.taken, 49);
    turn_often(&b);
    CHECK(b.payload == room);
    cre__node_tidy_arena(a.node);
    CHECK_EQ(a.node->arena.taken, 0);
    PAIR_END();
}

static void open_answering(side *it, bool answers);

/* Its sender gives the run back when it has served what came back, and neither side copies anything. */
TEST(a_payload_is_returned_by_reference) {
    PAIR(BYTES);
    cre_node_close(a.node);
    cre_node_close(b.node);
    open_answering(&a, false);
    open_answering(&b, true);
    b.returns = true;
    for (uint64_t number = 1; number <= 20; number++) {
        uint8_t *room = cre__node_take_room(a.node, LARGE);
        REQUIRE(room != NULL);
        memset(room, byte_of(number), LARGE);
        cre_slice part = { room, LARGE };
        CHECK_EQ(cre_node_send(a.node, 1, &(cre_record){ .kind = 2, .session = number }, &part, 1), 0);
        cre__node_give_room(a.node, room);
        turn(&a);
        turn_often(&b);
        cre__node_reclaim(a.node);
        CHECK_EQ(a.node->arena.taken, 2);
        turn_often(&a);
        CHECK_EQ(a.received, number);
        CHECK(a.payload == room);
        cre__node_reclaim(a.node);
        CHECK_EQ(a.node->arena.taken, 0);
    }
    CHECK(!b.node->arena.runs);
    PAIR_END();
}

TEST(a_payload_stays_until_it_was_served) {
    PAIR(BYTES);
    b.disturber = &a;
    send_number(&a, 1, 1, LARGE);
    turn(&a);
    turn(&b);
    turn(&a);
    turn_often(&b);
    CHECK_EQ(b.received, 3);
    CHECK_EQ(b.by_reference, 2);
    PAIR_END();
}

/* One receiver may have half of the arena; and all together no more than there is. */
TEST(without_room_records_travel_in_chunks) {
    PAIR(BYTES);
    side c = begin(bus, 2);
    open_node(&c);
    for (uint64_t number = 1; number <= 4; number++)
        send_number(&a, 1, number, LARGE);
    uint8_t *room = cre__node_take_room(a.node, 3 * CRE__GRANULE);
    CHECK(room != NULL);
    send_number(&a, 2, 1, LARGE);
    turn(&a);
    for (int i = 0; i < 50; i++) {
        turn(&b);
        turn(&c);
        turn(&a);
    }
    CHECK_EQ(b.received, 4);
    CHECK_EQ(b.by_reference, 2);
    CHECK_EQ(c.received, 1);
    CHECK_EQ(c.by_reference, 0);
    cre__node_give_room(a.node, room);
    cre__node_tidy_arena(a.node);
    CHECK_EQ(a.node->arena.taken, 0);
    send_number(&a, 1, 5, LARGE);
    turn(&a);
    turn_often(&b);
    CHECK_EQ(b.by_reference, 3);
    end(&c);
    PAIR_END();
}

TEST(the_ring_may_be_full_of_references) {
    PAIR(0);
    for (uint64_t number = 1; number <= 40; number++)
        send_number(&a, 1, number, number % 4 ? 1000 : LARGE + (uint32_t)number);
    for (uint64_t number = 41; number <= 60; number++)
        send_number(&a, 1, number, 4000); /* to the spill, in the end */
    CHECK(cre_node_congested(a.node, 1));
    send_number(&a, 1, 61, LARGE);
    for (int i = 0; i < 200; i++) {
        turn(&a);
        turn(&b);
    }
    CHECK_EQ(b.received, 61);
    CHECK_EQ(b.by_reference, 10);
    cre__node_tidy_arena(a.node);
    CHECK_EQ(a.node->arena.taken, 0);
    PAIR_END();
}

TEST(an_arena_that_rests_has_no_pages) {
    PAIR(0);
    struct stat before, after;
    REQUIRE(fstat(bus->memfd, &before) == 0);
    send_number(&a, 1, 1, 1 << 20);
    turn(&a);
    REQUIRE(fstat(bus->memfd, &after) == 0);
    CHECK(after.st_blocks >= before.st_blocks + (1 << 20) / 512);
    CHECK(cre__node_tidy_arena(a.node)); /* it is in use */
    turn_often(&b);
    cre__node_tidy_arena(a.node);
    CHECK(!cre__node_tidy_arena(a.node));
    REQUIRE(fstat(bus->memfd, &after) == 0);
    CHECK(after.st_blocks < before.st_blocks + 65536 / 512 * 4);
    PAIR_END();
}

/* ---- what a process that goes wrong writes ---- */

TEST(invalid_references_are_violations) {
    const struct {
        uint16_t flags;
        uint32_t length;
        cre__reference reference;
    } rows[] = {
        { 0, 8, { GRANULES, 1 } },
        { 0, 8, { UINT32_MAX, 1 } },
        { 0, 8, { GRANULES - 1, CRE__GRANULE + 1 } },
        { 0, 8, { 0, UINT32_MAX } },
        { 0, 4, { 0, 1 } },
        { 0, 16, { 0, 1 } },
        { CRE_RECORD_MORE, 8, { 0, 1 } },
        { CRE_RECORD_CONTINUED, 8, { 0, 1 } },
        { CRE_RECORD_RETURNED, 8, { GRANULES, 1 } },
        { CRE_RECORD_RETURNED, 4, { 0, 1 } },
        { CRE_RECORD_RETURNED | CRE_RECORD_MORE, 8, { 0, 1 } },
        { CRE_RECORD_RETURNED | CRE_RECORD_REFERENCE, 8, { 0, 1 } }, /* with the second one only */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PAIR(BYTES);
        send_number(&a, 1, 1, 10);
        turn(&a);
        turn_often(&b);
        cre__ring *ring = &a.node->out[1].ring;
        cre_record record = { .kind = 2, .session = 2, .flags = rows[i].flags ^ CRE_RECORD_REFERENCE };
        uint8_t *at = cre__ring_write(ring, &record, record.flags, rows[i].length);
        memset(at, 0, rows[i].length);
        memcpy(at, &rows[i].reference, rows[i].length < 8 ? rows[i].length : 8);
        cre__ring_publish(ring);
        turn_often(&b);
        CHECK_EQ(b.received, 1);
        CHECK_EQ(b.violations, 1);
        PAIR_END();
    }
}

TEST(a_payload_beyond_the_limit_is_a_violation) {
    cre_bus *bus;
    cre_bus_config config = { .nodes = 2, .ring_bytes = 4096, .connections = 1, .max_payload = 50000 };
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    side a = begin(bus, 0), b = begin(bus, 1);
    open_node(&a);
    open_node(&b);
    send_number(&a, 1, 1, 50000);
    cre__ring *ring = &a.node->out[1].ring;
    cre_record record = { .kind = 2, .session = 2, .flags = CRE_RECORD_REFERENCE };
    memcpy(cre__ring_write(ring, &record, record.flags, 8), &(cre__reference){ 0, 50001 }, 8);
    turn(&a);
    turn_often(&b);
    CHECK_EQ(b.received, 1);
    CHECK_EQ(b.violations, 1);
    PAIR_END();
}

/* A node has lost them when the ring in which it sent them was reset; others never were there. */
TEST(references_to_what_is_not_there_are_lost) {
    PAIR(BYTES);
    send_number(&b, 0, 1, LARGE);
    send_number(&b, 2, 1, LARGE);
    send_number(&a, 1, 1, 10);
    turn(&a);
    turn(&b);
    turn_often(&a);
    cre__node_reclaim(b.node);
    CHECK_EQ(b.node->arena.taken, 2);
    const cre__reference rows[] = { { 0, LARGE }, { 2, LARGE }, { 4, 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cre__ring *ring = &a.node->out[1].ring;
        cre_record record = { .kind = 2, .session = 2, .flags = CRE_RECORD_REFERENCE | CRE_RECORD_RETURNED };
        memcpy(cre__ring_write(ring, &record, record.flags, 8), &rows[i], 8);
        cre__ring_publish(ring);
        turn_often(&b);
    }
    CHECK_EQ(b.received, 1);
    CHECK_EQ(b.lost, 3);
    CHECK_EQ(b.violations, 0);
    PAIR_END();
}

/* Its successor resets the ring, and all of the arena is free. */
TEST(a_ring_that_is_reset_has_no_references) {
    PAIR(0);
    send_number(&a, 1, 1, LARGE);
    send_number(&a, 1, 2, LARGE);
    memset(a.node->out[1].ring.data, 0xA5, 16);
    turn(&a);
    turn_often(&b);
    CHECK_EQ(b.violations, 1);
    CHECK_EQ(a.node->arena.sent, 4);
    cre_node_close(b.node);
    open_node(&b);
    send_number(&a, 1, 3, 10);
    CHECK_EQ(a.node->arena.taken, 0);
    turn(&a);
    turn_often(&b);
    CHECK_EQ(b.received, 1);
    CHECK_EQ(b.last, 3);
    PAIR_END();
}

/* ---- death ---- */

enum { MESSAGES = 3 };

/* The words through which processes see what others have done. */
typedef struct view {
    cre__ring_control to, from;
    uint8_t data[256];
    uint32_t sleeping[2];
} view;

static view view_of(const cre_bus *bus) {
    view it;
    const uint8_t *to = cre__bus_ring(bus, 0, 1), *from = cre__bus_ring(bus, 1, 0);
    memset(&it, 0, sizeof it);
    memcpy(&it.to, to, sizeof it.to);
    memcpy(&it.from, from, sizeof it.from);
    memcpy(it.data, from + sizeof it.from, sizeof it.data);
    for (uint32_t i = 0; i < 2; i++)
        it.sleeping[i] = atomic_load(&bus->nodes[i].sleeping);
    return it;
}

/* Answers with a payload of which only the ends are written, so that few steps do not matter to others. */
static int answer(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    side *it = context;
    const uint8_t byte = byte_of(record->session);
    if (payload[0] != byte || payload[record->length - 1] != byte) return CRE_EINVALID;
    CHECK(record->session > it->last);
    it->last = record->session;
    it->payload = payload;
    it->received++;
    if (!it->answers) return 0;
    if (it->returns) {
        const cre_slice whole = { payload, record->length }, inner = { payload + 1, record->length - 1 };
        CHECK(!cre__node_return(it->node, from, record, &inner));
        CHECK(!cre__node_return(it->node, from + 2, record, &whole));
        CHECK(cre__node_return(it->node, from, record, &whole));
        CHECK(!cre__node_return(it->node, from, record, &whole)); /* once */
        return 0;
    }
    cre_slice part = { cre__node_take_room(it->node, LARGE), LARGE };
    REQUIRE(part.data != NULL);
    uint8_t *room = (uint8_t *)(uintptr_t)part.data;
    room[0] = room[LARGE - 1] = byte;
    int result = cre_node_send(it->node, from, record, &part, 1);
    cre__node_give_room(it->node, room);
    return result;
}

static void open_answering(side *it, bool answers) {
    cre_node_handlers handlers = { .record = answer, .violation = on_violation };
    it->answers = answers;
    REQUIRE(cre_node_open(it->bus, it->id, it->loop, &handlers, it, &it->node) == 0);
}

static pid_t start_worker(cre_bus *bus, bool returns) {
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid) {
        int status;
        REQUIRE(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        return pid;
    }
    side it = begin(bus, 1);
    it.returns = returns;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL)) _exit(3);
    raise(SIGSTOP);
    open_answering(&it, true);
    for (int i = 0; i < MESSAGES; i++)
        turn(&it);
    _exit(it.violations || it.received != MESSAGES || test_failures);
}

/* Lets the worker go on until what others see has changed `changes` times, and kills it. False: it has ended.
 */
static bool kill_after(pid_t pid, const cre_bus *bus, int changes) {
    view before = view_of(bus);
    int status;
    while (changes) {
        REQUIRE(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status)) {
            CHECK_EQ(WEXITSTATUS(status), 0);
            return false;
        }
        REQUIRE(WIFSTOPPED(status));
        const view now = view_of(bus);
        if (memcmp(&now, &before, sizeof now) != 0) {
            before = now;
            changes--;
        }
    }
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    return true;
}

/* A worker receives large messages and sends large answers, of its own or what it received, and dies wherever
 * others could notice a difference. */
static void kill_at_any_step(bool returns) {
    bool killed = true;
    int changes = 0;
    for (; killed && changes < 1000; changes += TEST_STRIDE) {
        cre_bus *bus = make_bus(2 * MESSAGES * LARGE * 2);
        side a = begin(bus, 0), b = begin(bus, 1);
        open_answering(&a, false);
        for (uint64_t number = 1; number <= MESSAGES; number++)
            send_number(&a, 1, number, LARGE);
        cre_node_flush(a.node);
        killed = kill_after(start_worker(bus, returns), bus, changes);
        cre_bus_forget(bus, 1);
        b.returns = returns;
        cre__node_reclaim(a.node); /* nothing of what is on its way back */
        uint8_t *room = cre__node_take_room(a.node, LARGE);
        memset(room, 0xEE, LARGE);
        cre__node_give_room(a.node, room);

        /* The successor sends before anybody has read what its predecessor sent. */
        open_answering(&b, true);
        turn_often(&b);
        CHECK(b.received <= (killed ? MESSAGES : 0));
        turn_often(&a);
        CHECK(a.received >= MESSAGES - 1);
        CHECK_EQ(a.violations + b.violations, 0);

        /* Nothing is lost of either arena. */
        send_number(&a, 1, MESSAGES + 1, LARGE);
        turn(&a);
        turn_often(&b);
        turn_often(&a);
        CHECK_EQ(a.last, MESSAGES + 1);
        cre__node_tidy_arena(a.node);
        cre__node_tidy_arena(b.node);
        CHECK(a.node->arena.runs && a.node->arena.taken == 0);
        CHECK(returns ? !b.node->arena.runs : b.node->arena.runs && b.node->arena.taken == 0);
        PAIR_END();
    }
    CHECK(changes > 10 && changes < 1000);
}

TEST(either_direction_survives_a_worker_that_is_killed_at_any_step) {
    kill_at_any_step(false);
}

TEST(returned_payloads_survive_a_worker_that_is_killed_at_any_step) {
    kill_at_any_step(true);
}

TEST(sizes_are_checked) {
    const uint32_t bad[] = { 1, CRE__GRANULE, 4097, (1u << 30) + 4096 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cre_bus *bus;
        const cre_bus_config config = { .nodes = 1, .connections = 1, .arena_bytes = bad[i] };
        CHECK_EQ(cre_bus_create(&config, &bus), CRE_EINVALID);
    }
    cre_bus *bus = make_bus(BYTES), *other;
    int descriptors[4];
    REQUIRE(cre_bus_descriptors(bus, descriptors, 4) == 4);
    const cre_bus_config config = {
        .nodes = 3, .ring_bytes = 65536, .connections = 1, .arena_bytes = 2 * BYTES
    };
    CHECK_EQ(cre_bus_attach(&config, descriptors, 4, &other), CRE_ELINK_MISMATCH);
    cre_bus_destroy(bus);
}

TEST_MAIN()
