/* Accepting connections on a listening socket. */
#include <creactor/error.h>
#include <creactor/listen.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/memory.h"

/* Connections that are accepted at once before the others of the loop have their turn. */
#define ACCEPTS_PER_TURN 256

/* How long accepting pauses when there is no memory, or no descriptor and no reserve: long enough not to
 * spin, short enough not to be noticed. */
#define PAUSE_MS 100

struct cre_acceptor {
    cre_loop *loop;
    int descriptor;
    int reserve; /* a descriptor that is closed to accept and refuse a connection at the limit; -1: none */
    void (*accepted)(void *context, int descriptor);
    void (*failed)(void *context, int error, bool refused);
    void *context;
    cre_watch *watch;
    cre_timer *pause;
};

static void on_acceptable(void *context, int descriptor);

static void open_reserve(cre_acceptor *acceptor) {
    /* Not the file of a device: the process may have another root directory. */
    if (acceptor->reserve < 0) acceptor->reserve = eventfd(0, EFD_CLOEXEC);
}

static void report_failure(const cre_acceptor *acceptor, int error, bool refused) {
    if (acceptor->failed) acceptor->failed(acceptor->context, -error, refused);
}

static void on_pause_ended(void *context, cre_timer *timer) {
    cre_acceptor *acceptor = context;
    if (cre_watch_start(acceptor->loop, acceptor->descriptor, on_acceptable, acceptor, &acceptor->watch)) {
        acceptor->watch = NULL; /* the timer comes again */
        return;
    }
    cre_timer_stop(timer);
    acceptor->pause = NULL;
    open_reserve(acceptor);
}

/* The connections wait in the backlog meanwhile. */
static void pause_accepting(cre_acceptor *acceptor, int error) {
    report_failure(acceptor, error, false);
    if (!acceptor->watch) return; /* it is being stopped */
    if (cre_timer_start(acceptor->loop, PAUSE_MS, PAUSE_MS, on_pause_ended, acceptor, &acceptor->pause))
        return;
    cre_watch_stop(acceptor->watch);
    acceptor->watch = NULL;
}

static int accept_one(const cre_acceptor *acceptor) {
    int descriptor = accept4(acceptor->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}

/* Without a free descriptor: accepts the next connection in place of the reserve and closes it, so that its
 * client knows. Returns 0 or a negative error: -EAGAIN when no connection waits. */
static int refuse_one(cre_acceptor *acceptor, int error) {
    if (acceptor->reserve < 0) return -error;
    close(acceptor->reserve);
    acceptor->reserve = -1;
    int descriptor = accept_one(acceptor);
    if (descriptor >= 0) close(descriptor);
    open_reserve(acceptor);
    if (descriptor < 0) return descriptor;
    report_failure(acceptor, error, true);
    return 0;
}

/* Takes up to `most` connections, until none is left or no more can be accepted. */
static void accept_some(cre_acceptor *acceptor, int most) {
    for (int i = 0; i < most; i++) {
        int result = accept_one(acceptor);
        if (result >= 0) {
            acceptor->accepted(acceptor->context, result);
            continue;
        }
        if (result == -EMFILE || result == -ENFILE) result = refuse_one(acceptor, -result);
        switch (result) {
        case -EAGAIN: return;
        case -EMFILE:
        case -ENFILE:
        case -ENOMEM:
        case -ENOBUFS: pause_accepting(acceptor, -result); return;
        default: break; /* about the one connection that failed meanwhile */
        }
    }
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
    acceptor->reserve = -1;
    int result = cre_watch_start(loop, descriptor, on_acceptable, acceptor, &acceptor->watch);
    if (result) {
        cre__free(acceptor);
        return result;
    }
    open_reserve(acceptor);
    *out = acceptor;
    return 0;
}

void cre_acceptor_on_failure(cre_acceptor *acceptor, void (*failed)(void *context, int error, bool refused)) {
    acceptor->failed = failed;
}

void cre_acceptor_stop(cre_acceptor *acceptor) {
    if (!acceptor) return;
    cre_watch_stop(acceptor->watch);
    cre_timer_stop(acceptor->pause);
    acceptor->watch = NULL;
    acceptor->pause = NULL;
    /* Whoever is in the backlog was promised service by the kernel: closing would reset it. */
    accept_some(acceptor, 65536);
    if (acceptor->reserve >= 0) close(acceptor->reserve);
    close(acceptor->descriptor);
    cre__free(acceptor);
}
