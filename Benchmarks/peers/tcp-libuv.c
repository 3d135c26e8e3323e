// TCP echo on plain libuv: one shared read buffer, uv_try_write first, a queued copy of what is left.
#include <stdint.h>
#include <uv.h>

#include "options.h"

struct pending {
    uv_write_t request;
    char bytes[];
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
    static char buffer[65536];
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(buffer, sizeof buffer);
}

static void on_closed(uv_handle_t *handle) {
    free(handle);
}

static void on_written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in) {
    if (n == 0) return;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    uv_buf_t out = uv_buf_init(in->base, (unsigned)n);
    int done = uv_try_write(stream, &out, 1);
    if (done < 0) done = 0;
    if (done == n) return;
    size_t left = (size_t)(n - done);
    struct pending *pending = malloc(sizeof *pending + left);
    if (!pending) exit(1);
    memcpy(pending->bytes, in->base + done, left);
    out = uv_buf_init(pending->bytes, (unsigned)left);
    if (uv_write(&pending->request, stream, &out, 1, on_written)) free(pending);
}

static void on_connection(uv_stream_t *listener, int status) {
    if (status < 0) return;
    uv_tcp_t *client = malloc(sizeof *client);
    if (!client) exit(1);
    uv_tcp_init(listener->loop, client);
    if (uv_accept(listener, (uv_stream_t *)client)) {
        uv_close((uv_handle_t *)client, on_closed);
        return;
    }
    uv_tcp_nodelay(client, 1);
    uv_read_start((uv_stream_t *)client, on_alloc, on_read);
}

int main(int argc, char **argv) {
    struct sockaddr_in address;
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    uv_ip4_addr("127.0.0.1", port_option(argc, argv), &address);
    uv_tcp_init(loop, &listener);
    int error = uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    if (!error) error = uv_listen((uv_stream_t *)&listener, 1024, on_connection);
    if (error) {
        fprintf(stderr, "tcp-libuv: %s\n", uv_strerror(error));
        return 1;
    }
    int length = sizeof address;
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length);
    announce(ntohs(address.sin_port));
    return uv_run(loop, UV_RUN_DEFAULT);
}
