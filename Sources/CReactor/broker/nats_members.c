/*
 * Changes of members at servers of NATS. The stored value of a member is replaced only if it has the sequence
 * that this machine expects; otherwise it is read, and the change is retried. So exactly one machine adds the
 * first entry of a member, and exactly one removes the last entry.
 */
#include "broker/nats_presence.h"

#include <stdio.h>

#include "core/base64.h"
#include "core/memory.h"
#include "core/slices.h"

enum { ATTEMPTS = 16, PAUSE_MS = 250 };

struct cre__nats_change {
    cre__presence_batch *batch; /* with one member; NULL: a scan removes entries */
    cre__nats_reading *scan;
    uint32_t attempts;
    char event;   /* 'j' or 'l' when it is stored; 0: none */
    bool unknown; /* it was sent, and has no reply */
    bool leaves;  /* it removes the entry of this machine */
    bool empties; /* it has no entries then */
    bool alone;   /* it has those of this machine only */
    uint16_t info_length;
    uint8_t topic_length, id_length;
    uint8_t bytes[]; /* topic, id, room for the longest info */
};

static cre_slice topic_of(const cre__nats_change *change) {
    return (cre_slice){ change->bytes, change->topic_length };
}

static cre_slice id_of(const cre__nats_change *change) {
    return (cre_slice){ change->bytes + change->topic_length, change->id_length };
}

static uint8_t *info_of(cre__nats_change *change) {
    return change->bytes + change->topic_length + change->id_length;
}

static cre__nats_change *new_change(cre_broker *broker, uint32_t shard, cre_slice topic, cre_slice id) {
    cre__nats_change *change =
        cre__calloc(1, sizeof *change + topic.length + id.length + CRE_BROKER_MAX_MEMBER_INFO);
    if (!change) {
        cre__link_fail(broker, shard, CRE_ENOMEM, (cre_slice){ 0 });
        return NULL;
    }
    change->topic_length = (uint8_t)topic.length;
    change->id_length = (uint8_t)id.length;
    memcpy(change->bytes, topic.data, topic.length);
    memcpy(change->bytes + topic.length, id.data, id.length);
    return change;
}

/* ---- the end ---- */

static void end(cre_broker *broker, uint32_t shard, cre__nats_change *change, cre__presence_result result) {
    cre__presence_batch *batch = change->batch;
    cre__nats_reading *scan = change->scan;
    /* what is stored shows it, the next time */
    if (batch && change->unknown && change->event && batch->members[0]->there == change->leaves)
        batch->members[0]->unknown = change->event;
    cre__free(change);
    if (batch)
        cre__presence_done(broker, shard, batch, result);
    else
        cre__nats_reading_removed(broker, shard, scan, result == CRE__PRESENCE_APPLIED);
}

void cre__nats_change_free(cre_broker *broker, uint32_t shard, cre__nats_change *change, bool reports) {
    if (change->batch && reports)
        end(broker, shard, change, CRE__PRESENCE_DEFER);
    else
        cre__free(change);
}

/* JetStream is not available for a moment: members are sent again after a pause. */
static void end_later(cre_broker *broker, uint32_t shard, cre__nats_change *change) {
    cre__nats_link *nats = cre__nats(broker, shard);
    nats->presence.pause = nats->now + PAUSE_MS;
    cre__nats_presence_verify(broker, shard);
    end(broker, shard, change, CRE__PRESENCE_REPEAT);
}

/* ---- requests ---- */

/* False: the connection ends, and with it the change. */
static bool write(cre_broker *broker, uint32_t shard, cre__nats_change *change, uint64_t expected,
                  const cre__nats_record *value) {
    uint8_t bytes[CRE__NATS_RECORD];
    char header[64];
    cre__nats_subject subject;
    const size_t length = cre__nats_record_write(value, bytes);
    snprintf(header, sizeof header, "Nats-Expected-Last-Subject-Sequence: %llu\r\n",
             (unsigned long long)expected);
    const cre_nats_publication publication = { .subject = cre__nats_member_subject(broker, topic_of(change),
                                                                                   id_of(change), &subject),
                                               .headers = cre__text(header),
                                               .payload = { bytes, length } };
    change->empties = value->count == 0;
    change->info_length = (uint16_t)value->info.length;
    if (value->info.length) memcpy(info_of(change), value->info.data, value->info.length);
    change->unknown = cre__nats_ask(broker, shard, publication, CRE__NATS_WRITE, change);
    return change->unknown;
}

