/*
 * TLS for listening ports (OpenSSL 3; a build without it says CRE_EUNSUPPORTED).
 *
 *   char why[CRE_TLS_MESSAGE];
 *   cre_tls_certificate own = { .chain.file = "server.pem", .key.file = "server.key" };
 *   cre_tls *tls;
 *   if (cre_tls_create(&(cre_tls_config){ .certificates = &own, .count = 1 }, &tls, why)) puts(why);
 *   cre_engine_listen(engine, &(cre_listen_options){ .port = 9502, .tls = tls }, NULL);
 *
 * A port that has it speaks TLS 1.2 or 1.3 and is otherwise like any other: the same events, limits and ends.
 */
#ifndef CREACTOR_TLS_H
#define CREACTOR_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** What listening ports need to speak TLS. Any number of ports, engines and threads may share one. */
typedef struct cre_tls cre_tls;

/** Room for the text of an error, its end included. */
#define CRE_TLS_MESSAGE 512

/** PEM text: from a file, or from memory. */
typedef struct cre_tls_source {
    const char *file; /* NULL: the bytes below */
    const void *pem;
    size_t length;
} cre_tls_source;

typedef struct cre_tls_certificate {
    /** The host name it is for, exact or with a wildcard for its first label ("*.example.com"). */
    const char *host;
    cre_tls_source chain; /* the certificate, then those between it and its root */
    cre_tls_source key;   /* without a password; empty: in `chain`, too */
} cre_tls_certificate;

typedef enum cre_tls_clients {
    CRE_TLS_CLIENTS_ANONYMOUS, /* are not asked for certificates */
    CRE_TLS_CLIENTS_OPTIONAL,  /* are asked, and may come without; a certificate that is not good ends the
                                  handshake */
    CRE_TLS_CLIENTS_REQUIRED,
} cre_tls_clients;

typedef enum cre_tls_version {
    CRE_TLS_1_2 = 0,
    CRE_TLS_1_3 = 1,
} cre_tls_version;

/** All is borrowed for the call it is given to. */
typedef struct cre_tls_config {
    /** At least one. The first serves those who ask for no name, or for one that no certificate is for; it
     * needs no `host`. */
    const cre_tls_certificate *certificates;
    size_t count;
    cre_tls_clients clients;
    cre_tls_source client_authorities; /* who may have signed the clients' certificates */
    cre_tls_version minimum;
    /** Protocols offered by ALPN, best first, with commas between. NULL: "http/1.1"; "": whatever a client
     * proposes is passed over. */
    const char *protocols;
    uint32_t handshake_timeout_ms; /* 0: 10 s */
    /** Told of handshakes that failed: the peer's address and the cause. On an engine's thread. May be NULL.
     */
    void (*failed)(void *context, const char *peer, const char *cause);
    void *context;
} cre_tls_config;

/**
 * Reads certificates and keys and checks that they fit. On failure `why`, which has room for CRE_TLS_MESSAGE
 * bytes, says what is wrong and with which file. Returns 0; CRE_ETLS_CONFIG, CRE_ENOMEM, CRE_EUNSUPPORTED.
 * Any thread.
 */
CRE_API int cre_tls_create(const cre_tls_config *config, cre_tls **tls, char *why);

/**
 * Reads them anew. Connections that come from now on get what was read; those that are there keep what they
 * have. Clients may resume their sessions. On failure nothing changes. Results as above. Any thread.
 */
CRE_API int cre_tls_reload(cre_tls *tls, const cre_tls_config *config, char *why);

/** One owner more, one less. Engines are owners of what they use. NULL is ignored. Any thread. */
CRE_API cre_tls *cre_tls_retain(cre_tls *tls);
CRE_API void cre_tls_release(cre_tls *tls);

CRE_END_DECLS

#endif
