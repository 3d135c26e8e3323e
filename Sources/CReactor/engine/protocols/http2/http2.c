/*
 * HTTP/2 on a connection: its bytes go through a session (http2/), and each stream of that is a connection of
 * its own, which this one carries. Output is taken from the session when the socket takes some, so that
 * the session decides late which stream is next.
 */
#include "engine/protocols/http2/http2.h"

#include <string.h>

#include "core/memory.h"

/* How often streams are looked for whose client does not receive. */
#define TICK_MS 5000u

static uint32_t tick_of(const cre__conn *conn) {
    const uint32_t quarter = conn->port->options.idle_timeout_ms / 4 + 1;
    return quarter < TICK_MS ? quarter : TICK_MS;
}

/* Between the announcement that no more streams are accepted and its coming true: streams on their way. */
#define LAST_OUTPUT_MS 250u

/* The preface, and the head of the first frame behind it. */
#define FIRST_BYTES (CRE_HTTP2_PREFACE_LENGTH + 9u)

/* How much is sent before others have their turn. */
#define PRODUCED_PER_TURN (1u << 20)

static uint32_t now_of(const cre__conn *conn) {
    return (uint32_t)cre_loop_now(conn->transport.net->loop);
}

/* ---- counters ---- */

static void count(cre__http2 *http2, const cre_http2_stats *now) {
    cre_engine *engine = cre__conn_engine(http2->conn);
    cre_engine_stats *stats = &engine->stats;
    cre_http2_stats *counted = &http2->counted;
    stats->http2_refused += now->refused - counted->refused;
    stats->http2_heads_too_large += now->heads_too_large - counted->heads_too_large;
    stats->http2_resets += now->resets - counted->resets;
    stats->http2_stalled += now->stalled - counted->stalled;
    stats->http2_requests += now->requests - counted->requests;
    if (now->limit != counted->limit) stats->http2_exceeded[now->limit % CRE_HTTP2_LIMITS]++;
    *counted = *now;
    engine->rare_changed = true;
}

void cre__http2_account(cre__http2 *http2) {
    cre_http2_stats stats;
    cre_http2_get_stats(http2->session, &stats, sizeof stats);
    count(http2, &stats);
    cre__conn_set_buffered(http2->conn, stats.memory + http2->pending);
}

/* ---- events of the session ---- */

static void on_request(cre__http2 *http2, const cre_http2_event *event) {
    cre__input *in = cre__conn_engine(http2->conn)->requests;
    if (!cre__http2_serves(http2)) return;
    if (!event->followed) in->data = in->end;
    cre__http2_stream_begin(http2, event);
}

static void on_event(void *context, cre_http2 *session, const cre_http2_event *event) {
    cre__http2 *http2 = context;
    cre__http2_stream *stream = event->stream_context;
    (void)session;
    if (event->kind == CRE_HTTP2_REQUEST) {
        on_request(http2, event);
        return;
    }
    if (!stream) return; /* it has ended here */
    switch (event->kind) {
    case CRE_HTTP2_DATA: cre__http2_stream_input(stream, event->data, event->length); break;
    case CRE_HTTP2_END: cre__http2_stream_ended(stream); break;
    case CRE_HTTP2_CLOSED: cre__http2_stream_closed(stream); break;
    default: break;
    }
}

/* ---- the life of the connection ---- */

static void start(cre__conn *conn) {
    cre_engine *engine = cre__conn_engine(conn);
    cre__http2 *http2 = cre__calloc(1, sizeof *http2);
    cre_http2_config config = conn->port->http2;
    config.on_event = on_event;
    config.read_body = cre__http2_stream_read;
    config.context = http2;
    if (!http2 || cre_http2_create(&config, &http2->session)) {
        cre__free(http2);
        cre__conn_no_memory(conn);
        return;
    }
    memcpy(conn->state, &http2, sizeof http2);
    http2->conn = conn;
    http2->origin = (cre_connection_info){ .port = conn->port_index, .owner = engine->config.node };
    cre__conn_describe_peer(conn, &http2->origin);
    cre__conn_describe_local(conn->transport.descriptor, &http2->origin);
    engine->stats.http2_connections++;
    engine->stats.http2_open_connections++;
    engine->rare_changed = true;
    conn->transport.producing = true;
    cre__transport_set_deadline(&conn->transport, conn->port->options.head_timeout_ms);
    cre__http2_mark(http2);
    if (engine->shutting_down) conn->protocol->close(conn, CRE_CLOSED_SHUTDOWN, NULL);
}

