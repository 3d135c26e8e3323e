/* A session of HTTP/2 and its streams, around nghttp2, which knows frames, HPACK, windows and priorities. */
#ifndef CRE_HTTP2_INTERNAL_H
#define CRE_HTTP2_INTERNAL_H

#include <creactor/http2.h>
#include <creactor/http2_request.h>
#include <creactor/http_date.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/decimal.h"
#include "http/chars.h"
#include "http2/frames.h"

/* Bytes of a body that wait for the windows. */
typedef struct cre__h2_chunk {
    struct cre__h2_chunk *next;
    size_t start, end, capacity; /* [start, end) of the bytes */
    uint8_t bytes[];
} cre__h2_chunk;

typedef struct cre__h2_stream {
    struct cre__h2_stream *previous, *next; /* `previous` began later */
    uint32_t id;
    void *context;       /* of the application */
    uint32_t unconsumed; /* delivered bytes of the received body */
    int64_t expected;    /* Content-Length of the request; -1: none. Not of a client. */
    int64_t received;    /* bytes of its body */
    int error;           /* of the message for which the stream is reset; 0: none */
    cre__h2_chunk *first, *last;
    size_t queued;
    uint8_t *trailers; /* packed fields for the end of the body; NULL: none */
    size_t trailers_length;
    char status[3], length[CRE__MAX_DECIMAL]; /* of the head of the response, as text, until that is sent */
    uint64_t waiting_since;                   /* with `waiting` */
    uint32_t wants_memory;                    /* with `wants_room`: bytes of the session, for a head */
    bool waiting : 1;                         /* at the last cre_http2_expire there was output */
    bool progressed : 1;                      /* output was produced since */
    bool delivered : 1;                       /* REQUEST was reported; of a client: always */
    bool input_complete : 1;                  /* the peer has ended its side */
    bool responding : 1;       /* the head of the response, or of a client's request, was submitted */
    bool bodiless : 1;         /* what is sent has no body */
    bool head_request : 1;     /* ...because the method is HEAD */
    bool ended : 1;            /* the last piece of the body was queued */
    bool deferred : 1;         /* nghttp2 waits for more of the body */
    bool wants_room : 1;       /* CRE_EQUEUE_FULL was returned */
    bool resetting : 1;        /* RST_STREAM was submitted */
    bool output_complete : 1;  /* the end of what is sent was produced */
    bool extended_connect : 1; /* the request has a `:protocol` */
    bool tunnel : 1;           /* ...and was accepted */
    bool answered : 1;         /* of a client: the head of the response was received */
    bool has_host : 1;         /* the request has a Host field */
} cre__h2_stream;

/* The longest `:protocol`: those that are registered are much shorter. */
#define CRE__H2_MAX_PROTOCOL 64

/* A part of the values of pseudo fields. */
typedef struct cre__h2_text {
    uint16_t at, length;
} cre__h2_text;

/* What a head of a request has, in the order of the bits that pseudo fields have. */
enum {
    CRE__H2_METHOD = 1 << 0,
    CRE__H2_SCHEME = 1 << 1,
    CRE__H2_AUTHORITY = 1 << 2,
    CRE__H2_PATH = 1 << 3,
    CRE__H2_PROTOCOL = 1 << 4,
    CRE__H2_REGULAR = 1 << 5,      /* a field that is no pseudo field: none of those may follow */
    CRE__H2_ROOTED = 1 << 6,       /* a path that begins with a slash */
    CRE__H2_ASTERISK = 1 << 7,     /* the path "*" */
    CRE__H2_OTHER_SCHEME = 1 << 8, /* neither http nor https */
    CRE__H2_CONNECT = 1 << 9,      /* the method */
};

/* The priority of a response (RFC 9218). */
typedef struct cre__h2_priority {
    uint8_t urgency;
    bool incremental, given, invalid;
} cre__h2_priority;

