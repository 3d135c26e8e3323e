/* What processes ask about topics with history: the position, and what a connection has missed.
 *
 * Missed messages travel to the owner of the connection in the ring of the live ones. The gateway sends them
 * when the cluster has returned them, provided that it has sent exactly those of them that were live: then
 * the owner gets every message behind them later. Otherwise the cluster is asked again. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "gateway/envelope.h"
#include "gateway/gateway_internal.h"
#include "runtime/client_envelope.h"

enum {
    MOST_RECOVERIES = 16384, /* that wait for the broker at a time */
    MOST_BYTES = 16 << 20,   /* of missed messages of one */
    MOST_ATTEMPTS = 5
};

/* A question that waits for the broker. */
struct cre__recovering {
    cre__recovering *next, **link;
    cre__asker asker;
    cre_session session; /* 0: only the position is asked for */
    cre_broker_position since;
    uint64_t mark;
    const cre_topic_rule *rule;
    uint8_t *bytes; /* missed messages, as RECOVERED has them */
    size_t size, capacity;
    uint32_t messages, attempts;
    bool failed; /* there was no memory for them, or they are too many */
    uint8_t topic_length;
    uint8_t topic[CRE_MAX_TOPIC];
};

static cre_slice topic_of(const cre__recovering *recovering) {
    return (cre_slice){ recovering->topic, recovering->topic_length };
}

static void drop_messages(cre__recovering *recovering) {
    cre__free(recovering->bytes);
    recovering->bytes = NULL;
    recovering->size = recovering->capacity = 0;
    recovering->messages = 0;
    recovering->failed = false;
}

static void end(cre_gateway *gateway, cre__recovering *recovering) {
    *recovering->link = recovering->next;
    if (recovering->next) recovering->next->link = recovering->link;
    gateway->recovery_count--;
    cre__gateway_publish_question_count(gateway);
    drop_messages(recovering);
    cre__free(recovering);
}

void cre__gateway_drop_recoveries(cre_gateway *gateway) {
    while (gateway->recoveries)
        end(gateway, gateway->recoveries);
}

static int ask(cre_gateway *gateway, cre__recovering *recovering) {
    recovering->attempts++;
    /* The topic is subscribed before: what is live is behind what will be found. */
    if (recovering->session && !cre__gateway_expect(gateway, topic_of(recovering)))
        return CRE_EBROKER_UNAVAILABLE;
    const cre_slice topic = topic_of(recovering);
    return cre_broker_recover(gateway->broker, topic, cre__gateway_history(gateway, topic), recovering->since,
                              (uint64_t)(uintptr_t)recovering);
}

static int begin(cre_gateway *gateway, cre__asker asker, cre_slice topic, const cre_recovery *recovery) {
    const cre_topic_rule *rule = cre_topic_rule_of(gateway->config.place, topic.data, topic.length);
    if (!rule || !rule->history_count || cre_topic_is_reserved(topic.data, topic.length)) return CRE_ESTATE;
    if (gateway->recovery_count >= MOST_RECOVERIES) return CRE_EBROKER_UNAVAILABLE;
    cre__recovering *recovering = cre__malloc(sizeof *recovering);
    if (!recovering) return CRE_ENOMEM;
    *recovering = (cre__recovering){ .next = gateway->recoveries,
                                     .link = &gateway->recoveries,
                                     .asker = asker,
                                     .session = recovery->session,
                                     .since = { recovery->since.epoch, recovery->since.offset },
                                     .mark = recovery->mark,
                                     .rule = rule,
                                     .topic_length = (uint8_t)topic.length };
    memcpy(recovering->topic, topic.data, topic.length);
    if (recovering->next) recovering->next->link = &recovering->next;
    gateway->recoveries = recovering;
    gateway->recovery_count++;
    cre__gateway_publish_question_count(gateway);
    const int result = ask(gateway, recovering);
    if (result) end(gateway, recovering);
    return result;
}

int cre__gateway_ask_position(cre_gateway *gateway, cre__asker asker, cre_slice topic) {
    if (!topic.length || topic.length > CRE_MAX_TOPIC) return CRE_EINVALID;
    return begin(gateway, asker, topic, &(cre_recovery){ 0 });
}

int cre__gateway_ask_recover(cre_gateway *gateway, cre__asker asker, cre_slice payload) {
    cre_recovery recovery;
    if (payload.length <= sizeof recovery || payload.length > sizeof recovery + CRE_MAX_TOPIC)
        return CRE_EINVALID;
    memcpy(&recovery, payload.data, sizeof recovery);
    if (!recovery.session) return CRE_EINVALID;
    const cre_slice topic = { payload.data + sizeof recovery, payload.length - sizeof recovery };
    return begin(gateway, asker, topic, &recovery);
}

/* ---- callbacks of the broker ---- */

static bool make_room(cre__recovering *recovering, size_t length) {
    const size_t size = recovering->size + length;
    if (size <= recovering->capacity) return true;
    if (size > MOST_BYTES) return false;
    size_t capacity = recovering->capacity ? recovering->capacity * 2 : 4096;
    if (capacity < size) capacity = size;
    uint8_t *bytes = cre__realloc(recovering->bytes, capacity);
    if (!bytes) return false;
    recovering->bytes = bytes;
    recovering->capacity = capacity;
    return true;
}

