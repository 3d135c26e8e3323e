/* The system call openat2, for which not every C library has a function. */
#ifndef CRE_FILES_OPENAT2_H
#define CRE_FILES_OPENAT2_H

#include <stdint.h>

/* Opens `path`, relative to `folder`, with the flags of open() and rules for its resolution (RESOLVE_...).
 * Returns the descriptor, or -1 with errno set: ENOSYS on a system before Linux 5.6. */
int cre__openat2(int folder, const char *path, uint64_t flags, uint64_t resolve);

#endif
