/*
 * Members of topics: who is there, on all machines.
 *
 * The members of this machine are in a table. A new one, one that leaves, and all of them after a connection
 * was lost and each time a part of their lifetime has passed, are in the queue of their shard, from which
 * batches are sent as long as few bytes are without a reply. A batch has the state of a member at that time,
 * so one that has left and come back meanwhile has done neither for the others. Members whose machine does
 * not renew them expire in Redis by its clock; some machine removes them, and that one reports it.
 */
#include "broker_internal.h"
#include "core/decimal.h"
#include "core/memory.h"

enum {
    FIRST_BUCKETS = 64,
    BATCH_BYTES = 64 << 10, /* after which a batch gets no further member */
    IN_FLIGHT = 1 << 20     /* bytes of batches without a reply */
};

static bool is_between(size_t length, size_t least, size_t most) {
    return length >= least && length <= most;
}

static cre_slice name_of(const cre__presence_topic *topic) {
    return (cre_slice){ topic->name, topic->length };
}

/* ---- the tables ---- */

/* Ids may come from clients, so their hash has a seed. */
static uint64_t member_hash(const cre_broker *broker, const cre__presence_topic *topic, cre_slice id) {
    const uint64_t seed[2] = { broker->config.seed, topic->hash };
    return cre__siphash_bytes(seed, id.data, id.length);
}

static cre__presence_topic **topic_place(const cre__presence *presence, uint64_t hash, cre_slice name) {
    cre__presence_topic **at = &presence->topics[hash & presence->mask];
    while (*at && ((*at)->hash != hash || (*at)->length != name.length ||
                   memcmp((*at)->name, name.data, name.length) != 0))
        at = &(*at)->next;
    return at;
}

static cre__presence_member **member_place(const cre__presence *presence, const cre__presence_topic *topic,
                                           uint64_t hash, cre_slice id) {
    cre__presence_member **at = &presence->members[hash & presence->mask];
    while (*at && ((*at)->hash != hash || (*at)->topic != topic || (*at)->length != id.length ||
                   memcmp((*at)->id, id.data, id.length) != 0))
        at = &(*at)->next;
    return at;
}

const cre__presence_topic *cre__presence_find(const cre_broker *broker, cre_slice topic) {
    if (!broker->presence.topics) return NULL;
    return *topic_place(&broker->presence, cre__shard_hash(topic), topic);
}

/* There are no more topics than members, so both tables have the same size. Too few buckets are slow and
 * nothing worse, so only the first ones are needed. */
static bool grow(cre__presence *presence) {
    if (presence->topics && presence->count <= presence->mask) return true;
    const size_t size = presence->topics ? (presence->mask + 1) * 2 : FIRST_BUCKETS;
    cre__presence_topic **topics = cre__calloc(size, sizeof *topics);
    cre__presence_member **members = cre__calloc(size, sizeof *members);
    if (!topics || !members) {
        cre__free(topics);
        cre__free(members);
        return presence->topics != NULL;
    }
    for (size_t i = 0; presence->topics && i <= presence->mask; i++) {
        for (cre__presence_topic *topic = presence->topics[i], *next; topic; topic = next) {
            next = topic->next;
            topic->next = topics[topic->hash & (size - 1)];
            topics[topic->hash & (size - 1)] = topic;
        }
        for (cre__presence_member *member = presence->members[i], *next; member; member = next) {
            next = member->next;
            member->next = members[member->hash & (size - 1)];
            members[member->hash & (size - 1)] = member;
        }
    }
    cre__free(presence->topics);
    cre__free(presence->members);
    presence->topics = topics;
    presence->members = members;
    presence->mask = size - 1;
    return true;
}

static cre__presence_topic *add_topic(cre_broker *broker, cre_slice name) {
    const uint64_t hash = cre__shard_hash(name);
    cre__presence_topic *topic = *topic_place(&broker->presence, hash, name);
    if (topic) return topic;
    topic = cre__calloc(1, sizeof *topic + name.length);
    if (!topic) return NULL;
    topic->hash = hash;
    topic->shard = cre__shard_of(hash, broker->config.shards);
    topic->length = (uint8_t)name.length;
    memcpy(topic->name, name.data, name.length);
    cre__presence_topic **first = &broker->presence.topics[hash & broker->presence.mask];
    topic->next = *first;
    *first = topic;
    cre__presence_topic **newest = &broker->links[topic->shard].presence.topics;
    topic->older = *newest;
    if (*newest) (*newest)->newer = topic;
    *newest = topic;
    return topic;
}

