/*
 * A session that reads an input whole, and one that reads it in pieces, have the same events and the same
 * error.
 *
 * Input: one byte of settings, one byte with the number of piece sizes (low four bits), the sizes, the
 * stream.
 */
#include <creactor/websocket_deflate.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

enum { CLIENT = 1, SKIP_UTF8 = 2, FRAGMENTS = 4, SMALL_LIMITS = 8, DIRECT = 16, DEFLATE = 32, TAKEOVER = 64 };

typedef struct outcome {
    uint64_t hash;
    size_t events;
    int result;
    cre_ws_send_state sender; /* of a peer that sends what was received */
} outcome;

static void mix(outcome *o, uint64_t value) {
    o->hash = (o->hash ^ value) * 1099511628211u;
}

/* What a session accepts may be sent, unless it was merged, inflated or not validated. */
static void send_event(outcome *o, const cre_ws_session *session, const cre_ws_event *event) {
    if (!session->config->fragments || session->config->skip_utf8 || session->deflate) return;
    if (event->opcode == CRE_WS_CLOSE) return; /* `data` is only a part of its payload */
    uint8_t first = event->opcode | (event->final ? CRE_WS_FIN : 0);
    REQUIRE(cre_ws_send_check(&o->sender, first, event->data, event->length) == 0);
}

static void take_event(outcome *o, const cre_ws_session *session, cre_ws_event *event) {
    const cre_ws_config *config = session->config;
    send_event(o, session, event);
    o->events++;
    mix(o, event->opcode);
    mix(o, event->final);
    mix(o, event->close_code);
    mix(o, event->length);
    for (size_t i = 0; i < event->length; i++)
        mix(o, event->data[i]);
    bool control = event->opcode >= CRE_WS_CLOSE;
    REQUIRE(event->final || config->fragments);
    REQUIRE(event->opcode != CRE_WS_CONTINUATION || config->fragments);
    REQUIRE(event->length <= (control ? CRE_WS_MAX_CONTROL : config->max_message));
    if (event->opcode == CRE_WS_CLOSE) {
        REQUIRE(event->close_code == 1005 || cre_ws_close_code_valid(event->close_code));
        REQUIRE(cre_utf8_valid(event->data, event->length));
    }
    if (event->opcode == CRE_WS_TEXT && event->final && !config->skip_utf8)
        REQUIRE(cre_utf8_valid(event->data, event->length));
    if (event->length) memset(event->data, 0xEE, event->length);
}

/* Each piece is a copy of its own, so that an access outside of it is detected. */
static int feed(cre_ws_session *session, outcome *o, const uint8_t *data, size_t size) {
    uint8_t *piece = malloc(size ? size : 1), *cursor = piece;
    REQUIRE(piece);
    if (size) memcpy(piece, data, size);
    cre_ws_event event;
    int result;
    while ((result = cre_ws_session_next(session, &cursor, piece + size, &event)) == 1)
        take_event(o, session, &event);
    REQUIRE(result < 0 || cursor == piece + size);
    free(piece);
    return result;
}

static int feed_direct(cre_ws_session *session, outcome *o, const uint8_t *data, size_t *size) {
    uint8_t *destination;
    size_t room = cre_ws_session_destination(session, &destination);
    if (room == 0) return feed(session, o, data, *size);
    if (*size > room) *size = room;
    memcpy(destination, data, *size);
    cre_ws_event event;
    int result = cre_ws_session_received(session, *size, &event);
    if (result == 1) {
        take_event(o, session, &event);
        result = feed(session, o, NULL, 0);
    }
    return result;
}

/* All inputs share one pool: nothing of one may be visible in another. */
static void start(cre_ws_session *session, const cre_ws_config *config, cre_ws_deflate *deflate,
                  uint8_t settings) {
    static cre_ws_deflate_pool *pool;
    cre_ws_session_init(session, config);
    memset(deflate, 0, sizeof *deflate);
    if (!(settings & DEFLATE)) return;
    if (!pool && cre_ws_deflate_pool_create(&(cre_ws_deflate_config){ .size = sizeof(cre_ws_deflate_config) },
                                            &pool) != 0)
        return;
    bool takeover = settings & TAKEOVER;
    const cre_ws_deflate_parameters agreed = { !takeover, !takeover, 15, 15 };
    cre_ws_deflate_init(deflate, pool, &agreed, config->client);
    cre_ws_session_set_deflate(session, deflate);
}

static void finish(cre_ws_session *session, outcome *o) {
    if (!cre_ws_session_busy(session)) REQUIRE(session->message == NULL);
    if (o->result < 0) {
        uint16_t code = cre_ws_close_code(o->result);
        REQUIRE(code == 1002 || code == 1007 || code == 1009);
        uint8_t frame[CRE_WS_MAX_ANSWER];
        REQUIRE(cre_ws_session_closing(session) == CRE_WS_OPEN);
        REQUIRE(cre_ws_session_fail(session, o->result, NULL, frame) > 4);
        REQUIRE(cre_ws_session_closing(session) == CRE_WS_FAILED && !cre_ws_session_may_send(session));
        REQUIRE(cre_ws_session_close_code(session) == code && !cre_ws_session_closed_by_peer(session));
    }
    if (session->deflate) cre_ws_deflate_deinit(session->deflate);
    cre_ws_session_deinit(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    uint8_t settings = data[0];
    size_t count = data[1] & 15;
    if (size < 2 + count) return 0;
    const uint8_t *sizes = data + 2, *stream = sizes + count;
    size_t length = size - 2 - count;
    cre_ws_config config = {
        .max_message = settings & SMALL_LIMITS ? 300 : 1 << 20,
        .max_fragments = settings & SMALL_LIMITS ? 5 : 0,
        .client = settings & CLIENT,
        .skip_utf8 = settings & SKIP_UTF8,
        .fragments = settings & FRAGMENTS,
    };
    cre_ws_session session;
    cre_ws_deflate deflate;

    outcome whole = { 0 };
    start(&session, &config, &deflate, settings);
    whole.result = feed(&session, &whole, stream, length);
    finish(&session, &whole);

    outcome pieces = { 0 };
    start(&session, &config, &deflate, settings);
    for (size_t i = 0, n = 0; i < length && pieces.result >= 0; n++) {
        size_t piece = count ? sizes[n % count] + 1u : 1;
        if (piece > 200) piece *= 100;
        if (piece > length - i) piece = length - i;
        pieces.result = settings & DIRECT ? feed_direct(&session, &pieces, stream + i, &piece)
                                          : feed(&session, &pieces, stream + i, piece);
        i += piece;
    }
    finish(&session, &pieces);

    REQUIRE(whole.events == pieces.events);
    REQUIRE(whole.hash == pieces.hash);
    REQUIRE(whole.result == pieces.result);
    return 0;
}
