/* Loops: turns, timers, watches, posts, jobs. */
#include <creactor/creactor.h>
#include <creactor/internal/internal.h>
#include <creactor/uv.h>
#include <pthread.h>

#include "core/memory.h"
#include "core/times.h"
#include "loop/loop_internal.h"
#include "test.h"

static cre_loop *make_loop(void) {
    cre_loop *loop;
    REQUIRE(cre_loop_create(&loop) == 0);
    return loop;
}

static void turn(cre_loop *loop) {
    cre__loop_turn(loop, false);
}

static cre_loop *running; /* the loop that the callbacks below stop */

/* ---- timers, watches, posts ---- */

static int fired;

static void fire(void *context, cre_timer *timer) {
    fired++;
    int *left = context;
    if (--*left) return;
    cre_timer_stop(timer); /* from its own callback */
    cre_loop_stop(running);
}

TEST(a_timer_fires_until_it_is_stopped) {
    cre_loop *loop = running = make_loop();
    cre_timer *once, *often;
    int never = 1, thrice = 3;
    fired = 0;
    CHECK_EQ(cre_timer_start(loop, 600000, 0, fire, &never, &once), 0);
    CHECK_EQ(cre_timer_start(loop, 1, 1, fire, &thrice, &often), 0);
    cre_loop_run(loop);
    CHECK_EQ(fired, 3);
    cre_timer_stop(once);
    cre_timer_stop(NULL);
    CHECK_EQ(never, 1);
    cre_loop_destroy(loop);
}

/* ---- timers and the rest of a turn ---- */

enum { MANY = 200 };

static void start_again(void *context, cre_timer *timer) {
    cre_timer_stop(timer);
    cre_timer *next;
    if (++fired < MANY) CHECK_EQ(cre_timer_start(running, 0, 0, start_again, context, &next), 0);
}

static void take_longer(void *context, cre_timer *timer) {
    (void)context;
    usleep(3000);
    cre_timer *other;
    CHECK_EQ(cre_timer_start(running, 1000, 0, start_again, NULL, &other), 0); /* moves the clock on */
    cre_timer_stop(other);
    if (++fired == MANY) cre_timer_stop(timer);
}

static void stop_all(void *context, int descriptor) {
    (void)descriptor;
    *(int *)context = fired;
    cre_loop_stop(running);
}

