/* WebSocket on a connection. */
#include <string.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* From here on a payload is sent from where it is instead of being copied to the write queue first. */
#define LARGE_PAYLOAD 4000u

/* ---- output ---- */

static int cannot_push(const cre__conn *conn) {
    return conn->phase == CRE__HTTP || conn->phase == CRE__STREAM ? CRE_ENOT_WEBSOCKET : CRE_EGONE;
}

bool cre__ws_compress(cre_ws_deflate *deflate, uint8_t first, const cre_slice *parts, int count,
                      cre_slice *out) {
    const cre_slice *whole = NULL;
    for (int i = 0; i < count; i++) {
        if (!parts[i].length) continue;
        if (whole) return false; /* a message in pieces is sent as it is */
        whole = &parts[i];
    }
    uint8_t opcode = first & 0x0f, *data;
    if (!whole || !(first & CRE_WS_FIN) || (opcode != CRE_WS_TEXT && opcode != CRE_WS_BINARY)) return false;
    size_t length;
    if (cre_ws_deflate_message(deflate, whole->data, whole->length, &data, &length) != 1) return false;
    *out = (cre_slice){ data, length };
    return true;
}

static int send_frame(cre__conn *conn, uint8_t first, const cre_slice *parts, int count, size_t length) {
    conn->engine->stats.messages_out++;
    cre_slice deflated;
    /* What was published before goes before it, and that decides what it may refer to. */
    if (conn->deflate && conn->engine->batch.topic) cre__batch_settle(conn);
    if (conn->deflate && cre__ws_compress(conn->deflate, first, parts, count, &deflated)) {
        first |= CRE_WS_RSV1;
        parts = &deflated;
        count = 1;
        length = deflated.length;
    }
    uint8_t header[CRE_WS_MAX_HEADER];
    size_t header_size = cre_ws_header(header, first, length, NULL);
    if (length > LARGE_PAYLOAD) return cre__out_large(conn, header, header_size, parts, count);
    uint8_t *at = cre__out_reserve(conn, header_size + length);
    if (!at) return CRE_ENOMEM;
    memcpy(at, header, header_size);
    at += header_size;
    for (int i = 0; i < count; i++) {
        if (parts[i].length) memcpy(at, parts[i].data, parts[i].length);
        at += parts[i].length;
    }
    return 0;
}

static int push(cre__conn *conn, uint8_t first, const cre_slice *parts, int count, size_t length) {
    int result = send_frame(conn, first, parts, count, length);
    if (!(first & CRE_WS_FIN) || conn->fragmented) cre__batch_fragment(conn, first);
    return result;
}

/* A queue that is empty takes one frame of any size; otherwise no large one could be sent at all. */
int cre__ws_push(cre__conn *conn, uint8_t first, const cre_slice *parts, int count) {
    if (conn->phase != CRE__WEBSOCKET) return cannot_push(conn);
    size_t length = cre__slices_length(parts, count);
    if (conn->queued && conn->queued + length > conn->settings->options.max_queue) return CRE_EQUEUE_FULL;
    return push(conn, first, parts, count, length);
}

int cre__ws_push_late(cre__conn *conn, uint8_t first, const cre_slice *parts, int count) {
    if (conn->phase != CRE__WEBSOCKET) return cannot_push(conn);
    size_t length = cre__slices_length(parts, count);
    /* The sender looks at the queue in the table before it sends more; twice the limit leaves room for what
     * was on its way then. */
    if (conn->queued && conn->queued + length > (uint64_t)conn->settings->options.max_queue * 2) {
        cre__conn_end(conn, CRE_CLOSED_OVERFLOW, 1006, CRE_EQUEUE_FULL, (cre_slice){ 0 }, false);
        return CRE_EQUEUE_FULL;
    }
    return push(conn, first, parts, count, length);
}

