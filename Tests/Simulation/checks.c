/* What must be true: at each moment, whenever nobody can run, and at the end. */
#include <string.h>

#include "link/node_internal.h"
#include "model.h"
#include "registry/table_internal.h"
#include "runtime/worker_internal.h"

uint32_t all_deaths(void) {
    uint32_t count = 0;
    for (uint32_t node = 0; node < model.nodes; node++)
        count += model.deaths[node];
    return count;
}

/* ---- at each moment ---- */

static void check_ring(uint32_t from, uint32_t to) {
    const cre__ring_control *ring = cre__bus_ring(model.bus, from, to);
    const uint64_t head = ring->head, taken = ring->taken, tail = ring->tail;
    if (head > taken || taken > tail || tail - head > model.bus_config.ring_bytes)
        violated("the positions of the ring from %u to %u are %llu, %llu, %llu", from, to,
                 (unsigned long long)head, (unsigned long long)taken, (unsigned long long)tail);
    if (from >= model.seats) return; /* events of reactors have no limit but that reading stops */
    const uint64_t queued = ring->spill_tail - ring->spill_taken, gap = ring->spill_begin - ring->spill_taken;
    const uint64_t bytes = gap <= queued ? queued - gap : queued;
    /* Each record has a header, and is rounded up. */
    if (bytes / 2 > 2ull * model.bus_config.queue_bytes + model.bus_config.max_payload)
        violated("%llu bytes queue from %u to %u", (unsigned long long)bytes, from, to);
}

void check_bounds(void) {
    for (uint32_t from = 0; from < model.nodes; from++)
        for (uint32_t to = 0; to < model.nodes; to++)
            check_ring(from, to);
}

/* ---- nobody can run ---- */

static bool waits_for_records(uint32_t node) {
    if (node >= model.seats) return model.reactors[node - model.seats] != NULL;
    const actor *it = model.seat[node].now;
    return it && it->is_open && !it->draining && !it->suspended && !it->process->ended &&
           it->process->main->state == THREAD_POLLING;
}

/* A handler that blocks holds the wake-ups of its turn back. */
static bool is_blocked(uint32_t node) {
    const actor *it = node < model.seats ? model.seat[node].now : NULL;
    return it && it->process->main->state == THREAD_ASLEEP;
}

/* The manager does not know yet: what the dead one has omitted is done then. */
static bool has_unnoticed_death(void) {
    for (uint32_t node = 0; node < model.seats; node++)
        if (model.seat[node].now && model.seat[node].now->process->ended) return true;
    return false;
}

void check_idle(void) {
    if (has_unnoticed_death()) return;
    for (uint32_t to = 0; to < model.nodes; to++) {
        if (!waits_for_records(to)) continue;
        for (uint32_t from = 0; from < model.nodes; from++) {
            if (is_blocked(from)) continue;
            const cre__ring_control *ring = cre__bus_ring(model.bus, from, to);
            if (ring->tail != ring->taken || ring->spill_tail != ring->spill_taken)
                violated("node %u sleeps, and node %u has sent it something", to, from);
        }
    }
}

/* ---- at the end ---- */

static void lose(int node, const char *what, uint32_t number) {
    trace("%s %u was lost at node %d", what, number, node);
    counted.lost++;
    if (node < 0)
        model.lost_somewhere++;
    else
        model.lost[node]++;
}

static void check_message(const client *of, uint16_t number) {
    const message *it = &of->messages[number];
    if (it->received || of->disturbed || !it->sent) return;
    if (it->certain)
        violated("answer %u to client %u was accepted and did not arrive", number, of->id);
    else if (!it->refused && !of->closed_by_server)
        lose(of->node, "message", number);
}

static void check_request(const client *of, uint16_t number) {
    const message *it = &of->messages[number];
    if (of->disturbed || !it->sent) return;
    if (!it->received) violated("request %u of client %u has no response", number, of->id);
    if (it->status != 500) return;
    counted.answered_500++;
    if (it->certain) violated("response %u to client %u was accepted, and replaced", number, of->id);
    if (!all_deaths()) violated("request %u of client %u failed, and no worker did", number, of->id);
    if (!it->served) lose(of->node, "request", number);
}

static void check_client(const client *of) {
    for (uint16_t number = 0; number < of->composed; number++) {
        counted.messages++;
        if (of->websocket)
            check_message(of, number);
        else
            check_request(of, number);
    }
    /* Connections of a process that dies end with it. */
    if (!of->websocket || (model.plan.base && of->disturbed && of->end != END_BY_RESET) || model.plan.stops)
        return;
    if (of->handshaken && !of->opens) lose(of->node, "the open of client", of->id);
    if (!(of->handshaken || of->opens) || of->closes || (model.plan.base && of->owner->killed)) return;
    if (!of->session && model.unknown_closes)
        model.unknown_closes--;
    else
        lose(of->node, "the close of client", of->id);
}

static void check_publish(const item *it, uint32_t number, uint64_t *skipped) {
    if (it->late) return;
    for (uint32_t id = 0; id < model.plan.clients; id++) {
        const client *of = &model.clients[id];
        const uint64_t since = of->subscribed_at[it->to];
        if (!of->subscribes || of->disturbed || of->closed_by_server || !since || since > it->moment ||
            (of->done_at && of->done_at < it->moment))
            continue;
        if (!(it->reached & 1u << id)) {
            if (!*skipped)
                violated("published message %u did not reach client %u, a subscriber", number, id);
            else
                --*skipped;
        }
    }
}

static void check_task(const item *it, uint32_t number) {
    counted.tasks++;
    if (it->task_kind == CRE_TASK_ONE_WAY) {
        if (it->finals) violated("the end of one-way task %u was reported", number);
        if (!it->begun) lose(-1, "one-way task", number);
    } else if (!it->finals) {
        if (!model.deaths[it->from])
            violated("task %u of node %u has %s, and its end was not reported", number, it->from,
                     it->begun ? "begun" : "not begun");
        else
            lose(it->from, "the end of task", number);
    }
}

static void check_items(uint64_t skipped) {
    for (uint32_t number = 0; number < model.item_count; number++) {
        const item *it = &model.items[number];
        counted.items++;
        if (!it->certain) continue;
        if (it->kind == ITEM_PUBLISH) check_publish(it, number, &skipped);
        if (it->kind == ITEM_TASK) check_task(it, number);
        if (it->kind == ITEM_PIPE && !it->begun) lose(it->to, "message between workers", number);
    }
}

void check_ledger(void) {
    cre_engine_stats stats;
    cre_bus_get_stats(model.bus, &stats);
    for (uint32_t i = 0; i < model.plan.clients; i++)
        check_client(&model.clients[i]);
    if (!model.plan.stops) check_items(stats.skipped);
    if (model.unknown_closes && !model.plan.stops)
        violated("%u sessions were closed that nobody had opened", model.unknown_closes);
    uint32_t lost = model.lost_somewhere;
    for (uint32_t node = 0; node < model.nodes; node++) {
        lost += model.lost[node];
        if (model.lost[node] > model.deaths[node])
            violated("node %u has lost %u records in %u deaths", node, model.lost[node], model.deaths[node]);
        if (model.crashed[node] > model.deaths[node])
            violated("node %u has crashed %u tasks in %u deaths", node, model.crashed[node],
                     model.deaths[node]);
    }
    if (lost > all_deaths()) violated("%u records were lost in %u deaths", lost, all_deaths());
}
