/*
 * The test kit of the C core: checks that survive release builds and print both values, a registry of cases,
 * inputs that end at a guard page, an allocator that counts and fails on demand.
 *
 *   TEST(name) { CHECK_EQ(1 + 1, 2); }
 *   TEST_MAIN()
 *
 * A program runs all its cases, or those whose names contain its first argument, and fails if memory that a
 * case took through the library's allocator was not given back.
 */
#ifndef CRE_TEST_H
#define CRE_TEST_H

#include <creactor/alloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Exhaustive loops take each value in a plain build. Under a sanitizer, which is there for other faults and
 * slower by an order, they take every thirteenth. */
#if defined(TEST_STRIDE) /* given */
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_STRIDE 13
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_STRIDE 13
#endif
#endif
#ifndef TEST_STRIDE
#define TEST_STRIDE 1
#endif

typedef struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
} test_case;

static test_case *test_first;
__attribute__((unused)) static test_case **test_last = &test_first;
static atomic_int test_failures, test_checks; /* cases may have threads */

#define TEST(case_name)                                                              \
    static void test_##case_name(void);                                              \
    static test_case test_case_##case_name = { #case_name, test_##case_name, NULL }; \
    __attribute__((constructor)) static void test_register_##case_name(void) {       \
        *test_last = &test_case_##case_name;                                         \
        test_last = &test_case_##case_name.next;                                     \
    }                                                                                \
    static void test_##case_name(void)

#define TEST_FAIL(...)                                  \
    do {                                                \
        test_failures++;                                \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);                   \
        fputc('\n', stderr);                            \
        if (test_failures > 50) exit(1);                \
    } while (0)

