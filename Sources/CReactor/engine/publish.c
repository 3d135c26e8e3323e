/*
 * Publishing.
 *
 * A message is encoded once, into a block. The frames of one topic that a turn of the loop publishes stand in
 * it one after the other, and the end of the turn hands all of them to each receiver at once: in one system
 * call, straight from the block, and only what the socket does not take is kept, as a share of the block. So
 * the work for each receiver is the same for one message and for sixteen.
 *
 * Receivers with permessage-deflate have a block of their own, in which each message is compressed once for
 * all of them. None refers to an earlier message, so every receiver can decompress it.
 *
 * Order is kept: before anything else enters the queue of a connection, the messages published to it so far
 * do (cre__publish_settle), and before something is published on another topic, the receivers of the first
 * one get theirs.
 */
#include "engine/publish.h"

#include "core/memory.h"
#include "core/probes.h"

/* The usual size of a block, and the most bytes of frames that are collected before they are queued. */
#define BLOCK_BYTES 65536u

/* Up to this size frames are copied to a connection's queue: a share keeps its whole block in memory, so it
 * must not be a small part of it. */
#define COPY_BYTES 1024u

/* Messages published between two fragments of a pushed message wait for the last of them. */
typedef struct cre__deferred_frames {
    struct cre__deferred_frames *next;
    cre__conn *conn;
    cre_block *block;
    uint32_t start, end;
} cre__deferred_frames;

bool cre__publish_compress(cre_ws_deflate *deflate, uint8_t first, const cre_slice *parts, int count,
                           cre_slice *out) {
    const cre_slice *whole = NULL;
    for (int i = 0; i < count; i++) {
        if (!parts[i].length) continue;
        if (whole) return false; /* a message in parts is sent uncompressed */
        whole = &parts[i];
    }
    uint8_t opcode = first & 0x0f, *data;
    if (!whole || !(first & CRE_WS_FIN) || (opcode != CRE_WS_TEXT && opcode != CRE_WS_BINARY)) return false;
    size_t length;
    if (cre_ws_deflate_message(deflate, whole->data, whole->length, &data, &length) != 1) return false;
    *out = (cre_slice){ data, length };
    return true;
}

/* ---- one receiver ---- */

/* The bytes of the first frame in a row of frames, none of them masked. */
static uint32_t frame_length(const uint8_t *frame) {
    uint32_t length = frame[1];
    if (length < 126) return 2 + length;
    uint32_t size = length == 126 ? 2 : 8;
    length = 0;
    for (uint32_t i = 0; i < size; i++)
        length = length << 8 | frame[2 + i];
    return 2 + size + length;
}

static uint64_t deferred_bytes(const cre__conn *conn) {
    uint64_t bytes = 0;
    if (!conn->stream.deferred_publish) return 0;
    for (const cre__deferred_frames *deferred = cre__conn_engine(conn)->topics.deferred; deferred;
         deferred = deferred->next)
        if (deferred->conn == conn) bytes += deferred->end - deferred->start;
    return bytes;
}

/* Its end may change every list that is being walked now. */
static void close_later(cre__conn *conn, cre_close_reason reason) {
    conn->stream.pending_close = (uint8_t)reason;
    cre__transport_mark_turn(&conn->transport);
}

/* How much of the frames the queue has room for. */
static uint32_t fit(cre__conn *conn, const uint8_t *bytes, uint32_t start, uint32_t end) {
    cre_engine *engine = cre__conn_engine(conn);
    uint64_t queued = cre__conn_queued(conn) + deferred_bytes(conn);
    uint32_t limit = conn->port->options.max_queue, at = start;
    if (queued + (end - start) <= limit) return end;
    while (at < end) {
        uint32_t length = frame_length(bytes + at);
        if (!cre__queue_takes(queued, length, limit)) break;
        queued += length;
        at += length;
    }
    if (at == end) return end;
    if (engine->config.close_slow) {
        close_later(conn, CRE_CLOSED_OVERFLOW);
        return start;
    }
    for (uint32_t skipped = at; skipped < end; skipped += frame_length(bytes + skipped)) {
        cre__count_rare(engine, &engine->stats.skipped, 1);
        engine->stats.messages_out--;
    }
    return at;
}

