/*
 * Tasks: blocking work that workers post to task workers, which are separate processes; and the activity of
 * each process.
 *
 * Each poster numbers its tasks; the pair of its node and a number is never used twice while the bus exists,
 * also after the poster was replaced. A posted task is run once or, when its task worker dies while running
 * it, reported as crashed; its successor runs the tasks behind it. The functions of a worker must be called
 * on its thread. Arguments are borrowed for the call.
 */
#ifndef CREACTOR_TASK_H
#define CREACTOR_TASK_H

#include "../export.h"
#include "worker.h"

CRE_BEGIN_DECLS

/** The results that a poster expects. Each RESULT has it, also for a successor of the poster. */
typedef enum cre_task_kind {
    CRE_TASK_NOTED = 0,   /* results, which a successor of the poster may handle, too */
    CRE_TASK_AWAITED = 1, /* results that only this process waits for */
    CRE_TASK_ONE_WAY = 2, /* none: RESULTs are not sent */
} cre_task_kind;

/** The kinds of a RESULT. */
typedef enum cre_task_status {
    CRE_TASK_RESULT = 0,  /* a result */
    CRE_TASK_DONE = 1,    /* the task ended without a (further) result */
    CRE_TASK_FAILED = 2,  /* the task failed; the payload is the cause */
    CRE_TASK_CRASHED = 3, /* the task worker died while running the task */
} cre_task_status;

/** Describes a posted task. */
typedef struct cre_task_posting {
    uint64_t number;  /* from 1 */
    uint32_t node;    /* the task worker that runs it */
    uint64_t waiting; /* tasks before this one there, the running one included */
} cre_task_posting;

/**
 * Posts a task to the task worker `chosen`, counted from 0; negative: to the one with the fewest tasks.
 * Returns 0 and *posting; CRE_EINVALID when there is no such task worker or it is this process; or
 * CRE_ELINK_FULL, CRE_ELIMIT or CRE_ENOMEM of cre_node_send, and nothing was posted.
 */
CRE_NODISCARD CRE_API int cre_task_post(cre_worker *worker, int chosen, cre_task_kind kind, const void *data,
                                        size_t length, cre_task_posting *posting);

/** In a task worker, inside on_message of a TASK or later: sends a result to the poster of the current task,
 * any number of times. Returns 0; CRE_EINVALID for another status than CRE_TASK_RESULT; CRE_EGONE when there
 * is no current task or it is CRE_TASK_ONE_WAY; or CRE_ELINK_FULL, CRE_ELIMIT or CRE_ENOMEM of cre_node_send.
 */
CRE_API int cre_task_answer(cre_worker *worker, cre_task_status status, const void *data, size_t length);

/** Inside on_message: keeps the TASK running when on_message returns. No record is read until cre_task_end.
 */
CRE_API void cre_task_suspend(cre_worker *worker);

/** Ends the current task, with CRE_TASK_DONE, CRE_TASK_FAILED and a text, or CRE_TASK_RESULT and its last
 * result, which becomes CRE_TASK_FAILED when it cannot be sent. Its poster is notified exactly once, also
 * when this process is killed. Without a call, the task ends with CRE_TASK_DONE when on_message returns,
 * unless it was suspended. */
CRE_API void cre_task_end(cre_worker *worker, cre_task_status status, const void *data, size_t length);

/* The kinds of an activity, besides those of a cre_event or a cre_message. */
#define CRE_AT_NOTHING 0u
#define CRE_AT_TIMER   200u
#define CRE_AT_JOB     201u
#define CRE_AT_START   202u
#define CRE_AT_STOP    203u

/** Begins an activity of this process, a CRE_AT_... kind, or ends it, with CRE_AT_NOTHING. Returns false, and
 * changes nothing, when an activity begins inside another one; it must not be ended then. */
CRE_API bool cre_worker_set_activity(cre_worker *worker, uint32_t kind);

/** Publishes that this process ends in an orderly way; `why` is a number of the caller, not 0. */
CRE_API void cre_worker_set_ending(cre_worker *worker, uint32_t why);

/** The activity of a process, or the last one before it died. */
typedef struct cre_activity {
    uint32_t kind;       /* of the last callback: cre_event, cre_message, CRE_AT_... */
    uint64_t session;    /* its connection, or the number of its task */
    uint64_t running_ms; /* since it began, if it is running */
    bool running;
    uint32_t ending;      /* see cre_worker_set_ending */
    uint64_t served;      /* callbacks of this process and its predecessors */
    uint64_t tasks_given; /* tasks posted to this task worker and its predecessors */
    uint64_t tasks_done;
    uint64_t turns; /* of the loops of this process and its predecessors; stays the same in a stopped one */
} cre_activity;

/** Reads the activity of the process of a node; all zero for an unknown node. Any thread or process. */
CRE_API void cre_bus_get_activity(const cre_bus *bus, uint32_t node, cre_activity *activity);

CRE_END_DECLS

#endif
