/* Members of topics: a table of them, and the connections that are one. */
#include "engine/presence.h"

#include "core/memory.h"
#include "core/siphash.h"
#include "engine/conn.h"
#include "engine/slices.h"

int cre__joining_read(cre__joining *joining, cre_slice *parts, int count) {
    cre_joining *lengths = &joining->lengths;
    if (!cre__slices_take(lengths, sizeof *lengths, parts, count)) return CRE_EINVALID;
    if (!lengths->topic_length || lengths->topic_length > CRE_MAX_TOPIC) return CRE_EINVALID;
    if (!lengths->id_length || lengths->id_length > CRE_MAX_MEMBER_ID) return CRE_EINVALID;
    if (lengths->info_length > CRE_MAX_MEMBER_INFO) return CRE_EINVALID;
    const bool whole = cre__slices_take(joining->topic, lengths->topic_length, parts, count) &&
                       cre__slices_take(joining->id, lengths->id_length, parts, count) &&
                       cre__slices_take(joining->info, lengths->info_length, parts, count) &&
                       !cre__slices_length(parts, count);
    return whole && !cre_topic_is_reserved(joining->topic, lengths->topic_length) ? 0 : CRE_EINVALID;
}

static uint64_t hash_of(const cre_engine *engine, const cre__topic *topic, cre_slice id) {
    const uint64_t seed[2] = { engine->topics.seed, topic->hash };
    return cre__siphash_bytes(seed, id.data, id.length);
}

static cre__identity **place_of(const cre__identities *all, const cre__topic *topic, uint64_t hash,
                                cre_slice id) {
    cre__identity **at = &all->buckets[hash & all->mask];
    while (*at && ((*at)->hash != hash || (*at)->topic != topic || (*at)->length != id.length ||
                   memcmp((*at)->id, id.data, id.length) != 0))
        at = &(*at)->next;
    return at;
}

/* Makes room for one more. Too few buckets are slow and nothing worse, so only the first ones are needed. */
static bool grow(cre__identities *all) {
    if (all->buckets && all->count <= all->mask) return true;
    const uint32_t size = all->buckets ? (all->mask + 1) * 2 : 16;
    cre__identity **buckets = cre__calloc(size, sizeof *buckets);
    if (!buckets) return all->buckets != NULL;
    for (uint32_t i = 0; all->buckets && i <= all->mask; i++) {
        for (cre__identity *identity = all->buckets[i], *next; identity; identity = next) {
            next = identity->next;
            identity->next = buckets[identity->hash & (size - 1)];
            buckets[identity->hash & (size - 1)] = identity;
        }
    }
    cre__free(all->buckets);
    all->buckets = buckets;
    all->mask = size - 1;
    return true;
}

static void report(const cre_engine *engine, const cre__identity *identity, bool joined) {
    const cre_engine_config *config = &engine->config;
    const cre_slice topic = { identity->topic->name, identity->topic->name_length };
    const cre_slice id = { identity->id, identity->length }, info = { identity->info, identity->info_length };
    if (config->on_member) config->on_member(config->context, topic, id, info, joined);
}

static cre__identity *add(cre_engine *engine, cre__topic *topic, cre_slice id) {
    cre__identities *all = &engine->topics.identities;
    if (!grow(all)) return NULL;
    const uint64_t hash = hash_of(engine, topic, id);
    cre__identity **place = place_of(all, topic, hash, id), *identity = *place;
    if (identity) return identity;
    identity = cre__calloc(1, sizeof *identity + id.length);
    if (!identity) return NULL;
    identity->topic = topic;
    identity->hash = hash;
    identity->length = (uint8_t)id.length;
    memcpy(identity->id, id.data, id.length);
    *place = identity; /* the end of its bucket */
    all->count++;
    return identity;
}

static void free_without_connections(cre_engine *engine, cre__identity *identity) {
    cre__identities *all = &engine->topics.identities;
    if (identity->connections) return;
    *place_of(all, identity->topic, identity->hash, (cre_slice){ identity->id, identity->length }) =
        identity->next;
    if (!--all->count) {
        cre__free(all->buckets);
        all->buckets = NULL;
    }
    cre__free(identity->info);
    cre__free(identity);
}

/* Returns false when there is no memory. The last info holds for all connections of a member. */
static bool set_info(cre__identity *identity, cre_slice info, bool *changed) {
    *changed = identity->info_length != info.length ||
               (info.length && memcmp(identity->info, info.data, info.length) != 0);
    if (!*changed) return true;
    uint8_t *copy = info.length ? cre__malloc(info.length) : NULL;
    if (info.length && !copy) return false;
    if (copy) memcpy(copy, info.data, info.length);
    cre__free(identity->info);
    identity->info = copy;
    identity->info_length = (uint16_t)info.length;
    return true;
}

static cre__identity *acquire(cre_engine *engine, cre__topic *topic, cre_slice id, cre_slice info) {
    cre__identity *identity = add(engine, topic, id);
    bool changed;
    if (!identity) return NULL;
    if (!set_info(identity, info, &changed)) {
        free_without_connections(engine, identity);
        return NULL;
    }
    if (!identity->connections++ || changed) report(engine, identity, true);
    return identity;
}

void cre__identity_release(cre_engine *engine, cre__identity *identity) {
    if (--identity->connections) return;
    report(engine, identity, false);
    free_without_connections(engine, identity);
}

int cre__topic_join(cre__conn *conn, const cre__joining *joining) {
    cre_engine *engine = cre__conn_engine(conn);
    const cre_joining *lengths = &joining->lengths;
    cre__topic *before = cre__topic_find(engine, joining->topic, lengths->topic_length);
    const bool was_subscribed = before && cre__topic_member(conn, before);
    const int result = cre__topic_subscribe(conn, joining->topic, lengths->topic_length);
    if (result) return result;
    cre__topic *topic = cre__topic_find(engine, joining->topic, lengths->topic_length);
    const cre_slice id = { joining->id, lengths->id_length }, info = { joining->info, lengths->info_length };
    cre__identity *identity = acquire(engine, topic, id, info);
    if (!identity) {
        if (!was_subscribed) cre__topic_unsubscribe(conn, joining->topic, lengths->topic_length);
        return CRE_ENOMEM;
    }
    const uint32_t at = cre__topic_member(conn, topic)->at;
    cre__identity **place = &conn->stream.subscriptions->items[at].identity;
    if (*place) cre__identity_release(engine, *place);
    *place = identity;
    return 0;
}

bool cre__members_visit(const cre_engine *engine, uint32_t *place,
                        void (*visit)(void *context, cre_slice topic, cre_slice id, cre_slice info),
                        void *context) {
    const cre__identities *all = &engine->topics.identities;
    if (!all->buckets || *place > all->mask) return false;
    /* A larger table has the members of a bucket there and behind, so none is missed when it grows. */
    for (const cre__identity *identity = all->buckets[(*place)++]; identity; identity = identity->next)
        visit(context, (cre_slice){ identity->topic->name, identity->topic->name_length },
              (cre_slice){ identity->id, identity->length },
              (cre_slice){ identity->info, identity->info_length });
    return true;
}
