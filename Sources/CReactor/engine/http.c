/* HTTP/1.1 on a connection: its input, from the heads of requests to the upgrade to a WebSocket. */
#include <string.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* Input that waits: an incomplete head, or whole requests behind one that is not answered yet. */
struct cre__stash {
    uint32_t used, capacity;
    uint32_t looked_at; /* bytes of an incomplete head that the parser has seen */
    uint8_t data[];
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

bool cre_request_is(const uint8_t *payload, uint32_t length, const char *path) {
    cre_request_view view;
    if (cre_request_view_init(&view, payload, length)) return false;
    const cre_http_head *head = view.head;
    size_t size = strlen(path);
    return head->path_length == size && head->path + size <= head->head_length &&
           memcmp(view.bytes + head->path, path, size) == 0;
}

/* ---- bytes that wait ---- */

static bool stash_input(cre__conn *conn, const uint8_t *data, size_t length) {
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

void cre__http_hold(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    if (stash_input(conn, *cursor, (size_t)(end - *cursor))) {
        conn->stash->looked_at = 0;
        conn->held = true;
        cre__conn_update_watch(conn);
    }
    *cursor = end;
}

/* ---- requests ---- */

void cre__http_deliver(cre__conn *conn, uint16_t flags, uint8_t *payload, size_t length) {
    uint8_t number;
    if (!cre__http_begin(conn, length, &number)) return;
    conn->engine->stats.requests++;
    cre__conn_emit_part(conn, CRE_EVENT_REQUEST, number, flags, payload, length);
}

/* Those may be served at the same time whose order makes no difference (RFC 9112 section 9.3.2). */
static bool overlaps(const cre_http_head *head, bool upgrade) {
    bool safe = head->method == CRE_HTTP_GET || head->method == CRE_HTTP_HEAD ||
                head->method == CRE_HTTP_OPTIONS || head->method == CRE_HTTP_TRACE;
    return safe && !upgrade && !(head->flags & CRE_HTTP_HAS_BODY);
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
        if (conn->http.idle) { /* not the first: the idle timeout was running */
            conn->http.idle = false;
            cre__conn_set_deadline(conn, conn->settings->options.head_timeout_ms);
        }
        if (stash_input(conn, bytes, available)) conn->stash->looked_at = (uint32_t)available;
        *cursor = end;
        return false;
    }
    if (length < 0) {
        cre__http_refuse(conn, cre_http_status_of(length));
        return false;
    }
    if (conn->tls) head->flags |= CRE_HTTP_SECURE;
    const cre_port_options *options = &conn->settings->options;
    bool websocket = options->protocol == CRE_PROTOCOL_WEBSOCKET;
    bool upgrade = websocket && (head->flags & CRE_HTTP_UPGRADE_WEBSOCKET);
    conn->http.alone = !overlaps(head, upgrade);
    if (conn->http.alone && conn->http.count) { /* it comes here again when the others are answered */
        conn->http.barrier = true;
        cre__http_hold(conn, cursor, end);
        return false;
    }
    conn->http.traits = (uint8_t)((head->flags & CRE_HTTP_KEEP_ALIVE ? CRE__KEEP_ALIVE : 0) |
                                  (head->method == CRE_HTTP_HEAD ? CRE__HEAD_REQUEST : 0) |
                                  (head->minor == 0 ? CRE__HTTP_1_0 : 0));
    size_t prefix = sizeof *head + head->field_count * sizeof *fields;
    memcpy(engine->scratch + prefix, bytes, (size_t)length);
    prefix += (size_t)length;
    *cursor += length;
    if (upgrade) {
        cre__ws_upgrade(conn, engine->scratch, prefix);
        return false; /* another protocol now, or an error */
    }
    if (websocket && !options->http) {
        cre__http_refuse(conn, 400);
        return false;
    }
    if (!(head->flags & CRE_HTTP_HAS_BODY)) {
        cre__http_deliver(conn, CRE_RECORD_FINAL, engine->scratch, prefix);
        return true;
    }
    size_t here = (size_t)(end - *cursor);
    if (!(head->flags & CRE_HTTP_CHUNKED) && head->content_length <= here &&
        head->content_length <= cre__body_limit(conn) && here <= CRE__SLAB) {
        size_t size = (size_t)head->content_length;
        memcpy(engine->scratch + prefix, *cursor, size);
        *cursor += size;
        cre__http_deliver(conn, CRE_RECORD_FINAL, engine->scratch, prefix + size);
        return true;
    }
    return cre__body_begin(conn, engine->scratch, prefix, here == 0);
}

/* Whether more of the input may be served now. */
static bool may_serve(const cre__conn *conn) {
    return !conn->paused && (conn->http.body || cre__http_may_take(conn));
}

void cre__http_input(cre__conn *conn, uint8_t **cursor, uint8_t *end) {
    void *block = NULL;
    size_t looked_at = 0;
    if (conn->stash && !conn->http.body && may_serve(conn)) {
        /* An incomplete head waits: the new bytes go behind it. */
        looked_at = conn->stash->looked_at;
        if (!stash_input(conn, *cursor, (size_t)(end - *cursor))) return;
        struct cre__stash *stash = conn->stash;
        conn->stash = NULL;
        block = stash;
        *cursor = stash->data;
        end = *cursor + stash->used;
    }
    while (conn->phase == CRE__HTTP && *cursor < end) {
        if (!may_serve(conn)) {
            /* Further requests wait for answers; the socket's buffer holds what comes after. */
            cre__http_hold(conn, cursor, end);
            break;
        }
        if (conn->http.body)
            cre__body_input(conn, cursor, end);
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

void cre__http_unstash(cre__conn *conn) {
    struct cre__stash *stash = conn->stash;
    if (!stash || !may_serve(conn)) return;
    conn->stash = NULL;
    uint8_t *cursor = stash->data, *end = cursor + stash->used;
    cre__http_input(conn, &cursor, end);
    if (cursor < end && (conn->phase == CRE__WEBSOCKET || conn->phase == CRE__CLOSE_SENT))
        cre__ws_input(conn, cursor, end);
    cre__free(stash);
}

bool cre__http_ended(cre__conn *conn) {
    if (!conn->http.count || conn->http.body) return true;
    /* A client may end its side after the request and still wait for the answer. */
    cre__http_set_last(conn);
    return false;
}

void cre__http_timed_out(cre__conn *conn) {
    if (conn->file) /* nothing of it was taken for so long */
        cre__conn_end(conn, CRE_CLOSED_TIMEOUT, 0, 0, (cre_slice){ 0 }, false);
    else if (conn->http.body)
        cre__body_timed_out(conn);
    else if (conn->http.count)
        return; /* the time is the owner's now */
    else if (conn->stash)
        cre__http_refuse(conn, 408);
    else
        cre__conn_end(conn, CRE_CLOSED_TIMEOUT, 0, 0, (cre_slice){ 0 }, true);
}

void cre__http_free(cre__conn *conn) {
    cre__http_drop_answers(conn);
    cre__free(conn->http.body);
}
