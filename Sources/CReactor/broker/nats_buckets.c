/* The states of buckets. */
#include "broker/nats_buckets.h"

#include <stdio.h>

#include "nats/json.h"

enum {
    RETRY_MS = 250,
    REPORTED = 8, /* failures in a row of what may be available soon */
    SUBJECTS = CRE__MAX_PREFIX + 32
};

#define NANOSECONDS_IN_MS 1000000ull

cre_slice cre__nats_bucket_name(const cre_broker *broker, const cre__nats_bucket_kind *kind,
                                cre__nats_subject *out) {
    const size_t size = sizeof out->bytes;
    const int length = kind->is_timed
                           ? snprintf((char *)out->bytes, size, "%s-%s-%u", broker->prefix, kind->name,
                                      broker->config.presence_ms)
                           : snprintf((char *)out->bytes, size, "%s-%s", broker->prefix, kind->name);
    return (cre_slice){ out->bytes, (size_t)length };
}

/* The subjects of its messages. Returns the length of what all of them begin with. */
static size_t put_subjects(const cre_broker *broker, const cre__nats_bucket_kind *kind, char out[SUBJECTS]) {
    const char *any = kind->is_timed ? "*.*" : ">";
    if (kind->is_timed)
        snprintf(out, SUBJECTS, "%s.%s.%u.%s", broker->prefix, kind->token, broker->config.presence_ms, any);
    else
        snprintf(out, SUBJECTS, "%s.%s.%s", broker->prefix, kind->token, any);
    return strlen(out) - strlen(any);
}

static uint64_t age_of(const cre_broker *broker, const cre__nats_bucket_kind *kind) {
    return kind->expires ? broker->config.presence_ms * NANOSECONDS_IN_MS : 0;
}

/* ---- requests ---- */

static void ask(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, const char *verb,
                cre_slice payload) {
    cre__nats_subject bytes;
    bucket->state = CRE__STREAM_ASKED;
    cre__nats_ask_stream(broker, shard, verb, cre__nats_bucket_name(broker, bucket->kind, &bytes), payload,
                         CRE__NATS_BUCKET, bucket);
}

static void create(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket) {
    const uint64_t age = age_of(broker, bucket->kind), window = 120000 * NANOSECONDS_IN_MS;
    char config[768], subjects[SUBJECTS];
    cre__nats_subject bytes;
    const cre_slice name = cre__nats_bucket_name(broker, bucket->kind, &bytes);
    put_subjects(broker, bucket->kind, subjects);
    const int length =
        snprintf(config, sizeof config,
                 "{\"name\":\"%.*s\",\"subjects\":[\"%s\"],\"retention\":\"limits\",\"storage\":\"file\","
                 "\"discard\":\"%s\",\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,"
                 "\"max_msg_size\":-1,\"max_msgs_per_subject\":1,\"max_age\":%llu,\"duplicate_window\":%llu,"
                 "\"num_replicas\":%u%s}",
                 (int)name.length, (const char *)name.data, subjects, bucket->kind->refuses ? "new" : "old",
                 (unsigned long long)age, (unsigned long long)(age && age < window ? age : window),
                 cre__nats_replicas(broker, shard),
                 /* ignored by servers before 2.11 */
                 bucket->kind->has_lifetimes ? ",\"allow_msg_ttl\":true" : "");
    ask(broker, shard, bucket, "STREAM.CREATE", (cre_slice){ (const uint8_t *)config, (size_t)length });
    bucket->creating = true;
}

void cre__nats_bucket_refresh(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket) {
    if (bucket->state != CRE__STREAM_READY) return;
    ask(broker, shard, bucket, "STREAM.INFO", (cre_slice){ 0 });
    bucket->state = CRE__STREAM_READY;
}

void cre__nats_bucket_verify(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket) {
    if (bucket->state != CRE__STREAM_READY) return;
    bucket->state = CRE__STREAM_UNKNOWN;
    bucket->due = cre__nats(broker, shard)->now + RETRY_MS;
}

