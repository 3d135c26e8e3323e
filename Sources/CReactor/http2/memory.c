/*
 * The memory of a session: counted, and in a list.
 *
 * nghttp2 may leave its structures in disorder when an allocation fails in the middle of a frame. So it is
 * not called again then, and never to free itself: all blocks are freed by the list.
 *
 * Each request needs the same dozen small blocks. Those that are freed stay in the list, and are reused for
 * the next requests until cre__h2_trim.
 */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <stdalign.h>
#include <string.h>

#include "http2/http2_internal.h"

/* Sizes of blocks that are reused are multiples of this. */
#define STEP ((size_t)64)
/* The most bytes that wait to be reused. A tool that finds uses of freed memory sees all blocks freed. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define MAX_SPARE ((size_t)0)
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MAX_SPARE ((size_t)0)
#endif
#ifndef MAX_SPARE
#define MAX_SPARE ((size_t)64 << 10)
#endif

/* In front of each block. */
struct cre__h2_block {
    _Alignas(max_align_t) cre__h2_block *next;
    cre__h2_block **link; /* what points to this one */
    size_t size;
};

/* What a spare block has behind that. */
typedef struct spare {
    cre__h2_block block;
    struct spare *next;
} spare;

static void insert(cre_http2 *session, cre__h2_block *block) {
    block->next = session->blocks;
    block->link = &session->blocks;
    if (block->next) block->next->link = &block->next;
    session->blocks = block;
}

static void withdraw(cre__h2_block *block) {
    *block->link = block->next;
    if (block->next) block->next->link = block->link;
}

static void fail(cre_http2 *session) {
    session->broken = session->failed = true;
    if (!session->error) session->error = CRE_ENOMEM;
}

/* The list of spare blocks of a size; NULL: too large. */
static void **spares_of(cre_http2 *session, size_t size) {
    const size_t steps = size / STEP;
    return steps <= CRE__H2_SPARE_SIZES ? &session->spares[steps - 1] : NULL;
}

static void *use(cre_http2 *session, cre__h2_block *block) {
    session->used += block->size;
    return block + 1;
}

static inline void *allocate(cre_http2 *session, size_t size) {
    const size_t whole = (sizeof(cre__h2_block) + size + STEP - 1) / STEP * STEP;
    void **spares = whole > size ? spares_of(session, whole) : NULL;
    if (spares && *spares) {
        spare *reused = *spares;
        *spares = reused->next;
        session->spare_bytes -= whole;
        return use(session, &reused->block);
    }
    cre__h2_block *made = whole > size ? cre__malloc(whole) : NULL;
    if (!made) {
        fail(session);
        return NULL;
    }
    made->size = whole;
    insert(session, made);
    return use(session, made);
}

static inline void give_back(cre_http2 *session, void *memory) {
    if (!memory) return;
    cre__h2_block *freed = (cre__h2_block *)memory - 1;
    void **spares = spares_of(session, freed->size);
    session->used -= freed->size;
    if (spares && session->spare_bytes + freed->size <= MAX_SPARE) {
        spare *added = (spare *)(void *)freed;
        added->next = *spares;
        *spares = added;
        session->spare_bytes += freed->size;
        return;
    }
    withdraw(freed);
    cre__free(freed);
}

void *cre__h2_allocate(cre_http2 *session, size_t size) {
    return allocate(session, size);
}

void cre__h2_free(cre_http2 *session, void *memory) {
    give_back(session, memory);
}

void *cre__h2_reallocate(cre_http2 *session, void *memory, size_t size) {
    if (!memory) return cre__h2_allocate(session, size);
    const size_t room = ((cre__h2_block *)memory - 1)->size - sizeof(cre__h2_block);
    if (size <= room && size > room / 2) return memory;
    void *moved = cre__h2_allocate(session, size);
    if (!moved) return NULL;
    memcpy(moved, memory, size < room ? size : room);
    cre__h2_free(session, memory);
    return moved;
}

void cre__h2_trim(cre_http2 *session) {
    for (size_t i = 0; i < CRE__H2_SPARE_SIZES; i++) {
        while (session->spares[i]) {
            spare *freed = session->spares[i];
            session->spares[i] = freed->next;
            withdraw(&freed->block);
            cre__free(freed);
        }
    }
    session->spare_bytes = 0;
}

void cre__h2_free_all(cre_http2 *session) {
    while (session->blocks) {
        cre__h2_block *freed = session->blocks;
        withdraw(freed);
        cre__free(freed);
    }
}

/* ---- for nghttp2 ---- */

static void *on_allocate(size_t size, void *session) {
    return allocate(session, size);
}

static void *on_allocate_zeroed(size_t count, size_t size, void *session) {
    if (size && count > SIZE_MAX / size) return NULL;
    void *memory = allocate(session, count * size);
    if (memory) memset(memory, 0, count * size);
    return memory;
}

static void *on_reallocate(void *memory, size_t size, void *session) {
    return cre__h2_reallocate(session, memory, size);
}

static void on_free(void *memory, void *session) {
    give_back(session, memory);
}

void cre__h2_memory_init(cre_http2 *session) {
    session->memory = (nghttp2_mem){ session, on_allocate, on_free, on_allocate_zeroed, on_reallocate };
}

#endif
