/* Connections: a transport, the protocol on it, and its stream. */
#ifndef CRE_ENGINE_CONN_H
#define CRE_ENGINE_CONN_H

#include <creactor/engine.h>
#include <stddef.h>

#include "engine/engine_internal.h"
#include "engine/protocol.h"
#include "engine/slices.h"
#include "engine/stream.h"
#include "net/transport.h"

/* Room for the state of a protocol. */
#define CRE__PROTOCOL_STATE 56

struct cre__conn {
    cre__transport transport; /* first: its events are about the connection */
    cre__stream stream;
    const cre__protocol *protocol;
    const cre__port *port; /* settings */
    uint16_t port_index;
    bool resume : 1;       /* the end of the turn lets the protocol go on with deferred input */
    bool congested : 1;    /* in its worker's list of congested connections */
    bool abortive : 1;     /* closing before the end of a response resets the connection */
    bool proxied : 1;      /* a cre__remote follows in its memory */
    uint8_t slot_checksum; /* of its slot in the table, which other processes can overwrite */
    uint32_t deferred;     /* bytes of output that wait elsewhere than in the queue */
    _Alignas(8) uint8_t state[CRE__PROTOCOL_STATE];
};

/* The remote end as a proxy has named it. */
typedef struct cre__remote {
    uint8_t family;
    uint16_t port;
    uint8_t bytes[16];
} cre__remote;

static inline cre__remote *cre__conn_remote(cre__conn *conn) {
    return (cre__remote *)(void *)(conn + 1);
}

/* What the head of a response says besides its fields. */
typedef struct cre__head {
    const struct cre__response *response;
    const char *date;
    uint64_t length;
    bool has_length; /* of the body, which the head has to name */
    bool ends;       /* no body follows */
} cre__head;

/*
 * What a connection needs that is carried by another one, such as a stream of HTTP/2: its transport is a
 * carried one, its protocol that of any connection, and it has one request.
 */
typedef struct cre__carrier {
    /* The end of a turn in which its queue, or whether it may be read, has changed. */
    void (*carry)(cre__conn *conn);
    /* Its transport is closed. */
    void (*uncarry)(cre__conn *conn, bool reset);
    /* Sends the head of a response, or an interim one. Returns 0, or a negative error; then nothing was sent,
     * and the connection may have ended. */
    int (*send_head)(cre__conn *conn, const cre__head *head);
    /* Sends packed fields behind the body, which ends when the connection does. Returns as send_head. */
    int (*send_trailers)(cre__conn *conn, const cre_slice *fields);
} cre__carrier;

typedef struct cre__carried {
    cre__conn conn; /* first */
    const cre__carrier *carrier;
    cre__conn *by;
    size_t size; /* of its memory */
} cre__carried;

static inline const cre__carried *cre__carried_of(const cre__conn *conn) {
    return (const cre__carried *)(const void *)conn;
}

static inline const cre__carrier *cre__conn_carrier(const cre__conn *conn) {
    return cre__carried_of(conn)->carrier;
}

/* The connection that has the socket. */
static inline cre__conn *cre__conn_bearer(cre__conn *conn) {
    return conn->transport.carried ? cre__carried_of(conn)->by : conn;
}

static inline cre__conn *cre__conn_of(cre__transport *transport) {
    return (cre__conn *)(void *)transport;
}

static inline cre__conn *cre__stream_conn(cre__stream *stream) {
    return (cre__conn *)(void *)((char *)stream - offsetof(cre__conn, stream));
}

static inline cre_engine *cre__conn_engine(const cre__conn *conn) {
    return (cre_engine *)(void *)((char *)conn->transport.net - offsetof(cre_engine, net));
}

/* Its state as the connection table shows it. */
static inline int cre__conn_state(const cre__conn *conn) {
    int state = conn->protocol->state;
    return state == CRE_CONNECTION_OPEN && !conn->stream.accepts_frames ? CRE_CONNECTION_CLOSING : state;
}

/* Whether commands and events of its stream still have a meaning. */
static inline bool cre__conn_live(const cre__conn *conn) {
    return !conn->stream.over;
}

/* ---- beginning ---- */

extern const cre__transport_events cre__conn_events;

/* Takes over a connected socket, whatever is returned. */
int cre__conn_open(cre_engine *engine, int descriptor, uint16_t port);
/* The same behind the header of the PROXY protocol. `client` is the remote end that it has named; NULL: that
 * of the socket. */
