/* Certificates that are made when they are needed, and TLS clients on the sockets of net.h. */
#ifndef CRE_TEST_TLS_NET_H
#define CRE_TEST_TLS_NET_H

#include "net.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* ---- certificates ---- */

typedef struct identity {
    X509 *certificate;
    EVP_PKEY *key;
    char *chain_pem, *key_pem;
} identity;

static inline char *pem_text(BIO *bio) {
    char *bytes;
    long length = BIO_get_mem_data(bio, &bytes);
    char *text = malloc((size_t)length + 1);
    REQUIRE(text != NULL);
    memcpy(text, bytes, (size_t)length);
    text[length] = 0;
    BIO_free(bio);
    return text;
}

static inline void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    REQUIRE(extension != NULL);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Signed by `issuer`; NULL: by itself, as an authority. */
static inline identity make_identity(const char *name, const identity *issuer) {
    static long serial;
    identity made = { .key = EVP_EC_gen("P-256"), .certificate = X509_new() };
    REQUIRE(made.key && made.certificate);
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), 86400);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME *subject = X509_get_subject_name(made.certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509 *signer = issuer ? issuer->certificate : made.certificate;
    X509_set_issuer_name(made.certificate, X509_get_subject_name(signer));
    if (issuer) {
        char names[300];
        snprintf(names, sizeof names, "DNS:%s", name);
        add_extension(made.certificate, signer, NID_subject_alt_name, names);
    } else {
        add_extension(made.certificate, signer, NID_basic_constraints, "critical,CA:TRUE");
    }
    REQUIRE(X509_sign(made.certificate, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, made.certificate);
    made.chain_pem = pem_text(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, made.key, NULL, NULL, 0, NULL, NULL);
    made.key_pem = pem_text(bio);
    return made;
}

static inline void free_identity(identity *made) {
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
    free(made->chain_pem);
    free(made->key_pem);
}

static inline cre_tls_source in_memory(const char *pem) {
    return (cre_tls_source){ .pem = pem, .length = strlen(pem) };
}

static inline cre_tls_certificate certificate_of(const identity *made, const char *host) {
    return (cre_tls_certificate){ .size = sizeof(cre_tls_certificate),
                                  .host = host,
                                  .chain = in_memory(made->chain_pem),
                                  .key = in_memory(made->key_pem) };
}

/* ---- servers ---- */

/* An authority, and two servers that it vouches for. */
static identity authority, server, other_server;

__attribute__((constructor)) static void tls_make_identities(void) {
    authority = make_identity("authority", NULL);
    server = make_identity("localhost", &authority);
    other_server = make_identity("other.example", &authority);
}

__attribute__((destructor)) static void tls_free_identities(void) {
    free_identity(&authority);
    free_identity(&server);
    free_identity(&other_server);
}

static char tls_failure[256];
static int tls_failures;

static inline void tls_on_failed(void *context, const char *peer, const char *cause) {
    (void)context;
    CHECK_STR(peer, "127.0.0.1");
    tls_failures++;
    snprintf(tls_failure, sizeof tls_failure, "%s", cause);
}

/* Echoes messages, answers requests. */
static inline int tls_echo(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind == CRE_EVENT_MESSAGE && event->length && payload[0] == '!')
        return cre_engine_command(
            net->engine, &(cre_record){ .kind = CRE_COMMAND_RESET, .session = event->session }, NULL, 0);
    if (event->kind == CRE_EVENT_MESSAGE)
        cre_engine_push(net->engine, event->session, event->opcode, payload, event->length);
    else if (event->kind == CRE_EVENT_REQUEST)
        cre_engine_respond(net->engine, event->session, 200, NULL, "hello", 5);
    return 0;
}

static inline net_server *tls_start(cre_engine_config config, cre_tls_config tls_config) {
    cre_tls_certificate own = certificate_of(&server, NULL);
    char why[CRE_TLS_MESSAGE];
    cre_tls *tls = NULL;
    if (!tls_config.count) {
        tls_config.certificates = &own;
        tls_config.count = 1;
    }
    tls_config.size = sizeof tls_config;
    tls_config.failed = tls_on_failed;
    tls_failures = 0;
    tls_failure[0] = 0;
    int result = cre_tls_create(&tls_config, &tls, why);
    if (result) TEST_FAIL("%s", why);
    REQUIRE(result == 0);
    config.http = true;
    net_server *net = net_start(config, tls_echo);
    REQUIRE(cre_engine_set_tls(net->engine, 0, tls) == 0);
    net->context = tls;
    return net;
}

static inline void tls_stop(net_server *net) {
    cre_tls *tls = net->context;
    net_stop(net);
    cre_tls_release(tls);
}

/* ---- clients ---- */

typedef struct tls_client {
    net_client raw;
    SSL *ssl;
    size_t step; /* bytes that are sent between two turns; 0: all */
    uint8_t *plain;
    size_t length, capacity;
    bool over; /* nothing more comes */
    int end;   /* SSL_get_error's word on it; ZERO_RETURN is a good-bye */
    unsigned long cause;
} tls_client;

static inline SSL_CTX *client_context(const identity *trusted, int version) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    REQUIRE(context != NULL);
    if (version) {
        SSL_CTX_set_min_proto_version(context, version);
        SSL_CTX_set_max_proto_version(context, version);
    }
    if (trusted) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), trusted->certificate);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    }
    return context;
}

static inline void tls_push_out(tls_client *client) {
    uint8_t bytes[16384];
    for (int n; (n = BIO_read(SSL_get_wbio(client->ssl), bytes, sizeof bytes)) > 0;) {
        size_t step = client->step ? client->step : (size_t)n;
        for (size_t at = 0; at < (size_t)n; at += step) {
            size_t size = (size_t)n - at < step ? (size_t)n - at : step;
            net_send(&client->raw, bytes + at, size);
            if (client->step) net_turn(client->raw.net);
        }
    }
}

