/* The end of the link at which decisions are made. */
#include <creactor/error.h>
#include <creactor/internal/worker.h>
#include <string.h>

#include "core/memory.h"
#include "core/probes.h"
#include "core/slices.h"
#include "engine/command.h"
#include "engine/conn.h"
#include "engine/further.h"
#include "registry/table_internal.h"
#include "runtime/worker_internal.h"

/* Of a slot's request_taken; below it is the request's number. */
enum { TAKEN = 256, MARKED = 512 };
/* Of an activity's request_taken, whose positions are even, while what is beside it changes. */
enum { NOT_TAKEN = 1 };

static inline void call_handler(cre_worker *worker, const cre_record *event, uint8_t *payload) {
    worker->handled = event->kind == CRE_EVENT_MESSAGE ? event->session : 0;
    CRE__PROBE3(handler_enter, event->session, event->kind, event->length);
    if (__builtin_expect(cre__is_sampled(worker) && !worker->serving_further, 0))
        cre__serve_timed(worker, event, payload);
    else
        worker->config.on_event(worker->config.context, event, payload);
    CRE__PROBE2(handler_leave, event->session, event->kind);
}

/* An event inside another one: a close, while that is served. */
static __attribute__((noinline)) void serve_inside(cre_worker *worker, const cre_record *event,
                                                   uint8_t *payload) {
    const cre__activity_state before = cre__activity_state_of(worker);
    const cre_session outer = worker->handled;
    cre__activity_set(worker, event->kind, event->session);
    call_handler(worker, event, payload);
    worker->handled = outer;
    cre__activity_restore(worker, before);
}

/* Publishes the activity meanwhile. */
static inline __attribute__((always_inline)) void serve_event(cre_worker *worker, const cre_record *event,
                                                              uint8_t *payload) {
    if (__builtin_expect(cre__activity_runs(worker), 0)) {
        serve_inside(worker, event, payload);
        return;
    }
    cre__activity_set(worker, event->kind, event->session);
    call_handler(worker, event, payload);
    worker->handled = 0;
    cre__activity_end(worker);
}

static int on_engine_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    (void)engine;
    serve_event(context, event, payload);
    return 0;
}

static cre__slot *slot_of(const cre_worker *worker, cre_session session) {
    return &cre__table_slots(worker->table)[cre__table_index(worker->table, session)];
}

/* The connection is about to end, which its owner, another process, will show only later. */
static void show_closing(cre_worker *worker, cre_session session) {
    cre__table_set_state(worker->table, session, CRE_CONNECTION_CLOSING);
}

/* Without these a connection would wait for ever, and nobody repeats them. */
static bool is_indispensable(const cre_record *command) {
    return command->kind == CRE_COMMAND_RESUME || command->kind == CRE_COMMAND_RESET ||
           command->kind == CRE_COMMAND_ABANDON || command->kind == CRE_COMMAND_ADOPT;
}

/* Sends such a command, which has no payload, when there is no room for any other record. */
static int send_indispensable(cre_worker *worker, uint32_t owner, const cre_record *command) {
    const size_t limit = (size_t)worker->config.bus->config.queue_bytes * 4;
    int result = cre__node_send(worker->node, owner, command, NULL, 0, limit);
    if (worker->immediate) cre_node_flush(worker->node);
    return result;
}

static bool is_closing(cre_worker *worker, cre_session session) {
    return atomic_load_explicit(&slot_of(worker, session)->state, memory_order_relaxed) ==
           CRE_CONNECTION_CLOSING;
}

void cre__show_taken(cre_worker *worker, const cre_record *request) {
    atomic_store_explicit(&slot_of(worker, request->session)->request_taken,
                          TAKEN | (uint32_t)request->opcode, memory_order_relaxed);
}

void cre__serve_event(cre_worker *worker, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_REQUEST) cre__show_taken(worker, event);
    worker->event = event;
    worker->payload = payload;
    serve_event(worker, event, payload);
    worker->event = NULL;
}

