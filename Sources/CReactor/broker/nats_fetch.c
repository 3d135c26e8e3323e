/*
 * Reads from a stream what a topic's history has after a position: one message after the other, from the
 * leader of the stream, until there is none.
 *
 * Sequences have gaps, since a stream has many topics. Whether messages after the position were deleted shows
 * in one of two ways: the message of the position is still there, and the stream deletes the oldest ones of a
 * topic first; or nothing was missing less than the age of the history ago, and no more messages were found
 * than it has. In the first case, without the second one, the message of the position has to be found again
 * behind the last one, since those in between may be deleted before they are read.
 *
 * Each server of a stream deletes what is too old by its own clock, and may not have the last messages yet.
 * So what one server has says nothing about the others: after a pause, in which there may have been an
 * election, the leader is asked for the message of the position again.
 *
 * A recovery first asks any server of the stream, directly. Nobody else needs to be there for that, while the
 * leader answers only if the cluster has elected leaders of the stream and of all streams. One batch must
 * have everything, since another server may reply to a second question: the message of the position is the
 * first, as many follow as there were then, none is left, and the last one is that of the position of the
 * topic here, behind which live messages follow. Otherwise the leader is asked, from the beginning. Servers
 * before 2.12 are not asked: those before 2.11 do not know batches, and 2.11 counts a message as one behind
 * itself and stores others while it sends a batch.
 *
 * Messages that arrive during a fetch are buffered, since the fetch of a busy topic would never end without
 * that: it ends when it has read everything before the first buffered message.
 *
 * The reply of a leader may overtake messages that it has published before. So the last message of a topic
 * that is new here is its position only when that message has come, one behind it, or none in
 * CRE__NATS_PASSING_MS: whoever gets messages takes those up to the position for known.
 *
 * A leader that was just elected may answer before it has read all messages that it has. So what is missing
 * in a cluster is asked for again for some seconds before it is reported as lost.
 */
#include <stdio.h>

#include "broker/nats.h"
#include "nats/json.h"

enum {
    AT_ONCE = 64, /* of each kind */
    SWEEP_MS = 50,
    RECOVERY_MS = 15000, /* longer than elections */
    QUIET_MS = 60000,    /* more than clocks differ after some weeks */
    RETRY_MS = 250,
    RETRY_TIMEOUT_MS = 5000,
    BATCH = 1 + 1024,       /* messages, with that of the position, and... */
    BATCH_BYTES = 256 << 10 /* ...bytes, and the message that has the last of them */
};

/* ---- results ---- */

static void end_check(cre_broker *broker, cre__nats_fetch *fetch, uint64_t sequence) {
    cre__broker_topic *topic = fetch->topic;
    const cre_broker_position position = { fetch->stream->epoch, sequence };
    if (topic->removed) return;
    if (fetch->incomplete) {
        const bool missed = topic->announced > sequence;
        topic->announced = 0;
        topic->delivered = sequence;
        cre__topic_lose(broker, topic, position);
        if (missed && !topic->removed) cre__nats_check(broker, topic, fetch->stream);
    } else if (fetch->asks_last) {
        if (topic->position.epoch) return; /* a message was first */
        topic->position = position;
        if (topic->delivered) topic->position.offset = topic->delivered; /* before the stream was known */
        if (topic->position.offset < sequence)                           /* not all of them */
            cre__nats_check(broker, topic, fetch->stream);
        else
            broker->handlers.subscribed(broker->context, cre__topic_name(topic), topic->position);
    } else {
        topic->announced = 0;
        topic->refilling = false;
    }
}

static void deliver(cre_broker *broker, cre__nats_fetch *fetch, cre_slice payload, uint64_t sequence) {
    cre__broker_topic *topic = fetch->topic;
    topic->position = (cre_broker_position){ fetch->stream->epoch, sequence };
    topic->delivered = sequence;
    cre__topic_deliver(broker, topic, payload, topic->position);
}

static void deliver_items(cre_broker *broker, cre__nats_link *nats, cre__nats_fetch *fetch) {
    for (const cre__nats_item *item = fetch->items; item && !fetch->topic->removed; item = item->next)
        deliver(broker, fetch, (cre_slice){ item->payload, item->length }, item->sequence);
    cre__nats_fetch_forget(nats, fetch);
}

