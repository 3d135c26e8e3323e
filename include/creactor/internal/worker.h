/*
 * Workers, which handle the events of connections, and reactors, which own sockets for workers in other
 * processes.
 *
 * A worker with an engine owns its connections; one without an engine gets the events of reactors over the
 * bus. Events and commands are the same. The functions of a worker must be called on the thread of its loop,
 * or, without a loop, on the thread that created it. Arguments are borrowed for the call.
 */
#ifndef CREACTOR_WORKER_H
#define CREACTOR_WORKER_H

#include "../engine.h"
#include "../export.h"
#include "../loop.h"
#include "../record.h"
#include "bus.h"

CRE_BEGIN_DECLS

/** The part of a process that handles events. */
typedef struct cre_worker cre_worker;
/** A thread that owns sockets. */
typedef struct cre_reactor cre_reactor;

/** How the messages of some topics travel through a cluster. */
typedef struct cre_topic_rule {
    const char *pattern;      /* a name, or "*" behind the beginning of names */
    uint32_t history_count;   /* messages that are kept; 0: none */
    uint32_t history_seconds; /* after the last one */
    bool local_first;         /* this server's subscribers get a message before the cluster does */
    bool enveloped;           /* clients get a line with the topic and the position before each message */
} cre_topic_rule;

/** A server's place in a cluster. */
typedef struct cre_cluster_place {
    uint32_t gateway; /* the node that is connected with the cluster; 0: there is none, only rules */
    uint32_t shards;
    const cre_topic_rule *rules; /* of the rules whose pattern a topic has, the first one holds */
    uint32_t rule_count;
    bool local; /* there is no cluster: the gateway keeps members of topics, and nothing else */
} cre_cluster_place;

/** Returns the rule of a topic, NULL when there is none. Any thread. */
CRE_API const cre_topic_rule *cre_topic_rule_of(const cre_cluster_place *place, const void *topic,
                                                size_t length);

/** The configuration of a worker. `bus` and `node` are required. */
typedef struct cre_worker_config {
    cre_bus *bus;  /* borrowed for the worker's life */
    uint32_t node; /* of this worker */
    /** Gets each event of the connections that are dispatched to this worker. The payload is borrowed until
     * this returns. NULL: this process gets no events, as a task worker. Required with `engine`. */
    void (*on_event)(void *context, const cre_record *event, uint8_t *payload);
    /** Gets a cre_message from the process of node `from`. The payload is borrowed until this returns. NULL:
     * messages are dropped. */
    void (*on_message)(void *context, uint32_t from, const cre_record *message, uint8_t *payload);
    /** Another node wrote invalid data to this one; nothing more is read from it until its process is
     * replaced. Called again once a second until then. May be NULL. */
    void (*violation)(void *context, uint32_t from);
    /** Somebody else has overwritten `count` values of this worker in shared memory, which were restored.
     * At most once a second; not without a loop. May be NULL. */
    void (*repaired)(void *context, uint64_t count);
    /** A call of on_event, a timer or a job has blocked this process for `ns`, or a task has taken that long;
     * `call` has its kind (cre_event, cre_message, CRE_AT_...) and its session. Called when it has returned;
     * the payload of a REQUEST is still there, others must not be read. May be NULL. */
    void (*slow)(void *context, const cre_record *call, const uint8_t *payload, uint64_t ns);
    /** Whether a worker that is leaving still serves the events of a connection (cre_worker_leave). NULL: of
     * none. */
    bool (*keeps)(void *context, cre_session session);
    /** The duration from which on calls are reported to `slow`. All calls are timed then. 0: never. */
    uint64_t slow_ns;
    void *context;
    /** The limits of this worker's own engine; size, on_event, context, congested, half_open, table,
     * shared_stats, node, first_worker, worker_count and dispatch are filled in. NULL: other nodes own the
     * sockets. */
    const cre_engine_config *engine;
    uint32_t
        max_queue; /* bytes in a queue from which commands of this worker are refused; 0: the port's limit */
    /** The nodes that own sockets, [first_owner, first_owner + owner_count): the receivers of PUBLISH and
     * BROADCAST. Without an engine, the datagram port p is served by node first_owner + p % owner_count.
     * Count 0: this worker alone. */
    uint16_t first_owner, owner_count;
    /** The nodes of the task workers, [first_task, first_task + task_count). Count 0: there are none. */
    uint16_t first_task, task_count;
    /** The cluster that PUBLISH reaches, borrowed for the worker's life. NULL: this server only. */
    const cre_cluster_place *cluster;
} cre_worker_config;

