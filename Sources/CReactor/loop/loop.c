#include "loop/loop_internal.h"

#include <creactor/error.h>
#include <creactor/uv.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "core/config.h"
#include "core/memory.h"
#include "core/times.h"

typedef struct posted {
    struct posted *next;
    void (*run)(void *context);
    void *context;
} posted;

struct cre_loop {
    cre__loop_head head; /* first */
    uv_loop_t *uv;       /* `own`, or the loop of the program */
    uv_loop_t own;
    cre__poller poller;
    cre__watcher libuv; /* of its descriptor */
    bool libuv_ready;   /* it has something to do in this turn */
    bool libuv_changed; /* `libuv_due` is no longer known */
    uint64_t libuv_due; /* when it has something to do, by its clock; 0: at once, UINT64_MAX: no timer runs */
    bool ended;         /* cre_loop_run returns after this turn */
    uv_async_t wake;
    /* Of an adopted loop, which closes them one by one: */
    int open;
    uv_poll_t poll; /* of the poller */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t stay_awake; /* active: poll without sleeping */
    bool awake;           /* it is active */
    cre__timer_phase timers;
    cre_watch *watches;
    cre__hook *hooks[CRE__PHASES];
    cre__hook *next_hook;    /* while hooks run */
    _Atomic(posted *) posts; /* a stack, reversed before it runs */
    atomic_bool stopping;
    uint64_t began; /* when the work of this turn began; 0: not yet */
    cre_loop_stats stats;
    cre_loop_stats *published; /* NULL, or where they are published for other processes */
    cre_loop_stats before;     /* the values found there at first */
    uint64_t *turns_by_time; /* where turns are counted by their duration: those of `stats` or `published` */
};

/* ---- the duration of turns ---- */

_Static_assert((int)CRE_TIME_CLASSES == (int)CRE__TIME_CLASSES, "the header has the number of classes");

uint64_t cre_time_limit(uint32_t time_class) {
    return time_class < CRE__TIME_CLASSES ? cre__time_limits[time_class] : 0;
}

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_adopted(const cre_loop *loop) {
    return loop->head.program != NULL;
}

void cre__loop_begin(cre_loop *loop) {
    loop->head.needs_flush = true;
    if (!loop->began) loop->began = clock_ns();
    /* In callbacks of libuv the clock of the loop is never behind that of libuv. */
    if (uv_now(loop->uv) > loop->head.now) loop->head.now = uv_now(loop->uv);
}

static void publish(const cre_loop *loop, cre_loop_stats *where) {
    const cre_loop_stats *own = &loop->stats, *before = &loop->before;
    __atomic_store_n(&where->turns, before->turns + own->turns, __ATOMIC_RELAXED);
    __atomic_store_n(&where->work_ns, before->work_ns + own->work_ns, __ATOMIC_RELAXED);
}

static void longest_turn(cre_loop *loop, uint64_t spent) {
    loop->stats.longest_ns = spent;
    if (loop->published && spent > loop->before.longest_ns)
        __atomic_store_n(&loop->published->longest_ns, spent, __ATOMIC_RELAXED);
}

