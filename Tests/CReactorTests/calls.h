/*
 * The library's calls to the system and to libuv, counted, and failed on demand. The programs that include
 * this are linked with --wrap for each name in CALL_MAP (see CMakeLists.txt), so the library has no hooks.
 *
 * What a test calls itself is left alone: a call counts while a loop turns, on whatever thread, or between
 * calls_enter() and calls_leave().
 */
#ifndef CRE_TEST_CALLS_H
#define CRE_TEST_CALLS_H

#include <creactor/uv.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* clang-format off */
#define CALL_MAP(XX)                                                                           \
    XX(accept4) XX(recv) XX(recvmmsg) XX(read) XX(pread) XX(send) XX(sendmsg) XX(sendfile)     \
    XX(write) XX(open) XX(fstat) XX(socket) XX(bind) XX(listen) XX(setsockopt) XX(getsockname) \
    XX(getpeername) XX(fchmod) XX(shutdown) XX(eventfd) XX(memfd_create) XX(ftruncate)         \
    XX(mmap) XX(getrandom) XX(pthread_create) XX(connect) XX(uv_loop_init) XX(uv_async_init)    \
    XX(uv_getaddrinfo) XX(openat) XX(cre__openat2) XX(epoll_create1) XX(epoll_ctl)
/* clang-format on */

typedef enum call {
#define XX(x) CALL_##x,
    CALL_MAP(XX)
#undef XX
        CALLS,
} call;

/* Instead of an errno: the call moves one byte only. */
#define CALL_SHORT (-1)

static atomic_long calls_made[CALLS];
static _Thread_local int calls_inside;
static atomic_int calls_failing = CALLS; /* calls of this kind... */
static atomic_long calls_fail_at;        /* ...counts down; at 0 one fails */
static atomic_int calls_error;

static inline void calls_enter(void) {
    calls_inside++;
}

static inline void calls_leave(void) {
    calls_inside--;
}

/* The n-th call of this kind from now on fails, once. */
static inline void calls_fail(call kind, long n, int error) {
    atomic_store(&calls_error, error);
    atomic_store(&calls_fail_at, n);
    atomic_store(&calls_failing, (int)kind);
}

/* No more failures; whether it came to the one that was asked for. */
static inline bool calls_heal(void) {
    atomic_store(&calls_failing, CALLS);
    return atomic_load(&calls_fail_at) <= 0;
}

/* 0, CALL_SHORT, or the errno that the call fails with. */
static inline int call_begins(call kind) {
    if (!calls_inside) return 0;
    atomic_fetch_add(&calls_made[kind], 1);
    if (atomic_load(&calls_failing) != (int)kind || atomic_fetch_sub(&calls_fail_at, 1) != 1) return 0;
    return atomic_load(&calls_error);
}

/* As above, but an error is in errno and true is returned; `*length` is cut. */
static inline bool call_fails(call kind, size_t *length) {
    int error = call_begins(kind);
    if (error == CALL_SHORT && *length) *length = 1;
    if (error <= 0) return false;
    errno = error;
    return true;
}

