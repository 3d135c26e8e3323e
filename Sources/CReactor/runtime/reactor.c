/* A thread that owns sockets for workers in other processes. */
#include <creactor/error.h>
#include <creactor/internal/worker.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/command.h"
#include "link/bus_internal.h"
#include "registry/table_internal.h"
#include "runtime/recovery.h"
#include "runtime/worker_internal.h"

struct cre_reactor {
    cre_reactor_config config;
    pthread_t thread;
    sem_t started; /* the thread has tried to begin */
    int result;
    cre_loop *loop;
    cre_node *node;
    cre_engine *engine;
    cre__interest interest;
    atomic_bool shutting_down;
    _Atomic uint32_t deadline_ms; /* of the shutdown that was asked for last */
    void (*shutdown_done)(void *context);
    void *shutdown_context;
};

/* ---- events out ---- */

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    cre_reactor *reactor = context;
    cre_slice part = { payload, event->length };
    if (event->kind == CRE_EVENT_PACKET) /* lost, when the worker cannot keep up */
        return cre_node_send(reactor->node, ((const cre_address *)(const void *)payload)->worker, event,
                             &part, 1);
    uint16_t worker = cre__engine_event_worker(engine);
    /* Received bytes cannot be given back; `congested` stops the reading, so that little can queue. */
    return cre__node_send(reactor->node, worker, event, &part, 1, SIZE_MAX);
}

static bool congested(void *context, uint16_t worker) {
    cre_reactor *reactor = context;
    return cre_node_congested(reactor->node, worker);
}

static bool idle(void *context, uint16_t worker) {
    cre_reactor *reactor = context;
    return cre__bus_sleeps(reactor->config.bus, worker);
}

/* A large message is received where its worker will find it. */
static uint8_t *take_room(void *context, size_t size) {
    return cre__node_take_room(((cre_reactor *)context)->node, size);
}

/* Connections are freed with the loop, when the node is closed. */
static void give_room(void *context, uint8_t *room) {
    cre_reactor *reactor = context;
    if (reactor->node) cre__node_give_room(reactor->node, room);
}

/* ---- commands in: from processes that run user code, so nothing is taken for granted ---- */

static __attribute__((noinline)) int on_message(cre_reactor *reactor, uint32_t from, const cre_record *record,
                                                uint8_t *payload) {
    if (record->kind == CRE_MESSAGE_TOPICS)
        return cre__answer_topics(reactor->node, reactor->engine, from, record, payload);
    if (record->kind == CRE_MESSAGE_COUNT)
        return cre__answer_count(reactor->node, reactor->engine, from, record, payload);
    if (record->kind == CRE_MESSAGE_RECOVERED)
        return cre__owner_recovered(&reactor->interest, reactor->engine, from, record, payload);
    if (record->kind >= CRE_MESSAGE_INTEREST)
        return cre__gateway_record(&reactor->interest, reactor->engine, from, record, payload);
    return CRE_EINVALID;
}

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre_reactor *reactor = context;
    if (record->kind >= CRE_MESSAGE_TASK) return on_message(reactor, from, record, payload);
    cre_slice part = { payload, record->length };
    return cre__command_receive(reactor->engine, record, &part);
}

static void on_lost(void *context, uint32_t from, const cre_record *record) {
    cre_reactor *reactor = context;
    (void)from;
    cre__command_lost(reactor->engine, record);
}

static void on_room(void *context, uint32_t to) {
    cre_reactor *reactor = context;
    if (to && to == reactor->interest.gateway)
        cre__interest_continue(&reactor->interest);
    else
        cre_engine_resume(reactor->engine, (uint16_t)to);
}

static void on_topic(void *context, const void *name, size_t length, bool exists) {
    cre__interest_changed(&((cre_reactor *)context)->interest, name, length, exists);
}

static void on_member(void *context, cre_slice topic, cre_slice id, cre_slice info, bool joined) {
    const cre__membership member = { topic, id, info };
    cre__interest_member(&((cre_reactor *)context)->interest, &member, joined);
}

static void on_violation(void *context, uint32_t from) {
    cre_reactor *reactor = context;
    if (reactor->config.violation) reactor->config.violation(reactor->config.context, from);
}

/* Also while only connections are there, which workers may want to push to. */
static bool on_check(void *context, uint32_t repaired) {
    cre_reactor *reactor = context;
    uint64_t all = repaired + cre__engine_repair(reactor->engine);
    cre__engine_count_repaired(reactor->engine, repaired);
    if (reactor->interest.stale) cre__interest_continue(&reactor->interest);
    if (all && reactor->config.repaired) reactor->config.repaired(reactor->config.context, all);
    return cre_table_count(cre_bus_table(reactor->config.bus)) > 0;
}

/* ---- the thread ---- */

static void *run(void *argument) {
    cre_reactor *reactor = argument;
    const cre_reactor_config *config = &reactor->config;
    reactor->result = config->started ? config->started(config->context) : 0;
    bool good = reactor->result >= 0;
    sem_post(&reactor->started);
    if (good) cre_loop_run(reactor->loop);
    return NULL;
}

