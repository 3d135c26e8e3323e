/*
 * Reads the members of one topic for a list, or of all topics to remove the members of dead machines. A
 * consumer delivers members in batches; after each batch JetStream is asked which machines are alive. In this
 * order a machine that has just started never looks dead: it writes its lease before its entries.
 *
 * A cluster may put a consumer on a server that has died, as long as it has not noticed that, with NATS 2.9
 * as long as that server is away. So when a consumer does not reply, messages are read without one for some
 * time: one after the other, from the leader of the stream.
 */
#include <creactor/error.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/nats_presence.h"
#include "core/base64.h"
#include "core/memory.h"
#include "nats/json.h"

enum {
    AT_ONCE = 8,
    SILENT_MS = 1000,     /* of a consumer in a cluster */
    STEPS_MS = 10000,     /* without consumers, when one was silent */
    MAX_READINGS = 16384, /* with those that wait */
    SCAN_BATCH = 1000,
    LISTED_BYTES = 4 << 20, /* of one list */
    MAX_BYTES = 16 << 20,   /* that one may read */
    MAX_ALL_BYTES = 64 << 20
};

/* A message. */
typedef struct item {
    struct item *next;
    uint64_t sequence;
    size_t length; /* of the value */
    uint8_t topic_length, id_length;
    uint8_t bytes[]; /* topic, id, value */
} item;

struct cre__nats_reading {
    cre__nats_reading *next, *previous;
    bool scans, started;
    bool too_large; /* not all could be kept */
    bool steps;     /* has no consumer */
    uint64_t last;  /* the sequence of the last message */
    uint64_t tag;
    uint32_t most;
    uint64_t subscription;
    char consumer[64];
    uint64_t pending;  /* messages that there were */
    uint64_t left;     /* messages that are still to come */
    uint32_t batch;    /* those of them that were asked for */
    uint64_t deadline; /* for the next one; 0: none was asked for */
    uint32_t removals; /* without a reply */
    bool removing;     /* more of them are being sent */
    item *items;
    size_t bytes;
    uint8_t length;
    uint8_t name[];
};

static cre__nats_presence *of(const cre_broker *broker, uint32_t shard) {
    return &cre__nats(broker, shard)->presence;
}

/* ---- the object ---- */

static cre__nats_reading *new_reading(cre_broker *broker, uint32_t shard, cre_slice topic) {
    cre__nats_presence *presence = of(broker, shard);
    cre__nats_reading *reading = cre__calloc(1, sizeof *reading + topic.length);
    if (!reading) return NULL;
    reading->length = (uint8_t)topic.length;
    memcpy(reading->name, topic.data, topic.length);
    presence->reading_count++;
    reading->next = presence->readings;
    if (reading->next) reading->next->previous = reading;
    presence->readings = reading;
    return reading;
}

static void free_items(cre__nats_presence *presence, cre__nats_reading *reading) {
    for (item *at = reading->items, *next; at; at = next) {
        next = at->next;
        cre__free(at);
    }
    presence->bytes -= reading->bytes;
    reading->items = NULL;
    reading->bytes = 0;
}

static void free_reading(cre__nats_presence *presence, cre__nats_reading *reading) {
    if (reading->previous)
        reading->previous->next = reading->next;
    else
        presence->readings = reading->next;
    if (reading->next) reading->next->previous = reading->previous;
    if (reading->started) presence->started--;
    if (reading->scans) presence->scanning = false;
    presence->reading_count--;
    free_items(presence, reading);
    cre__free(reading);
}

/* Deletes the consumer and the subscription of a reading, and frees it. */
static void finish(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    uint8_t line[64];
    char subject[160];
    cre__nats_subject bytes;
    const cre_slice name = cre__nats_members_stream(broker, &bytes);
    if (reading->started)
        cre__nats_write(broker, shard, line,
                        cre_nats_unsubscribe(line, sizeof line, reading->subscription, 0));
    if (reading->consumer[0]) {
        snprintf(subject, sizeof subject, "$JS.API.CONSUMER.DELETE.%.*s.%s", (int)name.length,
                 (const char *)name.data, reading->consumer);
        cre__nats_ask(broker, shard, (cre_nats_publication){ .subject = cre__text(subject) }, CRE__NATS_CLEAN,
                      NULL);
    }
    free_reading(of(broker, shard), reading);
}

static void fail(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    const bool lists = !reading->scans;
    const uint64_t tag = reading->tag;
    if (!lists) of(broker, shard)->rescans = true;
    finish(broker, shard, reading);
    if (lists) broker->handlers.present(broker->context, tag, CRE_EBROKER_UNAVAILABLE, NULL);
}

