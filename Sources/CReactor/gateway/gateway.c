/* A gateway: its node on the bus, its cluster, its thread. */
#include <creactor/error.h>
#include <signal.h>
#include <string.h>

#include "core/memory.h"
#include "gateway/gateway_internal.h"

/* ---- callbacks of the broker ---- */

static void on_state(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice text) {
    cre_gateway *gateway = context;
    const bool connected = state == CRE_BROKER_CONNECTED;
    const uint64_t bit = 1ull << shard;
    gateway->connected = connected ? gateway->connected | bit : gateway->connected & ~bit;
    cre__gateway_count(connected ? &gateway->stats->connects : &gateway->stats->breaks, 1);
    cre__gateway_publish_stat(&gateway->stats->connected, (uint64_t)__builtin_popcountll(gateway->connected));
    if (gateway->config.state)
        gateway->config.state(gateway->config.context, shard, connected, error, (const char *)text.data,
                              text.length);
}

static void on_refused(void *context, uint32_t shard, cre_slice text) {
    const cre_gateway *gateway = context;
    (void)shard;
    if (gateway->config.refused)
        gateway->config.refused(gateway->config.context, (const char *)text.data, text.length);
}

static const cre_broker_handlers handlers = {
    .message = cre__gateway_message,
    .subscribed = cre__gateway_subscribed,
    .lost = cre__gateway_lost,
    .published = cre__gateway_published,
    .missed = cre__gateway_missed,
    .recovered = cre__gateway_recovered,
    .state = on_state,
    .refused = on_refused,
    .member = cre__gateway_member_changed,
    .present = cre__gateway_present,
    .value = cre__gateway_value,
};

/* ---- callbacks of the node ---- */

static int on_record(void *context, uint32_t from, const cre_record *record, uint8_t *payload) {
    const cre_gateway *gateway = context;
    if (gateway->config.place->local && record->kind == CRE_MESSAGE_PUBLISH) return CRE_EINVALID;
    switch (record->kind) {
    case CRE_MESSAGE_PUBLISH: return cre__gateway_publish(context, from, record, payload);
    case CRE_MESSAGE_INTEREST: return cre__gateway_interest(context, from, record, payload);
    case CRE_MESSAGE_MEMBER: return cre__gateway_member(context, from, record, payload);
    case CRE_MESSAGE_ASK: return cre__gateway_question(context, from, record, payload);
    case CRE_MESSAGE_COUNTED: return cre__gateway_counted(context, from, record, payload);
    case CRE_MESSAGE_PIPE: return 0; /* nobody is there to read it */
    default: return CRE_EINVALID;
    }
}

static void on_lost(void *context, uint32_t from, const cre_record *record) {
    cre_gateway *gateway = context;
    (void)from;
    if (record->kind == CRE_MESSAGE_PUBLISH) cre__gateway_count(&gateway->stats->dropped, 1);
}

static void on_violation(void *context, uint32_t from) {
    const cre_gateway *gateway = context;
    if (gateway->config.violation) gateway->config.violation(gateway->config.context, from);
}

static bool on_check(void *context, uint32_t repaired) {
    cre_gateway *gateway = context;
    cre__bus_count_repaired(gateway->config.bus, gateway->config.place->gateway, repaired);
    if (gateway->incomplete) cre__gateway_request_reports(gateway, false);
    return gateway->incomplete;
}

/* ---- the object ---- */

/* Without a cluster the broker only manages members. */
static int start_local(cre_gateway *gateway) {
    const cre_broker_config broker = {
        .size = sizeof broker, .kind = CRE_BROKER_LOCAL, .shards = 1, .seed = gateway->config.broker->seed
    };
    gateway->resumes = gateway->stats->connects != 0;
    cre__gateway_count(&gateway->stats->connects, 1);
    return cre_broker_create(&broker, &handlers, gateway, &gateway->broker);
}

