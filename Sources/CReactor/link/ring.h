/*
 * A single-producer single-consumer ring of records in shared memory.
 *
 * Positions are byte counts that only grow. The producer writes records and then publishes its tail. The
 * consumer marks each record as taken before it serves it, and frees space in batches. When the consumer
 * dies, its successor continues after the last record taken: a record that was being served is not served
 * twice, all later ones are served. When the producer dies, records that it has not published are lost.
 */
#ifndef CRE_LINK_RING_H
#define CRE_LINK_RING_H

#include <creactor/record.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define CRE__RING_ALIGN 16u

/* A header of kind 0 fills the end of the data when a record did not fit there. */
#define CRE__FILLER 0

/* The flags that only the link sets. */
#define CRE__LINK_FLAGS (CRE_RECORD_MORE | CRE_RECORD_CONTINUED | CRE_RECORD_REFERENCE | CRE_RECORD_RETURNED)

/* Bytes of a record with its header, up to where the next one may begin. */
static inline uint32_t cre__record_size(uint32_t payload) {
    return (uint32_t)sizeof(cre_record) + ((payload + CRE__RING_ALIGN - 1) & ~(CRE__RING_ALIGN - 1));
}

/* The control block in shared memory, followed by the data. Each side writes only its own cache line. */
typedef struct cre__ring_control {
    _Alignas(64) _Atomic uint64_t tail; /* producer: published up to here */
    _Atomic uint64_t spill_tail;        /* producer: the same in the spill (spill.h) */
    _Alignas(64) _Atomic uint64_t head; /* consumer: free up to here */
    _Atomic uint64_t taken;  /* consumer: being served or served up to here; head <= taken <= tail */
    _Atomic uint32_t broken; /* consumer: found a corrupt record; the next producer, or the same one when the
                                consumer was replaced, resets the ring */
    _Atomic uint64_t spill_taken; /* consumer: as `taken`, in the spill */
    _Alignas(64) _Atomic uint64_t
        spill_begin;                 /* producer: where the oldest record was when it began to spill */
    _Atomic uint32_t producer_waits; /* producer: requests a wake-up when the spill is empty */
} cre__ring_control;

/* The private state of one side. */
typedef struct cre__ring {
    cre__ring_control *control;
    uint8_t *data;
    uint32_t capacity;  /* power of two */
    uint64_t own;       /* producer: written up to here; consumer: served up to here */
    uint64_t other;     /* the other side's position when last loaded */
    uint64_t published; /* consumer: head as last stored; producer: tail as last stored */
    uint64_t next;      /* consumer: the end of the record that was found */
    uint32_t touched;   /* producer: pages up to here have been written since the last trim */
    uint32_t peak;      /* producer: bytes of recent bursts, as far as it has looked */
    bool broken;        /* consumer: found a corrupt record, waits for a reset */
} cre__ring;

/* Bytes of shared memory of one ring. */
static inline size_t cre__ring_size(uint32_t capacity) {
    return sizeof(cre__ring_control) + capacity;
}

void cre__ring_open_producer(cre__ring *ring, void *memory, uint32_t capacity);
void cre__ring_open_consumer(cre__ring *ring, void *memory, uint32_t capacity);

/* Producer: resets the ring if the consumer has marked it as broken: both start at 0, the records in it are
 * lost. */
bool cre__ring_mend(cre__ring *ring);

/* The largest payload of one record: a quarter of the ring, so that a large message never requires an empty
 * ring. */
static inline uint32_t cre__ring_max_payload(const cre__ring *ring) {
    return ring->capacity / 4 - (uint32_t)sizeof(cre_record);
}

/* A producer that finds the ring empty from CRE__REWIND_BYTES on starts again at its beginning, so that a
 * ring that is hardly used stays in its first pages. It looks once per page. */
#define CRE__REWIND_BYTES (32u << 10)
#define CRE__LOOK_BYTES   4096u

#define CRE__RING_PUT(at, field, value) memcpy((at) + offsetof(cre_record, field), &(value), sizeof(value))

/* Writes a header. Its fields are read one at a time: the caller has just stored them so, and a load of
 * several would wait until these stores have reached the cache. */
static inline void cre__ring_put_header(uint8_t *at, const volatile cre_record *record, uint16_t flags,
                                        uint32_t length) {
    const uint8_t kind = record->kind, opcode = record->opcode;
    const cre_session session = record->session;
    CRE__RING_PUT(at, length, length);
    CRE__RING_PUT(at, kind, kind);
    CRE__RING_PUT(at, opcode, opcode);
    CRE__RING_PUT(at, flags, flags);
    CRE__RING_PUT(at, session, session);
}

#undef CRE__RING_PUT

/* The same as cre__ring_write, which does itself what is usual. */
uint8_t *cre__ring_write_rarely(cre__ring *ring, const cre_record *record, uint16_t flags, uint32_t length);

/* Producer: reserves space for a record with `length` bytes of payload (at most cre__ring_max_payload) and
 * writes its header: that of `record`, whose kind is not 0, with other flags. Returns the payload's address,
 * or NULL when the ring is full. */
