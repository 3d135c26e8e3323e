// Everything that comes back is checked: a lost, reordered or crossed message ends the run.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "wsload.h"

#define WS_ACCEPT     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" // answers the key that connect.c sends
#define HANDSHAKE_MAX 4096
#define HTTP_HEAD_MAX 16384
#define HTTP_MAX      (64u << 20)

static uint8_t *buffer;
static size_t buffer_length;
static unsigned completed; // messages completed in this read, to be sent again

// The first HTTP response; all that follow have its length and its body.
static struct {
    size_t head, length;
    uint8_t *body;
} reply;

void receive_prepare(void) {
    buffer_length = 65536;
    while (buffer_length < opt.size + 16 && buffer_length < 262144)
        buffer_length *= 2;
    buffer = zalloc(buffer_length, 1);
}

static void broadcast_done(struct conn *c) {
    if (c == publisher) {
        c->rx_seq++;
        return;
    }
    if (UNLIKELY(c->rx_seq >= publisher->tx_seq)) {
        die(EXIT_ECHO, "subscriber %u got a message too many", c->id);
    }
    unsigned slot = (unsigned)(c->rx_seq % (unsigned)opt.pipeline);
    if (--subscribers_left[slot] == 0) {
        published_done++;
        if (measuring) latency_add(now - publisher->sent_at[slot]);
    }
    c->rx_seq++;
    count.messages++;
}

static inline void echo_done(struct conn *c) {
    unsigned slot = (unsigned)(opt.pipeline == 1 ? 0 : c->rx_seq % (unsigned)opt.pipeline);
    if (UNLIKELY(c->rx_seq >= c->tx_seq)) die(EXIT_ECHO, "conn %u got a message too many", c->id);
    if (measuring) latency_add(now - c->sent_at[slot]);
    completed++;
    c->rx_seq++;
    count.messages++;
}

inline void message_done(struct conn *c, const uint8_t *first8, uint64_t length) {
    if (UNLIKELY(length != opt.size)) {
        die(EXIT_ECHO, "conn %u message %llu: %llu bytes, expected %llu", c->id,
            (unsigned long long)c->rx_seq, (unsigned long long)length, (unsigned long long)opt.size);
    }
    bool broadcast = opt.mode == MODE_BROADCAST;
    if (LIKELY(length >= 8)) {
        uint64_t v, want = frames_stamp(broadcast ? publisher->id : c->id, c->rx_seq);
        memcpy(&v, first8, 8);
        if (UNLIKELY(v != want)) {
            die(EXIT_ECHO, "conn %u message %llu: not the message that was sent", c->id,
                (unsigned long long)c->rx_seq);
        }
    }
    if (UNLIKELY(broadcast))
        broadcast_done(c);
    else
        echo_done(c);
}

// The first 8 bytes are the stamp, which message_done() checks.
static void check_payload(struct conn *c, const uint8_t *p, uint64_t at, uint64_t n) {
    uint64_t skip = opt.size >= 8 && at < 8 ? 8 - at : 0;
    if (skip >= n) return;
    if (at + n > opt.size || memcmp(p + skip, pattern + at + skip, n - skip)) {
        die(EXIT_ECHO, "conn %u message %llu: the payload differs", c->id, (unsigned long long)c->rx_seq);
    }
}

static inline void keep_stamp(struct conn *c, const uint8_t *p, uint64_t n) {
    for (uint64_t i = c->message_have; i < 8 && i < c->message_have + n; i++) {
        c->stamp[i] = p[i - c->message_have];
    }
}

static void on_tcp(struct conn *c, const uint8_t *p, size_t n) {
    while (n) {
        uint64_t take = opt.size - c->message_have;
        if (take > n) take = n;
        if (opt.verify) check_payload(c, p, c->message_have, take);
        keep_stamp(c, p, take);
        c->message_have += take;
        p += take;
        n -= take;
        if (c->message_have == opt.size) {
            c->message_have = 0;
            message_done(c, c->stamp, opt.size);
        }
    }
}

static void control_frame(struct conn *c) {
    if (c->opcode == 8) die(EXIT_CLOSED, "conn %u: the server sent a close frame", c->id);
    if (c->opcode != 9) return;
    count.pings++;
    frames_pong(c, (unsigned)c->message_have);
}

// A whole frame of a length below 64 KiB in the buffer, nothing kept from before: the usual case.
static inline size_t whole_frame(struct conn *c, const uint8_t *p, size_t n, uint8_t first) {
    if (c->head_have || c->in_message || n < 2 || p[0] != first) return 0;
    uint64_t head = 2, length = p[1];
    if (length == 126 && n >= 4) {
        length = (uint64_t)p[2] << 8 | p[3];
        head = 4;
    } else if (length >= 126) {
        return 0;
    }
    if (n - head < length) return 0;
    if (opt.verify) check_payload(c, p + head, 0, length);
    message_done(c, p + head, length);
    return (size_t)(head + length);
}

