/* What the parts of a worker share: connections in worker.c, tasks and messages in task.c. */
#ifndef CRE_HOST_WORKER_INTERNAL_H
#define CRE_HOST_WORKER_INTERNAL_H

#include <creactor/internal/task.h>
#include <creactor/internal/worker.h>

#include "engine/command.h"
#include "link/bus_internal.h"
#include "loop/loop_internal.h"
#include "runtime/interest.h"

struct cre_worker {
    cre_worker_config config;
    cre_loop *loop; /* NULL: it only commands */
    cre_table *table;
    cre_node *node;
    cre_engine *engine;
    cre__activity_block *activity; /* what it shows of itself */
    uint32_t last_choice;          /* of a task worker */
    cre_session handled;           /* the session of the MESSAGE in hand; 0: none */
    const cre_record *event;       /* of another node, in hand; NULL: none */
    const uint8_t *payload;        /* of that event */
    cre__backlog backlog;          /* events that were deferred */
    uint32_t replayed;             /* the ticket of the event in hand; 0: it is new, or was deferred again */
    cre__hook replay;              /* serves the events that a predecessor has deferred */
    uint32_t *tickets;             /* of those, in order; NULL: the hook has run */
    int until_sample;              /* calls before the next one that is timed */
    uint64_t began_ns;             /* of the call in hand; 0: it is not timed */
    uint64_t task_began_ns;
    uint32_t timed_kind;  /* of an activity that is timed */
    bool serving_further; /* events of this moment are not timed */
    bool immediate;       /* what is sent leaves at once */
    bool suspended;       /* the task in hand goes on when on_message has returned */
    bool leaving;         /* events are deferred for the successor */
    bool stopped;         /* no events are received any more */
    /* As published for the successor, where others can overwrite it: */
    uint64_t last_task; /* posted */
    uint64_t task;      /* in hand; 0: none */
    uint32_t task_from, task_kind;
    cre__interest interest; /* of its engine, in a cluster */
    uint64_t surplus;       /* tasks that were given, but neither done nor there, when last checked */
};

static inline cre__activity_block *cre__own_activity(const cre_worker *worker) {
    return worker->activity;
}

static inline bool cre__is_task_worker(const cre_worker *worker) {
    return (uint32_t)(worker->config.node - worker->config.first_task) < worker->config.task_count;
}

/* What a process is at while a callback runs. Only it writes that: plain loads and stores do. */
typedef struct cre__activity_state {
    uint64_t since_ms, session;
    uint32_t kind;
} cre__activity_state;

/* Whether a callback runs already. */
static inline bool cre__activity_runs(const cre_worker *worker) {
    return atomic_load_explicit(&cre__own_activity(worker)->since_ms, memory_order_relaxed) != 0;
}

static inline cre__activity_state cre__activity_state_of(const cre_worker *worker) {
    cre__activity_block *activity = cre__own_activity(worker);
    return (cre__activity_state){
        .since_ms = atomic_load_explicit(&activity->since_ms, memory_order_relaxed),
        .session = atomic_load_explicit(&activity->session, memory_order_relaxed),
        .kind = atomic_load_explicit(&activity->kind, memory_order_relaxed),
    };
}

/* What was done last stays, for who asks what it died of. */
static inline void cre__activity_end(cre_worker *worker) {
    atomic_store_explicit(&cre__own_activity(worker)->since_ms, 0, memory_order_relaxed);
}

static inline void cre__activity_restore(cre_worker *worker, cre__activity_state state) {
    cre__activity_block *activity = cre__own_activity(worker);
    if (!state.since_ms) {
        cre__activity_end(worker);
        return;
    }
    atomic_store_explicit(&activity->since_ms, state.since_ms, memory_order_relaxed);
    atomic_store_explicit(&activity->session, state.session, memory_order_relaxed);
    atomic_store_explicit(&activity->kind, state.kind, memory_order_relaxed);
}

