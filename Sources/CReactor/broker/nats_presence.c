/*
 * The two streams for members of topics at servers of NATS, the lease of this machine, and the choice of the
 * machine that removes members of others that have crashed: of those alive the one with the lowest session.
 * Two machines may believe for a moment that they are that one, which is harmless: each removal is done once.
 */
#include "broker/nats_presence.h"

#include <stdio.h>

#include "core/memory.h"
#include "core/shard.h"
#include "nats/json.h"

enum {
    RETRY_MS = 250,
    SCAN_SWEEPS = 40,
    REPORTED = 8 /* failures in a row of what may be available soon */
};

#define NANOSECONDS_IN_MS 1000000ull

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

static cre_slice name_of(const cre_broker *broker, uint32_t shard, const cre__nats_bucket *bucket,
                         cre__nats_subject *out) {
    return bucket == &of(broker, shard)->members ? cre__nats_members_stream(broker, out)
                                                 : cre__nats_leases_stream(broker, out);
}

static void ask(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, const char *verb,
                cre_slice payload) {
    char subject[64 + CRE__MAX_PREFIX];
    cre__nats_subject bytes;
    const cre_slice name = name_of(broker, shard, bucket, &bytes);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.%s.%.*s", verb, (int)name.length,
             (const char *)name.data);
    const cre_nats_publication publication = { .subject = cre__text(subject), .payload = payload };
    bucket->state = CRE__STREAM_ASKED;
    cre__nats_ask(broker, shard, publication, CRE__NATS_BUCKET, bucket);
}

static uint64_t age_of(const cre_broker *broker, uint32_t shard, const cre__nats_bucket *bucket) {
    return bucket == &of(broker, shard)->leases ? broker->config.presence_ms * NANOSECONDS_IN_MS : 0;
}

static void put_subjects(const cre_broker *broker, uint32_t shard, const cre__nats_bucket *bucket,
                         char out[64]) {
    snprintf(out, 64, "%s.%s.%u.*.*", broker->prefix, bucket == &of(broker, shard)->members ? "p" : "n",
             broker->config.presence_ms);
}

static void create(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket) {
    const uint32_t standard = cre__nats(broker, shard)->clustered ? 3 : 1;
    const uint32_t replicas = broker->config.replicas ? broker->config.replicas : standard;
    const uint64_t age = age_of(broker, shard, bucket), window = 120000 * NANOSECONDS_IN_MS;
    char config[768], subjects[64];
    cre__nats_subject bytes;
    const cre_slice name = name_of(broker, shard, bucket, &bytes);
    put_subjects(broker, shard, bucket, subjects);
    const int length =
        snprintf(config, sizeof config,
                 "{\"name\":\"%.*s\",\"subjects\":[\"%s\"],\"retention\":\"limits\",\"storage\":\"file\","
                 "\"discard\":\"old\",\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,"
                 "\"max_msg_size\":-1,\"max_msgs_per_subject\":1,\"max_age\":%llu,\"duplicate_window\":%llu,"
                 "\"num_replicas\":%u}",
                 (int)name.length, (const char *)name.data, subjects, (unsigned long long)age,
                 (unsigned long long)(age && age < window ? age : window), replicas);
    ask(broker, shard, bucket, "CREATE", (cre_slice){ (const uint8_t *)config, (size_t)length });
    bucket->creating = true;
}

static bool has_number(cre_slice config, const char *name, uint64_t expected) {
    cre_slice value;
    uint64_t number;
    return cre__json_member(config, name, &value) && cre__json_number(value, &number) && number == expected;
}

/* What of a stream is not as members need it; NULL: nothing. */
static const char *difference(const cre_broker *broker, uint32_t shard, const cre__nats_bucket *bucket,
                              cre_slice config) {
    char expected[64];
    cre_slice subjects, subject;
    put_subjects(broker, shard, bucket, expected);
    if (!cre__json_member(config, "subjects", &subjects) || !cre__json_next(&subjects, &subject) ||
        !cre__json_equals(subject, cre__text(expected)))
        return "subjects";
    if (!has_number(config, "max_msgs_per_subject", 1)) return "max_msgs_per_subject";
    return has_number(config, "max_age", age_of(broker, shard, bucket)) ? NULL : "max_age";
}