static void free_topic_without_members(cre_broker *broker, cre__presence_topic *topic) {
    if (topic->members) return;
    *topic_place(&broker->presence, topic->hash, name_of(topic)) = topic->next;
    if (topic->newer)
        topic->newer->older = topic->older;
    else
        broker->links[topic->shard].presence.topics = topic->older;
    if (topic->older) topic->older->newer = topic->newer;
    cre__free(topic);
}

static cre__presence_member *add_member(cre_broker *broker, cre__presence_topic *topic, cre_slice id) {
    cre__presence *presence = &broker->presence;
    const uint64_t hash = member_hash(broker, topic, id);
    cre__presence_member *member = *member_place(presence, topic, hash, id);
    if (member) return member;
    member = cre__calloc(1, sizeof *member + id.length);
    if (!member) return NULL;
    member->topic = topic;
    member->hash = hash;
    member->leaves = true; /* until it has its info */
    member->length = (uint8_t)id.length;
    memcpy(member->id, id.data, id.length);
    cre__presence_member **first = &presence->members[hash & presence->mask];
    member->next = *first;
    *first = member;
    member->older = topic->members;
    if (topic->members) topic->members->newer = member;
    topic->members = member;
    presence->count++;
    return member;
}

/* Frees a member that has left, if that is known everywhere, and its topic with the last one. */
static void free_if_gone(cre_broker *broker, cre__presence_member *member) {
    if (!member->leaves || member->queued || member->sent) return;
    cre__presence_topic *topic = member->topic;
    const cre_slice id = { member->id, member->length };
    *member_place(&broker->presence, topic, member->hash, id) = member->next;
    if (member->newer)
        member->newer->older = member->older;
    else
        topic->members = member->older;
    if (member->older) member->older->newer = member->newer;
    broker->presence.count--;
    cre__free(member->info);
    cre__free(member);
    free_topic_without_members(broker, topic);
}

void cre__presence_free(cre_broker *broker) {
    cre__presence *presence = &broker->presence;
    for (size_t i = 0; presence->topics && i <= presence->mask; i++) {
        for (cre__presence_member *member = presence->members[i], *next; member; member = next) {
            next = member->next;
            cre__free(member->info);
            cre__free(member);
        }
        for (cre__presence_topic *topic = presence->topics[i], *next; topic; topic = next) {
            next = topic->next;
            cre__free(topic);
        }
    }
    cre__free(presence->topics);
    cre__free(presence->members);
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        for (cre__presence_batch *next, *batch = broker->links[i].presence.batches; batch; batch = next) {
            next = batch->next;
            cre__free(batch);
        }
    }
}

/* ---- batches ---- */

/* Whether this machine retires: all its members expire together, so no member is sent any more. */
static bool is_retiring(const cre_broker *broker) {
    return broker->presence.retires && broker->kind->retire;
}

static void enqueue(cre_broker *broker, cre__presence_member *member) {
    cre__presence_link *link = &broker->links[member->topic->shard].presence;
    if (member->queued) return;
    member->postponed = member->sent && broker->kind->batch_members == 1;
    if (member->postponed) return;
    member->queued = true;
    member->next_queued = NULL;
    if (link->last)
        link->last->next_queued = member;
    else
        link->first = member;
    link->last = member;
}

/* Takes the next members of one topic from the queue. */
static cre__presence_batch *take_batch(cre_broker *broker, uint32_t shard) {
    cre__presence_link *link = &broker->links[shard].presence;
    uint32_t count = 0;
    size_t bytes = broker->kind->batch_bytes;
    cre__presence_topic *topic = link->first->topic;
    for (const cre__presence_member *member = link->first;
         member && member->topic == topic && count < broker->kind->batch_members && bytes < BATCH_BYTES;
         member = member->next_queued) {
        bytes += member->length + member->info_length;
        count++;
    }
    cre__presence_batch *next = cre__malloc(sizeof *next + count * sizeof(cre__presence_member *));
    if (!next) return NULL;
    *next = (cre__presence_batch){
        .next = link->batches, .link = &link->batches, .topic = topic, .bytes = bytes, .count = count
    };
    if (next->next) next->next->link = &next->next;
    link->batches = next;
    link->in_flight += bytes;
    for (uint32_t i = 0; i < count; i++) {
        cre__presence_member *member = link->first;
        next->members[i] = member;
        member->sent++;
        member->queued = false;
        link->first = member->next_queued;
    }
    if (!link->first) link->last = NULL;
    return next;
}