static void end_recovery(cre_broker *broker, cre__nats_fetch *fetch, uint64_t sequence) {
    const cre_broker_handlers *handlers = &broker->handlers;
    const uint64_t epoch = fetch->direct ? fetch->since.epoch : fetch->stream->epoch;
    const cre_broker_position position = { epoch, sequence };
    for (const cre__nats_item *item = fetch->incomplete ? NULL : fetch->items; item; item = item->next)
        handlers->missed(broker->context, fetch->tag, (cre_slice){ item->payload, item->length },
                         (cre_broker_position){ position.epoch, item->sequence });
    handlers->recovered(broker->context, fetch->tag, fetch->incomplete ? CRE_EBROKER_GAP : 0, position);
}

static void complete(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch, uint64_t sequence) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_fetch_leave(fetch);
    if (fetch->topic)
        end_check(broker, fetch, sequence);
    else
        end_recovery(broker, fetch, sequence);
    cre__nats_fetch_free(nats, fetch);
}

/* The position that the leader has named is that of the topic, unless a message was first. */
static void settle(cre_broker *broker, cre__nats_fetch *fetch, bool reports) {
    cre__broker_topic *topic = fetch->topic;
    fetch->settles = false;
    if (!topic->unsettled) return;
    topic->unsettled = false;
    if (topic->removed || !reports) return;
    broker->handlers.subscribed(broker->context, cre__topic_name(topic), topic->position);
}

/* It cannot go on, since the connection has ended or (`refused`) its stream is not available. */
static void abandon(cre_broker *broker, cre__nats_link *nats, cre__nats_fetch *fetch, bool refused,
                    bool reports) {
    cre__broker_topic *topic = fetch->topic;
    cre__nats_fetch_leave(fetch);
    if (refused) cre__nats_cancel(nats, CRE__NATS_FETCH, fetch);
    if (!topic && reports)
        broker->handlers.recovered(broker->context, fetch->tag, CRE_EBROKER_UNAVAILABLE,
                                   (cre_broker_position){ 0 });
    if (fetch->settles) settle(broker, fetch, reports);
    if (topic && refused && topic->refilling && !topic->removed)
        cre__topic_lose(broker, topic, (cre_broker_position){ 0 });
    cre__nats_fetch_free(nats, fetch);
}

void cre__nats_fetch_end(cre_broker *broker, cre__nats_link *nats, const cre__nats_stream *stream,
                         bool reports) {
    for (int i = 0; i <= 2 * CRE__NATS_FETCH_KINDS; i++) {
        const cre__nats_list *list = i == 2 * CRE__NATS_FETCH_KINDS ? &nats->paused
                                     : i % 2                        ? &nats->fetches[i / 2].active
                                                                    : &nats->fetches[i / 2].waiting;
        for (cre__nats_fetch *fetch = list->first, *next; fetch; fetch = next) {
            next = fetch->next;
            if (!stream || fetch->stream == stream) abandon(broker, nats, fetch, stream != NULL, reports);
        }
    }
}

/* ---- messages that arrive meanwhile ---- */

/* Whether no message is missing between the last message read and the first buffered one. */
static bool reaches_buffered(const cre__nats_fetch *fetch) {
    return fetch->buffered && fetch->before_buffered <= fetch->last;
}

static void deliver_buffered(cre_broker *broker, cre__nats_link *nats, cre__nats_fetch *fetch) {
    for (const cre__nats_item *item = fetch->buffered; item && !fetch->topic->removed; item = item->next) {
        if (item->sequence <= fetch->last) continue;
        deliver(broker, fetch, (cre_slice){ item->payload, item->length }, item->sequence);
    }
    if (fetch->last_buffered > fetch->last) fetch->last = fetch->last_buffered;
    cre__nats_fetch_unbuffer(nats, fetch);
}

/* ---- questions ---- */

