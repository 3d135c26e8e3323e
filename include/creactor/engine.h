/*
 * An engine: the sockets of one loop and the protocols on them.
 *
 * Its owner is notified by events and answers with commands (record.h). All functions belong
 * to the thread of the loop, except where "any thread" is said.
 *
 *   cre_engine_config config = { .size = sizeof config, .on_event = on_event };
 *   cre_listen_options where = { .size = sizeof where, .host = "127.0.0.1", .port = 9501 };
 *   int error = cre_loop_create(&loop);
 *   if (!error) error = cre_engine_create(loop, &config, &engine);
 *   if (!error) error = cre_engine_listen(engine, &where, NULL);
 *   if (!error) error = cre_loop_run(loop);
 */
#ifndef CREACTOR_ENGINE_H
#define CREACTOR_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "dispatch.h"
#include "export.h"
#include "listen.h"
#include "loop.h"
#include "port.h"
#include "record.h"
#include "table.h"
#include "tls.h"
#include "websocket.h"
#include "websocket_deflate.h"

CRE_BEGIN_DECLS

typedef struct cre_engine cre_engine;

enum { CRE_MAX_PIPELINED = 32 };

/** The configuration of an engine. `size` and `on_event` are required; another member of 0 or NULL means its
 * default. */
typedef struct cre_engine_config {
    size_t size; /* sizeof(cre_engine_config) */
    /**
     * Gets each event. `payload` has event->length bytes, is aligned to 8 and borrowed until this returns;
     * that of a MESSAGE may be changed. Commands never call it before they return: CLOSE, FULL and DRAINED
     * come at the end of the loop's turn, or in cre_engine_destroy. It may call any function of the engine
     * for any session, except cre_engine_destroy. It returns 0, or a negative error when the event could not
     * be passed on: the connection is then closed, without a CLOSE if it was its OPEN or CONNECT. A CLOSE
     * for which this returns CRE_ENOMEM comes again.
     */
    int (*on_event)(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload);
    void *context;

    /** Asked before each read of a connection: true stops reading it until cre_engine_resume. NULL: never. */
    bool (*congested)(void *context, uint16_t worker);

    uint64_t *shared_stats;   /* NULL, or where the engine goes on counting a cre_engine_stats, in memory that
                                 others read: up to date at the end of each turn */
    cre_table *table;         /* the connection table; NULL: one of its own, for max_connections */
    uint32_t max_connections; /* of its own table: default 10,000 */
    uint16_t node;            /* written to the table as the connections' owner */
    uint16_t
        first_worker; /* connections are dealt to the workers [first_worker, first_worker + worker_count) */
    uint16_t worker_count; /* default 1; first_worker + worker_count is at most 1024 */

    cre_dispatch dispatch; /* which of them */
    /** For FUNCTION: called on the loop's thread for each connection and datagram. Returns an index from 0 to
     * worker_count - 1, or CRE_DISPATCH_REFUSE or CRE_DISPATCH_RULE. It calls nothing of the engine. */
    int (*dispatch_function)(void *dispatch_context, const cre_dispatch_info *info);
    void *dispatch_context;
    bool (*idle)(void *context,
                 uint16_t worker); /* for IDLE: whether it waits for work; NULL: nobody knows */

    /** The settings of each port, by its index: copied. Ports behind them serve WebSocket (and HTTP, see
     * `http`) with the limits below. */
    const cre_port_options *ports;
    uint16_t port_count;
    uint16_t tls_count; /* of `tls`; further ports are without TLS */

    /** When nothing more will be received, END is emitted and the owner closes the connection, behind its
     * last answers; false: it is closed at once, behind the answers that were sent already. */
    bool half_open;

    bool http; /* plain HTTP requests become REQUEST events; false: they are answered by a 400 page */
    bool stream_bodies; /* as in cre_port_options, for ports behind those of `ports` */
    /** How many requests of one connection may be in progress at once: default 1, at most CRE_MAX_PIPELINED.
     * Those overlap that have a safe method (GET, HEAD, OPTIONS, TRACE) and no body; any other one, and an
     * upgrade, waits until those before it are answered, and those behind it wait for its answer. */
    uint16_t max_pipelined;

    /** Subprotocols that are accepted, in order of preference, and origins from which browsers may connect
     * (see cre_ws_origin_allowed): arrays that end with NULL, borrowed for the engine's life. NULL: none;
     * all. */
    const char *const *subprotocols;
    const char *const *origins;
    /** permessage-deflate: copied. NULL: messages are not compressed. */
    const cre_ws_deflate_config *deflate;

    uint64_t max_message; /* bytes of a WebSocket message: default 1 MiB */
    uint32_t max_head;    /* bytes of a request head: default and most 65535 */
    uint32_t max_body;    /* bytes of a request body: default 8 MiB */
    uint32_t max_queue;   /* bytes of output that may be queued on one connection: default 8 MiB */
    uint32_t
        high_water;     /* from this length of its queue on a connection is not read: default max_queue / 2 */
    uint32_t low_water; /* ...until it is not longer than this: default high_water / 4 */
    bool read_when_full;      /* go on reading above high_water */
    uint64_t queue_budget;    /* bytes of output on all connections of the engines that share the table: above
                                 it the connections with the longest queues are closed. 0: no limit */
    uint32_t max_per_address; /* connections of one remote address (IPv6: of one /64), over all engines that
                                 share the table; further ones are closed at once. 0: no limit */
    uint32_t heartbeat_idle_ms;  /* a WebSocket or stream that is silent for this time ends with
                                    HEARTBEAT; 0: never */
    uint32_t heartbeat_check_ms; /* how much later that is noticed at most; 0: at once */
    uint32_t ping_interval_ms;   /* a WebSocket that is silent for this time gets a ping; 0: none */
    uint32_t pong_timeout_ms;    /* and ends with HEARTBEAT when it is silent for this time after it: default
                                    ping_interval_ms */
    bool close_slow;     /* a connection whose queue has no room for a published message: true: it ends with
                            OVERFLOW, false: it goes without the message (stats.skipped) */
    uint32_t max_topics; /* topics at once: default 100,000 */
    uint32_t max_subscriptions; /* topics of one connection: default 256 */
    uint32_t head_timeout_ms;   /* for the first byte to the end of a request's head: default 10 s */
    uint32_t body_timeout_ms;   /* for a request's body: default 60 s */
    uint32_t idle_timeout_ms;   /* between two requests: default 75 s */
    uint32_t close_timeout_ms; /* for the peer's part of a closing handshake, and for the last output: default
                                  5 s */

    /** The TLS configurations of listening ports, by the index of the port: an array that is copied, of
     * configurations that the engine retains. NULL: no TLS. */
    cre_tls *const *tls;
} cre_engine_config;

