/* Rings of records in memory that other processes can write to. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "link/ring.h"
#include "test.h"

#define CAPACITY 4096u

static void *map_ring(uint32_t capacity) {
    void *memory =
        mmap(NULL, cre__ring_size(capacity), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    return memory;
}

static void unmap_ring(void *memory, uint32_t capacity) {
    munmap(memory, cre__ring_size(capacity));
}

static uint32_t length_of(uint64_t number, uint32_t most) {
    return (uint32_t)((number * 2654435761u) % (most + 1));
}

/* A record with its number in its session and in each byte. */
static bool put(cre__ring *ring, uint64_t number, uint32_t length) {
    cre_record record = { .kind = 1, .session = number };
    uint8_t *payload = cre__ring_write(ring, &record, record.flags, length);
    if (!payload) return false;
    memset(payload, (int)(number & 0xFF), length);
    return true;
}

static bool get(cre__ring *ring, uint64_t number, uint32_t length) {
    cre_record record;
    uint8_t *payload;
    int result = cre__ring_find(ring, &record, &payload);
    if (result == 0) return false;
    cre__ring_take(ring);
    CHECK_EQ(result, 1);
    CHECK_EQ(record.session, number);
    CHECK_EQ(record.length, length);
    for (uint32_t i = 0; i < record.length; i++)
        if (payload[i] != (uint8_t)number) {
            TEST_FAIL("byte %u of record %llu is wrong", i, (unsigned long long)number);
            break;
        }
    return true;
}

TEST(every_size_at_every_position) {
    void *memory = map_ring(CAPACITY);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, CAPACITY);
    cre__ring_open_consumer(&consumer, memory, CAPACITY);
    const uint32_t most = cre__ring_max_payload(&producer);
    uint64_t number = 0;
    for (uint32_t length = 0; length <= most; length++)
        for (int i = 0; i < 7; i++) {
            REQUIRE(put(&producer, ++number, length));
            cre__ring_publish(&producer);
            CHECK(get(&consumer, number, length));
            cre__ring_release(&consumer);
        }
    CHECK(!get(&consumer, 0, 0));
    unmap_ring(memory, CAPACITY);
}

TEST(a_full_ring_refuses_records_and_loses_none) {
    void *memory = map_ring(CAPACITY);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, CAPACITY);
    cre__ring_open_consumer(&consumer, memory, CAPACITY);
    const uint32_t most = cre__ring_max_payload(&producer);
    uint64_t written = 0, read = 0;
    for (int round = 0; round < 2000; round++) {
        while (put(&producer, written + 1, length_of(written + 1, most)))
            written++;
        cre__ring_publish(&producer);
        CHECK(producer.own - atomic_load(&producer.control->head) <= CAPACITY);
        CHECK(written > read); /* a record of any size finds room in an empty ring */
        int some = round % 5;
        while ((round % 3 == 0 || some--) && read < written) {
            read++;
            CHECK(get(&consumer, read, length_of(read, most)));
        }
        if (read == written) CHECK(!get(&consumer, 0, 0));
        cre__ring_release(&consumer);
    }
    CHECK_EQ(read<written, written> read);
    unmap_ring(memory, CAPACITY);
}

TEST(records_are_invisible_until_published) {
    void *memory = map_ring(CAPACITY);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, CAPACITY);
    cre__ring_open_consumer(&consumer, memory, CAPACITY);
    CHECK(put(&producer, 1, 10));
    CHECK(cre__ring_unpublished(&producer));
    CHECK(!get(&consumer, 1, 10));
    CHECK(!cre__ring_has_more(&consumer));
    /* The producer dies: what it had not published never existed. */
    cre__ring_open_producer(&producer, memory, CAPACITY);
    CHECK(!cre__ring_unpublished(&producer));
    CHECK(put(&producer, 2, 20));
    cre__ring_publish(&producer);
    CHECK(cre__ring_has_more(&consumer));
    CHECK(get(&consumer, 2, 20));
    unmap_ring(memory, CAPACITY);
}

