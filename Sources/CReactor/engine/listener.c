/* Listening sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* So many connections at once, then the others of the loop have their turn. */
#define ACCEPTS_PER_TURN 256

/* How long accepting rests when there are no descriptors or no memory: long enough not to spin, short enough
 * not to be noticed. */
#define REST_MS 100

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

static socklen_t parse_address(const char *host, uint16_t port, address *out) {
    memset(out, 0, sizeof *out);
    if (!host) host = "0.0.0.0";
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof out->v6;
    }
    return 0;
}

int cre_listen(const cre_listen_options *options, uint16_t *bound_port) {
    address at;
    socklen_t size = parse_address(options->host, options->port, &at);
    if (!size) return -EADDRNOTAVAIL;
    int descriptor = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at.any.sa_family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    int result = 0;
    if (options->reuse_port) result = setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (!result) result = bind(descriptor, &at.any, size);
    if (!result) result = listen(descriptor, options->backlog ? options->backlog : 512);
    if (!result && bound_port) {
        result = getsockname(descriptor, &at.any, &size);
        *bound_port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    }
    if (result) {
        result = -errno;
        close(descriptor);
        return result;
    }
    return descriptor;
}

/* ---- accepting ---- */

struct cre_acceptor {
    cre_loop *loop;
    int descriptor;
    void (*accepted)(void *context, int descriptor);
    void *context;
    cre_watch *watch;
    cre_timer *rest;
};

static void on_acceptable(void *context, int descriptor);

static void on_rested(void *context, cre_timer *timer) {
    cre_acceptor *acceptor = context;
    if (cre_watch_start(acceptor->loop, acceptor->descriptor, on_acceptable, acceptor, &acceptor->watch)) {
        acceptor->watch = NULL; /* the timer comes again */
        return;
    }
    cre_timer_stop(timer);
    acceptor->rest = NULL;
}

static void rest(cre_acceptor *acceptor) {
    if (cre_timer_start(acceptor->loop, REST_MS, REST_MS, on_rested, acceptor, &acceptor->rest)) return;
    cre_watch_stop(acceptor->watch);
    acceptor->watch = NULL;
}

/* Takes up to `most` connections. False when there are none left, or none can be had. */
static bool accept_some(cre_acceptor *acceptor, int most) {
    for (int i = 0; i < most; i++) {
        int descriptor = accept4(acceptor->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            acceptor->accepted(acceptor->context, descriptor);
            continue;
        }
        if (errno == EAGAIN) return false;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (acceptor->watch) rest(acceptor);
            return false;
        }
        /* Anything else is about the one connection that failed meanwhile. */
    }
    return true;
}

static void on_acceptable(void *context, int descriptor) {
    (void)descriptor;
    accept_some(context, ACCEPTS_PER_TURN);
}

int cre_acceptor_start(cre_loop *loop, int descriptor, void (*accepted)(void *context, int descriptor),
                       void *context, cre_acceptor **out) {
    cre_acceptor *acceptor = cre__calloc(1, sizeof *acceptor);
    if (!acceptor) return CRE_ENOMEM;
    acceptor->loop = loop;
    acceptor->descriptor = descriptor;
    acceptor->accepted = accepted;
    acceptor->context = context;
    int result = cre_watch_start(loop, descriptor, on_acceptable, acceptor, &acceptor->watch);
    if (result) {
        cre__free(acceptor);
        return result;
    }
    *out = acceptor;
    return 0;
}

void cre_acceptor_stop(cre_acceptor *acceptor) {
    if (!acceptor) return;
    cre_watch_stop(acceptor->watch);
    cre_timer_stop(acceptor->rest);
    acceptor->watch = NULL;
    acceptor->rest = NULL;
    /* Whoever is in the backlog was promised service by the kernel: closing would reset it. */
    accept_some(acceptor, 65536);
    close(acceptor->descriptor);
    cre__free(acceptor);
}

/* ---- an engine's own listeners ---- */

struct cre__listener {
    cre__listener *next;
    cre_engine *engine;
    cre_acceptor *acceptor;
    uint16_t port;
};

static void on_accepted(void *context, int descriptor) {
    cre__listener *listener = context;
    cre__conn_open(listener->engine, descriptor, listener->port);
}

int cre_engine_serve(cre_engine *engine, int descriptor, uint16_t port) {
    cre__listener *listener = cre__calloc(1, sizeof *listener);
    if (!listener) return CRE_ENOMEM;
    listener->engine = engine;
    listener->port = port;
    int result = cre_acceptor_start(engine->loop, descriptor, on_accepted, listener, &listener->acceptor);
    if (result) {
        cre__free(listener);
        return result;
    }
    listener->next = engine->listeners;
    engine->listeners = listener;
    return 0;
}

int cre_engine_listen(cre_engine *engine, const cre_listen_options *options, uint16_t *bound_port) {
    int descriptor = cre_listen(options, bound_port);
    if (descriptor < 0) return descriptor;
    uint16_t port = 0;
    for (cre__listener *listener = engine->listeners; listener; listener = listener->next)
        port++;
    int result = cre_engine_set_tls(engine, port, options->tls);
    if (!result) result = cre_engine_serve(engine, descriptor, port);
    if (result) close(descriptor);
    return result;
}

void cre__listeners_close(cre_engine *engine) {
    while (engine->listeners) {
        cre__listener *listener = engine->listeners;
        engine->listeners = listener->next;
        cre_acceptor_stop(listener->acceptor);
        cre__free(listener);
    }
}
