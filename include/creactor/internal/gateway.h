/*
 * The gateway of a server: the one process, or thread, that is connected with the cluster.
 *
 * Processes that own sockets report to it the topics that have subscribers, and processes that run handlers
 * hand it what they publish. It receives the messages of all machines and hands them to the processes with
 * subscribers. It may be killed at any time: messages with history that it has taken are in a journal in
 * shared memory, from which its successor publishes them, each of them once; and its successor asks for the
 * positions up to which subscribers have messages, and continues there.
 */
#ifndef CREACTOR_GATEWAY_H
#define CREACTOR_GATEWAY_H

#include "../cluster.h"
#include "worker.h"

/** A gateway. */
typedef struct cre_gateway cre_gateway;

/** The settings of a gateway. All but the callbacks, `context` and `tls` are required. */
typedef struct cre_gateway_config {
    cre_bus *bus; /* borrowed for the gateway's life, with room for its journal (cre_bus_config) */
    const cre_cluster_place *place; /* borrowed as well; the gateway's node, and the rules of topics */
    uint16_t first_owner;           /* the nodes that own sockets are */
    uint16_t owner_count;           /* [first_owner, first_owner + owner_count) */
    /** The nodes that get changes of the members of topics as CRE_MESSAGE_MEMBER, each topic's by one of
     * them. A count of 0: none does, and this server removes no expired members. */
    uint16_t first_worker, worker_count;
    const char *name;                /* of this server, at most 255 bytes; NULL: none */
    const cre_broker_config *broker; /* `seed` must be another one in each process; `publisher`, `max_topics`,
                                        `max_recover` and `sweeps` are filled in */
    const cre_cluster_server *servers;      /* as in cre_cluster_config, */
    uint32_t server_count;                  /* with their number, */
    const cre_cluster_sentinels *sentinels; /* and these */
    cre_tls_client *tls;
    /** A connection was established or lost, as cre_broker_handlers.state reports it. May be NULL. */
    void (*state)(void *context, uint32_t shard, bool connected, int error, const char *text, size_t length);
    /** The server refuses a part of what is needed, as cre_broker_handlers.refused reports it. May be NULL.
     */
    void (*refused)(void *context, const char *text, size_t length);
    /** Messages of a topic with history are no longer available. May be NULL. */
    void (*lost)(void *context, const char *topic, size_t length);
    /** Another node has written invalid data; see cre_worker_config. May be NULL. */
    void (*violation)(void *context, uint32_t from);
    void *context; /* passed to the callbacks */
} cre_gateway_config;

CRE_BEGIN_DECLS

/** Returns the size that a bus needs for the journal of a gateway, cre_bus_config.journal_bytes. `max_queue`
 * is that of cre_broker_config. Any thread. */
CRE_API uint64_t cre_gateway_journal_bytes(uint32_t shards, uint32_t max_queue);

/** Creates a gateway on `loop`, on its thread, after a predecessor has ended. `config` is copied. Returns 0
 * and *gateway, which the caller destroys before the loop; or CRE_EINVALID, CRE_ENOMEM, or an error of
 * cre_node_open. Servers of the cluster that cannot be reached are no error. */
CRE_NODISCARD CRE_API int cre_gateway_create(cre_loop *loop, const cre_gateway_config *config,
                                             cre_gateway **gateway);

/** Closes the connections and the node. NULL is ignored. */
CRE_API void cre_gateway_destroy(cre_gateway *gateway);

/** Returns whether everything that this server has published was accepted by the cluster. */
CRE_API bool cre_gateway_is_idle(const cre_gateway *gateway);

/** The server ends: its members leave all topics, within a quarter of `presence_ms` for the other servers
 * unless they appear there. cre_gateway_is_idle is true when that was sent. On the gateway's thread. */
CRE_API void cre_gateway_retire(cre_gateway *gateway);

/** Starts a thread with a loop and a gateway, in which all signals are blocked and the callbacks are called.
 * Returns 0 and *gateway, which the caller stops, an error of cre_gateway_create, or a system error. */
CRE_NODISCARD CRE_API int cre_gateway_start(const cre_gateway_config *config, cre_gateway **gateway);

/** Retires and stops a gateway of cre_gateway_start: when it is idle, at the latest after `limit_ms`. Waits
 * for the end of the thread, and frees the gateway. NULL is ignored. */
CRE_API void cre_gateway_stop(cre_gateway *gateway, uint32_t limit_ms);

CRE_END_DECLS

#endif
