/* The connections of a broker. */
#include <creactor/address.h>
#include <creactor/client.h>
#include <creactor/cluster.h>
#include <creactor/error.h>
#include <stdio.h>
#include <string.h>

#include "broker/link.h"
#include "broker/redis_slots.h"
#include "cluster/inquiry.h"
#include "core/config.h"
#include "core/memory.h"
#include "loop/loop_internal.h"

CRE__CONFIG(cre_cluster_config, sentinels);

/* Bytes that are passed to a connection at once, and those that it holds: what does not leave stays with the
 * broker, whose queues are bounded. */
enum { PIECE = 256 << 10, QUEUE = 1 << 20, MAX_ADDRESSES = 128 };

/* Of a Redis Cluster: the nodes of one list. */
enum { MAX_NODES = 64 };

/* The deadline for connecting to a sentinel or node. Its answer has the broker's deadline for connecting. */
enum { ASKING_MS = 1000 };

/* With sentinels a connection is one to a sentinel, then one to the server that it names; in a Redis Cluster
 * one to any node, then one to that of the shard. */
typedef enum stage { SERVING, ASKING, CHECKING } stage;

typedef struct address {
    char *host, *tls_name;
    uint16_t port;
} address;

/* The connection of a shard. */
typedef struct server {
    cre_cluster *cluster;
    cre_client *client; /* NULL: not connected, and not connecting */
    address *addresses; /* those that were configured, then those that a server has named; or of sentinels */
    uint32_t count, configured, current;
    uint32_t named; /* of a Redis Cluster: where the list of nodes begins that is being read */
    uint16_t secure;
    bool open; /* it is the broker's */
    bool securing;
    stage stage;
    char *master; /* its name; NULL: without sentinels */
    cre__inquiry inquiry;
    uint32_t asked; /* sentinels or nodes since the broker wanted to connect */
} server;

typedef struct login {
    char *user, *password;
} login;

struct cre_cluster {
    cre__hook flush; /* first */
    cre_loop *loop;
    cre_clients *clients;
    cre_broker *broker;
    cre_broker_handlers handlers;
    void *context;
    cre_tls_client *tls;
    cre_timer *timer;
    uint64_t fires;           /* when the timer does */
    bool waits;               /* does not connect yet */
    bool is_nats, is_sharded; /* a Redis Cluster */
    bool masters_secure;
    login masters, sentinels; /* with sentinels, or of a Redis Cluster */
    uint32_t count;
    server servers[];
};

static uint32_t shard_of(const server *of) {
    return (uint32_t)(of - of->cluster->servers);
}

static char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = cre__malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

static int copy_optional(const char *text, char **copy) {
    return !text || (*copy = copy_text(text)) ? 0 : CRE_ENOMEM;
}

/* ---- addresses ---- */

static void free_address(address *it) {
    cre__free(it->host);
    cre__free(it->tls_name);
}

static int add_address(server *to, const char *host, const char *tls_name, uint16_t port) {
    address *it = &to->addresses[to->count];
    *it =
        (address){ .host = copy_text(host), .tls_name = tls_name ? copy_text(tls_name) : NULL, .port = port };
    if (it->host && (it->tls_name || !tls_name)) {
        to->count++;
        return 0;
    }
    free_address(it);
    return CRE_ENOMEM;
}

/* The server that is connected names all of them. */
static void forget_named(server *to) {
    while (to->count > to->configured)
        free_address(&to->addresses[--to->count]);
    if (to->current >= to->count) to->current = 0;
}

static bool knows(const server *to, uint32_t first, uint32_t end, const char *host, uint16_t port) {
    for (uint32_t i = first; i < end; i++)
        if (to->addresses[i].port == port && !strcmp(to->addresses[i].host, host)) return true;
    return false;
}

/* Certificates have names, and servers name addresses. */
static const char *name_for(const server *to, const char *host) {
    cre_address parsed;
    const address *first = to->addresses;
    if (first->tls_name) return first->tls_name;
    return cre_address_parse(host, 0, &parsed) == 0 ? first->host : NULL;
}

static void on_server(void *context, uint32_t shard, cre_slice host, uint16_t port) {
    enum { MAX_HOST = 254 };
    cre_cluster *cluster = context;
    server *to = &cluster->servers[shard];
    char text[MAX_HOST + 1];
    if (to->count == MAX_ADDRESSES || host.length > MAX_HOST) return;
    memcpy(text, host.data, host.length);
    text[host.length] = 0;
    if (knows(to, 0, to->count, text, port)) return;
    /* Without memory it is not known until it is named again. */
    const int result = add_address(to, text, name_for(to, text), port);
    (void)result;
}

