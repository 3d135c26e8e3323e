/* TLS between a transport's socket and its owner. Everything here may be called in a build without TLS. */
#ifndef CRE_NET_TLS_H
#define CRE_NET_TLS_H

#include <creactor/tls.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/tls_context.h"

struct cre__transport;
struct iovec;
struct ssl_st;

typedef struct cre__tls_conn {
    struct ssl_st *ssl;
    struct ssl_st *outer;             /* of a client inside of another TLS connection, otherwise NULL */
    struct cre__tls_context *context; /* of a server, otherwise NULL */
    cre_tls_client *client;           /* of a client, otherwise NULL */
    uint8_t *sealed;                  /* encrypted bytes that the socket did not take; NULL: none */
    size_t sealed_start, sealed_end, sealed_capacity;
    unsigned long cause; /* OpenSSL's error that failed it */
    int socket_error;    /* errno of a read, a write or an allocation */
    uint8_t reads_left;  /* reads of the socket in this turn; 0: as if it were empty */
    bool http2 : 1;      /* a server: "h2" is one of the default protocols */
    bool handshaking : 1;
    bool unread : 1;         /* more input may be there that poll does not know of */
    bool ended : 1;          /* the peer will send nothing more */
    bool close_notified : 1; /* it has sent close_notify */
    bool failed : 1;         /* nothing more can be encrypted or decrypted */
    bool shutdown_sent : 1;  /* our close_notify is written */
} cre__tls_conn;

/* Whether the next cre__tls_receive has an end or an error to report, though the socket is empty. */
static inline bool cre__tls_is_over(const cre__tls_conn *tls) {
    return tls->ended || tls->cause || tls->socket_error;
}

/* Makes a new transport use TLS as a server; `http2`: "h2" is preferred among the default protocols. Returns
 * 0 or CRE_ENOMEM. */
int cre__tls_attach(struct cre__transport *transport, cre_tls *tls, bool http2);
/*
 * Makes a new transport use TLS as a client; the handshake begins in the turn in which the transport is
 * started. The server's certificate must be valid for `server_name`, a host name or an address; NULL is
 * possible if any certificate is accepted. Returns 0, CRE_EINVALID for the name, or CRE_ENOMEM.
 */
int cre__tls_attach_client(struct cre__transport *transport, cre_tls_client *client, const char *server_name);
/*
 * Begins TLS as a client inside of an established TLS connection, as with a server behind a proxy. The
 * handshake begins with the next read. Returns 0, CRE_EINVALID for the name, or CRE_ENOMEM.
 */
int cre__tls_nest_client(struct cre__transport *transport, cre_tls_client *client, const char *server_name);
void cre__tls_detach(struct cre__transport *transport);
uint32_t cre__tls_handshake_timeout(const struct cre__transport *transport);
/* The protocol that both sides agreed on, without terminator; 0: none. */
size_t cre__tls_protocol(const struct cre__transport *transport, const char **name);
/* Writes the certificate that the client has presented, in DER and at most CRE_TLS_MAX_CERTIFICATE bytes, to
 * `at`. Returns its length; 0: it has presented none. */
size_t cre__tls_client_certificate(const struct cre__transport *transport, uint8_t *at);
/* Whether the peer itself has ended its output with close_notify. Otherwise an attacker may have cut it off:
 * a message that only the end of the stream ends must not be trusted. Without TLS nothing is authentic. */
bool cre__tls_end_is_authentic(const struct cre__transport *transport);
/* The text of the error that failed it: static, or valid until the next error of OpenSSL. */
const char *cre__tls_cause(const struct cre__transport *transport);

/*
 * Like recv: bytes of plain text; 0 at their end; -1 with errno EAGAIN when there are none now, or when the
 * transport was failed here. The socket is read as often as `reads_left` allows; after that it counts as
 * empty, and poll reports when it is not.
 */
ssize_t cre__tls_receive(struct cre__transport *transport, uint8_t *at, size_t room);
/* Like sendmsg, but encrypted bytes that the socket does not take are kept in `sealed`. Takes all bytes
 * unless it has sealed ones. */
ssize_t cre__tls_send(struct cre__transport *transport, const struct iovec *vectors, size_t count);

/* Sends close_notify once. False: the socket is full, and it or earlier bytes are pending. */
bool cre__tls_shutdown(struct cre__transport *transport);

#endif
