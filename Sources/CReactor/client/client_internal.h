/* Clients: what the life of a connection and its protocols share. */
#ifndef CRE_CLIENT_INTERNAL_H
#define CRE_CLIENT_INTERNAL_H

#include <creactor/client.h>
#include <creactor/http2_request.h>
#include <creactor/http_client.h>
#include <creactor/http_reader.h>
#include <creactor/websocket.h>

#include "net/transport.h"

typedef enum cre__client_phase {
    CRE__CLIENT_CONNECTING,  /* the connector runs; there is no transport */
    CRE__CLIENT_SECURING,    /* TLS handshake */
    CRE__CLIENT_HANDSHAKING, /* the WebSocket request is sent */
    CRE__CLIENT_OPEN,
    CRE__CLIENT_CLOSING, /* WebSocket: a close frame was sent */
    CRE__CLIENT_ENDED,   /* nothing more is received */
} cre__client_phase;

/* A client that an HTTP/2 connection carries: one stream of it. */
typedef struct cre__client_stream {
    cre_http_client *by; /* NULL: it has ended, or the stream has */
    cre_client *next, *previous;
    uint32_t id; /* 0: nothing was sent */
    uint32_t unconsumed;
    uint8_t *pending; /* received while the client was paused; at most the window */
    size_t pending_length, pending_capacity;
    cre_http_client_trailers trailers; /* received behind it; `fields` owns the memory */
    bool input_complete, end_reported;
    bool output_ended;    /* there is nothing to be sent behind the queue */
    bool output_complete; /* ...and that was taken */
    bool closed;          /* the session has closed it */
} cre__client_stream;

/* What HTTP connections and requests are in. Freed with the connection that it belongs to. */
struct cre_http_client {
    cre_client *client;
    cre_http_client_options options; /* what it points to is not valid any more */
    cre_http_reader reader;
    uint64_t body_left; /* of a request body with a length */
    uint32_t since;     /* the beginning of the silence: the loop's time in ms, its lower half */
    char *connect;      /* the CONNECT; NULL: no tunnel is needed, or it was sent */
    size_t connect_length;
    uint8_t phase; /* cre__http_phase */
    bool sending;  /* a request body is not complete */
    bool chunked;
    cre_http2 *session;            /* of a connection with HTTP/2; NULL: HTTP/1.1 */
    cre_client *streams;           /* those that it carries */
    uint32_t stream_count, unsent; /* `unsent`: those whose request was not sent */
    cre_http_client_carrier reported;
};

typedef enum cre__http_phase {
    CRE__HTTP_OPENING,   /* nothing can be sent */
    CRE__HTTP_TUNNELING, /* the proxy was asked for a tunnel */
    CRE__HTTP_IDLE,
    CRE__HTTP_BUSY, /* a request was sent, or a stream is carried */
    CRE__HTTP_ENDED
} cre__http_phase;

struct cre_clients {
    cre__hook flush; /* first */
    cre__net net;
    cre_client *first;
    uint8_t random[256];
    uint32_t random_left;
};

struct cre_client {
    cre__transport transport; /* first */
    cre_clients *clients;
    cre_client *next, **previous; /* previous NULL: not in the list */
    cre_connector *connector;     /* while CONNECTING */
    cre_client_options options;   /* what it points to is not valid any more, except `tls` and `tls_name` */
    char *tls_name;
    uint64_t deadline; /* of opening: the loop's time */
    uint8_t phase;     /* cre__client_phase */
    bool paused;
    bool aborted;    /* `closed` is not called */
    bool resume_due; /* deliver `pending` at the end of the turn */
    bool pinged;
    uint32_t pinged_at; /* the loop's time in ms, its lower half */
    /* Received and not delivered, because the client is paused. */
    uint8_t *pending;
    size_t pending_at, pending_end;
    cre_http_client *http;      /* of http.c; NULL: not an HTTP connection */
    cre__client_stream *stream; /* of http2.c; NULL: a connection of its own */
    bool secures_later;         /* TLS begins with cre__client_secure */
    cre_tls_client *outer_tls;  /* with secures_later: TLS from the beginning, around that; NULL: none */
    char *outer_tls_name;
    /* streams */
    cre_framing_config framing_config;
    cre_framing framing;
    /* WebSockets: the handshake */
    char *request, *subprotocols;
    uint8_t *head;
    size_t request_length, head_length, head_capacity;
    char key[24];
    bool offers_deflate;
    cre_ws_deflate_config deflate_config;
    /* WebSockets: afterwards */
    cre_ws_deflate_pool *pool;
    cre_ws_deflate deflate;
    bool compressed;
    bool input_over; /* nothing but the end of the input is expected */
    int failing;     /* the error of an invalid frame, while the owner answers what it received before */
    cre_ws_config ws_config;
    cre_ws_session session;
    cre_ws_send_state sent;
    /* the ending */
    int error;
    uint16_t code, status;
    bool opened, by_server;
    uint16_t text_length;
    char text[CRE_TLS_MESSAGE];
};

