/* WebSocket on a connection: frames, pings and the closing handshake. */
#include "engine/protocols/websocket/websocket.h"

#include <string.h>

#include "core/memory.h"
#include "core/probes.h"
#include "engine/heartbeat.h"
#include "engine/publish.h"
#include "ws/ws_send.h"
#include "ws/ws_session.h"

/* ---- output ---- */

/* Whether the frame continues what was sent in a valid way. */
static int check_frame(cre__websocket *ws, uint8_t first, const cre_slice *parts, int count) {
    static const cre_ws_send_state between_messages = { 0 };
    if (first == (CRE_WS_FIN | CRE_WS_BINARY) && memcmp(&ws->sent, &between_messages, sizeof ws->sent) == 0)
        return 0; /* the usual case */
    return cre__ws_send_check(&ws->sent, first, parts, count);
}

/* Sends a frame that is large, compressed or a fragment, or that follows published messages. */
static __attribute__((noinline)) int send_frame(cre__conn *conn, uint8_t first, const cre_slice *parts,
                                                int count, size_t length) {
    cre_ws_deflate *deflate = conn->stream.deflate;
    uint8_t header[CRE_WS_MAX_HEADER], compressed = 0;
    cre_slice deflated;
    /* Messages published before go before it, and that decides what it may refer to. */
    if (cre__conn_engine(conn)->batch.topic) cre__publish_settle(conn);
    if (deflate && cre__publish_compress(deflate, first, parts, count, &deflated)) {
        compressed = CRE_WS_RSV1;
        parts = &deflated;
        count = 1;
        length = deflated.length;
    }
    size_t header_size = cre_ws_header(header, first | compressed, length, NULL);
    int result = cre__conn_send(conn, header, header_size, parts, count, length);
    if (!(first & CRE_WS_FIN) || conn->stream.fragmented) cre__publish_fragment(conn, first);
    return result;
}

static int push(cre__conn *conn, uint8_t first, const cre_slice *parts, int count, int policy) {
    size_t length = cre__slices_length(parts, count);
    int result = cre__conn_accept(conn, length, (cre__policy)policy);
    if (!result) result = check_frame(cre__websocket_of(conn), first, parts, count);
    if (result) return result;
    cre_engine *engine = cre__conn_engine(conn);
    const cre__stream *stream = &conn->stream;
    engine->stats.messages_out++;
    CRE__PROBE3(message_out, stream->session, first, length);
    if (length > CRE__LARGE_PAYLOAD || stream->deflate || engine->batch.topic || stream->fragmented ||
        !(first & CRE_WS_FIN))
        return send_frame(conn, first, parts, count, length);
    uint8_t *at = cre__queue_reserve(&conn->transport, cre__ws_header_size(length) + length);
    if (!at) return cre__conn_no_memory(conn);
    at = cre__ws_put_header(at, first, length);
    cre__slices_join(at, parts, count);
    return 0;
}

static int adopt(cre__conn *conn) {
    if (!conn->stream.has_handshake) return CRE_ESTATE;
    cre_block *handshake = cre_block_retain(conn->stream.handshake);
    cre__conn_emit_part(conn, CRE_EVENT_OPEN, 0, CRE_RECORD_FINAL | CRE_RECORD_RESUMED,
                        cre_block_data(handshake), cre_block_length(handshake));
    cre_block_release(handshake);
    return 0;
}

static int command(cre__conn *conn, const cre_record *record, cre_slice *parts, int count, int policy) {
    if (record->kind == CRE_COMMAND_ADOPT) return adopt(conn);
    if (record->kind != CRE_COMMAND_PUSH) return CRE_ENO_REQUEST;
    uint8_t opcode = record->opcode;
    bool final = record->flags & CRE_RECORD_FINAL;
    if (opcode > CRE_WS_BINARY) {
        bool control = (opcode == CRE_WS_PING || opcode == CRE_WS_PONG) && final;
        if (!control || cre__slices_length(parts, count) > CRE_WS_MAX_CONTROL) return CRE_EINVALID;
    }
    return push(conn, opcode | (final ? CRE_WS_FIN : 0), parts, count, policy);
}

/* ---- closing ---- */

