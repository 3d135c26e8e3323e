/* Configurations of the public headers: structures that start with their size. */
#ifndef CRE_CORE_CONFIG_H
#define CRE_CORE_CONFIG_H

#include <stddef.h>

/*
 * Copies the configuration at `from`, of a program that may know fewer or more members, to `to`, which has
 * `known` bytes: members that the program does not know are zero, and the size is `known`. Returns 0;
 * CRE_EINVALID when `from` is NULL; CRE_ECONFIG_SIZE, copying nothing, when the size is not set, cannot be
 * that of a configuration, or includes members behind `known` that are not zero.
 */
int cre__config_take(void *to, size_t known, const void *from);

/* Copies the configuration at `index` of an array in the same way. The elements of an array have the size of
 * the first one. */
int cre__config_take_at(void *to, size_t known, const void *array, size_t index);

/* Copies the structure at `from` to `to`, which has `size` bytes, of a program that may know fewer or more
 * members: members that this version does not know are zero. */
void cre__config_give(void *to, size_t size, const void *from, size_t known);

/*
 * A configuration grows at its end only, and it has no padding there: a member in what was padding would be
 * read from programs that never set it. A configuration that is borrowed instead of copied has no members
 * that are read without a look at its size, except those of its first version.
 */
#define CRE__CONFIG(type, last)                                                      \
    _Static_assert(offsetof(type, size) == 0, #type " must start with its size");    \
    _Static_assert(offsetof(type, last) + sizeof(((type *)0)->last) == sizeof(type), \
                   #type " must end with " #last)

#endif
