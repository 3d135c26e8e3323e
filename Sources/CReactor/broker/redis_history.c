/* Messages of subscribed topics, their positions, and what was missed. */
#include "core/decimal.h"
#include "core/memory.h"
#include "redis.h"

enum {
    MOST_REPLY = 17 << 20, /* bytes of the missed messages of a topic, with their offsets */
    PIECE = 256 << 10,     /* of them that one reply to a check has */
    LONGER = 8             /* times a reply may be, when it is asked for again */
};

/* ---- messages ---- */

/* "sws:{17}:c:news" is the channel of news. */
static bool topic_of_channel(const cre_broker *broker, cre_slice channel, cre_slice *topic) {
    const size_t prefix = strlen(broker->prefix) + 2; /* ":{" */
    if (channel.length <= prefix) return false;
    const uint8_t *end = memchr(channel.data + prefix, '}', channel.length - prefix);
    const size_t before = end ? (size_t)(end - channel.data) + 4 : 0; /* "}:c:" */
    if (!end || channel.length <= before) return false;
    *topic = (cre_slice){ channel.data + before, channel.length - before };
    return true;
}

/* "0" and the message, or "1", offset, ':', epoch, ':' and the message. */
static bool read_position(cre_slice *payload, cre_broker_position *position) {
    *position = (cre_broker_position){ 0 };
    if (!payload->length) return false;
    const uint8_t kind = *payload->data, *end = payload->data + payload->length;
    const cre_slice rest = { payload->data + 1, payload->length - 1 };
    if (kind == '0') {
        *payload = rest;
        return true;
    }
    const uint8_t *colon = rest.length ? memchr(rest.data, ':', rest.length) : NULL;
    if (kind != '1' || !colon || end - colon < CRE__HEX + 2 || colon[CRE__HEX + 1] != ':') return false;
    if (!cre__parse_offset((cre_slice){ rest.data, (size_t)(colon - rest.data) }, &position->offset))
        return false;
    if (!cre__parse_hex((cre_slice){ colon + 1, CRE__HEX }, &position->epoch)) return false;
    *payload = (cre_slice){ colon + CRE__HEX + 2, (size_t)(end - colon) - CRE__HEX - 2 };
    return position->epoch && position->offset;
}

void cre__redis_message(cre_broker *broker, uint32_t shard, cre_slice channel, cre_slice payload) {
    cre_slice name;
    cre_broker_position position;
    cre__broker_topic *topic =
        topic_of_channel(broker, channel, &name) ? cre__broker_find(broker, name) : NULL;
    if (!topic || topic->shard != shard) return;     /* an unsubscription is on its way */
    if (!read_position(&payload, &position)) return; /* from a program that is no broker */
    if (!topic->history.count || !position.epoch) {
        cre__topic_deliver(broker, topic, payload, position);
        return;
    }
    if (topic->refilling) return;
    if (topic->position.epoch) {
        const bool same = position.epoch == topic->position.epoch;
        if (same && position.offset <= topic->position.offset) return;
        if (!same || position.offset != topic->position.offset + 1) {
            topic->refilling = true;
            cre__redis_check(broker, topic);
            return;
        }
    }
    topic->position = position;
    cre__topic_deliver(broker, topic, payload, position);
}

/* ---- what was missed ---- */

/* `is_known`: the position was that of a message. Clients may name any. */
static bool ask(cre_broker *broker, uint32_t shard, cre_slice topic, cre_broker_history history,
                cre_broker_position since, bool is_known, size_t bytes, uint64_t tag) {
    const uint64_t hash = cre__shard_hash(topic);
    char epoch[CRE__HEX], since_epoch[CRE__HEX], numbers[4][2 * CRE__MAX_DECIMAL];
    const uint64_t values[] = { since.offset, broker->config.max_recover, bytes,
                                cre__redis_meta_seconds(history) };
    cre_slice texts[4];
    for (int i = 0; i < 4; i++)
        texts[i] = (cre_slice){ (const uint8_t *)numbers[i],
                                (size_t)(cre__put_decimal(numbers[i], values[i]) - numbers[i]) };
    cre__key meta, messages;
    cre__put_hex(epoch, cre__broker_random(broker) | 1);
    cre__put_hex(since_epoch, since.epoch);
    const cre_slice arguments[] = {
        cre__text("EVALSHA"),
        { (const uint8_t *)cre__redis(broker, shard)->scripts[CRE__SCRIPT_RECOVER], CRE__SCRIPT_ID },
        cre__text("2"),
        cre__broker_key(broker, hash, 'm', topic, &meta),
        cre__broker_key(broker, hash, 'h', topic, &messages),
        { (const uint8_t *)epoch, sizeof epoch },
        { (const uint8_t *)since_epoch, since.epoch ? sizeof since_epoch : 0 },
        texts[0],
        texts[1],
        texts[2],
        texts[3],
        cre__text(is_known ? "1" : "0"),
    };
    return cre__redis_command(broker, shard, arguments, sizeof arguments / sizeof *arguments, tag);
}

