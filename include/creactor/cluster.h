/*
 * A broker (broker.h) on a loop: its connections to servers of Redis, Valkey or NATS, plain or with TLS.
 *
 *   cre_broker_config settings = { .size = sizeof settings, .shards = 1, .seed = random };
 *   cre_cluster_server server = { .host = "10.0.0.5", .port = 6379 };
 *   cre_cluster_config config = { .size = sizeof config, .broker = &settings, .servers = &server,
 *                                 .handlers = &handlers };
 *   cre_cluster_create(loop, &config, &cluster);
 *   cre_broker_publish(cre_cluster_broker(cluster), topic, payload, history, tag);
 *
 * Everything here and the functions of the broker must be called on the loop's thread.
 */
#ifndef CREACTOR_CLUSTER_H
#define CREACTOR_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#include "broker.h"
#include "connect.h"
#include "export.h"
#include "loop.h"

/** A broker with its connections. */
typedef struct cre_cluster cre_cluster;

/** Where a server is: that of a shard, one of a cluster of NATS or a Redis Cluster, or a sentinel. */
typedef struct cre_cluster_server {
    const char *host;     /* as in cre_connect_options: an address, a host name or "unix:" and a path */
    uint16_t port;        /* 0 for a Unix socket */
    uint16_t secure;      /* 1: with TLS; 2: NATS with TLS that begins before the server introduces itself */
    uint32_t reserved;    /* 0 */
    const char *tls_name; /* the host name that the server's certificate must have; NULL: `host` */
} cre_cluster_server;

/** The servers of Redis Sentinel that know which server is the master of each shard. Before each connection
 * one of them is asked for its address, the next one when it does not answer; then the server, whether it is
 * a master. */
typedef struct cre_cluster_sentinels {
    const cre_cluster_server *servers; /* to ask, all with TLS or all without */
    uint32_t count;                    /* of them, 1 to 64 */
    uint32_t secure;                   /* 1: masters have TLS, with the `tls_name` of the first server */
    const char *const *masters;        /* their names, one for each shard */
    const char *user;                  /* of the sentinels; NULL: the default user */
    const char *password;              /* of the sentinels; NULL: none */
} cre_cluster_sentinels;

/** The settings of a cluster. All but `context`, `tls` and `sentinels` are required. */
typedef struct cre_cluster_config {
    size_t size;                         /* sizeof(cre_cluster_config) */
    const cre_broker_config *broker;     /* `tls` is filled in */
    const cre_cluster_server *servers;   /* one for each shard, or `server_count`; NULL with `sentinels` */
    const cre_broker_handlers *handlers; /* `connect`, `disconnect`, `server` and `secure` are not called and
                                            may be NULL */
    void *context;                       /* passed to the handlers */
    cre_tls_client *tls;                 /* required for a server with TLS; retained */
    uint32_t waits;                      /* 1: do not connect before cre_cluster_connect */
    /* 0: `servers` has one server for each shard. NATS: the broker connects to one of `servers` or of the
     * servers that they name, and to the next one when that connection is lost. Redis Cluster, 1 to 64:
     * before each connection one of them, or of the nodes that they name, is asked for the node of the shard;
     * `tls_name` is the name of all nodes; without it their certificates must have the announced hosts. */
    uint32_t server_count;
    const cre_cluster_sentinels *sentinels; /* of Redis: they know the servers; NULL: those are `servers` */
} cre_cluster_config;

CRE_BEGIN_DECLS

/** Creates a broker and starts to connect, from the loop's next turn on. Everything is copied. Returns 0 and
 * *cluster, which the caller destroys before the loop; or an error of cre_broker_create, CRE_EINVALID for a
 * missing member, CRE_ENOMEM. A host that cannot be reached is no error: it is reported by `state`, and tried
 * again. */
CRE_NODISCARD CRE_API int cre_cluster_create(cre_loop *loop, const cre_cluster_config *config,
                                             cre_cluster **cluster);

/** Starts to connect, from the loop's next turn on, if the cluster waits for that. Returns 0 or CRE_ENOMEM.
 */
CRE_NODISCARD CRE_API int cre_cluster_connect(cre_cluster *cluster);

/** Closes the connections and frees everything, without a callback. Messages without a reply may be lost. Not
 * inside a callback. NULL is ignored. */
CRE_API void cre_cluster_destroy(cre_cluster *cluster);

/** The broker, valid as long as the cluster. Its output is sent at the end of the loop's turn. Only
 * cre_broker_subscribe, cre_broker_resume, cre_broker_unsubscribe, cre_broker_publish,
 * cre_broker_publish_again, cre_broker_recover, cre_broker_join, cre_broker_leave, cre_broker_retire,
 * cre_broker_sends_members, cre_broker_list_members, cre_broker_queued, cre_broker_shard and
 * cre_broker_is_connected may be called, also by its callbacks. */
CRE_API cre_broker *cre_cluster_broker(cre_cluster *cluster);

CRE_END_DECLS

#endif
