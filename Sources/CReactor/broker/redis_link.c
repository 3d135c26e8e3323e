/*
 * The connection of a shard at a server of Redis.
 *
 * A new connection greets, loads the scripts and waits for their identifiers. Then everything that it needs
 * is sent: subscriptions, messages that wait, and checks of topics with history, as many as there is room for
 * their replies. Redis serves one command after the other, so a reply to a check comes behind all messages
 * that the check has seen.
 */
#include <stdio.h>

#include "core/memory.h"
#include "redis.h"
#include "redis_slots.h"

enum { MAX_RECEIVED = 32 << 20, MAX_VALUES = 65536, MAX_COMMANDS = 4 << 20, MARGIN = 64 << 20 };

enum { PROBE_SIZE = CRE__MAX_PREFIX + 48 };

/* In a Redis Cluster it is in the slot of the shard. */
static cre_slice probe_channel(const cre_broker *broker, uint32_t shard, char out[PROBE_SIZE]) {
    char tag[16] = "";
    if (cre__redis_is_cluster(broker)) snprintf(tag, sizeof tag, "{%u}:", broker->tags[shard]);
    const int length = snprintf(out, PROBE_SIZE, "%s:%sprobe:%016llx", broker->prefix, tag,
                                (unsigned long long)broker->config.seed);
    return (cre_slice){ (const uint8_t *)out, (size_t)length };
}

bool cre__redis_command(cre_broker *broker, uint32_t shard, const cre_slice *arguments, size_t count,
                        uint64_t tag) {
    if (broker->links[shard].failure) return false;
    const int error = cre_redis_session_command(cre__redis(broker, shard)->session, arguments, count, tag);
    if (error) cre__link_fail(broker, shard, error, (cre_slice){ 0 });
    return !error;
}

bool cre__redis_run(cre_broker *broker, uint32_t shard, unsigned script, cre_slice *arguments, size_t count,
                    cre__request *request) {
    const char *id = cre__redis(broker, shard)->scripts[script];
    arguments[0] = cre__text("EVALSHA");
    arguments[1] = (cre_slice){ (const uint8_t *)id, CRE__SCRIPT_ID };
    return cre__redis_command(broker, shard, arguments, count,
                              (uint64_t)(uintptr_t)request | CRE__TAG_REQUEST);
}

static void send_channels(cre_broker *broker, uint32_t shard, cre_redis_subscription verb,
                          const cre_slice *channels, size_t count) {
    static const cre_redis_subscription sharded[] = {
        [CRE_REDIS_SUBSCRIBE] = CRE_REDIS_SSUBSCRIBE,
        [CRE_REDIS_UNSUBSCRIBE] = CRE_REDIS_SUNSUBSCRIBE,
    };
    if (broker->links[shard].failure) return;
    const int error = cre_redis_session_subscribe(cre__redis(broker, shard)->session,
                                                  cre__redis_is_cluster(broker) ? sharded[verb] : verb,
                                                  channels, count, CRE__TAG_CHANNEL);
    if (error) cre__link_fail(broker, shard, error, (cre_slice){ 0 });
}

static void send_subscription(cre_broker *broker, uint32_t shard, cre_redis_subscription verb,
                              cre__broker_topic *const *topics, size_t count) {
    cre__key keys[CRE__CHANNELS_AT_ONCE];
    cre_slice channels[CRE__CHANNELS_AT_ONCE];
    for (size_t i = 0; i < count; i++)
        channels[i] = cre__broker_key(broker, topics[i]->hash, 'c', cre__topic_name(topics[i]), &keys[i]);
    send_channels(broker, shard, verb, channels, count);
}

/* ---- the beginning ---- */

void cre__redis_load(cre_broker *broker, uint32_t shard, unsigned script) {
    const cre_slice load[] = { cre__text("SCRIPT"), cre__text("LOAD"),
                               cre__text(cre__redis_script(broker, script)) };
    cre__redis_command(broker, shard, load, 3, (uint64_t)script << 3 | CRE__TAG_SCRIPT);
}

static void greet(cre_broker *broker, uint32_t shard) {
    const cre_slice hello[] = { cre__text("HELLO"), cre__text("3"), cre__text("AUTH"),
                                cre__text(broker->user ? broker->user : "default"),
                                cre__text(broker->password ? broker->password : "") };
    cre__redis_command(broker, shard, hello, broker->password ? 5 : 2, CRE__TAG_HELLO);
    for (unsigned i = 0; i < CRE__SCRIPTS; i++)
        cre__redis_load(broker, shard, i);
}

static void open(cre_broker *broker, uint32_t shard) {
    /* A connection begins with the subscriptions and the checks of all topics. */
    const uint64_t most = (uint64_t)broker->config.max_queue + MARGIN + broker->topics * 4ull * CRE__MAX_KEY;
    const cre_redis_session_config config = {
        .size = sizeof config,
        .limits = { .max_bytes = MAX_RECEIVED, .max_values = MAX_VALUES },
        .max_commands = MAX_COMMANDS,
        .max_output = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX,
    };
    cre__redis_link *redis = cre__calloc(1, sizeof *redis);
    const int error = redis ? cre_redis_session_create(&config, &redis->session) : CRE_ENOMEM;
    if (error) {
        cre__free(redis);
        cre__link_fail(broker, shard, error, (cre_slice){ 0 });
        return;
    }
    broker->links[shard].session = redis;
    greet(broker, shard);
}

