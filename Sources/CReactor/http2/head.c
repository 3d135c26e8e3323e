/*
 * Heads of requests, which handlers get in the form of HTTP/1: the pseudo fields become the first line and
 * Host, and the Cookie fields, which clients split (RFC 9113 section 8.2.3), one field.
 *
 * Requests that are malformed (message.h) have their stream reset; those that break other rules of HTTP/1
 * heads are answered with a status.
 */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <string.h>

#include "http2/message.h"

/* The most bytes of fields that are decoded for one head, including those that are dropped: a few bytes of
 * HPACK can stand for many. */
#define MAX_SEEN ((size_t)1 << 20)

/* Larger buffers are freed behind a head. */
#define SPARE_BYTES ((size_t)4096)

static bool reserve(cre_http2 *session, uint8_t **bytes, size_t *capacity, size_t needed) {
    if (needed <= *capacity) return true;
    size_t grown = needed < 512 ? 1024 : 2 * needed;
    uint8_t *moved = cre__h2_reallocate(session, *bytes, grown);
    if (!moved) return false;
    *bytes = moved;
    *capacity = grown;
    return true;
}

/* Copies to `at`, of which there is room, and returns the end. */
static inline uint8_t *put(uint8_t *at, const void *data, size_t length) {
    memcpy(at, data, length);
    return at + length;
}

void cre__h2_head_begin(cre_http2 *session, cre__h2_stream *stream, bool trailers) {
    cre__h2_head *head = &session->head;
    head->length = head->pseudo_length = head->cookies_length = head->seen_bytes = 0;
    head->field_count = 0;
    head->method = head->authority = head->path = (cre__h2_text){ 0, 0 };
    head->protocol_length = 0;
    head->refused = 0;
    head->stream = stream;
    head->seen = trailers ? CRE__H2_REGULAR : 0;
    head->priority = (cre__h2_priority){ .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY };
    head->trailers = trailers;
    head->started = head->is_reported = false;
    memset(&head->parsed, 0, sizeof head->parsed);
}

/* ---- fields ---- */

/* Adds a line. The caller has made room. */
static void add_line(cre__h2_head *head, const void *name, size_t name_length, const void *value,
                     size_t value_length) {
    cre_http_field *field = &head->fields[head->field_count++];
    const size_t start = head->length, value_start = start + name_length + 2;
    uint8_t *at = put(head->bytes + start, name, name_length);
    at = put(at, ": ", 2);
    if (value_length) at = put(at, value, value_length);
    put(at, "\r\n", 2);
    *field = (cre_http_field){ .name = (uint16_t)start,
                               .name_length = (uint16_t)name_length,
                               .value = (uint16_t)value_start,
                               .value_length = (uint16_t)value_length };
    head->length = value_start + value_length + 2;
}

/* Makes room for `lines` more lines with `bytes` of names and values, or refuses the request. Returns 0 or
 * CRE_ENOMEM. */
static int make_room(cre_http2 *session, uint32_t lines, size_t bytes) {
    cre__h2_head *head = &session->head;
    /* the empty line, too; what the cookies take is the length of their line later */
    size_t length = head->length + head->cookies_length + bytes + 6;
    if (length > session->config.max_head) cre__h2_refuse(head, CRE_EHTTP_HEAD_TOO_LARGE);
    if (head->field_count + (head->cookies_length != 0) + lines > session->config.max_fields)
        cre__h2_refuse(head, CRE_EHTTP_TOO_MANY_FIELDS);
    if (head->refused) return 0;
    if (head->field_count == head->fields_capacity) {
        uint32_t capacity = head->fields_capacity ? 2 * head->fields_capacity : 16;
        cre_http_field *fields = cre__h2_reallocate(session, head->fields, capacity * sizeof *fields);
        if (!fields) return CRE_ENOMEM;
        head->fields = fields;
        head->fields_capacity = capacity;
    }
    return reserve(session, &head->bytes, &head->capacity, length) ? 0 : CRE_ENOMEM;
}

