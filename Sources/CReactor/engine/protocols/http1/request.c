/* HTTP/1.1 on a connection: its input, from the heads of requests to the upgrade to another protocol. */
#include <string.h>

#include "core/memory.h"
#include "core/probes.h"
#include "engine/protocols/http1/http1.h"
#include "net/tls.h"

/* Input that waits: an incomplete head, or whole requests behind one that is not answered yet. */
typedef struct cre__http1_pending {
    uint32_t used, capacity;
    uint32_t looked_at; /* bytes of an incomplete head that the parser has seen */
    uint8_t data[];
} pending_input;

/* ---- input that waits ---- */

static bool buffer_input(cre__conn *conn, const uint8_t *data, size_t length) {
    cre__http1 *http = cre__http1_of(conn);
    pending_input *kept = http->pending;
    uint32_t used = kept ? kept->used : 0;
    if (!kept || kept->capacity - used < length) {
        uint32_t capacity = kept ? kept->capacity : 512;
        while (capacity - used < length)
            capacity *= 2;
        kept = cre__realloc(kept, sizeof *kept + capacity);
        if (!kept) {
            cre__conn_no_memory(conn);
            return false;
        }
        if (!http->pending) kept->used = kept->looked_at = 0;
        kept->capacity = capacity;
        http->pending = kept;
    }
    memcpy(kept->data + kept->used, data, length);
    kept->used += (uint32_t)length;
    return true;
}

void cre__http1_defer_input(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    if (buffer_input(conn, *cursor, (size_t)(end - *cursor))) {
        cre__http1_of(conn)->pending->looked_at = 0;
        cre__transport_stop(&conn->transport, CRE__STOP_DEFERRED);
    }
    *cursor = end;
}

/* ---- requests ---- */

static inline __attribute__((always_inline)) void deliver(cre__conn *conn, uint16_t flags, uint8_t *payload,
                                                          size_t length) {
    uint8_t number;
    if (!cre__http1_begin(conn, length, &number)) return;
    cre__conn_engine(conn)->stats.requests++;
    CRE__CALL_PROBE(request, conn->stream.session, payload, length);
    cre__conn_emit_part(conn, CRE_EVENT_REQUEST, number, flags, payload, length);
}

void cre__http1_deliver(cre__conn *conn, uint16_t flags, uint8_t *payload, size_t length) {
    deliver(conn, flags, payload, length);
}

/* Whether the request may be in progress together with others (RFC 9112 section 9.3.2). */
static bool overlaps(const cre_http_head *head, bool upgrade) {
    const unsigned safe_methods =
        1u << CRE_HTTP_GET | 1u << CRE_HTTP_HEAD | 1u << CRE_HTTP_OPTIONS | 1u << CRE_HTTP_TRACE;
    bool safe = safe_methods >> head->method & 1;
    return safe && !upgrade && !(head->flags & CRE_HTTP_HAS_BODY);
}

/* Of a request whose head cannot be parsed, or is not complete. */
static uint8_t traits_of_method(const uint8_t *bytes, size_t length) {
    return length >= 5 && memcmp(bytes, "HEAD ", 5) == 0 ? CRE__HEAD_REQUEST : 0;
}

__attribute__((noinline)) bool cre__http1_upgrade_input(cre__conn *conn, uint8_t *payload, size_t length) {
    const cre__protocol *protocol = &cre__protocol_websocket;
    int status = protocol->check_upgrade(conn, payload, length);
    if (status) {
        cre__http1_refuse(conn, status);
    } else if (conn->port->options.ask_upgrade) {
        if (!cre__conn_keep_handshake(conn, payload, length)) return false;
        cre__http1_of(conn)->upgrading = conn->stream.opened = true;
        cre__table_flag(cre__conn_engine(conn)->table, conn->stream.session, CRE__NOTE_ASKING, true);
        cre__http1_deliver(conn, CRE_RECORD_FINAL, payload, length);
        return true;
    } else {
        protocol->upgrade(conn, payload, length, NULL);
    }
    return false;
}

void cre__http1_upgrade_refused(cre__conn *conn) {
    cre__http1_of(conn)->upgrading = conn->stream.opened = false;
    cre__table_flag(cre__conn_engine(conn)->table, conn->stream.session, CRE__NOTE_ASKING, false);
    cre__conn_drop_handshake(conn);
}