/* Sends a close frame, after which nothing may follow. */
static void send_close(cre__conn *conn, uint16_t code, const char *text, size_t length) {
    uint8_t frame[CRE_WS_MAX_ANSWER];
    size_t size = cre_ws_session_close(&cre__websocket_of(conn)->session, code, text, length, NULL, frame);
    if (size) cre__conn_append(conn, frame, size);
}

/* The closing handshake begins with our close frame. */
static int close_conn(cre__conn *conn, cre_close_reason reason, const cre__closing *closing) {
    cre__websocket *ws = cre__websocket_of(conn);
    cre__stream *stream = &conn->stream;
    /* What is in progress is finished first, and its time is limited already. */
    if (ws->awaits_owner && reason == CRE_CLOSED_SHUTDOWN) return 0;
    if (ws->awaits_owner) { /* the last answers are queued: now the peer's close frame is answered */
        cre__ending ending = { .reason = stream->close_reason,
                               .code = stream->close_code,
                               .error = stream->close_error };
        ws->awaits_owner = false;
        if (closing && closing->chosen && conn->port->options.deliver_close &&
            ending.reason == CRE_CLOSED_PEER)
            send_close(conn, closing->code, closing->text, closing->length);
        else if (ending.code != 1006)
            send_close(conn, ending.code, NULL, 0);
        if (cre__conn_live(conn)) cre__conn_finish(conn, &ending);
        return 0;
    }
    if (!stream->accepts_frames) return CRE_EGONE;
    send_close(conn, closing->code, closing->text, closing->length);
    if (!cre__conn_live(conn)) return 0; /* no memory for it */
    stream->accepts_frames = false;
    stream->close_reason = (uint8_t)reason;
    stream->close_code = closing->code;
    cre__conn_set_close_text(conn, (cre_slice){ (const uint8_t *)closing->text, closing->length });
    /* The answer must be read. */
    cre__transport_resume(&conn->transport, CRE__STOP_COMMANDED | CRE__STOP_FULL);
    cre__table_set_state(cre__conn_engine(conn)->table, stream->session, CRE_CONNECTION_CLOSING);
    cre__transport_set_deadline(&conn->transport, conn->port->options.close_timeout_ms);
    if (reason == CRE_CLOSED_SHUTDOWN && !conn->transport.blocked) cre__queue_flush(&conn->transport);
    return 0;
}

/* The handshake that we began is over, one way or the other. */
static void closed(cre__conn *conn, bool graceful) {
    const cre__stream *stream = &conn->stream;
    cre__ending ending = { .reason = stream->close_reason, .code = stream->close_code };
    if (graceful)
        cre__conn_finish(conn, &ending);
    else
        cre__conn_reset(conn, &ending);
}

/* Nothing more is received: the peer has closed, or its input was invalid. */
static void end_input(cre__conn *conn, cre_close_reason reason, uint16_t code, int error, cre_slice text) {
    cre__websocket *ws = cre__websocket_of(conn);
    cre__stream *stream = &conn->stream;
    stream->close_reason = (uint8_t)reason;
    stream->close_code = code;
    stream->pinged = false;
    stream->close_error = error;
    cre__conn_set_close_text(conn, text);
    /* What the peer sends nevertheless must be read until it ends, or closing would reset the connection, and
     * the last answers would be lost. */
    cre__transport_stop(&conn->transport, CRE__STOP_DEFERRED);
    ws->input_over = ws->awaits_owner = true;
}

/* The owner may still be busy with what it received before, so END asks for its last word: CLOSE, behind the
 * answers. Without `half_open` all answers are there. */
static void await_owner(cre__conn *conn) {
    if (cre__conn_engine(conn)->config.half_open) {
        cre__transport_set_deadline(&conn->transport, conn->port->options.close_timeout_ms);
        cre__conn_emit_end(conn);
    } else {
        (void)close_conn(conn, (cre_close_reason)conn->stream.close_reason, NULL);
    }
}

static void input_over(cre__conn *conn, cre_close_reason reason, uint16_t code, int error, cre_slice text) {
    end_input(conn, reason, code, error, text);
    await_owner(conn);
}

/* ---- input ---- */

static void failed(cre__conn *conn, int error) {
    cre_close_reason reason = error == CRE_ENOMEM ? CRE_CLOSED_NOMEM : CRE_CLOSED_PROTOCOL;
    uint16_t code = cre_ws_close_code(error);
    if (!conn->stream.accepts_frames) {
        CRE__FINISH(conn, .reason = reason, .code = code, .error = error);
        return;
    }
    input_over(conn, reason, code, error, (cre_slice){ 0 });
}