/* Events of a reactor, or commands of another worker for a connection of ours. */
static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre_worker *worker = context;
    if (record->kind >= CRE_MESSAGE_TASK) return cre__message(worker, from, record, payload);
    if (record->kind < CRE_COMMAND_PUSH) {
        if (!worker->config.on_event) return CRE_EINVALID;
        if (__builtin_expect(worker->leaving, false) && cre__leave_event(worker, record, payload)) return 0;
        cre__serve_event(worker, record, payload);
        return 0;
    }
    if (!worker->engine) return CRE_EINVALID;
    cre_slice part = { payload, record->length };
    return cre__command_receive(worker->engine, record, &part);
}

/* The request that a predecessor took last, if that was the last record that it has taken. */
static void abandon_last_request(cre_worker *worker) {
    const cre_worker_config *config = &worker->config;
    cre__activity_block *activity = worker->activity;
    const uint64_t mark = atomic_load(&activity->request_taken);
    const uint32_t from = atomic_load_explicit(&activity->request_from, memory_order_relaxed);
    const cre_record command = {
        .kind = CRE_COMMAND_ABANDON,
        .flags = CRE_RECORD_ONLY, /* those before it are perhaps in the backlog */
        .opcode = (uint8_t)atomic_load_explicit(&activity->request_number, memory_order_relaxed),
        .session = atomic_load_explicit(&activity->request_session, memory_order_relaxed),
    };
    if (!command.session || from >= config->bus->config.nodes ||
        cre__bus_taken(config->bus, from, config->node) != mark ||
        cre__backlog_has_mark(&worker->backlog, command.session, mark))
        return;
    cre_worker_command(worker, &command, NULL, 0);
}

/* A predecessor that died took requests with it that nobody will answer, and their clients would wait for
 * ever. Those it had not taken are still in the ring. Which of the others it has answered their owner knows:
 * not everything that it said was published. Connections that it had stopped reading are read again. */
static void take_over_from_predecessor(cre_worker *worker) {
    abandon_last_request(worker);
    cre_session sessions[64];
    uint32_t cursor = 0;
    for (size_t n; (n = cre_table_list(worker->table, &cursor, sessions, 64));) {
        for (size_t i = 0; i < n; i++) {
            cre__slot *slot = slot_of(worker, sessions[i]);
            if (cre__slot_worker(slot) != worker->config.node) continue;
            /* Whether the predecessor had stopped the reading of it nobody knows any more. */
            cre_record command = { .kind = CRE_COMMAND_RESUME, .session = sessions[i] };
            cre_worker_command(worker, &command, NULL, 0);
            if (is_closing(worker, sessions[i])) { /* its owner may never have received the command */
                command = (cre_record){ .kind = CRE_COMMAND_CLOSE, .session = sessions[i] };
                send_indispensable(worker, atomic_load_explicit(&slot->owner, memory_order_relaxed),
                                   &command);
            }
            uint32_t taken = atomic_load_explicit(&slot->request_taken, memory_order_relaxed);
            if (!(taken & TAKEN)) continue;
            /* The predecessor may have died when it had just begun to serve it from the backlog. */
            const cre_record request = { .kind = CRE_EVENT_REQUEST,
                                         .opcode = (uint8_t)taken,
                                         .session = sessions[i] };
            if (cre__backlog_has_like(&worker->backlog, &request)) taken--;
            command =
                (cre_record){ .kind = CRE_COMMAND_ABANDON, .opcode = (uint8_t)taken, .session = sessions[i] };
            cre_worker_command(worker, &command, NULL, 0);
        }
    }
}

/* The process may be killed when it has taken a request, and before the slot of its connection shows that; or
 * when it has taken a piece of the body of a request that it leaves to its successor. */