/* Frees a batch. Without a connection the next one begins with the members that are not confirmed. */
static void end_batch(cre_broker *broker, cre__presence_batch *batch, uint32_t shard,
                      cre__presence_result result) {
    cre__link *link = &broker->links[shard];
    const bool is_done = cre__link_is_usable(link) && result == CRE__PRESENCE_APPLIED;
    *batch->link = batch->next;
    if (batch->next) batch->next->link = batch->link;
    link->presence.in_flight -= batch->bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        cre__presence_member *member = batch->members[i];
        member->sent--;
        if (result == CRE__PRESENCE_REPEAT || member->postponed) enqueue(broker, member);
        if (!is_done) continue;
        member->confirmed = !member->queued && !member->sent;
        free_if_gone(broker, member);
    }
    cre__free(batch);
}

void cre__presence_pump(cre_broker *broker, uint32_t shard) {
    cre__link *link = &broker->links[shard];
    if (!link->presence.ready || link->presence.pumping || is_retiring(broker)) return;
    link->presence.pumping = true; /* a batch may be done at once */
    while (cre__link_is_usable(link) && link->presence.first && link->presence.in_flight < IN_FLIGHT) {
        cre__presence_batch *next = take_batch(broker, shard);
        if (!next) break; /* the next reply or renewal tries again */
        if (broker->kind->members(broker, shard, next)) continue;
        end_batch(broker, next, shard, CRE__PRESENCE_REPEAT);
        break;
    }
    link->presence.pumping = false;
}

void cre__presence_done(cre_broker *broker, uint32_t shard, cre__presence_batch *batch,
                        cre__presence_result result) {
    end_batch(broker, batch, shard, result);
    cre__presence_pump(broker, shard);
}

void cre__presence_changed(cre_broker *broker, cre_slice topic, const cre_broker_member *member,
                           bool joined) {
    if (broker->handlers.member) broker->handlers.member(broker->context, topic, member, joined);
}

static void enqueue_all(cre_broker *broker, uint32_t shard, bool unconfirmed) {
    for (cre__presence_topic *topic = broker->links[shard].presence.topics; topic; topic = topic->older)
        for (cre__presence_member *member = topic->members; member; member = member->older) {
            if (!unconfirmed) member->confirmed = false;
            if (!member->confirmed && !(unconfirmed && member->sent)) enqueue(broker, member);
        }
    cre__presence_pump(broker, shard);
}

void cre__presence_repeat(cre_broker *broker, uint32_t shard) {
    enqueue_all(broker, shard, true);
}

int cre_broker_join(cre_broker *broker, cre_slice name, cre_slice id, cre_slice info) {
    if (!is_between(name.length, 1, CRE_BROKER_MAX_TOPIC)) return CRE_EINVALID;
    if (!is_between(id.length, 1, CRE_BROKER_MAX_MEMBER_ID)) return CRE_EINVALID;
    if (info.length > CRE_BROKER_MAX_MEMBER_INFO) return CRE_EINVALID;
    if (broker->presence.retires) return 0;
    if (!grow(&broker->presence)) return CRE_ENOMEM;
    cre__presence_topic *topic = add_topic(broker, name);
    if (!topic) return CRE_ENOMEM;
    cre__presence_member *member = add_member(broker, topic, id);
    if (!member) {
        free_topic_without_members(broker, topic);
        return CRE_ENOMEM;
    }
    const bool full = broker->presence.count > broker->config.max_members;
    uint8_t *copy = info.length && !full ? cre__malloc(info.length) : NULL;
    if (full || (info.length && !copy)) {
        free_if_gone(broker, member);
        return full ? CRE_ELIMIT : CRE_ENOMEM;
    }
    if (copy) memcpy(copy, info.data, info.length);
    const bool same = !member->leaves && member->info_length == info.length &&
                      (!copy || memcmp(member->info, copy, info.length) == 0);
    cre__free(member->info);
    member->info = copy;
    member->info_length = (uint16_t)info.length;
    member->leaves = false;
    if (same) return 0;
    member->confirmed = false;
    enqueue(broker, member);
    cre__presence_pump(broker, topic->shard);
    return 0;
}

