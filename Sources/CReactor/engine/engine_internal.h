/* What the files of the engine share. */
#ifndef CRE_ENGINE_INTERNAL_H
#define CRE_ENGINE_INTERNAL_H

#include <creactor/engine.h>
#include <creactor/error.h>
#include <creactor/handshake.h>
#include <creactor/http.h>
#include <creactor/websocket_deflate.h>
#include <string.h>
#include <sys/types.h>

#include "engine/command.h"
#include "engine/tls_internal.h"
#include "loop/loop_internal.h"
#include "registry/table_internal.h"

typedef struct cre__conn cre__conn;
typedef struct cre__listener cre__listener;
typedef struct cre__datagram cre__datagram;

/* A port of the table, all settings filled in. */
typedef struct cre__port {
    cre_port_options options;
    cre_ws_config ws_config;
    cre_http_limits http_limits;
} cre__port;

/* ---- output: what was written but not sent ---- */

#define CRE__CHUNK_BYTES 4056u

typedef struct cre__chunk {
    struct cre__chunk *next;
    cre_block *block; /* NULL: the bytes are `data`; else they are in this block, which others share */
    uint32_t start, end, capacity;
    uint8_t data[];
} cre__chunk;

/* ---- connections ---- */

typedef enum cre__phase_of_conn {
    CRE__HTTP,       /* reading requests */
    CRE__WEBSOCKET,  /* handshake done */
    CRE__STREAM,     /* plain bytes */
    CRE__CLOSE_SENT, /* WebSocket: we closed, the peer's close frame is awaited */
    CRE__LEAVING, /* its session is over: the last output, then the end of the peer's input, then the socket
                     goes */
    CRE__DEAD,    /* the socket is closed; the memory goes with the handle */
} cre__phase_of_conn;

struct cre__stash;  /* bytes of a head that is not complete */
struct cre__body;   /* what of a request's body is still to come */
struct cre__file;   /* what of a file is still to be sent */
struct cre__behind; /* requests behind the first one in progress */

/* What of a request its answer depends on. */
enum { CRE__KEEP_ALIVE = 1, CRE__HEAD_REQUEST = 2, CRE__HTTP_1_0 = 4 };

/* HTTP: which requests are in progress. They have consecutive numbers; the first one is answered next, and
 * the flags of the connection are about it. */
typedef struct cre__http {
    struct cre__body *body;     /* of the request that comes in, or the one in progress; NULL: none */
    struct cre__behind *behind; /* NULL: at most one request is in progress */
    uint32_t first_bytes;       /* of the first one's record */
    uint8_t first;              /* its number; without one, that of the next */
    uint8_t count;              /* requests in progress */
    uint8_t traits;             /* of the request that comes in */
    bool barrier;               /* nothing more is handed out until all in progress are answered */
    bool alone;                 /* the request that comes in must not overlap with others */
    bool idle;                  /* the time between two requests runs */
    bool promoting;             /* answers that waited for their turn are being sent */
} cre__http;

