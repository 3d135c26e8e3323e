/* The TLS configuration of listening ports: certificates by host name, client authorities, protocols. */
#include <creactor/error.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_context.h"

#ifdef CRE_HAVE_TLS
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/config.h"
#include "core/memory.h"
#include "net/tls.h"
#include "net/tls_setup.h"

CRE__CONFIG(cre_tls_config, cipher_suites);
CRE__CONFIG(cre_tls_certificate, key);

#define MAX_NAME 253u

typedef struct named {
    char *host; /* in lower case */
    SSL_CTX *ssl;
} named;

/* As ALPN has them: each behind its length. */
typedef struct protocols {
    uint8_t list[CRE__TLS_PROTOCOLS];
    uint32_t length;
} protocols;

/* The configuration until the next reload; immutable. */
struct cre__tls_context {
    atomic_uint owners;
    uint32_t handshake_timeout_ms;
    SSL_CTX *fallback;
    named *names; /* sorted */
    size_t name_count;
    protocols all, without_http2;
    bool default_protocols;
    void (*failed)(void *context, const char *peer, const char *cause);
    void *failed_context;
};

struct cre_tls {
    atomic_uint owners;
    pthread_mutex_t lock;
    struct cre__tls_context *current;
};

/* Limits the length of a client's certificate, which is passed to handlers. */
static int on_verify(int valid, X509_STORE_CTX *store) {
    if (!valid || X509_STORE_CTX_get_error_depth(store) > 0) return valid;
    int length = i2d_X509(X509_STORE_CTX_get_current_cert(store), NULL);
    if (length > 0 && (unsigned)length <= CRE_TLS_MAX_CERTIFICATE) return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int use_authorities(SSL_CTX *ssl, const cre_tls_config *config, char *why) {
    if (config->clients == CRE_TLS_CLIENTS_ANONYMOUS) return 0;
    if (!cre__tls_is_given(&config->client_authorities))
        return cre__tls_refuse(
            why, "certificates of clients cannot be checked without an authority that signs them");
    cre__pem text;
    size_t count = 0;
    unsigned char digest[SHA256_DIGEST_LENGTH] = { 0 };
    int result = cre__pem_open(&config->client_authorities, "the client authorities in memory", &text, why);
    for (X509 *authority; !result && (authority = cre__pem_next(&text)); count++) {
        if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), authority) ||
            !SSL_CTX_add_client_CA(ssl, authority))
            result = cre__tls_refuse(why, "%s: %s", text.name, cre__tls_reason());
        X509_free(authority);
    }
    if (!result) result = cre__pem_ended(&text, count, why);
    if (!result) {
        const void *bytes = text.bytes ? text.bytes : config->client_authorities.pem;
        SHA256(bytes, text.bytes ? text.length : config->client_authorities.length, digest);
        /* A session that was begun under other rules must not be resumed: it would escape the check. */
        digest[0] ^= (unsigned char)config->clients;
        SSL_CTX_set_session_id_context(ssl, digest, sizeof digest);
        int mode = SSL_VERIFY_PEER;
        if (config->clients == CRE_TLS_CLIENTS_REQUIRED) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        SSL_CTX_set_verify(ssl, mode, on_verify);
    }
    cre__pem_close(&text);
    return result;
}

/* ---- what a handshake asks ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(((const named *)a)->host, ((const named *)b)->host);
}

static SSL_CTX *find_name(const struct cre__tls_context *context, char *host) {
    named key = { .host = host };
    const named *found =
        bsearch(&key, context->names, context->name_count, sizeof *context->names, compare_names);
    return found ? found->ssl : NULL;
}

static void lower(char *text) {
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z') *text = (char)(*text | 0x20);
}

static int on_server_name(SSL *ssl, int *alert, void *argument) {
    const struct cre__tls_context *context = argument;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    if (!asked) return SSL_TLSEXT_ERR_OK;
    size_t length = strlen(asked);
    if (length > MAX_NAME) return SSL_TLSEXT_ERR_NOACK;
    char name[MAX_NAME + 1];
    memcpy(name, asked, length + 1);
    lower(name);
    if (length && name[length - 1] == '.') name[length - 1] = 0;
    SSL_CTX *found = find_name(context, name);
    char *dot = strchr(name, '.');
    if (!found && dot && dot > name) { /* a wildcard stands for one label */
        dot[-1] = '*';
        found = find_name(context, dot - 1);
    }
    if (found) SSL_set_SSL_CTX(ssl, found);
    return SSL_TLSEXT_ERR_OK;
}

static bool is_http2(const unsigned char *protocol) {
    return protocol[0] == 2 && memcmp(&protocol[1], "h2", 2) == 0;
}

static bool offers_http2(const unsigned char *offered, unsigned length) {
    for (unsigned i = 0; i < length; i += 1u + offered[i])
        if (length - i > 2 && is_http2(&offered[i])) return true;
    return false;
}