static void on_taking(void *context, uint32_t from, const cre_record *request, uint64_t mark) {
    cre__activity_block *activity = ((cre_worker *)context)->activity;
    if (request->kind != CRE_EVENT_REQUEST && request->kind != CRE_EVENT_REQUEST_BODY) return;
    atomic_store_explicit(&activity->request_taken, NOT_TAKEN, memory_order_relaxed);
    atomic_store_explicit(&activity->request_session, request->session, memory_order_release);
    atomic_store_explicit(&activity->request_number, request->opcode, memory_order_relaxed);
    atomic_store_explicit(&activity->request_from, from, memory_order_relaxed);
    atomic_store_explicit(&activity->request_taken, mark, memory_order_release);
}

/* Nobody will answer an event that is lost, and a stream goes on only without a hole. */
static void on_lost(void *context, uint32_t from, const cre_record *record) {
    cre_worker *worker = context;
    if (record->kind >= CRE_MESSAGE_TASK) {
        cre__message_lost(worker, from, record);
    } else if (record->kind >= CRE_COMMAND_PUSH) {
        if (worker->engine) cre__command_lost(worker->engine, record);
    } else if (record->kind != CRE_EVENT_PACKET) {
        cre_worker_command(worker, &(cre_record){ .kind = CRE_COMMAND_RESET, .session = record->session },
                           NULL, 0);
    }
}

/* A predecessor had taken the beginning of a request or task, which its successor could not see. */
static void on_rest(void *context, uint32_t from, const cre_record *record) {
    cre_worker *worker = context;
    if (record->kind == CRE_MESSAGE_TASK) cre__message_crashed(worker, from, record);
    if (record->kind != CRE_EVENT_REQUEST) return;
    cre_record command = { .kind = CRE_COMMAND_ABANDON,
                           .flags = CRE_RECORD_ONLY,
                           .opcode = record->opcode,
                           .session = record->session };
    cre_worker_command(worker, &command, NULL, 0);
}

static void on_violation(void *context, uint32_t from) {
    cre_worker *worker = context;
    if (worker->config.violation) worker->config.violation(worker->config.context, from);
}

/* Only in a cluster. */
static void on_room(void *context, uint32_t to) {
    cre_worker *worker = context;
    if (to == worker->interest.gateway) cre__interest_continue(&worker->interest);
}

static void on_topic(void *context, const void *name, size_t length, bool exists) {
    cre__interest_changed(&((cre_worker *)context)->interest, name, length, exists);
}

static void on_member(void *context, cre_slice topic, cre_slice id, cre_slice info, bool joined) {
    const cre__membership member = { topic, id, info };
    cre__interest_member(&((cre_worker *)context)->interest, &member, joined);
}

static bool on_check(void *context, uint32_t repaired) {
    cre_worker *worker = context;
    if (worker->interest.stale) cre__interest_continue(&worker->interest);
    const uint64_t own = repaired + cre__activity_repair(worker);
    const uint64_t all = own + (worker->engine ? cre__engine_repair(worker->engine) : 0);
    if (worker->engine)
        cre__engine_count_repaired(worker->engine, own);
    else
        cre__bus_count_repaired(worker->config.bus, worker->config.node, own);
    if (all && worker->config.repaired) worker->config.repaired(worker->config.context, all);
    return cre__backlog_tidy(&worker->backlog) || (worker->engine && cre_table_count(worker->table) > 0);
}

/* What follows an event that was deferred is not what follows it here. */
static bool is_delivering(const cre_worker *worker, cre_session session) {
    return session && worker->handled == session && !worker->leaving && !worker->replayed;
}

bool cre_worker_may_take_message(const cre_worker *worker, cre_session session) {
    return is_delivering(worker, session) && (worker->engine || cre__node_has_next(worker->node));
}

bool cre_worker_take_message(cre_worker *worker, cre_session session, cre_record *event, uint8_t **payload) {
    if (!is_delivering(worker, session)) return false;
    const bool taken = worker->engine ? cre__engine_take_message(worker->engine, session, event, payload)
                                      : cre_node_take_next(worker->node, event, payload);
    if (!taken) return false;
    worker->event = NULL; /* its payload is no longer valid */
    cre__activity_continue(worker);
    return true;
}

