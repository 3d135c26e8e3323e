/* Values in shared memory, also with processes that are killed while they change them. */
#include <creactor/creactor.h>
#include <creactor/internal/process.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "value_cases.h"

enum { ROOM = 128 << 10, BLOCK = 256, HEAD = 32 };

/* Two mappings of the same values, as in two programs. */
static cre_shared_values *mappings[2];
static uint64_t now = 1000;

static void begin(void) {
    REQUIRE(cre_shared_values_create(ROOM, &mappings[0]) == 0);
    const int descriptor = dup(cre_shared_values_descriptor(mappings[0]));
    REQUIRE(cre_shared_values_attach(descriptor, ROOM, &mappings[1]) == 0);
}

static void finish(void) {
    cre_shared_values_destroy(mappings[0]);
    cre_shared_values_destroy(mappings[1]);
}

static int apply(int mapping, cre_value_operation operation) {
    length = 0;
    return cre_shared_values_apply(mappings[mapping], &operation, now, value, &length);
}

static void wait_a_moment(void) {
    now++;
}

static cre_shared_values_stats stats(void) {
    cre_shared_values_stats counters;
    cre_shared_values_get_stats(mappings[0], &counters, sizeof counters);
    return counters;
}

TEST(expiry) {
    begin();
    CHECK_EQ(set(0, "key", "one", 100), 1);
    CHECK_EQ(add(0, "window", 1, 50), 1);
    now += 49;
    CHECK_EQ(add(0, "window", 1, 50), 1); /* its end stays */
    check("2");
    now += 1;
    CHECK_EQ(add(0, "window", 1, 50), 1);
    check("1");
    now += 49;
    check_value(0, "key", "one");
    now += 1;
    CHECK_EQ(get(0, "key"), 0);
    CHECK_EQ(get(0, "window"), 0);
    CHECK_EQ(stats().used, 0);
    CHECK_EQ(set(0, "key", "one", 100), 1);
    CHECK_EQ(set(0, "key", "two", 0), 1); /* it has no end any more */
    now += 100;
    check_value(0, "key", "two");
    CHECK_EQ(set(0, "key", "three", 10), 1);
    now += 10;
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "four", "three"), 0);
    CHECK_EQ(change(0, "key", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "four", ""), 1);
    CHECK_EQ(drop(0, "key"), 1);
    CHECK_EQ(stats().used, 0);
    finish();
}

/* Every length at which the key or the value ends near the end of a block. */
TEST(lengths) {
    static char key[CRE_VALUE_MAX_KEY + 1];
    static uint8_t bytes[CRE_VALUE_MAX];
    begin();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t keys = 1; keys <= CRE_VALUE_MAX_KEY; keys += keys == 1 ? BLOCK - HEAD - 3 : 1) {
        memset(key, 'k', keys);
        key[keys] = 0;
        for (size_t size = 0; size < 2 * BLOCK + 2; size++) {
            cre_value_operation operation = { .kind = CRE_VALUE_SET,
                                              .key = text(key),
                                              .value = { bytes, size } };
            CHECK_EQ(apply(0, operation), 1);
            CHECK_EQ(stats().used, (HEAD + keys + size + BLOCK - 1) / BLOCK * BLOCK);
            CHECK_EQ(get(0, key), 1);
            CHECK_EQ(length, size);
            CHECK_MEM(value, bytes, size);
            operation.condition = CRE_VALUE_IF_EQUAL;
            operation.expected = operation.value;
            CHECK_EQ(apply(0, operation), 1);
            operation.expected.length++;
            CHECK_EQ(apply(0, operation), 0);
        }
        CHECK_EQ(drop(0, key), 1);
    }
    const cre_value_operation largest = { .kind = CRE_VALUE_SET,
                                          .key = text(key),
                                          .value = { bytes, sizeof bytes } };
    CHECK_EQ(apply(0, largest), 1);
    CHECK_EQ(get(0, key), 1);
    CHECK_EQ(length, sizeof bytes);
    CHECK_MEM(value, bytes, sizeof bytes);
    finish();
}

TEST(rooms) {
    cre_shared_values *values = NULL;
    CHECK_EQ(cre_shared_values_create(ROOM - 1, &values), CRE_EINVALID);
    CHECK_EQ(cre_shared_values_create(CRE_SHARED_VALUES_MAX + 1, &values), CRE_EINVALID);
    REQUIRE(cre_shared_values_create(CRE_SHARED_VALUES_MAX, &values) == 0);
    cre_shared_values_destroy(values);
}

/* What has expired makes room. */
TEST(full) {
    enum { BLOCKS = ROOM / BLOCK, SHORT = 20 };
    begin();
    char key[16];
    for (int i = 0; i < BLOCKS; i++) {
        snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(set(0, key, "v", i < SHORT ? 10 : 0), 1);
    }
    CHECK_EQ(set(0, "more", "v", 0), CRE_EVALUE_FULL);
    CHECK_EQ(add(0, "more", 1, 0), CRE_EVALUE_FULL);
    CHECK_EQ(stats().used, ROOM);
    now += 10;
    for (int i = 0; i < SHORT; i++) {
        snprintf(key, sizeof key, "more %d", i);
        CHECK_EQ(set(0, key, "v", 0), 1);
    }
    CHECK_EQ(set(0, "more", "v", 0), CRE_EVALUE_FULL);
    CHECK_EQ(drop(0, "100"), 1);
    CHECK_EQ(set(0, "more", "v", 5), 1);
    now += 5;
    check_value(0, "101", "v");
    CHECK_EQ(set(0, "last", "v", 0), 1);
    CHECK_EQ(stats().count, BLOCKS);
    finish();
}