static bool read_again(cre_broker *broker, uint32_t shard, cre__nats_change *change) {
    cre__nats_subject name, member;
    return cre__nats_ask_last(broker, shard, cre__nats_members_stream(broker, &name),
                              cre__nats_member_subject(broker, topic_of(change), id_of(change), &member),
                              CRE__NATS_READ, change);
}

static cre_slice info_now(const cre__presence_member *member) {
    return member->info ? (cre_slice){ member->info, member->info_length } : cre__text("");
}

/* Writes the state of the member without reading it first, if the stored value is known. */
static bool begin(cre_broker *broker, uint32_t shard, cre__nats_change *change) {
    const cre__presence_member *member = change->batch->members[0];
    cre__nats_record value = { .info = info_now(member) };
    if (member->sequence ? !member->alone : member->leaves) return read_again(broker, shard, change);
    change->alone = true;
    change->leaves = member->leaves;
    if (member->leaves) {
        change->event = 'l';
    } else {
        value.entries[value.count++] = (cre__nats_entry){ broker->config.publisher, broker->config.seed };
        change->event = member->sequence ? 0 : 'j';
    }
    return write(broker, shard, change, member->sequence, &value);
}

bool cre__nats_members(cre_broker *broker, uint32_t shard, cre__presence_batch *batch) {
    const cre__presence_topic *topic = batch->topic;
    const cre__presence_member *member = batch->members[0];
    if (cre__nats(broker, shard)->presence.pause) return false;
    cre__nats_change *change = new_change(broker, shard, (cre_slice){ topic->name, topic->length },
                                          (cre_slice){ member->id, member->length });
    if (!change) return false;
    change->batch = batch;
    if (begin(broker, shard, change)) return true;
    cre__free(change);
    return false;
}

bool cre__nats_replace(cre_broker *broker, uint32_t shard, cre__nats_reading *scan,
                       const cre__nats_member_name *name, uint64_t sequence, const cre__nats_record *value) {
    cre__nats_change *change = new_change(broker, shard, (cre_slice){ name->topic, name->topic_length },
                                          (cre_slice){ name->id, name->id_length });
    if (!change) return false;
    change->scan = scan;
    change->event = value->count ? 0 : 'l';
    if (write(broker, shard, change, sequence, value)) return true;
    cre__free(change);
    return false;
}

void cre__nats_clean(cre_broker *broker, uint32_t shard, uint64_t sequence) {
    cre__nats_subject name;
    cre__nats_remove(broker, shard, cre__nats_members_stream(broker, &name), sequence, CRE__NATS_CLEAN, NULL);
}

/* ---- what is stored ---- */

/* A change had no reply, and what is stored shows that it was stored: nobody else has reported it. */
static void report_unknown(cre_broker *broker, cre__nats_change *change, bool joined, bool present,
                           cre_slice info) {
    cre__presence_member *member = change->batch->members[0];
    const char event = member->unknown;
    member->unknown = 0;
    if (!event || (event == 'j' ? !joined : present)) return;
    const cre_broker_member changed = { id_of(change), event == 'j' ? info : info_now(member) };
    cre__presence_changed(broker, topic_of(change), &changed, event == 'j');
}

