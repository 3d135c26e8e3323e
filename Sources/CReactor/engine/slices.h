/* Payloads in parts. */
#ifndef CRE_ENGINE_SLICES_H
#define CRE_ENGINE_SLICES_H

#include <creactor/buffer.h>
#include <stdbool.h>
#include <string.h>

#define CRE__MAX_PARTS 4

static inline size_t cre__slices_length(const cre_slice *parts, int count) {
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].length;
    return length;
}

/* Copies the first `size` bytes and moves the parts past them. */
static inline bool cre__slices_take(void *out, size_t size, cre_slice *parts, int count) {
    uint8_t *at = out;
    for (int i = 0; i < count && size; i++) {
        size_t n = parts[i].length < size ? parts[i].length : size;
        if (n) memcpy(at, parts[i].data, n);
        at += n;
        size -= n;
        parts[i].data += n;
        parts[i].length -= n;
    }
    return size == 0;
}

/* Copies all parts to `out` and returns the place behind them. */
static inline uint8_t *cre__slices_copy(uint8_t *out, const cre_slice *parts, int count) {
    for (int i = 0; i < count; i++) {
        if (parts[i].length) memcpy(out, parts[i].data, parts[i].length);
        out += parts[i].length;
    }
    return out;
}

#endif
