/* Events that a worker has received and cannot serve yet. They outlive its process: link/backlog.h. */
#include <creactor/error.h>

#include "core/memory.h"
#include "loop/loop_internal.h"
#include "runtime/worker_internal.h"

/* Requests and their bodies are abandoned with their worker, packets may be lost, and notifications are for
 * the process that sends the output. */
static bool may_be_deferred(const cre_record *event) {
    switch ((cre_event)event->kind) {
    case CRE_EVENT_OPEN:
    case CRE_EVENT_MESSAGE:
    case CRE_EVENT_CONNECT:
    case CRE_EVENT_RECEIVE:
    case CRE_EVENT_END:
    case CRE_EVENT_CLOSE: return true;
    default: return false;
    }
}

uint32_t cre_worker_defer(cre_worker *worker) {
    const cre_record *event = worker->event;
    const uint32_t replayed = worker->replayed;
    if (!event || !may_be_deferred(event)) return 0;
    worker->event = NULL; /* once */
    if (!replayed) return cre__backlog_add(&worker->backlog, event, worker->payload, 0);
    cre__backlog_show(&worker->backlog, replayed, true);
    worker->replayed = 0;
    return replayed;
}

void cre_worker_drop_deferred(cre_worker *worker, uint32_t ticket) {
    cre__backlog_remove(&worker->backlog, ticket);
}

/* Serves an event that was deferred. When the process is killed meanwhile, that is lost. */
static void serve(cre_worker *worker, uint32_t ticket) {
    cre_record record;
    uint8_t *payload = cre__backlog_find(&worker->backlog, ticket, &record);
    const cre_record *event = worker->event;
    const uint8_t *event_payload = worker->payload;
    const uint32_t replayed = worker->replayed;
    cre__node_publish(worker->node);
    /* A successor abandons it if it finds it neither here nor answered. */
    if (record.kind == CRE_EVENT_REQUEST) cre__show_taken(worker, &record);
    cre__backlog_show(&worker->backlog, ticket, false);
    worker->replayed = ticket;
    cre__serve_event(worker, &record, payload);
    if (worker->replayed) cre__backlog_remove(&worker->backlog, ticket);
    cre__node_publish(worker->node);
    worker->replayed = replayed;
    worker->event = event;
    worker->payload = event_payload;
}

void cre_worker_serve_deferred(cre_worker *worker, uint32_t ticket) {
    if (cre__backlog_has(&worker->backlog, ticket)) serve(worker, ticket);
}

/* ---- of a predecessor ---- */

static void end_replay(cre_worker *worker) {
    if (!worker->tickets) return;
    cre__loop_remove_hook(worker->loop, CRE__DRAIN, &worker->replay);
    cre__free(worker->tickets);
    worker->tickets = NULL;
}

/* Before anything else is received: all of them, so that a request and its body stay together, or none. */
static bool on_replay(cre__hook *hook) {
    cre_worker *worker = (cre_worker *)((char *)hook - offsetof(cre_worker, replay));
    const uint32_t count = worker->stopped ? 0 : worker->backlog.count;
    for (uint32_t i = 0; i < count; i++)
        cre_worker_serve_deferred(worker, worker->tickets[i]);
    end_replay(worker);
    return false;
}

int cre__open_deferred(cre_worker *worker) {
    const cre_bus *bus = worker->config.bus;
    cre__backlog *backlog = &worker->backlog;
    int result = cre__backlog_open(backlog, cre__bus_backlog(bus, worker->config.node), bus->backlog_bytes);
    if (result || !backlog->count) return result;
    worker->tickets = cre__malloc(backlog->count * sizeof *worker->tickets);
    if (!worker->tickets || cre__backlog_list(backlog, worker->tickets)) {
        cre__free(worker->tickets);
        worker->tickets = NULL;
        cre__backlog_close(backlog);
        return CRE_ENOMEM;
    }
    worker->replay.run = on_replay;
    cre__loop_add_hook(worker->loop, CRE__DRAIN, &worker->replay);
    return 0;
}

void cre__close_deferred(cre_worker *worker) {
    end_replay(worker);
    cre__backlog_close(&worker->backlog);
}

/* ---- for the successor ---- */

void cre_worker_leave(cre_worker *worker) {
    if (worker->leaving || worker->stopped) return;
    if (!worker->config.keeps || !worker->backlog.control || worker->tickets)
        cre_worker_stop_receiving(worker);
    else
        worker->leaving = true;
}

/* Room for the largest record is left, so that none is taken without a place for it. */
static bool has_room(const cre_worker *worker) {
    const cre__backlog *backlog = &worker->backlog;
    const uint64_t taken = (uint64_t)backlog->arena.taken * CRE__BACKLOG_GRANULE;
    return taken + worker->config.bus->config.max_payload < backlog->bytes &&
           (backlog->first_free || backlog->used < backlog->capacity);
}

bool cre__leave_event(cre_worker *worker, const cre_record *event, const uint8_t *payload) {
    if (event->kind == CRE_EVENT_PACKET || event->kind == CRE_EVENT_DRAINED ||
        event->kind == CRE_EVENT_FULL || worker->config.keeps(worker->config.context, event->session))
        return false;
    /* The position behind it, by which its successor knows that it was not lost: worker.c. */
    const bool announced = event->kind == CRE_EVENT_REQUEST || event->kind == CRE_EVENT_REQUEST_BODY;
    const uint64_t mark = announced ? atomic_load(&worker->activity->request_taken) : 0;
    if (!cre__backlog_add(&worker->backlog, event, payload, mark)) {
        cre_worker_stop_receiving(worker);
        return false;
    }
    if (!has_room(worker)) cre_worker_stop_receiving(worker);
    return true;
}