/* A request that is timed would get the time of the next one, too. */
bool cre_worker_may_serve_request(const cre_worker *worker, cre_session session) {
    return worker->engine && !worker->began_ns && cre__engine_has_requests(worker->engine, session);
}

cre_session cre_worker_serve_request(cre_worker *worker, cre_session session) {
    if (!cre_worker_may_serve_request(worker, session)) return 0;
    cre__activity_refresh(worker);
    worker->serving_further = true; /* its handler is perhaps called when on_event has returned */
    const cre_session served = cre__engine_serve_request(worker->engine);
    worker->serving_further = false;
    if (served) cre__activity_turn(worker, served);
    return served;
}

void cre_worker_mark(cre_worker *worker, cre_session session) {
    if (cre_worker_marked(worker, session)) return;
    atomic_fetch_or_explicit(&slot_of(worker, session)->request_taken, MARKED, memory_order_relaxed);
}

bool cre_worker_marked(const cre_worker *worker, cre_session session) {
    return atomic_load_explicit(&slot_of(worker, session)->request_taken, memory_order_relaxed) & MARKED;
}

int cre_worker_prepare(cre_loop *loop, const cre_worker_config *config, cre_worker **out) {
    cre_worker *worker = cre__calloc(1, sizeof *worker);
    if (!worker) return CRE_ENOMEM;
    worker->config = *config;
    worker->config.engine = NULL; /* borrowed by cre_worker_open */
    worker->loop = loop;
    worker->immediate = !loop;
    worker->last_choice = UINT32_MAX; /* so that the first comes first */
    worker->table = cre_bus_table(config->bus);
    cre__table_share(worker->table);
    *out = worker;
    return 0;
}

int cre_worker_open(cre_worker *worker, const cre_engine_config *engine) {
    cre_worker_config *config = &worker->config;
    cre_loop *loop = worker->loop;
    if (worker->node || (engine && (!config->on_event || !loop))) return CRE_EINVALID;
    if (!config->owner_count && engine) {
        config->first_owner = (uint16_t)config->node;
        config->owner_count = 1;
    }
    if (config->node < config->bus->config.nodes) worker->activity = &config->bus->activities[config->node];
    int result = 0;
    if (engine) {
        cre_engine_config own = *engine;
        own.size = sizeof own;
        own.on_event = on_engine_event;
        own.context = worker;
        own.congested = NULL;
        own.half_open = true; /* as with reactors: what a worker sees is the same in both modes */
        own.table = worker->table;
        own.in_flight = cre__in_flight(&config->bus->config);
        own.shared_stats = cre__bus_shown(config->bus, config->node);
        own.node = own.first_worker = (uint16_t)config->node;
        own.worker_count = 1;
        own.dispatch = CRE_DISPATCH_BY_CONNECTION;
        if (cre__is_clustered(config->cluster)) own.on_topic = on_topic;
        if (cre__has_gateway(config->cluster)) own.on_member = on_member;
        result = cre_engine_create(loop, &own, &worker->engine);
    }
    cre_node_handlers handlers = {
        .record = on_record,
        .room = engine && config->cluster && config->cluster->gateway ? on_room : NULL,
        .violation = on_violation,
        .lost = on_lost,
        .taking = cre__is_task_worker(worker) ? cre__task_taking : on_taking,
        .taking_first = cre__is_task_worker(worker) ? CRE_MESSAGE_TASK : CRE_EVENT_REQUEST,
        .taking_last = cre__is_task_worker(worker) ? CRE_MESSAGE_TASK : CRE_EVENT_REQUEST_BODY,
        .rest = on_rest,
        .check = on_check,
    };
    /* Its hook runs before that of the node: what was deferred is older. */
    if (!result && !engine && config->on_event && loop) result = cre__open_deferred(worker);
    if (!result) result = cre_node_open(config->bus, config->node, loop, &handlers, worker, &worker->node);
    if (result) {
        cre__close_deferred(worker);
        cre_engine_destroy(worker->engine);
        worker->engine = NULL;
        worker->activity = NULL;
        return result;
    }
    /* Tasks wait for one that is suspended, and that may wait for the gateway. */
    if (cre__has_gateway(config->cluster)) cre__node_never_pause(worker->node, config->cluster->gateway);
    if (worker->engine && cre__has_gateway(config->cluster))
        cre__node_set_relay(worker->node, config->cluster->gateway);
    if (worker->engine) cre__count_transit(worker->engine, worker->node);
    if (worker->engine) cre__interest_begin(&worker->interest, worker->node, worker->engine, config->cluster);
    cre__take_over_activity(worker);
    if (!worker->engine && config->on_event) take_over_from_predecessor(worker);
    return 0;
}