static inline void cre__activity_set(cre_worker *worker, uint32_t kind, uint64_t session) {
    cre__activity_block *activity = cre__own_activity(worker);
    uint64_t served = atomic_load_explicit(&activity->served, memory_order_relaxed);
    atomic_store_explicit(&activity->served, served + 1, memory_order_relaxed);
    atomic_store_explicit(&activity->session, session, memory_order_relaxed);
    atomic_store_explicit(&activity->kind, kind, memory_order_relaxed);
    atomic_store_explicit(&activity->since_ms, cre__loop_now(worker->loop) | 1, memory_order_relaxed);
}

/* Returns what it was at before. */
static inline cre__activity_state cre__activity_begin(cre_worker *worker, uint32_t kind, uint64_t session) {
    const cre__activity_state before = cre__activity_state_of(worker);
    cre__activity_set(worker, kind, session);
    return before;
}

/* One in CRE__SAMPLED_OF calls is timed: the clock would cost too much for all. It is a prime, so that a
 * regular sequence of events is not sampled at the same place again and again. */
enum { CRE__SAMPLED_OF = 127 };

static inline bool cre__is_sampled(cre_worker *worker) {
    return --worker->until_sample < 0;
}

/* The limit of records holds for the connections of this worker, too: whoever owns a connection, a payload is
 * accepted or refused. */
static inline bool cre__is_too_large(const cre_worker *worker, size_t length) {
    return length + sizeof(cre_response) > worker->config.bus->config.max_payload;
}

/* ---- worker.c ---- */

/* Shows successors which request of its connection this worker has taken last. */
void cre__show_taken(cre_worker *worker, const cre_record *request);

/* Serves an event of another node. */
void cre__serve_event(cre_worker *worker, const cre_record *event, uint8_t *payload);

/* ---- deferred.c ---- */

/* Opens the backlog, with what a predecessor has left there. Returns 0 or CRE_ENOMEM. */
int cre__open_deferred(cre_worker *worker);
void cre__close_deferred(cre_worker *worker);

/* Defers an event for the successor of a worker that is leaving. Returns false when it must be served here.
 */
bool cre__leave_event(cre_worker *worker, const cre_record *event, const uint8_t *payload);

/* ---- times.c ---- */

/* Between the counters of a node's engine and those of its loop. */
static inline cre_handler_times *cre__handler_times(const cre_bus *bus, uint32_t node) {
    return (cre_handler_times *)(void *)cre__bus_loop_stats(bus, node) - CRE_HANDLERS;
}

/* Returns the time that calls are measured with. */
uint64_t cre__call_clock(void);

/* Counts a call that has taken `ns`, and reports a slow one. */
void cre__count_call(cre_worker *worker, const cre_record *call, const uint8_t *payload, uint64_t ns);

/* Calls on_event, and counts the time that it takes. */
void cre__serve_timed(cre_worker *worker, const cre_record *event, uint8_t *payload);

/* Counts the event that is being served, and begins with the next one of its kind and session. */
void cre__continue_timed(cre_worker *worker);

/* The same for an activity that is no event. */
void cre__begin_timed(cre_worker *worker, uint32_t kind);
void cre__end_timed(cre_worker *worker);

/* The activity in hand goes on with a further event, so it has not begun long ago. */
static inline void cre__activity_refresh(cre_worker *worker) {
    atomic_store_explicit(&cre__own_activity(worker)->since_ms, cre__loop_now(worker->loop) | 1,
                          memory_order_relaxed);
}

/* The activity in hand is now that of another connection. */
static inline void cre__activity_turn(cre_worker *worker, cre_session session) {
    atomic_store_explicit(&cre__own_activity(worker)->session, session, memory_order_relaxed);
}

/* The process has finished one event and begun another one of the same kind and session. */
static inline void cre__activity_continue(cre_worker *worker) {
    cre__activity_block *activity = cre__own_activity(worker);
    uint64_t served = atomic_load_explicit(&activity->served, memory_order_relaxed);
    atomic_store_explicit(&activity->served, served + 1, memory_order_relaxed);
    atomic_store_explicit(&activity->since_ms, cre__loop_now(worker->loop) | 1, memory_order_relaxed);
    if (__builtin_expect(worker->began_ns != 0, 0)) cre__continue_timed(worker);
}