int cre__conn_begin(cre_engine *engine, int descriptor, uint16_t port, const cre_address *client);
/* Takes a slot of the table for a new connection and makes it known. Returns 0 or a negative error. */
int cre__conn_enter(cre_engine *engine, cre__conn *conn, cre_connection_info *info);
/* carried.c: opens a connection that `by` carries, in `size` bytes that begin with a cre__carried; `origin`
 * describes where `by` comes from, and the time. NULL: it is refused, or there is no memory. */
cre__conn *cre__carried_open(cre__conn *by, const cre__carrier *carrier, const cre__protocol *protocol,
                             const cre_connection_info *origin, size_t size);
/* Frees its memory, or keeps it for the next one. */
void cre__carried_free(cre__conn *conn);
/* Frees what is kept. */
void cre__carried_drop_spares(cre_engine *engine);
/* As `carry` and `uncarry` of cre__transport_events. */
void cre__carried_turn(cre__transport *transport);
void cre__carried_closed(cre__transport *transport, bool reset);
/* Replaces the protocol, whose state is freed. */
void cre__conn_switch(cre__conn *conn, const cre__protocol *protocol);

/* repair.c: what the connection table shows of a live connection is written again, and counted, if another
 * process has overwritten it. */
void cre__conn_restore_slot(cre__conn *conn);
/* Sets address and port of the remote end, and their family. */
void cre__conn_describe_peer(cre__conn *conn, cre_connection_info *info);
/* Address and family of the local end. */
void cre__conn_describe_local(int descriptor, cre_connection_info *info);

static inline cre__conn *cre__engine_find(cre_engine *engine, cre_session session) {
    cre__stream *stream = session ? engine->streams[session & engine->streams_mask] : NULL;
    return stream && stream->session == session ? cre__stream_conn(stream) : NULL;
}

/* ---- events ---- */

/* An event of the connection. */
static inline cre_record cre__conn_record(const cre__conn *conn, cre_event kind, uint8_t opcode,
                                          uint16_t flags, size_t length) {
    return (cre_record){ .length = (uint32_t)length,
                         .kind = (uint8_t)kind,
                         .opcode = opcode,
                         .flags = flags | cre_record_port_flags(conn->port_index),
                         .session = conn->stream.session };
}

/* Only emits, also when the stream has ended. */
static inline int cre__conn_report(cre__conn *conn, cre_event kind, uint8_t opcode, uint16_t flags,
                                   uint8_t *payload, size_t length) {
    cre_engine *engine = cre__conn_engine(conn);
    const cre_record record = cre__conn_record(conn, kind, opcode, flags, length);
    engine->event_worker = conn->stream.worker;
    return engine->config.on_event(engine->config.context, engine, &record, payload);
}
/* The next event, of this kind, is perhaps the first for another worker. */
void cre__conn_move(cre__conn *conn, cre_event kind);
/* Nobody got an event of this kind: resets the connection. */
void cre__conn_lost_event(cre__conn *conn, cre_event kind, int error);
/* Emits an event of the connection's stream. A negative result has closed the connection. */
static inline int cre__conn_emit_part(cre__conn *conn, cre_event kind, uint8_t opcode, uint16_t flags,
                                      uint8_t *payload, size_t length) {
    if (conn->stream.moves) cre__conn_move(conn, kind);
    int result = cre__conn_report(conn, kind, opcode, flags, payload, length);
    if (result < 0) cre__conn_lost_event(conn, kind, result);
    return result;
}
/* The same with CRE_RECORD_FINAL. */
static inline int cre__conn_emit(cre__conn *conn, cre_event kind, uint8_t opcode, uint8_t *payload,
                                 size_t length) {
    return cre__conn_emit_part(conn, kind, opcode, CRE_RECORD_FINAL, payload, length);
}

/* ---- input that is not complete ---- */

/* The memory that the protocol has for it, in bytes. */
static inline void cre__conn_set_buffered(cre__conn *conn, size_t bytes) {
    if (conn->transport.state == CRE__TRANSPORT_CLOSED) return;
    cre__transport_set_buffered(&conn->transport, bytes);
}

/* ---- the end ---- */

/* How a stream ended, for its CLOSE event. */
typedef struct cre__ending {
    cre_close_reason reason;
    uint16_t code; /* 0: what the protocol says of an abnormal end */
    int error;
    cre_slice text;
} cre__ending;

/*
 * The two ways in which a stream ends. No command finds it afterwards; the end of the turn emits CLOSE, never
 * this call. `finish` sends the queue and gives the peer time to close its side, `reset` closes the socket at
 * once. For a stream that has ended only the transport's part is done.
 */
void cre__conn_finish(cre__conn *conn, const cre__ending *ending);
void cre__conn_reset(cre__conn *conn, const cre__ending *ending);

