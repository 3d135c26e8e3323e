/* Topics with dense lists of connections, and the topics of each connection. */
#include "engine/topics.h"

#include "core/memory.h"
#include "engine/presence.h"
#include "engine/publish.h"

/* ---- the table of topics ---- */

/* Names may come from clients, so the hash depends on a number that they do not know. */
static uint32_t hash_of(const cre_engine *engine, const uint8_t *name, size_t length) {
    uint64_t hash = engine->topics.seed ^ length;
    while (length) {
        uint64_t word = 0;
        size_t n = length < 8 ? length : 8;
        memcpy(&word, name, n);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
        name += n;
        length -= n;
    }
    hash *= 0xD6E8FEB86659FD93u;
    return (uint32_t)(hash >> 32);
}

cre__topic *cre__topic_find(cre_engine *engine, const void *name, size_t length) {
    const cre__topics *topics = &engine->topics;
    if (!topics->count) return NULL;
    uint32_t hash = hash_of(engine, name, length);
    cre__topic *topic = topics->buckets[hash & topics->mask];
    while (topic &&
           (topic->hash != hash || topic->name_length != length || memcmp(topic->name, name, length) != 0))
        topic = topic->next;
    return topic;
}

uint32_t cre__topic_count(cre_engine *engine, const void *name, size_t length) {
    const cre__topic *topic = cre__topic_find(engine, name, length);
    return topic ? topic->count : 0;
}

/* Makes room for one more. Too few buckets are slow and nothing worse, so only the first ones are needed. */
static bool grow_table(cre__topics *topics) {
    if (topics->buckets && topics->count <= topics->mask) return true;
    uint32_t size = topics->buckets ? (topics->mask + 1) * 2 : 16;
    cre__topic **buckets = cre__calloc(size, sizeof *buckets);
    if (!buckets) return topics->buckets != NULL;
    for (uint32_t i = 0; topics->buckets && i <= topics->mask; i++) {
        for (cre__topic *topic = topics->buckets[i], *next; topic; topic = next) {
            next = topic->next;
            topic->next = buckets[topic->hash & (size - 1)];
            buckets[topic->hash & (size - 1)] = topic;
        }
    }
    cre__free(topics->buckets);
    topics->buckets = buckets;
    topics->mask = size - 1;
    return true;
}

static cre__topic *new_topic(const void *name, size_t length) {
    cre__topic *topic = cre__calloc(1, sizeof *topic + length);
    if (!topic) return NULL;
    topic->name_length = (uint8_t)length;
    if (length) memcpy(topic->name, name, length);
    return topic;
}

static void free_topic(cre__topic *topic) {
    cre__free(topic->members);
    cre__free(topic);
}

static bool is_of_user(const cre__topic *topic) {
    const size_t size = sizeof CRE_TOPIC_USER - 1;
    return topic->name_length > size && memcmp(topic->name, CRE_TOPIC_USER, size) == 0;
}

static void report(cre_engine *engine, const cre__topic *topic, bool exists) {
    const cre_engine_config *config = &engine->config;
    if (config->on_topic) config->on_topic(config->context, topic->name, topic->name_length, exists);
}

static int make_topic(cre_engine *engine, const void *name, size_t length, cre__topic **out) {
    cre__topics *topics = &engine->topics;
    if (!topics->seed) topics->seed = (uint64_t)(uintptr_t)engine ^ uv_hrtime() * 0x9E3779B97F4A7C15u;
    if (!grow_table(topics)) return CRE_ENOMEM;
    cre__topic *topic = new_topic(name, length);
    if (!topic) return CRE_ENOMEM;
    topic->hash = hash_of(engine, name, length);
    topic->next = topics->buckets[topic->hash & topics->mask];
    topics->buckets[topic->hash & topics->mask] = topic;
    engine->stats.topics = ++topics->count;
    engine->stats.users = topics->users += is_of_user(topic);
    engine->rare_changed = true;
    report(engine, topic, true);
    *out = topic;
    return 0;
}

static void free_if_empty(cre_engine *engine, cre__topic *topic) {
    cre__topics *topics = &engine->topics;
    if (topic->count || topic == topics->everyone) return;
    cre__publish_drop_topic(engine, topic);
    cre__topic **link = &topics->buckets[topic->hash & topics->mask];
    while (*link != topic)
        link = &(*link)->next;
    *link = topic->next;
    engine->stats.topics = --topics->count;
    engine->stats.users = topics->users -= is_of_user(topic);
    engine->rare_changed = true;
    report(engine, topic, false);
    free_topic(topic);
}

/* ---- members ---- */

cre__member *cre__topic_member(cre__conn *conn, const cre__topic *topic) {
    cre__subscriptions *list = conn->stream.subscriptions;
    for (uint32_t i = 0; list && i < list->count; i++)
        if (list->items[i].topic == topic) return &topic->members[list->items[i].at];
    return NULL;
}

