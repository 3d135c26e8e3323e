/*
 * A loop: the sockets, timers and posted work of one thread, on libuv.
 *
 * Functions not marked "any thread" must be called by the thread that runs the loop or, before it runs, by
 * the thread that created it. Callbacks run on the loop's thread, never before the call that set them has
 * returned.
 */
#ifndef CREACTOR_LOOP_H
#define CREACTOR_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** The loop of one thread. */
typedef struct cre_loop cre_loop;
/** A timer of a loop. */
typedef struct cre_timer cre_timer;
/** A watched descriptor of a loop. */
typedef struct cre_watch cre_watch;

/** The number of classes of durations; see cre_time_limit. */
enum { CRE_TIME_CLASSES = 13 };

/** The cost of the turns of a loop. Everything else on the loop waits while a turn works. New counters are
 * added at the end. */
typedef struct cre_loop_stats {
    uint64_t turns;      /* times that the loop has woken up, or had work without sleeping */
    uint64_t work_ns;    /* from the first callback of a turn to its end, over all turns */
    uint64_t longest_ns; /* work of the longest turn */
    uint64_t turns_by_time[CRE_TIME_CLASSES]; /* turns, by the class of their duration */
} cre_loop_stats;

/** Creates a loop, in the process that runs it: a loop does not survive a fork. Returns 0 and *loop, which
 * the caller destroys, or CRE_ENOMEM or a system error. */
CRE_NODISCARD CRE_API int cre_loop_create(cre_loop **loop);

/** Stops and frees the remaining timers, watches and job queues, and frees the loop. The loop must not run,
 * and its engines and nodes must have been destroyed before. NULL is ignored. */
CRE_API void cre_loop_destroy(cre_loop *loop);

/** Runs the loop until cre_loop_stop; an adopted one also returns when nothing keeps it alive. Returns 0. The
 * loop may be run again afterwards. */
CRE_API int cre_loop_run(cre_loop *loop);

/** Makes cre_loop_run return after the current turn. Any thread, also in a signal handler. */
CRE_API void cre_loop_stop(cre_loop *loop);

/** Returns the loop's clock in milliseconds from an arbitrary start, read once per turn. */
CRE_API uint64_t cre_loop_now(const cre_loop *loop);

/** Copies the first `size` bytes, sizeof(cre_loop_stats), of the statistics from the creation of the loop to
 * the end of its last turn. Counters that this version does not know are 0. */
CRE_API void cre_loop_get_stats(const cre_loop *loop, cre_loop_stats *stats, size_t size);

/** Returns the largest duration of a class, in nanoseconds: classes are in ascending order, and the last one,
 * CRE_TIME_CLASSES - 1, has no limit, UINT64_MAX. 0 for a class that does not exist. Any thread. */
CRE_API uint64_t cre_time_limit(uint32_t time_class);

/** Schedules `run(context)` on the loop's thread. Posts of one thread run in their order; posts that have not
 * run are dropped when the loop is destroyed. Returns 0 or CRE_ENOMEM. Any thread. */
CRE_NODISCARD CRE_API int cre_loop_post(cre_loop *loop, void (*run)(void *context), void *context);

/** Starts a timer that calls `fire` after `delay_ms` and then every `repeat_ms`, unless that is 0, at a fixed
 * rate: times that were missed are skipped. Each timer fires at most once per turn, so that the rest of the
 * loop's work is done between. Returns 0 and *timer, which stays allocated until cre_timer_stop, or
 * CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_timer_start(cre_loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                          void (*fire)(void *context, cre_timer *timer), void *context,
                                          cre_timer **timer);

/** Stops and frees a timer, fired or not. It may be called inside the timer's callback. NULL is ignored. */
CRE_API void cre_timer_stop(cre_timer *timer);

/** Calls `ready` in each turn in which `descriptor` is readable. The caller owns the descriptor and closes it
 * after cre_watch_stop. Returns 0 and *watch, or CRE_ENOMEM or a system error. */
CRE_NODISCARD CRE_API int cre_watch_start(cre_loop *loop, int descriptor,
                                          void (*ready)(void *context, int descriptor), void *context,
                                          cre_watch **watch);

/** Stops and frees a watch. It may be called inside the watch's callback. NULL is ignored. */
CRE_API void cre_watch_stop(cre_watch *watch);

CRE_END_DECLS

#endif
