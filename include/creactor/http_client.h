/*
 * HTTP clients: one connection to a server or through a proxy, which serves one request after the other by
 * HTTP/1.1, or carries many at the same time by HTTP/2.
 *
 *   cre_http_client_options options = { .size = sizeof options, .host = "example.com", .port = 80,
 *                                       .opened = opened, .head = head, .body = body, .complete = complete,
 *                                       .closed = closed };
 *   int result = cre_http_client_connect(clients, &options, &client);
 *   // in `opened`:
 *   cre_http_request request = { .method = "GET", .target = "/", .host = "example.com" };
 *   result = cre_http_client_send(client, &request, NULL, 0);
 *
 * With HTTP/2 the connection sends no requests itself. Each request is a client of its own, which the
 * connection carries, and so is each WebSocket over it (`carrier` in cre_client_options):
 *
 *   // in `opened`, when cre_http_client_get_carrier says that the connection uses HTTP/2:
 *   options.carrier = connection;
 *   result = cre_http_client_connect(clients, &options, &client);
 *
 * The rules of client.h hold: everything must be called on the thread of the loop, and callbacks run on it,
 * never before cre_http_client_connect has returned. A client is valid until `closed` returns or
 * cre_http_client_abort was called.
 */
#ifndef CREACTOR_HTTP_CLIENT_H
#define CREACTOR_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "export.h"
#include "http_head.h"
#include "http_write.h"

CRE_BEGIN_DECLS

/** The head of a response. Borrowed for the callback. New members are added at the end. */
typedef struct cre_http_client_head {
    const cre_http_head *head;    /* the parsed head */
    const cre_http_field *fields; /* head->field_count of them */
    const uint8_t *bytes;         /* the bytes of the head, which offsets refer to */
} cre_http_client_head;

/** The trailers of a response. Borrowed for the callback. New members are added at the end. */
typedef struct cre_http_client_trailers {
    const cre_http_field *fields; /* offsets count from the first of `bytes` */
    size_t count;                 /* of `fields` */
    const uint8_t *bytes;         /* what the fields point to */
} cre_http_client_trailers;

/** Whether a connection uses HTTP/2. */
typedef enum cre_http_client_http2 {
    CRE_HTTP_CLIENT_HTTP1 = 0,      /* HTTP/1.1 */
    CRE_HTTP_CLIENT_NEGOTIATES = 1, /* HTTP/2 if the server chooses "h2" by ALPN, which `tls` must offer */
    CRE_HTTP_CLIENT_HTTP2_ONLY = 2, /* HTTP/2: over TLS CRE_EHTTP2_NOT_CHOSEN if the server does not choose
                                       it; without TLS by prior knowledge */
} cre_http_client_http2;

/** What a connection can carry. New members are added at the end. */
typedef struct cre_http_client_carrier {
    bool http2;      /* it is open, and uses HTTP/2 */
    bool leaving;    /* it accepts no more requests, ever, and ends when those in progress have */
    bool websockets; /* the server accepts WebSockets (extended CONNECT) */
    uint32_t room;   /* requests and WebSockets that may be opened now */
} cre_http_client_carrier;

/** What cre_http_client_connect reads. Everything is borrowed for the call, except the context. `size`,
 * `host`, `head`, `complete` and `closed` are required; another member of 0 takes its default. */
typedef struct cre_http_client_options {
    size_t size;          /* sizeof(cre_http_client_options) */
    const char *host;     /* as in cre_connect_options: of the server, or of the proxy */
    uint64_t port;        /* likewise */
    cre_tls_client *tls;  /* NULL: plain; retained */
    const char *tls_name; /* the host name that the server's certificate must have; NULL: `host` */
    /** "host:port" of the server when `host` is a proxy, which is asked by CONNECT for a tunnel to it. TLS is
     * used inside the tunnel. NULL: no tunnel. */
    const char *tunnel;
    const cre_http_header *tunnel_fields; /* further fields of the CONNECT */
    size_t tunnel_field_count;

    uint32_t timeout_ms;      /* from the call to `opened`; 0: 10 s */
    uint32_t read_timeout_ms; /* the longest silence of the server during a response, and the longest time
                                 without progress of a request; 0: no limit */
    uint32_t idle_timeout_ms; /* how long the connection stays open without a request; 0: no limit */
    uint32_t max_queue;       /* bytes of pending output from which on cre_http_client_write is refused; 0:
                                 CRE_CLIENT_DEFAULT_QUEUE */
    cre_http_limits limits;   /* of the heads of responses */
    uint32_t http2;           /* cre_http_client_http2 */

    void *context; /* passed to the functions below */
    /** A request may be sent. May be NULL. */
    void (*opened)(void *context, cre_http_client *client);
    /** The head of a response. A status below 200 is that of an interim response: another head follows. */
    void (*head)(void *context, cre_http_client *client, const cre_http_client_head *head);
    /** A piece of the body, which may be written to and is valid until the callback returns. NULL: bodies are
     * dropped. */
    void (*body)(void *context, cre_http_client *client, uint8_t *data, size_t length);
    /** The response is complete. `reusable`: another request may be sent at once; otherwise the connection
     * ends, and `closed` follows. */
    void (*complete)(void *context, cre_http_client *client, bool reusable);
    /** All output has been passed to the system, after cre_http_client_await_drain. May be NULL. */
    void (*drained)(void *context, cre_http_client *client);
    /** The connection has ended or could not be opened. Called once; the client is freed afterwards.
     * `ending->error` is also CRE_EPROXY, with the status of the proxy in `ending->status`; -ETIMEDOUT for
     * read_timeout_ms; CRE_EGONE when the server ended the connection before the end of a response. */
    void (*closed)(void *context, cre_http_client *client, const cre_client_ending *ending);

    /** The trailers of a response, before `complete`. May be NULL. */
    void (*trailers)(void *context, cre_http_client *client, const cre_http_client_trailers *trailers);
    cre_tls_client *tunnel_tls;  /* with `tunnel`: TLS with the proxy itself, around everything; NULL: plain;
                                    retained */
    const char *tunnel_tls_name; /* the host name that the proxy's certificate must have; NULL: `host` */
    /** An open connection with HTTP/2, which carries this client for one request. Of the other options those
     * of the connection are not read: where it leads to, TLS, tunnels, idle_timeout_ms. NULL: a connection of
     * its own. When the carrier ends, so does the client. */
    cre_http_client *carrier;
    /** The connection uses HTTP/2, and what cre_http_client_get_carrier returns has changed. May be NULL. */
    void (*changed)(void *context, cre_http_client *client);
    uint32_t stream_window; /* HTTP/2: bytes of a response that arrive while it is paused, 65535 (default) to
                               16 MiB */
    uint32_t max_streams;   /* HTTP/2: requests at the same time; default 100, at most 65535 */
} cre_http_client_options;

