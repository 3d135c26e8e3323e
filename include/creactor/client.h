/*
 * Clients: connections to servers, as streams of bytes or packets, or as WebSockets; plain or with TLS.
 *
 *   static void received(void *context, cre_client *client, const cre_client_message *message);
 *   static void closed(void *context, cre_client *client, const cre_client_ending *ending);
 *
 *   cre_clients *clients;
 *   cre_clients_create(loop, &clients);
 *   cre_client_options options = { .size = sizeof options, .websocket = true, .host = "example.com",
 *                                  .port = 80, .target = "/chat", .received = received, .closed = closed };
 *   int result = cre_client_connect(clients, &options, &client);
 *
 * Everything here must be called on the thread of the loop. Callbacks run on it, never before
 * cre_client_connect has returned, and may call any function of this header for any client. A client is
 * valid until `closed` returns or cre_client_abort was called.
 */
#ifndef CREACTOR_CLIENT_H
#define CREACTOR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connect.h"
#include "export.h"
#include "framing.h"
#include "http_head.h"
#include "http_write.h"
#include "loop.h"
#include "websocket_deflate.h"

CRE_BEGIN_DECLS

/** The clients of one loop, which share buffers. */
typedef struct cre_clients cre_clients;
/** One connection to a server. */
typedef struct cre_client cre_client;
/** One connection of http_client.h. */
typedef struct cre_http_client cre_http_client;

#define CRE_CLIENT_DEFAULT_QUEUE    8388608u    /* 8 MiB */
#define CRE_CLIENT_MAX_SEND         0x3fffffffu /* bytes of one call: 1 GiB - 1 */
#define CRE_CLIENT_DEFAULT_CLOSE_MS 5000u       /* for the closing handshake */
#define CRE_CLIENT_DEFAULT_PING_MS  10000u      /* for the answer to a ping */

/** The response of a server that has accepted a WebSocket handshake; all zero for a stream. Borrowed for the
 * callback. New members are added at the end. */
typedef struct cre_client_opening {
    const cre_http_head *head;    /* the parsed head of the answer */
    const cre_http_field *fields; /* head->field_count of them */
    const uint8_t *head_bytes;    /* the bytes of the head, which offsets refer to */
    const char *subprotocol;      /* NULL: none was chosen */
    size_t subprotocol_length;
    bool compressed; /* permessage-deflate was negotiated */
} cre_client_opening;

/** A received message, packet or piece of a stream. */
typedef struct cre_client_message {
    uint8_t *data;  /* valid until the callback returns; may be written to */
    size_t length;  /* of `data`, in bytes */
    uint8_t opcode; /* WebSocket: CRE_WS_TEXT, CRE_WS_BINARY, or CRE_WS_PONG; stream: 0 */
} cre_client_message;

/** How a connection ended. Borrowed for the callback. New members are added at the end. */
typedef struct cre_client_ending {
    /** 0: it was closed in order, by either side. Otherwise the cause: an error of cre_connector_start's
     * callback, CRE_ETLS, CRE_EHTTP_..., CRE_EWS_..., CRE_EFRAMING_..., -ETIMEDOUT (TLS and WebSocket
     * handshake, or the answer to a ping, took too long), CRE_EGONE (the server ended the connection during
     * a handshake, or ended a WebSocket without a closing handshake), CRE_ENOMEM or a system error. */
    int error;
    bool opened;      /* `opened` was called */
    bool by_server;   /* the server closed first */
    uint16_t code;    /* WebSocket: the close code, 1005 (none) or 1006 (no closing handshake); stream: 0 */
    uint16_t status;  /* of the response that refused the WebSocket handshake; 0: there was none */
    const char *text; /* the reason of the server's close frame or the cause of CRE_ETLS; not terminated */
    size_t text_length;
} cre_client_ending;

/** What cre_client_connect reads. Everything is borrowed for the call, except the context. `size`, `host`,
 * `received` and `closed` are required; another member of 0 takes its default. */
