/* A mutex between processes that is not lost when its owner dies: the kernel gives it to the next one. */
#ifndef CRE_SHARED_MUTEX_H
#define CRE_SHARED_MUTEX_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Cache lines of its own. */
typedef struct cre__mutex {
    _Alignas(64) pthread_mutex_t mutex;
} cre__mutex;

/* In shared memory, by whoever makes it. Returns 0 or an error. */
int cre__mutex_init(cre__mutex *mutex);

/* The instant in `timeout_ms` from now, on the clock of cre__mutex_lock_until. */
struct timespec cre__mutex_deadline(int64_t timeout_ms);

/* Return 0; 1: it is taken, and its last owner died with it; -EDEADLK: this thread has it; -EBUSY (try);
 * -ETIMEDOUT (until). */
int cre__mutex_lock(cre__mutex *mutex);
int cre__mutex_try(cre__mutex *mutex);
int cre__mutex_lock_until(cre__mutex *mutex, const struct timespec *deadline);

/* One of the three: waits for ever when `timeout_ms` is negative, not when it is 0 (-ETIMEDOUT then). */
int cre__mutex_lock_within(cre__mutex *mutex, int64_t timeout_ms, const struct timespec *deadline);

void cre__mutex_unlock(cre__mutex *mutex);

#endif
