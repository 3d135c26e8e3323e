/* Listening sockets. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/engine_internal.h"

/* So many connections at once, then the others of the loop have their turn. */
#define ACCEPTS_PER_TURN 256

/* How long accepting rests when there are no descriptors or no memory: long enough not to spin, short enough
 * not to be noticed. */
#define REST_MS 100

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
    bool own; /* a Unix socket's file is removed with it */
};

static void on_accepted(void *context, int descriptor) {
    cre__listener *listener = context;
    cre__conn_open(listener->engine, descriptor, listener->port);
}

static int serve(cre_engine *engine, int descriptor, uint16_t port, bool own) {
    if (port >= CRE_MAX_PORTS) return CRE_EINVALID;
    if (cre__port_at(engine, port)->options.protocol == CRE_PROTOCOL_DATAGRAM)
        return cre__datagram_open(engine, descriptor, port, own);
    cre__listener *listener = cre__calloc(1, sizeof *listener);
    if (!listener) return CRE_ENOMEM;
    listener->engine = engine;
    listener->port = port;
    listener->own = own;
    int result = cre_acceptor_start(engine->loop, descriptor, on_accepted, listener, &listener->acceptor);
    if (result) {
        cre__free(listener);
        return result;
    }
    listener->next = engine->listeners;
    engine->listeners = listener;
    return 0;
}

int cre_engine_serve(cre_engine *engine, int descriptor, uint16_t port) {
    return serve(engine, descriptor, port, false);
}

int cre_engine_listen(cre_engine *engine, const cre_listen_options *options, uint16_t *bound_port) {
    cre_listen_options own = *options;
    uint16_t port = engine->next_port;
    own.datagram = cre__port_at(engine, port)->options.protocol == CRE_PROTOCOL_DATAGRAM;
    int descriptor = cre_listen(&own, bound_port);
    if (descriptor < 0) return descriptor;
    int result = cre_engine_set_tls(engine, port, options->tls);
    if (!result) result = serve(engine, descriptor, port, options->descriptor <= 0);
    if (result)
        close(descriptor);
    else
        engine->next_port++;
    return result;
}

void cre__listeners_close(cre_engine *engine) {
    while (engine->listeners) {
        cre__listener *listener = engine->listeners;
        engine->listeners = listener->next;
        if (listener->own) cre_listen_remove(listener->acceptor->descriptor);
        cre_acceptor_stop(listener->acceptor);
        cre__free(listener);
    }
}
