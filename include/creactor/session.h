/* The identifier of a connection. */
#ifndef CREACTOR_SESSION_H
#define CREACTOR_SESSION_H

#include <stdint.h>

/** Identifies one connection for the lifetime of the server. Identifiers increase and are never reused; they
 * are not descriptors. 0 is no connection. */
typedef uint64_t cre_session;

#endif