/**
 * Prepares a worker that has not taken its place yet: a predecessor may have the node open. Only
 * cre_worker_open, cre_worker_set_activity, which has no effect then, and cre_worker_destroy may be called.
 * `config->engine` is ignored. Returns 0 and *worker, which the caller destroys, or CRE_ENOMEM.
 */
CRE_NODISCARD CRE_API int cre_worker_prepare(cre_loop *loop, const cre_worker_config *config,
                                             cre_worker **worker);

/** Opens a prepared worker, after its predecessor has ended. `engine` is as in cre_worker_config and may be
 * NULL. Returns 0, or an error as cre_worker_create does, and the worker is as before. */
CRE_NODISCARD CRE_API int cre_worker_open(cre_worker *worker, const cre_engine_config *engine);

/**
 * Creates a worker on `loop` and opens it. Without a loop (NULL) it receives nothing, and each command is
 * sent at once. Returns 0 and *worker, which the caller destroys, or CRE_EINVALID for an engine without
 * `on_event` or a loop, an error of cre_engine_create or one of cre_node_open.
 */
CRE_NODISCARD CRE_API int cre_worker_create(cre_loop *loop, const cre_worker_config *config,
                                            cre_worker **worker);

/** Destroys the worker with its engine, outside of on_event, and closes its node. NULL is ignored. */
CRE_API void cre_worker_destroy(cre_worker *worker);

/** Inside on_event for a MESSAGE of `session`: returns whether an event is there already that may be its next
 * MESSAGE. False: cre_worker_take_message would return false. */
CRE_API bool cre_worker_may_take_message(const cre_worker *worker, cre_session session);

/** Inside on_event for a REQUEST of `session`, in the process that owns its connection: returns whether
 * further input is there already that may be the next REQUEST. */
CRE_API bool cre_worker_may_serve_request(const cre_worker *worker, cre_session session);

/** Inside on_event for a REQUEST of `session`, in the process that owns its connection: calls on_event for
 * the next REQUEST, if that is there already, before it returns. Over HTTP/2 it may be that of another
 * stream, which is a connection of its own. Returns its session, for the next call of this; 0: there was
 * none. The payload of the first one is no longer valid then. */
CRE_API cre_session cre_worker_serve_request(cre_worker *worker, cre_session session);

/** Inside on_event for a MESSAGE of `session`: takes its next MESSAGE, if that is there already. Returns
 * whether there was one. *payload is borrowed until on_event returns, or until the next one is taken. */
CRE_API bool cre_worker_take_message(cre_worker *worker, cre_session session, cre_record *event,
                                     uint8_t **payload);

/**
 * Inside on_event for an event that another process has sent: copies it to memory that outlives this process,
 * since it cannot be served yet. Returns its ticket: drop it when the event is about to be served. A
 * successor gets all events whose tickets were not dropped, in order and before newer ones. Returns 0 when
 * there is no room, and for events that end with their worker: requests and their bodies, packets and
 * notifications.
 */
CRE_NODISCARD CRE_API uint32_t cre_worker_defer(cre_worker *worker);

/** Drops the ticket of a deferred event. Tickets that are not known are ignored. */
CRE_API void cre_worker_drop_deferred(cre_worker *worker, uint32_t ticket);

/** Delivers a deferred event to on_event again, which may defer it again, with the same ticket. Else the
 * ticket is dropped. */
CRE_API void cre_worker_serve_deferred(cre_worker *worker, uint32_t ticket);

/** Marks a connection of another node, for successors of this worker and as long as it exists. */
CRE_API void cre_worker_mark(cre_worker *worker, cre_session session);

/** Returns whether this worker or a predecessor has marked the connection. */
CRE_API bool cre_worker_marked(const cre_worker *worker, cre_session session);

