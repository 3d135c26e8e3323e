/* Copies of short payloads. */
#ifndef CRE_CORE_COPY_H
#define CRE_CORE_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CRE__PIECE 16u

/* Two pieces at the beginning and two at the end, which overlap unless the length is that of four. */
static inline __attribute__((always_inline)) void cre__copy_four(uint8_t *to, const uint8_t *from,
                                                                 size_t length) {
    const size_t last = length - CRE__PIECE;
    memcpy(to, from, CRE__PIECE);
    memcpy(to + CRE__PIECE, from + CRE__PIECE, CRE__PIECE);
    memcpy(to + last - CRE__PIECE, from + last - CRE__PIECE, CRE__PIECE);
    memcpy(to + last, from + last, CRE__PIECE);
}

/*
 * The same as memcpy, for bytes that were written just before: a message that was unmasked. A load that
 * spans several of these stores waits until they have reached the cache, and memcpy loads 64 bytes at once
 * where the processor can. Length 0 permits NULL.
 */
static inline __attribute__((always_inline)) void cre__copy_fresh(void *to, const void *from, size_t length) {
    uint8_t *const out = to;
    const uint8_t *const in = from;
    if (length - 2 * CRE__PIECE > 6 * CRE__PIECE) { /* shorter or longer */
        if (length) memcpy(out, in, length);
    } else if (length <= 4 * CRE__PIECE) {
        cre__copy_four(out, in, length);
    } else {
        cre__copy_four(out, in, 4 * CRE__PIECE);
        const size_t last = length - 4 * CRE__PIECE;
        cre__copy_four(out + last, in + last, 4 * CRE__PIECE);
    }
}

#endif
