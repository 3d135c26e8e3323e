/* Sockets that are bound: addresses, options, the files of Unix sockets. */
#include <creactor/error.h>
#include <creactor/listen.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "net/sockaddr.h"

CRE__CONFIG(cre_listen_options, send_buffer);

static int set(int descriptor, int level, int name, int value) {
    return setsockopt(descriptor, level, name, &value, sizeof value) ? -errno : 0;
}

/* Linux hands these down from a listening socket to those that it accepts. */
static int set_options(int descriptor, const cre_listen_options *options, int family) {
    bool tcp = family != AF_UNIX && !options->datagram;
    int result = 0;
    if (options->receive_buffer) result = set(descriptor, SOL_SOCKET, SO_RCVBUF, options->receive_buffer);
    if (!result && options->send_buffer)
        result = set(descriptor, SOL_SOCKET, SO_SNDBUF, options->send_buffer);
    if (!tcp) return result;
    if (!result && options->keep_alive) {
        result = set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
        if (!result && options->keep_idle_s)
            result = set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, options->keep_idle_s);
        if (!result && options->keep_interval_s)
            result = set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, options->keep_interval_s);
        if (!result && options->keep_count)
            result = set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, options->keep_count);
    }
    if (!result && options->defer_accept_s)
        result = set(descriptor, IPPROTO_TCP, TCP_DEFER_ACCEPT, options->defer_accept_s);
    if (!result && options->fast_open)
        result = set(descriptor, IPPROTO_TCP, TCP_FASTOPEN, options->fast_open);
    return result;
}

/* Whether nobody serves the socket behind this file any more: a server that was killed leaves it behind. */
static bool is_stale(const cre__sockaddr *at, socklen_t size, int type) {
    struct stat file;
    if (lstat(at->local.sun_path, &file) || !S_ISSOCK(file.st_mode)) return false;
    int probe = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    bool stale = connect(probe, &at->any, size) && errno == ECONNREFUSED;
    close(probe);
    return stale;
}

static int bind_path(int descriptor, const cre__sockaddr *at, socklen_t size,
                     const cre_listen_options *options) {
    const char *path = at->local.sun_path;
    mode_t mode = options->permissions ? (mode_t)options->permissions & 0777 : 0600;
    /* Set before the file exists, so that nobody else can connect even for a moment. */
    if (path[0] && fchmod(descriptor, mode)) return -errno;
    int type = options->datagram ? SOCK_DGRAM : SOCK_STREAM;
    if (bind(descriptor, &at->any, size)) {
        if (errno != EADDRINUSE) return -errno;
        if (!path[0] || !is_stale(at, size, type)) return -EADDRINUSE;
        if (unlink(path) || bind(descriptor, &at->any, size)) return -errno;
    }
    /* What the process's umask took away. */
    if (path[0] && chmod(path, mode)) return -errno;
    return 0;
}

static int bind_to(int descriptor, const cre_listen_options *options, const cre__sockaddr *at,
                   socklen_t size) {
    if (at->any.sa_family == AF_UNIX) return bind_path(descriptor, at, size, options);
    int result = 0;
    /* For datagrams it would let anybody else bind the port too. */
    if (!options->datagram) result = set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!result && at->any.sa_family == AF_INET6) result = set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (!result && options->reuse_port) result = set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
    if (!result && bind(descriptor, &at->any, size)) result = -errno;
    return result;
}

/* A socket that somebody else has bound. */
static int take_over(const cre_listen_options *options) {
    int descriptor = options->descriptor, type = 0, listening = 0;
    socklen_t size = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size)) return -errno;
    if (type != (options->datagram ? SOCK_DGRAM : SOCK_STREAM)) return -EPROTOTYPE;
    if (fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) ||
        fcntl(descriptor, F_SETFD, FD_CLOEXEC))
        return -errno;
    size = sizeof listening;
    if (!options->datagram && !getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) &&
        !listening && listen(descriptor, options->backlog ? options->backlog : 512))
        return -errno;
    return 0;
}

/* The address that a socket is bound to. */
static int bound_to(int descriptor, cre_address *address) {
    cre__sockaddr at;
    socklen_t size = sizeof at;
    if (getsockname(descriptor, &at.any, &size)) return -errno;
    cre__address_from_system(&at, size, address);
    return 0;
}

int cre_listen(const cre_listen_options *given, uint16_t *bound_port) {
    cre_listen_options own;
    const cre_listen_options *options = &own;
    int result = cre__config_take(&own, sizeof own, given);
    if (result) return result;
    int descriptor = own.descriptor;
    cre_address address;
    if (descriptor > 0) {
        result = take_over(options);
        if (!result) result = bound_to(descriptor, &address);
        if (!result) result = set_options(descriptor, options, address.family);
        if (result) return result;
        if (bound_port) *bound_port = address.port;
        return descriptor;
    }
    cre__sockaddr at;
    result = cre_address_parse(options->host, options->port, &address);
    if (result) return result == CRE_EINVALID ? -EADDRNOTAVAIL : result;
    socklen_t size = cre__address_to_system(&address, &at);
    int type = (options->datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    descriptor = socket(address.family, type, 0);
    if (descriptor < 0) return -errno;
    result = set_options(descriptor, options, address.family);
    if (!result) result = bind_to(descriptor, options, &at, size);
    if (!result && !options->datagram && listen(descriptor, options->backlog ? options->backlog : 512))
        result = -errno;
    if (!result) result = bound_to(descriptor, &address);
    if (result) {
        close(descriptor);
        return result;
    }
    if (bound_port) *bound_port = address.port;
    return descriptor;
}

void cre_listen_remove(int descriptor) {
    cre__sockaddr at;
    socklen_t size = sizeof at;
    if (getsockname(descriptor, &at.any, &size) || at.any.sa_family != AF_UNIX) return;
    if (size > offsetof(struct sockaddr_un, sun_path) && at.local.sun_path[0]) unlink(at.local.sun_path);
}
