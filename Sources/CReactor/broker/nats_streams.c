/*
 * The streams of JetStream in which messages of topics with history are stored: one for each history that a
 * topic may have, since a stream has one limit for all of its topics. A stream publishes what it has stored
 * to the subjects that subscribers get, with its sequence and the one before it of the same topic.
 *
 * In a cluster subscribers may miss messages: no server publishes what a new leader stored before it was
 * elected, and servers lose messages when a connection between them ends. The next message of the topic
 * reveals the gap, but it may come much later. So the leader of each stream is polled. After an election all
 * topics are checked, and again SETTLE_MS later; with each poll a few topics are checked, too.
 */
#include <stdio.h>

#include "broker/nats.h"
#include "core/memory.h"
#include "nats/json.h"

enum {
    MAX_STREAMS = 256,
    RETRY_MS = 250,
    SUSPECT_MS = 1000, /* between two questions about a stream that is READY */
    POLL_MS = 2000,
    SETTLE_MS = 5000,
    REPORTED = 8, /* failures in a row of something that may be available soon */
    WINDOW_SECONDS = 300
};

#define NANOSECONDS 1000000000ull

cre__nats_stream *cre__nats_stream_of(cre_broker *broker, uint32_t shard, cre_broker_history history) {
    cre__nats_link *nats = cre__nats(broker, shard);
    for (size_t i = 0; i < nats->stream_count; i++) {
        cre__nats_stream *stream = nats->streams[i];
        if (stream->history.count == history.count && stream->history.seconds == history.seconds)
            return stream;
    }
    cre__nats_stream *stream = NULL;
    int error = nats->stream_count < MAX_STREAMS ? CRE_ENOMEM : CRE_ELIMIT;
    if (error == CRE_ENOMEM && !nats->streams)
        nats->streams = cre__malloc(MAX_STREAMS * sizeof(cre__nats_stream *));
    if (error == CRE_ENOMEM && nats->streams) stream = cre__calloc(1, sizeof *stream);
    if (!stream) {
        cre__link_fail(broker, shard, error, (cre_slice){ 0 });
        return NULL;
    }
    stream->history = history;
    nats->streams[nats->stream_count++] = stream;
    return stream;
}

/* ---- requests ---- */

/* What a stream of that state is asked. */
static bool ask_in(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, cre__nats_stream_state state,
                   const char *verb, cre_slice payload) {
    cre__nats_subject name;
    stream->state = state;
    return cre__nats_ask_stream(broker, shard, verb, cre__nats_stream_name(broker, stream->history, &name),
                                payload, CRE__NATS_STREAM, stream);
}

static bool ask(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, const char *verb,
                cre_slice payload) {
    return ask_in(broker, shard, stream, CRE__STREAM_ASKED, verb, payload);
}

static uint64_t window_of(cre_broker_history history) {
    return history.seconds < WINDOW_SECONDS ? history.seconds : WINDOW_SECONDS;
}

/* One more message than the history has, after which all of it is known to be there. */
static void create(cre_broker *broker, uint32_t shard, cre__nats_stream *stream) {
    const cre_broker_history history = stream->history;
    char config[1024];
    const int length = snprintf(
        config, sizeof config,
        "{\"name\":\"%1$s-%2$u-%3$u\",\"subjects\":[\"%1$s.h.%2$u-%3$u.>\"],\"retention\":\"limits\","
        "\"storage\":\"file\",\"discard\":\"old\",\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,"
        "\"max_msg_size\":-1,\"max_msgs_per_subject\":%4$u,\"max_age\":%5$llu,\"duplicate_window\":%6$llu,"
        "\"num_replicas\":%7$u,\"allow_direct\":true,\"republish\":{\"src\":\"%1$s.h.%2$u-%3$u.>\",\"dest\":\"%1$s.l.>\"}}",
        broker->prefix, history.count, history.seconds, history.count + 1, history.seconds * NANOSECONDS,
        window_of(history) * NANOSECONDS, cre__nats_replicas(broker, shard));
    ask(broker, shard, stream, "STREAM.CREATE", (cre_slice){ (const uint8_t *)config, (size_t)length });
    stream->creating = true;
}

