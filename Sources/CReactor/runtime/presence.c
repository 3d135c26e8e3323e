/* Members of topics: a worker's command, and records between processes. */
#include "runtime/presence.h"

#include <creactor/error.h>
#include <string.h>

#include "runtime/worker_internal.h"

int cre__membership_send(cre_node *node, uint32_t to, const cre__membership *member, bool joined) {
    const cre_record record = { .kind = CRE_MESSAGE_MEMBER, .opcode = joined };
    const cre_joining joining = { .topic_length = (uint16_t)member->topic.length,
                                  .id_length = (uint16_t)member->id.length,
                                  .info_length = (uint16_t)member->info.length };
    const cre_slice parts[] = {
        { (const uint8_t *)&joining, sizeof joining }, member->topic, member->id, member->info
    };
    return cre_node_send(node, to, &record, parts, 4);
}

bool cre__membership_read(const cre_record *record, const uint8_t *payload, cre__membership *member) {
    cre_joining joining;
    if (record->length < sizeof joining || record->opcode > 1) return false;
    memcpy(&joining, payload, sizeof joining);
    const uint8_t *at = payload + sizeof joining;
    member->topic = (cre_slice){ at, joining.topic_length };
    member->id = (cre_slice){ at + joining.topic_length, joining.id_length };
    member->info = (cre_slice){ member->id.data + joining.id_length, joining.info_length };
    const size_t length =
        sizeof joining + (size_t)joining.topic_length + joining.id_length + joining.info_length;
    return length == record->length && joining.topic_length && joining.topic_length <= CRE_MAX_TOPIC &&
           joining.id_length && joining.id_length <= CRE_MAX_MEMBER_ID &&
           joining.info_length <= CRE_MAX_MEMBER_INFO;
}

int cre_worker_join(cre_worker *worker, cre_session session, cre_slice topic, cre_slice id, cre_slice info) {
    const cre_cluster_place *cluster = worker->config.cluster;
    if (!cluster || !cluster->gateway) return CRE_ESTATE;
    if (topic.length > CRE_MAX_TOPIC || id.length > CRE_MAX_MEMBER_ID || info.length > CRE_MAX_MEMBER_INFO)
        return CRE_EINVALID;
    const cre_record command = { .kind = CRE_COMMAND_JOIN, .session = session };
    const cre_joining joining = { .topic_length = (uint16_t)topic.length,
                                  .id_length = (uint16_t)id.length,
                                  .info_length = (uint16_t)info.length };
    const cre_slice parts[] = { { (const uint8_t *)&joining, sizeof joining }, topic, id, info };
    const int result = cre_worker_command(worker, &command, parts, 4);
    if (!result) cre__worker_expect(worker, session, topic.data, topic.length);
    return result;
}

bool cre__change_is_valid(const cre_worker *worker, uint32_t from, const cre_record *record,
                          const uint8_t *payload) {
    cre__membership member;
    const cre_cluster_place *cluster = worker->config.cluster;
    return cluster && cluster->gateway && from == cluster->gateway &&
           cre__membership_read(record, payload, &member);
}