/* The handshake is refused after all; its owner, who believes that it was accepted, gets CLOSE. */
static int refuse_upgrade(cre__conn *conn, int status) {
    cre__http1 *http = cre__http1_of(conn);
    http->upgrading = false; /* `opened` stays */
    cre__table_flag(cre__conn_engine(conn)->table, conn->stream.session, CRE__NOTE_ASKING, false);
    return cre__http1_error(conn, http->first, status, true);
}

int cre__http1_upgrade(cre__conn *conn, cre_slice *parts, int count, int policy) {
    cre__http1 *http = cre__http1_of(conn);
    cre__upgrade upgrade;
    if (!http->upgrading) return CRE_ESTATE;
    if (cre__conn_engine(conn)->shutting_down) return refuse_upgrade(conn, 503);
    int result = cre__upgrade_read(&upgrade, parts, count);
    if (result) return result;
    pending_input *behind = http->pending;
    http->pending = NULL; /* it is the other protocol's */
    cre_block *handshake = cre_block_retain(conn->stream.handshake);
    result = cre__protocol_websocket.upgrade(conn, cre_block_data(handshake), cre_block_length(handshake),
                                             &upgrade);
    cre_block_release(handshake);
    if (result) {
        http->pending = behind;
        return policy == CRE__FORCE ? refuse_upgrade(conn, 500) : result;
    }
    if (cre__conn_live(conn)) cre__transport_resume(&conn->transport, CRE__STOP_DEFERRED);
    if (behind && cre__conn_live(conn)) conn->protocol->input(conn, behind->data, behind->used);
    cre__free(behind);
    return 0;
}

size_t cre__http1_add_tls(const cre__conn *bearer, cre_http_head *head, uint8_t *behind) {
    uint32_t length = (uint32_t)cre__tls_client_certificate(&bearer->transport, behind + sizeof length);
    head->flags |= CRE_HTTP_SECURE;
    if (!length) return 0;
    head->flags |= CRE_HTTP_CLIENT_CERTIFICATE;
    memcpy(behind, &length, sizeof length);
    return sizeof length + length;
}

/* Whether the connection begins with the preface of HTTP/2: then it is served so, or more of the preface is
 * awaited. */
static __attribute__((noinline)) bool begins_http2(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    const cre__http1 *http = cre__http1_of(conn);
    if (http->first || http->count || http->idle || !conn->port->has_http2) return false;
    size_t length = (size_t)(end - *cursor);
    int result = cre_http2_match_preface(*cursor, length);
    if (result < 0) return false;
    if (result) {
        cre__conn_switch(conn, &cre__protocol_http2);
        return true;
    }
    if (buffer_input(conn, *cursor, length)) cre__http1_of(conn)->pending->looked_at = (uint32_t)length;
    *cursor = end;
    return true;
}

/* One head at *cursor. False: it is not complete, or the connection does not go on. */
static inline __attribute__((always_inline)) bool head_input(cre__conn *conn, uint8_t **cursor, uint8_t *end,
                                                             size_t looked_at) {
    cre_engine *engine = cre__conn_engine(conn);
    cre__http1 *http = cre__http1_of(conn);
    cre_http_head *head = (cre_http_head *)(void *)engine->scratch;
    cre_http_field *fields = (cre_http_field *)(void *)(engine->scratch + sizeof *head);
    uint8_t *bytes = *cursor;
    size_t available = (size_t)(end - bytes);
    int length = cre_http_parse_request(bytes, available, looked_at, &conn->port->http_limits, head, fields);
    if (length == 0) {
        if (http->idle) { /* not the first: the idle timeout was running */
            http->idle = false;
            cre__transport_set_deadline(&conn->transport, conn->port->options.head_timeout_ms);
        }
        if (buffer_input(conn, bytes, available)) http->pending->looked_at = (uint32_t)available;
        *cursor = end;
        return false;
    }
    if (length < 0) {
        if (begins_http2(conn, cursor, end)) return false;
        http->traits = traits_of_method(bytes, available);
        cre__http1_refuse(conn, cre_http_status_of(length));
        return false;
    }
    const cre_port_options *options = &conn->port->options;
    bool websocket = options->protocol == CRE_PROTOCOL_WEBSOCKET;
    bool upgrade = websocket && (head->flags & CRE_HTTP_UPGRADE_WEBSOCKET);
    http->alone = !overlaps(head, upgrade);
    if (http->alone && http->count) { /* it is parsed again when the others are answered */
        http->barrier = true;
        cre__http1_defer_input(conn, cursor, end);
        return false;
    }
    /* There are no tunnels. Bytes behind the head would be the tunnel's, so they are no requests. */
    if (http->alone && head->method == CRE_HTTP_CONNECT) {
        http->traits = 0;
        cre__http1_refuse(conn, 501);
        return false;
    }
    http->traits = (uint8_t)((head->flags & CRE_HTTP_KEEP_ALIVE ? CRE__KEEP_ALIVE : 0) |
                             (head->method == CRE_HTTP_HEAD ? CRE__HEAD_REQUEST : 0) |
                             (head->minor == 0 ? CRE__HTTP_1_0 : 0));
    size_t prefix = sizeof *head + head->field_count * sizeof *fields;
    memcpy(engine->scratch + prefix, bytes, (size_t)length);
    prefix += (size_t)length;
    if (conn->transport.tls) prefix += cre__http1_add_tls(conn, head, engine->scratch + prefix);
    *cursor += length;
    if (upgrade) return cre__http1_upgrade_input(conn, engine->scratch, prefix);
    if (websocket && !options->http) {
        cre__http1_refuse(conn, 400);
        return false;
    }
    if (!(head->flags & CRE_HTTP_HAS_BODY)) {
        deliver(conn, CRE_RECORD_FINAL, engine->scratch, prefix);
        return true;
    }
    size_t here = (size_t)(end - *cursor);
    if (!(head->flags & CRE_HTTP_CHUNKED) && head->content_length <= here &&
        head->content_length <= cre__http1_body_limit(conn) && here <= CRE__SLAB) {
        size_t size = (size_t)head->content_length;
        memcpy(engine->scratch + prefix, *cursor, size);
        *cursor += size;
        cre__http1_deliver(conn, CRE_RECORD_FINAL, engine->scratch, prefix + size);
        return true;
    }
    return cre__http1_body_begin(conn, engine->scratch, prefix, here == 0);
}

