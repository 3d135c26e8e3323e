/* Members of topics: those of the processes of a server, and changes and lists of those of all machines. */
#include "runtime/presence.h"

#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "core/shard.h"
#include "gateway/gateway_internal.h"

enum { PART_BYTES = 256 << 10 }; /* of an answer */

/* ---- members of the owners ---- */

/* The key of a member in the table: the length of the topic, the topic, the id. */
typedef struct member_key {
    uint8_t bytes[1 + CRE_MAX_TOPIC + CRE_MAX_MEMBER_ID];
    size_t length;
} member_key;

static cre_slice put_key(member_key *key, const cre__membership *member) {
    key->bytes[0] = (uint8_t)member->topic.length;
    memcpy(key->bytes + 1, member->topic.data, member->topic.length);
    memcpy(key->bytes + 1 + member->topic.length, member->id.data, member->id.length);
    key->length = 1 + member->topic.length + member->id.length;
    return (cre_slice){ key->bytes, key->length };
}

static void publish_member_count(cre_gateway *gateway) {
    cre__gateway_publish_stat(&gateway->stats->members, gateway->members.count);
}

static void release(void *context, cre__want *want) {
    cre_gateway *gateway = context;
    if (cre__want_is_wanted(&gateway->members, want)) return;
    const cre_slice key = cre__want_name(&gateway->members, want);
    const size_t topic = key.data[0];
    cre_broker_leave(gateway->broker, (cre_slice){ key.data + 1, topic },
                     (cre_slice){ key.data + 1 + topic, key.length - 1 - topic });
    cre__wants_remove(&gateway->members, want);
    publish_member_count(gateway);
}

static void join(cre_gateway *gateway, uint32_t owner, const cre__membership *member) {
    member_key key;
    cre__want *want = cre__wants_add(&gateway->members, put_key(&key, member));
    if (!want) {
        gateway->incomplete = true;
        return;
    }
    cre__want_by(&gateway->members, want, owner, true);
    publish_member_count(gateway);
    const int result = cre_broker_join(gateway->broker, member->topic, member->id, member->info);
    if (!result) return;
    if (result == CRE_ENOMEM) gateway->incomplete = true;
    if (result == CRE_ELIMIT) cre__gateway_count(&gateway->stats->dropped, 1);
    cre__want_by(&gateway->members, want, owner, false);
    release(gateway, want);
}

static void leave(cre_gateway *gateway, uint32_t owner, const cre__membership *member) {
    member_key key;
    cre__want *want = cre__wants_find(&gateway->members, put_key(&key, member));
    if (!want) return;
    cre__want_by(&gateway->members, want, owner, false);
    release(gateway, want);
}

int cre__gateway_member(cre_gateway *gateway, uint32_t from, const cre_record *record,
                        const uint8_t *payload) {
    const uint32_t owner = from - gateway->config.first_owner;
    cre__membership member;
    if (from < gateway->config.first_owner || owner >= gateway->config.owner_count) return CRE_EINVALID;
    if (!cre__membership_read(record, payload, &member)) return CRE_EINVALID;
    if (cre__gateway_is_nodes(member.topic)) return 0;
    gateway->repeats = record->opcode && gateway->resumes && cre__gateway_awaits(gateway, owner);
    if (record->opcode)
        join(gateway, owner, &member);
    else
        leave(gateway, owner, &member);
    gateway->repeats = false;
    return 0;
}

void cre__gateway_begin_members(cre_gateway *gateway, uint32_t owner) {
    cre__wants_begin_report(&gateway->members, owner);
}

void cre__gateway_end_members(cre_gateway *gateway, uint32_t owner) {
    cre__wants_end_report(&gateway->members, owner, release, gateway);
}

/* ---- changes ---- */