static void ask(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    enum { FIRST = 1 };
    char request[CRE__NATS_SUBJECT + 64];
    cre__nats_subject kept_bytes, name_bytes;
    const cre_broker_history history = fetch->stream->history;
    const cre_slice topic = { fetch->name, fetch->length };
    const cre_slice kept = cre__nats_kept_subject(broker, topic, history, &kept_bytes);
    const cre_slice name = cre__nats_stream_name(broker, history, &name_bytes);
    const bool goes_on = (fetch->anchored || fetch->count) && !fetch->confirms;
    const uint64_t from = goes_on ? fetch->last + 1 : fetch->since.offset ? fetch->since.offset : FIRST;
    if (!fetch->direct && fetch->since.epoch && fetch->since.epoch != fetch->stream->epoch)
        fetch->incomplete = true;
    if (fetch->incomplete) fetch->asks_last = true;
    if (fetch->topic) fetch->topic->arrived = 0;
    if (fetch->asks_last) {
        cre__nats_ask_last(broker, shard, name, kept, CRE__NATS_FETCH, fetch);
        return;
    }
    const int length = snprintf(request, sizeof request, "{\"seq\":%llu,\"next_by_subj\":\"%.*s\"",
                                (unsigned long long)from, (int)kept.length, (const char *)kept.data);
    snprintf(request + length, sizeof request - (size_t)length,
             fetch->direct ? ",\"batch\":%d,\"max_bytes\":%d}" : "}", BATCH, BATCH_BYTES);
    cre__nats_ask_stream(broker, shard, fetch->direct ? "DIRECT.GET" : "STREAM.MSG.GET", name,
                         cre__text(request), CRE__NATS_FETCH, fetch);
}

/* Everything up to the position of the topic is delivered. */
static void rebase(cre__nats_fetch *fetch) {
    if (fetch->topic && fetch->anchored) fetch->since.offset = fetch->topic->position.offset;
}

/* Forgets what it has read and not delivered. */
static void start_over(cre__nats_link *nats, cre__nats_fetch *fetch) {
    rebase(fetch);
    cre__nats_fetch_forget(nats, fetch);
    fetch->last = fetch->since.offset;
    fetch->anchored = fetch->confirms = false;
}

/* Asks again later. Those that do so keep no others waiting. */
static void retry(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_fetch_pause(nats, fetch, nats->now + RETRY_MS);
}

/* Asks the leader, from the beginning, as soon as there is one. */
static void wait_for_leader(cre__nats_link *nats, cre__nats_fetch *fetch) {
    start_over(nats, fetch);
    fetch->deadline = 0; /* a new leader gets time of its own */
    fetch->asked_again = false;
    cre__nats_fetch_wait(nats, fetch);
}

void cre__nats_fetch_denied(cre__nats_link *nats, cre__nats_stream *stream) {
    stream->leader_only = true;
    for (cre__nats_fetch *fetch = nats->fetches[CRE__NATS_DIRECT].active.first, *next; fetch; fetch = next) {
        next = fetch->next;
        if (fetch->stream != stream) continue;
        cre__nats_cancel(nats, CRE__NATS_FETCH, fetch);
        wait_for_leader(nats, fetch);
    }
}

/* Not all messages can be had: asks for the position after which messages follow again. */
static void fall_back(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    cre__nats_fetch_forget(cre__nats(broker, shard), fetch);
    fetch->incomplete = true;
    ask(broker, shard, fetch);
}

/* ---- replies ---- */

/* Whether what is missing has not become too old. */
static bool is_recent(const cre_broker *broker, const cre__nats_fetch *fetch) {
    const cre__broker_topic *topic = fetch->topic;
    const uint64_t age = fetch->stream->history.seconds * 1000ull;
    return topic && cre__nats(broker, topic->shard)->now - topic->complete_at < age;
}

/* A message of the topic. Returns whether the fetch goes on. */
static bool take(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch, cre_slice data,
                 uint64_t sequence) {
    cre__nats_link *nats = cre__nats(broker, shard);
    const bool first = !fetch->anchored && !fetch->count;
    if (first && sequence == fetch->since.offset) {
        fetch->anchored = true;
        return true;
    }
    /* more than the history has since the last reply, so it may have deleted some */
    if (fetch->topic && fetch->topic->arrived > fetch->stream->history.count) return false;
    if (!cre__nats_keep(broker, nats, fetch, data, sequence)) return false;
    fetch->last = sequence;
    if (fetch->anchored && is_recent(broker, fetch)) deliver_items(broker, nats, fetch);
    return true;
}

/* Everything up to the last message that was read is known. */
static void succeed(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    cre__nats_link *nats = cre__nats(broker, shard);
    if (fetch->topic) deliver_items(broker, nats, fetch);
    if (fetch->topic && reaches_buffered(fetch)) deliver_buffered(broker, nats, fetch);
    complete(broker, shard, fetch, fetch->last);
}

/* Whether to retry, since the leader may have the missing messages before the deadline. The stream is polled;
 * if no message has announced the missing ones, the reply of its leader may end the retries. */
