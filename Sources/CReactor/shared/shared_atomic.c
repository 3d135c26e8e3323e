#include <creactor/error.h>
#include <creactor/shared_atomic.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"
#include "shared/segment.h"

typedef struct shared_number {
    cre__segment_head head;
    _Alignas(64) _Atomic int64_t value;
    /* The futex: it has 32 bits, and half of the value does not show every change. */
    _Atomic uint32_t wakes;
} shared_number;

struct cre_shared_atomic {
    shared_number *number;
    cre__segment segment;
};

static int open_one(int descriptor, cre_shared_atomic **out) {
    cre_shared_atomic *atomic = cre__malloc(sizeof *atomic);
    if (!atomic) return CRE_ENOMEM;
    size_t size = sizeof(shared_number);
    int result = descriptor < 0
                     ? cre__segment_create(&atomic->segment, CRE__SEGMENT_ATOMIC, 0, size)
                     : cre__segment_attach(&atomic->segment, descriptor, CRE__SEGMENT_ATOMIC, 0, size);
    if (result) {
        cre__free(atomic);
        return result;
    }
    atomic->number = atomic->segment.memory;
    *out = atomic;
    return 0;
}

int cre_shared_atomic_create(int64_t value, cre_shared_atomic **out) {
    int result = open_one(-1, out);
    if (!result) cre_shared_atomic_store(*out, value);
    return result;
}

int cre_shared_atomic_attach(int descriptor, cre_shared_atomic **out) {
    return descriptor < 0 ? -EBADF : open_one(descriptor, out);
}

int cre_shared_atomic_descriptor(const cre_shared_atomic *atomic) {
    return atomic->segment.descriptor;
}

void cre_shared_atomic_destroy(cre_shared_atomic *atomic) {
    if (!atomic) return;
    cre__segment_close(&atomic->segment);
    cre__free(atomic);
}

int64_t cre_shared_atomic_load(const cre_shared_atomic *atomic) {
    return atomic_load(&atomic->number->value);
}

void cre_shared_atomic_store(cre_shared_atomic *atomic, int64_t value) {
    atomic_store(&atomic->number->value, value);
}

int64_t cre_shared_atomic_add(cre_shared_atomic *atomic, int64_t value) {
    int64_t before = atomic_fetch_add(&atomic->number->value, value);
    return (int64_t)((uint64_t)before + (uint64_t)value);
}

int64_t cre_shared_atomic_exchange(cre_shared_atomic *atomic, int64_t value) {
    return atomic_exchange(&atomic->number->value, value);
}

int64_t cre_shared_atomic_compare_exchange(cre_shared_atomic *atomic, int64_t expected, int64_t desired) {
    atomic_compare_exchange_strong(&atomic->number->value, &expected, desired);
    return expected;
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *deadline) {
    return syscall(SYS_futex, word, operation, value, deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

int cre_shared_atomic_wait(cre_shared_atomic *atomic, int64_t expected, int64_t timeout_ms) {
    shared_number *number = atomic->number;
    struct timespec deadline = { 0 };
    if (timeout_ms > 0) {
        if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX; /* 24 days: nothing overflows */
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += timeout_ms / 1000;
        deadline.tv_nsec += timeout_ms % 1000 * 1000000;
        if (deadline.tv_nsec >= 1000000000) {
            deadline.tv_sec++;
            deadline.tv_nsec -= 1000000000;
        }
    }
    for (;;) {
        /* In this order: who changes the value after it was looked at wakes after this count was taken. */
        uint32_t wakes = atomic_load(&number->wakes);
        if (atomic_load(&number->value) != expected) return 0;
        if (timeout_ms == 0) return -ETIMEDOUT;
        if (futex(&number->wakes, FUTEX_WAIT_BITSET, wakes, timeout_ms > 0 ? &deadline : NULL) &&
            errno == ETIMEDOUT)
            return atomic_load(&number->value) != expected ? 0 : -ETIMEDOUT;
    }
}

int cre_shared_atomic_wake(cre_shared_atomic *atomic, int count) {
    if (count <= 0) return 0;
    atomic_fetch_add(&atomic->number->wakes, 1);
    long woken = futex(&atomic->number->wakes, FUTEX_WAKE, (uint32_t)count, NULL);
    return woken > 0 ? (int)woken : 0;
}
