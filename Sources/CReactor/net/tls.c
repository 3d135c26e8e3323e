/* TLS of a transport. OpenSSL sees no socket: it reads and writes through a BIO of its own kind, so that what
 * it writes in one go leaves in one system call. */
#include "net/tls.h"

#include <creactor/error.h>

#include "core/memory.h"
#include "core/probes.h"
#include "net/sockaddr.h"
#include "net/transport.h"

#ifdef CRE_HAVE_TLS
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define RECORD SSL3_RT_MAX_PLAIN_LENGTH

/* Bytes under encryption; one buffer for all transports of a loop, empty between two calls. */
struct cre__tls_scratch {
    size_t used;
    uint8_t sealed[81920];    /* encrypted, to be sent */
    uint8_t together[RECORD]; /* small pieces, before they are encrypted as one record */
};

/* ---- to the socket ---- */

/* Keeps what the socket does not take. */
static void keep(cre__transport *transport, const uint8_t *bytes, size_t length) {
    cre__tls_conn *tls = transport->tls;
    size_t used = tls->sealed_end - tls->sealed_start;
    if (tls->sealed_capacity - tls->sealed_end < length) {
        size_t capacity = used + length;
        uint8_t *fresh = cre__malloc(capacity);
        if (!fresh) {
            tls->socket_error = ENOMEM;
            return;
        }
        if (used) memcpy(fresh, tls->sealed + tls->sealed_start, used);
        cre__free(tls->sealed);
        tls->sealed = fresh;
        tls->sealed_start = 0;
        tls->sealed_end = used;
        tls->sealed_capacity = capacity;
    }
    memcpy(tls->sealed + tls->sealed_end, bytes, length);
    tls->sealed_end += length;
    cre__queue_account(transport, (int64_t)length);
    transport->blocked = true;
    cre__transport_mark(transport); /* the flush reports the queue */
    cre__transport_update_watch(transport);
}

static ssize_t send_now(cre__transport *transport, const uint8_t *bytes, size_t length) {
    ssize_t sent;
    do
        sent = send(transport->descriptor, bytes, length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return sent;
    if (errno != EAGAIN) transport->tls->socket_error = errno;
    return 0;
}

/* Sends what was encrypted. */
static void drain(cre__transport *transport) {
    struct cre__tls_scratch *scratch = transport->net->tls_scratch;
    size_t length = scratch->used, sent = 0;
    if (!length) return;
    scratch->used = 0;
    if (!transport->tls->sealed) sent = (size_t)send_now(transport, scratch->sealed, length);
    if (sent < length && !transport->tls->socket_error)
        keep(transport, scratch->sealed + sent, length - sent);
}

static void forget_sealed(cre__transport *transport) {
    cre__tls_conn *tls = transport->tls;
    cre__queue_account(transport, -(int64_t)(tls->sealed_end - tls->sealed_start));
    cre__free(tls->sealed);
    tls->sealed = NULL;
    tls->sealed_start = tls->sealed_end = tls->sealed_capacity = 0;
}

/* Sends the sealed bytes. False when the socket did not take all of them. */
static bool send_sealed(cre__transport *transport) {
    cre__tls_conn *tls = transport->tls;
    while (tls->sealed) {
        size_t sent =
            (size_t)send_now(transport, tls->sealed + tls->sealed_start, tls->sealed_end - tls->sealed_start);
        if (!sent) {
            transport->blocked = !tls->socket_error;
            return false;
        }
        tls->sealed_start += sent;
        cre__queue_account(transport, -(int64_t)sent);
        if (tls->sealed_start == tls->sealed_end) forget_sealed(transport);
    }
    return true;
}

/* ---- OpenSSL's view of the socket ---- */

static int bio_write(BIO *bio, const char *data, int size) {
    cre__transport *transport = BIO_get_data(bio);
    struct cre__tls_scratch *scratch = transport->net->tls_scratch;
    BIO_clear_retry_flags(bio);
    for (size_t done = 0, left = (size_t)size; left;) {
        if (scratch->used == sizeof scratch->sealed) drain(transport);
        if (transport->tls->socket_error) return -1;
        size_t room = sizeof scratch->sealed - scratch->used, n = left < room ? left : room;
        memcpy(scratch->sealed + scratch->used, data + done, n);
        scratch->used += n;
        done += n;
        left -= n;
    }
    return size;
}

static int bio_read(BIO *bio, char *out, int size) {
    cre__transport *transport = BIO_get_data(bio);
    cre__tls_conn *tls = transport->tls;
    BIO_clear_retry_flags(bio);
    if (tls->ended || tls->socket_error) return tls->ended ? 0 : -1;
    while (tls->reads_left) {
        ssize_t got = recv(transport->descriptor, out, (size_t)size, 0);
        if (got > 0) {
            /* Less than asked for: there is no more, and asking again would only cost. */
            tls->reads_left = got < size ? 0 : (uint8_t)(tls->reads_left - 1);
            return (int)got;
        }
        if (got == 0) {
            tls->ended = true;
            return 0;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) {
            tls->socket_error = errno;
            return -1;
        }
        tls->reads_left = 0;
    }
    BIO_set_retry_read(bio);
    return -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    const cre__transport *transport = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1; /* done when OpenSSL is through */
    case BIO_CTRL_EOF: return transport && transport->tls && transport->tls->ended;
    default: return 0;
    }
}

