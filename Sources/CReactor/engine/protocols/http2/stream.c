/* Streams of HTTP/2 as connections: how a session carries their input and output. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/append.h"
#include "core/memory.h"
#include "engine/protocols/http1/http1.h"
#include "engine/protocols/http2/http2.h"

/* How much of a file is read at once. */
#define FILE_PIECE 65536u

static cre__http2 *session_of(const cre__http2_stream *stream) {
    return cre__http2_of(stream->carried.by);
}

/* ---- input ---- */

static void consume(cre__http2_stream *stream) {
    if (!stream->unconsumed) return;
    cre__http2 *http2 = session_of(stream);
    (void)cre_http2_consume(http2->session, stream->id, stream->unconsumed); /* it may be closed */
    stream->unconsumed = 0;
    cre__http2_mark(http2);
}

/* Has its protocol take input. */
static void feed(cre__http2_stream *stream, uint8_t *data, size_t length) {
    cre__conn *conn = &stream->carried.conn;
    cre__transport *transport = &conn->transport;
    uint32_t now = (uint32_t)cre_loop_now(transport->net->loop);
    bool report = (now ^ transport->last_receive) >> CRE__ACTIVITY_SHIFT;
    transport->last_receive = now;
    if (report) transport->net->events->active(transport, true);
    transport->reading = true;
    transport->net->events->readable(transport, data, length, false);
    transport->reading = false;
    cre__transport_update_watch(
        transport); /* stopped meanwhile, or else it would not be called when it is resumed */
}

/* Reports the end of the client's side behind everything else. */
static void report_end(cre__http2_stream *stream) {
    cre__conn *conn = &stream->carried.conn;
    if (!stream->input_complete || stream->end_reported || stream->head || stream->pending_length ||
        conn->transport.stopped || conn->transport.state != CRE__TRANSPORT_OPEN)
        return;
    stream->end_reported = true;
    if (conn->protocol == &cre__protocol_http1) {
        cre__http1_body_end(conn);
    } else {
        conn->transport.stopped |= CRE__STOP_ENDED;
        conn->transport.net->events->ended(&conn->transport, CRE__INPUT_ENDED);
    }
}

bool cre__http2_may_feed(cre__http2_stream *stream) {
    cre__conn *conn = &stream->carried.conn;
    const cre_engine *engine = cre__conn_engine(conn);
    if (conn->transport.stopped) return false;
    return !engine->congested || !cre__congestion_stops(conn);
}

/* Defers input until it may be read. No more arrives than its window allows. */
static void defer_input(cre__http2_stream *stream, const uint8_t *data, size_t length) {
    const size_t capacity = stream->pending_capacity;
    if (cre__append(&stream->pending, &stream->pending_length, &stream->pending_capacity, data, length))
        cre__conn_no_memory(&stream->carried.conn);
    else
        session_of(stream)->pending += stream->pending_capacity - capacity;
}

static void drop_pending(cre__http2_stream *stream) {
    session_of(stream)->pending -= stream->pending_capacity;
    cre__free(stream->pending);
    stream->pending = NULL;
    stream->pending_length = stream->pending_capacity = 0;
}

void cre__http2_stream_input(cre__http2_stream *stream, const uint8_t *data, size_t length) {
    cre__conn *conn = &stream->carried.conn;
    stream->unconsumed += (uint32_t)length;
    if (conn->transport.state == CRE__TRANSPORT_OPEN) {
        if (stream->head || stream->pending_length || !cre__http2_may_feed(stream))
            defer_input(stream, data, length);
        else /* it is a part of what was received, which may be written to */
            feed(stream, (uint8_t *)(uintptr_t)data, length);
    }
    if (conn->transport.state == CRE__TRANSPORT_CLOSED) return;
    if (conn->transport.state != CRE__TRANSPORT_OPEN || !conn->transport.stopped) consume(stream);
}

void cre__http2_stream_ended(cre__http2_stream *stream) {
    stream->input_complete = true;
    report_end(stream);
}

/* The deferred request and the pending input, when they may be read again. */
static void resume_input(cre__http2_stream *stream) {
    if (stream->head && cre__http2_may_feed(stream)) {
        cre__http2 *http2 = session_of(stream);
        cre__http2_begin_again(stream);
        cre__http2_resume_next(http2);
    }
    if (stream->carried.conn.transport.state != CRE__TRANSPORT_OPEN || stream->head) return;
    if (stream->pending_length && cre__http2_may_feed(stream)) {
        uint8_t *data = stream->pending;
        const size_t length = stream->pending_length, capacity = stream->pending_capacity;
        stream->pending = NULL;
        stream->pending_length = stream->pending_capacity = 0;
        session_of(stream)->pending -= capacity; /* afterwards the stream may have ended */
        feed(stream, data, length);
        cre__free(data);
    }
    report_end(stream);
}

/* ---- output ---- */

