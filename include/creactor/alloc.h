/* The allocator of the whole library. */
#ifndef CREACTOR_ALLOC_H
#define CREACTOR_ALLOC_H

#include <stddef.h>

#include "export.h"

CRE_BEGIN_DECLS

/** Replaces malloc, realloc and free. `context` is passed to each call. Any thread may call the functions. */
typedef struct cre_allocator {
    void *context;                                 /* passed to each call */
    void *(*allocate)(void *context, size_t size); /* as malloc; NULL when there is no memory */
    void *(*reallocate)(void *context, void *memory, size_t size); /* as realloc; `memory` may be NULL */
    void (*release)(void *context, void *memory);                  /* as free; `memory` may be NULL */
} cre_allocator;

/**
 * Sets the allocator of the process; NULL restores malloc. `allocator` is copied. It must be called before
 * any other function of the library, because memory of one allocator must not be released by another. Returns
 * 0, or CRE_EINVALID when a function is missing. One thread.
 */
CRE_NODISCARD CRE_API int cre_set_allocator(const cre_allocator *allocator);

CRE_END_DECLS

#endif
