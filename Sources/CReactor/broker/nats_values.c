/*
 * Values by keys at servers of NATS: a bucket has one message for each key, whose payload is the value.
 *
 * An operation reads the message, and stores another one only if that is still the last one of its subject,
 * which JetStream verifies; otherwise it begins again. Operations of one lane are carried out one after the
 * other, so those for one key have their order. A message is never removed while it may be a value: REMOVE
 * stores one that has expired already, which is removed then.
 *
 * The end of a value's lifetime is a header of its message, as a time of the server: with it the broker
 * learns the clock of the server from a message that it stores and reads.
 */
#include "broker/nats_values.h"

#include <stdio.h>

#include "broker/nats_buckets.h"
#include "core/base64.h"
#include "core/decimal.h"
#include "core/memory.h"
#include "core/slices.h"
#include "nats/json.h"

enum {
    LANES = 256,
    RETRY_MS = 250,
    HEADERS = 256, /* the most bytes of a message besides the value */
    EAGER = 3,     /* conflicts before which an operation begins again at once */
    CLOCK_MS = 60000,
    REMOVED_AT_ONCE = 256,
    REMOVE_MS = 20
};

static const char lifetime_header[] = "Sws-Expires";

struct cre__nats_operation {
    cre__nats_operation *next; /* in its lane */
    uint64_t tag, deadline;    /* 0: not known yet */
    uint64_t resumes;          /* not before that */
    cre__nats_purpose asked;   /* FREE: nothing */
    uint32_t attempts;
    bool reads;       /* the key has a message, so it cannot be written without reading */
    uint64_t expires; /* of what is written, as a time of the server; 0: not */
    size_t size;      /* as it counts for `values` of the link */
    uint8_t sum_length;
    char sum[CRE__MAX_DECIMAL + 1];
    cre_value_operation operation; /* its slices are in `bytes` */
    uint8_t bytes[];
};

/* What is stored for a key. */
typedef struct state {
    uint64_t sequence; /* 0: nothing */
    bool lives;        /* it has not expired */
    bool is_long;      /* longer than a value may be, and not read */
    uint64_t expires;  /* 0: it does not expire */
    cre_slice value;
} state;

static cre__nats_values *of(const cre_broker *broker, uint32_t shard) {
    return &cre__nats(broker, shard)->values;
}

static cre__nats_value_lane *lane_of(const cre__nats_values *values, cre_slice key) {
    return &values->lanes[cre__shard_hash(key) % LANES];
}

