/* Values in shared memory, also with processes that are killed while they change them. */
#include <creactor/creactor.h>
#include <creactor/internal/process.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test.h"

enum { ROOM = 128 << 10, BLOCK = 256, HEAD = 32 };

static uint8_t value[CRE_VALUE_MAX];
static size_t length;
static uint64_t now = 1000;

static cre_slice text(const char *string) {
    return (cre_slice){ (const uint8_t *)string, strlen(string) };
}

static cre_shared_values *make(uint32_t room) {
    cre_shared_values *values = NULL;
    REQUIRE(cre_shared_values_create(room, &values) == 0);
    return values;
}

static int apply(cre_shared_values *values, cre_value_operation operation) {
    length = 0;
    return cre_shared_values_apply(values, &operation, now, value, &length);
}

static int set(cre_shared_values *values, const char *key, const char *to, uint64_t lifetime) {
    return apply(values,
                 (cre_value_operation){
                     .kind = CRE_VALUE_SET, .key = text(key), .value = text(to), .lifetime_ms = lifetime });
}

static int change(cre_shared_values *values, const char *key, cre_value_kind kind,
                  cre_value_condition condition, const char *to, const char *expected) {
    return apply(values, (cre_value_operation){ .kind = kind,
                                                .condition = condition,
                                                .key = text(key),
                                                .value = text(to),
                                                .expected = text(expected) });
}

static int add(cre_shared_values *values, const char *key, int64_t amount, uint64_t lifetime) {
    return apply(values,
                 (cre_value_operation){
                     .kind = CRE_VALUE_ADD, .key = text(key), .amount = amount, .lifetime_ms = lifetime });
}

static int get(cre_shared_values *values, const char *key) {
    return apply(values, (cre_value_operation){ .kind = CRE_VALUE_GET, .key = text(key) });
}

static int drop(cre_shared_values *values, const char *key) {
    return change(values, key, CRE_VALUE_REMOVE, CRE_VALUE_ALWAYS, "", "");
}

/* The value is this text. */
static void check(const char *expected) {
    CHECK_EQ(length, strlen(expected));
    CHECK_MEM(value, expected, length);
}

static void check_value(cre_shared_values *values, const char *key, const char *expected) {
    CHECK_EQ(get(values, key), 1);
    check(expected);
}

static cre_shared_values_stats stats_of(const cre_shared_values *values) {
    cre_shared_values_stats stats;
    cre_shared_values_get_stats(values, &stats, sizeof stats);
    return stats;
}

