/*
 * WebSocket echo over TLS, or plain by the same steps, for the difference between the two:
 *
 *   cc -O2 -o tlsload Benchmarks/tls/tlsload.c -lssl -lcrypto
 *   c-echo --port 9601 --cert server.pem --key server.key
 *   tlsload tls|plain PORT PID [CONNECTIONS] [IN_FLIGHT] [BYTES] [SECONDS]
 *
 * Each connection sends IN_FLIGHT masked messages in one record, and the next when all have come back. PID is
 * the server's; the result is the CPU time of its first thread per message.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static SSL_CTX *context;

typedef struct peer {
    int descriptor;
    SSL *ssl; /* NULL: plain */
} peer;

static void die(const char *what) {
    fprintf(stderr, "tlsload: %s\n", what);
    exit(1);
}

static void put(peer *peer, const void *data, int length) {
    int sent =
        peer->ssl ? SSL_write(peer->ssl, data, length) : (int)send(peer->descriptor, data, (size_t)length, 0);
    if (sent != length) die("sending failed");
}

static int get(peer *peer, void *data, int room) {
    int got =
        peer->ssl ? SSL_read(peer->ssl, data, room) : (int)recv(peer->descriptor, data, (size_t)room, 0);
    if (got <= 0) die("the server has ended the connection");
    return got;
}

static peer open_peer(int port) {
    peer made = { .descriptor = socket(AF_INET, SOCK_STREAM, 0) };
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    if (connect(made.descriptor, (struct sockaddr *)&at, sizeof at)) die("no server there");
    setsockopt(made.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (context) {
        made.ssl = SSL_new(context);
        SSL_set_fd(made.ssl, made.descriptor);
        if (SSL_connect(made.ssl) != 1) die("no handshake");
    }
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    put(&made, request, sizeof request - 1);
    char answer[1024];
    int length = 0;
    while (length < 4 || memcmp(answer + length - 4, "\r\n\r\n", 4) != 0)
        length += get(&made, answer + length, (int)sizeof answer - length);
    if (memcmp(answer, "HTTP/1.1 101", 12) != 0) die("no WebSocket");
    return made;
}

static double cpu_ns(const char *pid) {
    char path[64];
    double ns = 0;
    snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lf", &ns) != 1) die("no such process");
    fclose(file);
    return ns;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc < 4) die("tls|plain PORT PID [CONNECTIONS] [IN_FLIGHT] [BYTES] [SECONDS]");
    int connections = argc > 4 ? atoi(argv[4]) : 32, in_flight = argc > 5 ? atoi(argv[5]) : 16;
    int bytes = argc > 6 ? atoi(argv[6]) : 64;
    double seconds = argc > 7 ? atof(argv[7]) : 3;
    if (strcmp(argv[1], "tls") == 0) context = SSL_CTX_new(TLS_client_method());
    if (bytes > 65535) die("at most 65535 bytes");
    int header = bytes < 126 ? 2 : 4, frame = header + 4 + bytes, batch = frame * in_flight;
    int answer = (header + bytes) * in_flight;
    unsigned char *out = calloc(1, (size_t)batch), *in = malloc((size_t)answer);
    for (int i = 0; i < in_flight; i++) {
        unsigned char *at = out + i * frame;
        at[0] = 0x82;
        at[1] = (unsigned char)(0x80 | (bytes < 126 ? bytes : 126));
        if (bytes >= 126) at[2] = (unsigned char)(bytes >> 8), at[3] = (unsigned char)bytes;
    }
    peer *peers = calloc((size_t)connections, sizeof *peers);
    for (int i = 0; i < connections; i++)
        peers[i] = open_peer(atoi(argv[2]));
    double begin = now(), start = 0, cpu = 0, messages = 0;
    while (!start || now() < start + seconds) {
        if (!start && now() > begin + 0.5) {
            start = now();
            cpu = cpu_ns(argv[3]);
            messages = 0;
        }
        for (int i = 0; i < connections; i++)
            put(&peers[i], out, batch);
        for (int i = 0; i < connections; i++)
            for (int length = 0; length < answer;)
                length += get(&peers[i], in, answer - length);
        messages += (double)connections * in_flight;
    }
    double time = now() - start;
    printf(
        "%-5s %5d bytes, %d connections, %d in flight: %.0f ns of CPU per message, %.0f messages a second\n",
        argv[1], bytes, connections, in_flight, (cpu_ns(argv[3]) - cpu) / messages, messages / time);
    return 0;
}