static void defer(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end) {
    cre__deferred_frames *deferred = cre__malloc(sizeof *deferred);
    if (!deferred) {
        close_later(conn, CRE_CLOSED_NOMEM);
        return;
    }
    *deferred =
        (cre__deferred_frames){ .conn = conn, .block = cre_block_retain(block), .start = start, .end = end };
    cre__deferred_frames **link = &cre__conn_engine(conn)->topics.deferred;
    while (*link)
        link = &(*link)->next;
    *link = deferred;
    conn->stream.deferred_publish = true;
}

/* The frames are queued: the next message of the connection's own compressor comes behind them. */
static void skip_compressed(cre__conn *conn, const uint8_t *bytes, uint32_t start, uint32_t end) {
    if (!conn->stream.deflate) return;
    while (start < end && !(bytes[start] & CRE_WS_RSV1))
        start += frame_length(bytes + start);
    if (start < end) cre_ws_deflate_skip(conn->stream.deflate);
}

static void enqueue(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end) {
    bool good = end - start <= COPY_BYTES
                    ? cre__queue_append(&conn->transport, cre_block_data(block) + start, end - start)
                    : cre__queue_share(&conn->transport, block, start, end);
    if (!good) close_later(conn, CRE_CLOSED_NOMEM);
}

/* Emits no events. `now`: nothing else will be written in this turn. */
static void deliver(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end, bool now) {
    if (!conn->stream.accepts_frames || conn->stream.pending_close) return;
    end = fit(conn, cre_block_data(block), start, end);
    if (start == end) return;
    if (conn->stream.fragmented) {
        defer(conn, block, start, end);
        return;
    }
    skip_compressed(conn, cre_block_data(block), start, end);
    if (now && !conn->transport.out_last && !conn->transport.blocked && !conn->transport.dirty) {
        start += (uint32_t)cre__queue_send_now(&conn->transport, cre_block_data(block) + start, end - start);
        if (start == end) return;
    }
    enqueue(conn, block, start, end);
}

/* ---- the batch ---- */

/* Queues the part of the batch that the member has not got yet. */
static void deliver_rest(cre__member *member, bool now) {
    const cre__frames *frames = cre__batch_frames(member->conn);
    uint32_t start = frames->start + member->taken;
    member->taken = frames->end - frames->start;
    if (start < frames->end) deliver(member->conn, frames->block, start, frames->end, now);
}

/* Hands all of it to all receivers. */
static void finish(cre_engine *engine, bool now) {
    cre__topic *topic = engine->batch.topic;
    if (!topic) return;
    engine->batch.topic = NULL;
    for (uint32_t i = 0; i < topic->count; i++) {
        cre__member *member = &topic->members[i];
        if (i + 4 < topic->count) __builtin_prefetch(topic->members[i + 4].conn);
        deliver_rest(member, now);
        member->taken = 0;
    }
}

void cre__publish_settle(cre__conn *conn) {
    cre__topic *topic = cre__conn_engine(conn)->batch.topic;
    if (!topic || !conn->stream.subscriptions) return;
    cre__member *member = cre__topic_member(conn, topic);
    if (member) deliver_rest(member, false);
}

/* A block of the usual size is kept for the next turn. */
static void trim(cre__frames *frames) {
    if (!frames->block || cre_block_length(frames->block) <= BLOCK_BYTES) return;
    cre_block_release(frames->block);
    *frames = (cre__frames){ 0 };
}

void cre__publish_flush(cre_engine *engine) {
    finish(engine, true);
    trim(&engine->batch.plain);
    trim(&engine->batch.deflated);
}

void cre__publish_drop_topic(cre_engine *engine, const cre__topic *topic) {
    if (engine->batch.topic == topic) engine->batch.topic = NULL;
}

static bool has_room(const cre__frames *frames, size_t size) {
    return !size || (frames->block && frames->end + size <= cre_block_length(frames->block));
}

/* The old frames are on their way; new ones begin, with room for `size` bytes. */
static bool begin(cre__frames *frames, size_t size) {
    if (frames->block && cre_block_is_unique(frames->block)) frames->end = 0;
    if (!has_room(frames, size)) {
        cre_block *block = cre_block_create(size > BLOCK_BYTES ? size : BLOCK_BYTES);
        if (!block) return false;
        cre_block_release(frames->block);
        frames->block = block;
        frames->end = 0;
    }
    frames->start = frames->end;
    return true;
}