#define CRE__FINISH(conn, ...) cre__conn_finish(conn, &(cre__ending){ __VA_ARGS__ })
#define CRE__RESET(conn, ...)  cre__conn_reset(conn, &(cre__ending){ __VA_ARGS__ })

/* Without memory for what must be sent or kept: resets it. Returns CRE_ENOMEM. */
int cre__conn_no_memory(cre__conn *conn);

/* The reason to report in CLOSE; at most CRE_WS_MAX_CONTROL bytes are kept. */
void cre__conn_set_close_text(cre__conn *conn, cre_slice text);
/* Keeps the request of a handshake, in wire form, in the place of the close text. False: no memory, and the
 * connection was reset. */
bool cre__conn_keep_handshake(cre__conn *conn, const uint8_t *payload, size_t length);
void cre__conn_drop_handshake(cre__conn *conn);
/* Emits CLOSE with the stream's reason, code, error and text. False: there is no memory to pass it on. */
bool cre__conn_report_close(cre__conn *conn);
/* The same for a stream whose handshake was not accepted. */
bool cre__conn_report_unopened(cre__conn *conn);

/* Emits END with what CLOSE will say: the stream's owner has the last word. */
void cre__conn_emit_end(cre__conn *conn);

/* Has the end of the turn let the protocol go on with deferred input. */
void cre__conn_resume_later(cre__conn *conn);

/* ---- output ---- */

/* Whether a producer can be refused, or its output was accepted already on the other side of a link. */
typedef enum cre__policy { CRE__REFUSE_WHEN_FULL, CRE__FORCE } cre__policy;

/* The rule of queues: an empty one takes anything, one that is not takes what fits its limit. */
static inline bool cre__queue_takes(uint64_t queued, uint64_t length, uint64_t limit) {
    return !queued || queued + length <= limit;
}

/* Bytes of output that the connection has queued. */
static inline uint64_t cre__conn_queued(const cre__conn *conn) {
    return (uint64_t)conn->transport.queued + conn->deferred;
}

/* Applies the rule to `length` more bytes. With CRE__FORCE the limit is twice as large, and larger by what
 * may be in flight: a process that accepts output sees the queue's length a little later, and what it has
 * accepted must not be the reason to close. Returns 0, or CRE_EQUEUE_FULL; then, with CRE__FORCE, the
 * connection has ended with OVERFLOW, as its stream would have a hole. */
int cre__conn_accept_slowly(cre__conn *conn, size_t length, cre__policy policy);
static inline int cre__conn_accept(cre__conn *conn, size_t length, cre__policy policy) {
    if (cre__queue_takes(cre__conn_queued(conn), length, conn->port->options.max_queue)) return 0;
    return cre__conn_accept_slowly(conn, length, policy);
}

/* Queues everything that was published to the stream so far, so that later output follows it: publish.c. */
void cre__publish_settle(cre__conn *conn);
/* Room in the queue behind that, as of cre__queue_room; NULL: no memory, and the connection was reset. */
static inline uint8_t *cre__conn_room(cre__conn *conn, size_t length) {
    if (cre__conn_engine(conn)->batch.topic) cre__publish_settle(conn);
    uint8_t *at = cre__queue_room(&conn->transport, length);
    if (!at) cre__conn_no_memory(conn);
    return at;
}
/* Room of which all is queued. */
uint8_t *cre__conn_reserve(cre__conn *conn, size_t length);
bool cre__conn_append(cre__conn *conn, const void *data, size_t length);
/* A head and a payload of any size. Returns 0, CRE_ENOMEM or CRE_EGONE; then the connection has ended. */
int cre__conn_send(cre__conn *conn, const void *head, size_t head_length, const cre_slice *parts, int count,
                   size_t length);
/* Sends a whole message, or a control frame, as cre_engine_push. */
static inline int cre__conn_push(cre__conn *conn, uint8_t opcode, const void *data, size_t length) {
    if (!conn->stream.accepts_frames)
        return cre__command_fits(cre__command_rule_of(CRE_COMMAND_PUSH), cre__conn_state(conn));
    if (opcode > CRE_WS_BINARY &&
        ((opcode != CRE_WS_PING && opcode != CRE_WS_PONG) || length > CRE_WS_MAX_CONTROL))
        return CRE_EINVALID;
    const cre_slice part = { data, length };
    return conn->protocol->push(conn, opcode | CRE_WS_FIN, &part, 1, CRE__REFUSE_WHEN_FULL);
}
/* Publishes the length of the queue, emits FULL and DRAINED, stops and resumes reading. */
void cre__conn_queue_changed(cre__conn *conn);

#endif
