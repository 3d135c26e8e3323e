// The least that a TCP echo can cost: epoll, one read and one write for each turn. What it cannot write at
// once it writes blocking, which the load never provokes with small messages.
#include <errno.h>
#include <stdint.h>

#include "tcp.h"

static void echo(int fd) {
    static uint8_t buffer[65536];
    ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0)
        close(fd);
    else
        send_all(fd, buffer, (size_t)n);
}

int main(int argc, char **argv) {
    serve_all(listen_on(port_option(argc, argv)), echo);
}