#define CHECK(condition)                                             \
    do {                                                             \
        test_checks++;                                               \
        if (!(condition)) TEST_FAIL("check failed: %s", #condition); \
    } while (0)

/* For what makes the rest of the case senseless. */
#define REQUIRE(condition)                         \
    do {                                           \
        test_checks++;                             \
        if (!(condition)) {                        \
            TEST_FAIL("required: %s", #condition); \
            exit(1);                               \
        }                                          \
    } while (0)

#define CHECK_EQ(actual, expected)                                                             \
    do {                                                                                       \
        long long test_a = (long long)(actual), test_e = (long long)(expected);                \
        test_checks++;                                                                         \
        if (test_a != test_e) TEST_FAIL("%s is %lld, expected %lld", #actual, test_a, test_e); \
    } while (0)

#define CHECK_STR(actual, expected)                                              \
    do {                                                                         \
        const char *test_a = (actual), *test_e = (expected);                     \
        test_checks++;                                                           \
        if (strcmp(test_a, test_e) != 0)                                         \
            TEST_FAIL("%s is \"%s\", expected \"%s\"", #actual, test_a, test_e); \
    } while (0)

#define CHECK_MEM(actual, expected, size)                                                 \
    do {                                                                                  \
        size_t test_n = (size);                                                           \
        test_checks++;                                                                    \
        if (test_n && memcmp((actual), (expected), test_n) != 0)                          \
            TEST_FAIL("%s differs from %s in its %zu bytes", #actual, #expected, test_n); \
    } while (0)

/* For a result that makes no difference to the case, such as that of an operation that is interrupted. */
#define IGNORE(result) \
    do {               \
        if (result) {  \
        }              \
    } while (0)

/* ---- inputs against a guard page: reading or writing one byte past the end is a crash ---- */

typedef struct guard_page {
    uint8_t *map;
    size_t size;
} guard_page;

static inline guard_page guard_make(size_t capacity) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (capacity + page - 1) / page * page;
    uint8_t *map = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED);
    REQUIRE(mprotect(map + size, page, PROT_NONE) == 0);
    return (guard_page){ map, size };
}

/* A copy of the input whose last byte is the last one that may be touched. */
static inline uint8_t *guard_place(guard_page *guard, const void *data, size_t size) {
    REQUIRE(size <= guard->size);
    uint8_t *at = guard->map + guard->size - size;
    if (size) memcpy(at, data, size);
    return at;
}

static inline void guard_free(guard_page *guard) {
    munmap(guard->map, guard->size + (size_t)sysconf(_SC_PAGESIZE));
}

/* ---- the allocator: counts, and fails the Nth allocation from now ---- */

static atomic_long test_allocations, test_live_allocations;
static long test_fail_span = 1;  /* how many fail in a row */
static atomic_long test_fail_at; /* 0: never; 1: the next one; ... */

static inline bool test_must_fail(void) {
    long at = atomic_load(&test_fail_at);
    if (!at || at <= -test_fail_span) return false;
    at = atomic_fetch_sub(&test_fail_at, 1);
    if (at == 1) atomic_fetch_sub(&test_fail_at, 1); /* 0 is never */
    return at <= 1;
}

static void *test_allocate(void *context, size_t size) {
    (void)context;
    if (test_must_fail()) return NULL;
    void *memory = malloc(size);
    if (memory) {
        atomic_fetch_add(&test_allocations, 1);
        atomic_fetch_add(&test_live_allocations, 1);
    }
    return memory;
}

static void *test_reallocate(void *context, void *memory, size_t size) {
    (void)context;
    if (test_must_fail()) return NULL;
    void *moved = realloc(memory, size);
    if (moved) {
        atomic_fetch_add(&test_allocations, 1);
        if (!memory) atomic_fetch_add(&test_live_allocations, 1);
    }
    return moved;
}

static void test_release(void *context, void *memory) {
    (void)context;
    atomic_fetch_sub(&test_live_allocations, 1);
    free(memory);
}

/*
 * Runs `attempt` with its 1st, 2nd, 3rd... allocation failing until it runs through without a failure.
 * `attempt` returns true when it succeeded and must leave nothing allocated either way.
 */
static inline void test_fail_each_allocation(bool (*attempt)(void)) {
    for (long n = 1; n < 100000; n++) {
        long live = atomic_load(&test_live_allocations);
        atomic_store(&test_fail_at, n);
        bool succeeded = attempt();
        bool untouched = atomic_exchange(&test_fail_at, 0) > 0;
        CHECK_EQ(atomic_load(&test_live_allocations), live);
        if (untouched) {
            CHECK(succeeded);
            return;
        }
    }
    TEST_FAIL("still failing after 100000 allocations");
}

/*
 * Calls `run` with `input` whole (split == size), and cut in two at every point. `run` must give the same
 * result each time. For byte-by-byte runs the caller feeds single bytes itself.
 */
static inline void test_split_everywhere(const uint8_t *input, size_t size,
                                         void (*run)(const uint8_t *input, size_t size, size_t split)) {
    for (size_t split = 0; split <= size; split++)
        run(input, size, split);
}

static inline int test_main(int argc, char **argv) {
    const char *filter = argc > 1 ? argv[1] : "";
    int ran = 0, failed = 0;
    if (!test_first) {
        printf("skipped: this build or processor has none of the cases\n");
        return 77; /* CTest's SKIP_RETURN_CODE */
    }
    static const cre_allocator allocator = { .allocate = test_allocate,
                                             .reallocate = test_reallocate,
                                             .release = test_release };
    REQUIRE(cre_set_allocator(&allocator) == 0);
    for (test_case *c = test_first; c; c = c->next) {
        if (!strstr(c->name, filter)) continue;
        int before = test_failures;
        long live = atomic_load(&test_live_allocations);
        c->run();
        atomic_store(&test_fail_at, 0);
        CHECK_EQ(atomic_load(&test_live_allocations), live);
        ran++;
        failed += test_failures != before;
        if (test_failures != before) fprintf(stderr, "FAILED %s\n", c->name);
    }
    printf("%d passed, %d failed\n", ran - failed, failed);
    return failed || ran == 0;
}

#define TEST_MAIN()                   \
    int main(int argc, char **argv) { \
        return test_main(argc, argv); \
    }

#endif