/* The head that is being received; there is one at a time. */
typedef struct cre__h2_head {
    uint8_t *bytes;   /* the head as text */
    uint8_t *pseudo;  /* the values of pseudo fields */
    uint8_t *cookies; /* the Cookie fields, joined */
    size_t length, capacity, pseudo_length, pseudo_capacity, cookies_length, cookies_capacity;
    size_t seen_bytes; /* of all fields, also those that are dropped */
    cre_http_field *fields;
    uint32_t field_count, fields_capacity;
    cre_http_head parsed;
    int refused;                          /* the error for which the request is refused; 0: none */
    cre__h2_text method, authority, path; /* of `pseudo` */
    cre__h2_stream *stream;               /* of a server: whose head it is */
    unsigned seen;                        /* CRE__H2_METHOD... */
    cre__h2_priority priority;
    bool trailers;           /* fields behind a body */
    bool started;            /* the first line is written */
    bool is_reported;        /* the request was given to on_event, so the memory may be freed */
    uint8_t protocol_length; /* 0: not an extended CONNECT */
    char protocol[CRE__H2_MAX_PROTOCOL];
} cre__h2_head;

/* A budget: tokens, in thousandths, that return with time. */
typedef struct cre__h2_budget {
    uint64_t left, updated_at;
    uint32_t burst, rate;
} cre__h2_budget;

typedef struct cre__h2_block cre__h2_block;

/* Sizes of blocks that are reused. */
#define CRE__H2_SPARE_SIZES 16

struct cre_http2 {
    cre_http2_config config;
    nghttp2_session *protocol;
    nghttp2_mem memory;
    cre__h2_block *blocks; /* all of it */
    uint64_t used;         /* its bytes, */
    size_t spare_bytes;    /* and those of blocks that wait to be reused: */
    void *spares[CRE__H2_SPARE_SIZES];
    cre__h2_stream *streams;
    cre__h2_stream *recent; /* the last one that was looked for; NULL: unknown */
    uint64_t queued;
    cre__h2_head head;
    cre__h2_stream *requested; /* whose request is to be reported */
    cre__h2_frames frames;     /* of a server */
    const uint8_t *input;      /* what is not parsed yet of what was given */
    size_t input_length;
    ssize_t received; /* what nghttp2 has returned */
    cre__h2_budget resets, control;
    int32_t last_stream;     /* the highest number so far */
    uint32_t goaway_code;    /* of the application */
    uint32_t continuations;  /* of the head that is being received */
    uint32_t earned_updates; /* WINDOW_UPDATE frames that cost nothing */
    uint32_t own_resets;     /* RST_STREAM frames that were submitted here and not sent yet */
    uint32_t earned_late;    /* ...and frames of streams that this side has reset */
    uint32_t peer_goaway_code;
    uint64_t now;
    char date[CRE_HTTP_DATE_LENGTH]; /* of the heads that are not sent yet */
    const uint8_t *output;           /* of nghttp2, valid until it is asked for more */
    size_t output_length;
    cre_http2_stats stats;
    int error;                     /* what has ended the session */
    uint64_t unacknowledged_since; /* with `ack_awaited` */
    bool acknowledged;             /* the client has acknowledged the SETTINGS */
    bool ack_awaited;              /* cre_http2_expire has noticed that it has not */
    bool started;                  /* `now` is known */
    bool busy;                     /* in nghttp2: it must not be entered again */
    bool reporting;                /* ...but it is left while a REQUEST is reported */
    bool failed;                   /* no more input is parsed */
    bool finished; /* nor is it here: behind a GOAWAY, of either side, and without an open stream */
    bool broken;   /* an allocation has failed: nghttp2 must not be called */
    bool drained;  /* a queue got room, which must be reported */
    bool settled;  /* the peer's SETTINGS were received */
    bool leaving;  /* GOAWAY was submitted */
    bool left;     /* ...or received */
    bool may_end;  /* a GOAWAY was sent or received, and so the last stream may end the session */
};

