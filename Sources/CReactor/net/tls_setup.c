/* Settings that the TLS contexts of servers and of clients share, and reading PEM. */
#include "net/tls_setup.h"

#ifdef CRE_HAVE_TLS
#include <creactor/error.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"

#define MAX_FILE (1u << 20) /* bytes; a bundle of all public authorities is a fifth of that */

/* Forward secrecy and authenticated encryption, nothing else; those of TLS 1.3 are all of that kind. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* The longest name of a cipher, or of a combination ("ECDHE+AESGCM"). */
#define MAX_CIPHER 100u

/* The most that one read of the socket takes. The buffer is allocated only while there is input. */
#define READ_BUFFER 32768

/* ---- errors ---- */

int cre__tls_refuse(char *why, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, CRE_TLS_MESSAGE, format, arguments);
    va_end(arguments);
    ERR_clear_error();
    return CRE_ETLS_CONFIG;
}

int cre__tls_take_config(void *to, size_t known, const void *from, size_t index, char *why) {
    int result = cre__config_take_at(to, known, from, index);
    snprintf(why, CRE_TLS_MESSAGE, "%s", result ? cre_error_message(result) : "");
    return result;
}

int cre__tls_no_memory(char *why) {
    snprintf(why, CRE_TLS_MESSAGE, "%s", cre_error_message(CRE_ENOMEM));
    ERR_clear_error();
    return CRE_ENOMEM;
}

const char *cre__tls_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown error";
}

