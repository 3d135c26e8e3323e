/*
 * Connections of ports with proxies, until the header of the PROXY protocol is complete. They have no session
 * and no transport: what follows the header stays in the socket, for TLS or the protocol of the port.
 */
#include <creactor/error.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/conn.h"
#include "net/proxy_header.h"
#include "net/sockaddr.h"

/* One read; headers are rarely longer. */
#define PEEKED 256u

typedef struct cre__proxied cre__proxied;

struct cre__proxied {
    cre__proxied *next, *previous;
    cre_engine *engine;
    cre_watch *watch;
    cre_timer *deadline;
    int descriptor;
    uint16_t port;
    cre__proxy_header header;
};

/* ---- the proxies ---- */

static bool matches(const cre_address_range *range, const uint8_t *bytes) {
    size_t whole = range->prefix / 8u;
    uint8_t mask = (uint8_t)(0xFF00u >> range->prefix % 8u);
    if (memcmp(range->bytes, bytes, whole) != 0) return false;
    return !mask || !((range->bytes[whole] ^ bytes[whole]) & mask);
}

static bool is_proxy(const cre__port *port, int descriptor) {
    cre__sockaddr at = { 0 };
    cre_address remote;
    socklen_t size = sizeof at;
    if (getpeername(descriptor, &at.any, &size)) return false;
    cre__address_from_system(&at, size, &remote);
    for (uint32_t i = 0; i < port->options.proxy_count; i++) {
        const cre_address_range *range = &port->proxies[i];
        if (range->family == remote.family && (range->family == AF_UNIX || matches(range, remote.bytes)))
            return true;
    }
    return false;
}

/* ---- the end ---- */

/* Counts a connection that is not served; `cause` may be NULL. */
static void count_refused(cre_engine *engine, uint64_t *cause) {
    cre__count_rare(engine, &engine->stats.refused, 1);
    if (cause) cre__count_rare(engine, cause, 1);
}

/* Frees it; its socket stays open. */
static void forget(cre__proxied *it) {
    if (it->previous)
        it->previous->next = it->next;
    else
        it->engine->proxied = it->next;
    if (it->next) it->next->previous = it->previous;
    it->engine->proxied_count--;
    cre_watch_stop(it->watch);
    cre_timer_stop(it->deadline);
    cre__free(it);
}

static void drop(cre__proxied *it) {
    int descriptor = it->descriptor;
    forget(it);
    close(descriptor);
}

static void drop_invalid(cre__proxied *it) {
    count_refused(it->engine, &it->engine->stats.proxy_headers_invalid);
    drop(it);
}

static void on_deadline(void *context, cre_timer *timer) {
    (void)timer;
    drop_invalid(context);
}

void cre__proxied_close(cre_engine *engine) {
    while (engine->proxied)
        drop(engine->proxied);
}

/* ---- the header ---- */

/* Removes bytes that were looked at. */
static bool consume(int descriptor, size_t length) {
    uint8_t bytes[PEEKED];
    return recv(descriptor, bytes, length, 0) == (ssize_t)length;
}

/* Reads what has arrived. Returns false when the connection is not one that waits any more. */
static bool read_header(cre__proxied *it) {
    uint8_t bytes[PEEKED];
    for (;;) {
        ssize_t got = recv(it->descriptor, bytes, sizeof bytes, MSG_PEEK);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return true;
        /* One that ends without a byte is a probe. */
        if (got <= 0 && !it->header.length) {
            drop(it);
            return false;
        }
        size_t used = 0;
        cre_address client;
        cre__proxy_result result = CRE__PROXY_INVALID;
        if (got > 0) result = cre__proxy_read(&it->header, bytes, (size_t)got, &used, &client);
        if (result == CRE__PROXY_INVALID || !consume(it->descriptor, used)) {
            drop_invalid(it);
            return false;
        }
        if (result == CRE__PROXY_MORE) continue;
        cre_engine *engine = it->engine;
        int descriptor = it->descriptor;
        uint16_t port = it->port;
        forget(it);
        cre__conn_begin(engine, descriptor, port, client.family ? &client : NULL);
        return false;
    }
}

static void on_readable(void *context, int descriptor) {
    (void)descriptor;
    read_header(context);
}

static int refuse(cre_engine *engine, int descriptor, int error, uint64_t *cause) {
    count_refused(engine, cause);
    close(descriptor);
    return error;
}

int cre__proxied_open(cre_engine *engine, int descriptor, uint16_t port) {
    const cre__port *settings = cre__port_at(engine, port);
    cre_engine_stats *stats = &engine->stats;
    if (engine->shutting_down) return refuse(engine, descriptor, CRE_EGONE, NULL);
    if (!is_proxy(settings, descriptor))
        return refuse(engine, descriptor, CRE_ELIMIT, &stats->proxies_refused);
    if (engine->proxied_count >= engine->table->slots) return refuse(engine, descriptor, CRE_ELIMIT, NULL);
    cre__proxied *it = cre__calloc(1, sizeof *it);
    if (!it) return refuse(engine, descriptor, CRE_ENOMEM, &stats->out_of_memory);
    it->engine = engine;
    it->descriptor = descriptor;
    it->port = port;
    it->next = engine->proxied;
    if (it->next) it->next->previous = it;
    engine->proxied = it;
    engine->proxied_count++;
    if (!read_header(it)) return 0;
    int result =
        cre_timer_start(engine->loop, settings->options.head_timeout_ms, 0, on_deadline, it, &it->deadline);
    if (!result) result = cre_watch_start(engine->loop, descriptor, on_readable, it, &it->watch);
    if (!result) return 0;
    count_refused(engine, &stats->out_of_memory);
    drop(it);
    return result;
}
