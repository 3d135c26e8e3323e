/* Dispatch: which worker gets the events of a connection, and which gets a datagram. */
#ifndef CREACTOR_DISPATCH_H
#define CREACTOR_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

/**
 * The rules. A connection gets its worker when it is accepted and keeps it for life, so that all its events
 * come in order; only BIND moves it. A datagram is decided on by itself.
 */
typedef enum cre_dispatch {
    CRE_DISPATCH_BY_CONNECTION = 0, /* connections in the order of their sessions; all datagrams of one sender
                                       to one worker */
    CRE_DISPATCH_ROUND_ROBIN,       /* each connection and each datagram to the next worker */
    CRE_DISPATCH_IDLE, /* to a worker that waits for work; when there is none, connections to the one with the
                          fewest, datagrams to the next one */
    CRE_DISPATCH_LEAST_CONNECTIONS, /* connections to the worker with the fewest of them */
    CRE_DISPATCH_BY_ADDRESS,        /* all of one remote address to one worker */
    CRE_DISPATCH_BY_USER,  /* from a BIND on to worker user_id % worker_count; until then BY_CONNECTION */
    CRE_DISPATCH_FUNCTION, /* as a function of the user says */
} cre_dispatch;

/** The arguments of a dispatch function, borrowed for the call. */
typedef struct cre_dispatch_info {
    uint16_t port;           /* index of the port */
    uint16_t worker_count;   /* its answer is less than this */
    bool datagram;           /* false: a connection that was accepted, and has sent nothing yet */
    const cre_address *from; /* the other side; family AF_UNIX and length 0: it has no name */
    const uint8_t *data;     /* the datagram; NULL for a connection */
    size_t length;
} cre_dispatch_info;

/** What it may answer besides the index of a worker. Any other number means CRE_DISPATCH_RULE. */
enum {
    CRE_DISPATCH_REFUSE = -1, /* drop the datagram, close the connection */
    CRE_DISPATCH_RULE = -2,   /* as BY_CONNECTION */
};

#endif
