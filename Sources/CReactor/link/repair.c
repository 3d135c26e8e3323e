/* Repairs what others have overwritten in the shared memory of a node: it knows what is right. */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "link/node_internal.h"

static uint32_t restore32(_Atomic uint32_t *at, uint32_t value) {
    if (atomic_load_explicit(at, memory_order_relaxed) == value) return 0;
    atomic_store(at, value);
    return 1;
}

static uint32_t restore64(_Atomic uint64_t *at, uint64_t value) {
    if (atomic_load_explicit(at, memory_order_relaxed) == value) return 0;
    atomic_store(at, value);
    return 1;
}

static uint32_t restore_sender(cre_node *node, uint32_t to, uint32_t from) {
    _Atomic uint64_t *word = &node->bus->nodes[to].senders[from / 64];
    const uint64_t bit = 1ull << (from % 64);
    if (atomic_load_explicit(word, memory_order_relaxed) & bit) return 0;
    atomic_fetch_or(word, bit);
    return 1;
}

/* The sender's position; the reader has one of its own. */
static uint32_t repair_outbound(cre_node *node, uint32_t to) {
    cre__ring *ring = &node->out[to].ring;
    uint32_t repaired = restore_sender(node, to, node->id);
    if (atomic_load(&ring->control->broken)) return repaired; /* it is reset later */
    cre__spill *spill = &node->out[to].spill;
    if (spill->touched && !cre__spill_queued(spill)) cre__spill_trim(spill);
    return repaired + restore64(&ring->control->tail, ring->published) +
           restore64(&ring->control->spill_tail, spill->published);
}

static uint32_t repair_inbound(cre_node *node, uint32_t from) {
    cre__ring *ring = &node->in[from].ring;
    uint32_t repaired = restore_sender(node, node->id, from);
    if (ring->broken) return repaired;
    cre__spill *spill = &node->in[from].spill;
    if (cre__spill_tail(spill) == spill->own) cre__spill_rest(spill);
    return repaired + restore64(&ring->control->spill_taken, spill->own) +
           restore32(&ring->control->broken, 0) + restore64(&ring->control->taken, ring->own) +
           restore64(&ring->control->head, ring->published);
}

/*
 * Every process has the descriptors of all eventfds, and their flags are the same for all. One that blocks
 * stops a writer when the counter is full.
 */
static uint32_t repair_eventfd(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || flags & O_NONBLOCK) return 0;
    fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    uint64_t count, one = 1;
    if (read(descriptor, &count, sizeof count) < 0) count = 0; /* lets a blocked writer go on */
    if (write(descriptor, &one, sizeof one) < 0) count = 0;    /* and wakes the process */
    return 1;
}

uint32_t cre__node_repair(cre_node *node) {
    const cre_bus *bus = node->bus;
    uint32_t repaired = restore32(&bus->nodes[node->id].pid, (uint32_t)node->pid);
    for (uint32_t other = 0; other < bus->config.nodes; other++) {
        if (node->out[other].open) repaired += repair_outbound(node, other);
        if (node->in[other].open) repaired += repair_inbound(node, other);
    }
    if (bus->guard == node->pid)
        for (uint32_t i = 0; i < bus->config.nodes; i++)
            repaired += repair_eventfd(bus->eventfds[i]);
    return repaired;
}

bool cre__node_remind(cre_node *node) {
    bool unread = false;
    for (uint32_t to = 0; to < node->bus->config.nodes; to++) {
        outbound *out = &node->out[to];
        if (!out->open) continue;
        const cre__ring_control *control = out->ring.control;
        const uint64_t taken = atomic_load(&control->taken), spill_taken = atomic_load(&control->spill_taken);
        if (taken == out->ring.published && spill_taken == out->spill.published) continue;
        unread = true;
        if (taken + spill_taken == out->taken) {
            cre__bus_wake_always(node->bus, to);
        }
        out->taken = taken + spill_taken;
    }
    return unread;
}
