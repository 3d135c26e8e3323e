/* Timers and watched descriptors: one libuv handle each, for the few that a process has. Connections do not
 * use them; their timeouts are in the engine's timer wheel. */
#include <creactor/error.h>
#include <stddef.h>

#include "core/memory.h"
#include "loop/loop_internal.h"

struct cre_timer {
    uv_timer_t uv;
    void (*fire)(void *context, cre_timer *timer);
    void *context;
};

struct cre_watch {
    uv_poll_t uv;
    cre_loop *loop;
    void (*ready)(void *context, int descriptor);
    void *context;
    int descriptor;
};

static void free_handle(uv_handle_t *handle) {
    cre__free(handle->data);
}

static void on_timer(uv_timer_t *handle) {
    cre_timer *timer = handle->data;
    timer->fire(timer->context, timer);
}

int cre_timer_start(cre_loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                    void (*fire)(void *context, cre_timer *timer), void *context, cre_timer **out) {
    cre_timer *timer = cre__calloc(1, sizeof *timer);
    if (!timer) return CRE_ENOMEM;
    uv_timer_init(cre__loop_uv(loop), &timer->uv);
    timer->uv.data = timer;
    timer->fire = fire;
    timer->context = context;
    uv_update_time(cre__loop_uv(loop));
    uv_timer_start(&timer->uv, on_timer, delay_ms, repeat_ms);
    *out = timer;
    return 0;
}

void cre_timer_stop(cre_timer *timer) {
    if (timer) uv_close((uv_handle_t *)&timer->uv, free_handle);
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    (void)status;
    (void)events;
    cre_watch *watch = handle->data;
    cre__loop_begin(watch->loop);
    watch->ready(watch->context, watch->descriptor);
}

int cre_watch_start(cre_loop *loop, int descriptor, void (*ready)(void *context, int descriptor),
                    void *context, cre_watch **out) {
    cre_watch *watch = cre__calloc(1, sizeof *watch);
    if (!watch) return CRE_ENOMEM;
    int result = uv_poll_init(cre__loop_uv(loop), &watch->uv, descriptor);
    if (result) {
        cre__free(watch);
        return result;
    }
    watch->uv.data = watch;
    watch->loop = loop;
    watch->ready = ready;
    watch->context = context;
    watch->descriptor = descriptor;
    uv_poll_start(&watch->uv, UV_READABLE, on_poll);
    *out = watch;
    return 0;
}

void cre_watch_stop(cre_watch *watch) {
    if (watch) uv_close((uv_handle_t *)&watch->uv, free_handle);
}
