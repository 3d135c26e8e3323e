/* Messages to publish: each is in the queue of its shard until it has a reply. */
#include "broker_internal.h"
#include "core/memory.h"

bool cre__history_is_valid(cre_broker_history history) {
    return history.count <= CRE_BROKER_MAX_HISTORY && (!history.count || history.seconds);
}

static size_t size_of(const cre__outgoing *message) {
    return sizeof *message + message->topic_length + message->payload_length;
}

static void append(cre__link *link, cre__outgoing *message) {
    message->next = NULL;
    message->previous = link->last;
    if (link->last)
        link->last->next = message;
    else
        link->first = message;
    link->last = message;
    link->queued += size_of(message);
}

static void detach(cre__link *link, cre__outgoing *message) {
    if (message->previous)
        message->previous->next = message->next;
    else
        link->first = message->next;
    if (message->next)
        message->next->previous = message->previous;
    else
        link->last = message->previous;
    link->queued -= size_of(message);
}

int cre_broker_publish_again(cre_broker *broker, cre_slice topic, cre_slice payload,
                             cre_broker_history history, uint64_t id, uint64_t tag) {
    if (!topic.length || topic.length > CRE_BROKER_MAX_TOPIC) return CRE_EINVALID;
    if (!cre__history_is_valid(history)) return CRE_EINVALID;
    if (payload.length > CRE_BROKER_MAX_PAYLOAD) return CRE_ELIMIT;
    if (!broker->kind->publish) return CRE_EBROKER_UNSUPPORTED;
    const uint32_t shard = cre_broker_shard(broker, topic);
    cre__link *link = &broker->links[shard];
    const size_t size = sizeof(cre__outgoing) + topic.length + payload.length;
    if (link->queued && link->queued + size > broker->config.max_queue) return CRE_EBROKER_UNAVAILABLE;
    cre__outgoing *message = cre__malloc(size);
    if (!message) return CRE_ENOMEM;
    *message = (cre__outgoing){ .tag = tag,
                                .id = id,
                                .history = history,
                                .payload_length = (uint32_t)payload.length,
                                .topic_length = (uint8_t)topic.length };
    memcpy(message->bytes, topic.data, topic.length);
    if (payload.length) memcpy(message->bytes + topic.length, payload.data, payload.length);
    append(link, message);
    if (cre__link_is_usable(link)) message->sent = broker->kind->publish(broker, shard, message);
    return 0;
}

int cre_broker_publish(cre_broker *broker, cre_slice topic, cre_slice payload, cre_broker_history history,
                       uint64_t tag) {
    return cre_broker_publish_again(broker, topic, payload, history, ++broker->last_id, tag);
}

size_t cre_broker_queued(const cre_broker *broker, uint32_t shard) {
    return broker->links[shard].queued;
}

void cre__publish_pending(cre_broker *broker, uint32_t shard) {
    cre__link *link = &broker->links[shard];
    for (cre__outgoing *message = link->first; message && !link->failure; message = message->next)
        if (!message->sent) message->sent = broker->kind->publish(broker, shard, message);
}

void cre__publish_finish(cre_broker *broker, uint32_t shard, cre__outgoing *message, int result,
                         cre_broker_position position) {
    const uint64_t tag = message->tag;
    detach(&broker->links[shard], message);
    cre__free(message);
    broker->handlers.published(broker->context, tag, result, position);
}

/* What was sent without history may have arrived, and everything else is sent again. The callbacks may
 * publish, so those that end are taken from the queue first. */
void cre__publish_disconnected(cre_broker *broker, uint32_t shard) {
    cre__link *link = &broker->links[shard];
    cre__link lost = { 0 };
    for (cre__outgoing *message = link->first, *next; message; message = next) {
        next = message->next;
        if (message->sent && !message->history.count) {
            detach(link, message);
            append(&lost, message);
        }
        message->sent = false;
    }
    for (cre__outgoing *message = lost.first, *next; message; message = next) {
        next = message->next;
        const uint64_t tag = message->tag;
        cre__free(message);
        broker->handlers.published(broker->context, tag, CRE_EBROKER_UNKNOWN, (cre_broker_position){ 0 });
    }
}

void cre__publish_requeue(cre__link *link, cre__outgoing *message) {
    detach(link, message);
    append(link, message);
}

void cre__publish_deinit(cre__link *link) {
    for (cre__outgoing *next; link->first; link->first = next) {
        next = link->first->next;
        cre__free(link->first);
    }
}
