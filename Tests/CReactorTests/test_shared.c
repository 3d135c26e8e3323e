/* Atomics and locks in shared memory, between threads and processes. */
#include <creactor/creactor.h>
#include <creactor/internal/process.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "test.h"

static void expect_exit(pid_t child) {
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void expect_killed(pid_t child) {
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
}

/* ---- atomics ---- */

/* Swoole's test of atomics. */
TEST(atomic_operations) {
    cre_shared_atomic *atomic;
    REQUIRE(cre_shared_atomic_create(-5, &atomic) == 0);
    CHECK_EQ(cre_shared_atomic_load(atomic), -5);
    CHECK_EQ(cre_shared_atomic_add(atomic, 7), 2);
    CHECK_EQ(cre_shared_atomic_add(atomic, -3), -1);
    CHECK_EQ(cre_shared_atomic_compare_exchange(atomic, 0, 9), -1);
    CHECK_EQ(cre_shared_atomic_load(atomic), -1);
    CHECK_EQ(cre_shared_atomic_compare_exchange(atomic, -1, 9), -1);
    CHECK_EQ(cre_shared_atomic_exchange(atomic, INT64_MAX), 9);
    CHECK_EQ(cre_shared_atomic_add(atomic, 1), INT64_MIN);
    cre_shared_atomic_store(atomic, 1);
    CHECK_EQ(cre_shared_atomic_load(atomic), 1);
    int copy = dup(cre_shared_atomic_descriptor(atomic));
    cre_shared_atomic *again;
    cre_shared_lock *lock;
    CHECK_EQ(cre_shared_lock_attach(copy, &lock), CRE_ESHARED_MISMATCH);
    CHECK_EQ(cre_shared_atomic_attach(-1, &again), -EBADF);
    REQUIRE(cre_shared_atomic_attach(copy, &again) == 0);
    CHECK_EQ(cre_shared_atomic_add(again, 1), 2);
    CHECK_EQ(cre_shared_atomic_load(atomic), 2);
    cre_shared_atomic_destroy(atomic);
    CHECK_EQ(cre_shared_atomic_load(again), 2);
    cre_shared_atomic_destroy(again);
    cre_shared_atomic_destroy(NULL);
}

/* dtor_in_child. */
TEST(atomics_survive_children) {
    cre_shared_atomic *atomic;
    REQUIRE(cre_shared_atomic_create(0, &atomic) == 0);
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = cre_process_fork();
        REQUIRE(children[i] >= 0);
        if (children[i]) continue;
        for (int n = 0; n < 10000; n++)
            cre_shared_atomic_add(atomic, 1);
        cre_shared_atomic_destroy(atomic);
        cre_process_exit(0);
    }
    for (int i = 0; i < 3; i++)
        expect_exit(children[i]);
    CHECK_EQ(cre_shared_atomic_load(atomic), 30000);
    cre_shared_atomic_destroy(atomic);
}

/* wait. */
TEST(waiting_ends_with_its_time) {
    cre_shared_atomic *atomic;
    REQUIRE(cre_shared_atomic_create(0, &atomic) == 0);
    CHECK_EQ(cre_shared_atomic_wait(atomic, 1, -1), 0); /* it is another value already */
    CHECK_EQ(cre_shared_atomic_wait(atomic, 0, 0), -ETIMEDOUT);
    CHECK_EQ(cre_shared_atomic_wait(atomic, 0, 20), -ETIMEDOUT);
    CHECK_EQ(cre_shared_atomic_wake(atomic, 1), 0);
    CHECK_EQ(cre_shared_atomic_wake(atomic, 0), 0);
    CHECK_EQ(cre_shared_atomic_wake(atomic, -1), 0);
    cre_shared_atomic_destroy(atomic);
}

/* wait_and_wakeup, wait_ex: back and forth between two processes; half of the values differ only in their
 * upper half. */
