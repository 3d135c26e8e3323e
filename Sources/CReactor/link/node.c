/* One loop's end of the bus: what it sends, what it receives, when it sleeps. */
#include <creactor/error.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "link/bus_internal.h"
#include "loop/loop_internal.h"

#define SMALL_RECORD 256u

/* What one ring delivers in a turn, so that a busy sender keeps neither the others nor the rest of the loop
 * waiting. */
#define BYTES_PER_TURN   (256u << 10)
#define RECORDS_PER_TURN 1024u

/* A record that waits because the ring is full. Its chunk flags are set already. */
typedef struct queued {
    struct queued *next;
    cre_record record;
    uint8_t payload[];
} queued;

typedef struct outbound {
    cre__ring ring;
    bool open;
    bool dirty;          /* in the node's list */
    bool unwoken;        /* something was published of which the consumer does not know yet */
    uint32_t generation; /* of the consumer, when last looked at */
    uint32_t roomed;     /* the flush in which `room` was called last */
    bool congested; /* the owner was notified, or could see, that records queue: `room` is due when they no
                       longer do */
    queued *first, **last;
    size_t queued_bytes;
} outbound;

/* A large record that is being put together from its chunks. */
typedef struct inbound {
    cre__ring ring;
    bool open;
    bool left_to_successor; /* nothing more is read */
    bool lost;              /* the record under way was reported as lost: the rest of it is dropped */
    cre_record partial;
    uint8_t *data; /* NULL: no chunked record under way */
    size_t length, capacity;
} inbound;

struct cre_node {
    cre_bus *bus;
    cre_loop *loop;
    uint32_t id;
    cre_node_handlers handlers;
    void *context;
    cre__hook drain, flush, arm;
    cre_watch *watch;
    inbound *in;
    outbound *out;
    uint32_t *dirty; /* destinations with something unpublished or queued */
    uint32_t dirty_count;
    uint32_t flushes; /* how often it was flushed */
    uint64_t spin_ns;
    bool paused; /* nothing is read for the time being */
    bool active; /* something was sent or received since it last thought of sleeping */
};

#define NODE_OF(hook, member) ((cre_node *)((char *)(hook) - offsetof(cre_node, member)))

/* ---- sending ---- */

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

static void publish(outbound *out) {
    if (!cre__ring_unpublished(&out->ring)) return;
    cre__ring_publish(&out->ring);
    out->unwoken = true;
}

/* What a record set off is out before the next one is taken: if this process is killed in between, nothing is
 * half done. The wake-up, which is what costs, waits for the end of the turn. */
static void publish_all(cre_node *node) {
    for (uint32_t i = 0; i < node->dirty_count; i++)
        publish(&node->out[node->dirty[i]]);
}

/* A predecessor may have published and died before it woke anybody. */
static void wake_receivers(cre_node *node) {
    for (uint32_t to = 0; to < node->bus->config.nodes; to++) {
        uint64_t senders =
            atomic_load_explicit(&node->bus->nodes[to].senders[node->id / 64], memory_order_relaxed);
        if (senders & 1ull << (node->id % 64)) cre__bus_wake(node->bus, to);
    }
}

