/* Lists of slices: a payload in several parts. */
#ifndef CRE_CORE_SLICES_H
#define CRE_CORE_SLICES_H

#include <creactor/buffer.h>
#include <stdbool.h>
#include <string.h>

#include "core/copy.h"

/* The number of bytes of all parts. */
static inline size_t cre__slices_length(const cre_slice *parts, int count) {
    if (count == 1) return parts->length; /* the usual number */
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].length;
    return length;
}

static __attribute__((noinline, unused)) uint8_t *cre__slices_join_several(uint8_t *out,
                                                                           const cre_slice *parts,
                                                                           int count) {
    for (int i = 0; i < count; i++) {
        cre__copy_fresh(out, parts[i].data, parts[i].length);
        out += parts[i].length;
    }
    return out;
}

/* Copies all parts to `out` and returns the place behind them. */
static inline __attribute__((always_inline)) uint8_t *cre__slices_join(uint8_t *out, const cre_slice *parts,
                                                                       int count) {
    if (count != 1) return cre__slices_join_several(out, parts, count);
    cre__copy_fresh(out, parts->data, parts->length); /* the usual number */
    return out + parts->length;
}

/* Whether the bytes are those of a terminated string. */
static inline bool cre__slice_is(cre_slice slice, const char *text) {
    return slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;
}

/* Whether two slices have the same bytes. */
static inline bool cre__slice_equals(cre_slice one, cre_slice other) {
    return one.length == other.length && (!one.length || memcmp(one.data, other.data, one.length) == 0);
}

/* Copies the next `size` bytes, which must exist, from the position *offset of the part *part, and moves
 * both. */
static inline void cre__slices_copy(void *out, size_t size, const cre_slice **part, size_t *offset) {
    uint8_t *at = out;
    while (size) {
        size_t n = (*part)->length - *offset;
        if (n > size) n = size;
        if (n) memcpy(at, (*part)->data + *offset, n);
        at += n;
        size -= n;
        *offset += n;
        if (*offset == (*part)->length) {
            ++*part;
            *offset = 0;
        }
    }
}

/* Copies the first `size` bytes and moves the parts past them. False: they are shorter. */
static inline bool cre__slices_take(void *out, size_t size, cre_slice *parts, int count) {
    if (count && parts->length >= size) { /* the usual case */
        if (size) memcpy(out, parts->data, size);
        parts->data += size;
        parts->length -= size;
        return true;
    }
    uint8_t *at = out;
    for (int i = 0; i < count && size; i++) {
        size_t n = parts[i].length < size ? parts[i].length : size;
        if (n) {
            memcpy(at, parts[i].data, n);
            parts[i].data += n;
        }
        at += n;
        size -= n;
        parts[i].length -= n;
    }
    return size == 0;
}

#endif