static bool at_end_of_pem(void) {
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* ---- PEM ---- */

static int read_file(const char *file, cre__pem *out, char *why) {
    int descriptor = open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return cre__tls_refuse(why, "%s: %s", file, cre_error_message(-errno));
    int result = 0;
    for (size_t capacity = 0; !result;) {
        if (out->length == capacity) {
            size_t larger = capacity ? capacity * 2 : 16384;
            uint8_t *grown = capacity < MAX_FILE ? OPENSSL_clear_realloc(out->bytes, capacity, larger) : NULL;
            if (!grown) {
                result = capacity < MAX_FILE ? cre__tls_no_memory(why)
                                             : cre__tls_refuse(why, "%s: not a PEM file: too large", file);
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
            result = cre__tls_refuse(why, "%s: %s", file, cre_error_message(-errno));
    }
    close(descriptor);
    return result;
}

int cre__pem_open(const cre_tls_source *source, const char *what, cre__pem *out, char *why) {
    *out = (cre__pem){ .name = source->file ? source->file : what };
    int result = source->file ? read_file(source->file, out, why) : 0;
    if (result) return result;
    const void *bytes = source->file ? out->bytes : source->pem;
    out->bio = BIO_new_mem_buf(bytes ? bytes : "", (int)(source->file ? out->length : source->length));
    return out->bio ? 0 : cre__tls_no_memory(why);
}

/* Keys do not stay in memory that is given back. */
void cre__pem_close(cre__pem *text) {
    BIO_free(text->bio);
    OPENSSL_clear_free(text->bytes, text->length);
}

bool cre__tls_is_given(const cre_tls_source *source) {
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

X509 *cre__pem_next(cre__pem *text) {
    bool asked;
    return PEM_read_bio_X509(text->bio, NULL, no_password, &asked);
}

/* After the last one: whether the text ended there, and did not break off. */
int cre__pem_ended(const cre__pem *text, size_t count, char *why) {
    if (!at_end_of_pem())
        return cre__tls_refuse(why, "%s: damaged certificate: %s", text->name, cre__tls_reason());
    if (!count) return cre__tls_refuse(why, "%s: there is no certificate in it", text->name);
    ERR_clear_error();
    return 0;
}

static int use_chain(SSL_CTX *ssl, cre__pem *text, char *why) {
    size_t count = 0;
    for (X509 *certificate; (certificate = cre__pem_next(text)); count++) {
        int used =
            count ? SSL_CTX_add0_chain_cert(ssl, certificate) : SSL_CTX_use_certificate(ssl, certificate);
        if (!count || !used) X509_free(certificate);
        if (!used) return cre__tls_refuse(why, "%s: %s", text->name, cre__tls_reason());
    }
    return cre__pem_ended(text, count, why);
}

static int use_key(SSL_CTX *ssl, cre__pem *key, const char *chain, char *why) {
    char *bytes;
    long length = BIO_get_mem_data(key->bio, &bytes);
    /* Asked first, because OpenSSL's own words on it differ from one kind of file to the other. */
    if (!memmem(bytes, (size_t)length, "PRIVATE KEY-----", 16))
        return cre__tls_refuse(why, "%s: there is no private key in it", key->name);
    bool asked = false;
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key->bio, NULL, no_password, &asked);
    if (!pkey && asked)
        return cre__tls_refuse(why, "%s: the private key has a password; one without is needed", key->name);
    if (!pkey) return cre__tls_refuse(why, "%s: damaged private key: %s", key->name, cre__tls_reason());
    bool fits = SSL_CTX_use_PrivateKey(ssl, pkey) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(pkey);
    return fits ? 0
                : cre__tls_refuse(why, "%s: the private key does not belong to the certificate in %s",
                                  key->name, chain);
}

int cre__tls_use_certificate(SSL_CTX *ssl, const cre_tls_source *certificate, const cre_tls_source *key,
                             char *why) {
    cre__pem chain_text, key_text;
    int result = cre__pem_open(certificate, "the certificate in memory", &chain_text, why);
    if (!result) result = use_chain(ssl, &chain_text, why);
    if (!result) {
        bool separate = cre__tls_is_given(key);
        result = cre__pem_open(separate ? key : certificate, "the private key in memory", &key_text, why);
        if (!result) result = use_key(ssl, &key_text, chain_text.name, why);
        cre__pem_close(&key_text);
    }
    cre__pem_close(&chain_text);
    return result;
}

/* ---- settings ---- */

int cre__tls_set_protocols(const char *protocols, uint8_t out[CRE__TLS_PROTOCOLS], uint32_t *out_length,
                           char *why) {
    *out_length = 0;
    while (*protocols) {
        size_t length = strcspn(protocols, ",");
        if (!length || length > 255 || *out_length + length + 1 > CRE__TLS_PROTOCOLS)
            return cre__tls_refuse(why, "the list of protocols has an empty or a too long name");
        out[(*out_length)++] = (uint8_t)length;
        memcpy(out + *out_length, protocols, length);
        *out_length += (uint32_t)length;
        protocols += length + (protocols[length] == ',');
    }
    return 0;
}

/* OpenSSL skips unknown names in a list, as long as one name is known. Each element that adds ciphers is
 * therefore tried alone; those that remove some ("!x", "-x"), and commands ("@x"), need not match any. */
static int set_ciphers(SSL_CTX *ssl, const char *ciphers, char *why) {
    for (const char *at = ciphers; *at;) {
        size_t length = strcspn(at, ":, ;");
        char element[MAX_CIPHER + 1];
        if (length && !strchr("!-@", *at)) {
            if (length > MAX_CIPHER) return cre__tls_refuse(why, "ciphers has a too long name");
            memcpy(element, at, length);
            element[length] = 0;
            if (!SSL_CTX_set_cipher_list(ssl, element + (*element == '+')))
                return cre__tls_refuse(why, "ciphers has no cipher of TLS 1.2 in \"%s\"", element);
        }
        at += length + (at[length] != 0);
    }
    if (SSL_CTX_set_cipher_list(ssl, ciphers)) return 0;
    return cre__tls_refuse(why, "ciphers has no cipher of TLS 1.2: \"%.200s\"", ciphers);
}

/* Likewise: some versions of OpenSSL skip unknown names here, too. */
static int set_suites(SSL_CTX *ssl, const char *suites, char *why) {
    for (const char *at = suites; *at || at == suites;) {
        size_t length = strcspn(at, ":");
        char suite[MAX_CIPHER + 1];
        if (!length || length > MAX_CIPHER)
            return cre__tls_refuse(why, "cipherSuites has an empty or a too long name");
        memcpy(suite, at, length);
        suite[length] = 0;
        bool known = SSL_CTX_set_ciphersuites(ssl, suite);
        const SSL_CIPHER *first = known ? sk_SSL_CIPHER_value(SSL_CTX_get_ciphers(ssl), 0) : NULL;
        if (!first || strcmp(SSL_CIPHER_get_name(first), suite) != 0)
            return cre__tls_refuse(why, "cipherSuites has no suite of TLS 1.3 in \"%s\"", suite);
        at += length;
        if (*at && !*++at) return cre__tls_refuse(why, "cipherSuites has an empty or a too long name");
    }
    return SSL_CTX_set_ciphersuites(ssl, suites) ? 0 : cre__tls_refuse(why, "%s", cre__tls_reason());
}

int cre__tls_set_ciphers(SSL_CTX *ssl, cre_tls_version minimum, const char *ciphers, const char *suites,
                         char *why) {
    if (ciphers && minimum == CRE_TLS_1_3)
        return cre__tls_refuse(why, "ciphers is of TLS 1.2, which is not accepted; see cipherSuites");
    int result = ciphers ? set_ciphers(ssl, ciphers, why) : 0;
    if (!result && suites) result = set_suites(ssl, suites, why);
    ERR_clear_error();
    return result;
}

int cre__tls_new_ssl(const SSL_METHOD *method, cre_tls_version minimum, SSL_CTX **out, char *why) {
    SSL_CTX *ssl = *out = SSL_CTX_new(method);
    if (!ssl) return cre__tls_no_memory(why);
    SSL_CTX_set_min_proto_version(ssl, minimum == CRE_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    /* An end of the stream without close_notify is common. The owner of a transport knows where a message
     * ends, or asks cre__tls_end_is_authentic. */
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, READ_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    if (!SSL_CTX_set_cipher_list(ssl, CIPHERS)) return cre__tls_refuse(why, "%s", cre__tls_reason());
    return 0;
}

#endif
