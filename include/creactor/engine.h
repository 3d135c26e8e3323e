/*
 * Engines: the sockets of one loop and the protocols on them.
 *
 * The owner of an engine gets events and answers with commands (record.h). All functions of this header must
 * be called on the thread of the engine's loop, except cre_engine_hand_over. Arguments are borrowed for the
 * call, except where a function takes an object over.
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
#include "http2.h"
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

/** The most requests of one connection in progress at once. */
enum { CRE_MAX_PIPELINED = 32 };

/** The configuration of an engine. `size` and `on_event` are required; another member of 0 or NULL means its
 * default. */
typedef struct cre_engine_config {
    size_t size; /* sizeof(cre_engine_config) */
    /**
     * Gets each event, on the loop's thread. `payload` has event->length bytes, is aligned to 8 and borrowed
     * until this returns; that of a MESSAGE may be changed. Commands never call it before they return: CLOSE,
     * FULL and DRAINED are emitted at the end of the loop's turn, or in cre_engine_destroy. It may call any
     * function of the engine for any session, except cre_engine_destroy. It returns 0, or a negative error
     * when the event could not be passed on: the connection is then reset, without a CLOSE if the event was
     * its OPEN or CONNECT. A CLOSE for which this returns CRE_ENOMEM is emitted again.
     */
    int (*on_event)(void *context, cre_engine *engine, const cre_record *event, uint8_t *payload);
    void *context; /* passed to `on_event`, `congested`, `idle`, `on_topic` and `on_member` */

    /** Called before each read of a connection of `worker`: true stops reading it until cre_engine_resume,
     * and drops a datagram. NULL: reading never stops. */
    bool (*congested)(void *context, uint16_t worker);

    /** Memory for a cre_engine_stats that others read, borrowed for the engine's life: the engine continues
     * to count from its contents and updates it at the end of each turn. NULL: none. */
    uint64_t *shared_stats;
    cre_table *table;         /* borrowed for the engine's life; NULL: the engine creates its own table */
    uint32_t max_connections; /* of its own table: default 10,000 */
    uint16_t node;            /* the owner of the connections in the table */
    uint16_t first_worker;    /* connections are dispatched to [first_worker, first_worker + worker_count) */
    uint16_t worker_count;    /* default 1; first_worker + worker_count is at most 1024 */

    cre_dispatch dispatch; /* the rule by which a worker is chosen */
    /** For FUNCTION: called on the loop's thread for each connection and datagram. Returns an index from 0 to
     * worker_count - 1, or CRE_DISPATCH_REFUSE or CRE_DISPATCH_RULE. It must not call the engine. */
    int (*dispatch_function)(void *dispatch_context, const cre_dispatch_info *info);
    void *dispatch_context; /* passed to `dispatch_function` */
    /** For IDLE: returns whether `worker` waits for work. NULL: no worker does. */
    bool (*idle)(void *context, uint16_t worker);

    /** The settings of each port, by its index: copied. Ports behind them serve WebSocket (and HTTP, see
     * `http`) with the limits below. */
    const cre_port_options *ports;
    uint16_t port_count; /* of `ports` */
    uint16_t tls_count;  /* of `tls`; further ports are without TLS */

    /** When nothing more will be received, END is emitted and the owner closes the connection after its last
     * answers; false: it is closed after the answers that are queued already. */
    bool half_open;

    bool
        http; /* plain HTTP requests are REQUEST events; false: they are answered with a page of status 400 */
    bool stream_bodies; /* as in cre_port_options, for ports behind those of `ports` */
    /** The most requests of one connection in progress at once: default 1, at most CRE_MAX_PIPELINED.
     * Requests with a safe method (GET, HEAD, OPTIONS, TRACE) and without a body overlap. Any other request,
     * and an upgrade, waits until the requests before it are answered, and later ones wait for its answer. */
    uint16_t max_pipelined;

    /** Subprotocols that are accepted, in order of preference: an array that ends with NULL, borrowed for the
     * engine's life. NULL: none. */
    const char *const *subprotocols;
    /** Origins from which browsers may connect (see cre_ws_origin_allowed): an array that ends with NULL,
     * borrowed for the engine's life. NULL: all. */
    const char *const *origins;
    /** permessage-deflate: copied. NULL: messages are not compressed. */
    const cre_ws_deflate_config *deflate;

    uint64_t max_message; /* bytes of a WebSocket message: default 1 MiB */
    uint32_t max_head;    /* bytes of a request head: default and most 65535 */
    uint32_t max_body;    /* bytes of a request body: default 8 MiB */
    uint32_t max_queue;   /* bytes of output that may be queued on one connection: default 8 MiB */
    uint32_t
        high_water;     /* reading of a connection stops at this length of its queue: default max_queue / 2 */
    uint32_t low_water; /* and resumes at this length: default high_water / 4 */
    bool read_when_full; /* continue reading above high_water */
    /** Bytes of queued output and of incomplete input (messages, packets, requests) on all connections of the
     * engines that share the table, and of records between them and other processes (stats.transit); above it
     * the connections with the most bytes are closed. 0: no limit. */
    uint64_t memory_budget;
    /** Bytes of output that other processes may have accepted for a connection before they see that its queue
     * is full; they are queued beyond max_queue. Default: none. */
    uint64_t in_flight;
    /** Connections of one remote address (IPv6: of one /64), over all engines that share the table; further
     * ones are closed at once. 0: no limit. */
    uint32_t max_per_address;
    uint32_t
        heartbeat_idle_ms; /* silence after which a WebSocket or stream is closed with HEARTBEAT; 0: never */
    uint32_t heartbeat_check_ms; /* the most time by which that may be noticed later; 0: none */
    uint32_t ping_interval_ms;   /* silence after which a WebSocket gets a ping; 0: none */
    uint32_t pong_timeout_ms;    /* further silence after which it is closed with HEARTBEAT: default
                                    ping_interval_ms */
    /** A connection whose queue has no room for a published message is closed with OVERFLOW; false: the
     * message is dropped for this connection (stats.skipped). */
    bool close_slow;
    uint32_t max_topics;         /* topics at once: default 100,000 */
    uint32_t max_subscriptions;  /* topics of one connection: default 256 */
    uint32_t head_timeout_ms;    /* from the first byte to the end of a request's head: default 10 s */
    uint32_t body_timeout_ms;    /* for a request's body: default 60 s */
    uint32_t message_timeout_ms; /* from the first byte to the end of a WebSocket message, or of a packet of a
                                    port with a framing: default 60 s */
    uint32_t idle_timeout_ms;    /* between two requests: default 75 s */
    uint32_t close_timeout_ms; /* for the peer's part of a closing handshake, and for the last output: default
                                  5 s */

    /** The TLS configurations of listening ports, by the index of the port: an array that is copied, of
     * configurations that the engine retains. NULL: no TLS. */
    cre_tls *const *tls;

    /** The time over which cre_engine_shutdown closes open WebSockets and streams, at random moments, so that
     * their clients do not connect elsewhere all at once; at most three quarters of its deadline. Until then
     * they are served. 0: they are closed at once. */
    uint32_t shutdown_spread_ms;
    uint16_t shutdown_code; /* of the close frames of cre_engine_shutdown: default 1001 */
    uint16_t reserved;      /* 0 */

    /** A topic has its first subscriber (`exists`), or has lost its last one: whoever brings messages of
     * other machines needs only these topics (cluster.h). Called inside the command, or where a connection
     * ends, also in cre_engine_destroy. `name` is borrowed. It must not call the engine. NULL: not called. */
    void (*on_topic)(void *context, const void *name, size_t length, bool exists);

    /** A topic has a new member (`joined`), or one with another info, or a member has left: none of its
     * connections is subscribed any more. Called where `on_topic` is. All is borrowed. It must not call the
     * engine. NULL: not called. */
    void (*on_member)(void *context, cre_slice topic, cre_slice id, cre_slice info, bool joined);
} cre_engine_config;

