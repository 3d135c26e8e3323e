/*
 * What is published.
 *
 * A message is encoded once, into a block. The frames of one topic that a turn of the loop publishes stand in
 * it one after the other, and the end of the turn hands all of them to each receiver at once: in one system
 * call, straight from the block, and only what the socket does not take is kept, as a share of the block. So
 * the work for each receiver is the same for one message and for sixteen.
 *
 * Those who agreed on permessage-deflate have a block of their own, with messages that are compressed once
 * for all of them. None refers to what was sent before, so every receiver understands it.
 *
 * Order is kept: before anything else enters the output of a connection, what was published for it so far
 * does (cre__batch_settle), and before something is published on another topic, the first one's receivers get
 * theirs.
 */
#include "engine/broadcast.h"
#include "core/memory.h"

/* The usual size of a block. It is also the most that waits for the end of a turn. */
#define BLOCK_BYTES 65536u

/* Up to here bytes are copied to a connection's own output: a share keeps all of its block in memory, and so
 * it must not be a small part of it. */
#define COPY_BYTES 1024u

/* What is published between two fragments of a message waits for the last of them. */
typedef struct cre__held {
    struct cre__held *next;
    cre__conn *conn;
    cre_block *block;
    uint32_t start, end;
} cre__held;

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

static uint64_t held_bytes(const cre__conn *conn) {
    uint64_t bytes = 0;
    if (!conn->held_back) return 0;
    for (const cre__held *held = conn->engine->topics.held; held; held = held->next)
        if (held->conn == conn) bytes += held->end - held->start;
    return bytes;
}

static void doom(cre__conn *conn, cre_close_reason reason) {
    /* Its end calls handlers, and they may change every list that is being walked now. */
    conn->doomed = (uint8_t)reason;
    cre__conn_mark_dirty(conn);
}

/* How much of the frames the queue has room for. The same rule as for what is pushed: an empty queue takes
 * one frame of any size. */
static uint32_t fit(cre__conn *conn, const uint8_t *bytes, uint32_t start, uint32_t end) {
    cre_engine *engine = conn->engine;
    uint64_t queued = conn->queued + held_bytes(conn);
    uint32_t limit = conn->settings->options.max_queue, at = start;
    if (queued + (end - start) <= limit) return end;
    while (at < end) {
        uint32_t length = frame_length(bytes + at);
        if (queued && queued + length > limit) break;
        queued += length;
        at += length;
    }
    if (at == end) return end;
    if (engine->config.close_slow) {
        doom(conn, CRE_CLOSED_OVERFLOW);
        return start;
    }
    for (uint32_t skipped = at; skipped < end; skipped += frame_length(bytes + skipped)) {
        engine->stats.left_out++;
        engine->stats.messages_out--;
    }
    return at;
}

static void hold(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end) {
    cre__held *held = cre__malloc(sizeof *held);
    if (!held) {
        doom(conn, CRE_CLOSED_NOMEM);
        return;
    }
    *held = (cre__held){ .conn = conn, .block = cre_block_retain(block), .start = start, .end = end };
    cre__held **link = &conn->engine->topics.held;
    while (*link)
        link = &(*link)->next;
    *link = held;
    conn->held_back = true;
}

/* The frames get on their way: what this connection's own compressor makes next comes behind them. */
static void skip_compressed(cre__conn *conn, const uint8_t *bytes, uint32_t start, uint32_t end) {
    if (!conn->deflate) return;
    while (start < end && !(bytes[start] & CRE_WS_RSV1))
        start += frame_length(bytes + start);
    if (start < end) cre_ws_deflate_skip(conn->deflate);
}

static void enqueue(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end) {
    bool good = end - start <= COPY_BYTES
                    ? cre__out_append_published(conn, cre_block_data(block) + start, end - start)
                    : cre__out_share(conn, block, start, end);
    if (!good) doom(conn, CRE_CLOSED_NOMEM);
}