bool cre__redis_send_check(cre_broker *broker, cre__broker_topic *topic, size_t bytes) {
    return ask(broker, topic->shard, cre__topic_name(topic), topic->history, topic->position, true, bytes,
               (uint64_t)(uintptr_t)topic | CRE__TAG_CHECK);
}

void cre__redis_check_awaiting(cre_broker *broker, uint32_t shard) {
    for (cre__broker_topic *topic = broker->links[shard].topics; topic; topic = topic->older)
        if (topic->history.count && !topic->check && (topic->refilling || !topic->position.epoch))
            cre__redis_check(broker, topic);
}

/* The reply to a script that recovers. */
typedef struct recovered {
    cre_broker_position position;
    bool complete; /* nothing is missing... */
    bool has_more; /* ...up to `position`, behind which there are more */
    bool longer;   /* the reply would be longer than it may be */
    uint32_t count;
    const cre_redis_value *messages; /* two strings for each: its offset and itself */
} recovered;

static cre_slice recovered_message(const recovered *found, uint32_t index, cre_broker_position *position) {
    position->epoch = found->position.epoch;
    cre__parse_offset(found->messages[2 * index].text, &position->offset);
    return found->messages[2 * index + 1].text;
}

static bool read_recovered(const cre_redis_value *value, recovered *out) {
    if (value->type != CRE_REDIS_ARRAY || value->count != 4 || value->size < 5) return false;
    if (!cre__parse_hex(value[1].text, &out->position.epoch) || !out->position.epoch) return false;
    if (!cre__parse_offset(value[2].text, &out->position.offset)) return false;
    if (value[3].type != CRE_REDIS_INTEGER || value[4].type != CRE_REDIS_ARRAY) return false;
    out->complete = value[3].integer == 1 || value[3].integer == 2;
    out->has_more = value[3].integer == 2;
    out->longer = value[3].integer == 3;
    out->count = value[4].count / 2;
    out->messages = &value[5];
    if (value[4].size != value[4].count + 1 || value[4].count % 2) return false;
    uint64_t last = 0, offset;
    for (uint32_t i = 0; i < out->count; i++) {
        const cre_redis_value *message = &out->messages[2 * i];
        if (message->type != CRE_REDIS_STRING || message[1].type != CRE_REDIS_STRING) return false;
        if (!cre__parse_offset(message->text, &offset) || offset <= last) return false;
        last = offset;
    }
    return last <= out->position.offset;
}

/* Returns whether a reply that would be longer than `*bytes` may be asked for, and its length. */
static bool ask_for_more(size_t *bytes) {
    if (*bytes >= MOST_REPLY) return false;
    *bytes = *bytes * LONGER < MOST_REPLY ? *bytes * LONGER : MOST_REPLY;
    return true;
}

static void refill(cre_broker *broker, cre__broker_topic *topic, const recovered *found) {
    topic->refilling = false;
    for (uint32_t i = 0; i < found->count && !topic->removed; i++) {
        const cre_slice message = recovered_message(found, i, &topic->position);
        broker->handlers.message(broker->context, cre__topic_name(topic), message, topic->position);
    }
    topic->position = found->position;
    if (!found->has_more || topic->removed) return;
    topic->refilling = true;
    if (!topic->check) topic->check_bytes = PIECE;
    cre__redis_check(broker, topic);
}

void cre__redis_checked(cre_broker *broker, cre__broker_topic *topic, const cre_redis_value *value) {
    recovered found = { 0 };
    size_t bytes = topic->check_bytes;
    bool again = cre__redis_check_replied(broker, topic);
    /* of several checks only the last one was asked for what is missing now */
    const bool refilling = topic->refilling && !topic->removed && !again;
    if (cre__error_is(value, "NOSCRIPT")) {
        cre__redis_load(broker, topic->shard, CRE__SCRIPT_RECOVER);
        again = true;
    } else if (cre__redis_slot_refused(broker, topic->shard, value)) {
        again = false; /* sent again when the slot is all here, or with the next connection */
    } else if (value->type == CRE_REDIS_ERROR) {
        if (cre__redis_defers(broker, topic->shard, value, CRE__REFUSED_CHECKS)) {
            again = false; /* as the others that are refused */
        } else {
            cre__redis_refused(broker, topic->shard, value);
            if (refilling) cre__topic_lose(broker, topic, (cre_broker_position){ 0 });
        }
    } else if (!read_recovered(value, &found)) {
        cre__link_fail(broker, topic->shard, CRE_EREDIS_PROTOCOL, (cre_slice){ 0 });
    } else if (found.longer && refilling) {
        again = ask_for_more(&bytes);
        topic->check_bytes = bytes;
        if (!again) cre__topic_lose(broker, topic, found.position);
    } else if (!refilling) {
        if (!topic->position.epoch && !topic->removed) {
            topic->position = found.position;
            broker->handlers.subscribed(broker->context, cre__topic_name(topic), found.position);
        }
    } else if (found.complete) {
        if (found.position.epoch != topic->position.epoch) /* all messages of the new history are here */
            cre__topic_lose(broker, topic, (cre_broker_position){ .epoch = found.position.epoch });
        refill(broker, topic, &found);
    } else {
        cre__topic_lose(broker, topic, found.position);
    }
    if (again && !topic->removed) cre__redis_check(broker, topic);
    cre__redis_check_ended(broker, topic);
}