/* ---- requests ---- */

/* Asks for the next message. */
static void ask_step(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    char request[CRE__NATS_SUBJECT + 64];
    cre__nats_subject bytes, filter_bytes;
    const cre_slice topic = { reading->name, reading->length };
    const cre_slice filter = cre__nats_member_subject(broker, topic, (cre_slice){ 0 }, &filter_bytes);
    snprintf(request, sizeof request, "{\"seq\":%llu,\"next_by_subj\":\"%.*s\"}",
             (unsigned long long)reading->last + 1, (int)filter.length, (const char *)filter.data);
    cre__nats_ask_stream(broker, shard, "STREAM.MSG.GET", cre__nats_members_stream(broker, &bytes),
                         cre__text(request), CRE__NATS_READING, reading);
}

static void ask_next(cre_broker *broker, uint32_t shard, cre__nats_reading *reading);

/* Reads from the beginning, without a consumer. */
static void read_steps(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    free_items(of(broker, shard), reading);
    reading->steps = true;
    reading->too_large = false;
    reading->last = reading->pending = 0;
    reading->left = reading->scans ? UINT64_MAX : CRE_BROKER_MAX_LISTED + 1;
    ask_next(broker, shard, reading);
}

/* The consumer, or the server that was to create it, does not reply. */
static void lose_consumer(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    of(broker, shard)->steps_until = cre__nats(broker, shard)->now + STEPS_MS;
    read_steps(broker, shard, reading);
}

static void start(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    cre__nats_link *nats = cre__nats(broker, shard);
    char token[32], config[CRE__NATS_SUBJECT + 384];
    uint8_t line[CRE__NATS_SUBJECT + 32];
    cre__nats_subject inbox, bytes, filter_bytes;
    reading->started = true;
    reading->subscription = ++nats->last_subscription;
    nats->presence.started++;
    snprintf(token, sizeof token, "m.%llu", (unsigned long long)reading->subscription);
    cre__nats_write(broker, shard, line,
                    cre_nats_subscribe(line, sizeof line, cre__nats_inbox(broker, token, &inbox),
                                       (cre_slice){ 0 }, reading->subscription));
    if (nats->presence.steps_until > nats->now) {
        read_steps(broker, shard, reading);
        return;
    }
    const cre_slice name = cre__nats_members_stream(broker, &bytes);
    const cre_slice topic = { reading->name, reading->length };
    const cre_slice filter = cre__nats_member_subject(broker, topic, (cre_slice){ 0 }, &filter_bytes);
    snprintf(config, sizeof config,
             "{\"stream_name\":\"%.*s\",\"config\":{\"deliver_policy\":\"all\",\"ack_policy\":\"none\","
             "\"filter_subject\":\"%.*s\",\"replay_policy\":\"instant\",\"inactive_threshold\":10000000000,"
             "\"mem_storage\":true,\"num_replicas\":1}}",
             (int)name.length, (const char *)name.data, (int)filter.length, (const char *)filter.data);
    cre__nats_ask_stream(broker, shard, "CONSUMER.CREATE", name, cre__text(config), CRE__NATS_READING,
                         reading);
}

/* The time at which the next message of a consumer is due. */
static uint64_t message_due(const cre_broker *broker, uint32_t shard) {
    const cre__nats_link *nats = cre__nats(broker, shard);
    const bool is_short = nats->clustered && broker->config.timeout_ms > SILENT_MS;
    return nats->now + (is_short ? SILENT_MS : broker->config.timeout_ms);
}

static void ask_next(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    char token[32], subject[160], request[64];
    cre__nats_subject inbox, bytes;
    const cre_slice name = cre__nats_members_stream(broker, &bytes);
    const uint64_t most = reading->scans ? SCAN_BATCH : CRE_BROKER_MAX_LISTED + 1;
    reading->batch = (uint32_t)(reading->left < most ? reading->left : most);
    reading->deadline = reading->steps ? 0 : message_due(broker, shard);
    if (reading->steps) {
        ask_step(broker, shard, reading);
        return;
    }
    snprintf(token, sizeof token, "m.%llu", (unsigned long long)reading->subscription);
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.%.*s.%s", (int)name.length,
             (const char *)name.data, reading->consumer);
    snprintf(request, sizeof request, "{\"batch\":%u,\"no_wait\":true}", reading->batch);
    const cre_nats_publication publication = { .subject = cre__text(subject),
                                               .reply = cre__nats_inbox(broker, token, &inbox),
                                               .payload = cre__text(request) };
    cre__nats_send(broker, shard, &publication);
}

