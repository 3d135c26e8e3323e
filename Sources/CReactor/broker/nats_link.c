/*
 * The connection at a server of NATS.
 *
 * The server begins with INFO, and TLS, if there is any, begins then. CONNECT is accepted when the first PING
 * has its PONG. Then the broker subscribes to its topics and asks for the streams of those with history.
 * Messages without history have no reply: they have arrived when a PING behind them has its PONG.
 */
#include <stdio.h>

#include "broker/nats_buckets.h"
#include "broker/nats_presence.h"
#include "broker/nats_values.h"
#include "core/append.h"
#include "core/memory.h"
#include "nats/nkey.h"

enum {
    MAX_RECEIVED = 32 << 20, /* a message of a stream has 4/3 of its bytes */
    MARGIN = 64 << 20,
    KEPT_OUTPUT = 64 << 10
};

/* ---- output ---- */

bool cre__nats_write(cre_broker *broker, uint32_t shard, const void *data, size_t length) {
    cre__nats_link *nats = cre__nats(broker, shard);
    if (broker->links[shard].failure) return false;
    int error = nats->out_used - nats->out_start + length > nats->max_out ? CRE_ELIMIT : 0;
    if (!error) error = cre__append(&nats->out, &nats->out_used, &nats->out_capacity, data, length);
    if (error) cre__link_fail(broker, shard, error, (cre_slice){ 0 });
    return !error;
}

bool cre__nats_send(cre_broker *broker, uint32_t shard, const cre_nats_publication *publication) {
    enum { SMALL = 2048 };
    uint8_t small[SMALL];
    const size_t size = cre_nats_publish_size(publication);
    uint8_t *bytes = size <= SMALL ? small : cre__malloc(size);
    if (!bytes || !size) {
        cre__link_fail(broker, shard, size ? CRE_ENOMEM : CRE_EINVALID, (cre_slice){ 0 });
        return false;
    }
    const bool sent = cre__nats_write(broker, shard, bytes, cre_nats_publish(bytes, publication));
    if (bytes != small) cre__free(bytes);
    return sent;
}

static cre_slice output(const void *session) {
    const cre__nats_link *nats = session;
    return (cre_slice){ nats->out + nats->out_start, nats->out_used - nats->out_start };
}

static void sent(void *session, size_t length) {
    cre__nats_link *nats = session;
    nats->out_start += length;
    if (nats->out_start == nats->out_used) {
        nats->out_start = nats->out_used = 0;
        if (nats->out_capacity <= KEPT_OUTPUT) return;
        cre__free(nats->out);
        nats->out = NULL;
        nats->out_capacity = 0;
    } else if (nats->out_start > nats->out_used / 2) {
        memmove(nats->out, nats->out + nats->out_start, nats->out_used - nats->out_start);
        nats->out_used -= nats->out_start;
        nats->out_start = 0;
    }
}

/* ---- topics ---- */

static bool subscribe_to(cre_broker *broker, uint32_t shard, cre_slice subject, uint64_t subscription) {
    uint8_t line[CRE__NATS_SUBJECT + 32];
    const size_t length = cre_nats_subscribe(line, sizeof line, subject, (cre_slice){ 0 }, subscription);
    return cre__nats_write(broker, shard, line, length);
}

void cre__nats_subscribe(cre_broker *broker, cre__broker_topic *topic) {
    cre__nats_link *nats = cre__nats(broker, topic->shard);
    cre__nats_subject subject;
    topic->subscription = ++nats->last_subscription;
    if (topic->position.epoch) topic->delivered = topic->position.offset;
    topic->announced = 0;
    subscribe_to(broker, topic->shard, cre__nats_live_subject(broker, cre__topic_name(topic), &subject),
                 topic->subscription);
    if (!topic->history.count) return;
    cre__nats_stream *stream = cre__nats_stream_of(broker, topic->shard, topic->history);
    /* while it is asked whether it is still there the check waits */
    if (stream && stream->epoch && stream->state != CRE__STREAM_REFUSED)
        cre__nats_check(broker, topic, stream);
}