/* ---- replies ---- */

/* What of a stream is not as messages need it; NULL: nothing. */
static const char *difference(const cre_broker *broker, const cre__nats_stream *stream, cre_slice config) {
    const cre_broker_history history = stream->history;
    char kept[64 + CRE__MAX_PREFIX], live[16 + CRE__MAX_PREFIX];
    cre_slice republish, subjects, subject, value;
    uint64_t window;
    snprintf(kept, sizeof kept, "%s.h.%u-%u.>", broker->prefix, history.count, history.seconds);
    snprintf(live, sizeof live, "%s.l.>", broker->prefix);
    if (!cre__json_member(config, "subjects", &subjects) || !cre__json_next(&subjects, &subject) ||
        !cre__json_equals(subject, cre__text(kept)))
        return "subjects";
    if (!cre__json_has_number(config, "max_msgs_per_subject", history.count + 1))
        return "max_msgs_per_subject";
    if (!cre__json_has_number(config, "max_age", history.seconds * NANOSECONDS)) return "max_age";
    if (!cre__json_member(config, "duplicate_window", &value) || !cre__json_number(value, &window) ||
        window < window_of(history) * NANOSECONDS)
        return "duplicate_window";
    if (!cre__json_member(config, "republish", &republish) || !cre__json_has_text(republish, "src", kept) ||
        !cre__json_has_text(republish, "dest", live))
        return "republish";
    if (!cre__json_has_text(config, "retention", "limits")) return "retention";
    return cre__json_has_text(config, "discard", "old") ? NULL : "discard";
}

void cre__nats_stream_fail(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, bool transient,
                           cre_slice cause) {
    const uint64_t now = cre__nats(broker, shard)->now;
    const uint32_t pause = transient ? RETRY_MS : broker->config.max_backoff_ms;
    stream->state = transient ? CRE__STREAM_UNKNOWN : CRE__STREAM_REFUSED;
    stream->stuck = !transient;
    stream->polled = false;
    stream->due = now + pause;
    if (++stream->failures < REPORTED && transient) return;
    if (!stream->reported) {
        char text[256];
        cre__nats_subject bytes;
        const cre_slice name = cre__nats_stream_name(broker, stream->history, &bytes);
        snprintf(text, sizeof text, "cannot use topics with history: stream %.*s: %.*s", (int)name.length,
                 (const char *)name.data, (int)cause.length, (const char *)cause.data);
        stream->reported = true;
        cre__nats_refused(broker, shard, cre__text(text));
    }
    if (transient) return;
    stream->unchecked = true;
    cre__nats_fetch_end(broker, cre__nats(broker, shard), stream, true);
}

static uint64_t leader_of(cre_slice reply) {
    cre_slice cluster, value, name;
    const bool has_leader = cre__json_member(reply, "cluster", &cluster) &&
                            cre__json_member(cluster, "leader", &value) && cre__json_string(value, &name);
    return has_leader ? cre__shard_hash(name) : 0;
}

