/*
 * The bus: records between threads and processes through shared memory.
 *
 * A bus is one segment of shared memory, created before the fork: a mailbox (node) for each participating
 * loop, a ring for each ordered pair of nodes, and the connection table. Each participating thread opens its
 * node and receives on its loop. The functions of a node must be called on the thread that opened it.
 */
#ifndef CREACTOR_BUS_H
#define CREACTOR_BUS_H

#include <stdbool.h>
#include <sys/types.h>

#include "../buffer.h"
#include "../export.h"
#include "../loop.h"
#include "../record.h"
#include "../table.h"

CRE_BEGIN_DECLS

/** The mapping of a bus in one process. */
typedef struct cre_bus cre_bus;
/** A mailbox that one thread has open. */
typedef struct cre_node cre_node;

/** Records of all sizes travel in rings. */
#define CRE_BUS_NO_ARENA UINT32_MAX
/** What a worker defers is lost when its process dies. */
#define CRE_BUS_NO_BACKLOG UINT32_MAX

/** The sizes of a bus. A member of 0 takes its default. */
typedef struct cre_bus_config {
    uint32_t nodes;         /* 1...1024; required */
    uint32_t ring_bytes;    /* a power of two, 4 KiB to 1 GiB; 0: 1 MiB */
    uint32_t connections;   /* the limit of the connection table; required */
    uint32_t queue_bytes;   /* the most bytes in the spill behind one full ring; 0: 8 MiB */
    uint32_t max_payload;   /* bytes of the largest payload, reassembled; 0: 16 MiB */
    uint32_t spin_ns;       /* time for which a busy node looks for records before it sleeps; 0: none */
    uint32_t arena_bytes;   /* of each node, for payloads of 4 KiB and more: a multiple of 4 KiB up to 1 GiB;
                               0: 32 MiB; CRE_BUS_NO_ARENA: none */
    uint32_t backlog_bytes; /* of each node, for the payloads of events that a worker defers: a multiple of
                               4 KiB up to 1 GiB; 0: 4 MiB and max_payload; CRE_BUS_NO_BACKLOG: none */
    uint64_t journal_bytes; /* for the gateway of a cluster (cre_gateway_journal_bytes); 0: there is none */
} cre_bus_config;

/** Creates the segment (a memfd) and one eventfd per node. The children of a fork share it. Returns 0 and
 * *bus, which each process destroys, or CRE_EINVALID for a size out of its range, CRE_ENOMEM or a system
 * error. */
CRE_NODISCARD CRE_API int cre_bus_create(const cre_bus_config *config, cre_bus **bus);

/**
 * Maps the bus of another program, which executed this one, from the descriptors that cre_bus_descriptors
 * returned there. `config` must be the one that the bus was created with. Returns 0 and *bus, which owns the
 * descriptors; or CRE_ELINK_MISMATCH when the bus has another size or is from an incompatible version of the
 * library, CRE_EINVALID, CRE_ENOMEM or a system error, and the caller keeps the descriptors.
 */
CRE_NODISCARD CRE_API int cre_bus_attach(const cre_bus_config *config, const int *descriptors, size_t count,
                                         cre_bus **bus);

/** Copies the descriptors by which an executed program maps the bus, which owns them; they are closed on exec
 * unless the caller changes that. Returns their number; when that exceeds `capacity`, nothing is written. Any
 * thread. */
CRE_NODISCARD CRE_API size_t cre_bus_descriptors(const cre_bus *bus, int *descriptors, size_t capacity);

/** Unmaps the segment in this process and closes its descriptors, after the nodes of this process are closed;
 * other processes keep the bus. NULL is ignored. */
CRE_API void cre_bus_destroy(cre_bus *bus);

/** Returns the connection table, which the bus owns. Any thread. */
CRE_API cre_table *cre_bus_table(cre_bus *bus);

/** Returns the process that has a node open, 0 when there is none. Any thread or process. */
CRE_API pid_t cre_bus_pid(const cre_bus *bus, uint32_t node);

/** Releases what a dead process had open as `node`, its connections and requests above all. It must be called
 * before a successor starts. Any thread or process. */
CRE_API void cre_bus_forget(cre_bus *bus, uint32_t node);

/** Wakes the process of a node although there is nothing for it, so that its loop takes a turn; an unknown
 * node is ignored. Any thread or process. */
CRE_API void cre_bus_wake(cre_bus *bus, uint32_t node);

