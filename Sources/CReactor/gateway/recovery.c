/* Positions of topics with history, for the processes of a server. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "gateway/gateway_internal.h"

/* Questions that wait for the broker at a time. */
enum { MOST_RECOVERIES = 16384 };

/* A question that waits for the broker. */
struct cre__recovering {
    cre__recovering *next, **link;
    cre__asker asker;
};

static int begin(cre_gateway *gateway, cre__asker asker, cre_slice topic, cre_broker_history history,
                 cre_broker_position since) {
    if (gateway->recovery_count >= MOST_RECOVERIES) return CRE_EBROKER_UNAVAILABLE;
    cre__recovering *recovering = cre__malloc(sizeof *recovering);
    if (!recovering) return CRE_ENOMEM;
    const int result =
        cre_broker_recover(gateway->broker, topic, history, since, (uint64_t)(uintptr_t)recovering);
    if (result) {
        cre__free(recovering);
        return result;
    }
    *recovering =
        (cre__recovering){ .next = gateway->recoveries, .link = &gateway->recoveries, .asker = asker };
    if (recovering->next) recovering->next->link = &recovering->next;
    gateway->recoveries = recovering;
    gateway->recovery_count++;
    return 0;
}

static void end(cre_gateway *gateway, cre__recovering *recovering) {
    *recovering->link = recovering->next;
    if (recovering->next) recovering->next->link = recovering->link;
    gateway->recovery_count--;
    cre__free(recovering);
}

void cre__gateway_drop_recoveries(cre_gateway *gateway) {
    while (gateway->recoveries)
        end(gateway, gateway->recoveries);
}

int cre__gateway_ask_position(cre_gateway *gateway, cre__asker asker, cre_slice topic) {
    if (!topic.length || topic.length > CRE_MAX_TOPIC) return CRE_EINVALID;
    const cre_broker_history history = cre__gateway_history(gateway, topic);
    if (!history.count) return CRE_ESTATE;
    return begin(gateway, asker, topic, history, (cre_broker_position){ 0 });
}

void cre__gateway_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    (void)context;
    (void)tag;
    (void)payload;
    (void)position;
}

void cre__gateway_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    cre_gateway *gateway = context;
    cre__recovering *recovering = (cre__recovering *)(uintptr_t)tag;
    const cre_topic_position shown = { position.epoch, position.offset };
    const cre_slice part = { (const uint8_t *)&shown, sizeof shown };
    cre__gateway_answer(gateway, recovering->asker, result, true, &part, result == 0);
    end(gateway, recovering);
}