/** Defers the events of connections that other nodes own for this worker's successor, except packets,
 * notifications, and all events of connections for which `keeps` returns true. When there is no room for
 * more, the worker stops receiving. */
CRE_API void cre_worker_leave(cre_worker *worker);

/** Stops receiving events of connections that other nodes own, and in a task worker tasks of workers: they
 * wait for this worker's successor. Results and messages are still received, and commands sent. */
CRE_API void cre_worker_stop_receiving(cre_worker *worker);

/** Sends each command at once (`immediate`) or at the end of the loop's turn: for code that blocks the loop.
 * Without a loop, and while on_message handles a TASK, commands are sent at once. */
CRE_API void cre_worker_set_immediate(cre_worker *worker, bool immediate);

/** Publishes the commands sent so far. */
CRE_API void cre_worker_flush(cre_worker *worker);

/** Returns whether another process is behind: a record of this worker is in a spill. */
CRE_API bool cre_worker_congested(const cre_worker *worker);

/** Stops receiving from all nodes, so that the worker may be destroyed without a loss. Returns false, and
 * stops nothing, while a record was received in part: the rest of it arrives soon. */
CRE_NODISCARD CRE_API bool cre_worker_end_receiving(cre_worker *worker);

/** Returns the worker's engine, NULL when other nodes own the sockets. */
CRE_API cre_engine *cre_worker_engine(cre_worker *worker);

/** Returns whether this worker owns the connection: a command to it is executed before it returns. */
CRE_API bool cre_worker_owns(const cre_worker *worker, cre_session session);

/**
 * Executes a command for any connection of the bus. For a connection of this worker it has the results of
 * cre_engine_command. For one of another node it returns 0 when the command is on its way; CRE_EGONE,
 * CRE_ENOT_WEBSOCKET, CRE_ENOT_STREAM, CRE_EQUEUE_FULL and CRE_ESTATE as far as the table shows it;
 * CRE_EINVALID and CRE_EHTTP_INVALID_FIELD for an invalid payload; or CRE_ELINK_FULL, CRE_ELIMIT and
 * CRE_ENOMEM of cre_node_send.
 */
CRE_API int cre_worker_command(cre_worker *worker, const cre_record *command, const cre_slice *parts,
                               int count);

/* ---- commands as function calls, with the results of cre_worker_command ---- */

/** PUSH: sends one frame. CRE_ELIMIT when it exceeds the records of the bus, also for a connection of this
 * worker. */
CRE_API int cre_worker_push(cre_worker *worker, cre_session session, uint8_t opcode, bool final,
                            const void *data, size_t length);

/** SUBSCRIBE (`on`) or UNSUBSCRIBE: a connection and a topic. Messages that this worker publishes afterwards
 * reach the connection. */
CRE_API int cre_worker_subscribe(cre_worker *worker, cre_session session, const void *topic, size_t length,
                                 bool on);

/**
 * PUBLISH: sends a message to the connections of all owners, except one (0: none). Returns 0 when it is on
 * its way to all owners, or the first error; the other owners still get the message. A connection gets
 * messages that this worker publishes and pushes in the order of the calls; between workers there is no
 * order.
 *
 * In a cluster the message goes to the gateway, and to owners when the cluster has it, in the same order on
 * all machines; with `local_first` it goes to the owners of this server at once. Returns
 * CRE_EBROKER_UNAVAILABLE when the cluster takes no more messages, CRE_ELIMIT above 8 MiB, CRE_EINVALID for a
 * topic that begins with CRE_TOPIC_RESERVED.
 */
CRE_API int cre_worker_publish(cre_worker *worker, const void *topic, size_t topic_length, uint8_t opcode,
                               const void *data, size_t length, cre_session except);

/** JOIN: subscribes a connection to a topic of a cluster as a member, in the order of cre_worker_subscribe.
 * Returns what cre_worker_command does; CRE_EINVALID for lengths out of their range; CRE_ESTATE without a
 * cluster. */
CRE_NODISCARD CRE_API int cre_worker_join(cre_worker *worker, cre_session session, cre_slice topic,
                                          cre_slice id, cre_slice info);

