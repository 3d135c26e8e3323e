/*
 * HTTP/2 without I/O (RFC 9113): sessions of servers, and of clients with http2_request.h. Bytes of a client
 * become requests, and responses become bytes. A session opens no sockets and reads no clock; memory of the
 * protocol is limited and counted.
 *
 *   cre_http2_receive(session, data, length, now_ms); // calls on_event
 *   cre_http2_respond(session, stream, &response, &body, 1, true);
 *   while (cre_http2_produce(session, out, sizeof out, &size) == 0 && size) send_bytes(out, size);
 *   if (cre_http2_is_done(session)) close_connection(); // why: cre_http2_error
 *
 * A request and its response are a stream, which has a number. A session belongs to one thread at a time.
 * Functions that take a stream return CRE_EGONE when it is closed, so a number may be used later than its
 * stream.
 */
#ifndef CREACTOR_HTTP2_H
#define CREACTOR_HTTP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"
#include "export.h"
#include "http_head.h"
#include "http_write.h"

/** A session. */
typedef struct cre_http2 cre_http2;

/** What happened to a stream. */
typedef enum cre_http2_event_kind {
    /** A request: its head, in the form of HTTP/1 heads. A body follows unless `final`. */
    CRE_HTTP2_REQUEST = 1,
    /** The next bytes of a body. They count against the windows until cre_http2_consume. */
    CRE_HTTP2_DATA = 2,
    /** The body is complete. */
    CRE_HTTP2_END = 3,
    /** The queue of a response, of which CRE_EQUEUE_FULL was returned, has room again. */
    CRE_HTTP2_WRITABLE = 4,
    /** The stream is closed: the last event of a stream, exactly one for each REQUEST unless the session
     * fails or is destroyed before. */
    CRE_HTTP2_CLOSED = 5,
    /** To a client: the head of a response, or with a status below 200 of an interim one, in the form of
     * HTTP/1 heads. A body follows a response unless `final`. */
    CRE_HTTP2_RESPONSE = 6,
    /** To a client: the fields behind a body. END follows. */
    CRE_HTTP2_TRAILERS = 7,
    /** To a client: the server has sent SETTINGS or GOAWAY, see cre_http2_get_peer. */
    CRE_HTTP2_PEER = 8
} cre_http2_event_kind;

/** Codes of RST_STREAM and GOAWAY frames (RFC 9113 section 7). A client may send others. */
typedef enum cre_http2_code {
    CRE_HTTP2_NO_ERROR = 0,             /* an end without an error */
    CRE_HTTP2_PROTOCOL_ERROR = 1,       /* a violation of the protocol without a code of its own */
    CRE_HTTP2_INTERNAL_ERROR = 2,       /* an error of the endpoint itself */
    CRE_HTTP2_FLOW_CONTROL_ERROR = 3,   /* more data than a window allows */
    CRE_HTTP2_SETTINGS_TIMEOUT = 4,     /* SETTINGS were not acknowledged in time */
    CRE_HTTP2_STREAM_CLOSED = 5,        /* a frame for a stream that is half closed */
    CRE_HTTP2_FRAME_SIZE_ERROR = 6,     /* a frame of an invalid size */
    CRE_HTTP2_REFUSED_STREAM = 7,       /* the request was not processed and may be repeated */
    CRE_HTTP2_CANCEL = 8,               /* the stream is no longer needed */
    CRE_HTTP2_COMPRESSION_ERROR = 9,    /* the state of the field compression is lost */
    CRE_HTTP2_CONNECT_ERROR = 10,       /* the connection of a CONNECT request failed */
    CRE_HTTP2_ENHANCE_YOUR_CALM = 11,   /* excessive load */
    CRE_HTTP2_INADEQUATE_SECURITY = 12, /* TLS does not meet the requirements */
    CRE_HTTP2_HTTP_1_1_REQUIRED = 13    /* the request needs HTTP/1.1 */
} cre_http2_code;

