/*
 * Signs of life.
 *
 * A read stores the loop's time in the transport, and nothing else happens then. The wheel looks at the
 * connection when it would be due if nothing had been received, finds out what has, and goes on from there:
 * so a connection costs a few instructions per read and a visit per interval.
 */
#include "engine/heartbeat.h"

#include "registry/table_internal.h"

static uint32_t left(uint32_t limit, uint32_t passed) {
    return limit > passed ? limit - passed : 0;
}

/* The time since the last sign of life of the peer. One that is not read, because its queue is full, shows by
 * taking output that it lives. */
static uint32_t silence(const cre__conn *conn, uint32_t now) {
    const cre__transport *transport = &conn->transport;
    uint32_t received = now - transport->last_receive, sent = now - transport->last_send;
    return (transport->stopped & CRE__STOP_FULL) && sent < received ? sent : received;
}

/* For how long nothing can be due, if nothing comes; 0: for ever. */
static uint32_t wait_for(const cre__conn *conn, uint32_t now) {
    const cre_engine_config *config = &cre__conn_engine(conn)->config;
    uint32_t silent = silence(conn, now), wait = UINT32_MAX;
    if (conn->stream.protected) silent = 0; /* it is looked at again, for the case that the protection ends */
    if (config->heartbeat_idle_ms) {
        wait = left(config->heartbeat_idle_ms, silent);
        uint32_t check = config->heartbeat_check_ms;
        if (check) wait += check - 1 - (now + wait + check - 1) % check; /* all that are due, together */
    }
    if (config->ping_interval_ms && conn->protocol->state == CRE_CONNECTION_OPEN) {
        bool pinged = conn->stream.pinged && !conn->stream.protected;
        uint32_t ping = pinged ? left(config->pong_timeout_ms, now - conn->stream.pinged_at)
                               : left(config->ping_interval_ms, silent);
        if (ping < wait) wait = ping;
    }
    if (conn->transport.message_since) {
        uint32_t message = left(conn->port->options.message_timeout_ms, now - conn->transport.message_since);
        if (message < wait) wait = message;
    }
    if (wait == UINT32_MAX) return 0;
    return wait ? wait : 1;
}

void cre__heartbeat_begin(cre__conn *conn) {
    cre__transport_set_deadline(&conn->transport,
                                wait_for(conn, (uint32_t)cre_loop_now(conn->transport.net->loop)));
}

void cre__heartbeat_due(cre__conn *conn, void (*ping)(cre__conn *conn),
                        void (*give_notice)(cre__conn *conn)) {
    const cre_engine_config *config = &cre__conn_engine(conn)->config;
    uint32_t now = (uint32_t)cre_loop_now(conn->transport.net->loop);
    uint32_t silent = silence(conn, now);
    if (silent < now - conn->stream.pinged_at) conn->stream.pinged = false;
    if (!conn->stream.protected) {
        bool idle = config->heartbeat_idle_ms && silent >= config->heartbeat_idle_ms;
        if (idle || (conn->stream.pinged && now - conn->stream.pinged_at >= config->pong_timeout_ms)) {
            if (give_notice) give_notice(conn); /* perhaps it still receives */
            CRE__FINISH(conn, .reason = CRE_CLOSED_HEARTBEAT);
            return;
        }
        if (ping && config->ping_interval_ms && !conn->stream.pinged && silent >= config->ping_interval_ms) {
            conn->stream.pinged = true;
            conn->stream.pinged_at = now;
            ping(conn); /* a full queue takes none, which then counts as not answered */
            if (!cre__conn_live(conn)) return;
        }
    }
    cre__heartbeat_begin(conn);
}

void cre__heartbeat_protect(cre__conn *conn, bool on) {
    conn->stream.protected = on;
    cre__table_flag(cre__conn_engine(conn)->table, conn->stream.session, CRE__NOTE_PROTECTED, on);
    conn->stream.pinged = false;
    if (!on)
        conn->transport.last_receive =
            (uint32_t)cre_loop_now(conn->transport.net->loop); /* its time begins now */
}

/* ---- messages that are not complete ---- */

static void restart_message(cre__conn *conn) {
    conn->transport.message_since = (uint32_t)cre_loop_now(conn->transport.net->loop) | 1; /* 0 means none */
}

void cre__message_begin(cre__conn *conn) {
    if (conn->transport.message_since) return;
    restart_message(conn);
    cre__heartbeat_begin(conn);
}

/* A peer that is not read because it does not take its output must at least take some of it. */
static bool is_held_up(const cre__conn *conn, uint32_t now) {
    const cre__transport *transport = &conn->transport;
    if (transport->stopped & (CRE__STOP_COMMANDED | CRE__STOP_CONGESTED)) return true;
    return (transport->stopped & CRE__STOP_FULL) &&
           now - transport->last_send < conn->port->options.message_timeout_ms;
}

bool cre__message_overdue(cre__conn *conn) {
    uint32_t now = (uint32_t)cre_loop_now(conn->transport.net->loop);
    if (!conn->transport.message_since ||
        now - conn->transport.message_since < conn->port->options.message_timeout_ms)
        return false;
    if (!is_held_up(conn, now)) return true;
    restart_message(conn);
    return false;
}