struct cre__conn {
    uv_poll_t poll;
    cre_engine *engine;
    const cre__port *settings;
    cre_session session; /* 0 when over */
    cre__chunk *out_first, *out_last;
    cre__conn *next_dirty;
    cre__conn *next_timed, **prev_timed; /* a list of the wheel; prev_timed NULL: no deadline */
    uint32_t deadline;                   /* tick */
    uint32_t last_receive, last_send;    /* the loop's time in ms, its lower half */
    uint32_t pinged_at;
    uint32_t number; /* that it was bound to; 0: none */
    uint32_t queued; /* bytes of output */
    int descriptor;
    uint16_t port;
    uint16_t worker;
    uint8_t phase;
    uint8_t phase_at_end;  /* HTTP, WEBSOCKET or STREAM: which member of the union is to be freed */
    uint8_t watching;      /* events that libuv watches for us now */
    bool dirty : 1;        /* in the list of those to flush */
    bool blocked : 1;      /* the socket takes no more output now */
    bool paused : 1;       /* reading stopped by a PAUSE command */
    bool congested : 1;    /* reading stopped by the link */
    bool opened : 1;       /* OPEN or CONNECT was told, so CLOSE is due */
    bool full : 1;         /* FULL was told */
    bool half_closed : 1;  /* nothing more will be sent */
    bool keep_alive : 1;   /* may serve another request after the one in progress */
    bool head_request : 1; /* the request in progress is HEAD */
    bool http10 : 1;       /* the request in progress is HTTP/1.0 */
    bool reading : 1;      /* inside its read loop: no second one is started */
    bool held : 1;         /* input came that must wait; reading stopped until its turn */
    bool resume : 1;       /* the next flush serves the stash */
    bool eof : 1;          /* the peer's input has ended */
    bool closed : 1;       /* DEAD, and the handle is closed: freed as soon as it is not dirty */
    bool fragmented : 1;   /* between two fragments of a message that is being sent */
    bool pinged : 1;       /* we pinged it, and nothing came since */
    bool protected : 1;    /* from the heartbeat */
    bool held_back : 1;    /* published messages wait for the last fragment */
    bool streaming : 1;    /* the response in progress has begun, and its body goes on */
    bool chunked : 1;      /* ...in chunks */
    bool muted : 1;        /* ...and is not sent, because there must be none */
    bool moves : 1;        /* its next event goes to the worker of its number */
    uint8_t doomed;        /* the next flush ends it with this reason */
    uint8_t close_reason;  /* CLOSE_SENT: told when the peer has answered */
    uint16_t close_code;
    int close_error;
    cre_session ended;  /* the end of this session is told by the next flush; 0: none */
    cre__tls_conn *tls; /* NULL: plain */
    struct cre__stash *stash;
    struct cre__file *file; /* follows the output; NULL: none */
    struct cre__subscriptions *subscriptions;
    cre_ws_deflate *deflate; /* NULL: not agreed on */
    cre_block *close_text;   /* our reason, or the peer's */
    union {
        cre__http http;
        cre_ws_session ws;
        cre_framing framing;
    };
};

#define CRE__WHEEL_SLOTS   256u
#define CRE__WHEEL_TICK_MS 250u

/* Frames, one after the other. */
typedef struct cre__frames {
    cre_block *block;    /* may be kept from turn to turn */
    uint32_t start, end; /* in the block */
} cre__frames;

/* What is published and not yet in the output of its receivers: the messages of one topic, in two forms. */
typedef struct cre__batch {
    struct cre__topic *topic; /* NULL: nothing */
    cre__frames plain, deflated;
} cre__batch;

typedef struct cre__topics {
    struct cre__topic **buckets;
    uint32_t count, mask;
    uint64_t seed;
    struct cre__topic *everyone; /* all open WebSockets; NULL until the first broadcast */
    struct cre__held *held;      /* what waits for the last fragments of connections */
} cre__topics;

struct cre_engine {
    cre_engine_config config;
    cre_loop *loop;
    cre_table *table;
    void *own_table;
    cre__conn **conns; /* by table index; mapped, touched only where used */
    size_t conns_size;
    uint64_t conns_mask; /* of an index; the table, which others can write to, is not asked */
    uint32_t open;       /* connections that are not dead */
    cre__conn *dirty;
    cre__conn *untold; /* whose end could not be told for want of memory; linked as those in `dirty` */
    cre__chunk *free_chunks;
    uint32_t free_count;
    cre__hook flush;
    cre__batch batch;
    cre__topics topics;
    cre_timer *ticker; /* runs only while something has a deadline */
    cre__conn *wheel[CRE__WHEEL_SLOTS];
    uint32_t tick, timed;
    cre__listener *listeners;
    cre_tls **tls; /* by port, config.tls_count of them */
    struct cre__tls_scratch *tls_scratch;
    cre__datagram *datagrams;
    uint16_t next_port;       /* of cre_engine_listen */
    cre__port *ports;         /* config.port_count, and behind them that of all others */
    struct cre__inbox *inbox; /* sockets from other threads */
    cre_ws_deflate_config deflate_config;
    cre_ws_deflate_pool *deflate_pool; /* NULL: compression is not offered */
    cre_ws_deflate deflate_shared;     /* for what is published: without a window of its own */
    cre_engine_stats stats;
    bool shutting_down;
    cre_timer *shutdown_timer;
    void (*shutdown_done)(void *context);
    void *shutdown_context;
    int64_t date_second;
    char date[CRE_HTTP_DATE_LENGTH];
    uint8_t *slab;    /* CRE__SLAB bytes: one read */
    uint8_t *scratch; /* a request in its wire form */
};

