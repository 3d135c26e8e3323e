/*
 * Connections of HTTP/2 in an engine: clients that send anything, and an application that answers in all ways
 * and at any time. Each stream has one beginning and one end, no client gets frames in an order that RFC 9113
 * forbids, and one that does nothing wrong is served beside the others.
 *
 * Input: a list of steps. Each is a byte that says what happens, and its arguments:
 *
 *   frame      connection, type, flags, stream, length, payload; the payload is repeated up to 64 times
 *   head       connection, stream, number of the head: one of `heads`
 *   bytes      connection, length, bytes
 *   turn       -
 *   reads      connection: its client reads what there is
 *   ends       connection: its client ends its side
 *   respond    stream, status, length
 *   more       stream, length: a response whose body continues
 *   body       stream, length, whether it is the last piece
 *   push       stream, length: a WebSocket message
 *   command    stream, kind: CLOSE, PAUSE, RESUME or an interim response
 *   worker     whether the link to the worker is full
 *   go away    -: the engine shuts down
 *
 * A stream is a number of the client's, or of the sessions that have begun. A length is one byte, in units of
 * LENGTH_UNIT where the application sends.
 */
#include <creactor/engine.h>
#include <creactor/error.h>
#include <creactor/http2.h>
#include <sys/socket.h>
#include <unistd.h>

#include "input.h"
#include "loop/loop_internal.h"

enum { CLIENTS = 3, MAX_STEPS = 96, MAX_SESSIONS = 4096, MAX_REPEAT = 64, LENGTH_UNIT = 300 };
enum { MAX_STREAMS = 8, MAX_QUEUE = 16384, QUEUES = 8, BLOCKED = 1 << 17 };
enum { FRAME, HEAD, BYTES, TURN, READS, ENDS, RESPOND, MORE, BODY, PUSH, COMMAND, WORKER, GO_AWAY, KINDS };
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
enum { END_STREAM = 1, END_HEADERS = 4, FRAME_HEAD = 9, MAX_FRAME = 16384, STREAMS = 256 };

#define TEXT(text) { text, sizeof text - 1 }

/* Heads without a dynamic table: flags, and fields as HPACK has them. */
static const struct head {
    uint8_t flags;
    struct {
        const char *bytes;
        size_t length;
    } fields;
} heads[] = {
    { END_HEADERS | END_STREAM, TEXT("\x82\x86\x04\x06/hello\x01\x01"
                                     "a") },
    { END_HEADERS, TEXT("\x83\x86\x84\x01\x01"
                        "a") },
    { END_HEADERS, TEXT("\x02\x07"
                        "CONNECT\x00\x09:protocol\x09websocket\x86\x84\x01\x01"
                        "a"
                        "\x00\x15sec-websocket-version\x02"
                        "13") },
    { END_HEADERS | END_STREAM, TEXT("\x02\x04HEAD\x86\x84\x01\x01"
                                     "a") },
    { END_HEADERS, TEXT("\x83\x86\x84\x01\x01"
                        "a\x00\x0e"
                        "content-length\x02"
                        "10\x00\x06"
                        "expect\x0c"
                        "100-continue") },
    { END_HEADERS | END_STREAM, TEXT("\x00\x01x\x01y") }, /* trailers */
    { END_STREAM, TEXT("\x82\x86\x84") },                 /* CONTINUATION is to follow */
    { END_HEADERS | END_STREAM, TEXT("\x82\x86\x84\x00\x01X\x01y") },
};

/* What the application sends. */
static const uint8_t output[256 * LENGTH_UNIT];

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\6\4\0\0\0\0\0\0\4\0\0\xff\xff";

typedef struct client {
    int descriptor; /* -1: closed */
    uint8_t *received;
    size_t length;
    uint8_t ended[STREAMS], reset[STREAMS], begun[STREAMS]; /* by half of their number */
    uint32_t headers_of;                                    /* a stream whose CONTINUATION must follow */
    uint32_t hello;                                         /* streams that have got status 200 and ended */
} client;

typedef struct target {
    cre_loop *loop;
    cre_engine *engine;
    client clients[CLIENTS + 1]; /* the last one does nothing wrong */
    cre_session sessions[MAX_SESSIONS];
    uint8_t opened[MAX_SESSIONS], requested[MAX_SESSIONS], closed[MAX_SESSIONS];
    uint32_t count;
    bool congested;
} target;

/* ---- the application ---- */

static int find(const target *t, cre_session session) {
    for (uint32_t i = t->count; i-- > 0;)
        if (t->sessions[i] == session) return (int)i;
    return -1;
}

