/*
 * The client's side of HTTP/2 for tests: frames are written byte by byte, valid or not, and what a session
 * produces becomes a line of text for each frame.
 */
#ifndef CRE_HTTP2_WIRE_H
#define CRE_HTTP2_WIRE_H

#include <creactor/http2.h>
#include <nghttp2/nghttp2.h>
#include <stdarg.h>

#include "test.h"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

/* ---- writing ---- */

typedef struct wire {
    size_t length;
    uint8_t bytes[1 << 21];
} wire;

static inline void put(wire *w, const void *data, size_t length) {
    REQUIRE(w->length + length <= sizeof w->bytes);
    if (length) memcpy(w->bytes + w->length, data, length);
    w->length += length;
}

static inline void put_byte(wire *w, unsigned byte) {
    uint8_t value = (uint8_t)byte;
    put(w, &value, 1);
}

static inline void put_u32(wire *w, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        put_byte(w, value >> shift & 0xFF);
}

static inline void put_frame_head(wire *w, size_t length, int type, int flags, uint32_t stream) {
    put_byte(w, length >> 16 & 0xFF);
    put_byte(w, length >> 8 & 0xFF);
    put_byte(w, length & 0xFF);
    put_byte(w, (unsigned)type);
    put_byte(w, (unsigned)flags);
    put_u32(w, stream);
}

static inline void put_frame(wire *w, int type, int flags, uint32_t stream, const void *payload,
                             size_t length) {
    put_frame_head(w, length, type, flags, stream);
    put(w, payload, length);
}

/* The preface and SETTINGS that change nothing. */
static inline void put_preface(wire *w) {
    put(w, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    put_frame(w, SETTINGS, 0, 0, NULL, 0);
}

static inline void put_setting(wire *w, unsigned id, uint32_t value) {
    put_frame_head(w, 6, SETTINGS, 0, 0);
    put_byte(w, id >> 8);
    put_byte(w, id & 0xFF);
    put_u32(w, value);
}

static inline void put_window_update(wire *w, uint32_t stream, uint32_t increment) {
    put_frame_head(w, 4, WINDOW_UPDATE, 0, stream);
    put_u32(w, increment);
}

static inline void put_reset(wire *w, uint32_t stream, uint32_t code) {
    put_frame_head(w, 4, RST_STREAM, 0, stream);
    put_u32(w, code);
}

/* An HPACK integer with this prefix and number of bits. */
static inline void put_integer(wire *w, unsigned first, unsigned bits, size_t value) {
    const size_t most = (1u << bits) - 1;
    if (value < most) {
        put_byte(w, first | (unsigned)value);
        return;
    }
    put_byte(w, first | (unsigned)most);
    for (value -= most; value >= 128; value >>= 7)
        put_byte(w, 128 | (value & 127));
    put_byte(w, (unsigned)value);
}

/* A literal field that is not indexed. */
static inline void put_field_bytes(wire *w, const char *name, const void *value, size_t length) {
    put_byte(w, 0);
    put_integer(w, 0, 7, strlen(name));
    put(w, name, strlen(name));
    put_integer(w, 0, 7, length);
    put(w, value, length);
}

/* Fields as "name: value\n..."; a value may be empty. */
static inline void put_fields(wire *w, const char *fields) {
    while (*fields) {
        char name[512];
        const char *end = strchr(fields, '\n'), *colon = strchr(fields + 1, ':');
        REQUIRE(end && colon && colon < end && (size_t)(colon - fields) < sizeof name);
        memcpy(name, fields, (size_t)(colon - fields));
        name[colon - fields] = 0;
        const char *value = colon[1] == ' ' ? colon + 2 : colon + 1;
        put_field_bytes(w, name, value, (size_t)(end - value));
        fields = end + 1;
    }
}

/* A HEADERS frame, complete with these fields. */
static inline void put_headers(wire *w, uint32_t stream, int flags, const char *fields) {
    size_t start = w->length;
    put_frame_head(w, 0, HEADERS, flags | END_HEADERS, stream);
    put_fields(w, fields);
    size_t length = w->length - start - 9;
    w->bytes[start] = (uint8_t)(length >> 16);
    w->bytes[start + 1] = (uint8_t)(length >> 8);
    w->bytes[start + 2] = (uint8_t)length;
}

#define GET_FIELDS  ":method: GET\n:scheme: https\n:authority: a.example\n:path: /\n"
#define POST_FIELDS ":method: POST\n:scheme: https\n:authority: a.example\n:path: /\n"

static inline void put_get(wire *w, uint32_t stream) {
    put_headers(w, stream, END_STREAM, GET_FIELDS);
}

/* ---- reading ---- */

typedef struct text {
    size_t length;
    char bytes[1 << 16];
} text;

static inline void note(text *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(t->bytes + t->length, sizeof t->bytes - t->length, format, arguments);
    va_end(arguments);
    REQUIRE(size >= 0 && t->length + (size_t)size < sizeof t->bytes);
    t->length += (size_t)size;
}

static inline void clear(text *t) {
    t->length = 0;
    t->bytes[0] = 0;
}

/* Describes what a session produces. Its header blocks depend on those before. */
typedef struct reader {
    nghttp2_hd_inflater *inflater;
    wire input, block; /* `block`: of HEADERS and CONTINUATION frames */
    bool block_ends_stream;
    size_t skip; /* bytes that come first and are no frames: the preface of a client */
    text frames;
    size_t data; /* bytes in DATA frames */
} reader;

static inline void reader_init(reader *r) {
    memset(r, 0, offsetof(reader, input));
    r->input.length = r->block.length = r->data = 0;
    clear(&r->frames);
    REQUIRE(nghttp2_hd_inflate_new(&r->inflater) == 0);
}

static inline void reader_deinit(reader *r) {
    nghttp2_hd_inflate_del(r->inflater);
}

static inline uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void note_headers(reader *r, const uint8_t *at, size_t length) {
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(r->inflater, &field, &flags, at, length, 1);
        REQUIRE(used >= 0);
        at += used;
        length -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT && field.valuelen > 1000)
            note(&r->frames, " %.*s: %zu bytes", (int)field.namelen, (const char *)field.name,
                 field.valuelen);
        else if (flags & NGHTTP2_HD_INFLATE_EMIT)
            note(&r->frames, " %.*s=%.*s", (int)field.namelen, (const char *)field.name, (int)field.valuelen,
                 (const char *)field.value);
        if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !length) break;
    }
    REQUIRE(nghttp2_hd_inflate_end_headers(r->inflater) == 0);
}