/** One more than the last number in CRE_CLOSE_REASON_MAP; with room. */
#define CRE_CLOSE_REASONS 16

/** Counters since the engine was created; all are uint64_t. New ones are added at the end. */
typedef struct cre_engine_stats {
    uint64_t accepted, closed, refused; /* sockets */
    uint64_t messages_in, messages_out;
    uint64_t requests, responses;
    uint64_t tls_handshakes, tls_resumed, tls_failed;
    uint64_t bytes_in, bytes_out;
    uint64_t stale_commands; /* for sessions that were gone */
    uint64_t skipped; /* deliveries of published messages that were dropped: the receiver's queue was full, or
                         there was no memory */
    uint64_t dropped_packets; /* datagrams for which there was no room */
    uint64_t queued;          /* bytes of output in all queues now */
    uint64_t shed;            /* connections that were closed because the server was over its queue budget */
    uint64_t closed_by[CRE_CLOSE_REASONS]; /* sessions that ended, by cre_close_reason */
} cre_engine_stats;

/** Makes an engine on `loop`. `config` is copied. Returns 0, CRE_EINVALID or CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_engine_create(cre_loop *loop, const cre_engine_config *config,
                                            cre_engine **engine);

/** Resets the connections that are left, with CLOSE events, and frees the engine. Not inside on_event; before
 * its loop is destroyed. */
CRE_API void cre_engine_destroy(cre_engine *engine);

/** cre_listen, then serve what comes: the first call is port 0 of the configuration, the next one port 1...
 * Whether it is for datagrams is said by the port's protocol. The file of a Unix socket is removed at the
 * end. Returns 0 or an error. */
CRE_NODISCARD CRE_API int cre_engine_listen(cre_engine *engine, const cre_listen_options *options,
                                            uint16_t *bound_port);

/** Serves what comes on `descriptor`, a listening socket or one for datagrams, as port `port`. The engine
 * owns the descriptor when this returns 0. CRE_EINVALID: no such port can be. */
CRE_NODISCARD CRE_API int cre_engine_serve(cre_engine *engine, int descriptor, uint16_t port);

/** Enables TLS for connections accepted on port `port` from now on; NULL disables it. Returns 0,
 * CRE_EINVALID or CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_engine_set_tls(cre_engine *engine, uint16_t port, cre_tls *tls);

/** Takes over a connected, non-blocking stream socket, as if it had been accepted on listening port `port`.
 * The engine owns the descriptor whatever is returned. */
CRE_API int cre_engine_adopt(cre_engine *engine, int descriptor, uint16_t port);

/** Queues a socket for cre_engine_adopt on the engine's loop. Any thread. */
CRE_API int cre_engine_hand_over(cre_engine *engine, int descriptor, uint16_t port);

/**
 * Carries a command out. `parts` make up its payload; they are read before this returns. Returns 0;
 * CRE_EGONE, CRE_ENOT_WEBSOCKET, CRE_ENOT_STREAM, CRE_ENO_REQUEST, CRE_EQUEUE_FULL, CRE_ESTATE; CRE_EINVALID
 * when the payload is malformed; CRE_ENOMEM.
 */
CRE_API int cre_engine_command(cre_engine *engine, const cre_record *command, const cre_slice *parts,
                               int count);

/** PUSH without a record: sends one final frame. `opcode` is a cre_ws_opcode other than close. */
CRE_API int cre_engine_push(cre_engine *engine, cre_session session, uint8_t opcode, const void *data,
                            size_t length);

