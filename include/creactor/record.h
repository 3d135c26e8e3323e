/*
 * Events and commands: the one vocabulary between an engine, which owns sockets, and its owner, who decides.
 *
 * A record is a 16-byte header and a payload. Inside one thread it travels as a function call, between
 * processes through a ring in shared memory; its meaning is the same. The payload is borrowed: it is valid
 * until the function that received it returns.
 */
#ifndef CREACTOR_RECORD_H
#define CREACTOR_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "buffer.h"
#include "export.h"
#include "http.h"
#include "session.h"

typedef struct cre_record {
    uint32_t length;     /* bytes of payload behind the header */
    uint8_t kind;        /* cre_event or cre_command */
    uint8_t opcode;      /* cre_ws_opcode of a MESSAGE or PUSH; the number of a request */
    uint16_t flags;      /* CRE_RECORD_* */
    cre_session session; /* the connection it is about */
} cre_record;

/** The message or frame is complete (the FIN bit of a pushed frame). */
#define CRE_RECORD_FINAL 0x0001u
/** RESPOND: close the connection after the response. REQUEST_BODY: the body ends before its time. */
#define CRE_RECORD_CLOSE 0x0002u
/** RESPOND: the body goes on with RESPOND_BODY. REQUEST: it follows as REQUEST_BODY. */
#define CRE_RECORD_MORE_BODY 0x0004u
/** OPEN: not the first one of its session; it answers ADOPT. */
#define CRE_RECORD_RESUMED 0x0008u
/** Of events, and of SENDTO: the index of the port, shifted so far. */
#define CRE_RECORD_PORT_SHIFT 4
#define CRE_RECORD_PORT_MASK  0x0ff0u
/** Chunks of one large record in a ring: more follow; this one is not the first. Never seen by users. */
#define CRE_RECORD_MORE      0x4000u
#define CRE_RECORD_CONTINUED 0x8000u

/** Engine to owner. */
typedef enum cre_event {
    /** A WebSocket handshake is done, or with CRE_RECORD_RESUMED was done before. Payload: the handshake's
     * request, as in REQUEST. */
    CRE_EVENT_OPEN = 1,
    /** One message. `opcode` is text or binary. Payload: the message. */
    CRE_EVENT_MESSAGE = 2,
    /** The connection is gone; the last event of its session, exactly one for each session that had an OPEN
     * or CONNECT, or whose REQUEST waits for UPGRADE. Payload: cre_closed. */
    CRE_EVENT_CLOSE = 3,
    /** One HTTP request, body included. Payload: cre_http_head, its fields, the head's bytes, the body.
     * Exactly one answer is expected: RESPOND, with its RESPOND_BODY if it has CRE_RECORD_MORE_BODY, or
     * RESPOND_FILE. Several requests of a connection may be in progress (cre_engine_config.max_pipelined):
     * `opcode` is the number of this one, counted from 0 and modulo 256, which its answer names. With
     * CRE_RECORD_MORE_BODY the body is not included and follows as REQUEST_BODY. On a port with `ask_upgrade`
     * a valid handshake is such a request, with CRE_HTTP_UPGRADE_WEBSOCKET among the flags of its head, and
     * UPGRADE another answer to it. */
    CRE_EVENT_REQUEST = 4,
    /** The output queue of the connection rose above its high mark, or fell below its low mark again. */
    CRE_EVENT_FULL = 5,
    CRE_EVENT_DRAINED = 6,
    /** The next bytes of a request's body, at most 64 KiB; `opcode` is the request's number. The last one, of
     * which there is exactly one, has CRE_RECORD_FINAL, and CRE_RECORD_CLOSE when what came is not all: the
     * client left or sent something invalid, or the request was answered before. */
    CRE_EVENT_REQUEST_BODY = 7,
    /** A connection on a stream port was accepted. No payload. */
    CRE_EVENT_CONNECT = 16,
    /** Bytes of a stream: as they came, at most 64 KiB, or exactly one packet where the port has a framing.
     */
    CRE_EVENT_RECEIVE = 17,
    /** With `half_open` only: nothing more will be received. The peer has ended its side of a stream, sent
     * the close frame of a WebSocket, or sent something invalid. Output still reaches it: the owner answers
     * what it received before and then closes the connection, which also completes the closing handshake of a
     * WebSocket with the peer's code. It has close_timeout_ms for that, on a stream idle_timeout_ms. No
     * payload. */
    CRE_EVENT_END = 18,
    /** A datagram. It has no session. Payload: cre_address of the sender, data. */
    CRE_EVENT_PACKET = 19,
} cre_event;

