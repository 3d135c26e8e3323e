/* The shared segment behind a bus. */
#ifndef CRE_BUS_INTERNAL_H
#define CRE_BUS_INTERNAL_H

#include <creactor/internal/bus.h>

#include "link/arena.h"
#include "link/backlog.h"
#include "link/ring.h"
#include "link/spill.h"

#define CRE__MAX_NODES 1024u

typedef struct cre__bus_header {
    uint32_t magic, version, nodes, ring_bytes, connections, max_payload;
    uint32_t sizes[8];
    uint64_t total;
} cre__bus_header;

/* Settings that change while the server runs: behind the header, in the page before the nodes. */
typedef struct cre__bus_control {
    _Alignas(64) _Atomic uint32_t log_level; /* 0: none was set */
    _Alignas(64) uint64_t server;            /* a random number that names this server in its cluster */
    uint64_t last_message;                   /* the last id that its gateway has given */
    _Atomic uint64_t full_shards; /* bits of the cluster's shards whose queue takes no more messages */
    _Alignas(64) cre_cluster_stats cluster;
} cre__bus_control;

#define CRE__CONTROL_OFFSET 2048u

typedef struct cre__node_block {
    _Alignas(64) _Atomic uint32_t sleeping; /* set by its loop before it waits, cleared by who wakes it */
    _Atomic uint32_t pid;
    _Atomic uint32_t generation; /* another one each time it is opened */
    /* Who has ever sent to it: rings that were never used are not looked at, and their pages never come to
     * be. */
    _Alignas(64) _Atomic uint64_t senders[CRE__MAX_NODES / 64];
} cre__node_block;

/* What the process of a node is at: written by it, read by those who watch it, and by its successor. */
typedef struct cre__activity_block {
    _Alignas(64) _Atomic uint64_t since_ms; /* when the callback began that runs now; 0: none does */
    _Atomic uint64_t session;               /* whom it is about */
    _Atomic uint32_t kind;                  /* of the last callback; stays when that is over */
    _Atomic uint32_t ending;                /* it ends in an orderly way, and why */
    _Atomic uint64_t served;
    _Atomic uint64_t last_task; /* the number of the task that it posted last */
    _Atomic uint64_t task;      /* the number of the task that it works on, 0: none */
    _Atomic uint32_t task_from, task_kind;
    _Atomic uint64_t task_taken; /* cre__bus_taken, once that task was taken */
    _Atomic uint64_t task_ended; /* cre__bus_published, once its poster can see its end; odd: not sent yet */
    /* The request that a worker has taken last, from which node, and cre__bus_taken once it was. */
    _Atomic uint64_t request_session, request_taken;
    _Atomic uint32_t request_from, request_number;
    _Alignas(64) _Atomic uint64_t tasks_given; /* to it, by all others */
    _Atomic uint64_t tasks_done;               /* by it, whatever became of them */
    _Alignas(64) _Atomic uint64_t counts[8];   /* by cre_bus_counter */
    _Alignas(64) _Atomic uint32_t requests;    /* in progress: request_load.c */
    _Atomic uint32_t requests_waiting;
    _Atomic uint64_t requests_refused;
} cre__activity_block;

struct cre_bus {
    cre_bus_config config;
    void *memory;
    size_t size; /* of the mapped part of the file */
    size_t ring_stride;
    uint32_t arena_bytes;   /* of each node */
    uint32_t backlog_bytes; /* of each node, for payloads */
    size_t backlog_stride;
    uint64_t spill_bytes; /* of each pair of nodes, in the file behind `size` */
    int memfd;
    int *eventfds;
    cre__bus_control *control;
    cre__node_block *nodes;
    uint8_t *shown; /* CRE__SHOWN_BYTES per node */
    cre__activity_block *activities;
    uint8_t *rings, *arenas, *backlogs, *journal;
    cre_table *table;
    pid_t guard; /* the process whose nodes look after all eventfds; 0: none */
};

/* What a node publishes for all others. The runtime defines the first part. */
#define CRE__SHOWN_BYTES 3072u

static inline void *cre__bus_shown(const cre_bus *bus, uint32_t node) {
    return bus->shown + (size_t)node * CRE__SHOWN_BYTES;
}

/* At its end: the duration of the turns of the node's loop. */
static inline cre_loop_stats *cre__bus_loop_stats(const cre_bus *bus, uint32_t node) {
    return (cre_loop_stats *)((uint8_t *)cre__bus_shown(bus, node) + CRE__SHOWN_BYTES) - 1;
}

static inline void *cre__bus_ring(const cre_bus *bus, uint32_t from, uint32_t to) {
    return bus->rings + ((size_t)from * bus->config.nodes + to) * bus->ring_stride;
}

