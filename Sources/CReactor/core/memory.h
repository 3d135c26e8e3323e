/* The allocator of the library, for internal use. */
#ifndef CRE_CORE_MEMORY_H
#define CRE_CORE_MEMORY_H

#include <stddef.h>

/* All return NULL when there is no memory; cre__calloc checks the multiplication. cre__free(NULL) does
 * nothing. */
void *cre__malloc(size_t size);
void *cre__calloc(size_t count, size_t size);
void *cre__realloc(void *memory, size_t size);
void cre__free(void *memory);

#endif