/**
 * Starts to connect. Returns 0 and *client; then `closed` is called once, unless cre_http_client_abort or
 * cre_clients_destroy comes first. Otherwise returns an error of cre_client_connect, or
 * CRE_EHTTP_INVALID_FIELD or CRE_ELIMIT for a CONNECT that cannot be written; CRE_EUNSUPPORTED for `http2` in
 * a build without it; CRE_ELIMIT when the carrier has no room, CRE_ESTATE when it is not one. No callback is
 * called then.
 */
CRE_NODISCARD CRE_API int cre_http_client_connect(cre_clients *clients,
                                                  const cre_http_client_options *options,
                                                  cre_http_client **client);

/**
 * Sends a request, and `length` bytes of its body, which are copied. With `request->chunked`, or when
 * `request->content_length` is larger than `length`, the rest follows by cre_http_client_write and
 * cre_http_client_end. Returns 0; CRE_ESTATE when the connection is not open, or serves a request;
 * CRE_EINVALID for more bytes than content_length; CRE_EUNSUPPORTED for the method CONNECT;
 * CRE_EHTTP_INVALID_FIELD; CRE_ELIMIT for a head of more than 65535 bytes or a body above
 * CRE_CLIENT_MAX_SEND; CRE_ENOMEM. Unless the result is 0, nothing is sent. Over HTTP/2 `closed` has the
 * error CRE_EHTTP2_REFUSED when the server has not processed the request, which may be sent again then
 * whatever it is, and CRE_EHTTP2_RESET when it has reset the stream; aborting the client resets it.
 */
CRE_NODISCARD CRE_API int cre_http_client_send(cre_http_client *client, const cre_http_request *request,
                                               const void *body, size_t length);

/** Sends a piece of the body, which is copied. Returns 0; CRE_EQUEUE_FULL when the output queue is at its
 * limit (an empty queue accepts everything); CRE_EINVALID for more bytes than content_length; CRE_ESTATE when
 * no body is being sent; CRE_ELIMIT above CRE_CLIENT_MAX_SEND bytes; CRE_ENOMEM. Unless the result is 0,
 * nothing is sent. */
CRE_NODISCARD CRE_API int cre_http_client_write(cre_http_client *client, const void *data, size_t length);

/** Ends a chunked body with trailers. Returns 0; CRE_EINVALID when the body is not chunked;
 * CRE_EHTTP_INVALID_FIELD as in cre_http_write_last_chunk; CRE_ELIMIT for more than 16384 bytes of fields;
 * CRE_ESTATE when no body is being sent; CRE_ENOMEM. Unless the result is 0, nothing is sent. */
CRE_NODISCARD CRE_API int cre_http_client_end_with(cre_http_client *client, const cre_http_header *trailers,
                                                   size_t trailer_count);

/** Ends a body. Returns 0; CRE_EINVALID when bytes of content_length are missing: only cre_http_client_abort
 * is of use then; CRE_ESTATE when no body is being sent; CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_http_client_end(cre_http_client *client);

/** Copies the first `size` bytes of what the connection can carry. */
CRE_API void cre_http_client_get_carrier(const cre_http_client *client, cre_http_client_carrier *carrier,
                                         size_t size);

/** The bytes of pending output. */
CRE_API size_t cre_http_client_queued(const cre_http_client *client);

/** Asks for one call of `drained`, when all pending output has been passed to the system. */
CRE_API void cre_http_client_await_drain(cre_http_client *client);

/** Delivers nothing more until cre_http_client_resume, or the end of the response. Input stays with the
 * system, except for at most one read, or `stream_window` bytes of HTTP/2, which are buffered.
 * read_timeout_ms does not count meanwhile. */
CRE_API void cre_http_client_pause(cre_http_client *client);

/** Delivers again, not before it returns. */
CRE_API void cre_http_client_resume(cre_http_client *client);

/** Closes the connection at once, or stops connecting, and frees the client; `closed` is not called. NULL is
 * ignored. */
CRE_API void cre_http_client_abort(cre_http_client *client);

CRE_END_DECLS

#endif
