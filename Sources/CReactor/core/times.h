/* The classes of durations that are counted: of the turns of loops, and of handlers. */
#ifndef CRE_CORE_TIMES_H
#define CRE_CORE_TIMES_H

#include <stdint.h>

enum { CRE__TIME_CLASSES = 13 };

/* The largest duration of each class, in nanoseconds. */
static const uint64_t cre__time_limits[CRE__TIME_CLASSES] = {
    10000,    50000,     100000,    500000,     1000000,    5000000,    10000000,
    50000000, 100000000, 500000000, 1000000000, 5000000000, UINT64_MAX,
};

/* The class of the smallest number of each length in bits, from 1. Limits are at least a factor of 2 apart,
 * so numbers of one length belong to two classes at most. */
static const uint8_t cre__time_first[64] = { 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  1,  1,
                                             2,  3,  3,  4,  5,  5,  5,  6,  7,  7,  8,  9,  9,  10, 11, 11,
                                             11, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
                                             12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12 };

static inline uint32_t cre__time_class(uint64_t ns) {
    uint32_t first = cre__time_first[63 - __builtin_clzll(ns | 1)];
    return first + (ns > cre__time_limits[first]);
}

#endif