TEST(waiting_and_waking) {
    enum { TURNS = 500 };
    cre_shared_atomic *turn;
    REQUIRE(cre_shared_atomic_create(0, &turn) == 0);
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    int64_t mine = child ? 0 : (int64_t)1 << 32, other = child ? (int64_t)1 << 32 : 0;
    for (int i = 0; i < TURNS; i++) {
        CHECK_EQ(cre_shared_atomic_wait(turn, other, 60000), 0);
        CHECK_EQ(cre_shared_atomic_compare_exchange(turn, mine, other), mine);
        cre_shared_atomic_wake(turn, 1);
    }
    if (!child) cre_process_exit(test_failures != 0);
    expect_exit(child);
    cre_shared_atomic_destroy(turn);
}

/* multi_wakeup. */
TEST(waking_several) {
    enum { CHILDREN = 4 };
    cre_shared_atomic *gate, *through;
    REQUIRE(cre_shared_atomic_create(0, &gate) == 0);
    REQUIRE(cre_shared_atomic_create(0, &through) == 0);
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = cre_process_fork();
        REQUIRE(children[i] >= 0);
        if (children[i]) continue;
        int result = cre_shared_atomic_wait(gate, 0, 60000);
        cre_shared_atomic_add(through, 1);
        cre_process_exit(result != 0);
    }
    /* Woken without a change they sleep on: they are only counted. */
    for (int woken = 0; woken < CHILDREN;) {
        usleep(1000);
        woken = cre_shared_atomic_wake(gate, CHILDREN);
        CHECK(woken <= CHILDREN);
    }
    CHECK_EQ(cre_shared_atomic_load(through), 0);
    cre_shared_atomic_store(gate, 1);
    cre_shared_atomic_wake(gate, CHILDREN);
    for (int i = 0; i < CHILDREN; i++)
        expect_exit(children[i]);
    CHECK_EQ(cre_shared_atomic_load(through), CHILDREN);
    cre_shared_atomic_destroy(gate);
    cre_shared_atomic_destroy(through);
}

/* ---- locks ---- */

typedef struct lock_pair {
    cre_shared_lock *lock;
    cre_shared_atomic *a, *b;
} lock_pair;

static void open_pair(lock_pair *pair) {
    REQUIRE(cre_shared_lock_create(&pair->lock) == 0);
    REQUIRE(cre_shared_atomic_create(0, &pair->a) == 0);
    REQUIRE(cre_shared_atomic_create(0, &pair->b) == 0);
}

static void close_pair(lock_pair *pair) {
    cre_shared_lock_destroy(pair->lock);
    cre_shared_atomic_destroy(pair->a);
    cre_shared_atomic_destroy(pair->b);
}

enum { TIMES = 3000 / TEST_STRIDE };

/* Not one step: only the lock keeps the two together. */
static void *use_pair(void *context) {
    lock_pair *pair = context;
    cre_shared_hold hold;
    for (int i = 0; i < TIMES; i++) {
        if (i % 4 == 0) {
            CHECK_EQ(cre_shared_lock_write(pair->lock, -1, &hold), 0);
            CHECK(!hold.abandoned);
            int64_t value = cre_shared_atomic_load(pair->a);
            cre_shared_atomic_store(pair->a, value + 1);
            cre_shared_atomic_store(pair->b, cre_shared_atomic_load(pair->b) + 1);
        } else {
            CHECK_EQ(cre_shared_lock_read(pair->lock, -1, &hold), 0);
            CHECK_EQ(cre_shared_atomic_load(pair->a), cre_shared_atomic_load(pair->b));
        }
        cre_shared_lock_release(pair->lock, &hold);
    }
    return NULL;
}

/* mutex, lock_read. */
TEST(readers_and_writers_of_several_processes) {
    lock_pair pair;
    open_pair(&pair);
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = cre_process_fork();
        REQUIRE(children[i] >= 0);
        if (children[i]) continue;
        use_pair(&pair);
        cre_process_exit(test_failures != 0);
    }
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&threads[i], NULL, use_pair, &pair) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        expect_exit(children[i]);
    CHECK_EQ(cre_shared_atomic_load(pair.a), 4 * ((TIMES + 3) / 4));
    CHECK_EQ(cre_shared_atomic_load(pair.b), 4 * ((TIMES + 3) / 4));
    close_pair(&pair);
}

typedef struct lock_attempt {
    cre_shared_lock *lock;
    int64_t timeout;
    bool writes;
    int result;
} lock_attempt;