static BIO_METHOD *bio_method;

static void make_bio_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "creactor");
    if (!method) return;
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    bio_method = method;
}

/* ---- beginning and end ---- */

static int attach(cre__transport *transport, SSL_CTX *context) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_method);
    cre__net *net = transport->net;
    if (!net->tls_scratch) {
        net->tls_scratch = cre__malloc(sizeof *net->tls_scratch);
        if (!net->tls_scratch) return CRE_ENOMEM;
        net->tls_scratch->used = 0;
    }
    cre__tls_conn *tls = cre__calloc(1, sizeof *tls);
    if (!tls) return CRE_ENOMEM;
    tls->handshaking = true;
    tls->ssl = SSL_new(context);
    BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
    if (!tls->ssl || !bio) {
        BIO_free(bio);
        SSL_free(tls->ssl);
        cre__free(tls);
        ERR_clear_error();
        return CRE_ENOMEM;
    }
    BIO_set_data(bio, transport);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    transport->tls = tls;
    return 0;
}

int cre__tls_attach(cre__transport *transport, cre_tls *of_port, bool http2) {
    struct cre__tls_context *context = cre__tls_current(of_port);
    int result = attach(transport, cre__tls_context_default(context));
    if (result) {
        cre__tls_context_release(context);
        return result;
    }
    transport->tls->context = context;
    transport->tls->http2 = http2;
    SSL_set_app_data(transport->tls->ssl, transport->tls);
    SSL_set_accept_state(transport->tls->ssl);
    return 0;
}

int cre__tls_attach_client(cre__transport *transport, cre_tls_client *client, const char *server_name) {
    int result = attach(transport, cre__tls_client_context(client));
    if (result) return result;
    cre__tls_conn *tls = transport->tls;
    tls->client = cre_tls_client_retain(client);
    result = cre__tls_client_expect(client, tls->ssl, server_name);
    if (result) {
        ERR_clear_error();
        cre__tls_detach(transport);
        return result;
    }
    SSL_set_connect_state(tls->ssl);
    tls->unread = true; /* reading, though nothing has arrived, sends the first message */
    return 0;
}

/* The inner connection reads and writes through a BIO of OpenSSL for the outer one. */
int cre__tls_nest_client(cre__transport *transport, cre_tls_client *client, const char *server_name) {
    cre__tls_conn *tls = transport->tls;
    SSL *inner = SSL_new(cre__tls_client_context(client));
    BIO *bio = BIO_new(BIO_f_ssl());
    int result = inner && bio ? cre__tls_client_expect(client, inner, server_name) : CRE_ENOMEM;
    if (result) {
        BIO_free(bio);
        SSL_free(inner);
        ERR_clear_error();
        return result;
    }
    BIO_set_ssl(bio, tls->ssl, BIO_NOCLOSE);
    SSL_set_bio(inner, bio, bio);
    SSL_set_connect_state(inner);
    tls->outer = tls->ssl;
    tls->ssl = inner;
    cre_tls_client_release(tls->client);
    tls->client = cre_tls_client_retain(client);
    tls->handshaking = true;
    tls->unread = true;
    return 0;
}

