/*
 * Cases that run twice, on plain sockets and over TLS, since nothing above the socket may see a difference:
 *
 *   TEST_BOTH(name) { net_server *net = net_start(...); net_client client = net_connect(net); ... }
 */
#ifndef CRE_TEST_BOTH_H
#define CRE_TEST_BOTH_H

#include "net.h"

#ifdef CRE_HAVE_TLS
#include <signal.h>

#include "tls_net.h"

static SSL_CTX *both_context;

static inline void both_open(net_client *client) {
    SSL *ssl = SSL_new(both_context);
    REQUIRE(ssl && SSL_set_fd(ssl, client->descriptor) == 1);
    client->state = ssl;
    SSL_set_connect_state(ssl);
    for (int waits = 0; waits < NET_WAITS; waits++) {
        ERR_clear_error();
        int result = SSL_do_handshake(ssl);
        /* A failure shows when something is received. */
        if (result == 1 || SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ) break;
        net_turn(client->net);
        net_rest(client->net, client->descriptor);
    }
    ERR_clear_error();
}

static inline ssize_t both_result(net_client *client, int result) {
    int error = errno;
    if (result > 0) return result;
    switch (SSL_get_error(client->state, result)) {
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_SYSCALL: errno = error ? error : ECONNRESET; return -1;
    default: errno = EPROTO; return -1; /* an end without good-bye, too */
    }
}

static inline ssize_t both_receive(net_client *client, void *at, size_t room) {
    ERR_clear_error();
    return both_result(client, SSL_read(client->state, at, (int)room));
}

static inline ssize_t both_send(net_client *client, const void *data, size_t length) {
    ERR_clear_error();
    return both_result(client, SSL_write(client->state, data, (int)length));
}

static inline void both_close(net_client *client) {
    SSL_free(client->state);
}

static inline void both_secure(bool on) {
    static const net_layer layer = { both_open, both_receive, both_send, both_close };
    signal(SIGPIPE, on ? SIG_IGN : SIG_DFL); /* OpenSSL's clients do not ask for silence */
    if (!on) {
        net_layer_now = NULL;
        cre_tls_release(net_tls_now);
        net_tls_now = NULL;
        SSL_CTX_free(both_context);
        both_context = NULL;
        return;
    }
    cre_tls_certificate own = certificate_of(&server, NULL);
    char why[CRE_TLS_MESSAGE];
    REQUIRE(
        cre_tls_create(&(cre_tls_config){ .size = sizeof(cre_tls_config), .certificates = &own, .count = 1 },
                       &net_tls_now, why) == 0);
    both_context = client_context(&authority, 0);
    SSL_CTX_set_mode(both_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    net_layer_now = &layer;
}

#define BOTH_OVER_TLS(case_name) \
    TEST(case_name##_over_tls) { \
        both_secure(true);       \
        both_##case_name();      \
        both_secure(false);      \
    }
#else
#define BOTH_OVER_TLS(case_name)
#endif

#define TEST_BOTH(case_name)            \
    static void both_##case_name(void); \
    TEST(case_name) {                   \
        both_##case_name();             \
    }                                   \
    BOTH_OVER_TLS(case_name)            \
    static void both_##case_name(void)

#endif
