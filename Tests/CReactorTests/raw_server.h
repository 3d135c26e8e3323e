/* A listening socket of this machine, which the case serves by hand. */
#ifndef CRE_TEST_RAW_SERVER_H
#define CRE_TEST_RAW_SERVER_H

#include <creactor/listen.h>
#include <sys/socket.h>

#include "net.h"

typedef struct raw_server {
    int listener, descriptor;
    uint16_t port;
    size_t length;
    bool served;
    char request[4096];
} raw_server;

static inline void raw_start(raw_server *raw) {
    raw->listener = cre_listen(
        &(cre_listen_options){ .size = sizeof(cre_listen_options), .host = "127.0.0.1" }, &raw->port);
    REQUIRE(raw->listener >= 0);
    raw->descriptor = -1;
    raw->length = 0;
    raw->served = false;
}

/* Accepts, or reads more of the request. Returns whether the request is complete. */
static inline bool raw_receive(raw_server *raw) {
    if (raw->descriptor < 0) {
        raw->descriptor = accept4(raw->listener, NULL, NULL, SOCK_NONBLOCK);
        return false;
    }
    ssize_t got = recv(raw->descriptor, raw->request + raw->length, sizeof raw->request - 1 - raw->length, 0);
    if (got > 0) raw->length += (size_t)got;
    raw->request[raw->length] = 0;
    return strstr(raw->request, "\r\n\r\n") != NULL;
}

static inline void raw_read_request(raw_server *raw, net_server *net) {
    NET_UNTIL(net, raw_receive(raw));
}

static inline void raw_write(raw_server *raw, const void *data, size_t length) {
    REQUIRE(send(raw->descriptor, data, length, MSG_NOSIGNAL) == (ssize_t)length);
}

static inline void raw_stop(raw_server *raw) {
    if (raw->descriptor >= 0) close(raw->descriptor);
    close(raw->listener);
}

#endif