// Takes bytes of a frame head; true when it is complete.
static bool frame_head(struct conn *c, const uint8_t **p, size_t *n, uint8_t want_opcode) {
    uint8_t need = 2;
    while (*n && c->head_have < need) {
        c->head[c->head_have++] = *(*p)++;
        --*n;
        if (c->head_have >= 2) {
            if (c->head[1] & 0x80) die(EXIT_ECHO, "a masked frame from the server");
            need = c->head[1] == 126 ? 4 : c->head[1] == 127 ? 10 : 2;
        }
    }
    if (c->head_have < need) return false;
    uint64_t length = c->head[1];
    if (need > 2) {
        length = 0;
        for (int i = 2; i < need; i++)
            length = length << 8 | c->head[i];
    }
    if (c->head[0] & 0x70) die(EXIT_ECHO, "reserved bits set");
    c->fin = c->head[0] >> 7;
    c->opcode = c->head[0] & 15;
    c->head_have = 0;
    if (c->opcode >= 8) {
        if (length > 125 || c->in_message) die(EXIT_ECHO, "a control frame that this tool does not handle");
        c->message_have = 0;
    } else if (c->opcode != (c->in_message ? 0 : want_opcode)) {
        die(EXIT_ECHO, "unexpected opcode %u", c->opcode);
    } else if (!c->in_message) {
        c->message_have = 0;
        c->in_message = true;
    }
    c->frame_left = length;
    c->in_frame = true;
    return true;
}

static void on_ws(struct conn *c, const uint8_t *p, size_t n) {
    const uint8_t want_opcode = opt.text ? 1 : 2;
    while (n) {
        if (!c->in_frame) {
            size_t whole = opt.first ? 0 : whole_frame(c, p, n, 0x80 | want_opcode);
            if (LIKELY(whole)) {
                p += whole;
                n -= whole;
                continue;
            }
            if (!frame_head(c, &p, &n, want_opcode)) return;
        }
        uint64_t take = c->frame_left < n ? c->frame_left : n;
        if (c->opcode >= 8) {
            memcpy(c->control_payload + c->message_have, p, take);
        } else if (opt.first) {
            if (c->part_have + take > WRAPPED_MAX) die(EXIT_ECHO, "a message of the server is too long");
            memcpy(c->part + c->part_have, p, take);
            c->part_have += take;
        } else {
            if (opt.verify) check_payload(c, p, c->message_have, take);
            keep_stamp(c, p, take);
        }
        c->message_have += take;
        c->frame_left -= take;
        p += take;
        n -= take;
        if (c->frame_left) continue;
        c->in_frame = false;
        if (c->opcode >= 8) {
            control_frame(c);
        } else if (c->fin) {
            c->in_message = false;
            if (opt.first)
                wrapped_received(c);
            else
                message_done(c, c->stamp, c->message_have);
        }
    }
    // A frame of length 0 that ends exactly at the end of the read is completed by the next one.
}

static void on_reply(struct conn *c, const uint8_t *p) {
    const uint8_t *body = p + reply.head;
    size_t body_length = reply.length - reply.head;
    if (UNLIKELY(!reply.body)) {
        reply.body = zalloc(body_length, 1);
        memcpy(reply.body, body, body_length);
    }
    if (UNLIKELY(memcmp(p, "HTTP/1.1 200 ", 13) || memcmp(body - 4, "\r\n\r\n", 4) ||
                 memcmp(body, reply.body, body_length))) {
        die(EXIT_ECHO, "conn %u response %llu differs from the first one: %.40s", c->id,
            (unsigned long long)c->rx_seq, (const char *)p);
    }
    echo_done(c);
}

static const char *find_field(const char *head, const char *end, const char *name) {
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n")) {
        if (!strncasecmp(line + 2, name, n)) return line + 2 + n;
    }
    return NULL;
}

// Collects the head of the very first response, then reads on with its length known.
static void learn_reply(struct conn *c, const uint8_t *p, size_t n);

static void on_http(struct conn *c, const uint8_t *p, size_t n) {
    if (UNLIKELY(!reply.length)) {
        learn_reply(c, p, n);
        return;
    }
    while (n) {
        if (LIKELY(!c->part_have && n >= reply.length)) {
            on_reply(c, p);
            p += reply.length;
            n -= reply.length;
            continue;
        }
        if (!c->part) c->part = zalloc(reply.length + 1, 1);
        size_t take = reply.length - c->part_have;
        if (take > n) take = n;
        memcpy(c->part + c->part_have, p, take);
        c->part_have += take;
        p += take;
        n -= take;
        if (c->part_have < reply.length) return;
        c->part_have = 0;
        on_reply(c, c->part);
    }
}

