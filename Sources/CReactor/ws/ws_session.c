#include <creactor/websocket.h>
#include <string.h>

#include "core/memory.h"
#include "ws/ws_deflate.h"
#include "ws/ws_frame.h"
#include "ws/ws_mask.h"
#include "ws/ws_message.h"
#include "ws/ws_session.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

/* Bits of session->state; 0: between two messages, without a buffer. */
enum {
    IN_HEADER = 1,  /* part.header has the beginning of a header */
    IN_PAYLOAD = 2, /* part.frame describes the rest of a payload, at least one byte */
    IN_MESSAGE = 4, /* between the first and the last fragment of a message */
    DELIVERED = 8,  /* the last event points into `message`, which is otherwise unused */
    FINISHED = 16,  /* after a close frame or an error */
};

/* The least rest of a payload for which a direct read saves more than a read into the caller's buffer, which
 * may receive the next frames, too. */
#define DIRECT_READ 32768u

static inline size_t message_limit(const cre_ws_config *config) {
    uint64_t limit = config->max_message ? config->max_message : CRE_WS_DEFAULT_MAX_MESSAGE;
    return limit < SIZE_MAX / 64 ? (size_t)limit : SIZE_MAX / 64;
}

static void release(cre_ws_session *session) {
    cre__ws_message_free(session->message);
    session->message = NULL;
    session->state &= (uint8_t)~DELIVERED;
}

static int fail(cre_ws_session *session, int error) {
    cre__ws_input_finish(session);
    return error;
}

/* ---- headers ---- */

/* The most bytes on the wire of the message that `first` begins or continues. */
static size_t wire_limit(const cre_ws_session *session, uint8_t first) {
    size_t limit = message_limit(session->config);
    bool compressed = (first & 0x0F ? first : session->opcode) & CRE_WS_RSV1;
    /* Compression can make data longer; the exact limit applies to the inflated message. */
    return compressed ? limit + limit / 8 + 1024 : limit;
}

/* Checks the first byte against the state of the session. */
static int check_order(const cre_ws_session *session, uint8_t first) {
    uint8_t opcode = first & 0x0F;
    if (first & CRE_WS_RSV1 && (!session->deflate || opcode == 0 || cre__ws_is_control(first)))
        return CRE_EWS_RSV;
    if (cre__ws_is_control(first)) return 0;
    if (opcode != 0) return session->state & IN_MESSAGE ? CRE_EWS_INTERLEAVED : 0;
    if (!(session->state & IN_MESSAGE)) return CRE_EWS_CONTINUATION;
    uint32_t limit = session->config->max_fragments;
    if (session->message->fragments >= (limit ? limit : CRE_WS_DEFAULT_MAX_FRAGMENTS))
        return CRE_EWS_FRAGMENTS;
    return 0;
}

/*
 * Checks the available bytes of a header. Returns the size of the whole header as far as it is known (more
 * than `size`: more bytes are needed), or an error. *length is set once the header is complete.
 */
static int check_header(const cre_ws_session *session, const uint8_t *header, size_t size, uint64_t *length) {
    if (size < 1) return 2;
    int error = cre__ws_check_first(header[0]);
    if (!error) error = check_order(session, header[0]);
    if (error) return error;
    if (size < 2) return 2;
    bool masked = (header[1] & 0x80) != 0;
    if (masked == session->config->client) return masked ? CRE_EWS_MASKED : CRE_EWS_UNMASKED;
    error = cre__ws_check_second(header[0], header[1]);
    if (error) return error;
    size_t end = cre__ws_length_end(header[1]);
    if (size >= end) {
        error = cre__ws_read_length(header, length);
        if (error) return error;
        if (!cre__ws_is_control(header[0])) {
            size_t limit = wire_limit(session, header[0]);
            size_t total = session->state & IN_MESSAGE ? session->message->total : 0;
            if (*length > limit || total > limit - (size_t)*length) return CRE_EWS_TOO_BIG;
        }
    }
    return (int)end + (masked ? 4 : 0);
}