TEST(a_successor_continues_after_the_last_record_taken) {
    void *memory = map_ring(CAPACITY);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, CAPACITY);
    cre__ring_open_consumer(&consumer, memory, CAPACITY);
    uint64_t written = 0, read = 0;
    for (int round = 0; round < 500; round++) {
        while (written - read < 8 && put(&producer, written + 1, length_of(written, 300)))
            written++;
        cre__ring_publish(&producer);
        for (int i = 0; i < 1 + round % 3; i++, read++)
            CHECK(get(&consumer, read + 1, length_of(read, 300)));
        if (round % 4 == 0) cre__ring_release(&consumer);
        if (round % 3 == 0) {
            memset(&consumer, 0, sizeof consumer); /* died while it served the last one */
            cre__ring_open_consumer(&consumer, memory, CAPACITY);
        }
        if (round % 5 == 0) cre__ring_open_producer(&producer, memory, CAPACITY);
    }
    CHECK(read > 500);
    unmap_ring(memory, CAPACITY);
}

TEST(a_successor_frees_what_was_taken) {
    void *memory = map_ring(CAPACITY);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, CAPACITY);
    cre__ring_open_consumer(&consumer, memory, CAPACITY);
    uint64_t written = 0;
    while (put(&producer, written + 1, 240))
        written++;
    cre__ring_publish(&producer);
    CHECK_EQ(written, 16);
    for (uint64_t i = 1; i <= written; i++)
        CHECK(get(&consumer, i, 240));
    CHECK(!put(&producer, 17, 240));
    cre__ring_open_consumer(&consumer, memory, CAPACITY);
    CHECK(!get(&consumer, 0, 0));
    cre__ring_release(&consumer);
    CHECK(put(&producer, 17, 240));
    unmap_ring(memory, CAPACITY);
}

static void count_visit(void *context, const cre_record *record, const uint8_t *payload, uint64_t end) {
    (void)record;
    (void)payload;
    (void)end;
    ++*(int *)context;
}

/* Consumers write `head`, and those of workers are not trusted. */
TEST(records_behind_any_head_are_visited) {
    void *memory = map_ring(CAPACITY);
    cre__ring producer = { 0 };
    cre__ring_open_producer(&producer, memory, CAPACITY);
    for (uint64_t i = 1; i <= 3; i++)
        REQUIRE(put(&producer, i, 240));
    cre__ring_publish(&producer);
    static const uint64_t heads[] = { 16, 768 + 16, 1 << 20, UINT64_MAX - 15, 3 };
    int visits = 0;
    cre__ring_each_unfreed(&producer, count_visit, &visits);
    CHECK_EQ(visits, 3);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        atomic_store(&producer.control->head, heads[i]);
        producer.other = heads[i]; /* a look for room takes it over */
        visits = 0;
        cre__ring_each_unfreed(&producer, count_visit, &visits);
        CHECK(visits <= 3);
    }
    unmap_ring(memory, CAPACITY);
}

/* A ring that is empty most of the time uses its first pages only. */
TEST(an_empty_ring_starts_again_at_its_beginning) {
    enum { LARGE = 1 << 20 };
    void *memory = map_ring(LARGE);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, LARGE);
    cre__ring_open_consumer(&consumer, memory, LARGE);
    for (uint64_t i = 1; i <= 20000; i++) {
        const uint32_t length = length_of(i, i % 1000 ? 300 : cre__ring_max_payload(&producer));
        CHECK(put(&producer, i, length));
        cre__ring_publish(&producer);
        CHECK(get(&consumer, i, length));
        cre__ring_release(&consumer);
        CHECK((producer.own & (LARGE - 1)) < (1 << 17) + LARGE / 4);
    }
    unmap_ring(memory, LARGE);
}

