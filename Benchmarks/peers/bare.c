// The least that a WebSocket echo, or a response to a request, can cost: epoll, and one read and one write
// for all that has arrived. It checks nothing, collects no fragments, has no limits and no deadlines, and
// trusts its client: a measure, not a server. Built WITH_DEFLATE, it decompresses each message by zlib and
// compresses it by ISA-L.
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>

#include "tcp.h"

#ifdef WITH_DEFLATE
#include <isa-l/igzip_lib.h>
#include <zlib.h>

#define EXTENSION \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
#else
#define EXTENSION ""
#endif

#define BUFFER          (256 << 10)
#define MAX_HEADER      14
#define MAX_CONNECTIONS 65536

// What has arrived of a frame that is not complete.
typedef struct connection {
    uint8_t *bytes;
    size_t used, capacity;
    bool open; // the handshake is done
} connection;

static connection connections[MAX_CONNECTIONS];
static uint8_t input[BUFFER], output[BUFFER];

static void forget(int fd) {
    free(connections[fd].bytes);
    connections[fd] = (connection){ 0 };
    close(fd);
}

// Requests come whole, and all get the same answer.
static void answer_requests(int fd, const uint8_t *requests, size_t length) {
    static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
                                "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nhello world.";
    const uint8_t *const end = requests + length;
    size_t used = 0;
    for (const uint8_t *at; (at = memmem(requests, (size_t)(end - requests), "\r\n\r\n", 4));
         requests = at + 4) {
        if (used > sizeof output - sizeof whole) {
            send_all(fd, output, used);
            used = 0;
        }
        memcpy(output + used, whole, sizeof whole - 1);
        used += sizeof whole - 1;
    }
    send_all(fd, output, used);
}

static void shake_hands(int fd, const uint8_t *request, size_t length) {
    static const char field[] = "\r\nSec-WebSocket-Key: ", guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const uint8_t *key = memmem(request, length, field, sizeof field - 1);
    if (!key) {
        answer_requests(fd, request, length);
        return;
    }
    char text[24 + sizeof guid], answer[256];
    uint8_t digest[SHA_DIGEST_LENGTH], accepted[32];
    memcpy(text, key + sizeof field - 1, 24);
    memcpy(text + 24, guid, sizeof guid);
    SHA1((const uint8_t *)text, sizeof text - 1, digest);
    EVP_EncodeBlock(accepted, digest, sizeof digest);
    int size =
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" EXTENSION
                 "Sec-WebSocket-Accept: %s\r\n\r\n",
                 accepted);
    send_all(fd, (uint8_t *)answer, (size_t)size);
    connections[fd].open = true;
}

// Returns the size of a frame's header with the mask, 0 without enough bytes.
static size_t header_of(const uint8_t *at, size_t have, size_t *length) {
    if (have < 6) return 0;
    size_t header = 6;
    *length = at[1] & 127;
    if (*length == 126) {
        *length = (size_t)at[2] << 8 | at[3];
        header = 8;
    } else if (*length == 127 && have >= 10) {
        *length = 0;
        for (int i = 2; i < 10; i++)
            *length = *length << 8 | at[i];
        header = MAX_HEADER;
    } else if (*length == 127) {
        return 0;
    }
    return have < header ? 0 : header;
}

static void unmask(uint8_t *at, size_t length, const uint8_t mask[4]) {
    uint32_t four;
    memcpy(&four, mask, 4);
    const uint64_t eight = (uint64_t)four << 32 | four;
    size_t i = 0;
    for (uint64_t word; i + 8 <= length; i += 8) {
        memcpy(&word, at + i, 8);
        word ^= eight;
        memcpy(at + i, &word, 8);
    }
    for (; i < length; i++)
        at[i] ^= mask[i & 3];
}

// Writes the header of an answer that ends at `end`; returns where it begins.
static uint8_t *header_before(uint8_t *end, uint8_t first, size_t length) {
    uint8_t *at = end - (length < 126 ? 2 : length < 65536 ? 4 : 10);
    at[0] = first;
    at[1] = (uint8_t)(length < 126 ? length : length < 65536 ? 126 : 127);
    for (uint8_t *byte = end - 1; byte > at + 1; byte--, length >>= 8)
        *byte = (uint8_t)length;
    return at;
}

