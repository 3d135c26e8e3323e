/* HTTP/1.1 on a connection, in the role of the server. */
#ifndef CRE_ENGINE_HTTP1_H
#define CRE_ENGINE_HTTP1_H

#include <creactor/http.h>
#include <creactor/record.h>

#include "engine/conn.h"
#include "engine/protocols/protocols.h"
#include "engine/response.h"
#include "http/response.h"

/* What the answer to a request depends on. */
enum { CRE__KEEP_ALIVE = 1, CRE__HEAD_REQUEST = 2, CRE__HTTP_1_0 = 4 };

/* Requests in progress have consecutive numbers. The first one is answered next, and what is known of its
 * response is here; those behind it are in the pipeline. */
typedef struct cre__http1 {
    struct cre__http1_pending *pending;   /* input that waits; NULL: none */
    struct cre__http1_body *body;         /* of the request being received, or of the one in progress */
    struct cre__http1_file *file;         /* follows the queue; NULL: none */
    struct cre__http1_pipeline *pipeline; /* NULL: at most one request is in progress */
    uint32_t first_bytes;                 /* of the first request's record */
    uint8_t first;                        /* its number; without one, that of the next */
    uint8_t first_traits;                 /* its traits */
    uint8_t count;                        /* requests in progress */
    uint8_t traits;                       /* of the request being received */
    bool barrier : 1;                     /* no more is handed out until all in progress are answered */
    bool alone : 1;                       /* the request being received must not overlap with others */
    bool idle : 1;                        /* the time between two requests runs */
    bool idle_due : 1;                    /* ...from the end of this read on */
    bool promoting : 1;                   /* deferred answers are being sent */
    bool upgrading : 1;                   /* the request in progress is a handshake */
    /* Of the first response: */
    bool streaming : 1;       /* the response has begun, and its body goes on */
    bool chunked : 1;         /* ...in chunks */
    bool body_suppressed : 1; /* ...and is not sent, because there must be none */
} cre__http1;

_Static_assert(sizeof(cre__http1) <= CRE__PROTOCOL_STATE, "the state of a protocol has this room");

static inline cre__http1 *cre__http1_of(const cre__conn *conn) {
    return (cre__http1 *)(uintptr_t)conn->state;
}

/* The connection ends after the answer to the first request. */
static inline void cre__http1_set_closing(cre__http1 *http) {
    http->first_traits &= (uint8_t)~CRE__KEEP_ALIVE;
}

/* Whether the connection serves requests: another protocol may have begun, or its end. */
static inline bool cre__http1_serves(const cre__conn *conn) {
    return !conn->stream.over && conn->protocol == &cre__protocol_http1;
}

/* ---- request.c ---- */

/* Hands out a request in its wire form; flags of the record, FINAL or MORE_BODY. */
void cre__http1_deliver(cre__conn *conn, uint16_t flags, uint8_t *payload, size_t length);
/* Adds to the head of a request what TLS knows of its client. `behind` are the bytes of the payload behind
 * the head, where the client's certificate is written. Returns their number. */
size_t cre__http1_add_tls(const cre__conn *bearer, cre_http_head *head, uint8_t *behind);
/* The input must wait: it is buffered, and reading stops. */
void cre__http1_defer_input(cre__conn *conn, uint8_t **cursor, uint8_t *end);

/* A handshake in wire form. Returns whether the connection goes on with HTTP. */
bool cre__http1_upgrade_input(cre__conn *conn, uint8_t *payload, size_t length);
/* Answers the handshake in progress with another protocol. */
int cre__http1_upgrade(cre__conn *conn, cre_slice *parts, int count, int policy);
/* It is answered as any request. */
void cre__http1_upgrade_refused(cre__conn *conn);

/* ---- carried.c: requests on carried connections, one on each ---- */

/* Takes the head of the request. A body is received as input, and ends with cre__http1_body_end. */
void cre__http1_take(cre__conn *conn, const cre_http_head *head, const cre_http_field *fields,
                     const uint8_t *bytes);
/* As cre__http1_write_head: the room is for the body. */
int cre__http1_send_head(cre__conn *conn, const cre__response *response, cre__http_framing framing,
                         uint64_t length, size_t extra, uint8_t **behind);
int cre__http1_send_continue(cre__conn *conn);

/* ---- response.c ---- */

/* The current Date field. */
const char *cre__http1_date(cre_engine *engine);

/* Answers a request that is not handed out with an error page, after which the connection ends. Requests
 * before it are answered first. */
void cre__http1_refuse(cre__conn *conn, int status);
/* An error page as the answer to a request in progress. */
int cre__http1_error(cre__conn *conn, uint8_t number, int status, bool close);
/* A response to the first request, or its beginning; flags of RESPOND. */
int cre__http1_respond(cre__conn *conn, const cre__response *response, uint16_t flags, const cre_slice *body,
                       int count);
/* Whether the first request may be answered: there is one, and no answer has begun. */
static inline bool cre__http1_answerable(const cre__conn *conn) {
    const cre__http1 *http = cre__http1_of(conn);
    return cre__http1_serves(conn) && http->count && !http->streaming && !http->file;
}
/* Queues the head of a response and room for `extra` more bytes, which begins at *behind. Returns 0, or a
 * negative error; with CRE_ENOMEM the connection was reset, with others nothing was queued. */
int cre__http1_write_head(cre__conn *conn, const cre__response *response, cre__http_framing framing,
                          uint64_t length, bool keep_alive, size_t extra, uint8_t **behind);

