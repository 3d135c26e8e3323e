/* The name of a connection. */
#ifndef CREACTOR_SESSION_H
#define CREACTOR_SESSION_H

#include <stdint.h>

/** Identifies one connection for the life of the server: ids grow and are never reused, and they are not
 * descriptors. 0 is no connection. */
typedef uint64_t cre_session;

#endif