int cre_worker_create(cre_loop *loop, const cre_worker_config *config, cre_worker **out) {
    cre_worker *worker;
    int result = cre_worker_prepare(loop, config, &worker);
    if (result) return result;
    result = cre_worker_open(worker, config->engine);
    if (result)
        cre__free(worker);
    else
        *out = worker;
    return result;
}

void cre_worker_destroy(cre_worker *worker) {
    if (!worker) return;
    cre_engine_destroy(worker->engine);
    cre__close_deferred(worker);
    cre_node_close(worker->node);
    cre__free(worker);
}

/* Other task workers send results of tasks that this one has posted, and for which it waits. */
static void leave_tasks(cre_worker *worker) {
    const cre_worker_config *config = &worker->config;
    const uint32_t behind = (uint32_t)config->first_task + config->task_count;
    cre_node_stop_receiving(worker->node, 0, config->first_task);
    cre_node_stop_receiving(worker->node, behind, config->bus->config.nodes - behind);
}

void cre_worker_stop_receiving(cre_worker *worker) {
    const cre_worker_config *config = &worker->config;
    worker->stopped = true;
    /* Those who own sockets themselves get no events of others. */
    if (cre__is_task_worker(worker))
        leave_tasks(worker);
    else if (!worker->engine)
        cre_node_stop_receiving(worker->node, config->first_owner, config->owner_count);
}

bool cre_worker_congested(const cre_worker *worker) {
    for (uint32_t node = 0; node < worker->config.bus->config.nodes; node++)
        if (cre_node_congested(worker->node, node)) return true;
    return false;
}

bool cre_worker_end_receiving(cre_worker *worker) {
    if (cre_node_receiving(worker->node)) return false;
    worker->stopped = true;
    cre_node_stop_receiving(worker->node, 0, worker->config.bus->config.nodes);
    return true;
}

void cre_worker_set_immediate(cre_worker *worker, bool immediate) {
    worker->immediate = immediate || !worker->loop;
    if (immediate) cre_node_flush(worker->node);
}

void cre_worker_flush(cre_worker *worker) {
    cre_node_flush(worker->node);
}

cre_engine *cre_worker_engine(cre_worker *worker) {
    return worker->engine;
}

bool cre_worker_owns(const cre_worker *worker, cre_session session) {
    uint16_t owner;
    return worker->engine && cre__table_owner(worker->table, session, &owner) && owner == worker->config.node;
}

/* Whether `length` more bytes do not fit the queue of the connection: the rule of its owner. */
static bool is_full(const cre_worker *worker, const cre__slot *slot, size_t length) {
    uint32_t limit = worker->config.max_queue;
    if (!limit) limit = atomic_load_explicit(&slot->queue_limit, memory_order_relaxed);
    uint32_t queued = atomic_load_explicit(&slot->queued, memory_order_relaxed);
    return length && queued && queued + (uint64_t)length > limit;
}