/* Calls no handlers, whatever happens. `now`: nothing else will be written in this turn. */
static void deliver(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end, bool now) {
    if (conn->phase != CRE__WEBSOCKET || conn->doomed) return;
    end = fit(conn, cre_block_data(block), start, end);
    if (start == end) return;
    if (conn->fragmented) {
        hold(conn, block, start, end);
        return;
    }
    skip_compressed(conn, cre_block_data(block), start, end);
    if (now && !conn->out_first && !conn->blocked && !conn->dirty) {
        start += (uint32_t)cre__out_send_now(conn, cre_block_data(block) + start, end - start);
        if (start == end) return;
    }
    enqueue(conn, block, start, end);
}

/* ---- the batch ---- */

/* What of the batch the member has not got yet. */
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

void cre__batch_settle(cre__conn *conn) {
    cre__topic *topic = conn->engine->batch.topic;
    if (!topic || !conn->subscriptions) return;
    cre__member *member = cre__topic_member(conn, topic);
    if (member) deliver_rest(member, false);
}

/* A block of the usual size is kept for the next turn. */
static void trim(cre__frames *frames) {
    if (!frames->block || cre_block_length(frames->block) <= BLOCK_BYTES) return;
    cre_block_release(frames->block);
    *frames = (cre__frames){ 0 };
}

void cre__batch_flush(cre_engine *engine) {
    finish(engine, true);
    trim(&engine->batch.plain);
    trim(&engine->batch.deflated);
}

