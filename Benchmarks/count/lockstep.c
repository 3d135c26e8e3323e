// lockstep: sends an exact number of messages over one connection, in batches, and waits for every answer of
// a batch before it sends the next one. The server does the same work in each run, which is what makes its
// instructions countable.
//
//   lockstep -p PORT -k DEPTH -n BATCHES [-s BYTES]
//       WebSocket echo: DEPTH binary messages of BYTES per batch
//   lockstep -p PORT -k DEPTH -n BATCHES --http
//       keep-alive GET /hello, DEPTH requests per batch
//   lockstep -p PORT -k DEPTH -n BATCHES --http2
//       the same over HTTP/2 with prior knowledge, DEPTH streams per batch
//   lockstep -p PORT --idle CONNS
//       opens CONNS WebSocket connections, prints "open", and keeps them until it is killed
//
// A batch is one send, so it reaches the server in one read as long as it fits into one segment of the
// loopback interface (64 KiB). Exit status: 0 fine, 1 usage, 2 cannot connect or shake hands, 3 wrong answer.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_USAGE = 1, EXIT_CONNECT, EXIT_ANSWER };
enum { MAX_BATCH = 60000, MAX_HEAD = 4096, LIMIT_SECONDS = 120 };

static const char request[] = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
static const char handshake[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Sec-WebSocket-Version: 13\r\n\r\n";
static const char accepted[] = "HTTP/1.1 101 ";
static const char succeeded[] = "HTTP/1.1 200 ";

// What one batch sends, and what must come back.
struct batch {
    uint8_t *out, *in, *expected; // expected is NULL for HTTP, whose date changes
    size_t out_size, in_size, answer_size;
};

__attribute__((noreturn, format(printf, 2, 3))) static void die(int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("lockstep: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) die(EXIT_USAGE, "out of memory");
    return memory;
}

static int connect_to(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die(EXIT_CONNECT, "cannot connect to port %d: %s", port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const void *data, size_t size) {
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        die(EXIT_ANSWER, "cannot send %zu bytes: %s", size, strerror(errno));
}

static void receive_all(int fd, uint8_t *data, size_t size) {
    ssize_t got = recv(fd, data, size, MSG_WAITALL);
    if (got != (ssize_t)size)
        die(EXIT_ANSWER, "%zd of %zu bytes: %s", got, size, got < 0 ? strerror(errno) : "connection closed");
}

// Reads up to the end of a response head, and not a byte more; returns its length.
static size_t receive_head(int fd, char *head, const char *start) {
    size_t size = 0;
    while (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4) != 0) {
        if (size == MAX_HEAD || recv(fd, head + size, 1, 0) != 1) die(EXIT_CONNECT, "no response head");
        size++;
    }
    head[size] = 0;
    if (strncmp(head, start, strlen(start)) != 0)
        die(EXIT_CONNECT, "unexpected response: %.*s", (int)strcspn(head, "\r"), head);
    return size;
}

static int open_websocket(int port) {
    char head[MAX_HEAD + 1];
    int fd = connect_to(port);
    send_all(fd, handshake, sizeof handshake - 1);
    receive_head(fd, head, accepted);
    return fd;
}

// Fetches one response; all further ones must have its size.
static int open_http(int port, size_t *answer_size) {
    char head[MAX_HEAD + 1];
    uint8_t body[MAX_HEAD];
    int fd = connect_to(port);
    send_all(fd, request, sizeof request - 1);
    *answer_size = receive_head(fd, head, succeeded);
    const char *field = strcasestr(head, "\r\ncontent-length:");
    size_t length = field ? strtoul(field + 17, NULL, 10) : 0;
    if (length == 0 || length > sizeof body) die(EXIT_CONNECT, "no usable Content-Length");
    receive_all(fd, body, length);
    *answer_size += length;
    return fd;
}

static size_t put_frame(uint8_t *at, const uint8_t *payload, size_t size, const uint8_t *mask) {
    uint8_t *start = at, flag = mask ? 0x80 : 0;
    *at++ = 0x82;
    if (size < 126) {
        *at++ = (uint8_t)(flag | size);
    } else {
        *at++ = flag | 126;
        *at++ = (uint8_t)(size >> 8);
        *at++ = (uint8_t)size;
    }
    if (mask) {
        memcpy(at, mask, 4);
        at += 4;
    }
    for (size_t i = 0; i < size; i++)
        *at++ = mask ? payload[i] ^ mask[i & 3] : payload[i];
    return (size_t)(at - start);
}

static struct batch websocket_batch(size_t depth, size_t size) {
    static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    size_t room = depth * (size + 8);
    struct batch b = { .out = allocate(room), .in = allocate(room), .expected = allocate(room) };
    uint8_t *payload = allocate(size);
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(i * 131 + 7);
    for (size_t i = 0; i < depth; i++) {
        payload[0] = (uint8_t)i; // answers in another order are noticed
        b.out_size += put_frame(b.out + b.out_size, payload, size, mask);
        b.in_size += put_frame(b.expected + b.in_size, payload, size, NULL);
    }
    free(payload);
    return b;
}

static struct batch http_batch(size_t depth, size_t answer_size) {
    size_t size = sizeof request - 1;
    struct batch b = { .out = allocate(depth * size), .in = allocate(depth * answer_size) };
    for (size_t i = 0; i < depth; i++)
        memcpy(b.out + i * size, request, size);
    b.out_size = depth * size;
    b.in_size = depth * answer_size;
    b.answer_size = answer_size;
    return b;
}

static void exchange(int fd, const struct batch *b) {
    send_all(fd, b->out, b->out_size);
    receive_all(fd, b->in, b->in_size);
    if (b->expected && memcmp(b->in, b->expected, b->in_size) != 0) die(EXIT_ANSWER, "not an echo");
    for (size_t at = 0; !b->expected && at < b->in_size; at += b->answer_size) {
        if (memcmp(b->in + at, succeeded, sizeof succeeded - 1) != 0) die(EXIT_ANSWER, "not a response");
    }
}

// ---- HTTP/2 ----

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, WINDOW_UPDATE = 8, END_STREAM = 1, END_HEADERS = 4, ACK = 1 };
enum { FRAME_HEAD = 9, MAX_FRAME = 1 << 14 };

// What a client's HPACK encoder writes for the first request, and then for all that are the same.
static const uint8_t first_head[] = "\x82\x86\x44\x06/hello\x41\x09"
                                    "127.0.0.1\x7a\x08lockstep";
static const uint8_t next_head[] = "\x82\x86\xc0\xbf\xbe";

static size_t put_frame_head(uint8_t *at, size_t length, uint8_t type, uint8_t flags, uint32_t stream) {
    const uint8_t head[FRAME_HEAD] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8),  (uint8_t)length,        type,           flags,
        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream
    };
    memcpy(at, head, sizeof head);
    return sizeof head;
}

