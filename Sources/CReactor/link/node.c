/* One loop's end of the bus: what it receives, and when it sleeps. What it sends: send.c. */
#include <creactor/error.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "link/node_internal.h"

/* What one ring delivers in a turn, so that a busy sender keeps neither the others nor the rest of the loop
 * waiting. */
#define BYTES_PER_TURN   (256u << 10)
#define RECORDS_PER_TURN 1024u

/* ---- receiving ---- */

/* The last record of the spill was taken. */
static void wake_producer(cre_node *node, uint32_t from) {
    _Atomic uint32_t *waits = &node->in[from].ring.control->producer_waits;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(waits, memory_order_relaxed) && atomic_exchange(waits, 0))
        cre__bus_wake(node->bus, from);
}

static void open_inbound(cre_node *node, uint32_t from) {
    inbound *in = &node->in[from];
    cre__ring_open_consumer(&in->ring, cre__bus_ring(node->bus, from, node->id),
                            node->bus->config.ring_bytes);
    cre__spill_open_consumer(&in->spill, &in->ring, cre__bus_spill(node->bus, from, node->id));
    in->open = true;
    node->senders[from / 64] |= 1ull << (from % 64);
}

/* A large record of which the beginning was taken is taken whole: a successor could do nothing with the rest.
 * A node that is paused resumes by itself and is not notified until then. */
static bool leaves_alone(const cre_node *node, const inbound *in) {
    const bool is_paused = node->paused && (uint32_t)(in - node->in) != node->never_paused;
    return is_paused || (in->left_to_successor && !in->data);
}

/* `ring` and `spill` are the positions when it is taken. Returns whether it is taken later. */
static bool announce(cre_node *node, uint32_t from, const cre_record *record, uint64_t ring, uint64_t spill) {
    if (!node->handlers.taking) return !(record->flags & (CRE_RECORD_MORE | CRE_RECORD_CONTINUED));
    if (!(record->flags & CRE_RECORD_MORE)) node->handlers.taking(node->context, from, record, ring + spill);
    return false;
}

static inline bool is_announced(const cre_node *node, const cre_record *record) {
    return record->kind >= node->handlers.taking_first && record->kind <= node->handlers.taking_last;
}

static inline void take_from_ring(cre_node *node, uint32_t from, const cre_record *record) {
    cre__ring *ring = &node->in[from].ring;
    if (is_announced(node, record) &&
        announce(node, from, record, ring->next, atomic_load(&ring->control->spill_taken)))
        return;
    cre__ring_take(ring);
}

static void take_from_spill(cre_node *node, uint32_t from, const cre_record *record) {
    cre__spill *spill = &node->in[from].spill;
    if (is_announced(node, record) && announce(node, from, record, atomic_load(&spill->control->taken),
                                               spill->own + cre__record_size(record->length)))
        return;
    cre__spill_take(spill, record);
}

/* A record that was found and not taken before it was handled. */
static void take_late(cre_node *node, uint32_t from, const cre_record *record) {
    inbound *in = &node->in[from];
    if (in->ring.next != in->ring.own) {
        cre__ring_take(&in->ring);
        return;
    }
    cre__spill_take(&in->spill, record);
    if (in->spill.own == cre__spill_tail(&in->spill)) wake_producer(node, from);
}

/* The ring seemed to be empty. The end of the spill is looked up before that is certain: what is in the ring
 * then is older. */
static __attribute__((noinline)) int read_spill(cre_node *node, uint32_t from, cre_record *record,
                                                uint8_t **payload) {
    inbound *in = &node->in[from];
    const uint64_t tail = cre__spill_tail(&in->spill);
    int result = cre__ring_find(&in->ring, record, payload);
    if (result > 0) take_from_ring(node, from, record);
    if (result || tail == in->spill.own) return result;
    result = cre__spill_find(&in->spill, tail, record, payload);
    if (result == CRE_ENOMEM) return 0; /* later */
    if (result > 0) take_from_spill(node, from, record);
    if (in->spill.own == tail) wake_producer(node, from);
    return result;
}

