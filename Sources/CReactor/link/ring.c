#include "link/ring.h"

#include <creactor/error.h>
#include <string.h>
#include <sys/mman.h>

#include "core/round.h"

#define PAGE       4096u
#define PEAK_DECAY 64u /* a burst is forgotten within about a lap of small records */

static void open_ring(cre__ring *ring, void *memory, uint32_t capacity) {
    ring->control = memory;
    ring->data = (uint8_t *)memory + sizeof(cre__ring_control);
    ring->capacity = capacity;
}

/* Whether two positions can be those of a ring. */
static bool plausible(const cre__ring *ring, uint64_t from, uint64_t to) {
    return from % CRE__RING_ALIGN == 0 && to % CRE__RING_ALIGN == 0 && to - from <= ring->capacity;
}

bool cre__ring_mend(cre__ring *ring) {
    cre__ring_control *control = ring->control;
    if (!atomic_load(&control->broken)) return false;
    /* The consumer does not use a ring marked as broken, so its positions may be set, too. */
    atomic_store(&control->tail, 0);
    atomic_store(&control->taken, 0);
    atomic_store(&control->head, 0);
    atomic_store(&control->spill_tail, 0);
    atomic_store(&control->spill_taken, 0);
    atomic_store(&control->spill_begin, 0);
    atomic_store(&control->broken, 0);
    ring->own = ring->published = ring->other = 0;
    return true;
}

void cre__ring_open_producer(cre__ring *ring, void *memory, uint32_t capacity) {
    open_ring(ring, memory, capacity);
    if (cre__ring_mend(ring)) return;
    cre__ring_control *control = ring->control;
    uint64_t tail = atomic_load(&control->tail), taken = atomic_load(&control->taken);
    if (!plausible(ring, taken, tail)) {
        /* A predecessor has corrupted the ring. Only the consumer knows its real position; if it is another
         * one, it will mark the ring as broken. */
        tail = taken &= ~(uint64_t)(CRE__RING_ALIGN - 1);
        atomic_store(&control->tail, tail);
    }
    uint64_t head = atomic_load(&control->head);
    ring->own = ring->published = tail;
    ring->other = plausible(ring, head, tail) ? head : taken;
    ring->touched = tail ? capacity : 0; /* a predecessor may have written all of it */
}

void cre__ring_open_consumer(cre__ring *ring, void *memory, uint32_t capacity) {
    open_ring(ring, memory, capacity);
    cre__ring_control *control = ring->control;
    ring->broken = atomic_load(&control->broken);
    uint64_t taken = atomic_load(&control->taken);
    if (!ring->broken && !plausible(ring, taken, atomic_load(&control->tail))) cre__ring_break(ring);
    ring->own = taken;
    ring->other = taken;                           /* the first read loads it again */
    ring->published = atomic_load(&control->head); /* so that the first release wakes a waiting producer */
}

/* Until the consumer has passed the place, there is only the room in front of it: a producer of larger bursts
 * goes on. */
static __attribute__((noinline)) bool is_to_rewind(cre__ring *ring, uint32_t at, uint32_t size) {
    if (ring->touched < at + size) ring->touched = at + size;
    ring->other = atomic_load_explicit(&ring->control->head, memory_order_acquire);
    const uint32_t waiting = (uint32_t)(ring->own - ring->other) + size;
    if (ring->peak < waiting) ring->peak = waiting;
    if (ring->own != ring->other) return false;
    ring->peak -= ring->peak / PEAK_DECAY;
    return ring->peak + CRE__LOOK_BYTES <= at;
}

