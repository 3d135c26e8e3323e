/* What the engine and the link need of a loop beyond its public face. */
#ifndef CRE_LOOP_INTERNAL_H
#define CRE_LOOP_INTERNAL_H

#include <creactor/loop.h>
#include <stdbool.h>
#include <uv.h>

/*
 * A turn of the loop:
 *
 *   poll: sockets, eventfds     callbacks run, answers are only collected
 *   DRAIN                       rings are emptied
 *   JOBS                        queued jobs run: those of the callbacks above, too
 *   FLUSH                       what was collected goes out: one write per connection, one publish per ring
 *   timers, closed handles
 *   FLUSH                       the same for what those callbacks collected
 *   ARM                         last look before sleeping; true: something came in, do not sleep
 *
 * Hooks run in the order in which they were added; only what those of ARM return counts, and the first true
 * ends that phase.
 */
typedef enum cre__phase { CRE__DRAIN, CRE__JOBS, CRE__FLUSH, CRE__ARM, CRE__PHASES } cre__phase;

typedef struct cre__hook {
    struct cre__hook *next;
    bool (*run)(struct cre__hook *hook);
} cre__hook;

void cre__loop_add_hook(cre_loop *loop, cre__phase phase, cre__hook *hook);
void cre__loop_remove_hook(cre_loop *loop, cre__phase phase, cre__hook *hook);
uv_loop_t *cre__loop_uv(cre_loop *loop);

/* Each callback of libuv begins with it: the turn's work starts here, if it has not yet. */
void cre__loop_begin(cre_loop *loop);

/* Shows the turns in memory that others read, on top of what is there; NULL: no longer. */
void cre__loop_show(cre_loop *loop, cre_loop_stats *where);

#endif
