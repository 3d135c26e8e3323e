/* Plain TCP and Unix streams: bytes as they come, or cut into packets. */
#include <string.h>

#include "engine/engine_internal.h"

/* From here on bytes are sent from where they are instead of being copied to the write queue first. */
#define LARGE_PAYLOAD 4000u

void cre__stream_open(cre__conn *conn) {
    conn->phase = CRE__STREAM;
    cre__conn_set_deadline(conn, 0); /* that of a TLS handshake */
    cre__heartbeat_begin(conn);
    cre_framing_init(&conn->framing, &conn->settings->options.framing);
    conn->opened = true;
    cre__table_set_state(conn->engine->table, conn->session, CRE_CONNECTION_STREAM);
    cre__conn_emit(conn, CRE_EVENT_CONNECT, 0, NULL, 0);
}

/* ---- input ---- */

void cre__stream_input(cre__conn *conn, uint8_t *data, size_t length) {
    const uint8_t *cursor = data, *end = data + length, *packet;
    while (conn->phase == CRE__STREAM) {
        size_t size;
        int result = cre_framing_next(&conn->framing, &cursor, end, &packet, &size);
        if (result == 0) return;
        if (result < 0) {
            cre__conn_end(conn, result == CRE_ENOMEM ? CRE_CLOSED_NOMEM : CRE_CLOSED_PROTOCOL, 0, result,
                          (cre_slice){ 0 }, true);
            return;
        }
        conn->engine->stats.messages_in++;
        /* It lies in the read slab or in the framing's own memory: both may be written to. */
        cre__conn_emit(conn, CRE_EVENT_RECEIVE, 0, (uint8_t *)(uintptr_t)packet, size);
    }
}

void cre__stream_ended(cre__conn *conn) {
    if (!conn->engine->config.half_open) {
        cre__conn_end(conn, CRE_CLOSED_PEER, 0, 0, (cre_slice){ 0 }, true);
        return;
    }
    /* The owner may still answer what came before. Nothing tells when a peer that has said all goes away, so
     * the time for it is limited. */
    cre__conn_set_deadline(conn, conn->settings->options.idle_timeout_ms);
    cre__conn_update_watch(conn);
    cre__conn_emit(conn, CRE_EVENT_END, 0, NULL, 0);
}

void cre__stream_due(cre__conn *conn) {
    if (conn->eof)
        cre__stream_close(conn, CRE_CLOSED_TIMEOUT);
    else
        cre__heartbeat_due(conn);
}

/* ---- output ---- */

static int append(cre__conn *conn, const cre_slice *parts, int count, size_t length) {
    conn->engine->stats.messages_out++;
    if (length > LARGE_PAYLOAD) return cre__out_large(conn, NULL, 0, parts, count);
    if (!length) return 0;
    uint8_t *at = cre__out_reserve(conn, length);
    if (!at) return CRE_ENOMEM;
    for (int i = 0; i < count; i++) {
        if (parts[i].length) memcpy(at, parts[i].data, parts[i].length);
        at += parts[i].length;
    }
    return 0;
}

/* As with frames: an empty queue takes bytes of any number, and what came over a link is never left out. */
int cre__stream_send(cre__conn *conn, const cre_slice *parts, int count, bool late) {
    if (conn->phase != CRE__STREAM) return conn->phase == CRE__LEAVING ? CRE_EGONE : CRE_ENOT_STREAM;
    size_t length = cre__slices_length(parts, count);
    uint64_t limit = (uint64_t)conn->settings->options.max_queue * (late ? 2 : 1);
    if (conn->queued && conn->queued + length > limit) {
        if (late) cre__conn_end(conn, CRE_CLOSED_OVERFLOW, 0, CRE_EQUEUE_FULL, (cre_slice){ 0 }, false);
        return CRE_EQUEUE_FULL;
    }
    return append(conn, parts, count, length);
}

void cre__stream_close(cre__conn *conn, cre_close_reason reason) {
    cre__conn_end(conn, conn->eof ? CRE_CLOSED_PEER : reason, 0, 0, (cre_slice){ 0 }, true);
}
