/*
 * Transports: connected sockets with TLS, a write queue and a deadline. A transport moves bytes and knows
 * nothing of what they mean; its owner embeds it and is called back.
 *
 * All transports of a loop share a cre__net. Everything here belongs to the thread of that loop.
 */
#ifndef CRE_NET_TRANSPORT_H
#define CRE_NET_TRANSPORT_H

#include <creactor/address.h>
#include <creactor/buffer.h>
#include <creactor/loop.h>
#include <creactor/tls.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/loop_internal.h"

typedef struct cre__transport cre__transport;
typedef struct cre__net cre__net;

/* ---- the write queue ---- */

#define CRE__CHUNK_BYTES 4056u

/* From this size on a payload is sent from where it is instead of being copied to the queue first. */
#define CRE__LARGE_PAYLOAD 4000u

typedef struct cre__chunk {
    struct cre__chunk *next; /* of the last one in a queue: the first */
    cre_block *block;        /* NULL: the bytes are in `data`; otherwise in this shared block */
    uint32_t start, end, capacity;
    uint8_t data[];
} cre__chunk;

/* ---- transports ---- */

typedef enum cre__transport_state {
    CRE__TRANSPORT_OPEN,
    CRE__TRANSPORT_FINISHING, /* sends its queue, ends its side, waits for the end of the peer's; input is
                                 dropped */
    CRE__TRANSPORT_CLOSED,    /* the socket is closed; the memory is freed at the end of the turn */
} cre__transport_state;

/* Reasons not to read. Reading goes on when none is left. */
enum {
    CRE__STOP_PAUSED = 1,    /* by PAUSE */
    CRE__STOP_CONGESTED = 2, /* the link to its worker is full */
    CRE__STOP_DEFERRED = 4,  /* the protocol cannot take more input yet */
    CRE__STOP_FULL = 8,      /* the write queue is above its high watermark */
    CRE__STOP_ENDED = 16,    /* nothing more can be received */
    CRE__STOP_HELD = 32,     /* by PAUSE for the application */
    CRE__STOP_BEARER = 64,   /* the connection that carries it has too much output */
    CRE__STOP_COMMANDED = CRE__STOP_PAUSED | CRE__STOP_HELD,
};

/* The resolution at which memory for incomplete input is counted. */
#define CRE__BUFFERED_UNIT 64u

/* The resolution at which activity is reported: 128 ms. */
#define CRE__ACTIVITY_SHIFT 7

/* The result of `ended` when the socket's input has ended; errors are negative. */
#define CRE__INPUT_ENDED 0

typedef struct cre__transport_events {
    /* The transport is established: at once, or when its TLS handshake is complete. */
    void (*ready)(cre__transport *transport);
    /* Whether reading may go on. Called before each read. */
    bool (*may_read)(cre__transport *transport);
    /* Where to receive the next bytes, and how many at most; 0: into the loop's buffer. Called only while
     * `has_destination` is set. */
    size_t (*destination)(cre__transport *transport, uint8_t **at);
    /* Bytes were received. `data` may be written to and is valid until this returns. */
    void (*readable)(cre__transport *transport, uint8_t *data, size_t length, bool at_destination);
    /* The input has ended (CRE__INPUT_ENDED), or the transport failed: a negative error. Except after
     * CRE__INPUT_ENDED nothing can be sent any more. Called at most once for each. Not while FINISHING. */
    void (*ended)(cre__transport *transport, int error);
    /* The queue is empty and the socket takes more. Returns whether to go on at once; `budget` is the number
     * of bytes that may still be sent in this turn. Called only while `producing` is set. */
    bool (*writable)(cre__transport *transport, uint32_t *budget);
    /* The length of the queue has changed and more than the socket takes is in it. */
    void (*queue_changed)(cre__transport *transport);
    /* Bytes were received or sent; called only when the clock's CRE__ACTIVITY_SHIFT part has changed since.
     */
    void (*active)(cre__transport *transport, bool received);
    /* The deadline has passed. Not while FINISHING. */
    void (*due)(cre__transport *transport);
    /* The end of a turn in which it was asked for. False: keep the memory, it will be asked for again. */
    bool (*turn)(cre__transport *transport);
    /* It is closed and nothing refers to it any more: free its memory. */
    void (*free)(cre__transport *transport);
    /* Sets the address of the remote end if that is not the one of the socket, and returns true. May be NULL.
     */
    bool (*remote)(cre__transport *transport, cre_address *address);
    /* Of carried transports: its queue has changed, it has begun to finish, or it may be read or no longer.
     */
    void (*carry)(cre__transport *transport);
    /* ...and it is closed; `reset`: not in an orderly way. */
    void (*uncarry)(cre__transport *transport, bool reset);
} cre__transport_events;