void cre__ws_send_close(cre__conn *conn, uint16_t code, const char *text, size_t length) {
    uint8_t payload[CRE_WS_MAX_CONTROL], header[CRE_WS_MAX_HEADER];
    size_t size = cre_ws_close_payload(payload, code, text, length);
    size_t header_size = cre_ws_header(header, CRE_WS_FIN | CRE_WS_CLOSE, size, NULL);
    if (cre__out_append(conn, header, header_size)) cre__out_append(conn, payload, size);
}

void cre__ws_close(cre__conn *conn, cre_close_reason reason, uint16_t code, const char *text, size_t length) {
    if (conn->phase != CRE__WEBSOCKET) return;
    cre__ws_send_close(conn, code, text, length);
    if (conn->phase != CRE__WEBSOCKET) return; /* no memory for it */
    conn->phase = CRE__CLOSE_SENT;
    conn->close_reason = (uint8_t)reason;
    conn->close_code = code;
    /* Told again in CLOSE; without memory for it, it is not. */
    if (length) conn->close_text = cre_block_copy(text, length);
    conn->paused = false; /* the answer must be read */
    cre__table_set_state(conn->engine->table, conn->session, CRE_CONNECTION_CLOSING);
    cre__conn_set_deadline(conn, conn->settings->options.close_timeout_ms);
    cre__conn_update_watch(conn);
}

/* ---- input ---- */

static void failed(cre__conn *conn, int error) {
    uint16_t code = cre_ws_close_code(error);
    if (conn->phase == CRE__WEBSOCKET) {
        const char *text = cre_error_message(error);
        cre__ws_send_close(conn, code, text, strlen(text));
    }
    cre__conn_end(conn, CRE_CLOSED_PROTOCOL, code, error, (cre_slice){ 0 }, true);
}

static void peer_closed(cre__conn *conn, const cre_ws_event *event) {
    conn->eof =
        true; /* nothing may follow its close frame, so the socket goes as soon as our output is out */
    if (conn->phase == CRE__CLOSE_SENT) {
        cre__conn_end(conn, conn->close_reason, conn->close_code, 0, (cre_slice){ 0 }, true);
        return;
    }
    cre__ws_send_close(conn, event->close_code, NULL, 0);
    cre__conn_end(conn, CRE_CLOSED_PEER, event->close_code, 0, (cre_slice){ event->data, event->length },
                  true);
}

static void handle(cre__conn *conn, cre_ws_event *event) {
    switch (event->opcode) {
    case CRE_WS_PING:
        /* Answered here, so that a busy worker does not look dead. */
        if (conn->phase == CRE__WEBSOCKET) {
            cre_slice payload = { event->data, event->length };
            cre__ws_push(conn, CRE_WS_FIN | CRE_WS_PONG, &payload, 1);
        }
        break;
    case CRE_WS_PONG: break;
    case CRE_WS_CLOSE: peer_closed(conn, event); break;
    default:
        if (conn->phase != CRE__WEBSOCKET) break; /* we have closed: too late */
        conn->engine->stats.messages_in++;
        cre__conn_emit(conn, CRE_EVENT_MESSAGE, event->opcode, event->data, event->length);
        break;
    }
}

static bool alive(const cre__conn *conn) {
    return conn->phase == CRE__WEBSOCKET || conn->phase == CRE__CLOSE_SENT;
}

void cre__ws_input(cre__conn *conn, uint8_t *cursor, uint8_t *end) {
    cre_ws_event event;
    while (alive(conn)) {
        int result = cre_ws_session_next(&conn->ws, &cursor, end, &event);
        if (result == 0) return;
        if (result > 0)
            handle(conn, &event);
        else
            failed(conn, result);
    }
}

size_t cre__ws_destination(cre__conn *conn, uint8_t **destination) {
    return cre_ws_session_destination(&conn->ws, destination);
}

void cre__ws_received(cre__conn *conn, size_t size) {
    cre_ws_event event;
    int result = cre_ws_session_received(&conn->ws, size, &event);
    if (result == 0) return;
    if (result < 0) {
        failed(conn, result);
        return;
    }
    handle(conn, &event);
    cre__ws_input(conn, NULL, NULL); /* gives the message's memory back */
}