/* Makes room for more bytes of each form. */
static bool make_room(cre__batch *batch, cre_engine *engine, size_t plain, size_t deflated) {
    if (batch->topic && has_room(&batch->plain, plain) && has_room(&batch->deflated, deflated)) return true;
    finish(engine, false);
    return begin(&batch->plain, plain) && begin(&batch->deflated, deflated);
}

static void append(cre__frames *frames, const void *data, size_t length) {
    if (length) memcpy(cre_block_data(frames->block) + frames->end, data, length);
    frames->end += (uint32_t)length;
}

/* A message as it will be sent. */
typedef struct encoded {
    uint8_t header[CRE_WS_MAX_HEADER];
    size_t header_size, size; /* size: with the header */
    const cre_slice *parts;
    int count;
} encoded;

static void encode(encoded *out, uint8_t first, const cre_slice *parts, int count) {
    size_t length = cre__slices_length(parts, count);
    out->header_size = cre_ws_header(out->header, first, length, NULL);
    out->size = out->header_size + length;
    out->parts = parts;
    out->count = count;
}

static void append_encoded(cre__frames *frames, const encoded *message) {
    append(frames, message->header, message->header_size);
    for (int i = 0; i < message->count; i++)
        append(frames, message->parts[i].data, message->parts[i].length);
}

int cre__publish(cre_engine *engine, cre__topic *topic, uint8_t opcode, cre__conn *except,
                 const cre_slice *parts, int count) {
    cre__batch *batch = &engine->batch;
    cre__member *excepted = except ? cre__topic_member(except, topic) : NULL;
    uint32_t receivers = topic->count - (excepted != NULL);
    if (!receivers) return 0;
    bool to_deflating = topic->deflating > 0, to_plain = topic->deflating < topic->count;
    encoded plain, deflated;
    cre_slice small;
    uint8_t first = CRE_WS_FIN | opcode;
    encode(&plain, first, parts, count);
    if (to_deflating && cre__publish_compress(&engine->deflate_shared, first, parts, count, &small))
        encode(&deflated, first | CRE_WS_RSV1, &small, 1);
    else
        deflated = plain;
    if (excepted) cre__publish_settle(except);
    if (batch->topic != topic) finish(engine, false);
    if (!make_room(batch, engine, to_plain ? plain.size : 0, to_deflating ? deflated.size : 0))
        return CRE_ENOMEM;
    batch->topic = topic;
    cre__loop_needs_flush(engine->loop);
    if (to_plain) append_encoded(&batch->plain, &plain);
    if (to_deflating) append_encoded(&batch->deflated, &deflated);
    if (excepted) {
        const cre__frames *frames = cre__batch_frames(except);
        excepted->taken = frames->end - frames->start;
    }
    engine->stats.messages_out += receivers;
    CRE__CALL_PROBE(publish, opcode, plain.size, receivers);
    return 0;
}

/* ---- fragments ---- */

void cre__publish_drop_deferred(cre__conn *conn) {
    conn->stream.deferred_publish = false;
    for (cre__deferred_frames **link = &cre__conn_engine(conn)->topics.deferred; *link;) {
        cre__deferred_frames *deferred = *link;
        if (deferred->conn != conn) {
            link = &deferred->next;
            continue;
        }
        *link = deferred->next;
        cre_block_release(deferred->block);
        cre__free(deferred);
    }
}

void cre__publish_fragment(cre__conn *conn, uint8_t first) {
    if ((first & 0x0f) >= CRE_WS_CLOSE || !conn->stream.accepts_frames) return;
    conn->stream.fragmented = !(first & CRE_WS_FIN);
    if (conn->stream.fragmented || !conn->stream.deferred_publish) return;
    for (const cre__deferred_frames *deferred = cre__conn_engine(conn)->topics.deferred; deferred;
         deferred = deferred->next) {
        if (deferred->conn != conn) continue;
        skip_compressed(conn, cre_block_data(deferred->block), deferred->start, deferred->end);
        enqueue(conn, deferred->block, deferred->start, deferred->end);
    }
    cre__publish_drop_deferred(conn);
}
