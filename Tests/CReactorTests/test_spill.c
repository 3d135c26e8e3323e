/* Where records go while a ring is full, and that none of them is lost with its sender. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "link/node_internal.h"
#include "test.h"

/* ---- a spill alone ---- */

enum { RING = 4096, PART = 4 << 20 };

typedef struct both {
    void *memory;
    int file;
    cre__ring ring;
    cre__spill producer, consumer;
    uint64_t sent, received;
    uint32_t length; /* of all records; 0: they differ */
} both;

static cre__spill_place place(const both *it) {
    return (cre__spill_place){ it->file, 12288, PART };
}

static both begin(void) {
    both it = { .file = memfd_create("spill", MFD_CLOEXEC) };
    it.memory = mmap(NULL, cre__ring_size(RING), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(it.memory != MAP_FAILED && it.file >= 0 && ftruncate(it.file, 12288 + PART) == 0);
    cre__ring_open_consumer(&it.ring, it.memory, RING);
    cre__spill_open_producer(&it.producer, &it.ring, place(&it));
    cre__spill_open_consumer(&it.consumer, &it.ring, place(&it));
    /* What a larger ring has. */
    it.producer.largest = it.consumer.largest = 100000;
    return it;
}

static void end(both *it) {
    cre__spill_rest(&it->consumer);
    munmap(it->memory, cre__ring_size(RING));
    close(it->file);
}

static uint64_t pages(int file) {
    struct stat info;
    REQUIRE(fstat(file, &info) == 0);
    return (uint64_t)info.st_blocks * 512 / 4096;
}

static uint32_t length_of(uint64_t number) {
    return (uint32_t)(number * 2654435761u % (number % 7 ? 300 : 100001));
}

static uint8_t bytes[100001];

/* In parts, of which there may be many. */
static int put(both *it) {
    const uint64_t number = it->sent + 1;
    const uint32_t length = it->length ? it->length : length_of(number);
    memset(bytes, (int)(number * 31), length);
    cre_slice parts[20];
    uint32_t count = 1 + (uint32_t)(number % 20), each = length / count;
    for (uint32_t i = 0; i < count; i++)
        parts[i] = (cre_slice){ bytes + i * each, i == count - 1 ? length - i * each : each };
    const cre_slice *part = parts;
    size_t offset = 0;
    int result = cre__spill_write(&it->producer, &(cre_record){ .kind = 1, .session = number }, &part,
                                  &offset, length);
    if (result) return result;
    it->sent++;
    cre__spill_publish(&it->producer);
    return 0;
}

static bool get(both *it) {
    cre_record record;
    uint8_t *payload;
    uint64_t tail = cre__spill_tail(&it->consumer);
    if (tail == it->consumer.own) return false;
    CHECK_EQ(cre__spill_find(&it->consumer, tail, &record, &payload), 1);
    cre__spill_take(&it->consumer, &record);
    const uint64_t number = ++it->received;
    CHECK_EQ(record.session, number);
    CHECK_EQ(record.length, it->length ? it->length : length_of(number));
    CHECK_EQ((uintptr_t)payload % 16, 0);
    for (uint32_t i = 0; i < record.length; i++)
        if (payload[i] != (uint8_t)(number * 31)) {
            TEST_FAIL("byte %u of record %llu", i, (unsigned long long)number);
            break;
        }
    return true;
}

TEST(records_come_back_in_order) {
    both it = begin();
    uint64_t random = 1, full = 0;
    for (int step = 0; step < 60000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        /* Long runs of one side, so that it is empty and full at times. */
        const bool writes = step / 500 % 2 ? random >> 62 != 0 : random >> 62 == 0;
        if (writes) {
            int result = put(&it);
            CHECK(result == 0 || result == CRE_ELINK_FULL);
            full += result != 0;
        } else {
            get(&it);
        }
        if (random >> 32 % 64 == 0) cre__spill_rest(&it.consumer);
        if (step % 1009 == 0) { /* one of them is replaced */
            cre__spill_rest(&it.consumer);
            cre__spill_open_consumer(&it.consumer, &it.ring, place(&it));
            cre__spill_open_producer(&it.producer, &it.ring, place(&it));
            it.producer.largest = it.consumer.largest = 100000;
        }
        CHECK(cre__spill_queued(&it.producer) <= PART / 2);
    }
    while (get(&it)) {
    }
    CHECK_EQ(it.received, it.sent);
    CHECK(full > 0 && it.sent > 10000);
    end(&it);
}

TEST(pages_are_given_back) {
    both it = begin();
    for (int round = 0; round < 5; round++) {
        while (put(&it) == 0) {
        }
        CHECK(pages(it.file) > PART / 2 / 4096 - 50);
        uint64_t left = it.sent - it.received;
        while (it.sent - it.received > left / 4)
            CHECK(get(&it));
        CHECK(pages(it.file) < PART / 4 / 4096 + 2 * (CRE__SPILL_KEPT / 4096)); /* while it is read */
        while (get(&it)) {
        }
    }
    CHECK_EQ(it.received, it.sent);
    cre__spill_trim(&it.producer);
    CHECK_EQ(pages(it.file), 0);
    /* Small bursts use the same pages. */
    for (int i = 0; i < 3000; i++) {
        CHECK_EQ(put(&it), 0);
        CHECK(get(&it));
    }
    CHECK(pages(it.file) < 40);
    cre__spill_trim(&it.producer);
    CHECK_EQ(pages(it.file), 0);
    end(&it);
}

/* The consumer is about to give pages back when the producer has begun again in them. */
TEST(pages_in_use_are_not_given_back) {
    both it = begin();
    it.length = 100000;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 11; i++)
            CHECK_EQ(put(&it), 0);
        CHECK(it.producer.own - it.producer.begin > CRE__SPILL_KEPT);
        for (int i = 0; i < 11; i++)
            CHECK(get(&it));
    }
    end(&it);
}