int cre__h2_head_add(cre_http2 *session, const void *name, size_t name_length, const void *value,
                     size_t value_length) {
    int result = make_room(session, 1, name_length + value_length);
    if (!result && !session->head.refused) add_line(&session->head, name, name_length, value, value_length);
    return result;
}

/* `:protocol` of an extended CONNECT. */
static int set_protocol(cre_http2 *session, const uint8_t *value, size_t length) {
    cre__h2_head *head = &session->head;
    if (!session->config.extended_connect || !cre__h2_is_value(value, length)) return CRE_EHTTP2;
    if (length > CRE__H2_MAX_PROTOCOL || !cre__all(value, length, CRE__TOKEN)) {
        cre__h2_refuse(head, CRE_EHTTP_HANDSHAKE_PROTOCOL);
        return 0;
    }
    memcpy(head->protocol, value, length);
    head->protocol_length = (uint8_t)length;
    return 0;
}

/* Adds the value of a pseudo field, which becomes a part of the first line or Host. */
static inline int add_pseudo(cre_http2 *session, const uint8_t *name, size_t name_length,
                             const uint8_t *value, size_t length) {
    cre__h2_head *head = &session->head;
    cre__h2_text *text;
    const unsigned kind = cre__h2_pseudo_of(name, name_length);
    if (!cre__h2_may_follow(head, kind) || !length) return CRE_EHTTP2;
    bool valid;
    switch (kind) {
    case CRE__H2_METHOD:
        valid = cre__h2_check_method(head, value, length);
        text = &head->method;
        break;
    case CRE__H2_AUTHORITY:
        valid = cre__h2_check_authority(head, value, length);
        text = &head->authority;
        break;
    case CRE__H2_PATH:
        valid = cre__h2_check_path(head, value, length);
        text = &head->path;
        break;
    case CRE__H2_SCHEME: return cre__h2_check_scheme(head, value, length) ? 0 : CRE_EHTTP2;
    default: return set_protocol(session, value, length);
    }
    if (!valid) return CRE_EHTTP2;
    if (head->pseudo_length + length > session->config.max_head)
        cre__h2_refuse(head, CRE_EHTTP_HEAD_TOO_LARGE);
    if (head->refused) return 0;
    if (!reserve(session, &head->pseudo, &head->pseudo_capacity, head->pseudo_length + length))
        return CRE_ENOMEM;
    *text = (cre__h2_text){ (uint16_t)head->pseudo_length, (uint16_t)length };
    memcpy(head->pseudo + head->pseudo_length, value, length);
    head->pseudo_length += length;
    return 0;
}

static int add_cookie(cre_http2 *session, const uint8_t *value, size_t length) {
    cre__h2_head *head = &session->head;
    int result = make_room(session, !head->cookies_length, sizeof "cookie; " - 1 + length);
    if (result || head->refused) return result;
    size_t needed = head->cookies_length + length + 2;
    if (!reserve(session, &head->cookies, &head->cookies_capacity, needed)) return CRE_ENOMEM;
    if (head->cookies_length) {
        memcpy(head->cookies + head->cookies_length, "; ", 2);
        head->cookies_length += 2;
    }
    if (length) memcpy(head->cookies + head->cookies_length, value, length);
    head->cookies_length += length;
    return 0;
}

/* Takes a Host field. Returns whether its line is added. */
static bool take_host(cre__h2_head *head, const uint8_t *value, size_t length) {
    if (head->parsed.flags & CRE_HTTP_HAS_HOST) {
        /* it was made of :authority; the field may repeat that */
        bool same = head->parsed.host_length == length;
        for (size_t i = 0; same && i < length; i++)
            same = cre__lower(head->bytes[head->parsed.host + i]) == cre__lower(value[i]);
        if (!same) cre__h2_refuse(head, CRE_EHTTP_BAD_HOST);
        return false;
    }
    head->parsed.flags |= CRE_HTTP_HAS_HOST;
    return true;
}

