/* Borrowed bytes. */
#ifndef CREACTOR_BUFFER_H
#define CREACTOR_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

/** Bytes that somebody else owns; how long they stay is said where a slice is handed over. `data` may be NULL
 * when `length` is 0. */
typedef struct cre_slice {
    const uint8_t *data;
    size_t length;
} cre_slice;

#endif