/** An event. Everything in it is borrowed until the callback returns. */
typedef struct cre_http2_event {
    cre_http2_event_kind kind;
    uint32_t stream;              /* the stream that the event is about */
    void *stream_context;         /* from cre_http2_set_context; NULL: none */
    const cre_http_head *head;    /* REQUEST, RESPONSE: with CRE_HTTP_2 among its flags, and `minor` 0 */
    const cre_http_field *fields; /* REQUEST, RESPONSE, TRAILERS: `field_count`, names in lower case */
    const uint8_t *head_bytes;    /* what `fields` refer to; of a head all of it, in the form of HTTP/1 */
    const uint8_t *data;          /* DATA */
    size_t length;                /* DATA: > 0 */
    uint32_t code;                /* CLOSED: the cre_http2_code, CRE_HTTP2_NO_ERROR after an orderly end */
    bool final;                   /* REQUEST, RESPONSE: there is no body */
    const char *protocol;         /* REQUEST of an extended CONNECT: `:protocol`, else NULL */
    size_t protocol_length;
    bool complete;      /* CLOSED: the whole response was produced, or received by a client */
    int error;          /* CLOSED: the error of the message for which the stream was reset; 0: none */
    size_t field_count; /* of `fields` */
    bool followed;      /* REQUEST: there is more input behind it, for cre_http2_receive_more */
} cre_http2_event;

/** Receives the events of a session. It may call the functions of the session except cre_http2_receive,
 * cre_http2_produce, cre_http2_expire and cre_http2_destroy. */
typedef void (*cre_http2_callback)(void *context, cre_http2 *session, const cre_http2_event *event);

/** Copies the next bytes of a response's body to `out`, at most `capacity`, and returns their number; sets
 * *final when they are the last. Without bytes, and not *final, the stream waits for cre_http2_resume. The
 * same functions may be called as by on_event. */
typedef size_t (*cre_http2_reader)(void *context, uint32_t stream, void *stream_context, uint8_t *out,
                                   size_t capacity, bool *final);

/**
 * The configuration of a session. A member of 0 means its default. The limits `reset_...` and `control_...`
 * are budgets: as many at once as `burst`, and `rate` of them per second in the long run.
 */
typedef struct cre_http2_config {
    size_t size;                 /* sizeof(cre_http2_config) */
    cre_http2_callback on_event; /* must be set */
    void *context;               /* passed to on_event */
    uint32_t max_streams;        /* streams at the same time, default 100, most 65535 */
    uint32_t max_head;           /* bytes of a head, default and most CRE_HTTP_MAX_HEAD; more: status 431, and
                                    a client resets the stream */
    uint32_t max_fields; /* fields of a head, default CRE_HTTP_DEFAULT_FIELDS, most 65535; more: likewise */
    uint32_t stream_window;     /* bytes of a body that are not consumed, 65535 (default) to 16 MiB */
    uint32_t connection_window; /* of all bodies of the session, 65535 to 64 MiB, default 1 MiB */
    uint32_t max_queue;         /* bytes of one response that are queued, default 1 MiB */
    uint32_t max_total_queue;   /* bytes of all responses that are queued, default 4 MiB */
    uint32_t max_memory; /* bytes of the session without queued bodies: 256 KiB or more, default 1 MiB; about
                            1 KiB for each stream, or heads of responses may wait for long */
    uint32_t max_continuations; /* CONTINUATION frames of one head, default 8 */
    uint32_t reset_burst;       /* streams that the client resets or has reset by its errors, default 200 */
    uint32_t reset_rate;        /* default 20 */
    uint32_t control_burst;     /* frames without a request or content, see cre_http2_receive; default 400 */
    uint32_t control_rate;      /* default 100 */
    uint32_t stall_timeout_ms;  /* how long a response may wait for the client, default 30000 */
    uint32_t ack_timeout_ms;    /* how long SETTINGS may wait for the acknowledgement, default 30000 */
    uint32_t extended_connect;  /* 1: accept extended CONNECT, see cre_http2_receive; default 0 */
    /** The bodies of responses are read when they can be sent; then cre_http2_respond takes none, and
     * cre_http2_send is not called. NULL: they are queued. */
    cre_http2_reader read_body;
    uint32_t client;   /* 1: the session is that of a client, see http2_request.h; default 0 */
    uint32_t reserved; /* 0 */
} cre_http2_config;

