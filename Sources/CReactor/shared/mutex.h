/* A robust mutex between processes: when its owner dies, the kernel passes it to the next one. */
#ifndef CRE_SHARED_MUTEX_H
#define CRE_SHARED_MUTEX_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* On cache lines of its own. */
typedef struct cre__mutex {
    _Alignas(64) pthread_mutex_t mutex;
} cre__mutex;

/* Initialises a mutex in shared memory. Returns 0 or an error. */
int cre__mutex_init(cre__mutex *mutex);

/* The time `timeout_ms` from now, on the clock of cre__mutex_lock_until. */
struct timespec cre__mutex_deadline(int64_t timeout_ms);

/* Locks the mutex. Returns 0; 1 when it is locked and its last owner died with it; -EDEADLK when this thread
 * holds it; -EBUSY (try); -ETIMEDOUT (until). */
int cre__mutex_lock(cre__mutex *mutex);
int cre__mutex_try(cre__mutex *mutex);
int cre__mutex_lock_until(cre__mutex *mutex, const struct timespec *deadline);

/* Locks the mutex with one of these functions: without limit when `timeout_ms` is negative, else until
 * `deadline`. */
int cre__mutex_lock_within(cre__mutex *mutex, int64_t timeout_ms, const struct timespec *deadline);

void cre__mutex_unlock(cre__mutex *mutex);

#endif