/* The number of times a timer fires before a readable descriptor is looked at. */
static int fired_before_watch(void (*callback)(void *, cre_timer *), uint64_t repeat) {
    cre_loop *loop = running = make_loop();
    int ends[2], before = -1;
    REQUIRE(pipe(ends) == 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    cre_timer *timer;
    cre_watch *watch;
    fired = 0;
    CHECK_EQ(cre_timer_start(loop, 0, repeat, callback, NULL, &timer), 0);
    CHECK_EQ(cre_watch_start(loop, ends[0], stop_all, &before, &watch), 0);
    cre_loop_run(loop);
    cre_loop_destroy(loop);
    close(ends[0]);
    close(ends[1]);
    return before;
}

TEST(timers_leave_time_for_descriptors) {
    CHECK(fired_before_watch(start_again, 0) <= 2);
    CHECK(fired_before_watch(take_longer, 1) <= 2);
}

TEST(repeating_timers_keep_their_rate) {
    CHECK_EQ(cre__timer_next_due(1000, 10, 1000), 1010);
    CHECK_EQ(cre__timer_next_due(1000, 10, 1003), 1010);
    CHECK_EQ(cre__timer_next_due(1000, 10, 1009), 1010);
    CHECK_EQ(cre__timer_next_due(1000, 10, 1010), 1020);
    CHECK_EQ(cre__timer_next_due(1000, 10, 1057), 1060);
    CHECK_EQ(cre__timer_next_due(1000, 10, 990), 1010);
}

static void read_byte(void *context, int descriptor) {
    char byte;
    CHECK_EQ(read(descriptor, &byte, 1), 1);
    if (byte == 'x') cre_loop_stop(context);
    fired++;
}

TEST(a_watch_calls_while_its_descriptor_is_readable) {
    cre_loop *loop = make_loop();
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    cre_watch *watch;
    fired = 0;
    CHECK_EQ(cre_watch_start(loop, ends[0], read_byte, loop, &watch), 0);
    CHECK_EQ(write(ends[1], "abx", 3), 3);
    cre_loop_run(loop);
    CHECK_EQ(fired, 3);
    cre_watch_stop(watch);
    cre_watch_stop(NULL);
    CHECK(cre_watch_start(loop, 999999, read_byte, loop, &watch) < 0);
    cre_loop_destroy(loop);
    close(ends[0]);
    close(ends[1]);
}

static void take_note_never(void *context) {
    (void)context;
    TEST_FAIL("ran after the end");
}

TEST(destroying_a_loop_frees_everything_on_it) {
    cre_loop *loop = make_loop();
    int ends[2], left = 5;
    REQUIRE(pipe(ends) == 0);
    cre_timer *timer;
    cre_watch *watch;
    cre_jobs *jobs;
    CHECK_EQ(cre_timer_start(loop, 1, 1, fire, &left, &timer), 0);
    CHECK_EQ(cre_watch_start(loop, ends[0], read_byte, loop, &watch), 0);
    CHECK_EQ(cre_jobs_create(loop, 0, NULL, NULL, &jobs), 0);
    CHECK_EQ(cre_loop_post(loop, take_note_never, NULL), 0);
    cre_loop_destroy(loop);
    close(ends[0]);
    close(ends[1]);
}

/* A turn asks libuv when it is due only if something was started or stopped in it since the last one. */
TEST(turns_notice_what_is_started_and_stopped_between_them) {
    cre_loop *loop = running = make_loop();
    cre_timer *timer;
    cre_jobs *jobs;
    int left = 1;
    turn(loop);
    fired = 0;
    REQUIRE(cre_timer_start(loop, 0, 0, fire, &left, &timer) == 0);
    turn(loop);
    CHECK_EQ(fired, 1); /* it has stopped itself */
    turn(loop);
    const long live = atomic_load(&test_live_allocations);
    REQUIRE(cre_timer_start(loop, 600000, 0, fire, &left, &timer) == 0);
    turn(loop);
    cre_timer_stop(timer);
    turn(loop);
    CHECK_EQ(atomic_load(&test_live_allocations), live);
    REQUIRE(cre_jobs_create(loop, 0, NULL, NULL, &jobs) == 0);
    turn(loop);
    cre_jobs_destroy(jobs);
    turn(loop);
    CHECK_EQ(atomic_load(&test_live_allocations), live);
    cre_loop_destroy(loop);
}

/* ---- posts from several threads ---- */

#define POSTS 2000

typedef struct poster {
    cre_loop *loop;
    int number, next;
    pthread_t thread;
} poster;

typedef struct note {
    poster *from;
    int number;
} note;

static int taken;

static void take_note(void *context) {
    note *it = context;
    CHECK_EQ(it->number, it->from->next++);
    if (++taken == 3 * POSTS) cre_loop_stop(it->from->loop);
    free(it);
}

static void *post_all(void *context) {
    poster *it = context;
    for (int i = 0; i < POSTS; i++) {
        note *next = malloc(sizeof *next);
        REQUIRE(next != NULL);
        *next = (note){ it, i };
        CHECK_EQ(cre_loop_post(it->loop, take_note, next), 0);
    }
    return NULL;
}

TEST(posts_arrive_in_the_order_of_each_thread) {
    cre_loop *loop = make_loop();
    poster posters[3] = { { .loop = loop }, { .loop = loop }, { .loop = loop } };
    taken = 0;
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]) == 0);
    cre_loop_run(loop);
    for (int i = 0; i < 3; i++)
        pthread_join(posters[i].thread, NULL);
    CHECK_EQ(taken, 3 * POSTS);
    cre_loop_destroy(loop);
}

TEST(stop_before_run) {
    cre_loop *loop = make_loop();
    for (int i = 0; i < 3; i++) {
        cre_loop_stop(loop);
        cre_loop_stop(loop);
        cre_loop_run(loop);
    }
    cre_loop_destroy(loop);
}

/* ---- hooks ---- */

static char order[64];

