/*
 * The bus: records between threads and processes through shared memory.
 *
 * A bus is one segment of shared memory, made before the fork: a mailbox (node) for each loop that takes
 * part, a ring for each ordered pair of nodes, and the connection table. Each participating thread opens its
 * node and gets what others send it on its loop.
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

typedef struct cre_bus cre_bus;
typedef struct cre_node cre_node;

typedef struct cre_bus_config {
    uint32_t nodes;       /* 1...1024 */
    uint32_t ring_bytes;  /* power of two from 4096; 0: 1 MiB */
    uint32_t connections; /* limit of the connection table */
    uint32_t queue_bytes; /* what may wait behind one full ring; 0: 8 MiB */
    uint32_t max_payload; /* largest record, reassembled; 0: 16 MiB */
    uint32_t spin_ns;     /* how long a busy node looks for more before it sleeps; 0: not at all */
} cre_bus_config;

/** Maps the segment (a memfd) and makes one eventfd per node. The children of a fork share it. Returns 0,
 * CRE_EINVALID or a system error. */
CRE_NODISCARD CRE_API int cre_bus_create(const cre_bus_config *config, cre_bus **bus);

/**
 * Maps a bus again in a program that was executed again, from the descriptors that cre_bus_descriptors
 * returned, which are the bus's then. `config` must be that of its maker. CRE_ELINK_MISMATCH, and the
 * descriptors are the caller's: the bus is of another size, or of a version of this library that this one
 * does not understand.
 */
CRE_NODISCARD CRE_API int cre_bus_attach(const cre_bus_config *config, const int *descriptors, size_t count,
                                         cre_bus **bus);

/** The descriptors by which an executed program finds the bus; they are closed on exec unless that is
 * changed. Returns how many there are; when that is more than `capacity`, nothing was written. */
CRE_API size_t cre_bus_descriptors(const cre_bus *bus, int *descriptors, size_t capacity);

/** Unmaps the segment in this process and closes its descriptors; the memory lives until the last one has. */
CRE_API void cre_bus_destroy(cre_bus *bus);

CRE_API cre_table *cre_bus_table(cre_bus *bus);

/** The process that has a node open, 0 when there is none. Any thread or process. */
CRE_API pid_t cre_bus_pid(const cre_bus *bus, uint32_t node);

/** Forgets what a dead process had open as `node`, the connections that it owned above all. Call it before a
 * successor starts. */
CRE_API void cre_bus_forget(cre_bus *bus, uint32_t node);

typedef struct cre_node_handlers {
    /** A record came. The payload is borrowed until this returns, and aligned to 8; it may be written to.
     * Returns 0; 1 when what else its sender has sent is to wait for the next turn; or a negative error when
     * the record is invalid: then nothing more is read from its sender. */
    int (*record)(void *context, uint32_t from, const cre_record *record, uint8_t *payload);
    /** Nothing queues behind the ring to `to` any more, after it did. May be NULL. */
    void (*room)(void *context, uint32_t to);
    /** `from` wrote invalid data, or `record` reported that. Nothing of it is read until its process was
     * replaced. May be NULL. */
    void (*violation)(void *context, uint32_t from);
    /** A large record of `from` could not be put together for want of memory: of `record`, kind and session
     * are known, the payload is gone. The records behind it come as ever. May be NULL. */
    void (*lost)(void *context, uint32_t from, const cre_record *record);
    /** The end of a large record of `from`, of which a predecessor that died had taken the beginning: it is
     * dropped. Of `record` kind, opcode and session are known. May be NULL. */
    void (*rest)(void *context, uint32_t from, const cre_record *record);
} cre_node_handlers;

/**
 * Opens node `id` on `loop`, whose thread alone uses it from then on. Records that its predecessor left
 * unread come first. `handlers` is copied. Without a loop the node only sends, and what it sent leaves with
 * cre_node_flush. Returns 0 or an error.
 */
CRE_NODISCARD CRE_API int cre_node_open(cre_bus *bus, uint32_t id, cre_loop *loop,
                                        const cre_node_handlers *handlers, void *context, cre_node **node);

/** Publishes what was sent and closes the node; what queues behind a full ring is dropped (see
 * cre_node_congested). Not inside one of its handlers. */
CRE_API void cre_node_close(cre_node *node);

/**
 * Sends a record whose payload is `parts` one after the other (record->length is ignored). It is copied at
 * once, and published with all others at the end of the loop's turn. Returns 0; CRE_ELINK_FULL when the queue
 * behind the ring is full, CRE_ELIMIT when the payload is larger than max_payload, CRE_ENOMEM: then nothing
 * was sent.
 */
CRE_API int cre_node_send(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *parts,
                          int count);

/** Publishes what was sent and wakes who sleeps, without waiting for the end of the turn. */
CRE_API void cre_node_flush(cre_node *node);

/** Reads nothing more from the nodes [first, first + count), except the rest of a large record that came in
 * part; what they have sent, and will send, waits for the node's next owner, who opens it when this one has
 * closed it. Sending goes on. */
CRE_API void cre_node_stop_receiving(cre_node *node, uint32_t first, uint32_t count);

/** Whether a large record has come in part: closing the node now would lose it. */
CRE_API bool cre_node_receiving(const cre_node *node);

/** Stops reading from all nodes until reading is resumed, also within a record that was received in part. */
CRE_API void cre_node_pause(cre_node *node, bool pause);

/** The loops of all nodes, of those before them in the same places too: sums, and the longest turn of all.
 * Any thread or process. */
CRE_API void cre_bus_loop_stats(const cre_bus *bus, cre_loop_stats *stats);

/** Whether the ring to `to` is full now and records queue behind it: time to stop producing. */
CRE_API bool cre_node_congested(const cre_node *node, uint32_t to);

CRE_END_DECLS

#endif