TEST(operations) {
    cre_shared_values *values = make(ROOM);
    CHECK_EQ(get(values, "key"), 0);
    CHECK_EQ(set(values, "key", "one", 0), 1);
    check_value(values, "key", "one");
    CHECK_EQ(set(values, "key", "", 0), 1);
    check_value(values, "key", "");
    CHECK_EQ(change(values, "key", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "two", ""), 0);
    CHECK_EQ(change(values, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", "other"), 0);
    check_value(values, "key", "");
    CHECK_EQ(change(values, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", ""), 1);
    check_value(values, "key", "two");
    CHECK_EQ(change(values, "new", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "two", ""), 0);
    CHECK_EQ(change(values, "new", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "first", ""), 1);
    CHECK_EQ(change(values, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_EQUAL, "", "firs"), 0);
    CHECK_EQ(change(values, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_ABSENT, "", ""), 0);
    CHECK_EQ(stats_of(values).count, 2);
    CHECK_EQ(change(values, "new", CRE_VALUE_REMOVE, CRE_VALUE_IF_EQUAL, "", "first"), 1);
    CHECK_EQ(drop(values, "new"), 0);
    CHECK_EQ(drop(values, "key"), 1);
    CHECK_EQ(get(values, "key"), 0);
    CHECK_EQ(stats_of(values).count, 0);
    CHECK_EQ(stats_of(values).used, 0);
    cre_shared_values_destroy(values);
}

TEST(numbers) {
    static const char *const others[] = { "",
                                          "-",
                                          "+1",
                                          "01",
                                          "-0",
                                          "1 ",
                                          " 1",
                                          "1.5",
                                          "0x1",
                                          "a1",
                                          "--1",
                                          "9223372036854775808",
                                          "-9223372036854775809",
                                          "123456789012345678901234" };
    cre_shared_values *values = make(ROOM);
    CHECK_EQ(add(values, "n", 0, 0), 1);
    check("0");
    CHECK_EQ(add(values, "n", -7, 0), 1);
    check("-7");
    CHECK_EQ(add(values, "n", 49, 0), 1);
    check("42");
    check_value(values, "n", "42");
    CHECK_EQ(add(values, "n", INT64_MAX - 42, 0), 1);
    check("9223372036854775807");
    CHECK_EQ(add(values, "n", 1, 0), CRE_EVALUE_NUMBER);
    check_value(values, "n", "9223372036854775807");
    CHECK_EQ(set(values, "n", "-9223372036854775807", 0), 1);
    CHECK_EQ(add(values, "n", -1, 0), 1);
    check("-9223372036854775808");
    CHECK_EQ(add(values, "n", -1, 0), CRE_EVALUE_NUMBER);
    CHECK_EQ(add(values, "n", 8, 0), 1);
    check("-9223372036854775800");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK_EQ(set(values, "n", others[i], 0), 1);
        CHECK_EQ(add(values, "n", 1, 0), CRE_EVALUE_NUMBER);
        check_value(values, "n", others[i]);
    }
    CHECK_EQ(add(values, "new", INT64_MIN, 0), 1);
    check("-9223372036854775808");
    cre_shared_values_destroy(values);
}

TEST(lifetimes) {
    cre_shared_values *values = make(ROOM);
    CHECK_EQ(set(values, "key", "one", 100), 1);
    CHECK_EQ(add(values, "window", 1, 50), 1);
    now += 49;
    CHECK_EQ(add(values, "window", 1, 50), 1); /* its end stays */
    check("2");
    now += 1;
    CHECK_EQ(add(values, "window", 1, 50), 1);
    check("1");
    now += 49;
    check_value(values, "key", "one");
    now += 1;
    CHECK_EQ(get(values, "key"), 0);
    CHECK_EQ(get(values, "window"), 0);
    CHECK_EQ(stats_of(values).used, 0);
    CHECK_EQ(set(values, "key", "one", 100), 1);
    CHECK_EQ(set(values, "key", "two", 0), 1); /* it has no end any more */
    now += 100;
    check_value(values, "key", "two");
    CHECK_EQ(set(values, "key", "three", 10), 1);
    now += 10;
    CHECK_EQ(change(values, "key", CRE_VALUE_SET, CRE_VALUE_IF_EQUAL, "four", "three"), 0);
    CHECK_EQ(change(values, "key", CRE_VALUE_SET, CRE_VALUE_IF_ABSENT, "four", ""), 1);
    CHECK_EQ(drop(values, "key"), 1);
    CHECK_EQ(stats_of(values).used, 0);
    cre_shared_values_destroy(values);
}

/* Every length at which the key or the value ends near the end of a block. */
TEST(lengths) {
    static char key[CRE_VALUE_MAX_KEY + 1];
    static uint8_t bytes[CRE_VALUE_MAX];
    cre_shared_values *values = make(ROOM);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t keys = 1; keys <= CRE_VALUE_MAX_KEY; keys += keys == 1 ? BLOCK - HEAD - 3 : 1) {
        memset(key, 'k', keys);
        key[keys] = 0;
        for (size_t size = 0; size < 2 * BLOCK + 2; size++) {
            cre_value_operation operation = { .kind = CRE_VALUE_SET,
                                              .key = text(key),
                                              .value = { bytes, size } };
            CHECK_EQ(apply(values, operation), 1);
            CHECK_EQ(stats_of(values).used, (HEAD + keys + size + BLOCK - 1) / BLOCK * BLOCK);
            CHECK_EQ(get(values, key), 1);
            CHECK_EQ(length, size);
            CHECK_MEM(value, bytes, size);
            operation.condition = CRE_VALUE_IF_EQUAL;
            operation.expected = operation.value;
            CHECK_EQ(apply(values, operation), 1);
            operation.expected.length++;
            CHECK_EQ(apply(values, operation), 0);
        }
        CHECK_EQ(drop(values, key), 1);
    }
    const cre_value_operation largest = { .kind = CRE_VALUE_SET,
                                          .key = text(key),
                                          .value = { bytes, sizeof bytes } };
    CHECK_EQ(apply(values, largest), 1);
    CHECK_EQ(get(values, key), 1);
    CHECK_EQ(length, sizeof bytes);
    CHECK_MEM(value, bytes, sizeof bytes);
    cre_shared_values_destroy(values);
}

TEST(limits) {
    static char key[CRE_VALUE_MAX_KEY + 2];
    cre_shared_values *values = NULL;
    CHECK_EQ(cre_shared_values_create(ROOM - 1, &values), CRE_EINVALID);
    CHECK_EQ(cre_shared_values_create(CRE_SHARED_VALUES_MAX + 1, &values), CRE_EINVALID);
    values = make(CRE_SHARED_VALUES_MAX);
    cre_shared_values_destroy(values);
    values = make(ROOM);
    memset(key, 'k', sizeof key - 1);
    CHECK_EQ(set(values, key, "v", 0), CRE_EINVALID);
    CHECK_EQ(set(values, "", "v", 0), CRE_EINVALID);
    CHECK_EQ(set(values, "k", "v", CRE_VALUE_MAX_LIFETIME + 1), CRE_EINVALID);
    CHECK_EQ(set(values, "k", "v", CRE_VALUE_MAX_LIFETIME), 1);
    CHECK_EQ(change(values, "k", CRE_VALUE_GET, CRE_VALUE_IF_ABSENT, "", ""), CRE_EINVALID);
    CHECK_EQ(change(values, "k", CRE_VALUE_ADD, CRE_VALUE_IF_EQUAL, "", ""), CRE_EINVALID);
    CHECK_EQ(change(values, "k", (cre_value_kind)(CRE_VALUE_ADD + 1), CRE_VALUE_ALWAYS, "", ""),
             CRE_EINVALID);
    CHECK_EQ(change(values, "k", CRE_VALUE_SET, (cre_value_condition)(CRE_VALUE_IF_EQUAL + 1), "", ""),
             CRE_EINVALID);
    cre_value_operation large = { .kind = CRE_VALUE_SET,
                                  .key = text("k"),
                                  .value = { value, CRE_VALUE_MAX + 1 } };
    CHECK_EQ(apply(values, large), CRE_ELIMIT);
    large.expected = large.value;
    large.value.length = 0;
    CHECK_EQ(apply(values, large), CRE_ELIMIT);
    check_value(values, "k", "v");
    cre_shared_values_destroy(values);
}

/* What has expired makes room. */
TEST(full) {
    enum { BLOCKS = ROOM / BLOCK, SHORT = 20 };
    cre_shared_values *values = make(ROOM);
    char key[16];
    for (int i = 0; i < BLOCKS; i++) {
        snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(set(values, key, "v", i < SHORT ? 10 : 0), 1);
    }
    CHECK_EQ(set(values, "more", "v", 0), CRE_EVALUE_FULL);
    CHECK_EQ(add(values, "more", 1, 0), CRE_EVALUE_FULL);
    CHECK_EQ(stats_of(values).used, ROOM);
    now += 10;
    for (int i = 0; i < SHORT; i++) {
        snprintf(key, sizeof key, "more %d", i);
        CHECK_EQ(set(values, key, "v", 0), 1);
    }
    CHECK_EQ(set(values, "more", "v", 0), CRE_EVALUE_FULL);
    CHECK_EQ(drop(values, "100"), 1);
    CHECK_EQ(set(values, "more", "v", 5), 1);
    now += 5;
    check_value(values, "101", "v");
    CHECK_EQ(set(values, "last", "v", 0), 1);
    CHECK_EQ(stats_of(values).count, BLOCKS);
    cre_shared_values_destroy(values);
}

TEST(another_program) {
    cre_shared_values *values = make(ROOM), *other = NULL;
    CHECK_EQ(set(values, "key", "one", 0), 1);
    const int descriptor = dup(cre_shared_values_descriptor(values));
    CHECK_EQ(cre_shared_values_attach(-1, ROOM, &other), -EBADF);
    CHECK_EQ(cre_shared_values_attach(descriptor, 2 * ROOM, &other), CRE_ESHARED_MISMATCH);
    REQUIRE(cre_shared_values_attach(descriptor, ROOM, &other) == 0);
    check_value(other, "key", "one");
    CHECK_EQ(add(other, "n", 1, 0), 1);
    check_value(values, "n", "1");
    cre_shared_values_destroy(other);
    cre_shared_values_destroy(values);
    cre_shared_values_destroy(NULL);
}

/* ---- deaths ---- */

enum { KILLS = 300 / TEST_STRIDE + 10, KEYS = 8, CHILDREN = 3 };

/* A child that sets, adds and removes until it is killed. A value is one byte, often. */
static pid_t start_writer(cre_shared_values *values, unsigned seed) {
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
        IGNORE(apply(values, operation));
        IGNORE(add(values, "sum", 1, 0));
    }
}

static void check_whole(cre_shared_values *values) {
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        for (size_t at = 1; get(values, key) == 1 && at < length; at++)
            if (value[at] != value[0]) TEST_FAIL("a value of %zu bytes is mixed", length);
        test_checks++;
    }
}

