/* The write queue. What one turn writes to a transport is collected in chunks and sent in one system call. */
#include <creactor/error.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/memory.h"
#include "net/tls.h"
#include "net/transport.h"

#define MAX_FREE_CHUNKS 64
#define MAX_VECTORS     64

/* How much a transport may produce (of a file, for example) before others have their turn. */
#define PRODUCED_PER_TURN (1u << 20)

/* ---- chunks ---- */

static cre__chunk *take_chunk(cre__net *net, size_t capacity) {
    cre__chunk *chunk = net->free_chunks;
    if (capacity <= CRE__CHUNK_BYTES && chunk) {
        net->free_chunks = chunk->next;
        net->free_count--;
    } else {
        if (capacity < CRE__CHUNK_BYTES) capacity = CRE__CHUNK_BYTES;
        chunk = cre__malloc(sizeof *chunk + capacity);
        if (!chunk) return NULL;
        chunk->capacity = (uint32_t)capacity;
    }
    chunk->block = NULL;
    chunk->start = chunk->end = 0;
    return chunk;
}

static void give_chunk(cre__net *net, cre__chunk *chunk) {
    if (!chunk->block && chunk->capacity == CRE__CHUNK_BYTES && net->free_count < MAX_FREE_CHUNKS) {
        chunk->next = net->free_chunks;
        net->free_chunks = chunk;
        net->free_count++;
        return;
    }
    cre_block_release(chunk->block);
    cre__free(chunk);
}

static void add_chunk(cre__transport *transport, cre__chunk *chunk) {
    cre__chunk *last = transport->out_last;
    chunk->next = last ? last->next : chunk;
    if (last) last->next = chunk;
    transport->out_last = chunk;
}

static void remove_first(cre__transport *transport) {
    cre__chunk *last = transport->out_last, *first = last->next;
    if (first == last)
        transport->out_last = NULL;
    else
        last->next = first->next;
    give_chunk(transport->net, first);
}

/* ---- accounting ---- */

static const uint64_t nothing = 0;

void cre__net_set_transit(cre__net *net, const uint64_t *transit) {
    net->transit = transit ? transit : &nothing;
}

void cre__net_publish_total(cre__net *net) {
    uint64_t held = cre__net_held(net), change = held - net->reported;
    net->reported = held;
    if (net->total_held) atomic_fetch_add_explicit(net->total_held, change, memory_order_relaxed);
}

/* ---- filling ---- */

bool cre__queue_pending(const cre__transport *transport) {
    return transport->queued != 0; /* a chunk may be empty, when nothing was put into its room */
}

uint8_t *cre__queue_room_slowly(cre__transport *transport, size_t length) {
    cre__chunk *chunk = transport->out_last;
    if (!chunk || chunk->capacity - chunk->end < length) {
        chunk = take_chunk(transport->net, length);
        if (!chunk) return NULL;
        add_chunk(transport, chunk);
    }
    cre__transport_mark(transport);
    return chunk->data + chunk->end;
}

bool cre__queue_append(cre__transport *transport, const void *data, size_t length) {
    if (!length) return true;
    uint8_t *at = cre__queue_reserve(transport, length);
    if (at) memcpy(at, data, length);
    return at != NULL;
}

bool cre__queue_share(cre__transport *transport, cre_block *block, uint32_t start, uint32_t end) {
    cre__chunk *last = transport->out_last;
    if (last && last->block == block && last->end == start) {
        last->end = last->capacity = end; /* continues what is queued already */
    } else {
        cre__chunk *chunk = cre__malloc(sizeof *chunk);
        if (!chunk) return false;
        /* No room is left in it, so nothing is ever appended. */
        *chunk =
            (cre__chunk){ .block = cre_block_retain(block), .start = start, .end = end, .capacity = end };
        add_chunk(transport, chunk);
    }
    cre__queue_account(transport, end - start);
    cre__transport_mark(transport);
    return true;
}

/* ---- sending ---- */

void cre__queue_sent_directly(cre__transport *transport, size_t sent) {
    cre__net *net = transport->net;
    uint32_t now = (uint32_t)cre__loop_now(net->loop);
    bool report = (now ^ transport->last_send) >> CRE__ACTIVITY_SHIFT;
    transport->last_send = now;
    net->bytes_out += sent;
    if (report) net->events->active(transport, false);
}

/* Takes `sent` bytes off the queue, and copies them to `out` unless that is NULL. */
static inline __attribute__((always_inline)) void take(cre__transport *transport, size_t sent, uint8_t *out) {
    while (sent) {
        cre__chunk *chunk = transport->out_last->next;
        uint32_t n = chunk->end - chunk->start;
        if (out) {
            uint32_t copied = sent < n ? (uint32_t)sent : n;
            uint8_t *data = chunk->block ? cre_block_data(chunk->block) : chunk->data;
            memcpy(out, data + chunk->start, copied);
            out += copied;
        }
        if (sent < n) {
            chunk->start += (uint32_t)sent;
            return;
        }
        sent -= n;
        remove_first(transport);
    }
}