#ifdef WITH_DEFLATE
// Returns the size of the message decompressed and compressed again, at `to`.
static size_t recompress(uint8_t *data, size_t length, uint8_t *to, size_t room) {
    static uint8_t message[BUFFER], level[ISAL_DEF_LVL1_LARGE];
    static z_stream inflater;
    static struct isal_zstream deflater;
    if (!inflater.state && inflateInit2(&inflater, -15) != Z_OK) fail("no memory");
    inflateReset(&inflater);
    inflater.next_in = data;
    inflater.avail_in = (unsigned)length;
    inflater.next_out = message;
    inflater.avail_out = sizeof message;
    inflate(&inflater, Z_SYNC_FLUSH);
    isal_deflate_init(&deflater);
    deflater.level = 1;
    deflater.level_buf = level;
    deflater.level_buf_size = sizeof level;
    deflater.flush = SYNC_FLUSH;
    deflater.next_in = message;
    deflater.avail_in = (uint32_t)(sizeof message - inflater.avail_out);
    deflater.next_out = to;
    deflater.avail_out = (uint32_t)room;
    isal_deflate(&deflater);
    return deflater.total_out - 4; // without the end of the block
}

// Appends the answer to the output; returns how much is there then.
static size_t answer(int fd, uint8_t *frame, size_t header, size_t length, bool alone, size_t used) {
    const size_t most = sizeof output / 4;
    (void)alone;
    unmask(frame + header, length, frame + header - 4);
    if (used > sizeof output - most) {
        send_all(fd, output, used);
        used = 0;
    }
    uint8_t *to = output + used + MAX_HEADER;
    size_t size = recompress(frame + header, length, to, most - MAX_HEADER);
    uint8_t *at = header_before(to, frame[0], size);
    size_t whole = (size_t)(to - at) + size;
    memmove(output + used, at, whole);
    return used + whole;
}
#else
// Appends the answer to the output, or sends it from where it is when it is alone; returns how much is there
// then.
static size_t answer(int fd, uint8_t *frame, size_t header, size_t length, bool alone, size_t used) {
    uint8_t *payload = frame + header;
    unmask(payload, length, payload - 4);
    uint8_t *at = header_before(payload, frame[0], length);
    size_t whole = (size_t)(payload - at) + length;
    if (alone || used + whole > sizeof output) {
        send_all(fd, output, used);
        send_all(fd, at, whole);
        return 0;
    }
    memcpy(output + used, at, whole);
    return used + whole;
}
#endif

// Answers the complete frames. Returns how many bytes these were; in *wanted the size of the one behind, if
// known.
static size_t answer_all(int fd, uint8_t *bytes, size_t have, size_t *wanted) {
    size_t at = 0, used = 0, length = 0;
    *wanted = 0;
    while (at < have) {
        size_t header = header_of(bytes + at, have - at, &length);
        if (!header || have - at < header + length) {
            *wanted = header ? header + length : MAX_HEADER;
            break;
        }
        if ((bytes[at] & 15) == 8) break; // a close; the client ends the connection
        used = answer(fd, bytes + at, header, length, at == 0 && have == header + length, used);
        at += header + length;
    }
    send_all(fd, output, used);
    return at;
}

static void serve(int fd) {
    if (fd >= MAX_CONNECTIONS) {
        fputs("too many connections\n", stderr);
        exit(1);
    }
    connection *it = &connections[fd];
    bool kept = it->used;
    uint8_t *bytes = kept ? it->bytes : input;
    ssize_t got = recv(fd, bytes + it->used, kept ? it->capacity - it->used : BUFFER, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        forget(fd);
        return;
    }
    if (!it->open) {
        shake_hands(fd, bytes, (size_t)got);
        return;
    }
    size_t have = it->used + (size_t)got, wanted, done = answer_all(fd, bytes, have, &wanted);
    it->used = have - done;
    if (!it->used) return;
    // The rest of a frame is received behind what is there. The buffer stays.
    if (wanted < BUFFER) wanted = BUFFER;
    if (it->capacity < wanted) {
        uint8_t *larger = malloc(wanted);
        if (!larger) fail("no memory");
        memcpy(larger, bytes + done, it->used);
        free(it->bytes);
        it->bytes = larger;
        it->capacity = wanted;
    } else {
        memmove(it->bytes, bytes + done, it->used);
    }
}

int main(int argc, char **argv) {
    serve_all(listen_on(port_option(argc, argv)), serve);
}
