/*
 * What a server refuses for now. One that has too few replicas, too little memory, a disk that fails, a long
 * script or its data to load refuses commands until that has changed, and the connection stays. Messages
 * wait in their queue meanwhile, and checks are repeated after a pause. After each pause one message is sent:
 * when the server accepts it, the others follow in their order.
 */
#include "redis.h"

enum { PAUSE_MS = 250 };

/* Redis 6 writes the error of a command of a script behind its own text. */
static bool has_error(cre_slice text, const char *word) {
    char inside[24] = " -";
    const size_t length = strlen(word);
    if (text.length >= length && memcmp(text.data, word, length) == 0) return true;
    memcpy(inside + 2, word, length + 1);
    return memmem(text.data, text.length, inside, length + 2) != NULL;
}

bool cre__redis_is_temporary(const cre_redis_value *error) {
    static const char *const words[] = { "NOREPLICAS ", "MISCONF ",    "OOM ",     "BUSY ",
                                         "LOADING ",    "MASTERDOWN ", "TRYAGAIN " };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (has_error(error->text, words[i])) return true;
    return false;
}

void cre__redis_refused(cre_broker *broker, uint32_t shard, const cre_redis_value *error) {
    if (broker->handlers.refused) broker->handlers.refused(broker->context, shard, error->text);
}

bool cre__redis_defers(cre_broker *broker, uint32_t shard, const cre_redis_value *error,
                       cre__redis_refusal refused) {
    cre__redis_link *redis = cre__redis(broker, shard);
    if (!cre__redis_is_temporary(error)) return false;
    if (!redis->refusals) cre__redis_refused(broker, shard, error); /* the cause, once */
    redis->refusals |= refused;
    return true;
}

bool cre__redis_is_deferred(const cre_broker *broker, uint32_t shard, const cre__outgoing *message) {
    const cre__redis_link *redis = cre__redis(broker, shard);
    const uint32_t refusal = message->history.count ? CRE__REFUSED_HISTORY : CRE__REFUSED_PLAIN;
    return (redis->refusals & refusal) && redis->trial != message;
}

void cre__redis_accepted(cre_broker *broker, uint32_t shard) {
    cre__redis(broker, shard)->refusals &= ~(uint32_t)(CRE__REFUSED_HISTORY | CRE__REFUSED_PLAIN);
    cre__publish_pending(broker, shard);
}

static void try_message(cre_broker *broker, uint32_t shard) {
    cre__redis_link *redis = cre__redis(broker, shard);
    cre__outgoing *message = broker->links[shard].first;
    while (message && (message->sent || !cre__redis_is_deferred(broker, shard, message)))
        message = message->next;
    if (!message) return;
    redis->trial = message;
    message->sent = broker->kind->publish(broker, shard, message);
    if (!message->sent) redis->trial = NULL;
}

uint64_t cre__redis_refusals_tick(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__redis_link *redis = cre__redis(broker, shard);
    if (!cre__link_is_usable(&broker->links[shard])) return UINT64_MAX;
    if (!redis->refusals) {
        redis->retry = 0;
        return UINT64_MAX;
    }
    if (!redis->retry) redis->retry = now + PAUSE_MS;
    if (redis->retry > now) return redis->retry;
    const bool had_checks = redis->refusals & CRE__REFUSED_CHECKS;
    if (had_checks) redis->refusals = (redis->refusals & ~(uint32_t)CRE__REFUSED_CHECKS) | CRE__RETRYING;
    redis->retry = now + PAUSE_MS;
    if (had_checks)
        cre__redis_check_awaiting(broker, shard);
    else
        redis->refusals &= ~(uint32_t)CRE__RETRYING;
    if (!redis->trial) try_message(broker, shard);
    return redis->retry;
}
