/*
 * Buckets: streams of JetStream with one message for each subject. One has members of topics, one the leases
 * of machines, one values. A bucket is looked for when it is needed first, created if it does not exist, and
 * verified.
 */
#ifndef CRE_BROKER_NATS_BUCKETS_H
#define CRE_BROKER_NATS_BUCKETS_H

#include "broker/nats.h"

struct cre__nats_bucket_kind {
    const char *name, *token; /* the stream is PREFIX-NAME with subjects PREFIX.TOKEN.> */
    bool is_timed;            /* or PREFIX-NAME-PRESENCE_MS with subjects PREFIX.TOKEN.PRESENCE_MS.*.* */
    bool expires;             /* its messages do, after presence_ms */
    bool refuses;             /* messages above the limits of the stream, and deletes no others for them */
    bool has_lifetimes;       /* its messages may have lifetimes of their own, at servers that support that */
    /* Called when the stream is there. `is_new`: it was not before. `epoch`: its instance. */
    void (*ready)(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, bool is_new, cre_slice config,
                  uint64_t epoch);
    /* Called when it is not available because of `cause`: at once if it is refused, otherwise after some
     * attempts. It is tried again. */
    void (*failed)(cre_broker *broker, uint32_t shard, cre_slice cause);
};

cre_slice cre__nats_bucket_name(const cre_broker *broker, const cre__nats_bucket_kind *kind,
                                cre__nats_subject *out);
/* Looks for a bucket that is not READY, when it is due. Returns the time of the next call. */
uint64_t cre__nats_bucket_tick(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket);
/* Asks for the state of a bucket that is READY, and remains so until the reply. */
void cre__nats_bucket_refresh(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket);
/* A reply of the bucket was wrong or missing: after a moment the server is asked whether it still exists. */
void cre__nats_bucket_verify(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket);
/* The reply to its request; NULL: there was none in time. */
void cre__nats_bucket_replied(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket,
                              const cre_nats_event *event);
/* The server does not allow to publish to a subject. Returns false if that is none of this bucket. */
bool cre__nats_bucket_denied(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, cre_slice subject);

#endif
