/*
 * Tasks: blocking jobs that workers hand to task workers, which are processes of their own, and what a
 * process is at.
 *
 * Each poster numbers its tasks; (node of the poster, number) is never used twice while the bus lives, also
 * when the poster was replaced. A task that was posted is done once or, when its task worker dies in it,
 * reported as crashed; those behind it are done by the successor.
 */
#ifndef CREACTOR_TASK_H
#define CREACTOR_TASK_H

#include "../export.h"
#include "worker.h"

CRE_BEGIN_DECLS

/** Which results the poster wants. It comes back with each RESULT; a successor of the poster gets it, too. */
typedef enum cre_task_kind {
    CRE_TASK_NOTED = 0,   /* results, which anybody in its place may handle */
    CRE_TASK_AWAITED = 1, /* results, for which only this very process waits */
    CRE_TASK_ONE_WAY = 2, /* nothing: RESULTs are not sent */
} cre_task_kind;

typedef enum cre_task_status {
    CRE_TASK_RESULT = 0,  /* a result */
    CRE_TASK_DONE = 1,    /* it is over, and there is no (further) result */
    CRE_TASK_FAILED = 2,  /* it failed; the payload has the reason */
    CRE_TASK_CRASHED = 3, /* its task worker died in it */
} cre_task_status;

typedef struct cre_task_posting {
    uint64_t number;  /* from 1 */
    uint32_t node;    /* who does it */
    uint64_t waiting; /* tasks that this one has before it there, with the one that is being done */
} cre_task_posting;

/**
 * Posts a task to the task worker `chosen`, counted from 0; negative: to the one with the fewest tasks.
 * Returns 0; CRE_EINVALID when there is none of that number, or it is this process; CRE_ELINK_FULL when so
 * much waits for it that there is no room; CRE_ELIMIT when the payload is larger than the bus takes;
 * CRE_ENOMEM.
 */
CRE_API int cre_task_post(cre_worker *worker, int chosen, cre_task_kind kind, const void *data, size_t length,
                          cre_task_posting *posting);

/** In a task worker, inside on_message of a TASK or later: sends an intermediate result to the poster of the
 * current task. CRE_TASK_RESULT may be said any number of times. Returns 0, CRE_EGONE when no task is in hand
 * or its poster wants no results, CRE_ELINK_FULL, CRE_ELIMIT, CRE_ENOMEM. */
CRE_API int cre_task_answer(cre_worker *worker, cre_task_status status, const void *data, size_t length);

/** Says on_message that the TASK is not done when it returns. Nothing else is read until cre_task_end. */
CRE_API void cre_task_suspend(cre_worker *worker);

/** Ends the task in hand: with CRE_TASK_DONE, or CRE_TASK_FAILED and a text. It is called by itself, with
 * CRE_TASK_DONE, when on_message returns and nobody has said otherwise. */
CRE_API void cre_task_end(cre_worker *worker, cre_task_status status, const void *data, size_t length);

/* What a process may be at, besides a cre_event or a cre_message. */
#define CRE_AT_NOTHING 0u
#define CRE_AT_TIMER   200u
#define CRE_AT_JOB     201u
#define CRE_AT_START   202u
#define CRE_AT_STOP    203u

/** Shows what this process begins to do, CRE_AT_*, or that it is done with it: CRE_AT_NOTHING. False, and
 * nothing changes, when it begins inside another callback; then the end is not to be said. */
CRE_API bool cre_worker_set_activity(cre_worker *worker, uint32_t kind);

/** Shows that this process ends in an orderly way; `why` is the host's own number, not 0. */
CRE_API void cre_worker_ending(cre_worker *worker, uint32_t why);

typedef struct cre_activity {
    uint32_t kind;       /* of the last callback: cre_event, cre_message, CRE_AT_* */
    uint64_t session;    /* whom that is about: a connection, or the number of a task */
    uint64_t running_ms; /* how long it has been running */
    bool running;
    uint32_t ending;      /* see cre_worker_ending */
    uint64_t served;      /* callbacks so far, by its predecessors, too */
    uint64_t tasks_given; /* to this task worker and its predecessors */
    uint64_t tasks_done;
} cre_activity;

/** What the process of a node is at, or was when it died. Any thread or process. */
CRE_API void cre_bus_activity(const cre_bus *bus, uint32_t node, cre_activity *activity);

CRE_END_DECLS

#endif