/* A push to a connection of another process: its state is the one that the table shows. */
static inline __attribute__((always_inline)) int push_to_owner(cre_worker *worker, uint16_t owner,
                                                               const cre_record *command,
                                                               const cre_slice *parts, int count) {
    const cre__slot *slot = slot_of(worker, command->session);
    int state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    if (state != CRE_CONNECTION_OPEN)
        return state == CRE_CONNECTION_HTTP || state == CRE_CONNECTION_STREAM ? CRE_ENOT_WEBSOCKET
                                                                              : CRE_EGONE;
    if (is_full(worker, slot, cre__slices_length(parts, count))) return CRE_EQUEUE_FULL;
    if (count == 1 && parts->length >= CRE__BY_REFERENCE &&
        cre__node_return(worker->node, owner, command, parts)) {
        if (worker->immediate) cre_node_flush(worker->node);
        return 0;
    }
    return cre__worker_send(worker, owner, command, parts, count);
}

/* The command's owner is another process: what can be known here is answered here. */
static int send_to_owner(cre_worker *worker, uint16_t owner, const cre_record *command,
                         const cre_slice *parts, int count) {
    int result = cre__command_check(command, parts, count);
    if (result) return result;
    if (command->kind == CRE_COMMAND_CLOSE) {
        if (is_closing(worker, command->session)) return CRE_EGONE;
    } else if (command->kind == CRE_COMMAND_BIND) {
        if (atomic_load_explicit(cre__table_user(worker->table, command->session), memory_order_relaxed))
            return CRE_ESTATE;
    } else if (command->kind == CRE_COMMAND_SUBSCRIBE || command->kind == CRE_COMMAND_UNSUBSCRIBE ||
               command->kind == CRE_COMMAND_JOIN) {
        int state = atomic_load_explicit(&slot_of(worker, command->session)->state, memory_order_relaxed);
        if (state == CRE_CONNECTION_HTTP || state == CRE_CONNECTION_STREAM) return CRE_ENOT_WEBSOCKET;
    } else if (command->kind == CRE_COMMAND_PUSH) {
        return push_to_owner(worker, owner, command, parts, count);
    } else if (command->kind == CRE_COMMAND_SEND) {
        const cre__slot *slot = slot_of(worker, command->session);
        int state = atomic_load_explicit(&slot->state, memory_order_relaxed);
        if (state != CRE_CONNECTION_STREAM)
            return state == CRE_CONNECTION_CLOSING ? CRE_EGONE : CRE_ENOT_STREAM;
        if (is_full(worker, slot, cre__slices_length(parts, count))) return CRE_EQUEUE_FULL;
    } else if (command->kind == CRE_COMMAND_RESPOND_BODY && !(command->flags & CRE_RECORD_FINAL)) {
        if (is_full(worker, slot_of(worker, command->session), cre__slices_length(parts, count)))
            return CRE_EQUEUE_FULL;
    }
    result = !count && is_indispensable(command) ? send_indispensable(worker, owner, command)
                                                 : cre__worker_send(worker, owner, command, parts, count);
    if (!result && (command->kind == CRE_COMMAND_CLOSE || command->kind == CRE_COMMAND_RESET))
        show_closing(worker, command->session);
    if (!result && command->kind == CRE_COMMAND_UNBIND)
        atomic_store_explicit(cre__table_user(worker->table, command->session), 0, memory_order_relaxed);
    /* Without its end a response would keep its client waiting for ever. That it is cut off a reset says. */
    if (result && command->kind == CRE_COMMAND_RESPOND_BODY && (command->flags & CRE_RECORD_FINAL)) {
        cre_record reset = { .kind = CRE_COMMAND_RESET, .session = command->session };
        send_indispensable(worker, owner, &reset);
    }
    return result;
}

