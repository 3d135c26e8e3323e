/* What a gateway receives for the processes of its server, and what these want. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "core/slices.h"
#include "gateway/envelope.h"
#include "gateway/gateway_internal.h"
#include "runtime/client_envelope.h"

enum {
    REPORT_MS = 2000,   /* for the reports of owners that run, before the gateway connects without them */
    TICK_MS = 5000,     /* a topic is expected for one to two of them */
    EXPECTED_TICKS = 2, /* an owner needs far less to report it */
    BITS = 64
};

/* ---- to the owners ---- */

static void send_to(cre_gateway *gateway, uint32_t owner, const cre_record *record, const cre_slice *parts,
                    int count) {
    const int result =
        cre_node_send(gateway->node, gateway->config.first_owner + owner, record, parts, count);
    if (record->opcode) cre__gateway_count(result ? &gateway->stats->skipped : &gateway->stats->delivered, 1);
}

/* Sends a message, or with opcode 0 only the position, to the owners that want the topic; NULL: to all
 * owners, for all of their WebSockets. */
static void deliver(cre_gateway *gateway, const cre__want *want, cre_broker_position position,
                    const cre__envelope *envelope, bool is_own) {
    const cre_slice name = want ? cre__want_name(&gateway->wants, want)
                                : (cre_slice){ (const uint8_t *)CRE_TOPIC_ALL, sizeof CRE_TOPIC_ALL - 1 };
    const cre_delivery delivery = { .position = cre__gateway_position(position),
                                    .topic_length = (uint16_t)name.length };
    const cre_record record = { .kind = CRE_MESSAGE_DELIVER,
                                .opcode = envelope->opcode,
                                .session = is_own ? envelope->session : 0 };
    uint8_t front[CRE__MAX_CLIENT_ENVELOPE];
    const bool enveloped = want && want->enveloped && envelope->opcode && envelope->opcode != CRE_WS_CLOSE;
    const size_t front_length = enveloped ? cre__client_envelope_put(front, name, delivery.position) : 0;
    const cre_slice parts[] = {
        { (const uint8_t *)&delivery, sizeof delivery }, name, { front, front_length }, envelope->message
    };
    for (uint32_t owner = 0; owner < gateway->config.owner_count; owner++)
        if (!want || want->expected || want->bits[owner / BITS] >> owner % BITS & 1)
            send_to(gateway, owner, &record, parts, 4);
}

void cre__gateway_message(void *context, cre_slice topic, cre_slice payload, cre_broker_position position) {
    cre_gateway *gateway = context;
    const bool to_all = cre__slice_is(topic, CRE_TOPIC_ALL);
    cre__want *want = to_all ? NULL : cre__wants_find(&gateway->wants, topic);
    if (!want && (cre__gateway_receive_count(gateway, topic, payload) || !to_all)) return;
    if (want && position.epoch) want->position = position;
    cre__envelope envelope;
    cre__gateway_count(&gateway->stats->received, 1);
    if (!cre__envelope_read(payload, &envelope) || (to_all && envelope.opcode == CRE_WS_CLOSE)) {
        cre__gateway_count(&gateway->stats->invalid, 1);
        return;
    }
    const bool is_own = envelope.server == gateway->server;
    if (!is_own || !envelope.delivered) deliver(gateway, want, position, &envelope, is_own);
}

/* The position is where a successor of the gateway continues if no message comes before. */
void cre__gateway_subscribed(void *context, cre_slice topic, cre_broker_position position) {
    cre_gateway *gateway = context;
    cre__want *want = cre__wants_find(&gateway->wants, topic);
    if (!want) return;
    want->position = position;
    deliver(gateway, want, position, &(cre__envelope){ 0 }, false);
}

void cre__gateway_lost(void *context, cre_slice topic, cre_broker_position position) {
    cre_gateway *gateway = context;
    cre__gateway_count(&gateway->stats->lost, 1);
    cre__gateway_subscribed(gateway, topic, position);
    if (gateway->config.lost)
        gateway->config.lost(gateway->config.context, (const char *)topic.data, topic.length);
}

/* ---- what they want ---- */

static void publish_topic_count(cre_gateway *gateway) {
    cre__gateway_publish_stat(&gateway->stats->topics, gateway->wants.count);
}

cre_broker_history cre__gateway_history(const cre_gateway *gateway, cre_slice topic) {
    const cre_topic_rule *rule = cre_topic_rule_of(gateway->config.place, topic.data, topic.length);
    if (!rule) return (cre_broker_history){ 0 };
    return (cre_broker_history){ rule->history_count, rule->history_seconds };
}

static void subscribe(void *context, cre__want *want) {
    cre_gateway *gateway = context;
    if (want->subscribed || !gateway->subscribes) return;
    const cre_slice name = cre__want_name(&gateway->wants, want);
    const cre_broker_history history = cre__gateway_history(gateway, name);
    want->history = history.count != 0;
    const cre_topic_rule *rule = cre_topic_rule_of(gateway->config.place, name.data, name.length);
    want->enveloped = rule && rule->enveloped;
    const int result = want->history && want->position.epoch
                           ? cre_broker_resume(gateway->broker, name, history, want->position)
                           : cre_broker_subscribe(gateway->broker, name, history);
    want->subscribed = !result;
    if (result == CRE_ENOMEM) gateway->incomplete = true;
}

static void release(void *context, cre__want *want) {
    cre_gateway *gateway = context;
    if (cre__want_is_wanted(&gateway->wants, want)) return;
    if (want->subscribed) cre_broker_unsubscribe(gateway->broker, cre__want_name(&gateway->wants, want));
    cre__wants_remove(&gateway->wants, want);
    publish_topic_count(gateway);
}

