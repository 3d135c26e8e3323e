/*
 * The connection of a shard.
 *
 * A new connection greets, loads the scripts and waits for their identifiers. Then everything that it needs
 * is sent at once: subscriptions, checks of topics with history, messages that wait. Redis serves one command
 * after the other, so a reply to a check comes behind all messages that the check has seen.
 */
#include <stdio.h>

#include "broker_internal.h"
#include "core/memory.h"

enum { MAX_RECEIVED = 32 << 20, MAX_VALUES = 65536, MAX_COMMANDS = 4 << 20, MARGIN = 64 << 20 };

static cre_slice probe_channel(const cre_broker *broker, char out[CRE__MAX_PREFIX + 32]) {
    const int length = snprintf(out, CRE__MAX_PREFIX + 32, "%s:probe:%016llx", broker->prefix,
                                (unsigned long long)broker->config.seed);
    return (cre_slice){ (const uint8_t *)out, (size_t)length };
}

void cre__link_fail(cre_broker *broker, uint32_t shard, int error, cre_slice text) {
    cre__link *link = &broker->links[shard];
    if (link->failure || link->state < CRE__LINK_CONNECTING) return;
    link->failure = error;
    const size_t most = sizeof link->failure_text - 1, length = text.length < most ? text.length : most;
    if (length) memcpy(link->failure_text, text.data, length);
    link->failure_text[length] = 0;
}

bool cre__link_command(cre_broker *broker, uint32_t shard, const cre_slice *arguments, size_t count,
                       uint64_t tag) {
    if (broker->links[shard].failure) return false;
    const int error = cre_redis_session_command(broker->links[shard].session, arguments, count, tag);
    if (error) cre__link_fail(broker, shard, error, (cre_slice){ 0 });
    return !error;
}

void cre__link_subscribe(cre_broker *broker, uint32_t shard, cre_redis_subscription verb,
                         cre__broker_topic *const *topics, size_t count) {
    cre__key keys[CRE__CHANNELS_AT_ONCE];
    cre_slice channels[CRE__CHANNELS_AT_ONCE];
    if (broker->links[shard].failure) return;
    for (size_t i = 0; i < count; i++)
        channels[i] = cre__broker_key(broker, topics[i]->hash, 'c', cre__topic_name(topics[i]), &keys[i]);
    const int error =
        cre_redis_session_subscribe(broker->links[shard].session, verb, channels, count, CRE__TAG_CHANNEL);
    if (error) cre__link_fail(broker, shard, error, (cre_slice){ 0 });
}

/* ---- the end ---- */

static uint64_t backoff(cre_broker *broker, cre__link *link) {
    const uint64_t most = broker->config.max_backoff_ms;
    uint64_t delay = broker->config.min_backoff_ms;
    for (uint32_t i = 0; i < link->attempts && delay < most; i++)
        delay *= 2;
    if (delay > most) delay = most;
    link->attempts++;
    return delay / 2 + cre__broker_random(broker) % (delay / 2 + 1);
}

/* Replies that will not come any more. */
static void abandon(cre_broker *broker, uint32_t shard, cre_redis_session *session) {
    for (; cre_redis_session_pending(session); cre_redis_session_drop(session)) {
        const uint64_t tag = cre_redis_session_oldest(session);
        void *pointer = (void *)(uintptr_t)(tag & ~(uint64_t)CRE__TAG_MASK);
        if ((tag & CRE__TAG_MASK) == CRE__TAG_RECOVER) cre__history_recovered(broker, shard, pointer, NULL);
        if ((tag & CRE__TAG_MASK) == CRE__TAG_CHECK) cre__broker_topic_release(pointer);
    }
    cre__publish_disconnected(broker, shard);
}

/* Ends the connection. `closed`: the caller knows that it has ended. */
static void end(cre_broker *broker, uint32_t shard, bool closed, uint64_t now) {
    cre__link *link = &broker->links[shard];
    cre_redis_session *session = link->session;
    const int error = link->failure;
    char text[sizeof link->failure_text];
    memcpy(text, link->failure_text, sizeof text);
    link->session = NULL;
    link->state = CRE__LINK_WAITING;
    link->failure = 0;
    link->failure_text[0] = 0;
    link->due = now + backoff(broker, link);
    if (!closed) broker->handlers.disconnect(broker->context, shard);
    broker->handlers.state(broker->context, shard, CRE_BROKER_LOST, error, cre__text(text));
    if (session) abandon(broker, shard, session);
    cre_redis_session_destroy(session);
}