/* A node of a Redis Cluster has named another one, or itself. */
static void on_node(void *context, const char *host, uint16_t port) {
    server *to = context;
    if (to->count == MAX_ADDRESSES || to->count - to->named == MAX_NODES) return;
    if (knows(to, 0, to->configured, host, port) || knows(to, to->named, to->count, host, port)) return;
    /* Without memory it is not known until it is named again. */
    const int result = add_address(to, host, to->addresses->tls_name, port);
    (void)result;
}

/* Forgets the nodes that only the list before has, or (`list`) those of a list that is of no use. */
static void forget(server *to, bool list) {
    const uint32_t first = list ? to->named : to->configured, end = list ? to->count : to->named;
    for (uint32_t i = first; i < end; i++)
        free_address(&to->addresses[i]);
    memmove(&to->addresses[first], &to->addresses[end], (to->count - end) * sizeof *to->addresses);
    to->count -= end - first;
    to->named = to->count;
    if (to->current >= to->count) to->current = 0;
}

static void next_address(server *to) {
    to->current = (to->current + 1) % to->count;
}

/* ---- connections ---- */

static void start(server *to, stage next);

/* A connection was lost or could not be made. Before it was the broker's, perhaps another sentinel knows
 * more. */
static void failed(server *to, int error) {
    cre_cluster *cluster = to->cluster;
    cre__inquiry_end(&to->inquiry);
    if (cluster->is_sharded) forget(to, true);
    next_address(to);
    if (to->stage != SERVING && ++to->asked < to->count) {
        start(to, ASKING);
        return;
    }
    if (error == CRE_EBROKER_REFUSED)
        cre__link_fail(cluster->broker, shard_of(to), error,
                       (cre_slice){ (const uint8_t *)to->inquiry.refusal, strlen(to->inquiry.refusal) });
    cre_broker_closed(cluster->broker, shard_of(to), error, cre_loop_now(cluster->loop));
}

static void abort_client(server *to) {
    cre_client *client = to->client;
    to->client = NULL;
    to->open = false;
    cre_client_abort(client);
}

static int begin_inquiry(server *to) {
    cre_cluster *cluster = to->cluster;
    const bool asks_sentinel = to->stage == ASKING && !cluster->is_sharded;
    const login *as = asks_sentinel ? &cluster->sentinels : &cluster->masters;
    if (!cluster->is_sharded)
        return cre__inquiry_begin(&to->inquiry, asks_sentinel ? to->master : NULL, as->user, as->password);
    const uint32_t slot = cre__slot_of_shard(shard_of(to), cluster->count);
    to->named = to->count;
    return cre__inquiry_begin_slot(&to->inquiry, slot, as->user, as->password, on_node, to);
}

static void ask(server *to) {
    const int error = begin_inquiry(to);
    const cre_slice output = error ? (cre_slice){ 0 } : cre__inquiry_output(&to->inquiry);
    if (!error && !cre_client_send(to->client, output.data, output.length)) return;
    abort_client(to);
    failed(to, error ? error : CRE_ENOMEM);
}

static void serve(server *to) {
    const uint64_t now = cre_loop_now(to->cluster->loop);
    to->open = true;
    if (to->securing) {
        to->securing = false;
        cre_broker_secured(to->cluster->broker, shard_of(to), now);
        return;
    }
    if (to->cluster->is_nats) forget_named(to);
    cre_broker_connected(to->cluster->broker, shard_of(to), now);
}

static void opened(void *context, cre_client *client, const cre_client_opening *opening) {
    server *to = context;
    (void)client;
    (void)opening;
    if (to->stage == SERVING)
        serve(to);
    else
        ask(to);
}

static void answered(server *from, const cre_client_message *message) {
    const int result = cre__inquiry_received(&from->inquiry, message->data, message->length);
    if (result == 0) return;
    if (result < 0) {
        abort_client(from);
        failed(from, result);
        return;
    }
    cre__inquiry_end(&from->inquiry);
    if (from->cluster->is_sharded) {
        if (!from->inquiry.host[0]) /* the host that was asked */
            snprintf(from->inquiry.host, sizeof from->inquiry.host, "%s",
                     from->addresses[from->current].host);
        forget(from, false);
    }
    if (from->stage == ASKING) {
        abort_client(from);
        start(from, from->cluster->is_sharded ? SERVING : CHECKING);
    } else {
        from->stage = SERVING;
        serve(from);
    }
}

