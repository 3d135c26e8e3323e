/*
 * Signs of life.
 *
 * A read stores the loop's time in the connection, and nothing else happens then. The wheel looks at the
 * connection when it would be due if nothing had come, finds out what has, and goes on from there: so a
 * connection costs a few instructions per read and a visit per interval.
 */
#include "engine/engine_internal.h"

void cre__seen_show(cre__conn *conn, bool received) {
    if (!conn->session) return;
    cre_table *table = conn->engine->table;
    cre__slot *slot = &cre__table_slots(table)[cre__table_index(table, conn->session)];
    uint32_t now = (uint32_t)(cre_loop_now(conn->engine->loop) >> CRE__SEEN_SHIFT);
    atomic_store_explicit(received ? &slot->last_receive : &slot->last_send, now, memory_order_relaxed);
}

static uint32_t left(uint32_t limit, uint32_t passed) {
    return limit > passed ? limit - passed : 0;
}

/* For how long nothing can be due, if nothing comes; 0: for ever. */
static uint32_t wait_for(const cre__conn *conn, uint32_t now) {
    const cre_engine_config *config = &conn->engine->config;
    uint32_t silent = now - conn->last_receive, wait = UINT32_MAX;
    if (conn->protected) silent = 0; /* it is looked at again, for the case that the protection ends */
    if (config->heartbeat_idle_ms) {
        wait = left(config->heartbeat_idle_ms, silent);
        uint32_t check = config->heartbeat_check_ms;
        if (check) wait += check - 1 - (now + wait + check - 1) % check; /* all that are due, together */
    }
    if (config->ping_interval_ms && conn->phase == CRE__WEBSOCKET) {
        bool pinged = conn->pinged && !conn->protected;
        uint32_t ping = pinged ? left(config->pong_timeout_ms, now - conn->pinged_at)
                               : left(config->ping_interval_ms, silent);
        if (ping < wait) wait = ping;
    }
    if (wait == UINT32_MAX) return 0;
    return wait ? wait : 1;
}

void cre__heartbeat_begin(cre__conn *conn) {
    cre__conn_set_deadline(conn, wait_for(conn, (uint32_t)cre_loop_now(conn->engine->loop)));
}

static void end(cre__conn *conn) {
    /* Perhaps it still hears us, although we do not hear it. */
    if (conn->phase == CRE__WEBSOCKET) cre__ws_send_close(conn, 1001, "no sign of life", 15);
    cre__conn_end(conn, CRE_CLOSED_HEARTBEAT, conn->opened ? 1006 : 0, 0, (cre_slice){ 0 }, true);
}

void cre__heartbeat_due(cre__conn *conn) {
    const cre_engine_config *config = &conn->engine->config;
    uint32_t now = (uint32_t)cre_loop_now(conn->engine->loop), silent = now - conn->last_receive;
    if (!conn->protected) {
        bool idle = config->heartbeat_idle_ms && silent >= config->heartbeat_idle_ms;
        if (idle || (conn->pinged && now - conn->pinged_at >= config->pong_timeout_ms)) {
            end(conn);
            return;
        }
        bool ping = config->ping_interval_ms && !conn->pinged && silent >= config->ping_interval_ms;
        if (ping && conn->phase == CRE__WEBSOCKET) { /* streams have none */
            conn->pinged = true;
            conn->pinged_at = now;
            /* When its queue is full it gets none, and is as silent as if it had. */
            if (cre__ws_push(conn, CRE_WS_FIN | CRE_WS_PING, NULL, 0) == CRE_ENOMEM) return;
        }
    }
    cre__heartbeat_begin(conn);
}

void cre__heartbeat_protect(cre__conn *conn, bool on) {
    conn->protected = on;
    conn->pinged = false;
    if (!on) conn->last_receive = (uint32_t)cre_loop_now(conn->engine->loop); /* its time begins now */
}

void cre__stats_show(cre_engine *engine) {
    uint64_t *shared = engine->config.shared_stats;
    if (!shared) return;
    uint64_t own[sizeof engine->stats / sizeof(uint64_t)];
    memcpy(own, &engine->stats, sizeof own);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        __atomic_store_n(&shared[i], own[i], __ATOMIC_RELAXED);
}
