/*
 * HTTP/2 without I/O: the session of a client, which is a session of http2.h with `client` in its
 * configuration. Requests become bytes, and bytes of the server become responses.
 *
 *   cre_http2_request request = { .method = "GET", .scheme = "https", .authority = "example.com", .path = "/"
 * }; uint32_t stream; int result = cre_http2_send_request(session, &request, true, NULL, &stream); while
 * (cre_http2_produce(session, out, sizeof out, &size) == 0 && size) send_bytes(out, size);
 *   cre_http2_receive(session, data, length, now_ms); // calls on_event: RESPONSE, DATA, END, CLOSED
 *
 * Functions of http2.h for streams serve requests, too: cre_http2_send and cre_http2_send_trailers for
 * bodies, cre_http2_consume for what was received, cre_http2_reset to cancel. What is received is not limited
 * by the window of the connection, but by those of its streams: a response that is not consumed does not stop
 * others. Pushes are disabled; a server that pushes ends the session.
 *
 * CLOSED says how a request ended. When `complete` is set, the whole response was received. Otherwise a code
 * of CRE_HTTP2_REFUSED_STREAM means that the server has not processed the request: it was refused, comes
 * behind the last one of a GOAWAY frame, or was never sent. It may be repeated, whatever its method is. After
 * every other code, and when the session fails, only idempotent requests may be.
 */
#ifndef CREACTOR_HTTP2_REQUEST_H
#define CREACTOR_HTTP2_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "http2.h"
#include "http_write.h"

/** The head of a request. Strings are terminated and borrowed. Fields that frame a message or belong to a
 * connection, as in cre_http2_response, and Host and TE (except "trailers") are skipped. */
typedef struct cre_http2_request {
    const char *method;            /* "GET"; with `protocol` not read: it is CONNECT */
    const char *scheme;            /* "http" or "https" */
    const char *authority;         /* host[:port] */
    const char *path;              /* "/path?query"; "*" of OPTIONS */
    const char *protocol;          /* of an extended CONNECT (RFC 8441), such as "websocket"; NULL: none */
    const cre_http_header *fields; /* names are sent in lower case */
    size_t field_count;
    bool has_length; /* send content_length, which must be the length of the body */
    uint64_t content_length;
} cre_http2_request;

/** What the server of a session has announced. New members are added at the end. */
typedef struct cre_http2_peer {
    bool settled;          /* its SETTINGS were received */
    bool leaving;          /* it has sent GOAWAY */
    bool extended_connect; /* it accepts extended CONNECT */
    bool numbers_used_up;  /* there are no more numbers for streams */
    uint32_t max_streams;  /* streams that it accepts at the same time; UINT32_MAX: no limit */
    uint32_t goaway_code;  /* with `leaving`: the cre_http2_code */
} cre_http2_peer;

CRE_BEGIN_DECLS

/**
 * Sends the head of a request; without `final` its body follows by cre_http2_send, or is read by `read_body`.
 * `context` is the `stream_context` of its events. A response to it is at most `max_head` bytes of head; its
 * body counts against the stream's window until cre_http2_consume. With `protocol` a response of 2xx opens a
 * tunnel, as in cre_http2_receive.
 *
 * Returns 0 and *stream. Otherwise nothing is sent: CRE_ESTATE for the session of a server; CRE_EGONE when no
 * request can be sent any more; CRE_ELIMIT when cre_http2_room is 0; CRE_EUNSUPPORTED for the method CONNECT
 * without `protocol`, or when the server does not accept extended CONNECT; CRE_EINVALID for a malformed
 * method, scheme, authority, path or protocol, or a `final` extended CONNECT; CRE_EHTTP_INVALID_FIELD;
 * CRE_EHTTP_HEAD_TOO_LARGE and CRE_EQUEUE_FULL as in cre_http2_respond; CRE_ENOMEM.
 */
CRE_NODISCARD CRE_API int cre_http2_send_request(cre_http2 *session, const cre_http2_request *request,
                                                 bool final, void *context, uint32_t *stream);

/** Returns the number of requests that may be sent now: the limits of both sides less the open streams; 0
 * when no more may be sent at all, see cre_http2_get_peer. */
CRE_NODISCARD CRE_API uint32_t cre_http2_room(const cre_http2 *session);

/** Copies the first `size` bytes of what the server has announced; members that the library does not have are
 * zero. */
CRE_API void cre_http2_get_peer(const cre_http2 *session, cre_http2_peer *peer, size_t size);

CRE_END_DECLS

#endif