static void count_down(void *context, cre__want *want) {
    cre_gateway *gateway = context;
    if (!want->expected) return;
    if (--want->expected) gateway->expects = true;
    release(gateway, want);
}

static void tick(void *context, cre_timer *timer) {
    cre_gateway *gateway = context;
    gateway->expects = false;
    cre__wants_each(&gateway->wants, count_down, gateway);
    if (gateway->expects) return;
    cre_timer_stop(timer);
    gateway->ticks = NULL;
}

static bool is_lower(cre_topic_position one, cre_broker_position other) {
    return one.epoch && (!other.epoch || (one.epoch == other.epoch && one.offset < other.offset));
}

static void add(cre_gateway *gateway, uint32_t owner, cre_slice name, cre_topic_position position) {
    cre__want *want = cre__wants_add(&gateway->wants, name);
    if (!want) {
        gateway->incomplete = true;
        return;
    }
    cre__want_by(&gateway->wants, want, owner, true);
    if (!want->subscribed && is_lower(position, want->position))
        want->position = (cre_broker_position){ position.epoch, position.offset };
    publish_topic_count(gateway);
    if (!want->subscribed)
        subscribe(gateway, want);
    else if (want->position.epoch && !position.epoch)
        deliver(gateway, want, want->position, &(cre__envelope){ 0 }, false);
}

bool cre__gateway_expect(cre_gateway *gateway, cre_slice name) {
    cre__want *want = cre__wants_add(&gateway->wants, name);
    if (want && !gateway->ticks &&
        cre_timer_start(gateway->loop, TICK_MS, TICK_MS, tick, gateway, &gateway->ticks))
        gateway->ticks = NULL;
    if (!want) return false;
    /* Without a timer it would be expected for ever. */
    if (gateway->ticks) want->expected = EXPECTED_TICKS;
    publish_topic_count(gateway);
    subscribe(gateway, want);
    const bool subscribed = gateway->ticks && want->subscribed;
    release(gateway, want);
    return subscribed;
}

/* ---- the start ---- */

static void start_subscribing(cre_gateway *gateway) {
    if (gateway->subscribes) return;
    cre_timer_stop(gateway->report_timer);
    gateway->report_timer = NULL;
    gateway->subscribes = true;
    cre__wants_each(&gateway->wants, subscribe, gateway);
    if (!gateway->cluster) return;
    /* Without memory for a timer the next turn of the loop connects. */
    const int result = cre_cluster_connect(gateway->cluster);
    (void)result;
}

static void stop_waiting(void *context, cre_timer *timer) {
    (void)timer;
    start_subscribing(context);
}

bool cre__gateway_awaits(const cre_gateway *gateway, uint32_t owner) {
    return gateway->awaited[owner / BITS] >> owner % BITS & 1;
}

static void start_if_all_reported(cre_gateway *gateway) {
    for (uint32_t i = 0; i < gateway->wants.words; i++)
        if (gateway->awaited[i]) return;
    start_subscribing(gateway);
}

int cre__gateway_request_reports(cre_gateway *gateway, bool at_start) {
    const cre_gateway_config *config = &gateway->config;
    const cre_record question = { .kind = CRE_MESSAGE_INTERESTS };
    gateway->incomplete = false;
    for (uint32_t owner = 0; owner < config->owner_count; owner++) {
        const int result = cre_node_send(gateway->node, config->first_owner + owner, &question, NULL, 0);
        if (result) gateway->incomplete = true;
        if (at_start && cre_bus_pid(config->bus, config->first_owner + owner))
            gateway->awaited[owner / BITS] |= 1ull << owner % BITS;
    }
    if (!at_start) return 0;
    start_if_all_reported(gateway);
    if (gateway->subscribes) return 0;
    return cre_timer_start(gateway->loop, REPORT_MS, 0, stop_waiting, gateway, &gateway->report_timer);
}

/* ---- records ---- */

int cre__gateway_interest(cre_gateway *gateway, uint32_t from, const cre_record *record,
                          const uint8_t *payload) {
    cre_topic_position position;
    if (record->length < sizeof position || record->length > sizeof position + CRE_MAX_TOPIC)
        return CRE_EINVALID;
    memcpy(&position, payload, sizeof position);
    const cre_slice name = { payload + sizeof position, record->length - sizeof position };
    const bool has_name = record->opcode == CRE_INTEREST_ADD || record->opcode == CRE_INTEREST_REMOVE ||
                          record->opcode == CRE_INTEREST_EXPECT;
    if (has_name != (name.length > 0)) return CRE_EINVALID;
    if (has_name && gateway->config.place->local) return CRE_EINVALID; /* their messages do not pass it */
    if (record->opcode == CRE_INTEREST_EXPECT) {
        cre__gateway_expect(gateway, name);
        return 0;
    }
    const uint32_t owner = from - gateway->config.first_owner;
    if (from < gateway->config.first_owner || owner >= gateway->config.owner_count) return CRE_EINVALID;
    cre__want *want;
    switch (record->opcode) {
    case CRE_INTEREST_BEGIN:
        cre__wants_begin_report(&gateway->wants, owner);
        cre__gateway_begin_members(gateway, owner);
        return 0;
    case CRE_INTEREST_ADD: add(gateway, owner, name, position); return 0;
    case CRE_INTEREST_END:
        cre__wants_end_report(&gateway->wants, owner, release, gateway);
        cre__gateway_end_members(gateway, owner);
        gateway->awaited[owner / BITS] &= ~(1ull << owner % BITS);
        start_if_all_reported(gateway);
        return 0;
    case CRE_INTEREST_REMOVE:
        want = cre__wants_find(&gateway->wants, name);
        if (!want) return 0;
        cre__want_by(&gateway->wants, want, owner, false);
        release(gateway, want);
        return 0;
    default: return CRE_EINVALID;
    }
}
