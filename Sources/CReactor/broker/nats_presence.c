/*
 * The two streams for members of topics at servers of NATS, the lease of this machine, and the choice of the
 * machine that removes members of others that have crashed: of those alive the one with the lowest session.
 * Two machines may believe for a moment that they are that one, which is harmless: each removal is done once.
 */
#include "broker/nats_presence.h"

#include <stdio.h>

#include "broker/nats_buckets.h"
#include "core/memory.h"

enum { RETRY_MS = 250, SCAN_SWEEPS = 40 };

static cre__nats_presence *of(const cre_broker *broker, uint32_t shard) {
    return &cre__nats(broker, shard)->presence;
}

/* Not reported while the gateway itself is the only member and no list was requested. */
void cre__nats_presence_report(cre_broker *broker, uint32_t shard, cre_slice cause) {
    cre__nats_presence *presence = of(broker, shard);
    char text[256];
    if (presence->reported || (!presence->asked && broker->presence.count < 2)) return;
    presence->reported = true;
    snprintf(text, sizeof text, "cannot use members of topics: %.*s", (int)cause.length,
             (const char *)cause.data);
    cre__nats_refused(broker, shard, cre__text(text));
}

/* ---- the streams ---- */

static void failed(cre_broker *broker, uint32_t shard, cre_slice cause) {
    cre__nats_presence_report(broker, shard, cause);
    cre__nats_readings_fail(broker, shard);
}

/* A new stream of leases has none of this machine. */
static void leases_ready(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, bool is_new,
                         cre_slice config, uint64_t epoch) {
    (void)bucket, (void)config, (void)epoch;
    if (is_new) of(broker, shard)->lease_due = cre__nats(broker, shard)->now | 1;
}

static void members_ready(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, bool is_new,
                          cre_slice config, uint64_t epoch) {
    const bool is_other = epoch != broker->presence.epoch;
    if (is_other) broker->presence.lease = 0; /* all members are sent */
    broker->presence.epoch = epoch;
    leases_ready(broker, shard, bucket, is_new || is_other, config, epoch);
}

static const cre__nats_bucket_kind members_kind = {
    .name = "members", .token = "p", .is_timed = true, .ready = members_ready, .failed = failed
};
static const cre__nats_bucket_kind leases_kind = {
    .name = "leases", .token = "n", .is_timed = true, .expires = true, .ready = leases_ready, .failed = failed
};

cre_slice cre__nats_members_stream(const cre_broker *broker, cre__nats_subject *out) {
    return cre__nats_bucket_name(broker, &members_kind, out);
}

static cre_slice leases_stream(const cre_broker *broker, cre__nats_subject *out) {
    return cre__nats_bucket_name(broker, &leases_kind, out);
}

void cre__nats_presence_open(cre__nats_presence *presence) {
    presence->members.kind = &members_kind;
    presence->leases.kind = &leases_kind;
}

void cre__nats_presence_verify(cre_broker *broker, uint32_t shard) {
    cre__nats_bucket_verify(broker, shard, &of(broker, shard)->members);
    cre__nats_bucket_verify(broker, shard, &of(broker, shard)->leases);
}

/* ---- the lease ---- */

static void write_lease(cre_broker *broker, uint32_t shard) {
    cre__nats_presence *presence = of(broker, shard);
    const uint64_t lease = broker->presence.lease;
    char header[64];
    cre__nats_subject subject;
    snprintf(header, sizeof header, "Nats-Expected-Last-Subject-Sequence: %llu\r\n",
             (unsigned long long)lease);
    const cre_nats_publication publication = { .subject = cre__nats_lease_subject(broker, &subject),
                                               .headers = cre__text(lease ? header : "") };
    presence->lease_due = 0;
    presence->renewed = lease != 0;
    presence->leasing = cre__nats_ask(broker, shard, publication, CRE__NATS_LEASE, NULL);
}

