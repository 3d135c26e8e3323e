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
#include <string.h>

#include "address.h"
#include "buffer.h"
#include "export.h"
#include "file.h"
#include "http.h"
#include "session.h"

/** The header of an event or a command. The payload follows it. */
typedef struct cre_record {
    uint32_t length;     /* bytes of payload behind the header */
    uint8_t kind;        /* cre_event or cre_command */
    uint8_t opcode;      /* cre_ws_opcode of a MESSAGE or PUSH; the number of a request */
    uint16_t flags;      /* CRE_RECORD_* */
    cre_session session; /* the connection it is about */
} cre_record;

/** The message or frame is complete (the FIN bit of a pushed frame). */
#define CRE_RECORD_FINAL 0x0001u
/** ABANDON: only the request of this number, not those before it. */
#define CRE_RECORD_ONLY 0x0001u
/** RESPOND: close the connection after the response. REQUEST_BODY: the body is incomplete. */
#define CRE_RECORD_CLOSE 0x0002u
/** RESPOND: the body continues with RESPOND_BODY. REQUEST: the body follows as REQUEST_BODY. */
#define CRE_RECORD_MORE_BODY 0x0004u
/** OPEN: not the first one of its session; it answers ADOPT. */
#define CRE_RECORD_RESUMED 0x0008u
/** CLOSE: the session had no OPEN; its handshake was waiting for an answer, or was refused after all. */
#define CRE_RECORD_UNOPENED 0x0008u
/** RESPOND_BODY: the payload begins with trailers. */
#define CRE_RECORD_TRAILERS 0x0008u
/** Events and SENDTO: the bits that have the index of the port (cre_record_port). */
#define CRE_RECORD_PORT_SHIFT 4
#define CRE_RECORD_PORT_MASK  0x0ff0u /* these bits */
/** Chunks of one large record in a ring: more chunks follow; this one is not the first. Never in an event. */
#define CRE_RECORD_MORE      0x4000u
#define CRE_RECORD_CONTINUED 0x8000u /* a chunk that is not the first */
/** A record in a ring whose payload is in shared memory elsewhere. Never in an event. */
#define CRE_RECORD_REFERENCE 0x2000u
#define CRE_RECORD_RETURNED  0x1000u /* with REFERENCE: in the memory of the node that receives it */

/** Engine to owner. */
typedef enum cre_event {
    /** A WebSocket handshake is done, or with CRE_RECORD_RESUMED was done before. Payload: the handshake's
     * request, as in REQUEST. */
    CRE_EVENT_OPEN = 1,
    /** One message. `opcode` is text or binary, or that of a control frame that the port delivers
     * (cre_port_options.deliver_close and others). Payload: the message, or the payload of the frame. */
    CRE_EVENT_MESSAGE = 2,
    /** The connection has ended: the last event of its session, exactly one for each session that had an OPEN
     * or CONNECT, or whose REQUEST waits for UPGRADE. Payload: cre_closed. */
    CRE_EVENT_CLOSE = 3,
    /** One HTTP request, body included. Payload: cre_http_head, its fields, the head's bytes, the body; with
     * CRE_HTTP_CLIENT_CERTIFICATE in front of the body the length of a certificate (uint32_t) and its bytes.
     * Exactly one answer is expected: RESPOND, with its RESPOND_BODY if it has CRE_RECORD_MORE_BODY, or
     * RESPOND_FILE. Several requests of a connection may be in progress (cre_engine_config.max_pipelined):
     * `opcode` is the number of this one, counted from 0 and modulo 256, which its answer names. With
     * CRE_RECORD_MORE_BODY the body is not included and follows as REQUEST_BODY. On a port with `ask_upgrade`
     * a valid handshake is such a request, with CRE_HTTP_UPGRADE_WEBSOCKET among the flags of its head, and
     * UPGRADE another answer to it. */
    CRE_EVENT_REQUEST = 4,
    /** The output queue of the connection reached high_water. Of an HTTP connection it is reported while a
     * response is sent in pieces. No payload. */
    CRE_EVENT_FULL = 5,
    /** The output queue of the connection fell to low_water after FULL. No payload. */
    CRE_EVENT_DRAINED = 6,
    /** The next bytes of a request's body, at most 64 KiB; `opcode` is the request's number. The last event
     * of a body, exactly one, has CRE_RECORD_FINAL, and CRE_RECORD_CLOSE when the body is incomplete: the
     * client left or sent invalid data, or the request was answered before. */
    CRE_EVENT_REQUEST_BODY = 7,
    /** A connection on a stream port was accepted. Payload: the certificate of the client in DER, if it has
     * presented one. */
    CRE_EVENT_CONNECT = 16,
    /** Bytes of a stream: as they arrive, at most 64 KiB, or exactly one packet on a port with a framing. */
    CRE_EVENT_RECEIVE = 17,
    /** With `half_open` only: nothing more will be received. The peer has ended its side of a stream, sent
     * the close frame of a WebSocket, or sent invalid data. Output still reaches it: the owner answers what
     * it received before and then closes the connection, which also completes the closing handshake of a
     * WebSocket with the peer's code. The time for that is close_timeout_ms, on a stream idle_timeout_ms.
     * Payload: cre_closed of a WebSocket, as CLOSE will have it; none of a stream. */
    CRE_EVENT_END = 18,
    /** A datagram. It has no session. Payload: cre_address of the sender, data. */
    CRE_EVENT_PACKET = 19,
} cre_event;