/* Subscribes to everything again, from a few commands, then checks what was missed. */
static void resume(cre_broker *broker, uint32_t shard, uint64_t now) {
    char probe[PROBE_SIZE];
    const cre_slice channel = probe_channel(broker, shard, probe);
    cre__link_resume(broker, shard, now);
    send_channels(broker, shard, CRE_REDIS_SUBSCRIBE, &channel, 1);
    cre__broker_topic *batch[CRE__CHANNELS_AT_ONCE];
    size_t count = 0;
    for (cre__broker_topic *topic = broker->links[shard].topics; topic; topic = topic->older) {
        topic->refilling = topic->position.epoch != 0;
        batch[count++] = topic;
        if (count < CRE__CHANNELS_AT_ONCE) continue;
        send_subscription(broker, shard, CRE_REDIS_SUBSCRIBE, batch, count);
        count = 0;
    }
    if (count) send_subscription(broker, shard, CRE_REDIS_SUBSCRIBE, batch, count);
    for (cre__broker_topic *topic = broker->links[shard].topics; topic; topic = topic->older) {
        if (!topic->history.count) continue;
        topic->resumes = true;
        cre__redis(broker, shard)->resuming++;
        cre__redis_check(broker, topic);
    }
    /* A node of a cluster publishes when it serves the slot. */
    if (!cre__redis_is_cluster(broker)) cre__publish_pending(broker, shard);
    cre__presence_resume(broker, shard, now, false);
    cre__redis(broker, shard)->resumed = true;
    cre__redis_pump(broker, shard);
}

/* ---- input ---- */

/* In a script, Redis 6 puts the code behind the line: "ERR Error running script (...): @user_script: 9: -OOM
 * command not allowed...", or without the beginning. */
bool cre__error_is(const cre_redis_value *value, const char *code) {
    static const char place[] = "@user_script: ";
    if (value->type != CRE_REDIS_ERROR) return false;
    const uint8_t *at = value->text.data, *end = at + value->text.length;
    const uint8_t *line = memmem(at, value->text.length, place, sizeof place - 1);
    if (line) line = memmem(line, (size_t)(end - line), ": -", 3);
    if (line) at = line + 3;
    return (size_t)(end - at) >= strlen(code) && memcmp(at, code, strlen(code)) == 0;
}

static void greeted(cre_broker *broker, uint32_t shard, uint64_t tag, const cre_redis_value *value,
                    uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (value->type == CRE_REDIS_ERROR) {
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, value->text);
        return;
    }
    if ((tag & CRE__TAG_MASK) == CRE__TAG_HELLO) {
        cre__redis_check_version(broker, shard, value);
        return;
    }
    const uint64_t script = tag >> 3;
    if (value->type != CRE_REDIS_STRING || value->text.length != CRE__SCRIPT_ID) {
        cre__link_fail(broker, shard, CRE_EREDIS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    memcpy(cre__redis(broker, shard)->scripts[script], value->text.data, CRE__SCRIPT_ID);
    if (script == CRE__SCRIPTS - 1 && link->state == CRE__LINK_GREETING) resume(broker, shard, now);
}

static void replied(cre_broker *broker, uint32_t shard, const cre_redis_event *event, uint64_t now) {
    const cre_redis_value *value = event->value;
    void *pointer = (void *)(uintptr_t)(event->tag & ~(uint64_t)CRE__TAG_MASK);
    const bool is_first = (event->tag & CRE__TAG_MASK) == CRE__TAG_READY;
    switch (event->tag & CRE__TAG_MASK) {
    case CRE__TAG_HELLO:
    case CRE__TAG_SCRIPT: greeted(broker, shard, event->tag, value, now); return;
    case CRE__TAG_PUBLISH: cre__redis_published(broker, shard, pointer, value); return;
    case CRE__TAG_CHECK: cre__redis_checked(broker, pointer, value); return;
    case CRE__TAG_REQUEST: ((cre__request *)pointer)->replied(broker, shard, pointer, value); return;
    default:
        if (cre__redis_is_cluster(broker) && (is_first || event->tag == CRE__TAG_SLOT))
            cre__redis_slot_checked(broker, shard, value, is_first);
        else if (value->type == CRE_REDIS_ERROR && !cre__redis_is_temporary(value))
            cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, value->text);
        else if (is_first) /* even PING is refused when the disk fails: the server has come to it */
            cre__link_ready(broker, shard);
    }
}

