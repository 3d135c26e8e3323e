/* The allocator that everything in the library uses. */
#ifndef CREACTOR_ALLOC_H
#define CREACTOR_ALLOC_H

#include <stddef.h>

#include "export.h"

CRE_BEGIN_DECLS

/** Replaces malloc and friends. `context` is passed back to each call. The functions may be called by any
 * thread. */
typedef struct cre_allocator {
    void *context;
    void *(*allocate)(void *context, size_t size);
    void *(*reallocate)(void *context, void *memory, size_t size);
    void (*release)(void *context, void *memory);
} cre_allocator;

/**
 * Sets the allocator for the whole process; NULL restores malloc. `allocator` is copied. Call it before
 * anything else of the library: memory taken from one allocator must not be given back to another. Returns 0,
 * or CRE_EINVALID when a function is missing.
 */
CRE_API int cre_set_allocator(const cre_allocator *allocator);

CRE_END_DECLS

#endif
