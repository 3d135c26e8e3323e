/* HTTP/1.1 on a connection: requests one after the other, bodies whole, the upgrade to a WebSocket. */
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* Input that waits: an incomplete head, or whole requests behind one that is not answered yet. */
struct cre__stash {
    uint32_t used, capacity;
    uint32_t looked_at; /* bytes of an incomplete head that the parser has seen */
    uint8_t data[];
};

/* A request whose body is still coming, in its wire form: head, fields, bytes, and the body so far. */
struct cre__body {
    cre_http_chunked chunked;
    bool is_chunked;
    uint32_t left; /* without chunks: what is still to come */
    uint32_t prefix, used, capacity;
    _Alignas(8) uint8_t data[];
};

int cre_request_view_init(cre_request_view *view, const uint8_t *payload, uint32_t length) {
    cre_http_head head;
    if (length < sizeof head) return CRE_EINVALID;
    memcpy(&head, payload, sizeof head);
    size_t fields = head.field_count * sizeof(cre_http_field),
           prefix = sizeof head + fields + head.head_length;
    if (prefix > length) return CRE_EINVALID;
    view->head = (const cre_http_head *)(const void *)payload;
    view->fields = (const cre_http_field *)(const void *)(payload + sizeof head);
    view->bytes = payload + sizeof head + fields;
    view->body = payload + prefix;
    view->body_length = (uint32_t)(length - prefix);
    return 0;
}

/* ---- answers ---- */

static const char *current_date(cre_engine *engine) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != engine->date_second) {
        engine->date_second = now.tv_sec;
        cre_http_date(engine->date, now.tv_sec);
    }
    return engine->date;
}

static char *put(char *at, const char *text, size_t length) {
    memcpy(at, text, length);
    return at + length;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_number(char *at, uint64_t number) {
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n)
        *at++ = digits[--n];
    return at;
}

size_t cre__http_write_head(cre__conn *conn, char *out, const cre_response *response, uint64_t length,
                            bool keep_alive) {
    int status = response->status;
    /* What a 304 says of a length is that of the 200 it stands for, which is known only when it is given. */
    bool bodiless = status == 204 || (status == 304 && length == 0);
    char *at;
    if (status == 200) {
        at = PUT(out, "HTTP/1.1 200 OK\r\n");
    } else {
        const char *reason = cre_http_reason(status);
        at = PUT(out, "HTTP/1.1 ");
        at = put_number(at, (uint64_t)status);
        *at++ = ' ';
        at = put(at, reason, strlen(reason));
        at = PUT(at, "\r\n");
    }
    if (!(response->flags & CRE_RESPONSE_HAS_DATE)) {
        at = PUT(at, "Date: ");
        at = put(at, current_date(conn->engine), CRE_HTTP_DATE_LENGTH);
        at = PUT(at, "\r\n");
    }
    if (length == CRE__HTTP_LENGTH_CHUNKED) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    } else if (!bodiless && length != CRE__HTTP_LENGTH_OPEN) {
        at = PUT(at, "Content-Length: ");
        at = put_number(at, length);
        at = PUT(at, "\r\n");
    }
    if (!keep_alive)
        at = PUT(at, "Connection: close\r\n");
    else if (conn->http10)
        at = PUT(at, "Connection: keep-alive\r\n");
    return (size_t)(at - out);
}

void cre__http_answered(cre__conn *conn, bool keep_alive) {
    conn->awaiting = false;
    conn->head_request = false;
    if (!keep_alive) {
        cre__conn_end(conn, CRE_CLOSED_SERVER, 0, 0, (cre_slice){ 0 }, true);
        return;
    }
    cre__conn_set_deadline(conn, conn->settings->options.idle_timeout_ms);
    if (conn->stash || conn->held || conn->eof) cre__conn_continue(conn);
}

