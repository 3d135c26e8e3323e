/* What the library uses of libuv, on the machine's clock and kernel, in the order of libuv's own turns. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "machine.h"

enum { ACTIVE = 1, CLOSING = 2, UNREFERENCED = 4, CLOSED = 8 };
enum { MOST_HANDLES = 256 };

/* A loop's handles are a list through handle_queue[0], the newest first. `active_reqs.unused[0]`: its thread.
 */
static thread *thread_of(const uv_loop_t *loop) {
    return loop->active_reqs.unused;
}

thread *machine_thread_of(uv_loop_t *loop) {
    return thread_of(loop);
}

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

static void wake_loop(const uv_loop_t *loop) {
    machine_wake(thread_of(loop));
}

/* ---- loops ---- */

int uv_loop_init(uv_loop_t *loop) {
    memset(loop, 0, sizeof *loop);
    loop->time = machine_now() / 1000000u;
    return 0;
}

int uv_loop_close(uv_loop_t *loop) {
    return loop->handle_queue[0] ? UV_EBUSY : 0;
}

void uv_stop(uv_loop_t *loop) {
    loop->stop_flag = 1;
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

void uv_unref(uv_handle_t *handle) {
    handle->flags |= UNREFERENCED;
}

int uv_is_closing(const uv_handle_t *handle) {
    return (handle->flags & (CLOSING | CLOSED)) != 0;
}

void uv_close(uv_handle_t *handle, uv_close_cb closed) {
    if (handle->flags & CLOSING) abort();
    handle->flags = (handle->flags & ~(unsigned)ACTIVE) | CLOSING;
    handle->close_cb = closed;
    if (handle->type == UV_POLL) kernel_watch(((uv_poll_t *)handle)->io_watcher.fd, NULL);
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
    wake_loop(handle->loop);
    return 0;
}

#define PHASE(name, type)                                                   \
    int uv_##name##_init(uv_loop_t *loop, uv_##name##_t *handle) {          \
        init(loop, (uv_handle_t *)handle, type);                            \
        return 0;                                                           \
    }                                                                       \
    int uv_##name##_start(uv_##name##_t *handle, uv_##name##_cb callback) { \
        handle->name##_cb = callback;                                       \
        handle->flags |= ACTIVE;                                            \
        return 0;                                                           \
    }
PHASE(prepare, UV_PREPARE)
PHASE(check, UV_CHECK)
PHASE(idle, UV_IDLE)

int uv_idle_stop(uv_idle_t *handle) {
    handle->flags &= ~(unsigned)ACTIVE;
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

int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int descriptor) {
    init(loop, (uv_handle_t *)handle, UV_POLL);
    handle->io_watcher.fd = descriptor;
    handle->io_watcher.pevents = 0;
    kernel_watch(descriptor, handle);
    return 0;
}

int uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb callback) {
    handle->poll_cb = callback;
    handle->io_watcher.pevents = (unsigned)events;
    handle->flags |= ACTIVE;
    return 0;
}

int uv_poll_stop(uv_poll_t *handle) {
    handle->flags &= ~(unsigned)ACTIVE;
    return 0;
}

/* ---- a turn ---- */

static size_t handles_of(uv_loop_t *loop, uv_handle_type type, uv_handle_t **out) {
    size_t count = 0;
    for (uv_handle_t *it = loop->handle_queue[0]; it; it = next_of(it)) {
        if (it->type != type || !(it->flags & ACTIVE)) continue;
        if (count == MOST_HANDLES) abort();
        out[count++] = it;
    }
    return count;
}

static uv_timer_t *next_timer(uv_loop_t *loop) {
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

static void run_phase(uv_loop_t *loop, uv_handle_type type) {
    uv_handle_t *handles[4];
    size_t count = handles_of(loop, type, handles);
    for (size_t i = 0; i < count; i++) {
        if (!(handles[i]->flags & ACTIVE)) continue;
        if (type == UV_PREPARE) ((uv_prepare_t *)handles[i])->prepare_cb((uv_prepare_t *)handles[i]);
        if (type == UV_CHECK) ((uv_check_t *)handles[i])->check_cb((uv_check_t *)handles[i]);
        if (type == UV_IDLE) ((uv_idle_t *)handles[i])->idle_cb((uv_idle_t *)handles[i]);
    }
}

static int ready(const uv_handle_t *it) {
    if (!(it->flags & ACTIVE)) return 0;
    if (it->type == UV_ASYNC) return ((const uv_async_t *)it)->pending;
    if (it->type != UV_POLL) return 0;
    const uv_poll_t *poll = (const uv_poll_t *)it;
    return kernel_ready(poll->io_watcher.fd, (int)poll->io_watcher.pevents);
}

static bool any_ready(uv_loop_t *loop) {
    for (uv_handle_t *it = loop->handle_queue[0]; it; it = next_of(it))
        if (ready(it)) return true;
    return false;
}

static void deliver(uv_loop_t *loop) {
    uv_handle_t *found[MOST_HANDLES];
    int events[MOST_HANDLES];
    size_t count = 0;
    for (uv_handle_t *it = loop->handle_queue[0]; it; it = next_of(it)) {
        const int of = ready(it);
        if (!of) continue;
        if (count == MOST_HANDLES) abort();
        found[count] = it;
        events[count++] = of;
    }
    /* The kernel reports descriptors in no order that one may rely on. */
    const size_t first = count > 1 ? machine_below((uint32_t)count) : 0;
    for (size_t n = 0; n < count; n++) {
        const size_t i = (n + first) % count;
        uv_handle_t *it = found[i];
        if (!(it->flags & ACTIVE)) continue;
        if (it->type == UV_ASYNC) {
            uv_async_t *async = (uv_async_t *)it;
            async->pending = 0;
            async->async_cb(async);
            continue;
        }
        uv_poll_t *poll = (uv_poll_t *)it;
        if (events[i] < 0) {
            uv_poll_stop(poll);
            poll->poll_cb(poll, UV_EBADF, 0);
        } else if (events[i] & (int)poll->io_watcher.pevents) {
            poll->poll_cb(poll, 0, events[i] & (int)poll->io_watcher.pevents);
        }
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

static bool is_alive(const uv_loop_t *loop) {
    for (uv_handle_t *it = loop->handle_queue[0]; it; it = next_of(it))
        if (it->flags & CLOSING || (it->flags & (ACTIVE | UNREFERENCED)) == ACTIVE) return true;
    return false;
}

static bool is_idle(uv_loop_t *loop) {
    uv_handle_t *handles[4];
    return handles_of(loop, UV_IDLE, handles) == 0 && !has_closing(loop) && !loop->stop_flag;
}

extern thread *machine_current(void);

int uv_run(uv_loop_t *loop, uv_run_mode mode) {
    loop->active_reqs.unused = machine_current();
    while (is_alive(loop) && !loop->stop_flag) {
        uv_update_time(loop);
        run_timers(loop);
        run_phase(loop, UV_IDLE);
        run_phase(loop, UV_PREPARE);
        machine_step();
        while (thread_of(loop) && is_idle(loop) && !any_ready(loop)) {
            const uv_timer_t *timer = next_timer(loop);
            if (timer && timer->timeout <= machine_now() / 1000000u) break;
            machine_block(timer ? timer->timeout * 1000000u : UINT64_MAX);
        }
        uv_update_time(loop);
        deliver(loop);
        run_phase(loop, UV_CHECK);
        run_closing(loop);
        if (mode != UV_RUN_DEFAULT) break;
    }
    loop->stop_flag = 0;
    return is_alive(loop);
}
