/* Members of topics in Redis. */
#include "core/decimal.h"
#include "core/memory.h"
#include "redis.h"

enum {
    HEAD_ARGUMENTS = 9,       /* of a batch, before its members */
    MAX_LIST_BYTES = 4 << 20, /* of one list */
    LONGER = 16               /* times a list may be, when it is asked for again */
};

typedef struct batch_request {
    cre__request request;
    cre__presence_batch *batch;
} batch_request;

typedef struct sweep {
    cre__request request;
    uint32_t partition;
} sweep;

typedef struct listing {
    cre__question question;
    uint64_t tag;
    uint32_t most;
    uint8_t length;
    uint8_t topic[];
} listing;

static cre_slice decimal(char out[2 * CRE__MAX_DECIMAL], uint64_t number) {
    return (cre_slice){ (const uint8_t *)out, (size_t)(cre__put_decimal(out, number) - out) };
}

static void report_refusal(cre_broker *broker, uint32_t shard, const cre_redis_value *error) {
    cre__redis(broker, shard)->refuses_members = true;
    cre__redis_refused(broker, shard, error);
}

/* The script is loaded again where it is missing, and another error changes nothing: the next renewal, sweep
 * or question tries again, and the first cause is reported until the server accepts members. Returns whether
 * it was refused because of its slot. */
static bool handle_error(cre_broker *broker, uint32_t shard, const cre_redis_value *error, unsigned script) {
    if (cre__error_is(error, "NOSCRIPT"))
        cre__redis_load(broker, shard, script);
    else if (cre__error_is(error, "READONLY"))
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, error->text);
    else if (cre__redis_slot_refused(broker, shard, error))
        return true;
    else if (!cre__redis(broker, shard)->refuses_members)
        report_refusal(broker, shard, error);
    return false;
}

/* ---- changes ---- */

/* Reports triples of 'j' or 'l', id and info. Returns false when they are malformed. */
static bool report_changes(cre_broker *broker, cre_slice topic, const cre_redis_value *value) {
    if (value->type != CRE_REDIS_ARRAY || value->count % 3 || value->size != value->count + 1) return false;
    for (uint32_t i = 1; i <= value->count; i++)
        if (value[i].type != CRE_REDIS_STRING) return false;
    for (uint32_t i = 1; i <= value->count; i += 3) {
        const cre_broker_member member = { .id = value[i + 1].text, .info = value[i + 2].text };
        cre__presence_changed(broker, topic, &member, cre_redis_text_is(value[i].text, "j"));
    }
    return true;
}

static void batch_replied(cre_broker *broker, uint32_t shard, cre__request *request,
                          const cre_redis_value *value) {
    cre__presence_batch *batch = ((batch_request *)request)->batch;
    const cre_slice topic = { batch->topic->name, batch->topic->length };
    cre__presence_result result = CRE__PRESENCE_APPLIED;
    cre__free(request);
    if (value && value->type == CRE_REDIS_ERROR) {
        const bool repeats = cre__error_is(value, "NOSCRIPT");
        result = handle_error(broker, shard, value, CRE__SCRIPT_MEMBERS) || repeats ? CRE__PRESENCE_REPEAT
                                                                                    : CRE__PRESENCE_DEFER;
    } else if (value) {
        cre__redis(broker, shard)->refuses_members = false;
        if (!report_changes(broker, topic, value))
            cre__link_fail(broker, shard, CRE_EREDIS_PROTOCOL, (cre_slice){ 0 });
    }
    cre__presence_done(broker, shard, batch, result);
}

static void put_member(cre_slice *out, const cre__presence_member *member, bool retires) {
    const bool has_info = member->info && !member->leaves;
    out[0] = cre__text(!member->leaves ? "j" : retires ? "x" : "l");
    out[1] = (cre_slice){ member->id, member->length };
    out[2] = has_info ? (cre_slice){ member->info, member->info_length } : cre__text("");
}