static void received(cre_broker *broker, uint32_t shard, const uint8_t *data, size_t length, uint64_t now) {
    const cre__link *link = &broker->links[shard];
    cre_redis_session *session = cre__redis(broker, shard)->session;
    const uint8_t *cursor = data;
    cre_redis_event event;
    char probe[PROBE_SIZE];
    const cre_slice own = probe_channel(broker, shard, probe);
    int result = 0;
    /* The replies to what a connection begins with are ahead of that to a probe, and may take longer. Only a
     * link that is ready must prove that the server delivers. */
    if (link->state == CRE__LINK_RESUMING) cre__link_alive(broker, shard, now);
    while (!link->failure && (result = cre_redis_session_next(session, &cursor, data + length, &event)) > 0) {
        if (result == CRE_REDIS_SESSION_REPLY) {
            replied(broker, shard, &event, now);
        } else if (result == CRE_REDIS_SESSION_MESSAGE) {
            cre__link_alive(broker, shard, now);
            if (event.channel.length != own.length || memcmp(event.channel.data, own.data, own.length) != 0)
                cre__redis_message(broker, shard, event.channel, event.payload);
        } else if (result == CRE_REDIS_SESSION_PUSH && cre__redis_is_cluster(broker)) {
            cre__redis_pushed(broker, shard, event.value);
        }
    }
    if (result < 0) cre__link_fail(broker, shard, result, (cre_slice){ 0 });
}

static void probe(cre_broker *broker, uint32_t shard) {
    char text[PROBE_SIZE];
    const cre_slice publish[] = { cre__text(cre__redis_is_cluster(broker) ? "SPUBLISH" : "PUBLISH"),
                                  probe_channel(broker, shard, text),
                                  { 0 } };
    cre__redis_command(broker, shard, publish, 3, CRE__TAG_PROBE);
}

uint64_t cre__redis_tick(cre_broker *broker, uint32_t shard, uint64_t now) {
    const uint64_t retry = cre__redis_refusals_tick(broker, shard, now);
    const uint64_t expiry = cre__redis_questions_tick(broker, shard, now);
    return retry < expiry ? retry : expiry;
}

/* ---- topics ---- */

static void subscribe(cre_broker *broker, cre__broker_topic *topic) {
    send_subscription(broker, topic->shard, CRE_REDIS_SUBSCRIBE, &topic, 1);
    if (topic->history.count) cre__redis_check(broker, topic);
}

static void unsubscribe(cre_broker *broker, cre__broker_topic *topic) {
    send_subscription(broker, topic->shard, CRE_REDIS_UNSUBSCRIBE, &topic, 1);
}

/* ---- the end ---- */

static void close_session(cre_broker *broker, uint32_t shard, void *closed, bool reports) {
    cre__redis_link *redis = closed;
    cre_redis_session *session = redis->session;
    for (; cre_redis_session_pending(session); cre_redis_session_drop(session)) {
        const uint64_t tag = cre_redis_session_oldest(session);
        void *pointer = (void *)(uintptr_t)(tag & ~(uint64_t)CRE__TAG_MASK);
        if ((tag & CRE__TAG_MASK) == CRE__TAG_CHECK) {
            ((cre__broker_topic *)pointer)->check = CRE__CHECK_NONE;
            cre__broker_topic_release(pointer);
        }
        if ((tag & CRE__TAG_MASK) != CRE__TAG_REQUEST) continue;
        cre__request *request = pointer;
        if (reports)
            request->replied(broker, shard, request, NULL);
        else if (request->drop)
            request->drop(request);
        else
            cre__free(request);
    }
    cre__redis_drop_questions(broker, shard, redis, reports);
    cre_redis_session_destroy(session);
    cre__free(redis);
}

static cre_slice output(const void *session) {
    return cre_redis_session_output(((const cre__redis_link *)session)->session);
}

static void sent(void *session, size_t length) {
    cre_redis_session_sent(((cre__redis_link *)session)->session, length);
}

static int check(const cre_broker_config *config) {
    return config->prefix && strpbrk(config->prefix, "{}") ? CRE_EINVALID : 0;
}

static void choose_slots(cre_broker *broker) {
    cre__slot_tags(broker->tags, broker->config.shards);
}

const cre__broker_kind cre__broker_redis_cluster = {
    .check = check,
    .created = choose_slots,
    .open = open,
    .close = close_session,
    .received = received,
    .probe = probe,
    .tick = cre__redis_cluster_tick,
    .output = output,
    .sent = sent,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = cre__redis_cluster_publish,
    .recover = cre__redis_recover,
    .batch_members = CRE__PRESENCE_BATCH,
    .members = cre__redis_cluster_members,
    .sweep = cre__redis_sweep,
    .list_members = cre__redis_list_members,
    .apply = cre__redis_apply,
};

const cre__broker_kind cre__broker_redis = {
    .check = check,
    .open = open,
    .close = close_session,
    .received = received,
    .probe = probe,
    .tick = cre__redis_tick,
    .output = output,
    .sent = sent,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = cre__redis_publish,
    .recover = cre__redis_recover,
    .batch_members = CRE__PRESENCE_BATCH,
    .members = cre__redis_members,
    .sweep = cre__redis_sweep,
    .list_members = cre__redis_list_members,
    .apply = cre__redis_apply,
};