void cre__tls_detach(cre__transport *transport) {
    cre__tls_conn *tls = transport->tls;
    if (!tls) return;
    if (tls->sealed) forget_sealed(transport);
    /* The BIO of an inner connection would send a close_notify of the outer one. */
    if (tls->outer) SSL_set_quiet_shutdown(tls->outer, 1);
    SSL_free(tls->ssl);
    SSL_free(tls->outer);
    cre__tls_context_release(tls->context);
    cre_tls_client_release(tls->client);
    transport->tls = NULL;
    cre__free(tls);
}

uint32_t cre__tls_handshake_timeout(const cre__transport *transport) {
    const cre__tls_conn *tls = transport->tls;
    return tls->client ? cre__tls_client_timeout(tls->client) : cre__tls_context_timeout(tls->context);
}

size_t cre__tls_protocol(const cre__transport *transport, const char **name) {
    const unsigned char *bytes = NULL;
    unsigned length = 0;
    if (transport->tls) SSL_get0_alpn_selected(transport->tls->ssl, &bytes, &length);
    *name = (const char *)bytes;
    return length;
}

size_t cre__tls_client_certificate(const cre__transport *transport, uint8_t *at) {
    const cre__tls_conn *tls = transport->tls;
    X509 *certificate = tls && tls->context ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    int length = certificate ? i2d_X509(certificate, &at) : 0; /* the verification has limited its length */
    return length > 0 ? (size_t)length : 0;
}

bool cre__tls_end_is_authentic(const cre__transport *transport) {
    return transport->tls && transport->tls->close_notified;
}

static void describe_peer(cre__transport *transport, char out[INET6_ADDRSTRLEN]) {
    const cre__transport_events *events = transport->net->events;
    cre_address address = { 0 };
    if (!events->remote || !events->remote(transport, &address)) {
        cre__sockaddr at = { 0 };
        socklen_t size = sizeof at;
        getpeername(transport->descriptor, &at.any, &size);
        cre__address_from_system(&at, size, &address);
    }
    if (!inet_ntop(address.family, address.bytes, out, INET6_ADDRSTRLEN))
        memcpy(out, "unknown", sizeof "unknown");
}