TEST(what_is_corrupt_is_an_error) {
    static const struct {
        uint64_t tail;
        cre_record record;
    } cases[] = {
        { 15, { .kind = 1 } },
        { 17, { .kind = 1 } },
        { 3ull * PART, { .kind = 1 } },
        { UINT64_MAX - 15, { .kind = 1 } },
        { 32, { .kind = 1, .length = 17 } },
        { PART, { .kind = 1, .length = 100001 } },
        { PART, { .kind = 1, .length = UINT32_MAX } },
        { 32, { .kind = CRE__FILLER, .length = 16 } },
        { PART, { .kind = CRE__FILLER, .length = PART - 16 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        both it = begin();
        CHECK_EQ(pwrite(it.file, &cases[i].record, sizeof(cre_record), 12288), sizeof(cre_record));
        atomic_store(&it.ring.control->spill_tail, cases[i].tail);
        cre_record record;
        uint8_t *payload;
        CHECK_EQ(cre__spill_find(&it.consumer, cases[i].tail, &record, &payload), CRE_ELINK_RECORD);
        CHECK_EQ(atomic_load(&it.ring.control->spill_taken), 0);
        end(&it);
    }
    /* A consumer's position of any kind only refuses, or writes somewhere in the part. */
    both it = begin();
    for (uint64_t position = 1; position; position <<= 1) {
        atomic_store(&it.ring.control->spill_taken, position);
        int result = put(&it);
        CHECK(result == 0 || result == CRE_ELINK_FULL);
    }
    end(&it);
}

/* ---- nodes ---- */

typedef struct receiver {
    cre_loop *loop;
    cre_node *node;
    uint64_t received;
    int violations;
} receiver;

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    receiver *it = context;
    (void)from;
    CHECK_EQ(record->session, ++it->received);
    for (uint32_t i = 0; i < record->length; i++)
        if (payload[i] != (uint8_t)record->session) {
            TEST_FAIL("byte %u of record %llu", i, (unsigned long long)record->session);
            break;
        }
    return 0;
}

static void on_violation(void *context, uint32_t from) {
    (void)from;
    ((receiver *)context)->violations++;
}

static void open_receiver(receiver *it, cre_bus *bus) {
    *it = (receiver){ 0 };
    REQUIRE(cre_loop_create(&it->loop) == 0);
    cre_node_handlers handlers = { .record = on_record, .violation = on_violation };
    REQUIRE(cre_node_open(bus, 1, it->loop, &handlers, it, &it->node) == 0);
}

static void close_receiver(receiver *it) {
    cre_node_close(it->node);
    cre_loop_destroy(it->loop);
}

static cre_bus *make_bus(uint32_t ring_bytes) {
    cre_bus_config config = {
        .nodes = 3, .ring_bytes = ring_bytes, .connections = 10, .arena_bytes = CRE_BUS_NO_ARENA
    };
    cre_bus *bus;
    REQUIRE(cre_bus_create(&config, &bus) == 0);
    return bus;
}

static cre_node *open_sender(cre_bus *bus) {
    cre_node *node;
    cre_node_handlers handlers = { .record = on_record };
    REQUIRE(cre_node_open(bus, 0, NULL, &handlers, NULL, &node) == 0);
    return node;
}

static int send_bytes(cre_node *node, uint64_t number, uint32_t length) {
    static uint8_t data[1 << 20];
    memset(data, (int)number, length);
    cre_slice part = { data, length };
    return cre_node_send(node, 1, &(cre_record){ .kind = 2, .session = number }, &part, 1);
}

static void turn_until_settled(receiver *it) {
    for (int i = 0; i < 1000; i++)
        cre__loop_turn(it->loop, false);
}

/* The sender has accepted 40 records of 200 kB each when it is killed, and nobody has read any. */
TEST(accepted_records_survive_their_sender) {
    cre_bus *bus = make_bus(0);
    pid_t pid = fork();
    if (pid == 0) {
        cre_node *node = open_sender(bus);
        for (uint64_t number = 1; number <= 40; number++) {
            if (send_bytes(node, number, 200000)) _exit(1);
            cre_node_flush(node);
        }
        if (send_bytes(node, 41, 900000)) _exit(1); /* not published: it was in the middle of this one */
        kill(getpid(), SIGKILL);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    cre_bus_forget(bus, 0);
    receiver it;
    open_receiver(&it, bus);
    turn_until_settled(&it);
    CHECK_EQ(it.received, 40);
    CHECK_EQ(it.violations, 0);
    cre_node *successor = open_sender(bus);
    CHECK_EQ(send_bytes(successor, 41, 300000), 0);
    cre_node_close(successor);
    turn_until_settled(&it);
    CHECK_EQ(it.received, 41);
    close_receiver(&it);
    cre_bus_destroy(bus);
}

/* Senders that are killed at any moment, and a reader that is slow: what was accepted arrives, in order. */
TEST(no_accepted_record_is_lost_in_any_kill) {
    cre_bus *bus = make_bus(1 << 16);
    _Atomic uint64_t *accepted = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(accepted != MAP_FAILED);
    receiver it;
    open_receiver(&it, bus);
    for (int round = 0; round < 60; round++) {
        const uint64_t first = it.received + 1;
        atomic_store(accepted, it.received);
        pid_t pid = fork();
        if (pid == 0) {
            cre_node *node = open_sender(bus);
            for (uint64_t number = first;; number++) {
                int result;
                while ((result = send_bytes(node, number, (uint32_t)(number * 2654435761u % 60000))))
                    if (result != CRE_ELINK_FULL) _exit(1);
                cre_node_flush(node);
                atomic_store(accepted, number);
            }
        }
        const uint64_t target = first + (uint64_t)(round * 37 % 200);
        while (atomic_load(accepted) < target)
            if (round % 3 == 0) cre__loop_turn(it.loop, false);
        int status;
        kill(pid, SIGKILL);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status));
        cre_bus_forget(bus, 0);
        turn_until_settled(&it);
        /* One more may have been published before it was counted. */
        CHECK(it.received == atomic_load(accepted) || it.received == atomic_load(accepted) + 1);
        if (round % 10 == 9) { /* and a successor reads on */
            uint64_t received = it.received;
            cre_node_close(it.node);
            cre_node_handlers handlers = { .record = on_record, .violation = on_violation };
            REQUIRE(cre_node_open(bus, 1, it.loop, &handlers, &it, &it.node) == 0);
            CHECK_EQ(it.received, received);
        }
    }
    CHECK_EQ(it.violations, 0);
    close_receiver(&it);
    munmap((void *)(uintptr_t)accepted, 4096);
    cre_bus_destroy(bus);
}