/* cre_node_send, and at once where nobody waits for the end of a turn. */
static inline int cre__worker_send(cre_worker *worker, uint32_t to, const cre_record *record,
                                   const cre_slice *parts, int count) {
    int result = cre_node_send(worker->node, to, record, parts, count);
    if (worker->immediate) cre_node_flush(worker->node);
    return result;
}

/* A record of another process is about to be taken. If it is a task, that is published first. */
void cre__task_taking(void *worker, uint32_t from, const cre_record *record, uint64_t mark);

/* A record of another process that is neither event nor command. */
int cre__message(cre_worker *worker, uint32_t from, const cre_record *record, uint8_t *payload);

/* There was no memory for one. */
void cre__message_lost(cre_worker *worker, uint32_t from, const cre_record *record);

/* The beginning of one died with a predecessor. */
void cre__message_crashed(cre_worker *worker, uint32_t from, const cre_record *record);

/* topics.c: sends the list that a CRE_MESSAGE_TOPICS asks for. Returns what the handler of a record does. */
int cre__answer_topics(cre_node *node, const cre_engine *engine, uint32_t from, const cre_record *question,
                       const uint8_t *filter);

/* topics.c: answers a CRE_MESSAGE_COUNT. Returns 0, or CRE_EINVALID for a malformed one. */
int cre__answer_count(cre_node *node, cre_engine *engine, uint32_t from, const cre_record *question,
                      const uint8_t *topic);
/* Whether a COUNTED may come from this sender, and has a valid form. */
bool cre__count_is_valid(const cre_worker *worker, uint32_t from, const cre_record *answer);

/* questions.c: whether an ANSWER may come from this sender, and has a valid form. */
bool cre__answer_is_valid(const cre_worker *worker, uint32_t from, const cre_record *answer);

/* presence.c: whether a MEMBER may come from this sender, and has a valid form. */
bool cre__change_is_valid(const cre_worker *worker, uint32_t from, const cre_record *record,
                          const uint8_t *payload);

/* publish.c: this worker has subscribed a connection to a topic. Another owner reports that by another ring,
 * perhaps later than the gateway gets what this worker publishes next. */
void cre__worker_expect(cre_worker *worker, cre_session session, const void *topic, size_t length);

/* recovery.c: a RECOVERED for a worker that owns sockets. */
int cre__worker_recovered(cre_worker *worker, uint32_t from, const cre_record *record,
                          const uint8_t *payload);

/* Restores what others have overwritten in the activity of a process that runs no callback. Returns how many
 * values differed. */
uint32_t cre__activity_repair(cre_worker *worker);

/* Notifies the poster of the task in which a predecessor died. */
void cre__take_over_activity(cre_worker *worker);

static inline void cre__each_partial(void *node, bool (*visit)(void *context, const cre_record *, size_t),
                                     void *context) {
    cre__node_each_partial(node, visit, context);
}

/* What the node holds for its engine's connections counts as theirs, until the engine is destroyed. */
static inline void cre__reclaim(void *link) {
    cre__node_reclaim(link);
}
static inline void cre__count_transit(cre_engine *engine, cre_node *node) {
    cre__engine_set_transit(engine, &(cre__transit){ .held = cre__node_held(node),
                                                     .each = cre__each_partial,
                                                     .reclaim = cre__reclaim,
                                                     .link = node });
}

/* The output that all processes together may have accepted for one connection before they see the length of
 * its queue: in their rings, in the memory behind them, in their arenas and that of the reactor, and read in
 * the same turn. */
static inline uint64_t cre__in_flight(const cre_bus_config *config) {
    const uint64_t most = 1u << 30;
    const uint64_t arena = config->arena_bytes == CRE_BUS_NO_ARENA ? 0 : config->arena_bytes;
    uint64_t of_one = 2ull * config->ring_bytes + config->queue_bytes + config->max_payload + arena;
    return of_one < most / config->nodes ? of_one * config->nodes : most;
}

#endif