static void input(cre__conn *conn, uint8_t *data, size_t length) {
    cre__http2 *http2 = cre__http2_of(conn);
    cre__input **const current = &cre__conn_engine(conn)->requests, *const outer = *current;
    cre__input in = { .conn = conn, .data = data, .end = data + length };
    *current = &in; /* a handler may have another connection read */
    http2->origin.connect_time_ms = 0;
    /* an error shows when the frame with its reason is sent */
    (void)!cre_http2_receive(http2->session, data, length, cre_loop_now(conn->transport.net->loop));
    *current = outer;
    if (!cre__http2_serves(http2)) return;
    cre__http2_account(http2);
    cre__http2_mark(http2);
    if (http2->received >= FIRST_BYTES) return;
    http2->received =
        (uint8_t)(length < FIRST_BYTES - http2->received ? http2->received + length : FIRST_BYTES);
    if (http2->received < FIRST_BYTES || http2->announced) return;
    http2->idle_since = now_of(conn);
    if (!http2->ticking) cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
}

/* A handler asks for the next request: parses the input up to that. */
static bool serve_request(cre__conn *conn) {
    cre__input *in = cre__conn_engine(conn)->requests;
    const cre__http2 *http2 = cre__http2_of(conn);
    if (cre__http2_serves(http2) && cre_http2_receive_more(http2->session)) return true;
    in->data = in->end;
    return false;
}

void cre__http2_busy(cre__http2 *http2) {
    if (http2->ticking || http2->announced) return;
    http2->ticking = true;
    cre__transport_set_deadline(&http2->conn->transport, tick_of(http2->conn));
}

/* Everything is sent, and nothing more is received. */
static void finish(cre__conn *conn) {
    const cre__http2 *http2 = cre__http2_of(conn);
    int error = cre_http2_error(http2->session);
    cre_close_reason reason = http2->closing_reason ? http2->closing_reason : CRE_CLOSED_PEER;
    if (error) reason = error == CRE_ENOMEM ? CRE_CLOSED_NOMEM : CRE_CLOSED_PROTOCOL;
    CRE__FINISH(conn, .reason = reason, .error = error);
}

/* The queue is empty: sends output of the session from the memory into which reads go. */
static bool produce(cre__conn *conn, uint32_t *budget) {
    cre__http2 *http2 = cre__http2_of(conn);
    cre__net *net = conn->transport.net;
    uint32_t now = now_of(conn);
    if (http2->produced_at != now) {
        http2->produced_at = now;
        http2->produced = 0;
    }
    if (!*budget || http2->produced >= PRODUCED_PER_TURN) {
        conn->transport.blocked = true; /* others have their turn; poll reports that there is room */
        return false;
    }
    cre__http2_account(http2); /* heads of responses that wait */
    size_t size;
    if (cre_http2_produce(http2->session, net->slab, CRE__SLAB, &size)) {
        cre__conn_no_memory(conn);
        return false;
    }
    http2->produced += (uint32_t)size;
    cre__http2_resume_waiting(http2);
    *budget -= size < *budget ? (uint32_t)size : *budget;
    if (size) {
        const cre_slice part = { net->slab, size };
        int result = cre__queue_large(&conn->transport, NULL, 0, &part, 1);
        if (result == CRE_ENOMEM) cre__conn_no_memory(conn);
        if (result) return false;
    }
    if (size == CRE__SLAB) return true;
    bool ends = http2->input_ended && !http2->stream_count;
    if (ends || cre_http2_is_done(http2->session)) finish(conn);
    return false;
}