/** Owner to engine. A command for a session that has ended is dropped and counted. */
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
    /** Stop reading from the connection. Opcode 0 is for the queues of its owner, 1 for the application;
     * reading resumes when both have resumed it. No payload. */
    CRE_COMMAND_PAUSE = 69,
    /** Resume reading from the connection, by the opcode of its PAUSE. No payload. */
    CRE_COMMAND_RESUME = 70,
    /** Except the connection from the heartbeat (opcode 1), or no longer (opcode 0). No payload. */
    CRE_COMMAND_PROTECT = 71,
    /** Continue the body of the response to the request whose number is `opcode`. Payload: the next bytes;
     * CRE_RECORD_FINAL: the last ones. With HTTP/1.1 each command is a chunk; with HTTP/1.0 the end of the
     * connection ends the body. With CRE_RECORD_TRAILERS, which needs CRE_RECORD_FINAL, the bytes follow
     * cre_trailers and packed fields, which are sent behind a body in chunks and dropped elsewhere; fields
     * that frame the message are skipped, and over HTTP/2 all that trailers must not have. */
    CRE_COMMAND_RESPOND_BODY = 72,
    /** Answer the request whose number is `opcode` with a part of a regular file, which the engine opens when
     * the earlier requests are answered. Payload: cre_response, fields, cre_file_range, the path. A file that
     * cannot be sent is answered with an error page. */
    CRE_COMMAND_RESPOND_FILE = 73,
    /** Ask a client that waits for it ("Expect: 100-continue") to send the body of the request whose number
     * is `opcode`. Only with `stream_bodies`. No payload. */
    CRE_COMMAND_CONTINUE = 74,
    /** Answer the requests up to the one whose number is `opcode` with a page of status 500, if they have no
     * answer; the connection is reset when a part of an answer was sent. No payload. */
    CRE_COMMAND_ABANDON = 75,
    /** Answer the handshake whose number is `opcode` with 101; OPEN follows, or CLOSE. Payload: cre_upgrade,
     * the subprotocol, fields, data. CRE_ESTATE: the request is no handshake. CRE_EINVALID: the client has
     * not offered the subprotocol. */
    CRE_COMMAND_UPGRADE = 76,
    /** The sender is new to the connection, an open WebSocket whose port has `keep_handshake`: OPEN comes
     * again, with CRE_RECORD_RESUMED. CRE_ESTATE: the port has not. No payload. */
    CRE_COMMAND_ADOPT = 77,
    /** Answer the request whose number is `opcode` with a file beneath a folder, or with parts of it, which
     * the engine opens when the earlier requests are answered. Payload: cre_response, fields,
     * cre_folder_file, its parts, their texts, the folder, the path. A file that cannot be sent is answered
     * with an error page: status 404, 403 when reading is not permitted, 503 when it is not the one that the
     * parts belong to. */
    CRE_COMMAND_RESPOND_FOLDER_FILE = 78,
    /** Give the connection its user, if it has none. Payload: cre_binding; without an id followed by the name
     * of the user, 1 to CRE_MAX_USER bytes, else the name is the id in decimal. An open WebSocket joins the
     * topic of the user (CRE_TOPIC_USER), another connection when it becomes one; without an id it must be
     * one. With CRE_DISPATCH_BY_USER the worker `user_id % worker_count` gets its events from the next one
     * on; of an HTTP connection, from the next request when all requests before it are answered. */
    CRE_COMMAND_BIND = 79,
    /** Send bytes on a stream. Payload: the bytes. */
    CRE_COMMAND_SEND = 80,
    /** Send a datagram from the port that the flags name. It has no session. Payload: cre_address, data. */
    CRE_COMMAND_SENDTO = 81,

    /** Send an interim response to the request whose number is `opcode`, before its answer: status 103 with
     * Link fields, for example. Payload: cre_response with a status of 102...199 and without flags, fields.
     * Clients of HTTP/1.0 get none, and neither does a request behind one that has no answer yet.
     * CRE_ENO_REQUEST: the answer has begun. */
    CRE_COMMAND_RESPOND_INTERIM = 82,

    /** Subscribe the connection, an open WebSocket, to a topic. Payload: the topic, 1...255 bytes of any
     * value that do not begin with CRE_TOPIC_RESERVED. A second subscription changes nothing. */
    CRE_COMMAND_SUBSCRIBE = 96,
    /** End the subscription to a topic, if there is one. Payload: the topic. */
    CRE_COMMAND_UNSUBSCRIBE = 97,
    /** Send one message, `opcode` text or binary, to all connections of a topic except `session` (0: to all).
     * Payload: cre_publishing, the topic, the message. With opcode close the connections are closed, as by
     * CLOSE; the message is the payload of a close frame with a code. Never CRE_EGONE. */
    CRE_COMMAND_PUBLISH = 98,
    /** Send one message, `opcode` text or binary, to all open WebSockets of the engine except `session` (0:
     * to all). Payload: the message. Never CRE_EGONE. */
    CRE_COMMAND_BROADCAST = 99,
    /** End what BIND has begun. The events of the connection stay with their worker. No payload. */
    CRE_COMMAND_UNBIND = 100,
    /** Subscribe the connection, an open WebSocket, to a topic as a member of it. Payload: cre_joining, the
     * topic, the id, the info. Several connections with the same id are one member, whose last info holds. A
     * second JOIN of a connection replaces its id and info. The member leaves with the subscription. */
    CRE_COMMAND_JOIN = 110,
} cre_command;

