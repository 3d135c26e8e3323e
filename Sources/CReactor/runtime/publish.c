/* A worker's commands for topics: to the connections of this server, or through the gateway to those of all
 * machines. */
#include <creactor/error.h>
#include <string.h>

#include "core/shard.h"
#include "engine/user.h"
#include "runtime/client_envelope.h"
#include "runtime/worker_internal.h"

/* A message and its envelope are at most CRE_BROKER_MAX_PAYLOAD. */
enum { MAX_CLUSTER_MESSAGE = (8 << 20) - 64 };

const cre_topic_rule *cre_topic_rule_of(const cre_cluster_place *place, const void *topic, size_t length) {
    for (uint32_t i = 0; i < place->rule_count; i++) {
        const char *pattern = place->rules[i].pattern;
        size_t size = strlen(pattern);
        const bool open = size && pattern[size - 1] == '*';
        size -= open;
        if (cre_topic_is_reserved(topic, length) && !cre_topic_is_reserved(pattern, size)) continue;
        if ((open ? length >= size : length == size) && memcmp(topic, pattern, size) == 0)
            return &place->rules[i];
    }
    return NULL;
}

void cre__worker_expect(cre_worker *worker, cre_session session, const void *topic, size_t length) {
    if (!cre__is_clustered(worker->config.cluster) || cre_worker_owns(worker, session)) return;
    const cre_topic_position none = { 0 };
    const cre_record interest = { .kind = CRE_MESSAGE_INTEREST, .opcode = CRE_INTEREST_EXPECT };
    const cre_slice parts[] = { { (const uint8_t *)&none, sizeof none }, { topic, length } };
    cre__worker_send(worker, worker->config.cluster->gateway, &interest, parts, 2);
}

int cre_worker_subscribe(cre_worker *worker, cre_session session, const void *topic, size_t length, bool on) {
    cre_record command = { .kind = on ? CRE_COMMAND_SUBSCRIBE : CRE_COMMAND_UNSUBSCRIBE, .session = session };
    cre_slice part = { topic, length };
    const int result = cre_worker_command(worker, &command, &part, 1);
    if (on && !result) cre__worker_expect(worker, session, topic, length);
    return result;
}

static int bind_user(cre_worker *worker, cre_session session, uint32_t id, const cre__user *user) {
    uint8_t topic[CRE_MAX_TOPIC];
    const cre_record command = { .kind = CRE_COMMAND_BIND, .session = session };
    const cre_binding binding = { .user_id = id };
    const cre_slice parts[] = { { (const uint8_t *)&binding, sizeof binding }, { user->name, user->length } };
    const int result = cre_worker_command(worker, &command, parts, id ? 1 : 2);
    if (!result) cre__worker_expect(worker, session, topic, cre__user_topic(topic, user->name, user->length));
    return result;
}

int cre_worker_bind(cre_worker *worker, cre_session session, uint32_t user_id) {
    cre__user user = { .id = user_id };
    cre__user_set_decimal(&user);
    return user_id ? bind_user(worker, session, user_id, &user) : CRE_EINVALID;
}

int cre_worker_bind_name(cre_worker *worker, cre_session session, const void *name, size_t length) {
    cre__user user = { .length = length };
    if (!length || length > CRE_MAX_USER) return CRE_EINVALID;
    memcpy(user.name, name, length);
    return bind_user(worker, session, 0, &user);
}

int cre_worker_unbind(cre_worker *worker, cre_session session) {
    const cre_record command = { .kind = CRE_COMMAND_UNBIND, .session = session };
    return cre_worker_command(worker, &command, NULL, 0);
}

static bool takes_no_more(const cre_worker *worker, cre_slice topic) {
    const cre__bus_control *control = worker->config.bus->control;
    const uint64_t full = atomic_load_explicit(&control->full_shards, memory_order_relaxed);
    if (!full) return false;
    const uint32_t shards = worker->config.cluster->shards;
    const uint32_t shard = shards > 1 ? cre__shard_of(cre__shard_hash(topic), shards) : 0;
    return full >> shard & 1;
}