static int start_cluster(cre_gateway *gateway) {
    const cre_gateway_config *config = &gateway->config;
    cre_broker_config broker = *config->broker;
    broker.publisher = gateway->server;
    /* what the owners' limits and a history allow is not refused here */
    broker.max_topics = UINT32_MAX;
    broker.max_recover = CRE_BROKER_MAX_HISTORY;
    broker.sweeps = config->worker_count != 0;
    const cre_cluster_config cluster = { .size = sizeof cluster,
                                         .broker = &broker,
                                         .servers = config->servers,
                                         .server_count = config->server_count,
                                         .sentinels = config->sentinels,
                                         .handlers = &handlers,
                                         .context = gateway,
                                         .tls = config->tls,
                                         .waits = 1 };
    const cre_slice all = { (const uint8_t *)CRE_TOPIC_ALL, sizeof CRE_TOPIC_ALL - 1 };
    const int result = cre_cluster_create(gateway->loop, &cluster, &gateway->cluster);
    if (result) return result;
    gateway->broker = cre_cluster_broker(gateway->cluster);
    const int subscribed = cre_broker_subscribe(gateway->broker, all, (cre_broker_history){ 0 });
    return subscribed ? subscribed : cre__gateway_open_counts(gateway);
}

static int open_node(cre_gateway *gateway) {
    const cre_node_handlers own = {
        .record = on_record,
        .violation = on_violation,
        .lost = on_lost,
        .taking_first = CRE_MESSAGE_PUBLISH,
        .taking_last = CRE_MESSAGE_PUBLISH,
        .check = on_check,
    };
    return cre_node_open(gateway->config.bus, gateway->config.place->gateway, gateway->loop, &own, gateway,
                         &gateway->node);
}

static bool is_valid(const cre_gateway_config *config) {
    if (!config->bus || !config->place || !config->broker) return false;
    const cre_cluster_place *place = config->place;
    const uint32_t nodes = config->bus->config.nodes, shards = place->shards;
    if (!shards || shards > CRE_BROKER_MAX_SHARDS || shards != config->broker->shards) return false;
    if (place->gateway >= nodes || (uint32_t)config->first_owner + config->owner_count > nodes) return false;
    if ((uint32_t)config->first_worker + config->worker_count > nodes) return false;
    if (place->local) return shards == 1 && !config->bus->config.journal_bytes;
    return config->bus->config.journal_bytes == cre_gateway_journal_bytes(shards, config->broker->max_queue);
}

/* The state that a predecessor has published has ended with it. */
static void reset_stats(cre_gateway *gateway) {
    cre_cluster_stats *stats = gateway->stats;
    cre__gateway_publish_stat(&stats->connected, 0);
    cre__gateway_publish_stat(&stats->topics, 0);
    cre__gateway_publish_stat(&stats->queued, 0);
    cre__gateway_publish_stat(&stats->members, 0);
    cre__gateway_publish_stat(&stats->questions_open, 0);
    cre__gateway_publish_stat(&stats->shards, gateway->config.place->shards);
    atomic_store(&gateway->config.bus->control->full_shards, 0);
}

static int start(cre_gateway *gateway) {
    const cre_gateway_config *config = &gateway->config;
    const uint32_t queue = config->broker->max_queue;
    gateway->max_queue = queue ? queue : CRE_BROKER_DEFAULT_QUEUE;
    gateway->stats = &config->bus->control->cluster;
    gateway->server = config->bus->control->server;
    gateway->ids = &config->bus->control->last_message;
    /* Late answers to a predecessor have other numbers. */
    gateway->last_counting = gateway->last_tally = config->broker->seed;
    if (config->name) strncpy(gateway->name, config->name, sizeof gateway->name - 1);
    reset_stats(gateway);
    int result = cre__wants_init(&gateway->wants, config->owner_count, config->broker->seed);
    if (!result) result = cre__wants_init(&gateway->members, config->owner_count, config->broker->seed);
    if (!result) {
        gateway->awaited = cre__calloc(gateway->wants.words + 1, sizeof *gateway->awaited);
        result = !gateway->awaited      ? CRE_ENOMEM
                 : config->place->local ? start_local(gateway)
                                        : start_cluster(gateway);
    }
    if (!result && gateway->cluster) cre__gateway_open_journals(gateway);
    if (!result && gateway->cluster) result = cre__gateway_publish_node(gateway);
    if (!result) result = open_node(gateway);
    return result ? result : cre__gateway_request_reports(gateway, true);
}