/** The size of an array indexed by cre_close_reason, with room for further reasons. */
#define CRE_CLOSE_REASONS 16

/** Counters since the engine was created. All are uint64_t; those that messages change come first, new ones
 * are added at the end. */
typedef struct cre_engine_stats {
    uint64_t messages_in, messages_out; /* WebSocket messages; a published one counts for each receiver */
    uint64_t requests, responses;       /* of HTTP */
    uint64_t bytes_in, bytes_out;       /* of all protocols */
    uint64_t queued;                    /* bytes of output queued now */
    uint64_t buffered;                  /* bytes of memory for incomplete input now */
    uint64_t transit; /* bytes of large and queued records between this process and others now, such as pushes
                         that have not arrived completely */
    uint64_t accepted, closed, refused;               /* sockets */
    uint64_t tls_handshakes, tls_resumed, tls_failed; /* full, resumed and failed handshakes */
    uint64_t stale_commands;                          /* commands for sessions that had ended */
    uint64_t skipped;            /* deliveries of published messages dropped: a full queue, or no memory */
    uint64_t dropped_packets;    /* datagrams dropped */
    uint64_t shed;               /* connections closed because the server exceeded its memory budget */
    uint64_t out_of_descriptors; /* connections refused because there was no free descriptor... */
    uint64_t out_of_memory;      /* ...or no memory; both are part of `refused` */
    uint64_t accept_pauses; /* times that accepting paused because connections could not even be refused */
    uint64_t repaired;      /* values in shared memory that other processes had overwritten */
    uint64_t topics, subscriptions;        /* topics now, and subscriptions to them */
    uint64_t closed_by[CRE_CLOSE_REASONS]; /* sessions that ended, by cre_close_reason */
    uint64_t proxies_refused;       /* connections refused because they were not from one of `proxies`... */
    uint64_t proxy_headers_invalid; /* ...or without a header of the PROXY protocol in time; both are part of
                                       `refused` */
    uint64_t http2_connections;     /* that began HTTP/2 */
    uint64_t http2_refused;         /* its streams that were answered or reset before they were requests */
    uint64_t http2_resets;          /* its streams that the client reset, or had reset by its errors */
    uint64_t http2_stalled;         /* its streams that were reset because the client did not receive for too
                                       long, or while too much was queued for it */
    uint64_t http2_heads_too_large; /* its requests that got status 431; they are part of http2_refused */
    uint64_t
        http2_exceeded[CRE_HTTP2_LIMITS]; /* its connections that a limit has ended, by cre_http2_limit */
    uint64_t http2_requests;              /* its requests, WebSockets included */
    uint64_t http2_open_connections, http2_open_streams; /* now */
    uint64_t users; /* with open WebSockets now; their topics count in `topics`, too */
} cre_engine_stats;

