/* Bodies of requests: collected and handed out whole, or in pieces as they are received. */
#include <string.h>

#include "core/memory.h"
#include "engine/protocols/http1/http1.h"

/* Up to this many bytes of a body that nobody wants are read and dropped, so that the connection can go on.
 */
#define MOST_DROPPED 65536u

struct cre__http1_body {
    cre_http_chunked chunked;
    bool is_chunked;
    bool streamed;  /* the request is handed out already */
    bool dropped;   /* ...and answered: nobody wants the rest */
    bool reported;  /* ...and its owner knows that it does not come */
    bool waits;     /* the client waits for 100 Continue */
    uint8_t number; /* of the request, when it is handed out */
    uint64_t left;  /* without chunks: what is still to come */
    uint64_t seen;  /* bytes of it so far; since `dropped` */
    /* What is collected, in its wire form: head, fields, bytes, and the body so far. */
    uint32_t prefix, used, capacity;
    _Alignas(8) uint8_t data[];
};

uint64_t cre__http1_body_limit(const cre__conn *conn) {
    const cre_port_options *options = &conn->port->options;
    if (!options->stream_bodies) return options->max_body;
    return options->max_streamed_body ? options->max_streamed_body : UINT64_MAX;
}

size_t cre__http1_body_buffered(const cre__conn *conn) {
    const struct cre__http1_body *body = cre__http1_of(conn)->body;
    return body ? sizeof *body + body->capacity : 0;
}

static void free_body(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    cre__free(http->body);
    http->body = NULL;
}

/* ---- the end of one that is not complete ---- */

bool cre__http1_body_breaks(const cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    const struct cre__http1_body *body = http->body;
    return body && body->streamed && !body->reported;
}

void cre__http1_body_report_dropped(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    if (http->body->dropped) cre__http1_body_report_broken(conn);
}

bool cre__http1_body_report_broken(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_body_breaks(conn)) return true;
    struct cre__http1_body *body = http->body;
    body->dropped = body->reported = true;
    int result = cre__conn_report(conn, CRE_EVENT_REQUEST_BODY, body->number,
                                  CRE_RECORD_FINAL | CRE_RECORD_CLOSE, NULL, 0);
    if (result == CRE_ENOMEM && http->body == body) body->reported = false; /* it is tried again */
    return result != CRE_ENOMEM;
}

/* It is too large, malformed or too late: the request is refused, and the connection ends. */
static void fail(cre__conn *conn, int status) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_body *body = http->body;
    if (!body->streamed) {
        cre__http1_refuse(conn, status);
        return;
    }
    uint8_t number = body->number;
    cre__http1_body_report_broken(conn);
    if (!cre__http1_serves(conn)) return;
    if (cre__http1_answerable(conn))
        cre__http1_error(conn, number, status, true);
    else if (http->count)
        CRE__RESET(conn, .reason = CRE_CLOSED_PROTOCOL);
    else
        CRE__FINISH(conn, .reason = CRE_CLOSED_PROTOCOL);
}

void cre__http1_body_end(cre__conn *conn) {
    struct cre__http1_body *body = cre__http1_serves(conn) ? cre__http1_of(conn)->body : NULL;
    uint8_t nothing[1], *cursor = nothing;
    if (!body) return; /* it has the length that its head says */
    body->left = 0;
    cre__http1_body_input(conn, &cursor, nothing);
}

void cre__http1_body_timed_out(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    const struct cre__http1_body *body = http->body;
    /* Whom the client waits for, or who does not want to read, has all the time. */
    bool ours = body->streamed && !body->dropped && (body->waits || conn->transport.stopped);
    if (ours)
        cre__transport_set_deadline(&conn->transport, conn->port->options.body_timeout_ms);
    else
        fail(conn, 408);
}

bool cre__http1_body_is_short(const cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    const struct cre__http1_body *body = http->body;
    return !body->waits && (body->is_chunked || body->left <= MOST_DROPPED);
}

void cre__http1_body_discard(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_body *body = http->body;
    if (!body || body->dropped) return;
    body->dropped = true;
    body->seen = 0;
    cre__transport_set_deadline(&conn->transport, conn->port->options.body_timeout_ms);
    cre__transport_mark_turn(&conn->transport);
}

/* More of what nobody wants. */
static void drop(cre__conn *conn, bool final) {
    cre__http1 *http = cre__http1_of(conn);
    if (final) {
        free_body(conn);
        if (!http->count) cre__transport_set_deadline(&conn->transport, conn->port->options.idle_timeout_ms);
    } else if (http->body->seen > MOST_DROPPED) {
        /* A file that is being sent is the answer, and is sent first. */
        cre__http1_set_closing(http);
        http->body->left = UINT64_MAX;
        if (http->count)
            cre__transport_stop(&conn->transport, CRE__STOP_DEFERRED);
        else
            CRE__FINISH(conn, .reason = CRE_CLOSED_SERVER);
    }
}

/* ---- beginning ---- */

int cre__http1_body_continue(cre__conn *conn) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_body *body = cre__http1_serves(conn) ? http->body : NULL;
    if (!body || !body->waits || !cre__http1_answerable(conn)) return 0;
    body->waits = false;
    cre__transport_set_deadline(&conn->transport, conn->port->options.body_timeout_ms);
    return cre__http1_send_continue(conn);
}

