/* The cluster in a process that owns sockets: topics are reported to the gateway, messages come from it. */
#include "runtime/interest.h"

#include <creactor/error.h>

#include "core/slices.h"
#include "engine/command.h"
#include "engine/presence.h"

static void report(cre__interest *interest, cre_interest kind, cre_slice name, cre_topic_position position) {
    const cre_record record = { .kind = CRE_MESSAGE_INTEREST, .opcode = (uint8_t)kind };
    const cre_slice parts[] = { { (const uint8_t *)&position, sizeof position }, name };
    if (cre_node_send(interest->node, interest->gateway, &record, parts, 2)) interest->stale = true;
}

void cre__interest_changed(cre__interest *interest, const void *name, size_t length, bool exists) {
    if (!interest->node || interest->stale) return;
    report(interest, exists ? CRE_INTEREST_ADD : CRE_INTEREST_REMOVE, (cre_slice){ name, length },
           (cre_topic_position){ 0 });
}

void cre__interest_member(cre__interest *interest, const cre__membership *member, bool joined) {
    if (!interest->node || interest->stale) return;
    if (cre__membership_send(interest->node, interest->gateway, member, joined)) interest->stale = true;
}

static void visit_member(void *context, cre_slice topic, cre_slice id, cre_slice info) {
    const cre__membership member = { topic, id, info };
    cre__interest_member(context, &member, true);
}

static void visit(void *context, cre_slice name, cre_topic_position position) {
    cre__interest *interest = context;
    if (!interest->stale) report(interest, CRE_INTEREST_ADD, name, position);
}

void cre__interest_continue(cre__interest *interest) {
    if (interest->stale) {
        interest->stale = false;
        report(interest, CRE_INTEREST_BEGIN, (cre_slice){ 0 }, (cre_topic_position){ 0 });
        interest->place = 0;
        interest->has_topics = interest->members_only;
        interest->reporting = true;
    }
    while (interest->reporting && !interest->stale) {
        if (cre_node_congested(interest->node, interest->gateway)) return;
        if (!interest->has_topics) {
            if (cre__topics_visit(interest->engine, &interest->place, visit, interest)) continue;
            interest->has_topics = true;
            interest->place = 0;
        }
        if (cre__members_visit(interest->engine, &interest->place, visit_member, interest)) continue;
        interest->reporting = false;
        report(interest, CRE_INTEREST_END, (cre_slice){ 0 }, (cre_topic_position){ 0 });
    }
}

static void start_report(cre__interest *interest) {
    interest->stale = true;
    cre__interest_continue(interest);
}

void cre__interest_begin(cre__interest *interest, cre_node *node, const cre_engine *engine,
                         const cre_cluster_place *cluster) {
    if (!cre__has_gateway(cluster)) return;
    *interest = (cre__interest){ .node = node,
                                 .engine = engine,
                                 .gateway = cluster->gateway,
                                 .members_only = !cre__is_clustered(cluster) };
    start_report(interest);
}

static int deliver(cre_engine *engine, const cre_record *record, uint8_t *payload) {
    cre_delivery delivery;
    if (record->length < sizeof delivery) return CRE_EINVALID;
    memcpy(&delivery, payload, sizeof delivery);
    const size_t head = sizeof delivery + delivery.topic_length;
    if (!delivery.topic_length || delivery.topic_length > CRE_MAX_TOPIC || head > record->length)
        return CRE_EINVALID;
    const cre_publishing publishing = { .topic_length = delivery.topic_length };
    const cre_slice topic = { payload + sizeof delivery, delivery.topic_length };
    const cre_slice parts[] = { { (const uint8_t *)&publishing, sizeof publishing },
                                topic,
                                { payload + head, record->length - head } };
    const bool to_all = cre__slice_is(topic, CRE_TOPIC_ALL);
    const cre_record command = { .kind = to_all ? CRE_COMMAND_BROADCAST : CRE_COMMAND_PUBLISH,
                                 .opcode = record->opcode,
                                 .session = record->session };
    const cre_slice *payload_parts = to_all ? parts + 2 : parts;
    const int count = to_all ? 1 : 3;
    const int result = record->opcode ? cre__command_check(&command, payload_parts, count) : 0;
    if (result) return result;
    const bool is_new = to_all || cre__topic_advance(engine, topic, delivery.position);
    if (is_new && record->opcode) cre__command_accepted(engine, &command, payload_parts, count);
    return 0;
}

int cre__gateway_record(cre__interest *interest, cre_engine *engine, uint32_t from, const cre_record *record,
                        uint8_t *payload) {
    if (!interest->gateway || from != interest->gateway) return CRE_EINVALID;
    if (record->kind == CRE_MESSAGE_DELIVER) return deliver(engine, record, payload);
    if (record->kind != CRE_MESSAGE_INTERESTS) return CRE_EINVALID;
    start_report(interest);
    return 0;
}