/* ---- pipeline.c: answers in the order of the requests ---- */

/* Puts the request that was received behind those in progress. False: no memory, the connection was reset. */
bool cre__http1_begin_behind(cre__conn *conn, size_t bytes);
/* Gives the request that was received its number. Returns as cre__http1_begin_behind. */
static inline bool cre__http1_begin(cre__conn *conn, size_t bytes, uint8_t *number) {
    cre__http1 *http = cre__http1_of(conn);
    http->idle = false;
    *number = (uint8_t)(http->first + http->count);
    http->barrier = !(http->traits & CRE__KEEP_ALIVE) || http->alone;
    if (http->count) return cre__http1_begin_behind(conn, bytes);
    http->first_traits = http->traits;
    http->first_bytes = (uint32_t)bytes;
    http->count = 1;
    return true;
}
/* Whether the next request may be handed out while others are in progress. */
bool cre__http1_may_overlap(const cre__conn *conn);
/* Whether the next request may be handed out. */
static inline bool cre__http1_may_take(const cre__conn *conn) {
    return !cre__http1_of(conn)->count || cre__http1_may_overlap(conn);
}
/* No request follows the last one in progress. */
void cre__http1_set_last(cre__conn *conn);
/* Whether the rest of a body that nobody wants is short enough to be skipped. */
bool cre__http1_body_is_short(const cre__conn *conn);
/* Whether the connection goes on after an answer to the first request, unless that says `close`. */
static inline bool cre__http1_goes_on(const cre__conn *conn, bool close) {
    const cre__http1 *http = cre__http1_of(conn);
    if (close || !(http->first_traits & CRE__KEEP_ALIVE)) return false;
    if (cre__conn_engine(conn)->shutting_down && http->count == 1) return false;
    return !http->body || cre__http1_body_is_short(conn);
}
/* The first request is answered: on to the next one, or the end. */
void cre__http1_answered(cre__conn *conn, bool keep_alive);
/* The commands about a request: `command->opcode` is its number. */
int cre__http1_command(cre__conn *conn, const cre_record *command, cre_slice *parts, int count, int policy);
void cre__http1_drop_answers(cre__conn *conn);

/* ---- body.c: bodies of requests ---- */

/* The limit of a body in bytes. */
uint64_t cre__http1_body_limit(const cre__conn *conn);
/* A head is complete, in its wire form, and a body follows. False: the connection does not go on. */
bool cre__http1_body_begin(cre__conn *conn, uint8_t *payload, size_t prefix, bool nothing_came);
/* Takes body bytes from [*cursor, end). */
void cre__http1_body_input(cre__conn *conn, uint8_t **cursor, uint8_t *end);
/* The body is complete, of a carried connection. */
void cre__http1_body_end(cre__conn *conn);
void cre__http1_body_timed_out(cre__conn *conn);
/* The body is wanted: a client that waits for that is asked to go on. */
int cre__http1_body_continue(cre__conn *conn);
/* The memory of the body that is being received, in bytes. */
size_t cre__http1_body_buffered(const cre__conn *conn);
/* The request is answered: the rest of the body is dropped, which the end of the turn reports. */
void cre__http1_body_discard(cre__conn *conn);
/* Whether the end of the connection must report that the rest of a body will not be received. */
bool cre__http1_body_breaks(const cre__conn *conn);
/* The end of a turn. */
void cre__http1_body_report_dropped(cre__conn *conn);
/* Reports that the rest of a body will not be received, if that is due. False: no memory to pass it on. */
bool cre__http1_body_report_broken(cre__conn *conn);

/* ---- response_stream.c: responses that are not sent at once ---- */

/* Begins a response whose body goes on. */
int cre__http1_respond_more(cre__conn *conn, const cre__response *response, const cre_slice *body, int count,
                            bool close);
/* A further piece of it; with CRE_RECORD_FINAL the last one, with CRE_RECORD_TRAILERS its trailers. */
int cre__http1_respond_body(cre__conn *conn, cre_slice *parts, int count, uint16_t flags, cre__policy policy);

/* ---- interim.c ---- */

/* Sends an interim response to the first request. Returns 0, also for a client of HTTP/1.0, which gets none,
 * or a negative error. */
int cre__http1_respond_interim(cre__conn *conn, const cre__response *response, cre__policy policy);
/* Writes packed fields as lines, without those that frame the message, and an empty line. Returns their end;
 * they need at most the length of the fields and 2 bytes. */
uint8_t *cre__http1_put_fields(uint8_t *at, const cre_slice *fields);

/* ---- file.c: bodies from files ---- */

int cre__http1_respond_file(cre__conn *conn, const cre__file_response *response, bool close);
/* A file that was opened to be sent. */
typedef struct cre__opened_file {
    int descriptor;
    uint64_t length; /* of the body */
    const cre_file_part *parts;
    size_t part_count;
    cre_slice texts;
} cre__opened_file;

/* Begins to send the file, whose descriptor it takes over. */
int cre__http1_send_opened(cre__conn *conn, const cre__response *head, const cre__opened_file *opened,
                           bool close_after);
/* The queue is empty: sends a part of the file, or queues some of it. Returns whether to go on at once. */
bool cre__http1_send_file(cre__conn *conn, uint32_t *budget);
void cre__http1_drop_file(cre__conn *conn);

/* ---- folder_file.c ---- */

int cre__http1_respond_folder_file(cre__conn *conn, const cre__folder_response *response, bool close);

#endif
