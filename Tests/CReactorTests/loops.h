/* The loop of a test that waits for what its callbacks do. */
#ifndef CRE_LOOPS_H
#define CRE_LOOPS_H

#include <creactor/loop.h>

#include "wait.h"

static cre_loop *loop;

static inline void stop_loop(void *context, cre_timer *timer) {
    (void)context;
    cre_timer_stop(timer);
    cre_loop_stop(loop);
}

/* Runs the loop for a moment. */
static inline void turn(void) {
    cre_timer *timer;
    REQUIRE(cre_timer_start(loop, 5, 0, stop_loop, NULL, &timer) == 0);
    cre_loop_run(loop);
}

#endif