TEST(another_program) {
    cre_shared_values *other = NULL;
    begin();
    CHECK_EQ(cre_shared_values_attach(-1, ROOM, &other), -EBADF);
    CHECK_EQ(cre_shared_values_attach(cre_shared_values_descriptor(mappings[0]), 2 * ROOM, &other),
             CRE_ESHARED_MISMATCH);
    finish();
    cre_shared_values_destroy(NULL);
}

/* ---- deaths ---- */

enum { KILLS = 300 / TEST_STRIDE + 10, KEYS = 8, CHILDREN = 3 };

/* A child that sets, adds and removes until it is killed. A value is one byte, often. */
static pid_t start_writer(unsigned seed) {
    static uint8_t bytes[2000];
    const pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child) return child;
    for (unsigned n = seed;; n = n * 1103515245 + 12345) {
        char key[16];
        snprintf(key, sizeof key, "%d", (n >> 16) % KEYS);
        memset(bytes, 'a' + (n >> 20) % 26, sizeof bytes);
        const cre_value_operation operation = { .kind = n >> 29 & 1 ? CRE_VALUE_SET : CRE_VALUE_REMOVE,
                                                .key = text(key),
                                                .value = { bytes, (n >> 8) % sizeof bytes } };
        IGNORE(apply(0, operation));
        IGNORE(add(0, "sum", 1, 0));
    }
}

static void check_whole(void) {
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        for (size_t at = 1; get(0, key) == 1 && at < length; at++)
            if (value[at] != value[0]) TEST_FAIL("a value of %zu bytes is mixed", length);
        test_checks++;
    }
}

TEST(killed_writers) {
    begin();
    pid_t children[CHILDREN];
    unsigned pause = 3;
    for (int i = 0; i < CHILDREN; i++)
        children[i] = start_writer((unsigned)i);
    for (int i = 0; i < KILLS; i++) {
        pause = pause * 1103515245 + 12345;
        usleep(100 + (pause >> 16) % 2000);
        pid_t *child = &children[i % CHILDREN];
        kill(*child, SIGKILL);
        CHECK_EQ(waitpid(*child, NULL, 0), *child);
        check_whole();
        *child = start_writer(pause);
    }
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        CHECK_EQ(waitpid(children[i], NULL, 0), children[i]);
    }
    check_whole();
    CHECK(stats().repaired > 0);
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        IGNORE(drop(0, key));
    }
    CHECK_EQ(drop(0, "sum"), 1);
    CHECK_EQ(stats().count, 0);
    CHECK_EQ(stats().used, 0); /* no block is lost... */
    for (int i = 0; i < ROOM / BLOCK; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(set(0, key, "v", 0), 1); /* ...and none is there twice */
    }
    for (int i = 0; i < ROOM / BLOCK; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        check_value(0, key, "v");
    }
    finish();
}

/* Whatever a process writes there, operations end and stay within their memory, and then values can be set
 * again. Behind the first kilobyte, so that the mutex stays. */
TEST(overwritten) {
    enum { KEPT = 1024, ROUNDS = 60 };
    struct stat status;
    begin();
    REQUIRE(fstat(cre_shared_values_descriptor(mappings[0]), &status) == 0);
    const size_t size = (size_t)status.st_size;
    uint8_t *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, cre_shared_values_descriptor(mappings[0]), 0);
    REQUIRE(memory != MAP_FAILED);
    uint32_t random = 1;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 20; i++) {
            char key[8];
            snprintf(key, sizeof key, "%d", i);
            CHECK_EQ(set(0, key, "a value of a hundred bytes, or less", i % 3 ? 0 : 5), 1);
        }
        for (size_t at = KEPT; at < size; at += 4) {
            random = random * 1664525 + 1013904223;
            /* all of it or some of it; cycles, small numbers and any */
            const uint32_t word = round % 3 == 0 ? 1 : round % 3 == 1 ? random >> 22 : random;
            if (round < 6 || random >> 24 < round) memcpy(memory + at, &word, 4);
        }
        now += 10;
        for (int i = 0; i < 20; i++) {
            char key[8];
            snprintf(key, sizeof key, "%d", i);
            const int result = i % 4 == 0 ? add(0, key, 1, 0) : i % 4 == 1 ? drop(0, key) : get(0, key);
            CHECK(result == 0 || result == 1 || result == CRE_EVALUE_NUMBER);
            CHECK(length <= CRE_VALUE_MAX);
        }
    }
    CHECK_EQ(set(0, "last", "1", 0), 1);
    check_value(0, "last", "1");
    CHECK(stats().repaired > 0);
    munmap(memory, size);
    finish();
}

/* Sums of several processes lose nothing. */
TEST(processes_add) {
    enum { EACH = 20000 / TEST_STRIDE };
    begin();
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = cre_process_fork();
        REQUIRE(children[i] >= 0);
        if (children[i]) continue;
        for (int n = 0; n < EACH; n++)
            if (add(0, "sum", 2, 0) != 1) _exit(1);
        _exit(0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = 1;
        CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQ(status, 0);
    }
    char sum[16];
    snprintf(sum, sizeof sum, "%d", 2 * EACH * CHILDREN);
    check_value(0, "sum", sum);
    finish();
}

TEST_MAIN()
