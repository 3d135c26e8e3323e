/* What fails in test_faults.c, and how it is made to. */
#ifndef CRE_TEST_FAULTS_H
#define CRE_TEST_FAULTS_H

#include "calls.h"

#include "test.h"

typedef struct fault {
    call kind;
    int error;
} fault;

/* Instead of a kind: the allocations of the library. */
#define MEMORY CALLS

/* A connection that fails to be accepted for these is tried again after a rest, which takes its time. */
static const fault accept_faults[] = {
    { CALL_accept4, EMFILE }, { CALL_accept4, ENFILE },
    { CALL_accept4, ENOMEM }, { CALL_accept4, ENOBUFS },
    { CALL_accept4, EINTR },  { CALL_accept4, ECONNABORTED },
    { CALL_accept4, EAGAIN }, { CALLS, 0 },
};

static const fault stream_faults[] = {
    { MEMORY, ENOMEM },
    { CALL_recv, CALL_SHORT },
    { CALL_recv, EAGAIN },
    { CALL_recv, EINTR },
    { CALL_recv, ECONNRESET },
    { CALL_recv, ENOMEM },
    { CALL_send, CALL_SHORT },
    { CALL_send, EAGAIN },
    { CALL_send, EINTR },
    { CALL_send, EPIPE },
    { CALL_send, ECONNRESET },
    { CALL_send, ENOBUFS },
    { CALL_sendmsg, CALL_SHORT },
    { CALL_sendmsg, EAGAIN },
    { CALL_sendmsg, EINTR },
    { CALL_sendmsg, EPIPE },
    { CALL_sendmsg, ENOMEM },
    { CALL_sendfile, CALL_SHORT },
    { CALL_sendfile, EAGAIN },
    { CALL_sendfile, EINTR },
    { CALL_sendfile, EPIPE },
    { CALL_sendfile, EIO },
    { CALL_pread, CALL_SHORT },
    { CALL_pread, EINTR },
    { CALL_pread, EIO },
    { CALL_open, EMFILE },
    { CALL_open, EINTR },
    { CALL_fstat, EIO },
    { CALL_shutdown, ENOTCONN },
    { CALL_setsockopt, EINVAL },
    { CALL_getpeername, ENOTCONN },
    { CALL_epoll_ctl, ENOMEM },
    { CALLS, 0 },
};

static const fault datagram_faults[] = {
    { MEMORY, ENOMEM },
    { CALL_recvmmsg, CALL_SHORT },
    { CALL_recvmmsg, EINTR },
    { CALL_recvmmsg, EAGAIN },
    { CALL_recvmmsg, ENOMEM },
    { CALL_recvmmsg, ECONNREFUSED },
    { CALL_sendmsg, EAGAIN },
    { CALL_sendmsg, EINTR },
    { CALL_sendmsg, ENOBUFS },
    { CALL_sendmsg, ECONNREFUSED },
    { CALLS, 0 },
};

/* Those that matter to what is published. */
static const fault publish_faults[] = {
    { MEMORY, ENOMEM },        { CALL_recv, CALL_SHORT },
    { CALL_send, CALL_SHORT }, { CALL_send, EAGAIN },
    { CALL_send, EPIPE },      { CALL_sendmsg, CALL_SHORT },
    { CALL_sendmsg, EAGAIN },  { CALL_sendmsg, EINTR },
    { CALL_sendmsg, ENOBUFS }, { CALLS, 0 },
};

/* And to a link. */
static const fault link_faults[] = {
    { MEMORY, ENOMEM },   { CALL_recv, CALL_SHORT }, { CALL_send, CALL_SHORT },  { CALL_read, EAGAIN },
    { CALL_read, EINTR }, { CALL_write, EINTR },     { CALL_epoll_ctl, ENOMEM }, { CALLS, 0 },
};

static const fault start_faults[] = {
    { MEMORY, ENOMEM },
    { CALL_socket, EMFILE },
    { CALL_bind, EADDRINUSE },
    { CALL_listen, EADDRINUSE },
    { CALL_setsockopt, ENOBUFS },
    { CALL_getsockname, ENOBUFS },
    { CALL_fchmod, EPERM },
    { CALL_eventfd, EMFILE },
    { CALL_memfd_create, ENFILE },
    { CALL_ftruncate, ENOSPC },
    { CALL_mmap, ENOMEM },
    { CALL_getrandom, EPERM },
    { CALL_pthread_create, EAGAIN },
    { CALL_uv_loop_init, EMFILE },
    { CALL_epoll_create1, EMFILE },
    { CALL_uv_async_init, EMFILE },
    { CALL_epoll_ctl, ENOMEM },
    { CALLS, 0 },
};

static void arm(const fault *it, long n) {
    if (it->kind == MEMORY)
        atomic_store(&test_fail_at, n);
    else
        calls_fail(it->kind, n, it->error);
}

/* Whether it came to the failure. */
static bool disarm(const fault *it) {
    return it->kind == MEMORY ? atomic_exchange(&test_fail_at, 0) <= 0 : calls_heal();
}

#endif
