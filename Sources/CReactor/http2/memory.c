/*
 * The memory of a session: counted, and in a list.
 *
 * nghttp2 may leave its structures in disorder when an allocation fails in the middle of a frame. So it is
 * not called again then, and never to free itself: all blocks are freed by the list.
 */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <stdalign.h>
#include <string.h>

#include "http2/http2_internal.h"

/* In front of each block. */
struct cre__h2_block {
    _Alignas(max_align_t) cre__h2_block *next;
    cre__h2_block **link; /* what points to this one */
    size_t size;
};

static void insert(cre_http2 *session, cre__h2_block *block) {
    block->next = session->blocks;
    block->link = &session->blocks;
    if (block->next) block->next->link = &block->next;
    session->blocks = block;
    session->used += block->size;
}

static void withdraw(cre_http2 *session, cre__h2_block *block) {
    *block->link = block->next;
    if (block->next) block->next->link = block->link;
    session->used -= block->size;
}

static void fail(cre_http2 *session) {
    session->broken = session->failed = true;
    if (!session->error) session->error = CRE_ENOMEM;
}

void *cre__h2_reallocate(cre_http2 *session, void *memory, size_t size) {
    cre__h2_block *old = memory ? (cre__h2_block *)memory - 1 : NULL, *made = NULL;
    const size_t whole = sizeof *made + size;
    if (old) withdraw(session, old);
    if (whole > size) made = cre__realloc(old, whole);
    if (made)
        made->size = whole;
    else
        fail(session);
    if (made || old) insert(session, made ? made : old);
    return made ? made + 1 : NULL;
}

void *cre__h2_allocate(cre_http2 *session, size_t size) {
    return cre__h2_reallocate(session, NULL, size);
}

void cre__h2_free(cre_http2 *session, void *memory) {
    if (!memory) return;
    cre__h2_block *freed = (cre__h2_block *)memory - 1;
    withdraw(session, freed);
    cre__free(freed);
}

void cre__h2_free_all(cre_http2 *session) {
    while (session->blocks)
        cre__h2_free(session, session->blocks + 1);
}

static void *allocate(size_t size, void *session) {
    return cre__h2_allocate(session, size);
}

static void *allocate_zeroed(size_t count, size_t size, void *session) {
    if (size && count > SIZE_MAX / size) return NULL;
    void *memory = cre__h2_allocate(session, count * size);
    if (memory) memset(memory, 0, count * size);
    return memory;
}

static void *reallocate(void *memory, size_t size, void *session) {
    return cre__h2_reallocate(session, memory, size);
}

static void give_back(void *memory, void *session) {
    cre__h2_free(session, memory);
}

void cre__h2_memory_init(cre_http2 *session) {
    session->memory = (nghttp2_mem){ session, allocate, give_back, allocate_zeroed, reallocate };
}

#endif
