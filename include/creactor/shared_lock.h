/*
 * A lock in shared memory between processes: one writer, or up to CRE_SHARED_LOCK_READERS readers.
 *
 * It survives its owners: when a thread or process that holds it dies, the next one gets it. If the
 * dead one could write, all are told until another writer has given the lock back. It is not recursive. Any
 * thread and process may call everything here but cre_shared_lock_destroy at any time.
 */
#ifndef CREACTOR_SHARED_LOCK_H
#define CREACTOR_SHARED_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "export.h"

CRE_BEGIN_DECLS

/** How many may read at once; further ones wait for a place. */
#define CRE_SHARED_LOCK_READERS 64

typedef struct cre_shared_lock cre_shared_lock;

/** What a thread needs to give a lock back. */
typedef struct cre_shared_hold {
    int32_t reader; /* the reader's place, -1 for a writer */
    bool abandoned; /* the last writer died with the lock: what it protects may be half changed */
} cre_shared_hold;

/** Makes one, free. The caller owns it, and so does each process forked later. Returns 0 or a negative error.
 */
CRE_API int cre_shared_lock_create(cre_shared_lock **out);

/** Maps again what has this descriptor, in a program that was executed anew. The descriptor then belongs to
 * the result. CRE_ESHARED_MISMATCH, and the descriptor is the caller's: it is something else. */
CRE_API int cre_shared_lock_attach(int descriptor, cre_shared_lock **out);

/** Its descriptor, which is closed on exec unless the caller changes that; it stays the lock's. */
CRE_API int cre_shared_lock_descriptor(const cre_shared_lock *lock);

/** Unmaps it in this process, which must not hold it; in others it goes on. NULL does nothing. */
CRE_API void cre_shared_lock_destroy(cre_shared_lock *lock);

/**
 * Takes the lock to write, and waits at most `timeout_ms` (negative: for ever; 0: not at all). The thread
 * that took it gives it back. Returns 0 and fills `hold`; -ETIMEDOUT; -EDEADLK when this thread has it
 * already.
 */
CRE_API int cre_shared_lock_write(cre_shared_lock *lock, int64_t timeout_ms, cre_shared_hold *hold);

/** Takes the lock to read, otherwise like cre_shared_lock_write. A thread that reads must not ask for it
 * again: if a writer waits, both wait for ever. */
CRE_API int cre_shared_lock_read(cre_shared_lock *lock, int64_t timeout_ms, cre_shared_hold *hold);

/** Gives back what was taken, by the same thread. */
CRE_API void cre_shared_lock_release(cre_shared_lock *lock, const cre_shared_hold *hold);

CRE_END_DECLS

#endif