typedef struct named_hook {
    cre__hook hook;
    char name;
    cre_loop *loop;
    struct named_hook *victim; /* removed when this one runs */
    bool answer;
} named_hook;

static bool run_named(cre__hook *hook) {
    named_hook *it = (named_hook *)(void *)hook;
    size_t length = strlen(order);
    if (length < sizeof order - 1) order[length] = it->name;
    if (it->victim) {
        cre__loop_remove_hook(it->loop, CRE__DRAIN, &it->victim->hook);
        memset(&it->victim->hook, 0xEE, sizeof it->victim->hook); /* as if freed */
        it->victim = NULL;
    }
    return it->answer;
}

static const cre__phase phases[4] = { CRE__FLUSH, CRE__JOBS, CRE__DRAIN, CRE__ARM };

static void add_hooks(cre_loop *loop, named_hook hooks[4]) {
    for (int i = 0; i < 4; i++) {
        hooks[i] = (named_hook){ .hook.run = run_named, .name = "fjda"[i], .loop = loop };
        cre__loop_add_hook(loop, phases[i], &hooks[i].hook);
    }
    memset(order, 0, sizeof order);
}

static void stop_timer(void *context, cre_timer *timer) {
    (void)context;
    cre_timer_stop(timer);
}

/* The first FLUSH of a turn is for what has happened behind that of the last one. */
TEST(phases_run_in_order) {
    cre_loop *loop = make_loop();
    named_hook hooks[4];
    cre_timer *timer;
    add_hooks(loop, hooks);
    turn(loop);
    turn(loop);
    CHECK_STR(order, "fadjfadjf");
    memset(order, 0, sizeof order);
    cre__loop_needs_flush(loop);
    turn(loop);
    turn(loop);
    CHECK_STR(order, "fadjfadjf");
    memset(order, 0, sizeof order);
    REQUIRE(cre_timer_start(loop, 0, 0, stop_timer, NULL, &timer) == 0);
    turn(loop);
    CHECK_STR(order, "adjf"); /* what a timer sends has the FLUSH of its turn */
    memset(order, 0, sizeof order);
    cre_loop_stop(loop);
    cre_loop_run(loop);
    CHECK_EQ(order[0], 'f');
    for (int i = 0; i < 4; i++)
        cre__loop_remove_hook(loop, phases[i], &hooks[i].hook);
    memset(order, 0, sizeof order);
    turn(loop);
    CHECK_STR(order, "");
    cre_loop_destroy(loop);
}

static void never_fires(uv_timer_t *timer) {
    (void)timer;
}

/* Whatever it calls between two turns is not known. */
TEST(on_the_loop_of_a_program_nothing_is_skipped) {
    uv_loop_t uv;
    cre_loop *loop;
    named_hook hooks[4];
    REQUIRE(uv_loop_init(&uv) == 0 && cre_loop_adopt(&uv, &loop) == 0);
    add_hooks(loop, hooks);
    uv_timer_t own; /* or there would be nothing to run for */
    uv_timer_init(&uv, &own);
    uv_timer_start(&own, never_fires, 600000, 0);
    uv_run(&uv, UV_RUN_NOWAIT);
    uv_run(&uv, UV_RUN_NOWAIT);
    CHECK_STR(order, "fadjffadjf");
    cre_loop_destroy(loop);
    uv_close((uv_handle_t *)&own, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&uv), 0);
}

TEST(a_hook_may_remove_any_hook) {
    for (int killer = 0; killer < 3; killer++) {
        for (int victim = 0; victim < 3; victim++) {
            cre_loop *loop = make_loop();
            named_hook hooks[3];
            for (int i = 0; i < 3; i++) {
                hooks[i] = (named_hook){ .hook.run = run_named, .name = (char)('0' + i), .loop = loop };
                cre__loop_add_hook(loop, CRE__DRAIN, &hooks[i].hook);
            }
            hooks[killer].victim = &hooks[victim];
            memset(order, 0, sizeof order);
            turn(loop);
            turn(loop);
            CHECK_EQ(strlen(order), victim > killer ? 4 : 5);
            cre_loop_destroy(loop);
        }
    }
}

