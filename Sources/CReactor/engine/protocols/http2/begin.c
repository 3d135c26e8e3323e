/*
 * The beginning of streams. A request is deferred while the link to its worker is full, or while the client
 * takes too little of the output of its other streams: as HTTP/1 does not read the next request then.
 */
#include <string.h>

#include "core/memory.h"
#include "engine/protocols/http1/http1.h"
#include "engine/protocols/http2/http2.h"

/* A deferred request. */
typedef struct cre__http2_head {
    cre_http_head head;
    size_t size;     /* of all */
    uint8_t bytes[]; /* the fields, then the head */
} cre__http2_head;

static bool defer(cre__http2_stream *stream, const cre_http2_event *event) {
    const size_t fields = event->head->field_count * sizeof *event->fields;
    const size_t size = sizeof(cre__http2_head) + fields + event->head->head_length;
    cre__http2_head *deferred = cre__malloc(size);
    if (!deferred) return false;
    deferred->head = *event->head;
    deferred->size = size;
    if (fields) memcpy(deferred->bytes, event->fields, fields);
    memcpy(deferred->bytes + fields, event->head_bytes, event->head->head_length);
    stream->head = deferred;
    cre__http2_of(stream->carried.by)->pending += size;
    return true;
}

void cre__http2_drop_head(cre__http2_stream *stream) {
    if (!stream->head) return;
    cre__http2_of(stream->carried.by)->pending -= stream->head->size;
    cre__free(stream->head);
    stream->head = NULL;
}

void cre__http2_begin(cre__http2_stream *stream, const cre_http2_event *event) {
    cre__conn *conn = &stream->carried.conn;
    cre__http2 *http2 = cre__http2_of(stream->carried.by);
    if (http2->waiting || cre__http2_must_wait(http2)) {
        http2->waiting++;
        cre__transport_stop(&conn->transport, CRE__STOP_BEARER);
    }
    if (cre__http2_may_feed(stream))
        cre__http1_take(conn, event->head, event->fields, event->head_bytes);
    else if (!defer(stream, event))
        cre__conn_no_memory(conn);
}

void cre__http2_begin_again(cre__http2_stream *stream) {
    cre__http2_head *deferred = stream->head;
    const size_t fields = deferred->head.field_count * sizeof(cre_http_field);
    stream->head = NULL;
    cre__http2_of(stream->carried.by)->pending -= deferred->size; /* afterwards the stream may have ended */
    cre__http1_take(&stream->carried.conn, &deferred->head,
                    (const cre_http_field *)(const void *)deferred->bytes, deferred->bytes + fields);
    cre__free(deferred);
}
