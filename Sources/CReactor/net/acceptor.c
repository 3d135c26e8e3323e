/* Accepting connections on a listening socket. */
#include <creactor/error.h>
#include <creactor/listen.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/memory.h"

/* Connections that are accepted at once before the others of the loop have their turn. */
#define ACCEPTS_PER_TURN 256

/* How long accepting rests when there are no descriptors or no memory: long enough not to spin, short enough
 * not to be noticed. */
#define REST_MS 100

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
