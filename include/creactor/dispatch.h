/* Dispatch: which worker gets the events of a connection, and which gets a datagram. */
#ifndef CREACTOR_DISPATCH_H
#define CREACTOR_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

/**
 * The rules by which a worker is chosen. A connection gets its worker when it is accepted and keeps it for
 * life, so that its events stay in order; only BIND moves it. Each datagram is dispatched by itself.
 */
typedef enum cre_dispatch {
    /** Connections in the order of their sessions; all datagrams of one sender to one worker. */
    CRE_DISPATCH_BY_CONNECTION = 0,
    /** Each connection and each datagram to the next worker. */
    CRE_DISPATCH_ROUND_ROBIN,
    /** To a worker that waits for work; without one, connections to the worker with the fewest connections
     * and datagrams to the next worker. */
    CRE_DISPATCH_IDLE,
    /** Connections to the worker with the fewest connections. */
    CRE_DISPATCH_LEAST_CONNECTIONS,
    /** Everything from one remote address to one worker. */
    CRE_DISPATCH_BY_ADDRESS,
    /** After BIND to worker user_id % worker_count, before it BY_CONNECTION. */
    CRE_DISPATCH_BY_USER,
    /** To the worker that cre_engine_config.dispatch_function returns. */
    CRE_DISPATCH_FUNCTION,
} cre_dispatch;

/** The arguments of a dispatch function, borrowed for the call. New members are added at the end. */
typedef struct cre_dispatch_info {
    uint16_t port;           /* index of the port */
    uint16_t worker_count;   /* the function returns less than this */
    bool datagram;           /* false: a connection that was accepted and has sent nothing yet */
    const cre_address *from; /* the remote address; family AF_UNIX and length 0: it has no name */
    const uint8_t *data;     /* the datagram; NULL for a connection */
    size_t length;           /* of `data`, in bytes */
} cre_dispatch_info;

/** Results of a dispatch function besides the index of a worker. Any other number means CRE_DISPATCH_RULE. */
enum {
    CRE_DISPATCH_REFUSE = -1, /* drop the datagram, close the connection */
    CRE_DISPATCH_RULE = -2,   /* as BY_CONNECTION */
};

#endif
