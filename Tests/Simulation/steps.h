/*
 * Included before every source of the library: each access to memory that others may see is a step, before
 * which the machine may run another process, or end this one.
 */
#ifndef SIMULATION_STEPS_H
#define SIMULATION_STEPS_H

#include <stdatomic.h>

/* Steps until the machine decides again. */
extern int machine_steps_left;
void machine_decide(void);

static inline void machine_step(void) {
    if (__builtin_expect(--machine_steps_left <= 0, 0)) machine_decide();
}

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit

#define atomic_load_explicit(at, order)             (machine_step(), __atomic_load_n(at, order))
#define atomic_store_explicit(at, value, order)     (machine_step(), __atomic_store_n(at, value, order))
#define atomic_exchange_explicit(at, value, order)  (machine_step(), __atomic_exchange_n(at, value, order))
#define atomic_fetch_add_explicit(at, value, order) (machine_step(), __atomic_fetch_add(at, value, order))
#define atomic_fetch_sub_explicit(at, value, order) (machine_step(), __atomic_fetch_sub(at, value, order))
#define atomic_fetch_or_explicit(at, value, order)  (machine_step(), __atomic_fetch_or(at, value, order))
#define atomic_fetch_and_explicit(at, value, order) (machine_step(), __atomic_fetch_and(at, value, order))
#define atomic_compare_exchange_strong_explicit(at, expected, value, success, failure) \
    (machine_step(), __atomic_compare_exchange_n(at, expected, value, 0, success, failure))
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#define atomic_load(at)             atomic_load_explicit(at, __ATOMIC_SEQ_CST)
#define atomic_store(at, value)     atomic_store_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_exchange(at, value)  atomic_exchange_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(at, value) atomic_fetch_add_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(at, value) atomic_fetch_sub_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(at, value)  atomic_fetch_or_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_and(at, value) atomic_fetch_and_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_strong(at, expected, value) \
    atomic_compare_exchange_strong_explicit(at, expected, value, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_weak atomic_compare_exchange_strong

#endif
