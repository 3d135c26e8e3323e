/*
 * Who serves connections: workers, which get the events, and reactors, which own sockets on behalf of workers
 * in other processes.
 *
 * A worker with an engine owns its connections; one without gets those of reactors over the bus. What it is
 * notified of and what it may command is the same.
 */
#ifndef CREACTOR_WORKER_H
#define CREACTOR_WORKER_H

#include "../engine.h"
#include "../export.h"
#include "../loop.h"
#include "../record.h"
#include "bus.h"

CRE_BEGIN_DECLS

typedef struct cre_worker cre_worker;
typedef struct cre_reactor cre_reactor;

typedef struct cre_worker_config {
    cre_bus *bus;
    uint32_t node; /* the worker's own */
    /** Gets each event of the connections that are dealt to this worker. The payload is borrowed until this
     * returns. NULL: this process gets none, as a task worker does not. */
    void (*on_event)(void *context, const cre_record *event, uint8_t *payload);
    /** Gets what the process of node `from` says, a cre_message. The payload is borrowed until this returns.
     * NULL: it is dropped. */
    void (*on_message)(void *context, uint32_t from, const cre_record *message, uint8_t *payload);
    /** Another node wrote invalid data to this one; nothing more is read from it until its process was
     * replaced. May be NULL. */
    void (*violation)(void *context, uint32_t from);
    void *context;
    /** NULL: the sockets are elsewhere. Else the limits of this worker's own engine; on_event, context,
     * congested, half_open, table, node, first_worker, worker_count and dispatch are filled in. */
    const cre_engine_config *engine;
    uint32_t max_queue; /* commands of this worker are refused when a queue has this many bytes; 0: the port's
                           limit */
    /** The nodes that own sockets, [first_owner, first_owner + owner_count): who gets what is published.
     * Without an engine, the datagram port p is served by node first_owner + p % owner_count. Count 0: this
     * worker alone. */
    uint16_t first_owner, owner_count;
    /** The nodes of the task workers, [first_task, first_task + task_count). Count 0: there are none. */
    uint16_t first_task, task_count;
} cre_worker_config;

/** Opens the worker on `loop`, whose thread alone uses it. Without a loop it gets nothing and only commands,
 * each of which leaves at once. Returns 0 or an error. */
CRE_NODISCARD CRE_API int cre_worker_create(cre_loop *loop, const cre_worker_config *config,
                                            cre_worker **worker);

/** Destroys its engine, if any, and leaves the bus. Not inside on_event. */
CRE_API void cre_worker_destroy(cre_worker *worker);

/** Takes no more events of connections that others own, and a task worker no more tasks: they wait for this
 * worker's successor. Results and messages still come, and commands go on. */
CRE_API void cre_worker_stop_receiving(cre_worker *worker);

/** Whether each command leaves at once, instead of at the end of the loop's turn: for code that blocks the
 * loop. It is so without a loop, and while on_message has a TASK. */
CRE_API void cre_worker_immediate(cre_worker *worker, bool immediate);

/** Sends what was commanded so far, and tries again what had no room. */
CRE_API void cre_worker_flush(cre_worker *worker);

/** Whether something that this worker sent still waits for room in a ring; closing it now would lose that. */
CRE_API bool cre_worker_congested(const cre_worker *worker);

/** Whether something that was sent to this worker has come in part; closing it now would lose that, too. */
CRE_API bool cre_worker_receiving(const cre_worker *worker);

/** Its engine, NULL when the sockets are elsewhere. */
CRE_API cre_engine *cre_worker_engine(cre_worker *worker);

/** Whether the connection is this worker's own: a command to it is carried out before it returns. */
CRE_API bool cre_worker_owns(const cre_worker *worker, cre_session session);

/**
 * Commands any connection of the bus, whoever owns it. Returns 0 when the command was carried out, or is on
 * its way to the owner; CRE_EGONE, CRE_ENOT_WEBSOCKET, CRE_ENOT_STREAM, CRE_EQUEUE_FULL, CRE_ESTATE,
 * CRE_ELINK_FULL;
 * CRE_EINVALID for an invalid command; CRE_ELIMIT when it is too large; CRE_ENOMEM.
 */
CRE_API int cre_worker_command(cre_worker *worker, const cre_record *command, const cre_slice *parts,
                               int count);

/** PUSH: one frame. */
CRE_API int cre_worker_push(cre_worker *worker, cre_session session, uint8_t opcode, bool final,
                            const void *data, size_t length);

/** SUBSCRIBE (`on`) or UNSUBSCRIBE a connection to a topic. What this worker publishes afterwards reaches it.
 */
CRE_API int cre_worker_subscribe(cre_worker *worker, cre_session session, const void *topic, size_t length,
                                 bool on);

/**
 * PUBLISH to the connections of all owners, except one (0: none). Returns 0 when it is on its way to all of
 * them, else the first error; the other owners have it then all the same. A connection gets what this worker
 * publishes and pushes in the order of the calls; between workers there is no order.
 */