static inline uint8_t *cre__bus_arena(const cre_bus *bus, uint32_t node) {
    return bus->arenas + (size_t)node * bus->arena_bytes;
}

static inline void *cre__bus_backlog(const cre_bus *bus, uint32_t node) {
    return bus->backlogs + (size_t)node * bus->backlog_stride;
}

static inline cre__spill_place cre__bus_spill(const cre_bus *bus, uint32_t from, uint32_t to) {
    uint64_t pair = (uint64_t)from * bus->config.nodes + to;
    return (cre__spill_place){ bus->memfd, bus->size + pair * bus->spill_bytes, bus->spill_bytes };
}

/* Counts values of a node without an engine that others had overwritten: runtime/stats.c. */
void cre__bus_count_repaired(cre_bus *bus, uint32_t node, uint64_t count);

/* cre_node_send with a limit of its own for what may queue: for events, which can no longer be deferred.
 * Whoever uses it stops their source when the node is congested. */
int cre__node_send(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *parts, int count,
                   size_t limit);

/* Whether the ring of the current record's sender has another record, which cre_node_take_next would
 * examine. */
bool cre__node_has_next(const cre_node *node);

/* Sends a record whose payload is the beginning of that which is being handled, an event of the same node, by
 * reference to the memory of that node. Returns false, and nothing was sent, when the payload is another one,
 * is small or was returned before, or when the ring is full. */
bool cre__node_return(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *payload);

/*
 * Room for a payload that will be sent: when a record consists of it, nothing is copied. The caller keeps it
 * until cre__node_give_room, also when it was sent meanwhile, and does not write to it after that. Returns
 * NULL when there is none. Other processes can read and write it.
 */
uint8_t *cre__node_take_room(cre_node *node, size_t size);
void cre__node_give_room(cre_node *node, uint8_t *room);

/* Publishes what was sent, and leaves it to the end of the turn to wake the receivers. */
void cre__node_publish(cre_node *node);

/* The position behind all that was sent to `to`, of ring and spill together; what cre__bus_published returns
 * once it is published. */
uint64_t cre__node_sent(const cre_node *node, uint32_t to);

/* Goes on reading from one node while this one is paused (cre_node_set_paused). */
void cre__node_never_pause(cre_node *node, uint32_t from);

/* Names the node that passes on what others have sent it. What it sends is read behind what those had sent
 * this node before. */
void cre__node_set_relay(cre_node *node, uint32_t from);

/* Whether this node has taken what another one has sent, up to a position of cre__node_sent there. */
bool cre__node_has_taken(const cre_node *node, uint32_t from, uint64_t mark);

/* The positions up to which records from `from` to `to` were published and taken, of ring and spill together.
 * They grow with each record, and outlive the processes. */
uint64_t cre__bus_published(const cre_bus *bus, uint32_t from, uint32_t to);
uint64_t cre__bus_taken(const cre_bus *bus, uint32_t from, uint32_t to);

/* Inside the handler of a record that is taken late: what cre__bus_taken will at least return when it is
 * taken. 0: it came in parts, and is taken already. */
uint64_t cre__node_mark(const cre_node *node);

/* Bytes of memory for records that are on their way: those that the node reassembles, those in the spills to
 * and from it, as far as their receivers have not taken them, and payloads in its arena that it has not taken
 * back. Valid until the node is closed. */
const uint64_t *cre__node_held(const cre_node *node);

/* Visits the records that the node reassembles, with the bytes of memory for each, and drops those for which
 * `visit` returns true: what is left of them is skipped, and no handler is called. */
void cre__node_each_partial(cre_node *node,
                            bool (*visit)(void *context, const cre_record *record, size_t bytes),
                            void *context);
/* Frees payloads in the arena whose records were served. Not before the arena is open. */
void cre__node_reclaim(cre_node *node);

/* Whether something that was sent to the node has not been taken. */
bool cre__node_has_unread(cre_node *node);

/* Whether the node's loop waits for something to do. Of a process that is gone: for a moment still. */
static inline bool cre__bus_sleeps(const cre_bus *bus, uint32_t node) {
    return atomic_load_explicit(&bus->nodes[node].sleeping, memory_order_relaxed);
}

/* Writes the node's eventfd if its loop sleeps. Call it after publishing. */
void cre__bus_wake(cre_bus *bus, uint32_t node);

/* Writes it in any case: a process that died while it woke the node has perhaps cleared `sleeping` and not
 * written the eventfd. */
void cre__bus_wake_always(cre_bus *bus, uint32_t node);

/* The same for all nodes to which the process of `node` has ever sent. */
void cre__bus_wake_receivers(cre_bus *bus, uint32_t node);

#endif
