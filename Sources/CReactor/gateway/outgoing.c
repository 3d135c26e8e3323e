/* What a gateway publishes for the processes of its server. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "gateway/envelope.h"
#include "gateway/gateway_internal.h"

enum { SHARD_BITS = 6, KEPT_SCRATCH = 64 << 10 };
_Static_assert(1 << SHARD_BITS == CRE_BROKER_MAX_SHARDS, "a tag has room for the shard");

/* The tag of a message that is in no journal. */
#define NO_ENTRY UINT64_MAX

uint64_t cre_gateway_journal_bytes(uint32_t shards, uint32_t max_queue) {
    return (uint64_t)shards * cre__journal_size(max_queue ? max_queue : CRE_BROKER_DEFAULT_QUEUE);
}

/* Messages on their way to the gateway must still find room, so it reports a queue as full at its half. */
static void publish_queue_length(cre_gateway *gateway, uint32_t shard) {
    _Atomic uint64_t *full = &gateway->config.bus->control->full_shards;
    const uint64_t bit = 1ull << shard, before = atomic_load_explicit(full, memory_order_relaxed);
    const size_t queued = cre_broker_queued(gateway->broker, shard);
    if (queued > gateway->max_queue / 2)
        atomic_store_explicit(full, before | bit, memory_order_relaxed);
    else if (before & bit && queued <= gateway->max_queue / 4)
        atomic_store_explicit(full, before & ~bit, memory_order_relaxed);
    size_t all = 0;
    for (uint32_t i = 0; i < gateway->config.place->shards; i++)
        all += cre_broker_queued(gateway->broker, i);
    cre__gateway_publish_stat(&gateway->stats->queued, all);
}

/* Hands an entry to the broker, which copies it. */
static void publish_entry(cre_gateway *gateway, uint32_t shard, uint64_t position) {
    cre__journal *journal = &gateway->journals[shard];
    const uint64_t tag = position << SHARD_BITS | shard;
    cre__journal_entry entry;
    const uint8_t *bytes;
    if (cre__journal_read(journal, position, &entry, &bytes)) {
        const cre_slice topic = { bytes, entry.topic_length };
        const cre_slice message = { bytes + entry.topic_length, entry.message_length };
        if (!cre_broker_publish_again(gateway->broker, topic, message, entry.history, entry.id, tag)) return;
    }
    cre__journal_done(journal, position);
    cre__gateway_count(&gateway->stats->dropped, 1);
}

/* The predecessor may have been killed between writing an entry and taking its record, which is still there
 * then. It had not been sent. And an entry of another shard was overwritten. */
static bool is_to_publish(const cre_gateway *gateway, uint32_t shard, uint64_t position) {
    const cre_bus *bus = gateway->config.bus;
    cre__journal_entry entry;
    const uint8_t *bytes;
    if (!cre__journal_read(&gateway->journals[shard], position, &entry, &bytes)) return false;
    const cre_slice topic = { bytes, entry.topic_length };
    const bool is_untaken = entry.from < bus->config.nodes &&
                            cre__bus_taken(bus, entry.from, gateway->config.place->gateway) < entry.mark;
    return !is_untaken && cre_broker_shard(gateway->broker, topic) == shard;
}

void cre__gateway_open_journals(cre_gateway *gateway) {
    cre_bus *bus = gateway->config.bus;
    const uint32_t shards = gateway->config.place->shards;
    const uint64_t size = bus->config.journal_bytes / shards;
    for (uint32_t shard = 0; shard < shards; shard++) {
        cre__journal *journal = &gateway->journals[shard];
        cre__journal_open(journal, bus->journal + shard * size, size);
        for (uint64_t at = UINT64_MAX; cre__journal_next(journal, &at);) {
            if (is_to_publish(gateway, shard, at))
                publish_entry(gateway, shard, at);
            else
                cre__journal_done(journal, at);
        }
        publish_queue_length(gateway, shard);
    }
}