static void end_if_failed(cre_broker *broker, uint32_t shard, uint64_t now) {
    const cre__link *link = &broker->links[shard];
    if (link->failure && !link->inside) end(broker, shard, false, now);
}

void cre_broker_closed(cre_broker *broker, uint32_t shard, int error, uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (link->state == CRE__LINK_WAITING) return;
    if (!link->failure) link->failure = error;
    end(broker, shard, true, now);
}

/* ---- the beginning ---- */

void cre__link_load(cre_broker *broker, uint32_t shard, unsigned script) {
    const cre_slice load[] = { cre__text("SCRIPT"), cre__text("LOAD"),
                               cre__text(cre__broker_scripts[script]) };
    cre__link_command(broker, shard, load, 3, (uint64_t)script << 3 | CRE__TAG_SCRIPT);
}

static void greet(cre_broker *broker, uint32_t shard) {
    const cre_slice hello[] = { cre__text("HELLO"), cre__text("3"), cre__text("AUTH"),
                                cre__text(broker->user ? broker->user : "default"),
                                cre__text(broker->password ? broker->password : "") };
    cre__link_command(broker, shard, hello, broker->password ? 5 : 2, CRE__TAG_HELLO);
    for (unsigned i = 0; i < CRE__SCRIPTS; i++)
        cre__link_load(broker, shard, i);
}

void cre_broker_connected(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (link->state != CRE__LINK_CONNECTING || link->failure) return;
    /* A connection begins with the subscriptions and the checks of all topics. */
    const uint64_t most = (uint64_t)broker->config.max_queue + MARGIN + broker->topics * 4ull * CRE__MAX_KEY;
    const cre_redis_session_config config = {
        .size = sizeof config,
        .limits = { .max_bytes = MAX_RECEIVED, .max_values = MAX_VALUES },
        .max_commands = MAX_COMMANDS,
        .max_output = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX,
    };
    const int error = cre_redis_session_create(&config, &link->session);
    if (error) {
        cre__link_fail(broker, shard, error, (cre_slice){ 0 });
        return;
    }
    link->state = CRE__LINK_GREETING;
    link->due = now + broker->config.timeout_ms;
    greet(broker, shard);
}

/* Subscribes to everything again, from a few commands, then checks what was missed. */
static void resume(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__link *link = &broker->links[shard];
    char probe[CRE__MAX_PREFIX + 32];
    const cre_slice channel = probe_channel(broker, probe);
    link->state = CRE__LINK_RESUMING;
    link->due = now + broker->config.probe_ms;
    link->probing = false;
    const int error =
        cre_redis_session_subscribe(link->session, CRE_REDIS_SUBSCRIBE, &channel, 1, CRE__TAG_CHANNEL);
    if (error) cre__link_fail(broker, shard, error, (cre_slice){ 0 });
    cre__broker_topic *batch[CRE__CHANNELS_AT_ONCE];
    size_t count = 0;
    for (size_t i = 0; i <= broker->mask; i++) {
        for (cre__broker_topic *topic = broker->buckets[i]; topic; topic = topic->next) {
            if (topic->shard != shard) continue;
            topic->refilling = topic->position.epoch != 0;
            batch[count++] = topic;
            if (count < CRE__CHANNELS_AT_ONCE) continue;
            cre__link_subscribe(broker, shard, CRE_REDIS_SUBSCRIBE, batch, count);
            count = 0;
        }
    }
    if (count) cre__link_subscribe(broker, shard, CRE_REDIS_SUBSCRIBE, batch, count);
    for (size_t i = 0; i <= broker->mask; i++)
        for (cre__broker_topic *topic = broker->buckets[i]; topic; topic = topic->next)
            if (topic->shard == shard && topic->history) cre__history_check(broker, topic);
    const cre_slice ping = cre__text("PING");
    cre__link_command(broker, shard, &ping, 1, CRE__TAG_READY);
    cre__publish_pending(broker, shard);
}

/* ---- input ---- */

bool cre__error_is(const cre_redis_value *value, const char *word) {
    const size_t length = strlen(word);
    return value->type == CRE_REDIS_ERROR && value->text.length >= length &&
           memcmp(value->text.data, word, length) == 0;
}