int cre__http_respond(cre__conn *conn, const cre_response *response, cre_slice fields, const cre_slice *body,
                      int count, bool close) {
    if (!cre__http_answerable(conn)) return CRE_ENO_REQUEST;
    if (response->status < 200 || response->status > 999) return CRE_EINVALID;
    bool keep_alive = conn->keep_alive && !close && !conn->engine->shutting_down;
    uint64_t length = cre__slices_length(body, count);
    bool no_body = conn->head_request || response->status == 204 || response->status == 304;
    uint64_t sent_length = no_body ? 0 : length;
    if (conn->queued + sent_length > (uint64_t)conn->settings->options.max_queue * 2) {
        cre__conn_end(conn, CRE_CLOSED_OVERFLOW, 0, CRE_EQUEUE_FULL, (cre_slice){ 0 }, false);
        return CRE_EQUEUE_FULL;
    }
    char head[CRE__HTTP_HEAD_ROOM];
    size_t head_length = cre__http_write_head(conn, head, response, length, keep_alive);
    size_t total = head_length + fields.length + 2 + (size_t)sent_length;
    conn->engine->stats.responses++;
    if (total <= CRE__CHUNK_BYTES) {
        uint8_t *at = cre__out_reserve(conn, total);
        if (!at) return CRE_ENOMEM;
        at = (uint8_t *)put((char *)at, head, head_length);
        if (fields.length) at = (uint8_t *)put((char *)at, (const char *)fields.data, fields.length);
        *at++ = '\r';
        *at++ = '\n';
        for (int i = 0; sent_length && i < count; i++)
            if (body[i].length) at = (uint8_t *)put((char *)at, (const char *)body[i].data, body[i].length);
    } else {
        if (!cre__out_append(conn, head, head_length) || !cre__out_append(conn, fields.data, fields.length))
            return CRE_ENOMEM;
        int result = cre__out_large(conn, "\r\n", 2, body, no_body ? 0 : count);
        if (result) return result;
    }
    cre__http_answered(conn, keep_alive);
    return 0;
}