uint64_t cre__nats_bucket_tick(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket) {
    if (bucket->state != CRE__STREAM_UNKNOWN && bucket->state != CRE__STREAM_REFUSED) return UINT64_MAX;
    if (bucket->due > cre__nats(broker, shard)->now) return bucket->due;
    bucket->creating = false;
    ask(broker, shard, bucket, "STREAM.INFO", (cre_slice){ 0 });
    return UINT64_MAX;
}

/* ---- replies ---- */

/* What of a stream is not as its messages need it; NULL: nothing. */
static const char *difference(const cre_broker *broker, const cre__nats_bucket_kind *kind, cre_slice config) {
    char expected[SUBJECTS];
    cre_slice subjects, subject;
    put_subjects(broker, kind, expected);
    if (!cre__json_member(config, "subjects", &subjects) || !cre__json_next(&subjects, &subject) ||
        !cre__json_equals(subject, cre__text(expected)))
        return "subjects";
    if (!cre__json_has_number(config, "max_msgs_per_subject", 1)) return "max_msgs_per_subject";
    if (!cre__json_has_number(config, "max_age", age_of(broker, kind))) return "max_age";
    if (!cre__json_has_text(config, "retention", "limits")) return "retention";
    if (cre__json_member(config, "deny_delete", &subject) && cre__json_is_true(subject)) return "deny_delete";
    return kind->refuses && !cre__json_has_text(config, "discard", "new") ? "discard" : NULL;
}

static void fail(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, bool transient,
                 cre_slice cause) {
    const uint32_t pause = transient ? RETRY_MS : broker->config.max_backoff_ms;
    bucket->state = transient ? CRE__STREAM_UNKNOWN : CRE__STREAM_REFUSED;
    bucket->due = cre__nats(broker, shard)->now + pause;
    if (++bucket->failures < REPORTED && transient) return;
    char text[192];
    cre__nats_subject bytes;
    const cre_slice name = cre__nats_bucket_name(broker, bucket->kind, &bytes);
    snprintf(text, sizeof text, "stream %.*s: %.*s", (int)name.length, (const char *)name.data,
             (int)cause.length, (const char *)cause.data);
    bucket->kind->failed(broker, shard, cre__text(text));
}

static void ready(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, cre_slice reply) {
    cre_slice config, value, created;
    if (!cre__json_member(reply, "config", &config) || !cre__json_member(reply, "created", &value) ||
        !cre__json_string(value, &created)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    const char *other = difference(broker, bucket->kind, config);
    if (other) {
        char text[64];
        snprintf(text, sizeof text, "it exists with a different %s", other);
        fail(broker, shard, bucket, false, cre__text(text));
        return;
    }
    const bool is_new = bucket->state != CRE__STREAM_READY;
    bucket->state = CRE__STREAM_READY;
    bucket->failures = 0;
    bucket->creating = false;
    bucket->kind->ready(broker, shard, bucket, is_new, config, cre__nats_epoch_of(created));
}

void cre__nats_bucket_replied(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket,
                              const cre_nats_event *event) {
    cre_slice cause;
    const cre__nats_finding found =
        cre__nats_find_stream(cre__nats(broker, shard), event, bucket->creating, bucket->failures, &cause);
    if (found == CRE__NATS_EXISTS)
        ready(broker, shard, bucket, event->payload);
    else if (found == CRE__NATS_MISSING)
        create(broker, shard, bucket);
    else
        fail(broker, shard, bucket, found == CRE__NATS_RETRY, cause);
}

bool cre__nats_bucket_denied(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket,
                             cre_slice subject) {
    char subjects[SUBJECTS];
    cre__nats_subject bytes;
    const cre_slice name = cre__nats_bucket_name(broker, bucket->kind, &bytes);
    const size_t start = put_subjects(broker, bucket->kind, subjects);
    const bool own = subject.length >= start && memcmp(subject.data, subjects, start) == 0;
    if (!own && !memmem(subject.data, subject.length, name.data, name.length)) return false;
    while (cre__nats_cancel(cre__nats(broker, shard), CRE__NATS_BUCKET, bucket)) {
    }
    fail(broker, shard, bucket, false, cre__text("not permitted by the server"));
    return true;
}