static inline void count_delivered(cre_node *node, uint32_t length) {
    node->bytes_left -= (int64_t)(sizeof(cre_record) + length);
    node->records_left--;
}

static inline bool may_deliver(const cre_node *node) {
    return node->bytes_left > 0 && node->records_left;
}

bool cre__node_has_next(const cre_node *node) {
    if (!node->handled || !may_deliver(node)) return false;
    const inbound *in = &node->in[node->handled_from];
    return !leaves_alone(node, in) && cre__ring_has_more(&in->ring);
}

bool cre_node_take_next(cre_node *node, cre_record *record, uint8_t **payload) {
    if (!cre__node_has_next(node)) return false;
    inbound *in = &node->in[node->handled_from];
    cre__node_publish_all(node);
    node->returnable = NULL; /* the space of its record may be free */
    if (in->ring.own - in->ring.published > in->ring.capacity / 4) cre__ring_release(&in->ring);
    if (!cre__ring_find_like(&in->ring, node->handled, record, payload)) return false;
    cre__ring_take(&in->ring);
    count_delivered(node, record->length);
    return true;
}

/* Others write the position of the spill's end: whatever it is, a sender is counted for no more than may
 * queue. */
static uint64_t unread_of(const cre_node *node, const inbound *in) {
    const cre_bus_config *config = &node->bus->config;
    const uint64_t unread = cre__spill_tail(&in->spill) - in->spill.own;
    const uint64_t most = 2ull * config->queue_bytes + config->max_payload;
    return unread < most ? unread : most;
}

static void count_inbound(cre_node *node, inbound *in) {
    cre__node_count_held(node, &in->held, in->ring.broken ? 0 : in->capacity + unread_of(node, in));
}

/* Replaces a reference by what it refers to. It is read once. Returns 1; 0 when the record is lost, since the
 * ring in which its payload had arrived was reset; CRE_ELINK_RECORD when it is invalid. */
static int resolve(cre_node *node, uint32_t from, cre_record *record, uint8_t **payload) {
    const bool returned = record->flags & CRE_RECORD_RETURNED;
    const uint16_t kind = record->flags & CRE__LINK_FLAGS & (uint16_t)~CRE_RECORD_RETURNED;
    cre__reference *reference = &node->reference;
    if (kind != CRE_RECORD_REFERENCE || record->length != sizeof *reference) return CRE_ELINK_RECORD;
    memcpy(reference, *payload, sizeof *reference);
    uint8_t *found = cre__arena_find(cre__bus_arena(node->bus, returned ? node->id : from),
                                     node->bus->arena_bytes / CRE__GRANULE, reference);
    if (!found || reference->length > node->bus->config.max_payload) return CRE_ELINK_RECORD;
    if (returned && (!node->sent || !cre__arena_returned(&node->arena, &node->sent[from], reference))) {
        if (node->handlers.lost) node->handlers.lost(node->context, from, record);
        return 0;
    }
    record->flags &= (uint16_t)~CRE__LINK_FLAGS;
    record->length = reference->length;
    node->returnable = returned ? NULL : found;
    *payload = found;
    return 1;
}

static inline int handle_whole(cre_node *node, uint32_t from, const cre_record *record, uint8_t *payload) {
    inbound *in = &node->in[from];
    if (__builtin_expect(in->data != NULL, 0)) cre__chunks_drop(in); /* its sender died half-way */
    node->handled = record;
    node->handled_from = from;
    int result = node->handlers.record(node->context, from, record, payload);
    node->handled = NULL;
    node->returnable = NULL;
    return result;
}

/* A reference, or a chunk of a large record. Returns as handle_whole. */
static __attribute__((noinline)) int handle_large(cre_node *node, uint32_t from, cre_record *record,
                                                  uint8_t *payload) {
    if (!(record->flags & (CRE_RECORD_REFERENCE | CRE_RECORD_RETURNED))) {
        const int result = cre__chunks_add(node, &node->in[from], record, payload);
        return result == CRE_NODE_TAKE ? 0 : result;
    }
    const int result = resolve(node, from, record, &payload);
    return result > 0 ? handle_whole(node, from, record, payload) : result;
}

