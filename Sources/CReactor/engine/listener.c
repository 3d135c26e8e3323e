/* The ports that an engine listens on itself. */
#include <unistd.h>

#include "core/config.h"
#include "core/memory.h"
#include "engine/accept_failure.h"
#include "engine/conn.h"

typedef struct cre__listener cre__listener;

struct cre__listener {
    cre__listener *next;
    cre_engine *engine;
    cre_acceptor *acceptor;
    int descriptor;
    uint16_t port;
    bool own; /* a Unix socket's file is removed with it */
};

static void on_accepted(void *context, int descriptor) {
    cre__listener *listener = context;
    cre__conn_open(listener->engine, descriptor, listener->port);
}

static void on_accept_failed(void *context, int error, bool refused) {
    cre__listener *listener = context;
    cre__count_accept_failure(&listener->engine->stats, error, refused);
    listener->engine->rare_changed = true;
}

static int serve(cre_engine *engine, int descriptor, uint16_t port, bool own) {
    if (port >= CRE_MAX_PORTS) return CRE_EINVALID;
    if (cre__port_at(engine, port)->options.protocol == CRE_PROTOCOL_DATAGRAM)
        return cre__datagram_open(engine, descriptor, port, own);
    cre__listener *listener = cre__calloc(1, sizeof *listener);
    if (!listener) return CRE_ENOMEM;
    listener->engine = engine;
    listener->descriptor = descriptor;
    listener->port = port;
    listener->own = own;
    int result = cre_acceptor_start(engine->loop, descriptor, on_accepted, listener, &listener->acceptor);
    if (result) {
        cre__free(listener);
        return result;
    }
    cre_acceptor_on_failure(listener->acceptor, on_accept_failed);
    listener->next = engine->listeners;
    engine->listeners = listener;
    return 0;
}

int cre_engine_serve(cre_engine *engine, int descriptor, uint16_t port) {
    return serve(engine, descriptor, port, false);
}

int cre_engine_listen(cre_engine *engine, const cre_listen_options *options, uint16_t *bound_port) {
    cre_listen_options own;
    int result = cre__config_take(&own, sizeof own, options);
    if (result) return result;
    uint16_t port = engine->next_port;
    own.datagram = cre__port_at(engine, port)->options.protocol == CRE_PROTOCOL_DATAGRAM;
    if (port >= CRE_MAX_PORTS || (own.datagram && own.tls)) return CRE_EINVALID;
    int descriptor = cre_listen(&own, bound_port);
    if (descriptor < 0) return descriptor;
    result = cre_engine_set_tls(engine, port, own.tls);
    if (!result) result = serve(engine, descriptor, port, own.descriptor <= 0);
    if (!result) {
        engine->next_port++;
        return 0;
    }
    if (own.descriptor <= 0) cre_listen_remove(descriptor);
    close(descriptor);
    return result;
}

void cre__listeners_close(cre_engine *engine) {
    while (engine->listeners) {
        cre__listener *listener = engine->listeners;
        engine->listeners = listener->next;
        if (listener->own) cre_listen_remove(listener->descriptor);
        cre_acceptor_stop(listener->acceptor);
        cre__free(listener);
    }
}