static void consume(cre__transport *transport, size_t sent) {
    cre__queue_account(transport, -(int64_t)sent);
    cre__queue_sent_directly(transport, sent);
    take(transport, sent, NULL);
}

size_t cre__queue_take(cre__transport *transport, uint8_t *out, size_t capacity) {
    size_t length = transport->queued < capacity ? transport->queued : capacity;
    if (!length) return 0;
    uint32_t now = (uint32_t)cre__loop_now(transport->net->loop);
    bool report = (now ^ transport->last_send) >> CRE__ACTIVITY_SHIFT;
    cre__queue_account(transport, -(int64_t)length);
    take(transport, length, out);
    transport->last_send = now;
    if (report) transport->net->events->active(transport, false);
    return length;
}

static ssize_t send_vectors(cre__transport *transport, struct iovec *vectors, size_t count) {
    struct msghdr message = { .msg_iov = vectors, .msg_iovlen = count };
    ssize_t sent;
    if (transport->tls) return cre__tls_send(transport, vectors, count);
    do
        sent = count == 1 ? send(transport->descriptor, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL)
                          : sendmsg(transport->descriptor, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

size_t cre__queue_send_now(cre__transport *transport, const uint8_t *data, size_t length) {
    struct iovec vector = { (void *)(uintptr_t)data, length };
    if (transport->tls) return 0; /* encrypting may fail the transport, and errors show at the flush */
    ssize_t sent = send_vectors(transport, &vector, 1);
    if (sent <= 0) return 0;
    cre__queue_sent_directly(transport, (size_t)sent);
    return (size_t)sent;
}

static size_t queue_vectors(const cre__transport *transport, struct iovec *vectors, size_t capacity) {
    cre__chunk *chunk = transport->out_last;
    size_t count = 0;
    if (!chunk) return 0;
    do {
        chunk = chunk->next;
        uint8_t *data = chunk->block ? cre_block_data(chunk->block) : chunk->data;
        vectors[count++] = (struct iovec){ data + chunk->start, chunk->end - chunk->start };
    } while (chunk != transport->out_last && count < capacity);
    return count;
}

/* Sends the queue; false: the transport is closed. */
static bool send_queue(cre__transport *transport) {
    while (cre__queue_pending(transport) && transport->state != CRE__TRANSPORT_CLOSED) {
        struct iovec vectors[MAX_VECTORS];
        size_t count = queue_vectors(transport, vectors, MAX_VECTORS), asked = 0;
        for (size_t i = 0; i < count; i++)
            asked += vectors[i].iov_len;
        ssize_t sent = send_vectors(transport, vectors, count);
        if (sent < 0 && errno != EAGAIN) {
            cre__transport_failed(transport, errno);
            return false;
        }
        if (sent > 0) consume(transport, (size_t)sent);
        transport->blocked = transport->tls ? transport->tls->sealed != NULL : sent < (ssize_t)asked;
        if (sent < (ssize_t)asked || transport->blocked) break;
    }
    return transport->state != CRE__TRANSPORT_CLOSED;
}

/* FINISHING, and everything is sent: ends this side, and closes when the peer has ended its side. */
static void leave(cre__transport *transport) {
    if (transport->tls && !cre__tls_shutdown(transport)) return; /* blocked; the next flush tries again */
    if (cre__transport_ended(transport)) {
        cre__transport_close(transport, false);
        return;
    }
    if (transport->half_closed) return;
    transport->half_closed = true;
    /* Closing at once would answer what the peer still sends with a reset, and a reset makes it lose what it
     * has not read yet. So only this side ends; the peer's end, or the deadline, closes the socket. */
    bool failed = shutdown(transport->descriptor, SHUT_WR) != 0;
    if (failed || transport->no_linger) cre__transport_close(transport, false);
}

void cre__queue_flush(cre__transport *transport) {
    const cre__transport_events *events = transport->net->events;
    uint32_t budget = PRODUCED_PER_TURN;
    do {
        if (!send_queue(transport)) return;
    } while (transport->producing && !transport->blocked && !cre__queue_pending(transport) &&
             events->writable(transport, &budget));
    if (transport->state == CRE__TRANSPORT_CLOSED) return;
    bool pending = cre__queue_pending(transport);
    if (transport->blocked && !pending && !transport->producing) transport->blocked = false;
    if (transport->blocked || (transport->watching & EPOLLOUT) || (transport->stopped & CRE__STOP_FULL)) {
        if (transport->state == CRE__TRANSPORT_OPEN) events->queue_changed(transport);
        cre__transport_update_watch(transport);
    }
    /* Asked again: what the event has caused may have been output, and the end. */
    if (transport->state == CRE__TRANSPORT_FINISHING && !cre__queue_pending(transport)) leave(transport);
}

int cre__queue_large(cre__transport *transport, const void *head, size_t head_length, const cre_slice *parts,
                     int count) {
    size_t total = head_length, sent = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].length;
    struct iovec vectors[MAX_VECTORS];
    size_t used = 0;
    if (!transport->blocked) used = queue_vectors(transport, vectors, MAX_VECTORS - 8);
    bool whole_queue = !transport->blocked && used < MAX_VECTORS - 8 && count <= 7;
    if (whole_queue) {
        size_t before = transport->queued;
        vectors[used++] = (struct iovec){ (void *)(uintptr_t)head, head_length };
        for (int i = 0; i < count; i++)
            if (parts[i].length)
                vectors[used++] = (struct iovec){ (void *)(uintptr_t)parts[i].data, parts[i].length };
        ssize_t result = send_vectors(transport, vectors, used);
        if (result < 0 && errno != EAGAIN) {
            cre__transport_failed(transport, errno);
            return CRE_EGONE;
        }
        if (result > 0) {
            size_t of_queue = (size_t)result < before ? (size_t)result : before;
            consume(transport, of_queue);
            sent = (size_t)result - of_queue;
            cre__queue_sent_directly(transport, sent);
        }
        if (sent < total) transport->blocked = true;
        if (sent == total) return 0; /* TLS may have kept encrypted bytes; the flush sends them */
    }
    /* The rest goes into one chunk of its own. */
    size_t left = total - sent;
    uint8_t *at = cre__queue_reserve(transport, left);
    if (!at) return CRE_ENOMEM;
    cre_slice first = { head, head_length };
    for (int i = -1; i < count; i++) {
        cre_slice part = i < 0 ? first : parts[i];
        size_t skip = sent < part.length ? sent : part.length;
        sent -= skip;
        if (part.length > skip) memcpy(at, part.data + skip, part.length - skip);
        at += part.length - skip;
    }
    if (transport->blocked) cre__transport_update_watch(transport); /* the flush reports the queue */
    return 0;
}

void cre__queue_drop(cre__transport *transport) {
    uint32_t dropped = 0;
    while (transport->out_last) {
        dropped += transport->out_last->next->end - transport->out_last->next->start;
        remove_first(transport);
    }
    cre__queue_account(transport, -(int64_t)dropped);
}

/* ---- all transports of a loop ---- */

static void carry(cre__transport *transport) {
    if (transport->linger_due && !transport->previous_timed)
        cre__transport_set_deadline(transport, transport->deadline);
    transport->linger_due = false;
    transport->net->events->carry(transport);
}

static void flush_first(cre__net *net) {
    cre__transport *transport = net->dirty;
    net->dirty = transport->next_dirty;
    transport->dirty = false;
    bool may_free = true;
    if (transport->turn_due) {
        transport->turn_due = false;
        may_free = net->events->turn(transport);
    }
    if (transport->state == CRE__TRANSPORT_CLOSED) {
        cre__loop_needs_flush(net->loop); /* for what its owner does when it is notified */
        if (may_free && !transport->dirty) net->events->free(transport);
        return;
    }
    if (transport->read_again) {
        transport->read_again = false;
        cre__transport_read(transport, 0);
    }
    if (!transport->blocked)
        cre__queue_flush(transport);
    else if (transport->carried)
        carry(transport);
    else if (transport->state == CRE__TRANSPORT_OPEN)
        net->events->queue_changed(transport); /* it has grown */
}

void cre__net_flush(cre__net *net) {
    while (net->dirty)
        flush_first(net);
    if (cre__net_held(net) != net->reported) cre__net_publish_total(net);
}

void cre__net_forget(cre__net *net) {
    while (net->dirty) {
        cre__transport *transport = net->dirty;
        net->dirty = transport->next_dirty;
        transport->dirty = false;
        if (transport->turn_due) net->events->turn(transport);
        if (transport->state == CRE__TRANSPORT_CLOSED && !transport->dirty) net->events->free(transport);
    }
}

int cre__net_init(cre__net *net, cre_loop *loop, const cre__transport_events *events) {
    net->loop = loop;
    net->events = events;
    net->transit = &nothing;
    net->slab = cre__malloc(CRE__SLAB);
    return net->slab ? 0 : CRE_ENOMEM;
}

void cre__net_deinit(cre__net *net) {
    while (net->free_chunks) {
        cre__chunk *next = net->free_chunks->next;
        cre__free(net->free_chunks);
        net->free_chunks = next;
    }
    net->free_count = 0;
    if (net->loop) cre__net_publish_total(net);
    cre_timer_stop(net->ticker);
    net->ticker = NULL;
    cre__free(net->tls_scratch);
    cre__free(net->slab);
}
