/*
 * Messages to publish, at a server of NATS.
 *
 * Those with history are stored in a stream in the order in which they arrive there. A server alone stores
 * what it has received on one connection, up to the end of it, so messages follow each other without waiting.
 * In a cluster the leader of a stream may change while messages are on their way, some of which are then
 * refused: so a message waits for the acknowledgement of the one before it in its lane, and a topic has one
 * lane.
 */
#include <stdio.h>

#include "broker/nats_presence.h"
#include "broker/nats_values.h"
#include "core/memory.h"
#include "core/slices.h"

enum { LANES = 256, AT_ONCE = 1024 };

static uint32_t lanes_of(const cre__nats_link *nats) {
    return nats->clustered ? LANES : 1;
}

/* ---- without history ---- */

static bool keep_live(cre__nats_link *nats, cre__outgoing *message) {
    if (nats->live_first + nats->live_used == nats->live_capacity) {
        if (nats->live_first && nats->live_first >= nats->live_capacity / 2) {
            memmove(nats->live, nats->live + nats->live_first, nats->live_used * sizeof *nats->live);
        } else {
            const size_t capacity = nats->live_capacity ? 2 * nats->live_capacity : 64;
            cre__nats_live *live = cre__malloc(capacity * sizeof *live);
            if (!live) return false;
            if (nats->live_used) memcpy(live, nats->live + nats->live_first, nats->live_used * sizeof *live);
            cre__free(nats->live);
            nats->live = live;
            nats->live_capacity = capacity;
        }
        nats->live_first = 0;
    }
    nats->live[nats->live_first + nats->live_used++] = (cre__nats_live){ message, nats->pings + 1 };
    return true;
}

static bool publish_live(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_subject subject;
    const cre_nats_publication publication = { .subject = cre__nats_live_subject(
                                                   broker, cre__outgoing_topic(message), &subject),
                                               .payload = cre__outgoing_payload(message) };
    if (broker->links[shard].failure) return false;
    if (!keep_live(nats, message)) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return false;
    }
    nats->unpinged = true;
    if (message->payload_length > nats->max_payload) {
        message->too_large = true;
        return true;
    }
    return cre__nats_send(broker, shard, &publication);
}

static void finish(cre_broker *broker, uint32_t shard, cre__outgoing *message, int result) {
    cre__publish_finish(broker, shard, message, result, (cre_broker_position){ 0 });
}

static void refuse_large(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    char text[128];
    snprintf(text, sizeof text, "a message of %u bytes is above the server's max_payload of %llu bytes",
             message->payload_length, (unsigned long long)cre__nats(broker, shard)->max_payload);
    cre__nats_refused(broker, shard, cre__text(text));
    finish(broker, shard, message, CRE_EBROKER_REFUSED);
}

void cre__nats_ponged(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    while (nats->live_used && nats->live[nats->live_first].ping <= nats->pongs) {
        cre__outgoing *message = nats->live[nats->live_first++].message;
        nats->live_used--;
        if (message && message->too_large)
            refuse_large(broker, shard, message);
        else if (message)
            finish(broker, shard, message, 0);
    }
    if (!nats->live_used) nats->live_first = 0;
}

/* ---- with history ---- */

static cre__nats_lane *lane_of(const cre__nats_link *nats, cre__nats_stream *stream,
                               const cre__outgoing *message) {
    const uint64_t hash = cre__shard_hash(cre__outgoing_topic(message));
    return &stream->lanes[hash % lanes_of(nats)];
}

static bool store(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    char headers[128];
    cre__nats_subject subject, stream;
    const cre_slice name = cre__nats_stream_name(broker, message->history, &stream);
    snprintf(headers, sizeof headers, "Nats-Msg-Id: %016llx%016llx\r\nNats-Expected-Stream: %.*s\r\n",
             (unsigned long long)broker->config.publisher, (unsigned long long)message->id, (int)name.length,
             (const char *)name.data);
    const cre_nats_publication publication = {
        .subject = cre__nats_kept_subject(broker, cre__outgoing_topic(message), message->history, &subject),
        .headers = cre__text(headers),
        .payload = cre__outgoing_payload(message)
    };
    return cre__nats_ask(broker, shard, publication, CRE__NATS_PUBLISH, message);
}