static void received(void *context, cre_client *client, const cre_client_message *message) {
    server *from = context;
    (void)client;
    if (from->stage == SERVING)
        cre_broker_received(from->cluster->broker, shard_of(from), message->data, message->length,
                            cre_loop_now(from->cluster->loop));
    else
        answered(from, message);
}

static void closed(void *context, cre_client *client, const cre_client_ending *ending) {
    server *from = context;
    (void)client;
    from->client = NULL;
    from->open = false;
    failed(from, ending->error);
}

static void send_output(cre_cluster *cluster, uint32_t shard);

/* The queue of the connection is shorter than the output that may wait for it. */
static void drained(void *context, cre_client *client) {
    server *to = context;
    (void)client;
    send_output(to->cluster, shard_of(to));
}

static void start(server *to, stage next) {
    cre_cluster *cluster = to->cluster;
    const bool named = next == CHECKING || (cluster->is_sharded && next == SERVING);
    const address *at = &to->addresses[named ? 0 : to->current];
    const bool secure = named ? cluster->masters_secure : to->secure != 0;
    to->securing = false;
    to->stage = next;
    const cre_client_options options = {
        .size = sizeof options,
        .host = named ? to->inquiry.host : at->host,
        .port = named ? to->inquiry.port : at->port,
        .timeout_ms = next == ASKING ? ASKING_MS : 0,
        .tls = secure ? cluster->tls : NULL,
        .tls_name = at->tls_name,
        .secures_later = to->secure == 1 && cluster->is_nats,
        .max_queue = QUEUE,
        .context = to,
        .opened = opened,
        .received = received,
        .drained = drained,
        .closed = closed,
    };
    const int error = cre_client_connect(cluster->clients, &options, &to->client);
    if (!error) return;
    to->client = NULL;
    failed(to, error);
}

static void on_connect(void *context, uint32_t shard) {
    cre_cluster *cluster = context;
    server *to = &cluster->servers[shard];
    to->asked = 0;
    start(to, to->master || cluster->is_sharded ? ASKING : SERVING);
}

static void on_disconnect(void *context, uint32_t shard) {
    cre_cluster *cluster = context;
    server *from = &cluster->servers[shard];
    cre__inquiry_end(&from->inquiry);
    next_address(from);
    abort_client(from);
}

/* Called while INFO is being read. */
static void on_secure(void *context, uint32_t shard) {
    cre_cluster *cluster = context;
    server *to = &cluster->servers[shard];
    to->open = false;
    to->securing = true;
    /* It fails only for a connection that ends, which is reported. */
    const int result = cre_client_secure(to->client);
    (void)result;
}

/* ---- callbacks of the application ---- */

static void on_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    const cre_cluster *cluster = context;
    cluster->handlers.message(cluster->context, topic, payload, position);
}

static void on_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    const cre_cluster *cluster = context;
    cluster->handlers.subscribed(cluster->context, topic, position);
}

static void on_lost(void *context, cre_slice topic, cre_broker_position position) {
    const cre_cluster *cluster = context;
    cluster->handlers.lost(cluster->context, topic, position);
}

static void on_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    const cre_cluster *cluster = context;
    cluster->handlers.published(cluster->context, tag, result, position);
}

static void on_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    const cre_cluster *cluster = context;
    cluster->handlers.missed(cluster->context, tag, payload, position);
}

static void on_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    const cre_cluster *cluster = context;
    cluster->handlers.recovered(cluster->context, tag, result, position);
}

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice text) {
    const cre_cluster *cluster = context;
    cluster->handlers.state(cluster->context, shard, state, error, text);
}

static void on_refused(void *context, uint32_t shard, cre_slice text) {
    const cre_cluster *cluster = context;
    if (cluster->handlers.refused) cluster->handlers.refused(cluster->context, shard, text);
}

static void on_member(void *context, cre_slice topic, const cre_broker_member *member, bool joined) {
    const cre_cluster *cluster = context;
    if (cluster->handlers.member) cluster->handlers.member(cluster->context, topic, member, joined);
}

static void on_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    const cre_cluster *cluster = context;
    if (cluster->handlers.present) cluster->handlers.present(cluster->context, tag, result, presence);
}

static void on_value(void *context, uint64_t tag, int result, cre_slice value) {
    const cre_cluster *cluster = context;
    if (cluster->handlers.value) cluster->handlers.value(cluster->context, tag, result, value);
}

