/* Messages of subscribed topics at a server of NATS, and their positions: the sequences of their stream. */
#include "broker/nats.h"

/* Whether a message was published by the stream of its topic. */
static bool is_from(const cre_broker *broker, const cre__nats_stream *stream, cre_slice headers) {
    cre_slice value;
    cre__nats_subject bytes;
    const cre_slice name = cre__nats_stream_name(broker, stream->history, &bytes);
    return cre_nats_header(headers, "Nats-Stream", &value) && value.length == name.length &&
           memcmp(value.data, name.data, name.length) == 0;
}

/* ---- checks ---- */

cre__nats_fetch *cre__nats_check(cre_broker *broker, cre__broker_topic *topic, cre__nats_stream *stream) {
    /* messages came before the stream was known */
    if (!topic->position.epoch && topic->delivered && topic->delivered <= stream->last)
        topic->position = (cre_broker_position){ stream->epoch, topic->delivered };
    const cre_broker_position since = topic->position;
    cre__nats_fetch *fetch =
        cre__nats_fetch_new(broker, topic->shard, stream, topic, cre__topic_name(topic), since);
    if (!fetch) return NULL;
    if (!topic->complete_at) /* as cre_broker_resume promises */
        topic->complete_at = cre__nats(broker, topic->shard)->now;
    topic->arrived = 0;
    topic->refilling = since.epoch != 0;
    if (topic->refilling) topic->refill = fetch;
    return fetch;
}

/* ---- messages ---- */

/* A message of a stream: `sequence`, and that of the one `before` it of its topic, 0 if that is not stored
 * any more. */
static void receive(cre_broker *broker, cre__broker_topic *topic, cre__nats_stream *stream, cre_slice payload,
                    uint64_t sequence, uint64_t before) {
    cre__nats_link *nats = cre__nats(broker, topic->shard);
    const bool unsettled = topic->unsettled;
    topic->unsettled = false;
    if (sequence > stream->passed) stream->passed = sequence;
    if (topic->refilling) {
        if (sequence > topic->announced) topic->announced = sequence;
        topic->arrived++;
        if (topic->refill) cre__nats_buffer(nats, topic->refill, payload, sequence, before);
        return;
    }
    if (sequence <= topic->delivered) { /* late, or of a stream that begins again */
        if (stream->state == CRE__STREAM_READY) stream->suspect = true;
        return;
    }
    cre_broker_position position = { 0 };
    const uint64_t known = topic->position.epoch ? topic->position.offset : topic->delivered;
    if (known && before > known) {
        topic->complete_at = nats->now;
        topic->announced = sequence;
        topic->refilling = true; /* by a check that begins when the stream is known, if it is not yet */
        if (stream->epoch && cre__nats_check(broker, topic, stream) && topic->refill)
            cre__nats_buffer(nats, topic->refill, payload, sequence, before);
        return;
    }
    if (stream->epoch) {
        position = (cre_broker_position){ stream->epoch, sequence };
        if (unsettled || !topic->position.epoch || sequence > topic->position.offset)
            topic->position = position;
    }
    topic->delivered = sequence;
    cre__topic_deliver(broker, topic, payload, position);
}

void cre__nats_message(cre_broker *broker, uint32_t shard, const cre_nats_event *event) {
    uint8_t name[CRE_BROKER_MAX_TOPIC];
    const size_t length = cre__nats_topic_of(broker, event->subject, name);
    cre__broker_topic *topic = cre__broker_find(broker, (cre_slice){ name, length });
    if (!topic || topic->subscription != event->subscription) return; /* unsubscribed meanwhile */
    uint64_t sequence, before;
    if (topic->history.count && cre__nats_number(event->headers, "Nats-Sequence", &sequence) &&
        cre__nats_number(event->headers, "Nats-Last-Sequence", &before)) {
        cre__nats_stream *stream = cre__nats_stream_of(broker, shard, topic->history);
        if (stream && is_from(broker, stream, event->headers)) {
            receive(broker, topic, stream, event->payload, sequence, before);
            return;
        }
    }
    cre__topic_deliver(broker, topic, event->payload, (cre_broker_position){ 0 });
}

/* ---- checks of all topics ---- */

static bool is_of(const cre__broker_topic *topic, uint32_t shard, const cre__nats_stream *stream) {
    return topic->shard == shard && topic->history.count == stream->history.count &&
           topic->history.seconds == stream->history.seconds;
}

/* The stream has just named its last sequence: a higher position is of messages that it does not have any
 * more, since an older copy was restored. In a cluster a new leader names it before it has read them all. */
static void check_first(cre_broker *broker, cre__broker_topic *topic, cre__nats_stream *stream,
                        uint64_t complete_at) {
    if (!topic->refilling && complete_at) topic->complete_at = complete_at;
    cre__nats_fetch *fetch = cre__nats_check(broker, topic, stream);
    if (!fetch || topic->announced || cre__nats(broker, topic->shard)->clustered) return;
    if (topic->position.offset > stream->last) fetch->incomplete = true;
}

void cre__nats_check_all(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, uint64_t complete_at) {
    for (size_t i = 0; i <= broker->mask; i++)
        for (cre__broker_topic *topic = broker->buckets[i]; topic; topic = topic->next)
            if (is_of(topic, shard, stream) && !topic->checks)
                check_first(broker, topic, stream, complete_at);
}

void cre__nats_audit(cre_broker *broker, uint32_t shard, cre__nats_stream *stream) {
    enum { TOPICS = 64, BUCKETS = 65536 }; /* of a part of a round */
    if (!stream->auditing && stream->last == stream->audited) return;
    if (!stream->auditing) {
        stream->auditing = true;
        stream->audited = stream->last;
        stream->bucket = 0;
    }
    int topics = 0;
    for (size_t i = 0; i < BUCKETS && topics < TOPICS && stream->bucket <= broker->mask; i++) {
        for (cre__broker_topic *topic = broker->buckets[stream->bucket++]; topic; topic = topic->next) {
            if (!is_of(topic, shard, stream) || topic->checks || !topic->position.epoch) continue;
            /* What has expired since the last audit leaves no trace, and a topic that was idle has none
             * either, so only messages that are still stored count as missing. */
            topic->complete_at = cre__nats(broker, shard)->now;
            cre__nats_check(broker, topic, stream);
            topics++;
        }
    }
    if (stream->bucket > broker->mask) stream->auditing = false;
}

bool cre__nats_recover(cre_broker *broker, uint32_t shard, cre_slice topic, cre_broker_history history,
                       cre_broker_position since, uint64_t tag) {
    cre__nats_stream *stream = cre__nats_stream_of(broker, shard, history);
    if (!stream || stream->state == CRE__STREAM_REFUSED) return false;
    cre__nats_fetch *fetch = cre__nats_fetch_new(broker, shard, stream, NULL, topic, since);
    if (!fetch) return false;
    fetch->tag = tag;
    return true;
}