static bool may_retry(const cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch, bool announced) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_stream *stream = fetch->stream;
    if (!nats->clustered) return false;
    if (!fetch->deadline) {
        fetch->deadline = nats->now + RETRY_TIMEOUT_MS;
        fetch->replies = stream->replies;
        stream->poll = nats->now;
    }
    const bool confirmed = stream->replies != fetch->replies;
    if (!announced && confirmed && !stream->settled_at && fetch->since.offset <= stream->last) return false;
    return nats->now < fetch->deadline;
}

/* Whether everything between the position and what was read is known. */
static bool is_based(const cre_broker *broker, const cre__nats_fetch *fetch) {
    return fetch->anchored || is_recent(broker, fetch);
}

/* The topic whose live messages follow those that are read; NULL: it has no position here, or in another
 * stream. While the stream is not known, it is taken for the one of the position: another one in its place
 * would have to have messages of the topic at both ends of what is read. */
static const cre__broker_topic *live_topic(const cre_broker *broker, const cre__nats_fetch *fetch) {
    const cre__broker_topic *topic = cre__broker_find(broker, (cre_slice){ fetch->name, fetch->length });
    const uint64_t epoch = fetch->since.epoch;
    const bool same = topic && topic->position.epoch == epoch && !topic->unsettled &&
                      (!fetch->stream->epoch || fetch->stream->epoch == epoch);
    return same ? topic : NULL;
}

/* Whether live messages follow the last one that was read. The reply may come before live messages that the
 * server had, so its last one must be the very one that was delivered last. */
static bool is_current(const cre_broker *broker, const cre__nats_fetch *fetch) {
    const cre__broker_topic *topic = live_topic(broker, fetch);
    return fetch->anchored && topic && topic->position.offset == fetch->last;
}

/* The leader does not have the message of the position. If it has just been elected, it may still read it. */
static void miss_position(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    if (may_retry(broker, shard, fetch, false))
        retry(broker, shard, fetch);
    else
        fall_back(broker, shard, fetch);
}

/* Everything is read. What follows the message of the position may have become too old meanwhile, as long as
 * that is not found again. */
static void conclude(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    const bool none = !fetch->topic && !fetch->count && is_current(broker, fetch);
    if (none || is_recent(broker, fetch)) {
        succeed(broker, shard, fetch);
    } else {
        rebase(fetch);
        fetch->confirms = true;
        ask(broker, shard, fetch);
    }
}

/* There is no further message. */
static void finish(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    const cre__broker_topic *topic = fetch->topic;
    const bool based = is_based(broker, fetch) && !fetch->confirms;
    const bool announced = topic && topic->announced > fetch->last;
    if (!based && !announced) {
        miss_position(broker, shard, fetch);
    } else if (based && topic && reaches_buffered(fetch)) {
        conclude(broker, shard, fetch);
    } else if (announced && may_retry(broker, shard, fetch, true)) {
        retry(broker, shard, fetch);
    } else if (announced && fetch->asked_again) {
        fall_back(broker, shard, fetch);
    } else if (announced) {
        fetch->asked_again = true;
        ask(broker, shard, fetch);
    } else {
        conclude(broker, shard, fetch);
    }
}

/* When the messages up to this one have passed. */
static uint64_t passing(const cre__nats_link *nats, const cre__nats_stream *stream,
                        const cre__nats_stored *message) {
    uint64_t time;
    const bool is_quiet = stream->clock && cre__json_time(message->time, &time) &&
                          time + QUIET_MS <= stream->clock + nats->now; /* modulo 2^64 */
    if (is_quiet || message->sequence <= stream->passed) return nats->now;
    return (message->sequence <= stream->last ? stream->replied_at : nats->now) + CRE__NATS_PASSING_MS;
}

/* The last message. */
static void found_last(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch,
                       const cre__nats_stored *message) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_stream *stream = fetch->stream;
    cre__broker_topic *topic = fetch->topic;
    const uint64_t due = passing(nats, stream, message);
    const bool begins = topic && !fetch->incomplete && !topic->position.epoch && !topic->delivered;
    if (!begins || due <= nats->now) {
        complete(broker, shard, fetch, message->sequence);
        return;
    }
    topic->position = (cre_broker_position){ stream->epoch, message->sequence };
    topic->unsettled = fetch->settles = true;
    fetch->replies = stream->replies;
    cre__nats_fetch_pause(nats, fetch, due);
}