static bool room_in_topic(cre__topic *topic) {
    if (topic->count < topic->capacity) return true;
    uint32_t capacity = topic->capacity ? topic->capacity * 2 : 4;
    cre__member *members = cre__realloc(topic->members, capacity * sizeof *members);
    if (!members) return false;
    topic->members = members;
    topic->capacity = capacity;
    return true;
}

static bool room_in_list(cre__conn *conn) {
    cre__subscriptions *list = conn->stream.subscriptions;
    if (list && list->count < list->capacity) return true;
    uint32_t capacity = list ? list->capacity * 2 : 2;
    list = cre__realloc(list, sizeof *list + capacity * sizeof *list->items);
    if (!list) return false;
    if (!conn->stream.subscriptions) list->count = 0;
    list->capacity = capacity;
    conn->stream.subscriptions = list;
    return true;
}

static int join(cre__conn *conn, cre__topic *topic) {
    if (!room_in_topic(topic) || !room_in_list(conn)) return CRE_ENOMEM;
    cre_engine *engine = cre__conn_engine(conn);
    cre__subscriptions *list = conn->stream.subscriptions;
    /* What was published before is not for it. */
    const cre__frames *frames = cre__batch_frames(conn);
    uint32_t taken = engine->batch.topic == topic ? frames->end - frames->start : 0;
    topic->members[topic->count] = (cre__member){ .conn = conn, .at = list->count, .taken = taken };
    list->items[list->count].topic = topic;
    list->items[list->count].identity = NULL;
    list->items[list->count].at = topic->count;
    topic->count++;
    topic->deflating += cre__conn_takes_deflated(conn);
    engine->stats.subscriptions += topic->name_length != 0;
    engine->rare_changed = true;
    list->count++;
    return 0;
}

/* The last of each list takes the place that becomes free. */
static void part(cre__conn *conn, uint32_t at) {
    cre__subscriptions *list = conn->stream.subscriptions;
    cre__topic *topic = list->items[at].topic;
    uint32_t place = list->items[at].at;
    if (list->items[at].identity) cre__identity_release(cre__conn_engine(conn), list->items[at].identity);
    cre__member *moved = &topic->members[place];
    *moved = topic->members[--topic->count];
    topic->deflating -= cre__conn_takes_deflated(conn);
    cre__conn_engine(conn)->stats.subscriptions -= topic->name_length != 0;
    cre__conn_engine(conn)->rare_changed = true;
    if (place < topic->count) moved->conn->stream.subscriptions->items[moved->at].at = place;
    list->items[at] = list->items[--list->count];
    if (at < list->count) list->items[at].topic->members[list->items[at].at].at = at;
    free_if_empty(cre__conn_engine(conn), topic);
}

/* `topic`: NULL if there is none of this name. */
static int enter(cre__conn *conn, cre__topic *topic, const void *name, size_t length) {
    cre_engine *engine = cre__conn_engine(conn);
    int result = topic ? 0 : make_topic(engine, name, length, &topic);
    if (result) return result;
    result = join(conn, topic);
    if (result) free_if_empty(engine, topic);
    return result;
}

int cre__topic_subscribe(cre__conn *conn, const void *name, size_t length) {
    cre_engine *engine = cre__conn_engine(conn);
    if (!conn->stream.accepts_frames) return CRE_EGONE;
    cre__topic *topic = cre__topic_find(engine, name, length);
    if (topic && cre__topic_member(conn, topic)) return 0;
    uint32_t own = conn->stream.subscriptions ? conn->stream.subscriptions->count : 0;
    if (own && engine->topics.everyone) own--; /* a place among everyone does not count */
    if (conn->stream.has_user) own--;          /* neither does its user */
    if (own >= engine->config.max_subscriptions) return CRE_ELIMIT;
    if (!topic && engine->topics.count - engine->topics.users >= engine->config.max_topics) return CRE_ELIMIT;
    return enter(conn, topic, name, length);
}

int cre__topic_join_user(cre__conn *conn, const void *name, size_t length) {
    const int result = enter(conn, cre__topic_find(cre__conn_engine(conn), name, length), name, length);
    if (!result) conn->stream.has_user = true;
    return result;
}

void cre__topic_leave_user(cre__conn *conn) {
    const cre__subscriptions *list = conn->stream.subscriptions;
    if (!conn->stream.has_user) return;
    conn->stream.has_user = false;
    uint32_t at = 0;
    while (!is_of_user(list->items[at].topic))
        at++;
    cre__publish_settle(conn);
    part(conn, at);
}