void cre__batch_drop_topic(cre_engine *engine, const cre__topic *topic) {
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

/* Room for so many more bytes of each form. */
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

static int publish(cre_engine *engine, cre__topic *topic, uint8_t opcode, cre__conn *except,
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
    if (to_deflating && cre__ws_compress(&engine->deflate_shared, first, parts, count, &small))
        encode(&deflated, first | CRE_WS_RSV1, &small, 1);
    else
        deflated = plain;
    if (excepted) cre__batch_settle(except);
    if (batch->topic != topic) finish(engine, false);
    if (!make_room(batch, engine, to_plain ? plain.size : 0, to_deflating ? deflated.size : 0))
        return CRE_ENOMEM;
    batch->topic = topic;
    if (to_plain) append_encoded(&batch->plain, &plain);
    if (to_deflating) append_encoded(&batch->deflated, &deflated);
    if (excepted) {
        const cre__frames *frames = cre__batch_frames(except);
        excepted->taken = frames->end - frames->start;
    }
    engine->stats.messages_out += receivers;
    return 0;
}

/* ---- fragments ---- */

void cre__batch_drop_held(cre__conn *conn) {
    conn->held_back = false;
    for (cre__held **link = &conn->engine->topics.held; *link;) {
        cre__held *held = *link;
        if (held->conn != conn) {
            link = &held->next;
            continue;
        }
        *link = held->next;
        cre_block_release(held->block);
        cre__free(held);
    }
}

void cre__batch_fragment(cre__conn *conn, uint8_t first) {
    if ((first & 0x0f) >= CRE_WS_CLOSE || conn->phase != CRE__WEBSOCKET) return;
    conn->fragmented = !(first & CRE_WS_FIN);
    if (conn->fragmented || !conn->held_back) return;
    for (const cre__held *held = conn->engine->topics.held; held; held = held->next) {
        if (held->conn != conn) continue;
        skip_compressed(conn, cre_block_data(held->block), held->start, held->end);
        enqueue(conn, held->block, held->start, held->end);
    }
    cre__batch_drop_held(conn);
}

/* ---- commands ---- */

bool cre__is_publishing(int command) {
    return command >= CRE_COMMAND_SUBSCRIBE && command <= CRE_COMMAND_BROADCAST;
}

/* Takes the topic off the front of the parts; *length is its length then. */
static bool take_topic(uint8_t topic[CRE_MAX_TOPIC], size_t length, cre_slice *parts, int count) {
    return length && length <= CRE_MAX_TOPIC && cre__slices_take(topic, length, parts, count);
}

static int read_publishing(const cre_record *command, cre_slice *parts, int count,
                           uint8_t topic[CRE_MAX_TOPIC], size_t *length) {
    cre_publishing publishing;
    switch (command->kind) {
    case CRE_COMMAND_SUBSCRIBE:
    case CRE_COMMAND_UNSUBSCRIBE:
        *length = cre__slices_length(parts, count);
        return take_topic(topic, *length, parts, count) ? 0 : CRE_EINVALID;
    case CRE_COMMAND_PUBLISH:
        if (!cre__slices_take(&publishing, sizeof publishing, parts, count)) return CRE_EINVALID;
        *length = publishing.topic_length;
        if (!take_topic(topic, *length, parts, count)) return CRE_EINVALID;
        break;
    case CRE_COMMAND_BROADCAST: break;
    default: return CRE_EINVALID;
    }
    bool message = command->opcode == CRE_WS_TEXT || command->opcode == CRE_WS_BINARY;
    return message && cre__slices_length(parts, count) <= 1u << 30 ? 0 : CRE_EINVALID;
}

int cre__publishing_check(const cre_record *command, cre_slice *parts, int count) {
    uint8_t topic[CRE_MAX_TOPIC];
    size_t length;
    return read_publishing(command, parts, count, topic, &length);
}

static int subscribe(cre_engine *engine, const cre_record *command, const uint8_t *topic, size_t length) {
    cre__conn *conn = cre__engine_find(engine, command->session);
    if (!conn) {
        engine->stats.stale_commands++;
        return CRE_EGONE;
    }
    if (command->kind == CRE_COMMAND_SUBSCRIBE) return cre__topic_subscribe(conn, topic, length);
    cre__topic_unsubscribe(conn, topic, length);
    return 0;
}

int cre__publishing_command(cre_engine *engine, const cre_record *command, cre_slice *parts, int count) {
    uint8_t name[CRE_MAX_TOPIC];
    size_t length = 0;
    int result = read_publishing(command, parts, count, name, &length);
    if (result) return result;
    if (command->kind == CRE_COMMAND_SUBSCRIBE || command->kind == CRE_COMMAND_UNSUBSCRIBE)
        return subscribe(engine, command, name, length);
    cre__topic *topic;
    if (command->kind == CRE_COMMAND_BROADCAST) {
        topic = cre__topic_everyone(engine);
        if (!topic) return CRE_ENOMEM;
    } else {
        topic = cre__topic_find(engine, name, length);
        if (!topic) return 0; /* nobody listens */
    }
    cre__conn *except = cre__engine_find(engine, command->session);
    return publish(engine, topic, command->opcode, except, parts, count);
}

static int command_topic(cre_engine *engine, cre_session session, cre_command kind, const void *topic,
                         size_t length) {
    cre_record command = { .kind = (uint8_t)kind, .session = session };
    cre_slice part = { topic, length };
    return cre__publishing_command(engine, &command, &part, 1);
}

int cre_engine_subscribe(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    return command_topic(engine, session, CRE_COMMAND_SUBSCRIBE, topic, length);
}

int cre_engine_unsubscribe(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    return command_topic(engine, session, CRE_COMMAND_UNSUBSCRIBE, topic, length);
}

bool cre_engine_subscribed(cre_engine *engine, cre_session session, const void *topic, size_t length) {
    cre__topic *found = cre__topic_find(engine, topic, length);
    cre__conn *conn = found ? cre__engine_find(engine, session) : NULL;
    return conn && cre__topic_member(conn, found);
}

int cre_engine_publish(cre_engine *engine, const void *topic, size_t topic_length, uint8_t opcode,
                       const void *data, size_t length, cre_session except) {
    cre_record command = { .kind = CRE_COMMAND_PUBLISH, .opcode = opcode, .session = except };
    if (topic_length > CRE_MAX_TOPIC) return CRE_EINVALID;
    cre_publishing publishing = { .topic_length = (uint16_t)topic_length };
    cre_slice parts[] = { { (const uint8_t *)&publishing, sizeof publishing },
                          { topic, topic_length },
                          { data, length } };
    return cre__publishing_command(engine, &command, parts, 3);
}

int cre_engine_broadcast(cre_engine *engine, uint8_t opcode, const void *data, size_t length,
                         cre_session except) {
    cre_record command = { .kind = CRE_COMMAND_BROADCAST, .opcode = opcode, .session = except };
    cre_slice part = { data, length };
    return cre__publishing_command(engine, &command, &part, 1);
}
