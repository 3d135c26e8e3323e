/* The connection of a shard: attempts, time, and what all protocols have in common. */
#include "broker_internal.h"

void cre__link_fail(cre_broker *broker, uint32_t shard, int error, cre_slice text) {
    cre__link *link = &broker->links[shard];
    if (link->failure || link->state < CRE__LINK_CONNECTING) return;
    link->failure = error;
    const size_t most = sizeof link->failure_text - 1, length = text.length < most ? text.length : most;
    if (length) memcpy(link->failure_text, text.data, length);
    link->failure_text[length] = 0;
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

/* Ends the connection. `closed`: the caller knows that it has ended. */
static void end(cre_broker *broker, uint32_t shard, bool closed, uint64_t now) {
    cre__link *link = &broker->links[shard];
    void *session = link->session;
    const int error = link->failure;
    char text[sizeof link->failure_text];
    memcpy(text, link->failure_text, sizeof text);
    link->session = NULL;
    link->state = CRE__LINK_WAITING;
    link->failure = 0;
    link->failure_text[0] = 0;
    link->due = now + backoff(broker, link);
    link->presence.ready = link->presence.retiring = false;
    if (!closed) broker->handlers.disconnect(broker->context, shard);
    broker->handlers.state(broker->context, shard, CRE_BROKER_LOST, error, cre__text(text));
    if (!session) return;
    broker->kind->close(broker, shard, session, true);
    cre__publish_disconnected(broker, shard);
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

void cre_broker_connected(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (link->state != CRE__LINK_CONNECTING || link->failure) return;
    link->state = CRE__LINK_GREETING;
    link->due = now + broker->config.timeout_ms;
    broker->kind->open(broker, shard);
}

void cre__link_resume(cre_broker *broker, uint32_t shard, uint64_t now) {
    cre__link *link = &broker->links[shard];
    link->state = CRE__LINK_RESUMING;
    link->probing = false;
    link->due = now + broker->config.probe_ms;
}

void cre__link_ready(cre_broker *broker, uint32_t shard) {
    cre__link *link = &broker->links[shard];
    link->state = CRE__LINK_READY;
    link->attempts = 0;
    broker->handlers.state(broker->context, shard, CRE_BROKER_CONNECTED, 0, (cre_slice){ 0 });
}

/* ---- input ---- */

void cre_broker_received(cre_broker *broker, uint32_t shard, const uint8_t *data, size_t length,
                         uint64_t now) {
    cre__link *link = &broker->links[shard];
    if (!link->session || link->failure) return;
    link->inside = link->is_timed = true;
    broker->kind->received(broker, shard, data, length, now);
    link->inside = link->is_timed = false;
    end_if_failed(broker, shard, now);
}

int cre_broker_recover(cre_broker *broker, cre_slice topic, cre_broker_history history,
                       cre_broker_position since, uint64_t tag) {
    if (!topic.length || topic.length > CRE_BROKER_MAX_TOPIC) return CRE_EINVALID;
    if (!history.count || !cre__history_is_valid(history)) return CRE_EINVALID;
    if (!broker->kind->recover) return CRE_EBROKER_UNSUPPORTED;
    const uint32_t shard = cre_broker_shard(broker, topic);
    if (!cre__link_is_usable(&broker->links[shard])) return CRE_EBROKER_UNAVAILABLE;
    return broker->kind->recover(broker, shard, topic, history, since, tag) ? 0 : CRE_EBROKER_UNAVAILABLE;
}

/* ---- time ---- */

void cre__link_alive(cre_broker *broker, uint32_t shard, uint64_t now) {
    broker->links[shard].probing = false;
    broker->links[shard].due = now + broker->config.probe_ms;
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
        link->probing = true;
        link->due = now + broker->config.probe_ms;
        broker->kind->probe(broker, shard);
    }
}

uint64_t cre_broker_tick(cre_broker *broker, uint64_t now) {
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        end_if_failed(broker, i, now);
        broker->links[i].is_timed = true;
        if (broker->links[i].due <= now) due(broker, i, now);
        if (broker->links[i].session && broker->kind->tick) {
            const uint64_t session = broker->kind->tick(broker, i, now);
            if (session < next) next = session;
        }
        end_if_failed(broker, i, now);
        if (broker->links[i].due < next) next = broker->links[i].due;
        const uint64_t presence = cre__presence_tick(broker, i, now);
        if (presence < next) next = presence;
        broker->links[i].is_timed = false;
    }
    return next;
}

/* ---- output ---- */

cre_slice cre_broker_output(const cre_broker *broker, uint32_t shard) {
    const cre__link *link = &broker->links[shard];
    return link->session ? broker->kind->output(link->session) : (cre_slice){ 0 };
}

void cre_broker_sent(cre_broker *broker, uint32_t shard, size_t length) {
    void *session = broker->links[shard].session;
    if (session) broker->kind->sent(session, length);
}

bool cre_broker_is_connected(const cre_broker *broker, uint32_t shard) {
    return broker->links[shard].state == CRE__LINK_READY && !broker->links[shard].failure;
}
