/*
 * A single-producer single-consumer ring of records in shared memory.
 *
 * Positions are byte counts that only grow. The producer writes records and then publishes its tail; the
 * consumer marks each record as taken *before* it is served and gives the room back in batches. When the
 * consumer dies its successor goes on after the last record taken: what was being served is not served twice,
 * what was not is served. When the producer dies, what it had not published never existed.
 */
#ifndef CRE_LINK_RING_H
#define CRE_LINK_RING_H

#include <creactor/record.h>
#include <stdatomic.h>
#include <stdbool.h>

#define CRE__RING_ALIGN 16u

/* The part in shared memory; the data follows it. Each side writes only its own cache line. */
typedef struct cre__ring_control {
    _Alignas(64) _Atomic uint64_t tail; /* producer: published up to here */
    _Alignas(64) _Atomic uint64_t head; /* consumer: free up to here */
    _Atomic uint64_t taken;  /* consumer: being served or served up to here; head <= taken <= tail */
    _Atomic uint32_t broken; /* consumer: found nonsense; the next producer, or its own when the consumer was
                                replaced, starts it anew */
    _Alignas(64) _Atomic uint32_t producer_waits; /* producer: wants to be woken when there is room again */
} cre__ring_control;

/* One side's private view. */
typedef struct cre__ring {
    cre__ring_control *control;
    uint8_t *data;
    uint32_t capacity; /* power of two */
    uint64_t own;      /* producer: written up to here; consumer: served up to here */
    uint64_t other;    /* the other side's position when last looked at */
    uint64_t shown;    /* consumer: head as last stored; producer: tail as last stored */
    bool broken;       /* consumer: found nonsense, waits for a new producer */
} cre__ring;

/* Bytes of shared memory of one ring. */
static inline size_t cre__ring_size(uint32_t capacity) {
    return sizeof(cre__ring_control) + capacity;
}

void cre__ring_open_producer(cre__ring *ring, void *memory, uint32_t capacity);
void cre__ring_open_consumer(cre__ring *ring, void *memory, uint32_t capacity);

/* Producer: when the consumer has marked the ring as broken, both start anew at 0; what was in it is lost. */
bool cre__ring_mend(cre__ring *ring);

/* The largest payload of one record: a quarter of the ring, so that a large message never needs the ring
 * empty. */
static inline uint32_t cre__ring_max_payload(const cre__ring *ring) {
    return ring->capacity / 4 - (uint32_t)sizeof(cre_record);
}

/* Room for a record with `length` bytes of payload (at most cre__ring_max_payload), its header filled from
 * `record`, whose kind is not 0. Returns where the payload goes, or NULL when the ring is full now. */
uint8_t *cre__ring_write(cre__ring *ring, const cre_record *record, uint32_t length);

static inline bool cre__ring_unpublished(const cre__ring *ring) {
    return ring->own != ring->shown;
}

static inline void cre__ring_publish(cre__ring *ring) {
    ring->shown = ring->own;
    atomic_store_explicit(&ring->control->tail, ring->own, memory_order_release);
}

/*
 * The next record: 1 with a copy of its header in *record and *payload in the ring, 0 when there is none, or
 * CRE_ELINK_RECORD when what the producer wrote makes no sense. It is marked as taken. It stays valid until
 * cre__ring_release.
 */
int cre__ring_read(cre__ring *ring, cre_record *record, uint8_t **payload);

static inline bool cre__ring_has_more(cre__ring *ring) {
    return atomic_load_explicit(&ring->control->tail, memory_order_acquire) != ring->own;
}

/* After CRE_ELINK_RECORD: nothing more is read until a new producer has opened the ring. */
void cre__ring_break(cre__ring *ring);

/* Gives the room of everything read back. True when the producer waits for it and should be woken. */
bool cre__ring_release(cre__ring *ring);

#endif
