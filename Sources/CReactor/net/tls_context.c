/* Certificates, keys and what else belongs to a port that speaks TLS. */
#include <creactor/error.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_context.h"

#ifdef CRE_HAVE_TLS
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/memory.h"

#define MAX_FILE      (1u << 20) /* bytes; a bundle of all public authorities is a fifth of that */
#define MAX_PROTOCOLS 256u
#define MAX_NAME      253u

/* Forward secrecy and authenticated encryption, nothing else; those of TLS 1.3 are all of that kind. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* A read of the socket may take that much at once. The buffer is there only while input is. */
#define READ_BUFFER 32768

typedef struct named {
    char *host; /* in lower case */
    SSL_CTX *ssl;
} named;

/* What a port speaks TLS with, until it is reloaded. Never changed once it is there. */
struct cre__tls_context {
    atomic_uint owners;
    uint32_t handshake_timeout_ms;
    SSL_CTX *fallback;
    named *names; /* sorted */
    size_t name_count;
    uint8_t protocols[MAX_PROTOCOLS]; /* as ALPN has them: each behind its length */
    uint32_t protocols_length;
    void (*failed)(void *context, const char *peer, const char *cause);
    void *failed_context;
};

struct cre_tls {
    atomic_uint owners;
    pthread_mutex_t lock;
    struct cre__tls_context *current;
};

/* ---- errors ---- */

CRE_PRINTF(2, 3) static int refuse(char *why, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, CRE_TLS_MESSAGE, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return CRE_ETLS_CONFIG;
}

static int no_memory(char *why) {
    snprintf(why, CRE_TLS_MESSAGE, "%s", cre_error_message(CRE_ENOMEM));
    ERR_clear_error();
    return CRE_ENOMEM;
}

static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown error";
}