uint8_t *cre__ring_write_rarely(cre__ring *ring, const cre_record *record, uint16_t flags, uint32_t length) {
    uint32_t size = cre__record_size(length), at = (uint32_t)ring->own & (ring->capacity - 1);
    uint32_t to_end = ring->capacity - at, skip = size > to_end ? to_end : 0;
    if (__builtin_expect(at / CRE__LOOK_BYTES != (at + size) / CRE__LOOK_BYTES, 0) &&
        at >= CRE__REWIND_BYTES && is_to_rewind(ring, at, size))
        skip = to_end;
    if (ring->own + skip + size - ring->other > ring->capacity) {
        ring->other = atomic_load_explicit(&ring->control->head, memory_order_acquire);
        if (ring->own + skip + size - ring->other > ring->capacity) {
            ring->peak = ring->capacity;
            return NULL;
        }
    }
    if (skip) {
        cre_record filler = { .length = skip - (uint32_t)sizeof(cre_record), .kind = CRE__FILLER };
        memcpy(ring->data + at, &filler, sizeof filler);
        ring->own += skip;
        at = 0;
    }
    cre__ring_put_header(ring->data + at, record, flags, length);
    ring->own += size;
    return ring->data + at + sizeof *record;
}

void cre__ring_each_unfreed(const cre__ring *ring,
                            void (*visit)(void *context, const cre_record *record, const uint8_t *payload,
                                          uint64_t end),
                            void *context) {
    uint64_t at = atomic_load_explicit(&ring->control->head, memory_order_acquire);
    if (!plausible(ring, at, ring->published)) at = ring->other;
    if (!plausible(ring, at, ring->published)) return;
    while (at != ring->published) {
        cre_record record;
        const uint32_t start = (uint32_t)at & (ring->capacity - 1);
        const uint64_t left = ring->published - at;
        memcpy(&record, ring->data + start, sizeof record);
        if (record.length > ring->capacity - start - sizeof record || cre__record_size(record.length) > left)
            return;
        at += cre__record_size(record.length);
        if (record.kind != CRE__FILLER) visit(context, &record, ring->data + start + sizeof record, at);
    }
}

void cre__ring_trim(cre__ring *ring) {
    if (!ring->touched || ring->own != atomic_load_explicit(&ring->control->head, memory_order_acquire))
        return;
    uint32_t touched = ring->touched < ring->capacity ? ring->touched : ring->capacity;
    uint8_t *first = (uint8_t *)cre__round_up((uintptr_t)ring->data + CRE__REWIND_BYTES, PAGE);
    uint8_t *last = (uint8_t *)cre__round_up((uintptr_t)ring->data + touched, PAGE);
    if (first < last) madvise(first, (size_t)(last - first), MADV_REMOVE);
    ring->touched = 0;
}

void cre__ring_break(cre__ring *ring) {
    ring->broken = true;
    atomic_store(&ring->control->broken, 1);
}

static bool is_like(const cre_record *record, const cre_record *like) {
    return record->kind == like->kind && record->session == like->session &&
           !(record->flags & CRE__LINK_FLAGS);
}

bool cre__ring_reopen(cre__ring *ring) {
    if (atomic_load(&ring->control->broken)) return false;
    /* A new producer starts at 0 by definition; the position is not read. */
    ring->own = ring->other = ring->published = 0;
    ring->broken = false;
    return true;
}

/* A filler ends at the end of the data and does not begin at its beginning: two never follow each other, so a
 * producer cannot keep the consumer busy with them. */
int cre__ring_find_behind(cre__ring *ring, cre_record *record, uint8_t **payload) {
    const uint32_t at = (uint32_t)ring->own & (ring->capacity - 1), to_end = ring->capacity - at;
    if (!at || record->length != to_end - sizeof *record || to_end > ring->other - ring->own)
        return CRE_ELINK_RECORD;
    ring->next = ring->own + to_end;
    cre__ring_take(ring);
    return cre__ring_find(ring, record, payload);
}

int cre__ring_find_like(cre__ring *ring, const cre_record *like, cre_record *record, uint8_t **payload) {
    const int result = ring->broken ? 0 : cre__ring_find(ring, record, payload);
    if (result > 0 && is_like(record, like)) return 1;
    ring->next = ring->own; /* the next cre__ring_find finds it, too */
    return 0;
}