static void lease_renewed(cre_broker *broker, uint32_t shard, const cre_nats_event *event) {
    cre__nats_presence *presence = of(broker, shard);
    cre__presence_link *link = &broker->links[shard].presence;
    if (!cre__nats_acknowledgement(event, &broker->presence.lease)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    presence->reported = false;
    if (!link->ready || !presence->renewed)
        cre__presence_resume(broker, shard, cre__nats(broker, shard)->now, presence->renewed);
    else
        cre__presence_repeat(broker, shard);
}

static void lease_removed(cre_broker *broker, uint32_t shard, const cre_nats_event *event,
                          const cre__nats_error *error) {
    if (!event || cre__nats_is_transient(error)) {
        of(broker, shard)->lease_due = cre__nats(broker, shard)->now + RETRY_MS;
        return;
    }
    broker->presence.lease = 0;
    broker->links[shard].presence.retiring = false;
}

static void lease_replied(cre_broker *broker, uint32_t shard, bool removed, const cre_nats_event *event) {
    cre__nats_presence *presence = of(broker, shard);
    const uint64_t now = cre__nats(broker, shard)->now;
    cre__nats_error error = { 0 };
    const bool failed = !event || cre__nats_error_of(event, &error);
    presence->leasing = false;
    if (removed) {
        lease_removed(broker, shard, event, &error);
    } else if (!failed) {
        lease_renewed(broker, shard, event);
    } else if (event && cre__nats_is_conflict(&error)) { /* it has expired, or a reply was lost */
        broker->presence.lease = 0;
        write_lease(broker, shard);
    } else if (!event || cre__nats_is_transient(&error)) {
        presence->lease_due = now + RETRY_MS;
        cre__nats_presence_verify(broker, shard);
    } else {
        presence->lease_due = now + broker->config.max_backoff_ms;
        cre__nats_presence_report(broker, shard, error.text);
    }
}

void cre__nats_renew(cre_broker *broker, uint32_t shard) {
    cre__nats_presence *presence = of(broker, shard);
    if (!presence->leasing && !presence->lease_due) write_lease(broker, shard);
    /* Somebody may have deleted the members, and another machine has created their stream again. */
    cre__nats_bucket_refresh(broker, shard, &presence->members);
}

void cre__nats_retire(cre_broker *broker, uint32_t shard) {
    cre__nats_presence *presence = of(broker, shard);
    if (presence->leasing || presence->lease_due > cre__nats(broker, shard)->now) return;
    cre__nats_subject name;
    presence->leasing = cre__nats_remove(broker, shard, leases_stream(broker, &name), broker->presence.lease,
                                         CRE__NATS_LEASE, presence);
}

/* ---- sweeps ---- */

bool cre__nats_ask_nodes(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    cre__nats_subject name;
    return cre__nats_ask_stream(broker, shard, "STREAM.INFO", leases_stream(broker, &name),
                                cre__text("{\"subjects_filter\":\">\"}"), CRE__NATS_NODES, reading);
}

void cre__nats_sweep(cre_broker *broker, uint32_t shard) {
    cre__nats_presence *presence = of(broker, shard);
    if (!presence->asking) presence->asking = cre__nats_ask_nodes(broker, shard, NULL);
}

static bool is_elected(const cre_broker *broker, const cre__nats_nodes *nodes) {
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->first[i].sweeps) return nodes->first[i].session == broker->config.seed;
    return false;
}

static void swept(cre_broker *broker, uint32_t shard, const cre_nats_event *event) {
    cre__nats_presence *presence = of(broker, shard);
    cre__nats_error error;
    cre__nats_nodes nodes;
    presence->asking = false;
    if (!event || cre__nats_error_of(event, &error)) return; /* the next time */
    if (!cre__nats_nodes_read(broker, event->payload, &nodes)) return;
    const bool elected = is_elected(broker, &nodes);
    bool scans = elected && (!presence->elected || presence->rescans);
    /* also for a machine that has come and gone between two sweeps */
    if (elected && ++presence->sweeps % SCAN_SWEEPS == 0) scans = true;
    for (size_t i = 0; i < presence->known.count; i++)
        scans = scans || (elected && !cre__nats_is_alive(&nodes, presence->known.first[i].session));
    cre__free(presence->known.first);
    presence->known = nodes;
    presence->elected = elected;
    if (!scans) return;
    presence->rescans = presence->scanning;
    if (!presence->scanning) cre__nats_scan(broker, shard);
}

/* ---- permissions ---- */

void cre__nats_presence_denied(cre_broker *broker, uint32_t shard, cre_slice subject) {
    cre__nats_bucket_denied(broker, shard, &of(broker, shard)->members, subject);
    cre__nats_bucket_denied(broker, shard, &of(broker, shard)->leases, subject);
}

/* ---- replies ---- */

void cre__nats_presence_replied(cre_broker *broker, uint32_t shard, const cre__nats_request *request,
                                const cre_nats_event *event) {
    void *target = request->target;
    switch (request->purpose) {
    case CRE__NATS_LEASE: lease_replied(broker, shard, target != NULL, event); return;
    case CRE__NATS_NODES:
        if (target)
            cre__nats_reading_nodes(broker, shard, target, event);
        else
            swept(broker, shard, event);
        return;
    case CRE__NATS_READING: cre__nats_reading_begun(broker, shard, target, event); return;
    case CRE__NATS_READ: cre__nats_read(broker, shard, target, event); return;
    case CRE__NATS_WRITE: cre__nats_written(broker, shard, target, event); return;
    default: return;
    }
}

void cre__nats_presence_close(cre_broker *broker, uint32_t shard, cre__nats_link *nats, bool reports) {
    for (uint32_t i = CRE__NATS_NONE; (i = cre__nats_next_request(nats, i)) != CRE__NATS_NONE;) {
        const cre__nats_request *request = &nats->requests[i];
        if (request->target && (request->purpose == CRE__NATS_READ || request->purpose == CRE__NATS_WRITE))
            cre__nats_change_free(broker, shard, request->target, reports);
    }
    cre__nats_readings_close(broker, nats, reports);
    cre__free(nats->presence.known.first);
}

/* ---- time ---- */

static uint64_t earlier(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

uint64_t cre__nats_presence_tick(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_presence *presence = &nats->presence;
    uint64_t next = UINT64_MAX;
    presence->wanted = presence->wanted || broker->presence.count || broker->config.sweeps;
    if (!presence->wanted) return next;
    next = earlier(next, cre__nats_bucket_tick(broker, shard, &presence->members));
    next = earlier(next, cre__nats_bucket_tick(broker, shard, &presence->leases));
    if (!cre__nats_presence_is_ready(presence)) return next;
    const bool leases = presence->lease_due && !presence->leasing && !broker->presence.retires;
    if (leases && presence->lease_due <= nats->now) write_lease(broker, shard);
    if (presence->lease_due > nats->now) next = earlier(next, presence->lease_due);
    if (presence->pause && presence->pause <= nats->now) {
        presence->pause = 0;
        cre__presence_pump(broker, shard);
    }
    if (presence->pause) next = earlier(next, presence->pause);
    return earlier(next, cre__nats_reading_tick(broker, shard));
}