/** Owner to engine. A command for a session that is gone is dropped and counted. */
typedef enum cre_command {
    /** Send one WebSocket frame: `opcode`, CRE_RECORD_FINAL for the FIN bit. Payload: the data. */
    CRE_COMMAND_PUSH = 65,
    /** Answer the request whose number is `opcode`. Requests in progress may be answered in any order; the
     * client gets the answers in that of the requests. Payload: cre_response, fields, body. */
    CRE_COMMAND_RESPOND = 66,
    /** Close after everything queued was sent: a WebSocket by its closing handshake. Payload: cre_closing. */
    CRE_COMMAND_CLOSE = 67,
    /** Drop the connection and what is queued on it, at once. No payload. */
    CRE_COMMAND_RESET = 68,
    /** Stop and restart reading from the connection. No payload. */
    CRE_COMMAND_PAUSE = 69,
    CRE_COMMAND_RESUME = 70,
    /** Except the connection from the heartbeat (opcode 1), or no longer (opcode 0). No payload. */
    CRE_COMMAND_PROTECT = 71,
    /** Go on with the body of a response, to the request whose number is `opcode`. Payload: the next bytes;
     * CRE_RECORD_FINAL: they are the last. HTTP/1.1 gets each command as a chunk, HTTP/1.0 the bytes until
     * the connection ends.
     */
    CRE_COMMAND_RESPOND_BODY = 72,
    /** Answer the request with a part of a regular file, which the engine opens when its turn has come.
     * Payload: cre_response, fields, cre_file_range, the path. When it cannot be, the answer is an error
     * page. */
    CRE_COMMAND_RESPOND_FILE = 73,
    /** The body of the request whose number is `opcode` is wanted: a client that waits for that ("Expect:
     * 100-continue") is asked to send it. Only with bodies in pieces. No payload. */
    CRE_COMMAND_CONTINUE = 74,
    /** Nobody will answer the requests up to the one whose number is `opcode`: those without an answer get a
     * page with status 500; where a part of an answer was sent, the connection is reset. No payload. */
    CRE_COMMAND_ABANDON = 75,
    /** Answer the handshake whose number is `opcode` with 101; OPEN follows, or CLOSE. Payload: cre_upgrade,
     * the subprotocol, fields. CRE_ESTATE: the request is no handshake. CRE_EINVALID: the client has not
     * offered the subprotocol. */
    CRE_COMMAND_UPGRADE = 76,
    /** The sender is new to the connection, an open WebSocket whose port has `keep_handshake`: OPEN comes
     * again, with CRE_RECORD_RESUMED. CRE_ESTATE: the port has not. No payload. */
    CRE_COMMAND_ADOPT = 77,
    /** Give the connection the id of its user, once. Payload: cre_binding. With CRE_DISPATCH_BY_USER
     * the worker `user_id % worker_count` gets its events, from the next one on; of an HTTP connection, from
     * the next request when all before it are answered. CRE_ESTATE: it has one already. */
    CRE_COMMAND_BIND = 79,
    /** Send bytes on a stream. Payload: the bytes. */
    CRE_COMMAND_SEND = 80,
    /** Send a datagram from the port that the flags name. It has no session. Payload: cre_address, data. */
    CRE_COMMAND_SENDTO = 81,

    /* For the connections of a topic, or all, at once. CRE_EGONE is never the result: connections that are
       gone are skipped. */

    /** Subscribe the connection, an open WebSocket, to a topic, and end that. Payload: the topic, 1...255
     * bytes of any value. Doing it twice changes nothing. */
    CRE_COMMAND_SUBSCRIBE = 96,
    CRE_COMMAND_UNSUBSCRIBE = 97,
    /** Send one message, `opcode` text or binary, to all connections of a topic but `session` (0: to all).
     * Payload: cre_publishing, the topic, the message. */
    CRE_COMMAND_PUBLISH = 98,
    /** Send one message to all open WebSockets of the engine. Payload: the message. */
    CRE_COMMAND_BROADCAST = 99,
} cre_command;

/** Process to process. No engine ever sees them. */
typedef enum cre_message {
    /** A job for a task worker. `session` is the poster's number of it, `opcode` a cre_task_kind. Payload:
     * any.
     */
    CRE_MESSAGE_TASK = 160,
    /** What became of a job, to its poster. `session` as in TASK, `opcode`: cre_task_status, and the job's
     * cre_task_kind shifted by 4; CRE_RECORD_FINAL: nothing more comes of it. Payload: the result, or what
     * went wrong as text. */
    CRE_MESSAGE_RESULT = 161,
    /** What one process says to another. Payload: any. */
    CRE_MESSAGE_PIPE = 162,
} cre_message;

/** The longest topic, in bytes. */
#define CRE_MAX_TOPIC 255u

