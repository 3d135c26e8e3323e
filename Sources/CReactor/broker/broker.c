/* A broker and its subscribed topics. */
#include "broker_internal.h"
#include "core/config.h"
#include "core/memory.h"
#include "nats/nkey.h"

CRE__CONFIG(cre_broker_config, sweeps);

enum { MAX_TOPICS = 1000000, MAX_RECOVER = 1024, MAX_MEMBERS = 1000000 };

static uint32_t or_default(uint32_t value, uint32_t standard) {
    return value ? value : standard;
}

static char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = cre__malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

static char *copy_slice(cre_slice text) {
    char *copy = cre__malloc(text.length + 1);
    if (!copy) return NULL;
    memcpy(copy, text.data, text.length);
    copy[text.length] = 0;
    return copy;
}

/* Secrets do not stay in freed memory. */
static void free_secret(char *text) {
    if (text) explicit_bzero(text, strlen(text));
    cre__free(text);
}

/* The keys of a user of NATS: a seed, or a file with a token and a seed. */
static int take_keys(cre_broker *broker, const cre_broker_config *config) {
    cre_slice jwt, seed;
    if (config->nkey) {
        broker->has_seed = cre__nkey_seed(cre__text(config->nkey), broker->seed);
        return broker->has_seed ? 0 : CRE_EINVALID;
    }
    if (!config->credentials) return 0;
    if (!cre__nats_credentials(cre__text(config->credentials), &jwt, &seed)) return CRE_EINVALID;
    broker->has_seed = cre__nkey_seed(seed, broker->seed);
    if (!broker->has_seed) return CRE_EINVALID;
    return (broker->jwt = copy_slice(jwt)) ? 0 : CRE_ENOMEM;
}

static int check_config(const cre_broker_config *config) {
    if (!config->shards || config->shards > CRE_BROKER_MAX_SHARDS || !config->seed) return CRE_EINVALID;
    if (config->max_recover > CRE_BROKER_MAX_HISTORY) return CRE_EINVALID;
    if (config->prefix) {
        const size_t length = strlen(config->prefix);
        if (!length || length > CRE__MAX_PREFIX) return CRE_EINVALID;
    }
    if (config->kind > CRE_BROKER_LOCAL) return CRE_EINVALID;
    if (config->presence_ms && config->presence_ms < CRE_BROKER_MIN_PRESENCE) return CRE_EINVALID;
    return config->user && !config->password ? CRE_EINVALID : 0;
}

static const cre__broker_kind *const kinds[] = {
    [CRE_BROKER_REDIS] = &cre__broker_redis,
    [CRE_BROKER_NATS] = &cre__broker_nats,
    [CRE_BROKER_REDIS_CLUSTER] = &cre__broker_redis_cluster,
    [CRE_BROKER_LOCAL] = &cre__broker_local,
};

int cre_broker_create(const cre_broker_config *given, const cre_broker_handlers *handlers, void *context,
                      cre_broker **out) {
    cre_broker_config config;
    int error = cre__config_take(&config, sizeof config, given);
    if (!error) error = check_config(&config);
    const cre__broker_kind *kind = error ? NULL : kinds[config.kind];
    if (!error) error = kind->check(&config);
    if (!error && config.tls == CRE_BROKER_TLS_AFTER_INFO && !handlers->secure) error = CRE_EINVALID;
    if (error) return error;
    cre_broker *broker = cre__calloc(1, sizeof *broker + config.shards * sizeof(cre__link));
    if (!broker) return CRE_ENOMEM;
    broker->kind = kind;
    broker->config = config;
    broker->handlers = *handlers;
    broker->context = context;
    broker->random = config.seed;
    memcpy(broker->prefix, config.prefix ? config.prefix : "sws", config.prefix ? strlen(config.prefix) : 3);
    broker->config.max_topics = or_default(config.max_topics, MAX_TOPICS);
    broker->config.max_queue = or_default(config.max_queue, CRE_BROKER_DEFAULT_QUEUE);
    broker->config.max_recover = or_default(config.max_recover, MAX_RECOVER);
    broker->config.min_backoff_ms = or_default(config.min_backoff_ms, 50);
    broker->config.max_backoff_ms = or_default(config.max_backoff_ms, 5000);
    broker->config.timeout_ms = or_default(config.timeout_ms, 5000);
    broker->config.probe_ms = or_default(config.probe_ms, 10000);
    broker->config.presence_ms = or_default(config.presence_ms, 60000);
    broker->config.max_members = or_default(config.max_members, MAX_MEMBERS);
    if (!config.publisher) broker->config.publisher = config.seed;
    bool copied = cre__topics_init(broker) == 0;
    if (copied && config.user) copied = (broker->user = copy_text(config.user)) != NULL;
    if (copied && config.password) copied = (broker->password = copy_text(config.password)) != NULL;
    if (copied && config.token) copied = (broker->token = copy_text(config.token)) != NULL;
    error = copied ? take_keys(broker, &config) : CRE_ENOMEM;
    if (error) {
        cre_broker_destroy(broker);
        return error;
    }
    if (kind->created) kind->created(broker);
    *out = broker;
    return 0;
}

void cre_broker_destroy(cre_broker *broker) {
    if (!broker) return;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        cre__link *link = &broker->links[i];
        if (link->session) broker->kind->close(broker, i, link->session, false);
        cre__publish_deinit(link);
    }
    cre__topics_deinit(broker);
    cre__presence_free(broker);
    cre__free(broker->expiries.first);
    cre__free(broker->user);
    free_secret(broker->password);
    free_secret(broker->token);
    free_secret(broker->jwt);
    explicit_bzero(broker->seed, sizeof broker->seed);
    cre__free(broker);
}

/* A generator for delays and epochs, seeded by the caller. */
uint64_t cre__broker_random(cre_broker *broker) {
    uint64_t value = broker->random += 0x9E3779B97F4A7C15u;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}