static void unsubscribe(cre_broker *broker, cre__broker_topic *topic) {
    uint8_t line[64];
    const size_t length = cre_nats_unsubscribe(line, sizeof line, topic->subscription, 0);
    cre__nats_write(broker, topic->shard, line, length);
}

/* ---- the beginning ---- */

static void open(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__calloc(1, sizeof *nats);
    if (!nats) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return;
    }
    const cre_nats_limits limits = { .max_payload = MAX_RECEIVED };
    const int error = cre_nats_reader_init(&nats->reader, &limits);
    nats->last_subscription = CRE__NATS_INBOX;
    nats->free_request = CRE__NATS_NONE;
    for (int i = 0; i < 2; i++)
        nats->queues[i] = (cre__nats_queue){ CRE__NATS_NONE, CRE__NATS_NONE };
    nats->max_out = (size_t)broker->config.max_queue + MARGIN + broker->topics * CRE__NATS_SUBJECT;
    cre__nats_presence_open(&nats->presence);
    cre__nats_values_open(&nats->values);
    broker->links[shard].session = nats;
    if (error) cre__link_fail(broker, shard, error, (cre_slice){ 0 });
}

void cre_broker_secured(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__nats_link *nats = cre__nats(broker, shard);
    if (broker->kind != &cre__broker_nats || !nats || !nats->informed || nats->connected) return;
    if (broker->links[shard].failure) return;
    nats->now = now;
    cre__nats_connect(broker, shard);
}

static void accepted(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_subject inbox;
    nats->accepted = true;
    cre__link_resume(broker, shard, nats->now);
    subscribe_to(broker, shard, cre__nats_inbox(broker, "*", &inbox), CRE__NATS_INBOX);
    for (size_t i = 0; i <= broker->mask; i++) {
        for (cre__broker_topic *topic = broker->buckets[i]; topic; topic = topic->next) {
            topic->refilling = topic->position.epoch != 0;
            cre__nats_subscribe(broker, topic);
        }
    }
    nats->resumed_subscription = nats->last_subscription;
    nats->resumed_streams = nats->stream_count;
    cre__publish_pending(broker, shard);
}

/* ---- input ---- */

void cre__nats_refused(cre_broker *broker, uint32_t shard, cre_slice text) {
    if (broker->handlers.refused) broker->handlers.refused(broker->context, shard, text);
}

static bool begins(cre_slice text, const char *word) {
    const size_t length = strlen(word);
    return text.length >= length && memcmp(text.data, word, length) == 0;
}

/* Permissions Violation for Publish to "news" */
static void denied(cre_broker *broker, uint32_t shard, cre_slice text) {
    const uint8_t *quote = memchr(text.data, '"', text.length), *end = text.data + text.length;
    const uint8_t *close = quote ? memchr(quote + 1, '"', (size_t)(end - quote - 1)) : NULL;
    cre__nats_subject inbox;
    const cre_slice own = cre__nats_inbox(broker, "", &inbox);
    if (close && memmem(text.data, text.length, "Publish", 7)) {
        cre__nats_refused(broker, shard, text);
        cre__nats_publish_denied(broker, shard, (cre_slice){ quote + 1, (size_t)(close - quote) - 1 });
    } else if (quote && memmem(quote, (size_t)(end - quote), own.data, own.length)) {
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, text); /* nothing works without replies */
    } else {
        cre__nats_refused(broker, shard, text);
    }
}

static void failed(cre_broker *broker, uint32_t shard, cre_slice text) {
    if (cre__nats(broker, shard)->accepted && begins(text, "Permissions Violation"))
        denied(broker, shard, text);
    else
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, text);
}