/** Process to process. Engines never get them. */
typedef enum cre_message {
    /** A task for a task worker. `session` is the poster's number of it, `opcode` a cre_task_kind. Payload:
     * any. */
    CRE_MESSAGE_TASK = 160,
    /** A result of a task, to its poster. `session` as in TASK, `opcode`: cre_task_status, and the task's
     * cre_task_kind shifted by 4; CRE_RECORD_FINAL: the last one. Payload: the result, or the cause of a
     * failure as text. */
    CRE_MESSAGE_RESULT = 161,
    /** A message of one process to another. Payload: any. */
    CRE_MESSAGE_PIPE = 162,
    /** A question for the topics of a process that owns sockets. `session` is a number of the one that asks.
     * Payload: bytes that the name of a topic must contain; none: all topics. */
    CRE_MESSAGE_TOPICS = 163,
    /** The answer, with the same `session`. Payload: cre_topic_list, and what it describes. */
    CRE_MESSAGE_TOPIC_LIST = 164,
    /** A change of the topics that have subscribers, from a process that owns sockets to the gateway of the
     * cluster. `opcode` is a cre_interest. Payload: cre_topic_position, the topic. */
    CRE_MESSAGE_INTEREST = 165,
    /** A question of the gateway for all topics of a process that owns sockets, which answers with INTEREST
     * from CRE_INTEREST_BEGIN to CRE_INTEREST_END. No payload. */
    CRE_MESSAGE_INTERESTS = 166,
    /** A message for the subscribers of all machines, to the gateway. `opcode`, `session` and payload are
     * those of PUBLISH, or with CRE_TOPIC_ALL those of BROADCAST. CRE_RECORD_DELIVERED: this machine's
     * subscribers have it already. */
    CRE_MESSAGE_PUBLISH = 167,
    /** A message of the cluster, from the gateway to a process that owns sockets. `opcode` and `session` as
     * in PUBLISH; opcode 0: there is no message, only a position. Payload: cre_delivery, the topic, the
     * message. */
    CRE_MESSAGE_DELIVER = 168,
    /** A question of a process to the gateway. `session` is the sender's number of it, `opcode` a
     * cre_question. Payload: what the question is about. */
    CRE_MESSAGE_ASK = 169,
    /** A part of the answer, from the gateway or a process that owns sockets, with the same `session`;
     * CRE_RECORD_FINAL: the last one. Payload: cre_answer, and what the question is for. */
    CRE_MESSAGE_ANSWER = 170,
    /** What a connection has missed of a topic, from the gateway to the owner of the connection, which
     * delivers it, subscribes the connection and answers the question. `session` is the connection. Payload:
     * cre_missed, the topic, the messages: each is a cre_missed_message and its bytes. */
    CRE_MESSAGE_RECOVERED = 171,
    /** A question for the number of subscribers that a topic has in a process that owns sockets. `session` is
     * a number of the one that asks. Payload: the topic. */
    CRE_MESSAGE_COUNT = 172,
    /** The answer, with the same `session`. Payload: the number, a uint64_t. */
    CRE_MESSAGE_COUNTED = 173,
    /** A member of a topic. From a process that owns sockets to the gateway: one of its connections has
     * become one (opcode 1) or has another info, or none is that one any more (opcode 0); complete reports of
     * topics have them, too. From the gateway to a process that runs handlers: a member is new in the cluster
     * (opcode 1) or has left it (opcode 0). Payload: as in JOIN. */
    CRE_MESSAGE_MEMBER = 175,
} cre_message;