/** The head of a response. Fields that frame a message, or belong to a connection (Connection,
 * Content-Length, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade), are skipped; names are sent in
 * lower case. */
typedef struct cre_http2_response {
    uint16_t status;         /* 200...999; 100 and 102...199: an interim response */
    bool has_length;         /* send content_length, which must be the length of the body */
    uint64_t content_length; /* of the response to HEAD: of that to GET */
    const char *date;        /* 29 characters from cre_http_date, or NULL; not sent if among the fields */
    const char *server;      /* NULL: no Server field; not sent if among the fields */
    const cre_http_header *fields; /* names in lower case */
    size_t field_count;
} cre_http2_response;

/** The limits that end a session. */
typedef enum cre_http2_limit {
    CRE_HTTP2_LIMIT_NONE = 0,             /* none was exceeded */
    CRE_HTTP2_LIMIT_RESETS = 1,           /* reset_burst */
    CRE_HTTP2_LIMIT_CONTINUATIONS = 2,    /* max_continuations */
    CRE_HTTP2_LIMIT_HEAD = 3,             /* one head has far more than max_head: decompressed, 1 MiB */
    CRE_HTTP2_LIMIT_PINGS = 4,            /* control_burst, and the last frame was PING, */
    CRE_HTTP2_LIMIT_SETTINGS = 5,         /* SETTINGS, */
    CRE_HTTP2_LIMIT_WINDOW_UPDATES = 6,   /* WINDOW_UPDATE, */
    CRE_HTTP2_LIMIT_EMPTY_DATA = 7,       /* DATA without bytes, */
    CRE_HTTP2_LIMIT_OTHER_FRAMES = 8,     /* CONTINUATION, PRIORITY or another one */
    CRE_HTTP2_LIMIT_ACKNOWLEDGEMENTS = 9, /* control_burst: the client does not receive them */
    CRE_HTTP2_LIMIT_MEMORY = 10           /* max_memory */
} cre_http2_limit;

/** The size of an array indexed by cre_http2_limit, with room for further limits. */
#define CRE_HTTP2_LIMITS 16

/** What a session has counted. */
typedef struct cre_http2_stats {
    uint64_t requests;       /* REQUEST events */
    uint64_t refused;        /* streams that were answered or reset before a REQUEST event */
    uint64_t resets;         /* streams that the client reset, or that were reset because of its errors */
    uint64_t control_frames; /* frames that count against control_burst */
    uint64_t stalled;        /* streams that were reset after stall_timeout_ms */
    uint64_t memory;  /* bytes of the session at present, without queued bodies; up to 64 KiB are free for the
                         next requests, until cre_http2_expire */
    uint64_t queued;  /* bytes of bodies that are queued at present */
    uint32_t streams; /* open streams at present */
    uint32_t goaway_code;     /* cre_http2_code of the GOAWAY frame that was produced last */
    uint64_t heads_too_large; /* requests that were answered with status 431, part of `refused` */
    uint32_t limit;           /* the cre_http2_limit that has ended the session */
    uint32_t reserved;        /* 0 */
} cre_http2_stats;

/** The bytes with which a client begins a connection. */
enum { CRE_HTTP2_PREFACE_LENGTH = 24 };

CRE_BEGIN_DECLS

/** Returns whether this build has HTTP/2. Any thread. */
CRE_NODISCARD CRE_API bool cre_http2_supported(void);

/** Returns whether a client begins HTTP/2: 1 when `data` starts with the preface, 0 when it is too short to
 * know and the preface so far, and CRE_EHTTP2_PREFACE when it is something else. Any thread. */
CRE_NODISCARD CRE_API int cre_http2_match_preface(const uint8_t *data, size_t length);