const char *cre__tls_cause(const cre__transport *transport) {
    const cre__tls_conn *tls = transport->tls;
    const char *cause = tls && tls->cause ? ERR_reason_error_string(tls->cause) : NULL;
    if (tls && ERR_GET_REASON(tls->cause) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        cause = X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
    return cause ? cause : cre_error_message(CRE_ETLS);
}

/* Fails the transport. The alert for the peer is queued already. */
static void fail(cre__transport *transport) {
    cre__tls_conn *tls = transport->tls;
    tls->failed = true;
    tls->unread = false;
    transport->net->tls_failed++;
    CRE__CALL_PROBE(tls_failed, transport->descriptor, tls->cause);
    if (tls->handshaking && tls->context) {
        char peer[INET6_ADDRSTRLEN];
        describe_peer(transport, peer);
        cre__tls_context_report(tls->context, peer, cre__tls_cause(transport));
    }
    cre__queue_drop(transport); /* it can no longer be encrypted */
    if (transport->state == CRE__TRANSPORT_OPEN) transport->net->events->ended(transport, CRE_ETLS);
}

/* SSL_get_error takes what is left in the thread's queue for an error of this connection. Clearing an empty
 * queue costs several times as much as looking into it. */
static void forget_errors(void) {
    if (ERR_peek_error()) ERR_clear_error();
}

/* Notes why OpenSSL did not go on. */
static void note_failure(cre__tls_conn *tls, int result) {
    int error = SSL_get_error(tls->ssl, result);
    if (error != SSL_ERROR_ZERO_RETURN && tls->outer && SSL_get_shutdown(tls->outer) & SSL_RECEIVED_SHUTDOWN)
        tls->ended = true; /* the proxy has closed, not the server */
    switch (error) {
    case SSL_ERROR_WANT_READ: break;
    case SSL_ERROR_ZERO_RETURN:
        if (!tls->ended) tls->close_notified = true; /* otherwise the socket has ended without it */
        tls->ended = true;
        break;
    case SSL_ERROR_SYSCALL:
        if (!tls->ended && !tls->socket_error) tls->socket_error = ECONNRESET;
        break;
    default:
        if (tls->ended || tls->socket_error) break; /* a peer that is gone is no failure of TLS */
        tls->cause = ERR_peek_last_error();         /* the first may be of a cipher, and less helpful */
        if (!tls->cause) tls->cause = ERR_PACK(ERR_LIB_SSL, 0, ERR_R_INTERNAL_ERROR);
        break;
    }
    forget_errors();
}

/* ---- reading ---- */

/* A browser that was given http:// instead of https:// shows this. */
static void answer_plain_http(struct cre__tls_scratch *scratch) {
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 43\r\n"
        "Connection: close\r\n\r\nThis port uses TLS: use https:// or wss://\n";
    memcpy(scratch->sealed, answer, sizeof answer - 1);
    scratch->used = sizeof answer - 1;
}

static bool shake_hands(cre__transport *transport) {
    cre__tls_conn *tls = transport->tls;
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->handshaking = false;
        transport->net->tls_handshakes++;
        transport->net->tls_resumed += SSL_session_reused(tls->ssl) == 1;
        CRE__CALL_PROBE(tls_handshake, transport->descriptor, SSL_session_reused(tls->ssl));
        if (cre__queue_pending(transport)) cre__transport_mark(transport); /* queued before */
        return true;
    }
    note_failure(tls, result);
    if (tls->context && tls->cause && ERR_GET_REASON(tls->cause) == SSL_R_HTTP_REQUEST)
        answer_plain_http(transport->net->tls_scratch);
    return false;
}

/* OpenSSL has nothing left, and neither has the socket, so asking again would only cost. An inner connection
 * does not show what the outer one has. */
static bool is_drained(const cre__tls_conn *tls) {
    return !tls->reads_left && !tls->outer && !SSL_has_pending(tls->ssl);
}

/* Returns whether there may be more than `room`. */
static bool decrypt(cre__tls_conn *tls, uint8_t *at, size_t room, size_t *total) {
    while (*total < room) {
        size_t got;
        int result = SSL_read_ex(tls->ssl, at + *total, room - *total, &got);
        if (result != 1) {
            note_failure(tls, result);
            return false;
        }
        *total += got;
        if (is_drained(tls)) return false;
    }
    return true;
}

ssize_t cre__tls_receive(cre__transport *transport, uint8_t *at, size_t room) {
    cre__tls_conn *tls = transport->tls;
    size_t total = 0;
    if (!cre__tls_is_over(tls) || SSL_has_pending(tls->ssl)) {
        forget_errors();
        if (!tls->handshaking || shake_hands(transport)) {
            bool more = decrypt(tls, at, room, &total);
            tls->unread = more || cre__tls_is_over(tls);
        }
        drain(transport); /* a handshake's part, an alert, an answer to an update of keys */
    }
    if (total) return (ssize_t)total;
    tls->unread = false;
    errno = EAGAIN;
    if (tls->cause)
        fail(transport);
    else if (tls->socket_error)
        errno = tls->socket_error;
    else if (tls->ended)
        return 0;
    return -1;
}

/* ---- writing ---- */

/* At most a record. False when it failed, or was encrypted but not taken. */
static bool encrypt(cre__transport *transport, const uint8_t *data, size_t length) {
    cre__tls_conn *tls = transport->tls;
    while (length) {
        size_t n;
        if (SSL_write_ex(tls->ssl, data, length, &n) != 1) {
            note_failure(tls, 0);
            return false;
        }
        data += n;
        length -= n;
    }
    return !tls->sealed;
}

