/* Listening sockets, and accepting connections on them. */
#ifndef CREACTOR_LISTEN_H
#define CREACTOR_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "loop.h"
#include "tls.h"

CRE_BEGIN_DECLS

/** Where and how to listen. `size` is required; another member of 0 leaves the system's default, unless noted
 * otherwise. Options of connections are inherited by those that are accepted. */
typedef struct cre_listen_options {
    size_t size;      /* sizeof(cre_listen_options) */
    const char *host; /* an IPv4 or IPv6 address ("::" is IPv6 only), or "unix:" and a path; NULL: 0.0.0.0 */
    uint16_t port;    /* 0: any free one */
    bool reuse_port;  /* SO_REUSEPORT: several sockets may listen on the port and share its connections */
    bool datagram;    /* UDP or Unix datagrams instead of streams */
    int backlog;      /* 0: 512, the system may allow fewer */
    cre_tls *tls;     /* cre_engine_listen: retained by the engine; NULL: without TLS */
    int descriptor;   /* > 0: a socket that is already bound, which takes the place of a new one */
    uint32_t permissions; /* of the file of a Unix socket; 0: 0600, only the same user may connect */
    bool keep_alive;      /* the system probes idle connections: TCP_KEEPIDLE, _KEEPINTVL, _KEEPCNT */
    int keep_idle_s, keep_interval_s, keep_count; /* their values; 0: those of the system */
    int fast_open;                                /* TCP_FASTOPEN: length of its queue */
    int defer_accept_s; /* TCP_DEFER_ACCEPT: accept a connection when it has sent data */
    int receive_buffer; /* SO_RCVBUF, SO_SNDBUF: bytes */
    int send_buffer;    /* SO_SNDBUF: bytes; 0: that of the system */
} cre_listen_options;

/**
 * Binds a socket and listens, or prepares options->descriptor. Returns a descriptor, which the caller owns,
 * and sets *bound_port, which may be NULL, to the port. An unused file of a Unix socket is replaced. Any
 * thread.
 *
 * Returns CRE_ECONFIG_SIZE; CRE_EINVALID when the host is no address; -EADDRNOTAVAIL for an address of
 * another machine; -ENAMETOOLONG for a path; -EADDRINUSE, also when a process still serves a Unix socket;
 * -ENOTSOCK when another file is in its place; -EPROTOTYPE when options->descriptor is not of the kind that
 * `datagram` selects; or another system error. The caller keeps options->descriptor then.
 */
CRE_NODISCARD CRE_API int cre_listen(const cre_listen_options *options, uint16_t *bound_port);

/**
 * Binds `count` sockets to one TCP or UDP port, whose connections or clients the system distributes over
 * them. Fills `descriptors`, which the caller owns. Returns 0, or an error as cre_listen, and CRE_EINVALID
 * for a Unix socket or a descriptor in the options.
 *
 * Without options->reuse_port the first socket is bound alone, so that a port that another program uses is an
 * error. The sockets share the port by SO_REUSEPORT then, which lets other programs of the same user bind it,
 * too; but those get nothing, as long as these sockets are open, on systems that let a program choose the
 * receiver (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5 and later). Any thread.
 */
CRE_NODISCARD CRE_API int cre_listen_several(const cre_listen_options *options, int *descriptors,
                                             uint32_t count, uint16_t *bound_port);

/** Removes the file of a Unix socket bound by cre_listen. It must be called before the descriptor is closed;
 * for other sockets it does nothing. Any thread. */
CRE_API void cre_listen_remove(int descriptor);

/** Accepts the connections of one listening socket. */
typedef struct cre_acceptor cre_acceptor;

/**
 * Starts accepting connections on `descriptor`. Each new socket, non-blocking and close-on-exec, is passed to
 * `accepted`, which owns it. Without free descriptors connections are accepted and closed at once, by a
 * descriptor kept in reserve; without memory they wait for a moment. See cre_acceptor_on_failure. Returns 0
 * and *acceptor, which then owns `descriptor`, or CRE_ENOMEM or a system error. On the loop's thread.
 */
CRE_NODISCARD CRE_API int cre_acceptor_start(cre_loop *loop, int descriptor,
                                             void (*accepted)(void *context, int descriptor), void *context,
                                             cre_acceptor **acceptor);

/** From now on reports connections that cannot be served for want of descriptors or memory, on the loop's
 * thread, with the context of `accepted` and a negative system error. `refused`: one connection was closed at
 * once; else accepting pauses, and connections wait in the backlog. On the loop's thread. */
CRE_API void cre_acceptor_on_failure(cre_acceptor *acceptor,
                                     void (*failed)(void *context, int error, bool refused));

/** Accepts the connections that are left in the backlog, closes the descriptor and frees the acceptor. On the
 * loop's thread, but not inside `accepted`. NULL is ignored. */
CRE_API void cre_acceptor_stop(cre_acceptor *acceptor);

CRE_END_DECLS

#endif
