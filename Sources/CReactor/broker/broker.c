/* A broker and its subscribed topics. */
#include "broker_internal.h"
#include "core/config.h"
#include "core/decimal.h"
#include "core/memory.h"

CRE__CONFIG(cre_broker_config, publisher);

enum { MAX_TOPICS = 1000000, MAX_RECOVER = 1024, RECOVER_LIMIT = 10000, FIRST_BUCKETS = 64 };

static uint32_t or_default(uint32_t value, uint32_t standard) {
    return value ? value : standard;
}

static char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = cre__malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

static int check_config(const cre_broker_config *config) {
    if (!config->shards || config->shards > CRE_BROKER_MAX_SHARDS || !config->seed) return CRE_EINVALID;
    if (config->max_recover > RECOVER_LIMIT) return CRE_EINVALID;
    if (config->prefix) {
        const size_t length = strlen(config->prefix);
        if (!length || length > CRE__MAX_PREFIX || strpbrk(config->prefix, "{}")) return CRE_EINVALID;
    }
    return config->user && !config->password ? CRE_EINVALID : 0;
}

int cre_broker_create(const cre_broker_config *given, const cre_broker_handlers *handlers, void *context,
                      cre_broker **out) {
    cre_broker_config config;
    int error = cre__config_take(&config, sizeof config, given);
    if (!error) error = check_config(&config);
    if (error) return error;
    cre_broker *broker = cre__calloc(1, sizeof *broker + config.shards * sizeof(cre__link));
    if (!broker) return CRE_ENOMEM;
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
    if (!config.publisher) broker->config.publisher = config.seed;
    broker->mask = FIRST_BUCKETS - 1;
    broker->buckets = cre__calloc(FIRST_BUCKETS, sizeof *broker->buckets);
    bool copied = broker->buckets != NULL;
    if (copied && config.user) copied = (broker->user = copy_text(config.user)) != NULL;
    if (copied && config.password) copied = (broker->password = copy_text(config.password)) != NULL;
    if (!copied) {
        cre_broker_destroy(broker);
        return CRE_ENOMEM;
    }
    *out = broker;
    return 0;
}

static void free_recoveries(cre_redis_session *session) {
    for (; cre_redis_session_pending(session); cre_redis_session_drop(session)) {
        const uint64_t tag = cre_redis_session_oldest(session);
        void *pointer = (void *)(uintptr_t)(tag & ~(uint64_t)CRE__TAG_MASK);
        if ((tag & CRE__TAG_MASK) == CRE__TAG_RECOVER) cre__free(pointer);
        if ((tag & CRE__TAG_MASK) == CRE__TAG_CHECK) cre__broker_topic_release(pointer);
    }
}

void cre_broker_destroy(cre_broker *broker) {
    if (!broker) return;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        cre__link *link = &broker->links[i];
        if (link->session) free_recoveries(link->session);
        cre_redis_session_destroy(link->session);
        for (cre__outgoing *next; link->first; link->first = next) {
            next = link->first->next;
            cre__free(link->first);
        }
    }
    for (size_t i = 0; broker->buckets && i <= broker->mask; i++) {
        for (cre__broker_topic *topic = broker->buckets[i], *next; topic; topic = next) {
            next = topic->next;
            cre__free(topic);
        }
    }
    cre__free(broker->buckets);
    cre__free(broker->user);
    cre__free(broker->password);
    cre__free(broker);
}

/* ---- numbers and keys ---- */