static const cre_broker_handlers own_handlers = {
    .connect = on_connect,
    .disconnect = on_disconnect,
    .message = on_message,
    .subscribed = on_subscribed,
    .lost = on_lost,
    .published = on_published,
    .missed = on_missed,
    .recovered = on_recovered,
    .state = on_state,
    .refused = on_refused,
    .server = on_server,
    .secure = on_secure,
    .member = on_member,
    .present = on_present,
    .value = on_value,
};

/* ---- the end of a turn ---- */

static void send_output(cre_cluster *cluster, uint32_t shard) {
    const server *to = &cluster->servers[shard];
    while (to->open) {
        cre_slice output = cre_broker_output(cluster->broker, shard);
        if (!output.length) return;
        if (output.length > PIECE) output.length = PIECE;
        if (cre_client_send(to->client, output.data, output.length)) {
            cre_client_await_drain(to->client);
            return;
        }
        cre_broker_sent(cluster->broker, shard, output.length);
    }
}

static void fire(void *context, cre_timer *timer) {
    cre_cluster *cluster = context;
    cre_timer_stop(timer);
    cluster->timer = NULL; /* the end of the turn starts another one */
    cre_broker_tick(cluster->broker, cre_loop_now(cluster->loop));
}

/* The timer may fire too early, which is harmless: then it is started again. */
static int wake_at(cre_cluster *cluster, uint64_t due) {
    if (cluster->timer && cluster->fires <= due) return 0;
    const uint64_t now = cre_loop_now(cluster->loop);
    cre_timer_stop(cluster->timer);
    cluster->timer = NULL;
    cluster->fires = due;
    return cre_timer_start(cluster->loop, due > now ? due - now : 0, 0, fire, cluster, &cluster->timer);
}

static bool flush(cre__hook *hook) {
    cre_cluster *cluster = (cre_cluster *)hook;
    if (cluster->waits) return false;
    const uint64_t due = cre_broker_tick(cluster->broker, cre_loop_now(cluster->loop));
    for (uint32_t i = 0; i < cluster->count; i++)
        send_output(cluster, i);
    if (wake_at(cluster, due)) { /* without memory for a timer, the next turn tries again */
    }
    return false;
}

/* ---- the object ---- */

/* `count` addresses from `from` on, of which the machines do not all try the same one first. */
static int copy_servers(server *own, const cre_cluster_server *from, uint32_t count, uint64_t seed) {
    const bool learns = own->cluster->is_nats || own->cluster->is_sharded;
    own->addresses = cre__calloc(learns ? MAX_ADDRESSES : count, sizeof *own->addresses);
    if (!own->addresses) return CRE_ENOMEM;
    own->secure = from->secure;
    for (uint32_t i = 0; i < count; i++) {
        if (!from[i].host || from[i].secure != own->secure) return CRE_EINVALID;
        if (from[i].secure > (own->cluster->is_nats ? 2 : 1)) return CRE_EINVALID;
        if (from[i].secure && !own->cluster->tls) return CRE_EINVALID;
        const int error = add_address(own, from[i].host, from[i].tls_name, from[i].port);
        if (error) return error;
    }
    own->configured = own->named = own->count;
    own->current = (uint32_t)(seed % count);
    return 0;
}

static int copy_sentinels(cre_cluster *cluster, const cre_cluster_sentinels *from) {
    if (!from->count || !from->servers || !from->masters || from->secure > 1) return CRE_EINVALID;
    if (from->secure && !cluster->tls) return CRE_EINVALID;
    cluster->masters_secure = from->secure;
    int error = copy_optional(from->user, &cluster->sentinels.user);
    if (!error) error = copy_optional(from->password, &cluster->sentinels.password);
    for (uint32_t i = 0; i < cluster->count && !error; i++)
        error =
            from->masters[i] ? copy_optional(from->masters[i], &cluster->servers[i].master) : CRE_EINVALID;
    return error;
}

static int copy_masters(cre_cluster *cluster, const cre_broker_config *broker) {
    const int error = copy_optional(broker->user, &cluster->masters.user);
    return error ? error : copy_optional(broker->password, &cluster->masters.password);
}

