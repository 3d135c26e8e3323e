/* Connecting to servers: the host name lookup, then a race of the addresses (RFC 8305). */
#include <creactor/connect.h>
#include <creactor/error.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <uv.h>

#include "core/config.h"
#include "core/memory.h"
#include "loop/loop_internal.h"
#include "net/sockaddr.h"

CRE__CONFIG(cre_connect_options, datagram);

#define MAX_ADDRESSES 16
#define MAX_HOST      254 /* with the dot at its end */

#define TIMEOUT_MS    10000u
#define HEAD_START_MS 250u

/* The pause before a Unix socket with a full backlog is tried again: poll does not report when it has room.
 */
#define BACKLOG_PAUSE_MS 10u

typedef struct attempt {
    cre__watcher watcher; /* of `descriptor` */
    cre_connector *connector;
    cre__sockaddr to;
    socklen_t size;
    int descriptor; /* -1: none */
} attempt;

struct cre_connector {
    cre_loop *loop;
    void (*connected)(void *context, int result);
    void *context;
    uv_timer_t timer; /* the next attempt or the deadline, whichever is first */
    uv_getaddrinfo_t lookup;
    uint64_t deadline;
    uint32_t head_start_ms;
    int type; /* SOCK_STREAM or SOCK_DGRAM */
    attempt *attempts;
    int count, next; /* attempts; those before `next` were started */
    int racing;      /* started, and neither failed nor connected */
    int references;  /* of libuv: the timer and the lookup */
    int error;       /* of the attempts that failed */
    bool looking_up, over;
};

/* ---- life ---- */

static void unreference(cre_connector *connector) {
    if (--connector->references) return;
    cre__free(connector->attempts);
    cre__free(connector);
}

static void on_timer_closed(uv_handle_t *handle) {
    unreference(handle->data);
}

/* Stops watching the socket. Returns it. */
static int detach(attempt *it) {
    int descriptor = it->descriptor;
    it->descriptor = -1;
    it->connector->racing--;
    cre__loop_unwatch(it->connector->loop, descriptor, &it->watcher);
    return descriptor;
}

static void abort_all(cre_connector *connector) {
    connector->over = true;
    for (int i = 0; i < connector->next; i++)
        if (connector->attempts[i].descriptor >= 0) close(detach(&connector->attempts[i]));
    if (connector->looking_up) uv_cancel((uv_req_t *)&connector->lookup);
    cre__loop_close(connector->loop, (uv_handle_t *)&connector->timer, on_timer_closed);
}

static void finish(cre_connector *connector, int result) {
    void (*connected)(void *context, int result) = connector->connected;
    void *context = connector->context;
    abort_all(connector);
    connected(context, result);
}

void cre_connector_stop(cre_connector *connector) {
    if (connector) abort_all(connector);
}

/* ---- attempts ---- */

/* Whether an error is about this machine's networks more than about the server. */
static bool is_local(int error) {
    return error == -ENETUNREACH || error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

static void note_error(cre_connector *connector, int error) {
    if (!connector->error || is_local(connector->error) || !is_local(error)) connector->error = error;
}

/* A port of this machine that nobody listens on may be chosen as the local port: the socket connects to
 * itself. */
static bool is_own(const cre__sockaddr *local, const cre__sockaddr *peer) {
    if (local->any.sa_family != peer->any.sa_family) return false;
    if (local->any.sa_family == AF_INET)
        return local->v4.sin_port == peer->v4.sin_port &&
               local->v4.sin_addr.s_addr == peer->v4.sin_addr.s_addr;
    return local->any.sa_family == AF_INET6 && local->v6.sin6_port == peer->v6.sin6_port &&
           memcmp(&local->v6.sin6_addr, &peer->v6.sin6_addr, sizeof local->v6.sin6_addr) == 0;
}

/* The result of connecting: 0, -EINPROGRESS or another error. */
static int outcome(int descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size)) return -errno;
    if (error) return -error;
    cre__sockaddr local, peer;
    size = sizeof peer;
    if (getpeername(descriptor, &peer.any, &size)) return errno == ENOTCONN ? -EINPROGRESS : -errno;
    size = sizeof local;
    if (getsockname(descriptor, &local.any, &size)) return -errno;
    return is_own(&local, &peer) ? -ECONNREFUSED : 0;
}

static void advance(cre_connector *connector);