/**
 * Asks the gateway of the cluster. The answer comes as CRE_MESSAGE_ANSWER of the same number, in one or
 * several parts; or never, when the gateway dies, so the caller limits the time. Numbers must not be those of
 * a predecessor's open questions. Returns 0; CRE_EBROKER_UNAVAILABLE without a gateway or room for the
 * question; CRE_EINVALID without a cluster; CRE_ELIMIT.
 */
CRE_NODISCARD CRE_API int cre_worker_ask(cre_worker *worker, uint64_t number, cre_question question,
                                         const cre_slice *parts, int count);

/** Returns the position behind what this worker has sent to the owner of a connection, 0 when it is the
 * owner: the mark of a cre_recovery. */
CRE_API uint64_t cre_worker_sent(const cre_worker *worker, cre_session session);

/** BROADCAST: sends a message to all open WebSockets of all owners, otherwise like cre_worker_publish without
 * a cluster. */
CRE_API int cre_worker_broadcast(cre_worker *worker, uint8_t opcode, const void *data, size_t length,
                                 cre_session except);

/** Sends a message to all open WebSockets of all servers of the cluster, like cre_worker_publish; without a
 * cluster to those of this server. */
CRE_API int cre_worker_broadcast_to_cluster(cre_worker *worker, uint8_t opcode, const void *data,
                                            size_t length, cre_session except);

/** SEND: sends bytes on a stream. CRE_ELIMIT as with cre_worker_push. */
CRE_API int cre_worker_send(cre_worker *worker, cre_session session, const void *data, size_t length);

/** SENDTO: sends a datagram from port `port`. CRE_EGONE: there is no owner of datagram sockets, or this
 * worker owns none for the port. */
CRE_API int cre_worker_send_to(cre_worker *worker, uint16_t port, const cre_address *to, const void *data,
                               size_t length);

/** BIND: gives the connection the id of its user. What this worker sends to the user afterwards reaches the
 * connection, if it is an open WebSocket. */
CRE_API int cre_worker_bind(cre_worker *worker, cre_session session, uint32_t user_id);

/** BIND, with a name in place of an id. */
CRE_API int cre_worker_bind_name(cre_worker *worker, cre_session session, const void *name, size_t length);

/** UNBIND: the connection has no user any more. */
CRE_API int cre_worker_unbind(cre_worker *worker, cre_session session);

/** Publishes to the connections of a user, with the results of cre_worker_publish. With opcode close they are
 * closed: `data` is the payload of a close frame. CRE_EINVALID for a name that is empty or longer than
 * CRE_MAX_USER. */
CRE_API int cre_worker_publish_to_user(cre_worker *worker, const void *name, size_t name_length,
                                       uint8_t opcode, const void *data, size_t length, cre_session except);

/** CLOSE: closes the connection with a code (0: 1000) and a reason of `length` bytes of UTF-8. */
CRE_API int cre_worker_close(cre_worker *worker, cre_session session, uint16_t code, const void *reason,
                             size_t length);

/** Options of a response: close the connection after it; its body is text (CRE_RESPONSE_TEXT); status and
 * fields are known to be valid, so the caller's process does not check them again. */
enum { CRE_RESPOND_CLOSE = 1, CRE_RESPOND_TEXT = 2, CRE_RESPOND_CHECKED = 4 };

/** RESPOND: answers the request whose event had this number as its `opcode`. `fields` are `fields_length`
 * bytes of packed fields; `options` are CRE_RESPOND_* bits. */
CRE_API int cre_worker_respond(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                               unsigned options, const void *fields, size_t fields_length, const void *body,
                               size_t length);

/** RESPOND with CRE_RECORD_MORE_BODY: begins a response whose body continues with cre_worker_respond_body
 * until `final`. The connection is reset if this worker dies before. */
CRE_API int cre_worker_respond_more(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                                    unsigned options, const void *fields, size_t fields_length,
                                    const void *body, size_t length);

/** RESPOND_INTERIM: sends an interim response before the answer, with the results of
 * cre_engine_respond_interim as far as this process can know them. */
CRE_API int cre_worker_respond_interim(cre_worker *worker, cre_session session, uint8_t request,
                                       uint16_t status, const void *fields, size_t fields_length);