static void take_expectation(cre__h2_head *head, const uint8_t *value, size_t length) {
    if (cre__is_word(value, length, "100-continue"))
        head->parsed.flags |= CRE_HTTP_EXPECT_CONTINUE;
    else
        cre__h2_refuse(head, CRE_EHTTP_EXPECTATION);
}

/* ---- the first line ---- */

static int check_target(cre__h2_head *head) {
    cre_http_head *parsed = &head->parsed;
    const uint8_t *target = head->bytes + parsed->target;
    if (parsed->method == CRE_HTTP_CONNECT && !head->protocol_length)
        return cre__http_other_target(parsed, head->bytes);
    if (target[0] == '*' && !head->protocol_length) return cre__http_other_target(parsed, head->bytes);
    if (target[0] != '/') return CRE_EHTTP_BAD_TARGET;
    const uint8_t *mark = memchr(target, '?', parsed->target_length);
    parsed->path = parsed->target;
    parsed->path_length = parsed->target_length;
    if (mark) {
        parsed->path_length = (uint16_t)(mark - target);
        parsed->query = (uint16_t)(parsed->target + parsed->path_length + 1);
        parsed->query_length = (uint16_t)(parsed->target_length - parsed->path_length - 1);
        parsed->flags |= CRE_HTTP_HAS_QUERY;
    }
    return 0;
}

/* Writes the first line, and Host if there is an authority, from the pseudo fields. */
static int start(cre_http2 *session) {
    static const char version[] = " HTTP/2.0\r\n";
    cre__h2_head *head = &session->head;
    cre_http_head *parsed = &head->parsed;
    head->started = true;
    if (!head->refused && !head->method.length) cre__h2_refuse(head, CRE_EHTTP_BAD_TARGET);
    if (head->refused) return 0;
    /* an extended CONNECT has a path */
    const bool extended = head->protocol_length != 0;
    const uint8_t *method = head->pseudo + head->method.at, *authority = head->pseudo + head->authority.at;
    size_t method_length = head->method.length;
    const bool connect = !extended && parsed->method == CRE_HTTP_CONNECT;
    const cre__h2_text target = connect ? head->authority : head->path;
    if (!target.length) {
        cre__h2_refuse(head, connect ? CRE_EHTTP_NO_HOST : CRE_EHTTP_BAD_TARGET);
        return 0;
    }
    if (extended && cre__is_word(head->protocol, head->protocol_length, "websocket")) {
        method = (const uint8_t *)"GET";
        method_length = 3;
        parsed->method = CRE_HTTP_GET;
        parsed->flags |= CRE_HTTP_UPGRADE_WEBSOCKET;
    }
    const size_t line = method_length + 1 + target.length + sizeof version - 1;
    if (!reserve(session, &head->bytes, &head->capacity, line)) return CRE_ENOMEM;
    uint8_t *at = put(head->bytes, method, method_length);
    *at++ = ' ';
    at = put(at, head->pseudo + target.at, target.length);
    put(at, version, sizeof version - 1);
    head->length = line;
    parsed->method_length = (uint16_t)method_length;
    parsed->target = (uint16_t)(method_length + 1);
    parsed->target_length = target.length;

    const uint16_t length = head->authority.length;
    if (!length) return 0;
    int result = make_room(session, 1, 4 + (size_t)length);
    if (result || head->refused) return result;
    add_line(head, "host", 4, authority, length);
    parsed->flags |= CRE_HTTP_HAS_HOST;
    parsed->host = head->fields[0].value;
    parsed->host_length = length;
    return 0;
}