static void resume(cre_broker *broker, uint32_t shard, cre__nats_reading *scan) {
    if (scan->left)
        ask_next(broker, shard, scan);
    else
        finish(broker, shard, scan);
}

/* ---- lists ---- */

static int compare_members(const item *a, const item *b) {
    const uint8_t length = a->id_length < b->id_length ? a->id_length : b->id_length;
    const int order = memcmp(a->bytes + a->topic_length, b->bytes + b->topic_length, length);
    return order ? order : (a->id_length > b->id_length) - (a->id_length < b->id_length);
}

/* Members, of each the last message first. */
static int compare_items(const void *a, const void *b) {
    const item *left = *(item *const *)a, *right = *(item *const *)b;
    const int order = compare_members(left, right);
    return order ? order : (left->sequence < right->sequence) - (left->sequence > right->sequence);
}

/* A member that changes while it is read is read again. */
static void answer(cre_broker *broker, cre__nats_reading *reading, const cre__nats_nodes *nodes,
                   const item **items, size_t count, cre_broker_member *members) {
    cre_broker_presence presence = { .members = members, .complete = true };
    cre__nats_record value;
    size_t bytes = 0;
    qsort(items, count, sizeof *items, compare_items);
    for (size_t i = 0; i < count; i++) {
        const item *at = items[i];
        const uint8_t *id = at->bytes + at->topic_length, *from = id + at->id_length;
        if (i && compare_members(items[i - 1], at) == 0) continue;
        if (!cre__nats_record_read((cre_slice){ from, at->length }, &value)) continue;
        cre__nats_remove_dead(&value, nodes);
        if (!value.count) continue;
        members[presence.count++] = (cre_broker_member){ { id, at->id_length }, value.info };
        bytes += at->id_length + value.info.length;
    }
    if (reading->too_large) presence.count = reading->pending;
    if (reading->too_large || presence.count > reading->most || bytes > LISTED_BYTES)
        presence.complete = false;
    else
        presence.listed = presence.count;
    broker->handlers.present(broker->context, reading->tag, 0, &presence);
}

static void list(cre_broker *broker, uint32_t shard, cre__nats_reading *reading,
                 const cre__nats_nodes *nodes) {
    size_t count = 0;
    for (const item *at = reading->items; at; at = at->next)
        count++;
    cre_broker_member *members = cre__malloc((count + 1) * sizeof *members);
    const item **items = cre__malloc((count + 1) * sizeof *items);
    count = 0;
    for (const item *at = items ? reading->items : NULL; at; at = at->next)
        items[count++] = at;
    if (members && items)
        answer(broker, reading, nodes, items, count, members);
    else
        broker->handlers.present(broker->context, reading->tag, CRE_ENOMEM, NULL);
    cre__free(items);
    cre__free(members);
    finish(broker, shard, reading);
}

/* ---- scans ---- */

static void remove_dead(cre_broker *broker, uint32_t shard, cre__nats_reading *scan,
                        const cre__nats_nodes *nodes) {
    cre__nats_member_name name;
    cre__nats_record value;
    scan->removing = true;
    for (const item *at = scan->items; at && !broker->links[shard].failure; at = at->next) {
        const uint8_t *from = at->bytes + at->topic_length + at->id_length;
        cre__nats_record_read((cre_slice){ from, at->length }, &value);
        if (!cre__nats_remove_dead(&value, nodes)) continue;
        name.topic_length = at->topic_length;
        name.id_length = at->id_length;
        memcpy(name.topic, at->bytes, at->topic_length);
        memcpy(name.id, at->bytes + at->topic_length, at->id_length);
        if (cre__nats_replace(broker, shard, scan, &name, at->sequence, &value)) scan->removals++;
    }
    scan->removing = false;
    free_items(of(broker, shard), scan);
    if (!scan->removals && !broker->links[shard].failure) resume(broker, shard, scan);
}

void cre__nats_reading_removed(cre_broker *broker, uint32_t shard, cre__nats_reading *scan, bool done) {
    scan->removals--;
    if (!done) of(broker, shard)->rescans = true;
    if (!scan->removals && !scan->removing) resume(broker, shard, scan);
}

/* Whether a scan must look at it again: a machine that has it was not alive at the last sweep. */
static bool is_suspect(const cre__nats_presence *presence, cre_slice payload) {
    cre__nats_record value;
    cre__nats_record_read(payload, &value);
    return cre__nats_remove_dead(&value, &presence->known) > 0;
}

/* ---- messages ---- */

