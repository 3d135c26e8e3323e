/*
 * HTTP/2 without an engine: `c-http2 [PORT]` serves prior knowledge on sockets of its own, by sessions of
 * creactor/http2.h. GET / answers "hello\n", /large 300000 bytes; a POST is answered with its body; an
 * extended CONNECT of any protocol echoes the bytes of its tunnel.
 */
#include <arpa/inet.h>
#include <creactor/error.h>
#include <creactor/http2.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CLIENTS = 256, OUTPUT = 65536 };

typedef struct client {
    int socket;
    cre_http2 *session;
    uint8_t output[OUTPUT]; /* [sent, length) was produced and not sent */
    size_t sent, length;
    bool done; /* close when the output was sent */
} client;

static client *clients[MOST_CLIENTS];
static struct pollfd sockets[MOST_CLIENTS + 1];
static int count; /* of clients; the listening socket is behind them */

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- requests ---- */

static void answer(cre_http2 *session, const cre_http2_event *event) {
    static const uint8_t large[300000];
    static const cre_http_header text = { "content-type", "text/plain", 12, 10 };
    const cre_http_head *head = event->head;
    const bool is_large = head->path_length == 6 && !memcmp(event->head_bytes + head->path, "/large", 6);
    const cre_slice body =
        is_large ? (cre_slice){ large, sizeof large } : (cre_slice){ (const uint8_t *)"hello\n", 6 };
    cre_http2_response response = { .status = 200, .fields = &text, .field_count = 1 };
    int result = 0;
    if (event->protocol) {
        result = cre_http2_respond(session, event->stream, &response, NULL, 0, false); /* a tunnel */
    } else if (head->method == CRE_HTTP_CONNECT) {
        response.status = 501;
        result = cre_http2_respond(session, event->stream, &response, NULL, 0, true);
    } else if (!event->final) {
        result = cre_http2_respond(session, event->stream, &response, NULL, 0, false); /* DATA follows */
    } else {
        response.has_length = true;
        response.content_length = body.length;
        const bool has_body = head->method != CRE_HTTP_HEAD;
        result = cre_http2_respond(session, event->stream, &response, &body, has_body ? 1 : 0, true);
    }
    if (result) cre_http2_reset(session, event->stream, CRE_HTTP2_INTERNAL_ERROR);
}

static void on_event(void *context, cre_http2 *session, const cre_http2_event *event) {
    (void)context;
    const cre_slice data = { event->data, event->length };
    switch (event->kind) {
    case CRE_HTTP2_REQUEST: answer(session, event); break;
    case CRE_HTTP2_DATA:
        /* A program with more to lose would not consume what it cannot echo yet, and go on at WRITABLE. */
        if (cre_http2_send(session, event->stream, &data, 1, false) == CRE_EQUEUE_FULL)
            cre_http2_reset(session, event->stream, CRE_HTTP2_ENHANCE_YOUR_CALM);
        cre_http2_consume(session, event->stream, event->length);
        break;
    case CRE_HTTP2_END: (void)!cre_http2_send(session, event->stream, NULL, 0, true); break;
    default: break;
    }
}

/* ---- sockets ---- */

static void accept_client(int listener) {
    int descriptor = accept(listener, NULL, NULL);
    if (descriptor < 0) return;
    client *made = count < MOST_CLIENTS ? calloc(1, sizeof *made) : NULL;
    const cre_http2_config config = { .size = sizeof config, .on_event = on_event, .extended_connect = 1 };
    if (!made || cre_http2_create(&config, &made->session) != 0) {
        free(made);
        close(descriptor);
        return;
    }
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    made->socket = descriptor;
    clients[count] = made;
    sockets[count++] = (struct pollfd){ .fd = descriptor };
}

static void remove_client(int index) {
    client *gone = clients[index];
    cre_http2_destroy(gone->session);
    close(gone->socket);
    free(gone);
    clients[index] = clients[--count];
    sockets[index] = sockets[count];
}

/* Sends what the session produces until the socket takes no more. */
static bool send_output(client *it) {
    for (;;) {
        if (it->sent == it->length) {
            it->sent = 0;
            if (cre_http2_produce(it->session, it->output, OUTPUT, &it->length) != 0) return false;
            if (!it->length) {
                /* The last frame has the reason. Closing with unread input would destroy it on its way. */
                if (cre_http2_is_done(it->session) && !it->done) {
                    it->done = true;
                    shutdown(it->socket, SHUT_WR);
                }
                return true;
            }
        }
        ssize_t size = send(it->socket, it->output + it->sent, it->length - it->sent, MSG_NOSIGNAL);
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        it->sent += (size_t)size;
    }
}

static bool serve(client *it, short events) {
    uint8_t input[65536];
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        ssize_t size = recv(it->socket, input, sizeof input, 0);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) return false;
        if (size > 0 && !it->done) (void)!cre_http2_receive(it->session, input, (size_t)size, now_ms());
    }
    return send_output(it);
}

static int listen_on(uint16_t port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror("cannot listen");
        exit(1);
    }
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

int main(int argc, char **argv) {
    int listener = listen_on((uint16_t)(argc > 1 ? atoi(argv[1]) : 9501));
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    uint64_t expired = now_ms();
    while (!stopped) {
        for (int i = 0; i < count; i++)
            sockets[i].events = (short)(POLLIN | (clients[i]->sent < clients[i]->length ? POLLOUT : 0));
        sockets[count] = (struct pollfd){ .fd = listener, .events = POLLIN };
        const int polled = count;
        if (poll(sockets, (nfds_t)count + 1, 1000) < 0) continue;
        bool more = sockets[polled].revents & POLLIN;
        bool timer_due = now_ms() - expired >= 1000;
        for (int i = polled - 1; i >= 0; i--) {
            if (timer_due) cre_http2_expire(clients[i]->session, now_ms());
            if ((sockets[i].revents || timer_due) && !serve(clients[i], sockets[i].revents)) remove_client(i);
        }
        if (timer_due) expired = now_ms();
        if (more) accept_client(listener);
    }
    while (count)
        remove_client(count - 1);
    close(listener);
    return 0;
}
