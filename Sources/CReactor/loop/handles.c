/* Timers and watched descriptors, for the few that a process has. Connections do not use them: they have
 * watchers of their own, and their timeouts are in the engine's timer wheel. */
#include <creactor/error.h>
#include <stddef.h>

#include "core/memory.h"
#include "loop/loop_internal.h"

#define NEVER UINT64_MAX

struct cre_timer {
    uv_timer_t uv;
    cre_loop *loop;
    void (*fire)(void *context, cre_timer *timer);
    void *context;
    uint64_t due, repeat; /* milliseconds, by the loop's clock */
    uint64_t last_phase;  /* in which it fired, or was started by a timer's callback; NEVER */
};

struct cre_watch {
    cre__watcher watcher; /* first */
    cre_watch *next, **previous;
    cre_loop *loop;
    void (*ready)(void *context, int descriptor);
    void *context;
    int descriptor;
};

static void free_handle(uv_handle_t *handle) {
    cre__free(handle->data);
}

/*
 * libuv calls timers until none is due, and callbacks move its clock on. Once in each phase is enough: a slow
 * callback, or one that starts a timer without a delay, would keep the sockets from being served.
 */
static void on_timer(uv_timer_t *handle) {
    cre_timer *timer = handle->data;
    cre__loop_begin(timer->loop);
    cre__timer_phase *phase = cre__loop_timers(timer->loop);
    if (timer->last_phase == phase->number) {
        uv_timer_start(handle, on_timer, 1, 0);
        return;
    }
    timer->last_phase = phase->number;
    if (timer->repeat) {
        const uint64_t now = uv_now(handle->loop);
        timer->due = cre__timer_next_due(timer->due, timer->repeat, now);
        uv_timer_start(handle, on_timer, timer->due - now, 0);
    }
    phase->firing = true;
    timer->fire(timer->context, timer);
    phase->firing = false;
}

int cre_timer_start(cre_loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                    void (*fire)(void *context, cre_timer *timer), void *context, cre_timer **out) {
    cre_timer *timer = cre__calloc(1, sizeof *timer);
    if (!timer) return CRE_ENOMEM;
    uv_timer_init(cre__loop_uv(loop), &timer->uv);
    timer->uv.data = timer;
    timer->loop = loop;
    timer->fire = fire;
    timer->context = context;
    /* libuv's clock and the loop's may differ: the timer is not early by either. */
    cre__loop_update_time(loop);
    timer->due = cre_loop_now(loop) + delay_ms;
    timer->repeat = repeat_ms;
    const cre__timer_phase *phase = cre__loop_timers(loop);
    timer->last_phase = phase->firing ? phase->number : NEVER;
    uv_timer_start(&timer->uv, on_timer, timer->due - uv_now(cre__loop_uv(loop)), 0);
    *out = timer;
    return 0;
}

void cre_timer_stop(cre_timer *timer) {
    if (timer) cre__loop_close(timer->loop, (uv_handle_t *)&timer->uv, free_handle);
}

static void on_ready(cre__watcher *watcher, uint32_t events) {
    (void)events;
    cre_watch *watch = (cre_watch *)(void *)watcher;
    watch->ready(watch->context, watch->descriptor);
}

int cre_watch_start(cre_loop *loop, int descriptor, void (*ready)(void *context, int descriptor),
                    void *context, cre_watch **out) {
    cre_watch *watch = cre__calloc(1, sizeof *watch);
    if (!watch) return CRE_ENOMEM;
    watch->watcher.ready = on_ready;
    int result = cre__loop_watch(loop, descriptor, &watch->watcher, EPOLLIN);
    if (result) {
        cre__free(watch);
        return result;
    }
    watch->loop = loop;
    watch->ready = ready;
    watch->context = context;
    watch->descriptor = descriptor;
    watch->previous = cre__loop_watches(loop);
    watch->next = *watch->previous;
    if (watch->next) watch->next->previous = &watch->next;
    *watch->previous = watch;
    *out = watch;
    return 0;
}

void cre_watch_stop(cre_watch *watch) {
    if (!watch) return;
    cre__loop_unwatch(watch->loop, watch->descriptor, &watch->watcher);
    *watch->previous = watch->next;
    if (watch->next) watch->next->previous = watch->previous;
    cre__free(watch);
}