static void on_ready(cre__watcher *watcher, uint32_t events) {
    attempt *it = (attempt *)(void *)((char *)watcher - offsetof(attempt, watcher));
    cre_connector *connector = it->connector;
    int result = outcome(it->descriptor);
    if (result == -EINPROGRESS && !(events & EPOLLERR)) return;
    int descriptor = detach(it);
    if (!result) {
        finish(connector, descriptor);
        return;
    }
    close(descriptor);
    note_error(connector, result == -EINPROGRESS ? -ECONNRESET : result);
    advance(connector);
}

/* Starts an attempt. Returns 0 or a negative error. *connected is set to the descriptor if it is connected at
 * once. */
static int start(attempt *it, int *connected) {
    int family = it->to.any.sa_family, type = it->connector->type, on = 1;
    int descriptor = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int result = 0;
    if (family != AF_UNIX && type == SOCK_STREAM &&
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        result = -errno;
    if (!result && !connect(descriptor, &it->to.any, it->size)) {
        *connected = descriptor;
        return 0;
    }
    if (!result && errno != EINPROGRESS && errno != EINTR) result = -errno;
    it->watcher.ready = on_ready;
    if (!result) result = cre__loop_watch(it->connector->loop, descriptor, &it->watcher, EPOLLOUT);
    if (result) {
        close(descriptor);
        return result;
    }
    it->descriptor = descriptor;
    it->connector->racing++;
    return 0;
}

/* ---- the race ---- */

static void on_timer(uv_timer_t *timer);

/* Sets the timer `after_ms` from now, at most to the deadline. */
static void schedule(cre_connector *connector, uint64_t after_ms) {
    cre__loop_update_time(connector->loop);
    uint64_t now = uv_now(cre__loop_uv(connector->loop)),
             left = connector->deadline > now ? connector->deadline - now : 0;
    uv_timer_start(&connector->timer, on_timer, after_ms < left ? after_ms : left, 0);
}

/* Starts attempts until one is under way. */
static void advance(cre_connector *connector) {
    while (connector->next < connector->count) {
        attempt *it = &connector->attempts[connector->next];
        int connected = -1;
        int result = start(it, &connected);
        if (result == -EAGAIN && it->to.any.sa_family == AF_UNIX) {
            schedule(connector, BACKLOG_PAUSE_MS);
            return;
        }
        connector->next++;
        if (!result && connected >= 0) {
            finish(connector, connected);
            return;
        }
        if (!result) {
            bool more = connector->next < connector->count;
            schedule(connector, more ? connector->head_start_ms : UINT64_MAX);
            return;
        }
        note_error(connector, result);
    }
    if (connector->racing)
        schedule(connector, UINT64_MAX);
    else
        finish(connector, connector->error);
}

static void on_timer(uv_timer_t *timer) {
    cre_connector *connector = timer->data;
    cre__loop_begin(connector->loop);
    if (uv_now(cre__loop_uv(connector->loop)) >= connector->deadline)
        finish(connector, connector->looking_up ? CRE_EHOST_LOOKUP : -ETIMEDOUT);
    else
        advance(connector);
}

static bool add_attempts(cre_connector *connector, int count) {
    connector->attempts = cre__calloc((size_t)count, sizeof *connector->attempts);
    return connector->attempts != NULL;
}

static void add_address(cre_connector *connector, const void *address, size_t size) {
    attempt *it = &connector->attempts[connector->count++];
    it->connector = connector;
    it->descriptor = -1;
    memcpy(&it->to, address, size);
    it->size = (socklen_t)size;
}

/* ---- the lookup ---- */

static int lookup_error(int status) {
    switch (status) {
    case UV_EAI_MEMORY:
    case UV_ENOMEM: return CRE_ENOMEM;
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_EAI_ADDRFAMILY: return CRE_EHOST_UNKNOWN;
    default: return CRE_EHOST_LOOKUP;
    }
}

static bool is_usable(const struct addrinfo *address) {
    return address->ai_family == AF_INET || address->ai_family == AF_INET6;
}

/* The next usable address from `at` on; `same`: of this family, otherwise of the other one. */
static const struct addrinfo *of_family(const struct addrinfo *at, int family, bool same) {
    while (at && (!is_usable(at) || (at->ai_family == family) != same))
        at = at->ai_next;
    return at;
}

/* Takes the addresses of both families in turn, beginning with that of the first one. */
static void take_addresses(cre_connector *connector, const struct addrinfo *list) {
    while (list && !is_usable(list))
        list = list->ai_next;
    if (!list) return;
    int family = list->ai_family;
    const struct addrinfo *next[2] = { list, of_family(list, family, false) };
    for (int turn = 0; (next[0] || next[1]) && connector->count < MAX_ADDRESSES; turn ^= 1) {
        const struct addrinfo *address = next[turn];
        if (!address) continue;
        add_address(connector, address->ai_addr, address->ai_addrlen);
        next[turn] = of_family(address->ai_next, family, !turn);
    }
}

static void on_found(uv_getaddrinfo_t *lookup, int status, struct addrinfo *list) {
    cre_connector *connector = lookup->data;
    cre__loop_begin(connector->loop);
    connector->looking_up = false;
    if (!connector->over) {
        int error = status ? lookup_error(status) : add_attempts(connector, MAX_ADDRESSES) ? 0 : CRE_ENOMEM;
        if (!error) take_addresses(connector, list);
        if (!error && !connector->count) error = CRE_EHOST_UNKNOWN;
        if (error)
            finish(connector, error);
        else
            advance(connector);
    }
    uv_freeaddrinfo(list);
    unreference(connector);
}

static int look_up(cre_connector *connector, const char *host, uint16_t port) {
    char service[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    snprintf(service, sizeof service, "%u", (unsigned)port);
    connector->lookup.data = connector;
    int result =
        uv_getaddrinfo(cre__loop_uv(connector->loop), &connector->lookup, on_found, host, service, &hints);
    if (result) return result == UV_ENOMEM ? CRE_ENOMEM : result;
    connector->looking_up = true;
    connector->references++;
    return 0;
}

/* ---- beginning ---- */

/* "localhost" and names below it: RFC 6761 forbids to ask anybody for them. */
static bool is_localhost(const char *host) {
    static const char name[] = "localhost";
    size_t length = strlen(host), size = sizeof name - 1;
    if (length && host[length - 1] == '.') length--;
    if (length < size || strncasecmp(host + length - size, name, size) != 0) return false;
    return length == size || host[length - size - 1] == '.';
}

static bool is_name(const char *host) {
    return *host && strlen(host) <= MAX_HOST && !strpbrk(host, ":%/@[] \t\r\n");
}

static void add_parsed(cre_connector *connector, const cre_address *address) {
    cre__sockaddr to;
    socklen_t size = cre__address_to_system(address, &to);
    add_address(connector, &to, size);
}

static int take_localhost(cre_connector *connector, uint16_t port) {
    if (!add_attempts(connector, 2)) return CRE_ENOMEM;
    add_parsed(connector, &(cre_address){ .family = AF_INET6, .port = port, .length = 16, .bytes[15] = 1 });
    add_parsed(connector,
               &(cre_address){ .family = AF_INET, .port = port, .length = 4, .bytes = { 127, 0, 0, 1 } });
    return 0;
}

/* Adds the addresses of `host`, or starts to look for them. */
static int find(cre_connector *connector, const char *host, uint16_t port) {
    cre_address address;
    int result = cre_address_parse(host, port, &address);
    if (!result) {
        if (address.family == AF_UNIX ? connector->type == SOCK_DGRAM : !port) return CRE_EINVALID;
        if (!add_attempts(connector, 1)) return CRE_ENOMEM;
        add_parsed(connector, &address);
        return 0;
    }
    if (result != CRE_EINVALID) return result;
    if (!port || !is_name(host)) return CRE_EINVALID;
    return is_localhost(host) ? take_localhost(connector, port) : look_up(connector, host, port);
}

int cre_connector_start(cre_loop *loop, const cre_connect_options *options,
                        void (*connected)(void *context, int result), void *context, cre_connector **out) {
    cre_connect_options own;
    int result = cre__config_take(&own, sizeof own, options);
    if (result) return result;
    if (!own.host || !connected || own.datagram > 1) return CRE_EINVALID;
    cre_connector *connector = cre__calloc(1, sizeof *connector);
    if (!connector) return CRE_ENOMEM;
    connector->loop = loop;
    connector->connected = connected;
    connector->context = context;
    connector->type = own.datagram ? SOCK_DGRAM : SOCK_STREAM;
    connector->head_start_ms = own.head_start_ms ? own.head_start_ms : HEAD_START_MS;
    result = find(connector, own.host, own.port);
    if (result) {
        cre__free(connector->attempts);
        cre__free(connector);
        return result;
    }
    uv_loop_t *uv = cre__loop_uv(loop);
    uv_timer_init(uv, &connector->timer);
    connector->timer.data = connector;
    connector->references++;
    cre__loop_update_time(loop);
    connector->deadline = uv_now(uv) + (own.timeout_ms ? own.timeout_ms : TIMEOUT_MS);
    /* Known addresses are tried in the next turn: no callback before this function has returned. */
    schedule(connector, connector->looking_up ? UINT64_MAX : 0);
    *out = connector;
    return 0;
}
