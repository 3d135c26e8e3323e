/* Questions of a process to the gateway of the cluster. */
#include <creactor/error.h>

#include "registry/table_internal.h"
#include "runtime/worker_internal.h"

int cre_worker_ask(cre_worker *worker, uint64_t number, cre_question question, const cre_slice *parts,
                   int count) {
    const cre_cluster_place *cluster = worker->config.cluster;
    if (!cluster || !cluster->gateway) return CRE_EINVALID;
    if (!worker->node || !cre_bus_pid(worker->config.bus, cluster->gateway)) return CRE_EBROKER_UNAVAILABLE;
    const cre_record record = { .kind = CRE_MESSAGE_ASK, .opcode = (uint8_t)question, .session = number };
    const int result = cre__worker_send(worker, cluster->gateway, &record, parts, count);
    return result == CRE_ELINK_FULL ? CRE_EBROKER_UNAVAILABLE : result;
}

uint64_t cre_worker_sent(const cre_worker *worker, cre_session session) {
    uint16_t owner;
    if (!worker->node || !cre__table_owner(worker->table, session, &owner) || owner == worker->config.node)
        return 0;
    return cre__node_sent(worker->node, owner);
}

bool cre__answer_is_valid(const cre_worker *worker, uint32_t from, const cre_record *answer) {
    const cre_worker_config *config = &worker->config;
    const bool from_owner = from - config->first_owner < config->owner_count && from >= config->first_owner;
    return config->cluster && config->cluster->gateway && (from == config->cluster->gateway || from_owner) &&
           answer->length >= sizeof(cre_answer);
}