#define CRE__SLAB 65536u

/* engine.c */
#define CRE__MAX_PARTS 4

static inline size_t cre__slices_length(const cre_slice *parts, int count) {
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].length;
    return length;
}

/* Copies the first `size` bytes and moves the parts past them. */
static inline bool cre__slices_take(void *out, size_t size, cre_slice *parts, int count) {
    uint8_t *at = out;
    for (int i = 0; i < count && size; i++) {
        size_t n = parts[i].length < size ? parts[i].length : size;
        if (n) memcpy(at, parts[i].data, n);
        at += n;
        size -= n;
        parts[i].data += n;
        parts[i].length -= n;
    }
    return size == 0;
}

/* conn.c */
int cre__conn_open(cre_engine *engine, int descriptor, uint16_t port);
void cre__conn_free(cre__conn *conn);
/* Tells the engine's owner. A negative result has closed the connection. */
int cre__conn_emit(cre__conn *conn, cre_event kind, uint8_t opcode, uint8_t *payload, size_t length);
/* The same with other flags than CRE_RECORD_FINAL. */
int cre__conn_emit_part(cre__conn *conn, cre_event kind, uint8_t opcode, uint16_t flags, uint8_t *payload,
                        size_t length);
/* Only tells, also of a connection that has no session any more. */
int cre__conn_tell(cre__conn *conn, cre_session session, cre_event kind, uint8_t opcode, uint16_t flags,
                   uint8_t *payload, size_t length);
/*
 * The one way a session ends. The end of the turn tells CLOSE, never this call, and then the table forgets
 * it. With `graceful` the output that waits is sent and the peer gets time to close its side; otherwise the
 * socket is reset. Calling it again does nothing.
 */
void cre__conn_end(cre__conn *conn, cre_close_reason reason, uint16_t code, int error, cre_slice text,
                   bool graceful);
/* At the end of a turn: CLOSE for a session that has ended, or the end of a body that was coming on it.
 * False: there is no memory to pass it on. */
bool cre__conn_tell_end(cre__conn *conn);
/* Reading or writing failed with this errno: ends the connection. */
void cre__conn_failed(cre__conn *conn, int error);
void cre__conn_update_watch(cre__conn *conn);
/* Has the turn's end flush the connection. */
void cre__conn_mark_dirty(cre__conn *conn);
/* LEAVING, and all output is sent: ends our side, and the connection when the peer has ended its. */
void cre__conn_leave(cre__conn *conn);
/* Its deadline has passed: what that means depends on its phase. */
void cre__conn_timed_out(cre__conn *conn);
cre__conn *cre__engine_find(cre_engine *engine, cre_session session);
/* Reads on, at the end of the turn, where the connection was stopped; what is stashed comes first. */
void cre__conn_continue(cre__conn *conn);
void cre__conn_resume_now(cre__conn *conn);
/* At the end of a turn: calls done when a shutdown is complete. The engine may be gone afterwards. */
void cre__engine_check_shutdown(cre_engine *engine);

/* wheel.c */
void cre__conn_set_deadline(cre__conn *conn, uint32_t after_ms); /* 0: none */
/* The timer behind the wheel; without memory for it there is none until somebody asks again. */
void cre__ticker_start(cre_engine *engine);
/* Resets what is left after its session ended. */
void cre__engine_drop_leaving(cre_engine *engine);

/* output.c */
/* Whether anything waits to be sent. */
static inline bool cre__out_waits(const cre__conn *conn) {
    return conn->out_first || (conn->tls && conn->tls->sealed);
}
/* Appends to the output; sent at the end of the batch. False: no memory, the connection was closed. */
bool cre__out_append(cre__conn *conn, const void *data, size_t length);
/* A place for `length` (at most CRE__CHUNK_BYTES) contiguous bytes, to be filled at once; NULL as above. */
uint8_t *cre__out_reserve(cre__conn *conn, size_t length);
/* A header and a large payload, which is sent from where it is; only what the socket does not take is copied.
 * 0; CRE_ENOMEM or CRE_EGONE: the connection was closed. */
