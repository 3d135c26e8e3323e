/* Rate limits in shared memory: the algorithm with a time of the test, many keys, several processes. */
#include <creactor/error.h>
#include <creactor/internal/process.h>
#include <creactor/shared_atomic.h>
#include <creactor/shared_rate.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "test.h"

#define SECOND 1000000u

/* 10 requests in 10 seconds. */
static const cre_rate_limit ten = { .interval = SECOND, .window = 10 * SECOND };

static cre_rate_state take(cre_shared_rate *rate, const char *key, const cre_rate_limit *limit,
                           uint64_t now) {
    cre_rate_state state;
    REQUIRE(cre_shared_rate_take(rate, key, strlen(key), limit, now, &state) == 0);
    return state;
}

static uint64_t refused(const cre_shared_rate *rate) {
    cre_shared_rate_stats stats;
    cre_shared_rate_get_stats(rate, &stats, sizeof stats);
    return stats.refused;
}

static uint64_t evicted(const cre_shared_rate *rate) {
    cre_shared_rate_stats stats;
    cre_shared_rate_get_stats(rate, &stats, sizeof stats);
    return stats.evicted;
}

static void check_limit(cre_shared_rate *rate, const char *key, uint64_t now) {
    for (uint64_t i = 0; i < 10; i++) {
        cre_rate_state state = take(rate, key, &ten, now);
        CHECK(state.passes);
        CHECK_EQ(state.remaining, 9 - i);
        CHECK_EQ(state.full, (i + 1) * SECOND);
        CHECK_EQ(state.retry, i < 9 ? 0 : SECOND);
    }
    uint64_t before = refused(rate);
    for (int i = 0; i < 3; i++) {
        cre_rate_state state = take(rate, key, &ten, now);
        CHECK(!state.passes);
        CHECK_EQ(state.remaining, 0);
        CHECK_EQ(state.full, 10 * SECOND);
        CHECK_EQ(state.retry, SECOND);
    }
    CHECK_EQ(refused(rate), before + 3);
    CHECK(!take(rate, key, &ten, now + SECOND - 1).passes);
    CHECK(take(rate, key, &ten, now + SECOND).passes);
    CHECK(!take(rate, key, &ten, now + SECOND).passes);
    CHECK_EQ(take(rate, key, &ten, now + 4 * SECOND).remaining, 2);
    CHECK_EQ(take(rate, key, &ten, now + 100 * SECOND).remaining, 9);
}

TEST(limit_of_a_key) {
    cre_shared_rate *rate;
    REQUIRE(cre_shared_rate_create(64, &rate) == 0);
    check_limit(rate, "a", 5 * SECOND);
    check_limit(rate, "b", 5 * SECOND); /* has a limit of its own */
    check_limit(rate, "", 5 * SECOND);
    check_limit(rate, "a key of more than eight bytes", 5 * SECOND);
    check_limit(rate, "a key of more than eight Bytes", 5 * SECOND);
    check_limit(rate, "a", 500 * SECOND);
    CHECK_EQ(evicted(rate), 0);
    cre_shared_rate_destroy(rate);
    cre_shared_rate_destroy(NULL);
}

/* Times are kept modulo 2^44. */
TEST(the_time_wraps) {
    for (uint64_t before = 0; before < 20; before++) {
        cre_shared_rate *rate;
        REQUIRE(cre_shared_rate_create(8, &rate) == 0);
        check_limit(rate, "a", (1ull << 44) - before * SECOND);
        check_limit(rate, "b", UINT64_MAX - before * SECOND + 1);
        cre_shared_rate_destroy(rate);
    }
}

TEST(a_smaller_limit_of_the_same_key) {
    cre_shared_rate *rate;
    const cre_rate_limit two = { .interval = SECOND, .window = 2 * SECOND };
    const cre_rate_limit day = { .interval = CRE_SHARED_RATE_WINDOW_MAX,
                                 .window = CRE_SHARED_RATE_WINDOW_MAX };
    REQUIRE(cre_shared_rate_create(8, &rate) == 0);
    CHECK(take(rate, "a", &day, 0).passes);
    cre_rate_state state = take(rate, "a", &two, 0);
    CHECK(!state.passes);
    CHECK_EQ(state.retry, SECOND); /* and not a day */
    CHECK(!take(rate, "a", &day, CRE_SHARED_RATE_WINDOW_MAX - 1).passes);
    CHECK(take(rate, "a", &day, CRE_SHARED_RATE_WINDOW_MAX).passes);
    cre_shared_rate_destroy(rate);
}