static void drop_http2(const protocols *from, protocols *to) {
    for (uint32_t i = 0; i < from->length; i += 1u + from->list[i]) {
        if (is_http2(&from->list[i])) continue;
        memcpy(&to->list[to->length], &from->list[i], 1u + from->list[i]);
        to->length += 1u + from->list[i];
    }
}

/* Whether HTTP/2 permits the cipher (RFC 9113 section 9.2.2): one of TLS 1.3, or one of TLS 1.2 that encrypts
 * and authenticates in one step, with keys of this connection only. Clients end connections that have others.
 */
static bool suits_http2(const SSL_CIPHER *cipher) {
    int exchange = SSL_CIPHER_get_kx_nid(cipher);
    if (exchange == NID_kx_any) return true; /* TLS 1.3 */
    bool ephemeral = exchange == NID_kx_ecdhe || exchange == NID_kx_dhe || exchange == NID_kx_ecdhe_psk ||
                     exchange == NID_kx_dhe_psk;
    return ephemeral && SSL_CIPHER_is_aead(cipher) && SSL_CIPHER_get_auth_nid(cipher) != NID_auth_null;
}

static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                        const unsigned char *offered, unsigned offered_length, void *argument) {
    const struct cre__tls_context *context = argument;
    unsigned char *out = NULL;
    const cre__tls_conn *tls = SSL_get_app_data(ssl);
    bool suits = suits_http2(SSL_get_pending_cipher(ssl));
    if (suits && context->default_protocols && tls->http2 && offers_http2(offered, offered_length)) {
        *chosen = (const unsigned char *)"h2";
        *chosen_length = 2;
        return SSL_TLSEXT_ERR_OK;
    }
    const protocols *own = suits ? &context->all : &context->without_http2;
    if (!own->length) return SSL_TLSEXT_ERR_ALERT_FATAL;
    int result = SSL_select_next_proto(&out, chosen_length, own->list, own->length, offered, offered_length);
    *chosen = out;
    /* Going on with a protocol that the client did not offer would only fail later, and less clearly. */
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- contexts ---- */

static int new_ssl(struct cre__tls_context *context, const cre_tls_config *config,
                   const cre_tls_certificate *certificate, SSL_CTX **out, char *why) {
    int result = cre__tls_new_ssl(TLS_server_method(), config->minimum, out, why);
    SSL_CTX *ssl = *out;
    if (!result)
        result = cre__tls_set_ciphers(ssl, config->minimum, config->ciphers, config->cipher_suites, why);
    if (result) return result;
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* Sessions are resumed by tickets, which need no memory here. */
    static const unsigned char session_context[] = "creactor";
    SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1);
    if (context->all.length) SSL_CTX_set_alpn_select_cb(ssl, on_protocols, context);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, context);
    result = cre__tls_use_certificate(ssl, &certificate->chain, &certificate->key, why);
    return result ? result : use_authorities(ssl, config, why);
}