/* Small pieces go into a record together: a header of a few bytes alone in one would cost as much as a page.
 */
static size_t encrypt_all(cre__transport *transport, const struct iovec *vectors, size_t count) {
    struct cre__tls_scratch *scratch = transport->net->tls_scratch;
    size_t taken = 0, together = 0;
    bool going = true;
    for (size_t i = 0; i < count && going; i++) {
        const uint8_t *at = vectors[i].iov_base;
        for (size_t left = vectors[i].iov_len, n; left && going; at += n, left -= n) {
            n = left < RECORD - together ? left : RECORD - together;
            if (!together && (n == RECORD || i + 1 == count)) {
                going = encrypt(transport, at, n);
                taken += n;
                continue;
            }
            memcpy(scratch->together + together, at, n);
            together += n;
            if (together < RECORD) continue;
            going = encrypt(transport, scratch->together, together);
            taken += together;
            together = 0;
        }
    }
    if (!going || !together) return taken;
    encrypt(transport, scratch->together, together);
    return taken + together;
}

ssize_t cre__tls_send(cre__transport *transport, const struct iovec *vectors, size_t count) {
    cre__tls_conn *tls = transport->tls;
    errno = EAGAIN;
    if (!send_sealed(transport)) {
        if (tls->socket_error) errno = tls->socket_error;
        return -1;
    }
    if (tls->handshaking) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t taken = 0;
    if (tls->failed) { /* there is nobody to read it */
        for (size_t i = 0; i < count; i++)
            taken += (ssize_t)vectors[i].iov_len;
        return taken;
    }
    forget_errors();
    taken = (ssize_t)encrypt_all(transport, vectors, count);
    drain(transport);
    if (!tls->cause && !tls->socket_error) return taken;
    errno = tls->socket_error ? tls->socket_error : EAGAIN;
    if (tls->cause) fail(transport);
    return -1;
}

bool cre__tls_shutdown(cre__transport *transport) {
    cre__tls_conn *tls = transport->tls;
    if (!tls->shutdown_sent && !tls->handshaking && !tls->failed && !tls->socket_error) {
        forget_errors();
        SSL_shutdown(tls->ssl);
        forget_errors();
        drain(transport);
    }
    tls->shutdown_sent = true;
    return !tls->sealed;
}

#else

int cre__tls_attach(cre__transport *transport, cre_tls *of_port, bool http2) {
    (void)transport;
    (void)of_port;
    (void)http2;
    return CRE_EUNSUPPORTED;
}

int cre__tls_attach_client(cre__transport *transport, cre_tls_client *client, const char *server_name) {
    (void)transport;
    (void)client;
    (void)server_name;
    return CRE_EUNSUPPORTED;
}

int cre__tls_nest_client(cre__transport *transport, cre_tls_client *client, const char *server_name) {
    (void)transport;
    (void)client;
    (void)server_name;
    return CRE_EUNSUPPORTED;
}

void cre__tls_detach(cre__transport *transport) {
    (void)transport;
}

size_t cre__tls_protocol(const cre__transport *transport, const char **name) {
    (void)transport;
    *name = NULL;
    return 0;
}

size_t cre__tls_client_certificate(const cre__transport *transport, uint8_t *at) {
    (void)transport;
    (void)at;
    return 0;
}

bool cre__tls_end_is_authentic(const cre__transport *transport) {
    (void)transport;
    return false;
}

uint32_t cre__tls_handshake_timeout(const cre__transport *transport) {
    (void)transport;
    return 0;
}

const char *cre__tls_cause(const cre__transport *transport) {
    (void)transport;
    return cre_error_message(CRE_EUNSUPPORTED);
}

ssize_t cre__tls_receive(cre__transport *transport, uint8_t *at, size_t room) {
    (void)transport;
    (void)at;
    (void)room;
    return 0;
}

ssize_t cre__tls_send(cre__transport *transport, const struct iovec *vectors, size_t count) {
    (void)transport;
    (void)vectors;
    (void)count;
    return 0;
}

bool cre__tls_shutdown(cre__transport *transport) {
    (void)transport;
    return true;
}

#endif