struct cre__transport {
    cre__watcher watcher; /* first; unused while carried */
    cre__net *net;
    cre__chunk *out_last; /* of the queue; NULL: it is empty */
    cre__transport *next_dirty;
    cre__transport *next_timed, **previous_timed; /* a list of the wheel; previous_timed NULL: no deadline */
    struct cre__tls_conn *tls;                    /* NULL: plain */
    uint32_t deadline;                            /* tick */
    uint32_t last_receive, last_send;             /* the loop's time in ms, its lower half */
    uint32_t queued;                              /* bytes in the queue and encrypted bytes not sent */
    uint32_t message_since; /* the owner's: the loop's time in ms when an unfinished message began; 0: none */
    int descriptor;
    uint32_t buffered : 24; /* memory for input that is not complete, in units of CRE__BUFFERED_UNIT bytes */
    uint8_t state;          /* cre__transport_state */
    uint8_t stopped;        /* CRE__STOP_* */
    uint8_t watching;       /* EPOLLIN, EPOLLOUT: what the loop watches */
    bool dirty : 1;         /* in the list of transports to flush */
    bool turn_due : 1;      /* ...and `turn` is to be called */
    bool blocked : 1;       /* the socket takes no more output */
    bool half_closed : 1;   /* nothing more will be sent */
    bool reading : 1;       /* inside its read loop */
    bool established : 1;   /* `ready` was called */
    bool no_linger : 1;     /* FINISHING: closes without waiting for the end of the peer's input */
    bool read_again : 1;    /* TLS has input that poll does not know of: read at the end of the turn */
    bool carried : 1;       /* there is no socket: the owner carries its bytes; always `blocked` */
    bool linger_due : 1;    /* carried and FINISHING: the end of the turn sets the deadline, which is here in
                               milliseconds */
    /* Set by the owner: */
    bool has_destination : 1; /* ask `destination` before reading */
    bool producing : 1;       /* `writable` has more to send when the queue is empty */
};

/* What the transports of a loop share. */
#define CRE__WHEEL_SLOTS   256u
#define CRE__WHEEL_TICK_MS 256u /* a power of two: each postponed deadline divides by it */

/* One read takes at most this many bytes. */
#define CRE__SLAB 65536u

struct cre__net {
    cre_loop *loop;
    const cre__transport_events *events; /* the same for all transports */
    cre__transport *dirty;
    cre__chunk *free_chunks;
    uint32_t free_count;
    uint32_t open;                           /* transports that are not closed */
    uint64_t closed;                         /* transports that were closed so far */
    cre_timer *ticker;                       /* runs only while something has a deadline */
    bool keep_ticking;                       /* the owner needs the flush hook to run soon */
    cre__transport *wheel[CRE__WHEEL_SLOTS]; /* transports by deadline */
    uint32_t tick, timed;
    uint8_t *slab; /* CRE__SLAB bytes: one read */
    struct cre__tls_scratch *tls_scratch;
    uint64_t bytes_in, bytes_out;
    uint64_t tls_handshakes, tls_resumed, tls_failed;
    uint64_t queued;              /* bytes in all queues */
    uint64_t buffered;            /* bytes of memory for input that is not complete */
    const uint64_t *transit;      /* bytes that the owner holds for its transports elsewhere; never NULL */
    uint64_t reported;            /* of all three, added to *total_held */
    _Atomic uint64_t *total_held; /* over all loops of the server; NULL: there is only this one */
};

/* Bytes that all transports of the loop hold. */
static inline uint64_t cre__net_held(const cre__net *net) {
    return net->queued + net->buffered + *net->transit;
}

/* Sets where the owner counts what it holds; NULL: nothing. */
void cre__net_set_transit(cre__net *net, const uint64_t *transit);
/* Adds what this loop holds to the total of the server, as at the end of each turn. */
void cre__net_publish_total(cre__net *net);
int cre__net_init(cre__net *net, cre_loop *loop, const cre__transport_events *events);
/* After all transports are closed and cre__net_forget. */
void cre__net_deinit(cre__net *net);
/* Runs `turn` for all marked transports and sends their queues, until none is marked. */
void cre__net_flush(cre__net *net);
/* Like it, but sends nothing: before everything is destroyed. */
void cre__net_forget(cre__net *net);
/* Visits the transports that are FINISHING; `visit` may close the one it gets. */
void cre__net_each_finishing(cre__net *net, void (*visit)(cre__transport *transport, void *context),
                             void *context);
/* Closes the transports that are FINISHING. */
void cre__net_close_finishing(cre__net *net);
/* Those of them that have sent everything and wait only for the end of the peer's input. */
void cre__net_close_lingering(cre__net *net);
/* Starts the wheel's timer. Without memory there is none until somebody asks again. */
void cre__net_start_ticker(cre__net *net);

/* ---- life of a transport (transport.c) ---- */

/* Initialises `transport` (zeroed memory) for a connected, non-blocking socket. On success it owns
 * `descriptor` and is not read before cre__transport_start, which follows in the same turn. Returns 0 or a
 * negative error. */
int cre__transport_open(cre__transport *transport, cre__net *net, int descriptor);
/* Initialises `transport` (zeroed memory) as a carried one, which is established at once. Its owner takes its
 * output with cre__queue_take, reports its input itself, and is notified by `carry` and `uncarry`. */