/** SEND without a record. */
CRE_API int cre_engine_send(cre_engine *engine, cre_session session, const void *data, size_t length);

/** SENDTO without a record: a datagram from port `port`. CRE_EGONE when that has no datagram socket, a
 * negative system error when it cannot be sent. */
CRE_API int cre_engine_send_to(cre_engine *engine, uint16_t port, const cre_address *to, const void *data,
                               size_t length);

/** CLOSE without a record. `reason` may be NULL. */
CRE_API int cre_engine_close(cre_engine *engine, cre_session session, uint16_t code, const char *reason);

/** Answers the oldest request of the session that is not answered: status, field lines
 * ("Name: value\r\n"...; may be NULL) and body. When several may be in progress, the others are answered with
 * records, which name them. */
CRE_API int cre_engine_respond(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                               const void *body, size_t length);

/** Begins a response whose body continues with cre_engine_respond_body until `final`. */
CRE_API int cre_engine_respond_more(cre_engine *engine, cre_session session, uint16_t status,
                                    const char *fields, const void *body, size_t length);

/**
 * RESPOND_BODY without a record. CRE_EQUEUE_FULL: too much waits already, and nothing was sent; the last
 * piece is never refused so, but when far too much waits it ends the connection. Does nothing without bytes,
 * unless `final`.
 */
CRE_API int cre_engine_respond_body(cre_engine *engine, cre_session session, const void *data, size_t length,
                                    bool final);

/**
 * RESPOND_FILE without a record: answers with a part of a file; it must not shrink meanwhile. When that is
 * impossible, the request is answered with an error page instead, 404 or 500, and the result is a negative
 * system error, or CRE_EINVALID for what is not a regular file or an offset behind its end.
 */
CRE_API int cre_engine_respond_file(cre_engine *engine, cre_session session, uint16_t status,
                                    const char *fields, const char *path, uint64_t offset, uint64_t length);

/**
 * UPGRADE without a record, for a port with `ask_upgrade`: answers the handshake with 101. `subprotocol` is
 * one that the client has offered, "" for none, NULL for what the engine's configuration chooses; `fields` as
 * for cre_engine_respond. OPEN is emitted inside this call. Returns 0; CRE_EGONE; CRE_ENO_REQUEST or
 * CRE_ESTATE when there is no handshake to answer; CRE_EINVALID for a subprotocol that was not offered, or
 * malformed fields; CRE_EHTTP_INVALID_FIELD; CRE_ELIMIT for more than 64 fields; CRE_ENOMEM.
 */
CRE_API int cre_engine_upgrade(cre_engine *engine, cre_session session, const char *subprotocol,
                               const char *fields);

/** BIND without a record. */
CRE_API int cre_engine_bind(cre_engine *engine, cre_session session, uint32_t user_id);

/** SUBSCRIBE and UNSUBSCRIBE without a record. CRE_ELIMIT when there are too many topics. */
CRE_API int cre_engine_subscribe(cre_engine *engine, cre_session session, const void *topic, size_t length);
CRE_API int cre_engine_unsubscribe(cre_engine *engine, cre_session session, const void *topic, size_t length);

/** Whether the connection is subscribed to the topic. */
CRE_API bool cre_engine_subscribed(cre_engine *engine, cre_session session, const void *topic, size_t length);

/**
 * PUBLISH without a record: sends one message to the connections of a topic, except one (0: none). It is
 * encoded once, and what one turn of the loop publishes leaves in one write per connection. A connection gets
 * what is published and pushed to it in the order of the calls.
 */
CRE_API int cre_engine_publish(cre_engine *engine, const void *topic, size_t topic_length, uint8_t opcode,
                               const void *data, size_t length, cre_session except);

/** BROADCAST without a record: the same to all open WebSockets of the engine. */
CRE_API int cre_engine_broadcast(cre_engine *engine, uint8_t opcode, const void *data, size_t length,
                                 cre_session except);

/** Reads on where `congested` stopped the connections of `worker`. */
CRE_API void cre_engine_resume(cre_engine *engine, uint16_t worker);

/** Stops accepting, at once for good; connections that wait to be accepted are taken first. */
CRE_API void cre_engine_stop_listening(cre_engine *engine);

/**
 * Stops accepting and closes all connections: WebSockets with code 1001, HTTP after the response in progress.
 * Calls `done` (may be NULL) once when none is left, at the end of a turn of the loop and never before this
 * returned; it may destroy the engine. What is still open after `deadline_ms` is reset. Called again it only
 * moves the deadline.
 */
CRE_API void cre_engine_shutdown(cre_engine *engine, uint32_t deadline_ms, void (*done)(void *context),
                                 void *context);

CRE_API cre_table *cre_engine_table(cre_engine *engine);
CRE_API cre_loop *cre_engine_loop(cre_engine *engine);
/** Copies the first `size` bytes of the counters: sizeof(cre_engine_stats), so that programs that were built
 * with an earlier version get the counters they know. */
CRE_API void cre_engine_get_stats(const cre_engine *engine, cre_engine_stats *stats, size_t size);

CRE_END_DECLS

#endif
