/* The slots of a Redis Cluster. Each shard has one of them, and so one node at a time. */
#ifndef CRE_BROKER_REDIS_SLOTS_H
#define CRE_BROKER_REDIS_SLOTS_H

#include <creactor/buffer.h>
#include <stdint.h>

enum { CRE__SLOTS = 16384 };

/* The slot of the keys with this text in braces. */
uint32_t cre__slot_of(cre_slice tag);

/* The slot of a shard. Those of all shards are as far from each other as possible: nodes have ranges of
 * slots, so each gets its part of the shards. */
static inline uint32_t cre__slot_of_shard(uint32_t shard, uint32_t shards) {
    return (2 * shard + 1) * CRE__SLOTS / (2 * shards);
}

/* The smallest number in the slot of each shard, whose digits are the tag of its keys. */
void cre__slot_tags(uint32_t *tags, uint32_t shards);

#endif