// Reads frames until this many streams have ended.
static void receive_streams(int fd, size_t count) {
    static uint8_t buffer[4 * MAX_FRAME];
    size_t length = 0;
    while (count) {
        ssize_t got = recv(fd, buffer + length, sizeof buffer - length, 0);
        if (got <= 0) die(EXIT_ANSWER, "no frames: %s", got < 0 ? strerror(errno) : "connection closed");
        length += (size_t)got;
        size_t at = 0, size = 0;
        for (; length - at >= FRAME_HEAD; at += size) {
            const uint8_t *frame = buffer + at;
            size = FRAME_HEAD + ((size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2]);
            if (size > FRAME_HEAD + MAX_FRAME) die(EXIT_ANSWER, "a frame of %zu bytes", size);
            if (size > length - at) break;
            const bool answer = frame[3] == DATA || frame[3] == HEADERS;
            if (!answer && frame[3] != SETTINGS && frame[3] != WINDOW_UPDATE)
                die(EXIT_ANSWER, "an unexpected frame of type %d", frame[3]);
            if (frame[3] == HEADERS && frame[FRAME_HEAD] != 0x88 && (frame[FRAME_HEAD] & 0xE0) != 0x20)
                die(EXIT_ANSWER, "not a response with status 200");
            if (answer && frame[4] & END_STREAM && count-- == 0) die(EXIT_ANSWER, "too many answers");
        }
        length -= at;
        memmove(buffer, buffer + at, length);
    }
    if (length) die(EXIT_ANSWER, "%zu bytes behind the answers", length);
}