TEST(killed_writers) {
    cre_shared_values *values = make(ROOM);
    pid_t children[CHILDREN];
    unsigned pause = 3;
    for (int i = 0; i < CHILDREN; i++)
        children[i] = start_writer(values, (unsigned)i);
    for (int i = 0; i < KILLS; i++) {
        pause = pause * 1103515245 + 12345;
        usleep(100 + (pause >> 16) % 2000);
        pid_t *child = &children[i % CHILDREN];
        kill(*child, SIGKILL);
        CHECK_EQ(waitpid(*child, NULL, 0), *child);
        check_whole(values);
        *child = start_writer(values, pause);
    }
    for (int i = 0; i < CHILDREN; i++) {
        kill(children[i], SIGKILL);
        CHECK_EQ(waitpid(children[i], NULL, 0), children[i]);
    }
    check_whole(values);
    CHECK(stats_of(values).repaired > 0);
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        IGNORE(drop(values, key));
    }
    CHECK_EQ(drop(values, "sum"), 1);
    CHECK_EQ(stats_of(values).count, 0);
    CHECK_EQ(stats_of(values).used, 0); /* no block is lost... */
    for (int i = 0; i < ROOM / BLOCK; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        CHECK_EQ(set(values, key, "v", 0), 1); /* ...and none is there twice */
    }
    for (int i = 0; i < ROOM / BLOCK; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        check_value(values, key, "v");
    }
    cre_shared_values_destroy(values);
}