/** UPGRADE: answers the handshake of this number. `subprotocol` has `length` bytes; NULL: the port chooses.
 * The connection keeps `data`, up to CRE_MAX_USER_DATA bytes. OPEN or CLOSE follows when this returns 0. */
CRE_API int cre_worker_upgrade(cre_worker *worker, cre_session session, uint8_t request,
                               const char *subprotocol, size_t length, const void *fields,
                               size_t fields_length, const void *data, size_t data_length);

/** RESPOND_BODY: sends the next piece of a body, as cre_engine_respond_body. When the last piece cannot be
 * sent to another node (CRE_ELINK_FULL, CRE_ELIMIT, CRE_ENOMEM), the connection is reset. */
CRE_API int cre_worker_respond_body(cre_worker *worker, cre_session session, uint8_t request,
                                    const void *data, size_t length, bool final);

/** RESPOND_BODY: sends the last piece of a body, and trailers behind it, which are packed fields. */
CRE_API int cre_worker_respond_trailers(cre_worker *worker, cre_session session, uint8_t request,
                                        const void *data, size_t length, const void *trailers,
                                        size_t trailers_length);

/** RESPOND_FILE: answers with a part of a file, as cre_engine_respond_file. The owner of the connection opens
 * the file, with its own rights; another process does not report that it cannot. With `descriptor` the file
 * was opened before, and the range must lie within it: the owner does not open it again if it is this process
 * and the response need not wait for others. The descriptor is closed in any case; -1: there is none. */
CRE_API int cre_worker_respond_file(cre_worker *worker, cre_session session, uint8_t request, uint16_t status,
                                    bool close, const void *fields, size_t fields_length, const char *path,
                                    uint64_t offset, uint64_t length, int descriptor);

/** RESPOND_FOLDER_FILE: answers with a file beneath a folder, or parts of it. `description` is the payload
 * behind the fields: cre_folder_file and what follows it. The owner of the connection opens the file.
 * `descriptor` is as that of cre_worker_respond_file; the description has the state of the file then. */
CRE_API int cre_worker_respond_folder_file(cre_worker *worker, cre_session session, uint8_t request,
                                           uint16_t status, bool close, const void *fields,
                                           size_t fields_length, const void *description, size_t length,
                                           int descriptor);

/** Sends a CRE_MESSAGE_PIPE to the process of another node, with the results of cre_node_send. */
CRE_API int cre_worker_send_message(cre_worker *worker, uint32_t node, const void *data, size_t length);

/**
 * Asks the process of `owner`, a node that owns sockets, for its topics whose names contain `filter`. It
 * answers with CRE_MESSAGE_TOPIC_LIST of the same number when its loop comes to it, or not at all when it has
 * no memory. Returns 0, CRE_ELIMIT for a filter above CRE_MAX_TOPIC bytes, or an error of cre_node_send.
 */
CRE_API int cre_worker_ask_topics(cre_worker *worker, uint32_t owner, uint64_t number, const void *filter,
                                  size_t length);

/** Writes the list of this worker's own topics to `list`, which has CRE_TOPIC_LIST_BYTES. Returns its length,
 * 0 without an engine. */
CRE_API size_t cre_worker_list_topics(cre_worker *worker, const void *filter, size_t length, uint8_t *list);

/**
 * Asks the process of `owner`, a node that owns sockets and is not this one, how many connections of its are
 * subscribed to a topic, which may be that of a user. It answers with CRE_MESSAGE_COUNTED of the same number,
 * behind what this worker has sent to it before. Returns 0, CRE_EINVALID for the length of the topic, or an
 * error of cre_node_send.
 */
CRE_NODISCARD CRE_API int cre_worker_ask_count(cre_worker *worker, uint32_t owner, uint64_t number,
                                               const void *topic, size_t length);

/** Returns the number of this worker's own connections that are subscribed to a topic, 0 without an engine.
 */
CRE_API uint32_t cre_worker_count(cre_worker *worker, const void *topic, size_t length);

/** Adds up the counters of all engines of the bus and of their predecessors, as of the ends of their last
 * turns. Any thread or process. */
CRE_API void cre_bus_get_stats(const cre_bus *bus, cre_engine_stats *stats);

