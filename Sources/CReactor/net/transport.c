/* The life of a transport: reading, and the ways in which it closes. */
#include "net/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"

/* How many full reads of one transport before the others have their turn. */
#define READS_PER_TURN 4

static void on_ready(cre__watcher *watcher, uint32_t events);

/* ---- opening and closing ---- */

int cre__transport_open(cre__transport *transport, cre__net *net, int descriptor) {
    transport->watcher.ready = on_ready;
    int result = cre__loop_watch(net->loop, descriptor, &transport->watcher, EPOLLIN);
    if (result) return result;
    transport->watching = EPOLLIN;
    transport->net = net;
    transport->descriptor = descriptor;
    transport->last_receive = (uint32_t)cre__loop_now(net->loop);
    return 0;
}

void cre__transport_open_carried(cre__transport *transport, cre__net *net) {
    transport->net = net;
    transport->descriptor = -1;
    transport->last_receive = (uint32_t)cre__loop_now(net->loop);
    transport->carried = transport->established = transport->blocked = true;
    transport->watching = EPOLLIN | EPOLLOUT;
}

static void add_dirty(cre__transport *transport) {
    if (transport->dirty) return;
    transport->dirty = true;
    cre__loop_needs_flush(transport->net->loop);
    transport->next_dirty = transport->net->dirty;
    transport->net->dirty = transport;
}

static void close_socket(cre__transport *transport) {
    transport->state = CRE__TRANSPORT_CLOSED;
    transport->producing = transport->has_destination = false;
    cre__transport_set_deadline(transport, 0);
    cre__queue_drop(transport);
    cre__transport_set_buffered(transport, 0);
    add_dirty(transport); /* freed at the end of the turn */
    if (transport->carried) return;
    cre__tls_detach(transport);
    cre__loop_unwatch(transport->net->loop, transport->descriptor, &transport->watcher);
    close(transport->descriptor);
    transport->descriptor = -1;
}

void cre__transport_discard(cre__transport *transport) {
    close_socket(transport);
}

