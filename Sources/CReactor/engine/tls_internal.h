/* TLS between a connection's socket and its protocol. What is here may be called in a build without it. */
#ifndef CRE_ENGINE_TLS_INTERNAL_H
#define CRE_ENGINE_TLS_INTERNAL_H

#include <creactor/engine.h>
#include <creactor/tls.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/tls_context.h"

struct cre__conn;
struct iovec;
struct ssl_st;

/* A connection's own part. */
typedef struct cre__tls_conn {
    struct ssl_st *ssl;
    struct cre__tls_context *context;
    uint8_t *sealed; /* encrypted bytes that the socket did not take; NULL: none */
    size_t sealed_start, sealed_end, sealed_capacity;
    unsigned long cause; /* OpenSSL's error that ended it */
    int socket_error;    /* errno of a read, a write or an allocation */
    uint8_t reads_left;  /* reads of the socket in this turn; 0: as if it were empty */
    bool handshaking : 1;
    bool unread : 1;     /* more input may be there that poll does not know of */
    bool ended : 1;      /* the peer has said that nothing follows */
    bool failed : 1;     /* nothing more can be encrypted or decrypted */
    bool took_leave : 1; /* our close_notify is written */
} cre__tls_conn;

/* Whether the next cre__tls_receive has something to say, though the socket is empty. */
static inline bool cre__tls_is_over(const cre__tls_conn *tls) {
    return tls->ended || tls->cause || tls->socket_error;
}

/* ---- connections ---- */

/* Makes the connection, which is new, speak TLS. 0 or CRE_ENOMEM. */
int cre__tls_attach(struct cre__conn *conn, cre_tls *tls);
void cre__tls_detach(struct cre__conn *conn);
uint32_t cre__tls_handshake_timeout(const struct cre__conn *conn);

/*
 * As recv: bytes of plain text; 0 at their end; -1 with errno EAGAIN when there are none now, or when the
 * connection was ended here. The socket is read as often as `reads_left` allows; after that it counts as
 * empty, and poll tells when it is not.
 */
ssize_t cre__tls_receive(struct cre__conn *conn, uint8_t *at, size_t room);
/* As sendmsg, but what it encrypted and the socket did not take waits here: see `sealed`. It takes all bytes
 * unless something waits. */
ssize_t cre__tls_send(struct cre__conn *conn, const struct iovec *vectors, size_t count);

/* Says good-bye once. False: the socket is full, so that it, or what was before it, waits. */
bool cre__tls_leave(struct cre__conn *conn);

/* ---- engines ---- */

/* What speaks TLS on a port; NULL: nothing. */
cre_tls *cre__tls_of_port(const cre_engine *engine, uint16_t port);
int cre__tls_copy_ports(cre_engine *engine);
void cre__tls_free_ports(cre_engine *engine);

#endif
