/* The subscribed topics of a broker. */
#include "broker_internal.h"
#include "core/memory.h"

enum { FIRST_BUCKETS = 64 };

int cre__topics_init(cre_broker *broker) {
    broker->mask = FIRST_BUCKETS - 1;
    broker->buckets = cre__calloc(FIRST_BUCKETS, sizeof *broker->buckets);
    return broker->buckets ? 0 : CRE_ENOMEM;
}

void cre__topics_deinit(cre_broker *broker) {
    for (size_t i = 0; broker->buckets && i <= broker->mask; i++) {
        for (cre__broker_topic *topic = broker->buckets[i], *next; topic; topic = next) {
            next = topic->next;
            cre__free(topic);
        }
    }
    cre__free(broker->buckets);
}

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

static int subscribe(cre_broker *broker, cre_slice name, cre_broker_history history,
                     cre_broker_position position) {
    if (!is_name(name) || !cre__history_is_valid(history)) return CRE_EINVALID;
    if (!broker->kind->subscribe) return CRE_EBROKER_UNSUPPORTED;
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
    cre__link *link = &broker->links[topic->shard];
    topic->older = link->topics;
    if (topic->older) topic->older->newer = topic;
    link->topics = topic;
    broker->topics++;
    if (cre__link_is_usable(link)) broker->kind->subscribe(broker, topic);
    return 0;
}

int cre_broker_subscribe(cre_broker *broker, cre_slice topic, cre_broker_history history) {
    return subscribe(broker, topic, history, (cre_broker_position){ 0 });
}

int cre_broker_resume(cre_broker *broker, cre_slice topic, cre_broker_history history,
                      cre_broker_position position) {
    return history.count ? subscribe(broker, topic, history, position) : CRE_EINVALID;
}

void cre_broker_unsubscribe(cre_broker *broker, cre_slice name) {
    if (!is_name(name)) return;
    cre__broker_topic **place = place_of(broker, cre__shard_hash(name), name), *topic = *place;
    if (!topic) return;
    *place = topic->next;
    cre__link *link = &broker->links[topic->shard];
    if (topic->newer)
        topic->newer->older = topic->older;
    else
        link->topics = topic->older;
    if (topic->older) topic->older->newer = topic->newer;
    broker->topics--;
    if (cre__link_is_usable(link)) broker->kind->unsubscribe(broker, topic);
    topic->removed = true;
    topic->checks++;
    cre__broker_topic_release(topic);
}

void cre__broker_topic_release(cre__broker_topic *topic) {
    if (!--topic->checks && topic->removed) cre__free(topic);
}

void cre__topic_deliver(cre_broker *broker, cre__broker_topic *topic, cre_slice payload,
                        cre_broker_position position) {
    topic->checks++;
    broker->handlers.message(broker->context, cre__topic_name(topic), payload, position);
    cre__broker_topic_release(topic);
}

void cre__topic_lose(cre_broker *broker, cre__broker_topic *topic, cre_broker_position position) {
    topic->refilling = false;
    topic->position = position;
    broker->handlers.lost(broker->context, cre__topic_name(topic), position);
}
