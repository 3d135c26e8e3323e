// Frames are masked and built once; in the run only an 8-byte stamp is written into each, so that the
// load costs less than the server it drives.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "wsload.h"

uint8_t *pattern;

static uint64_t frame_length, head_length;
static uint64_t wire_size, stamp_at; // of a message, and where its payload begins
static const uint8_t mask_key[4] = { 0x37, 0xfa, 0x21, 0x3d };
static uint64_t stamp_mask;
static bool stamped;
static char request[1024];

// 7-bit bytes, so that a text message stays valid.
uint64_t frames_stamp(uint32_t id, uint64_t seq) {
    const uint64_t v = (id + 1) * 0x9E3779B97F4A7C15ull ^ seq * 0xC2B2AE3D27D4EB4Full;
    if (opt.first) return (v & 0x0f0f0f0f0f0f0f0full) + 0x6161616161616161ull; // letters
    return v & 0x7f7f7f7f7f7f7f7full;
}

static uint64_t put_head(uint8_t *p, unsigned opcode, uint64_t length) {
    uint64_t n = 0;
    p[n++] = (uint8_t)(0x80 | opcode);
    if (length < 126) {
        p[n++] = (uint8_t)(0x80 | length);
    } else if (length < 65536) {
        p[n++] = 0x80 | 126;
        p[n++] = (uint8_t)(length >> 8);
        p[n++] = (uint8_t)length;
    } else {
        p[n++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            p[n++] = (uint8_t)(length >> shift);
    }
    memcpy(p + n, mask_key, 4);
    return n + 4;
}

static void prepare_request(void) {
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", opt.path, opt.host,
                     opt.ports[0]);
    if (n < 0 || (size_t)n >= sizeof request) die(EXIT_USAGE, "the path is too long");
    frame_length = (uint64_t)n;
}

void frames_prepare(void) {
    if (opt.protocol == PROTOCOL_HTTP) {
        prepare_request();
        return;
    }
    bool masked = opt.protocol == PROTOCOL_WS;
    uint8_t head[14];
    const size_t before = opt.before ? strlen(opt.before) : 0, after = opt.after ? strlen(opt.after) : 0;
    stamp_at = before;
    wire_size = before + opt.size + after;
    head_length = masked ? put_head(head, opt.text ? 1 : 2, wire_size) : 0;
    frame_length = head_length + wire_size;
    stamped = opt.size >= 8;
    for (uint64_t i = 0; masked && i < 8; i++)
        ((uint8_t *)&stamp_mask)[i] = mask_key[(stamp_at + i) & 3];
    pattern = zalloc(wire_size, 1);
    if (before) memcpy(pattern, opt.before, before);
    if (after) memcpy(pattern + before + opt.size, opt.after, after);
    uint64_t x = 88172645463325252ull;
    for (uint64_t i = before; i < before + opt.size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern[i] = opt.text ? (uint8_t)('a' + x % 26) : (uint8_t)x;
    }
}

void frames_ring(struct conn *c) {
    size_t n = (size_t)opt.pipeline * frame_length;
    c->ring = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c->ring == MAP_FAILED) die(EXIT_USAGE, "out of memory for frames");
    c->sent_at = zalloc((size_t)opt.pipeline, sizeof *c->sent_at);
    for (int k = 0; k < opt.pipeline; k++) {
        uint8_t *f = c->ring + (size_t)k * frame_length;
        if (opt.protocol == PROTOCOL_HTTP) {
            memcpy(f, request, frame_length);
        } else if (opt.protocol == PROTOCOL_TCP) {
            memcpy(f, pattern, opt.size);
        } else {
            put_head(f, opt.text ? 1 : 2, wire_size);
            for (uint64_t i = 0; i < wire_size; i++)
                f[head_length + i] = pattern[i] ^ mask_key[i & 3];
        }
    }
}

void frames_pong(struct conn *c, unsigned length) {
    uint64_t head = put_head(c->pong, 10, length);
    for (unsigned i = 0; i < length; i++)
        c->pong[head + i] = c->control_payload[i] ^ mask_key[i & 3];
    c->pong_length = (uint8_t)(head + length);
}

void frames_queue(struct conn *c, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        unsigned slot = (unsigned)(opt.pipeline == 1 ? 0 : c->tx_seq % (unsigned)opt.pipeline);
        if (stamped) {
            uint64_t v = frames_stamp(c->id, c->tx_seq) ^ stamp_mask;
            memcpy(c->ring + (size_t)slot * frame_length + head_length + stamp_at, &v, 8);
        }
        c->sent_at[slot] = now;
        c->tx_seq++;
    }
    c->tx_bytes += n * frame_length;
}

void frames_send(struct conn *c, const char *text) {
    uint8_t bytes[1024 + 14];
    const size_t length = strlen(text);
    if (length > 1024) die(EXIT_USAGE, "the first message is too long");
    const uint64_t head = put_head(bytes, 1, length);
    for (size_t i = 0; i < length; i++)
        bytes[head + i] = (uint8_t)text[i] ^ mask_key[i & 3];
    if (send(c->fd, bytes, head + length, MSG_NOSIGNAL) != (ssize_t)(head + length))
        die(EXIT_CONNECT, "the first message: %s", strerror(errno));
}

// A pong may only stand between two frames.
static void flush_pong(struct conn *c) {
    ssize_t r = send(c->fd, c->pong, c->pong_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (r == c->pong_length)
        c->pong_length = 0;
    else if (r >= 0)
        die(EXIT_CLOSED, "a pong was cut short");
}

static ssize_t send_ring(struct conn *c, uint64_t left) {
    uint64_t ring_length = (uint64_t)opt.pipeline * frame_length, offset = c->tx_sent % ring_length;
    if (offset + left <= ring_length) return send(c->fd, c->ring + offset, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    struct iovec v[2] = { { c->ring + offset, ring_length - offset },
                          { c->ring, left - (ring_length - offset) } };
    struct msghdr message = { .msg_iov = v, .msg_iovlen = 2 };
    return sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void frames_flush(struct conn *c) {
    if (UNLIKELY(c->pong_length) && c->tx_sent % frame_length == 0) flush_pong(c);
    while (c->tx_sent < c->tx_bytes) {
        uint64_t left = c->tx_bytes - c->tx_sent;
        ssize_t r = send_ring(c, left);
        count.sends++;
        if (UNLIKELY(r < 0)) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) die(EXIT_CLOSED, "send: %s", strerror(errno));
            r = 0;
        }
        c->tx_sent += (uint64_t)r;
        if (UNLIKELY((uint64_t)r < left)) {
            if (!c->want_out) watch(c, true);
            return;
        }
    }
    if (UNLIKELY(c->want_out)) watch(c, false);
}