static bool at_end_of_pem(void) {
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* ---- PEM ---- */

typedef struct pem {
    const char *name; /* for messages */
    BIO *bio;
    uint8_t *bytes; /* a file's, ours */
    size_t length;
} pem;

static int read_file(const char *file, pem *out, char *why) {
    int descriptor = open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return refuse(why, "%s: %s", file, cre_error_message(-errno));
    int result = 0;
    for (size_t capacity = 0; !result;) {
        if (out->length == capacity) {
            size_t larger = capacity ? capacity * 2 : 16384;
            uint8_t *grown = capacity < MAX_FILE ? OPENSSL_clear_realloc(out->bytes, capacity, larger) : NULL;
            if (!grown) {
                result =
                    capacity < MAX_FILE ? no_memory(why) : refuse(why, "%s: not a PEM file: too large", file);
                break;
            }
            out->bytes = grown;
            capacity = larger;
        }
        ssize_t got = read(descriptor, out->bytes + out->length, capacity - out->length);
        if (got == 0) break;
        if (got > 0)
            out->length += (size_t)got;
        else if (errno != EINTR)
            result = refuse(why, "%s: %s", file, cre_error_message(-errno));
    }
    close(descriptor);
    return result;
}

static int pem_open(const cre_tls_source *source, const char *what, pem *out, char *why) {
    *out = (pem){ .name = source->file ? source->file : what };
    int result = source->file ? read_file(source->file, out, why) : 0;
    if (result) return result;
    const void *bytes = source->file ? out->bytes : source->pem;
    out->bio = BIO_new_mem_buf(bytes ? bytes : "", (int)(source->file ? out->length : source->length));
    return out->bio ? 0 : no_memory(why);
}

/* Keys do not stay in memory that is given back. */
static void pem_close(pem *text) {
    BIO_free(text->bio);
    OPENSSL_clear_free(text->bytes, text->length);
}

static bool is_given(const cre_tls_source *source) {
    return source->file || source->length;
}

/* Nobody is there to type one: without this OpenSSL would ask the terminal. */
static int no_password(char *buffer, int size, int writing, void *asked) {
    (void)buffer;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static X509 *next_certificate(pem *text) {
    bool asked;
    return PEM_read_bio_X509(text->bio, NULL, no_password, &asked);
}

/* After the last one: whether the text ended there, and did not break off. */
static int certificates_ended(const pem *text, size_t count, char *why) {
    if (!at_end_of_pem()) return refuse(why, "%s: damaged certificate: %s", text->name, openssl_reason());
    if (!count) return refuse(why, "%s: there is no certificate in it", text->name);
    ERR_clear_error();
    return 0;
}

static int use_chain(SSL_CTX *ssl, pem *text, char *why) {
    size_t count = 0;
    for (X509 *certificate; (certificate = next_certificate(text)); count++) {
        int used =
            count ? SSL_CTX_add0_chain_cert(ssl, certificate) : SSL_CTX_use_certificate(ssl, certificate);
        if (!count || !used) X509_free(certificate);
        if (!used) return refuse(why, "%s: %s", text->name, openssl_reason());
    }
    return certificates_ended(text, count, why);
}

static int use_key(SSL_CTX *ssl, pem *key, const char *chain, char *why) {
    char *bytes;
    long length = BIO_get_mem_data(key->bio, &bytes);
    /* Asked first, because OpenSSL's own words on it differ from one kind of file to the other. */
    if (!memmem(bytes, (size_t)length, "PRIVATE KEY-----", 16))
        return refuse(why, "%s: there is no private key in it", key->name);
    bool asked = false;
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key->bio, NULL, no_password, &asked);
    if (!pkey && asked)
        return refuse(why, "%s: the private key has a password; one without is needed", key->name);
    if (!pkey) return refuse(why, "%s: damaged private key: %s", key->name, openssl_reason());
    bool fits = SSL_CTX_use_PrivateKey(ssl, pkey) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(pkey);
    return fits ? 0
                : refuse(why, "%s: the private key does not belong to the certificate in %s", key->name,
                         chain);
}

static int use_certificate(SSL_CTX *ssl, const cre_tls_certificate *certificate, char *why) {
    pem chain, key;
    int result = pem_open(&certificate->chain, "the certificate in memory", &chain, why);
    if (!result) result = use_chain(ssl, &chain, why);
    if (!result) {
        bool own = is_given(&certificate->key);
        result =
            pem_open(own ? &certificate->key : &certificate->chain, "the private key in memory", &key, why);
        if (!result) result = use_key(ssl, &key, chain.name, why);
        pem_close(&key);
    }
    pem_close(&chain);
    return result;
}

static int use_authorities(SSL_CTX *ssl, const cre_tls_config *config, char *why) {
    if (config->clients == CRE_TLS_CLIENTS_ANONYMOUS) return 0;
    if (!is_given(&config->client_authorities))
        return refuse(why, "certificates of clients cannot be checked without an authority that signs them");
    pem text;
    size_t count = 0;
    unsigned char digest[SHA256_DIGEST_LENGTH] = { 0 };
    int result = pem_open(&config->client_authorities, "the client authorities in memory", &text, why);
    for (X509 *authority; !result && (authority = next_certificate(&text)); count++) {
        if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), authority) ||
            !SSL_CTX_add_client_CA(ssl, authority))
            result = refuse(why, "%s: %s", text.name, openssl_reason());
        X509_free(authority);
    }
    if (!result) result = certificates_ended(&text, count, why);
    if (!result) {
        const void *bytes = text.bytes ? text.bytes : config->client_authorities.pem;
        SHA256(bytes, text.bytes ? text.length : config->client_authorities.length, digest);
        /* A session that was begun under other rules must not be resumed: it would escape the check. */
        digest[0] ^= (unsigned char)config->clients;
        SSL_CTX_set_session_id_context(ssl, digest, sizeof digest);
        int mode = SSL_VERIFY_PEER;
        if (config->clients == CRE_TLS_CLIENTS_REQUIRED) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        SSL_CTX_set_verify(ssl, mode, NULL);
    }
    pem_close(&text);
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

