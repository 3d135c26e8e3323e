/* Bodies of requests: collected and handed out whole, or in pieces as they come. */
#include <string.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* So much of a body that nobody wants is read and dropped, so that the connection can go on. */
#define MOST_DROPPED 65536u

struct cre__body {
    cre_http_chunked chunked;
    bool is_chunked;
    bool streamed;  /* the request is handed out already */
    bool dropped;   /* ...and answered: nobody wants the rest */
    bool told;      /* ...and knows that it does not come */
    bool waits;     /* the client waits to be told to go on */
    uint8_t number; /* of the request, when it is handed out */
    uint64_t left;  /* without chunks: what is still to come */
    uint64_t seen;  /* bytes of it so far; since `dropped` */
    /* What is collected, in its wire form: head, fields, bytes, and the body so far. */
    uint32_t prefix, used, capacity;
    _Alignas(8) uint8_t data[];
};

uint64_t cre__body_limit(const cre__conn *conn) {
    const cre_port_options *options = &conn->settings->options;
    if (!options->stream_bodies) return options->max_body;
    return options->max_streamed_body ? options->max_streamed_body : UINT64_MAX;
}

static void free_body(cre__conn *conn) {
    cre__free(conn->http.body);
    conn->http.body = NULL;
}

/* ---- the end of one that is not complete ---- */

bool cre__body_breaks(const cre__conn *conn) {
    const struct cre__body *body = conn->http.body;
    return body && body->streamed && !body->told;
}

void cre__body_tell_dropped(cre__conn *conn) {
    if (conn->http.body->dropped) cre__body_tell_broken(conn, conn->session);
}

bool cre__body_tell_broken(cre__conn *conn, cre_session session) {
    if (!cre__body_breaks(conn)) return true;
    struct cre__body *body = conn->http.body;
    body->dropped = body->told = true;
    int result = cre__conn_tell(conn, session, CRE_EVENT_REQUEST_BODY, body->number,
                                CRE_RECORD_FINAL | CRE_RECORD_CLOSE, NULL, 0);
    if (result == CRE_ENOMEM && conn->http.body == body) body->told = false; /* it is tried again */
    return result != CRE_ENOMEM;
}

/* It is too large, makes no sense or does not come: the request is refused, and the connection ends. */
static void fail(cre__conn *conn, int status) {
    struct cre__body *body = conn->http.body;
    if (!body->streamed) {
        cre__http_refuse(conn, status);
        return;
    }
    uint8_t number = body->number;
    cre__body_tell_broken(conn, conn->session);
    if (conn->phase != CRE__HTTP) return;
    if (cre__http_answerable(conn))
        cre__http_error(conn, number, status, true);
    else
        cre__conn_end(conn, CRE_CLOSED_PROTOCOL, 0, 0, (cre_slice){ 0 }, !conn->http.count);
}

void cre__body_timed_out(cre__conn *conn) {
    const struct cre__body *body = conn->http.body;
    /* Whom the client waits for, or who does not want to read, has all the time. */
    bool ours =
        body->streamed && !body->dropped && (body->waits || conn->paused || conn->congested || conn->held);
    if (ours)
        cre__conn_set_deadline(conn, conn->settings->options.body_timeout_ms);
    else
        fail(conn, 408);
}

bool cre__body_is_short(const cre__conn *conn) {
    const struct cre__body *body = conn->http.body;
    return !body->waits && (body->is_chunked || body->left <= MOST_DROPPED);
}

void cre__body_discard(cre__conn *conn) {
    struct cre__body *body = conn->http.body;
    if (!body || body->dropped) return;
    body->dropped = true;
    body->seen = 0;
    cre__conn_set_deadline(conn, conn->settings->options.body_timeout_ms);
    cre__conn_mark_dirty(conn);
}

/* More of what nobody wants. */
static void drop(cre__conn *conn, bool final) {
    if (final) {
        free_body(conn);
        if (!conn->http.count) cre__conn_set_deadline(conn, conn->settings->options.idle_timeout_ms);
    } else if (conn->http.body->seen > MOST_DROPPED) {
        /* A file that is being sent is the answer, and is sent first. */
        conn->keep_alive = false;
        conn->http.body->left = UINT64_MAX;
        if (conn->http.count)
            conn->held = true;
        else
            cre__conn_end(conn, CRE_CLOSED_SERVER, 0, 0, (cre_slice){ 0 }, true);
    }
}

