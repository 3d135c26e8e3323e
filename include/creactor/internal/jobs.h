/*
 * Jobs: work items that other code (a language runtime) owns and a loop runs.
 *
 * Jobs are linked through a word inside them, so that enqueuing allocates nothing and cannot fail. They run
 * on the loop's thread, after the callbacks of each turn and before the turn's output is sent, in the order
 * in which a thread has enqueued them.
 */
#ifndef CREACTOR_JOBS_H
#define CREACTOR_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "../export.h"
#include "../loop.h"

CRE_BEGIN_DECLS

typedef struct cre_jobs cre_jobs;

/** Creates a queue on `loop`, on the thread that runs the loop. `run` is called for each job; `link_offset`
 * is the offset in a job of a pointer that the queue may use while the job is in it. Returns 0 and *jobs, or
 * CRE_ENOMEM or a system error. */
CRE_NODISCARD CRE_API int cre_jobs_create(cre_loop *loop, size_t link_offset,
                                          void (*run)(void *context, void *job), void *context,
                                          cre_jobs **jobs);

/** Destroys the queue, on the loop's thread; jobs in it never run. */
CRE_API void cre_jobs_destroy(cre_jobs *jobs);

/** Enqueues a job, which stays the caller's. Any thread. */
CRE_API void cre_jobs_enqueue(cre_jobs *jobs, void *job);

/** Whether the calling thread is the loop's. Any thread. */
CRE_API bool cre_jobs_here(const cre_jobs *jobs);

/** Whether the loop's thread has enqueued jobs that have not begun. The loop's thread. */
CRE_API bool cre_jobs_queued(const cre_jobs *jobs);

/** Runs the queued jobs and those that they enqueue, on the loop's thread. Inside a job it does nothing. */
CRE_API void cre_jobs_run(cre_jobs *jobs);

CRE_END_DECLS

#endif