typedef struct cre_client_options {
    size_t size;          /* sizeof(cre_client_options) */
    const char *host;     /* as in cre_connect_options */
    uint16_t port;        /* likewise */
    uint16_t websocket;   /* 1: a WebSocket; 0: a stream */
    uint32_t timeout_ms;  /* from the call to `opened`; 0: 10 s */
    cre_tls_client *tls;  /* NULL: plain; retained */
    const char *tls_name; /* the host name that the server's certificate must have; NULL: `host` */
    /** Streams: how packets are delimited; copied. NULL: bytes are delivered as they arrive. */
    const cre_framing_config *framing;

    const char *authority;         /* WebSockets: the Host field; NULL: from `host` and `port` */
    const char *target;            /* path and query, starting with '/'; NULL: "/" */
    const char *subprotocols;      /* to offer, separated by commas, preferred ones first; NULL: none */
    const char *origin;            /* the Origin field; NULL: none */
    const cre_http_header *fields; /* further fields of the request */
    size_t field_count;
    const cre_ws_deflate_config *deflate; /* permessage-deflate to offer; NULL: none */
    uint64_t max_message;                 /* bytes of a received message; 0: CRE_WS_DEFAULT_MAX_MESSAGE */
    uint32_t ping_interval_ms;            /* silence after which a ping is sent; 0: no pings */
    uint32_t ping_timeout_ms; /* how long the server may stay silent then; 0: CRE_CLIENT_DEFAULT_PING_MS */

    uint32_t max_queue;        /* bytes of pending output from which on nothing more is accepted; 0:
                                  CRE_CLIENT_DEFAULT_QUEUE */
    uint32_t close_timeout_ms; /* for the closing handshake; 0: CRE_CLIENT_DEFAULT_CLOSE_MS */

    void *context; /* passed to the functions below */
    /** The connection is open: data may be sent. May be NULL. */
    void (*opened)(void *context, cre_client *client, const cre_client_opening *opening);
    /** A message, a piece of a stream, or a datagram. */
    void (*received)(void *context, cre_client *client, const cre_client_message *message);
    /** All output has been passed to the system, after cre_client_await_drain. May be NULL. */
    void (*drained)(void *context, cre_client *client);
    /** The connection has ended or could not be opened. Called once; the client is freed afterwards. */
    void (*closed)(void *context, cre_client *client, const cre_client_ending *ending);
    /** WebSockets: an invalid frame was received, so nothing more is. What was received before may still be
     * answered until cre_client_conclude or the close timeout ends the connection. NULL: it ends at once. */
    void (*failing)(void *context, cre_client *client);
    /** WebSockets: a connection of http_client.h with HTTP/2, which carries this client (RFC 8441). `host`
     * and `port` make the authority only; `tls` is not read. NULL: a connection of its own. When the carrier
     * ends, so does the client. */
    cre_http_client *carrier;
    uint32_t secures_later; /* streams: 1: TLS begins with cre_client_secure */
    uint32_t reserved;      /* 0 */
} cre_client_options;

/** Creates the clients of a loop. Returns 0 and *clients, which the caller destroys before the loop, or
 * CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_clients_create(cre_loop *loop, cre_clients **clients);

/** Aborts all connections and frees the object. Not inside a callback of a client. NULL is ignored. */
CRE_API void cre_clients_destroy(cre_clients *clients);

/**
 * Starts to connect. Returns 0 and *client; then `closed` is called once, unless cre_client_abort or
 * cre_clients_destroy comes first. Otherwise returns an error of cre_connector_start; CRE_EINVALID for a
 * name that no certificate can have, a framing that cre_framing_config_check refuses, or missing callbacks;
 * CRE_EHTTP_INVALID_FIELD or CRE_ELIMIT for a handshake request that cannot be written; CRE_EUNSUPPORTED for
 * `deflate` in a build without zlib; CRE_ELIMIT when the carrier has no room, CRE_ESTATE when it is not one,
 * CRE_EHTTP2_CONNECT when its server accepts no WebSockets; CRE_ENOMEM. No callback is called then.
 */
CRE_NODISCARD CRE_API int cre_client_connect(cre_clients *clients, const cre_client_options *options,
                                             cre_client **client);

/** Sends bytes on a stream, which are copied. Returns 0; CRE_EQUEUE_FULL, when the output queue is at its
 * limit (an empty queue accepts everything); CRE_ELIMIT above CRE_CLIENT_MAX_SEND bytes; CRE_ESTATE when the
 * connection is not open or is a WebSocket; CRE_ENOMEM. Unless the result is 0, nothing is sent. */
CRE_NODISCARD CRE_API int cre_client_send(cre_client *client, const void *data, size_t length);

/** Sends a WebSocket frame: `first` is the opcode, with CRE_WS_FIN unless another fragment follows. The bytes
 * are copied. Returns the results of cre_client_send, and those of cre_ws_send_check for a frame that the
 * protocol does not allow. A close frame is CRE_EINVALID: see cre_client_close. */
CRE_NODISCARD CRE_API int cre_client_push(cre_client *client, uint8_t first, const void *data, size_t length);

/** Begins TLS on an open stream with `secures_later`, for protocols that agree on it in clear text. Nothing
 * can be sent until `opened` is called again. What was received in clear text must have been complete: the
 * caller refuses anything behind it. Returns 0, or CRE_ESTATE when the stream is not open, has TLS, has
 * pending output or no `tls`. */
CRE_NODISCARD CRE_API int cre_client_secure(cre_client *client);

/** The bytes of pending output. */
CRE_API size_t cre_client_queued(const cre_client *client);

/** Asks for one call of `drained`, when all pending output has been passed to the system. */
CRE_API void cre_client_await_drain(cre_client *client);

/** Delivers nothing more until cre_client_resume. Input stays with the system, except for at most one read,
 * or a window of a stream of HTTP/2, which is buffered. Pings of the server are not answered meanwhile. */
CRE_API void cre_client_pause(cre_client *client);

/** Delivers messages again, not before it returns. */
CRE_API void cre_client_resume(cre_client *client);

/**
 * Closes an open connection in order, behind the pending output; `closed` follows, after the close timeout at
 * the latest. A WebSocket starts the closing handshake, with code and reason; messages received before the
 * server's answer are dropped. Returns 0, or CRE_ESTATE when the connection is not open or is closing.
 */
CRE_API int cre_client_close(cre_client *client, uint16_t code, const char *reason, size_t reason_length);

/** Ends a connection after `failing`, behind the pending output. Without an invalid frame it does nothing. */
CRE_API void cre_client_conclude(cre_client *client);

/** Closes the connection at once, or stops connecting, and frees the client; `closed` is not called. NULL is
 * ignored. */
CRE_API void cre_client_abort(cre_client *client);

CRE_END_DECLS

#endif
