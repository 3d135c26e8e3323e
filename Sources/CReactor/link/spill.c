#include "link/spill.h"

#include <creactor/error.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/round.h"

#define PARTS 8

static void open_spill(cre__spill *spill, const cre__ring *ring, cre__spill_place at) {
    *spill = (cre__spill){ .control = ring->control, .at = at, .largest = cre__ring_max_payload(ring) };
}

/* Whether two positions can be those of a spill. The end of the part may have been skipped once. */
static bool plausible(const cre__spill *spill, uint64_t from, uint64_t to) {
    return from % CRE__RING_ALIGN == 0 && to % CRE__RING_ALIGN == 0 && to - from <= 2 * spill->at.capacity;
}

void cre__spill_open_producer(cre__spill *spill, const cre__ring *ring, cre__spill_place at) {
    open_spill(spill, ring, at);
    uint64_t tail = atomic_load(&ring->control->spill_tail), taken = atomic_load(&ring->control->spill_taken);
    if (!plausible(spill, taken, tail)) {
        /* As with the ring: if the consumer is another process, it marks the ring as broken. */
        tail = taken & ~(uint64_t)(CRE__RING_ALIGN - 1);
        atomic_store(&ring->control->spill_tail, tail);
    }
    spill->own = spill->published = tail;
    spill->begin = atomic_load(&ring->control->spill_begin);
    if (!plausible(spill, taken, spill->begin)) spill->begin = taken;
    spill->touched = at.capacity; /* a predecessor may have used all of it */
}

void cre__spill_open_consumer(cre__spill *spill, cre__ring *ring, cre__spill_place at) {
    open_spill(spill, ring, at);
    spill->own = spill->given_back = atomic_load(&ring->control->spill_taken);
    if (!ring->broken && !plausible(spill, spill->own, cre__spill_tail(spill))) cre__ring_break(ring);
}

static void drop_buffer(cre__spill *spill) {
    cre__free(spill->buffer);
    spill->buffer = NULL;
    spill->capacity = spill->start = spill->end = 0;
}

void cre__spill_rest(cre__spill *spill) {
    drop_buffer(spill);
}

void cre__spill_reset(cre__spill *spill) {
    drop_buffer(spill);
    spill->own = spill->published = spill->begin = spill->given_back = 0;
}

static void give_back(const cre__spill *spill, uint64_t from, uint64_t to) {
    if (from < to)
        fallocate(spill->at.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)(spill->at.offset + from), (off_t)(to - from));
}

/* ---- the producer ---- */