/* The reply to a request; NULL: there was none in time. */
static void replied(cre_broker *broker, uint32_t shard, const cre__nats_request *request,
                    const cre_nats_event *event) {
    switch (request->purpose) {
    case CRE__NATS_PUBLISH: cre__nats_acknowledged(broker, shard, request->target, event); return;
    case CRE__NATS_STREAM: cre__nats_stream_replied(broker, shard, request->target, event); return;
    case CRE__NATS_FETCH: cre__nats_fetch_replied(broker, shard, request->target, event); return;
    case CRE__NATS_BUCKET: cre__nats_bucket_replied(broker, shard, request->target, event); return;
    case CRE__NATS_CLOCK:
    case CRE__NATS_GET_VALUE:
    case CRE__NATS_SET_VALUE: cre__nats_values_replied(broker, shard, request, event); return;
    default: cre__nats_presence_replied(broker, shard, request, event); return;
    }
}

static void read_reply(cre_broker *broker, uint32_t shard, const cre_nats_event *event) {
    cre__nats_request request;
    if (cre__nats_answered(cre__nats(broker, shard), event, &request))
        replied(broker, shard, &request, event);
}

static void serve(cre_broker *broker, uint32_t shard, int kind, const cre_nats_event *event) {
    cre__nats_link *nats = cre__nats(broker, shard);
    switch (kind) {
    case CRE_NATS_INFO: cre__nats_inform(broker, shard, event->text); return;
    case CRE_NATS_PING:
        cre__nats_write(broker, shard, CRE_NATS_PONG_LINE, sizeof CRE_NATS_PONG_LINE - 1);
        return;
    case CRE_NATS_PONG:
        if (nats->pongs == nats->pings) {
            cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
            return;
        }
        nats->pongs++;
        if (!nats->accepted)
            accepted(broker, shard);
        else
            cre__nats_ponged(broker, shard);
        return;
    case CRE_NATS_ERROR: failed(broker, shard, event->text); return;
    case CRE_NATS_MESSAGE:
        if (!nats->accepted) return;
        cre__link_alive(broker, shard, nats->now);
        if (event->subscription == CRE__NATS_INBOX)
            read_reply(broker, shard, event);
        else if (!nats->presence.started || !cre__nats_reading_message(broker, shard, event))
            cre__nats_message(broker, shard, event);
        return;
    default: return;
    }
}

static void received(cre_broker *broker, uint32_t shard, const uint8_t *data, size_t length, uint64_t now) {
    cre__nats_link *nats = cre__nats(broker, shard);
    const uint8_t *cursor = data, *end = data + length;
    cre_nats_event event;
    int kind = 0;
    cre__nats_time(broker, nats, now);
    nats->alive = now;
    while (!broker->links[shard].failure &&
           (kind = cre_nats_reader_next(&nats->reader, &cursor, end, &event)) > 0) {
        const bool waits = nats->informed && !nats->connected; /* bytes before TLS are of somebody else */
        if (waits || (!nats->informed && kind != CRE_NATS_INFO && kind != CRE_NATS_ERROR))
            cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        else
            serve(broker, shard, kind, &event);
    }
    if (nats->informed && !nats->connected && nats->reader.used) kind = CRE_ENATS_PROTOCOL;
    if (kind < 0) cre__link_fail(broker, shard, kind, (cre_slice){ 0 });
}

/* ---- time ---- */

static void probe(cre_broker *broker, uint32_t shard) {
    cre__nats_subject subject;
    const cre_nats_publication message = { .subject = cre__nats_inbox(broker, "probe", &subject) };
    cre__nats_send(broker, shard, &message);
}

static void time_out(cre_broker *broker, uint32_t shard) {
    cre__nats_request request;
    while (!broker->links[shard].failure && cre__nats_timed_out(cre__nats(broker, shard), &request))
        replied(broker, shard, &request, NULL);
}

/* Whether a check is one of a topic that the connection began with. Clients begin others all the time. */
static bool is_resumed(const cre__nats_link *nats, const cre__nats_fetch *check) {
    return check->topic->subscription <= nats->resumed_subscription;
}