/**
 * Creates an engine on `loop`. `config` is copied; the members that it points to are copied or retained,
 * except those that are documented as borrowed. Returns 0 and *engine, which the caller destroys, or
 *
 *   CRE_ECONFIG_SIZE  the size of the configuration, of a port, a framing or `deflate`
 *   CRE_EINVALID      a missing `on_event` or `dispatch_function`, or a member that is out of its range
 *   CRE_EUNSUPPORTED  `deflate` in a build without zlib
 *   CRE_ENOMEM, or a system error
 */
CRE_NODISCARD CRE_API int cre_engine_create(cre_loop *loop, const cre_engine_config *config,
                                            cre_engine **engine);

/** Resets the remaining connections, with CLOSE events, and frees the engine. It must be called before its
 * loop is destroyed, and not inside on_event. NULL is ignored. */
CRE_API void cre_engine_destroy(cre_engine *engine);

/**
 * Listens as cre_listen does and serves the socket: the first call as port 0 of the configuration, the next
 * one as port 1, and so on. The port's protocol decides whether the socket is for datagrams, not
 * `options->datagram`. The engine owns the socket, and removes the file of a Unix socket at its end. Returns
 * 0 and sets *bound_port, which may be NULL, or CRE_EINVALID after CRE_MAX_PORTS ports and for TLS on a port
 * for datagrams, CRE_ENOMEM, or an error of cre_listen.
 */
