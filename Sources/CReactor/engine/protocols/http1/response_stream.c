/* Responses whose bodies are sent in pieces. */
#include <creactor/http_chunked.h>
#include <string.h>

#include "core/memory.h"
#include "engine/protocols/http1/http1.h"

/* The head of a response, whose body follows. */
bool cre__http1_put_head(cre__conn *conn, const cre__response *response, uint64_t length, bool keep_alive) {
    char head[CRE__HTTP1_HEAD_ROOM];
    size_t head_length = cre__http1_write_head(conn, head, response, length, keep_alive);
    cre__conn_engine(conn)->stats.responses++;
    return cre__conn_append(conn, head, head_length) &&
           cre__conn_append(conn, response->fields.data, response->fields.length) &&
           cre__conn_append(conn, "\r\n", 2);
}

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

int cre__http1_respond_more(cre__conn *conn, const cre__response *response, const cre_slice *body, int count,
                            bool close) {
    cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    size_t length = cre__slices_length(body, count);
    bool no_body = response->status == 204 || response->status == 304;
    bool suppressed = no_body || http->head_request, chunked = !no_body && !http->http10;
    int result = suppressed ? 0 : cre__conn_accept(conn, length, CRE__FORCE);
    if (result) return result;
    /* A body that still comes may be complete when the response is. */
    bool last = cre__conn_engine(conn)->shutting_down && http->count == 1;
    http->keep_alive = http->keep_alive && !close && !last && (suppressed || !http->http10);
    http->streaming = conn->abortive = true;
    http->chunked = chunked;
    http->body_suppressed = suppressed;
    uint64_t framing = chunked ? CRE__HTTP1_LENGTH_CHUNKED : CRE__HTTP1_LENGTH_OPEN;
    if (!cre__http1_put_head(conn, response, framing, http->keep_alive)) return CRE_ENOMEM;
    return suppressed || !length ? 0 : put_piece(conn, body, count, length, false);
}

int cre__http1_respond_body(cre__conn *conn, const cre_slice *parts, int count, bool final,
                            cre__policy policy) {
    cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_serves(conn) || !http->streaming) return CRE_ENO_REQUEST;
    if (!http->body_suppressed) {
        size_t length = cre__slices_length(parts, count);
        /* The last piece cannot be refused: the response would have no end. */
        int result = cre__conn_accept(conn, length, final ? CRE__FORCE : policy);
        if (!result && (length || final)) result = put_piece(conn, parts, count, length, final);
        if (result) return result;
    }
    if (!final) return 0;
    http->streaming = conn->abortive = false;
    cre__http1_answered(conn, cre__http1_goes_on(conn, false));
    return 0;
}
