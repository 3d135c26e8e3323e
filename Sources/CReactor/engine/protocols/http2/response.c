/* Heads of responses, from the form of commands to lists of fields. */
#include <creactor/http_write.h>
#include <string.h>

#include "core/memory.h"
#include "engine/protocols/http2/http2.h"
#include "engine/response.h"
#include "http/chars.h"
#include "http/out.h"

/* Fields, and bytes of packed ones, that need no memory of their own. */
#define FEW_FIELDS 32
#define FEW_BYTES  1024

typedef struct fields {
    cre_http_header few[FEW_FIELDS], *list;
    size_t count, capacity;
    uint8_t few_bytes[FEW_BYTES], *bytes;
} fields;

static void drop(fields *all) {
    if (all->list != all->few) cre__free(all->list);
    if (all->bytes != all->few_bytes) cre__free(all->bytes);
}

static bool add(fields *all, const cre_http_header *field) {
    if (all->count == all->capacity) {
        size_t size = all->capacity * sizeof *all->list;
        cre_http_header *grown = cre__malloc(2 * size);
        if (!grown) return false;
        memcpy(grown, all->list, size);
        if (all->list != all->few) cre__free(all->list);
        all->list = grown;
        all->capacity *= 2;
    }
    all->list[all->count++] = *field;
    return true;
}

/* The next one of lines ("Name: value" with CRLF). False: they are malformed. */
static bool next_line(const uint8_t **cursor, const uint8_t *end, cre_http_header *field) {
    const uint8_t *at = *cursor, *stop = memchr(at, '\r', (size_t)(end - at));
    const uint8_t *colon = stop ? memchr(at, ':', (size_t)(stop - at)) : NULL;
    if (!colon || end - stop < 2 || stop[1] != '\n') return false;
    const uint8_t *value = colon + 1;
    while (value < stop && *value == ' ')
        value++;
    *field = (cre_http_header){ (const char *)at, (const char *)value, (uint32_t)(colon - at),
                                (uint32_t)(stop - value) };
    *cursor = stop + 2;
    return true;
}

/* Lists fields; on an error there is nothing to drop. Packed ones that were not checked may be in memory that
 * another process writes: those are listed, and then checked and sent, which nobody can change any more. */
static int list(fields *all, const cre_slice *from, bool lines, bool checked) {
    const uint8_t *cursor = from->data, *end;
    all->list = all->few;
    all->count = 0;
    all->capacity = FEW_FIELDS;
    all->bytes = all->few_bytes;
    if (!lines && !checked && from->length) {
        if (from->length > FEW_BYTES) all->bytes = cre__malloc(from->length);
        if (!all->bytes) return CRE_ENOMEM;
        cursor = memcpy(all->bytes, from->data, from->length);
    }
    end = cursor + from->length;
    int result = 0;
    while (!result && from->length && cursor != end) {
        cre_http_header field;
        if (lines ? !next_line(&cursor, end, &field) : !cre_http_fields_next(&cursor, end, &field))
            result = CRE_EINVALID;
        else if (!add(all, &field))
            result = CRE_ENOMEM;
    }
    if (result) drop(all);
    return result;
}

static bool has_content_type(const fields *all) {
    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].name_length == 12 && cre__same(all->list[i].name, "content-type", 12)) return true;
    return false;
}

/* What becomes of a stream whose head or trailers the session does not take. */
static int failed(cre__conn *conn, int result) {
    if (result == CRE_ENOMEM) return cre__conn_no_memory(conn);
    /* The session has too much memory in use: refusing would leave the client without an answer. */
    if (result == CRE_EQUEUE_FULL) CRE__RESET(conn, .reason = CRE_CLOSED_OVERFLOW, .error = result);
    return result;
}

int cre__http2_send_head(cre__conn *conn, const cre__head *head) {
    static const cre_http_header text = { "content-type", "text/plain; charset=utf-8", 12, 25 };
    cre__http2_stream *stream = cre__http2_stream_of(conn);
    const cre__response *response = head->response;
    cre__http2 *http2 = cre__http2_of(stream->carried.by);
    fields all;
    int result = list(&all, &response->fields, response->lines, response->checked);
    if (result) return failed(conn, result);
    const bool bodiless = response->status == 204 || response->status == 304;
    if (response->text && !bodiless && !has_content_type(&all) && !add(&all, &text)) result = CRE_ENOMEM;
    const bool opens_tunnel = stream->tunnel && response->status < 300;
    const cre_http2_response sent = { .status = response->status,
                                      .has_length = head->has_length && !opens_tunnel,
                                      .content_length = head->length,
                                      .date = head->date,
                                      .fields = all.list,
                                      .field_count = all.count };
    if (!result) result = cre_http2_respond(http2->session, stream->id, &sent, NULL, 0, head->ends);
    drop(&all);
    if (result == CRE_EQUEUE_FULL && response->status < 200)
        return result; /* the response may still be sent */
    if (result) return failed(conn, result);
    if (response->status >= 200) stream->responded = true;
    cre__http2_mark(http2);
    return 0;
}

static bool has_no_place_in_trailers(const cre_http_header *field) {
    static const char *const names[] = { "host", "trailer", "keep-alive", "proxy-connection", "upgrade" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (field->name_length == strlen(names[i]) && cre__same(field->name, names[i], strlen(names[i])))
            return true;
    return cre__frames_message(field);
}

int cre__http2_send_trailers(cre__conn *conn, const cre_slice *packed) {
    cre__http2_stream *stream = cre__http2_stream_of(conn);
    cre__http2 *http2 = cre__http2_of(stream->carried.by);
    fields all;
    int result = list(&all, packed, false, true);
    if (result) return failed(conn, result);
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if (!has_no_place_in_trailers(&all.list[i])) all.list[kept++] = all.list[i];
    result = cre_http2_send_trailers(http2->session, stream->id, all.list, kept);
    drop(&all);
    /* The body, which was sent, would have no end. */
    if (result == CRE_EHTTP_HEAD_TOO_LARGE) CRE__RESET(conn, .reason = CRE_CLOSED_OVERFLOW, .error = result);
    return result ? failed(conn, result) : 0;
}