/* ---- memory.c ---- */

/* Without memory they return NULL, and the session is broken. */
void *cre__h2_allocate(cre_http2 *session, size_t size);
void *cre__h2_reallocate(cre_http2 *session, void *memory, size_t size);
void cre__h2_free(cre_http2 *session, void *memory);
/* Frees the blocks that wait to be reused. */
void cre__h2_trim(cre_http2 *session);
void cre__h2_free_all(cre_http2 *session);
void cre__h2_memory_init(cre_http2 *session);
/* Whether a response's head may be queued. */
static inline bool cre__h2_has_room(const cre_http2 *session, size_t bytes) {
    return session->used + bytes <= session->config.max_memory / 2;
}

/* ---- head.c ---- */

void cre__h2_head_begin(cre_http2 *session, cre__h2_stream *stream, bool trailers);
/* Takes a field: a callback of nghttp2. */
int cre__h2_on_header(nghttp2_session *protocol, const nghttp2_frame *frame, const uint8_t *name,
                      size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                      void *context);
/* The head is complete. Returns 0, and `parsed`, `fields` and `bytes` are valid until the next head;
 * CRE_ENOMEM; or the error for which the request is refused. */
int cre__h2_head_finish(cre_http2 *session, bool final);
/* Frees what is larger than the next head needs. */
void cre__h2_head_trim(cre_http2 *session);
/* Adds a line, or refuses the head. Returns 0 or CRE_ENOMEM. */
int cre__h2_head_add(cre_http2 *session, const void *name, size_t name_length, const void *value,
                     size_t value_length);
static inline void cre__h2_refuse(cre__h2_head *head, int error) {
    if (!head->refused) head->refused = error;
}

/* ---- message.c, of which message.h has the rest ---- */

/* Whether a head has what it needs. */
bool cre__h2_check_head(cre__h2_head *head);
/* Whether the body may have `length` bytes more. */
bool cre__h2_check_data(cre__h2_stream *stream, size_t length);
/* Whether the body may end here. */
bool cre__h2_check_end(const cre__h2_stream *stream);
/* Reads the value of a Content-Length. */
bool cre__h2_length_of(const uint8_t *value, size_t length, uint64_t *sum);

/* ---- priority.c ---- */

/* Changes the priority by the value of a Priority field. False: it is malformed. */
bool cre__h2_priority_read(const uint8_t *value, size_t length, cre__h2_priority *priority);

/* ---- receive.c ---- */

/* Resets the stream of a malformed message. Returns 0, CRE_ENOMEM, or CRE_EHTTP2_FLOOD for too many resets;
 * so do the next two. */
int cre__h2_reject(cre_http2 *session, cre__h2_stream *stream);
/* HEADERS with a request are complete. It is reported behind them. */
int cre__h2_request_received(cre_http2 *session, cre__h2_stream *stream, bool final);
void cre__h2_request_report(cre_http2 *session);
/* The end of a body, and of trailers behind it, of a request or a response. */
int cre__h2_body_received(cre_http2 *session, cre__h2_stream *stream);
/* Reports the end of what is received. */
void cre__h2_input_complete(cre_http2 *session, cre__h2_stream *stream);

/* ---- response_head.c ---- */

/* The same for heads and trailers of responses. */
int cre__h2_response_field(cre_http2 *session, const uint8_t *name, size_t name_length, const uint8_t *value,
                           size_t value_length);
int cre__h2_response_finish(cre_http2 *session, bool final);

/* ---- request.c ---- */

/* HEADERS of a stream are complete. Returns 0, CRE_ENOMEM or CRE_EHTTP2_FLOOD. */
int cre__h2_response_received(cre_http2 *session, cre__h2_stream *stream, bool final);

/* ---- session.c ---- */

/* A field was received for which the stream or the session ends: CRE_EHTTP2 when it makes the message
 * malformed, CRE_EHTTP2_FLOOD when the head is far beyond its limit, or CRE_ENOMEM. Returns what a callback
 * of nghttp2 returns. */