static void exchange_streams(int fd, size_t depth, const uint8_t *head, size_t size) {
    static uint8_t out[MAX_BATCH + FRAME_HEAD + sizeof first_head];
    static uint32_t stream = 1;
    size_t length = 0;
    for (size_t i = 0; i < depth; i++, stream += 2) {
        length += put_frame_head(out + length, size, HEADERS, END_HEADERS | END_STREAM, stream);
        memcpy(out + length, head, size);
        length += size;
    }
    send_all(fd, out, length);
    receive_streams(fd, depth);
}

static int open_http2(int port) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t out[100];
    size_t length = sizeof preface - 1;
    memcpy(out, preface, length);
    length += put_frame_head(out + length, 0, SETTINGS, 0, 0);
    length += put_frame_head(out + length, 0, SETTINGS, ACK, 0);
    length += put_frame_head(out + length, 4, WINDOW_UPDATE, 0, 0);
    memcpy(out + length, "\x40\0\0\0", 4); // a window for all bodies
    int fd = connect_to(port);
    send_all(fd, out, length + 4);
    exchange_streams(fd, 1, first_head, sizeof first_head - 1);
    return fd;
}

static void keep_idle(int port, long connections) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    while (connections-- > 0)
        open_websocket(port);
    puts("open");
    fflush(stdout);
    for (;;) // until it is killed
        pause();
}

int main(int argc, char **argv) {
    static const struct option known[] = {
        { "http", 0, NULL, 'h' }, { "http2", 0, NULL, '2' }, { "idle", 1, NULL, 'i' }, { NULL, 0, NULL, 0 }
    };
    long port = 0, depth = 1, batches = 1, size = 64, idle = 0;
    bool http = false, http2 = false;
    for (int option; (option = getopt_long(argc, argv, "p:k:n:s:", known, NULL)) != -1;) {
        switch (option) {
        case 'p': port = atol(optarg); break;
        case 'k': depth = atol(optarg); break;
        case 'n': batches = atol(optarg); break;
        case 's': size = atol(optarg); break;
        case 'i': idle = atol(optarg); break;
        case 'h': http = true; break;
        case '2': http2 = true; break;
        default: return EXIT_USAGE;
        }
    }
    if (port < 1 || port > 65535 || depth < 1 || batches < 1 || size < 1 || idle < 0 || size > MAX_BATCH ||
        depth * (http ? (long)sizeof request : size + 8) > MAX_BATCH)
        die(EXIT_USAGE, "a batch has at least 1 byte and at most %d", MAX_BATCH);
    alarm(LIMIT_SECONDS);
    if (idle > 0) {
        keep_idle((int)port, idle);
        return 0;
    }
    if (http2) {
        int fd = open_http2((int)port);
        while (batches-- > 0)
            exchange_streams(fd, (size_t)depth, next_head, sizeof next_head - 1);
        close(fd);
        return 0;
    }
    size_t answer_size = 0;
    int fd = http ? open_http((int)port, &answer_size) : open_websocket((int)port);
    struct batch b =
        http ? http_batch((size_t)depth, answer_size) : websocket_batch((size_t)depth, (size_t)size);
    while (batches-- > 0)
        exchange(fd, &b);
    close(fd);
    return 0;
}
