// The least that a TCP echo can cost: epoll, one read and one write for each turn. What it cannot write at
// once it writes blocking, which the load never provokes with small messages.
#include <errno.h>
#include <stdint.h>

#include "tcp.h"

static void echo(int fd, uint8_t *buffer, size_t capacity) {
    ssize_t n = recv(fd, buffer, capacity, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0)
        close(fd);
    else
        send_all(fd, buffer, (size_t)n);
}

int main(int argc, char **argv) {
    static uint8_t buffer[65536];
    int listener = listen_on(port_option(argc, argv)), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];
    watch(epoll, listener, EPOLLIN);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        if (n < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(epoll, listener);
            else
                echo(events[i].data.fd, buffer, sizeof buffer);
        }
    }
}