static void *try_it(void *context) {
    lock_attempt *attempt = context;
    cre_shared_hold hold;
    attempt->result = (attempt->writes ? cre_shared_lock_write
                                       : cre_shared_lock_read)(attempt->lock, attempt->timeout, &hold);
    if (!attempt->result) cre_shared_lock_release(attempt->lock, &hold);
    return NULL;
}

static int elsewhere(cre_shared_lock *lock, bool writes, int64_t timeout) {
    lock_attempt attempt = { lock, timeout, writes, 1 };
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, try_it, &attempt) == 0);
    pthread_join(thread, NULL);
    return attempt.result;
}

/* lock_nb, lock_timeout, spinlock_timeout, bug_5984. */
TEST(trying_and_timing_out) {
    cre_shared_lock *lock;
    cre_shared_hold hold, other;
    REQUIRE(cre_shared_lock_create(&lock) == 0);
    CHECK_EQ(cre_shared_lock_write(lock, 0, &hold), 0);
    for (int64_t timeout = 0; timeout <= 20; timeout += 20) {
        CHECK_EQ(elsewhere(lock, true, timeout), -ETIMEDOUT);
        CHECK_EQ(elsewhere(lock, false, timeout), -ETIMEDOUT);
        CHECK_EQ(cre_shared_lock_write(lock, timeout, &other), -EDEADLK);
        CHECK_EQ(cre_shared_lock_read(lock, timeout, &other), -EDEADLK);
    }
    CHECK_EQ(cre_shared_lock_write(lock, -1, &other), -EDEADLK);
    cre_shared_lock_release(lock, &hold);
    CHECK_EQ(elsewhere(lock, true, 0), 0);
    CHECK_EQ(cre_shared_lock_read(lock, 0, &hold), 0);
    CHECK_EQ(elsewhere(lock, false, 0), 0); /* readers do not mind each other */
    CHECK_EQ(elsewhere(lock, true, 0), -ETIMEDOUT);
    CHECK_EQ(elsewhere(lock, true, 20), -ETIMEDOUT);
    CHECK_EQ(cre_shared_lock_write(lock, -1, &other), -EDEADLK); /* a reader cannot become a writer */
    CHECK_EQ(elsewhere(lock, false, 0), 0);
    cre_shared_lock_release(lock, &hold);
    CHECK_EQ(elsewhere(lock, true, 0), 0);
    cre_shared_lock_destroy(lock);
    cre_shared_lock_destroy(NULL);
}

typedef struct reader_crowd {
    cre_shared_lock *lock;
    cre_shared_atomic *inside, *leave;
} reader_crowd;

static void *read_long(void *context) {
    reader_crowd *crowd = context;
    cre_shared_hold hold;
    CHECK_EQ(cre_shared_lock_read(crowd->lock, -1, &hold), 0);
    cre_shared_atomic_add(crowd->inside, 1);
    cre_shared_atomic_wake(crowd->inside, 1);
    CHECK_EQ(cre_shared_atomic_wait(crowd->leave, 0, 60000), 0);
    cre_shared_lock_release(crowd->lock, &hold);
    return NULL;
}

TEST(the_limit_of_readers) {
    reader_crowd crowd;
    REQUIRE(cre_shared_lock_create(&crowd.lock) == 0);
    REQUIRE(cre_shared_atomic_create(0, &crowd.inside) == 0);
    REQUIRE(cre_shared_atomic_create(0, &crowd.leave) == 0);
    pthread_t threads[CRE_SHARED_LOCK_READERS];
    for (int i = 0; i < CRE_SHARED_LOCK_READERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, read_long, &crowd) == 0);
    for (int64_t seen; (seen = cre_shared_atomic_load(crowd.inside)) < CRE_SHARED_LOCK_READERS;)
        CHECK_EQ(cre_shared_atomic_wait(crowd.inside, seen, 60000), 0);
    CHECK_EQ(elsewhere(crowd.lock, false, 0), -ETIMEDOUT);
    CHECK_EQ(elsewhere(crowd.lock, true, 0), -ETIMEDOUT);
    cre_shared_atomic_store(crowd.leave, 1);
    cre_shared_atomic_wake(crowd.leave, CRE_SHARED_LOCK_READERS);
    CHECK_EQ(elsewhere(crowd.lock, false, -1), 0);
    for (int i = 0; i < CRE_SHARED_LOCK_READERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(elsewhere(crowd.lock, true, 0), 0);
    cre_shared_lock_destroy(crowd.lock);
    cre_shared_atomic_destroy(crowd.inside);
    cre_shared_atomic_destroy(crowd.leave);
}

