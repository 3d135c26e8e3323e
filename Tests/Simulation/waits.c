/* Handlers of clients that wait, and the events that are deferred meanwhile. */
#include <stdlib.h>

#include "core/memory.h"
#include "model.h"
#include "runtime/worker_internal.h"

client *worker_client(cre_session session) {
    for (uint32_t i = 0; i < model.plan.clients; i++)
        if (model.clients[i].session == session) return &model.clients[i];
    return NULL;
}

typedef struct waiting {
    actor *worker;
    uint16_t client;
} waiting;

static void end_wait(actor *it, lane *of) {
    const lane before = *of;
    of->busy = false;
    of->count = 0;
    for (uint32_t i = 0; i < before.count; i++)
        cre_worker_serve_deferred(it->worker, before.tickets[i]);
}

static void on_waited(void *context, cre_timer *timer) {
    const waiting *of = context;
    cre_timer_stop(timer);
    of->worker->requests--;
    end_wait(of->worker, &of->worker->lanes[of->client]);
    cre__free(context);
}

void worker_wait(actor *it, uint16_t client_id, uint32_t milliseconds) {
    if (it->lanes[client_id].busy || it->flushing) return;
    waiting *of = cre__malloc(sizeof *of);
    *of = (waiting){ it, client_id };
    it->lanes[client_id].busy = true;
    it->requests++;
    cre_timer *timer;
    if (cre_timer_start(it->loop, milliseconds, 0, on_waited, of, &timer)) abort();
}

/* Where there is no room for it, nothing waits. */
bool worker_defers(actor *it, const cre_record *event) {
    const client *from = worker_client(event->session);
    lane *of = from ? &it->lanes[from->id] : NULL;
    if (!of || !of->busy || event->kind == CRE_EVENT_REQUEST) return false;
    const uint32_t ticket = cre_worker_defer(it->worker);
    trace("node %u defers an event of client %u: %u", it->node, from->id, ticket);
    if (ticket) {
        of->tickets[of->count++] = ticket;
    } else {
        it->flushing = true;
        end_wait(it, of);
        it->flushing = false;
    }
    counted.deferred += ticket != 0;
    return ticket != 0;
}

bool worker_keeps(void *context, cre_session session) {
    const client *of = worker_client(session);
    return of && ((actor *)context)->lanes[of->id].busy;
}
