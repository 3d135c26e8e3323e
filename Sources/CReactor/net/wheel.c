/* Deadlines: one wheel per loop, moved lazily. Postponing a deadline is one store; the timer behind the
 * wheel runs only while something has a deadline. */
#include "net/transport.h"

static void unlink_timed(cre__transport *transport) {
    if (!transport->previous_timed) return;
    *transport->previous_timed = transport->next_timed;
    if (transport->next_timed) transport->next_timed->previous_timed = transport->previous_timed;
    transport->previous_timed = NULL;
    transport->next_timed = NULL;
    transport->net->timed--;
}

static void link_timed(cre__transport *transport) {
    cre__transport **slot = &transport->net->wheel[transport->deadline % CRE__WHEEL_SLOTS];
    transport->next_timed = *slot;
    if (*slot) (*slot)->previous_timed = &transport->next_timed;
    transport->previous_timed = slot;
    *slot = transport;
    transport->net->timed++;
}

static void expire(cre__transport *transport) {
    if (transport->state == CRE__TRANSPORT_OPEN)
        transport->net->events->due(transport);
    else
        cre__transport_close(transport, false);
}

static void visit_slot(cre__net *net, uint32_t slot, uint32_t now) {
    /* Taken off the wheel first: a timeout may unlink any other transport meanwhile. */
    cre__transport *due = net->wheel[slot];
    net->wheel[slot] = NULL;
    if (due) due->previous_timed = &due;
    while (due) {
        cre__transport *transport = due;
        unlink_timed(transport);
        if ((int32_t)(transport->deadline - now) <= 0)
            expire(transport);
        else
            link_timed(transport); /* not yet, or postponed without being linked again */
    }
}

static uint32_t current_tick(const cre__net *net) {
    return (uint32_t)(cre__loop_now(net->loop) / CRE__WHEEL_TICK_MS);
}

static void on_tick(void *context, cre_timer *timer) {
    cre__net *net = context;
    uint32_t now = current_tick(net);
    if (now - net->tick > CRE__WHEEL_SLOTS) net->tick = now - CRE__WHEEL_SLOTS;
    while (net->tick != now) {
        net->tick++;
        visit_slot(net, net->tick % CRE__WHEEL_SLOTS, now);
    }
    if (net->timed || net->keep_ticking || net->ticker != timer) return;
    cre_timer_stop(timer); /* an idle server does not wake up */
    net->ticker = NULL;
}

void cre__net_start_ticker(cre__net *net) {
    if (net->ticker) return;
    net->tick = current_tick(net);
    if (cre_timer_start(net->loop, CRE__WHEEL_TICK_MS, CRE__WHEEL_TICK_MS, on_tick, net, &net->ticker))
        net->ticker = NULL;
}

static __attribute__((noinline)) void move_deadline(cre__transport *transport, uint32_t deadline) {
    unlink_timed(transport);
    transport->deadline = deadline;
    link_timed(transport);
    cre__net_start_ticker(transport->net);
}

void cre__transport_set_deadline(cre__transport *transport, uint32_t after_ms) {
    if (!after_ms) {
        unlink_timed(transport);
        return;
    }
    /* Rounded up, and one more for the tick that has begun: never early. */
    uint32_t ticks = after_ms / CRE__WHEEL_TICK_MS + (after_ms % CRE__WHEEL_TICK_MS != 0);
    uint32_t deadline = current_tick(transport->net) + ticks + 1;
    bool later = transport->previous_timed && (int32_t)(deadline - transport->deadline) >= 0;
    if (later)
        transport->deadline = deadline; /* its slot comes up before that and links it again */
    else
        move_deadline(transport, deadline);
}

void cre__net_each_finishing(cre__net *net, void (*visit)(cre__transport *transport, void *context),
                             void *context) {
    for (uint32_t i = 0; i < CRE__WHEEL_SLOTS; i++) {
        for (cre__transport *transport = net->wheel[i], *next; transport; transport = next) {
            next = transport->next_timed;
            if (transport->state == CRE__TRANSPORT_FINISHING) visit(transport, context);
        }
    }
}

static void visit_finishing(cre__transport *transport, void *all) {
    if (all || transport->half_closed) cre__transport_close(transport, false);
}

void cre__net_close_finishing(cre__net *net) {
    cre__net_each_finishing(net, visit_finishing, net);
}

void cre__net_close_lingering(cre__net *net) {
    cre__net_each_finishing(net, visit_finishing, NULL);
}