/* Reads a header, or its available bytes, from the input. 1: complete, 0: more is needed. */
static int take_header(cre_ws_session *session, uint8_t **cursor, const uint8_t *end) {
    uint8_t *stored = session->part.header;
    const uint8_t *header = *cursor;
    size_t available = (size_t)(end - *cursor);
    uint64_t length = 0;
    int size;
    if (session->state & IN_HEADER) {
        header = stored;
        while ((size = check_header(session, stored, session->header_size, &length)) > session->header_size) {
            size_t take = (size_t)size - session->header_size;
            if (available == 0) return 0;
            if (take > available) take = available;
            memcpy(stored + session->header_size, *cursor, take);
            session->header_size += (uint8_t)take;
            *cursor += take;
            available -= take;
        }
        if (size < 0) return size;
    } else {
        size = check_header(session, header, available, &length);
        if (size < 0) return size;
        if ((size_t)size > available) {
            if (available == 0) return 0;
            memcpy(stored, header, available);
            session->header_size = (uint8_t)available;
            session->state |= IN_HEADER;
            *cursor += available;
            return 0;
        }
        *cursor += size;
    }
    uint32_t key = session->config->client ? 0 : cre__ws_key(header + size - 4);
    uint8_t first = header[0];
    session->state &= (uint8_t)~IN_HEADER;
    session->first = first;
    session->part.frame.remaining = length;
    session->part.frame.key = key;
    if (!cre__ws_is_control(first)) {
        if (first & 0x0F) session->opcode = first & (0x0F | CRE_WS_RSV1);
        if (!(first & CRE_WS_FIN)) session->state |= IN_MESSAGE;
    }
    return 1;
}

/* ---- payloads ---- */

static inline bool is_compressed(const cre_ws_session *session) {
    return (session->opcode & CRE_WS_RSV1) != 0;
}

static inline bool checks_text(const cre_ws_session *session) {
    return session->opcode == CRE_WS_TEXT && !session->config->skip_utf8;
}

/* Unmasks payload, in place if `to` is `from`. Nonzero: it may not be ASCII. */
static inline uint64_t unmask(const cre_ws_session *session, uint8_t *to, const uint8_t *from,
                              size_t length) {
    if (!session->config->client) return cre__ws_mask(to, from, length, session->part.frame.key);
    if (to != from && length) memcpy(to, from, length);
    return 1;
}

static bool reserve(cre_ws_session *session, size_t now, size_t expected) {
    if (session->message && session->message->capacity >= now) return true;
    /* A control frame, whose bytes decide something, never comes within such a message; neither does a
     * message grow that consists of one frame. */
    if (session->config->memory && !(session->state & IN_MESSAGE) && !is_compressed(session) &&
        cre__ws_message_move(&session->message, now, expected, session->config->memory))
        return true;
    size_t limit =
        session->state & IN_MESSAGE ? message_limit(session->config) + CRE_WS_MAX_CONTROL : expected;
    return cre__ws_message_reserve(&session->message, now, expected, limit);
}

static int control_event(cre_ws_session *session, uint8_t *data, size_t length, cre_ws_event *event) {
    *event = (cre_ws_event){ .opcode = session->first & 0x0F, .final = true, .data = data, .length = length };
    if (event->opcode != CRE_WS_CLOSE) return 1;
    event->close_code = 1005;
    if (length) {
        event->close_code = (uint16_t)(data[0] << 8 | data[1]);
        event->data += 2;
        event->length -= 2;
        if (!cre_ws_close_code_valid(event->close_code)) return CRE_EWS_CLOSE_CODE;
        if (!cre_utf8_valid(event->data, event->length)) return CRE_EWS_CLOSE_REASON;
    }
    session->state |= FINISHED;
    cre__ws_closing_received(session, event->close_code);
    return 1;
}

/* Replaces the compressed message of *event, in the input or in session->message, by its inflated content. */
static int inflated_event(cre_ws_session *session, cre_ws_event *event) {
    cre__ws_message *content;
    size_t limit = message_limit(session->config);
    int result = cre__ws_inflate(session->deflate, event->data, event->length, limit, &content);
    if (result < 0) return result;
    release(session);
    session->message = content;
    session->state |= DELIVERED;
    event->data = content->data;
    event->length = content->used;
    bool check = event->opcode == CRE_WS_TEXT && !session->config->skip_utf8;
    return check && !cre_utf8_valid(event->data, event->length) ? CRE_EWS_UTF8 : 1;
}

