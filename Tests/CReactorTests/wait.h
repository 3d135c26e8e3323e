/* Waiting for conditions, for as long as a loaded machine may take. */
#ifndef CRE_WAIT_H
#define CRE_WAIT_H

#include <time.h>

#include "test.h"

enum { DEADLINE_MS = 60000 };

static inline uint64_t milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Evaluates `turn` until the condition is true. */
#define WAIT_WITH(turn, condition)                                                       \
    do {                                                                                 \
        for (const uint64_t test_end = milliseconds() + DEADLINE_MS; !(condition); turn) \
            if (milliseconds() > test_end) {                                             \
                TEST_FAIL("%s did not become true", #condition);                         \
                break;                                                                   \
            }                                                                            \
    } while (0)

#endif