/* ---- beginning ---- */

int cre__body_continue(cre__conn *conn) {
    struct cre__body *body = conn->phase == CRE__HTTP ? conn->http.body : NULL;
    if (!body || !body->waits || !cre__http_answerable(conn)) return 0;
    body->waits = false;
    cre__conn_set_deadline(conn, conn->settings->options.body_timeout_ms);
    return cre__out_append(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25) ? 0 : CRE_ENOMEM;
}

bool cre__body_begin(cre__conn *conn, uint8_t *payload, size_t prefix, bool nothing_came) {
    const cre_http_head *head = (const cre_http_head *)(const void *)payload;
    const cre_port_options *options = &conn->settings->options;
    if (!(head->flags & CRE_HTTP_CHUNKED) && head->content_length > cre__body_limit(conn)) {
        cre__http_refuse(conn, 413);
        return false;
    }
    bool streamed = options->stream_bodies;
    uint32_t capacity = streamed ? 0 : (uint32_t)prefix + 4096;
    struct cre__body *body = cre__malloc(sizeof *body + capacity);
    if (!body) {
        cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
        return false;
    }
    *body = (struct cre__body){
        .is_chunked = head->flags & CRE_HTTP_CHUNKED,
        .streamed = streamed,
        .waits = (head->flags & CRE_HTTP_EXPECT_CONTINUE) && nothing_came,
        .number = conn->http.first, /* it is alone */
        .left = head->content_length,
        .capacity = capacity,
    };
    cre_http_chunked_init(&body->chunked);
    conn->http.body = body;
    cre__conn_set_deadline(conn, options->body_timeout_ms);
    if (streamed) {
        cre__http_deliver(conn, CRE_RECORD_MORE_BODY, payload, prefix);
        return true;
    }
    memcpy(body->data, payload, prefix);
    body->prefix = body->used = (uint32_t)prefix;
    if (!body->waits) return true;
    body->waits = false;
    return cre__out_append(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

/* ---- whole ---- */

/* Adds to the body; false when that ended the connection. */
static bool add(cre__conn *conn, const uint8_t *data, size_t length) {
    struct cre__body *body = conn->http.body;
    size_t needed = body->used + length;
    if (needed > body->capacity) {
        size_t capacity = (size_t)body->capacity * 2;
        while (capacity < needed)
            capacity *= 2;
        struct cre__body *grown = cre__realloc(body, sizeof *body + capacity);
        if (!grown) {
            cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
            return false;
        }
        conn->http.body = body = grown;
        body->capacity = (uint32_t)capacity;
    }
    memcpy(body->data + body->used, data, length);
    body->used += (uint32_t)length;
    return true;
}

static void collect(cre__conn *conn, const uint8_t *data, size_t length, bool final) {
    if (length && !add(conn, data, length)) return;
    if (!final) return;
    struct cre__body *body = conn->http.body;
    conn->http.body = NULL; /* the answer may come, and the next request begin, before the event returns */
    cre__http_deliver(conn, CRE_RECORD_FINAL, body->data, body->used);
    cre__free(body);
}

/* ---- in pieces ---- */

static void hand_out(cre__conn *conn, uint8_t *data, size_t length, bool final) {
    uint8_t number = conn->http.body->number;
    if (final)
        free_body(conn);
    else
        cre__conn_set_deadline(conn, conn->settings->options.body_timeout_ms);
    if (length || final)
        cre__conn_emit_part(conn, CRE_EVENT_REQUEST_BODY, number, final ? CRE_RECORD_FINAL : 0, data, length);
}

/* Moves the body's bytes together at the beginning of what came. Their number or a negative error. */
static ssize_t decode(struct cre__body *body, uint8_t **cursor, uint8_t *end, bool *final) {
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

void cre__body_input(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    struct cre__body *body = conn->http.body;
    uint8_t *data = *cursor;
    bool final = false;
    ssize_t length;
    if (body->dropped) {
        cre__body_tell_dropped(conn);
        if (conn->phase != CRE__HTTP) return;
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
    else if (body->seen > cre__body_limit(conn))
        fail(conn, 413);
    else if (body->streamed)
        hand_out(conn, data, (size_t)length, final);
    else
        collect(conn, data, (size_t)length, final);
}