int cre__h2_field_failed(cre_http2 *session, int error);

/* ---- limits.c ---- */

void cre__h2_budget_init(cre__h2_budget *budget, uint32_t burst, uint32_t rate);
/* Spends one. False: there is none left. */
bool cre__h2_budget_spend(cre__h2_budget *budget, uint64_t now);

/* Spends one of `control` or `resets`. Returns 0 or CRE_EHTTP2_FLOOD. */
int cre__h2_spend_control(cre_http2 *session);
int cre__h2_spend_reset(cre_http2 *session);

/* ---- stream.c ---- */

/* The stream of this number that is not closed; NULL: none. */
cre__h2_stream *cre__h2_stream_of(cre_http2 *session, uint32_t id);
/* The same for streams that nghttp2 knows, in its callbacks. Most look-ups are for the one of the last, or,
 * since responses are often sent in the order of their requests, for the one that began next. */
static inline cre__h2_stream *cre__h2_stream_find(cre_http2 *session, int32_t id) {
    if (id <= 0) return NULL;
    cre__h2_stream *recent = session->recent;
    if (recent && recent->id == (uint32_t)id) return recent;
    if (recent && recent->previous && recent->previous->id == (uint32_t)id)
        return session->recent = recent->previous;
    cre__h2_stream *found = nghttp2_session_get_stream_user_data(session->protocol, id);
    if (found) session->recent = found;
    return found;
}

cre__h2_stream *cre__h2_stream_create(cre_http2 *session, uint32_t id);
void cre__h2_stream_destroy(cre_http2 *session, cre__h2_stream *stream);
/* Answers the stream with a status and no body. */
int cre__h2_stream_refuse(cre_http2 *session, cre__h2_stream *stream, int status);
int cre__h2_stream_reset(cre_http2 *session, cre__h2_stream *stream, uint32_t code);
/* Opens the windows for bytes of a body. */
int cre__h2_stream_release(cre_http2 *session, cre__h2_stream *stream, size_t length);
/* Reports the queues that have room again. Returns whether there were any. */
bool cre__h2_report_room(cre_http2 *session);

/* Pairs that need no memory of their own. */
#define CRE__H2_FEW_PAIRS 16

/* A list of fields for nghttp2. */
typedef struct cre__h2_pairs {
    nghttp2_nv few[CRE__H2_FEW_PAIRS], *at;
    size_t count;
} cre__h2_pairs;

/* Makes room for `count` pairs. False: no memory. */
bool cre__h2_pairs_begin(cre__h2_pairs *list, size_t count);
void cre__h2_pairs_end(cre__h2_pairs *list);
void cre__h2_add_pair(cre__h2_pairs *list, const void *name, size_t name_length, const void *value,
                      size_t value_length);
static inline bool cre__h2_is_named(const cre_http_header *field, const char *name) {
    const size_t length = strlen(name);
    return field->name_length == length && cre__same(field->name, name, length);
}
/* Whether a field is written by the library, or has no meaning in HTTP/2. */
bool cre__h2_is_skipped(const cre_http_header *field);
/* Checks fields, and whether they and `bytes` more fit in a head. Returns 0 or an error. */
int cre__h2_check_fields(cre_http2 *session, cre__h2_stream *stream, const cre_http_header *fields,
                         size_t count, size_t bytes);
/* Where nghttp2 takes the body of a stream from. */
nghttp2_data_provider cre__h2_body_of(cre__h2_stream *stream);
/* The meaning of an error of nghttp2's functions that submit something. */
int cre__h2_submitted(int result);
static inline void cre__h2_emit(cre_http2 *session, const cre_http2_event *event) {
    session->config.on_event(session->config.context, session, event);
}

#define CRE__H2_EMIT(session, ...) cre__h2_emit(session, &(cre_http2_event){ __VA_ARGS__ })

#endif
