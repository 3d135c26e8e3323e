/* The durations of what a process calls: counted by kind, and reported when they are long. */
#include "core/times.h"

#include <creactor/internal/task.h>
#include <time.h>

#include "runtime/worker_internal.h"

static const uint8_t kinds[CRE_HANDLERS] = {
    CRE_EVENT_OPEN,    CRE_EVENT_MESSAGE, CRE_EVENT_CLOSE,    CRE_EVENT_REQUEST, CRE_EVENT_REQUEST_BODY,
    CRE_EVENT_DRAINED, CRE_EVENT_CONNECT, CRE_EVENT_RECEIVE,  CRE_EVENT_END,     CRE_EVENT_PACKET,
    CRE_MESSAGE_TASK,  CRE_MESSAGE_PIPE,  CRE_MESSAGE_RESULT, CRE_AT_TIMER,      CRE_AT_JOB,
};

uint32_t cre_handler_kind(uint32_t index) {
    return index < CRE_HANDLERS ? kinds[index] : 0;
}

uint64_t cre__call_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Adds to a counter that only this process writes. */
static void add(uint64_t *counter, uint64_t value) {
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + value, __ATOMIC_RELAXED);
}

void cre__count_call(cre_worker *worker, const cre_record *call, const uint8_t *payload, uint64_t ns) {
    const cre_worker_config *config = &worker->config;
    cre_handler_times *times = cre__handler_times(config->bus, config->node);
    for (uint32_t i = 0; i < CRE_HANDLERS; i++) {
        if (kinds[i] != call->kind) continue;
        add(&times[i].sum_ns, ns);
        add(&times[i].counts[cre__time_class(ns)], 1);
        break;
    }
    if (config->slow_ns && ns >= config->slow_ns && config->slow)
        config->slow(config->context, call, payload, ns);
}

static void choose_next(cre_worker *worker) {
    worker->until_sample = worker->config.slow_ns ? 0 : CRE__SAMPLED_OF - 1;
}

void cre__serve_timed(cre_worker *worker, const cre_record *event, uint8_t *payload) {
    const uint64_t outer = worker->began_ns; /* of the event inside of which this one occurs */
    choose_next(worker);
    worker->began_ns = cre__call_clock();
    worker->config.on_event(worker->config.context, event, payload);
    if (worker->began_ns) cre__count_call(worker, event, payload, cre__call_clock() - worker->began_ns);
    worker->began_ns = outer;
}

void cre__continue_timed(cre_worker *worker) {
    const uint64_t now = cre__call_clock();
    cre__count_call(worker, &(cre_record){ .kind = CRE_EVENT_MESSAGE, .session = worker->handled }, NULL,
                    now - worker->began_ns);
    worker->began_ns = now;
}

void cre__begin_timed(cre_worker *worker, uint32_t kind) {
    choose_next(worker);
    worker->timed_kind = kind;
    worker->began_ns = cre__call_clock();
}

void cre__end_timed(cre_worker *worker) {
    const uint64_t ns = cre__call_clock() - worker->began_ns;
    worker->began_ns = 0;
    cre__count_call(worker, &(cre_record){ .kind = (uint8_t)worker->timed_kind }, NULL, ns);
}
