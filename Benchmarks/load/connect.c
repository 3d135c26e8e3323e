// Connections and the event loop.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "wsload.h"

#define WS_KEY          "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455, section 1.3
#define OPENING_AT_ONCE 128
#define STALL_NS        10000000000ull

int poll_fd;
struct conn *conns, *publisher;
int nconns, nopen, nstarted;

bool is_other(const struct conn *c) {
    return c->id >= (uint32_t)(nconns - opt.nothers);
}

void watch(struct conn *c, bool out) {
    struct epoll_event e = { .events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = c };
    c->want_out = out;
    if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &e)) die(EXIT_USAGE, "epoll_ctl: %s", strerror(errno));
}

// Many idle connections need more ports than one source address has.
static void bind_spread(struct conn *c) {
    int one = 1;
    struct sockaddr_in from = { .sin_family = AF_INET };
    from.sin_addr.s_addr = htonl(0x7f000002u + c->id % 200);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die(EXIT_CONNECT, "bind: %s", strerror(errno));
}

// With several servers they get the connections in turn.
static uint16_t port_of(const struct conn *c) {
    return (uint16_t)(is_other(c) ? opt.other_port : opt.ports[c->id % (unsigned)opt.nports]);
}

static void start_connect(struct conn *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        die(EXIT_CONNECT, "socket: %s (is the descriptor limit high enough?)", strerror(errno));
    }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.mode == MODE_IDLE) bind_spread(c);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port_of(c)) };
    if (inet_pton(AF_INET, opt.host, &to.sin_addr) != 1) die(EXIT_USAGE, "host must be an IPv4 address");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        die(EXIT_CONNECT, "connect: %s", strerror(errno));
    }
    c->state = STATE_CONNECTING;
    c->want_out = true;
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e)) die(EXIT_USAGE, "epoll_ctl: %s", strerror(errno));
    nstarted++;
}

void opened(struct conn *c) {
    c->state = STATE_OPEN;
    nopen++;
    watch(c, false);
    free(c->part);
    c->part = NULL;
    c->part_have = 0;
    last_progress = now;
}

static void connected(struct conn *c, uint32_t events) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) die(EXIT_CONNECT, "connect: %s", strerror(error));
    if (!(events & EPOLLOUT)) return;
    if (opt.protocol != PROTOCOL_WS) {
        opened(c);
        return;
    }
    char request[1024];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: " WS_KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     opt.path, opt.host, port_of(c));
    if (n < 0 || (size_t)n >= sizeof request) die(EXIT_USAGE, "the path is too long");
    if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        die(EXIT_CONNECT, "handshake: %s", strerror(errno));
    c->state = STATE_HANDSHAKE;
    watch(c, false);
}

static void on_event(struct conn *c, uint32_t events) {
    switch (c->state) {
    case STATE_CONNECTING: connected(c, events); break;
    case STATE_HANDSHAKE: receive_handshake(c); break;
    case STATE_GREETING:
    case STATE_OPEN:
        if (LIKELY(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) receive(c);
        if (UNLIKELY((events & EPOLLOUT) && c->want_out)) frames_flush(c);
        break;
    }
}

// How many messages should have been published by now.
static uint64_t due(void) {
    return opt.rate ? (now - publishing_since) * (unsigned)opt.rate / 1000000000 + 1 : UINT64_MAX;
}

void publish_more(void) {
    unsigned n = 0;
    uint64_t in_flight = publisher->tx_seq - published_done;
    while (in_flight + n < (unsigned)opt.pipeline && publisher->tx_seq + n < due()) {
        subscribers_left[(publisher->tx_seq + n) % (unsigned)opt.pipeline] = (uint32_t)opt.conns;
        n++;
    }
    if (!n) return;
    frames_queue(publisher, n);
    frames_flush(publisher);
}

void poll_once(int timeout) {
    static struct epoll_event events[1024];
    count.waits++;
    if (opt.rate && publisher && timeout > 1) timeout = 1;
    int n = epoll_wait(poll_fd, events, 1024, opt.spin ? 0 : timeout);
    if (n < 0 && errno != EINTR) die(EXIT_USAGE, "epoll_wait: %s", strerror(errno));
    now = clock_ns();
    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
    bool publishing = opt.mode == MODE_BROADCAST && publisher && publisher->tx_seq;
    if (publishing && published_done + (unsigned)opt.pipeline > publisher->tx_seq) publish_more();
    if (UNLIKELY(now - last_progress > STALL_NS && opt.mode != MODE_IDLE)) {
        die(EXIT_STALLED, "no progress for 10 s");
    }
}

void run_until(uint64_t end) {
    while (now < end) {
        uint64_t left = (end - now) / 1000000 + 1;
        poll_once(left > 500 ? 500 : (int)left);
    }
}

void open_all(int limit_ms) {
    now = last_progress = clock_ns();
    uint64_t end = now + (uint64_t)limit_ms * 1000000ull;
    while (nopen < nconns) {
        while (nstarted < nconns && nstarted - nopen < OPENING_AT_ONCE) {
            struct conn *c = &conns[nstarted];
            c->id = (uint32_t)nstarted;
            start_connect(c);
        }
        poll_once(100);
        if (now > end) {
            die(EXIT_CONNECT, "%d of %d connections open after %d ms", nopen, nconns, limit_ms);
        }
    }
}
