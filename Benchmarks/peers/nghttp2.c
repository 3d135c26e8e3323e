// The least that HTTP/2 by nghttp2 can cost: each request is answered from memory, with the fields that our
// servers send, and nothing is checked, counted or limited. What it cannot write at once it writes blocking.
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdint.h>

#include "tcp.h"

enum { READ_SIZE = 65536, OUT_SIZE = 1 << 20 };

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

static void on_signal(int number) {
    (void)number;
    exit(0); // so that callgrind writes its counts
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t capacity, uint32_t *flags,
                         nghttp2_data_source *source, void *context) {
    (void)session, (void)id, (void)capacity, (void)source, (void)context;
    memcpy(out, HELLO, sizeof HELLO - 1);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return sizeof HELLO - 1;
}

#define FIELD(name, value)                                                  \
    { (uint8_t *)name, (uint8_t *)value, sizeof name - 1, sizeof value - 1, \
      NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE }

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)context;
    if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    nghttp2_nv fields[] = { FIELD(":status", "200"), FIELD("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
                            FIELD("content-length", "12"), FIELD("content-type", "text/plain") };
    nghttp2_data_provider body = { .read_callback = read_body };
    return nghttp2_submit_response(session, frame->hd.stream_id, fields, sizeof fields / sizeof *fields,
                                   &body);
}

struct connection {
    int fd;
    nghttp2_session *session;
};

static void accept_session(int epoll, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *connection = malloc(sizeof *connection);
    if (!connection) fail("malloc");
    connection->fd = fd;
    const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100 },
                                                { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 } };
    if (nghttp2_session_server_new2(&connection->session, callbacks, NULL, options) ||
        nghttp2_submit_settings(connection->session, 0, settings, 2))
        fail("nghttp2");
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static void close_connection(struct connection *connection) {
    nghttp2_session_del(connection->session);
    close(connection->fd);
    free(connection);
}

static void serve(struct connection *connection) {
    static uint8_t in[READ_SIZE], out[OUT_SIZE];
    ssize_t got = recv(connection->fd, in, sizeof in, MSG_DONTWAIT), size;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || nghttp2_session_mem_recv(connection->session, in, (size_t)got) < 0) {
        close_connection(connection);
        return;
    }
    const uint8_t *frames;
    size_t length = 0;
    while ((size = nghttp2_session_mem_send(connection->session, &frames)) > 0) {
        if (length + (size_t)size > sizeof out) {
            send_all(connection->fd, out, length);
            length = 0;
        }
        memcpy(out + length, frames, (size_t)size);
        length += (size_t)size;
    }
    send_all(connection->fd, out, length);
}

int main(int argc, char **argv) {
    signal(SIGTERM, on_signal);
    if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&options)) fail("nghttp2");
    nghttp2_option_set_no_http_messaging(options, 1); // as our server, which checks requests itself
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    int listener = listen_on(port_option(argc, argv)), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL }, events[256];
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event)) fail("epoll_ctl");
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                accept_session(epoll, listener);
        }
    }
}