static bool is_large(const cre__nats_link *nats, const cre__outgoing *message) {
    enum { HEADERS = 160 };
    return message->payload_length + (uint64_t)HEADERS > nats->max_payload;
}

static void pump(cre_broker *broker, uint32_t shard, cre__nats_lane *lane) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    const uint32_t most = nats->clustered ? 1 : AT_ONCE;
    while (lane->first && lane->unacknowledged < most && !is_large(nats, lane->first)) {
        cre__outgoing *message = lane->first;
        if (!store(broker, shard, message)) return;
        message->sent = true;
        lane->unacknowledged++;
        lane->first = message->waiting;
        if (!lane->first) lane->last = NULL;
    }
}

static void append(cre__nats_lane *lane, cre__outgoing *message) {
    message->waiting = NULL;
    if (lane->last)
        lane->last->waiting = message;
    else
        lane->first = message;
    lane->last = message;
}

static void prepend(cre__nats_lane *lane, cre__outgoing *message) {
    message->waiting = lane->first;
    lane->first = message;
    if (!lane->last) lane->last = message;
}

bool cre__nats_publish(cre_broker *broker, uint32_t shard, cre__outgoing *message) {
    if (!message->history.count) return publish_live(broker, shard, message);
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_stream *stream = cre__nats_stream_of(broker, shard, message->history);
    if (stream && !stream->lanes) {
        stream->lanes = cre__calloc(lanes_of(nats), sizeof *stream->lanes);
        if (!stream->lanes) cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
    }
    if (!stream || !stream->lanes) return false;
    cre__nats_lane *lane = lane_of(nats, stream, message);
    message->sent = false;
    append(lane, message);
    if (stream->state == CRE__STREAM_READY) pump(broker, shard, lane);
    stream->stuck = stream->stuck || stream->state == CRE__STREAM_REFUSED || is_large(nats, message);
    return message->sent;
}

/* Ends the first messages of a lane, all of them or those that are too large, but none that a callback
 * publishes. */
static void refuse_first(cre_broker *broker, uint32_t shard, cre__nats_lane *lane, bool all) {
    const cre__outgoing *last = lane->last;
    for (bool more = true; more && lane->first; more = more && lane->first) {
        cre__outgoing *message = lane->first;
        if (!all && !is_large(cre__nats(broker, shard), message)) return;
        more = message != last;
        lane->first = message->waiting;
        if (!lane->first) lane->last = NULL;
        if (all)
            finish(broker, shard, message, CRE_EBROKER_REFUSED);
        else
            refuse_large(broker, shard, message);
    }
}

void cre__nats_pump(cre_broker *broker, uint32_t shard, cre__nats_stream *stream) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    for (uint32_t i = 0; stream->lanes && i < lanes_of(nats) && !broker->links[shard].failure; i++) {
        refuse_first(broker, shard, &stream->lanes[i], false);
        pump(broker, shard, &stream->lanes[i]);
    }
}

void cre__nats_refuse_lanes(cre_broker *broker, uint32_t shard, cre__nats_stream *stream) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    for (uint32_t i = 0; stream->lanes && i < lanes_of(nats); i++)
        refuse_first(broker, shard, &stream->lanes[i], true);
}

/* The message was not stored, or nobody knows. It is sent again before all others of its lane; without lanes
 * of their own others may have been stored, so everything is sent again, on another connection. */
static void retry(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, cre__outgoing *message,
                  cre_slice text) {
    if (!cre__nats(broker, shard)->clustered) {
        cre__link_fail(broker, shard, CRE_EBROKER_REFUSED, text);
        return;
    }
    message->sent = false;
    prepend(lane_of(cre__nats(broker, shard), stream, message), message);
    cre__nats_stream_fail(broker, shard, stream, true, text);
}