static void ready(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, cre_slice reply) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    cre_slice config, state, value, created;
    uint64_t last = 0;
    if (!cre__json_member(reply, "config", &config) || !cre__json_member(reply, "created", &value) ||
        !cre__json_string(value, &created) || !cre__json_member(reply, "state", &state) ||
        !cre__json_member(state, "last_seq", &value) || !cre__json_number(value, &last)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    const char *other = difference(broker, stream, config);
    if (other) {
        char text[96];
        snprintf(text, sizeof text, "it exists with a different %s", other);
        cre__nats_stream_fail(broker, shard, stream, false, cre__text(text));
        return;
    }
    const uint64_t leader = leader_of(reply), complete_at = stream->replied_at;
    const bool other_stream = stream->epoch != cre__nats_epoch_of(created) || stream->unchecked;
    const bool elected =
        nats->clustered && (stream->failures || !stream->replied_at || stream->leader != leader);
    if (stream->epoch != cre__nats_epoch_of(created)) {
        stream->passed = 0;
    } else if (stream->last > stream->passed && stream->replied_at + CRE__NATS_PASSING_MS <= nats->now) {
        stream->passed = stream->last;
    }
    stream->state = CRE__STREAM_READY;
    stream->reported = stream->suspect = stream->unchecked = false;
    stream->polled = stream->creating = false;
    stream->failures = 0;
    stream->due = nats->now + SUSPECT_MS;
    stream->poll = nats->now + POLL_MS;
    stream->last = last;
    stream->epoch = cre__nats_epoch_of(created);
    stream->direct = cre__json_member(config, "allow_direct", &value) && cre__json_is_true(value);
    stream->leader = leader;
    stream->replied_at = nats->now;
    uint64_t time;
    const bool has_time = !nats->clustered && cre__json_member(reply, "ts", &value) &&
                          cre__json_string(value, &value) && cre__json_time(value, &time);
    stream->clock = has_time ? time - nats->now : 0;
    stream->replies++;
    if (elected) stream->settled_at = nats->now + SETTLE_MS;
    if (other_stream || elected)
        cre__nats_check_all(broker, shard, stream, complete_at);
    else if (nats->clustered && !stream->settled_at)
        cre__nats_audit(broker, shard, stream);
    cre__nats_pump(broker, shard, stream);
}

void cre__nats_stream_replied(cre_broker *broker, uint32_t shard, cre__nats_stream *stream,
                              const cre_nats_event *event) {
    cre_slice cause;
    const cre__nats_finding found =
        cre__nats_find_stream(cre__nats(broker, shard), event, stream->creating, stream->failures, &cause);
    if (found == CRE__NATS_EXISTS)
        ready(broker, shard, stream, event->payload);
    else if (found == CRE__NATS_MISSING)
        create(broker, shard, stream);
    else
        cre__nats_stream_fail(broker, shard, stream, found == CRE__NATS_RETRY, cause);
}

/* ---- time ---- */

/* A stream that is READY. Returns when something is due again. */
static uint64_t watch(cre_broker *broker, uint32_t shard, cre__nats_stream *stream) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    if (!nats->clustered) return UINT64_MAX;
    if (stream->settled_at && stream->settled_at <= nats->now) {
        stream->settled_at = 0;
        cre__nats_check_all(broker, shard, stream, nats->now);
    }
    if (!stream->polled && stream->poll <= nats->now) {
        stream->polled = true;
        ask_in(broker, shard, stream, CRE__STREAM_READY, "STREAM.INFO", (cre_slice){ 0 });
    }
    const uint64_t poll = stream->polled ? UINT64_MAX : stream->poll; /* its deadline is that of a request */
    return stream->settled_at && stream->settled_at < poll ? stream->settled_at : poll;
}

uint64_t cre__nats_stream_tick(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < nats->stream_count && !broker->links[shard].failure; i++) {
        cre__nats_stream *stream = nats->streams[i];
        if (stream->stuck) {
            stream->stuck = false;
            if (stream->state == CRE__STREAM_REFUSED)
                cre__nats_refuse_lanes(broker, shard, stream);
            else if (stream->state == CRE__STREAM_READY)
                cre__nats_pump(broker, shard, stream);
        }
        const uint64_t watched =
            stream->state == CRE__STREAM_READY ? watch(broker, shard, stream) : UINT64_MAX;
        if (watched < next) next = watched;
        const bool asks = stream->state == CRE__STREAM_UNKNOWN || stream->state == CRE__STREAM_REFUSED ||
                          (stream->state == CRE__STREAM_READY && stream->suspect);
        if (!asks) continue;
        if (stream->due > nats->now) {
            if (stream->due < next) next = stream->due;
            continue;
        }
        stream->creating = false;
        stream->due = nats->now + broker->config.timeout_ms;
        /* messages go on meanwhile */
        const bool is_ready = nats->clustered && stream->state == CRE__STREAM_READY;
        stream->polled = is_ready;
        ask_in(broker, shard, stream, is_ready ? CRE__STREAM_READY : CRE__STREAM_ASKED, "STREAM.INFO",
               (cre_slice){ 0 });
    }
    return next;
}