/** The requests that limits of concurrency count. */
typedef struct cre_request_load {
    uint64_t in_progress; /**< taken by a process and not answered */
    uint64_t waiting;     /**< of these, the ones whose handler was not called */
    uint64_t refused;     /**< since the server has started */
} cre_request_load;

/** Publishes the requests of a node that are in progress, and those of them that wait. The values replace
 * those of the last call, so an overwritten one does not stay. The process of the node. */
CRE_API void cre_bus_set_requests(cre_bus *bus, uint32_t node, uint32_t in_progress, uint32_t waiting);

/** Returns the place at which cre_bus_set_requests stores the requests in progress of a node, for a process
 * that publishes them at each change without it; NULL for an unknown node. It is valid until the bus is
 * destroyed. */
CRE_API uint32_t *cre_bus_requests_place(const cre_bus *bus, uint32_t node);

/** Returns the number of requests of all nodes that are in progress. Of two nodes that publish a request and
 * then call this, at least one counts both. Any process. */
CRE_API uint64_t cre_bus_requests_in_progress(const cre_bus *bus);

/** Counts a refused request. The process of the node. */
CRE_API void cre_bus_count_refused_request(cre_bus *bus, uint32_t node);

/** Copies the sums over all nodes. Any thread or process. */
CRE_API void cre_bus_get_request_load(const cre_bus *bus, cre_request_load *load);

/** What cre_node_handlers.record returns for a record that is taken when it has returned. */
enum { CRE_NODE_TAKE = 2 };

/** The callbacks of a node, called on its thread. */
typedef struct cre_node_handlers {
    /** Receives a record. The payload is borrowed until this returns, aligned to 8, and may be written to.
     * Returns 0; 1 to defer the further records of this sender to the next turn; CRE_NODE_TAKE; or a negative
     * error when the record is invalid, and reading from its sender stops. Required. */
    int (*record)(void *context, uint32_t from, const cre_record *record, uint8_t *payload);
    /** The spill to `to` is empty again. May be NULL. */
    void (*room)(void *context, uint32_t to);
    /** `from` wrote invalid data, or `record` returned an error. Nothing more is read from it until its
     * process is replaced; called again once a second until then. May be NULL. */
    void (*violation)(void *context, uint32_t from);
    /** A large record of `from` was lost, since there is no memory to reassemble it; called at its end.
     * `record` has its kind and session. Later records are received as usual. May be NULL. */
    void (*lost)(void *context, uint32_t from, const cre_record *record);
    /** Called before a record of a kind from `taking_first` to `taking_last` is taken, the last part of a
     * large one: a successor will not receive it when cre__bus_taken returns `mark`. Not for records of
     * cre_node_take_next.
     *
     * NULL with such kinds: a record of one of them that came in one piece is taken when `record` has
     * returned CRE_NODE_TAKE, as it must for each of these records. Until then a successor receives it. */
    void (*taking)(void *context, uint32_t from, const cre_record *record, uint64_t mark);
    uint8_t taking_first, taking_last; /* 0: `taking` is not called */
    /** The end of a large record of `from` was dropped, since a predecessor that died had read its beginning.
     * `record` has its kind, opcode and session. May be NULL. */
    void (*rest)(void *context, uint32_t from, const cre_record *record);
    /** Called about once a second while the node is used: `repaired` values of the node's own in shared
     * memory had been overwritten by somebody else and were restored. Returns whether to call again even if
     * the node is not used. Not without a loop. May be NULL. */
    bool (*check)(void *context, uint32_t repaired);
} cre_node_handlers;

/**
 * Opens node `id` on `loop`, on its thread. Records that a predecessor has not read are received first.
 * `handlers` is copied. Without a loop (NULL) the node only sends, and cre_node_flush publishes. Returns 0
 * and *node, which the caller closes, or CRE_EINVALID for an unknown node or a missing handler, CRE_ENOMEM or
 * a system error.
 */
CRE_NODISCARD CRE_API int cre_node_open(cre_bus *bus, uint32_t id, cre_loop *loop,
                                        const cre_node_handlers *handlers, void *context, cre_node **node);

/** Publishes sent records and closes the node, outside of its handlers. NULL is ignored. */
CRE_API void cre_node_close(cre_node *node);

/**
 * Sends a record whose payload is the concatenation of `parts`; record->length is ignored. The record is
 * copied before this returns to memory that outlives this process: the ring, the arena for a large payload,
 * or the spill behind the ring while that is full. It is published when the record or activity that is being
 * handled ends, else at the end of the loop's turn, and is received then even if this process is killed.
 * Returns 0; or, and nothing was sent, CRE_EINVALID for an unknown node, this one, or kind 0; CRE_ELINK_FULL
 * when the spill has queue_bytes; CRE_ELIMIT when the payload exceeds max_payload; CRE_ENOMEM.
 */
