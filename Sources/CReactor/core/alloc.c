#include <creactor/alloc.h>
#include <creactor/error.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static void *system_allocate(void *context, size_t size) {
    (void)context;
    return malloc(size);
}

static void *system_reallocate(void *context, void *memory, size_t size) {
    (void)context;
    return realloc(memory, size);
}

static void system_release(void *context, void *memory) {
    (void)context;
    free(memory);
}

static const cre_allocator system_allocator = {
    .allocate = system_allocate,
    .reallocate = system_reallocate,
    .release = system_release,
};

static cre_allocator current = {
    .allocate = system_allocate,
    .reallocate = system_reallocate,
    .release = system_release,
};

int cre_set_allocator(const cre_allocator *allocator) {
    if (!allocator) {
        current = system_allocator;
        return 0;
    }
    if (!allocator->allocate || !allocator->reallocate || !allocator->release) return CRE_EINVALID;
    current = *allocator;
    return 0;
}

void *cre__malloc(size_t size) {
    return current.allocate(current.context, size);
}

void *cre__calloc(size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return NULL;
    void *memory = cre__malloc(count * size);
    if (memory) memset(memory, 0, count * size);
    return memory;
}

void *cre__realloc(void *memory, size_t size) {
    return current.reallocate(current.context, memory, size);
}

void cre__free(void *memory) {
    if (memory) current.release(current.context, memory);
}