static int on_event(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload) {
    target *t = context;
    volatile uint8_t sum = 0; /* reads the whole payload */
    for (uint32_t i = 0; i < event->length; i++)
        sum = (uint8_t)(sum + payload[i]);
    int at = find(t, event->session);
    if (at < 0) {
        REQUIRE(event->kind == CRE_EVENT_OPEN || event->kind == CRE_EVENT_REQUEST);
        REQUIRE(t->count < MAX_SESSIONS);
        at = (int)t->count++;
        t->sessions[at] = event->session;
    }
    REQUIRE(!t->closed[at]);
    cre_request_view view;
    switch (event->kind) {
    case CRE_EVENT_REQUEST:
        REQUIRE(!t->requested[at]++ && !t->opened[at]); /* a stream has one */
        REQUIRE(cre_request_view_init(&view, payload, event->length) == 0 && view.head->flags & CRE_HTTP_2);
        if (cre_request_is(payload, event->length, "/hello"))
            REQUIRE(cre_engine_respond(engine, event->session, 200, NULL, "hello", 5) == 0);
        break;
    case CRE_EVENT_OPEN:
        REQUIRE(!t->opened[at]++ && !t->requested[at]);
        REQUIRE(cre_request_view_init(&view, payload, event->length) == 0);
        break;
    case CRE_EVENT_MESSAGE:
        REQUIRE(t->opened[at]);
        (void)cre_engine_push(engine, event->session, event->opcode, payload, event->length);
        break;
    case CRE_EVENT_CLOSE: t->closed[at] = 1; break;
    default: break;
    }
    return 0;
}

static bool is_congested(void *context, uint16_t worker) {
    const target *t = context;
    (void)worker;
    return t->congested;
}

static void send_output(target *t, input *in, uint8_t step) {
    const uint8_t which = take(in), choice = take(in);
    const size_t length = (size_t)choice * LENGTH_UNIT;
    if (!t->count) return;
    const cre_session session = t->sessions[which % t->count];
    switch (step) {
    case RESPOND:
        (void)cre_engine_respond(t->engine, session, choice % 2 ? 200 : 404, "X: a\r\n", output, length);
        break;
    case MORE: (void)cre_engine_respond_more(t->engine, session, 200, NULL, output, length); break;
    case BODY: (void)cre_engine_respond_body(t->engine, session, output, length, choice % 2); break;
    default: (void)cre_engine_push(t->engine, session, 2, output, length); break;
    }
}

static void command(target *t, input *in) {
    const uint8_t which = take(in), kind = take(in);
    if (!t->count) return;
    cre_record record = { .session = t->sessions[which % t->count] };
    switch (kind % 4) {
    case 0: (void)cre_engine_close(t->engine, record.session, 0, NULL); return;
    case 1: (void)cre_engine_respond_interim(t->engine, record.session, 103, "Link: </a>\r\n"); return;
    case 2: record.kind = CRE_COMMAND_PAUSE; break;
    default: record.kind = CRE_COMMAND_RESUME; break;
    }
    (void)cre_engine_command(t->engine, &record, NULL, 0);
}

/* ---- clients ---- */

static void turn(target *t) {
    cre__loop_turn(t->loop, false);
}

static void send_bytes(client *c, const void *bytes, size_t length) {
    (void)!send(c->descriptor, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_frame(client *c, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
                       size_t length) {
    uint8_t frame[FRAME_HEAD + MAX_FRAME] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8),  (uint8_t)length,        type,           flags,
        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream
    };
    if (length) memcpy(frame + FRAME_HEAD, payload, length);
    send_bytes(c, frame, FRAME_HEAD + length);
}

static void send_head(client *c, uint32_t stream, uint8_t number) {
    const struct head *head = &heads[number % (sizeof heads / sizeof *heads)];
    send_frame(c, HEADERS, head->flags, stream, head->fields.bytes, head->fields.length);
}

static void check_frame(client *c, const uint8_t *frame, size_t length) {
    const uint8_t type = frame[3], flags = frame[4];
    const uint32_t stream =
        (uint32_t)(frame[5] & 0x7F) << 24 | (uint32_t)frame[6] << 16 | (uint32_t)frame[7] << 8 | frame[8];
    const uint32_t at = stream / 2 % STREAMS;
    REQUIRE(type <= CONTINUATION && type != PRIORITY && type != PUSH_PROMISE);
    REQUIRE(c->headers_of ? type == CONTINUATION && stream == c->headers_of : type != CONTINUATION);
    if (type == HEADERS || type == CONTINUATION) c->headers_of = flags & END_HEADERS ? 0 : stream;
    if (type == SETTINGS || type == PING || type == GOAWAY) REQUIRE(stream == 0);
    if (type == DATA || type == HEADERS || type == RST_STREAM) REQUIRE(stream % 2 == 1);
    if (!stream || stream / 2 >= STREAMS) return;
    /* nothing follows a reset, and of a body nothing follows its end */
    REQUIRE(!c->reset[at]);
    if (type == DATA || type == HEADERS) REQUIRE(!c->ended[at]);
    if (type == DATA) REQUIRE(c->begun[at]);
    if (type == HEADERS) c->begun[at] = 1;
    if (type == RST_STREAM) c->reset[at] = 1;
    if ((type == DATA || type == HEADERS) && flags & END_STREAM) c->ended[at] = 1;
    if (type == DATA && length == 5 && flags & END_STREAM && !memcmp(frame + FRAME_HEAD, "hello", 5))
        c->hello++;
}