static void greeted(cre_broker *broker, uint32_t shard, uint64_t tag, const cre_redis_value *value,
                    uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (value->type == CRE_REDIS_ERROR) {
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, value->text);
        return;
    }
    if ((tag & CRE__TAG_MASK) == CRE__TAG_HELLO) return;
    const uint64_t script = tag >> 3;
    if (value->type != CRE_REDIS_STRING || value->text.length != CRE__SCRIPT_ID) {
        cre__link_fail(broker, shard, CRE_EREDIS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    memcpy(link->scripts[script], value->text.data, CRE__SCRIPT_ID);
    if (script == CRE__SCRIPTS - 1 && link->state == CRE__LINK_GREETING) resume(broker, shard, now);
}

static void replied(cre_broker *broker, uint32_t shard, const cre_redis_event *event, uint64_t now) {
    cre__link *link = &broker->links[shard];
    const cre_redis_value *value = event->value;
    void *pointer = (void *)(uintptr_t)(event->tag & ~(uint64_t)CRE__TAG_MASK);
    switch (event->tag & CRE__TAG_MASK) {
    case CRE__TAG_HELLO:
    case CRE__TAG_SCRIPT: greeted(broker, shard, event->tag, value, now); return;
    case CRE__TAG_PUBLISH: cre__publish_reply(broker, shard, pointer, value); return;
    case CRE__TAG_CHECK: cre__history_checked(broker, pointer, value); return;
    case CRE__TAG_RECOVER: cre__history_recovered(broker, shard, pointer, value); return;
    default:
        if (value->type == CRE_REDIS_ERROR) {
            cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, value->text);
        } else if ((event->tag & CRE__TAG_MASK) == CRE__TAG_READY) {
            link->state = CRE__LINK_READY;
            link->attempts = 0;
            broker->handlers.state(broker->context, shard, CRE_BROKER_CONNECTED, 0, (cre_slice){ 0 });
        }
    }
}

void cre_broker_received(cre_broker *broker, uint32_t shard, const uint8_t *data, size_t length,
                         uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (!link->session || link->failure) return;
    const uint8_t *cursor = data;
    cre_redis_event event;
    char probe[CRE__MAX_PREFIX + 32];
    const cre_slice own = probe_channel(broker, probe);
    link->inside = true;
    int result = 0;
    while (!link->failure &&
           (result = cre_redis_session_next(link->session, &cursor, data + length, &event)) > 0) {
        if (result == CRE_REDIS_SESSION_REPLY) {
            replied(broker, shard, &event, now);
        } else if (result == CRE_REDIS_SESSION_MESSAGE) {
            link->probing = false;
            link->due = now + broker->config.probe_ms;
            if (event.channel.length != own.length || memcmp(event.channel.data, own.data, own.length) != 0)
                cre__history_message(broker, shard, event.channel, event.payload);
        }
    }
    if (result < 0) cre__link_fail(broker, shard, result, (cre_slice){ 0 });
    link->inside = false;
    end_if_failed(broker, shard, now);
}

/* ---- time ---- */

static void probe(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__link *link = &broker->links[shard];
    char text[CRE__MAX_PREFIX + 32];
    const cre_slice publish[] = { cre__text("PUBLISH"), probe_channel(broker, text), { 0 } };
    link->probing = true;
    link->due = now + broker->config.probe_ms;
    cre__link_command(broker, shard, publish, 3, CRE__TAG_PROBE);
}

static void due(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (link->state == CRE__LINK_WAITING) {
        link->state = CRE__LINK_CONNECTING;
        link->due = now + broker->config.timeout_ms;
        broker->handlers.connect(broker->context, shard);
    } else if (link->state < CRE__LINK_RESUMING || link->probing) {
        cre__link_fail(broker, shard, CRE_EBROKER_SILENT, (cre_slice){ 0 });
    } else {
        probe(broker, shard, now);
    }
}

uint64_t cre_broker_tick(cre_broker *broker, uint64_t now) {
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        end_if_failed(broker, i, now);
        if (broker->links[i].due <= now) due(broker, i, now);
        end_if_failed(broker, i, now);
        if (broker->links[i].due < next) next = broker->links[i].due;
    }
    return next;
}

/* ---- output ---- */

cre_slice cre_broker_output(const cre_broker *broker, uint32_t shard) {
    const cre__link *link = &broker->links[shard];
    return link->session ? cre_redis_session_output(link->session) : (cre_slice){ 0 };
}

void cre_broker_sent(cre_broker *broker, uint32_t shard, size_t length) {
    cre_redis_session *session = broker->links[shard].session;
    if (session) cre_redis_session_sent(session, length);
}

bool cre_broker_is_connected(const cre_broker *broker, uint32_t shard) {
    return broker->links[shard].state == CRE__LINK_READY && !broker->links[shard].failure;
}