/* ---- recoveries ---- */

/* A recovery, or several of the same messages. */
typedef struct cre__recovery {
    cre__question question;
    struct cre__recovery *next;   /* in its bucket */
    struct cre__recovery *joined; /* another one that gets the same reply; it is in no bucket */
    cre_broker_position since;
    cre_broker_history history;
    uint64_t hash, tag;
    uint8_t length;
    uint8_t topic[];
} recovery;

/* The place of a recovery of the same messages, or of none. */
static recovery **place_of(cre__redis_link *redis, uint64_t hash, cre_slice topic,
                           cre_broker_position since) {
    recovery **at = &redis->recoveries[(hash + since.offset) % CRE__RECOVERY_BUCKETS];
    while (*at &&
           ((*at)->hash != hash || (*at)->since.offset != since.offset || (*at)->since.epoch != since.epoch ||
            (*at)->length != topic.length || memcmp((*at)->topic, topic.data, topic.length) != 0))
        at = &(*at)->next;
    return at;
}

static bool send_recovery(cre_broker *broker, uint32_t shard, cre__question *question) {
    const recovery *own = (const recovery *)question;
    return ask(broker, shard, (cre_slice){ own->topic, own->length }, own->history, own->since, false,
               question->bytes, (uint64_t)(uintptr_t)question | CRE__TAG_REQUEST);
}

static void drop_recovery(cre__question *question) {
    for (recovery *next, *own = (recovery *)question; own; own = next) {
        next = own->joined;
        cre__free(own);
    }
}

static void report(cre_broker *broker, const recovery *to, int result, const recovered *found) {
    for (uint32_t i = 0; result == 0 && i < found->count; i++) {
        cre_broker_position position;
        const cre_slice message = recovered_message(found, i, &position);
        broker->handlers.missed(broker->context, to->tag, message, position);
    }
    broker->handlers.recovered(broker->context, to->tag, result, found->position);
}

static void recovery_answered(cre_broker *broker, uint32_t shard, cre__question *question,
                              const cre_redis_value *value, int error) {
    recovered found = { 0 };
    recovery *own = (recovery *)question;
    int result = error;
    if (value && cre__error_is(value, "NOSCRIPT")) cre__redis_load(broker, shard, CRE__SCRIPT_RECOVER);
    if (value && value->type == CRE_REDIS_ERROR) cre__redis_slot_refused(broker, shard, value);
    if (value && read_recovered(value, &found)) result = found.complete ? 0 : CRE_EBROKER_GAP;
    size_t bytes = question->bytes;
    if (found.longer && ask_for_more(&bytes)) {
        cre__redis_ask(broker, shard, question, bytes);
        return;
    }
    /* What the callbacks ask is not answered by this reply. */
    if (broker->links[shard].session && own->since.epoch)
        *place_of(cre__redis(broker, shard), own->hash, (cre_slice){ own->topic, own->length }, own->since) =
            own->next;
    for (const recovery *to = own; to; to = to->joined)
        report(broker, to, result, &found);
    drop_recovery(question);
}

bool cre__redis_recover(cre_broker *broker, uint32_t shard, cre_slice topic, cre_broker_history history,
                        cre_broker_position since, uint64_t tag) {
    recovery *next = cre__malloc(sizeof *next + topic.length);
    if (!next) return false;
    const uint64_t hash = cre__shard_hash(topic);
    *next = (recovery){
        .question = { .send = send_recovery, .answered = recovery_answered, .drop = drop_recovery },
        .since = since,
        .history = history,
        .hash = hash,
        .tag = tag,
        .length = (uint8_t)topic.length
    };
    memcpy(next->topic, topic.data, topic.length);
    /* Who asks for the current position must get one of a time after that. */
    if (since.epoch) {
        recovery **place = place_of(cre__redis(broker, shard), hash, topic, since), *same = *place;
        if (same) {
            next->joined = same->joined;
            same->joined = next;
            return true;
        }
        *place = next;
    }
    cre__redis_ask(broker, shard, &next->question, since.epoch ? CRE__FIRST_REPLY : 0);
    return true;
}