TEST(a_receiver_that_is_replaced_continues_in_the_spill) {
    cre_bus *bus = make_bus(4096);
    cre_node *sender = open_sender(bus);
    for (uint64_t number = 1; number <= 500; number++)
        CHECK_EQ(send_bytes(sender, number, 900), 0);
    cre_node_flush(sender);
    CHECK(cre_node_congested(sender, 1));
    receiver it = { 0 };
    for (int round = 0; round < 200; round++) {
        const uint64_t received = it.received;
        open_receiver(&it, bus);
        it.received = received;
        for (int i = 0; i < 2; i++)
            cre__loop_turn(it.loop, false);
        close_receiver(&it);
    }
    CHECK_EQ(it.received, 500);
    CHECK(!cre_node_congested(sender, 1));
    cre_node_close(sender);
    cre_bus_destroy(bus);
}

/* What a third process may do to the positions. */
TEST(overwritten_positions_are_restored) {
    cre_bus *bus = make_bus(4096);
    cre_node *sender = open_sender(bus);
    receiver it;
    open_receiver(&it, bus);
    cre__ring_control *control = cre__bus_ring(bus, 0, 1);
    for (uint64_t number = 1; number <= 50; number++) {
        CHECK_EQ(send_bytes(sender, number, 900), 0);
        cre_node_flush(sender);
        if (number == 1) turn_until_settled(&it);
        cre_node_set_paused(it.node, true);
    }
    uint64_t tail = atomic_load(&control->spill_tail);
    CHECK(tail > 0);
    atomic_store(&control->spill_tail, UINT64_MAX);
    atomic_store(&control->spill_taken, 0xA5A5A5A5A5A5A5A5u);
    CHECK(cre__node_repair(it.node) > 0);
    CHECK(cre__node_repair(sender) > 0);
    CHECK_EQ(atomic_load(&control->spill_tail), tail);
    CHECK_EQ(atomic_load(&control->spill_taken), 0);
    CHECK_EQ(send_bytes(sender, 51, 900), 0);
    cre_node_flush(sender);
    cre_node_set_paused(it.node, false);
    turn_until_settled(&it);
    CHECK_EQ(it.received, 51);
    CHECK_EQ(it.violations, 0);
    cre_node_close(sender);
    close_receiver(&it);
    cre_bus_destroy(bus);
}

TEST(a_bus_that_rests_has_no_spilled_pages) {
    cre_bus *bus = make_bus(0);
    cre_node *sender = open_sender(bus);
    receiver it;
    open_receiver(&it, bus);
    CHECK_EQ(send_bytes(sender, 1, 100), 0);
    cre_node_flush(sender);
    turn_until_settled(&it);
    for (uint64_t number = 2; number <= 12; number++)
        CHECK_EQ(send_bytes(sender, number, 600000), 0);
    cre_node_flush(sender);
    CHECK(pages(bus->memfd) > 6000000 / 4096);
    turn_until_settled(&it);
    CHECK_EQ(it.received, 12);
    cre__node_repair(it.node);
    cre__node_repair(sender);
    CHECK(pages(bus->memfd) < (1 << 20) / 4096 + 64); /* the ring */
    CHECK(it.node->in[0].spill.buffer == NULL);
    cre_node_close(sender);
    close_receiver(&it);
    cre_bus_destroy(bus);
}

TEST_MAIN()