CRE_API int cre_node_send(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *parts,
                          int count);

/** Publishes sent records and wakes their receivers, without waiting for the end of the turn. */
CRE_API void cre_node_flush(cre_node *node);

/** Stops reading from the nodes [first, first + count), except the rest of a large record that was received
 * in part. Their records wait for the next process that opens the node, after this one has closed it. Sending
 * continues. */
CRE_API void cre_node_stop_receiving(cre_node *node, uint32_t first, uint32_t count);

/** Returns whether a large record was received in part: closing the node now would lose it. */
CRE_API bool cre_node_receiving(const cre_node *node);

/** Stops (`paused`) and resumes reading from all nodes but the gateway's, also within a record that was
 * received in part. */
CRE_API void cre_node_set_paused(cre_node *node, bool paused);

/**
 * Inside the handler of a whole record: takes the next record of the same sender, if that is there already,
 * is whole, and has the same kind and session. Everything that was sent so far is published before, as
 * between two records. Returns whether there was one; then the payload of the record in hand is no longer
 * valid, and the new one is until the next call or the end of the handler.
 */
CRE_API bool cre_node_take_next(cre_node *node, cre_record *record, uint8_t **payload);

/** Adds up the statistics of the loops of all nodes and of their predecessors; longest_ns is that of the
 * longest turn. Any thread or process. */
CRE_API void cre_bus_get_loop_stats(const cre_bus *bus, cre_loop_stats *stats);

/** What is counted for a node by others: by the process that starts and watches the node's one. */
typedef enum cre_bus_counter {
    CRE_COUNT_STARTS,          /* processes that were started for the node */
    CRE_COUNT_FAILURES,        /* processes that crashed, failed or were killed */
    CRE_COUNT_RELOADS_BEGUN,   /* reloads that the process of the node has begun */
    CRE_COUNT_RELOADS_ENDED,   /* of these: those that are complete */
    CRE_COUNT_RELOADS_ABORTED, /* of these: those that were aborted */
    CRE_BUS_COUNTERS,          /* their number */
} cre_bus_counter;

/** Increments a counter of a node; an unknown one is ignored. Any thread or process. */
CRE_API void cre_bus_count(const cre_bus *bus, uint32_t node, cre_bus_counter counter);

/** Returns a counter of a node; 0 for an unknown one. Any thread or process. */
CRE_API uint64_t cre_bus_counted(const cre_bus *bus, uint32_t node, cre_bus_counter counter);

/** What the gateway of the cluster and its predecessors have counted; the last members are of now. All are
 * uint64_t. */
typedef struct cre_cluster_stats {
    uint64_t published; /* messages of this server that the cluster has accepted... */
    uint64_t
        dropped; /* ...and that it has not: a full queue, no memory, refused, or lost with a connection */
    uint64_t received;          /* messages of subscribed topics */
    uint64_t delivered;         /* records with messages for processes that own sockets... */
    uint64_t skipped;           /* ...and those for which they had no room */
    uint64_t invalid;           /* received messages with an unknown format */
    uint64_t lost;              /* gaps in topics with history that could not be filled */
    uint64_t connects;          /* connections that were established */
    uint64_t breaks;            /* attempts and connections that failed */
    uint64_t connected, shards; /* shards with a connection, and all of them */
    uint64_t topics;            /* subscribed ones */
    uint64_t queued;            /* bytes of messages without a reply */
    uint64_t members;           /* of topics, of this server */
    uint64_t questions;         /* of processes of this server... */
    uint64_t questions_failed;  /* ...of these: those that were answered with an error... */
    uint64_t questions_open;    /* ...and those that wait for the cluster */
} cre_cluster_stats;

/** Copies the statistics of the cluster, zeros without one. Any thread or process. */
CRE_API void cre_bus_get_cluster_stats(const cre_bus *bus, cre_cluster_stats *stats);

/** Publishes a log level for all processes, 1 or more; 0: each process uses its own. Any thread or process.
 */
CRE_API void cre_bus_set_log_level(const cre_bus *bus, uint32_t level);

/** Returns the published log level, 0 when there is none. Any thread or process. */
CRE_API uint32_t cre_bus_log_level(const cre_bus *bus);

/** Returns whether records for `to` are in the spill, since the ring is full, so that the caller should stop
 * producing. */
CRE_API bool cre_node_congested(const cre_node *node, uint32_t to);

CRE_END_DECLS

#endif