uint64_t cre__node_mark(const cre_node *node) {
    if (!node->handled) return 0;
    const inbound *in = &node->in[node->handled_from];
    const cre__ring_control *control = in->ring.control;
    if (in->ring.next != in->ring.own) return in->ring.next + atomic_load(&control->spill_taken);
    return atomic_load(&control->taken) + in->spill.own + cre__record_size(node->handled->length);
}

static inline bool has_unread(const inbound *in) {
    return cre__ring_has_more(&in->ring) || cre__spill_tail(&in->spill) != in->spill.own;
}

/* Also when that has to be found out: only reading notices that a broken ring was reset. */
static inline bool may_have_unread(const inbound *in) {
    return !in->open || in->ring.broken || has_unread(in);
}

static inline uint64_t position_of(const inbound *in) {
    return in->ring.own + in->spill.own;
}

static __attribute__((noinline)) void open_late(cre_node *node, uint32_t from) {
    const cre__ring_control *control = cre__bus_ring(node->bus, from, node->id);
    const bool was_broken = atomic_load(&control->broken);
    open_inbound(node, from);
    /* Its positions were none. The producer resets the ring when either process is replaced. */
    if (!was_broken && node->in[from].ring.broken && node->handlers.violation)
        node->handlers.violation(node->context, from);
}

/* `limit` is the position behind which nothing more is read in this turn. */
static void drain_ring(cre_node *node, uint32_t from, uint64_t limit) {
    inbound *in = &node->in[from];
    if (!in->open) open_late(node, from);
    const uint32_t share = in->ring.capacity / 4;
    cre_record record;
    uint8_t *payload;
    node->bytes_left = in->ring.capacity < BYTES_PER_TURN ? in->ring.capacity : BYTES_PER_TURN;
    for (node->records_left = RECORDS_PER_TURN; may_deliver(node); count_delivered(node, record.length)) {
        if (leaves_alone(node, in)) break;
        if (__builtin_expect(in->ring.broken, 0)) {
            if (!cre__ring_reopen(&in->ring)) break;
            cre__spill_reset(&in->spill);
            in->seen = 0;
        }
        if (position_of(in) >= limit) break;
        int result = cre__ring_find(&in->ring, &record, &payload);
        if (result > 0)
            take_from_ring(node, from, &record);
        else if (result == 0 && cre__spill_tail(&in->spill) != in->spill.own)
            result = read_spill(node, from, &record, &payload);
        if (result == 0) break;
        node->active = true;
        const bool is_large = result > 0 && record.flags & CRE__LINK_FLAGS;
        if (result > 0)
            result = __builtin_expect(is_large, 0) ? handle_large(node, from, &record, payload)
                                                   : handle_whole(node, from, &record, payload);
        if (result < 0) {
            cre__ring_break(&in->ring);
            cre__chunks_drop(in);
            count_inbound(node, in);
            in->seen = 0;
            if (node->handlers.violation) node->handlers.violation(node->context, from);
            return;
        }
        cre__node_publish_all(node);
        /* The space of a payload is larger than that of its record, and scarce. */
        if (is_large || in->ring.own - in->ring.published > share) cre__ring_release(&in->ring);
        if (result <= 0) continue;
        if (result != CRE_NODE_TAKE) break;
        take_late(node, from, &record);
    }
    cre__ring_release(&in->ring);
    /* A ring that was read to its end has an empty spill. */
    if (in->held || in->data || !may_deliver(node)) count_inbound(node, in);
}

/* Calls `visit` for each node that has ever sent to this one, until it returns true. Those that did are
 * remembered: the shared memory may hold any bits. */