/** The kinds of an ASK, with their payloads. */
typedef enum cre_question {
    /** The position of the last message of a topic with history. Payload: the topic. Answer: a
     * cre_topic_position. */
    CRE_QUESTION_POSITION = 1,
    /** Subscribe a connection to a topic with history, and deliver the messages after a position before.
     * Payload: cre_recovery, the topic. Answer: cre_recovered; -EAGAIN when earlier commands of the asker
     * have not reached the connection yet: ask again. */
    CRE_QUESTION_RECOVER = 2,
    /** The members of a topic. Payload: cre_members_question, the topic. Answer: in each part
     * cre_member_list, and some members: each is a cre_listed_member, its id and its info. */
    CRE_QUESTION_MEMBERS = 8,
    /** An operation on a value. Payload: cre_value_question, the key, the value, the expected value. Answer:
     * cre_value_answer, and the value of GET or the sum of ADD. */
    CRE_QUESTION_VALUE = 9,
    /** The number of subscribers of a topic on all other servers. Payload: cre_count_question, the topic.
     * Answer: cre_count. */
    CRE_QUESTION_COUNT = 10,
} cre_question;

/** The beginning of each part of an answer. */
typedef struct cre_answer {
    int32_t result; /**< 0, or a negative error, which has nothing behind it */
    uint32_t reserved;
} cre_answer;

/** The beginning of a question for MEMBERS. */
typedef struct cre_members_question {
    uint32_t most; /* members, at most 10,000; 0: their number only */
    uint32_t reserved;
} cre_members_question;

/** The beginning of each part of its answer. */
typedef struct cre_member_list {
    uint64_t count;    /* of all members */
    uint32_t complete; /* 1: all of them are listed; 0: none is, since they are too many */
    uint32_t reserved;
} cre_member_list;

/** The beginning of each member of a list. */
typedef struct cre_listed_member {
    uint16_t id_length;
    uint16_t info_length;
} cre_listed_member;

/** The beginning of a question for VALUE: a cre_value_operation. */
typedef struct cre_value_question {
    uint8_t kind;      /* cre_value_kind */
    uint8_t condition; /* cre_value_condition */
    uint16_t key_length;
    uint32_t value_length;
    uint32_t expected_length;
    uint32_t reserved;
    int64_t amount;       /* of CRE_VALUE_ADD */
    uint64_t lifetime_ms; /* 0: no expiry */
} cre_value_question;