static uint64_t earlier(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

/* ---- the stream ---- */

static void end(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane, int result, cre_slice value);
static void pump(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane);

static void ready(cre_broker *broker, uint32_t shard, cre__nats_bucket *bucket, bool is_new, cre_slice config,
                  uint64_t epoch) {
    cre__nats_values *values = of(broker, shard);
    cre_slice value;
    (void)bucket, (void)is_new;
    values->removes = cre__json_member(config, "allow_msg_ttl", &value) && cre__json_is_true(value);
    values->reported = false;
    if (broker->expiries.epoch != epoch) broker->expiries.count = 0;
    broker->expiries.epoch = epoch;
    values->due = 0;
}

/* Operations that only wait have changed nothing. Those that were sent get their replies. */
static void failed(cre_broker *broker, uint32_t shard, cre_slice cause) {
    cre__nats_values *values = of(broker, shard);
    char text[256];
    if (!values->reported) {
        values->reported = true;
        snprintf(text, sizeof text, "cannot use values: %.*s", (int)cause.length, (const char *)cause.data);
        cre__nats_refused(broker, shard, cre__text(text));
    }
    for (int i = 0; values->lanes && values->bucket.state == CRE__STREAM_REFUSED && i < LANES; i++) {
        cre__nats_value_lane *lane = &values->lanes[i];
        while (lane->first && lane->first->asked == CRE__NATS_FREE)
            end(broker, shard, lane, CRE_EBROKER_REFUSED, (cre_slice){ 0 });
    }
}

static const cre__nats_bucket_kind values_kind = {
    .name = "values", .token = "v", .refuses = true, .has_lifetimes = true, .ready = ready, .failed = failed
};

static cre_slice stream(const cre_broker *broker, cre__nats_subject *out) {
    return cre__nats_bucket_name(broker, &values_kind, out);
}

void cre__nats_values_open(cre__nats_values *values) {
    values->bucket.kind = &values_kind;
    values->due = UINT64_MAX;
}

/* ---- the clock of the server ---- */

static uint64_t server_now(const cre_broker *broker, uint32_t shard) {
    return cre__nats(broker, shard)->now + of(broker, shard)->clock; /* modulo 2^64 */
}

static void clock_failed(cre_broker *broker, uint32_t shard) {
    cre__nats_values *values = of(broker, shard);
    values->asks_clock = false;
    values->clock_due = cre__nats(broker, shard)->now + RETRY_MS;
    cre__nats_bucket_verify(broker, shard, &values->bucket);
}

/* All machines store the same message, so the last one is of this machine or of another one since. */
static void ask_clock(cre_broker *broker, uint32_t shard) {
    cre__nats_values *values = of(broker, shard);
    cre__nats_subject subject;
    const cre_nats_publication message = { .subject = cre__nats_own_subject(broker, "v", "time", &subject) };
    values->clock_asked = cre__nats(broker, shard)->now;
    values->asks_clock = cre__nats_ask(broker, shard, message, CRE__NATS_CLOCK, NULL);
}

static void clock_replied(cre_broker *broker, uint32_t shard, bool stored, const cre_nats_event *event) {
    cre__nats_values *values = of(broker, shard);
    const uint64_t now = cre__nats(broker, shard)->now;
    cre__nats_error error;
    cre__nats_stored message;
    cre__nats_subject name, subject;
    uint64_t time;
    if (!event || cre__nats_error_of(event, &error)) {
        clock_failed(broker, shard);
    } else if (stored) {
        cre__nats_ask_last(broker, shard, stream(broker, &name),
                           cre__nats_own_subject(broker, "v", "time", &subject), CRE__NATS_CLOCK, values);
    } else if (!cre__nats_stored_of(event, &message) || !cre__json_time(message.time, &time)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
    } else {
        values->clock = time - values->clock_asked - (now - values->clock_asked) / 2;
        values->clock_due = now + CLOCK_MS;
        values->asks_clock = false;
        values->has_clock = true;
        values->due = 0;
    }
}

/* ---- requests ---- */

static cre__nats_operation *leave(cre__nats_values *values, cre__nats_value_lane *lane) {
    cre__nats_operation *operation = lane->first;
    lane->first = operation->next;
    if (!lane->first) lane->last = NULL;
    if (lane->fresh == operation) lane->fresh = operation->next;
    values->count--;
    return operation;
}

/* Ends the first operation of a lane. */
static void end(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane, int result, cre_slice value) {
    cre__nats_operation *operation = leave(of(broker, shard), lane);
    broker->links[shard].values -= operation->size;
    broker->handlers.value(broker->context, operation->tag, result, value);
    cre__free(operation);
}

/* It begins again later, since JetStream is not available for a moment, and nothing was changed. */
static void postpone(cre_broker *broker, uint32_t shard, cre__nats_operation *operation) {
    operation->resumes = cre__nats(broker, shard)->now + RETRY_MS;
    cre__nats_bucket_verify(broker, shard, &of(broker, shard)->bucket);
}

static void read(cre_broker *broker, uint32_t shard, cre__nats_operation *operation) {
    cre__nats_subject name, subject;
    if (cre__nats_ask_last(broker, shard, stream(broker, &name),
                           cre__nats_value_subject(broker, operation->operation.key, &subject),
                           CRE__NATS_GET_VALUE, operation))
        operation->asked = CRE__NATS_GET_VALUE;
}

/* Stores a value that expires at `expires`, if the last message of the key has the sequence `expected`, or
 * (UINT64_MAX) whatever that is. */
static void write(cre_broker *broker, uint32_t shard, cre__nats_operation *operation, cre_slice value,
                  uint64_t expected) {
    const cre__nats_values *values = of(broker, shard);
    const uint64_t now = server_now(broker, shard), expires = operation->expires;
    char headers[HEADERS];
    int length = 0;
    cre__nats_subject subject;
    if (expected != UINT64_MAX)
        length += snprintf(headers, sizeof headers, "Nats-Expected-Last-Subject-Sequence: %llu\r\n",
                           (unsigned long long)expected);
    if (expires)
        length += snprintf(headers + length, sizeof headers - (size_t)length, "%s: %llu\r\n", lifetime_header,
                           (unsigned long long)expires);
    if (expires && values->removes) /* later than it expires */
        length += snprintf(headers + length, sizeof headers - (size_t)length, "Nats-TTL: %llus\r\n",
                           (unsigned long long)(expires > now ? (expires - now) / 1000 + 2 : 2));
    const cre_nats_publication publication = { .subject = cre__nats_value_subject(
                                                   broker, operation->operation.key, &subject),
                                               .headers = { (const uint8_t *)headers, (size_t)length },
                                               .payload = value };
    if (cre__nats_ask(broker, shard, publication, CRE__NATS_SET_VALUE, operation))
        operation->asked = CRE__NATS_SET_VALUE;
}

static void start(cre_broker *broker, uint32_t shard, cre__nats_operation *operation) {
    const cre_value_operation *wanted = &operation->operation;
    const bool sets = wanted->kind == CRE_VALUE_SET && !operation->reads;
    operation->expires = wanted->lifetime_ms ? server_now(broker, shard) + wanted->lifetime_ms : 0;
    if (sets && wanted->condition == CRE_VALUE_ALWAYS)
        write(broker, shard, operation, wanted->value, UINT64_MAX);
    else if (sets && wanted->condition == CRE_VALUE_IF_ABSENT)
        write(broker, shard, operation, wanted->value, 0);
    else
        read(broker, shard, operation);
}

/* Starts the first operation of a lane that has none under way, and notes when it is to be tried again. */
static void pump(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane) {
    cre__nats_values *values = of(broker, shard);
    const uint64_t now = cre__nats(broker, shard)->now;
    const bool runs = values->bucket.state == CRE__STREAM_READY && values->has_clock;
    while (lane->first && lane->first->asked == CRE__NATS_FREE && !broker->links[shard].failure) {
        cre__nats_operation *operation = lane->first;
        if (operation->deadline && operation->deadline <= now) {
            end(broker, shard, lane, CRE_EBROKER_UNAVAILABLE, (cre_slice){ 0 });
        } else if (runs && operation->resumes <= now) {
            start(broker, shard, operation);
        } else {
            values->due = earlier(values->due, operation->deadline);
            if (operation->resumes > now) values->due = earlier(values->due, operation->resumes);
            return;
        }
    }
}

/* ---- results ---- */

static bool is_met(const cre_value_operation *operation, const state *found) {
    switch (operation->condition) {
    case CRE_VALUE_IF_ABSENT: return !found->lives;
    case CRE_VALUE_IF_EQUAL:
        return found->lives && !found->is_long && cre__slice_equals(found->value, operation->expected);
    default: return true;
    }
}

/* The sum of what is stored and the amount of ADD. */
static bool add(cre__nats_operation *operation, const state *found) {
    int64_t sum = 0;
    if (found->lives && (found->is_long || !cre__parse_integer(found->value, &sum))) return false;
    if (__builtin_add_overflow(sum, operation->operation.amount, &sum)) return false;
    operation->sum_length = (uint8_t)(cre__put_integer(operation->sum, sum) - operation->sum);
    if (found->lives) operation->expires = found->expires;
    return true;
}

/* The operation changes nothing. A message that has expired, and that nobody has removed, is. */
static void end_undone(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane, const state *found) {
    cre__nats_subject name;
    if (found->sequence && !found->lives)
        cre__nats_remove(broker, shard, stream(broker, &name), found->sequence, CRE__NATS_CLEAN, NULL);
    end(broker, shard, lane, 0, (cre_slice){ 0 });
}

/* What is stored is known: the operation ends, or something is written. */
static void decide(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane, const state *found) {
    cre__nats_operation *operation = lane->first;
    const cre_value_operation *wanted = &operation->operation;
    const cre_slice none = { 0 };
    const bool needs_value = wanted->kind == CRE_VALUE_GET || wanted->kind == CRE_VALUE_REMOVE;
    if (!is_met(wanted, found) || (needs_value && !found->lives)) {
        end_undone(broker, shard, lane, found);
    } else if (wanted->kind == CRE_VALUE_GET) {
        end(broker, shard, lane, found->is_long ? CRE_ELIMIT : 1, found->value);
    } else if (wanted->kind == CRE_VALUE_REMOVE) {
        operation->expires = 1;
        write(broker, shard, operation, none, found->sequence);
    } else if (wanted->kind == CRE_VALUE_SET) {
        write(broker, shard, operation, wanted->value, found->sequence);
    } else if (add(operation, found)) {
        const cre_slice sum = { (const uint8_t *)operation->sum, operation->sum_length };
        write(broker, shard, operation, sum, found->sequence);
    } else {
        end(broker, shard, lane, CRE_EVALUE_NUMBER, none);
    }
}

/* ---- replies ---- */

static long decode(cre_slice text, uint8_t *out) {
    return text.length ? cre__base64_decode((const char *)text.data, text.length, out) : 0;
}

/* Reads a message, whose value is in `bytes` then. */
static bool read_state(const cre_broker *broker, uint32_t shard, const cre__nats_stored *message,
                       uint8_t *bytes, state *out) {
    const long headers = decode(message->headers, bytes);
    const cre_slice block = { bytes, headers > 0 ? (size_t)headers : 0 };
    cre_slice value;
    *out = (state){ .sequence = message->sequence };
    if (headers > 0 && cre_nats_header(block, lifetime_header, &value) &&
        !cre__json_number(value, &out->expires))
        out->expires = 0;
    out->lives = !out->expires || out->expires > server_now(broker, shard);
    const long length = decode(message->data, bytes);
    out->is_long = out->lives && length > CRE_VALUE_MAX;
    if (out->lives && !out->is_long) out->value = (cre_slice){ bytes, length > 0 ? (size_t)length : 0 };
    return headers >= 0 && length >= 0;
}

static void found_message(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane,
                          const cre_nats_event *event) {
    cre__nats_stored message;
    state found;
    if (!cre__nats_stored_of(event, &message)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        return;
    }
    const size_t longest =
        message.data.length > message.headers.length ? message.data.length : message.headers.length;
    uint8_t *bytes = cre__malloc(longest / 4 * 3 + 3);
    if (bytes && read_state(broker, shard, &message, bytes, &found))
        decide(broker, shard, lane, &found);
    else
        cre__link_fail(broker, shard, bytes ? CRE_ENATS_PROTOCOL : CRE_ENOMEM, (cre_slice){ 0 });
    cre__free(bytes);
}

static void read_replied(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane,
                         const cre_nats_event *event) {
    enum { NO_MESSAGE = 10037 };
    cre__nats_error error;
    if (event && !cre__nats_error_of(event, &error))
        found_message(broker, shard, lane, event);
    else if (event && error.kind == NO_MESSAGE)
        decide(broker, shard, lane, &(state){ 0 });
    else /* no leader, or the stream is gone */
        postpone(broker, shard, lane->first);
}

static void written(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane, uint64_t sequence) {
    const cre__nats_operation *operation = lane->first;
    cre__nats_subject name;
    if (operation->operation.kind == CRE_VALUE_REMOVE)
        cre__nats_remove(broker, shard, stream(broker, &name), sequence, CRE__NATS_CLEAN, NULL);
    else if (operation->expires && !of(broker, shard)->removes)
        cre__nats_expiry_add(&broker->expiries, operation->expires, sequence);
    end(broker, shard, lane, 1, (cre_slice){ (const uint8_t *)operation->sum, operation->sum_length });
}

/* Whether the stream, the account or the server has no room. */
static bool is_full(const cre__nats_error *error) {
    enum { ACCOUNT = 10002, SERVER = 10023, MEMORY = 10028, STORAGE = 10047, STREAM = 10077 };
    return error->kind == ACCOUNT || error->kind == SERVER || error->kind == MEMORY ||
           error->kind == STORAGE || error->kind == STREAM;
}

/* Another machine was first, so the operation begins again, at a random time if that happens often. */
static void conflict(cre_broker *broker, uint32_t shard, cre__nats_operation *operation) {
    const uint64_t now = cre__nats(broker, shard)->now;
    operation->reads = true;
    if (++operation->attempts > EAGER)
        operation->resumes = now + cre__broker_random(broker) % (2ull * operation->attempts);
}

static void write_replied(cre_broker *broker, uint32_t shard, cre__nats_value_lane *lane,
                          const cre_nats_event *event) {
    cre__nats_error error;
    uint64_t sequence;
    const cre_slice none = { 0 };
    if (!event) {
        cre__nats_bucket_verify(broker, shard, &of(broker, shard)->bucket);
        end(broker, shard, lane, CRE_EBROKER_UNKNOWN, none);
    } else if (!cre__nats_error_of(event, &error)) {
        if (cre__nats_acknowledgement(event, &sequence))
            written(broker, shard, lane, sequence);
        else
            cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, none);
    } else if (cre__nats_is_conflict(&error)) {
        conflict(broker, shard, lane->first);
    } else if (is_full(&error)) {
        end(broker, shard, lane, CRE_EVALUE_FULL, none);
    } else if (cre__nats_is_transient(&error)) {
        postpone(broker, shard, lane->first);
    } else {
        cre__nats_refused(broker, shard, error.text);
        end(broker, shard, lane, CRE_EBROKER_REFUSED, none);
    }
}