/* Whether more of the input may be served now. */
static bool may_serve(const cre__conn *conn) {
    bool paused = conn->transport.stopped & (CRE__STOP_COMMANDED | CRE__STOP_FULL);
    return !paused && (cre__http1_of(conn)->body || cre__http1_may_take(conn));
}

/* What `serve` does with the next request, when a handler asks for it, and nothing is unanswered: input that
 * waits for an answer is deferred by `serve` alone, behind which no handler runs before the read has ended.
 */
static __attribute__((noinline)) bool serve_request(cre__conn *conn) {
    cre__input *in = cre__conn_engine(conn)->requests;
    const cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_serves(conn) || http->body || http->count || !may_serve(conn)) return false;
    if (head_input(conn, &in->data, in->end, 0)) return true;
    in->end = in->data; /* `serve` ends, too */
    return false;
}

/* Serves [cursor, end); `looked_at` bytes of a head in it were parsed before. */
static void serve(cre__conn *conn, uint8_t *cursor, uint8_t *end, size_t looked_at) {
    cre__input **const current = &cre__conn_engine(conn)->requests, *const outer = *current;
    cre__input in = { .conn = conn, .session = conn->stream.session, .data = cursor, .end = end };
    *current = &in; /* a handler may have another connection read */
    while (cre__http1_serves(conn) && in.data < in.end) {
        if (!may_serve(conn)) {
            /* Further requests wait for answers; the socket's buffer holds the rest of the input. */
            cre__http1_defer_input(conn, &in.data, end);
            break;
        }
        if (cre__http1_of(conn)->body)
            cre__http1_body_input(conn, &in.data, end);
        else if (!head_input(conn, &in.data, end, looked_at))
            break;
        looked_at = 0;
    }
    *current = outer;
    /* Bytes behind an upgrade are the other protocol's. */
    if (in.data < end && cre__conn_live(conn) && conn->protocol != &cre__protocol_http1)
        conn->protocol->input(conn, in.data, (size_t)(end - in.data));
}

/* Serves the pending input and, behind it, new bytes. */
static void serve_pending(cre__conn *conn, const uint8_t *data, size_t length) {
    cre__http1 *http = cre__http1_of(conn);
    size_t looked_at = http->pending->looked_at;
    if (length && !buffer_input(conn, data, length)) return;
    pending_input *taken = http->pending;
    http->pending = NULL;
    serve(conn, taken->data, taken->data + taken->used, looked_at);
    cre__free(taken);
}

/* The memory of input that is not complete, or waits. */
static void account_unfinished(cre__conn *conn) {
    const pending_input *kept = cre__http1_of(conn)->pending;
    size_t pending = kept ? sizeof *kept + kept->capacity : 0;
    cre__conn_set_buffered(conn, pending + cre__http1_body_buffered(conn));
}