/* Bursts that fit into the ring fit wherever they begin, after smaller ones, too. */
static void carry_bursts(uint64_t records, uint32_t length) {
    enum { LARGE = 1 << 20 };
    void *memory = map_ring(LARGE);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, LARGE);
    cre__ring_open_consumer(&consumer, memory, LARGE);
    for (int burst = 0; burst < 300; burst++) {
        const uint64_t count = burst % 2 ? records / 10 + 1 : records;
        for (uint64_t i = 1; i <= count; i++)
            CHECK(put(&producer, i, length));
        cre__ring_publish(&producer);
        for (uint64_t i = 1; i <= count; i++)
            CHECK(get(&consumer, i, length));
        cre__ring_release(&consumer);
    }
    unmap_ring(memory, LARGE);
}

TEST(bursts_fit_wherever_they_begin) {
    carry_bursts(50, 16384);
    carry_bursts(9000, 80);
    carry_bursts(3, 250000);
}

static long resident(int file) {
    struct stat about;
    REQUIRE(fstat(file, &about) == 0);
    return (long)about.st_blocks * 512;
}

/* The pages that a burst has used are given back, but not those of records that were not read yet. */
TEST(the_memory_of_a_burst_is_given_back) {
    enum { LARGE = 1 << 20, RECORDS = 800 };
    int file = memfd_create("ring", MFD_CLOEXEC);
    REQUIRE(file >= 0 && ftruncate(file, (off_t)cre__ring_size(LARGE)) == 0);
    void *memory = mmap(NULL, cre__ring_size(LARGE), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED);
    cre__ring producer = { 0 }, consumer = { 0 };
    cre__ring_open_producer(&producer, memory, LARGE);
    cre__ring_open_consumer(&consumer, memory, LARGE);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 1; i <= RECORDS; i++)
            CHECK(put(&producer, i, 1000));
        cre__ring_publish(&producer);
        CHECK(resident(file) > RECORDS * 1000);
        for (uint64_t i = 1; i <= RECORDS; i++) {
            CHECK(get(&consumer, i, 1000));
            if (i < RECORDS) cre__ring_release(&consumer);
            if (i % 100 == 0) cre__ring_trim(&producer);
        }
        CHECK(resident(file) > RECORDS * 1000);
        cre__ring_release(&consumer);
        cre__ring_trim(&producer);
        CHECK(resident(file) <= 48 << 10);
        /* A successor does not know what was used. */
        if (round == 1) cre__ring_open_producer(&producer, memory, LARGE);
    }
    munmap(memory, cre__ring_size(LARGE));
    close(file);
}