bool cre__redis_members(cre_broker *broker, uint32_t shard, cre__presence_batch *batch) {
    const cre__presence_topic *topic = batch->topic;
    const cre_slice name = { topic->name, topic->length };
    batch_request *next = cre__malloc(sizeof *next);
    if (!next) return false;
    *next = (batch_request){ .request.replied = batch_replied, .batch = batch };
    char node[CRE__HEX], lifetime[2 * CRE__MAX_DECIMAL];
    cre__key info, expiry, index;
    cre__put_hex(node, broker->config.publisher);
    cre_slice arguments[HEAD_ARGUMENTS + 3 * CRE__PRESENCE_BATCH] = {
        [2] = cre__text("3"),
        cre__broker_key(broker, topic->hash, 'p', name, &info),
        cre__broker_key(broker, topic->hash, 'x', name, &expiry),
        cre__broker_key(broker, topic->hash, 't', cre__text(""), &index),
        name,
        { (const uint8_t *)node, sizeof node },
        decimal(lifetime, broker->config.presence_ms),
    };
    for (uint32_t i = 0; i < batch->count; i++)
        put_member(&arguments[HEAD_ARGUMENTS + 3 * (size_t)i], batch->members[i], broker->presence.retires);
    if (cre__redis_run(broker, shard, CRE__SCRIPT_MEMBERS, arguments,
                       HEAD_ARGUMENTS + 3 * (size_t)batch->count, &next->request))
        return true;
    cre__free(next);
    return false;
}

/* ---- expired members ---- */

/* Of one partition: 16 topics, 256 members of each. Redis drops a connection with more than 32 MB of output.
 */
enum { SWEEPS_AT_ONCE = 4 };

static bool sweep_partition(cre_broker *broker, uint32_t shard, uint32_t partition);

static void sweep_next(cre_broker *broker, uint32_t shard) {
    cre__redis_link *redis = cre__redis(broker, shard);
    while (redis->sweeping < SWEEPS_AT_ONCE && redis->next_sweep < CRE__PARTITIONS)
        if (!sweep_partition(broker, shard, redis->next_sweep++)) return;
}

/* Whether there may be more, then for each topic its name and the changes. */
static bool report_swept(cre_broker *broker, const cre_redis_value *value) {
    if (value->type != CRE_REDIS_ARRAY || value->count % 2 == 0 || value[1].type != CRE_REDIS_INTEGER)
        return false;
    const cre_redis_value *end = value + value->size;
    for (const cre_redis_value *topic = value + 2; topic < end;) {
        const cre_redis_value *changes = topic + topic->size;
        if (topic->type != CRE_REDIS_STRING || !report_changes(broker, topic->text, changes)) return false;
        topic = changes + changes->size;
    }
    return true;
}

static void swept(cre_broker *broker, uint32_t shard, cre__request *request, const cre_redis_value *value) {
    const uint32_t partition = ((sweep *)request)->partition;
    cre__free(request);
    if (!value) return;
    cre__redis(broker, shard)->sweeping--;
    if (value->type == CRE_REDIS_ERROR)
        handle_error(broker, shard, value, CRE__SCRIPT_SWEEP);
    else if (!report_swept(broker, value))
        cre__link_fail(broker, shard, CRE_EREDIS_PROTOCOL, (cre_slice){ 0 });
    else if (value[1].integer)
        sweep_partition(broker, shard, partition);
    if (!broker->links[shard].failure && !cre__redis_is_cluster(broker)) sweep_next(broker, shard);
}

/* False: it is swept the next time. */
static bool sweep_partition(cre_broker *broker, uint32_t shard, uint32_t partition) {
    sweep *next = cre__malloc(sizeof *next);
    if (!next) return false;
    *next = (sweep){ .request.replied = swept, .partition = partition };
    cre__key index;
    const cre_slice key = cre__partition_key(broker, partition, 't', cre__text(""), &index);
    cre_slice arguments[] = { [2] = cre__text("1"), key, { key.data, key.length - strlen("t:") } };
    if (cre__redis_run(broker, shard, CRE__SCRIPT_SWEEP, arguments, sizeof arguments / sizeof *arguments,
                       &next->request)) {
        cre__redis(broker, shard)->sweeping++;
        return true;
    }
    cre__free(next);
    return false;
}

