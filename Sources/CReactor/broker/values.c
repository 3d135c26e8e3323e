/* Values by keys of all machines. */
#include "broker_internal.h"

int cre_broker_apply(cre_broker *broker, const cre_value_operation *operation, uint64_t tag) {
    enum { IN_FLIGHT = 8 << 20 };
    const int error = cre_value_check(operation);
    if (error) return error;
    if (!broker->kind->apply) return CRE_EBROKER_UNSUPPORTED;
    const uint32_t shard = cre_broker_shard(broker, operation->key);
    const cre__link *link = &broker->links[shard];
    if (!cre__link_is_usable(link) || link->values >= IN_FLIGHT) return CRE_EBROKER_UNAVAILABLE;
    return broker->kind->apply(broker, shard, operation, tag);
}