/* A child takes the lock and dies with it. */
static pid_t die_with(cre_shared_lock *lock, bool writes) {
    pid_t child = cre_process_fork();
    REQUIRE(child >= 0);
    if (child) return child;
    cre_shared_hold hold;
    CHECK_EQ((writes ? cre_shared_lock_write : cre_shared_lock_read)(lock, -1, &hold), 0);
    kill(getpid(), SIGKILL);
    cre_process_exit(0);
}

TEST(locks_of_dead_owners_are_passed_on) {
    cre_shared_lock *lock;
    cre_shared_hold hold;
    REQUIRE(cre_shared_lock_create(&lock) == 0);
    /* Writers: readers and the next writer, who repairs, are notified. */
    for (int i = 0; i < 20; i++) {
        expect_killed(die_with(lock, true));
        for (int readers = i % 3; readers > 0; readers--) {
            CHECK_EQ(cre_shared_lock_read(lock, i % 2 ? -1 : 0, &hold), 0);
            CHECK(hold.abandoned);
            cre_shared_lock_release(lock, &hold);
        }
        CHECK_EQ(cre_shared_lock_write(lock, i % 2 ? -1 : 0, &hold), 0);
        CHECK(hold.abandoned);
        cre_shared_lock_release(lock, &hold);
        CHECK_EQ((i % 2 ? cre_shared_lock_read : cre_shared_lock_write)(lock, -1, &hold), 0);
        CHECK(!hold.abandoned);
        cre_shared_lock_release(lock, &hold);
    }
    /* Readers: nothing to report; more of them than slots. */
    for (int i = 0; i < CRE_SHARED_LOCK_READERS + 6; i++)
        expect_killed(die_with(lock, false));
    CHECK_EQ(cre_shared_lock_read(lock, 0, &hold), 0);
    CHECK(!hold.abandoned);
    cre_shared_lock_release(lock, &hold);
    CHECK_EQ(cre_shared_lock_write(lock, 0, &hold), 0);
    CHECK(!hold.abandoned);
    cre_shared_lock_release(lock, &hold);
    /* Waiting while it dies, and before it is reaped. */
    pid_t child = die_with(lock, true);
    for (bool notified = false; !notified;) {
        CHECK_EQ(cre_shared_lock_write(lock, -1, &hold), 0);
        notified = hold.abandoned;
        cre_shared_lock_release(lock, &hold);
    }
    expect_killed(child);
    cre_shared_lock_destroy(lock);
}

/* Who does not get the lock does not take the news with it. */
TEST(a_failed_lock_leaves_no_trace) {
    cre_shared_lock *lock;
    cre_shared_hold hold;
    REQUIRE(cre_shared_lock_create(&lock) == 0);
    expect_killed(die_with(lock, true));
    CHECK_EQ(cre_shared_lock_read(lock, -1, &hold), 0);
    CHECK_EQ(elsewhere(lock, true, 0), -ETIMEDOUT);
    cre_shared_lock_release(lock, &hold);
    CHECK_EQ(cre_shared_lock_write(lock, -1, &hold), 0);
    CHECK(hold.abandoned);
    cre_shared_lock_release(lock, &hold);
    cre_shared_lock_destroy(lock);
}

static bool make_all(void) {
    cre_shared_atomic *atomic = NULL;
    cre_shared_lock *lock = NULL;
    int result = cre_shared_atomic_create(0, &atomic);
    if (!result) result = cre_shared_lock_create(&lock);
    cre_shared_lock_destroy(lock);
    cre_shared_atomic_destroy(atomic);
    return result == 0;
}

TEST(no_memory) {
    test_fail_each_allocation(make_all);
}

TEST_MAIN()
