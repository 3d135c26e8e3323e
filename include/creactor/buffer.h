/* Bytes: borrowed slices, and blocks that several owners share. */
#ifndef CREACTOR_BUFFER_H
#define CREACTOR_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** Bytes that somebody else owns; how long they stay is said where a slice is handed over. `data` may be NULL
 * when `length` is 0. */
typedef struct cre_slice {
    const uint8_t *data;
    size_t length;
} cre_slice;

/** Bytes with a count of owners, freed with the last of them. The bytes may be written while there is one
 * owner. */
typedef struct cre_block cre_block;

/** A new block of `capacity` bytes, not initialised, with length `capacity` and one owner: the caller. NULL
 * without memory. Any thread. */
CRE_API cre_block *cre_block_create(size_t capacity);

/** A new block with a copy of these bytes. NULL without memory. */
CRE_API cre_block *cre_block_copy(const void *data, size_t length);

/** One owner more; returns `block`. Any thread that knows the block to have an owner. */
CRE_API cre_block *cre_block_retain(cre_block *block);

/** One owner less: the caller may not use it any more. NULL is ignored. Any thread. */
CRE_API void cre_block_release(cre_block *block);

/** Whether the caller, an owner, is the only one. */
CRE_API int cre_block_is_unique(const cre_block *block);

/** The bytes; they stay as long as the block has an owner. */
CRE_API uint8_t *cre_block_data(cre_block *block);
CRE_API size_t cre_block_length(const cre_block *block);

/** Makes the block shorter (it keeps its memory). Only with one owner, and never longer than its capacity. */
CRE_API void cre_block_set_length(cre_block *block, size_t length);

CRE_END_DECLS

#endif
