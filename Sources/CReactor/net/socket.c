/* Sockets that are bound: addresses, options, the files of Unix sockets. */
#include <creactor/error.h>
#include <creactor/listen.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
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

/* Removes the file of a Unix socket that a killed server has left behind. An error when it is something else:
 * -ENOTSOCK no socket, -EADDRINUSE one that is served. */
static int remove_stale(const cre__sockaddr *at, socklen_t size, int type) {
    struct stat file;
    if (lstat(at->local.sun_path, &file)) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(file.st_mode)) return -ENOTSOCK;
    int probe = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) return -errno;
    int error = connect(probe, &at->any, size) ? errno : 0;
    close(probe);
    if (error == EACCES) return -EACCES;
    if (error != ECONNREFUSED) return -EADDRINUSE;
    return unlink(at->local.sun_path) ? -errno : 0;
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
        int error = path[0] ? remove_stale(at, size, type) : -EADDRINUSE;
        if (error) return error;
        if (bind(descriptor, &at->any, size)) return -errno;
    }
    /* What the process's umask took away. */
    if (!path[0] || !chmod(path, mode)) return 0;
    int error = -errno;
    unlink(path);
    return error;
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
    if (result) return result;
    socklen_t size = cre__address_to_system(&address, &at);
    int type = (options->datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    descriptor = socket(address.family, type, 0);
    if (descriptor < 0) return -errno;
    result = set_options(descriptor, options, address.family);
    if (!result) result = bind_to(descriptor, options, &at, size);
    bool bound = !result;
    if (!result && !options->datagram && listen(descriptor, options->backlog ? options->backlog : 512))
        result = -errno;
    if (!result) result = bound_to(descriptor, &address);
    if (result) {
        if (bound && at.any.sa_family == AF_UNIX && at.local.sun_path[0]) unlink(at.local.sun_path);
        close(descriptor);
        return result;
    }
    if (bound_port) *bound_port = address.port;
    return descriptor;
}

/* Has the first `count` sockets of the port, and no others, get its connections or datagrams: those of one
 * remote port always the same socket. Not every system can do that, and then others get a share. */
static void restrict_to(int descriptor, uint32_t count) {
    cre_address address;
    if (bound_to(descriptor, &address)) return;
    bool v6 = address.family == AF_INET6;
    uint32_t remote_address = (uint32_t)SKF_NET_OFF + (v6 ? 20 : 12); /* its last four bytes */
    uint32_t remote_port = (uint32_t)SKF_NET_OFF + (v6 ? 40 : 20);    /* behind headers without options */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, remote_address),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x85EBCA6Bu),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, remote_port),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9E3779B1u),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8), /* the lowest bits are mixed least */
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };
    (void)setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

int cre_listen_several(const cre_listen_options *options, int *descriptors, uint32_t count,
                       uint16_t *bound_port) {
    cre_listen_options each;
    int taken = cre__config_take(&each, sizeof each, options);
    if (taken) return taken;
    uint16_t port = each.port;
    bool shares = each.reuse_port;
    if (!count || each.descriptor > 0) return CRE_EINVALID;
    if (each.host && strncmp(each.host, "unix:", 5) == 0) return CRE_EINVALID;
    for (uint32_t i = 0; i < count; i++) {
        each.port = port;
        int result = cre_listen(&each, &port);
        if (result >= 0) {
            descriptors[i] = result;
            each.reuse_port = true;
            result = i || count == 1 ? 0 : set(descriptors[0], SOL_SOCKET, SO_REUSEPORT, 1);
            if (!result) continue;
            i++;
        }
        while (i)
            close(descriptors[--i]);
        return result;
    }
    if (count > 1 && !shares) restrict_to(descriptors[0], count);
    if (bound_port) *bound_port = port;
    return 0;
}

void cre_listen_remove(int descriptor) {
    cre__sockaddr at;
    socklen_t size = sizeof at;
    if (getsockname(descriptor, &at.any, &size) || at.any.sa_family != AF_UNIX) return;
    if (size > offsetof(struct sockaddr_un, sun_path) && at.local.sun_path[0]) unlink(at.local.sun_path);
}
