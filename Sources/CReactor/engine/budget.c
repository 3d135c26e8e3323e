/*
 * The memory budget over all connections of the server: for queued output, and for input that is not
 * complete.
 *
 * Each engine adds the bytes of its connections to a total in the connection table. While that is above the
 * budget, every engine ends its connections with the most bytes until the total is below it: they are counted
 * by their size first, so that two visits of all connections are enough.
 */
#include "engine/conn.h"

enum { CLASSES = 32 }; /* by powers of two */

typedef struct sizes {
    uint64_t bytes[CLASSES];
    uint64_t excess;
    uint32_t smallest; /* the class from which on connections are ended */
} sizes;

static uint32_t class_of(uint64_t bytes) {
    uint32_t class = bytes ? 63 - (uint32_t)__builtin_clzll(bytes) : 0;
    return class < CLASSES ? class : CLASSES - 1;
}

static uint64_t held_by(const cre__transport *transport) {
    return (uint64_t)transport->queued + (uint64_t)transport->buffered * CRE__BUFFERED_UNIT;
}

static void count(cre__transport *transport, void *context) {
    sizes *found = context;
    found->bytes[class_of(held_by(transport))] += held_by(transport);
}

static void visit_count(cre__conn *conn, void *context) {
    count(&conn->transport, context);
}

/* Also transports whose stream has ended, and whose peer takes its time: nobody is notified of those any
 * more. */
static void end(cre__transport *transport, void *context) {
    sizes *found = context;
    cre__conn *conn = cre__conn_of(transport);
    uint64_t held = held_by(transport);
    if (!found->excess || !held || class_of(held) < found->smallest) return;
    found->excess -= held < found->excess ? held : found->excess;
    cre__conn_engine(conn)->stats.shed++;
    CRE__RESET(conn, .reason = CRE_CLOSED_OVERFLOW, .error = CRE_EBUDGET);
}

static void visit_end(cre__conn *conn, void *context) {
    end(&conn->transport, context);
}

/* Not at the end of each turn: the connections of another engine may keep the total above the budget. */
#define PAUSE_MS 20

void cre__budget_enforce(cre_engine *engine) {
    uint64_t total = cre__table_total(engine->table);
    if (total <= engine->budget || !(engine->net.queued + engine->net.buffered)) return;
    uint32_t now = (uint32_t)cre_loop_now(engine->loop);
    if (now - engine->budget_enforced_at < PAUSE_MS) return;
    engine->budget_enforced_at = now;
    sizes found = { .excess = total - engine->budget };
    cre__engine_each(engine, visit_count, &found);
    cre__net_each_finishing(&engine->net, count, &found);
    uint64_t covered = 0;
    found.smallest = CLASSES;
    while (found.smallest && covered < found.excess)
        covered += found.bytes[--found.smallest];
    cre__net_each_finishing(&engine->net, end, &found);
    cre__engine_each(engine, visit_end, &found);
}