static inline void note_frame(reader *r, int type, int flags, uint32_t stream, const uint8_t *at,
                              size_t length) {
    switch (type) {
    case DATA:
        r->data += length;
        note(&r->frames, "DATA %u", stream);
        if (length <= 64)
            note(&r->frames, " '%.*s'", (int)length, (const char *)at);
        else
            note(&r->frames, " %zu", length);
        break;
    case HEADERS:
        r->block.length = 0;
        r->block_ends_stream = flags & END_STREAM;
        /* fall through */
    case CONTINUATION:
        put(&r->block, at, length);
        if (!(flags & END_HEADERS)) return;
        note(&r->frames, "HEADERS %u", stream);
        note_headers(r, r->block.bytes, r->block.length);
        if (r->block_ends_stream) note(&r->frames, " end");
        break;
    case RST_STREAM: note(&r->frames, "RST_STREAM %u code=%u", stream, get_u32(at)); break;
    case SETTINGS: note(&r->frames, flags & ACK ? "SETTINGS ack" : "SETTINGS"); return note(&r->frames, "|");
    case PING: note(&r->frames, flags & ACK ? "PING ack" : "PING"); return note(&r->frames, "|");
    case GOAWAY: note(&r->frames, "GOAWAY last=%u code=%u", get_u32(at), get_u32(at + 4)); break;
    case WINDOW_UPDATE: note(&r->frames, "WINDOW_UPDATE %u %u", stream, get_u32(at)); break;
    default: note(&r->frames, "frame of type %d", type);
    }
    if (type == DATA && flags & END_STREAM) note(&r->frames, " end");
    note(&r->frames, "|");
}

/* Takes output and describes its complete frames. */
static inline void read_output(reader *r, const uint8_t *data, size_t size) {
    size_t skipped = size < r->skip ? size : r->skip;
    r->skip -= skipped;
    put(&r->input, data + skipped, size - skipped);
    size_t at = 0;
    while (r->input.length - at >= 9) {
        const uint8_t *head = r->input.bytes + at;
        size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (r->input.length - at < 9 + length) break;
        note_frame(r, head[3], head[4], get_u32(head + 5), head + 9, length);
        at += 9 + length;
    }
    r->input.length -= at;
    memmove(r->input.bytes, r->input.bytes + at, r->input.length);
}

#endif