/** The beginning of its answer. */
typedef struct cre_value_answer {
    uint32_t done; /* 1: it was done, or the value is there; 0: the condition is not met, or there is none */
    uint32_t reserved;
} cre_value_answer;

/** The beginning of a question for COUNT. */
typedef struct cre_count_question {
    uint32_t timeout_ms; /* after which the answer is what is known then */
    uint32_t reserved;
} cre_count_question;

/** The answer to a COUNT. */
typedef struct cre_count {
    uint64_t count;   /* of the servers that have answered */
    uint32_t missing; /* servers that are alive and have not answered; 0: the count is complete */
    uint32_t reserved;
} cre_count;

/** The end of a RECOVER. */
typedef enum cre_recovery_outcome {
    CRE_RECOVERY_SUBSCRIBED = 0, /* without a position, or the connection was subscribed before */
    CRE_RECOVERY_COMPLETE = 1,   /* the missed messages were delivered */
    CRE_RECOVERY_LOST = 2,       /* some of them are no longer available, so none was delivered */
} cre_recovery_outcome;

/** The kinds of an INTEREST. */
typedef enum cre_interest {
    CRE_INTEREST_REMOVE = 0, /* the topic has lost its last subscriber */
    CRE_INTEREST_ADD = 1,    /* the topic has its first subscriber, or is one of a complete report */
    CRE_INTEREST_BEGIN = 2, /* a complete report begins: topics of an earlier one that it lacks are removed */
    CRE_INTEREST_END = 3,   /* it ends */
    CRE_INTEREST_EXPECT = 4, /* the sender has subscribed a connection of another process to the topic */
} cre_interest;

/** CRE_MESSAGE_PUBLISH: the subscribers of this machine have the message already. */
#define CRE_RECORD_DELIVERED 0x0002u

/** The position of a message among those of its topic in the cluster. An epoch of 0: it has none. */
typedef struct cre_topic_position {
    uint64_t epoch;  /**< changes when the positions of the topic begin again */
    uint64_t offset; /**< counts the messages of the epoch */
} cre_topic_position;

/** The beginning of a RECOVER. */
typedef struct cre_recovery {
    cre_session session;      /* an open WebSocket of this server */
    cre_topic_position since; /* the last message that its client has; epoch 0: it has none */
    uint64_t mark; /* cre_worker_sent: what the asker has sent to the owner of the connection before */
} cre_recovery;

/** The answer to a RECOVER. */
typedef struct cre_recovered {
    cre_topic_position position; /* the next message of the subscription is the one after it */
    uint32_t outcome;            /* cre_recovery_outcome */
    uint32_t messages;           /* delivered ones */
} cre_recovered;

/** The beginning of a RECOVERED. */
typedef struct cre_missed {
    cre_topic_position position; /* of the last message, delivered before or here */
    uint64_t number;             /* of the question */
    uint64_t mark;               /* of the question */
    uint32_t asker;              /* its node */
    uint32_t outcome;            /* cre_recovery_outcome */
    uint32_t messages;           /* that follow the topic */
    uint16_t topic_length;       /* 1...CRE_MAX_TOPIC */
    uint16_t reserved;
} cre_missed;

/** The beginning of each message of a RECOVERED. */
typedef struct cre_missed_message {
    uint32_t length; /* of its bytes, which follow */
    uint8_t opcode;  /* text or binary */
    uint8_t reserved[3];
} cre_missed_message;

/** The beginning of a DELIVER, before the topic and the message. */
typedef struct cre_delivery {
    cre_topic_position position;
    uint16_t topic_length; /* 1...CRE_MAX_TOPIC */
    uint16_t reserved[3];
} cre_delivery;

