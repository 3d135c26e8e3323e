/*
 * Connections to servers: the connector, and the TLS settings of clients.
 *
 *   static void connected(void *context, int result); // a descriptor, or a negative error
 *
 *   cre_connector *connector;
 *   cre_connect_options options = { .size = sizeof options, .host = "example.com", .port = 443 };
 *   int result = cre_connector_start(loop, &options, connected, context, &connector);
 */
#ifndef CREACTOR_CONNECT_H
#define CREACTOR_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "loop.h"
#include "tls.h"

CRE_BEGIN_DECLS

/** An attempt to connect to one server. */
typedef struct cre_connector cre_connector;

/** Where to connect, and how long to try. `size` and `host` are required; another member of 0 takes its
 * default. */
typedef struct cre_connect_options {
    size_t size; /* sizeof(cre_connect_options) */
    /** An IPv4 or IPv6 address (without brackets), a host name, or "unix:" and a path ("unix:@name" for an
     * abstract socket). */
    const char *host;
    uint16_t port; /* required, except for a Unix socket */
    uint16_t reserved[3];
    uint32_t timeout_ms;    /* for everything, the host name lookup included; 0: 10 s */
    uint32_t head_start_ms; /* head start of each address before the next one is tried as well; 0: 250 ms */
    uint64_t datagram;      /* 1: a UDP socket, which is connected to the first address that works; 0: TCP */
} cre_connect_options;

/**
 * Starts connecting a stream or datagram socket and returns without waiting. A host name is looked up on
 * another thread; "localhost" and names that end in ".localhost" are the loopback addresses. At most 16
 * addresses are tried, IPv6 and IPv4 in turn: the next one starts when the one before fails or its head start
 * is over, and the first connection wins.
 *
 * `connected` is called once, on the loop's thread, and the connector is freed by then. `result` is a
 * non-blocking, close-on-exec descriptor, owned by the callee, with TCP_NODELAY set if it is TCP, or an
 * error: CRE_EHOST_UNKNOWN, CRE_EHOST_LOOKUP, CRE_ENOMEM, -ETIMEDOUT, or the system error of an address.
 *
 * Returns 0 and *connector, or CRE_ECONFIG_SIZE, CRE_EINVALID for a missing or malformed host or port
 * or a datagram socket with a path,
 * -ENAMETOOLONG for a path, CRE_ENOMEM or a system error; then `connected` is never called. The loop must not
 * be destroyed before the connector is done or cancelled. On the loop's thread.
 */
CRE_NODISCARD CRE_API int cre_connector_start(cre_loop *loop, const cre_connect_options *options,
                                              void (*connected)(void *context, int result), void *context,
                                              cre_connector **connector);

/** Aborts and frees a connector whose callback has not been called; the callback is never called then. NULL
 * is ignored. A lookup in progress delays the destruction of the loop until it ends. On the loop's thread. */
CRE_API void cre_connector_stop(cre_connector *connector);

/** The TLS configuration of connections to servers. Any number of connections, loops and threads may share
 * one. */
typedef struct cre_tls_client cre_tls_client;

/** What cre_tls_client_create reads. Everything is borrowed for the call. Only `size` is required. */
typedef struct cre_tls_client_config {
    size_t size; /* sizeof(cre_tls_client_config) */
    /** The authorities that may sign server certificates; empty: those that the system trusts. */
    cre_tls_source authorities;
    /** Accepts any certificate for any host name: encryption without authentication. Not together with
     * `authorities`. */
    bool accept_any_certificate;
    cre_tls_version minimum;       /* the oldest version that is accepted */
    uint32_t handshake_timeout_ms; /* 0: 10 s */
    /** Protocols to offer in ALPN, preferred ones first, separated by commas. NULL or "": no ALPN. */
    const char *protocols;
    /** The client's certificate, then the intermediate ones; empty: none. */
    cre_tls_source certificate;
    /** Its key, without a password; empty: it is in `certificate`. */
    cre_tls_source key;
    /** As in cre_tls_config. */
    const char *ciphers;
    const char *cipher_suites; /* those of TLS 1.3, as in cre_tls_config */
} cre_tls_client_config;

/**
 * Reads authorities, certificate and key. Returns 0 and *client, owned by the caller, or CRE_ECONFIG_SIZE,
 * CRE_ETLS_CONFIG, CRE_ENOMEM, or CRE_EUNSUPPORTED in a build without TLS, and writes the cause, with the
 * name of the file, to `why`, a buffer of CRE_TLS_MESSAGE bytes. Any thread.
 */
CRE_NODISCARD CRE_API int cre_tls_client_create(const cre_tls_client_config *config, cre_tls_client **client,
                                                char *why);

/** Adds an owner and returns `client`. Connections own the configurations they use. NULL is ignored. Any
 * thread. */
CRE_API cre_tls_client *cre_tls_client_retain(cre_tls_client *client);

/** Ends the caller's ownership; the last owner frees the configuration. NULL is ignored. Any thread. */
CRE_API void cre_tls_client_release(cre_tls_client *client);

CRE_END_DECLS

#endif