void cre__nats_values_replied(cre_broker *broker, uint32_t shard, const cre__nats_request *request,
                              const cre_nats_event *event) {
    if (request->purpose == CRE__NATS_CLOCK) {
        clock_replied(broker, shard, !request->target, event);
        return;
    }
    cre__nats_operation *operation = request->target;
    cre__nats_value_lane *lane = lane_of(of(broker, shard), operation->operation.key);
    operation->asked = CRE__NATS_FREE;
    if (request->purpose == CRE__NATS_GET_VALUE)
        read_replied(broker, shard, lane, event);
    else
        write_replied(broker, shard, lane, event);
    pump(broker, shard, lane);
}

/* ---- permissions ---- */

/* The lane whose message the server does not allow; NULL: none. */
static cre__nats_value_lane *denied_lane(const cre_broker *broker, const cre__nats_values *values,
                                         cre_slice subject) {
    for (int i = 0; values->lanes && i < LANES; i++) {
        const cre__nats_operation *first = values->lanes[i].first;
        cre__nats_subject own;
        if (first && first->asked == CRE__NATS_SET_VALUE &&
            cre__slice_equals(cre__nats_value_subject(broker, first->operation.key, &own), subject))
            return &values->lanes[i];
    }
    return NULL;
}

void cre__nats_values_denied(cre_broker *broker, uint32_t shard, cre_slice subject) {
    cre__nats_values *values = of(broker, shard);
    if (!values->wanted) return;
    cre__nats_value_lane *lane = denied_lane(broker, values, subject);
    if (lane) {
        cre__nats_cancel(cre__nats(broker, shard), CRE__NATS_SET_VALUE, lane->first);
        end(broker, shard, lane, CRE_EBROKER_REFUSED, (cre_slice){ 0 });
        values->due = 0;
        return;
    }
    cre__nats_subject bytes;
    const cre_slice name = stream(broker, &bytes);
    const bool reads = memmem(subject.data, subject.length, "MSG.GET.", 8) &&
                       memmem(subject.data, subject.length, name.data, name.length);
    for (int i = 0; values->lanes && reads && i < LANES; i++) { /* questions have no replies */
        cre__nats_operation *first = values->lanes[i].first;
        if (first && first->asked == CRE__NATS_GET_VALUE &&
            cre__nats_cancel(cre__nats(broker, shard), CRE__NATS_GET_VALUE, first))
            first->asked = CRE__NATS_FREE;
    }
    cre__nats_bucket_denied(broker, shard, &values->bucket, subject);
    values->due = 0;
}

