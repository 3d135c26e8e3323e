/* HTTP/2 on a connection, in the role of the server. */
#ifndef CRE_ENGINE_HTTP2_H
#define CRE_ENGINE_HTTP2_H

#include <creactor/http2.h>

#include "engine/conn.h"
#include "engine/protocols/protocols.h"

typedef struct cre__http2 cre__http2;
typedef struct cre__http2_stream cre__http2_stream;

/* A stream: a connection that the one with the socket carries. */
struct cre__http2_stream {
    cre__carried carried; /* first */
    cre__http2_stream *next, *previous;
    struct cre__http2_head *head; /* its request, while that waits to be delivered; NULL: it does not */
    uint8_t *pending;             /* input that arrived while it is not read */
    size_t pending_length, pending_capacity;
    uint32_t unconsumed; /* bytes of input that count against its window */
    uint32_t id;
    bool tunnel : 1;         /* an extended CONNECT, whose answer of 2xx has no length */
    bool responded : 1;      /* the head of the response is sent */
    bool closed : 1;         /* the session has closed it */
    bool input_complete : 1; /* the client has ended its side */
    bool end_reported : 1;   /* ...and the protocol knows it */
    bool refused : 1;        /* it ends before anybody has had its request */
};

/* The session of a connection, beside it because it lives as long as its callbacks. */
struct cre__http2 {
    cre__conn *conn;
    cre_http2 *session;
    cre__http2_stream *streams, *oldest;
    uint32_t stream_count;
    uint32_t idle_since;        /* the loop's time in ms, without streams */
    uint32_t produced_at;       /* the loop's time of the last output, */
    uint32_t produced;          /* bytes of it in that turn */
    uint64_t pending;           /* bytes of deferred requests and input, of all streams */
    uint32_t waiting;           /* streams that wait for output to be sent, with CRE__STOP_BEARER */
    cre_connection_info origin; /* of all streams; its time is that of the first one in this input */
    cre_http2_stats counted;    /* what the engine has counted */
    uint8_t received;           /* bytes of the client's first frames */
    uint8_t closing_reason;
    bool ticking : 1;     /* stalled streams are looked for */
    bool input_ended : 1; /* the client has ended its side of the connection */
    bool announced : 1;   /* it was asked to open no more streams */
    bool going_away : 1;  /* no more streams are accepted */
};

static inline cre__http2 *cre__http2_of(const cre__conn *conn) {
    return *(cre__http2 *const *)(const void *)conn->state;
}

static inline cre__http2_stream *cre__http2_stream_of(const cre__conn *conn) {
    return (cre__http2_stream *)(uintptr_t)conn;
}

/* Whether the session may be called: it is not about to be destroyed. */
static inline bool cre__http2_serves(const cre__http2 *http2) {
    return !http2->conn->stream.over;
}

/* ---- http2.c ---- */

/* Has the end of the turn send output of the session, and end the connection if that is due. */
static inline void cre__http2_mark(const cre__http2 *http2) {
    cre__transport_mark(&http2->conn->transport);
}
/* Publishes the memory that the connection has for incomplete input. */
void cre__http2_account(cre__http2 *http2);
/* The first stream has begun. */
void cre__http2_busy(cre__http2 *http2);

/* ---- begin.c ---- */

/* Delivers a request, or defers it until its worker can take it and output was sent. */
void cre__http2_begin(cre__http2_stream *stream, const cre_http2_event *event);
/* Delivers the deferred request. */
void cre__http2_begin_again(cre__http2_stream *stream);
void cre__http2_drop_head(cre__http2_stream *stream);

/* ---- queues.c ---- */

/* Whether the next request must wait until output of the streams was sent. */
bool cre__http2_must_wait(const cre__http2 *http2);
/* Output was sent: the first of the streams that wait for that may go on. */
void cre__http2_resume_waiting(cre__http2 *http2);
/* The request of a stream that has waited was delivered: the next one goes on while there is room. */
void cre__http2_resume_next(cre__http2 *http2);
/* Output was queued: while the streams have too much, the one with the longest queue is reset. */
void cre__http2_limit_queues(cre__http2 *http2);

/* ---- stream.c ---- */

/* Whether its input may be read now; otherwise it is resumed later. */
bool cre__http2_may_feed(cre__http2_stream *stream);

void cre__http2_stream_begin(cre__http2 *http2, const cre_http2_event *event);
void cre__http2_stream_input(cre__http2_stream *stream, const uint8_t *data, size_t length);
void cre__http2_stream_ended(cre__http2_stream *stream);
void cre__http2_stream_closed(cre__http2_stream *stream);
/* As cre_http2_reader. */
size_t cre__http2_stream_read(void *context, uint32_t id, void *stream, uint8_t *out, size_t capacity,
                              bool *final);

/* ---- response.c ---- */

int cre__http2_send_head(cre__conn *conn, const cre__head *head);
int cre__http2_send_trailers(cre__conn *conn, const cre_slice *fields);

#endif
