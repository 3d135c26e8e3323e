/* A broker without servers: members of topics of one machine. It supports nothing else. */
#include <stdlib.h>

#include "broker_internal.h"
#include "core/memory.h"

enum { MAX_LIST_BYTES = 4 << 20 };

static int check(const cre_broker_config *config) {
    return config->shards == 1 ? 0 : CRE_EINVALID;
}

/* There is no server that could be lost: the link is ready from the beginning. */
static void begin(cre_broker *broker) {
    cre__link *link = &broker->links[0];
    link->state = CRE__LINK_READY;
    link->due = UINT64_MAX;
    link->presence.ready = true;
}

/* ---- members ---- */

static bool members(cre_broker *broker, uint32_t shard, cre__presence_batch *batch) {
    const cre_slice topic = { batch->topic->name, batch->topic->length };
    for (uint32_t i = 0; i < batch->count; i++) {
        cre__presence_member *member = batch->members[i];
        const bool joined = !member->leaves;
        if (member->reported == joined) continue;
        member->reported = joined;
        const cre_broker_member changed = { { member->id, member->length },
                                            { member->info, member->info_length } };
        cre__presence_changed(broker, topic, &changed, joined);
    }
    cre__presence_done(broker, shard, batch, CRE__PRESENCE_APPLIED);
    return true;
}

static void sweep(cre_broker *broker, uint32_t shard) {
    (void)broker, (void)shard;
}

static void count_members(const cre__presence_topic *topic, size_t *count, size_t *bytes) {
    *count = *bytes = 0;
    for (const cre__presence_member *member = topic ? topic->members : NULL; member; member = member->older) {
        if (member->leaves) continue;
        *bytes += member->length + member->info_length;
        ++*count;
    }
}

static int by_id(const void *one, const void *other) {
    const cre_slice first = ((const cre_broker_member *)one)->id;
    const cre_slice second = ((const cre_broker_member *)other)->id;
    const size_t shared = first.length < second.length ? first.length : second.length;
    const int order = memcmp(first.data, second.data, shared);
    return order ? order : (first.length > second.length) - (first.length < second.length);
}

static bool list_members(cre_broker *broker, uint32_t shard, cre_slice name, uint32_t most, uint64_t tag) {
    const cre__presence_topic *topic = cre__presence_find(broker, name);
    size_t count, bytes, listed = 0;
    (void)shard;
    count_members(topic, &count, &bytes);
    cre_broker_presence presence = { .count = count, .complete = count <= most && bytes <= MAX_LIST_BYTES };
    cre_broker_member *list = presence.complete ? cre__malloc((count + 1) * sizeof *list) : NULL;
    if (presence.complete && !list) return false;
    for (const cre__presence_member *member = list && topic ? topic->members : NULL; member;
         member = member->older)
        if (!member->leaves)
            list[listed++] =
                (cre_broker_member){ { member->id, member->length }, { member->info, member->info_length } };
    if (listed) qsort(list, listed, sizeof *list, by_id);
    presence.members = list;
    presence.listed = listed;
    broker->handlers.present(broker->context, tag, 0, &presence);
    cre__free(list);
    return true;
}

const cre__broker_kind cre__broker_local = {
    .check = check,
    .created = begin,
    .members = members,
    .sweep = sweep,
    .list_members = list_members,
    .batch_members = CRE__PRESENCE_BATCH,
};