void cre__transport_open_carried(cre__transport *transport, cre__net *net);
/* After an error before cre__transport_start: closes it without calling back anything but `free`. */
void cre__transport_discard(cre__transport *transport);
/* Starts reading; calls `ready` at once if there is no TLS. */
void cre__transport_start(cre__transport *transport);
/* Sends the queue, ends this side, then closes when the peer has ended its side or after `linger_ms`; 0: at
 * once when the queue is sent. */
void cre__transport_finish(cre__transport *transport, uint32_t linger_ms);
/* Closes at once and drops the queue; `reset`: the peer gets a TCP reset. */
void cre__transport_close(cre__transport *transport, bool reset);
/* Sets or clears reasons not to read. */
void cre__transport_stop(cre__transport *transport, uint8_t reasons);
void cre__transport_resume(cre__transport *transport, uint8_t reasons);
/* Has the loop watch the events that are needed now. */
void cre__transport_update_watch(cre__transport *transport);
/* Has the end of the turn flush the queue. */
void cre__transport_mark(cre__transport *transport);
/* Has it call `turn` before that. */
static inline void cre__transport_mark_turn(cre__transport *transport) {
    transport->turn_due = true;
    cre__transport_mark(transport);
}
/* Reads the socket now, at most `reads` times. */
void cre__transport_read(cre__transport *transport, uint8_t reads);
/* The transport failed with this errno; calls `ended`. */
void cre__transport_failed(cre__transport *transport, int error);

static inline bool cre__transport_ended(const cre__transport *transport) {
    return transport->stopped & CRE__STOP_ENDED;
}

/* ---- deadlines (wheel.c) ---- */

/* Sets the deadline; 0: none. */
void cre__transport_set_deadline(cre__transport *transport, uint32_t after_ms);

/* ---- the write queue (queue.c) ---- */

/* Changes the number of queued bytes, on the transport and in the total of its loop. */
static inline void cre__queue_account(cre__transport *transport, int64_t change) {
    transport->queued = (uint32_t)(transport->queued + change);
    transport->net->queued += (uint64_t)change;
}
/* Sets the number of bytes that the owner has buffered of input that is not complete: at most 1 GiB. */
static inline void cre__transport_set_buffered(cre__transport *transport, size_t bytes) {
    const uint32_t most = (1u << 24) - 1;
    size_t units = (bytes + CRE__BUFFERED_UNIT - 1) / CRE__BUFFERED_UNIT;
    uint32_t rounded = units < most ? (uint32_t)units : most;
    transport->net->buffered += ((uint64_t)rounded - transport->buffered) * CRE__BUFFERED_UNIT;
    transport->buffered = rounded & most;
}
/* Whether anything is left to send. */
bool cre__queue_pending(const cre__transport *transport);
/* Appends to the queue, which is sent at the end of the batch. False: no memory; nothing was queued. */
bool cre__queue_append(cre__transport *transport, const void *data, size_t length);
/* Room for `length` contiguous bytes at the end of the queue, to be filled at once; NULL: no memory. Nothing
 * is queued before cre__queue_commit. */
uint8_t *cre__queue_room_slowly(cre__transport *transport, size_t length);
static inline __attribute__((always_inline)) uint8_t *cre__queue_room(cre__transport *transport,
                                                                      size_t length) {
    cre__chunk *chunk = transport->out_last;
    if (!chunk || chunk->capacity - chunk->end < length || !transport->dirty)
        return cre__queue_room_slowly(transport, length);
    return chunk->data + chunk->end;
}
/* Queues the first `length` bytes of the room. */
static inline void cre__queue_commit(cre__transport *transport, size_t length) {
    transport->out_last->end += (uint32_t)length;
    cre__queue_account(transport, (int64_t)length);
}
/* Room of which all is queued. */
static inline __attribute__((always_inline)) uint8_t *cre__queue_reserve(cre__transport *transport,
                                                                         size_t length) {
    uint8_t *at = cre__queue_room(transport, length);
    if (at) cre__queue_commit(transport, length);
    return at;
}
/* Queues a header and a large payload, which is sent from where it is; only what the socket does not take is
 * copied. Returns 0, CRE_ENOMEM, or CRE_EGONE when the transport failed (and `ended` was called). */
int cre__queue_large(cre__transport *transport, const void *head, size_t head_length, const cre_slice *parts,
                     int count);
/* Queues a part of a shared block, which is retained. False: no memory. */
bool cre__queue_share(cre__transport *transport, cre_block *block, uint32_t start, uint32_t end);
/* With an empty queue: sends as much as the socket takes and returns how much that is. Errors show at the
 * next flush. */
size_t cre__queue_send_now(cre__transport *transport, const uint8_t *data, size_t length);
/* Accounts for `sent` bytes that were sent past the queue. */
void cre__queue_sent_directly(cre__transport *transport, size_t sent);
void cre__queue_flush(cre__transport *transport);
/* Moves up to `capacity` bytes from the queue of a carried transport to `out`. Returns their number. */
size_t cre__queue_take(cre__transport *transport, uint8_t *out, size_t capacity);
void cre__queue_drop(cre__transport *transport);
#endif