TEST(the_first_hook_with_work_ends_the_search) {
    cre_loop *loop = make_loop();
    named_hook hooks[2];
    for (int i = 0; i < 2; i++) {
        hooks[i] =
            (named_hook){ .hook.run = run_named, .name = (char)('0' + i), .loop = loop, .answer = true };
        cre__loop_add_hook(loop, CRE__ARM, &hooks[i].hook);
    }
    memset(order, 0, sizeof order);
    for (int i = 0; i < 3; i++)
        cre__loop_turn(loop, true); /* would sleep for ever */
    CHECK_STR(order, "000");
    cre_loop_destroy(loop);
}

/* ---- jobs ---- */

typedef struct job {
    int number;
    void *link;
    struct job *then; /* queued when this one runs */
} job;

static int job_order[10000], jobs_run;
static cre_jobs *queue;

static void run_job(void *context, void *pointer) {
    job *it = pointer;
    CHECK(context == (void *)&jobs_run);
    CHECK(cre_jobs_here(queue));
    if (jobs_run < 10000) job_order[jobs_run] = it->number;
    jobs_run++;
    if (it->then) cre_jobs_enqueue(queue, it->then);
    if (it->number < 0) cre_loop_stop(running);
}

TEST(jobs_run_in_order_and_at_once) {
    cre_loop *loop = make_loop();
    CHECK_EQ(cre_jobs_create(loop, offsetof(job, link), run_job, &jobs_run, &queue), 0);
    job jobs[4] = { { .number = 1 }, { .number = 2 }, { .number = 3 }, { .number = 4 } };
    jobs[0].then = &jobs[3];
    jobs_run = 0;
    for (int i = 0; i < 3; i++)
        cre_jobs_enqueue(queue, &jobs[i]);
    CHECK(cre_jobs_queued(queue));
    cre_jobs_run(queue);
    CHECK(!cre_jobs_queued(queue));
    CHECK_EQ(jobs_run, 4);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(job_order[i], i + 1);
    cre_jobs_run(queue);
    CHECK_EQ(jobs_run, 4);
    cre_jobs_destroy(queue);
    cre_loop_destroy(loop);
}

TEST(endless_jobs_do_not_block_the_loop) {
    cre_loop *loop = running = make_loop();
    CHECK_EQ(cre_jobs_create(loop, offsetof(job, link), run_job, &jobs_run, &queue), 0);
    job endless = { .number = 1, .then = &endless };
    cre_timer *timer;
    int once = 1;
    fired = 0;
    jobs_run = 0;
    cre_jobs_enqueue(queue, &endless);
    CHECK_EQ(cre_timer_start(loop, 1, 0, fire, &once, &timer), 0);
    cre_loop_run(loop);
    CHECK_EQ(fired, 1);
    CHECK(jobs_run > 0);
    cre_jobs_destroy(queue);
    cre_loop_destroy(loop);
}

#define JOBS 5000

static void *enqueue_all(void *context) {
    job *jobs = context;
    CHECK(!cre_jobs_here(queue));
    for (int i = 0; i < JOBS; i++) {
        cre_jobs_enqueue(queue, &jobs[i]);
        if (i % 500 == 0) usleep(50); /* so that the loop falls asleep now and then */
    }
    return NULL;
}

static void count_down(void *context, void *pointer) {
    job *it = pointer;
    int *last = context;
    CHECK(it->number > last[it->then != NULL]);
    last[it->then != NULL] = it->number;
    if (++jobs_run == 2 * JOBS) cre_loop_stop(running);
}

TEST(jobs_of_other_threads_wake_the_loop) {
    cre_loop *loop = running = make_loop();
    int last[2] = { 0 };
    CHECK_EQ(cre_jobs_create(loop, offsetof(job, link), count_down, last, &queue), 0);
    static job jobs[2][JOBS];
    pthread_t threads[2];
    jobs_run = 0;
    for (int t = 0; t < 2; t++) {
        for (int i = 0; i < JOBS; i++)
            jobs[t][i] = (job){ .number = i + 1, .then = t ? &jobs[1][0] : NULL };
        REQUIRE(pthread_create(&threads[t], NULL, enqueue_all, jobs[t]) == 0);
    }
    cre_loop_run(loop);
    for (int t = 0; t < 2; t++)
        pthread_join(threads[t], NULL);
    CHECK_EQ(jobs_run, 2 * JOBS);
    cre_jobs_destroy(queue);
    cre_loop_destroy(loop);
}

