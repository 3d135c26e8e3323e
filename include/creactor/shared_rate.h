/*
 * Rate limits in shared memory: how much of its limit each key has used, by the generic cell rate algorithm
 * (GCRA).
 *
 * The memory has a fixed number of slots of 8 bytes, each of which changes by one atomic operation: there is
 * no lock that a process could hold when it dies. Keys are found by a hash with a random seed. When all eight
 * slots that a key may have are in use, the key that has used the least of its limit is forgotten, which
 * gives that key all of its limit back: keys that come in great numbers use no memory and refuse nobody, and
 * do not displace those that are over their limits. Different keys share a slot with a probability of less
 * than 1 : 100,000.
 *
 * Any thread of any process may call all functions at any time, except cre_shared_rate_destroy while another
 * thread uses the limits.
 */
#ifndef CREACTOR_SHARED_RATE_H
#define CREACTOR_SHARED_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

#define CRE_SHARED_RATE_SLOTS_MAX  (1u << 26)   /* the most slots of a limit */
#define CRE_SHARED_RATE_WINDOW_MAX 86400000000u /* microseconds: one day */

typedef struct cre_shared_rate cre_shared_rate;

/** Creates limits with at least `slots` slots, rounded up to a power of two from 8 on. The caller owns them,
 * and so does each process forked later. Returns 0 and *out, CRE_EINVALID for 0 or too many slots, CRE_ENOMEM
 * or a system error. */
CRE_NODISCARD CRE_API int cre_shared_rate_create(uint32_t slots, cre_shared_rate **out);

/** Maps the limits of a descriptor, in a program that was executed by cre_process_execute. Returns 0 and
 * *out, which then owns the descriptor; CRE_ESHARED_MISMATCH when these are no limits with as many slots,
 * CRE_ENOMEM or a system error, and the caller keeps the descriptor. */
CRE_NODISCARD CRE_API int cre_shared_rate_attach(int descriptor, uint32_t slots, cre_shared_rate **out);

/** The descriptor of the limits, which own it. It is closed on exec unless the caller changes that. */
CRE_API int cre_shared_rate_descriptor(const cre_shared_rate *rate);

/** Unmaps the limits in this process; other processes keep them. NULL is ignored. */
CRE_API void cre_shared_rate_destroy(cre_shared_rate *rate);

/** A limit: on average one request in `interval`, and up to `window` / `interval` at once. Both are
 * microseconds. */
typedef struct cre_rate_limit {
    uint64_t interval; /* at least 1 */
    uint64_t window;   /* from `interval` to CRE_SHARED_RATE_WINDOW_MAX */
} cre_rate_limit;

/** The state of a key after a request. */
typedef struct cre_rate_state {
    uint64_t remaining; /* requests that may follow at once */
    uint64_t full;      /* microseconds until the whole limit is available */
    uint64_t retry;     /* microseconds until the next request passes; 0 if that may be at once */
    bool passes;        /* whether the request is within the limit; if not, it does not count */
} cre_rate_state;

/** Counts a request of a key at the time `now`, in microseconds of a clock that all processes share and that
 * does not go back. Returns 0 and *state, or CRE_EINVALID for an invalid limit. */
CRE_NODISCARD CRE_API int cre_shared_rate_take(cre_shared_rate *rate, const void *key, size_t length,
                                               const cre_rate_limit *limit, uint64_t now,
                                               cre_rate_state *state);

/** Counters since the creation. */
typedef struct cre_shared_rate_stats {
    uint64_t refused; /* requests beyond their limits */
    uint64_t evicted; /* keys that were forgotten for others while they had used some of their limits */
    uint64_t slots;   /* the number of slots */
} cre_shared_rate_stats;

/** Copies the first `size` bytes, sizeof(cre_shared_rate_stats), of the counters; those that this version
 * does not know are 0. */
CRE_API void cre_shared_rate_get_stats(const cre_shared_rate *rate, cre_shared_rate_stats *stats,
                                       size_t size);

CRE_END_DECLS

#endif