/* Sums of several processes lose nothing. */
/* Whatever a process writes there, operations end and stay within their memory, and then values can be set
 * again. Behind the first kilobyte, so that the mutex stays. */
TEST(overwritten) {
    enum { KEPT = 1024, ROUNDS = 60 };
    cre_shared_values *values = make(ROOM);
    struct stat status;
    REQUIRE(fstat(cre_shared_values_descriptor(values), &status) == 0);
    const size_t size = (size_t)status.st_size;
    uint8_t *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, cre_shared_values_descriptor(values), 0);
    REQUIRE(memory != MAP_FAILED);
    uint32_t random = 1;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 20; i++) {
            char key[8];
            snprintf(key, sizeof key, "%d", i);
            CHECK_EQ(set(values, key, "a value of a hundred bytes, or less", i % 3 ? 0 : 5), 1);
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
            const int result = i % 4 == 0   ? add(values, key, 1, 0)
                               : i % 4 == 1 ? drop(values, key)
                                            : get(values, key);
            CHECK(result == 0 || result == 1 || result == CRE_EVALUE_NUMBER);
            CHECK(length <= CRE_VALUE_MAX);
        }
    }
    CHECK_EQ(set(values, "last", "1", 0), 1);
    check_value(values, "last", "1");
    CHECK(stats_of(values).repaired > 0);
    munmap(memory, size);
    cre_shared_values_destroy(values);
}

TEST(processes_add) {
    enum { EACH = 20000 / TEST_STRIDE };
    cre_shared_values *values = make(ROOM);
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = cre_process_fork();
        REQUIRE(children[i] >= 0);
        if (children[i]) continue;
        for (int n = 0; n < EACH; n++)
            if (add(values, "sum", 2, 0) != 1) _exit(1);
        _exit(0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = 1;
        CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQ(status, 0);
    }
    char sum[16];
    snprintf(sum, sizeof sum, "%d", 2 * EACH * CHILDREN);
    check_value(values, "sum", sum);
    cre_shared_values_destroy(values);
}

TEST_MAIN()