/* The memory and the time of a message that is not complete. */
static void account_unfinished(cre__conn *conn) {
    const cre_ws_session *session = &cre__websocket_of(conn)->session;
    if (!cre__conn_live(conn)) return;
    cre__conn_set_buffered(conn, cre_ws_session_buffered(session));
    if (!cre_ws_session_busy(session))
        conn->transport.message_since = 0;
    else if (conn->stream.accepts_frames)
        cre__message_begin(conn);
}

static inline void count_message(cre__conn *conn, const cre_ws_event *event) {
    (void)event; /* without probes */
    conn->transport.message_since = 0;
    cre__conn_engine(conn)->stats.messages_in++;
    CRE__PROBE3(message_in, conn->stream.session, event->opcode, event->length);
}

static inline void handle_message(cre__conn *conn, const cre_ws_event *event) {
    if (!conn->stream.accepts_frames) return; /* we have closed: too late */
    count_message(conn, event);
    cre__conn_emit(conn, CRE_EVENT_MESSAGE, event->opcode, event->data, event->length);
}

/* Delivers a control frame as a message. The code of a close frame is in front of its reason. */
static void deliver(cre__conn *conn, const cre_ws_event *event) {
    size_t code = event->opcode == CRE_WS_CLOSE && event->close_code != 1005 ? 2 : 0;
    cre__conn_emit(conn, CRE_EVENT_MESSAGE, event->opcode, event->data - code, event->length + code);
}

static void handle_close(cre__conn *conn, const cre_ws_event *event) {
    if (!conn->stream.accepts_frames) {
        conn->transport.stopped |= CRE__STOP_ENDED;
        closed(conn, true);
        return;
    }
    end_input(conn, CRE_CLOSED_PEER, event->close_code, 0, (cre_slice){ event->data, event->length });
    if (conn->port->options.deliver_close) {
        deliver(conn, event);
        /* Its owner may have closed already. */
        if (!cre__conn_live(conn) || !cre__websocket_of(conn)->awaits_owner) return;
    }
    await_owner(conn);
}

static __attribute__((noinline)) void handle_control(cre__conn *conn, const cre_ws_event *event) {
    const cre_port_options *options = &conn->port->options;
    cre_slice payload = { event->data, event->length };
    bool open = conn->stream.accepts_frames;
    switch (event->opcode) {
    case CRE_WS_PING:
        if (open && options->deliver_ping)
            deliver(conn, event);
        else if (open) /* answered here, so that a busy worker does not look dead */
            push(conn, CRE_WS_FIN | CRE_WS_PONG, &payload, 1, CRE__REFUSE_WHEN_FULL);
        break;
    case CRE_WS_PONG:
        if (open && options->deliver_pong) deliver(conn, event);
        break;
    case CRE_WS_CLOSE: handle_close(conn, event); break;
    }
}

static inline __attribute__((always_inline)) void handle(cre__conn *conn, const cre_ws_event *event) {
    if (event->opcode >= CRE_WS_CLOSE)
        handle_control(conn, event);
    else
        handle_message(conn, event);
}

static bool takes_input(const cre__conn *conn) {
    return cre__conn_live(conn) && !cre__websocket_of(conn)->input_over;
}

static bool take_message(cre__conn *conn, cre_record *message, uint8_t **payload) {
    cre__input *in = cre__conn_engine(conn)->input;
    cre_ws_session *session = &cre__websocket_of(conn)->session;
    if (!takes_input(conn) || !conn->stream.accepts_frames || conn->stream.moves || in->error ||
        !cre__ws_message_follows(session, in->data, in->end))
        return false;
    cre_ws_event event;
    int result = cre_ws_session_next(session, &in->data, in->end, &event);
    if (result <= 0) {
        in->error = result; /* for `input`, as this message would have been */
        return false;
    }
    count_message(conn, &event);
    *message = cre__conn_record(conn, CRE_EVENT_MESSAGE, event.opcode, CRE_RECORD_FINAL, event.length);
    *payload = event.data;
    return true;
}