/** The longest topic, in bytes. */
#define CRE_MAX_TOPIC 255u
/** The topic whose members are the servers of a cluster: no connection can join it. */
#define CRE_TOPIC_NODES "$sws:nodes"
/** The longest id of a member of a topic, in bytes. */
#define CRE_MAX_MEMBER_ID 255u
/** The longest info of a member of a topic, in bytes. */
#define CRE_MAX_MEMBER_INFO 1024u
/** The beginning of topics that connections cannot be subscribed to by SUBSCRIBE. */
#define CRE_TOPIC_RESERVED "$sws:"
/** The beginning of the topic of a user, before the name: the connections that were given this user. */
#define CRE_TOPIC_USER "$sws:user:"
/** The topic of all open WebSockets of all servers of a cluster. */
#define CRE_TOPIC_ALL "$sws:all"
/** The beginning of the topic of a server of a cluster, before its number: 16 hexadecimal digits. */
#define CRE_TOPIC_SERVER "$sws:server:"
/** The longest name of a user, in bytes. */
#define CRE_MAX_USER 245u

/** Whether a topic begins with CRE_TOPIC_RESERVED. Any thread. */
static inline bool cre_topic_is_reserved(const void *topic, size_t length) {
    const size_t front = sizeof CRE_TOPIC_RESERVED - 1;
    return length >= front && memcmp(topic, CRE_TOPIC_RESERVED, front) == 0;
}

/** The most topics in one list. */
#define CRE_MAX_LISTED_TOPICS 200u
/** The size of the longest list of topics. */
enum { CRE_TOPIC_LIST_BYTES = 8 + CRE_MAX_LISTED_TOPICS * (5 + CRE_MAX_TOPIC) };

/** A list of the topics that have the most subscribers. Each one follows it without padding: the number of
 * its subscribers (4 bytes), the length of its name (1 byte), the name. */
typedef struct cre_topic_list {
    uint32_t matching; /* topics that the question was for */
    uint32_t listed;   /* of these: those in the list */
} cre_topic_list;

/** Returns the flags of a SENDTO from the port with this index. Any thread. */
static inline uint16_t cre_record_port_flags(uint16_t port) {
    return (uint16_t)((uint32_t)port << CRE_RECORD_PORT_SHIFT & CRE_RECORD_PORT_MASK);
}

/** Returns the index of the port of an event. Any thread. */
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

/** Why a connection has ended. CRE_CLOSE_REASON_MAP is the list, with a text for each. */
typedef enum cre_close_reason {
#define XX(name, number, text) CRE_CLOSED_##name = (number),
    CRE_CLOSE_REASON_MAP(XX)
#undef XX
} cre_close_reason;

/** Payload of CLOSE events, followed by `text_length` bytes of UTF-8: the close reason of either side, or the
 * cause of a TLS failure. */
typedef struct cre_closed {
    uint16_t reason; /* cre_close_reason */
    uint16_t code;   /* WebSocket close code; 1005 none given, 1006 no close frame, 0 not a WebSocket */
    int32_t error;   /* for PROTOCOL, ERROR and TLS: the negative error, else 0 */
    uint16_t text_length;
    uint16_t reserved[3];
} cre_closed;

/** Payload of CLOSE commands, followed by the reason (UTF-8, cut at 123 bytes). Code 0 means 1000. */
typedef struct cre_closing {
    uint16_t code; /* the close code */
    uint16_t reserved;
} cre_closing;

/** Payload of UPGRADE, followed by `subprotocol_length` bytes of the subprotocol, packed fields
 * (cre_http_fields_put), which are checked, and data of the application, which the connection keeps
 * (cre_table_get_note). Fields of the handshake itself are skipped. */
typedef struct cre_upgrade {
    uint16_t subprotocol_length; /* 0 with `chosen`: none; up to CRE_MAX_SUBPROTOCOL */
    uint16_t chosen;             /* 0: the port chooses the subprotocol; 1: it is given here */
    uint32_t fields_length;      /* up to CRE_HTTP_MAX_HEAD */
    uint32_t data_length;        /* up to CRE_MAX_USER_DATA */
} cre_upgrade;

/** Payload of BIND commands, before the name. */
typedef struct cre_binding {
    uint32_t user_id; /* 0: the user has a name only */
    uint32_t reserved;
} cre_binding;