static inline int take_field(cre_http2 *session, const uint8_t *name, size_t name_length,
                             const uint8_t *value, size_t value_length) {
    cre__h2_head *head = &session->head;
    head->seen_bytes += name_length + value_length + CRE_HTTP_FIELD_OVERHEAD;
    if (head->seen_bytes > MAX_SEEN) return CRE_EHTTP2_FLOOD;
    if (session->config.client)
        return cre__h2_response_field(session, name, name_length, value, value_length);
    if (name_length && name[0] == ':') return add_pseudo(session, name, name_length, value, value_length);
    const cre__h2_field known = cre__h2_check_field(head, name, name_length, value, value_length);
    if (known == CRE__H2_MALFORMED) return CRE_EHTTP2;
    if (head->trailers) return 0;
    int result = head->started ? 0 : start(session);
    if (result || head->refused) return result;
    if (known == CRE__H2_COOKIE) return add_cookie(session, value, value_length);
    if (known == CRE__H2_HOST && !take_host(head, value, value_length)) return 0;
    if (known == CRE__H2_EXPECT) take_expectation(head, value, value_length);
    return cre__h2_head_add(session, name, name_length, value, value_length);
}

int cre__h2_on_header(nghttp2_session *protocol, const nghttp2_frame *frame, const uint8_t *name,
                      size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                      void *context) {
    (void)protocol, (void)frame, (void)flags;
    int result = take_field(context, name, name_length, value, value_length);
    return result ? cre__h2_field_failed(context, result) : 0;
}

/* ---- the end ---- */

static int check_host(cre__h2_head *head) {
    cre_http_head *parsed = &head->parsed;
    if (!parsed->host_length) {
        for (uint32_t i = 0; i < head->field_count; i++) {
            const cre_http_field *field = &head->fields[i];
            if (!cre__is_word(head->bytes + field->name, field->name_length, "host")) continue;
            bool has_port;
            if (!cre__http_host_valid(head->bytes + field->value, field->value_length, &has_port))
                return CRE_EHTTP_BAD_HOST;
            parsed->host = field->value;
            parsed->host_length = field->value_length;
        }
    }
    return parsed->host_length ? 0 : CRE_EHTTP_NO_HOST;
}

/* What an extended CONNECT must not have: it starts a tunnel, which has no length and is not closed yet. */
static int check_tunnel(const cre__h2_head *head, bool final) {
    if (final) return CRE_EHTTP_HANDSHAKE_METHOD;
    return head->parsed.flags & CRE_HTTP_HAS_LENGTH ? CRE_EHTTP_CONTENT_LENGTH : 0;
}

int cre__h2_head_finish(cre_http2 *session, bool final) {
    cre__h2_head *head = &session->head;
    cre_http_head *parsed = &head->parsed;
    int result = head->started ? 0 : start(session);
    if (result) return result;
    if (!head->refused && head->cookies_length) {
        size_t length = head->cookies_length;
        head->cookies_length = 0; /* they are counted as a line now */
        result = make_room(session, 1, sizeof "cookie" - 1 + length);
        if (result) return result;
        if (!head->refused) add_line(head, "cookie", 6, head->cookies, length);
    }
    if (head->refused) return head->refused;
    result = check_target(head);
    if (!result) result = check_host(head);
    if (!result && head->protocol_length) result = check_tunnel(head, final);
    if (result) return result;
    put(head->bytes + head->length, "\r\n", 2); /* make_room has counted it */
    head->length += 2;
    parsed->head_length = (uint32_t)head->length;
    parsed->field_count = (uint16_t)head->field_count;
    parsed->flags |= CRE_HTTP_2 | CRE_HTTP_KEEP_ALIVE;
    if (final || head->protocol_length)
        parsed->flags &= (uint16_t)~CRE_HTTP_EXPECT_CONTINUE;
    else
        parsed->flags |= CRE_HTTP_HAS_BODY;
    return 0;
}

static void trim(cre_http2 *session, uint8_t **bytes, size_t *capacity) {
    if (*capacity <= SPARE_BYTES) return;
    cre__h2_free(session, *bytes);
    *bytes = NULL;
    *capacity = 0;
}

void cre__h2_head_trim(cre_http2 *session) {
    cre__h2_head *head = &session->head;
    trim(session, &head->bytes, &head->capacity);
    trim(session, &head->pseudo, &head->pseudo_capacity);
    trim(session, &head->cookies, &head->cookies_capacity);
    if (head->fields_capacity > 64) {
        cre__h2_free(session, head->fields);
        head->fields = NULL;
        head->fields_capacity = 0;
    }
}

#endif