static int start_thread(cre_reactor *reactor) {
    sem_init(&reactor->started, 0, 0);
    int result = -pthread_create(&reactor->thread, NULL, run, reactor);
    if (!result) {
        while (sem_wait(&reactor->started)) {
        }
        result = reactor->result < 0 ? reactor->result : 0;
        if (result) pthread_join(reactor->thread, NULL);
    }
    sem_destroy(&reactor->started);
    return result;
}

static void free_reactor(cre_reactor *reactor) {
    /* The engine reports the ends of its connections, and the node publishes that before it closes. */
    if (reactor->engine) cre_engine_destroy(reactor->engine);
    cre_node_close(reactor->node);
    reactor->node = NULL;
    cre_loop_destroy(reactor->loop);
    cre__free(reactor);
}

int cre_reactor_start(const cre_reactor_config *config, cre_reactor **out) {
    cre_reactor *reactor = cre__calloc(1, sizeof *reactor);
    if (!reactor) return CRE_ENOMEM;
    reactor->config = *config;
    cre_engine_config engine = config->engine;
    engine.size = sizeof engine;
    engine.on_event = on_event;
    engine.congested = congested;
    engine.idle = idle;
    engine.context = reactor;
    if (cre__is_clustered(config->cluster)) engine.on_topic = on_topic;
    if (cre__has_gateway(config->cluster)) engine.on_member = on_member;
    engine.half_open = true; /* a worker's answers come later than the end of what it answers */
    engine.table = cre_bus_table(config->bus);
    engine.in_flight = cre__in_flight(&config->bus->config);
    engine.shared_stats = cre__bus_shown(config->bus, config->node);
    engine.node = (uint16_t)config->node;
    uint32_t workers = engine.worker_count ? engine.worker_count : 1;
    if (engine.first_worker + workers > config->bus->config.nodes) {
        cre__free(reactor);
        return CRE_EINVALID;
    }
    int result = cre_loop_create(&reactor->loop);
    if (result) {
        cre__free(reactor);
        return result;
    }
    cre_node_handlers handlers = {
        .record = on_record,
        .room = on_room,
        .violation = on_violation,
        .lost = on_lost,
        .check = on_check,
    };
    config->bus->guard = getpid();
    result = cre__table_keep(engine.table);
    if (!result) result = cre_engine_create(reactor->loop, &engine, &reactor->engine);
    if (!result)
        result = cre_node_open(config->bus, config->node, reactor->loop, &handlers, reactor, &reactor->node);
    if (!result) {
        if (cre__has_gateway(config->cluster)) cre__node_set_relay(reactor->node, config->cluster->gateway);
        cre__interest_begin(&reactor->interest, reactor->node, reactor->engine, config->cluster);
        cre__count_transit(reactor->engine, reactor->node);
        cre__engine_set_message_memory(reactor->engine, &(cre_ws_memory){ .take = take_room,
                                                                          .give = give_room,
                                                                          .context = reactor,
                                                                          .least = CRE__BY_REFERENCE });
    }
    if (!result) {
        /* Signals are the business of the thread that starts reactors. */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        result = start_thread(reactor);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (result) {
        free_reactor(reactor);
        return result;
    }
    *out = reactor;
    return 0;
}

int cre_reactor_hand_over(cre_reactor *reactor, int descriptor, uint16_t port) {
    return cre_engine_hand_over(reactor->engine, descriptor, port);
}

typedef struct serve_request {
    cre_reactor *reactor;
    int descriptor;
    uint16_t port;
} serve_request;

static void begin_serving(void *context) {
    serve_request *request = context;
    if (cre_engine_serve(request->reactor->engine, request->descriptor, request->port))
        close(request->descriptor);
    cre__free(request);
}

int cre_reactor_serve(cre_reactor *reactor, int descriptor, uint16_t port) {
    serve_request *request = cre__malloc(sizeof *request);
    if (!request) return CRE_ENOMEM;
    *request = (serve_request){ reactor, descriptor, port };
    int result = cre_loop_post(reactor->loop, begin_serving, request);
    if (result) cre__free(request);
    return result;
}

static void begin_shutdown(void *context) {
    cre_reactor *reactor = context;
    cre_engine_shutdown(reactor->engine, atomic_load(&reactor->deadline_ms), reactor->shutdown_done,
                        reactor->shutdown_context);
}

int cre_reactor_shutdown(cre_reactor *reactor, uint32_t deadline_ms, void (*done)(void *context),
                         void *context) {
    if (!atomic_exchange(&reactor->shutting_down, true)) {
        reactor->shutdown_done = done;
        reactor->shutdown_context = context;
    }
    atomic_store(&reactor->deadline_ms, deadline_ms);
    return cre_loop_post(reactor->loop, begin_shutdown, reactor);
}

void cre_reactor_stop(cre_reactor *reactor) {
    if (!reactor) return;
    cre_loop_stop(reactor->loop);
    pthread_join(reactor->thread, NULL);
    free_reactor(reactor);
}