CRE_API int cre_worker_publish(cre_worker *worker, const void *topic, size_t topic_length, uint8_t opcode,
                               const void *data, size_t length, cre_session except);

/** BROADCAST, likewise. */
CRE_API int cre_worker_broadcast(cre_worker *worker, uint8_t opcode, const void *data, size_t length,
                                 cre_session except);
/** SEND: bytes on a stream. */
CRE_API int cre_worker_send(cre_worker *worker, cre_session session, const void *data, size_t length);

/** SENDTO: a datagram from port `port`. CRE_EGONE: it has no datagram socket. */
CRE_API int cre_worker_send_to(cre_worker *worker, uint16_t port, const cre_address *to, const void *data,
                               size_t length);

/** BIND: gives the connection the id of its user. */
CRE_API int cre_worker_bind(cre_worker *worker, cre_session session, uint32_t user_id);

/** CLOSE with a code (0: 1000) and a reason of `length` bytes. */
CRE_API int cre_worker_close(cre_worker *worker, cre_session session, uint16_t code, const void *reason,
                             size_t length);

/** RESPOND to the request of this number (`opcode` of its event). `fields` are `fields_length` bytes of
 * packed fields; `close`: the connection ends after it. */
CRE_API int cre_worker_respond(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                               bool close, const void *fields, size_t fields_length, const void *body,
                               size_t length);

/** Begins a response whose body continues with cre_worker_respond_body until `final`. Should this worker die
 * before that, the connection is reset. */
CRE_API int cre_worker_respond_more(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                                    bool close, const void *fields, size_t fields_length, const void *body,
                                    size_t length);

/** UPGRADE: answers the handshake of this number. `subprotocol` has `length` bytes; NULL: the port chooses.
 * OPEN or CLOSE follows when this returns 0. */
CRE_API int cre_worker_upgrade(cre_worker *worker, cre_session session, uint8_t request,
                               const char *subprotocol, size_t length, const void *fields,
                               size_t fields_length);

/** RESPOND_BODY, as cre_engine_respond_body. When the last piece finds no room on its way to another process
 * (CRE_ELINK_FULL, CRE_ELIMIT, CRE_ENOMEM), the connection is reset. */
CRE_API int cre_worker_respond_body(cre_worker *worker, cre_session session, uint8_t request,
                                    const void *data, size_t length, bool final);

/** RESPOND_FILE, as cre_engine_respond_file: the owner of the connection opens the file, with its own rights.
 * A file that another process cannot send is not reported here. */
CRE_API int cre_worker_respond_file(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                                    bool close, const void *fields, size_t fields_length, const char *path,
                                    uint64_t offset, uint64_t length);

/** Says something to the process of another node: CRE_MESSAGE_PIPE. Returns 0 when it is on its way,
 * CRE_EINVALID for this process itself or a node that is none, CRE_ELINK_FULL, CRE_ELIMIT, CRE_ENOMEM. */
CRE_API int cre_worker_send_message(cre_worker *worker, uint32_t node, const void *data, size_t length);

/** The counters of all engines of the bus, of those before them in the same places too, as they were at the
 * ends of their last turns. Any thread or process. */
CRE_API void cre_bus_stats(const cre_bus *bus, cre_engine_stats *stats);

typedef struct cre_reactor_config {
    cre_bus *bus;
    uint32_t node; /* the reactor's own */
    /** Limits; on_event, context, congested, idle, half_open, table and node are filled in. first_worker,
     * worker_count and dispatch say who gets the events. */
    cre_engine_config engine;
    /** A worker wrote invalid data; kill it. On the reactor's thread. */
    void (*violation)(void *context, uint32_t worker);
    /** Called on the reactor's thread before it serves, while cre_reactor_start waits, which returns its
     * error. May be NULL. */
    int (*started)(void *context);
    void *context;
} cre_reactor_config;

/** Starts a thread with a loop and an engine. All signals are blocked in it. Returns 0 or an error. */
CRE_NODISCARD CRE_API int cre_reactor_start(const cre_reactor_config *config, cre_reactor **reactor);

/** Gives it a connected socket, as cre_engine_hand_over. Any thread. */
CRE_API int cre_reactor_hand_over(cre_reactor *reactor, int descriptor, uint16_t port);

/** Has it serve a bound socket, as cre_engine_serve: how a datagram port gets to its reactor. When this
 * returns 0 the descriptor is the reactor's. Any thread. */
CRE_NODISCARD CRE_API int cre_reactor_serve(cre_reactor *reactor, int descriptor, uint16_t port);

/** cre_engine_shutdown on its thread; `done` is called there. Any thread, one at a time. Asked again it moves
 * the deadline. */
CRE_API int cre_reactor_shutdown(cre_reactor *reactor, uint32_t deadline_ms, void (*done)(void *context),
                                 void *context);

/** Stops the thread, waits for it, frees everything. Not on the reactor's thread. */
CRE_API void cre_reactor_stop(cre_reactor *reactor);

CRE_END_DECLS

#endif
