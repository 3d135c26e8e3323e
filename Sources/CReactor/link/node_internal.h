/* A node's private state. */
#ifndef CRE_NODE_INTERNAL_H
#define CRE_NODE_INTERNAL_H

#include <uv.h>

#include "link/bus_internal.h"
#include "loop/loop_internal.h"

typedef struct outbound {
    cre__ring ring;
    cre__spill spill;
    uint64_t taken; /* of ring and spill, when last checked */
    uint32_t usual; /* payloads below this length go to the ring, in one piece; 0 while it is not open, or
                       records spill */
    bool open;
    bool spilling;       /* the spill was not empty when last looked at: all records go there */
    bool dirty;          /* in the node's list */
    bool unwoken;        /* something was published of which the consumer does not know yet */
    uint32_t generation; /* of the consumer, when last looked at */
    uint32_t roomed;     /* the flush in which `room` was called last */
    uint64_t held;       /* its part of the node's `held` */
    bool congested; /* the owner was notified, or could see, that records queue: `room` is due when they no
                       longer do */
} outbound;

/* A large record that is being put together from its chunks. */
typedef struct inbound {
    cre__ring ring;
    cre__spill spill;
    bool open;
    bool left_to_successor; /* nothing more is read */
    bool lost;              /* the record under way is lost: the rest of it is dropped... */
    bool unreported;        /* ...and its receiver is notified at its end */
    cre_record partial;
    uint64_t checked; /* where it stood when last checked; 0: none was under way */
    uint8_t *data;    /* NULL: no chunked record under way */
    size_t length, capacity;
    uint64_t held; /* its part of the node's `held` */
    uint64_t seen; /* the end of what it had sent when the relay was looked at */
} inbound;

struct cre_node {
    cre_bus *bus;
    cre_loop *loop;
    uint32_t id;
    pid_t pid; /* of this process */
    cre_node_handlers handlers;
    void *context;
    cre__hook drain, flush, arm;
    cre__watcher watcher; /* of its eventfd */
    cre_timer *check;     /* NULL: not due */
    inbound *in;
    outbound *out;
    uint32_t *dirty; /* destinations with something unpublished or queued */
    uint32_t dirty_count;
    uint32_t flushes;                      /* how often it was flushed */
    uint64_t senders[CRE__MAX_NODES / 64]; /* whose rings are open */
    uint64_t spin_ns;
    cre__arena arena;     /* for what it sends; opened with the first large record */
    cre__sent_runs *sent; /* by receiver; opened with the arena */
    uint64_t arena_held;  /* its part of `held` */
    uint64_t held;        /* bytes of large and spilled records on their way, in both directions */
    /* The whole record that is being handled, and its sender; NULL: none. */
    const cre_record *handled;
    uint32_t handled_from;
    /* Its payload, while it may be returned to the arena it is in; NULL: it may not. */
    const uint8_t *returnable;
    cre__reference reference;
    /* What its ring may still deliver in this turn. */
    uint32_t records_left;
    int64_t bytes_left;
    uint32_t relay;        /* cre__node_set_relay; UINT32_MAX: none */
    bool paused;           /* nothing is read for the time being, except from one node */
    uint32_t never_paused; /* UINT32_MAX: from none */
    bool used;             /* something was sent or received since the last check */
    bool active;           /* something was sent or received since it last thought of sleeping */
};

#define NODE_OF(hook, member) ((cre_node *)((char *)(hook) - offsetof(cre_node, member)))

/* Sets what one direction of a pair holds. */
static inline void cre__node_count_held(cre_node *node, uint64_t *part, uint64_t now) {
    node->held += now - *part;
    *part = now;
}

/* ---- send.c ---- */

static inline bool cre__outbound_unpublished(const outbound *out) {
    return cre__ring_unpublished(&out->ring) || out->spill.own != out->spill.published;
}

/* The ring first: what is in it is older. */
static inline void cre__outbound_publish(outbound *out) {
    if (cre__ring_unpublished(&out->ring)) {
        cre__ring_publish(&out->ring);
        out->unwoken = true;
    }
    if (__builtin_expect(out->spill.own != out->spill.published, 0)) {
        cre__spill_publish(&out->spill);
        out->unwoken = true;
    }
}

/* What a record set off is out before the next one is taken: if this process is killed in between, nothing is
 * half done. The wake-up, which is what costs, waits for the end of the turn. */
static inline void cre__node_publish_all(cre_node *node) {
    for (uint32_t i = 0; i < node->dirty_count; i++)
        cre__outbound_publish(&node->out[node->dirty[i]]);
}

/* The FLUSH hook: publishes and wakes. */
bool cre__node_flush(cre__hook *hook);
/* Resets the rings of a predecessor that were found corrupt. */
void cre__node_mend(cre_node *node);
/* Whether a consumer freed room for records that wait. */
bool cre__node_has_room_again(cre_node *node);
/* Gives back what a burst has used of the rings. */
void cre__node_trim(cre_node *node);
/* As cre__node_reclaim, and the arena's pages when it is no longer used.
 * Returns whether it is in use. */
bool cre__node_tidy_arena(cre_node *node);
void cre__node_free_outbound(cre_node *node);

/* ---- chunks.c ---- */

/* Adds a chunk. Returns what the handler of a whole record does, or a negative error when the sender breaks
 * the rules. */
int cre__chunks_add(cre_node *node, inbound *in, const cre_record *record, const uint8_t *payload);
/* Drops the record that is under way, if there is one. */
void cre__chunks_drop(inbound *in);

/* ---- repair.c ---- */

/* Compares what others can overwrite (the node's block, positions of its rings, the eventfds' flags) with
 * what the node knows, and restores that. Returns how many values differed. */
uint32_t cre__node_repair(cre_node *node);

/* Whether something that was sent has not been taken. Wakes those receivers that have taken nothing since the
 * last call: somebody else may have prevented their wake-up. */
bool cre__node_remind(cre_node *node);

#endif