bool cre__http1_body_begin(cre__conn *conn, uint8_t *payload, size_t prefix, bool nothing_came) {
    cre__http1 *http = cre__http1_of(conn);
    const cre_http_head *head = (const cre_http_head *)(const void *)payload;
    const cre_port_options *options = &conn->port->options;
    if (!(head->flags & CRE_HTTP_CHUNKED) && head->content_length > cre__http1_body_limit(conn)) {
        cre__http1_refuse(conn, 413);
        return false;
    }
    bool streamed = options->stream_bodies;
    uint32_t capacity = streamed ? 0 : (uint32_t)prefix + 4096;
    struct cre__http1_body *body = cre__malloc(sizeof *body + capacity);
    if (!body) {
        cre__conn_no_memory(conn);
        return false;
    }
    *body = (struct cre__http1_body){
        .is_chunked = head->flags & CRE_HTTP_CHUNKED,
        .streamed = streamed,
        .waits = (head->flags & CRE_HTTP_EXPECT_CONTINUE) && nothing_came,
        .number = http->first, /* it is alone */
        .left = head->flags & CRE_HTTP_HAS_LENGTH ? head->content_length : UINT64_MAX,
        .capacity = capacity,
    };
    cre_http_chunked_init(&body->chunked);
    cre_http_chunked_set_limit(&body->chunked, cre__http1_body_limit(conn));
    http->body = body;
    cre__transport_set_deadline(&conn->transport, options->body_timeout_ms);
    if (streamed) {
        cre__http1_deliver(conn, CRE_RECORD_MORE_BODY, payload, prefix);
        return true;
    }
    memcpy(body->data, payload, prefix);
    body->prefix = body->used = (uint32_t)prefix;
    if (!body->waits) return true;
    body->waits = false;
    return cre__http1_send_continue(conn) == 0;
}

/* ---- whole ---- */

/* Adds to the body; false when that ended the connection. */
static bool add(cre__conn *conn, const uint8_t *data, size_t length) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_body *body = http->body;
    size_t needed = body->used + length;
    if (needed > body->capacity) {
        size_t capacity = (size_t)body->capacity * 2;
        while (capacity < needed)
            capacity *= 2;
        struct cre__http1_body *grown = cre__realloc(body, sizeof *body + capacity);
        if (!grown) {
            cre__conn_no_memory(conn);
            return false;
        }
        http->body = body = grown;
        body->capacity = (uint32_t)capacity;
    }
    memcpy(body->data + body->used, data, length);
    body->used += (uint32_t)length;
    return true;
}

static void collect(cre__conn *conn, const uint8_t *data, size_t length, bool final) {
    cre__http1 *http = cre__http1_of(conn);
    if (length && !add(conn, data, length)) return;
    if (!final) return;
    struct cre__http1_body *body = http->body;
    http->body = NULL; /* the answer may come, and the next request begin, before the event returns */
    cre__http1_deliver(conn, CRE_RECORD_FINAL, body->data, body->used);
    cre__free(body);
}

/* ---- in pieces ---- */

static void hand_out(cre__conn *conn, uint8_t *data, size_t length, bool final) {
    cre__http1 *http = cre__http1_of(conn);
    uint8_t number = http->body->number;
    if (final)
        free_body(conn);
    else
        cre__transport_set_deadline(&conn->transport, conn->port->options.body_timeout_ms);
    if (length || final)
        cre__conn_emit_part(conn, CRE_EVENT_REQUEST_BODY, number, final ? CRE_RECORD_FINAL : 0, data, length);
}

/* Moves the body's bytes together at the beginning of what came. Their number or a negative error. */
static ssize_t decode(struct cre__http1_body *body, uint8_t **cursor, uint8_t *end, bool *final) {
    uint8_t *start = *cursor;
    size_t gathered = 0;
    for (;;) {
        const uint8_t *at = *cursor, *data;
        size_t length;
        int result = cre_http_chunked_next(&body->chunked, &at, end, &data, &length);
        *cursor += at - *cursor;
        if (result < 0) return result;
        *final = result == CRE_HTTP_CHUNKED_END;
        if (result != CRE_HTTP_CHUNKED_DATA) return (ssize_t)gathered;
        if (data != start + gathered) memmove(start + gathered, data, length);
        gathered += length;
    }
}

void cre__http1_body_input(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    cre__http1 *http = cre__http1_of(conn);
    struct cre__http1_body *body = http->body;
    uint8_t *data = *cursor;
    bool final = false;
    ssize_t length;
    if (body->dropped) {
        cre__http1_body_report_dropped(conn);
        if (!cre__http1_serves(conn)) return;
    }
    if (body->is_chunked) {
        length = decode(body, cursor, end, &final);
        if (length < 0) {
            fail(conn, cre_http_status_of((int)length));
            return;
        }
    } else {
        length = end - *cursor;
        if ((uint64_t)length > body->left) length = (ssize_t)body->left;
        body->left -= (uint64_t)length;
        *cursor += length;
        final = body->left == 0;
    }
    body->waits = false;
    body->seen += (uint64_t)length;
    if (body->dropped)
        drop(conn, final);
    else if (body->seen > cre__http1_body_limit(conn))
        fail(conn, 413);
    else if (body->streamed)
        hand_out(conn, data, (size_t)length, final);
    else
        collect(conn, data, (size_t)length, final);
}
