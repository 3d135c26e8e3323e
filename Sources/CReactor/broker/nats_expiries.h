/* When values at servers of NATS are to be removed. */
#ifndef CRE_BROKER_NATS_EXPIRIES_H
#define CRE_BROKER_NATS_EXPIRIES_H

#include <stddef.h>
#include <stdint.h>

typedef struct cre__nats_expiry {
    uint64_t expires, sequence; /* as a time of the server; of the message */
} cre__nats_expiry;

typedef struct cre__nats_expiries {
    cre__nats_expiry *first; /* the earliest one */
    size_t count, capacity;
    uint64_t epoch; /* the instance of the stream */
} cre__nats_expiries;

#endif