static int create_broker(cre_cluster *cluster, const cre_cluster_config *config, cre_broker_config broker) {
    const cre_cluster_sentinels *sentinels = config->sentinels;
    const uint32_t given = sentinels ? sentinels->count : config->server_count, each = given ? given : 1;
    const bool is_plain = !cluster->is_nats && !cluster->is_sharded;
    if (is_plain ? config->server_count != 0 : sentinels != NULL) return CRE_EINVALID;
    if (cluster->is_nats && cluster->count != 1) return CRE_EINVALID;
    if (cluster->is_sharded && !given) return CRE_EINVALID;
    if (each > MAX_ADDRESSES / 2) return CRE_EINVALID;
    int error = sentinels ? copy_sentinels(cluster, sentinels) : 0;
    if (!error) error = copy_masters(cluster, &broker);
    for (uint32_t i = 0; i < cluster->count && !error; i++) {
        server *own = &cluster->servers[i];
        own->cluster = cluster;
        const cre_cluster_server *servers = sentinels             ? sentinels->servers
                                            : cluster->is_sharded ? config->servers
                                                                  : &config->servers[i];
        error = copy_servers(own, servers, each, broker.seed + i);
    }
    if (error) return error;
    const uint16_t secure = cluster->servers->secure;
    if (cluster->is_sharded) cluster->masters_secure = secure;
    if (cluster->is_nats) broker.tls = secure == 2 ? CRE_BROKER_TLS_FIRST : secure;
    return cre_broker_create(&broker, &own_handlers, cluster, &cluster->broker);
}

static int check_config(const cre_cluster_config *config) {
    const cre_broker_handlers *handlers = config->handlers;
    if (!config->broker || !handlers || !config->servers == !config->sentinels) return CRE_EINVALID;
    if (!handlers->message || !handlers->subscribed || !handlers->lost) return CRE_EINVALID;
    return handlers->published && handlers->missed && handlers->recovered && handlers->state ? 0
                                                                                             : CRE_EINVALID;
}

int cre_cluster_create(cre_loop *loop, const cre_cluster_config *given, cre_cluster **out) {
    cre_cluster_config config;
    cre_broker_config broker;
    int error = cre__config_take(&config, sizeof config, given);
    if (!error) error = check_config(&config);
    if (!error) error = cre__config_take(&broker, sizeof broker, config.broker);
    if (error) return error;
    const uint32_t count = broker.shards;
    if (!count || count > CRE_BROKER_MAX_SHARDS) return CRE_EINVALID;
    cre_cluster *cluster = cre__calloc(1, sizeof *cluster + count * sizeof *cluster->servers);
    if (!cluster) return CRE_ENOMEM;
    cluster->flush.run = flush;
    cluster->loop = loop;
    cluster->handlers = *config.handlers;
    cluster->context = config.context;
    cluster->tls = cre_tls_client_retain(config.tls);
    cluster->count = count;
    cluster->waits = config.waits;
    cluster->is_nats = broker.kind == CRE_BROKER_NATS;
    cluster->is_sharded = broker.kind == CRE_BROKER_REDIS_CLUSTER;
    /* before the clients' hook, which writes to the sockets */
    cre__loop_add_hook(loop, CRE__FLUSH, &cluster->flush);
    error = cre_clients_create(loop, &cluster->clients);
    if (!error) error = create_broker(cluster, &config, broker);
    if (!error && !config.waits) error = cre_cluster_connect(cluster);
    if (error)
        cre_cluster_destroy(cluster);
    else
        *out = cluster;
    return error;
}

int cre_cluster_connect(cre_cluster *cluster) {
    cluster->waits = false;
    return wake_at(cluster, 0);
}

/* Secrets do not stay in freed memory. */
static void free_login(const login *old) {
    if (old->password) explicit_bzero(old->password, strlen(old->password));
    cre__free(old->user);
    cre__free(old->password);
}

void cre_cluster_destroy(cre_cluster *cluster) {
    if (!cluster) return;
    cre__loop_remove_hook(cluster->loop, CRE__FLUSH, &cluster->flush);
    cre_timer_stop(cluster->timer);
    cre_clients_destroy(cluster->clients);
    cre_broker_destroy(cluster->broker);
    for (uint32_t i = 0; i < cluster->count; i++) {
        server *own = &cluster->servers[i];
        while (own->count)
            free_address(&own->addresses[--own->count]);
        cre__free(own->addresses);
        cre__free(own->master);
        cre__inquiry_end(&own->inquiry);
    }
    free_login(&cluster->masters);
    free_login(&cluster->sentinels);
    cre_tls_client_release(cluster->tls);
    cre__free(cluster);
}

cre_broker *cre_cluster_broker(cre_cluster *cluster) {
    return cluster->broker;
}