/* Hands what came to OpenSSL. */
static inline bool tls_pull_in(tls_client *client) {
    bool any = net_pull(&client->raw);
    if (client->raw.length) BIO_write(SSL_get_rbio(client->ssl), client->raw.data, (int)client->raw.length);
    client->raw.length = 0;
    if (client->raw.eof) BIO_set_mem_eof_return(SSL_get_rbio(client->ssl), 0);
    return any;
}

static inline void tls_turn(tls_client *client) {
    tls_push_out(client);
    net_turn(client->raw.net);
    if (!tls_pull_in(client)) net_rest(client->raw.net, client->raw.descriptor);
}

static inline tls_client tls_new(net_server *net, SSL_CTX *context, const char *host) {
    tls_client client = { .raw = net_connect(net), .ssl = SSL_new(context) };
    REQUIRE(client.ssl != NULL);
    SSL_set_bio(client.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (host)
        SSL_ctrl(client.ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (void *)(uintptr_t)host);
    SSL_set_connect_state(client.ssl);
    return client;
}

static inline void tls_note_end(tls_client *client, int result) {
    client->over = true;
    client->end = SSL_get_error(client->ssl, result);
    client->cause = ERR_peek_error();
    ERR_clear_error();
    tls_push_out(client);
}

static inline bool tls_shake(tls_client *client) {
    for (int waits = 0; waits < NET_WAITS; waits++) {
        ERR_clear_error();
        int result = SSL_do_handshake(client->ssl);
        if (result == 1) {
            tls_push_out(client);
            return true;
        }
        if (SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ) {
            tls_note_end(client, result);
            return false;
        }
        tls_turn(client);
    }
    return false;
}

static inline tls_client tls_connect(net_server *net, SSL_CTX *context, const char *host) {
    tls_client client = tls_new(net, context, host);
    CHECK(tls_shake(&client));
    return client;
}

static inline void tls_close(tls_client *client) {
    SSL_free(client->ssl);
    net_close(&client->raw);
    free(client->plain);
    *client = (tls_client){ .raw.descriptor = -1 };
}

static inline void tls_write(tls_client *client, const void *data, size_t length) {
    ERR_clear_error();
    CHECK_EQ(SSL_write(client->ssl, data, (int)length), (int)length);
    tls_push_out(client);
}

#define tls_write_text(client, text) tls_write((client), (text), sizeof(text) - 1)

/* Decrypts what came. */
static inline void tls_take_in(tls_client *client) {
    while (!client->over) {
        if (client->capacity - client->length < 32768) {
            client->capacity = client->capacity ? client->capacity * 2 : 65536;
            client->plain = realloc(client->plain, client->capacity);
            REQUIRE(client->plain != NULL);
        }
        ERR_clear_error();
        int got = SSL_read(client->ssl, client->plain + client->length, 32768);
        if (got > 0)
            client->length += (size_t)got;
        else if (SSL_get_error(client->ssl, got) == SSL_ERROR_WANT_READ)
            break;
        else
            tls_note_end(client, got);
    }
}

/* Waits for `length` bytes in all, or the end. */
static inline bool tls_await(tls_client *client, size_t length) {
    for (int waits = 0; waits < NET_WAITS; waits++) {
        tls_take_in(client);
        if (client->length >= length || client->over) break;
        tls_turn(client);
    }
    return client->length >= length;
}

static inline bool tls_await_end(tls_client *client) {
    tls_await(client, SIZE_MAX);
    CHECK(client->over);
    return client->over;
}

static inline void tls_expect(tls_client *client, const void *data, size_t length) {
    CHECK(tls_await(client, length));
    if (client->length < length) return;
    CHECK_MEM(client->plain, data, length);
    memmove(client->plain, client->plain + length, client->length - length);
    client->length -= length;
}

/* Waits for a response that ends in `ending`, and takes everything. */
static inline void tls_expect_response(tls_client *client, int status, const char *ending) {
    size_t size = strlen(ending);
    for (int waits = 0; waits < NET_WAITS; waits++) {
        tls_take_in(client);
        if (client->length >= size && memcmp(client->plain + client->length - size, ending, size) == 0) break;
        if (client->over || waits == NET_WAITS - 1) {
            TEST_FAIL("no response that ends in %s", ending);
            return;
        }
        tls_turn(client);
    }
    CHECK_EQ(atoi((const char *)client->plain + 9), status);
    client->length = 0;
}

static inline void tls_upgrade(tls_client *client) {
    tls_write_text(client, NET_UPGRADE);
    tls_expect_response(client, 101, "\r\n\r\n");
}

static inline void tls_ws_send(tls_client *client, uint8_t first, const void *data, size_t length) {
    size_t size;
    uint8_t *frame = net_frame(first, data, length, &size);
    tls_write(client, frame, size);
    free(frame);
}

static inline void tls_ws_expect(tls_client *client, uint8_t first, const void *data, size_t length) {
    uint8_t header[CRE_WS_MAX_HEADER];
    tls_expect(client, header, cre_ws_header(header, first, length, NULL));
    tls_expect(client, data, length);
}

#define tls_ws_echo(client, text)                                                \
    do {                                                                         \
        tls_ws_send((client), CRE_WS_FIN | CRE_WS_TEXT, (text), strlen(text));   \
        tls_ws_expect((client), CRE_WS_FIN | CRE_WS_TEXT, (text), strlen(text)); \
    } while (0)

#endif