int cre__out_large(cre__conn *conn, const void *head, size_t head_length, const cre_slice *parts, int count);
/* The same two for what is published: false without memory, and the connection stays. The output may not be
 * shared with what comes later in the block. */
bool cre__out_append_published(cre__conn *conn, const void *data, size_t length);
bool cre__out_share(cre__conn *conn, cre_block *block, uint32_t start, uint32_t end);
/* Sends past an empty queue; returns how much of it was sent. Errors show at the next flush. */
size_t cre__out_send_now(cre__conn *conn, const uint8_t *data, size_t length);
void cre__out_flush(cre__conn *conn);
/* Shows to senders in other processes how much waits. */
void cre__out_show(cre__conn *conn);
void cre__out_drop(cre__conn *conn);
/* Empties the list of those to flush and flushes nothing, but tells the ends that are due: before the engine
 * goes. */
void cre__out_forget(cre_engine *engine);
bool cre__engine_on_flush(cre__hook *hook);
void cre__engine_free_chunks(cre_engine *engine);

/* http.c */
/* Serves what stands in [cursor, end); returns when it is used up, stashed, or the connection changed its
 * phase; then *cursor is where the next protocol goes on. */
void cre__http_input(cre__conn *conn, uint8_t **cursor, uint8_t *end);
/* Serves what is stashed, if its turn has come. */
void cre__http_unstash(cre__conn *conn);
void cre__http_free(cre__conn *conn);
void cre__http_timed_out(cre__conn *conn);
/* The peer's input has ended. False: it waits for answers. */
bool cre__http_ended(cre__conn *conn);
/* A request, in its wire form, is handed out; flags of the record, FINAL or MORE_BODY. */
void cre__http_deliver(cre__conn *conn, uint16_t flags, uint8_t *payload, size_t length);
/* What comes must wait: it is stashed, and reading stops. */
void cre__http_hold(cre__conn *conn, uint8_t **cursor, uint8_t *end);

/* http_answer.c */
/* The engine's own answer to a request that is not handed out: an error page, after which the connection
 * ends. Requests before it are answered first. */
void cre__http_refuse(cre__conn *conn, int status);
/* An error page as the answer to a request in progress. */
int cre__http_error(cre__conn *conn, uint8_t number, int status, bool close);
int cre__http_respond(cre__conn *conn, const cre_response *response, cre_slice fields, const cre_slice *body,
                      int body_parts, bool close);
/* The first request in progress may be answered: it is there, and no answer has begun. */
static inline bool cre__http_answerable(const cre__conn *conn) {
    return conn->phase == CRE__HTTP && conn->http.count && !conn->streaming && !conn->file;
}
/* Status line, date, length and connection: at most this many bytes with the longest reason phrase. */
#define CRE__HTTP_HEAD_ROOM 256
/* Instead of a length: the body comes in chunks, or its end is that of the connection. */
#define CRE__HTTP_LENGTH_CHUNKED UINT64_MAX
#define CRE__HTTP_LENGTH_OPEN    (UINT64_MAX - 1)
size_t cre__http_write_head(cre__conn *conn, char *out, const cre_response *response, uint64_t length,
                            bool keep_alive);

/* http_turns.c: answers in the order of the requests */
/* Gives the request that came in its number. False: no memory, the connection was closed. */
bool cre__http_begin(cre__conn *conn, size_t bytes, uint8_t *number);
/* Whether the next request may be handed out. */
bool cre__http_may_take(const cre__conn *conn);
/* Nothing comes after the last request in progress. */
void cre__http_set_last(cre__conn *conn);
/* Whether the connection goes on after an answer to the first request. */
bool cre__http_goes_on(const cre__conn *conn, bool close);
/* The first request is answered: on to the next one, or the end. */
void cre__http_answered(cre__conn *conn, bool keep_alive);
/* The commands that are about a request: `command->opcode` is its number. The parts are used up. */
int cre__http_command_check(const cre_record *command, cre_slice *parts, int count);
int cre__http_command(cre__conn *conn, const cre_record *command, cre_slice *parts, int count, bool late);
/* Bytes of answers that wait for their turn. */
uint32_t cre__http_kept(const cre__conn *conn);
void cre__http_drop_answers(cre__conn *conn);

