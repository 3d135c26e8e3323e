/* What a process that owns sockets reports to the gateway of a cluster: the topics with subscribers, and
 * their members. */
#ifndef CRE_RUNTIME_INTEREST_H
#define CRE_RUNTIME_INTEREST_H

#include <creactor/engine.h>
#include <creactor/internal/worker.h>

#include "runtime/presence.h"

/* Whether the server has a gateway, which gets the members of topics. `cluster` may be NULL. */
static inline bool cre__has_gateway(const cre_cluster_place *cluster) {
    return cluster && cluster->gateway;
}

/* Whether messages go through the gateway to other machines. Otherwise it gets no topics. */
static inline bool cre__is_clustered(const cre_cluster_place *cluster) {
    return cre__has_gateway(cluster) && !cluster->local;
}

/* The gateway gets each change. When one has no room, and when the gateway asks, it gets a complete report,
 * as fast as its ring has room. */
typedef struct cre__interest {
    cre_node *node;
    const cre_engine *engine;
    uint32_t gateway;  /* 0: none */
    bool members_only; /* without the topics */
    uint32_t place;    /* of the next topics or members of a report */
    bool reporting;    /* a report has begun and not ended */
    bool has_topics;   /* its topics are complete; members follow */
    bool stale;        /* the gateway has missed a change: a report is due */
} cre__interest;

/* Begins, with a report, if there is a gateway. `node` is open. */
void cre__interest_begin(cre__interest *interest, cre_node *node, const cre_engine *engine,
                         const cre_cluster_place *cluster);
/* A topic has its first subscriber, or has lost its last one. */
void cre__interest_changed(cre__interest *interest, const void *name, size_t length, bool exists);
/* A topic has a new member, or a member with another info, or one has left. */
void cre__interest_member(cre__interest *interest, const cre__membership *member, bool joined);
/* Continues a report that is under way or due: the gateway may have room again. */
void cre__interest_continue(cre__interest *interest);

/* Handles a record that only a gateway sends: a message for subscribers, or the question for a report.
 * Returns 0, or CRE_EINVALID for another sender and a malformed record. */
int cre__gateway_record(cre__interest *interest, cre_engine *engine, uint32_t from, const cre_record *record,
                        uint8_t *payload);

#endif