/* Whether no check that the connection began with can go on. */
static bool is_idle(const cre__nats_link *nats) {
    for (size_t i = 0; i < nats->resumed_streams; i++) {
        const cre__nats_stream *stream = nats->streams[i];
        const bool asks = stream->state == CRE__STREAM_UNKNOWN || stream->state == CRE__STREAM_ASKED;
        if (asks && !stream->failures) return false;
    }
    const cre__nats_fetches *checks = &nats->fetches[CRE__NATS_CHECKS];
    for (const cre__nats_fetch *fetch = checks->waiting.first; fetch; fetch = fetch->next)
        if (is_resumed(nats, fetch) && !fetch->stream->failures) return false;
    for (const cre__nats_fetch *fetch = checks->active.first; fetch; fetch = fetch->next)
        if (is_resumed(nats, fetch)) return false;
    return true;
}

static uint64_t tick(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__link *link = &broker->links[shard];
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_time(broker, nats, now);
    if (!cre__link_is_usable(link)) return UINT64_MAX;
    time_out(broker, shard);
    uint64_t next = cre__nats_stream_tick(broker, shard);
    const uint64_t fetches = cre__nats_fetch_tick(broker, shard);
    if (fetches < next) next = fetches;
    const uint64_t presence = cre__nats_presence_tick(broker, shard);
    if (presence < next) next = presence;
    const uint64_t values = cre__nats_values_tick(broker, shard);
    if (values < next) next = values;
    if (nats->unpinged && cre__nats_write(broker, shard, CRE_NATS_PING_LINE, sizeof CRE_NATS_PING_LINE - 1)) {
        nats->pings++;
        nats->unpinged = false;
    }
    const uint64_t deadline = cre__nats_deadline(nats);
    if (deadline < next) next = deadline;
    if (link->state == CRE__LINK_RESUMING && !link->failure && is_idle(nats)) cre__link_ready(broker, shard);
    return next;
}

/* ---- the end ---- */

static void close_session(cre_broker *broker, uint32_t shard, void *session, bool reports) {
    cre__nats_link *nats = session;
    for (size_t i = 0; nats->accepted && i <= broker->mask; i++)
        for (cre__broker_topic *topic = broker->buckets[i]; topic; topic = topic->next)
            if (!topic->refilling) topic->complete_at = nats->alive ? nats->alive : 1;
    cre__nats_fetch_end(broker, nats, NULL, reports);
    cre__nats_presence_close(broker, shard, nats, reports);
    cre__nats_values_close(broker, shard, &nats->values, reports);
    for (size_t i = 0; i < nats->stream_count; i++) {
        cre__free(nats->streams[i]->lanes);
        cre__free(nats->streams[i]);
    }
    cre_nats_reader_deinit(&nats->reader);
    cre__free(nats->streams);
    cre__free(nats->requests);
    cre__free(nats->live);
    cre__free(nats->out);
    cre__free(nats);
}

static bool is_prefix(const char *prefix) {
    for (const char *at = prefix; *at; at++) {
        const bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !(*at >= '0' && *at <= '9') && *at != '-' && *at != '_') return false;
    }
    return true;
}

static int check(const cre_broker_config *config) {
    if (config->shards != 1 || config->replicas > 5 || config->tls > CRE_BROKER_TLS_FIRST)
        return CRE_EINVALID;
    if (config->nkey && config->credentials) return CRE_EINVALID;
    if (config->presence_ms && config->presence_ms < CRE_BROKER_MIN_NATS_PRESENCE) return CRE_EINVALID;
    return config->prefix && !is_prefix(config->prefix) ? CRE_EINVALID : 0;
}

const cre__broker_kind cre__broker_nats = {
    .check = check,
    .open = open,
    .close = close_session,
    .received = received,
    .probe = probe,
    .output = output,
    .sent = sent,
    .tick = tick,
    .subscribe = cre__nats_subscribe,
    .unsubscribe = unsubscribe,
    .publish = cre__nats_publish,
    .recover = cre__nats_recover,
    .batch_members = 1,
    .batch_bytes = 2048,
    .members = cre__nats_members,
    .renew = cre__nats_renew,
    .retire = cre__nats_retire,
    .sweep = cre__nats_sweep,
    .list_members = cre__nats_list_members,
    .apply = cre__nats_apply,
};
