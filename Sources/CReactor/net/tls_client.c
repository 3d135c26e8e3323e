/* The TLS configuration of connections to servers. */
#include <creactor/connect.h>
#include <creactor/error.h>
#include <stdio.h>

#include "net/tls_context.h"

#ifdef CRE_HAVE_TLS
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>

#include "core/config.h"
#include "core/memory.h"
#include "net/tls_setup.h"

CRE__CONFIG(cre_tls_client_config, cipher_suites);

#define MAX_NAME     253u
#define HANDSHAKE_MS 10000u

struct cre_tls_client {
    atomic_uint owners;
    SSL_CTX *ssl;
    uint32_t handshake_timeout_ms;
    bool accept_any_certificate;
};

/* ---- creating ---- */

static int use_authorities(SSL_CTX *ssl, const cre_tls_source *source, char *why) {
    cre__pem text;
    size_t count = 0;
    int result = cre__pem_open(source, "the authorities in memory", &text, why);
    for (X509 *authority; !result && (authority = cre__pem_next(&text)); count++) {
        if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), authority))
            result = cre__tls_refuse(why, "%s: %s", text.name, cre__tls_reason());
        X509_free(authority);
    }
    if (!result) result = cre__pem_ended(&text, count, why);
    cre__pem_close(&text);
    return result;
}

static int set_verification(SSL_CTX *ssl, const cre_tls_client_config *config, char *why) {
    bool own = cre__tls_is_given(&config->authorities);
    if (config->accept_any_certificate) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return own ? cre__tls_refuse(why, "authorities must be empty with accept_any_certificate") : 0;
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (own) return use_authorities(ssl, &config->authorities, why);
    if (SSL_CTX_set_default_verify_paths(ssl) == 1) return 0;
    return cre__tls_refuse(why, "cannot read the authorities of the system: %s", cre__tls_reason());
}

static int set_protocols(SSL_CTX *ssl, const char *protocols, char *why) {
    uint8_t list[CRE__TLS_PROTOCOLS];
    uint32_t length;
    int result = cre__tls_set_protocols(protocols ? protocols : "", list, &length, why);
    if (result || !length) return result;
    return SSL_CTX_set_alpn_protos(ssl, list, length) ? cre__tls_no_memory(why) : 0;
}

static int set_certificate(SSL_CTX *ssl, const cre_tls_client_config *config, char *why) {
    if (cre__tls_is_given(&config->certificate))
        return cre__tls_use_certificate(ssl, &config->certificate, &config->key, why);
    return cre__tls_is_given(&config->key) ? cre__tls_refuse(why, "a key needs its certificate") : 0;
}

int cre_tls_client_create(const cre_tls_client_config *given, cre_tls_client **out, char *why) {
    cre_tls_client_config own;
    const cre_tls_client_config *config = &own;
    int result = cre__tls_take_config(&own, sizeof own, given, 0, why);
    if (result) return result;
    cre_tls_client *client = cre__calloc(1, sizeof *client);
    if (!client) return cre__tls_no_memory(why);
    atomic_init(&client->owners, 1);
    client->handshake_timeout_ms = config->handshake_timeout_ms ? config->handshake_timeout_ms : HANDSHAKE_MS;
    client->accept_any_certificate = config->accept_any_certificate;
    result = cre__tls_new_ssl(TLS_client_method(), config->minimum, &client->ssl, why);
    if (!result)
        result =
            cre__tls_set_ciphers(client->ssl, config->minimum, config->ciphers, config->cipher_suites, why);
    if (!result) result = set_verification(client->ssl, config, why);
    if (!result) result = set_protocols(client->ssl, config->protocols, why);
    if (!result) result = set_certificate(client->ssl, config, why);
    if (result) {
        cre_tls_client_release(client);
        return result;
    }
    ERR_clear_error();
    *out = client;
    return 0;
}

cre_tls_client *cre_tls_client_retain(cre_tls_client *client) {
    if (client) atomic_fetch_add_explicit(&client->owners, 1, memory_order_relaxed);
    return client;
}

void cre_tls_client_release(cre_tls_client *client) {
    if (!client || atomic_fetch_sub_explicit(&client->owners, 1, memory_order_acq_rel) != 1) return;
    SSL_CTX_free(client->ssl);
    cre__free(client);
}

/* ---- connections ---- */

struct ssl_ctx_st *cre__tls_client_context(const cre_tls_client *client) {
    return client->ssl;
}

uint32_t cre__tls_client_timeout(const cre_tls_client *client) {
    return client->handshake_timeout_ms;
}

static bool is_address(const char *name) {
    uint8_t bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

int cre__tls_client_expect(const cre_tls_client *client, struct ssl_st *ssl, const char *server_name) {
    bool verify = !client->accept_any_certificate;
    if (!server_name) return verify ? CRE_EINVALID : 0;
    char name[MAX_NAME + 2];
    size_t length = strcspn(server_name, "%"); /* the interface of an IPv6 address is not part of it */
    if (length > MAX_NAME + 1) return CRE_EINVALID;
    memcpy(name, server_name, length);
    name[length] = 0;
    if (is_address(name)) {
        if (verify && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1) return CRE_ENOMEM;
        return 0;
    }
    if (server_name[length]) return CRE_EINVALID;
    if (length && name[length - 1] == '.') name[--length] = 0;
    /* To OpenSSL a dot at the start means any name of the domain. */
    if (!length || length > MAX_NAME || name[0] == '.') return CRE_EINVALID;
    if (SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) != 1) return CRE_ENOMEM;
    if (!verify) return 0;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, name) == 1 ? 0 : CRE_ENOMEM;
}

#else

int cre_tls_client_create(const cre_tls_client_config *config, cre_tls_client **out, char *why) {
    (void)config;
    (void)out;
    snprintf(why, CRE_TLS_MESSAGE, "this build has no TLS");
    return CRE_EUNSUPPORTED;
}

cre_tls_client *cre_tls_client_retain(cre_tls_client *client) {
    return client;
}

void cre_tls_client_release(cre_tls_client *client) {
    (void)client;
}

#endif
