/* What the library uses of libuv, on the machine's clock and kernel: timers, asynchronous wake-ups and
 * handles that close. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "machine.h"

enum { ACTIVE = 1, CLOSING = 2, CLOSED = 8 };
enum { MOST_HANDLES = 256 };

/* A loop's handles are a list through handle_queue[0], the newest first. */
static uv_handle_t *next_of(const uv_handle_t *handle) {
    return handle->handle_queue[0];
}

static void init(uv_loop_t *loop, uv_handle_t *handle, uv_handle_type type) {
    handle->loop = loop;
    handle->type = type;
    handle->flags = 0;
    handle->handle_queue[0] = loop->handle_queue[0];
    loop->handle_queue[0] = handle;
}

/* ---- loops ---- */

int uv_loop_init(uv_loop_t *loop) {
    memset(loop, 0, sizeof *loop);
    loop->time = machine_now() / 1000000u;
    loop->backend_fd = kernel_make_signal();
    return 0;
}

int uv_loop_close(uv_loop_t *loop) {
    if (loop->handle_queue[0]) return UV_EBUSY;
    kernel_free_signal(loop->backend_fd);
    return 0;
}

int uv_backend_fd(const uv_loop_t *loop) {
    return loop->backend_fd;
}

uint64_t uv_now(const uv_loop_t *loop) {
    return loop->time;
}

void uv_update_time(uv_loop_t *loop) {
    loop->time = machine_now() / 1000000u;
}

void uv_walk(uv_loop_t *loop, uv_walk_cb visit, void *context) {
    for (uv_handle_t *it = loop->handle_queue[0], *next; it; it = next) {
        next = next_of(it);
        visit(it, context);
    }
}

int uv_is_closing(const uv_handle_t *handle) {
    return (handle->flags & (CLOSING | CLOSED)) != 0;
}

void uv_close(uv_handle_t *handle, uv_close_cb closed) {
    if (handle->flags & CLOSING) abort();
    handle->flags = CLOSING;
    handle->close_cb = closed;
}

/* ---- handles ---- */

int uv_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb callback) {
    init(loop, (uv_handle_t *)handle, UV_ASYNC);
    handle->async_cb = callback;
    handle->pending = 0;
    handle->flags |= ACTIVE;
    return 0;
}

int uv_async_send(uv_async_t *handle) {
    machine_step();
    handle->pending = 1;
    kernel_set_signal(handle->loop->backend_fd, true);
    return 0;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *handle) {
    init(loop, (uv_handle_t *)handle, UV_TIMER);
    return 0;
}

int uv_timer_start(uv_timer_t *handle, uv_timer_cb callback, uint64_t timeout, uint64_t repeat) {
    if (handle->flags & CLOSING) return UV_EINVAL;
    handle->timer_cb = callback;
    handle->timeout = handle->loop->time + timeout;
    handle->repeat = repeat;
    handle->start_id = handle->loop->timer_counter++;
    handle->flags |= ACTIVE;
    return 0;
}

/* ---- a turn ---- */

static uv_timer_t *next_timer(const uv_loop_t *loop) {
    uv_timer_t *first = NULL;
    for (uv_handle_t *it = loop->handle_queue[0]; it; it = next_of(it)) {
        uv_timer_t *timer = (uv_timer_t *)it;
        if (it->type != UV_TIMER || !(it->flags & ACTIVE)) continue;
        if (!first || timer->timeout < first->timeout ||
            (timer->timeout == first->timeout && timer->start_id < first->start_id))
            first = timer;
    }
    return first;
}

static void run_timers(uv_loop_t *loop) {
    for (;;) {
        uv_timer_t *timer = next_timer(loop);
        if (!timer || timer->timeout > loop->time) return;
        timer->flags &= ~(unsigned)ACTIVE;
        if (timer->repeat) uv_timer_start(timer, timer->timer_cb, timer->repeat, timer->repeat);
        timer->timer_cb(timer);
    }
}

static bool has_closing(const uv_loop_t *loop) {
    for (uv_handle_t *it = loop->handle_queue[0]; it; it = next_of(it))
        if (it->flags & CLOSING) return true;
    return false;
}

static void run_closing(uv_loop_t *loop) {
    uv_handle_t *closing = NULL;
    void **at = &loop->handle_queue[0];
    while (*at) {
        uv_handle_t *it = *at;
        if (!(it->flags & CLOSING)) {
            at = &it->handle_queue[0];
            continue;
        }
        *at = it->handle_queue[0];
        it->handle_queue[0] = closing;
        closing = it;
    }
    while (closing) {
        uv_handle_t *next = next_of(closing);
        closing->flags = CLOSED;
        if (closing->close_cb) closing->close_cb(closing);
        closing = next;
    }
}

int uv_backend_timeout(const uv_loop_t *loop) {
    const uv_timer_t *timer = next_timer(loop);
    if (has_closing(loop)) return 0;
    if (!timer) return -1;
    return timer->timeout > loop->time ? (int)(timer->timeout - loop->time) : 0;
}

static void deliver(uv_loop_t *loop) {
    uv_async_t *found[MOST_HANDLES];
    uint32_t count = 0;
    kernel_set_signal(loop->backend_fd, false);
    for (uv_handle_t *it = loop->handle_queue[0]; it; it = next_of(it)) {
        if (it->type != UV_ASYNC || !(it->flags & ACTIVE) || !((uv_async_t *)it)->pending) continue;
        if (count == MOST_HANDLES) abort();
        found[count++] = (uv_async_t *)it;
    }
    const uint32_t first = count > 1 ? machine_below(count) : 0;
    for (uint32_t n = 0; n < count; n++) {
        uv_async_t *async = found[(n + first) % count];
        if (!(async->flags & ACTIVE)) continue;
        async->pending = 0;
        async->async_cb(async);
    }
}

int uv_run(uv_loop_t *loop, uv_run_mode mode) {
    do {
        uv_update_time(loop);
        run_timers(loop);
        machine_step();
        deliver(loop);
        run_closing(loop);
    } while (mode == UV_RUN_DEFAULT && loop->handle_queue[0]);
    return loop->handle_queue[0] != NULL;
}

/* ---- of loops of programs, of which the machine has none ---- */

#pragma GCC diagnostic ignored "-Wunused-parameter"

#define UNUSED(name, ...)        \
    int uv_##name(__VA_ARGS__) { \
        abort();                 \
    }
UNUSED(poll_init, uv_loop_t *loop, uv_poll_t *handle, int descriptor)
UNUSED(poll_start, uv_poll_t *handle, int events, uv_poll_cb callback)
UNUSED(prepare_init, uv_loop_t *loop, uv_prepare_t *handle)
UNUSED(prepare_start, uv_prepare_t *handle, uv_prepare_cb callback)
UNUSED(check_init, uv_loop_t *loop, uv_check_t *handle)
UNUSED(check_start, uv_check_t *handle, uv_check_cb callback)
UNUSED(idle_init, uv_loop_t *loop, uv_idle_t *handle)
UNUSED(idle_start, uv_idle_t *handle, uv_idle_cb callback)
UNUSED(idle_stop, uv_idle_t *handle)

void uv_stop(uv_loop_t *loop) {
    abort();
}

void uv_ref(uv_handle_t *handle) {
    abort();
}

void uv_unref(uv_handle_t *handle) {
    abort();
}