void cre__transport_close(cre__transport *transport, bool reset) {
    if (transport->state == CRE__TRANSPORT_CLOSED) return;
    if (transport->carried) {
        close_socket(transport);
        transport->net->events->uncarry(transport, reset);
        return;
    }
    if (reset) {
        struct linger now = { .l_onoff = 1 };
        setsockopt(transport->descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close_socket(transport);
    transport->net->open--;
    transport->net->closed++;
}

void cre__transport_finish(cre__transport *transport, uint32_t linger_ms) {
    if (transport->state != CRE__TRANSPORT_OPEN) return;
    transport->state = CRE__TRANSPORT_FINISHING;
    transport->stopped &= CRE__STOP_ENDED;
    transport->producing = transport->has_destination = false;
    transport->no_linger = !linger_ms;
    if (transport->carried) { /* most are closed before that */
        cre__transport_set_deadline(transport, 0);
        transport->deadline = linger_ms ? linger_ms : 1;
        transport->linger_due = true;
    } else {
        cre__transport_set_deadline(transport, linger_ms ? linger_ms : 1);
    }
    cre__transport_update_watch(transport);
    cre__transport_mark(transport);
}

static void establish(cre__transport *transport) {
    transport->established = true;
    transport->net->events->ready(transport);
}

void cre__transport_start(cre__transport *transport) {
    transport->net->open++;
    if (!transport->tls) establish(transport);
    cre__transport_update_watch(transport);
}

void cre__transport_mark(cre__transport *transport) {
    if (transport->state != CRE__TRANSPORT_CLOSED) add_dirty(transport);
}

/* ---- watching ---- */

void cre__transport_update_watch(cre__transport *transport) {
    if (transport->state == CRE__TRANSPORT_CLOSED) return;
    bool read = !transport->stopped;
    uint32_t events = (read ? EPOLLIN : 0u) | (transport->blocked ? EPOLLOUT : 0u);
    if (read && transport->tls && transport->tls->unread && !transport->reading) {
        transport->read_again = true;
        cre__transport_mark(transport);
    }
    if (events == transport->watching) return;
    transport->watching = (uint8_t)events;
    if (transport->carried)
        cre__transport_mark(transport); /* the end of the turn calls `carry` */
    else
        cre__loop_rewatch(transport->net->loop, transport->descriptor, &transport->watcher, events);
}

void cre__transport_stop(cre__transport *transport, uint8_t reasons) {
    transport->stopped |= reasons;
    if (!transport->reading) cre__transport_update_watch(transport);
}

void cre__transport_resume(cre__transport *transport, uint8_t reasons) {
    transport->stopped &= (uint8_t)~reasons;
    if (!transport->reading) cre__transport_update_watch(transport);
}

/* ---- input ---- */

static void input_ended(cre__transport *transport) {
    transport->stopped |= CRE__STOP_ENDED;
    if (transport->state == CRE__TRANSPORT_OPEN) {
        transport->net->events->ended(transport, CRE__INPUT_ENDED);
        cre__transport_update_watch(transport);
    } else if (!cre__queue_pending(transport) && !(transport->tls && !transport->tls->shutdown_sent)) {
        cre__transport_close(transport, false);
    } else {
        cre__transport_update_watch(transport);
    }
}

void cre__transport_failed(cre__transport *transport, int error) {
    transport->stopped |= CRE__STOP_ENDED;
    if (transport->state == CRE__TRANSPORT_OPEN)
        transport->net->events->ended(transport, -error);
    else
        cre__transport_close(transport, false);
}

static bool may_read(cre__transport *transport) {
    if (transport->stopped || transport->state == CRE__TRANSPORT_CLOSED) return false;
    return transport->state == CRE__TRANSPORT_FINISHING || transport->net->events->may_read(transport);
}

static ssize_t receive(cre__transport *transport, uint8_t *at, size_t room) {
    struct cre__tls_conn *tls = transport->tls;
    if (!tls) return recv(transport->descriptor, at, room, 0);
    if (transport->state == CRE__TRANSPORT_FINISHING) {
        tls->unread = false;
        return recv(transport->descriptor, at, room, 0);
    }
    ssize_t got = cre__tls_receive(transport, at, room);
    if (!transport->established && !tls->handshaking) {
        int error = errno;
        establish(transport);
        errno = error;
    }
    return got;
}

static void received(cre__transport *transport, uint8_t *at, size_t length, bool at_destination) {
    cre__net *net = transport->net;
    uint32_t now = (uint32_t)cre__loop_now(net->loop);
    bool report = (now ^ transport->last_receive) >> CRE__ACTIVITY_SHIFT;
    net->bytes_in += length;
    transport->last_receive = now;
    if (report) net->events->active(transport, true);
    net->events->readable(transport, at, length, at_destination);
}

/* Takes a transport that was just flushed off the list of marked ones, if that is cheap and nothing else is
 * due at the end of the turn. */
static void unmark(cre__transport *transport) {
    cre__net *net = transport->net;
    if (net->dirty != transport || transport->turn_due || transport->read_again ||
        transport->state != CRE__TRANSPORT_OPEN)
        return;
    net->dirty = transport->next_dirty;
    transport->dirty = false;
}

void cre__transport_read(cre__transport *transport, uint8_t reads) {
    cre__net *net = transport->net;
    struct cre__tls_conn *tls = transport->tls;
    transport->reading = true;
    if (tls) tls->reads_left = reads; /* TLS may have input of its own, and counts reads of the socket */
    for (int round = 0; (transport->tls || round < reads) && may_read(transport); round++) {
        uint8_t *at = NULL;
        size_t room = transport->has_destination ? net->events->destination(transport, &at) : 0;
        bool at_destination = room > 0;
        if (!at_destination) {
            at = net->slab;
            room = CRE__SLAB;
        }
        ssize_t got = receive(transport, at, room);
        if (got < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) cre__transport_failed(transport, errno);
            break;
        }
        if (got == 0) {
            input_ended(transport);
            break;
        }
        if (transport->state == CRE__TRANSPORT_FINISHING)
            net->bytes_in += (uint64_t)got; /* too late: dropped */
        else
            received(transport, at, (size_t)got, at_destination);
        if ((size_t)got < room && !(transport->tls && cre__tls_is_over(transport->tls))) break;
    }
    transport->reading = false;
    if (transport->dirty && !transport->blocked) {
        cre__queue_flush(transport);
        unmark(transport);
    }
    cre__transport_update_watch(transport);
}

static void on_ready(cre__watcher *watcher, uint32_t events) {
    cre__transport *transport = (cre__transport *)(void *)watcher;
    if (!transport->watching) return; /* an error, which shows as soon as something is watched */
    if (events & EPOLLERR && events & transport->watching & EPOLLIN) {
        cre__transport_read(transport, READS_PER_TURN); /* what came before a reset; the error is behind it */
        return;
    }
    if (events & EPOLLERR) {
        transport->watching = 0;
        cre__loop_rewatch(transport->net->loop, transport->descriptor, watcher, 0);
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(transport->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
        cre__transport_failed(transport, error ? error : ECONNRESET);
        return;
    }
    if (events == EPOLLHUP) events = transport->watching;
    if (events & transport->watching & EPOLLOUT) {
        transport->blocked = false;
        cre__queue_flush(transport);
    }
    if ((events & transport->watching & EPOLLIN) && transport->state != CRE__TRANSPORT_CLOSED)
        cre__transport_read(transport, READS_PER_TURN);
}