/* The end of a read, or of the pending input: what was put off until then. */
static inline void set_idle_deadline(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    if (!http->idle_due) return;
    http->idle_due = false;
    if (http->idle && !http->body) /* the rest of a body has a deadline of its own */
        cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
}

static void input(cre__conn *conn, uint8_t *data, size_t length) {
    const cre__http1 *http = cre__http1_of(conn);
    if (http->pending && !http->body && may_serve(conn))
        serve_pending(conn, data, length); /* an incomplete head waits: the new bytes go behind it */
    else
        serve(conn, data, data + length, 0);
    if (!cre__http1_serves(conn)) return;
    set_idle_deadline(conn);
    if (http->pending || http->body || conn->transport.buffered) account_unfinished(conn);
}

/* ---- the protocol ---- */

static void start(cre__conn *conn) {
    cre__transport_set_deadline(&conn->transport, conn->port->options.head_timeout_ms);
}

static void ended(cre__conn *conn) {
    const cre__http1 *http = cre__http1_of(conn);
    if (!http->count || http->body)
        CRE__FINISH(conn, .reason = CRE_CLOSED_PEER);
    else /* a client may end its side after the request and still wait for the answer */
        cre__http1_set_last(conn);
}

static void due(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    if (http->file) /* the client took nothing of it for this long */
        CRE__RESET(conn, .reason = CRE_CLOSED_TIMEOUT);
    else if (http->body)
        cre__http1_body_timed_out(conn);
    else if (http->count)
        return; /* the application has all the time it takes */
    else if (http->pending) {
        http->traits = traits_of_method(http->pending->data, http->pending->used);
        cre__http1_refuse(conn, 408);
    } else
        CRE__FINISH(conn, .reason = CRE_CLOSED_TIMEOUT);
}

static void resume(cre__conn *conn) {
    const cre__http1 *http = cre__http1_of(conn);
    if (http->pending && may_serve(conn)) {
        conn->transport.reading = true; /* more input is served by the loop of this call */
        serve_pending(conn, NULL, 0);
        conn->transport.reading = false;
    }
    if (!cre__http1_serves(conn)) return;
    set_idle_deadline(conn);
    account_unfinished(conn);
    if (cre__transport_ended(&conn->transport) && !http->count) CRE__FINISH(conn, .reason = CRE_CLOSED_PEER);
}

static void turn(cre__conn *conn) {
    if (cre__http1_of(conn)->body) cre__http1_body_report_dropped(conn);
}

static int close_conn(cre__conn *conn, cre_close_reason reason, const cre__closing *closing) {
    cre__http1 *http = cre__http1_of(conn);
    (void)closing;
    if (reason == CRE_CLOSED_SHUTDOWN) { /* requests in progress are answered first */
        if (!http->count) CRE__FINISH(conn, .reason = reason);
    } else if (http->file) {
        cre__http1_set_closing(http); /* it counts as queued */
    } else if (http->streaming) {
        CRE__RESET(conn, .reason = reason);
    } else {
        CRE__FINISH(conn, .reason = reason);
    }
    return 0;
}

/* The requests in progress are one worker's: its successor must know which of them it had. */
static bool may_move(const cre__conn *conn, cre_event kind) {
    return kind == CRE_EVENT_REQUEST && cre__http1_of(conn)->count == 1;
}

static bool report_end(cre__conn *conn) {
    if (!cre__http1_body_report_broken(conn)) return false;
    return !conn->stream.opened || cre__conn_report_unopened(conn); /* of a handshake without an answer */
}

static uint8_t oldest_request(const cre__conn *conn) {
    return cre__http1_of(conn)->first;
}

static void detach(cre__conn *conn) {
    cre__http1_drop_file(conn);
    cre__http1_drop_answers(conn);
}

static void free_state(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    cre__http1_drop_answers(conn);
    cre__free(http->body);
    cre__free(http->pending);
}

const cre__protocol cre__protocol_http1 = {
    .state = CRE_CONNECTION_HTTP,
    .start = start,
    .input = input,
    .serve_request = serve_request,
    .ended = ended,
    .due = due,
    .resume = resume,
    .turn = turn,
    .produce = cre__http1_send_file,
    .respond = cre__http1_respond,
    .command = cre__http1_command,
    .close = close_conn,
    .may_move = may_move,
    .oldest_request = oldest_request,
    .end_matters = cre__http1_body_breaks,
    .report_end = report_end,
    .detach = detach,
    .free = free_state,
};