static void keep(cre_broker *broker, uint32_t shard, cre__nats_reading *reading, const cre_nats_event *event,
                 uint64_t sequence) {
    cre__nats_presence *presence = of(broker, shard);
    cre__nats_member_name name;
    if (!event->payload.length && reading->scans) { /* the member has left */
        cre__nats_clean(broker, shard, sequence);
        return;
    }
    if (event->payload.length > CRE__NATS_RECORD || !cre__nats_member_of(broker, event->subject, &name))
        return;
    if (reading->scans && !is_suspect(presence, event->payload)) return;
    const size_t size = sizeof(item) + name.topic_length + name.id_length + event->payload.length;
    const bool fits = reading->bytes + size <= MAX_BYTES && presence->bytes + size <= MAX_ALL_BYTES;
    item *kept = fits ? cre__malloc(size) : NULL;
    if (!kept) {
        reading->too_large = true;
        if (reading->scans) presence->rescans = true;
        return;
    }
    *kept = (item){ .next = reading->items,
                    .sequence = sequence,
                    .length = event->payload.length,
                    .topic_length = (uint8_t)name.topic_length,
                    .id_length = (uint8_t)name.id_length };
    memcpy(kept->bytes, name.topic, name.topic_length);
    memcpy(kept->bytes + name.topic_length, name.id, name.id_length);
    memcpy(kept->bytes + name.topic_length + name.id_length, event->payload.data, event->payload.length);
    reading->items = kept;
    reading->bytes += size;
    presence->bytes += size;
}

static void end_batch(cre_broker *broker, uint32_t shard, cre__nats_reading *reading) {
    reading->deadline = 0;
    reading->batch = 0;
    if (reading->scans && !reading->items)
        resume(broker, shard, reading);
    else
        cre__nats_ask_nodes(broker, shard, reading);
}

bool cre__nats_reading_message(cre_broker *broker, uint32_t shard, const cre_nats_event *event) {
    cre__nats_reading *reading = of(broker, shard)->readings;
    while (reading && !(reading->started && reading->subscription == event->subscription))
        reading = reading->next;
    if (!reading) return false;
    if (!reading->batch || reading->steps) return true; /* the end of a complete batch; too late */
    enum { NO_MESSAGES = 404, TIMED_OUT = 408 };
    const uint64_t sequence = event->status ? 0 : cre__nats_sequence_of(event->reply);
    if (event->status == NO_MESSAGES || event->status == TIMED_OUT) {
        reading->left = 0;
        end_batch(broker, shard, reading);
        return true;
    }
    if (!sequence) { /* the consumer is gone */
        fail(broker, shard, reading);
        return true;
    }
    reading->deadline = message_due(broker, shard);
    keep(broker, shard, reading, event, sequence);
    reading->left--;
    if (!--reading->batch) end_batch(broker, shard, reading);
    return true;
}

/* ---- replies ---- */

/* Takes a message that was read without a consumer. False: malformed. */
static bool take(cre_broker *broker, uint32_t shard, cre__nats_reading *reading,
                 const cre_nats_event *event) {
    uint8_t record[CRE__NATS_RECORD + 3];
    cre__nats_stored stored;
    if (!cre__nats_stored_of(event, &stored) || stored.sequence <= reading->last) return false;
    reading->last = stored.sequence;
    reading->pending++;
    if (stored.data.length / 4 * 3 > sizeof record) return true; /* of another program */
    const long length = cre__base64_decode((const char *)stored.data.data, stored.data.length, record);
    const cre_nats_event message = { .subject = stored.subject,
                                     .payload = { record, length < 0 ? 0 : (size_t)length } };
    if (length >= 0) keep(broker, shard, reading, &message, stored.sequence);
    return length >= 0;
}

static void step(cre_broker *broker, uint32_t shard, cre__nats_reading *reading,
                 const cre_nats_event *event) {
    enum { NO_MESSAGE = 10037 };
    cre__nats_error error = { 0 };
    const bool failed = !event || cre__nats_error_of(event, &error);
    if (failed && error.kind == NO_MESSAGE) {
        reading->left = 0;
        end_batch(broker, shard, reading);
    } else if (failed || !take(broker, shard, reading, event)) {
        cre__nats_presence_verify(broker, shard);
        fail(broker, shard, reading);
    } else if (reading->left--, --reading->batch) {
        ask_step(broker, shard, reading);
    } else if (reading->scans) {
        end_batch(broker, shard, reading);
    } else { /* too many to list, and to count in this way */
        fail(broker, shard, reading);
    }
}