/* ---- operations ---- */

static uint8_t *put(uint8_t *at, cre_slice bytes, cre_slice *copy) {
    *copy = (cre_slice){ at, bytes.length };
    if (bytes.length) memcpy(at, bytes.data, bytes.length);
    return at + bytes.length;
}

/* Keeps the operation for the next tick, which knows the time. */
int cre__nats_apply(cre_broker *broker, uint32_t shard, const cre_value_operation *wanted, uint64_t tag) {
    cre__nats_link *nats = cre__nats(broker, shard);
    cre__nats_values *values = &nats->values;
    values->wanted = true;
    if (wanted->value.length + HEADERS > nats->max_payload) return CRE_ELIMIT;
    if (values->bucket.state == CRE__STREAM_REFUSED) return CRE_EBROKER_UNAVAILABLE;
    if (!values->lanes) values->lanes = cre__calloc(LANES, sizeof *values->lanes);
    const size_t size =
        sizeof(cre__nats_operation) + wanted->key.length + wanted->value.length + wanted->expected.length;
    cre__nats_operation *operation = values->lanes ? cre__malloc(size) : NULL;
    if (!operation) return CRE_EBROKER_UNAVAILABLE;
    *operation = (cre__nats_operation){ .tag = tag, .size = size, .operation = *wanted };
    uint8_t *at = put(operation->bytes, wanted->key, &operation->operation.key);
    at = put(at, wanted->value, &operation->operation.value);
    put(at, wanted->expected, &operation->operation.expected);
    cre__nats_value_lane *lane = lane_of(values, wanted->key);
    *(lane->last ? &lane->last->next : &lane->first) = operation;
    lane->last = operation;
    if (!lane->fresh) lane->fresh = operation;
    broker->links[shard].values += size;
    values->count++;
    values->due = 0;
    return 0;
}

