/* The sending side of a node. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "link/node_internal.h"

#define SMALL_RECORD 256u

static outbound *open_outbound(cre_node *node, uint32_t to) {
    outbound *out = &node->out[to];
    if (out->open) return out;
    cre__ring_open_producer(&out->ring, cre__bus_ring(node->bus, node->id, to), node->bus->config.ring_bytes);
    atomic_fetch_or(&node->bus->nodes[to].senders[node->id / 64], 1ull << (node->id % 64));
    out->open = true;
    out->last = &out->first;
    return out;
}

/* A consumer that was replaced may have found the ring in such a state that it could not go on. */
static void look_at_consumer(cre_node *node, uint32_t to) {
    outbound *out = &node->out[to];
    uint32_t now = atomic_load_explicit(&node->bus->nodes[to].generation, memory_order_acquire);
    if (now == out->generation) return;
    out->generation = now;
    cre__ring_mend(&out->ring);
}

static void mark_dirty(cre_node *node, uint32_t to) {
    outbound *out = &node->out[to];
    if (out->dirty) return;
    out->dirty = true;
    node->dirty[node->dirty_count++] = to;
    look_at_consumer(node, to);
}

static void copy_parts(uint8_t *to, const cre_slice **part, size_t *offset, uint32_t length) {
    while (length) {
        size_t n = (*part)->length - *offset;
        if (n > length) n = length;
        if (n) memcpy(to, (*part)->data + *offset, n);
        to += n;
        length -= (uint32_t)n;
        *offset += n;
        if (*offset == (*part)->length) {
            (*part)++;
            *offset = 0;
        }
    }
}

static queued *enqueue(outbound *out, const cre_record *record, uint32_t length) {
    queued *item = cre__malloc(sizeof *item + length);
    if (!item) return NULL;
    item->next = NULL;
    item->record = *record;
    item->record.length = length;
    *out->last = item;
    out->last = &item->next;
    out->queued_bytes += length + sizeof *item;
    out->congested = true;
    return item;
}

static size_t total_of(const cre_slice *parts, int count) {
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].length;
    return total;
}

int cre_node_send(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *parts, int count) {
    /* One record may overshoot the limit, or a large one could never be sent; the next one may not. Small
     * ones (the end of a connection above all) find room in a reserve as large again. */
    size_t limit = node->bus->config.queue_bytes;
    if (total_of(parts, count) <= SMALL_RECORD) limit *= 2;
    return cre__node_send(node, to, record, parts, count, limit);
}

int cre__node_send(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *parts, int count,
                   size_t limit) {
    if (to >= node->bus->config.nodes || to == node->id || !record->kind) return CRE_EINVALID;
    size_t total = total_of(parts, count);
    if (total > node->bus->config.max_payload) return CRE_ELIMIT;

    outbound *out = open_outbound(node, to);
    if (out->queued_bytes && out->queued_bytes + total > limit) {
        out->congested = true;
        return CRE_ELINK_FULL;
    }
    mark_dirty(node, to);
    node->active = true;

    const uint32_t chunk = cre__ring_max_payload(&out->ring);
    const cre_slice *part = parts;
    size_t offset = 0, left = total;
    uint16_t flags = record->flags & (uint16_t)~(CRE_RECORD_MORE | CRE_RECORD_CONTINUED), continued = 0;
    do {
        uint32_t length = left > chunk ? chunk : (uint32_t)left;
        cre_record piece = *record;
        piece.flags = (uint16_t)(flags | continued | (left > length ? CRE_RECORD_MORE : 0));
        uint8_t *payload = out->first ? NULL : cre__ring_write(&out->ring, &piece, length);
        if (!payload) {
            queued *item = enqueue(out, &piece, length);
            if (!item) {
                /* What is out of this record already will be dropped by the receiver: it never ends. */
                return CRE_ENOMEM;
            }
            payload = item->payload;
        }
        copy_parts(payload, &part, &offset, length);
        left -= length;
        continued = CRE_RECORD_CONTINUED;
    } while (left);
    return 0;
}

bool cre_node_congested(const cre_node *node, uint32_t to) {
    return to < node->bus->config.nodes && node->out[to].open && node->out[to].first;
}

/* Moves queued records into the ring, as far as there is room. */
static void pump(outbound *out) {
    while (out->first) {
        queued *item = out->first;
        uint8_t *payload = cre__ring_write(&out->ring, &item->record, item->record.length);
        if (!payload) {
            atomic_store(&out->ring.control->producer_waits, 1);
            /* Room that came before the flag was seen is found by the next look. */
            atomic_thread_fence(memory_order_seq_cst);
            payload = cre__ring_write(&out->ring, &item->record, item->record.length);
            if (!payload) return;
        }
        memcpy(payload, item->payload, item->record.length);
        out->queued_bytes -= item->record.length + sizeof *item;
        out->first = item->next;
        if (!out->first) out->last = &out->first;
        cre__free(item);
    }
}

void cre__node_wake_receivers(cre_node *node) {
    for (uint32_t to = 0; to < node->bus->config.nodes; to++) {
        uint64_t senders =
            atomic_load_explicit(&node->bus->nodes[to].senders[node->id / 64], memory_order_relaxed);
        if (senders & 1ull << (node->id % 64)) cre__bus_wake(node->bus, to);
    }
}

bool cre__node_flush(cre__hook *hook) {
    cre_node *node = NODE_OF(hook, flush);
    node->flushes++;
    for (uint32_t at = 0; at < node->dirty_count;) {
        uint32_t to = node->dirty[at];
        outbound *out = &node->out[to];
        if (out->first) {
            if (!cre__ring_unpublished(&out->ring)) look_at_consumer(node, to);
            pump(out);
        }
        cre__outbound_publish(out);
        if (out->unwoken) {
            out->unwoken = false;
            cre__bus_wake(node->bus, to);
        }
        /* It stays until nothing waits. `room` is called once per turn: with a consumer that is as fast as
         * what it sets off, this would never end, and nothing would be received. */
        if (out->first || out->roomed == node->flushes) {
            at++;
            continue;
        }
        node->dirty[at] = node->dirty[--node->dirty_count];
        out->dirty = false;
        if (!out->congested) continue;
        out->congested = false;
        out->roomed = node->flushes;
        if (node->handlers.room) node->handlers.room(node->context, to); /* may send: that comes last */
    }
    return false;
}

/* What is in the list now waits for room. A consumer that took the flag away may have seen us awake. */
bool cre__node_has_room_again(cre_node *node) {
    for (uint32_t i = 0; i < node->dirty_count; i++) {
        cre__ring *ring = &node->out[node->dirty[i]].ring;
        if (!atomic_load_explicit(&ring->control->producer_waits, memory_order_relaxed)) return true;
    }
    return false;
}

void cre__node_free_outbound(cre_node *node) {
    for (uint32_t i = 0; node->out && i < node->bus->config.nodes; i++) {
        for (queued *item = node->out[i].first; item;) {
            queued *next = item->next;
            cre__free(item);
            item = next;
        }
    }
    cre__free(node->out);
    cre__free(node->dirty);
}
