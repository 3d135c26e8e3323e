/* Messages to publish, as commands of Redis. */
#include "core/decimal.h"
#include "core/memory.h"
#include "redis.h"

/* Of the key, about 200 bytes, that shows that a message was published. It covers the longest time between
 * the first attempt and one that comes after it: an outage of the network, during which the reply is lost,
 * and bytes of an abandoned connection, which the kernel sends for up to two minutes. */
enum { ID_SECONDS = 300 };

uint64_t cre__redis_meta_seconds(cre_broker_history history) {
    const uint64_t twice = 2 * (uint64_t)history.seconds, week = UINT64_C(7) * 86400;
    return twice > week ? twice : week;
}

static cre_slice decimal(char out[2 * CRE__MAX_DECIMAL], uint64_t number) {
    return (cre_slice){ (const uint8_t *)out, (size_t)(cre__put_decimal(out, number) - out) };
}

static bool send_plain(cre_broker *broker, uint32_t shard, cre__outgoing *message, cre_slice channel) {
    /* the first byte says that there is no position; a copy, because an argument is one piece */
    const cre_slice payload = cre__outgoing_payload(message);
    uint8_t *copy = cre__malloc(payload.length + 1);
    if (!copy) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return false;
    }
    copy[0] = '0';
    if (payload.length) memcpy(copy + 1, payload.data, payload.length);
    const char *verb = cre__redis_is_cluster(broker) ? "SPUBLISH" : "PUBLISH";
    const cre_slice arguments[] = { cre__text(verb), channel, { copy, payload.length + 1 } };
    const bool sent =
        cre__redis_command(broker, shard, arguments, 3, (uint64_t)(uintptr_t)message | CRE__TAG_PUBLISH);
    cre__free(copy);
    return sent;
}

static bool send_kept(cre_broker *broker, uint32_t shard, cre__outgoing *message, uint64_t hash,
                      cre_slice channel) {
    const cre_slice topic = cre__outgoing_topic(message);
    char id[2 * CRE__HEX], epoch[CRE__HEX], count[2 * CRE__MAX_DECIMAL], seconds[2 * CRE__MAX_DECIMAL],
        lifetime[2 * CRE__MAX_DECIMAL], id_lifetime[2 * CRE__MAX_DECIMAL];
    cre__key meta, history, id_key;
    cre__put_hex(id, broker->config.publisher);
    cre__put_hex(id + CRE__HEX, message->id);
    cre__put_hex(epoch, cre__broker_random(broker) | 1);
    const cre_slice arguments[] = {
        cre__text("EVALSHA"),
        { (const uint8_t *)cre__redis(broker, shard)->scripts[CRE__SCRIPT_PUBLISH], CRE__SCRIPT_ID },
        cre__text("3"),
        cre__broker_key(broker, hash, 'm', topic, &meta),
        cre__broker_key(broker, hash, 'h', topic, &history),
        cre__broker_key(broker, hash, 'i', (cre_slice){ (const uint8_t *)id, sizeof id }, &id_key),
        channel,
        cre__outgoing_payload(message),
        { (const uint8_t *)epoch, sizeof epoch },
        decimal(count, message->history.count),
        decimal(seconds, message->history.seconds),
        decimal(lifetime, cre__redis_meta_seconds(message->history)),
        decimal(id_lifetime, ID_SECONDS),
    };
    return cre__redis_command(broker, shard, arguments, sizeof arguments / sizeof *arguments,
                              (uint64_t)(uintptr_t)message | CRE__TAG_PUBLISH);
}

bool cre__redis_publish(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    if (cre__redis_is_deferred(broker, shard, message)) return false;
    const uint64_t hash = cre__shard_hash(cre__outgoing_topic(message));
    cre__key key;
    const cre_slice channel = cre__broker_key(broker, hash, 'c', cre__outgoing_topic(message), &key);
    return message->history.count ? send_kept(broker, shard, message, hash, channel)
                                  : send_plain(broker, shard, message, channel);
}

/* The server has forgotten its scripts: it gets them again, before the message. Messages that were sent
 * behind this one get the same reply, and follow it. But it stays ahead of those that are deferred. */
static void retry(cre_broker *broker, uint32_t shard, cre__outgoing *message, bool is_trial) {
    cre__redis_link *redis = cre__redis(broker, shard);
    if (is_trial) redis->trial = message;
    if (!(redis->refusals & CRE__REFUSED_HISTORY)) cre__publish_requeue(&broker->links[shard], message);
    cre__redis_load(broker, shard, CRE__SCRIPT_PUBLISH);
    message->sent = cre__redis_publish(broker, shard, message);
}

/* Returns whether the message was dropped. */
static bool handle_error(cre_broker *broker, uint32_t shard, cre__outgoing *message,
                         const cre_redis_value *error, bool is_trial) {
    const bool has_history = message->history.count != 0;
    if (has_history && cre__error_is(error, "NOSCRIPT")) {
        retry(broker, shard, message, is_trial);
    } else if (cre__redis_slot_refused(broker, shard, error)) {
        message->sent = false;
    } else if (cre__error_is(error, "READONLY")) {
        /* a replica since a moment ago: look for the master again */
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, error->text);
    } else if (cre__redis_defers(broker, shard, error,
                                 has_history ? CRE__REFUSED_HISTORY : CRE__REFUSED_PLAIN)) {
        message->sent = false;
    } else {
        cre__redis_refused(broker, shard, error);
        cre__publish_finish(broker, shard, message, CRE_EBROKER_REFUSED, (cre_broker_position){ 0 });
        return true;
    }
    return false;
}

void cre__redis_published(cre_broker *broker, uint32_t shard, cre__outgoing *message,
                          const cre_redis_value *value) {
    cre__redis_link *redis = cre__redis(broker, shard);
    cre_broker_position position = { 0 };
    const bool is_trial = redis->trial == message;
    if (is_trial) redis->trial = NULL;
    if (value->type == CRE_REDIS_ERROR) {
        const bool dropped = handle_error(broker, shard, message, value, is_trial);
        if (dropped && is_trial) cre__redis_accepted(broker, shard);
        return;
    }
    if (message->history.count && (value->type != CRE_REDIS_ARRAY || value->count != 2 || value->size != 3 ||
                                   !cre__parse_hex(value[1].text, &position.epoch) ||
                                   !cre__parse_offset(value[2].text, &position.offset))) {
        cre__link_fail(broker, shard, CRE_EREDIS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    cre__publish_finish(broker, shard, message, 0, position);
    if (is_trial) cre__redis_accepted(broker, shard);
}