CRE_NODISCARD CRE_API int cre_engine_listen(cre_engine *engine, const cre_listen_options *options,
                                            uint16_t *bound_port);

/** Serves `descriptor`, a listening socket or one for datagrams, as port `port`. Returns 0, and the engine
 * owns the descriptor; or CRE_EINVALID when `port` is not below CRE_MAX_PORTS, CRE_ENOMEM or a system error,
 * and the caller keeps it. */
CRE_NODISCARD CRE_API int cre_engine_serve(cre_engine *engine, int descriptor, uint16_t port);

/** Enables TLS for connections accepted on port `port` from now on; NULL disables it. The engine retains
 * `tls`. Returns 0, CRE_EINVALID when `port` is not below CRE_MAX_PORTS, or CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_engine_set_tls(cre_engine *engine, uint16_t port, cre_tls *tls);

/**
 * Takes over a connected, non-blocking stream socket, as if it had been accepted on port `port`. The engine
 * owns the descriptor in any case. Returns 0, CRE_EINVALID when `port` is not below CRE_MAX_PORTS,
 * CRE_ELIMIT when the table is full, the address has too many connections or the dispatch function refuses
 * the connection, CRE_ENOMEM or a system error.
 */
CRE_API int cre_engine_adopt(cre_engine *engine, int descriptor, uint16_t port);

/** Queues a socket for cre_engine_adopt on the engine's thread. The engine owns the descriptor in any case.
 * Returns 0, CRE_EINVALID when `port` is not below CRE_MAX_PORTS, or CRE_ENOMEM. Any thread, while the engine
 * exists. */
CRE_API int cre_engine_hand_over(cre_engine *engine, int descriptor, uint16_t port);

/**
 * Executes a command. Its payload consists of `count` parts, at most 4, which are read before this returns;
 * command->length is ignored. Returns 0, or an error, without effect unless noted:
 *
 *   CRE_EGONE                the session has ended, or is closing and no longer takes this command
 *   CRE_ENOT_WEBSOCKET       PUSH, SUBSCRIBE, UNSUBSCRIBE, BIND without an id: the connection is no open
 *                            WebSocket
 *   CRE_ENOT_STREAM          SEND: the connection is not on a stream port
 *   CRE_ENO_REQUEST          RESPOND and the like: no such request is without an answer
 *   CRE_EQUEUE_FULL          the output queue has no room. A response and the last piece of a body are never
 *                            refused before twice the limit; then the connection is reset
 *   CRE_ESTATE               BIND: the connection has a user already
 *   CRE_ELIMIT               SUBSCRIBE: max_topics or max_subscriptions is reached. SENDTO: more than 1 MiB
 *   CRE_EWS_...              PUSH: what cre_ws_send_check refuses
 *   CRE_EHTTP_INVALID_FIELD  RESPOND, RESPOND_FILE, RESPOND_FOLDER_FILE: a field that may not be sent
 *   CRE_EHTTP_HEAD_TOO_LARGE over HTTP/2: fields or trailers of more than 64 KiB, as HPACK counts them;
 *                            trailers also reset the stream, whose body would have no end
 *   CRE_EINVALID             an unknown command, too many parts, or a malformed payload
 *   CRE_ENOMEM               PUSH, SEND and responses also reset the connection: its output would have a gap
 *
 * SENDTO and responses from files also return system errors, see cre_engine_send_to and
 * cre_engine_respond_file.
 * Errors are also normal results (the peer may leave at any time), so they may be ignored.
 */
