/*
 * Jobs: small pieces of work that other code (a language runtime) owns and a loop runs.
 *
 * Jobs are linked through a word inside them, so that enqueuing takes no memory and cannot fail. They run on
 * the loop's thread in the order in which they were enqueued by one thread: after the callbacks of each turn,
 * before the turn's output goes out.
 */
#ifndef CREACTOR_JOBS_H
#define CREACTOR_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "../export.h"
#include "../loop.h"

CRE_BEGIN_DECLS

typedef struct cre_jobs cre_jobs;

/** Makes a queue on `loop`, for the calling thread, which must be the one that runs the loop. `run` is called
 * for each job; `link_offset` says where in a job a pointer may be kept while it is queued. Returns 0 or an
 * error. */
CRE_API int cre_jobs_create(cre_loop *loop, size_t link_offset, void (*run)(void *context, void *job),
                            void *context, cre_jobs **jobs);

/** Frees the queue; jobs in it never run. */
CRE_API void cre_jobs_destroy(cre_jobs *jobs);

/** Queues a job. Any thread. */
CRE_API void cre_jobs_enqueue(cre_jobs *jobs, void *job);

/** Whether the calling thread is the loop's. Any thread. */
CRE_API bool cre_jobs_here(const cre_jobs *jobs);

/** Runs what is queued now, and what that queues, on the loop's thread. Inside a job it does nothing. */
CRE_API void cre_jobs_run(cre_jobs *jobs);

CRE_END_DECLS

#endif
