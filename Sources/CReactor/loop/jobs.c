#include <creactor/error.h>
#include <creactor/internal/jobs.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/memory.h"
#include "loop/loop_internal.h"

/* The most jobs of one turn: a job that always enqueues another one must not block the sockets. */
#define JOBS_PER_TURN 4096

struct cre_jobs {
    cre_loop *loop;
    pthread_t thread;
    size_t link_offset;
    void (*run)(void *context, void *job);
    void *context;
    void *first, *last; /* enqueued by the loop's thread */
    bool running;
    _Atomic(void *) elsewhere; /* a stack, enqueued by other threads */
    uv_async_t wake;
    cre__hook drain, arm;
};

static void **link_of(cre_jobs *jobs, void *job) {
    return (void **)(void *)((char *)job + jobs->link_offset);
}

static void append(cre_jobs *jobs, void *job) {
    *link_of(jobs, job) = NULL;
    if (jobs->last)
        *link_of(jobs, jobs->last) = job;
    else
        jobs->first = job;
    jobs->last = job;
}

static void take_elsewhere(cre_jobs *jobs) {
    void *stack = atomic_exchange_explicit(&jobs->elsewhere, NULL, memory_order_acquire), *queue = NULL;
    while (stack) {
        void *next = *link_of(jobs, stack);
        *link_of(jobs, stack) = queue;
        queue = stack;
        stack = next;
    }
    while (queue) {
        void *next = *link_of(jobs, queue);
        append(jobs, queue);
        queue = next;
    }
}

bool cre_jobs_queued(const cre_jobs *jobs) {
    return jobs->first != NULL;
}

void cre_jobs_run(cre_jobs *jobs) {
    if (jobs->running) return; /* inside a job: the call that runs it runs the others, too */
    jobs->running = true;
    if (atomic_load_explicit(&jobs->elsewhere, memory_order_relaxed)) take_elsewhere(jobs);
    for (int count = 0; jobs->first && count < JOBS_PER_TURN; count++) {
        void *job = jobs->first;
        jobs->first = *link_of(jobs, job);
        if (!jobs->first) jobs->last = NULL;
        jobs->run(jobs->context, job);
    }
    jobs->running = false;
}

static bool on_drain(cre__hook *hook) {
    cre_jobs_run((cre_jobs *)((char *)hook - offsetof(cre_jobs, drain)));
    return false;
}

static bool on_arm(cre__hook *hook) {
    cre_jobs *jobs = (cre_jobs *)((char *)hook - offsetof(cre_jobs, arm));
    return jobs->first || atomic_load_explicit(&jobs->elsewhere, memory_order_relaxed);
}

static void on_wake(uv_async_t *handle) {
    (void)handle; /* the JOBS phase of this turn runs them */
}

static void on_closed(uv_handle_t *handle) {
    cre__free(handle->data);
}

int cre_jobs_create(cre_loop *loop, size_t link_offset, void (*run)(void *context, void *job), void *context,
                    cre_jobs **out) {
    cre_jobs *jobs = cre__calloc(1, sizeof *jobs);
    if (!jobs) return CRE_ENOMEM;
    int result = uv_async_init(cre__loop_uv(loop), &jobs->wake, on_wake);
    if (result) {
        cre__free(jobs);
        return result;
    }
    jobs->wake.data = jobs;
    jobs->loop = loop;
    jobs->thread = pthread_self();
    jobs->link_offset = link_offset;
    jobs->run = run;
    jobs->context = context;
    jobs->drain.run = on_drain;
    jobs->arm.run = on_arm;
    cre__loop_add_hook(loop, CRE__JOBS, &jobs->drain);
    cre__loop_add_hook(loop, CRE__ARM, &jobs->arm);
    *out = jobs;
    return 0;
}

void cre_jobs_destroy(cre_jobs *jobs) {
    if (!jobs) return;
    cre__loop_remove_hook(jobs->loop, CRE__JOBS, &jobs->drain);
    cre__loop_remove_hook(jobs->loop, CRE__ARM, &jobs->arm);
    cre__loop_close(jobs->loop, (uv_handle_t *)&jobs->wake, on_closed);
}

void cre_jobs_enqueue(cre_jobs *jobs, void *job) {
    if (cre_jobs_here(jobs)) {
        append(jobs, job);
        return;
    }
    void *head = atomic_load_explicit(&jobs->elsewhere, memory_order_relaxed);
    do
        *link_of(jobs, job) = head;
    while (!atomic_compare_exchange_weak_explicit(&jobs->elsewhere, &head, job, memory_order_release,
                                                  memory_order_relaxed));
    if (!head) uv_async_send(&jobs->wake);
}

bool cre_jobs_here(const cre_jobs *jobs) {
    return pthread_equal(pthread_self(), jobs->thread);
}