static inline __attribute__((always_inline)) bool each_sender(cre_node *node,
                                                              bool (*visit)(cre_node *node, uint32_t from)) {
    cre__node_block *block = &node->bus->nodes[node->id];
    for (uint32_t word = 0; word * 64 < node->bus->config.nodes; word++) {
        uint64_t bits =
            node->senders[word] | atomic_load_explicit(&block->senders[word], memory_order_relaxed);
        for (; bits; bits &= bits - 1) {
            uint32_t from = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (from >= node->bus->config.nodes) break;
            if (visit(node, from)) return true;
        }
    }
    return false;
}

static bool visit_open(cre_node *node, uint32_t from) {
    open_inbound(node, from);
    inbound *in = &node->in[from];
    if (cre__spill_tail(&in->spill) == in->spill.own) {
        /* A predecessor took the last of it, and has perhaps died while it woke the producer. */
        atomic_store(&in->ring.control->producer_waits, 0);
        cre__bus_wake_always(node->bus, from);
    }
    return false;
}

static bool visit_drain(cre_node *node, uint32_t from) {
    if (from != node->relay && may_have_unread(&node->in[from])) drain_ring(node, from, UINT64_MAX);
    return false;
}

/* ---- what a relay passes on ---- */

/* Notes the position up to which a sender had sent. Others write the ends: they are further away by no more
 * than may be unread. */
static void see(cre_node *node, uint32_t from) {
    inbound *in = &node->in[from];
    if (!in->open) open_late(node, from);
    const uint64_t in_ring =
        atomic_load_explicit(&in->ring.control->tail, memory_order_acquire) - in->ring.own;
    in->seen =
        position_of(in) + unread_of(node, in) + (in_ring < in->ring.capacity ? in_ring : in->ring.capacity);
}

static bool visit_see(cre_node *node, uint32_t from) {
    if (from != node->relay) see(node, from);
    return false;
}

/* Whether something is still to be read that its sender had sent when it was seen. */
static inline bool has_seen(const inbound *in) {
    return !in->ring.broken && position_of(in) < in->seen && has_unread(in);
}

static bool visit_precedes(cre_node *node, uint32_t from) {
    const inbound *in = &node->in[from];
    return from != node->relay && has_seen(in) && !leaves_alone(node, in);
}

static void see_relay(cre_node *node) {
    const inbound *relay = &node->in[node->relay];
    if (has_seen(relay)) return;
    see(node, node->relay);
    if (has_unread(relay)) each_sender(node, visit_see);
}

/* What a relay sends may follow from what another node has sent both of them. So it is read behind all that
 * the others had sent when it was seen, which may take several turns. */
static void drain_relay(cre_node *node) {
    const inbound *relay = &node->in[node->relay];
    if (may_have_unread(relay) && !each_sender(node, visit_precedes))
        drain_ring(node, node->relay, relay->seen);
}

static bool on_drain(cre__hook *hook) {
    cre_node *node = NODE_OF(hook, drain);
    atomic_store_explicit(&node->bus->nodes[node->id].sleeping, 0, memory_order_relaxed);
    const bool has_relay = node->relay < node->bus->config.nodes;
    if (has_relay) see_relay(node);
    each_sender(node, visit_drain);
    if (has_relay) drain_relay(node);
    return false;
}

/* ---- once a second ---- */

#define CHECK_MS 1000u

static void on_check(void *context, cre_timer *timer);

/* Without memory the next turn tries again. */
static void start_check(cre_node *node) {
    if (node->check || !node->loop) return;
    if (cre_timer_start(node->loop, CHECK_MS, 0, on_check, node, &node->check)) node->check = NULL;
}

/* A sender may have died between publishing the beginning of a large record in the ring and its rest in the
 * spill. It is dropped when nothing came for a second, so that nobody waits for its end. Returns whether one
 * is under way. */
static bool drop_stale(cre_node *node, inbound *in) {
    const uint64_t at = position_of(in);
    if (in->data && in->checked == at && !has_unread(in)) {
        cre__chunks_drop(in);
        in->lost = in->unreported = true; /* if its sender was only stopped, the end comes */
        count_inbound(node, in);
    }
    in->checked = in->data ? at : 0;
    return in->data != NULL;
}