/** The durations of calls: of all tasks, and of a sample of the others, about one in 128; of all with
 * `slow_ns`. */
typedef struct cre_handler_times {
    uint64_t sum_ns;
    uint64_t counts[CRE_TIME_CLASSES]; /* calls, by the class of their duration (cre_time_limit) */
} cre_handler_times;

/** The number of kinds of calls that are counted apart. */
enum { CRE_HANDLERS = 15 };

/** Returns the kind (cre_event, cre_message, CRE_AT_...) that is counted at `index`; 0 for an unknown one. */
CRE_API uint32_t cre_handler_kind(uint32_t index);

/** What one node has counted, its predecessors included. A node without an engine or a loop has zeros there.
 */
typedef struct cre_node_stats {
    cre_engine_stats engine;
    cre_loop_stats loop;
    cre_handler_times handlers[CRE_HANDLERS]; /* by the index of cre_handler_kind */
} cre_node_stats;

/** Reads the counters of a node, as of the end of its last turn; all zero for an unknown node. Any thread or
 * process. */
CRE_API void cre_bus_get_node_stats(const cre_bus *bus, uint32_t node, cre_node_stats *stats);

/** Counts a failure that cre_acceptor_on_failure or cre_reactor_hand_over reported, in the place of `node`,
 * which has no engine. On that node's thread. */
CRE_API void cre_bus_count_accept_failure(cre_bus *bus, uint32_t node, int error, bool refused);

/** The configuration of a reactor. */
typedef struct cre_reactor_config {
    cre_bus *bus;  /* borrowed for the reactor's life */
    uint32_t node; /* of the reactor */
    /** The limits of the engine; size, on_event, context, congested, idle, half_open, table, shared_stats and
     * node are filled in. first_worker, worker_count and dispatch choose the workers. */
    cre_engine_config engine;
    /** A worker wrote invalid data and should be killed. On the reactor's thread, and again once a second
     * until its process is replaced. May be NULL. */
    void (*violation)(void *context, uint32_t worker);
    /** A worker has overwritten `count` values in shared memory, which were restored. On the reactor's
     * thread, at most once a second. May be NULL. */
    void (*repaired)(void *context, uint64_t count);
    /** Called on the reactor's thread before it serves, while cre_reactor_start waits; a negative result is
     * returned by cre_reactor_start. May be NULL. */
    int (*started)(void *context);
    void *context;
    /** Whose gateway gets the topics and members of the connections, as in the workers; borrowed for the
     * reactor's life. NULL: none. */
    const cre_cluster_place *cluster;
} cre_reactor_config;

/** Starts a thread with a loop and an engine, in which all signals are blocked. From then on all connections
 * of the bus must be owned by this process. Returns 0 and *reactor, which the caller stops, or CRE_EINVALID
 * for workers beyond the nodes of the bus, an error of cre_engine_create, cre_node_open or `started`,
 * CRE_ENOMEM or a system error. Any thread. */
CRE_NODISCARD CRE_API int cre_reactor_start(const cre_reactor_config *config, cre_reactor **reactor);

/** Hands a connected socket over to the reactor, with the results of cre_engine_hand_over. Any thread. */
CRE_API int cre_reactor_hand_over(cre_reactor *reactor, int descriptor, uint16_t port);

/** Hands a bound socket over to the reactor, which serves it as cre_engine_serve does, on its thread, and
 * closes it when it cannot. Returns 0, and the reactor owns the descriptor, or CRE_ENOMEM. Any thread. */
CRE_NODISCARD CRE_API int cre_reactor_serve(cre_reactor *reactor, int descriptor, uint16_t port);

/** Calls cre_engine_shutdown on the reactor's thread, which calls `done`. Another call only moves the
 * deadline. Returns 0 or CRE_ENOMEM. Any thread, one at a time. */
CRE_NODISCARD CRE_API int cre_reactor_shutdown(cre_reactor *reactor, uint32_t deadline_ms,
                                               void (*done)(void *context), void *context);

/** Stops the thread, waits for its end and frees the reactor. Not on the reactor's thread. NULL is ignored.
 */
CRE_API void cre_reactor_stop(cre_reactor *reactor);

CRE_END_DECLS

#endif