static inline uint8_t *cre__ring_write(cre__ring *ring, const cre_record *record, uint16_t flags,
                                       uint32_t length) {
    const uint32_t size = cre__record_size(length), at = (uint32_t)ring->own & (ring->capacity - 1);
    const bool looks = at / CRE__LOOK_BYTES != (at + size) / CRE__LOOK_BYTES && at >= CRE__REWIND_BYTES;
    if (__builtin_expect(
            looks || size > ring->capacity - at || ring->own + size - ring->other > ring->capacity, 0))
        return cre__ring_write_rarely(ring, record, flags, length);
    cre__ring_put_header(ring->data + at, record, flags, length);
    ring->own += size;
    return ring->data + at + sizeof *record;
}

/* Producer: gives the pages of a burst back when the ring is empty, except for those that an idle ring uses.
 * The memory is a shared mapping that begins and ends with a page. */
void cre__ring_trim(cre__ring *ring);

/* Producer: visits the published records whose space the consumer has not freed, as far as they are valid.
 * `end` is the position behind the record. */
void cre__ring_each_unfreed(const cre__ring *ring,
                            void (*visit)(void *context, const cre_record *record, const uint8_t *payload,
                                          uint64_t end),
                            void *context);

static inline bool cre__ring_unpublished(const cre__ring *ring) {
    return ring->own != ring->published;
}

static inline void cre__ring_publish(cre__ring *ring) {
    ring->published = ring->own;
    atomic_store_explicit(&ring->control->tail, ring->own, memory_order_release);
}

/* Consumer: marks the record that was found as taken: a successor will not get it. */
static inline void cre__ring_take(cre__ring *ring) {
    ring->own = ring->next;
    atomic_store_explicit(&ring->control->taken, ring->own, memory_order_release);
}

/* Consumer: whether a producer has reset the ring since it was marked as broken. Then it begins at 0. */
bool cre__ring_reopen(cre__ring *ring);

/* For cre__ring_find, when the header that it has found is that of a filler. */
int cre__ring_find_behind(cre__ring *ring, cre_record *record, uint8_t **payload);

/*
 * Consumer: finds the next record, which cre__ring_take marks as taken. Returns 1 with a copy of its header
 * in *record and *payload in the ring, valid until cre__ring_release; 0 when there is none; CRE_ELINK_RECORD
 * when the record is corrupt.
 */
static inline __attribute__((always_inline)) int cre__ring_find(cre__ring *ring, cre_record *record,
                                                                uint8_t **payload) {
    if (__builtin_expect(ring->broken, 0) && !cre__ring_reopen(ring)) return 0;
    /* The producer may be a misbehaving process: everything it wrote is checked before use, and each word of
     * it is read once, so that it cannot change after the check. */
    if (ring->own == ring->other) {
        const uint64_t tail = atomic_load_explicit(&ring->control->tail, memory_order_acquire);
        if (tail == ring->own) return 0;
        if (tail - ring->own > ring->capacity || (tail - ring->own) % CRE__RING_ALIGN)
            return CRE_ELINK_RECORD;
        ring->other = tail;
    }
    const uint64_t available = ring->other - ring->own;
    const uint32_t at = (uint32_t)ring->own & (ring->capacity - 1), to_end = ring->capacity - at;
    const uint64_t *const there = (const uint64_t *)(const void *)(ring->data + at);
    const uint64_t header[2] = { __atomic_load_n(&there[0], __ATOMIC_RELAXED),
                                 __atomic_load_n(&there[1], __ATOMIC_RELAXED) };
    _Static_assert(sizeof header == sizeof *record, "two words");
    memcpy(record, header, sizeof header);
    if (__builtin_expect(record->kind == CRE__FILLER, 0)) return cre__ring_find_behind(ring, record, payload);
    if (record->length > cre__ring_max_payload(ring)) return CRE_ELINK_RECORD;
    const uint32_t size = cre__record_size(record->length);
    if (size > available || size > to_end) return CRE_ELINK_RECORD;
    ring->next = ring->own + size;
    *payload = ring->data + at + sizeof *record;
    return 1;
}

/* Consumer: like cre__ring_find, for a whole record of the same kind and session as `like`. Returns 0 when
 * the next record is another one or is corrupt. The record before it was taken. */
int cre__ring_find_like(cre__ring *ring, const cre_record *like, cre_record *record, uint8_t **payload);

static inline bool cre__ring_has_more(const cre__ring *ring) {
    return atomic_load_explicit(&ring->control->tail, memory_order_acquire) != ring->own;
}

/* Consumer: marks the ring as broken after CRE_ELINK_RECORD; nothing is read until a producer has reset it.
 */
void cre__ring_break(cre__ring *ring);

/* Consumer: frees the space of all records read. */
static inline void cre__ring_release(cre__ring *ring) {
    if (ring->published == ring->own) return;
    ring->published = ring->own;
    atomic_store_explicit(&ring->control->head, ring->own, memory_order_release);
}

#endif