/* A node that is not used has no timer, so an idle process does not wake up. */
static void on_check(void *context, cre_timer *timer) {
    cre_node *node = context;
    cre_timer_stop(timer);
    node->check = NULL;
    bool again = node->used;
    node->used = false;
    if (!again) cre__node_trim(node);
    uint32_t repaired = cre__node_repair(node);
    again |= cre__node_remind(node);
    again |= cre__node_tidy_arena(node);
    for (uint32_t from = 0; from < node->bus->config.nodes; from++) {
        inbound *in = &node->in[from];
        if (!in->open) continue;
        again |= drop_stale(node, in);
        if (!in->ring.broken) continue;
        again = true;
        /* A successor has reset the ring before it showed its pid. Perhaps the pid was not known before. */
        if (node->handlers.violation && cre_bus_pid(node->bus, from) &&
            atomic_load(&in->ring.control->broken))
            node->handlers.violation(node->context, from);
    }
    if (node->handlers.check) again |= node->handlers.check(node->context, repaired);
    if (again) start_check(node);
}

/* ---- sleeping ---- */

static bool visit_pending(cre_node *node, uint32_t from) {
    inbound *in = &node->in[from];
    if (leaves_alone(node, in)) return false;
    if (!in->open) return true;
    if (in->ring.broken) return !atomic_load_explicit(&in->ring.control->broken, memory_order_relaxed);
    return has_unread(in);
}

bool cre__node_has_unread(cre_node *node) {
    for (uint32_t from = 0; from < node->bus->config.nodes; from++)
        if (node->in[from].open && has_unread(&node->in[from])) return true;
    return false;
}