void cre__tls_context_release(struct cre__tls_context *context) {
    if (!context || atomic_fetch_sub_explicit(&context->owners, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < context->name_count; i++) {
        cre__free(context->names[i].host);
        SSL_CTX_free(context->names[i].ssl);
    }
    cre__free(context->names);
    SSL_CTX_free(context->fallback);
    cre__free(context);
}

static int add_name(struct cre__tls_context *context, const char *host, SSL_CTX *ssl, char *why) {
    size_t length = strlen(host);
    const char *label = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    if (!*label || length > MAX_NAME || strchr(label, '*'))
        return cre__tls_refuse(
            why, "\"%s\" is not a host name; a wildcard stands for the first label, as in *.example.com",
            host);
    char *copy = cre__malloc(length + 1);
    if (!copy) return cre__tls_no_memory(why);
    memcpy(copy, host, length + 1);
    lower(copy);
    for (size_t i = 0; i < context->name_count; i++) {
        if (strcmp(context->names[i].host, copy) != 0) continue;
        cre__free(copy);
        return cre__tls_refuse(why, "there are two certificates for the host %s", host);
    }
    SSL_CTX_up_ref(ssl);
    context->names[context->name_count++] = (named){ copy, ssl };
    return 0;
}

static int new_context(const cre_tls_config *given, struct cre__tls_context **out, char *why) {
    cre_tls_config own;
    const cre_tls_config *config = &own;
    int result = cre__tls_take_config(&own, sizeof own, given, 0, why);
    if (result) return result;
    if (!own.count) return cre__tls_refuse(why, "TLS needs a certificate");
    struct cre__tls_context *context = cre__calloc(1, sizeof *context);
    if (!context) return cre__tls_no_memory(why);
    atomic_init(&context->owners, 1);
    context->handshake_timeout_ms = config->handshake_timeout_ms ? config->handshake_timeout_ms : 10000;
    context->failed = config->failed;
    context->failed_context = config->context;
    context->default_protocols = !config->protocols;
    context->names = cre__calloc(config->count, sizeof *context->names);
    result = context->names
                 ? cre__tls_set_protocols(config->protocols ? config->protocols : "http/1.1,http/1.0",
                                          context->all.list, &context->all.length, why)
                 : cre__tls_no_memory(why);
    drop_http2(&context->all, &context->without_http2);
    for (size_t i = 0; !result && i < config->count; i++) {
        cre_tls_certificate certificate;
        SSL_CTX *ssl = NULL;
        result = cre__tls_take_config(&certificate, sizeof certificate, config->certificates, i, why);
        if (!result) result = new_ssl(context, config, &certificate, &ssl, why);
        if (!result && certificate.host) result = add_name(context, certificate.host, ssl, why);
        if (!result && i && !certificate.host)
            result = cre__tls_refuse(why, "a further certificate has no host name");
        if (!result && !i)
            context->fallback = ssl;
        else
            SSL_CTX_free(ssl);
    }
    if (result) {
        cre__tls_context_release(context);
        return result;
    }
    qsort(context->names, context->name_count, sizeof *context->names, compare_names);
    *out = context;
    return 0;
}

struct cre__tls_context *cre__tls_current(cre_tls *tls) {
    pthread_mutex_lock(&tls->lock);
    struct cre__tls_context *context = tls->current;
    atomic_fetch_add_explicit(&context->owners, 1, memory_order_relaxed);
    pthread_mutex_unlock(&tls->lock);
    return context;
}

struct ssl_ctx_st *cre__tls_context_default(const struct cre__tls_context *context) {
    return context->fallback;
}

uint32_t cre__tls_context_timeout(const struct cre__tls_context *context) {
    return context->handshake_timeout_ms;
}

void cre__tls_context_report(const struct cre__tls_context *context, const char *peer, const char *cause) {
    if (context->failed) context->failed(context->failed_context, peer, cause);
}

/* ---- the public face ---- */

int cre_tls_create(const cre_tls_config *config, cre_tls **out, char *why) {
    cre_tls *tls = cre__calloc(1, sizeof *tls);
    if (!tls) return cre__tls_no_memory(why);
    int result = new_context(config, &tls->current, why);
    if (result) {
        cre__free(tls);
        return result;
    }
    atomic_init(&tls->owners, 1);
    pthread_mutex_init(&tls->lock, NULL);
    *out = tls;
    return 0;
}

/* Whoever has a ticket of the old context may still come with it. */
static void keep_ticket_keys(const struct cre__tls_context *from, struct cre__tls_context *to) {
    unsigned char keys[256];
    long size = SSL_CTX_get_tlsext_ticket_keys(from->fallback, NULL, 0);
    if (size <= 0 || (size_t)size > sizeof keys) return;
    if (SSL_CTX_get_tlsext_ticket_keys(from->fallback, keys, size) == 1)
        SSL_CTX_set_tlsext_ticket_keys(to->fallback, keys, size);
    OPENSSL_cleanse(keys, sizeof keys);
}

int cre_tls_reload(cre_tls *tls, const cre_tls_config *config, char *why) {
    struct cre__tls_context *fresh;
    int result = new_context(config, &fresh, why);
    if (result) return result;
    pthread_mutex_lock(&tls->lock);
    struct cre__tls_context *old = tls->current;
    keep_ticket_keys(old, fresh);
    tls->current = fresh;
    pthread_mutex_unlock(&tls->lock);
    cre__tls_context_release(old);
    return 0;
}

cre_tls *cre_tls_retain(cre_tls *tls) {
    if (tls) atomic_fetch_add_explicit(&tls->owners, 1, memory_order_relaxed);
    return tls;
}

void cre_tls_release(cre_tls *tls) {
    if (!tls || atomic_fetch_sub_explicit(&tls->owners, 1, memory_order_acq_rel) != 1) return;
    cre__tls_context_release(tls->current);
    pthread_mutex_destroy(&tls->lock);
    cre__free(tls);
}

#else

static int unsupported(char *why) {
    snprintf(why, CRE_TLS_MESSAGE, "this build has no TLS");
    return CRE_EUNSUPPORTED;
}

int cre_tls_create(const cre_tls_config *config, cre_tls **out, char *why) {
    (void)config;
    (void)out;
    return unsupported(why);
}

int cre_tls_reload(cre_tls *tls, const cre_tls_config *config, char *why) {
    (void)tls;
    (void)config;
    return unsupported(why);
}

cre_tls *cre_tls_retain(cre_tls *tls) {
    return tls;
}

void cre_tls_release(cre_tls *tls) {
    (void)tls;
}

#endif