static bool on_flush(cre__hook *hook) {
    cre_node *node = NODE_OF(hook, flush);
    node->flushes++;
    for (uint32_t at = 0; at < node->dirty_count;) {
        uint32_t to = node->dirty[at];
        outbound *out = &node->out[to];
        if (out->first) {
            if (!cre__ring_unpublished(&out->ring)) look_at_consumer(node, to);
            pump(out);
        }
        publish(out);
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

/* ---- receiving ---- */

static void drop_partial(inbound *in) {
    cre__free(in->data);
    in->data = NULL;
    in->length = in->capacity = 0;
}

/* Adds a chunk. Returns what the handler of a whole record does, or a negative error when the sender breaks
 * the rules. */
static int add_chunk(cre_node *node, inbound *in, const cre_record *record, const uint8_t *payload) {
    if (!(record->flags & CRE_RECORD_CONTINUED)) {
        drop_partial(in); /* its sender died half-way */
        in->lost = false;
        in->partial = *record;
    } else if (!in->data) {
        /* The rest of a record whose beginning went to a predecessor that died. */
        if (!(record->flags & CRE_RECORD_MORE) && !in->lost && node->handlers.rest)
            node->handlers.rest(node->context, (uint32_t)(in - node->in), record);
        return 0;
    }
    if (in->length + record->length > node->bus->config.max_payload) return CRE_ELINK_RECORD;
    if (in->length + record->length > in->capacity) {
        size_t capacity = in->capacity ? in->capacity * 2 : (size_t)record->length * 4;
        while (capacity < in->length + record->length)
            capacity *= 2;
        uint8_t *data = cre__realloc(in->data, capacity);
        if (!data) {
            drop_partial(in); /* the stream stays in step */
            in->lost = true;
            if (node->handlers.lost)
                node->handlers.lost(node->context, (uint32_t)(in - node->in), &in->partial);
            return 0;
        }
        in->data = data;
        in->capacity = capacity;
    }
    if (record->length) memcpy(in->data + in->length, payload, record->length);
    in->length += record->length;
    if (record->flags & CRE_RECORD_MORE) return 0;

    cre_record whole = in->partial;
    whole.flags &= (uint16_t)~(CRE_RECORD_MORE | CRE_RECORD_CONTINUED);
    whole.length = (uint32_t)in->length;
    uint8_t *data = in->data;
    in->data = NULL;
    in->length = in->capacity = 0;
    int result = node->handlers.record(node->context, (uint32_t)(in - node->in), &whole, data);
    cre__free(data);
    return result;
}

static void open_inbound(cre_node *node, uint32_t from) {
    inbound *in = &node->in[from];
    cre__ring_open_consumer(&in->ring, cre__bus_ring(node->bus, from, node->id),
                            node->bus->config.ring_bytes);
    in->open = true;
}

/* A large record of which the beginning was taken is taken whole: a successor could do nothing with the rest.
 * A node that is paused resumes by itself and is not notified until then. */
static bool leaves_alone(const cre_node *node, const inbound *in) {
    return node->paused || (in->left_to_successor && !in->data);
}

static void drain_ring(cre_node *node, uint32_t from) {
    inbound *in = &node->in[from];
    if (!in->open) open_inbound(node, from);
    const uint32_t share = in->ring.capacity / 4;
    cre_record record;
    uint8_t *payload;
    int result;
    const uint64_t budget = in->ring.capacity < BYTES_PER_TURN ? in->ring.capacity : BYTES_PER_TURN;
    uint32_t records = 0;
    for (uint64_t served = 0; served < budget && records < RECORDS_PER_TURN;
         served += sizeof record + record.length, records++) {
        if (leaves_alone(node, in)) break;
        result = cre__ring_read(&in->ring, &record, &payload);
        if (result == 0) break;
        node->active = true;
        if (result > 0) {
            if (record.flags & (CRE_RECORD_MORE | CRE_RECORD_CONTINUED))
                result = add_chunk(node, in, &record, payload);
            else {
                if (in->data) drop_partial(in);
                result = node->handlers.record(node->context, from, &record, payload);
            }
        }
        if (result < 0) {
            cre__ring_break(&in->ring);
            drop_partial(in);
            if (node->handlers.violation) node->handlers.violation(node->context, from);
            return;
        }
        publish_all(node);
        if (in->ring.own - in->ring.published > share && cre__ring_release(&in->ring))
            cre__bus_wake(node->bus, from);
        if (result > 0) break;
    }
    if (cre__ring_release(&in->ring)) cre__bus_wake(node->bus, from);
}

/* Calls `visit` for each node that has ever sent to this one, until it returns true. */
static bool each_sender(cre_node *node, bool (*visit)(cre_node *node, uint32_t from)) {
    cre__node_block *block = &node->bus->nodes[node->id];
    for (uint32_t word = 0; word * 64 < node->bus->config.nodes; word++) {
        uint64_t bits = atomic_load_explicit(&block->senders[word], memory_order_relaxed);
        for (; bits; bits &= bits - 1) {
            uint32_t from = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (from >= node->bus->config.nodes) break; /* the memory is shared: it may hold any bits */
            if (visit(node, from)) return true;
        }
    }
    return false;
}

static bool visit_open(cre_node *node, uint32_t from) {
    open_inbound(node, from);
    return false;
}

static bool visit_drain(cre_node *node, uint32_t from) {
    drain_ring(node, from);
    return false;
}

static bool on_drain(cre__hook *hook) {
    cre_node *node = NODE_OF(hook, drain);
    atomic_store_explicit(&node->bus->nodes[node->id].sleeping, 0, memory_order_relaxed);
    each_sender(node, visit_drain);
    return false;
}

/* ---- sleeping ---- */

static bool visit_pending(cre_node *node, uint32_t from) {
    inbound *in = &node->in[from];
    if (leaves_alone(node, in)) return false;
    if (!in->open) return true;
    if (in->ring.broken) return !atomic_load_explicit(&in->ring.control->broken, memory_order_relaxed);
    return cre__ring_has_more(&in->ring);
}

/* What is in the list now waits for room. A consumer that took the flag away may have seen us awake. */
static bool has_room_again(cre_node *node) {
    for (uint32_t i = 0; i < node->dirty_count; i++) {
        cre__ring *ring = &node->out[node->dirty[i]].ring;
        if (!atomic_load_explicit(&ring->control->producer_waits, memory_order_relaxed)) return true;
    }
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
    node->active = false;
    atomic_store_explicit(&block->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (!each_sender(node, visit_pending) && !has_room_again(node)) return false;
    atomic_store_explicit(&block->sleeping, 0, memory_order_relaxed);
    return true;
}

static void on_wake(void *context, int descriptor) {
    uint64_t count;
    (void)context; /* the drain that ends this turn does the work */
    ssize_t got = read(descriptor, &count, sizeof count);
    (void)got;
}

/* ---- opening and closing ---- */

/* Spinning on the only CPU there is keeps the other side from running. */
static bool may_spin(void) {
    cpu_set_t cpus;
    return sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

static void free_node(cre_node *node) {
    for (uint32_t i = 0; node->in && i < node->bus->config.nodes; i++)
        drop_partial(&node->in[i]);
    for (uint32_t i = 0; node->out && i < node->bus->config.nodes; i++) {
        for (queued *item = node->out[i].first; item;) {
            queued *next = item->next;
            cre__free(item);
            item = next;
        }
    }
    cre__free(node->in);
    cre__free(node->out);
    cre__free(node->dirty);
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
    node->handlers = *handlers;
    node->context = context;
    node->spin_ns = may_spin() ? bus->config.spin_ns : 0;
    node->in = cre__calloc(bus->config.nodes, sizeof *node->in);
    node->out = cre__calloc(bus->config.nodes, sizeof *node->out);
    node->dirty = cre__calloc(bus->config.nodes, sizeof *node->dirty);
    int result = node->in && node->out && node->dirty ? 0 : CRE_ENOMEM;
    if (!result && loop) result = cre_watch_start(loop, bus->eventfds[id], on_wake, node, &node->watch);
    if (result) {
        free_node(node);
        return result;
    }
    node->drain.run = on_drain;
    node->flush.run = on_flush;
    node->arm.run = on_arm;
    if (loop) {
        cre__loop_add_hook(loop, CRE__DRAIN, &node->drain);
        cre__loop_add_hook(loop, CRE__FLUSH, &node->flush);
        cre__loop_add_hook(loop, CRE__ARM, &node->arm);
        cre__loop_publish_stats(loop, cre__bus_loop_stats(bus, id));
    }
    cre__node_block *block = &bus->nodes[id];
    atomic_store(&block->pid, (uint32_t)getpid());
    /* What a predecessor left is looked at before the senders are notified of the new process. */
    each_sender(node, visit_open);
    atomic_fetch_add(&block->generation, 1);
    atomic_store(&block->sleeping, 0);
    wake_receivers(node);
    *out = node;
    return 0;
}

void cre_node_flush(cre_node *node) {
    on_flush(&node->flush);
}

void cre_node_stop_receiving(cre_node *node, uint32_t first, uint32_t count) {
    for (uint32_t from = first; count-- && from < node->bus->config.nodes; from++)
        node->in[from].left_to_successor = true;
}

bool cre_node_receiving(const cre_node *node) {
    for (uint32_t from = 0; from < node->bus->config.nodes; from++)
        if (node->in[from].data) return true;
    return false;
}

void cre_node_set_paused(cre_node *node, bool paused) {
    node->paused = paused; /* queued records are found by the look before the loop sleeps */
}

void cre_node_close(cre_node *node) {
    if (!node) return;
    on_flush(&node->flush);
    if (node->loop) {
        cre__loop_remove_hook(node->loop, CRE__DRAIN, &node->drain);
        cre__loop_remove_hook(node->loop, CRE__FLUSH, &node->flush);
        cre__loop_remove_hook(node->loop, CRE__ARM, &node->arm);
        cre_watch_stop(node->watch);
        cre__loop_publish_stats(node->loop, NULL);
    }
    atomic_store(&node->bus->nodes[node->id].pid, 0);
    free_node(node);
}