static inline uint16_t cre_record_port_flags(uint16_t port) {
    return (uint16_t)((uint32_t)port << CRE_RECORD_PORT_SHIFT & CRE_RECORD_PORT_MASK);
}

/** The index of the port that an event comes from. */
static inline uint16_t cre_record_port(const cre_record *record) {
    return (uint16_t)((record->flags & CRE_RECORD_PORT_MASK) >> CRE_RECORD_PORT_SHIFT);
}

/* XX(name, number, text): why a connection ended. */
#define CRE_CLOSE_REASON_MAP(XX)          \
    XX(PEER, 1, "closed by the peer")     \
    XX(SERVER, 2, "closed by the server") \
    XX(PROTOCOL, 3, "protocol error")     \
    XX(TIMEOUT, 4, "timeout")             \
    XX(OVERFLOW, 5, "output queue limit") \
    XX(ERROR, 6, "socket error")          \
    XX(TLS, 10, "TLS failure")            \
    XX(SHUTDOWN, 7, "server shutdown")    \
    XX(NOMEM, 8, "out of memory")         \
    XX(HEARTBEAT, 9, "heartbeat timeout")

typedef enum cre_close_reason {
#define XX(name, number, text) CRE_CLOSED_##name = (number),
    CRE_CLOSE_REASON_MAP(XX)
#undef XX
} cre_close_reason;

/** Payload of CLOSE events, followed by `text_length` bytes: the peer's or our close reason, or
 * what went wrong with TLS, UTF-8. */
typedef struct cre_closed {
    uint16_t reason; /* cre_close_reason */
    uint16_t code;   /* WebSocket close code; 1005 none given, 1006 no close frame, 0 not a WebSocket */
    int32_t error;   /* for PROTOCOL, ERROR and TLS: the negative error, else 0 */
    uint16_t text_length;
    uint16_t reserved[3];
} cre_closed;

/** Payload of CLOSE commands, followed by the reason (UTF-8, cut at 123 bytes). Code 0 means 1000. */
typedef struct cre_closing {
    uint16_t code;
    uint16_t reserved;
} cre_closing;

/** Payload of UPGRADE, followed by `subprotocol_length` bytes of the subprotocol and packed fields
 * (cre_http_fields_put), which are checked. Those of the handshake itself among them are skipped. */
typedef struct cre_upgrade {
    uint16_t subprotocol_length; /* 0 with `chosen`: none; up to 255 */
    uint16_t chosen;             /* 0: the port chooses the subprotocol; 1: it is given here */
    uint32_t fields_length;      /* up to CRE_HTTP_MAX_HEAD */
} cre_upgrade;

/** Payload of BIND commands. */
typedef struct cre_binding {
    uint32_t user_id; /* not 0 */
    uint32_t reserved;
} cre_binding;

/** Payload of PUBLISH commands, followed by the topic and the message. */
typedef struct cre_publishing {
    uint16_t topic_length; /* 1...CRE_MAX_TOPIC */
    uint16_t reserved[3];
} cre_publishing;

/**
 * Payload of RESPOND, followed by `fields_length` bytes of packed fields (cre_http_fields_put), which are
 * checked, and the body, which is the rest. Each protocol encodes status and fields in its own way and adds
 * Date (unless it is among the fields) and whatever frames the message.
 */
typedef struct cre_response {
    uint16_t status; /* 200...999 */
    uint16_t reserved;
    uint32_t fields_length;
} cre_response;

/** A part of a file, cut at its end. */
typedef struct cre_file_range {
    uint64_t offset; /* at most the file's size */
    uint64_t length; /* CRE_FILE_REST: all that follows */
} cre_file_range;

#define CRE_FILE_REST UINT64_MAX

/** The longest path of a file, in bytes. */
#define CRE_MAX_PATH 4095u

CRE_BEGIN_DECLS

/** The text of a cre_close_reason; a static string. */
CRE_API const char *cre_close_reason_text(int reason);

/** The parts of a REQUEST or OPEN payload; pointers into the payload. */
typedef struct cre_request_view {
    const cre_http_head *head;
    const cre_http_field *fields;
    const uint8_t *bytes; /* the head as it came, head->head_length bytes */
    const uint8_t *body;
    uint32_t body_length;
} cre_request_view;

/** Takes a REQUEST or OPEN payload apart. Returns 0, or CRE_EINVALID when its sizes do not add up. */
CRE_API int cre_request_view_init(cre_request_view *view, const uint8_t *payload, uint32_t length);

/** Whether a REQUEST or OPEN payload is for this path: what stands before the query, byte for byte. */
CRE_API bool cre_request_is(const uint8_t *payload, uint32_t length, const char *path);

CRE_END_DECLS

#endif
