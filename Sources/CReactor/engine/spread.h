/* The moments at which connections are closed that are closed over a time. */
#ifndef CRE_ENGINE_SPREAD_H
#define CRE_ENGINE_SPREAD_H

#include <creactor/session.h>
#include <stdint.h>

/* The time after which the connection is closed, from 0 to spread_ms - 1: random, evenly distributed, and
 * always the same for the same seed. */
static inline uint32_t cre__spread_due(cre_session session, uint64_t seed, uint32_t spread_ms) {
    uint64_t value = session + seed; /* the finalizer of SplitMix64 */
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    value ^= value >> 31;
    return (uint32_t)(((value >> 32) * spread_ms) >> 32);
}

#endif