static bool on_arm(cre__hook *hook) {
    cre_node *node = NODE_OF(hook, arm);
    cre__node_block *block = &node->bus->nodes[node->id];
    if (node->active && node->spin_ns) {
        /* A wake-up costs far more than a few microseconds of looking, when more is likely to come. */
        uint64_t until = uv_hrtime() + node->spin_ns;
        do {
            for (int i = 0; i < 8; i++) {
                if (each_sender(node, visit_pending)) return true;
#if defined(__x86_64__) || defined(__i386__)
                __builtin_ia32_pause();
#endif
            }
        } while (uv_hrtime() < until);
    }
    if (node->active) {
        node->active = false;
        node->used = true;
        if (!node->check) start_check(node);
    }
    atomic_store_explicit(&block->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (each_sender(node, visit_pending) || (node->dirty_count && cre__node_has_room_again(node))) {
        atomic_store_explicit(&block->sleeping, 0, memory_order_relaxed);
        return true;
    }
    if (node->arena.sent) cre__node_reclaim(node);
    return false;
}

static void on_wake(cre__watcher *watcher, uint32_t events) {
    (void)watcher; /* the drain that ends this turn does the work */
    (void)events;
}

/* ---- opening and closing ---- */

/* Spinning on the only CPU there is keeps the other side from running. */
static bool may_spin(void) {
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

static void free_node(cre_node *node) {
    for (uint32_t i = 0; node->in && i < node->bus->config.nodes; i++) {
        cre__chunks_drop(&node->in[i]);
        cre__spill_rest(&node->in[i].spill);
    }
    cre__free(node->in);
    cre__node_free_outbound(node);
    cre__free(node);
}

int cre_node_open(cre_bus *bus, uint32_t id, cre_loop *loop, const cre_node_handlers *handlers, void *context,
                  cre_node **out) {
    if (id >= bus->config.nodes || !handlers->record) return CRE_EINVALID;
    cre_node *node = cre__calloc(1, sizeof *node);
    if (!node) return CRE_ENOMEM;
    node->bus = bus;
    node->loop = loop;
    node->id = id;
    node->never_paused = node->relay = UINT32_MAX;
    node->pid = getpid();
    node->handlers = *handlers;
    if (!handlers->taking_first) node->handlers.taking_first = UINT8_MAX; /* no kind is between them */
    node->context = context;
    node->spin_ns = may_spin() ? bus->config.spin_ns : 0;
    node->in = cre__calloc(bus->config.nodes, sizeof *node->in);
    node->out = cre__calloc(bus->config.nodes, sizeof *node->out);
    node->dirty = cre__calloc(bus->config.nodes, sizeof *node->dirty);
    int result = node->in && node->out && node->dirty ? 0 : CRE_ENOMEM;
    node->watcher.ready = on_wake;
    /* Edge-triggered: each write wakes once, and nobody has to read. */
    if (!result && loop) result = cre__loop_watch(loop, bus->eventfds[id], &node->watcher, EPOLLIN | EPOLLET);
    if (result) {
        free_node(node);
        return result;
    }
    node->drain.run = on_drain;
    node->flush.run = cre__node_flush;
    node->arm.run = on_arm;
    if (loop) {
        cre__loop_add_hook(loop, CRE__DRAIN, &node->drain);
        cre__loop_add_hook(loop, CRE__FLUSH, &node->flush);
        cre__loop_add_hook(loop, CRE__ARM, &node->arm);
        cre__loop_publish_stats(loop, cre__bus_loop_stats(bus, id));
    }
    cre__node_block *block = &bus->nodes[id];
    cre__node_mend(node);
    atomic_store(&block->pid, (uint32_t)node->pid);
    /* What a predecessor left is looked at before the senders are notified of the new process. */
    each_sender(node, visit_open);
    /* Not by counting: the last value may be overwritten. */
    atomic_store(&block->generation, (uint32_t)(uv_hrtime() >> 8) | 1);
    atomic_store(&block->sleeping, 0);
    /* A predecessor may have published and died before it woke anybody. */
    cre__bus_wake_receivers(bus, id);
    start_check(node);
    *out = node;
    return 0;
}

void cre_node_flush(cre_node *node) {
    if (!node->loop) cre__node_repair(node); /* nothing else does */
    cre__node_flush(&node->flush);
}

void cre_node_stop_receiving(cre_node *node, uint32_t first, uint32_t count) {
    for (uint32_t from = first; count-- && from < node->bus->config.nodes; from++)
        node->in[from].left_to_successor = true;
}

const uint64_t *cre__node_held(const cre_node *node) {
    return &node->held;
}

void cre__node_each_partial(cre_node *node,
                            bool (*visit)(void *context, const cre_record *record, size_t bytes),
                            void *context) {
    for (uint32_t from = 0; from < node->bus->config.nodes; from++) {
        inbound *in = &node->in[from];
        if (!in->data || !visit(context, &in->partial, in->capacity)) continue;
        cre__chunks_drop(in);
        in->lost = true;
        count_inbound(node, in);
    }
}

bool cre_node_receiving(const cre_node *node) {
    for (uint32_t from = 0; from < node->bus->config.nodes; from++)
        if (node->in[from].data) return true;
    return false;
}

void cre_node_set_paused(cre_node *node, bool paused) {
    node->paused = paused; /* queued records are found by the look before the loop sleeps */
}

void cre__node_never_pause(cre_node *node, uint32_t from) {
    node->never_paused = from;
}

void cre__node_set_relay(cre_node *node, uint32_t from) {
    node->relay = from;
}

void cre_node_close(cre_node *node) {
    if (!node) return;
    node->handlers.room = NULL; /* what it uses may be freed already */
    cre__node_flush(&node->flush);
    if (node->loop) {
        cre__loop_remove_hook(node->loop, CRE__DRAIN, &node->drain);
        cre__loop_remove_hook(node->loop, CRE__FLUSH, &node->flush);
        cre__loop_remove_hook(node->loop, CRE__ARM, &node->arm);
        cre__loop_unwatch(node->loop, node->bus->eventfds[node->id], &node->watcher);
        cre_timer_stop(node->check);
        cre__loop_publish_stats(node->loop, NULL);
    }
    atomic_store(&node->bus->nodes[node->id].pid, 0);
    free_node(node);
}