static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                        const unsigned char *offered, unsigned offered_length, void *argument) {
    const struct cre__tls_context *context = argument;
    unsigned char *out = NULL;
    (void)ssl;
    int result = SSL_select_next_proto(&out, chosen_length, context->protocols, context->protocols_length,
                                       offered, offered_length);
    *chosen = out;
    /* Going on with a protocol that the client did not offer would only fail later, and less clearly. */
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int set_protocols(struct cre__tls_context *context, const char *protocols, char *why) {
    if (!protocols) protocols = "http/1.1";
    while (*protocols) {
        size_t length = strcspn(protocols, ",");
        if (!length || length > 255 || context->protocols_length + length + 1 > MAX_PROTOCOLS)
            return refuse(why, "the list of protocols has an empty or a too long name");
        context->protocols[context->protocols_length++] = (uint8_t)length;
        memcpy(context->protocols + context->protocols_length, protocols, length);
        context->protocols_length += (uint32_t)length;
        protocols += length + (protocols[length] == ',');
    }
    return 0;
}

/* ---- contexts ---- */

static int new_ssl(struct cre__tls_context *context, const cre_tls_config *config,
                   const cre_tls_certificate *certificate, SSL_CTX **out, char *why) {
    SSL_CTX *ssl = *out = SSL_CTX_new(TLS_server_method());
    if (!ssl) return no_memory(why);
    SSL_CTX_set_min_proto_version(ssl, config->minimum == CRE_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    /* An end of the stream without a good-bye is common, and what is above knows where a message ends. */
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, READ_BUFFER);
    /* Sessions are resumed by tickets, which need no memory here. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    static const unsigned char session_context[] = "creactor";
    SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1);
    if (!SSL_CTX_set_cipher_list(ssl, CIPHERS)) return refuse(why, "%s", openssl_reason());
    if (context->protocols_length) SSL_CTX_set_alpn_select_cb(ssl, on_protocols, context);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, context);
    int result = use_certificate(ssl, certificate, why);
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
        return refuse(why,
                      "\"%s\" is not a host name; a wildcard stands for the first label, as in *.example.com",
                      host);
    char *copy = cre__malloc(length + 1);
    if (!copy) return no_memory(why);
    memcpy(copy, host, length + 1);
    lower(copy);
    for (size_t i = 0; i < context->name_count; i++) {
        if (strcmp(context->names[i].host, copy) != 0) continue;
        cre__free(copy);
        return refuse(why, "there are two certificates for the host %s", host);
    }
    SSL_CTX_up_ref(ssl);
    context->names[context->name_count++] = (named){ copy, ssl };
    return 0;
}

static int new_context(const cre_tls_config *config, struct cre__tls_context **out, char *why) {
    why[0] = 0;
    if (!config->count) return refuse(why, "TLS needs a certificate");
    struct cre__tls_context *context = cre__calloc(1, sizeof *context);
    if (!context) return no_memory(why);
    atomic_init(&context->owners, 1);
    context->handshake_timeout_ms = config->handshake_timeout_ms ? config->handshake_timeout_ms : 10000;
    context->failed = config->failed;
    context->failed_context = config->context;
    context->names = cre__calloc(config->count, sizeof *context->names);
    int result = context->names ? set_protocols(context, config->protocols, why) : no_memory(why);
    for (size_t i = 0; !result && i < config->count; i++) {
        const cre_tls_certificate *certificate = &config->certificates[i];
        SSL_CTX *ssl;
        result = new_ssl(context, config, certificate, &ssl, why);
        if (!result && certificate->host) result = add_name(context, certificate->host, ssl, why);
        if (!result && i && !certificate->host)
            result = refuse(why, "a further certificate has no host name");
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

void cre__tls_context_tell(const struct cre__tls_context *context, const char *peer, const char *cause) {
    if (context->failed) context->failed(context->failed_context, peer, cause);
}

/* ---- the public face ---- */

int cre_tls_create(const cre_tls_config *config, cre_tls **out, char *why) {
    cre_tls *tls = cre__calloc(1, sizeof *tls);
    if (!tls) return no_memory(why);
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