void cre__nats_reading_begun(cre_broker *broker, uint32_t shard, cre__nats_reading *reading,
                             const cre_nats_event *event) {
    cre__nats_error error;
    cre_slice name, value;
    if (reading->steps) {
        step(broker, shard, reading, event);
        return;
    }
    if (!event) {
        lose_consumer(broker, shard, reading);
        return;
    }
    if (cre__nats_error_of(event, &error) || !cre__json_member(event->payload, "name", &value) ||
        !cre__json_string(value, &name) || !name.length || name.length >= sizeof reading->consumer ||
        !cre_nats_subject_is_valid(name, false) || !cre__json_member(event->payload, "num_pending", &value) ||
        !cre__json_number(value, &reading->pending)) {
        cre__nats_presence_verify(broker, shard);
        fail(broker, shard, reading);
        return;
    }
    memcpy(reading->consumer, name.data, name.length);
    reading->left = reading->pending;
    if (reading->scans) {
        resume(broker, shard, reading);
    } else if (reading->pending > CRE_BROKER_MAX_LISTED) {
        reading->too_large = true;
        list(broker, shard, reading, &(cre__nats_nodes){ 0 });
    } else if (reading->pending) {
        ask_next(broker, shard, reading);
    } else {
        list(broker, shard, reading, &(cre__nats_nodes){ 0 });
    }
}

void cre__nats_reading_nodes(cre_broker *broker, uint32_t shard, cre__nats_reading *reading,
                             const cre_nats_event *event) {
    cre__nats_error error;
    cre__nats_nodes nodes;
    if (!event || cre__nats_error_of(event, &error) ||
        !cre__nats_nodes_read(broker, event->payload, &nodes)) {
        cre__nats_presence_verify(broker, shard);
        fail(broker, shard, reading);
        return;
    }
    if (reading->scans)
        remove_dead(broker, shard, reading, &nodes);
    else
        list(broker, shard, reading, &nodes);
    cre__free(nodes.first);
}

/* ---- beginnings ---- */

bool cre__nats_list_members(cre_broker *broker, uint32_t shard, cre_slice topic, uint32_t most,
                            uint64_t tag) {
    cre__nats_presence *presence = of(broker, shard);
    presence->wanted = presence->asked = true;
    if (presence->members.state == CRE__STREAM_REFUSED || presence->leases.state == CRE__STREAM_REFUSED)
        return false;
    if (presence->reading_count >= MAX_READINGS) return false;
    cre__nats_reading *reading = new_reading(broker, shard, topic);
    if (!reading) return false;
    reading->tag = tag;
    reading->most = most;
    return true;
}

void cre__nats_scan(cre_broker *broker, uint32_t shard) {
    cre__nats_reading *reading = new_reading(broker, shard, cre__text(""));
    if (reading) reading->scans = of(broker, shard)->scanning = true;
    if (!reading) of(broker, shard)->rescans = true;
}

uint64_t cre__nats_reading_tick(cre_broker *broker, uint32_t shard) {
    cre__nats_presence *presence = of(broker, shard);
    const uint64_t now = cre__nats(broker, shard)->now;
    uint64_t next = UINT64_MAX;
    for (cre__nats_reading *reading = presence->readings, *after; reading; reading = after) {
        after = reading->next;
        if (!reading->started && presence->started < AT_ONCE)
            start(broker, shard, reading);
        else if (reading->deadline && reading->deadline <= now)
            lose_consumer(broker, shard, reading);
        else if (reading->deadline && reading->deadline < next)
            next = reading->deadline;
    }
    return next;
}

/* Takes the requests of a reading, which get no reply any more. */
static void cancel(cre__nats_link *nats, const cre__nats_reading *reading) {
    while (cre__nats_cancel(nats, CRE__NATS_READING, reading) ||
           cre__nats_cancel(nats, CRE__NATS_NODES, reading)) {
    }
}

void cre__nats_readings_fail(cre_broker *broker, uint32_t shard) {
    for (cre__nats_reading *reading = of(broker, shard)->readings, *next; reading; reading = next) {
        next = reading->next;
        if (reading->removals) continue; /* their replies end it */
        cancel(cre__nats(broker, shard), reading);
        fail(broker, shard, reading);
    }
}

void cre__nats_readings_close(cre_broker *broker, cre__nats_link *nats, bool reports) {
    for (cre__nats_reading *reading = nats->presence.readings, *next; reading; reading = next) {
        const bool lists = !reading->scans;
        const uint64_t tag = reading->tag;
        next = reading->next;
        free_reading(&nats->presence, reading);
        if (lists && reports) broker->handlers.present(broker->context, tag, CRE_EBROKER_UNAVAILABLE, NULL);
    }
}