static void fail(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, bool transient,
                 cre_slice cause) {
    cre__nats_link *nats = cre__nats(broker, shard);
    const uint32_t pause = transient ? RETRY_MS : broker->config.max_backoff_ms;
    bucket->state = transient ? CRE__STREAM_UNKNOWN : CRE__STREAM_REFUSED;
    bucket->due = nats->now + pause;
    if (++bucket->failures < REPORTED && transient) return;
    char text[192];
    cre__nats_subject bytes;
    const cre_slice name = name_of(broker, shard, bucket, &bytes);
    snprintf(text, sizeof text, "stream %.*s: %.*s", (int)name.length, (const char *)name.data,
             (int)cause.length, (const char *)cause.data);
    cre__nats_presence_report(broker, shard, cre__text(text));
    cre__nats_readings_end(broker, nats, false, true);
}

static void ready(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, cre_slice reply) {
    cre__nats_presence *presence = of(broker, shard);
    cre_slice config, value, created;
    if (!cre__json_member(reply, "config", &config) || !cre__json_member(reply, "created", &value) ||
        !cre__json_string(value, &created)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    const char *other = difference(broker, shard, bucket, config);
    if (other) {
        char text[64];
        snprintf(text, sizeof text, "it exists with a different %s", other);
        fail(broker, shard, bucket, false, cre__text(text));
        return;
    }
    bool is_new = bucket->state != CRE__STREAM_READY;
    bucket->state = CRE__STREAM_READY;
    bucket->failures = 0;
    bucket->creating = false;
    if (bucket == &presence->members) {
        const uint64_t epoch = cre__shard_hash(created) | 1;
        is_new = is_new || epoch != broker->presence.epoch;
        if (epoch != broker->presence.epoch) broker->presence.lease = 0; /* all members are sent */
        broker->presence.epoch = epoch;
    }
    if (is_new) presence->lease_due = cre__nats(broker, shard)->now | 1;
}

void cre__nats_presence_verify(cre_broker *broker, uint32_t shard) {
    cre__nats_presence *presence = of(broker, shard);
    cre__nats_bucket *const buckets[] = { &presence->members, &presence->leases };
    for (int i = 0; i < 2; i++) {
        if (buckets[i]->state != CRE__STREAM_READY) continue;
        buckets[i]->state = CRE__STREAM_UNKNOWN;
        buckets[i]->due = cre__nats(broker, shard)->now + RETRY_MS;
    }
}

static void bucket_replied(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket,
                           const cre_nats_event *event) {
    enum { NOT_FOUND = 10059, OTHER_CONFIG = 10058 };
    cre__nats_error error;
    if (!event) {
        fail(broker, shard, bucket, true, cre__text("JetStream does not reply"));
    } else if (!cre__nats_error_of(event, &error)) {
        ready(broker, shard, bucket, event->payload);
    } else if (error.kind == NOT_FOUND && !bucket->creating) {
        create(broker, shard, bucket);
    } else if (error.kind == OTHER_CONFIG) { /* by another machine, a moment ago: look at it */
        fail(broker, shard, bucket, true, error.text);
    } else {
        const bool soon =
            cre__nats_is_transient(&error) && (cre__nats(broker, shard)->clustered || !event->status);
        fail(broker, shard, bucket, soon, error.text);
    }
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

static void hold(cre_broker *broker, uint32_t shard, const cre_nats_event *event) {
    cre__nats_presence *presence = of(broker, shard);
    cre__presence_link *link = &broker->links[shard].presence;
    cre_slice value;
    if (!cre__json_member(event->payload, "seq", &value) ||
        !cre__json_number(value, &broker->presence.lease) || !broker->presence.lease) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    presence->reported = false;
    if (!link->ready || !presence->renewed)
        cre__presence_resume(broker, shard, cre__nats(broker, shard)->now, presence->renewed);
    else
        cre__presence_repeat(broker, shard);
}

static void give_back(cre_broker *broker, uint32_t shard, const cre_nats_event *event,
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
        give_back(broker, shard, event, &error);
    } else if (!failed) {
        hold(broker, shard, event);
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
    if (presence->members.state != CRE__STREAM_READY) return;
    ask(broker, shard, &presence->members, "INFO", (cre_slice){ 0 });
    presence->members.state = CRE__STREAM_READY;
}

void cre__nats_retire(cre_broker *broker, uint32_t shard) {
    cre__nats_presence *presence = of(broker, shard);
    if (presence->leasing || presence->lease_due > cre__nats(broker, shard)->now) return;
    char subject[64 + CRE__MAX_PREFIX], request[64];
    cre__nats_subject bytes;
    const cre_slice name = cre__nats_leases_stream(broker, &bytes);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.MSG.DELETE.%.*s", (int)name.length,
             (const char *)name.data);
    snprintf(request, sizeof request, "{\"seq\":%llu,\"no_erase\":true}",
             (unsigned long long)broker->presence.lease);
    const cre_nats_publication publication = { .subject = cre__text(subject), .payload = cre__text(request) };
    presence->leasing = cre__nats_ask(broker, shard, publication, CRE__NATS_LEASE, presence);
}

/* ---- sweeps ---- */

bool cre__nats_ask_nodes(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    char subject[64 + CRE__MAX_PREFIX];
    cre__nats_subject bytes;
    const cre_slice name = cre__nats_leases_stream(broker, &bytes);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%.*s", (int)name.length, (const char *)name.data);
    const cre_nats_publication publication = { .subject = cre__text(subject),
                                               .payload = cre__text("{\"subjects_filter\":\">\"}") };
    return cre__nats_ask(broker, shard, publication, CRE__NATS_NODES, reading);
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
    cre__nats_presence *presence = of(broker, shard);
    cre__nats_bucket *const buckets[] = { &presence->members, &presence->leases };
    for (int i = 0; i < 2; i++) {
        char subjects[64];
        cre__nats_subject bytes;
        const cre_slice name = name_of(broker, shard, buckets[i], &bytes);
        put_subjects(broker, shard, buckets[i], subjects);
        const size_t start = strlen(subjects) - strlen("*.*");
        const bool own = subject.length >= start && memcmp(subject.data, subjects, start) == 0;
        if (!own && !memmem(subject.data, subject.length, name.data, name.length)) continue;
        while (cre__nats_cancel(cre__nats(broker, shard), CRE__NATS_BUCKET, buckets[i])) {
        }
        fail(broker, shard, buckets[i], false, cre__text("not permitted by the server"));
    }
}

/* ---- replies ---- */

void cre__nats_presence_replied(cre_broker *broker, uint32_t shard, const cre__nats_request *request,
                                const cre_nats_event *event) {
    void *target = request->target;
    switch (request->purpose) {
    case CRE__NATS_BUCKET: bucket_replied(broker, shard, target, event); return;
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
    case CRE__NATS_CLEAN:
        if (target) cre__nats_cleaned(broker, shard, target);
        return;
    default: return;
    }
}

void cre__nats_presence_close(cre_broker *broker, uint32_t shard, cre__nats_link *nats, bool reports) {
    for (uint32_t i = nats->first_request; i != CRE__NATS_NONE; i = nats->requests[i].next) {
        const cre__nats_request *request = &nats->requests[i];
        if (request->target && (request->purpose == CRE__NATS_READ || request->purpose == CRE__NATS_WRITE ||
                                request->purpose == CRE__NATS_CLEAN))
            cre__nats_change_free(broker, shard, request->target, reports);
    }
    cre__nats_readings_end(broker, nats, true, reports);
    cre__free(nats->presence.known.first);
}

/* ---- time ---- */

uint64_t cre__nats_presence_tick(cre_broker *broker, uint32_t shard) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_presence *presence = &nats->presence;
    uint64_t next = UINT64_MAX;
    presence->wanted = presence->wanted || broker->presence.count || broker->config.sweeps;
    if (!presence->wanted) return next;
    cre__nats_bucket *const buckets[] = { &presence->members, &presence->leases };
    for (int i = 0; i < 2; i++) {
        cre__nats_bucket *bucket = buckets[i];
        if (bucket->state != CRE__STREAM_UNKNOWN && bucket->state != CRE__STREAM_REFUSED) continue;
        if (bucket->due > nats->now) {
            if (bucket->due < next) next = bucket->due;
            continue;
        }
        bucket->creating = false;
        ask(broker, shard, bucket, "INFO", (cre_slice){ 0 });
    }
    if (!cre__nats_presence_is_ready(presence)) return next;
    if (presence->lease_due && !presence->leasing && !broker->presence.retires) {
        if (presence->lease_due <= nats->now)
            write_lease(broker, shard);
        else if (presence->lease_due < next)
            next = presence->lease_due;
    }
    if (presence->lease_due > nats->now && presence->lease_due < next) next = presence->lease_due;
    if (presence->pause && presence->pause <= nats->now) {
        presence->pause = 0;
        cre__presence_pump(broker, shard);
    }
    if (presence->pause && presence->pause < next) next = presence->pause;
    const uint64_t readings = cre__nats_reading_tick(broker, shard);
    return readings < next ? readings : next;
}