void cre__topic_unsubscribe(cre__conn *conn, const void *name, size_t length) {
    cre__topic *topic = cre__topic_find(cre__conn_engine(conn), name, length);
    cre__member *member = topic ? cre__topic_member(conn, topic) : NULL;
    if (!member) return;
    cre__publish_settle(conn);
    part(conn, member->at);
}

void cre__topics_leave(cre__conn *conn) {
    if (conn->stream.deferred_publish) cre__publish_drop_deferred(conn);
    while (conn->stream.subscriptions && conn->stream.subscriptions->count)
        part(conn, conn->stream.subscriptions->count - 1);
    cre__free(conn->stream.subscriptions);
    conn->stream.subscriptions = NULL;
    conn->stream.has_user = false;
}

/* ---- everyone ---- */

typedef struct joining {
    cre__topic *topic;
    bool failed;
} joining;

static void visit_join(cre__conn *conn, void *context) {
    joining *all = context;
    if (!all->failed && conn->stream.accepts_frames && join(conn, all->topic)) all->failed = true;
}

cre__topic *cre__topic_everyone(cre_engine *engine) {
    if (engine->topics.everyone) return engine->topics.everyone;
    joining all = { .topic = new_topic(NULL, 0) };
    if (!all.topic) return NULL;
    engine->topics.everyone = all.topic;
    cre__engine_each(engine, visit_join, &all);
    if (!all.failed) return all.topic;
    /* No memory: as if there had been none at the beginning. */
    while (all.topic->count) {
        cre__member *last = &all.topic->members[all.topic->count - 1];
        part(last->conn, last->at);
    }
    engine->topics.everyone = NULL;
    free_topic(all.topic);
    return NULL;
}

bool cre__topics_opened(cre__conn *conn) {
    cre__topic *everyone = cre__conn_engine(conn)->topics.everyone;
    return !everyone || !join(conn, everyone);
}

void cre__topics_free(cre_engine *engine) {
    /* The connections are gone, and their topics went with the last of them. */
    cre__free(engine->topics.buckets);
    if (engine->topics.everyone) free_topic(engine->topics.everyone);
    cre_block_release(engine->batch.plain.block);
    cre_block_release(engine->batch.deflated.block);
    engine->batch = (cre__batch){ 0 };
}

/* ---- the cluster ---- */

bool cre__topic_advance(cre_engine *engine, cre_slice name, cre_topic_position position) {
    cre__topic *topic = cre__topic_find(engine, name.data, name.length);
    if (!topic) return false;
    if (!position.epoch) return true;
    if (topic->position.epoch == position.epoch && position.offset <= topic->position.offset) return false;
    topic->position = position;
    return true;
}

bool cre__topics_visit(const cre_engine *engine, uint32_t *place,
                       void (*visit)(void *context, cre_slice name, cre_topic_position position),
                       void *context) {
    const cre__topics *topics = &engine->topics;
    if (!topics->buckets || *place > topics->mask) return false;
    /* A larger table has the topics of a bucket there and behind, so none is missed when it grows. */
    for (const cre__topic *topic = topics->buckets[(*place)++]; topic; topic = topic->next)
        visit(context, (cre_slice){ topic->name, topic->name_length }, topic->position);
    return true;
}

/* ---- lists ---- */

/* Adds a topic to those with the most connections, which are in order. */
static void add_listed(const cre__topic **listed, uint32_t *count, const cre__topic *topic) {
    uint32_t low = 0, high = *count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (listed[middle]->count >= topic->count)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == CRE_MAX_LISTED_TOPICS) return;
    if (*count < CRE_MAX_LISTED_TOPICS) ++*count;
    memmove(&listed[low + 1], &listed[low], (*count - low - 1) * sizeof *listed);
    listed[low] = topic;
}

size_t cre__topics_list(const cre_engine *engine, const void *filter, size_t length, uint8_t *list) {
    const cre__topics *topics = &engine->topics;
    const cre__topic *listed[CRE_MAX_LISTED_TOPICS];
    cre_topic_list head = { 0 };
    for (uint32_t i = 0; topics->buckets && i <= topics->mask; i++) {
        for (const cre__topic *topic = topics->buckets[i]; topic; topic = topic->next) {
            if (length && !memmem(topic->name, topic->name_length, filter, length)) continue;
            head.matching++;
            add_listed(listed, &head.listed, topic);
        }
    }
    uint8_t *at = list;
    memcpy(at, &head, sizeof head);
    at += sizeof head;
    for (uint32_t i = 0; i < head.listed; i++) {
        memcpy(at, &listed[i]->count, sizeof listed[i]->count);
        at += sizeof listed[i]->count;
        *at++ = listed[i]->name_length;
        memcpy(at, listed[i]->name, listed[i]->name_length);
        at += listed[i]->name_length;
    }
    return (size_t)(at - list);
}
