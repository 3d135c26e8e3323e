/* Listening sockets and accepting on them. */
#ifndef CREACTOR_LISTEN_H
#define CREACTOR_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "export.h"
#include "loop.h"
#include "tls.h"

CRE_BEGIN_DECLS

/** Where to listen, and how. A member of 0 leaves things as the system has them, unless something else is
 * said. What concerns connections is handed down to those that are accepted. */
typedef struct cre_listen_options {
    const char *host; /* an IPv4 or IPv6 address ("::" is IPv6 only), or "unix:" and a path; NULL: 0.0.0.0 */
    uint16_t port;    /* 0: any free one */
    int backlog;      /* 0: 512, the system may allow fewer */
    bool reuse_port;  /* SO_REUSEPORT: several sockets may listen on the port and share its connections */
    cre_tls *tls;     /* NULL: without TLS */
    bool datagram;    /* UDP or Unix datagrams instead of streams */
    int descriptor;   /* > 0: a socket that was bound elsewhere is used and owned instead, if it fits */
    uint32_t permissions; /* of the file of a Unix socket; 0: 0600, only the same user may connect */
    bool keep_alive;      /* the system probes idle connections; these three as TCP_KEEPIDLE... */
    int keep_idle_s, keep_interval_s, keep_count;
    int fast_open;      /* TCP_FASTOPEN: the length of its queue */
    int defer_accept_s; /* TCP_DEFER_ACCEPT: a connection is accepted when it has sent something */
    int receive_buffer; /* SO_RCVBUF, SO_SNDBUF: bytes */
    int send_buffer;
} cre_listen_options;

/**
 * Binds and listens. Returns a descriptor, which the caller owns, or a negative system error. *bound_port is
 * the port (useful with port 0); may be NULL. The file of a Unix socket that nobody serves any more is
 * replaced; -EADDRINUSE when somebody does. Any thread.
 */
CRE_API int cre_listen(const cre_listen_options *options, uint16_t *bound_port);

/** Removes the file of a Unix socket that cre_listen has bound; call it before the descriptor is closed.
 * Other sockets have none. */
CRE_API void cre_listen_remove(int descriptor);

typedef struct cre_acceptor cre_acceptor;

/**
 * Accepts on `descriptor` and hands each new socket, non-blocking and close-on-exec, to `accepted`, who owns
 * it. Without descriptors or memory it rests for a moment and tries again. Owns `descriptor` when this
 * returns 0; cre_acceptor_stop takes what the backlog still holds and closes it. On the loop's thread; not
 * inside `accepted`.
 */
CRE_API int cre_acceptor_start(cre_loop *loop, int descriptor,
                               void (*accepted)(void *context, int descriptor), void *context,
                               cre_acceptor **acceptor);
CRE_API void cre_acceptor_stop(cre_acceptor *acceptor);

CRE_END_DECLS

#endif
