/*
 * Heads and trailers of responses. Clients get a head in the form of HTTP/1: `:status` becomes the first
 * line. nghttp2 has checked the status, names and values, and that fields of a connection are absent.
 */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <string.h>

#include "http/chars.h"
#include "http/head_internal.h"
#include "http2/http2_internal.h"

/* The first line, with a status of three digits and without a phrase. */
static int start(cre_http2 *session, const uint8_t status[3]) {
    static const char line[] = "HTTP/2.0 000 \r\n";
    cre__h2_head *head = &session->head;
    const size_t length = sizeof line - 1;
    if (head->capacity < length) {
        uint8_t *grown = cre__h2_reallocate(session, head->bytes, 1024);
        if (!grown) return CRE_ENOMEM;
        head->bytes = grown;
        head->capacity = 1024;
    }
    memcpy(head->bytes, line, length);
    memcpy(head->bytes + 9, status, 3);
    head->length = length;
    head->started = true;
    head->parsed.status = (uint16_t)((status[0] - '0') * 100 + (status[1] - '0') * 10 + status[2] - '0');
    head->parsed.target = (uint16_t)(length - 2); /* the phrase */
    return 0;
}

int cre__h2_response_field(cre_http2 *session, const uint8_t *name, size_t name_length, const uint8_t *value,
                           size_t value_length) {
    cre__h2_head *head = &session->head;
    if (head->refused) return 0;
    if (name_length && name[0] == ':') return value_length == 3 ? start(session, value) : 0;
    if (!head->trailers && cre__http_known_of(name, name_length) == CRE__CONTENT_LENGTH) {
        if (!cre__h2_length_of(value, value_length, &head->parsed.content_length))
            cre__h2_refuse(head, CRE_EHTTP_CONTENT_LENGTH);
        head->parsed.flags |= CRE_HTTP_HAS_LENGTH;
    }
    return head->refused ? 0 : cre__h2_head_add(session, name, name_length, value, value_length);
}

int cre__h2_response_finish(cre_http2 *session, bool final) {
    cre__h2_head *head = &session->head;
    cre_http_head *parsed = &head->parsed;
    if (head->refused) return head->refused;
    parsed->field_count = (uint16_t)head->field_count;
    if (head->trailers) return 0;
    if (!head->started || parsed->status < 100) return CRE_EHTTP_BAD_LINE;
    if (head->length + 2 > session->config.max_head) return CRE_EHTTP_HEAD_TOO_LARGE;
    memcpy(head->bytes + head->length, "\r\n", 2); /* the first line, or make_room, has left room */
    head->length += 2;
    parsed->head_length = (uint32_t)head->length;
    parsed->flags |= CRE_HTTP_2 | CRE_HTTP_KEEP_ALIVE;
    if (!final && parsed->status >= 200) parsed->flags |= CRE_HTTP_HAS_BODY;
    return 0;
}

#endif
