/* Bytes: borrowed slices, and blocks that several owners share. */
#ifndef CREACTOR_BUFFER_H
#define CREACTOR_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** Borrowed bytes. The function that takes or returns a slice documents how long they must stay valid. `data`
 * may be NULL when `length` is 0. */
typedef struct cre_slice {
    const uint8_t *data; /* the first byte */
    size_t length;       /* the number of bytes */
} cre_slice;

/** Bytes with a reference count, freed by the last owner. They may be written to while there is one owner. */
typedef struct cre_block cre_block;

/** Creates a block of `capacity` uninitialised bytes, with this length. Returns it, owned by the caller,
 * or NULL without memory. Any thread. */
CRE_NODISCARD CRE_API cre_block *cre_block_create(size_t capacity);

/** Creates a block with a copy of the bytes. Returns it, owned by the caller, or NULL without memory. Any
 * thread. */
CRE_NODISCARD CRE_API cre_block *cre_block_copy(const void *data, size_t length);

/** Adds an owner and returns `block`. Any thread, as long as the block has an owner during the call. */
CRE_API cre_block *cre_block_retain(cre_block *block);

/** Ends the caller's ownership; the last one frees the block. NULL is ignored. Any thread. */
CRE_API void cre_block_release(cre_block *block);

/** Whether the caller is the only owner. Any thread that owns the block. */
CRE_API bool cre_block_is_unique(const cre_block *block);

/** The bytes, valid as long as the block has an owner. Any thread. */
CRE_API uint8_t *cre_block_data(cre_block *block);

/** The number of bytes. Any thread. */
CRE_API size_t cre_block_length(const cre_block *block);

/** Sets the length, at most the capacity; the memory stays. The block must have one owner. */
CRE_API void cre_block_set_length(cre_block *block, size_t length);

CRE_END_DECLS

#endif
