/*
 * A lock in shared memory between processes: one writer, or up to CRE_SHARED_LOCK_READERS readers.
 *
 * The lock survives its owners: when a thread or process that holds it dies, the next one acquires it. If a
 * writer died, cre_shared_hold.abandoned is set for each owner until another writer has released the lock. It
 * is not recursive. Any thread of any process may call all functions at any time, except
 * cre_shared_lock_destroy while the lock is used.
 */
#ifndef CREACTOR_SHARED_LOCK_H
#define CREACTOR_SHARED_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** The most readers at a time; further readers wait. */
#define CRE_SHARED_LOCK_READERS 64

typedef struct cre_shared_lock cre_shared_lock;

/** A lock held by a thread, needed to release it. */
typedef struct cre_shared_hold {
    int32_t reader; /* the reader's slot, -1 for a writer */
    bool abandoned; /* the last writer died: the protected data may be half changed */
} cre_shared_hold;

/** Creates a free lock, owned by the caller and by each process forked later. Returns 0 and *out, or
 * CRE_ENOMEM or a system error. */
CRE_NODISCARD CRE_API int cre_shared_lock_create(cre_shared_lock **out);

/** Maps the lock of a descriptor, in a program that was executed by cre_process_execute. Returns 0 and *out,
 * which then owns the descriptor; CRE_ESHARED_MISMATCH when it is no lock, CRE_ENOMEM or a system error, and
 * the caller keeps the descriptor. */
CRE_NODISCARD CRE_API int cre_shared_lock_attach(int descriptor, cre_shared_lock **out);

/** The descriptor of the lock, which owns it. It is closed on exec unless the caller changes that. */
CRE_API int cre_shared_lock_descriptor(const cre_shared_lock *lock);

/** Unmaps the lock in this process, which must not hold it; other processes keep it. NULL is ignored. */
CRE_API void cre_shared_lock_destroy(cre_shared_lock *lock);

/**
 * Acquires the lock for writing and waits for at most `timeout_ms` (negative: without limit; 0: not at all).
 * The same thread must release it. Returns 0 and fills *hold, -ETIMEDOUT, or -EDEADLK when this thread holds
 * the lock already.
 */
CRE_NODISCARD CRE_API int cre_shared_lock_write(cre_shared_lock *lock, int64_t timeout_ms,
                                                cre_shared_hold *hold);

/** Acquires the lock for reading, otherwise like cre_shared_lock_write. A thread that holds it for reading
 * must not acquire it again: with a waiting writer that is a deadlock. */
CRE_NODISCARD CRE_API int cre_shared_lock_read(cre_shared_lock *lock, int64_t timeout_ms,
                                               cre_shared_hold *hold);

/** Releases the lock, on the thread that acquired it. */
CRE_API void cre_shared_lock_release(cre_shared_lock *lock, const cre_shared_hold *hold);

CRE_END_DECLS

#endif
