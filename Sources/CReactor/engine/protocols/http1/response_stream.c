/* Responses whose bodies are sent in pieces. */
#include <creactor/http_chunked.h>
#include <string.h>

#include "core/memory.h"
#include "engine/protocols/http1/http1.h"

/* One piece as it is sent. */
static int put_piece(cre__conn *conn, const cre_slice *parts, int count, size_t length, bool final) {
    cre__http1 *http = cre__http1_of(conn);
    static const char end[] = "\r\n0\r\n\r\n";
    char head[CRE_HTTP_CHUNK_HEAD_MAX];
    cre_slice pieces[CRE__MAX_PARTS + 1], tail = { 0 };
    size_t head_length = 0;
    if (http->chunked) {
        if (length) head_length = cre_http_chunk_head(head, length);
        tail = (cre_slice){ (const uint8_t *)end + (length ? 0 : 2), (length ? 2 : 0) + (final ? 5 : 0) };
    }
    int used = 0;
    for (int i = 0; i < count; i++)
        if (parts[i].length) pieces[used++] = parts[i];
    if (tail.length) pieces[used++] = tail;
    return cre__conn_send(conn, head, head_length, pieces, used, length + tail.length);
}

/* The end of a body with trailers. */
static int put_trailers(cre__conn *conn, const cre_slice *trailers) {
    if (conn->transport.carried) return cre__conn_carrier(conn)->send_trailers(conn, trailers);
    /* The packed form of a field is as long as its line. */
    uint8_t *lines = cre__malloc(trailers->length + 5);
    if (!lines) return cre__conn_no_memory(conn);
    memcpy(lines, "0\r\n", 3);
    uint8_t *at = cre__http1_put_fields(lines + 3, trailers);
    bool added = cre__conn_append(conn, lines, (size_t)(at - lines));
    cre__free(lines);
    return added ? 0 : CRE_ENOMEM;
}

int cre__http1_respond_more(cre__conn *conn, const cre__response *response, const cre_slice *body, int count,
                            bool close) {
    cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    size_t length = cre__slices_length(body, count);
    bool no_body = response->status == 204 || response->status == 304;
    bool http10 = http->first_traits & CRE__HTTP_1_0;
    bool empty = response->status == 205; /* it has a body, which must be empty */
    bool suppressed = no_body || empty || http->first_traits & CRE__HEAD_REQUEST;
    bool carried = conn->transport.carried; /* the end of a body is its own */
    bool chunked = !no_body && !empty && !http10 && !carried;
    int result = suppressed ? 0 : cre__conn_accept(conn, length, CRE__FORCE);
    if (result) return result;
    /* A body that still comes may be complete when the response is. */
    bool last = cre__conn_engine(conn)->shutting_down && http->count == 1;
    bool keep_alive = http->first_traits & CRE__KEEP_ALIVE && !close && !last && (suppressed || !http10);
    cre__http_framing framing = chunked ? CRE__FRAMED_BY_CHUNKS
                                : empty ? CRE__FRAMED_BY_LENGTH
                                        : CRE__FRAMED_BY_NOTHING;
    uint8_t *behind;
    http->streaming = true;
    result = cre__http1_write_head(conn, response, framing, 0, keep_alive, 0, &behind);
    if (result) {
        http->streaming = false;
        return result;
    }
    if (!keep_alive) cre__http1_set_closing(http);
    conn->abortive = true;
    http->chunked = chunked;
    http->body_suppressed = suppressed;
    return suppressed || !length ? 0 : put_piece(conn, body, count, length, false);
}

int cre__http1_respond_body(cre__conn *conn, cre_slice *parts, int count, uint16_t flags,
                            cre__policy policy) {
    cre__http1 *http = cre__http1_of(conn);
    bool final = flags & CRE_RECORD_FINAL;
    cre_slice trailers = { 0 };
    if (!cre__http1_serves(conn) || !http->streaming) return CRE_ENO_REQUEST;
    if (flags & CRE_RECORD_TRAILERS) {
        int result = final ? cre__trailers_read(&trailers, parts, count) : CRE_EINVALID;
        if (result) return result;
        if (!http->chunked && !conn->transport.carried) trailers.length = 0;
    }
    if (!http->body_suppressed) {
        size_t length = cre__slices_length(parts, count);
        bool ends = final && !trailers.length;
        /* The last piece cannot be refused: the response would have no end. */
        int result = cre__conn_accept(conn, length + trailers.length, final ? CRE__FORCE : policy);
        if (!result && (length || ends)) result = put_piece(conn, parts, count, length, ends);
        if (!result && final && !ends) result = put_trailers(conn, &trailers);
        if (result) return result;
    }
    if (!final) return 0;
    http->streaming = conn->abortive = false;
    cre__http1_answered(conn, cre__http1_goes_on(conn, false));
    return 0;
}