TEST(corrupt_records_are_errors) {
    static const struct {
        uint32_t length;
        uint8_t kind;
        uint64_t tail;
    } cases[] = {
        { 0xFFFFFFFF, 1, 64 },
        { 0xFFFFFFF0, 1, 64 },
        { CAPACITY, 1, CAPACITY },
        { 1009, 1, 2048 },
        { 49, 1, 64 },
        { 100, 1, 64 },
        { 48, 0, 64 },
        { CAPACITY - 16, 0, CAPACITY },
        { 0, 1, 8 },
        { 0, 1, 15 },
        { 0, 1, 17 },
        { 0, 1, CAPACITY + 16 },
        { 0, 1, UINT64_MAX },
        { 0, 1, 1ull << 63 },
        { 0, 1, UINT64_MAX - 15 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *memory = map_ring(CAPACITY);
        cre__ring consumer = { 0 }, producer = { 0 };
        cre__ring_open_consumer(&consumer, memory, CAPACITY);
        cre_record record = { .length = cases[i].length, .kind = cases[i].kind };
        memcpy(consumer.data, &record, sizeof record);
        atomic_store(&consumer.control->tail, cases[i].tail);
        uint8_t *payload;
        CHECK_EQ(cre__ring_find(&consumer, &record, &payload), CRE_ELINK_RECORD);
        cre__ring_break(&consumer);
        CHECK_EQ(cre__ring_find(&consumer, &record, &payload), 0);
        /* Its producer is replaced, and all is well. */
        cre__ring_open_producer(&producer, memory, CAPACITY);
        for (uint64_t n = 1; n < 100; n++) {
            CHECK(put(&producer, n, length_of(n, 1000)));
            cre__ring_publish(&producer);
            CHECK(get(&consumer, n, length_of(n, 1000)));
            cre__ring_release(&consumer);
        }
        unmap_ring(memory, CAPACITY);
    }
}

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* The ring ends at a page that may not be touched. */
TEST(random_memory_is_never_left) {
    size_t size = cre__ring_size(CAPACITY);
    guard_page guard = guard_make(size);
    uint8_t *memory = guard.map + (guard.size - size);
    for (int round = 0; round < 20000; round++) {
        memset(memory, 0, size);
        cre__ring producer = { 0 }, consumer = { 0 };
        cre__ring_open_producer(&producer, memory, CAPACITY);
        cre__ring_open_consumer(&consumer, memory, CAPACITY);
        for (int i = 0; i < 6 && put(&producer, (uint64_t)i, length_of(next_random(), 900)); i++) {
        }
        cre__ring_publish(&producer);
        for (int step = 0; step < 12; step++) {
            int spots = (int)(next_random() % 4);
            for (int i = 0; i < spots; i++) {
                size_t at = next_random() % 3 ? next_random() % 192 : next_random() % size;
                memory[at] = next_random() % 2 ? (uint8_t)next_random() : (uint8_t)(next_random() & 0x10);
            }
            cre_record record = { .kind = 1 };
            uint8_t *payload;
            uint32_t length = length_of(next_random(), cre__ring_max_payload(&producer));
            switch (next_random() % 6) {
            case 0:
            case 1: {
                int result = cre__ring_find(&consumer, &record, &payload);
                if (result == 1) {
                    cre__ring_take(&consumer);
                    CHECK(payload >= consumer.data && payload + record.length <= consumer.data + CAPACITY);
                    CHECK_EQ((uintptr_t)payload % 16, (uintptr_t)consumer.data % 16);
                } else if (result < 0) {
                    cre__ring_break(&consumer);
                }
                break;
            }
            case 2:
                payload = cre__ring_write(&producer, &record, record.flags, length);
                if (payload) memset(payload, 1, length);
                cre__ring_publish(&producer);
                break;
            case 3: cre__ring_open_consumer(&consumer, memory, CAPACITY); break;
            case 4: cre__ring_open_producer(&producer, memory, CAPACITY); break;
            default: cre__ring_release(&consumer); break;
            }
        }
        /* At worst the reader marks it as broken; then a new producer resets it. */
        cre__ring_break(&consumer);
        cre__ring_open_producer(&producer, memory, CAPACITY);
        CHECK(put(&producer, 77, 100));
        cre__ring_publish(&producer);
        CHECK(get(&consumer, 77, 100));
        if (test_failures) break;
    }
    guard_free(&guard);
}

/* ---- two sides at a time ---- */

#define RECORDS (1000000u / TEST_STRIDE)

static void *produce(void *memory) {
    cre__ring ring = { 0 };
    cre__ring_open_producer(&ring, memory, CAPACITY);
    for (uint64_t n = 1; n <= RECORDS;) {
        if (put(&ring, n, length_of(n, 64))) {
            if (n++ % 16 == 0) cre__ring_publish(&ring);
        } else {
            cre__ring_publish(&ring);
            sched_yield();
        }
    }
    cre__ring_publish(&ring);
    return NULL;
}

static void consume(void *memory) {
    cre__ring ring = { 0 };
    cre__ring_open_consumer(&ring, memory, CAPACITY);
    for (uint64_t n = 1; n <= RECORDS && test_failures < 10;) {
        if (get(&ring, n, length_of(n, 64))) {
            if (n++ % 8 == 0) cre__ring_release(&ring);
        } else {
            cre__ring_release(&ring);
            sched_yield();
        }
    }
}

TEST(two_threads) {
    void *memory = map_ring(CAPACITY);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, produce, memory) == 0);
    consume(memory);
    pthread_join(thread, NULL);
    unmap_ring(memory, CAPACITY);
}

TEST(two_processes) {
    void *memory = map_ring(CAPACITY);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        produce(memory);
        _exit(0);
    }
    consume(memory);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    unmap_ring(memory, CAPACITY);
}

TEST_MAIN()