static void found(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch, const cre_nats_event *event) {
    cre__nats_stored stored;
    const bool first = (!fetch->anchored && !fetch->count) || fetch->confirms;
    const uint64_t least = fetch->asks_last ? 1 : first ? fetch->since.offset : fetch->last + 1;
    if (!cre__nats_stored_of(event, &stored) || stored.sequence < least) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
    } else if (fetch->asks_last) {
        found_last(broker, shard, fetch, &stored);
    } else if (first && stored.sequence != fetch->since.offset &&
               (fetch->confirms || !is_based(broker, fetch))) {
        miss_position(broker, shard, fetch); /* what follows is not read in vain, each time it retries */
    } else if (fetch->confirms && fetch->topic && fetch->topic->announced > fetch->last &&
               !reaches_buffered(fetch)) {
        fetch->confirms = false; /* there are more messages meanwhile */
        ask(broker, shard, fetch);
    } else if (fetch->confirms) {
        succeed(broker, shard, fetch);
    } else if (fetch->topic && is_based(broker, fetch) && reaches_buffered(fetch)) {
        conclude(broker, shard, fetch); /* whatever the stream has deleted meanwhile */
    } else if (take(broker, shard, fetch, stored.data, stored.sequence)) {
        if (fetch->topic && stored.sequence > fetch->reached) {
            fetch->reached = stored.sequence;
            fetch->asked_again = false;
            fetch->deadline = 0;
        }
        if (fetch->topic && is_based(broker, fetch) && reaches_buffered(fetch))
            conclude(broker, shard, fetch);
        else
            ask(broker, shard, fetch);
    } else {
        fall_back(broker, shard, fetch);
    }
}

/* ---- replies of any server ---- */

/* A message of a batch. */
static void found_directly(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch,
                           const cre_nats_event *event) {
    cre__nats_link *nats = cre__nats(broker, shard);
    uint64_t sequence;
    if (!cre__nats_number(event->headers, "Nats-Sequence", &sequence) || !sequence ||
        (fetch->anchored && sequence <= fetch->last)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    const bool based = fetch->anchored || sequence == fetch->since.offset;
    if (!fetch->anchored && !cre__nats_number(event->headers, "Nats-Num-Pending", &fetch->following))
        fetch->following = UINT64_MAX; /* the leader has to say */
    if (based && take(broker, shard, fetch, event->payload, sequence)) return;
    cre__nats_cancel(nats, CRE__NATS_FETCH, fetch);
    fetch->incomplete = based; /* they are too many */
    wait_for_leader(nats, fetch);
}

static void server_replied(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch,
                           const cre_nats_event *event) {
    enum { END_OF_BATCH = 204 };
    cre__nats_link *nats = cre__nats(broker, shard);
    uint64_t left;
    if (event && cre__nats_more_follow(event)) {
        found_directly(broker, shard, fetch, event);
    } else if (event && event->status == END_OF_BATCH &&
               cre__nats_number(event->headers, "Nats-Num-Pending", &left) && !left &&
               fetch->count == fetch->following && is_current(broker, fetch)) {
        complete(broker, shard, fetch, fetch->last);
    } else if (!event && !fetch->asked_again) { /* from a server that has just died: the next one */
        fetch->asked_again = true;
        start_over(nats, fetch);
        ask(broker, shard, fetch);
    } else {
        if (event && !event->status) fetch->stream->leader_only = true; /* it does not know batches */
        wait_for_leader(nats, fetch);
    }
}

void cre__nats_fetch_replied(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch,
                             const cre_nats_event *event) {
    enum { NO_MESSAGE = 10037 };
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_error error;
    if (fetch->topic && fetch->topic->removed) {
        cre__nats_fetch_leave(fetch);
        cre__nats_fetch_free(nats, fetch);
    } else if (fetch->direct) {
        server_replied(broker, shard, fetch, event);
    } else if (event && !cre__nats_error_of(event, &error)) {
        found(broker, shard, fetch, event);
    } else if (event && error.kind == NO_MESSAGE) {
        if (fetch->asks_last)
            complete(broker, shard, fetch, 0);
        else
            finish(broker, shard, fetch);
    } else { /* no leader, or the stream is gone */
        retry(broker, shard, fetch);
        fetch->stream->suspect = true;
    }
}

/* ---- time ---- */

/* Starts those that ask any server, even if no leader has said since the connection began which stream it is.
 */
static void start_direct(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_fetches *fetches = &nats->fetches[CRE__NATS_DIRECT];
    for (cre__nats_fetch *fetch = fetches->waiting.first, *next; fetch && fetches->active.count < AT_ONCE;
         fetch = next) {
        const cre__nats_stream *stream = fetch->stream;
        next = fetch->next;
        const bool allowed = nats->batches && !stream->leader_only && (!stream->epoch || stream->direct);
        if (!allowed || !live_topic(broker, fetch)) {
            wait_for_leader(nats, fetch);
        } else if (stream->epoch || stream->failures) {
            cre__nats_fetch_start(nats, fetch);
            ask(broker, shard, fetch);
        }
    }
}

/* Whether a topic is being checked, so that its position is not yet that of a recovery which asks now. */
static bool is_early(const cre_broker *broker, const cre__nats_fetch *fetch) {
    if (fetch->topic) return false;
    const cre__broker_topic *topic = cre__broker_find(broker, (cre_slice){ fetch->name, fetch->length });
    return topic && topic->checks && (topic->refilling || topic->unsettled || !topic->position.epoch);
}

static void start(cre_broker *broker, uint32_t shard, cre__nats_fetch_kind kind) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_fetches *fetches = &nats->fetches[kind];
    for (cre__nats_fetch *fetch = fetches->waiting.first, *next; fetch && fetches->active.count < AT_ONCE;
         fetch = next) {
        next = fetch->next;
        if (fetch->stream->state != CRE__STREAM_READY) continue;
        if (is_early(broker, fetch)) {
            cre__nats_fetch_pause(nats, fetch, nats->now);
            continue;
        }
        cre__nats_fetch_start(nats, fetch);
        ask(broker, shard, fetch);
    }
}

