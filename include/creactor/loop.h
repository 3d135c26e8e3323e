/*
 * A loop: one thread's sockets, timers and posted work, on libuv.
 *
 * Unless it says "any thread", a function may be called only by the thread that runs the loop (or, before it
 * runs, by the one that created it). Callbacks run on the loop's thread and never before the call that set
 * them returned.
 */
#ifndef CREACTOR_LOOP_H
#define CREACTOR_LOOP_H

#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

typedef struct cre_loop cre_loop;
typedef struct cre_timer cre_timer;
typedef struct cre_watch cre_watch;

/** What the turns of a loop have cost: for so long whatever else came had to wait. */
typedef struct cre_loop_stats {
    uint64_t turns;      /* in which something was done */
    uint64_t work_ns;    /* time from the first callback of a turn to its end, over all turns */
    uint64_t longest_ns; /* of one turn */
} cre_loop_stats;

/** Makes a loop. Make it in the process that runs it: a loop does not survive a fork. Returns 0 or an error.
 */
CRE_API int cre_loop_create(cre_loop **loop);

/** Stops and frees the timers, watches and job queues that are left, and frees the loop. It must not be
 * running, and its engines and nodes must have been destroyed. */
CRE_API void cre_loop_destroy(cre_loop *loop);

/** Runs until cre_loop_stop. Returns 0. May be called again. */
CRE_API int cre_loop_run(cre_loop *loop);

/** Makes cre_loop_run return after the current turn. Any thread, and signal handlers. */
CRE_API void cre_loop_stop(cre_loop *loop);

/** The loop's clock in milliseconds, taken once per turn; its zero is arbitrary. */
CRE_API uint64_t cre_loop_now(const cre_loop *loop);

/** Since the loop was made, up to the end of the last turn. */
CRE_API cre_loop_stats cre_loop_get_stats(const cre_loop *loop);

/** Runs `run(context)` on the loop's thread soon, in the order of the posts of one thread. Any thread.
 * Returns 0 or CRE_ENOMEM. Posts that never ran are dropped when the loop is destroyed. */
CRE_API int cre_loop_post(cre_loop *loop, void (*run)(void *context), void *context);

/** Fires after `delay_ms`, then each `repeat_ms` unless that is 0. The timer is freed by cre_timer_stop only,
 * which may be called from its own callback. Returns 0 or an error. */
CRE_API int cre_timer_start(cre_loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                            void (*fire)(void *context, cre_timer *timer), void *context, cre_timer **timer);
CRE_API void cre_timer_stop(cre_timer *timer);

/** Calls `ready` while `descriptor` is readable. The descriptor stays the caller's, who closes it after
 * cre_watch_stop. Returns 0 or an error. */
CRE_API int cre_watch_start(cre_loop *loop, int descriptor, void (*ready)(void *context, int descriptor),
                            void *context, cre_watch **watch);
CRE_API void cre_watch_stop(cre_watch *watch);

CRE_END_DECLS

#endif
