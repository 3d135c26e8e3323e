/* The sending side of a node. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "core/slices.h"
#include "link/node_internal.h"

#define SMALL_RECORD 256u

/* What is rare on the way of each record has functions of its own, so that the others keep their registers.
 */
static __attribute__((noinline)) void open_late(cre_node *node, uint32_t to) {
    outbound *out = &node->out[to];
    cre__ring_open_producer(&out->ring, cre__bus_ring(node->bus, node->id, to), node->bus->config.ring_bytes);
    cre__spill_open_producer(&out->spill, &out->ring, cre__bus_spill(node->bus, node->id, to));
    out->spilling = true; /* perhaps; see is_spilling */
    atomic_fetch_or(&node->bus->nodes[to].senders[node->id / 64], 1ull << (node->id % 64));
    out->open = true;
}

static inline outbound *open_outbound(cre_node *node, uint32_t to) {
    outbound *out = &node->out[to];
    if (__builtin_expect(!out->open, 0)) open_late(node, to);
    return out;
}

/* Whether records still wait in the spill. If not, the ring is used again. */
static inline bool is_spilling(outbound *out) {
    if (__builtin_expect(out->spilling, 0) && !cre__spill_queued(&out->spill)) out->spilling = false;
    return out->spilling;
}

static __attribute__((noinline)) void mend_for_successor(cre_node *node, outbound *out) {
    if (!cre__ring_mend(&out->ring)) return;
    if (node->sent) cre__arena_reclaim_all(&node->arena, &node->sent[out - node->out]);
    cre__spill_reset(&out->spill);
    out->spilling = false;
}

/* A consumer that was replaced may have found the ring in such a state that it could not go on. */
static void look_at_consumer(cre_node *node, uint32_t to) {
    outbound *out = &node->out[to];
    uint32_t now = atomic_load_explicit(&node->bus->nodes[to].generation, memory_order_acquire);
    if (now == out->generation) return;
    out->generation = now;
    mend_for_successor(node, out);
}

static __attribute__((noinline)) void begin_dirty(cre_node *node, uint32_t to) {
    node->out[to].dirty = true;
    if (node->loop) cre__loop_needs_flush(node->loop);
    node->dirty[node->dirty_count++] = to;
    look_at_consumer(node, to);
}

