/* Settings that the TLS contexts of servers and of clients share, and reading PEM. */
#ifndef CRE_NET_TLS_SETUP_H
#define CRE_NET_TLS_SETUP_H

#include <creactor/tls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef CRE_HAVE_TLS
#include <openssl/ssl.h>

/* The longest list of protocols, in the form of ALPN: each name behind its length. */
#define CRE__TLS_PROTOCOLS 256u

/* Write the cause to `why` and return CRE_ETLS_CONFIG or CRE_ENOMEM. OpenSSL's errors are cleared. */
CRE_PRINTF(2, 3) int cre__tls_refuse(char *why, const char *format, ...);
int cre__tls_no_memory(char *why);
/* The text of OpenSSL's last error. */
const char *cre__tls_reason(void);

/* Empties `why` and copies a configuration, the one at `index` of an array, as cre__config_take_at does. */
int cre__tls_take_config(void *to, size_t known, const void *from, size_t index, char *why);

typedef struct cre__pem {
    const char *name; /* for messages */
    BIO *bio;
    uint8_t *bytes; /* of a file, owned; NULL: the bytes of the source */
    size_t length;
} cre__pem;

bool cre__tls_is_given(const cre_tls_source *source);

/* `what` names a source in memory. On failure, too, *out may be closed. */
int cre__pem_open(const cre_tls_source *source, const char *what, cre__pem *out, char *why);
void cre__pem_close(cre__pem *text);
/* The next certificate, owned by the caller; NULL after the last one, or at a damaged one. */
X509 *cre__pem_next(cre__pem *text);
/* After the last one: fails if the text did not end there, or `count` is 0. */
int cre__pem_ended(const cre__pem *text, size_t count, char *why);

/* Reads a certificate chain and its key, which may be in the text of the chain. */
int cre__tls_use_certificate(SSL_CTX *ssl, const cre_tls_source *certificate, const cre_tls_source *key,
                             char *why);
int cre__tls_set_protocols(const char *protocols, uint8_t out[CRE__TLS_PROTOCOLS], uint32_t *length,
                           char *why);
/* Replaces the lists of ciphers of a context; NULL: the one that it has. */
int cre__tls_set_ciphers(SSL_CTX *ssl, cre_tls_version minimum, const char *ciphers, const char *suites,
                         char *why);
/* Creates *ssl with the settings of both roles. *ssl is owned by the caller on failure, too; NULL: none. */
int cre__tls_new_ssl(const SSL_METHOD *method, cre_tls_version minimum, SSL_CTX **ssl, char *why);
#endif

#endif
