/*
 * The spill of a ring: where its records go while it is full.
 *
 * It is a part of the bus's file that no process maps: the producer writes records there, the consumer reads
 * them into memory of its own. So it can be large and costs nothing while it is not used. Records are laid
 * out as in a ring, in `capacity` bytes, and positions are byte counts that only grow.
 *
 * The order of records is that of the calls, by two rules. The producer uses the ring only while the spill is
 * empty: everything in the ring is older than everything in the spill. And the consumer looks for the end of
 * the spill before it finds the ring empty.
 *
 * Each time the spill was empty the producer starts again at the beginning of the part, so that few pages are
 * in use. The rest of the file's pages are given back by the consumer while it reads, and by the producer
 * when the spill is empty.
 */
#ifndef CRE_LINK_SPILL_H
#define CRE_LINK_SPILL_H

#include <creactor/buffer.h>

#include "link/ring.h"

/* Where a spill is. */
typedef struct cre__spill_place {
    int file;
    uint64_t offset, capacity; /* a power of two from CRE__SPILL_KEPT to 4 GiB */
} cre__spill_place;

/* The private state of one side. */
typedef struct cre__spill {
    cre__ring_control *control;
    cre__spill_place at;
    uint64_t own;       /* producer: written up to here; consumer: taken up to here */
    uint64_t published; /* producer: the end as last stored */
    uint64_t begin;     /* producer: of the first record since the spill was empty, behind a gap */
    uint64_t touched;   /* producer: pages up to here, from the beginning of the part, may be in use */
    uint32_t largest;   /* payload of one record */
    /* Consumer: bytes of the file from position `own` on. */
    uint8_t *buffer;
    uint32_t capacity, start, end;
    uint64_t given_back; /* consumer: pages up to this position */
} cre__spill;

/* Pages that are kept for the next time. */
#define CRE__SPILL_KEPT (1u << 20)

/* Both after the ring was opened on the same side. The consumer marks the ring as broken when the positions
 * are none. */
void cre__spill_open_producer(cre__spill *spill, const cre__ring *ring, cre__spill_place at);
void cre__spill_open_consumer(cre__spill *spill, cre__ring *ring, cre__spill_place at);
/* The consumer, when no record is in use: frees its buffer. */
void cre__spill_rest(cre__spill *spill);

/* Either side, when the ring was reset. */
void cre__spill_reset(cre__spill *spill);

/* ---- the producer ---- */

/* Bytes that wait in the spill. */
static inline uint64_t cre__spill_queued(const cre__spill *spill) {
    uint64_t taken = atomic_load_explicit(&spill->control->spill_taken, memory_order_acquire);
    uint64_t queued = spill->own - taken, gap = spill->begin - taken;
    return gap <= queued ? queued - gap : queued;
}

/* Writes a record with `length` bytes of payload: those of the slices from *part on, the first of them from
 * *offset on, both of which are moved on. Returns 0; CRE_ELINK_FULL or CRE_ENOMEM. */
int cre__spill_write(cre__spill *spill, const cre_record *record, const cre_slice **part, size_t *offset,
                     uint32_t length);

static inline void cre__spill_publish(cre__spill *spill) {
    spill->published = spill->own;
    atomic_store_explicit(&spill->control->spill_begin, spill->begin, memory_order_relaxed);
    atomic_store_explicit(&spill->control->spill_tail, spill->own, memory_order_release);
}

/* Gives back all pages. Only while nothing is queued. */
void cre__spill_trim(cre__spill *spill);

/* ---- the consumer ---- */

static inline uint64_t cre__spill_tail(const cre__spill *spill) {
    return atomic_load_explicit(&spill->control->spill_tail, memory_order_acquire);
}

/* As cre__ring_find, for the records up to `tail`, which is not `own`. *payload is valid until the next call;
 * also CRE_ENOMEM. */
int cre__spill_find(cre__spill *spill, uint64_t tail, cre_record *record, uint8_t **payload);

/* Marks the record that was found as taken. */
static inline void cre__spill_take(cre__spill *spill, const cre_record *record) {
    const uint32_t size = cre__record_size(record->length);
    spill->start += size;
    spill->own += size;
    atomic_store_explicit(&spill->control->spill_taken, spill->own, memory_order_release);
}

#endif
