/*
 * Values by key in shared memory, for a server without a cluster.
 *
 * Their memory has a fixed size and is created before the processes that share it are forked. If a process
 * dies during an operation, the operation is either complete or has no effect. Any thread of any process may
 * call all functions at any time, except cre_shared_values_destroy while another thread uses the values.
 */
#ifndef CREACTOR_SHARED_VALUES_H
#define CREACTOR_SHARED_VALUES_H

#include <stddef.h>

#include "value.h"

CRE_BEGIN_DECLS

/** The most room for values, in bytes. */
#define CRE_SHARED_VALUES_MAX (16u << 20)

/** Values in shared memory. */
typedef struct cre_shared_values cre_shared_values;

/**
 * Creates room for values: `room` bytes, from 128 KiB to CRE_SHARED_VALUES_MAX, of which a value with its key
 * takes a multiple of 256. The caller owns it, and so does each process forked later. Memory that was never
 * used costs nothing. Returns 0 and *out, or CRE_EINVALID, CRE_ENOMEM or a system error.
 */
CRE_NODISCARD CRE_API int cre_shared_values_create(uint32_t room, cre_shared_values **out);

/** Maps the values of a descriptor, in a program that was executed by cre_process_execute. Returns 0 and
 * *out, which then owns the descriptor; CRE_ESHARED_MISMATCH when it has no values with this room; or an
 * error of cre_shared_values_create, and the caller keeps the descriptor. */
CRE_NODISCARD CRE_API int cre_shared_values_attach(int descriptor, uint32_t room, cre_shared_values **out);

/** The descriptor of the values, which own it. It is closed on exec unless the caller changes that. */
CRE_API int cre_shared_values_descriptor(const cre_shared_values *values);

/** Unmaps the values in this process; other processes keep them. NULL is ignored. */
CRE_API void cre_shared_values_destroy(cre_shared_values *values);

/**
 * Carries out an operation. `now` is a monotonic time in milliseconds, of the same clock in all processes.
 * Returns 1 when it was done, or the value of GET is there; 0 when the condition is not met, or there is no
 * value to get or to remove. Otherwise nothing was changed: CRE_EVALUE_NUMBER when ADD finds no integer or
 * its sum overflows, CRE_EVALUE_FULL, an error of cre_value_check, or -ETIMEDOUT when a process that was
 * stopped during an operation still has the lock.
 *
 * GET and ADD write the value, respectively the sum in decimal, to `value`, which has CRE_VALUE_MAX bytes,
 * and its length to *length.
 */
CRE_NODISCARD CRE_API int cre_shared_values_apply(cre_shared_values *values,
                                                  const cre_value_operation *operation, uint64_t now,
                                                  uint8_t *value, size_t *length);

/** What cre_shared_values_get_stats reports. */
typedef struct cre_shared_values_stats {
    uint64_t count;    /**< values, with those that have expired and were not removed yet */
    uint64_t used;     /**< bytes of the room that they take */
    uint64_t repaired; /**< repairs after a crash or corruption */
} cre_shared_values_stats;

/** Copies the first `size` bytes, sizeof(cre_shared_values_stats), of the counters; those that this version
 * does not know are 0. */
CRE_API void cre_shared_values_get_stats(const cre_shared_values *values, cre_shared_values_stats *stats,
                                         size_t size);

CRE_END_DECLS

#endif