void cre__nats_values_close(cre_broker *broker, uint32_t shard, cre__nats_values *values, bool reports) {
    for (int i = 0; values->lanes && i < LANES; i++) {
        while (values->lanes[i].first) {
            cre__nats_operation *operation = leave(values, &values->lanes[i]);
            broker->links[shard].values -= operation->size;
            if (reports)
                broker->handlers.value(broker->context, operation->tag, CRE_EBROKER_UNKNOWN,
                                       (cre_slice){ 0 });
            cre__free(operation);
        }
    }
    cre__free(values->lanes);
}

/* ---- time ---- */

/* Removes values whose lifetime has ended, if the server does not. */
static uint64_t expire(cre_broker *broker, uint32_t shard) {
    const cre__nats_values *values = of(broker, shard);
    const uint64_t now = cre__nats(broker, shard)->now, time = server_now(broker, shard);
    cre__nats_subject name;
    for (int i = 0; i < REMOVED_AT_ONCE; i++) {
        const uint64_t sequence = cre__nats_expiry_take(&broker->expiries, time);
        if (!sequence) break;
        cre__nats_remove(broker, shard, stream(broker, &name), sequence, CRE__NATS_CLEAN, NULL);
    }
    if (!broker->expiries.count) return UINT64_MAX;
    const uint64_t expires = broker->expiries.first->expires;
    return expires > time ? expires - values->clock : now + REMOVE_MS;
}