/*
 * Produces the event of a complete data frame. `data` is the message so far or, when fragments are delivered,
 * this fragment. `buffered`: it is in session->message.
 */
static int data_event(cre_ws_session *session, uint8_t *data, size_t length, bool buffered,
                      cre_ws_event *event) {
    bool final = (session->first & CRE_WS_FIN) != 0;
    bool pieces = session->config->fragments && !is_compressed(session);
    if (!final && !pieces) return 0;
    *event = (cre_ws_event){
        .opcode = pieces ? session->first & 0x0F : session->opcode & 0x0F,
        .final = final,
        .data = data,
        .length = length,
    };
    if (!final) {
        session->message->used = 0;
        return 1;
    }
    session->state &= (uint8_t)~IN_MESSAGE;
    if (is_compressed(session)) return inflated_event(session, event);
    if (buffered)
        session->state |= DELIVERED;
    else
        release(session);
    return 1;
}

/* Adds `n` bytes of a data frame, unmasked in session->message behind `used`, to the message. */
static bool add_payload(cre_ws_session *session, size_t n, uint64_t not_ascii) {
    cre__ws_message *message = session->message;
    uint8_t *data = message->data + message->used;
    message->used += n;
    message->total += n;
    if (!checks_text(session) || (!not_ascii && (n == 0 || cre_utf8_complete(&message->utf8)))) return true;
    return cre_utf8_feed(&message->utf8, data, n);
}

/* Completes the frame buffered in session->message. */
static int buffered_frame(cre_ws_session *session, cre_ws_event *event) {
    cre__ws_message *message = session->message;
    session->state &= (uint8_t)~IN_PAYLOAD;
    if (cre__ws_is_control(session->first)) {
        size_t length = message->control;
        message->control = 0;
        if (!(session->state & IN_MESSAGE)) session->state |= DELIVERED;
        return control_event(session, message->data + message->used, length, event);
    }
    message->fragments++;
    if (session->first & CRE_WS_FIN && checks_text(session) && !cre_utf8_complete(&message->utf8))
        return CRE_EWS_UTF8;
    return data_event(session, message->data, message->used, true, event);
}

/* Handles a frame that is completely in the input. */
static int whole_frame(cre_ws_session *session, uint8_t *data, cre_ws_event *event) {
    size_t length = (size_t)session->part.frame.remaining;
    uint8_t first = session->first;
    if (cre__ws_is_control(first)) {
        unmask(session, data, data, length);
        return control_event(session, data, length, event);
    }
    if (first & CRE_WS_FIN && first & 0x0F) { /* a message of one frame */
        /* A large one is unmasked into the memory of the caller, which costs as much as in place. */
        const cre_ws_memory *memory = is_compressed(session) ? NULL : session->config->memory;
        const bool moved = memory && cre__ws_message_move(&session->message, length, length, memory);
        uint8_t *to = moved ? session->message->data : data;
        uint64_t not_ascii = unmask(session, to, data, length);
        if (not_ascii && checks_text(session) && !cre_utf8_valid(to, length)) return CRE_EWS_UTF8;
        return data_event(session, to, length, moved, event);
    }
    cre__ws_message *message = session->message;
    size_t used = message ? message->used : 0;
    bool merge = !session->config->fragments || is_compressed(session);
    if (!reserve(session, merge ? used + length : 0, merge ? used + length : 0)) return CRE_ENOMEM;
    message = session->message;
    uint8_t *to = merge ? message->data + used : data;
    uint64_t not_ascii = unmask(session, to, data, length);
    if (merge) {
        if (!add_payload(session, length, not_ascii)) return CRE_EWS_UTF8;
        return buffered_frame(session, event);
    }
    message->total += length;
    message->fragments++;
    if (checks_text(session)) {
        if (!cre_utf8_feed(&message->utf8, data, length)) return CRE_EWS_UTF8;
        if (first & CRE_WS_FIN && !cre_utf8_complete(&message->utf8)) return CRE_EWS_UTF8;
    }
    return data_event(session, data, length, false, event);
}