#define CALL(kind, name, parameters, arguments, length) \
    kind __real_##name parameters;                      \
    kind __wrap_##name parameters;                      \
    kind __wrap_##name parameters {                     \
        if (call_fails(CALL_##name, length)) return -1; \
        return __real_##name arguments;                 \
    }

/* Calls that have no length. */
static _Thread_local size_t calls_no_length;
#define CALL_PLAIN(name, parameters, arguments) CALL(int, name, parameters, arguments, &calls_no_length)

/* Calls that return a negative error themselves. */
#define CALL_UV(name, parameters, arguments)                 \
    int __real_##name parameters;                            \
    int __wrap_##name parameters;                            \
    int __wrap_##name parameters {                           \
        int error = call_begins(CALL_##name);                \
        return error > 0 ? -error : __real_##name arguments; \
    }

CALL(ssize_t, recv, (int at, void *data, size_t length, int flags), (at, data, length, flags), &length)
CALL(ssize_t, read, (int at, void *data, size_t length), (at, data, length), &length)
CALL(ssize_t, pread, (int at, void *data, size_t length, off_t from), (at, data, length, from), &length)
CALL(ssize_t, send, (int at, const void *data, size_t length, int flags), (at, data, length, flags), &length)
CALL(ssize_t, write, (int at, const void *data, size_t length), (at, data, length), &length)
CALL(ssize_t, sendfile, (int to, int from, off_t *at, size_t length), (to, from, at, length), &length)
CALL(ssize_t, getrandom, (void *data, size_t length, unsigned flags), (data, length, flags), &length)
CALL_PLAIN(accept4, (int at, struct sockaddr *peer, socklen_t *size, int flags), (at, peer, size, flags))
CALL_PLAIN(fstat, (int at, struct stat *status), (at, status))
CALL_PLAIN(socket, (int family, int type, int protocol), (family, type, protocol))
CALL_PLAIN(bind, (int at, const struct sockaddr *to, socklen_t size), (at, to, size))
CALL_PLAIN(connect, (int at, const struct sockaddr *to, socklen_t size), (at, to, size))
CALL_PLAIN(listen, (int at, int backlog), (at, backlog))
CALL_PLAIN(setsockopt, (int at, int level, int name, const void *value, socklen_t size),
           (at, level, name, value, size))
CALL_PLAIN(getsockname, (int at, struct sockaddr *name, socklen_t *size), (at, name, size))
CALL_PLAIN(getpeername, (int at, struct sockaddr *name, socklen_t *size), (at, name, size))
CALL_PLAIN(fchmod, (int at, mode_t mode), (at, mode))
CALL_PLAIN(shutdown, (int at, int how), (at, how))
CALL_PLAIN(epoll_create1, (int flags), (flags))
CALL_PLAIN(eventfd, (unsigned value, int flags), (value, flags))
CALL_PLAIN(memfd_create, (const char *name, unsigned flags), (name, flags))
CALL_PLAIN(cre__openat2, (int at, const char *path, uint64_t flags, uint64_t resolve),
           (at, path, flags, resolve))
CALL_PLAIN(ftruncate, (int at, off_t length), (at, length))
CALL_UV(uv_loop_init, (uv_loop_t * loop), (loop))
CALL_UV(uv_async_init, (uv_loop_t * loop, uv_async_t *handle, uv_async_cb called), (loop, handle, called))

CALL_UV(uv_getaddrinfo,
        (uv_loop_t * loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb found, const char *host,
         const char *service, const struct addrinfo *hints),
        (loop, request, found, host, service, hints))

/* One packet per call stands for a short one. */
int __real_recvmmsg(int at, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int at, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);
int __wrap_recvmmsg(int at, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    size_t length = count;
    if (call_fails(CALL_recvmmsg, &length)) return -1;
    return __real_recvmmsg(at, messages, (unsigned)length, flags, timeout);
}

ssize_t __real_sendmsg(int at, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int at, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int at, const struct msghdr *message, int flags) {
    size_t length = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        length += message->msg_iov[i].iov_len;
    size_t whole = length;
    if (call_fails(CALL_sendmsg, &length)) return -1;
    if (length == whole || message->msg_name) return __real_sendmsg(at, message, flags);
    const struct iovec *first = message->msg_iov;
    while (!first->iov_len)
        first++;
    return __real_send(at, first->iov_base, 1, flags);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return call_fails(CALL_open, &calls_no_length) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...) {
    return call_fails(CALL_openat, &calls_no_length) ? -1 : __real_openat(at, path, flags, 0);
}

void *__real_mmap(void *at, size_t size, int access, int flags, int from, off_t offset);
void *__wrap_mmap(void *at, size_t size, int access, int flags, int from, off_t offset);
void *__wrap_mmap(void *at, size_t size, int access, int flags, int from, off_t offset) {
    if (call_fails(CALL_mmap, &calls_no_length)) return MAP_FAILED;
    return __real_mmap(at, size, access, flags, from, offset);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *with, void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *with, void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *with, void *(*run)(void *),
                          void *context) {
    int error = call_begins(CALL_pthread_create);
    return error > 0 ? error : __real_pthread_create(thread, with, run, context);
}

/* Only the first one for a descriptor needs memory. */
int __real_epoll_ctl(int at, int operation, int of, struct epoll_event *event);
int __wrap_epoll_ctl(int at, int operation, int of, struct epoll_event *event);
int __wrap_epoll_ctl(int at, int operation, int of, struct epoll_event *event) {
    if (operation == EPOLL_CTL_ADD && call_fails(CALL_epoll_ctl, &calls_no_length)) return -1;
    return __real_epoll_ctl(at, operation, of, event);
}

int __real_cre_loop_run(cre_loop *loop);
int __wrap_cre_loop_run(cre_loop *loop);
int __wrap_cre_loop_run(cre_loop *loop) {
    calls_enter();
    int result = __real_cre_loop_run(loop);
    calls_leave();
    return result;
}

void __real_cre__loop_turn(cre_loop *loop, bool wait);
void __wrap_cre__loop_turn(cre_loop *loop, bool wait);
void __wrap_cre__loop_turn(cre_loop *loop, bool wait) {
    calls_enter();
    __real_cre__loop_turn(loop, wait);
    calls_leave();
}

#endif
