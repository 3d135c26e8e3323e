/* Operations on values: questions of the processes of a server, which the cluster answers. */
#include <creactor/error.h>
#include <string.h>

#include "gateway/gateway_internal.h"

/* Returns false for a malformed question. */
static bool read(cre_slice payload, cre_value_operation *operation) {
    cre_value_question head;
    if (payload.length < sizeof head) return false;
    memcpy(&head, payload.data, sizeof head);
    const uint64_t length = (uint64_t)head.key_length + head.value_length + head.expected_length;
    if (length != payload.length - sizeof head) return false;
    const uint8_t *key = payload.data + sizeof head, *value = key + head.key_length;
    *operation = (cre_value_operation){ .kind = head.kind,
                                        .condition = head.condition,
                                        .key = { key, head.key_length },
                                        .value = { value, head.value_length },
                                        .expected = { value + head.value_length, head.expected_length },
                                        .amount = head.amount,
                                        .lifetime_ms = head.lifetime_ms };
    return true;
}

int cre__gateway_ask_value(cre_gateway *gateway, cre__asker asker, cre_slice payload) {
    cre_value_operation operation;
    if (!read(payload, &operation)) return CRE_EINVALID;
    cre__waiting *waiting;
    int result = cre__gateway_wait(gateway, asker, &waiting);
    if (result) return result;
    result = cre_broker_apply(gateway->broker, &operation, (uint64_t)(uintptr_t)waiting);
    if (result) cre__gateway_waited(gateway, waiting);
    return result;
}

void cre__gateway_value(void *context, uint64_t tag, int result, cre_slice value) {
    cre_gateway *gateway = context;
    const cre__asker asker = cre__gateway_waited(gateway, (cre__waiting *)(uintptr_t)tag);
    const cre_value_answer head = { .done = result == 1 };
    const cre_slice parts[] = { { (const uint8_t *)&head, sizeof head }, value };
    if (cre__gateway_answer(gateway, asker, result < 0 ? result : 0, true, parts, result < 0 ? 0 : 2)) {
        /* without room for the answer the question ends by its limit of time */
    }
}
