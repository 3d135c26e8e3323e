/*
 * TLS for listening ports, on OpenSSL 3; a build without it returns CRE_EUNSUPPORTED.
 *
 *   char why[CRE_TLS_MESSAGE];
 *   cre_tls_certificate own = { .size = sizeof own, .chain.file = "server.pem", .key.file = "server.key" };
 *   cre_tls_config config = { .size = sizeof config, .certificates = &own, .count = 1 };
 *   cre_listen_options where = { .size = sizeof where, .port = 9502 };
 *   if (cre_tls_create(&config, &where.tls, why)) puts(why);
 *
 * Such a port uses TLS 1.2 or 1.3. Events, limits and close reasons are those of any other port.
 */
#ifndef CREACTOR_TLS_H
#define CREACTOR_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** The TLS configuration of listening ports. Any number of ports, engines and threads may share one. */
typedef struct cre_tls cre_tls;

/** The size of the buffer for the text of an error, with its terminator. */
#define CRE_TLS_MESSAGE 512

/** PEM text: from a file, or from memory. A part of other structures, which never grows. */
typedef struct cre_tls_source {
    const char *file; /* NULL: the bytes below */
    const void *pem;  /* PEM text in memory */
    size_t length;    /* of `pem`, in bytes */
} cre_tls_source;

/** A certificate and its key. `size` and `chain` are required. */
typedef struct cre_tls_certificate {
    size_t size; /* sizeof(cre_tls_certificate) */
    /** The host name that selects it, exact or with a wildcard as its first label ("*.example.com"). */
    const char *host;
    cre_tls_source chain; /* the certificate, then the intermediate ones */
    cre_tls_source key;   /* without a password; empty: it is in `chain` */
} cre_tls_certificate;

/** Whether clients present certificates. */
typedef enum cre_tls_clients {
    CRE_TLS_CLIENTS_ANONYMOUS, /* not asked for certificates */
    CRE_TLS_CLIENTS_OPTIONAL,  /* asked, but may have none; an invalid certificate fails the handshake */
    CRE_TLS_CLIENTS_REQUIRED,  /* must have a valid certificate */
} cre_tls_clients;

/** The largest certificate of a client in DER, in bytes. The handshake of a client with a larger one fails.
 */
#define CRE_TLS_MAX_CERTIFICATE 16384u

/** A version of TLS. */
typedef enum cre_tls_version {
    CRE_TLS_1_2 = 0, /* TLS 1.2 */
    CRE_TLS_1_3 = 1, /* TLS 1.3 */
} cre_tls_version;

/** What cre_tls_create and cre_tls_reload read. Everything is borrowed for the call. `size`, `certificates`
 * and `count` are required. */
typedef struct cre_tls_config {
    size_t size; /* sizeof(cre_tls_config) */
    /** At least one. The first serves clients that request no host name or an unknown one; it needs no
     * `host`. */
    const cre_tls_certificate *certificates;
    size_t count;                      /* of the certificates */
    cre_tls_clients clients;           /* whether clients present certificates */
    cre_tls_source client_authorities; /* the authorities that may sign client certificates */
    cre_tls_version minimum;           /* the oldest version that is accepted */
    /** Protocols for ALPN, preferred ones first, separated by commas. NULL: "http/1.1,http/1.0", and before
     * them "h2" on ports that serve HTTP/2; "": ALPN is ignored. A port serves HTTP/2 when "h2" is chosen,
     * unless it has `http1_only`. "h2" is never chosen with a cipher of TLS 1.2 that HTTP/2 prohibits
     * (RFC 9113 section 9.2.2). */
    const char *protocols;
    uint32_t handshake_timeout_ms; /* 0: 10 s */
    /** Called for each failed handshake with the peer's address and the cause, on an engine's thread. May be
     * NULL. */
    void (*failed)(void *context, const char *peer, const char *cause);
    void *context; /* passed to the function above */
    /** The ciphers of TLS 1.2 in OpenSSL's notation, preferred ones first, not with a `minimum` of TLS 1.3.
     * NULL: those with forward secrecy and authenticated encryption. */
    const char *ciphers;
    /** The cipher suites of TLS 1.3, preferred ones first, separated by colons. NULL: all. */
    const char *cipher_suites;
} cre_tls_config;

/**
 * Reads certificates and keys and checks that they match. Returns 0 and *tls, owned by the caller, or
 * CRE_ECONFIG_SIZE, CRE_ETLS_CONFIG, CRE_ENOMEM, or CRE_EUNSUPPORTED in a build without TLS, and writes the
 * cause, with the name of the file, to `why`, a buffer of CRE_TLS_MESSAGE bytes. Any thread.
 */
CRE_NODISCARD CRE_API int cre_tls_create(const cre_tls_config *config, cre_tls **tls, char *why);

/**
 * Reads certificates and keys again, with the results of cre_tls_create. New connections use them; existing
 * ones keep those they have, and clients can still resume their sessions. On failure nothing changes. Any
 * thread.
 */
CRE_NODISCARD CRE_API int cre_tls_reload(cre_tls *tls, const cre_tls_config *config, char *why);

/** Adds an owner and returns `tls`. Engines own the configurations they use. NULL is ignored. Any thread. */
CRE_API cre_tls *cre_tls_retain(cre_tls *tls);

/** Ends the caller's ownership; the last owner frees the configuration. NULL is ignored. Any thread. */
CRE_API void cre_tls_release(cre_tls *tls);

CRE_END_DECLS

#endif