CRE_API int cre_engine_command(cre_engine *engine, const cre_record *command, const cre_slice *parts,
                               int count);

/* ---- commands as function calls, with the results of cre_engine_command ---- */

/** PUSH: sends one final frame. `opcode` is a cre_ws_opcode other than close; CRE_EINVALID for another
 * number, and for a ping or pong of more than CRE_WS_MAX_CONTROL bytes. */
CRE_API int cre_engine_push(cre_engine *engine, cre_session session, uint8_t opcode, const void *data,
                            size_t length);

/** SEND: sends bytes on a stream. */
CRE_API int cre_engine_send(cre_engine *engine, cre_session session, const void *data, size_t length);

/** SENDTO: sends a datagram from port `port`. Returns 0; CRE_EGONE when the port has no datagram socket;
 * CRE_EQUEUE_FULL when the socket's buffer is full; CRE_EINVALID for an invalid address; CRE_ELIMIT; or the
 * system's error (-EMSGSIZE, -ECONNREFUSED). */
CRE_API int cre_engine_send_to(cre_engine *engine, uint16_t port, const cre_address *to, const void *data,
                               size_t length);

/** CLOSE: closes the connection after its queued output. `reason` is UTF-8 and terminated, and may be NULL.
 * Code 0 means 1000. CRE_EINVALID for an invalid code or reason. */
CRE_API int cre_engine_close(cre_engine *engine, cre_session session, uint16_t code, const char *reason);

/**
 * RESPOND: answers the oldest request of the session that has no answer. `fields` are terminated lines
 * ("Name: value\r\n"...) or NULL. To answer another one of several requests, use the command. CRE_EINVALID
 * for a status outside 200...999 and malformed lines, CRE_ELIMIT for more than 64 KiB of them.
 */
CRE_API int cre_engine_respond(cre_engine *engine, cre_session session, uint16_t status, const char *fields,
                               const void *body, size_t length);

/** RESPOND with CRE_RECORD_MORE_BODY: begins a response whose body continues with cre_engine_respond_body
 * until `final`. Otherwise like cre_engine_respond. */
CRE_API int cre_engine_respond_more(cre_engine *engine, cre_session session, uint16_t status,
                                    const char *fields, const void *body, size_t length);

/** RESPOND_INTERIM: sends an interim response, status 102...199, before the response: 103 with Link fields,
 * for example. CRE_ENO_REQUEST after its head, CRE_EQUEUE_FULL when the output queue has no room. Otherwise
 * like cre_engine_respond. Clients of HTTP/1.0 get none. */
CRE_API int cre_engine_respond_interim(cre_engine *engine, cre_session session, uint16_t status,
                                       const char *fields);

/** RESPOND_BODY: sends the next piece of a body. Without bytes it does nothing, unless `final`. After
 * CRE_EQUEUE_FULL, which the last piece never gets before twice the limit, DRAINED reports that there is
 * room. */
CRE_API int cre_engine_respond_body(cre_engine *engine, cre_session session, const void *data, size_t length,
                                    bool final);

/**
 * RESPOND_FILE: answers with a part of a file, which must not shrink meanwhile. `path` is terminated. A file
 * that cannot be sent is answered with an error page, status 404 or 500, and the result is the system's error
 * (-ENOENT, -EACCES, -EISDIR), or CRE_EINVALID when it is no regular file or `offset` exceeds its size.
 */
CRE_API int cre_engine_respond_file(cre_engine *engine, cre_session session, uint16_t status,
                                    const char *fields, const char *path, uint64_t offset, uint64_t length);