void cre__nats_acknowledged(cre_broker *broker, uint32_t shard, cre__outgoing *message,
                            const cre_nats_event *event) {
    cre__nats_stream *stream = cre__nats_stream_of(broker, shard, message->history);
    cre__nats_lane *lane = lane_of(cre__nats(broker, shard), stream, message);
    cre__nats_error error;
    cre_broker_position position = { .epoch = stream->epoch };
    lane->unacknowledged--;
    if (!event) {
        retry(broker, shard, stream, message, cre__text("JetStream does not acknowledge messages"));
    } else if (cre__nats_error_of(event, &error)) {
        if (cre__nats_is_transient(&error)) {
            retry(broker, shard, stream, message, error.text);
        } else {
            cre__nats_refused(broker, shard, error.text);
            finish(broker, shard, message, CRE_EBROKER_REFUSED);
        }
    } else if (!cre__nats_acknowledgement(event, &position.offset)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    } else {
        cre__publish_finish(broker, shard, message, 0, position);
    }
    if (stream->state == CRE__STREAM_READY && !broker->links[shard].failure) {
        refuse_first(broker, shard, lane, false);
        pump(broker, shard, lane);
    }
}

/* ---- permissions ---- */

static bool deny_live(cre_broker *broker, uint32_t shard, cre_slice subject) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_subject bytes;
    for (size_t i = nats->live_first; i < nats->live_first + nats->live_used; i++) {
        cre__outgoing *message = nats->live[i].message;
        if (!message || message->too_large) continue;
        const cre_slice own = cre__nats_live_subject(broker, cre__outgoing_topic(message), &bytes);
        if (!cre__slice_equals(own, subject)) continue;
        nats->live[i].message = NULL;
        finish(broker, shard, message, CRE_EBROKER_REFUSED);
        return true;
    }
    return false;
}

static bool deny_kept(cre_broker *broker, uint32_t shard, cre_slice subject) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_subject bytes;
    for (uint32_t i = CRE__NATS_NONE; (i = cre__nats_next_request(nats, i)) != CRE__NATS_NONE;) {
        if (nats->requests[i].purpose != CRE__NATS_PUBLISH) continue;
        cre__outgoing *message = nats->requests[i].target;
        const cre_slice own =
            cre__nats_kept_subject(broker, cre__outgoing_topic(message), message->history, &bytes);
        if (!cre__slice_equals(own, subject)) continue;
        cre__nats_stream *stream = cre__nats_stream_of(broker, shard, message->history);
        cre__nats_lane *lane = lane_of(nats, stream, message);
        cre__nats_cancel(nats, CRE__NATS_PUBLISH, message);
        lane->unacknowledged--;
        finish(broker, shard, message, CRE_EBROKER_REFUSED);
        pump(broker, shard, lane);
        return true;
    }
    return false;
}

void cre__nats_publish_denied(cre_broker *broker, uint32_t shard, cre_slice subject) {
    cre__nats_link *nats = cre__nats(broker, shard);
    if (deny_live(broker, shard, subject) || deny_kept(broker, shard, subject)) return;
    cre__nats_presence_denied(broker, shard, subject);
    cre__nats_values_denied(broker, shard, subject);
    for (size_t i = 0; i < nats->stream_count; i++) {
        cre__nats_stream *stream = nats->streams[i];
        cre__nats_subject bytes;
        const cre_slice name = cre__nats_stream_name(broker, stream->history, &bytes);
        if (subject.length < name.length ||
            memcmp(subject.data + subject.length - name.length, name.data, name.length) != 0)
            continue;
        if (memmem(subject.data, subject.length, ".DIRECT.", 8)) {
            cre__nats_fetch_denied(nats, stream);
            continue;
        }
        while (cre__nats_cancel(nats, CRE__NATS_STREAM, stream)) {
        }
        cre__nats_stream_fail(broker, shard, stream, false, cre__text("not permitted by the server"));
    }
}
