/* The internal interface of a loop, for the engine and the link. */
#ifndef CRE_LOOP_INTERNAL_H
#define CRE_LOOP_INTERNAL_H

#include <creactor/loop.h>
#include <stdbool.h>
#include <uv.h>

#include "loop/poller.h"

/*
 * A turn of the loop:
 *
 *   poll: sockets, eventfds     callbacks run and only collect their output
 *   timers, wake-ups, lookups   if libuv has any of them
 *   DRAIN                       records are read from the rings
 *   JOBS                        queued jobs run, including those of the callbacks above
 *   FLUSH                       collected output is sent: one write per connection, one publish per ring
 *   ARM                         last check before sleeping; true: there is work, do not sleep
 *
 * The loop waits by itself, and runs libuv only when that has something to do. A loop of the program turns as
 * libuv does: there timers come after FLUSH, and another FLUSH after them.
 *
 * Hooks run in the order in which they were added. Only the results of ARM hooks matter; the first true ends
 * that phase.
 */
typedef enum cre__phase { CRE__DRAIN, CRE__JOBS, CRE__FLUSH, CRE__ARM, CRE__PHASES } cre__phase;

typedef struct cre__hook {
    struct cre__hook *next;
    bool (*run)(struct cre__hook *hook);
} cre__hook;

/* What a loop begins with: the part that is used for each message. */
typedef struct cre__loop_head {
    uv_loop_t *program; /* the loop of the program; NULL: it was created */
    uint64_t now;       /* in ms, of a loop that was created */
    bool needs_flush;   /* something has happened since the last FLUSH */
} cre__loop_head;

/* As cre_loop_now. */
static inline uint64_t cre__loop_now(const cre_loop *of) {
    const cre__loop_head *head = (const cre__loop_head *)(const void *)of;
    return head->program ? uv_now(head->program) : head->now;
}

/* Something waits for FLUSH, wherever it comes from: the next one of a turn must not be skipped. */
static inline void cre__loop_needs_flush(cre_loop *of) {
    ((cre__loop_head *)(void *)of)->needs_flush = true;
}

void cre__loop_add_hook(cre_loop *loop, cre__phase phase, cre__hook *hook);
void cre__loop_remove_hook(cre_loop *loop, cre__phase phase, cre__hook *hook);
/* libuv's clock stands still between the turns in which it has something to do: uv_update_time comes before
 * whatever depends on it. The next turn asks libuv when it is due; so whoever starts or stops a handle gets
 * the loop for that, each time. */
uv_loop_t *cre__loop_uv(cre_loop *loop);
/* uv_close, for a handle of the loop's own. */
void cre__loop_close(cre_loop *loop, uv_handle_t *handle, uv_close_cb closed);

/* Has the watcher called when `descriptor` is readable or writable: `events` are EPOLLIN, EPOLLOUT and
 * EPOLLET. Returns 0 or a negative error. cre__loop_unwatch comes before the descriptor is closed; then
 * nothing is called any more. */
int cre__loop_watch(cre_loop *loop, int descriptor, cre__watcher *watcher, uint32_t events);
void cre__loop_rewatch(cre_loop *loop, int descriptor, cre__watcher *watcher, uint32_t events);
void cre__loop_unwatch(cre_loop *loop, int descriptor, cre__watcher *watcher);
/* The descriptor that is readable when the loop has something to do. */
int cre__loop_descriptor(const cre_loop *loop);
/* Does one turn of a loop that was created; `wait`: sleeps until there is something to do. */
void cre__loop_turn(cre_loop *loop, bool wait);
/* Reads the clock again, for what happens when the loop has not run for long. */
void cre__loop_update_time(cre_loop *loop);
/* Where the watches of the loop are, which are freed with it. */
cre_watch **cre__loop_watches(cre_loop *loop);

/* Marks the start of the turn's work, unless it has begun. Every libuv callback calls it first. */
void cre__loop_begin(cre_loop *loop);

/* The timers of a loop all fire in one phase of each turn. */
typedef struct cre__timer_phase {
    uint64_t number; /* of this phase, or of the next one */
    bool firing;     /* a timer's callback is running */
} cre__timer_phase;

cre__timer_phase *cre__loop_timers(cre_loop *loop);

/* The next time of a repeating timer that was due at `due` and fires now: a multiple of its interval later;
 * those that were missed are skipped. */
static inline uint64_t cre__timer_next_due(uint64_t due, uint64_t repeat, uint64_t now) {
    const uint64_t late = now > due ? now - due : 0;
    return due + (late / repeat + 1) * repeat;
}

/* Publishes the statistics of the turns at `where`, added to the values there. NULL stops publishing. */
void cre__loop_publish_stats(cre_loop *loop, cre_loop_stats *where);

#endif