/* The end of the check of a topic that is new here. */
static void end_settling(cre_broker *broker, cre__nats_fetch *fetch) {
    cre__broker_topic *topic = fetch->topic;
    cre__nats_stream *stream = fetch->stream;
    settle(broker, fetch, true);
    cre__nats_fetch_leave(fetch);
    /* what the stream has said meanwhile was not compared with the topic */
    if (!topic->removed && stream->replies != fetch->replies) cre__nats_check(broker, topic, stream);
    cre__nats_fetch_free(cre__nats(broker, topic->shard), fetch);
}

/* Whether a recovery without a request has taken too long. It has ended then. */
static bool give_up(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch) {
    cre__nats_link *nats = cre__nats(broker, shard);
    if (!fetch->expires) fetch->expires = nats->now + RECOVERY_MS;
    if (fetch->topic || fetch->expires > nats->now) return false;
    const uint64_t tag = fetch->tag;
    cre__nats_fetch_leave(fetch);
    cre__nats_fetch_free(nats, fetch);
    broker->handlers.recovered(broker->context, tag, CRE_EBROKER_SILENT, (cre_broker_position){ 0 });
    return true;
}

/* Looks at those that pause, and at recoveries that wait. */
static void sweep(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    if (nats->now < nats->sweep) return;
    nats->sweep = nats->now + SWEEP_MS;
    for (int kind = CRE__NATS_RECOVERIES; kind <= CRE__NATS_DIRECT; kind++) {
        for (cre__nats_fetch *fetch = nats->fetches[kind].waiting.first, *next; fetch; fetch = next) {
            next = fetch->next;
            give_up(broker, shard, fetch);
        }
    }
    for (cre__nats_fetch *fetch = nats->paused.first, *next; fetch; fetch = next) {
        next = fetch->next;
        if (give_up(broker, shard, fetch)) continue;
        if (fetch->settles) {
            const bool passed = fetch->topic->position.offset <= fetch->stream->passed;
            if (passed || fetch->due <= nats->now) end_settling(broker, fetch);
        } else if (fetch->stream->state != CRE__STREAM_READY) {
            wait_for_leader(nats, fetch);
        } else if (fetch->due <= nats->now) {
            start_over(nats, fetch);
            cre__nats_fetch_wait(nats, fetch);
        }
    }
}

uint64_t cre__nats_fetch_tick(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    start_direct(broker, shard);
    sweep(broker, shard);
    start(broker, shard, CRE__NATS_CHECKS);
    start(broker, shard, CRE__NATS_RECOVERIES);
    const uint32_t swept = nats->paused.count + nats->fetches[CRE__NATS_RECOVERIES].waiting.count +
                           nats->fetches[CRE__NATS_DIRECT].waiting.count;
    return swept ? nats->sweep : UINT64_MAX;
}