static int write_all(const cre__spill *spill, uint64_t at, struct iovec *parts, int count) {
    off_t offset = (off_t)(spill->at.offset + at);
    while (count) {
        ssize_t written = pwritev(spill->at.file, parts, count, offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return CRE_ENOMEM;
        offset += written;
        for (; count && (size_t)written >= parts->iov_len; parts++, count--)
            written -= (ssize_t)parts->iov_len;
        if (!count) break;
        parts->iov_base = (uint8_t *)parts->iov_base + written;
        parts->iov_len -= (size_t)written;
    }
    return 0;
}

int cre__spill_write(cre__spill *spill, const cre_record *record, const cre_slice **part, size_t *offset,
                     uint32_t length) {
    const uint64_t capacity = spill->at.capacity, queued = cre__spill_queued(spill);
    const uint32_t size = cre__record_size(length);
    uint64_t at = spill->own & (capacity - 1), skip = 0;
    if (at && (!queued || size > capacity - at)) skip = capacity - at;
    /* At most half of the part, so that the consumer gives back no page that is in use again. Its position
     * may be any number: then it looks as if there were no room. */
    if (queued > capacity / 2 || (queued ? skip : 0) + size > capacity / 2 - queued) return CRE_ELINK_FULL;
    cre_record header = { .length = (uint32_t)(skip - sizeof header), .kind = CRE__FILLER };
    struct iovec parts[PARTS] = { { &header, sizeof header } };
    if (skip && queued && write_all(spill, at, parts, 1)) return CRE_ENOMEM;
    if (skip) at = 0;
    header = *record;
    header.length = length;
    parts[0] = (struct iovec){ &header, sizeof header };
    int count = 1;
    if (at + size > spill->touched) spill->touched = at + size;
    uint32_t left = length, gathered = sizeof header;
    while (count || left) {
        while (left && count < PARTS) {
            size_t n = (*part)->length - *offset;
            if (n > left) n = left;
            if (n) parts[count++] = (struct iovec){ (uint8_t *)(uintptr_t)(*part)->data + *offset, n };
            gathered += (uint32_t)n;
            left -= (uint32_t)n;
            *offset += n;
            if (*offset == (*part)->length) {
                (*part)++;
                *offset = 0;
            }
        }
        if (write_all(spill, at, parts, count)) return CRE_ENOMEM;
        at += gathered;
        gathered = 0;
        count = 0;
    }
    if (!queued) spill->begin = spill->own + skip;
    spill->own += skip + size;
    return 0;
}

void cre__spill_trim(cre__spill *spill) {
    give_back(spill, 0, cre__round_up(spill->touched, 4096));
    spill->touched = 0;
}

/* ---- the consumer ---- */

/* Makes `length` bytes from position `own` on available, and more where there are, up to `tail` or the end of
 * the part. */
static int fill(cre__spill *spill, uint64_t tail, uint32_t length) {
    const uint32_t all = (uint32_t)sizeof(cre_record) + spill->largest + CRE__RING_ALIGN;
    if (!spill->buffer) {
        spill->buffer = cre__malloc(all);
        if (!spill->buffer) return CRE_ENOMEM;
        spill->capacity = all;
    }
    if (spill->end - spill->start >= length) return 0;
    memmove(spill->buffer, spill->buffer + spill->start, spill->end - spill->start);
    spill->end -= spill->start;
    spill->start = 0;
    while (spill->end < length) {
        const uint64_t position = spill->own + spill->end, at = position & (spill->at.capacity - 1);
        uint64_t most = spill->capacity - spill->end;
        if (most > tail - position) most = tail - position;
        if (most > spill->at.capacity - at) most = spill->at.capacity - at;
        ssize_t got = pread(spill->at.file, spill->buffer + spill->end, most, (off_t)(spill->at.offset + at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return CRE_ENOMEM;
        if (got == 0) return CRE_ELINK_RECORD; /* behind the end of the file */
        spill->end += (uint32_t)got;
    }
    return 0;
}

int cre__spill_find(cre__spill *spill, uint64_t tail, cre_record *record, uint8_t **payload) {
    if (!plausible(spill, spill->own, tail)) return CRE_ELINK_RECORD;
    const uint64_t gap =
        atomic_load_explicit(&spill->control->spill_begin, memory_order_relaxed) - spill->own;
    if (gap && gap <= tail - spill->own) {
        /* The producer has begun again; pages from there on may be in use. */
        if ((spill->own + gap) & (spill->at.capacity - 1)) return CRE_ELINK_RECORD;
        spill->own = spill->given_back = spill->own + gap;
        spill->start = spill->end = 0;
        if (spill->own == tail) return CRE_ELINK_RECORD;
    }
    /* There is more, so the producer has not begun again in these pages. */
    if (spill->own - spill->given_back >= CRE__SPILL_KEPT) {
        const uint64_t from = spill->given_back & (spill->at.capacity - 1);
        give_back(spill, from < CRE__SPILL_KEPT ? CRE__SPILL_KEPT : from,
                  from + (spill->own - spill->given_back));
        spill->given_back = spill->own;
    }
    for (bool skipped = false;; skipped = true) {
        const uint64_t available = tail - spill->own, at = spill->own & (spill->at.capacity - 1);
        const uint64_t to_end = spill->at.capacity - at;
        if (available < sizeof *record) return CRE_ELINK_RECORD;
        int result = fill(spill, tail, sizeof *record);
        if (result) return result;
        memcpy(record, spill->buffer + spill->start, sizeof *record);
        if (record->kind == CRE__FILLER) {
            /* It ends at the end of the part, once. */
            if (skipped || !at || record->length != to_end - sizeof *record || to_end > available)
                return CRE_ELINK_RECORD;
            spill->own += to_end;
            spill->given_back = spill->own; /* those behind it are the producer's, who may be there again */
            spill->start = spill->end = 0;
            continue;
        }
        if (record->length > spill->largest) return CRE_ELINK_RECORD;
        const uint32_t size = cre__record_size(record->length);
        if (size > available || size > to_end) return CRE_ELINK_RECORD;
        result = fill(spill, tail, size);
        if (result) return result;
        *payload = spill->buffer + spill->start + sizeof *record;
        return 1;
    }
}