static inline cre_client *cre__client_of(cre__transport *transport) {
    return (cre_client *)transport;
}

static inline bool cre__client_live(const cre_client *client) {
    return client->phase == CRE__CLIENT_OPEN || client->phase == CRE__CLIENT_CLOSING;
}

/* ---- client.c ---- */

/* Writes random bytes. False: the system has none. */
bool cre__client_random(cre_clients *clients, void *out, size_t length);
/* A copy of a string, to be freed; NULL: no memory. */
char *cre__client_copy(const char *text);
/* Begins TLS on an open connection, if there is any; calls `opened` again. */
void cre__client_secure(cre_client *client);
/* Before the connection is opened: uses TLS with a proxy, inside of which cre__client_secure begins that with
 * the server. Returns 0 or CRE_ENOMEM. */
int cre__client_set_outer_tls(cre_client *client, cre_tls_client *tls, const char *name);
/* The protocol is ready: calls `opened`. */
void cre__client_opened(cre_client *client, const cre_client_opening *opening);
/* Defers input that is not delivered now. False: no memory; the connection has ended. */
bool cre__client_defer(cre_client *client, const uint8_t *data, const uint8_t *end);
void cre__client_set_text(cre_client *client, const void *text, size_t length);
/* The connection ends: pending output is sent first. */
void cre__client_finish(cre_client *client, int error);
/* The connection ends at once. */
void cre__client_reset(cre_client *client, int error);
/* The time in ms that is left for opening, at least 1. */
uint32_t cre__client_time_left(const cre_client *client);

/* ---- websocket.c ---- */

/* Writes the handshake request. Returns 0 or an error. */
int cre__client_ws_prepare(cre_client *client, const cre_client_options *options);
/* Sends it on the stream that carries the client. */
int cre__client_ws_request(cre_client *client, const cre_client_options *options);
void cre__client_ws_start(cre_client *client);
/* The response of a server over HTTP/2. */
void cre__client_ws_answered(cre_client *client, const cre_http2_event *event);
void cre__client_ws_handshake(cre_client *client, const uint8_t *data, size_t length);
void cre__client_ws_input(cre_client *client, uint8_t *data, size_t length);
void cre__client_ws_received(cre_client *client, size_t length);
void cre__client_ws_ended(cre_client *client);
void cre__client_ws_due(cre_client *client);
int cre__client_ws_close(cre_client *client, uint16_t code, const char *reason, size_t reason_length);
void cre__client_ws_free(cre_client *client);

/* ---- http.c ---- */

/* The input of an open connection has ended (CRE__INPUT_ENDED), or the connection failed. */
void cre__client_http_ended(cre_client *client, int error);
void cre__client_http_due(cre_client *client);
void cre__client_http_free(cre_client *client);
void cre__client_http_set_phase(cre_http_client *http, cre__http_phase next);
/* The connection ends with this error, at once. */
void cre__client_http_fail(cre_http_client *http, int error);
/* Ends a client that has waited in vain for `limit` ms; when it is carried, and its carrier has received
 * nothing meanwhile, the carrier with all that it carries. */
void cre__client_time_out(cre_client *client, uint32_t limit);
/* A request can be sent. */
void cre__client_http_ready(cre_http_client *http);

/* ---- http2.c ---- */

/* The connection is open: begins HTTP/2. */
void cre__client_http2_start(cre_http_client *http);
void cre__client_http2_input(cre_http_client *http, const uint8_t *data, size_t length);
/* The queue is empty: sends output of the session. Returns whether there is more. */
bool cre__client_http2_produce(cre_http_client *http, uint32_t *budget);
/* Says goodbye, sends what is left, and ends the connection. */
void cre__client_http2_leave(cre_http_client *http, int error);
/* The connection has ended with this error, and those that it carries with it. */
void cre__client_http2_ended(cre_http_client *http, int error);
/* Has `by` carry the client. Returns 0 or an error. */
int cre__client_carry(cre_client *client, cre_http_client *by);
/* Sends the head of a request. Returns 0 or an error of cre_http_client_send. */
int cre__client_stream_send(cre_client *client, const cre_http2_request *request, bool final);
int cre__client_stream_send_trailers(cre_client *client, const cre_http_header *fields, size_t count);
void cre__client_stream_carry(cre_client *client);
void cre__client_stream_uncarry(cre_client *client);
void cre__client_stream_free(cre_client *client);

#endif