static void end_turn(cre_loop *loop) {
    if (!loop->began) return;
    const uint64_t end = clock_ns(), spent = end - loop->began;
    loop->head.now = end / 1000000u;
    loop->began = 0;
    loop->stats.turns++;
    loop->stats.work_ns += spent;
    if (__builtin_expect(spent > loop->stats.longest_ns, 0)) longest_turn(loop, spent);
    uint64_t *count = &loop->turns_by_time[cre__time_class(spent)];
    __atomic_store_n(count, __atomic_load_n(count, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    if (loop->published) publish(loop, loop->published);
}

static cre_loop_stats own_stats(const cre_loop *loop) {
    cre_loop_stats own = loop->stats;
    for (int i = 0; loop->published && i < CRE__TIME_CLASSES; i++)
        own.turns_by_time[i] = __atomic_load_n(&loop->published->turns_by_time[i], __ATOMIC_RELAXED) -
                               loop->before.turns_by_time[i];
    return own;
}

void cre__loop_publish_stats(cre_loop *loop, cre_loop_stats *where) {
    loop->stats = own_stats(loop);
    loop->published = where;
    loop->turns_by_time = where ? where->turns_by_time : loop->stats.turns_by_time;
    if (!where) return;
    loop->before = *where;
    loop->stats = (cre_loop_stats){ 0 };
}

void cre_loop_get_stats(const cre_loop *loop, cre_loop_stats *stats, size_t size) {
    cre_loop_stats own = own_stats(loop);
    cre__config_give(stats, size, &own, sizeof own);
}

/* ---- turns ---- */

static posted *take_posts(cre_loop *loop) {
    posted *stack = atomic_exchange_explicit(&loop->posts, NULL, memory_order_acquire), *queue = NULL;
    while (stack) {
        posted *next = stack->next;
        stack->next = queue;
        queue = stack;
        stack = next;
    }
    return queue;
}

static void on_wake(uv_async_t *handle) {
    cre_loop *loop = handle->data;
    cre__loop_begin(loop);
    for (posted *post = take_posts(loop); post;) {
        posted *next = post->next;
        post->run(post->context);
        cre__free(post);
        post = next;
    }
    if (!atomic_exchange(&loop->stopping, false)) return;
    loop->ended = true;
    if (is_adopted(loop)) uv_stop(loop->uv);
}

/* Runs the hooks of a phase; a hook may remove itself and any other. */
static void run_hooks(cre_loop *loop, cre__phase phase) {
    for (cre__hook *hook = loop->hooks[phase]; hook; hook = loop->next_hook) {
        loop->next_hook = hook->next;
        hook->run(hook);
    }
    loop->next_hook = NULL;
}

/* The first hook with work ends the search: the hooks behind it do not prepare to sleep. */
static bool may_sleep(cre_loop *loop) {
    for (cre__hook *hook = loop->hooks[CRE__ARM]; hook; hook = hook->next)
        if (hook->run(hook)) return false;
    return true;
}

static void run_phases(cre_loop *loop) {
    run_hooks(loop, CRE__DRAIN);
    run_hooks(loop, CRE__JOBS);
    /* The callbacks of a program on its own loop are unknown. */
    loop->head.needs_flush = is_adopted(loop);
    run_hooks(loop, CRE__FLUSH);
}

/* ---- turns of a loop that was created ---- */

static void on_libuv(cre__watcher *watcher, uint32_t events) {
    (void)events;
    ((cre_loop *)(void *)((char *)watcher - offsetof(cre_loop, libuv)))->libuv_ready = true;
}

/* Asks libuv when it has something to do. */
static __attribute__((noinline)) void look_at_libuv(cre_loop *loop) {
    const int timeout = uv_backend_timeout(loop->uv);
    loop->libuv_changed = false;
    loop->libuv_due = timeout > 0 ? uv_now(loop->uv) + (uint64_t)timeout : timeout < 0 ? UINT64_MAX : 0;
}

/* How long to sleep until `due`, in ms. */
static int time_until(const cre_loop *loop, uint64_t due) {
    if (due == UINT64_MAX) return -1;
    /* libuv's clock may be a little behind and has just called what was due by it. */
    if (due <= loop->head.now) return due && loop->libuv_ready;
    return due - loop->head.now < INT_MAX ? (int)(due - loop->head.now) : INT_MAX;
}

static __attribute__((noinline)) void run_libuv(cre_loop *loop) {
    loop->libuv_changed = true;
    uv_run(loop->uv, UV_RUN_NOWAIT);
}

void cre__loop_turn(cre_loop *loop, bool wait) {
    loop->timers.number++; /* each timer fires once in a turn */
    if (loop->head.needs_flush) run_hooks(loop, CRE__FLUSH);
    end_turn(loop);
    const bool sleeps = may_sleep(loop) && wait; /* this may start timers */
    if (loop->libuv_changed) look_at_libuv(loop);
    const uint64_t due = loop->libuv_due;
    cre__poller_wait(&loop->poller, sleeps ? time_until(loop, due) : 0);
    loop->began = clock_ns();
    loop->head.now = loop->began / 1000000u;
    loop->libuv_ready = due <= loop->head.now;
    cre__poller_deliver(&loop->poller);
    if (loop->libuv_ready) run_libuv(loop);
    run_phases(loop);
}

void cre__loop_update_time(cre_loop *loop) {
    uv_update_time(loop->uv);
    if (uv_now(loop->uv) > loop->head.now) loop->head.now = uv_now(loop->uv);
}

/* ---- turns of an adopted loop ---- */

static void on_poll(uv_poll_t *handle, int status, int events) {
    (void)status;
    (void)events;
    cre_loop *loop = handle->data;
    cre__loop_begin(loop);
    cre__poller_wait(&loop->poller, 0);
    cre__poller_deliver(&loop->poller);
}

static void on_idle(uv_idle_t *handle) {
    (void)handle;
}

static void on_check(uv_check_t *handle) {
    cre_loop *loop = handle->data;
    cre__loop_begin(loop);
    run_phases(loop);
}

static void on_prepare(uv_prepare_t *handle) {
    cre_loop *loop = handle->data;
    loop->timers.number++; /* libuv calls timers before this */
    if (loop->head.needs_flush) run_hooks(loop, CRE__FLUSH);
    end_turn(loop);
    bool awake = !may_sleep(loop);
    if (awake == loop->awake) return;
    loop->awake = awake;
    if (awake)
        uv_idle_start(&loop->stay_awake, on_idle);
    else
        uv_idle_stop(&loop->stay_awake);
}

/* ---- creation and destruction ---- */

static cre_loop *make_loop(uv_loop_t *uv) {
    cre_loop *loop = cre__calloc(1, sizeof *loop);
    if (!loop) return NULL;
    loop->head.program = uv;
    loop->uv = uv ? uv : &loop->own;
    loop->turns_by_time = loop->stats.turns_by_time;
    loop->head.needs_flush = loop->libuv_changed = true;
    loop->wake.data = loop->poll.data = loop->prepare.data = loop->check.data = loop->stay_awake.data = loop;
    return loop;
}

/* libuv's descriptor is one of those that the loop watches. */
static int open_own(cre_loop *loop) {
    int result = uv_loop_init(loop->uv);
    if (result) return result;
    result = uv_async_init(loop->uv, &loop->wake, on_wake);
    if (!result) {
        loop->libuv.ready = on_libuv;
        result = cre__poller_add(&loop->poller, uv_backend_fd(loop->uv), &loop->libuv, EPOLLIN);
        if (!result) {
            uv_run(loop->uv, UV_RUN_NOWAIT); /* has it watch its own descriptors */
            loop->head.now = uv_now(loop->uv);
            return 0;
        }
        uv_close((uv_handle_t *)&loop->wake, NULL);
        uv_run(loop->uv, UV_RUN_NOWAIT);
    }
    uv_loop_close(loop->uv);
    return result;
}

int cre_loop_create(cre_loop **out) {
    cre_loop *loop = make_loop(NULL);
    if (!loop) return CRE_ENOMEM;
    int result = cre__poller_open(&loop->poller);
    if (!result) {
        result = open_own(loop);
        if (result) cre__poller_close(&loop->poller);
    }
    if (result) {
        cre__free(loop);
        return result;
    }
    *out = loop;
    return 0;
}

static void on_left(uv_handle_t *handle) {
    cre_loop *loop = handle->data;
    if (--loop->open == 0) cre__free(loop);
}

/* The poller's descriptor is one of those that the program's loop watches. */
static int open_adopted(cre_loop *loop) {
    int result = uv_async_init(loop->uv, &loop->wake, on_wake);
    if (result) {
        cre__free(loop);
        return result;
    }
    loop->open = 1;
    result = uv_poll_init(loop->uv, &loop->poll, loop->poller.descriptor);
    if (result) {
        uv_close((uv_handle_t *)&loop->wake, on_left);
        return result;
    }
    uv_prepare_init(loop->uv, &loop->prepare);
    uv_check_init(loop->uv, &loop->check);
    uv_idle_init(loop->uv, &loop->stay_awake);
    loop->open = 5;
    /* The handles of this loop alone must not keep the program's loop running. */
    uv_unref((uv_handle_t *)&loop->wake);
    uv_unref((uv_handle_t *)&loop->poll);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->stay_awake);
    uv_poll_start(&loop->poll, UV_READABLE, on_poll);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    return 0;
}

int cre_loop_adopt(uv_loop_t *uv, cre_loop **out) {
    cre_loop *loop = make_loop(uv);
    if (!loop) return CRE_ENOMEM;
    int result = cre__poller_open(&loop->poller), descriptor = loop->poller.descriptor;
    if (result) {
        cre__free(loop);
        return result;
    }
    result = open_adopted(loop);
    if (result)
        close(descriptor); /* the loop may be gone */
    else
        *out = loop;
    return result;
}

static void free_owner(uv_handle_t *handle) {
    cre__free(handle->data);
}

/* Closes timers and job queues that were not stopped: each is one allocation, to which `data` points. */
static void close_handle(uv_handle_t *handle, void *context) {
    if (!uv_is_closing(handle)) uv_close(handle, handle->data == context ? NULL : free_owner);
}

static void drop_posts(cre_loop *loop) {
    for (posted *post = take_posts(loop); post;) {
        posted *next = post->next;
        cre__free(post);
        post = next;
    }
}

/* Detaches from the program's loop, which frees the memory after it has closed the handles. */
static void leave(cre_loop *loop) {
    drop_posts(loop);
    uv_close((uv_handle_t *)&loop->wake, on_left);
    uv_close((uv_handle_t *)&loop->poll, on_left);
    cre__poller_close(&loop->poller);
    uv_close((uv_handle_t *)&loop->prepare, on_left);
    uv_close((uv_handle_t *)&loop->check, on_left);
    uv_close((uv_handle_t *)&loop->stay_awake, on_left);
}

void cre_loop_destroy(cre_loop *loop) {
    if (!loop) return;
    for (int phase = 0; phase < CRE__PHASES; phase++)
        loop->hooks[phase] = NULL;
    if (is_adopted(loop)) {
        leave(loop);
        return;
    }
    while (loop->watches)
        cre_watch_stop(loop->watches);
    uv_walk(loop->uv, close_handle, loop);
    uv_run(loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(loop->uv);
    cre__poller_close(&loop->poller);
    drop_posts(loop);
    cre__free(loop);
}

int cre_loop_run(cre_loop *loop) {
    loop->head.needs_flush = true;
    if (is_adopted(loop)) {
        uv_run(loop->uv, UV_RUN_DEFAULT);
        return 0;
    }
    cre__loop_update_time(loop);
    do
        cre__loop_turn(loop, true);
    while (!loop->ended);
    loop->ended = false;
    return 0;
}

void cre_loop_stop(cre_loop *loop) {
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->wake);
}

uint64_t cre_loop_now(const cre_loop *loop) {
    return cre__loop_now(loop);
}

int cre_loop_post(cre_loop *loop, void (*run)(void *context), void *context) {
    posted *post = cre__malloc(sizeof *post);
    if (!post) return CRE_ENOMEM;
    post->run = run;
    post->context = context;
    post->next = atomic_load_explicit(&loop->posts, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&loop->posts, &post->next, post, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    uv_async_send(&loop->wake);
    return 0;
}

void cre__loop_add_hook(cre_loop *loop, cre__phase phase, cre__hook *hook) {
    cre__hook **at = &loop->hooks[phase];
    while (*at)
        at = &(*at)->next;
    hook->next = NULL;
    *at = hook;
}

void cre__loop_remove_hook(cre_loop *loop, cre__phase phase, cre__hook *hook) {
    if (loop->next_hook == hook) loop->next_hook = hook->next;
    for (cre__hook **at = &loop->hooks[phase]; *at; at = &(*at)->next) {
        if (*at != hook) continue;
        *at = hook->next;
        return;
    }
}

uv_loop_t *cre__loop_uv(cre_loop *loop) {
    loop->libuv_changed = true;
    return loop->uv;
}

void cre__loop_close(cre_loop *loop, uv_handle_t *handle, uv_close_cb closed) {
    loop->libuv_changed = true;
    uv_close(handle, closed);
}

int cre__loop_watch(cre_loop *loop, int descriptor, cre__watcher *watcher, uint32_t events) {
    int result = cre__poller_add(&loop->poller, descriptor, watcher, events);
    if (!result && is_adopted(loop)) uv_ref((uv_handle_t *)&loop->poll); /* descriptors keep it running */
    return result;
}

void cre__loop_rewatch(cre_loop *loop, int descriptor, cre__watcher *watcher, uint32_t events) {
    cre__poller_change(&loop->poller, descriptor, watcher, events);
}

void cre__loop_unwatch(cre_loop *loop, int descriptor, cre__watcher *watcher) {
    cre__poller_remove(&loop->poller, descriptor, watcher);
    if (is_adopted(loop) && !loop->poller.watched) uv_unref((uv_handle_t *)&loop->poll);
}

int cre__loop_descriptor(const cre_loop *loop) {
    return loop->poller.descriptor;
}

cre_watch **cre__loop_watches(cre_loop *loop) {
    return &loop->watches;
}

cre__timer_phase *cre__loop_timers(cre_loop *loop) {
    return &loop->timers;
}