static void input(cre__conn *conn, uint8_t *data, size_t length) {
    cre_ws_session *session = &cre__websocket_of(conn)->session;
    cre__input **const current = &cre__conn_engine(conn)->input, *const outer = *current;
    cre__input in = { .conn = conn, .data = data, .end = data + length };
    *current = &in; /* a handler may have another connection read */
    cre_ws_event event;
    while (takes_input(conn)) {
        int result = cre_ws_session_next(session, &in.data, in.end, &event);
        if (result == 0) break;
        if (result > 0) {
            handle(conn, &event);
            result = in.error;
        }
        if (result < 0 && takes_input(conn)) failed(conn, result);
        if (in.data == in.end && !session->message)
            break; /* no memory to give back: a call would do nothing */
    }
    *current = outer;
    conn->transport.has_destination = session->message != NULL && cre__conn_live(conn);
    if (session->state || conn->transport.message_since || conn->transport.buffered) account_unfinished(conn);
}

static size_t destination(cre__conn *conn, uint8_t **at) {
    return cre_ws_session_destination(&cre__websocket_of(conn)->session, at);
}

static void received(cre__conn *conn, size_t length) {
    cre_ws_event event;
    int result = cre_ws_session_received(&cre__websocket_of(conn)->session, length, &event);
    if (result == 0) {
        account_unfinished(conn); /* its memory may have grown */
        return;
    }
    if (result > 0)
        handle(conn, &event);
    else
        failed(conn, result);
    input(conn, NULL, 0); /* gives the message's memory back */
}

/* The peer has said how it ends, and does not wait for the answers. */
static bool lost(cre__conn *conn) {
    const cre__stream *stream = &conn->stream;
    if (!cre__websocket_of(conn)->awaits_owner) return false;
    CRE__RESET(conn, .reason = stream->close_reason, .code = stream->close_code,
               .error = stream->close_error);
    return true;
}

static void ended(cre__conn *conn) {
    if (!conn->stream.accepts_frames)
        closed(conn, true);
    else if (!cre__websocket_of(conn)->awaits_owner)
        input_over(conn, CRE_CLOSED_PEER, 1006, 0, (cre_slice){ 0 });
}

/* ---- time ---- */

static void ping(cre__conn *conn) {
    push(conn, CRE_WS_FIN | CRE_WS_PING, NULL, 0, CRE__REFUSE_WHEN_FULL);
}

static void say_why(cre__conn *conn) {
    static const char text[] = "heartbeat timeout";
    send_close(conn, 1001, text, sizeof text - 1);
}

static void due(cre__conn *conn) {
    if (cre__websocket_of(conn)->awaits_owner)
        close_conn(conn, CRE_CLOSED_TIMEOUT, NULL); /* its owner had its time */
    else if (conn->stream.accepts_frames && cre__message_overdue(conn))
        input_over(conn, CRE_CLOSED_TIMEOUT, 1008, CRE_EMESSAGE_TIMEOUT, (cre_slice){ 0 });
    else if (conn->stream.accepts_frames)
        cre__heartbeat_due(conn, ping, say_why);
    else
        closed(conn, false);
}

/* ---- the protocol ---- */

static void start(cre__conn *conn) {
    cre_ws_session *session = &cre__websocket_of(conn)->session;
    cre_ws_session_init(session, &conn->port->ws_config);
    if (conn->stream.deflate) cre_ws_session_set_deflate(session, conn->stream.deflate);
    conn->stream.opened = conn->stream.accepts_frames = true;
    cre__table_set_state(cre__conn_engine(conn)->table, conn->stream.session, CRE_CONNECTION_OPEN);
    cre__heartbeat_begin(conn);
}

static void detach(cre__conn *conn) {
    conn->stream.accepts_frames = false;
}

static void free_state(cre__conn *conn) {
    cre_ws_session_deinit(&cre__websocket_of(conn)->session);
}

const cre__protocol cre__protocol_websocket = {
    .state = CRE_CONNECTION_OPEN,
    .abnormal_code = 1006,
    .start = start,
    .check_upgrade = cre__websocket_check_upgrade,
    .upgrade = cre__websocket_upgrade,
    .input = input,
    .destination = destination,
    .received = received,
    .take_message = take_message,
    .ended = ended,
    .lost = lost,
    .due = due,
    .push = push,
    .command = command,
    .close = close_conn,
    .report_end = cre__conn_report_close,
    .detach = detach,
    .free = free_state,
};
