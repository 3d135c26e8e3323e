#include <creactor/buffer.h>
#include <stdatomic.h>
#include <string.h>

#include "core/memory.h"

struct cre_block {
    atomic_size_t owners;
    size_t length, capacity;
    _Alignas(16) uint8_t data[];
};

cre_block *cre_block_create(size_t capacity) {
    if (capacity > SIZE_MAX - sizeof(cre_block)) return NULL;
    cre_block *block = cre__malloc(sizeof *block + capacity);
    if (!block) return NULL;
    atomic_init(&block->owners, 1);
    block->length = block->capacity = capacity;
    return block;
}

cre_block *cre_block_copy(const void *data, size_t length) {
    cre_block *block = cre_block_create(length);
    if (block && length) memcpy(block->data, data, length);
    return block;
}

cre_block *cre_block_retain(cre_block *block) {
    atomic_fetch_add_explicit(&block->owners, 1, memory_order_relaxed);
    return block;
}

void cre_block_release(cre_block *block) {
    if (!block) return;
    /* Release: the accesses of this owner happen before; acquire: those of all owners happen before the
     * memory is freed. */
    if (atomic_fetch_sub_explicit(&block->owners, 1, memory_order_acq_rel) == 1) cre__free(block);
}

bool cre_block_is_unique(const cre_block *block) {
    return atomic_load_explicit(&block->owners, memory_order_acquire) == 1;
}

uint8_t *cre_block_data(cre_block *block) {
    return block->data;
}

size_t cre_block_length(const cre_block *block) {
    return block->length;
}

void cre_block_set_length(cre_block *block, size_t length) {
    if (length <= block->capacity) block->length = length;
}