/* Stores the state of a member in place of `value`, which has `sequence`. */
static void replace(cre_broker *broker, uint32_t shard, cre__nats_change *change, cre__nats_record *value,
                    uint64_t sequence) {
    cre__presence_member *member = change->batch->members[0];
    const cre__nats_entry own = { broker->config.publisher, broker->config.seed };
    const uint32_t before = value->count;
    uint32_t others = 0;
    bool stored = false;
    for (uint32_t i = 0; i < before; i++) {
        if (value->entries[i].machine != own.machine)
            value->entries[others++] = value->entries[i];
        else
            stored = stored || value->entries[i].session == own.session;
    }
    report_unknown(broker, change, stored, others < before, value->info);
    const bool is_stored = stored && others + 1 == before && cre__slice_equals(value->info, info_now(member));
    const bool done = member->leaves ? others == before : is_stored;
    change->alone = others == 0;
    change->event = 0;
    change->leaves = member->leaves;
    if (done) {
        member->there = !member->leaves;
        member->sequence = member->leaves ? 0 : sequence;
        member->alone = change->alone;
        end(broker, shard, change, CRE__PRESENCE_APPLIED);
        return;
    }
    if (!member->leaves && others == CRE__NATS_ENTRIES) { /* tried again when the lease is renewed */
        cre__nats_presence_report(broker, shard, cre__text("one of them is on 512 servers already"));
        end(broker, shard, change, CRE__PRESENCE_DEFER);
        return;
    }
    value->count = others;
    if (member->leaves) {
        if (!others) change->event = 'l';
    } else {
        if (!before) change->event = 'j';
        value->entries[value->count++] = own;
        value->info = info_now(member);
    }
    if (!write(broker, shard, change, sequence, value)) cre__nats_change_free(broker, shard, change, true);
}

void cre__nats_read(cre_broker *broker, uint32_t shard, cre__nats_change *change,
                    const cre_nats_event *event) {
    enum { NO_MESSAGE = 10037 };
    cre__nats_error error = { 0 };
    cre__nats_record value = { .info = cre__text("") };
    cre__nats_stored stored;
    const bool failed = !event || cre__nats_error_of(event, &error);
    if (failed && error.kind != NO_MESSAGE) {
        end_later(broker, shard, change);
        return;
    }
    if (failed) { /* nothing is */
        replace(broker, shard, change, &value, 0);
        return;
    }
    if (!cre__nats_stored_of(event, &stored)) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        cre__nats_change_free(broker, shard, change, true);
        return;
    }
    uint8_t bytes[CRE__NATS_RECORD + 3];
    const long length = stored.data.length <= (CRE__NATS_RECORD + 2) / 3 * 4
                            ? cre__base64_decode((const char *)stored.data.data, stored.data.length, bytes)
                            : -1;
    /* what another program has written is replaced */
    if (length > 0) cre__nats_record_read((cre_slice){ bytes, (size_t)length }, &value);
    replace(broker, shard, change, &value, stored.sequence);
}

/* ---- results ---- */

static void stored(cre_broker *broker, uint32_t shard, cre__nats_change *change, uint64_t sequence) {
    const cre_broker_member member = { id_of(change), { info_of(change), change->info_length } };
    if (change->batch) {
        cre__presence_member *own = change->batch->members[0];
        /* 0: not known. The next join is refused then, reads what is stored, and is sent again. */
        own->sequence = change->empties ? 0 : sequence;
        own->alone = change->alone;
        own->unknown = 0;
        own->there = !change->leaves;
    }
    if (change->event) cre__presence_changed(broker, topic_of(change), &member, change->event == 'j');
    /* Without entries it stays until a scan: if it were removed now, a server of NATS that is killed at once
     * may have, when it comes back, the message that was before it. */
    end(broker, shard, change, CRE__PRESENCE_APPLIED);
}

void cre__nats_written(cre_broker *broker, uint32_t shard, cre__nats_change *change,
                       const cre_nats_event *event) {
    cre__nats_error error = { 0 };
    uint64_t sequence;
    const bool failed = !event || cre__nats_error_of(event, &error);
    change->unknown = !event;
    if (!failed && cre__nats_acknowledgement(event, &sequence)) {
        stored(broker, shard, change, sequence);
    } else if (!failed) {
        cre__link_fail(broker, shard, CRE_ENATS_PROTOCOL, (cre_slice){ 0 });
        cre__nats_change_free(broker, shard, change, true);
    } else if (!change->batch) {
        end(broker, shard, change, CRE__PRESENCE_DEFER); /* another machine was first, or the next scan */
    } else if (!event || cre__nats_is_transient(&error)) {
        end_later(broker, shard, change);
    } else if (cre__nats_is_conflict(&error) && ++change->attempts < ATTEMPTS) {
        if (!read_again(broker, shard, change)) cre__nats_change_free(broker, shard, change, true);
    } else {
        cre__nats_presence_report(broker, shard, error.text);
        end(broker, shard, change, CRE__PRESENCE_DEFER);
    }
}
