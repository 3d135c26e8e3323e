/*
 * The memory budget over all connections of the server: for queued output, for input that is not complete,
 * and for what a link holds for them. A command that is being reassembled counts as a connection of its own.
 *
 * Each engine adds the bytes of its connections to a total in the connection table. While that is above the
 * budget, every engine ends its connections with the most bytes until the total is below it: they are counted
 * by their size first, so that two visits of all connections are enough.
 */
#include "engine/conn.h"

enum { CLASSES = 32 }; /* by powers of two */

typedef struct sizes {
    cre_engine *engine;
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

/* Messages of workers to each other are none of the engine's. */
static bool count_command(void *context, const cre_record *command, size_t bytes) {
    sizes *found = context;
    if (cre__command_rule_of(command->kind)) found->bytes[class_of(bytes)] += bytes;
    return false;
}

static void visit_count(cre__conn *conn, void *context) {
    count(&conn->transport, context);
}

/* Whether something that holds `held` bytes is among the largest, and must end. */
static bool must_end(sizes *found, uint64_t held) {
    if (!found->excess || !held || class_of(held) < found->smallest) return false;
    found->excess -= held < found->excess ? held : found->excess;
    return true;
}

static bool end_command(void *context, const cre_record *command, size_t bytes) {
    sizes *found = context;
    if (!cre__command_rule_of(command->kind) || !must_end(found, bytes)) return false;
    cre__command_shed(found->engine, command);
    return true;
}

/* Also transports whose stream has ended, and whose peer takes its time: nobody is notified of those any
 * more. */
static void end(cre__transport *transport, void *context) {
    sizes *found = context;
    cre__conn *conn = cre__conn_of(transport);
    if (!must_end(found, held_by(transport))) return;
    cre__count_rare(cre__conn_engine(conn), &cre__conn_engine(conn)->stats.shed, 1);
    CRE__RESET(conn, .reason = CRE_CLOSED_OVERFLOW, .error = CRE_EBUDGET);
}

static void visit_end(cre__conn *conn, void *context) {
    end(&conn->transport, context);
}

/* Not at the end of each turn: the connections of another engine may keep the total above the budget. */
#define PAUSE_MS 20

void cre__budget_enforce(cre_engine *engine) {
    uint64_t total = cre__table_total(engine->table);
    if (total <= engine->budget || !cre__net_held(&engine->net)) return;
    uint32_t now = (uint32_t)cre_loop_now(engine->loop);
    if (now - engine->budget_enforced_at < PAUSE_MS) return;
    engine->budget_enforced_at = now;
    const cre__transit *transit = &engine->transit;
    if (transit->reclaim) { /* a busy loop does so only when it needs room */
        transit->reclaim(transit->link);
        cre__net_publish_total(&engine->net);
        total = cre__table_total(engine->table);
        if (total <= engine->budget) return;
    }
    sizes found = { .engine = engine, .excess = total - engine->budget };
    if (transit->each) transit->each(transit->link, count_command, &found);
    cre__engine_each(engine, visit_count, &found);
    cre__net_each_finishing(&engine->net, count, &found);
    uint64_t covered = 0;
    found.smallest = CLASSES;
    while (found.smallest && covered < found.excess)
        covered += found.bytes[--found.smallest];
    if (transit->each) transit->each(transit->link, end_command, &found);
    cre__net_each_finishing(&engine->net, end, &found);
    cre__engine_each(engine, visit_end, &found);
}
