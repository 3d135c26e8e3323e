/* Watched descriptors: what is delivered, and what no longer is. */
#include <creactor/error.h>
#include <creactor/uv.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop_internal.h"
#include "test.h"

typedef struct watched {
    cre__watcher watcher; /* first */
    cre_loop *loop;
    int descriptor, calls;
    uint32_t events;
    struct watched *victim; /* freed by the call */
} watched;

static void on_ready(cre__watcher *watcher, uint32_t events) {
    watched *it = (watched *)(void *)watcher;
    it->calls++;
    it->events = events;
    watched *victim = it->victim;
    if (!victim) return;
    it->victim = victim->victim = NULL;
    cre__loop_unwatch(victim->loop, victim->descriptor, &victim->watcher);
    close(victim->descriptor);
    memset(victim, 0xEE, sizeof *victim);
    free(victim);
}

static watched *watch(cre_loop *loop, int descriptor, uint32_t events) {
    watched *it = calloc(1, sizeof *it);
    REQUIRE(it != NULL && descriptor >= 0);
    *it = (watched){ .watcher.ready = on_ready, .loop = loop, .descriptor = descriptor };
    REQUIRE(cre__loop_watch(loop, descriptor, &it->watcher, events) == 0);
    return it;
}

static void drop(watched *it) {
    cre__loop_unwatch(it->loop, it->descriptor, &it->watcher);
    close(it->descriptor);
    free(it);
}

static cre_loop *make_loop(void) {
    cre_loop *loop;
    REQUIRE(cre_loop_create(&loop) == 0);
    return loop;
}

static void turns(cre_loop *loop, int count) {
    while (count--)
        cre__loop_turn(loop, false);
}

TEST(events_are_delivered_while_they_last) {
    cre_loop *loop = make_loop();
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    watched *it = watch(loop, pair[0], EPOLLIN);
    turns(loop, 2);
    CHECK_EQ(it->calls, 0);
    REQUIRE(write(pair[1], "x", 1) == 1);
    turns(loop, 2);
    CHECK_EQ(it->calls, 2);
    CHECK_EQ(it->events, EPOLLIN);
    cre__loop_rewatch(loop, pair[0], &it->watcher, EPOLLOUT);
    turns(loop, 1);
    CHECK_EQ(it->calls, 3);
    CHECK_EQ(it->events, EPOLLOUT);
    cre__loop_rewatch(loop, pair[0], &it->watcher, 0);
    turns(loop, 3);
    CHECK_EQ(it->calls, 3);
    cre__loop_rewatch(loop, pair[0], &it->watcher, EPOLLIN);
    turns(loop, 1);
    CHECK_EQ(it->calls, 4);
    drop(it);
    close(pair[1]);
    cre_loop_destroy(loop);
}

/* The kernel reports them always. */
TEST(the_end_of_what_is_not_watched_does_not_keep_the_loop_busy) {
    cre_loop *loop = make_loop();
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    watched *it = watch(loop, pair[0], 0);
    close(pair[1]);
    turns(loop, 5);
    CHECK(it->calls <= 1);
    cre__loop_rewatch(loop, pair[0], &it->watcher, EPOLLIN);
    it->calls = 0;
    turns(loop, 1);
    CHECK_EQ(it->calls, 1);
    CHECK(it->events & EPOLLIN);
    drop(it);
    cre_loop_destroy(loop);
}

/* Both have an event in the same turn, and whoever comes first frees the other one. */
TEST(a_watcher_that_was_removed_is_not_called) {
    cre_loop *loop = make_loop();
    watched *a = watch(loop, eventfd(1, EFD_NONBLOCK), EPOLLIN);
    watched *b = watch(loop, eventfd(1, EFD_NONBLOCK), EPOLLIN);
    a->victim = b;
    b->victim = a;
    const int of_a = a->descriptor;
    cre__loop_turn(loop, false);
    bool has_a = fcntl(of_a, F_GETFD) >= 0;
    watched *left = has_a ? a : b;
    CHECK_EQ(left->calls, 1);
    drop(left);
    turns(loop, 2);
    cre_loop_destroy(loop);
}

TEST(more_descriptors_than_one_turn_delivers) {
    enum { COUNT = CRE__POLLED + 100 };
    static watched *all[COUNT];
    cre_loop *loop = make_loop();
    for (int i = 0; i < COUNT; i++)
        all[i] = watch(loop, eventfd(1, EFD_NONBLOCK), EPOLLIN);
    turns(loop, 2);
    int total = 0;
    for (int i = 0; i < COUNT; i++) {
        CHECK(all[i]->calls >= 1);
        total += all[i]->calls;
        drop(all[i]);
    }
    CHECK_EQ(total, 2 * CRE__POLLED);
    cre_loop_destroy(loop);
}

TEST(a_descriptor_that_cannot_be_watched) {
    cre_loop *loop = make_loop();
    int pair[2];
    REQUIRE(pipe(pair) == 0);
    watched *it = watch(loop, pair[0], EPOLLIN);
    cre__watcher other = { on_ready };
    CHECK_EQ(cre__loop_watch(loop, pair[0], &other, EPOLLIN), -EEXIST);
    CHECK_EQ(cre__loop_watch(loop, -1, &other, EPOLLIN), -EBADF);
    drop(it);
    close(pair[1]);
    cre_loop_destroy(loop);
}

static void count_call(void *context, int descriptor) {
    eventfd_t value;
    REQUIRE(eventfd_read(descriptor, &value) == 0);
    ++*(int *)context;
}

/* A loop of a program runs as long as a descriptor is watched, and serves it. */
TEST(an_adopted_loop_watches_descriptors) {
    uv_loop_t uv;
    cre_loop *loop;
    REQUIRE(uv_loop_init(&uv) == 0 && cre_loop_adopt(&uv, &loop) == 0);
    CHECK(!uv_loop_alive(&uv));
    int descriptor = eventfd(1, EFD_NONBLOCK), calls = 0;
    cre_watch *it;
    REQUIRE(cre_watch_start(loop, descriptor, count_call, &calls, &it) == 0);
    CHECK(uv_loop_alive(&uv));
    uv_run(&uv, UV_RUN_NOWAIT);
    uv_run(&uv, UV_RUN_NOWAIT);
    CHECK_EQ(calls, 1);
    REQUIRE(eventfd_write(descriptor, 1) == 0);
    uv_run(&uv, UV_RUN_ONCE);
    CHECK_EQ(calls, 2);
    cre_watch_stop(it);
    CHECK(!uv_loop_alive(&uv));
    close(descriptor);
    cre_loop_destroy(loop);
    uv_run(&uv, UV_RUN_DEFAULT);
    CHECK_EQ(uv_loop_close(&uv), 0);
}

static int fired;

static void fire(void *context, cre_timer *timer) {
    (void)context;
    (void)timer;
    fired++;
}

/* Without another event the loop knows when libuv's timers are due. */
TEST(a_timer_ends_the_sleep_of_a_loop) {
    cre_loop *loop = make_loop();
    for (uint64_t delay = 0; delay < 4; delay++) {
        int before = fired;
        const uint64_t began = cre_loop_now(loop);
        cre_timer *timer;
        REQUIRE(cre_timer_start(loop, delay, 0, fire, loop, &timer) == 0);
        while (fired == before)
            cre__loop_turn(loop, true);
        CHECK(cre_loop_now(loop) >= began + delay);
        cre_timer_stop(timer);
    }
    cre_loop_destroy(loop);
}

TEST_MAIN()