/* Handles the next `n` bytes of a payload, at `from` or already in session->message. */
static int more_payload(cre_ws_session *session, const uint8_t *from, size_t n, cre_ws_event *event) {
    cre__ws_message *message = session->message;
    bool control = cre__ws_is_control(session->first);
    uint8_t *to = message->data + message->used + message->control;
    uint64_t not_ascii = unmask(session, to, from ? from : to, n);
    session->part.frame.key = cre__ws_key_rotate(session->part.frame.key, n);
    session->part.frame.remaining -= n;
    if (control)
        message->control += (uint8_t)n;
    else if (!add_payload(session, n, not_ascii))
        return CRE_EWS_UTF8;
    return session->part.frame.remaining ? 0 : buffered_frame(session, event);
}

static int take_payload(cre_ws_session *session, uint8_t **cursor, const uint8_t *end, cre_ws_event *event) {
    size_t n = (size_t)(end - *cursor), left = (size_t)session->part.frame.remaining;
    if (n == 0) return 0;
    if (n > left) n = left;
    size_t used = session->message ? session->message->used + session->message->control : 0;
    if (!reserve(session, used + n, used + left)) return CRE_ENOMEM;
    const uint8_t *from = *cursor;
    *cursor += n;
    return more_payload(session, from, n, event);
}

static __attribute__((noinline)) int next_general(cre_ws_session *session, uint8_t **cursor, uint8_t *end,
                                                  cre_ws_event *event) {
    if (session->state & DELIVERED) release(session);
    if (session->state & FINISHED) {
        *cursor = end;
        return 0;
    }
    for (;;) {
        int result;
        if (!(session->state & IN_PAYLOAD)) {
            result = take_header(session, cursor, end);
            if (result < 0) return fail(session, result);
            if (result == 0) return 0;
            uint8_t *payload = *cursor;
            if (session->part.frame.remaining <= (size_t)(end - payload)) {
                *cursor += session->part.frame.remaining;
                result = whole_frame(session, payload, event);
                if (result < 0) return fail(session, result);
                if (result) return result;
                continue;
            }
            session->state |= IN_PAYLOAD;
        }
        result = take_payload(session, cursor, end, event);
        if (result < 0) return fail(session, result);
        if (result) return result;
        if (session->state & IN_PAYLOAD) return 0;
    }
}

_Static_assert(CRE_WS_DEFAULT_MAX_MESSAGE > UINT16_MAX, "the default limit does not concern next_medium");

/* A masked message in one frame whose header has two bytes of length: if it is completely in the buffer and
 * valid, as next_general would handle it. */
static __attribute__((noinline)) int next_medium(cre_ws_session *session, uint8_t **cursor, uint8_t *end,
                                                 cre_ws_event *event) {
    const cre_ws_config *config = session->config;
    uint8_t *frame = *cursor, *data = frame + 8;
    const size_t length = (size_t)frame[2] << 8 | frame[3];
    if (length < 126 || (size_t)(end - frame) < 8 + length ||
        (config->max_message && length > config->max_message))
        return next_general(session, cursor, end, event);
    const cre_ws_memory *memory = config->memory;
    if (memory && cre__ws_message_move(&session->message, length, length, memory)) {
        session->state |= DELIVERED;
        data = session->message->data;
    }
    const uint64_t not_ascii = cre__ws_mask(data, frame + 8, length, cre__ws_key(frame + 4));
    *cursor = frame + 8 + length;
    *event = (cre_ws_event){ .opcode = frame[0] ^ CRE_WS_FIN, .final = true, .data = data, .length = length };
    if (not_ascii && event->opcode == CRE_WS_TEXT && !config->skip_utf8 && !cre_utf8_valid(data, length))
        return fail(session, CRE_EWS_UTF8);
    return 1;
}

/* A tail call, like those of next_medium and next_general, so that the fast path needs no stack frame. */
static __attribute__((noinline)) int check_text(cre_ws_session *session, const cre_ws_event *event) {
    return cre_utf8_valid(event->data, event->length) ? 1 : fail(session, CRE_EWS_UTF8);
}

/* ---- public ---- */

