/*
 * Fair reading when the link to a worker is full.
 *
 * Connections that must wait are queued per worker. When there is room again they are read in that order,
 * each a limited amount, and those that must wait again go to the end of the queue: so a connection that
 * floods its worker gets its share and no more. They are read at once instead of being watched again, which
 * costs no system call for a connection that is stopped by the same read.
 */
#include "core/memory.h"
#include "engine/conn.h"

static cre__congested *queue_of(const cre_engine *engine, uint16_t worker) {
    return &engine->congested[worker - engine->config.first_worker];
}

int cre__congestion_open(cre_engine *engine) {
    if (!engine->config.congested) return 0;
    engine->congested = cre__calloc(engine->config.worker_count, sizeof *engine->congested);
    return engine->congested ? 0 : CRE_ENOMEM;
}

void cre__congestion_close(cre_engine *engine) {
    for (uint32_t i = 0; engine->congested && i < engine->config.worker_count; i++)
        cre__free(engine->congested[i].sessions);
    cre__free(engine->congested);
    engine->congested = NULL;
}

static bool grow(cre__congested *queue) {
    uint32_t capacity = queue->capacity ? queue->capacity * 2 : 64;
    cre_session *sessions = cre__malloc(capacity * sizeof *sessions);
    if (!sessions) return false;
    for (uint32_t i = 0; i < queue->count; i++)
        sessions[i] = queue->sessions[(queue->first + i) % queue->capacity];
    cre__free(queue->sessions);
    queue->sessions = sessions;
    queue->first = 0;
    queue->capacity = capacity;
    return true;
}

static void enqueue(cre__congested *queue, cre_session session) {
    if (queue->count == queue->capacity && !grow(queue)) {
        queue->incomplete = true;
        return;
    }
    queue->sessions[(queue->first + queue->count++) % queue->capacity] = session;
}

static cre_session dequeue(cre__congested *queue) {
    cre_session session = queue->sessions[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    return session;
}

bool cre__congestion_stops(cre__conn *conn) {
    cre_engine *engine = cre__conn_engine(conn);
    const cre_engine_config *config = &engine->config;
    uint16_t worker = conn->stream.worker;
    if (!config->congested(config->context, worker)) return false;
    cre__transport_stop(&conn->transport, CRE__STOP_CONGESTED);
    if (!conn->congested) enqueue(queue_of(engine, worker), conn->stream.session);
    conn->congested = true;
    return true;
}

static void visit_congested(cre__conn *conn, void *context) {
    if (!conn->congested || conn->stream.worker != *(uint16_t *)context) return;
    conn->congested = false;
    cre__transport_resume(&conn->transport, CRE__STOP_CONGESTED);
}

void cre_engine_resume(cre_engine *engine, uint16_t worker) {
    uint32_t index = (uint32_t)(worker - engine->config.first_worker);
    if (!engine->congested || index >= engine->config.worker_count) return;
    cre__congested *queue = &engine->congested[index];
    if (queue->incomplete) {
        queue->incomplete = false;
        queue->count = 0;
        cre__engine_each(engine, visit_congested, &worker);
        return;
    }
    for (uint32_t left = queue->count; left; left--) {
        if (engine->config.congested(engine->config.context, worker)) return;
        cre__conn *conn = cre__engine_find(engine, dequeue(queue));
        if (!conn || !conn->congested) continue;
        conn->congested = false;
        conn->transport.stopped &= (uint8_t)~CRE__STOP_CONGESTED;
        engine->reading = NULL;
        if (conn->transport.carried)
            cre__transport_update_watch(&conn->transport);
        else
            cre__transport_read(&conn->transport, 1);
    }
}