static inline void mark_dirty(cre_node *node, uint32_t to) {
    if (!node->out[to].dirty) begin_dirty(node, to);
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

/* The receiver writes how much it has taken: whatever that is, no more is counted than was sent since the
 * spill was empty. */
__attribute__((noinline)) static void count_outbound(cre_node *node, outbound *out) {
    uint64_t queued = 0;
    if (out->spilling) {
        const uint64_t written = out->spill.own - out->spill.begin;
        queued = cre__spill_queued(&out->spill);
        if (queued > written) queued = written;
    }
    cre__node_count_held(node, &out->held, queued);
}

/* Writes a record as one piece. False: the ring has no room. */
static inline __attribute__((always_inline)) bool write_whole(cre__ring *ring, const cre_record *record,
                                                              const cre_slice *parts, int count,
                                                              size_t total) {
    const uint16_t flags = record->flags & (uint16_t)~CRE__LINK_FLAGS;
    uint8_t *payload = cre__ring_write(ring, record, flags, (uint32_t)total);
    if (!payload) return false;
    cre__slices_join(payload, parts, count);
    return true;
}

/* ---- large payloads ---- */

void cre__node_reclaim(cre_node *node) {
    uint32_t left = node->arena.sent; /* in runs of further receivers, which are few */
    if (!left) return;
    for (uint32_t to = 0; left && to < node->bus->config.nodes; to++) {
        if (!node->sent[to].granules) continue;
        left -= node->sent[to].granules;
        const cre__ring_control *there = node->out[to].ring.control;
        const cre__ring_control *back = cre__bus_ring(node->bus, to, node->id);
        const inbound *in = &node->in[to];
        /* What a receiver has returned, it published before it freed the record: the order is important. */
        const uint64_t head = atomic_load_explicit(&there->head, memory_order_acquire);
        if (!cre__arena_is_freed(&node->arena, &node->sent[to], head)) continue;
        const uint64_t tail = atomic_load_explicit(&back->tail, memory_order_acquire);
        const uint64_t served =
            in->open ? in->ring.published : atomic_load_explicit(&back->head, memory_order_relaxed);
        if (node->sent[to].lends)
            cre__arena_reclaim_served(&node->arena, &node->sent[to], head, served, tail);
        else
            cre__arena_reclaim(&node->arena, &node->sent[to], head);
    }
    cre__node_count_held(node, &node->arena_held, (uint64_t)node->arena.sent * CRE__GRANULE);
}

typedef struct predecessor {
    cre__arena *arena;
    cre__sent_runs *sent;
} predecessor;

static void restore_run(void *context, const cre_record *record, const uint8_t *payload, uint64_t end) {
    const predecessor *it = context;
    cre__reference reference;
    const uint16_t kind = record->flags & (CRE_RECORD_REFERENCE | CRE_RECORD_RETURNED);
    if (kind != CRE_RECORD_REFERENCE || record->length != sizeof reference) return;
    memcpy(&reference, payload, sizeof reference);
    cre__arena_restore(it->arena, it->sent, &reference, end);
}

/* Receivers may still be reading what a predecessor sent. */
static bool open_arena(cre_node *node) {
    if (node->arena.runs) return true;
    if (!node->bus->arena_bytes) return false;
    if (!node->sent) node->sent = cre__calloc(node->bus->config.nodes, sizeof *node->sent);
    if (!node->sent || cre__arena_open(&node->arena, cre__bus_arena(node->bus, node->id),
                                       node->bus->arena_bytes, CRE__GRANULE))
        return false;
    for (uint32_t to = 0; to < node->bus->config.nodes; to++) {
        const uint64_t senders =
            atomic_load_explicit(&node->bus->nodes[to].senders[node->id / 64], memory_order_relaxed);
        node->sent[to].to = to;
        if (!(senders & 1ull << (node->id % 64))) continue;
        predecessor it = { &node->arena, &node->sent[to] };
        cre__ring_each_unfreed(&open_outbound(node, to)->ring, restore_run, &it);
    }
    /* A predecessor may have used any of it. */
    node->arena.touched = node->arena.granules;
    return true;
}

static uint8_t *take_room(cre_node *node, size_t size) {
    if (!open_arena(node)) return NULL;
    cre__node_reclaim(node);
    return cre__arena_take(&node->arena, size);
}

/* What nobody has sent yet may have half of the arena, so that there is room for other payloads. */
uint8_t *cre__node_take_room(cre_node *node, size_t size) {
    const uint64_t kept = (uint64_t)(node->arena.taken - node->arena.sent) * CRE__GRANULE;
    return kept + size <= node->bus->arena_bytes / 2 ? take_room(node, size) : NULL;
}

void cre__node_give_room(cre_node *node, uint8_t *room) {
    cre__arena_give(&node->arena, room);
}

/* Sends a record whose payload is, or goes, into the arena. One receiver may have half of it. False: there is
 * no room. */
static __attribute__((noinline)) bool send_reference(cre_node *node, outbound *out, const cre_record *record,
                                                     uint16_t flags, const cre_slice *parts, int count,
                                                     uint32_t total) {
    if (!open_arena(node)) return false;
    cre__sent_runs *sent = &node->sent[out - node->out];
    const uint64_t most = node->bus->arena_bytes / 2;
    if ((uint64_t)sent->granules * CRE__GRANULE + total > most) cre__node_reclaim(node);
    if ((uint64_t)sent->granules * CRE__GRANULE + total > most) return false;
    uint32_t run = CRE__NO_RUN;
    if (count == 1) run = cre__arena_run_at(&node->arena, parts->data, total);
    uint8_t *room = NULL;
    if (run == CRE__NO_RUN) {
        room = take_room(node, total);
        if (!room) return false;
        run = cre__arena_run_at(&node->arena, room, total);
    }
    const cre__reference reference = { run, total };
    uint8_t *at = cre__ring_write(&out->ring, record, flags | CRE_RECORD_REFERENCE, sizeof reference);
    if (at) {
        memcpy(at, &reference, sizeof reference);
        cre__arena_send(&node->arena, sent, run, out->ring.own);
        if (record->kind == CRE_EVENT_MESSAGE) sent->lends = true;
        size_t offset = 0;
        if (room) copy_parts(room, &parts, &offset, total);
        cre__node_count_held(node, &node->arena_held, (uint64_t)node->arena.sent * CRE__GRANULE);
    }
    if (room) cre__arena_give(&node->arena, room);
    return at != NULL;
}

bool cre__node_return(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *payload) {
    if (!node->handled || payload->data != node->returnable || to != node->handled_from ||
        node->handled->kind != CRE_EVENT_MESSAGE || payload->length < CRE__BY_REFERENCE ||
        payload->length > node->reference.length)
        return false;
    outbound *out = open_outbound(node, to);
    if (is_spilling(out)) return false;
    mark_dirty(node, to);
    const uint16_t flags =
        (record->flags & (uint16_t)~CRE__LINK_FLAGS) | CRE_RECORD_REFERENCE | CRE_RECORD_RETURNED;
    const cre__reference reference = { node->reference.granule, (uint32_t)payload->length };
    uint8_t *at = cre__ring_write(&out->ring, record, flags, sizeof reference);
    if (!at) return false;
    memcpy(at, &reference, sizeof reference);
    node->active = true;
    node->returnable = NULL; /* so that what is on its way is not more than the arena */
    return true;
}

bool cre__node_tidy_arena(cre_node *node) {
    if (!node->arena.runs) return false;
    cre__node_reclaim(node);
    if (!node->arena.active) cre__arena_trim(&node->arena);
    node->arena.active = false;
    return node->arena.touched != 0;
}

/* A record that is large, or has no room in the ring: by reference, in chunks, or to the spill. */
static __attribute__((noinline)) int send_specially(cre_node *node, outbound *out, const cre_record *record,
                                                    const cre_slice *parts, int count, size_t total) {
    const uint32_t chunk = cre__ring_max_payload(&out->ring);
    const uint64_t ring_before = out->ring.own, spill_before = out->spill.own;
    uint16_t flags = record->flags & (uint16_t)~CRE__LINK_FLAGS, continued = 0;
    if (total >= CRE__BY_REFERENCE && !out->spilling &&
        send_reference(node, out, record, flags, parts, count, (uint32_t)total))
        return 0;
    const cre_slice *part = parts;
    size_t offset = 0, left = total;
    do {
        uint32_t length = left > chunk ? chunk : (uint32_t)left;
        cre_record piece = *record;
        piece.flags = (uint16_t)(flags | continued | (left > length ? CRE_RECORD_MORE : 0));
        uint8_t *payload = out->spilling ? NULL : cre__ring_write(&out->ring, &piece, piece.flags, length);
        if (payload) {
            copy_parts(payload, &part, &offset, length);
        } else {
            int result = cre__spill_write(&out->spill, &piece, &part, &offset, length);
            if (result) { /* nothing of it was published */
                out->ring.own = ring_before;
                out->spill.own = spill_before;
                out->congested = true;
                count_outbound(node, out);
                return result;
            }
            out->spilling = out->congested = true;
            out->usual = 0;
            count_outbound(node, out);
        }
        left -= length;
        continued = CRE_RECORD_CONTINUED;
    } while (left);
    return 0;
}

/* Looks at what is rare: the ring is not open, or the spill was not empty. Returns 0 when the record may be
 * sent.
 */
static __attribute__((noinline)) int look_before_sending(cre_node *node, uint32_t to, size_t total,
                                                         size_t limit) {
    if (to == node->id) return CRE_EINVALID;
    outbound *out = open_outbound(node, to);
    const uint64_t queued = is_spilling(out) ? cre__spill_queued(&out->spill) : 0;
    if (queued && queued + total > limit) {
        out->congested = true;
        return CRE_ELINK_FULL;
    }
    const uint32_t whole = cre__ring_max_payload(&out->ring) + 1;
    if (!out->spilling) out->usual = whole < CRE__BY_REFERENCE ? whole : CRE__BY_REFERENCE;
    return 0;
}

/* Inline in both of its callers: it runs for each record. */
static inline __attribute__((always_inline)) int send_total(cre_node *node, uint32_t to,
                                                            const cre_record *record, const cre_slice *parts,
                                                            int count, size_t total, size_t limit) {
    if (to >= node->bus->config.nodes || !record->kind) return CRE_EINVALID;
    if (total > node->bus->config.max_payload) return CRE_ELIMIT;
    outbound *out = &node->out[to];
    if (__builtin_expect(!out->usual, 0)) {
        const int result = look_before_sending(node, to, total, limit);
        if (result) return result;
    }
    mark_dirty(node, to);
    node->active = true;
    if (__builtin_expect(total < out->usual, 1) && write_whole(&out->ring, record, parts, count, total))
        return 0;
    return send_specially(node, out, record, parts, count, total);
}

int cre_node_send(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *parts, int count) {
    /* One record may overshoot the limit, or a large one could never be sent; the next one may not. Small
     * ones (the end of a connection above all) find room in a reserve as large again. */
    size_t limit = node->bus->config.queue_bytes, total = cre__slices_length(parts, count);
    if (total <= SMALL_RECORD) limit *= 2;
    return send_total(node, to, record, parts, count, total, limit);
}

int cre__node_send(cre_node *node, uint32_t to, const cre_record *record, const cre_slice *parts, int count,
                   size_t limit) {
    return send_total(node, to, record, parts, count, cre__slices_length(parts, count), limit);
}

uint64_t cre__node_sent(const cre_node *node, uint32_t to) {
    const outbound *out = &node->out[to];
    return out->ring.own + out->spill.own;
}

bool cre__node_has_taken(const cre_node *node, uint32_t from, uint64_t mark) {
    const cre_bus *bus = node->bus;
    return from < bus->config.nodes && (from == node->id || cre__bus_taken(bus, from, node->id) >= mark);
}

bool cre_node_congested(const cre_node *node, uint32_t to) {
    if (to >= node->bus->config.nodes) return false;
    const outbound *out = &node->out[to];
    return out->open && out->spilling && cre__spill_queued(&out->spill);
}

/* As is_spilling; and who takes the last record wakes this node. */
static bool waits_for_room(outbound *out) {
    if (!is_spilling(out)) return false;
    atomic_store(&out->ring.control->producer_waits, 1);
    /* What was taken before the flag was seen is found by the next look. */
    atomic_thread_fence(memory_order_seq_cst);
    return is_spilling(out);
}

void cre__node_mend(cre_node *node) {
    for (uint32_t to = 0; to < node->bus->config.nodes; to++) {
        uint64_t senders =
            atomic_load_explicit(&node->bus->nodes[to].senders[node->id / 64], memory_order_relaxed);
        if (!(senders & 1ull << (node->id % 64))) continue;
        const cre__ring_control *control = cre__bus_ring(node->bus, node->id, to);
        if (atomic_load(&control->broken)) open_outbound(node, to);
    }
}

void cre__node_publish(cre_node *node) {
    cre__node_publish_all(node);
}

bool cre__node_flush(cre__hook *hook) {
    cre_node *node = NODE_OF(hook, flush);
    node->flushes++;
    for (uint32_t at = 0; at < node->dirty_count;) {
        uint32_t to = node->dirty[at];
        outbound *out = &node->out[to];
        if (out->spilling && !cre__outbound_unpublished(out)) look_at_consumer(node, to);
        cre__outbound_publish(out);
        if (out->unwoken) {
            out->unwoken = false;
            cre__bus_wake(node->bus, to);
        }
        /* It stays until nothing waits. `room` is called once per turn: with a consumer that is as fast as
         * what it sets off, this would never end, and nothing would be received. */
        const bool waits = out->spilling && waits_for_room(out);
        if (out->held) count_outbound(node, out);
        if (waits || out->roomed == node->flushes) {
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

void cre__node_trim(cre_node *node) {
    for (uint32_t to = 0; to < node->bus->config.nodes; to++)
        if (node->out[to].open) cre__ring_trim(&node->out[to].ring);
}

void cre__node_free_outbound(cre_node *node) {
    cre__arena_close(&node->arena);
    cre__free(node->sent);
    cre__free(node->out);
    cre__free(node->dirty);
}