/* http_body.c: bodies of requests */
/* How many bytes it may have. */
uint64_t cre__body_limit(const cre__conn *conn);
/* A head is complete, in its wire form, and a body follows. False: the connection does not go on. */
bool cre__body_begin(cre__conn *conn, uint8_t *payload, size_t prefix, bool nothing_came);
/* Takes body bytes from [*cursor, end). */
void cre__body_input(cre__conn *conn, uint8_t **cursor, uint8_t *end);
void cre__body_timed_out(cre__conn *conn);
/* The owner wants the body, and the client may wait to be told so. */
int cre__body_continue(cre__conn *conn);
/* What is still to come need not end the connection when nobody wants it. */
bool cre__body_is_short(const cre__conn *conn);
/* The request is answered: what is still to come is dropped, and at the turn's end that is told. */
void cre__body_discard(cre__conn *conn);
/* Whether it is due to tell that the rest of a body will not come, if the connection ends. */
bool cre__body_breaks(const cre__conn *conn);
/* At the end of a turn. */
void cre__body_tell_dropped(cre__conn *conn);
/* Tells that the rest of a body will not come, if that is so; `session`: the connection's. False: there is no
 * memory to pass it on. */
bool cre__body_tell_broken(cre__conn *conn, cre_session session);

/* http_stream.c */
/* Begins a response whose body goes on. */
int cre__http_respond_more(cre__conn *conn, const cre_response *response, cre_slice fields,
                           const cre_slice *body, int count, bool close);
int cre__http_respond_body(cre__conn *conn, const cre_slice *parts, int count, bool final, bool late);
/* What is behind the field lines of a RESPOND_FILE; `path` gets its end. */
int cre__http_read_file(cre_slice *parts, int count, cre_file_range *range, char path[CRE_MAX_PATH + 1]);
int cre__http_respond_file(cre__conn *conn, const cre_response *response, cre_slice fields, const char *path,
                           const cre_file_range *range, bool close);
/* The output is empty: sends of the file what this turn may, or puts some of it into the output, which is
 * then to be sent. False: that is all for now. */
bool cre__http_send_file(cre__conn *conn, uint32_t *budget);
void cre__http_drop_file(cre__conn *conn);
/* How much of a file one connection sends before others have their turn. */
#define CRE__FILE_PER_TURN (1u << 20)

/* websocket.c */
void cre__ws_input(cre__conn *conn, uint8_t *cursor, uint8_t *end);
size_t cre__ws_destination(cre__conn *conn, uint8_t **destination);
void cre__ws_received(cre__conn *conn, size_t size);
int cre__ws_push(cre__conn *conn, uint8_t first, const cre_slice *parts, int count);
/* The same for what its sender believes to be sent: it is never left out. When it is too much, the connection
 * ends with OVERFLOW. */
int cre__ws_push_late(cre__conn *conn, uint8_t first, const cre_slice *parts, int count);
/* Compresses a whole message if that pays. With context takeover it must then be sent, since the peer's
 * window moves on; *out is valid until something else is compressed. */
bool cre__ws_compress(cre_ws_deflate *deflate, uint8_t first, const cre_slice *parts, int count,
                      cre_slice *out);
void cre__ws_send_close(cre__conn *conn, uint16_t code, const char *text, size_t length);
void cre__ws_close(cre__conn *conn, cre_close_reason reason, uint16_t code, const char *text, size_t length);
/* upgrade.c */
/* A request that asks for an upgrade, in wire form: 101 and OPEN, or an error page and the end. */
void cre__ws_upgrade(cre__conn *conn, uint8_t *payload, size_t length);