/**
 * Creates a session. `config` is borrowed for the call. Returns 0 and the session, owned by the
 * caller; CRE_EUNSUPPORTED in a build without HTTP/2; CRE_ECONFIG_SIZE; CRE_EINVALID for a member out of
 * range or without on_event; or CRE_ENOMEM.
 */
CRE_NODISCARD CRE_API int cre_http2_create(const cre_http2_config *config, cre_http2 **session);

/** Destroys a session and drops what is queued, without events. NULL is allowed. */
CRE_API void cre_http2_destroy(cre_http2 *session);

/**
 * Parses bytes of the client, from its preface on, and calls on_event. `data` is borrowed for the call,
 * `now_ms` is the time of any clock that does not go back. Afterwards cre_http2_produce may have output.
 *
 * Invalid requests are answered or reset, and other errors of the client end the session: cre_http2_produce
 * has the frame with the reason, then cre_http2_is_done is true. Fields behind a body are checked and
 * dropped. Behind a GOAWAY frame, of either side, input is ignored once no stream is open.
 *
 * With `extended_connect` a CONNECT with `:protocol` (RFC 8441) is a REQUEST with that protocol. Its head has
 * the path as target. For "websocket" it is the head of a handshake in HTTP/1: the method is GET and
 * CRE_HTTP_UPGRADE_WEBSOCKET is set, as cre_ws_request_check wants it. DATA events, which have no limit but
 * the windows, are the bytes of the tunnel, and END is its half-close. A response of 2xx, not final, accepts
 * it; cre_http2_send sends the bytes of the tunnel and its end. A tunnel whose end was sent is reset when the
 * client does not end it, too, within stall_timeout_ms. Content-Length, END_STREAM or a malformed protocol in
 * the request are answered with 400; without `extended_connect` the stream is reset.
 *
 * Returns 0, or the error that has ended the session; more input is ignored then:
 *
 *   CRE_EHTTP2_PREFACE  the client does not use HTTP/2
 *   CRE_EHTTP2_FLOOD    a budget is exhausted. control_burst limits SETTINGS, PING, WINDOW_UPDATE, PRIORITY,
 *                       CONTINUATION and unknown frames, and DATA frames that are empty and not the last;
 *                       sent frames with content earn WINDOW_UPDATE frames
 *   CRE_EHTTP2          another violation of the protocol
 *   CRE_ENOMEM          also when the session has max_memory bytes
 *   CRE_ESTATE          called by on_event; nothing has happened
 */
CRE_NODISCARD CRE_API int cre_http2_receive(cre_http2 *session, const uint8_t *data, size_t length,
                                            uint64_t now_ms);

/** Inside on_event for a REQUEST: goes on with the input that was given to cre_http2_receive, up to the next
 * REQUEST, and calls on_event for what is in it. What earlier events point to is no longer valid then.
 * Returns whether there was a REQUEST; false: all input is used up, or this was called elsewhere. */
CRE_API bool cre_http2_receive_more(cre_http2 *session);

/** Writes output for the client to `out`, at most `capacity` bytes, as far as there is some and the client's
 * windows allow it, and sets *produced. It may call on_event. Returns 0, CRE_ENOMEM, after which the session
 * has ended, or CRE_ESTATE when on_event calls it. */
CRE_NODISCARD CRE_API int cre_http2_produce(cre_http2 *session, uint8_t *out, size_t capacity,
                                            size_t *produced);

/** Resets streams whose response has waited for the client's window, or for cre_http2_produce,
 * stall_timeout_ms or longer; CLOSED follows with the next output. Ends the session, with CRE_EHTTP2, when
 * the client has not acknowledged the SETTINGS for ack_timeout_ms. Frees memory that is kept for the next
 * requests. For a timer of a few seconds: the time
 * counts from one call to the next ones. */
CRE_API void cre_http2_expire(cre_http2 *session, uint64_t now_ms);