void cre_ws_session_init(cre_ws_session *session, const cre_ws_config *config) {
    memset(session, 0, sizeof *session);
    session->config = config;
}

void cre__ws_input_finish(cre_ws_session *session) {
    release(session);
    session->state = FINISHED;
}

void cre_ws_session_deinit(cre_ws_session *session) {
    cre__ws_input_finish(session);
}

int cre_ws_session_next(cre_ws_session *session, uint8_t **cursor, uint8_t *end, cre_ws_event *event) {
    /* The fast path: a short, masked message in one frame, completely in the buffer. */
    uint8_t *frame = *cursor;
    size_t available = (size_t)(end - frame);
    if (LIKELY(session->state == 0 && available >= 6)) {
        const cre_ws_config *config = session->config;
        uint8_t opcode = frame[0] ^ CRE_WS_FIN;
        size_t length = (size_t)frame[1] - 0x80;
        if (LIKELY((uint8_t)(opcode - 1) <= 1 && length < 126 && length <= available - 6 &&
                   (config->max_message == 0 || length <= config->max_message) && !config->client)) {
            uint8_t *data = frame + 6;
            uint64_t not_ascii = cre__ws_mask_short(data, data, length, cre__ws_key(frame + 2));
            *cursor = data + length;
            event->opcode = opcode;
            event->final = true;
            event->close_code = 0;
            event->data = data;
            event->length = length;
            if (not_ascii && opcode == CRE_WS_TEXT && !config->skip_utf8) return check_text(session, event);
            return 1;
        }
        if ((uint8_t)(opcode - 1) <= 1 && length == 126 && !config->client)
            return next_medium(session, cursor, end, event);
    }
    return next_general(session, cursor, end, event);
}

bool cre__ws_any_message_follows(const cre_ws_session *session, const uint8_t *data, size_t available) {
    const bool whole = data[0] & CRE_WS_FIN && data[0] & 0x0F && !cre__ws_is_control(data[0]);
    uint64_t length = 0;
    const int size = whole ? check_header(session, data, available, &length) : 0;
    return size > 0 && (size_t)size <= available && length <= available - (size_t)size;
}

size_t cre_ws_session_destination(cre_ws_session *session, uint8_t **destination) {
    if (session->state & DELIVERED) release(session);
    if ((session->state & (IN_PAYLOAD | FINISHED)) != IN_PAYLOAD) return 0;
    size_t left = (size_t)session->part.frame.remaining;
    /* An announcement reserves memory only after bytes have arrived. */
    size_t used = session->message ? session->message->used : 0;
    if (left < DIRECT_READ || used < DIRECT_READ) return 0;
    /* Without memory, cre_ws_session_next reports the error if it needs the memory, too. */
    if (!reserve(session, used + DIRECT_READ, used + left)) return 0;
    size_t room = session->message->capacity - used;
    *destination = session->message->data + used;
    return room < left ? room : left;
}

int cre_ws_session_received(cre_ws_session *session, size_t size, cre_ws_event *event) {
    if (size == 0) return 0;
    if ((session->state & (IN_PAYLOAD | FINISHED)) != IN_PAYLOAD || cre__ws_is_control(session->first) ||
        size > session->part.frame.remaining || size > session->message->capacity - session->message->used)
        return CRE_ESTATE;
    int result = more_payload(session, NULL, size, event);
    return result < 0 ? fail(session, result) : result;
}

bool cre_ws_session_busy(const cre_ws_session *session) {
    return (session->state & (IN_HEADER | IN_PAYLOAD | IN_MESSAGE)) != 0;
}

size_t cre_ws_session_buffered(const cre_ws_session *session) {
    return session->message ? sizeof *session->message + session->message->capacity : 0;
}

uint16_t cre_ws_close_code(int error) {
    switch (error) {
    case CRE_EWS_UTF8:
    case CRE_EWS_CLOSE_REASON:
    case CRE_EWS_DEFLATE: return 1007;
    case CRE_EWS_TOO_BIG:
    case CRE_EWS_FRAGMENTS: return 1009;
    default: return error <= CRE_EWS_RSV && error > CRE_EHTTP_BAD_LINE ? 1002 : 1011; /* the band */
    }
}