int cre_gateway_create(cre_loop *loop, const cre_gateway_config *config, cre_gateway **out) {
    if (!is_valid(config)) return CRE_EINVALID;
    cre_gateway *gateway = cre__calloc(1, sizeof *gateway);
    if (!gateway) return CRE_ENOMEM;
    gateway->config = *config;
    gateway->loop = loop;
    const int result = start(gateway);
    gateway->config.broker = NULL; /* borrowed by this call */
    gateway->config.servers = NULL;
    gateway->config.name = NULL;
    gateway->config.sentinels = NULL;
    if (result)
        cre_gateway_destroy(gateway);
    else
        *out = gateway;
    return result;
}

void cre_gateway_destroy(cre_gateway *gateway) {
    if (!gateway) return;
    cre_timer_stop(gateway->report_timer);
    cre_timer_stop(gateway->ticks);
    cre_timer_stop(gateway->node_timer);
    cre_node_close(gateway->node);
    if (gateway->cluster)
        cre_cluster_destroy(gateway->cluster);
    else
        cre_broker_destroy(gateway->broker);
    cre__gateway_drop_recoveries(gateway);
    cre__gateway_drop_waiting(gateway);
    cre__gateway_drop_countings(gateway);
    cre__gateway_drop_tallies(gateway);
    if (gateway->wants.buckets) cre__wants_deinit(&gateway->wants);
    if (gateway->members.buckets) cre__wants_deinit(&gateway->members);
    if (gateway->stats) reset_stats(gateway);
    cre__free(gateway->awaited);
    cre__free(gateway->scratch);
    cre__free(gateway);
}

bool cre_gateway_is_idle(const cre_gateway *gateway) {
    if (cre__node_has_unread(gateway->node)) return false;
    for (uint32_t i = 0; i < gateway->config.place->shards; i++)
        if (cre_broker_queued(gateway->broker, i)) return false;
    return !cre_broker_sends_members(gateway->broker);
}

void cre_gateway_retire(cre_gateway *gateway) {
    /* Without a cluster no other machine needs to be notified. */
    if (gateway->cluster) cre_broker_retire(gateway->broker);
}

/* ---- the thread ---- */

static void *run(void *argument) {
    cre_loop_run(((cre_gateway *)argument)->loop);
    return NULL;
}

int cre_gateway_start(const cre_gateway_config *config, cre_gateway **out) {
    cre_loop *loop;
    cre_gateway *gateway;
    int result = cre_loop_create(&loop);
    if (result) return result;
    result = cre_gateway_create(loop, config, &gateway);
    if (!result) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        result = -pthread_create(&gateway->thread, NULL, run, gateway);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (result) cre_gateway_destroy(gateway);
    }
    if (result)
        cre_loop_destroy(loop);
    else
        *out = gateway;
    return result;
}

/* On the thread, from time to time. */
static void stop_if_idle(void *context, cre_timer *timer) {
    cre_gateway *gateway = context;
    (void)timer;
    if (cre_gateway_is_idle(gateway) || cre_loop_now(gateway->loop) >= gateway->deadline)
        cre_loop_stop(gateway->loop);
}

static void begin_stop(void *context) {
    enum { CHECK_MS = 5 };
    cre_gateway *gateway = context;
    cre_timer *timer;
    gateway->deadline += cre_loop_now(gateway->loop);
    cre_gateway_retire(gateway);
    if (cre_timer_start(gateway->loop, 0, CHECK_MS, stop_if_idle, gateway, &timer))
        cre_loop_stop(gateway->loop);
}

void cre_gateway_stop(cre_gateway *gateway, uint32_t limit_ms) {
    if (!gateway) return;
    cre_loop *loop = gateway->loop;
    gateway->deadline = limit_ms;
    if (cre_loop_post(loop, begin_stop, gateway)) cre_loop_stop(loop);
    pthread_join(gateway->thread, NULL);
    cre_gateway_destroy(gateway);
    cre_loop_destroy(loop);
}
