/*
 * A 64-bit integer in shared memory, shared by all processes forked after its creation.
 *
 * Any thread of any process may call all functions at any time, except cre_shared_atomic_destroy while
 * another thread uses the atomic. Overflow wraps.
 */
#ifndef CREACTOR_SHARED_ATOMIC_H
#define CREACTOR_SHARED_ATOMIC_H

#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

typedef struct cre_shared_atomic cre_shared_atomic;

/** Creates an atomic, owned by the caller and by each process forked later. Returns 0 and *out, or CRE_ENOMEM
 * or a system error. */
CRE_NODISCARD CRE_API int cre_shared_atomic_create(int64_t value, cre_shared_atomic **out);

/** Maps the atomic of a descriptor, in a program that was executed by cre_process_execute. Returns 0 and
 * *out, which then owns the descriptor; CRE_ESHARED_MISMATCH when it is no atomic, CRE_ENOMEM or a system
 * error, and the caller keeps the descriptor. */
CRE_NODISCARD CRE_API int cre_shared_atomic_attach(int descriptor, cre_shared_atomic **out);

/** The descriptor of the atomic, which owns it. It is closed on exec unless the caller changes that. */
CRE_API int cre_shared_atomic_descriptor(const cre_shared_atomic *atomic);

/** Unmaps the atomic in this process; other processes keep it. NULL is ignored. */
CRE_API void cre_shared_atomic_destroy(cre_shared_atomic *atomic);

/** Returns the value. */
CRE_API int64_t cre_shared_atomic_load(const cre_shared_atomic *atomic);

/** Stores a value. */
CRE_API void cre_shared_atomic_store(cre_shared_atomic *atomic, int64_t value);

/** Adds a value and returns the sum. */
CRE_API int64_t cre_shared_atomic_add(cre_shared_atomic *atomic, int64_t value);

/** Stores a value and returns the previous one. */
CRE_API int64_t cre_shared_atomic_exchange(cre_shared_atomic *atomic, int64_t value);

/** Stores `desired` if the value is `expected`. Returns the previous value: `expected` if it was stored. */
CRE_API int64_t cre_shared_atomic_compare_exchange(cre_shared_atomic *atomic, int64_t expected,
                                                   int64_t desired);

/**
 * Blocks the thread while the value is `expected`, for at most `timeout_ms` (negative: without limit; 0: not
 * at all). Changing the value wakes no thread: call cre_shared_atomic_wake afterwards. Returns 0 when the
 * value differs, or -ETIMEDOUT.
 */
CRE_NODISCARD CRE_API int cre_shared_atomic_wait(cre_shared_atomic *atomic, int64_t expected,
                                                 int64_t timeout_ms);

/** Makes up to `count` waiting threads check the value again, and all that begin to wait meanwhile. Returns
 * how many were woken. */
CRE_API int cre_shared_atomic_wake(cre_shared_atomic *atomic, int count);

CRE_END_DECLS

#endif
