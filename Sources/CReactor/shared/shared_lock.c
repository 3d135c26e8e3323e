/*
 * A gate, and a slot for each reader. Every thread that acquires the lock passes the gate. A reader locks a
 * slot and unlocks the gate; a writer keeps the gate locked and waits until all slots are free. Gate and
 * slots are robust mutexes, so the lock survives its owners.
 */
#include <creactor/error.h>
#include <creactor/shared_lock.h>
#include <errno.h>
#include <stdatomic.h>

#include "core/memory.h"
#include "shared/mutex.h"
#include "shared/segment.h"

typedef struct shared_gate {
    cre__segment_head head;
    cre__mutex gate;
    /* Written by the owner of the gate. A dead writer leaves it set, which is reported until another writer
     * has released the lock. */
    _Atomic uint32_t writing;
    /* Slots with a reader. A dead reader leaves its bit set; the next user of the slot notices. */
    _Alignas(64) _Atomic uint64_t readers;
    cre__mutex places[CRE_SHARED_LOCK_READERS];
} shared_gate;

struct cre_shared_lock {
    shared_gate *gate;
    cre__segment segment;
};

int cre_shared_lock_create(cre_shared_lock **out) {
    cre_shared_lock *lock = cre__malloc(sizeof *lock);
    if (!lock) return CRE_ENOMEM;
    int result = cre__segment_create(&lock->segment, CRE__SEGMENT_LOCK, 0, sizeof(shared_gate));
    if (result) {
        cre__free(lock);
        return result;
    }
    lock->gate = lock->segment.memory;
    result = cre__mutex_init(&lock->gate->gate);
    for (int place = 0; !result && place < CRE_SHARED_LOCK_READERS; place++)
        result = cre__mutex_init(&lock->gate->places[place]);
    if (result)
        cre_shared_lock_destroy(lock);
    else
        *out = lock;
    return result;
}

int cre_shared_lock_attach(int descriptor, cre_shared_lock **out) {
    cre_shared_lock *lock = cre__malloc(sizeof *lock);
    if (!lock) return CRE_ENOMEM;
    int result = cre__segment_attach(&lock->segment, descriptor, CRE__SEGMENT_LOCK, 0, sizeof(shared_gate));
    if (result) {
        cre__free(lock);
        return result;
    }
    lock->gate = lock->segment.memory;
    *out = lock;
    return 0;
}

int cre_shared_lock_descriptor(const cre_shared_lock *lock) {
    return lock->segment.descriptor;
}

void cre_shared_lock_destroy(cre_shared_lock *lock) {
    if (!lock) return;
    cre__segment_close(&lock->segment);
    cre__free(lock);
}

static int enter(shared_gate *gate, int64_t timeout_ms, const struct timespec *deadline,
                 cre_shared_hold *hold) {
    int result = cre__mutex_lock_within(&gate->gate, timeout_ms, deadline);
    if (result < 0) return result;
    *hold = (cre_shared_hold){ .reader = -1, .abandoned = atomic_load(&gate->writing) != 0 };
    return 0;
}

/* Waits until all readers have left. The gate is locked, so there are no new ones. */
static int drain(shared_gate *gate, int64_t timeout_ms, const struct timespec *deadline) {
    for (uint64_t readers; (readers = atomic_load(&gate->readers));) {
        int place = __builtin_ctzll(readers);
        int result = cre__mutex_lock_within(&gate->places[place], timeout_ms, deadline);
        if (result < 0) return result;
        atomic_fetch_and(&gate->readers, ~(1ull << place));
        cre__mutex_unlock(&gate->places[place]);
    }
    return 0;
}

int cre_shared_lock_write(cre_shared_lock *lock, int64_t timeout_ms, cre_shared_hold *hold) {
    shared_gate *gate = lock->gate;
    struct timespec deadline = { 0 };
    if (timeout_ms >= 0) deadline = cre__mutex_deadline(timeout_ms);
    int result = enter(gate, timeout_ms, &deadline, hold);
    if (result) return result;
    result = drain(gate, timeout_ms, &deadline);
    if (result) {
        cre__mutex_unlock(&gate->gate);
        return result;
    }
    atomic_store(&gate->writing, 1);
    return 0;
}

/* Locks a slot that is free or whose reader died; waits for the first one when all are used. */
static int take_place(shared_gate *gate, int64_t timeout_ms, const struct timespec *deadline, int *place) {
    uint64_t readers = atomic_load(&gate->readers);
    for (int pass = 0; pass < 2; pass++) {
        for (int at = 0; at < CRE_SHARED_LOCK_READERS; at++) {
            if (pass == 0 && readers & 1ull << at) continue;
            if (cre__mutex_try(&gate->places[at]) < 0) continue;
            *place = at;
            return 0;
        }
    }
    *place = 0;
    int result = cre__mutex_lock_within(&gate->places[0], timeout_ms, deadline);
    return result < 0 ? result : 0;
}

int cre_shared_lock_read(cre_shared_lock *lock, int64_t timeout_ms, cre_shared_hold *hold) {
    shared_gate *gate = lock->gate;
    struct timespec deadline = { 0 };
    if (timeout_ms >= 0) deadline = cre__mutex_deadline(timeout_ms);
    int result = enter(gate, timeout_ms, &deadline, hold);
    if (result) return result;
    int place = 0;
    result = take_place(gate, timeout_ms, &deadline, &place);
    if (!result) {
        atomic_fetch_or(&gate->readers, 1ull << place);
        hold->reader = place;
    }
    cre__mutex_unlock(&gate->gate);
    return result;
}

void cre_shared_lock_release(cre_shared_lock *lock, const cre_shared_hold *hold) {
    shared_gate *gate = lock->gate;
    if (hold->reader < 0) {
        atomic_store(&gate->writing, 0);
        cre__mutex_unlock(&gate->gate);
    } else {
        atomic_fetch_and(&gate->readers, ~(1ull << hold->reader));
        cre__mutex_unlock(&gate->places[hold->reader]);
    }
}