/* For the connections of all owners. */
static int send_to_all(cre_worker *worker, const cre_record *command, const cre_slice *parts, int count) {
    int result = cre__command_check(command, parts, count);
    if (result) return result;
    for (uint32_t i = 0; i < worker->config.owner_count; i++) {
        uint32_t owner = worker->config.first_owner + i;
        int sent = worker->engine && owner == worker->config.node
                       ? cre_engine_command(worker->engine, command, parts, count)
                       : cre__worker_send(worker, owner, command, parts, count);
        if (!result) result = sent;
    }
    return result;
}

/* Datagram sockets have owners by their port, not by a session. */
static int send_datagram(cre_worker *worker, const cre_record *command, const cre_slice *parts, int count) {
    if (worker->engine) return cre_engine_command(worker->engine, command, parts, count);
    if (!worker->config.owner_count) return CRE_EGONE;
    int result = cre__command_check(command, parts, count);
    uint32_t owner = worker->config.first_owner + cre_record_port(command) % worker->config.owner_count;
    return result ? result : cre__worker_send(worker, owner, command, parts, count);
}

int cre_worker_command(cre_worker *worker, const cre_record *command, const cre_slice *parts, int count) {
    if (command->kind == CRE_COMMAND_PUBLISH || command->kind == CRE_COMMAND_BROADCAST)
        return send_to_all(worker, command, parts, count);
    if (command->kind == CRE_COMMAND_SENDTO) return send_datagram(worker, command, parts, count);
    uint16_t owner;
    if (!cre__table_owner(worker->table, command->session, &owner)) return CRE_EGONE;
    if (worker->engine && owner == worker->config.node)
        return cre_engine_command(worker->engine, command, parts, count);
    return send_to_owner(worker, owner, command, parts, count);
}

static __attribute__((noinline)) int push_by_table(cre_worker *worker, cre_session session, uint8_t opcode,
                                                   bool final, const void *data, size_t length) {
    uint16_t owner;
    if (!cre__table_owner(worker->table, session, &owner)) return CRE_EGONE;
    cre_record command = {
        .kind = CRE_COMMAND_PUSH, .opcode = opcode, .flags = final ? CRE_RECORD_FINAL : 0, .session = session
    };
    cre_slice part = { data, length };
    const bool here = worker->engine && owner == worker->config.node;
    if (here || opcode > CRE_WS_BINARY) return cre_worker_command(worker, &command, &part, 1);
    return push_to_owner(worker, owner, &command, &part, 1);
}

int cre_worker_push(cre_worker *worker, cre_session session, uint8_t opcode, bool final, const void *data,
                    size_t length) {
    if (cre__is_too_large(worker, length)) return CRE_ELIMIT;
    /* The most frequent command of all takes the short way: the engine knows its connections by itself. */
    cre__conn *own = worker->engine && final ? cre__engine_find(worker->engine, session) : NULL;
    if (own) return cre__conn_push(own, opcode, data, length);
    return push_by_table(worker, session, opcode, final, data, length);
}

int cre_worker_send(cre_worker *worker, cre_session session, const void *data, size_t length) {
    cre_record command = { .kind = CRE_COMMAND_SEND, .session = session };
    cre_slice part = { data, length };
    return cre_worker_command(worker, &command, &part, 1);
}

int cre_worker_send_to(cre_worker *worker, uint16_t port, const cre_address *to, const void *data,
                       size_t length) {
    cre_record command = { .kind = CRE_COMMAND_SENDTO, .flags = cre_record_port_flags(port) };
    cre_slice parts[] = { { (const uint8_t *)to, sizeof *to }, { data, length } };
    return cre_worker_command(worker, &command, parts, 2);
}

int cre_worker_close(cre_worker *worker, cre_session session, uint16_t code, const void *reason,
                     size_t length) {
    cre_record command = { .kind = CRE_COMMAND_CLOSE, .session = session };
    cre_closing closing = { .code = code };
    cre_slice parts[] = { { (const uint8_t *)&closing, sizeof closing }, { reason, length } };
    return cre_worker_command(worker, &command, parts, 2);
}