/* heartbeat.c */
/* Something was received from, or sent to, the connection. */
void cre__seen_show(cre__conn *conn, bool received);
static inline void cre__seen(cre__conn *conn, bool received) {
    uint32_t now = (uint32_t)cre_loop_now(conn->engine->loop);
    uint32_t *last = received ? &conn->last_receive : &conn->last_send;
    bool show = (now ^ *last) >> CRE__SEEN_SHIFT;
    *last = now;
    if (show) cre__seen_show(conn, received);
}
/* From here on it must give signs of life, if the configuration says so. */
void cre__heartbeat_begin(cre__conn *conn);
void cre__heartbeat_due(cre__conn *conn);
void cre__heartbeat_protect(cre__conn *conn, bool on);
/* Shows the counters to others. */
void cre__stats_show(cre_engine *engine);

/* topics.c: who gets what is published */
void cre__topics_leave(cre__conn *conn);
bool cre__topics_opened(cre__conn *conn); /* false: no memory */
void cre__topics_free(cre_engine *engine);

/* broadcast.c: what is published */
bool cre__is_publishing(int command);
int cre__publishing_check(const cre_record *command, cre_slice *parts, int count);
int cre__publishing_command(cre_engine *engine, const cre_record *command, cre_slice *parts, int count);
/* Puts what was published to the connection so far into its output, so that what follows comes behind it. */
void cre__batch_settle(cre__conn *conn);
/* The end of a turn: everything published gets on its way. */
void cre__batch_flush(cre_engine *engine);
/* A frame was pushed that is not all of a message; or the last of such. */
void cre__batch_fragment(cre__conn *conn, uint8_t first);
/* Whether it gets what is published in its compressed form. It never changes. */
static inline bool cre__conn_takes_deflated(const cre__conn *conn) {
    return conn->deflate && conn->deflate->write_bits >= conn->engine->deflate_shared.write_bits;
}
/* The form of the batch that the connection gets. */
static inline cre__frames *cre__batch_frames(const cre__conn *conn) {
    cre__batch *batch = &conn->engine->batch;
    return cre__conn_takes_deflated(conn) ? &batch->deflated : &batch->plain;
}

/* stream.c */
/* The phase begins: CONNECT is told. */
void cre__stream_open(cre__conn *conn);
void cre__stream_input(cre__conn *conn, uint8_t *data, size_t length);
/* The peer's input has ended. */
void cre__stream_ended(cre__conn *conn);
/* Its deadline has passed: that of its heartbeat, or after the end of its input. */
void cre__stream_due(cre__conn *conn);
int cre__stream_send(cre__conn *conn, const cre_slice *parts, int count, bool late);
void cre__stream_close(cre__conn *conn, cre_close_reason reason);

/* datagram.c */
/* Owns the descriptor when it returns 0; `own`: and the file behind it. */
int cre__datagram_open(cre_engine *engine, int descriptor, uint16_t port, bool own);
/* Nothing more is received. */
void cre__datagrams_stop(cre_engine *engine);
void cre__datagrams_close(cre_engine *engine);
int cre__datagram_send(cre_engine *engine, uint16_t port, const cre_address *to, const cre_slice *parts,
                       int count);

/* dispatch.c */
/* Sets info->worker. From there on the session decides among so many workers; 0: it is refused. */
uint16_t cre__dispatch_connection(const cre_engine *engine, cre_connection_info *info);
/* Sets from->worker; false: it is dropped. */
bool cre__dispatch_datagram(const cre_engine *engine, uint16_t port, cre_address *from, const uint8_t *data,
                            size_t length);
/* Connections of a worker came (1) or went (-1). */
void cre__dispatch_count(const cre_engine *engine, uint16_t worker, int change);
int cre__dispatch_bind(cre__conn *conn, uint32_t number);
/* The next event is about to be told: it is the first for the worker of the connection's number. */
void cre__dispatch_move(cre__conn *conn);

/* port.c */
/* Fills engine->ports from the configuration, whose own defaults are filled in. */
int cre__ports_open(cre_engine *engine);
const cre__port *cre__port_at(const cre_engine *engine, uint16_t index);

/* listener.c */
void cre__listeners_close(cre_engine *engine);

#endif
