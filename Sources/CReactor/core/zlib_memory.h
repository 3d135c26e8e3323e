/* The library's allocator for zlib: values of z_stream's members zalloc and zfree. */
#ifndef CRE_ZLIB_MEMORY_H
#define CRE_ZLIB_MEMORY_H

#include "core/memory.h"

static inline void *cre__zlib_allocate(void *context, unsigned count, unsigned size) {
    (void)context;
    return cre__calloc(count, size);
}

static inline void cre__zlib_free(void *context, void *memory) {
    (void)context;
    cre__free(memory);
}

#endif
