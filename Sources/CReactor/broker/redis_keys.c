/* Keys, channels and numbers, as Redis has them. */
#include "core/decimal.h"
#include "redis.h"

cre_slice cre__broker_key(const cre_broker *broker, uint64_t hash, char kind, cre_slice name, cre__key *out) {
    const uint64_t partition = cre__redis_is_cluster(broker)
                                   ? broker->tags[cre__shard_of(hash, broker->config.shards)]
                                   : hash % CRE__PARTITIONS;
    return cre__partition_key(broker, partition, kind, name, out);
}

cre_slice cre__partition_key(const cre_broker *broker, uint64_t partition, char kind, cre_slice name,
                             cre__key *out) {
    char *at = out->bytes;
    const size_t prefix = strlen(broker->prefix);
    memcpy(at, broker->prefix, prefix);
    at += prefix;
    *at++ = ':';
    *at++ = '{';
    at = cre__put_decimal(at, partition);
    *at++ = '}';
    *at++ = ':';
    *at++ = kind;
    *at++ = ':';
    if (name.length) memcpy(at, name.data, name.length);
    return (cre_slice){ (const uint8_t *)out->bytes, (size_t)(at - out->bytes) + name.length };
}

bool cre__parse_offset(cre_slice text, uint64_t *out) {
    enum { MOST = 15 }; /* digits of what the scripts' numbers hold exactly */
    if (!text.length || text.length > MOST) return false;
    *out = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *out = *out * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}