static void append(cre__recovering *recovering, const void *data, size_t length) {
    if (length) memcpy(recovering->bytes + recovering->size, data, length);
    recovering->size += length;
}

void cre__gateway_missed(void *context, uint64_t tag, cre_slice payload, cre_broker_position position) {
    cre_gateway *gateway = context;
    cre__recovering *recovering = (cre__recovering *)(uintptr_t)tag;
    cre__envelope envelope;
    if (!cre__envelope_read(payload, &envelope)) {
        cre__gateway_count(&gateway->stats->invalid, 1);
        return;
    }
    /* A connection that returns to a topic does not get what it has published for others. */
    if (envelope.server == gateway->server && envelope.session == recovering->session) return;
    uint8_t front[CRE__MAX_CLIENT_ENVELOPE];
    const size_t front_length =
        recovering->rule->enveloped
            ? cre__client_envelope_put(front, topic_of(recovering), cre__gateway_position(position))
            : 0;
    const cre_missed_message head = { .length = (uint32_t)(front_length + envelope.message.length),
                                      .opcode = envelope.opcode };
    if (recovering->failed || !make_room(recovering, sizeof head + head.length)) {
        recovering->failed = true;
        return;
    }
    append(recovering, &head, sizeof head);
    append(recovering, front, front_length);
    append(recovering, envelope.message.data, envelope.message.length);
    recovering->messages++;
}

/* Sends the messages to the owner of the connection, which answers. */
static int deliver(cre_gateway *gateway, const cre__recovering *recovering, uint32_t outcome,
                   cre_broker_position position) {
    const cre_gateway_config *config = &gateway->config;
    const cre_slice topic = topic_of(recovering);
    cre_connection_info info;
    if (!cre_table_get_info(cre_bus_table(config->bus), recovering->session, &info, sizeof info))
        return CRE_EGONE;
    if (info.owner < config->first_owner || info.owner - config->first_owner >= config->owner_count)
        return CRE_EGONE;
    const bool complete = outcome == CRE_RECOVERY_COMPLETE;
    const cre_missed missed = { .position = { position.epoch, position.offset },
                                .number = recovering->asker.number,
                                .mark = recovering->mark,
                                .asker = recovering->asker.node,
                                .outcome = outcome,
                                .messages = complete ? recovering->messages : 0,
                                .topic_length = (uint16_t)topic.length };
    const cre_record record = { .kind = CRE_MESSAGE_RECOVERED, .session = recovering->session };
    const cre_slice parts[] = { { (const uint8_t *)&missed, sizeof missed },
                                topic,
                                { recovering->bytes, complete ? recovering->size : 0 } };
    return cre_node_send(gateway->node, info.owner, &record, parts, 3);
}

static int subscribe(cre_gateway *gateway, cre__recovering *recovering, int result,
                     cre_broker_position position) {
    const cre__want *want = cre__wants_find(&gateway->wants, topic_of(recovering));
    const bool is_reached =
        want && want->position.epoch == position.epoch && want->position.offset == position.offset;
    if (!is_reached || (result && result != CRE_EBROKER_GAP))
        return recovering->attempts < MOST_ATTEMPTS ? CRE_ESTATE : CRE_EBROKER_UNAVAILABLE;
    if (!cre__gateway_expect(gateway, topic_of(recovering))) return CRE_EBROKER_UNAVAILABLE;
    uint32_t outcome = !recovering->since.epoch       ? CRE_RECOVERY_SUBSCRIBED
                       : result || recovering->failed ? CRE_RECOVERY_LOST
                                                      : CRE_RECOVERY_COMPLETE;
    int sent = deliver(gateway, recovering, outcome, position);
    if (sent == CRE_ELIMIT) sent = deliver(gateway, recovering, CRE_RECOVERY_LOST, position);
    return sent == CRE_ELINK_FULL ? CRE_EBROKER_UNAVAILABLE : sent;
}

void cre__gateway_recovered(void *context, uint64_t tag, int result, cre_broker_position position) {
    cre_gateway *gateway = context;
    cre__recovering *recovering = (cre__recovering *)(uintptr_t)tag;
    const cre_topic_position reached = cre__gateway_position(position);
    const cre_slice part = { (const uint8_t *)&reached, sizeof reached };
    const bool is_position = !recovering->session;
    if (result == CRE_EBROKER_SILENT) { /* nor would it be answered the next time */
        recovering->attempts = MOST_ATTEMPTS;
        result = CRE_EBROKER_UNAVAILABLE;
    }
    if (!is_position) result = subscribe(gateway, recovering, result, position);
    if (result == CRE_ESTATE || (is_position && result && recovering->attempts < MOST_ATTEMPTS)) {
        drop_messages(recovering);
        result = ask(gateway, recovering);
        if (!result) return;
    }
    if (is_position || result)
        cre__gateway_answer(gateway, recovering->asker, result, true, &part, result == 0);
    end(gateway, recovering);
}
