/* Messages to publish: each is in the queue of its shard until it has a reply. */
#include "broker_internal.h"
#include "core/decimal.h"
#include "core/memory.h"

enum {
    MAX_COUNT = 10000,
    META_SECONDS = 7 * 86400, /* longer than any topic is idle, since a new epoch looks like a loss */
    ID_SECONDS = 300
};

static cre_slice topic_of(const cre__outgoing *message) {
    return (cre_slice){ message->bytes, message->topic_length };
}

static cre_slice payload_of(const cre__outgoing *message) {
    return (cre_slice){ message->bytes + message->topic_length, message->payload_length };
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

static cre_slice decimal(char out[2 * CRE__MAX_DECIMAL], uint64_t number) {
    return (cre_slice){ (const uint8_t *)out, (size_t)(cre__put_decimal(out, number) - out) };
}

static bool send_plain(cre_broker *broker, uint32_t shard, cre__outgoing *message, cre_slice channel) {
    /* the first byte says that there is no position; a copy, because an argument is one piece */
    const cre_slice payload = payload_of(message);
    uint8_t *copy = cre__malloc(payload.length + 1);
    if (!copy) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return false;
    }
    copy[0] = '0';
    if (payload.length) memcpy(copy + 1, payload.data, payload.length);
    const cre_slice arguments[] = { cre__text("PUBLISH"), channel, { copy, payload.length + 1 } };
    const bool sent =
        cre__link_command(broker, shard, arguments, 3, (uint64_t)(uintptr_t)message | CRE__TAG_PUBLISH);
    cre__free(copy);
    return sent;
}

static bool send_kept(cre_broker *broker, uint32_t shard, cre__outgoing *message, uint64_t hash,
                      cre_slice channel) {
    const cre_slice topic = topic_of(message);
    char id[2 * CRE__HEX], epoch[CRE__HEX], count[2 * CRE__MAX_DECIMAL], seconds[2 * CRE__MAX_DECIMAL],
        lifetime[2 * CRE__MAX_DECIMAL], id_lifetime[2 * CRE__MAX_DECIMAL];
    cre__key meta, history, id_key;
    cre__put_hex(id, broker->config.publisher);
    cre__put_hex(id + CRE__HEX, message->id);
    cre__put_hex(epoch, cre__broker_random(broker) | 1);
    const uint64_t twice = 2 * (uint64_t)message->history.seconds;
    const cre_slice arguments[] = {
        cre__text("EVALSHA"),
        { (const uint8_t *)broker->links[shard].scripts[CRE__SCRIPT_PUBLISH], CRE__SCRIPT_ID },
        cre__text("3"),
        cre__broker_key(broker, hash, 'm', topic, &meta),
        cre__broker_key(broker, hash, 'h', topic, &history),
        cre__broker_key(broker, hash, 'i', (cre_slice){ (const uint8_t *)id, sizeof id }, &id_key),
        channel,
        payload_of(message),
        { (const uint8_t *)epoch, sizeof epoch },
        decimal(count, message->history.count),
        decimal(seconds, message->history.seconds),
        decimal(lifetime, twice > META_SECONDS ? twice : META_SECONDS),
        decimal(id_lifetime, ID_SECONDS),
    };
    return cre__link_command(broker, shard, arguments, sizeof arguments / sizeof *arguments,
                             (uint64_t)(uintptr_t)message | CRE__TAG_PUBLISH);
}

static void send(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    const uint64_t hash = cre__shard_hash(topic_of(message));
    cre__key key;
    const cre_slice channel = cre__broker_key(broker, hash, 'c', topic_of(message), &key);
    message->sent = message->history.count ? send_kept(broker, shard, message, hash, channel)
                                           : send_plain(broker, shard, message, channel);
}

int cre_broker_publish_again(cre_broker *broker, cre_slice topic, cre_slice payload,
                             cre_broker_history history, uint64_t id, uint64_t tag) {
    if (!topic.length || topic.length > CRE_BROKER_MAX_TOPIC) return CRE_EINVALID;
    if (history.count > MAX_COUNT || (history.count && !history.seconds)) return CRE_EINVALID;
    if (payload.length > CRE_BROKER_MAX_PAYLOAD) return CRE_ELIMIT;
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
    if (cre__link_is_usable(link)) send(broker, shard, message);
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
        send(broker, shard, message);
}

static void finish(cre_broker *broker, uint32_t shard, cre__outgoing *message, int result,
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

/* The server has forgotten its scripts: it gets them again, before the message. */
static void retry(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    cre__link *link = &broker->links[shard];
    detach(link, message);
    append(link, message);
    cre__link_load(broker, shard, CRE__SCRIPT_PUBLISH);
    send(broker, shard, message);
}

void cre__publish_reply(cre_broker *broker, uint32_t shard, cre__outgoing *message,
                        const cre_redis_value *value) {
    cre_broker_position position = { 0 };
    if (value->type == CRE_REDIS_ERROR) {
        if (message->history.count && cre__error_is(value, "NOSCRIPT"))
            retry(broker, shard, message);
        else if (cre__error_is(value,
                               "READONLY")) /* a replica since a moment ago: look for the master again */
            cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, value->text);
        else
            finish(broker, shard, message, CRE_EBROKER_REFUSED, position);
        return;
    }
    if (message->history.count && (value->type != CRE_REDIS_ARRAY || value->count != 2 || value->size != 3 ||
                                   !cre__parse_hex(value[1].text, &position.epoch) ||
                                   !cre__parse_offset(value[2].text, &position.offset))) {
        cre__link_fail(broker, shard, CRE_EREDIS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    finish(broker, shard, message, 0, position);
}
