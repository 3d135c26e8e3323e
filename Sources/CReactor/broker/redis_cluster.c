/*
 * Shards of a Redis Cluster. All keys and channels of a shard are in one slot, and its connection is one to
 * the node that serves this slot. When the slot is moved, or another node has become the master, the
 * connection ends, and the next one begins as after any interruption, at the node that the caller finds.
 *
 * While the keys of a slot are being moved, Redis refuses scripts, since their keys may be on two nodes.
 * Messages with history, checks and members are deferred until one node has all keys of the slot: this node,
 * or the one that the next connection finds.
 */
#include "redis.h"

enum {
    RETRY_MS = 50,    /* while the slot is being moved */
    CHECK_MS = 10000, /* also a node that has lost the others delivers what is published there */
    FIRST_VERSION = 7
};

/* ---- whether the slot is here ---- */

bool cre__redis_slot_refused(cre_broker *broker, uint32_t shard, const cre_redis_value *value) {
    static const char *const gone[] = { "MOVED ", "CLUSTERDOWN ", "MASTERDOWN " };
    if (!cre__redis_is_cluster(broker) || value->type != CRE_REDIS_ERROR) return false;
    if (cre__error_is(value, "ASK ") || cre__error_is(value, "TRYAGAIN ")) {
        cre__redis(broker, shard)->moving = true;
        return true;
    }
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (cre__error_is(value, gone[i])) {
            cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, value->text);
            return true;
        }
    return false;
}

/* A key that does not exist is looked up at the new node while the slot is being moved. */
void cre__redis_check_slot(cre_broker *broker, uint32_t shard, uint64_t tag) {
    cre__key key;
    const cre_slice exists[] = { cre__text("EXISTS"),
                                 cre__partition_key(broker, broker->tags[shard], 'n', cre__text(""), &key) };
    cre__redis_command(broker, shard, exists, 2, tag);
}

/* The node has all keys of the slot: commands that it refused are sent again. */
static void release(cre_broker *broker, uint32_t shard) {
    cre__redis(broker, shard)->moving = false;
    cre__redis_check_awaiting(broker, shard);
    cre__publish_pending(broker, shard);
}

void cre__redis_slot_checked(cre_broker *broker, uint32_t shard, const cre_redis_value *value,
                             bool is_first) {
    if (value->type == CRE_REDIS_ERROR && !cre__redis_slot_refused(broker, shard, value))
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, value->text);
    if (broker->links[shard].failure) return;
    if (is_first) cre__link_ready(broker, shard);
    const bool is_here = value->type != CRE_REDIS_ERROR;
    if (is_here && (is_first || cre__redis(broker, shard)->moving))
        release(broker, shard);
    else if (is_first)
        cre__publish_pending(broker, shard);
}

void cre__redis_pushed(cre_broker *broker, uint32_t shard, const cre_redis_value *push) {
    if (push->count && cre_redis_text_is(push[1].text, "sunsubscribe"))
        cre__link_fail(broker, shard, CRE_EBROKER_MOVED, (cre_slice){ 0 });
}

/* Sharded channels need Redis 7. */
void cre__redis_check_version(cre_broker *broker, uint32_t shard, const cre_redis_value *hello) {
    const cre_redis_value *end = hello + hello->size;
    if (!cre__redis_is_cluster(broker) || hello->type != CRE_REDIS_MAP) return;
    for (const cre_redis_value *key = hello + 1; key < end; key += key->size) {
        const cre_redis_value *value = key + key->size;
        if (cre_redis_text_is(key->text, "version") && value->type == CRE_REDIS_STRING) {
            uint32_t major = 0;
            for (size_t i = 0; i < value->text.length && major < FIRST_VERSION; i++) {
                const uint8_t digit = value->text.data[i];
                if (digit < '0' || digit > '9') break;
                major = 10 * major + (digit - '0');
            }
            if (major < FIRST_VERSION) cre__link_fail(broker, shard, CRE_EBROKER_VERSION, (cre_slice){ 0 });
        }
        key = value;
    }
}

/* ---- the kind ---- */

uint64_t cre__redis_cluster_tick(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__redis_link *redis = cre__redis(broker, shard);
    if (!cre__link_is_usable(&broker->links[shard])) return UINT64_MAX;
    const uint64_t next = now + (redis->moving ? RETRY_MS : CHECK_MS);
    const bool is_due = redis->slot_check && redis->slot_check <= now;
    if (is_due) cre__redis_check_slot(broker, shard, CRE__TAG_SLOT);
    if (is_due || !redis->slot_check || redis->slot_check > next) redis->slot_check = next;
    const uint64_t next_tick = cre__redis_tick(broker, shard, now);
    return next_tick < redis->slot_check ? next_tick : redis->slot_check;
}

bool cre__redis_cluster_publish(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    /* not where another node may be the master */
    if (broker->links[shard].state < CRE__LINK_READY) return false;
    if (message->history.count && cre__redis(broker, shard)->moving) return false;
    return cre__redis_publish(broker, shard, message);
}

bool cre__redis_cluster_members(cre_broker *broker, uint32_t shard, cre__presence_batch *batch) {
    return !cre__redis(broker, shard)->moving && cre__redis_members(broker, shard, batch);
}