int cre__http_error(cre__conn *conn, int status, bool close) {
    char body[256];
    const char *reason = cre_http_reason(status);
    char *at = PUT(body, "<!doctype html><title>");
    at = put_number(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, reason, strlen(reason));
    at = PUT(at, "</title><h1>");
    at = put_number(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, reason, strlen(reason));
    at = PUT(at, "</h1>\n");
    cre_response response = { .status = (uint16_t)status };
    char fields[128];
    char *end = PUT(fields, "Content-Type: text/html; charset=utf-8\r\n");
    if (status == 426) end = PUT(end, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
    cre_slice content = { (const uint8_t *)body, (size_t)(at - body) };
    return cre__http_respond(conn, &response, (cre_slice){ (uint8_t *)fields, (size_t)(end - fields) },
                             &content, 1, close);
}

/* An answer of the engine itself, after which the connection ends. */
void cre__http_refuse(cre__conn *conn, int status) {
    conn->awaiting = true;
    conn->keep_alive = false;
    conn->head_request = false;
    cre__http_error(conn, status, true);
}

/* ---- bytes that wait ---- */

bool cre__http_has_stash(const cre__conn *conn) {
    return conn->stash != NULL;
}

size_t cre__http_take_stash(cre__conn *conn, void **block, uint8_t **data) {
    struct cre__stash *stash = conn->stash;
    conn->stash = NULL;
    *block = stash;
    *data = stash->data;
    return stash->used;
}

bool cre__http_stash(cre__conn *conn, const uint8_t *data, size_t length) {
    struct cre__stash *stash = conn->stash;
    uint32_t used = stash ? stash->used : 0;
    if (!stash || stash->capacity - used < length) {
        uint32_t capacity = stash ? stash->capacity : 512;
        while (capacity - used < length)
            capacity *= 2;
        stash = cre__realloc(stash, sizeof *stash + capacity);
        if (!stash) {
            cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
            return false;
        }
        if (!conn->stash) stash->used = stash->looked_at = 0;
        stash->capacity = capacity;
        conn->stash = stash;
    }
    memcpy(stash->data + stash->used, data, length);
    stash->used += (uint32_t)length;
    return true;
}

/* ---- requests ---- */

/* A whole request, in its wire form. */
static void deliver(cre__conn *conn, uint8_t *payload, size_t length) {
    conn->awaiting = true;
    conn->engine->stats.requests++;
    cre__conn_emit(conn, CRE_EVENT_REQUEST, 0, payload, length);
}

/* Adds to the body; false when that ended the connection. */
static bool body_add(cre__conn *conn, const uint8_t *data, size_t length) {
    struct cre__body *body = conn->body;
    size_t needed = body->used + length;
    if (needed - body->prefix > conn->settings->options.max_body) {
        cre__http_refuse(conn, 413);
        return false;
    }
    if (needed > body->capacity) {
        size_t capacity = (size_t)body->capacity * 2;
        while (capacity < needed)
            capacity *= 2;
        struct cre__body *grown = cre__realloc(body, sizeof *body + capacity);
        if (!grown) {
            cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
            return false;
        }
        conn->body = body = grown;
        body->capacity = (uint32_t)capacity;
    }
    memcpy(body->data + body->used, data, length);
    body->used += (uint32_t)length;
    return true;
}

static void body_complete(cre__conn *conn) {
    struct cre__body *body = conn->body;
    conn->body = NULL; /* the answer may come, and the next request begin, before the event returns */
    deliver(conn, body->data, body->used);
    cre__free(body);
}

/* Takes body bytes from [*cursor, end). */
static void body_input(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    struct cre__body *body = conn->body;
    if (!body->is_chunked) {
        size_t length = (size_t)(end - *cursor);
        if (length > body->left) length = body->left;
        body->left -= (uint32_t)length;
        const uint8_t *data = *cursor;
        *cursor += length;
        if (!body_add(conn, data, length)) return;
        if (conn->body->left == 0) body_complete(conn);
        return;
    }
    for (;;) {
        const uint8_t *at = *cursor, *data;
        size_t length;
        int result = cre_http_chunked_next(&conn->body->chunked, &at, end, &data, &length);
        *cursor += at - *cursor;
        if (result == CRE_HTTP_CHUNKED_MORE) return;
        if (result == CRE_HTTP_CHUNKED_END) {
            body_complete(conn);
            return;
        }
        if (result < 0) {
            cre__http_refuse(conn, cre_http_status_of(result));
            return;
        }
        if (!body_add(conn, data, length)) return;
    }
}

/* A head is complete and a body follows: makes room and says what the client waits for. */
static bool body_begin(cre__conn *conn, const uint8_t *payload, size_t prefix, const cre_http_head *head,
                       bool nothing_came) {
    const cre_port_options *config = &conn->settings->options;
    if (!(head->flags & CRE_HTTP_CHUNKED) && head->content_length > config->max_body) {
        cre__http_refuse(conn, 413);
        return false;
    }
    uint32_t capacity = (uint32_t)prefix + 4096;
    struct cre__body *body = cre__malloc(sizeof *body + capacity);
    if (!body) {
        cre__conn_end(conn, CRE_CLOSED_NOMEM, 0, CRE_ENOMEM, (cre_slice){ 0 }, false);
        return false;
    }
    memcpy(body->data, payload, prefix);
    body->prefix = body->used = (uint32_t)prefix;
    body->capacity = capacity;
    body->is_chunked = head->flags & CRE_HTTP_CHUNKED;
    body->left = (uint32_t)head->content_length;
    cre_http_chunked_init(&body->chunked);
    conn->body = body;
    cre__conn_set_deadline(conn, config->body_timeout_ms);
    if ((head->flags & CRE_HTTP_EXPECT_CONTINUE) && nothing_came)
        return cre__out_append(conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

/* One head at *cursor. False: it is not complete, or the connection does not go on. */
static bool head_input(cre__conn *conn, uint8_t **cursor, uint8_t *end, size_t looked_at) {
    cre_engine *engine = conn->engine;
    cre_http_head *head = (cre_http_head *)(void *)engine->scratch;
    cre_http_field *fields = (cre_http_field *)(void *)(engine->scratch + sizeof *head);
    uint8_t *bytes = *cursor;
    size_t available = (size_t)(end - bytes);
    int length =
        cre_http_parse_request(bytes, available, looked_at, &conn->settings->http_limits, head, fields);
    if (length == 0) {
        if (conn->keep_alive) { /* not the first: the idle timeout was running */
            conn->keep_alive = false;
            cre__conn_set_deadline(conn, conn->settings->options.head_timeout_ms);
        }
        if (cre__http_stash(conn, bytes, available)) conn->stash->looked_at = (uint32_t)available;
        *cursor = end;
        return false;
    }
    if (length < 0) {
        cre__http_refuse(conn, cre_http_status_of(length));
        return false;
    }
    if (conn->tls) head->flags |= CRE_HTTP_SECURE;
    conn->keep_alive = head->flags & CRE_HTTP_KEEP_ALIVE;
    conn->head_request = head->method == CRE_HTTP_HEAD;
    conn->http10 = head->minor == 0;
    size_t prefix = sizeof *head + head->field_count * sizeof *fields;
    memcpy(engine->scratch + prefix, bytes, (size_t)length);
    prefix += (size_t)length;
    *cursor += length;
    const cre_port_options *options = &conn->settings->options;
    bool websocket = options->protocol == CRE_PROTOCOL_WEBSOCKET;
    if (websocket && (head->flags & CRE_HTTP_UPGRADE_WEBSOCKET)) {
        cre__ws_upgrade(conn, engine->scratch, prefix);
        return false; /* another protocol now, or an error */
    }
    if (websocket && !options->http) {
        cre__http_refuse(conn, 400);
        return false;
    }
    if (!(head->flags & CRE_HTTP_HAS_BODY)) {
        deliver(conn, engine->scratch, prefix);
        return true;
    }
    size_t here = (size_t)(end - *cursor);
    if (!(head->flags & CRE_HTTP_CHUNKED) && head->content_length <= here &&
        head->content_length <= conn->settings->options.max_body && here <= CRE__SLAB) {
        size_t size = (size_t)head->content_length;
        memcpy(engine->scratch + prefix, *cursor, size);
        *cursor += size;
        deliver(conn, engine->scratch, prefix + size);
        return true;
    }
    return body_begin(conn, engine->scratch, prefix, head, here == 0);
}

void cre__http_input(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    void *block = NULL;
    size_t looked_at = 0;
    if (conn->stash && !conn->awaiting && !conn->body) {
        /* An incomplete head waits: the new bytes go behind it. */
        looked_at = conn->stash->looked_at;
        if (!cre__http_stash(conn, *cursor, (size_t)(end - *cursor))) return;
        size_t length = cre__http_take_stash(conn, &block, cursor);
        end = *cursor + length;
    }
    while (conn->phase == CRE__HTTP && *cursor < end) {
        if (conn->awaiting) {
            /* The next request waits until this one is answered; the socket's buffer holds what comes after.
             */
            if (cre__http_stash(conn, *cursor, (size_t)(end - *cursor))) {
                conn->stash->looked_at = 0;
                conn->held = true;
                cre__conn_update_watch(conn);
            }
            *cursor = end;
            break;
        }
        if (conn->body)
            body_input(conn, cursor, end);
        else if (!head_input(conn, cursor, end, looked_at))
            break;
        looked_at = 0;
    }
    if (!block) return;
    /* Frames behind a handshake that was stashed: the caller's end is not ours, so they are served here. */
    if (*cursor < end && (conn->phase == CRE__WEBSOCKET || conn->phase == CRE__CLOSE_SENT))
        cre__ws_input(conn, *cursor, end);
    *cursor = NULL;
    cre__free(block);
}

void cre__http_timed_out(cre__conn *conn) {
    if (conn->file) { /* nothing of it was taken for so long */
        cre__conn_end(conn, CRE_CLOSED_TIMEOUT, 0, 0, (cre_slice){ 0 }, false);
        return;
    }
    if (conn->awaiting) return; /* the time is the owner's now */
    if (conn->stash || conn->body)
        cre__http_refuse(conn, 408);
    else
        cre__conn_end(conn, CRE_CLOSED_TIMEOUT, 0, 0, (cre_slice){ 0 }, true);
}

void cre__http_free(cre__conn *conn) {
    cre__free(conn->body);
}