/**
 * UPGRADE, for a port with `ask_upgrade`: answers the handshake with 101. `subprotocol` is one that the
 * client has offered, "" for none, NULL for what the engine's configuration chooses; `fields` as for
 * cre_engine_respond; both are borrowed for the call. OPEN is emitted inside this call. Returns 0; CRE_EGONE;
 * CRE_ENO_REQUEST or CRE_ESTATE when there is no handshake to answer; CRE_EINVALID for a subprotocol that was
 * not offered, or malformed fields; CRE_EHTTP_INVALID_FIELD; CRE_ELIMIT for more than 64 fields; CRE_ENOMEM.
 */
CRE_API int cre_engine_upgrade(cre_engine *engine, cre_session session, const char *subprotocol,
                               const char *fields);

/** BIND: gives the connection the id of its user. CRE_EINVALID for id 0. */
CRE_API int cre_engine_bind(cre_engine *engine, cre_session session, uint32_t user_id);

/** SUBSCRIBE: subscribes an open WebSocket to a topic of 1 to CRE_MAX_TOPIC bytes. */
CRE_API int cre_engine_subscribe(cre_engine *engine, cre_session session, const void *topic, size_t length);

/** JOIN: subscribes an open WebSocket as a member. CRE_EINVALID for lengths out of their range. */
CRE_API int cre_engine_join(cre_engine *engine, cre_session session, cre_slice topic, cre_slice id,
                            cre_slice info);

/** UNSUBSCRIBE: ends a subscription. Without one it returns 0 and does nothing. */
CRE_API int cre_engine_unsubscribe(cre_engine *engine, cre_session session, const void *topic, size_t length);

/** Returns whether the connection is subscribed to the topic; false when it is gone. */
CRE_API bool cre_engine_subscribed(cre_engine *engine, cre_session session, const void *topic, size_t length);

/**
 * PUBLISH: sends one message to the connections of a topic, except one (0: none). Returns 0, also when nobody
 * has subscribed, CRE_EINVALID for another opcode than text or binary and an invalid topic, or CRE_ENOMEM.
 * The message is encoded once, and the messages that one turn of the loop publishes leave in one write per
 * connection. A connection gets messages published and pushed to it in the order of the calls.
 */
CRE_API int cre_engine_publish(cre_engine *engine, const void *topic, size_t topic_length, uint8_t opcode,
                               const void *data, size_t length, cre_session except);

/** BROADCAST: sends one message to all open WebSockets of the engine, except one (0: none). Returns 0,
 * CRE_EINVALID for another opcode than text or binary, or CRE_ENOMEM. */
CRE_API int cre_engine_broadcast(cre_engine *engine, uint8_t opcode, const void *data, size_t length,
                                 cre_session except);

/* ---- the engine as a whole ---- */

/** Resumes reading the connections of `worker` that `congested` has stopped. */
CRE_API void cre_engine_resume(cre_engine *engine, uint16_t worker);

/** Stops accepting for good, after accepting the connections that wait already. */
CRE_API void cre_engine_stop_listening(cre_engine *engine);

/**
 * Stops accepting and closes all connections: WebSockets with `shutdown_code`, over the time of
 * `shutdown_spread_ms`, HTTP after the response in progress.
 * `done` (may be NULL) is called once when none is left, at the end of a turn of the loop and never before
 * this returns; it may destroy the engine. Connections that are open after `deadline_ms` are reset. Another
 * call only moves the deadline.
 */
CRE_API void cre_engine_shutdown(cre_engine *engine, uint32_t deadline_ms, void (*done)(void *context),
                                 void *context);

/** Returns the connection table, which the engine owns unless it is from the configuration. */
CRE_API cre_table *cre_engine_table(cre_engine *engine);

/** Returns the loop of the engine. */
CRE_API cre_loop *cre_engine_loop(cre_engine *engine);

/** Copies the first `size` bytes, sizeof(cre_engine_stats), of the counters. Counters that this version does
 * not know are 0. */
CRE_API void cre_engine_get_stats(const cre_engine *engine, cre_engine_stats *stats, size_t size);

CRE_END_DECLS

#endif