/* Many keys: each of them passes, and those that are beyond their limits stay so. */
TEST(many_keys_refuse_nobody) {
    cre_shared_rate *rate;
    REQUIRE(cre_shared_rate_create(1024, &rate) == 0);
    for (int i = 0; i < 11; i++)
        CHECK_EQ(take(rate, "heavy", &ten, 0).passes, i < 10);
    for (int i = 0; i < 100000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        cre_rate_state state = take(rate, key, &ten, 0);
        CHECK(state.passes);
    }
    CHECK(evicted(rate) > 90000);
    CHECK(!take(rate, "heavy", &ten, 0).passes);
    CHECK_EQ(refused(rate), 2);
    cre_shared_rate_destroy(rate);
}

/* A table that has room for all keys forgets none, though the keys are not spread evenly. */
TEST(room_is_used) {
    cre_shared_rate *rate;
    uint64_t full = 0;
    REQUIRE(cre_shared_rate_create(4096, &rate) == 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1024; i++) {
            char key[16];
            snprintf(key, sizeof key, "%d", i);
            full += take(rate, key, &ten, 0).remaining == 9;
        }
    }
    CHECK(full <= 1024 + 20);
    cre_shared_rate_destroy(rate);
}

TEST(invalid_arguments) {
    cre_shared_rate *rate;
    cre_shared_atomic *atomic;
    cre_rate_state state;
    CHECK_EQ(cre_shared_rate_create(0, &rate), CRE_EINVALID);
    CHECK_EQ(cre_shared_rate_create(CRE_SHARED_RATE_SLOTS_MAX + 1, &rate), CRE_EINVALID);
    CHECK_EQ(cre_shared_rate_attach(-1, 8, &rate), -EBADF);
    REQUIRE(cre_shared_atomic_create(0, &atomic) == 0);
    CHECK_EQ(cre_shared_rate_attach(cre_shared_atomic_descriptor(atomic), 8, &rate), CRE_ESHARED_MISMATCH);
    cre_shared_atomic_destroy(atomic);
    REQUIRE(cre_shared_rate_create(9, &rate) == 0);
    cre_shared_rate_stats stats;
    cre_shared_rate_get_stats(rate, &stats, sizeof stats);
    CHECK_EQ(stats.slots, 16);
    static const cre_rate_limit wrong[] = { { 0, 0 },
                                            { 0, 1 },
                                            { 2, 1 },
                                            { 1, (uint64_t)CRE_SHARED_RATE_WINDOW_MAX + 1 },
                                            { UINT64_MAX, UINT64_MAX } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQ(cre_shared_rate_take(rate, "a", 1, &wrong[i], 0, &state), CRE_EINVALID);
    const cre_rate_limit finest = { 1, 1 };
    CHECK(take(rate, "a", &finest, 0).passes);
    CHECK(!take(rate, "a", &finest, 0).passes);
    CHECK(take(rate, "a", &finest, 1).passes);
    cre_shared_rate *again;
    int copy = dup(cre_shared_rate_descriptor(rate));
    CHECK_EQ(cre_shared_rate_attach(copy, 8, &again), CRE_ESHARED_MISMATCH);
    REQUIRE(cre_shared_rate_attach(copy, 16, &again) == 0);
    CHECK(!take(again, "a", &finest, 1).passes);
    cre_shared_rate_destroy(again);
    cre_shared_rate_destroy(rate);
}

/* Together the processes get exactly what the limit allows, also when one is killed while it counts. */
TEST(processes_share_limits) {
    enum { CHILDREN = 4, TRIES = 20000 };
    const cre_rate_limit limit = { .interval = SECOND, .window = 10000ull * SECOND };
    cre_shared_rate *rate;
    cre_shared_atomic *passed;
    REQUIRE(cre_shared_rate_create(64, &rate) == 0);
    REQUIRE(cre_shared_atomic_create(0, &passed) == 0);
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = cre_process_fork();
        REQUIRE(children[i] >= 0);
        if (children[i]) continue;
        for (int j = 0; j < TRIES; j++)
            if (take(rate, "a", &limit, 0).passes) cre_shared_atomic_add(passed, 1);
        _exit(0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
        CHECK_EQ(status, 0);
    }
    CHECK_EQ(cre_shared_atomic_load(passed), 10000);
    CHECK_EQ(refused(rate), (long long)CHILDREN * TRIES - 10000);

    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (!child)
        for (uint64_t now = 0;; now++)
            take(rate, "b", &ten, now);
    /* Killed at some point while it counts. */
    while (refused(rate) < (uint64_t)CHILDREN * TRIES)
        usleep(100);
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    check_limit(rate, "b", 1ull << 40);
    cre_shared_atomic_destroy(passed);
    cre_shared_rate_destroy(rate);
}

TEST_MAIN()