static void learn_reply(struct conn *c, const uint8_t *p, size_t n) {
    uint8_t *all = zalloc(c->part_have + n + 1, 1);
    if (c->part_have) memcpy(all, c->part, c->part_have);
    memcpy(all + c->part_have, p, n);
    n += c->part_have;
    free(c->part);
    c->part = all;
    c->part_have = n;

    const char *head = (const char *)all, *end = strstr(head, "\r\n\r\n");
    if (!end) {
        if (n > HTTP_HEAD_MAX) die(EXIT_ECHO, "the response head is too long");
        return;
    }
    if (strncmp(head, "HTTP/1.1 200 ", 13)) die(EXIT_ECHO, "not a 200 response: %.40s", head);
    const char *field = find_field(head, end, "content-length:");
    if (!field) die(EXIT_ECHO, "a response without Content-Length");
    while (*field == ' ')
        field++;
    if (!isdigit((unsigned char)*field)) die(EXIT_ECHO, "a bad Content-Length");
    opt.size = strtoull(field, NULL, 10);
    if (opt.size > HTTP_MAX) die(EXIT_ECHO, "the response body is too long");
    reply.head = (size_t)(end + 4 - head);
    reply.length = reply.head + opt.size;

    // Other connections may hold a few bytes of their first response: make room for the rest of it.
    for (int i = 0; i < nconns; i++) {
        if (&conns[i] == c || !conns[i].part) continue;
        if (conns[i].part_have > reply.length) die(EXIT_ECHO, "the responses differ in length");
        uint8_t *grown = zalloc(reply.length + 1, 1);
        memcpy(grown, conns[i].part, conns[i].part_have);
        free(conns[i].part);
        conns[i].part = grown;
    }
    c->part = NULL;
    c->part_have = 0;
    on_http(c, all, n);
    free(all);
}

void receive_handshake(struct conn *c) {
    if (!c->part) c->part = zalloc(HANDSHAKE_MAX, 1);
    ssize_t r = recv(c->fd, c->part + c->part_have, HANDSHAKE_MAX - 1 - c->part_have, 0);
    if (r <= 0) {
        if (r < 0 && (errno == EAGAIN || errno == EINTR)) return;
        die(EXIT_CONNECT, "conn %u closed during the handshake", c->id);
    }
    c->part_have += (size_t)r;
    c->part[c->part_have] = 0;
    const char *text = (const char *)c->part, *end = strstr(text, "\r\n\r\n");
    if (!end) {
        if (c->part_have >= HANDSHAKE_MAX - 1) die(EXIT_CONNECT, "handshake response too long");
        return;
    }
    if (strncmp(text, "HTTP/1.1 101", 12) || !strstr(text, WS_ACCEPT)) {
        die(EXIT_CONNECT, "not a WebSocket answer: %.60s", text);
    }
    const size_t head = (size_t)(end + 4 - text), more = c->part_have - head;
    if (opt.first) { // the server may begin
        uint8_t rest[HANDSHAKE_MAX];
        memcpy(rest, end + 4, more);
        wrapped_open(c);
        on_ws(c, rest, more);
        return;
    }
    if (more) die(EXIT_CONNECT, "bytes after the handshake that nothing asked for");
    opened(c);
}

void receive(struct conn *c) {
    count.recvs++;
    ssize_t r = recv(c->fd, buffer, buffer_length, MSG_DONTWAIT);
    if (UNLIKELY(r <= 0)) {
        if (r < 0 && (errno == EAGAIN || errno == EINTR)) return;
        die(EXIT_CLOSED, "conn %u closed by the server after %llu messages: %s", c->id,
            (unsigned long long)c->rx_seq, r ? strerror(errno) : "end of stream");
    }
    now = clock_ns();
    if (UNLIKELY(is_other(c))) {
        count.others += (uint64_t)r;
        return;
    }
    completed = 0;
    switch (opt.protocol) {
    case PROTOCOL_WS: on_ws(c, buffer, (size_t)r); break;
    case PROTOCOL_TCP: on_tcp(c, buffer, (size_t)r); break;
    case PROTOCOL_HTTP: on_http(c, buffer, (size_t)r); break;
    }
    last_progress = now;
    if (opt.mode == MODE_ECHO && completed) {
        frames_queue(c, completed);
        frames_flush(c);
    } else if (c->pong_length) {
        frames_flush(c);
    }
}
