/*
 * A 64-bit number in shared memory, which all processes that are forked after it was made share.
 *
 * Any thread and process may call everything here but cre_shared_atomic_destroy at any time. Overflow wraps.
 */
#ifndef CREACTOR_SHARED_ATOMIC_H
#define CREACTOR_SHARED_ATOMIC_H

#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

typedef struct cre_shared_atomic cre_shared_atomic;

/** Makes one. The caller owns it, and so does each process forked later. Returns 0 or a negative error. */
CRE_API int cre_shared_atomic_create(int64_t value, cre_shared_atomic **out);

/** Maps again what has this descriptor, in a program that was executed anew. The descriptor then belongs to
 * the result. CRE_ESHARED_MISMATCH, and the descriptor is the caller's: it is something else. */
CRE_API int cre_shared_atomic_attach(int descriptor, cre_shared_atomic **out);

/** Its descriptor, which is closed on exec unless the caller changes that; it stays the atomic's. */
CRE_API int cre_shared_atomic_descriptor(const cre_shared_atomic *atomic);

/** Unmaps it in this process; in others it goes on. NULL does nothing. */
CRE_API void cre_shared_atomic_destroy(cre_shared_atomic *atomic);

CRE_API int64_t cre_shared_atomic_load(const cre_shared_atomic *atomic);
CRE_API void cre_shared_atomic_store(cre_shared_atomic *atomic, int64_t value);

/** Adds, and returns the sum. */
CRE_API int64_t cre_shared_atomic_add(cre_shared_atomic *atomic, int64_t value);

/** Stores, and returns what was there. */
CRE_API int64_t cre_shared_atomic_exchange(cre_shared_atomic *atomic, int64_t value);

/** Stores `desired` if the value is `expected`. Returns what was there: `expected`, when it was stored. */
CRE_API int64_t cre_shared_atomic_compare_exchange(cre_shared_atomic *atomic, int64_t expected,
                                                   int64_t desired);

/**
 * Blocks the thread while the value is `expected`, at most `timeout_ms` (negative: for ever; 0: only looks).
 * Storing wakes nobody: whoever changes the value calls cre_shared_atomic_wake. Returns 0 when the value is
 * another one, or -ETIMEDOUT.
 */
CRE_API int cre_shared_atomic_wait(cre_shared_atomic *atomic, int64_t expected, int64_t timeout_ms);

/** Has up to `count` of those that wait look again; those who begin to wait at this time look, too. Returns
 * how many were woken. */
CRE_API int cre_shared_atomic_wake(cre_shared_atomic *atomic, int count);

CRE_END_DECLS

#endif
