/* Connections that could not be accepted for want of descriptors or memory. */
#ifndef CRE_ENGINE_ACCEPT_FAILURE_H
#define CRE_ENGINE_ACCEPT_FAILURE_H

#include <creactor/engine.h>
#include <errno.h>

/* Counts a report of cre_acceptor_on_failure. */
static inline void cre__count_accept_failure(cre_engine_stats *stats, int error, bool refused) {
    bool descriptors = error == -EMFILE || error == -ENFILE;
    stats->refused += refused;
    stats->out_of_descriptors += refused && descriptors;
    stats->out_of_memory += refused && !descriptors;
    stats->accept_pauses += !refused;
}

#endif