static void check_frames(client *c) {
    size_t at = 0, size;
    for (; c->length - at >= FRAME_HEAD; at += size) {
        const uint8_t *frame = c->received + at;
        size = FRAME_HEAD + ((size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2]);
        REQUIRE(size <= FRAME_HEAD + MAX_FRAME);
        if (size > c->length - at) break;
        check_frame(c, frame, size - FRAME_HEAD);
    }
    c->length -= at;
    memmove(c->received, c->received + at, c->length);
}

static void receive(client *c) {
    for (;;) {
        c->received = realloc(c->received, c->length + FRAME_HEAD + MAX_FRAME);
        REQUIRE(c->received != NULL);
        ssize_t got = recv(c->descriptor, c->received + c->length, MAX_FRAME, MSG_DONTWAIT);
        if (got <= 0) return;
        c->length += (size_t)got;
        check_frames(c);
    }
}

static void connect_client(target *t, client *c) {
    int pair[2], room = 4096;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* a queue fills soon */
    c->descriptor = pair[0];
    cre_engine_adopt(t->engine, pair[1], 0);
    send_bytes(c, preface, sizeof preface - 1);
}

static void step_of_client(target *t, input *in, uint8_t step) {
    client *c = &t->clients[take(in) % CLIENTS];
    if (step == READS) {
        receive(c);
    } else if (step == ENDS) {
        shutdown(c->descriptor, SHUT_WR);
    } else if (step == HEAD) {
        const uint32_t stream = take(in);
        send_head(c, stream, take(in));
    } else {
        uint32_t length, stream = 0;
        uint8_t type = 0, flags = 0;
        if (step == FRAME) type = take(in), flags = take(in), stream = take(in);
        uint8_t *bytes = take_bytes(in, step == FRAME && flags & 0x40 ? MAX_REPEAT : 1, &length);
        if (step == FRAME)
            send_frame(c, type, flags & 0x3F, stream, bytes, length);
        else
            send_bytes(c, bytes, length);
        free(bytes);
    }
}

/* ---- a run ---- */

static void open_target(target *t) {
    static const cre_port_options port = { .size = sizeof port,
                                           .protocol = CRE_PROTOCOL_WEBSOCKET,
                                           .http = true,
                                           .stream_bodies = true,
                                           .max_streams = MAX_STREAMS,
                                           .max_queue = MAX_QUEUE };
    *t = (target){ 0 };
    const cre_engine_config config = { .size = sizeof config,
                                       .on_event = on_event,
                                       .context = t,
                                       .ports = &port,
                                       .port_count = 1,
                                       .congested = is_congested,
                                       .max_connections = 64 };
    REQUIRE(cre_loop_create(&t->loop) == 0 && cre_engine_create(t->loop, &config, &t->engine) == 0);
    for (int i = 0; i <= CLIENTS; i++)
        connect_client(t, &t->clients[i]);
    turn(t);
}

/* The client that does nothing wrong is served, whatever the others have done. */
static void check_bystander(target *t) {
    client *c = &t->clients[CLIENTS];
    t->congested = false;
    cre_engine_resume(t->engine, 0);
    const uint32_t before = c->hello;
    send_head(c, 1, 0);
    for (int i = 0; i < 6 && c->hello == before; i++) {
        turn(t);
        receive(c);
    }
    REQUIRE(c->hello == before + 1);
}

static void close_target(target *t) {
    for (int i = 0; i <= CLIENTS; i++)
        receive(&t->clients[i]);
    cre_engine_stats stats;
    cre_engine_get_stats(t->engine, &stats, sizeof stats);
    REQUIRE(stats.http2_open_streams <= (CLIENTS + 1) * MAX_STREAMS);
    /* the queues of a connection's streams, the response that exceeded them, and what the socket did not take
     */
    const uint64_t most = QUEUES * MAX_QUEUE + sizeof output + BLOCKED;
    REQUIRE(stats.queued <= (CLIENTS + 1) * most);
    cre_engine_destroy(t->engine);
    for (uint32_t i = 0; i < t->count; i++)
        if (t->opened[i]) REQUIRE(t->closed[i]);
    cre_loop_destroy(t->loop);
    for (int i = 0; i <= CLIENTS; i++) {
        receive(&t->clients[i]);
        free(t->clients[i].received);
        close(t->clients[i].descriptor);
    }
}

static void ignore(void *context) {
    (void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static target t;
    input in = { data, data + size };
    bool going_away = false;
    if (!cre_http2_supported()) return 0;
    open_target(&t);
    for (int i = 0; i < MAX_STEPS && in.at < in.end; i++) {
        const uint8_t step = take(&in) % KINDS;
        switch (step) {
        case TURN: turn(&t); break;
        case RESPOND:
        case MORE:
        case BODY:
        case PUSH: send_output(&t, &in, step); break;
        case COMMAND: command(&t, &in); break;
        case WORKER:
            t.congested = take(&in) % 2;
            if (!t.congested) cre_engine_resume(t.engine, 0);
            break;
        case GO_AWAY:
            if (!going_away) cre_engine_shutdown(t.engine, 60000, ignore, NULL);
            going_away = true;
            break;
        default: step_of_client(&t, &in, step);
        }
    }
    turn(&t);
    if (!going_away) check_bystander(&t);
    close_target(&t);
    return 0;
}