/* A generator for delays and epochs, seeded by the caller. */
uint64_t cre__broker_random(cre_broker *broker) {
    uint64_t value = broker->random += 0x9E3779B97F4A7C15u;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

cre_slice cre__broker_key(const cre_broker *broker, uint64_t hash, char kind, cre_slice name, cre__key *out) {
    char *at = out->bytes;
    const size_t prefix = strlen(broker->prefix);
    memcpy(at, broker->prefix, prefix);
    at += prefix;
    *at++ = ':';
    *at++ = '{';
    at = cre__put_decimal(at, hash % CRE__PARTITIONS);
    *at++ = '}';
    *at++ = ':';
    *at++ = kind;
    *at++ = ':';
    memcpy(at, name.data, name.length);
    return (cre_slice){ (const uint8_t *)out->bytes, (size_t)(at - out->bytes) + name.length };
}

void cre__put_hex(char out[CRE__HEX], uint64_t number) {
    for (int i = CRE__HEX; i--; number >>= 4)
        out[i] = "0123456789abcdef"[number & 15];
}

bool cre__parse_hex(cre_slice text, uint64_t *out) {
    if (text.length != CRE__HEX) return false;
    *out = 0;
    for (size_t i = 0; i < CRE__HEX; i++) {
        const uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

bool cre__parse_offset(cre_slice text, uint64_t *out) {
    enum { MOST = 15 }; /* digits of what the scripts' numbers hold exactly */
    if (!text.length || text.length > MOST) return false;
    *out = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *out = *out * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

/* ---- topics ---- */

static bool is_name(cre_slice topic) {
    return topic.length && topic.length <= CRE_BROKER_MAX_TOPIC;
}

static cre__broker_topic **place_of(const cre_broker *broker, uint64_t hash, cre_slice name) {
    cre__broker_topic **at = &broker->buckets[hash & broker->mask];
    while (*at && ((*at)->hash != hash || (*at)->length != name.length ||
                   memcmp((*at)->name, name.data, name.length) != 0))
        at = &(*at)->next;
    return at;
}

cre__broker_topic *cre__broker_find(const cre_broker *broker, cre_slice topic) {
    return is_name(topic) ? *place_of(broker, cre__shard_hash(topic), topic) : NULL;
}

/* Too few buckets are slow and nothing worse. */
static void grow(cre_broker *broker) {
    if (broker->topics <= broker->mask) return;
    const size_t size = (broker->mask + 1) * 2;
    cre__broker_topic **buckets = cre__calloc(size, sizeof *buckets);
    if (!buckets) return;
    for (size_t i = 0; i <= broker->mask; i++) {
        for (cre__broker_topic *topic = broker->buckets[i], *next; topic; topic = next) {
            next = topic->next;
            topic->next = buckets[topic->hash & (size - 1)];
            buckets[topic->hash & (size - 1)] = topic;
        }
    }
    cre__free(broker->buckets);
    broker->buckets = buckets;
    broker->mask = size - 1;
}

uint32_t cre_broker_shard(const cre_broker *broker, cre_slice topic) {
    return cre__shard_of(cre__shard_hash(topic), broker->config.shards);
}

static int subscribe(cre_broker *broker, cre_slice name, bool history, cre_broker_position position) {
    if (!is_name(name)) return CRE_EINVALID;
    const uint64_t hash = cre__shard_hash(name);
    if (*place_of(broker, hash, name)) return 0;
    if (broker->topics >= broker->config.max_topics) return CRE_ELIMIT;
    cre__broker_topic *topic = cre__calloc(1, sizeof *topic + name.length);
    if (!topic) return CRE_ENOMEM;
    topic->hash = hash;
    topic->shard = cre__shard_of(hash, broker->config.shards);
    topic->history = history;
    topic->position = position;
    topic->refilling = position.epoch != 0;
    topic->length = (uint8_t)name.length;
    memcpy(topic->name, name.data, name.length);
    grow(broker);
    cre__broker_topic **first = &broker->buckets[hash & broker->mask];
    topic->next = *first;
    *first = topic;
    broker->topics++;
    if (!cre__link_is_usable(&broker->links[topic->shard])) return 0;
    cre__link_subscribe(broker, topic->shard, CRE_REDIS_SUBSCRIBE, &topic, 1);
    if (history) cre__history_check(broker, topic);
    return 0;
}

int cre_broker_subscribe(cre_broker *broker, cre_slice topic, bool history) {
    return subscribe(broker, topic, history, (cre_broker_position){ 0 });
}

int cre_broker_resume(cre_broker *broker, cre_slice topic, cre_broker_position position) {
    return subscribe(broker, topic, true, position);
}

void cre_broker_unsubscribe(cre_broker *broker, cre_slice name) {
    if (!is_name(name)) return;
    cre__broker_topic **place = place_of(broker, cre__shard_hash(name), name), *topic = *place;
    if (!topic) return;
    *place = topic->next;
    broker->topics--;
    if (cre__link_is_usable(&broker->links[topic->shard]))
        cre__link_subscribe(broker, topic->shard, CRE_REDIS_UNSUBSCRIBE, &topic, 1);
    topic->removed = true;
    topic->checks++;
    cre__broker_topic_release(topic);
}

void cre__broker_topic_release(cre__broker_topic *topic) {
    if (!--topic->checks && topic->removed) cre__free(topic);
}
