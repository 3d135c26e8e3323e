/* A buffer that grows as bytes are appended. */
#ifndef CRE_CORE_APPEND_H
#define CRE_CORE_APPEND_H

#include <creactor/error.h>
#include <stdint.h>
#include <string.h>

#include "core/memory.h"

/* Returns 0, or CRE_ENOMEM, and then nothing has changed. The caller frees *buffer, and limits `length`. */
static inline int cre__append(uint8_t **buffer, size_t *used, size_t *capacity, const uint8_t *data,
                              size_t length) {
    const size_t wanted = *used + length;
    if (*capacity < wanted) {
        enum { FIRST = 512 };
        size_t larger = *capacity ? 2 * *capacity : FIRST;
        if (larger < wanted) larger = wanted;
        uint8_t *grown = cre__realloc(*buffer, larger);
        if (!grown) return CRE_ENOMEM;
        *buffer = grown;
        *capacity = larger;
    }
    memcpy(*buffer + *used, data, length);
    *used = wanted;
    return 0;
}

#endif