static void pump_all(cre_broker *broker, uint32_t shard) {
    cre__nats_values *values = of(broker, shard);
    const uint64_t deadline = cre__nats(broker, shard)->now + broker->config.timeout_ms;
    values->due = UINT64_MAX;
    for (int i = 0; values->lanes && i < LANES; i++) {
        cre__nats_value_lane *lane = &values->lanes[i];
        for (cre__nats_operation *operation = lane->fresh; operation; operation = operation->next)
            operation->deadline = deadline;
        lane->fresh = NULL;
        pump(broker, shard, lane);
    }
}

uint64_t cre__nats_values_tick(cre_broker *broker, uint32_t shard) {
    cre__nats_values *values = of(broker, shard);
    const uint64_t now = cre__nats(broker, shard)->now;
    if (!values->wanted && !broker->expiries.count) return UINT64_MAX;
    uint64_t next = cre__nats_bucket_tick(broker, shard, &values->bucket);
    if (values->bucket.state == CRE__STREAM_READY) {
        const bool needs_clock = !values->has_clock || values->count || broker->expiries.count;
        if (needs_clock && !values->asks_clock) {
            if (values->clock_due <= now)
                ask_clock(broker, shard);
            else
                next = earlier(next, values->clock_due);
        }
        if (values->has_clock) next = earlier(next, expire(broker, shard));
    }
    if (values->due <= now) pump_all(broker, shard);
    return earlier(next, values->due);
}