/** Returns whether the session has ended and all its output was produced: the connection is to be closed. */
CRE_NODISCARD CRE_API bool cre_http2_is_done(const cre_http2 *session);

/** Returns the error that has ended the session; 0: none, or not yet produced. */
CRE_NODISCARD CRE_API int cre_http2_error(const cre_http2 *session);

/** Opens the windows by `length` bytes of DATA that the application has used up. Returns 0, or CRE_EINVALID
 * for more than were received. After the end of a stream nothing needs to be consumed. */
CRE_API int cre_http2_consume(cre_http2 *session, uint32_t stream, size_t length);

/**
 * Sends the head of a response, or an interim response, and with `final` its only piece. The parts of the
 * body, which must be empty of an interim response, are copied. When the request's body is not complete at
 * the end of the response, the client is asked to stop sending it.
 *
 * Returns 0. Otherwise nothing was queued: CRE_EGONE; CRE_ESTATE when the stream has a head; CRE_EINVALID for
 * a status out of range, a body where there must be none, or a length of a tunnel; CRE_EHTTP_INVALID_FIELD;
 * CRE_EHTTP_HEAD_TOO_LARGE for more than about 60 KiB, or an eighth of max_memory; CRE_EQUEUE_FULL as in
 * cre_http2_send, or when half of max_memory is in use; CRE_ENOMEM.
 */
CRE_NODISCARD CRE_API int cre_http2_respond(cre_http2 *session, uint32_t stream,
                                            const cre_http2_response *response, const cre_slice *body,
                                            int count, bool final);

/** Sends the next piece of a body, with `final` the last one. The parts are copied. Returns 0, or CRE_EGONE,
 * CRE_ESTATE without a head or after the last piece, CRE_EINVALID for bytes where there must be no body,
 * CRE_EQUEUE_FULL, after which WRITABLE follows, or CRE_ENOMEM. A queue that is empty takes a piece of any
 * length, unless those of all streams have max_total_queue bytes. */
CRE_NODISCARD CRE_API int cre_http2_send(cre_http2 *session, uint32_t stream, const cre_slice *parts,
                                         int count, bool final);

/** There is more of a body for `read_body`, or its end. Returns 0, CRE_EGONE or CRE_ENOMEM. */
CRE_API int cre_http2_resume(cre_http2 *session, uint32_t stream);

/** Sets what the events of a stream have as `stream_context`. Returns 0 or CRE_EGONE. */
CRE_API int cre_http2_set_context(cre_http2 *session, uint32_t stream, void *context);

/** Ends a body with trailers, which are sent behind the last bytes that `read_body` returns. Returns 0, or
 * CRE_EGONE, CRE_ESTATE, CRE_EINVALID for fields behind a tunnel, CRE_EHTTP_INVALID_FIELD for a field that
 * may not be sent or has no place in trailers, CRE_EHTTP_HEAD_TOO_LARGE, CRE_EQUEUE_FULL when half of
 * max_memory is in use, or CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_http2_send_trailers(cre_http2 *session, uint32_t stream,
                                                  const cre_http_header *fields, size_t count);

/** Resets a stream and drops its queue. CLOSED follows with the next output. Returns 0, CRE_EGONE or
 * CRE_ENOMEM. */
CRE_API int cre_http2_reset(cre_http2 *session, uint32_t stream, cre_http2_code code);

/** Announces the end of the session: the client is to open no more streams, though those on their way are
 * served. cre_http2_goaway follows about a round trip later. Returns 0, CRE_EGONE or CRE_ENOMEM. */
CRE_API int cre_http2_announce_end(cre_http2 *session);

/** Accepts no more streams; the session is done when those in progress are. Returns 0, CRE_EGONE or
 * CRE_ENOMEM. */
CRE_API int cre_http2_goaway(cre_http2 *session, cre_http2_code code);

/** Copies the first `size` bytes of the session's statistics; members that the library does not have are
 * zero. */
CRE_API void cre_http2_get_stats(const cre_http2 *session, cre_http2_stats *stats, size_t size);

CRE_END_DECLS

#endif
