/*
 * WebSocket echo over TLS or with compression, which wsload does not do:
 *
 *   wireload PORT [--tls] [--deflate] [-c CONNECTIONS] [-P IN_FLIGHT] [-s BYTES] [-t SECONDS]
 *
 * Each connection sends IN_FLIGHT masked messages at once, in one record, and the next ones when all have
 * come back. With --deflate the messages are JSON, each compressed by itself. Prints the number of messages
 * that came back.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { MOST = 65535, TIMEOUT_S = 10 };

static SSL_CTX *context; /* NULL: plain */

typedef struct peer {
    int descriptor;
    SSL *ssl;
    unsigned char in[1 << 17]; /* received and not looked at */
    int length;
} peer;

static void die(const char *what) {
    fprintf(stderr, "wireload: %s\n", what);
    exit(1);
}

static void put(peer *it, const void *data, int length) {
    int sent = it->ssl ? SSL_write(it->ssl, data, length)
                       : (int)send(it->descriptor, data, (size_t)length, MSG_NOSIGNAL);
    if (sent != length) die("sending failed");
}

static void get(peer *it) {
    unsigned char *at = it->in + it->length;
    int room = (int)sizeof it->in - it->length;
    int got = it->ssl ? SSL_read(it->ssl, at, room) : (int)recv(it->descriptor, at, (size_t)room, 0);
    if (got <= 0) die("the server has ended the connection, or does not answer");
    it->length += got;
}

static void drop(peer *it, int length) {
    it->length -= length;
    memmove(it->in, it->in + length, (size_t)it->length);
}

/* The size of the frame at `at`, 0: it is not complete. */
static int frame_at(const unsigned char *at, int length, bool deflate) {
    if (length < 4) return 0;
    const int small = at[1] & 127, head = small == 126 ? 4 : 2;
    const int size = head + (small == 126 ? at[2] << 8 | at[3] : small);
    if (small == 127 || at[1] & 128) die("an answer is too large, or masked");
    if (deflate && !(at[0] & 0x40)) die("an answer is not compressed");
    return size <= length ? size : 0;
}

static void receive(peer *it, int messages, bool deflate) {
    int at = 0;
    while (messages) {
        const int size = frame_at(it->in + at, it->length - at, deflate);
        at += size;
        if (size) {
            messages--;
        } else {
            drop(it, at);
            at = 0;
            get(it);
        }
    }
    drop(it, at);
}

static void open_peer(peer *made, int port, bool deflate) {
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval patience = { .tv_sec = TIMEOUT_S };
    int on = 1;
    made->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(made->descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(made->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(made->descriptor, (struct sockaddr *)&at, sizeof at)) die("no server there");
    if (context) {
        made->ssl = SSL_new(context);
        SSL_set_fd(made->ssl, made->descriptor);
        if (SSL_connect(made->ssl) != 1) die("no handshake");
    }
    char request[512];
    int length =
        snprintf(request, sizeof request,
                 "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                 deflate ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                           "client_no_context_takeover\r\n"
                         : "");
    put(made, request, length);
    const char *end;
    while (made->in[made->length] = 0, !(end = strstr((char *)made->in, "\r\n\r\n")))
        get(made);
    if (memcmp(made->in, "HTTP/1.1 101", 12) != 0) die("no WebSocket");
    if (deflate && !strstr((char *)made->in, "permessage-deflate")) die("the server does not compress");
    drop(made, (int)(end + 4 - (char *)made->in));
}

/* Rows of a table of users, as an API may send them. */
static void write_json(char *to, int bytes) {
    char row[128];
    for (int at = 0, id = 1000; at < bytes; id += 37) {
        int length =
            snprintf(row, sizeof row, "{\"id\":%d,\"name\":\"user %x\",\"score\":%d.%d,\"active\":%s},", id,
                     id * 2654435761u >> 12, id * 7 % 1000, id % 10, id % 3 ? "true" : "false");
        if (length > bytes - at) length = bytes - at;
        memcpy(to + at, row, (size_t)length);
        at += length;
    }
}

/* Returns the length of the payload without the end of the block. */
static int compress_payload(unsigned char *to, int room, const char *text, int bytes) {
    z_stream stream = { .next_in = (unsigned char *)(uintptr_t)text,
                        .avail_in = (unsigned)bytes,
                        .next_out = to,
                        .avail_out = (unsigned)room };
    if (deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY)) die("no memory");
    deflate(&stream, Z_SYNC_FLUSH);
    deflateEnd(&stream);
    return room - (int)stream.avail_out - 4;
}

static int write_frame(unsigned char *at, const unsigned char *payload, int length, bool deflate) {
    static const unsigned char key[4] = { 0x12, 0x34, 0x56, 0x78 };
    const int head = length < 126 ? 2 : 4;
    at[0] = (unsigned char)(deflate ? 0xc1 : 0x82);
    at[1] = (unsigned char)(0x80 | (length < 126 ? length : 126));
    if (head == 4) at[2] = (unsigned char)(length >> 8), at[3] = (unsigned char)length;
    memcpy(at + head, key, 4);
    for (int i = 0; i < length; i++)
        at[head + 4 + i] = payload[i] ^ key[i & 3];
    return head + 4 + length;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    int connections = 50, in_flight = 16, bytes = 64;
    double seconds = 1;
    bool tls = false, deflate = false;
    if (argc < 2) die("PORT [--tls] [--deflate] [-c CONNECTIONS] [-P IN_FLIGHT] [-s BYTES] [-t SECONDS]");
    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--tls") == 0) {
            tls = true;
            continue;
        } else if (strcmp(argv[i], "--deflate") == 0) {
            deflate = true;
            continue;
        } else if (strcmp(argv[i], "-c") == 0) {
            connections = atoi(value);
        } else if (strcmp(argv[i], "-P") == 0) {
            in_flight = atoi(value);
        } else if (strcmp(argv[i], "-s") == 0) {
            bytes = atoi(value);
        } else if (strcmp(argv[i], "-t") == 0) {
            seconds = atof(value);
        } else {
            die("unknown option");
        }
        i++;
    }
    if (connections < 1 || in_flight < 1 || bytes < 1 || bytes > MOST) die("a number is out of range");
    if (tls) context = SSL_CTX_new(TLS_client_method());

    static char text[MOST];
    static unsigned char payload[MOST + 1024];
    write_json(text, bytes);
    int length = bytes;
    if (deflate)
        length = compress_payload(payload, sizeof payload, text, bytes);
    else
        memcpy(payload, text, (size_t)bytes);
    unsigned char *out = malloc((size_t)in_flight * (size_t)(length + 8));
    int batch = 0;
    for (int i = 0; i < in_flight; i++)
        batch += write_frame(out + batch, payload, length, deflate);

    peer *peers = calloc((size_t)connections, sizeof *peers);
    if (!peers || !out) die("no memory");
    for (int i = 0; i < connections; i++)
        open_peer(&peers[i], atoi(argv[1]), deflate);
    long long messages = 0;
    for (const double end = now() + seconds; now() < end; messages += connections * in_flight) {
        for (int i = 0; i < connections; i++)
            put(&peers[i], out, batch);
        for (int i = 0; i < connections; i++)
            receive(&peers[i], in_flight, deflate);
    }
    printf("%lld messages\n", messages);
    return 0;
}