static void ended(cre__conn *conn) {
    cre__http2 *http2 = cre__http2_of(conn);
    http2->input_ended = true; /* answers may still be received */
    if (!http2->stream_count) CRE__FINISH(conn, .reason = CRE_CLOSED_PEER);
}

/* No more streams are accepted; the connection ends when there are none. */
static void go_away(cre__http2 *http2) {
    http2->announced = http2->going_away = true;
    (void)cre_http2_goaway(http2->session, CRE_HTTP2_NO_ERROR); /* without memory its end comes unannounced */
    cre__http2_mark(http2);
}

/* Looks for streams that wait for a client that does not receive, and has the session free memory. */
static void look_for_stalled(cre__http2 *http2) {
    cre_http2_expire(http2->session, cre_loop_now(http2->conn->transport.net->loop));
    cre__http2_account(http2);
    cre__http2_mark(http2);
}

static void due(cre__conn *conn) {
    cre__http2 *http2 = cre__http2_of(conn);
    const uint32_t timeout = conn->port->options.idle_timeout_ms;
    if (http2->received < FIRST_BYTES) {
        CRE__FINISH(conn, .reason = CRE_CLOSED_TIMEOUT);
        return;
    }
    if (http2->announced && !http2->going_away) {
        go_away(http2);
        if (!http2->stream_count) { /* it ends behind its output */
            cre__transport_set_deadline(&conn->transport, LAST_OUTPUT_MS);
            return;
        }
    }
    look_for_stalled(http2);
    http2->ticking = http2->stream_count != 0;
    if (http2->ticking) {
        cre__transport_set_deadline(&conn->transport, tick_of(conn));
        return;
    }
    uint32_t idle = now_of(conn) - http2->idle_since;
    if (http2->going_away) {
        CRE__FINISH(conn, .reason = http2->closing_reason ? http2->closing_reason : CRE_CLOSED_TIMEOUT);
    } else if (idle < timeout) {
        cre__transport_set_deadline(&conn->transport, timeout - idle);
    } else {
        http2->closing_reason = CRE_CLOSED_TIMEOUT;
        go_away(http2);
        cre__transport_set_deadline(&conn->transport, LAST_OUTPUT_MS); /* if the client does not receive it */
    }
}

static int close_conn(cre__conn *conn, cre_close_reason reason, const cre__closing *closing) {
    cre__http2 *http2 = cre__http2_of(conn);
    (void)closing;
    if (http2->announced) return CRE_EGONE;
    http2->closing_reason = (uint8_t)reason;
    http2->announced = true;
    (void)cre_http2_announce_end(http2->session);
    cre__http2_mark(http2);
    cre__transport_set_deadline(&conn->transport, LAST_OUTPUT_MS);
    return 0;
}

static int command(cre__conn *conn, const cre_record *record, cre_slice *parts, int count, int policy) {
    (void)conn, (void)record, (void)parts, (void)count, (void)policy;
    return CRE_ENO_REQUEST; /* its streams have them */
}

static void detach(cre__conn *conn) {
    cre__http2 *http2 = cre__http2_of(conn);
    if (!http2) return;
    while (http2->streams)
        CRE__RESET(&http2->streams->carried.conn, .reason = (cre_close_reason)conn->stream.close_reason);
    cre_http2_stats stats;
    cre_http2_get_stats(http2->session, &stats, sizeof stats);
    count(http2, &stats);
    cre__conn_engine(conn)->stats.http2_open_connections--;
}

static void free_state(cre__conn *conn) {
    cre__http2 *http2 = cre__http2_of(conn);
    if (!http2) return;
    cre_http2_destroy(http2->session);
    cre__free(http2);
}

const cre__protocol cre__protocol_http2 = {
    .state = CRE_CONNECTION_HTTP,
    .start = start,
    .input = input,
    .serve_request = serve_request,
    .ended = ended,
    .due = due,
    .produce = produce,
    .command = command,
    .close = close_conn,
    .detach = detach,
    .free = free_state,
};
