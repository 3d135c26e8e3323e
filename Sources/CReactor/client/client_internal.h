/* Clients: what the life of a connection and its protocols share. */
#ifndef CRE_CLIENT_INTERNAL_H
#define CRE_CLIENT_INTERNAL_H

#include <creactor/client.h>
#include <creactor/http_client.h>
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
    cre_http_client *http;     /* of http.c; NULL: not an HTTP connection */
    bool secures_later;        /* TLS begins with cre__client_secure */
    cre_tls_client *outer_tls; /* with secures_later: TLS from the beginning, around that; NULL: none */
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
/* Keeps input that is not delivered now. False: no memory; the connection has ended. */
bool cre__client_keep(cre_client *client, const uint8_t *data, const uint8_t *end);
void cre__client_set_text(cre_client *client, const void *text, size_t length);
/* The connection ends: pending output is sent first. */
void cre__client_finish(cre_client *client, int error);
/* The connection ends at once. */
void cre__client_reset(cre_client *client, int error);

/* ---- websocket.c ---- */

/* Writes the handshake request. Returns 0 or an error. */
int cre__client_ws_prepare(cre_client *client, const cre_client_options *options);
void cre__client_ws_start(cre_client *client);
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

#endif