/* ---- without memory ---- */

static bool whole_life(void) {
    cre_loop *loop = NULL;
    cre_timer *timer;
    cre_jobs *jobs;
    if (cre_loop_create(&loop)) return false;
    int left = 1;
    bool good = cre_timer_start(loop, 1000, 0, fire, &left, &timer) == 0;
    if (good) good = cre_jobs_create(loop, 0, run_job, NULL, &jobs) == 0;
    if (good) good = cre_loop_post(loop, take_note, NULL) == 0;
    cre_loop_destroy(loop);
    return good;
}

/* ---- how long turns take ---- */

static void work(void *context) {
    uint64_t until = uv_hrtime() + *(uint64_t *)context;
    while (uv_hrtime() < until) {
    }
}

static cre_loop_stats stats_of(const cre_loop *loop) {
    cre_loop_stats stats;
    cre_loop_get_stats(loop, &stats, sizeof stats);
    return stats;
}

TEST(the_longest_turn_is_known) {
    cre_loop *loop = make_loop();
    uint64_t shortly = 1000000, longer = 20000000;
    CHECK_EQ(stats_of(loop).turns, 0);
    CHECK_EQ(cre_loop_post(loop, work, &longer), 0);
    turn(loop);
    turn(loop); /* a turn is counted when the next one begins */
    CHECK_EQ(cre_loop_post(loop, work, &shortly), 0);
    turn(loop);
    turn(loop);
    cre_loop_stats stats = stats_of(loop);
    CHECK(stats.turns >= 2);
    CHECK(stats.longest_ns >= longer);
    CHECK(stats.work_ns >= stats.longest_ns + shortly);
    cre_loop_destroy(loop);
}

TEST(classes_of_durations_ascend) {
    for (uint32_t i = 1; i < CRE_TIME_CLASSES; i++)
        CHECK(cre_time_limit(i) > cre_time_limit(i - 1));
    CHECK_EQ(cre_time_limit(0), 10000);
    CHECK_EQ(cre_time_limit(CRE_TIME_CLASSES - 1), UINT64_MAX);
    CHECK_EQ(cre_time_limit(CRE_TIME_CLASSES), 0);
    CHECK_EQ(cre__time_class(0), 0);
    for (uint32_t i = 0; i < CRE_TIME_CLASSES - 1; i++) {
        CHECK_EQ(cre__time_class(cre_time_limit(i)), i);
        CHECK_EQ(cre__time_class(cre_time_limit(i) + 1), i + 1);
    }
    CHECK_EQ(cre__time_class(UINT64_MAX), CRE_TIME_CLASSES - 1);
}

TEST(turns_are_counted_by_their_duration) {
    cre_loop *loop = make_loop();
    uint64_t duration = 6000000;
    uint32_t class = cre__time_class(duration);
    CHECK_EQ(cre_loop_post(loop, work, &duration), 0);
    turn(loop);
    turn(loop);
    cre_loop_stats stats = stats_of(loop);
    uint64_t turns = 0, long_ones = 0;
    for (uint32_t i = 0; i < CRE_TIME_CLASSES; i++) {
        turns += stats.turns_by_time[i];
        if (i >= class) long_ones += stats.turns_by_time[i];
    }
    CHECK_EQ(turns, stats.turns);
    CHECK(long_ones >= 1);
    cre_loop_destroy(loop);
}

TEST(waiting_does_not_count_as_work) {
    cre_loop *loop = running = make_loop();
    cre_timer *timer;
    int once = 1;
    uint64_t begin = uv_hrtime();
    CHECK_EQ(cre_timer_start(loop, 300, 0, fire, &once, &timer), 0);
    cre_loop_run(loop);
    uint64_t all = uv_hrtime() - begin;
    turn(loop);
    CHECK(all >= 300000000);
    CHECK(stats_of(loop).work_ns < all - 250000000);
    cre_loop_destroy(loop);
}

TEST(each_allocation_may_fail) {
    test_fail_each_allocation(whole_life);
}

TEST_MAIN()