static void publish_kept(cre_gateway *gateway, uint32_t from, cre_slice topic, cre_slice envelope,
                         cre_slice message, cre_broker_history history) {
    const uint32_t shard = cre_broker_shard(gateway->broker, topic);
    const cre__journal_entry entry = {
        .id = ++*gateway->ids,
        .mark = cre__node_mark(gateway->node),
        .from = from,
        .history = history,
    };
    const uint64_t at = cre__journal_append(&gateway->journals[shard], &entry, topic, envelope, message);
    if (at == UINT64_MAX)
        cre__gateway_count(&gateway->stats->dropped, 1);
    else
        publish_entry(gateway, shard, at);
}

static bool make_scratch(cre_gateway *gateway, size_t size) {
    if (gateway->scratch_size >= size) return true;
    cre__free(gateway->scratch);
    gateway->scratch = cre__malloc(size);
    gateway->scratch_size = gateway->scratch ? size : 0;
    return gateway->scratch != NULL;
}

static void publish_live(cre_gateway *gateway, cre_slice topic, cre_slice envelope, cre_slice message) {
    int result = CRE_ENOMEM;
    if (make_scratch(gateway, envelope.length + message.length)) {
        memcpy(gateway->scratch, envelope.data, envelope.length);
        if (message.length) memcpy(gateway->scratch + envelope.length, message.data, message.length);
        const cre_slice whole = { gateway->scratch, envelope.length + message.length };
        result = cre_broker_publish(gateway->broker, topic, whole, (cre_broker_history){ 0 }, NO_ENTRY);
    }
    if (result) cre__gateway_count(&gateway->stats->dropped, 1);
    if (gateway->scratch_size <= KEPT_SCRATCH) return;
    cre__free(gateway->scratch);
    gateway->scratch = NULL;
    gateway->scratch_size = 0;
}

int cre__gateway_publish(cre_gateway *gateway, uint32_t from, const cre_record *record, uint8_t *payload) {
    cre_publishing publishing;
    if (record->length < sizeof publishing) return CRE_EINVALID;
    memcpy(&publishing, payload, sizeof publishing);
    const size_t head = sizeof publishing + publishing.topic_length;
    if (!publishing.topic_length || publishing.topic_length > CRE_MAX_TOPIC || head > record->length)
        return CRE_EINVALID;
    const cre_slice topic = { payload + sizeof publishing, publishing.topic_length };
    const cre_slice message = { payload + head, record->length - head };
    if (!cre__envelope_takes(record->opcode, message)) return CRE_EINVALID;
    const cre__envelope envelope = { .opcode = record->opcode,
                                     .delivered = record->flags & CRE_RECORD_DELIVERED,
                                     .server = gateway->server,
                                     .session = record->session };
    uint8_t bytes[CRE__MAX_ENVELOPE];
    const cre_slice front = { bytes, cre__envelope_put(bytes, &envelope) };
    const cre_topic_rule *rule = cre_topic_rule_of(gateway->config.place, topic.data, topic.length);
    /* Who comes back later is not to be closed again. */
    if (rule && rule->history_count && record->opcode != CRE_WS_CLOSE) {
        const cre_broker_history history = { rule->history_count, rule->history_seconds };
        publish_kept(gateway, from, topic, front, message, history);
    } else {
        publish_live(gateway, topic, front, message);
    }
    publish_queue_length(gateway, cre_broker_shard(gateway->broker, topic));
    return CRE_NODE_TAKE;
}

void cre__gateway_published(void *context, uint64_t tag, int result, cre_broker_position position) {
    cre_gateway *gateway = context;
    (void)position;
    if (tag != CRE__GATEWAY_TAG)
        cre__gateway_count(result ? &gateway->stats->dropped : &gateway->stats->published, 1);
    const uint32_t shard = (uint32_t)tag & (CRE_BROKER_MAX_SHARDS - 1);
    const bool has_entry = tag != NO_ENTRY && tag != CRE__GATEWAY_TAG;
    if (has_entry) cre__journal_done(&gateway->journals[shard], tag >> SHARD_BITS);
    for (uint32_t i = 0; i < gateway->config.place->shards; i++)
        if (!has_entry || i == shard) publish_queue_length(gateway, i);
}
