/* Rounding of sizes. */
#ifndef CRE_CORE_ROUND_H
#define CRE_CORE_ROUND_H

#include <stddef.h>

/* The least multiple of `unit` that is at least `value`. */
static inline size_t cre__round_up(size_t value, size_t unit) {
    return (value + unit - 1) / unit * unit;
}

#endif