size_t cre__http2_stream_read(void *context, uint32_t id, void *at, uint8_t *out, size_t capacity,
                              bool *final) {
    cre__http2_stream *stream = at;
    (void)context, (void)id;
    if (!stream) return 0;
    cre__conn *conn = &stream->carried.conn;
    cre__transport *transport = &conn->transport;
    size_t length = cre__queue_take(transport, out, capacity);
    if (transport->state == CRE__TRANSPORT_FINISHING) {
        *final = !transport->queued;
        const cre_port_options *options = &conn->port->options;
        if (!*final)
            cre__transport_set_deadline(transport, options->idle_timeout_ms);
        else if (!stream->input_complete) /* as on a socket, the client has a time to end its side, too */
            cre__transport_set_deadline(transport, options->close_timeout_ms);
    } else if (length) {
        cre__transport_mark(transport); /* its queue has changed, and a file goes on */
    }
    return length;
}

static void produce_file(cre__conn *conn) {
    uint32_t budget = FILE_PIECE;
    while (conn->transport.state == CRE__TRANSPORT_OPEN && conn->transport.producing &&
           !conn->transport.queued && budget)
        if (!conn->protocol->produce(conn, &budget)) break;
}

static void carry(cre__conn *conn) {
    cre__http2_stream *stream = cre__http2_stream_of(conn);
    cre__transport *transport = &conn->transport;
    if (transport->queued) cre__http2_limit_queues(session_of(stream));
    if (transport->state == CRE__TRANSPORT_OPEN) {
        resume_input(stream);
        if (transport->state == CRE__TRANSPORT_OPEN) produce_file(conn);
        if (transport->state == CRE__TRANSPORT_OPEN) cre__conn_queue_changed(conn);
    }
    if (transport->state == CRE__TRANSPORT_CLOSED) return;
    if (transport->state == CRE__TRANSPORT_FINISHING) {
        if (stream->pending) drop_pending(stream);
        if (!stream->responded) { /* there is nothing that could end */
            stream->refused = conn->stream.close_reason == CRE_CLOSED_SHUTDOWN;
            cre__transport_close(transport, true);
            return;
        }
    }
    if (transport->state != CRE__TRANSPORT_OPEN || !transport->stopped) consume(stream);
    if (!stream->responded || !(transport->queued || transport->state == CRE__TRANSPORT_FINISHING)) return;
    cre__http2 *http2 = session_of(stream);
    if (cre_http2_resume(http2->session, stream->id) == CRE_ENOMEM)
        cre__conn_no_memory(conn);
    else
        cre__http2_mark(http2);
}

/* ---- beginning and end ---- */

static void uncarry(cre__conn *conn, bool reset) {
    cre__http2_stream *stream = cre__http2_stream_of(conn);
    cre__http2 *http2 = session_of(stream);
    if (stream->pending) drop_pending(stream);
    cre__http2_drop_head(stream);
    if (conn->transport.stopped & CRE__STOP_BEARER) http2->waiting--;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        http2->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    else
        http2->oldest = stream->previous;
    cre__conn_engine(conn)->stats.http2_open_streams--;
    if (!--http2->stream_count) http2->idle_since = (uint32_t)cre_loop_now(conn->transport.net->loop);
    if (!cre__http2_serves(http2)) return;
    if (!stream->closed) {
        const uint32_t code = stream->refused ? CRE_HTTP2_REFUSED_STREAM
                              : reset         ? CRE_HTTP2_INTERNAL_ERROR
                                              : CRE_HTTP2_CANCEL;
        (void)cre_http2_set_context(http2->session, stream->id, NULL);
        (void)cre_http2_reset(http2->session, stream->id, code);
    }
    cre__http2_mark(http2);
}

void cre__http2_stream_closed(cre__http2_stream *stream) {
    cre__transport *transport = &stream->carried.conn.transport;
    stream->closed = true;
    if (transport->state == CRE__TRANSPORT_FINISHING)
        cre__transport_close(transport, false);
    else
        cre__transport_failed(transport, ECONNRESET);
}

static const cre__carrier carrier = {
    .carry = carry,
    .uncarry = uncarry,
    .send_head = cre__http2_send_head,
    .send_trailers = cre__http2_send_trailers,
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cre__http2_stream_begin(cre__http2 *http2, const cre_http2_event *event) {
    if (!http2->origin.connect_time_ms) http2->origin.connect_time_ms = now_ms();
    cre_engine *engine = cre__conn_engine(http2->conn);
    cre__conn *conn = cre__carried_open(http2->conn, &carrier, &cre__protocol_http1, &http2->origin,
                                        sizeof(cre__http2_stream));
    if (!conn) {
        engine->stats.http2_refused++;
        engine->rare_changed = true;
        (void)cre_http2_reset(http2->session, event->stream, CRE_HTTP2_REFUSED_STREAM);
        return;
    }
    cre__http2_stream *stream = cre__http2_stream_of(conn);
    stream->id = event->stream;
    stream->tunnel = event->protocol != NULL;
    stream->input_complete = stream->end_reported = event->final;
    stream->next = http2->streams;
    if (stream->next)
        stream->next->previous = stream;
    else
        http2->oldest = stream;
    http2->streams = stream;
    if (!http2->stream_count++) cre__http2_busy(http2);
    engine->stats.http2_open_streams++;
    (void)cre_http2_set_context(http2->session, stream->id, stream);
    engine->requests->session = conn->stream.session;
    cre__http2_begin(stream, event);
}
