#include "link/arena.h"

#include <creactor/error.h>
#include <sys/mman.h>

#include "core/memory.h"

#define WORD 64u

int cre__arena_open(cre__arena *arena, void *memory, uint32_t bytes, uint32_t granule) {
    arena->memory = memory;
    arena->granule = granule;
    arena->granules = bytes / granule;
    arena->map = cre__calloc((arena->granules + WORD - 1) / WORD, sizeof *arena->map);
    arena->runs = cre__calloc(arena->granules, sizeof *arena->runs);
    if (arena->map && arena->runs) return 0;
    cre__arena_close(arena);
    return CRE_ENOMEM;
}

void cre__arena_close(cre__arena *arena) {
    cre__free(arena->map);
    cre__free(arena->runs);
    *arena = (cre__arena){ 0 };
}

/* Takes free granules, or frees taken ones. */
static void mark(cre__arena *arena, uint32_t first, uint32_t count) {
    while (count) {
        const uint32_t bit = first % WORD, bits = count < WORD - bit ? count : WORD - bit;
        arena->map[first / WORD] ^= UINT64_MAX >> (WORD - bits) << bit;
        first += bits;
        count -= bits;
    }
}

/* The first granule in [at, end) that is taken, or with `flip` UINT64_MAX the first free one; else `end`. */
static uint32_t find_granule(const cre__arena *arena, uint32_t at, uint32_t end, uint64_t flip) {
    for (; at < end; at = (at / WORD + 1) * WORD) {
        const uint64_t found = (arena->map[at / WORD] ^ flip) >> (at % WORD);
        if (!found) continue;
        at += (uint32_t)__builtin_ctzll(found);
        return at < end ? at : end;
    }
    return end;
}

/* The first fit, so that few pages are in use, and warm. */
static uint32_t find(const cre__arena *arena, uint32_t count) {
    for (uint32_t first = 0, end;; first = end) {
        first = find_granule(arena, first, arena->granules, UINT64_MAX);
        if (arena->granules - first < count) return CRE__NO_RUN;
        end = find_granule(arena, first, first + count, 0);
        if (end - first == count) return first;
    }
}

static uint32_t granules_of(const cre__arena *arena, size_t size) {
    return (uint32_t)((size + arena->granule - 1) / arena->granule);
}

static void begin_run(cre__arena *arena, uint32_t first, uint32_t count) {
    mark(arena, first, count);
    arena->runs[first].count = count;
    arena->taken += count;
    if (arena->touched < first + count) arena->touched = first + count;
}

uint8_t *cre__arena_take(cre__arena *arena, size_t size) {
    if (!arena->runs || size > (size_t)arena->granules * arena->granule) return NULL;
    const uint32_t count = granules_of(arena, size), first = find(arena, count);
    if (first == CRE__NO_RUN) return NULL;
    begin_run(arena, first, count);
    arena->runs[first].kept = true;
    arena->active = true;
    return arena->memory + (size_t)first * arena->granule;
}

static void free_unused(cre__arena *arena, uint32_t first) {
    cre__run *run = &arena->runs[first];
    if (run->kept || run->sent) return;
    mark(arena, first, run->count);
    arena->taken -= run->count;
    run->count = 0;
}

static uint32_t index_of(const cre__arena *arena, const uint8_t *memory) {
    return (uint32_t)((size_t)(memory - arena->memory) / arena->granule);
}

static bool is_free(const cre__arena *arena, uint32_t first, uint32_t count) {
    if (!count || first >= arena->granules || count > arena->granules - first) return false;
    return find_granule(arena, first, first + count, 0) == first + count;
}

uint8_t *cre__arena_keep(cre__arena *arena, uint32_t granule, size_t size) {
    if (size > (size_t)arena->granules * arena->granule) return NULL;
    const uint32_t count = granules_of(arena, size);
    if (!is_free(arena, granule, count)) return NULL;
    begin_run(arena, granule, count);
    arena->runs[granule].kept = true;
    return arena->memory + (size_t)granule * arena->granule;
}

void cre__arena_give(cre__arena *arena, const uint8_t *memory) {
    const uint32_t first = index_of(arena, memory);
    arena->runs[first].kept = false;
    free_unused(arena, first);
}

uint32_t cre__arena_run_at(const cre__arena *arena, const uint8_t *data, size_t length) {
    const uintptr_t offset = (uintptr_t)data - (uintptr_t)arena->memory;
    if (!arena->runs || offset >= (uintptr_t)arena->granules * arena->granule || offset % arena->granule)
        return CRE__NO_RUN;
    const uint32_t first = index_of(arena, data);
    const cre__run *run = &arena->runs[first];
    return run->kept && !run->sent && length <= (size_t)run->count * arena->granule ? first : CRE__NO_RUN;
}

void cre__arena_send(cre__arena *arena, cre__sent_runs *sent, uint32_t run, uint64_t end) {
    arena->runs[run].sent = true;
    arena->runs[run].end = end;
    arena->runs[run].to = sent->to;
    if (sent->granules)
        arena->runs[sent->last].next = run;
    else
        sent->first = run;
    sent->last = run;
    sent->granules += arena->runs[run].count;
    arena->sent += arena->runs[run].count;
}

void cre__arena_restore(cre__arena *arena, cre__sent_runs *sent, const cre__reference *reference,
                        uint64_t end) {
    const uint32_t first = reference->granule, count = granules_of(arena, reference->length);
    if (!is_free(arena, first, count)) return;
    begin_run(arena, first, count);
    cre__arena_send(arena, sent, first, end);
}

uint8_t *cre__arena_returned(const cre__arena *arena, const cre__sent_runs *sent,
                             const cre__reference *reference) {
    if (!sent->lends || reference->granule >= arena->granules) return NULL;
    const cre__run *run = &arena->runs[reference->granule];
    if (!run->sent || run->to != sent->to || reference->length > (size_t)run->count * arena->granule)
        return NULL;
    return arena->memory + (size_t)reference->granule * arena->granule;
}

static void reclaim_first(cre__arena *arena, cre__sent_runs *sent) {
    const uint32_t first = sent->first;
    cre__run *run = &arena->runs[first];
    sent->granules -= run->count;
    arena->sent -= run->count;
    sent->first = run->next;
    run->sent = false;
    free_unused(arena, first);
}

void cre__arena_reclaim(cre__arena *arena, cre__sent_runs *sent, uint64_t head) {
    while (sent->granules && (int64_t)(head - arena->runs[sent->first].end) >= 0)
        reclaim_first(arena, sent);
}

void cre__arena_reclaim_served(cre__arena *arena, cre__sent_runs *sent, uint64_t head, uint64_t served,
                               uint64_t tail) {
    if (served == tail) {
        sent->waits = false;
        cre__arena_reclaim(arena, sent, head);
        return;
    }
    if (sent->waits && (int64_t)(served - sent->barrier) >= 0) {
        sent->waits = false;
        cre__arena_reclaim(arena, sent, sent->freed);
    }
    if (sent->waits) return;
    sent->waits = true;
    sent->freed = head;
    sent->barrier = tail;
}

void cre__arena_reclaim_all(cre__arena *arena, cre__sent_runs *sent) {
    sent->waits = false;
    while (sent->granules)
        reclaim_first(arena, sent);
}

void cre__arena_trim(cre__arena *arena) {
    if (!arena->touched || arena->taken) return;
    madvise(arena->memory, (size_t)arena->touched * arena->granule, MADV_REMOVE);
    arena->touched = 0;
}
