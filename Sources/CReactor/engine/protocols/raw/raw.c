/* Plain TCP and Unix streams: bytes as they are received, or cut into packets. */
#include <creactor/framing.h>
#include <string.h>

#include "core/probes.h"
#include "engine/conn.h"
#include "engine/heartbeat.h"
#include "engine/protocols/protocols.h"
#include "net/tls.h"

_Static_assert(sizeof(cre_framing) <= CRE__PROTOCOL_STATE, "the state of a protocol has this room");

static cre_framing *framing_of(const cre__conn *conn) {
    return (cre_framing *)(uintptr_t)conn->state;
}

static void start(cre__conn *conn) {
    cre__heartbeat_begin(conn);
    cre_framing_init(framing_of(conn), &conn->port->framing);
    conn->stream.opened = true;
    cre__table_set_state(cre__conn_engine(conn)->table, conn->stream.session, CRE_CONNECTION_STREAM);
    cre_engine *engine = cre__conn_engine(conn);
    const size_t length = cre__tls_client_certificate(&conn->transport, engine->scratch);
    cre__conn_emit(conn, CRE_EVENT_CONNECT, 0, engine->scratch, length);
}

/* The memory and the time of a packet that is not complete. */
static void account_unfinished(cre__conn *conn) {
    const cre_framing *framing = framing_of(conn);
    if (!cre__conn_live(conn)) return;
    cre__conn_set_buffered(conn, framing->capacity);
    if (cre_framing_pending(framing))
        cre__message_begin(conn);
    else
        conn->transport.message_since = 0;
}

static void input(cre__conn *conn, uint8_t *data, size_t length) {
    const uint8_t *cursor = data, *end = data + length, *packet;
    while (cre__conn_live(conn)) {
        size_t size;
        int result = cre_framing_next(framing_of(conn), &cursor, end, &packet, &size);
        if (result == 0) {
            if (framing_of(conn)->buffer || conn->transport.buffered) account_unfinished(conn);
            return;
        }
        conn->transport.message_since = 0;
        if (result < 0) {
            CRE__FINISH(conn, .reason = result == CRE_ENOMEM ? CRE_CLOSED_NOMEM : CRE_CLOSED_PROTOCOL,
                        .error = result);
            return;
        }
        cre__conn_engine(conn)->stats.messages_in++;
        CRE__PROBE3(message_in, conn->stream.session, 0, size);
        /* It lies in the read slab or in the framing's own memory: both may be written to. */
        cre__conn_emit(conn, CRE_EVENT_RECEIVE, 0, (uint8_t *)(uintptr_t)packet, size);
    }
}

static void ended(cre__conn *conn) {
    if (!cre__conn_engine(conn)->config.half_open) {
        CRE__FINISH(conn, .reason = CRE_CLOSED_PEER);
        return;
    }
    /* The owner may still answer what it received before. The time for that is limited, as nothing reports
     * that a peer which has ended its side goes away. */
    cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
    cre__conn_emit(conn, CRE_EVENT_END, 0, NULL, 0);
}

static int close_conn(cre__conn *conn, cre_close_reason reason, const cre__closing *closing) {
    (void)closing;
    if (reason == CRE_CLOSED_SHUTDOWN && cre__transport_ended(&conn->transport)) {
        /* What is in progress is finished first. */
        cre__transport_set_deadline(&conn->transport, conn->port->options.close_timeout_ms);
        return 0;
    }
    CRE__FINISH(conn, .reason = cre__transport_ended(&conn->transport) ? CRE_CLOSED_PEER : reason);
    return 0;
}

static void due(cre__conn *conn) {
    if (cre__transport_ended(&conn->transport))
        close_conn(conn, CRE_CLOSED_TIMEOUT, NULL);
    else if (cre__message_overdue(conn))
        CRE__FINISH(conn, .reason = CRE_CLOSED_TIMEOUT, .error = CRE_EMESSAGE_TIMEOUT);
    else
        cre__heartbeat_due(conn, NULL, NULL);
}

static int command(cre__conn *conn, const cre_record *record, cre_slice *parts, int count, int policy) {
    if (record->kind != CRE_COMMAND_SEND) return CRE_ENO_REQUEST;
    size_t length = cre__slices_length(parts, count);
    int result = cre__conn_accept(conn, length, (cre__policy)policy);
    if (result) return result;
    cre__conn_engine(conn)->stats.messages_out++;
    CRE__PROBE3(message_out, conn->stream.session, 0, length);
    return cre__conn_send(conn, NULL, 0, parts, count, length);
}

static void free_state(cre__conn *conn) {
    cre_framing_deinit(framing_of(conn));
}

const cre__protocol cre__protocol_raw = {
    .state = CRE_CONNECTION_STREAM,
    .start = start,
    .input = input,
    .ended = ended,
    .due = due,
    .command = command,
    .close = close_conn,
    .report_end = cre__conn_report_close,
    .free = free_state,
};
