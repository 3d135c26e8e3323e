/* Bodies of requests: collected, and handed out whole. */
#include <string.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

struct cre__body {
    cre_http_chunked chunked;
    bool is_chunked;
    uint64_t left; /* without chunks: what is still to come */
    uint64_t seen; /* bytes of it so far */
    /* What is collected, in its wire form: head, fields, bytes, and the body so far. */
    uint32_t prefix, used, capacity;
    _Alignas(8) uint8_t data[];
};

uint64_t cre__body_limit(const cre__conn *conn) {
    return conn->settings->options.max_body;
}

void cre__body_timed_out(cre__conn *conn) {
    cre__http_refuse(conn, 408);
}

/* ---- beginning ---- */

bool cre__body_begin(cre__conn *conn, uint8_t *payload, size_t prefix, bool nothing_came) {
    const cre_http_head *head = (const cre_http_head *)(const void *)payload;
    const cre_port_options *options = &conn->settings->options;
    if (!(head->flags & CRE_HTTP_CHUNKED) && head->content_length > cre__body_limit(conn)) {
        cre__http_refuse(conn, 413);
        return false;
    }
    uint32_t capacity = (uint32_t)prefix + 4096;
    struct cre__body *body = cre__malloc(sizeof *body + capacity);
    if (!body) {
        cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
        return false;
    }
    *body = (struct cre__body){
        .is_chunked = head->flags & CRE_HTTP_CHUNKED,
        .left = head->content_length,
        .capacity = capacity,
    };
    cre_http_chunked_init(&body->chunked);
    conn->http.body = body;
    cre__conn_set_deadline(conn, options->body_timeout_ms);
    memcpy(body->data, payload, prefix);
    body->prefix = body->used = (uint32_t)prefix;
    if (!(head->flags & CRE_HTTP_EXPECT_CONTINUE) || !nothing_came) return true;
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
    if (body->is_chunked) {
        length = decode(body, cursor, end, &final);
        if (length < 0) {
            cre__http_refuse(conn, cre_http_status_of((int)length));
            return;
        }
    } else {
        length = end - *cursor;
        if ((uint64_t)length > body->left) length = (ssize_t)body->left;
        body->left -= (uint64_t)length;
        *cursor += length;
        final = body->left == 0;
    }
    body->seen += (uint64_t)length;
    if (body->seen > cre__body_limit(conn))
        cre__http_refuse(conn, 413);
    else
        collect(conn, data, (size_t)length, final);
}