/** Payload of JOIN commands, followed by the topic, the id and the info. */
typedef struct cre_joining {
    uint16_t topic_length; /* 1...CRE_MAX_TOPIC */
    uint16_t id_length;    /* 1...CRE_MAX_MEMBER_ID */
    uint16_t info_length;  /* up to CRE_MAX_MEMBER_INFO */
    uint16_t reserved;
} cre_joining;

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
    uint16_t flags;  /* CRE_RESPONSE_TEXT */
    uint32_t fields_length;
} cre_response;

/** The body is UTF-8 text: the type of the response is "text/plain; charset=utf-8" unless the fields have a
 * Content-Type. */
#define CRE_RESPONSE_TEXT 0x0001u

/** The beginning of the last piece of a body, with CRE_RECORD_TRAILERS. */
typedef struct cre_trailers {
    uint32_t fields_length; /* of the packed fields behind it */
} cre_trailers;

/** A part of a file, cut at its end. */
typedef struct cre_file_range {
    uint64_t offset; /* at most the file's size */
    uint64_t length; /* CRE_FILE_REST: all that follows */
} cre_file_range;

/** The length of a range up to the end of its file. */
#define CRE_FILE_REST UINT64_MAX

/** The longest path of a file, in bytes. */
#define CRE_MAX_PATH 4095u

/** A part of the body of RESPOND_FOLDER_FILE: a text, and then a part of the file. Either may be empty. */
typedef struct cre_file_part {
    cre_file_range range; /* within the file's size */
    uint32_t text_length;
    uint32_t reserved;
} cre_file_part;

/** The most parts of one response. */
#define CRE_MAX_FILE_PARTS 129u

/** Validators that RESPOND_FOLDER_FILE adds to the fields: those of the file as it was opened. */
#define CRE_FILE_ETAG          0x01u /* ETag */
#define CRE_FILE_WEAK_ETAG     0x02u /* ETag, a weak one */
#define CRE_FILE_LAST_MODIFIED 0x04u /* Last-Modified */

/** Payload of RESPOND_FOLDER_FILE, followed by `part_count` times cre_file_part, `text_length` bytes of their
 * texts, `folder_length` bytes of the folder, and the path beneath it, which is the rest. */
typedef struct cre_folder_file {
    cre_file_info info;     /* with parts: the file that they belong to; another one is not sent */
    uint32_t text_length;   /* of all parts together, at most 64 KiB */
    uint16_t folder_length; /* 1...CRE_MAX_PATH */
    uint16_t part_count;    /* 0: the whole file, whatever it is; at most CRE_MAX_FILE_PARTS */
    uint8_t symlinks;       /* cre_symlinks */
    uint8_t validators;     /* CRE_FILE_... */
    uint16_t reserved[3];
} cre_folder_file;

CRE_BEGIN_DECLS

/** Returns the text of a cre_close_reason, "unknown reason" for other numbers; a static string. Any thread.
 */
CRE_API const char *cre_close_reason_text(int reason);

/** The parts of a REQUEST or OPEN payload: pointers into the payload, valid as long as it is. */
typedef struct cre_request_view {
    const cre_http_head *head;    /* the parsed head */
    const cre_http_field *fields; /* head->field_count of them */
    const uint8_t *bytes;         /* the head as received, head->head_length bytes */
    const uint8_t *body;          /* the body, as far as it is in the event */
    uint32_t body_length;
    /** The certificate that the client has presented, in DER; the port's authorities vouch for it. NULL and
     * 0: none. */
    const uint8_t *certificate;
    uint32_t certificate_length;
} cre_request_view;

/** Sets a view of a REQUEST or OPEN payload, which must be aligned to 8. Returns 0, or CRE_EINVALID for a
 * payload that is too short for its head. Any thread. */
CRE_NODISCARD CRE_API int cre_request_view_init(cre_request_view *view, const uint8_t *payload,
                                                uint32_t length);

/** Returns whether everything that the head and its fields refer to is in the head's bytes. It always is in
 * an event of an engine; this is for a copy of a payload from memory that another process may write. Any
 * thread. */
CRE_API bool cre_request_view_is_whole(const cre_request_view *view);

/** Returns whether the path of a REQUEST or OPEN payload, without the query, is `path`, a terminated string,
 * byte for byte; false for a malformed payload. Any thread. */
CRE_API bool cre_request_is(const uint8_t *payload, uint32_t length, const char *path);

CRE_END_DECLS

#endif