void cre__redis_sweep(cre_broker *broker, uint32_t shard) {
    if (cre__redis_is_cluster(broker)) {
        sweep_partition(broker, shard, broker->tags[shard]);
        return;
    }
    cre__redis_link *redis = cre__redis(broker, shard);
    if (redis->sweeping) return; /* the last sweep has not ended */
    redis->next_sweep = 0;
    sweep_next(broker, shard);
}

/* ---- questions ---- */

/* The number of members, whether they follow, then of each its id and info. */
static bool is_list(const cre_redis_value *value) {
    if (value->type != CRE_REDIS_ARRAY || value->count < 2 || value->count % 2 ||
        value->size != value->count + 1)
        return false;
    for (uint32_t i = 1; i <= value->count; i++)
        if (value[i].type != (i <= 2 ? CRE_REDIS_INTEGER : CRE_REDIS_STRING)) return false;
    return value[1].integer >= 0;
}

static bool send_listing(cre_broker *broker, uint32_t shard, cre__question *question) {
    const listing *own = (const listing *)question;
    const cre_slice topic = { own->topic, own->length };
    const uint64_t hash = cre__shard_hash(topic);
    char limit[2 * CRE__MAX_DECIMAL], bytes[2 * CRE__MAX_DECIMAL];
    cre__key info, expiry;
    cre_slice arguments[] = {
        [2] = cre__text("2"),
        cre__broker_key(broker, hash, 'p', topic, &info),
        cre__broker_key(broker, hash, 'x', topic, &expiry),
        decimal(limit, own->most),
        decimal(bytes, question->bytes),
    };
    return cre__redis_run(broker, shard, CRE__SCRIPT_PRESENT, arguments, sizeof arguments / sizeof *arguments,
                          &question->request);
}

static void drop_listing(cre__question *question) {
    cre__free(question);
}

static void listed(cre_broker *broker, uint32_t shard, cre__question *question, const cre_redis_value *value,
                   int error) {
    const listing *own = (const listing *)question;
    const uint64_t tag = own->tag;
    const bool is_valid = value && is_list(value);
    (void)error;
    if (value && value->type == CRE_REDIS_ERROR) handle_error(broker, shard, value, CRE__SCRIPT_PRESENT);
    /* Either they are too many, or the list is longer than it may be. */
    if (is_valid && !value[2].integer && own->most && value[1].integer <= own->most &&
        question->bytes < MAX_LIST_BYTES) {
        cre__redis_ask(broker, shard, question, question->bytes * LONGER);
        return;
    }
    cre__free(question);
    if (!is_valid) {
        broker->handlers.present(broker->context, tag, CRE_EBROKER_UNAVAILABLE, NULL);
        return;
    }
    cre_broker_presence presence = { .count = (uint64_t)value[1].integer,
                                     .listed = (value->count - 2) / 2,
                                     .complete = value[2].integer == 1 };
    cre_broker_member *members = cre__malloc((presence.listed + 1) * sizeof *members);
    for (size_t i = 0; members && i < presence.listed; i++)
        members[i] = (cre_broker_member){ value[3 + 2 * i].text, value[4 + 2 * i].text };
    presence.members = members;
    broker->handlers.present(broker->context, tag, members ? 0 : CRE_ENOMEM, members ? &presence : NULL);
    cre__free(members);
}

bool cre__redis_list_members(cre_broker *broker, uint32_t shard, cre_slice topic, uint32_t most,
                             uint64_t tag) {
    listing *next = cre__malloc(sizeof *next + topic.length);
    if (!next) return false;
    *next = (listing){ .question = { .send = send_listing, .answered = listed, .drop = drop_listing },
                       .tag = tag,
                       .most = most,
                       .length = (uint8_t)topic.length };
    memcpy(next->topic, topic.data, topic.length);
    cre__redis_ask(broker, shard, &next->question, most ? CRE__FIRST_REPLY : 0);
    return true;
}