/* The changes of a topic go to one worker, so that they keep their order, and wait there for a successor. */
void cre__gateway_member_changed(void *context, cre_slice topic, const cre_broker_member *member,
                                 bool joined) {
    cre_gateway *gateway = context;
    const cre_gateway_config *config = &gateway->config;
    if (!config->worker_count || cre__gateway_is_nodes(topic)) return;
    if (gateway->repeats || (gateway->resumes && !gateway->subscribes)) return;
    const uint32_t worker = config->first_worker + (uint32_t)(cre__shard_hash(topic) % config->worker_count);
    const cre__membership change = { topic, member->id, member->info };
    if (cre__membership_send(gateway->node, worker, &change, joined))
        cre__gateway_count(&gateway->stats->skipped, 1);
}

/* ---- questions ---- */

int cre__gateway_ask_members(cre_gateway *gateway, cre__asker asker, cre_slice payload) {
    cre_members_question question;
    if (payload.length < sizeof question) return CRE_EINVALID;
    memcpy(&question, payload.data, sizeof question);
    const cre_slice topic = { payload.data + sizeof question, payload.length - sizeof question };
    if (!topic.length || topic.length > CRE_MAX_TOPIC || question.most > CRE_BROKER_MAX_LISTED)
        return CRE_EINVALID;
    /* Nobody else knows the members: the owners report them first. */
    if (gateway->config.place->local && !gateway->subscribes) return CRE_EBROKER_UNAVAILABLE;
    cre__waiting *waiting;
    int result = cre__gateway_wait(gateway, asker, &waiting);
    if (result) return result;
    result = cre_broker_list_members(gateway->broker, topic, question.most, (uint64_t)(uintptr_t)waiting);
    if (result) cre__gateway_waited(gateway, waiting);
    return result;
}

static size_t member_size(const cre_broker_member *member) {
    return sizeof(cre_listed_member) + member->id.length + member->info.length;
}

static uint8_t *put_member(uint8_t *at, const cre_broker_member *member) {
    const cre_listed_member head = { (uint16_t)member->id.length, (uint16_t)member->info.length };
    memcpy(at, &head, sizeof head);
    at += sizeof head;
    memcpy(at, member->id.data, member->id.length);
    at += member->id.length;
    if (member->info.length) memcpy(at, member->info.data, member->info.length);
    return at + member->info.length;
}

/* Answers in parts, all of which begin with the number of members. */
static void answer_members(cre_gateway *gateway, cre__asker asker, const cre_broker_presence *presence) {
    enum { MOST = PART_BYTES + sizeof(cre_listed_member) + CRE_MAX_MEMBER_ID + CRE_MAX_MEMBER_INFO };
    uint8_t *bytes = cre__malloc(MOST);
    size_t i = 0;
    int result = bytes ? 0 : cre__gateway_answer(gateway, asker, CRE_ENOMEM, true, NULL, 0);
    for (bool final = false; bytes && !final && !result;) {
        uint8_t *at = bytes;
        for (; i < presence->listed && at - bytes < PART_BYTES; i++) {
            if (member_size(&presence->members[i]) >
                sizeof(cre_listed_member) + CRE_MAX_MEMBER_ID + CRE_MAX_MEMBER_INFO)
                continue; /* written by another program */
            at = put_member(at, &presence->members[i]);
        }
        final = i == presence->listed;
        const cre_member_list head = { .count = presence->count, .complete = presence->complete };
        const cre_slice parts[] = { { (const uint8_t *)&head, sizeof head },
                                    { bytes, (size_t)(at - bytes) } };
        result = cre__gateway_answer(gateway, asker, 0, final, parts, 2);
    }
    cre__free(bytes);
}

void cre__gateway_present(void *context, uint64_t tag, int result, const cre_broker_presence *presence) {
    cre_gateway *gateway = context;
    if (tag == CRE__SERVERS_TAG) {
        cre__gateway_servers(gateway, result, presence);
        return;
    }
    const cre__asker asker = cre__gateway_waited(gateway, (cre__waiting *)(uintptr_t)tag);
    if (!result)
        answer_members(gateway, asker, presence);
    else if (cre__gateway_answer(gateway, asker, result, true, NULL, 0)) {
        /* without room for the answer the question ends by its limit of time */
    }
}