/* Publishes on this server, without a position. */
static int publish_here(cre_worker *worker, const cre_record *command, const cre_slice *parts,
                        const cre_topic_rule *rule) {
    if (!rule || !rule->enveloped || command->opcode == CRE_WS_CLOSE)
        return cre_worker_command(worker, command, parts, 3);
    uint8_t front[CRE__MAX_CLIENT_ENVELOPE];
    const size_t length = cre__client_envelope_put(front, parts[1], (cre_topic_position){ 0 });
    const cre_slice enveloped[] = { parts[0], parts[1], { front, length }, parts[2] };
    return cre_worker_command(worker, command, enveloped, 4);
}

static int publish_in_cluster(cre_worker *worker, cre_record *command, const cre_slice *parts) {
    const cre_cluster_place *cluster = worker->config.cluster;
    int result = cre__command_check(command, parts, 3);
    if (result) return result;
    const cre_topic_rule *rule = cre_topic_rule_of(cluster, parts[1].data, parts[1].length);
    if (!cre__is_clustered(cluster)) return publish_here(worker, command, parts, rule);
    if (parts[2].length > MAX_CLUSTER_MESSAGE) return CRE_ELIMIT;
    if (takes_no_more(worker, parts[1])) return CRE_EBROKER_UNAVAILABLE;
    if (rule && rule->local_first) {
        result = publish_here(worker, command, parts, rule);
        command->flags = CRE_RECORD_DELIVERED;
    }
    command->kind = CRE_MESSAGE_PUBLISH;
    /* Owners read it before what the gateway makes of this: cre__node_set_relay. */
    cre__node_publish(worker->node);
    const int sent = cre__worker_send(worker, cluster->gateway, command, parts, 3);
    return sent == CRE_ELINK_FULL ? CRE_EBROKER_UNAVAILABLE : sent ? sent : result;
}

static int publish(cre_worker *worker, const void *topic, size_t topic_length, uint8_t opcode,
                   const void *data, size_t length, cre_session except) {
    cre_record command = { .kind = CRE_COMMAND_PUBLISH, .opcode = opcode, .session = except };
    cre_publishing publishing = { .topic_length = (uint16_t)topic_length };
    cre_slice parts[] = { { (const uint8_t *)&publishing, sizeof publishing },
                          { topic, topic_length },
                          { data, length } };
    if (__builtin_expect(worker->config.cluster != NULL, 0))
        return publish_in_cluster(worker, &command, parts);
    return cre_worker_command(worker, &command, parts, 3);
}

int cre_worker_publish(cre_worker *worker, const void *topic, size_t topic_length, uint8_t opcode,
                       const void *data, size_t length, cre_session except) {
    if (!topic_length || topic_length > CRE_MAX_TOPIC || cre_topic_is_reserved(topic, topic_length))
        return CRE_EINVALID;
    return publish(worker, topic, topic_length, opcode, data, length, except);
}

int cre_worker_publish_to_user(cre_worker *worker, const void *name, size_t name_length, uint8_t opcode,
                               const void *data, size_t length, cre_session except) {
    uint8_t topic[CRE_MAX_TOPIC];
    if (!name_length || name_length > CRE_MAX_USER) return CRE_EINVALID;
    return publish(worker, topic, cre__user_topic(topic, name, name_length), opcode, data, length, except);
}

int cre_worker_broadcast_to_cluster(cre_worker *worker, uint8_t opcode, const void *data, size_t length,
                                    cre_session except) {
    if (!cre__is_clustered(worker->config.cluster))
        return cre_worker_broadcast(worker, opcode, data, length, except);
    if (opcode != CRE_WS_TEXT && opcode != CRE_WS_BINARY) return CRE_EINVALID;
    return publish(worker, CRE_TOPIC_ALL, sizeof CRE_TOPIC_ALL - 1, opcode, data, length, except);
}

int cre_worker_broadcast(cre_worker *worker, uint8_t opcode, const void *data, size_t length,
                         cre_session except) {
    cre_record command = { .kind = CRE_COMMAND_BROADCAST, .opcode = opcode, .session = except };
    cre_slice part = { data, length };
    return cre_worker_command(worker, &command, &part, 1);
}
