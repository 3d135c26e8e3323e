#include "shared/mutex.h"

#include <errno.h>

#ifdef __GLIBC__
#define WAIT_CLOCK CLOCK_MONOTONIC
#else
#define WAIT_CLOCK CLOCK_REALTIME /* the only clock of timedlock */
#endif

int cre__mutex_init(cre__mutex *mutex) {
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error) return -error;
    error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!error) error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (!error) error = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    if (!error) error = pthread_mutex_init(&mutex->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -error;
}

struct timespec cre__mutex_deadline(int64_t timeout_ms) {
    struct timespec at;
    clock_gettime(WAIT_CLOCK, &at);
    if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX; /* 24 days: nothing overflows */
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += timeout_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static int taken(cre__mutex *mutex, int error) {
    if (error != EOWNERDEAD) return -error;
    /* Before anything else: if this owner dies, too, the next one gets EOWNERDEAD. */
    pthread_mutex_consistent(&mutex->mutex);
    return 1;
}

int cre__mutex_lock(cre__mutex *mutex) {
    return taken(mutex, pthread_mutex_lock(&mutex->mutex));
}

int cre__mutex_try(cre__mutex *mutex) {
    return taken(mutex, pthread_mutex_trylock(&mutex->mutex));
}

int cre__mutex_lock_until(cre__mutex *mutex, const struct timespec *deadline) {
#ifdef __GLIBC__
    return taken(mutex, pthread_mutex_clocklock(&mutex->mutex, WAIT_CLOCK, deadline));
#else
    return taken(mutex, pthread_mutex_timedlock(&mutex->mutex, deadline));
#endif
}

int cre__mutex_lock_within(cre__mutex *mutex, int64_t timeout_ms, const struct timespec *deadline) {
    if (timeout_ms < 0) return cre__mutex_lock(mutex);
    /* Also for 0: unlike trylock it reports that the thread holds the mutex itself. */
    return cre__mutex_lock_until(mutex, deadline);
}

void cre__mutex_unlock(cre__mutex *mutex) {
    pthread_mutex_unlock(&mutex->mutex);
}