void cre_broker_leave(cre_broker *broker, cre_slice name, cre_slice id) {
    if (!broker->presence.topics || !is_between(name.length, 1, CRE_BROKER_MAX_TOPIC)) return;
    cre__presence_topic *topic = *topic_place(&broker->presence, cre__shard_hash(name), name);
    if (!topic) return;
    cre__presence_member *member =
        *member_place(&broker->presence, topic, member_hash(broker, topic, id), id);
    if (!member || member->leaves) return;
    member->leaves = true;
    member->confirmed = false;
    const uint32_t shard = topic->shard;
    enqueue(broker, member);
    cre__presence_pump(broker, shard);
}

void cre_broker_retire(cre_broker *broker) {
    if (broker->presence.retires) return;
    broker->presence.retires = true;
    for (uint32_t i = 0; i < broker->config.shards; i++)
        broker->links[i].presence.retiring = broker->kind->retire && broker->links[i].presence.ready;
    if (broker->kind->retire) return;
    for (size_t i = 0; broker->presence.topics && i <= broker->presence.mask; i++)
        for (cre__presence_member *member = broker->presence.members[i]; member; member = member->next) {
            member->leaves = true;
            enqueue(broker, member);
        }
    for (uint32_t i = 0; i < broker->config.shards; i++)
        cre__presence_pump(broker, i);
}

bool cre_broker_sends_members(const cre_broker *broker) {
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        const cre__link *link = &broker->links[i];
        const bool queued = link->presence.first && !is_retiring(broker);
        if (!cre__link_is_usable(link)) continue;
        if (queued || link->presence.batches || link->presence.retiring) return true;
    }
    return false;
}

/* ---- time ---- */

static uint64_t renewal_ms(const cre_broker *broker) {
    return broker->config.presence_ms / 12 * 5;
}

static uint64_t sweep_ms(const cre_broker *broker) {
    return broker->config.presence_ms / 4;
}

void cre__presence_resume(cre_broker *broker, uint32_t shard, uint64_t now, bool unconfirmed) {
    cre__presence_link *link = &broker->links[shard].presence;
    link->renewal = now + renewal_ms(broker);
    /* not at once: after an outage of the server the other machines renew their members first */
    link->sweep = now + sweep_ms(broker);
    link->ready = true;
    enqueue_all(broker, shard, unconfirmed);
}

uint64_t cre__presence_tick(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__presence_link *link = &broker->links[shard].presence;
    if (!cre__link_is_usable(&broker->links[shard]) || !link->ready) return UINT64_MAX;
    if (link->retiring && !link->batches) broker->kind->retire(broker, shard);
    if (is_retiring(broker)) return UINT64_MAX;
    cre__presence_pump(broker, shard); /* the servers may have refused the last batch */
    if (link->renewal <= now) {
        link->renewal = now + renewal_ms(broker);
        if (broker->kind->renew)
            broker->kind->renew(broker, shard);
        else
            enqueue_all(broker, shard, false);
    }
    if (!broker->config.sweeps) return link->renewal;
    if (link->sweep <= now) {
        link->sweep = now + sweep_ms(broker);
        broker->kind->sweep(broker, shard);
    }
    return link->renewal < link->sweep ? link->renewal : link->sweep;
}

/* ---- questions ---- */

int cre_broker_list_members(cre_broker *broker, cre_slice topic, uint32_t most, uint64_t tag) {
    if (!is_between(topic.length, 1, CRE_BROKER_MAX_TOPIC) || most > CRE_BROKER_MAX_LISTED)
        return CRE_EINVALID;
    const uint32_t shard = cre_broker_shard(broker, topic);
    if (!cre__link_is_usable(&broker->links[shard])) return CRE_EBROKER_UNAVAILABLE;
    return broker->kind->list_members(broker, shard, topic, most, tag) ? 0 : CRE_EBROKER_UNAVAILABLE;
}
