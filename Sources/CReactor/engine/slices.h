/* Payloads of commands in parts. */
#ifndef CRE_ENGINE_SLICES_H
#define CRE_ENGINE_SLICES_H

#include "core/slices.h"

#define CRE__MAX_PARTS 4

/* Copies all parts to `out` and returns the place behind them. */
static inline uint8_t *cre__slices_join(uint8_t *out, const cre_slice *parts, int count) {
    if (count == 1) { /* the usual number */
        if (parts->length) memcpy(out, parts->data, parts->length);
        return out + parts->length;
    }
    for (int i = 0; i < count; i++) {
        if (parts[i].length) memcpy(out, parts[i].data, parts[i].length);
        out += parts[i].length;
    }
    return out;
}

#endif
