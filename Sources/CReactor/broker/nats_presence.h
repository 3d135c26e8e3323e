/*
 * Members of topics at servers of NATS.
 *
 * A stream has one message for each member of each topic: the machines that have it, and its info. A machine
 * changes it only if nobody else has done so meanwhile, which JetStream verifies, so exactly one machine adds
 * the first entry or removes the last one, and reports that. Another stream has the leases of the machines,
 * which expire there: members of a machine without a lease are not listed, and one of the others removes
 * them.
 */
#ifndef CRE_BROKER_NATS_PRESENCE_H
#define CRE_BROKER_NATS_PRESENCE_H

#include "broker/nats.h"

/* ---- nats_records.c ---- */

/* An entry of a member: a machine that has it, in one of its sessions. */
typedef struct cre__nats_entry {
    uint64_t machine, session;
} cre__nats_entry;

enum {
    CRE__NATS_ENTRIES = 512, /* the most of a member */
    CRE__NATS_RECORD = CRE__NATS_ENTRIES * 33 + 1 + CRE_BROKER_MAX_MEMBER_INFO
};

/* What is stored for a member. Without entries it has left. */
typedef struct cre__nats_record {
    uint32_t count;
    cre__nats_entry entries[CRE__NATS_ENTRIES];
    cre_slice info; /* borrowed */
} cre__nats_record;

/* Reads a record. What is malformed has no entries and no info, and false is returned. */
bool cre__nats_record_read(cre_slice bytes, cre__nats_record *value);
/* Writes a record; one without entries is empty. */
size_t cre__nats_record_write(const cre__nats_record *value, uint8_t out[CRE__NATS_RECORD]);
/* The subject of a member; with an empty id that of all members of the topic, without a topic of all. */
cre_slice cre__nats_member_subject(const cre_broker *broker, cre_slice topic, cre_slice id,
                                   cre__nats_subject *out);
/* The subject of this machine's lease. */
cre_slice cre__nats_lease_subject(const cre_broker *broker, cre__nats_subject *out);
/* The names in the subject of a member. */
typedef struct cre__nats_member_name {
    uint8_t topic[CRE_BROKER_MAX_TOPIC + 3], id[CRE_BROKER_MAX_MEMBER_ID + 3];
    size_t topic_length, id_length;
} cre__nats_member_name;
bool cre__nats_member_of(const cre_broker *broker, cre_slice subject, cre__nats_member_name *out);
/* The sequence of a message that a consumer delivers with this subject for replies; 0: malformed. */
uint64_t cre__nats_sequence_of(cre_slice reply);
/* Reads the machines that are alive from the information about the stream of leases. False: malformed, or no
 * memory. */
bool cre__nats_nodes_read(const cre_broker *broker, cre_slice reply, cre__nats_nodes *out);
bool cre__nats_is_alive(const cre__nats_nodes *nodes, uint64_t session);
/* Removes the entries of machines that are not alive. Returns their number. */
uint32_t cre__nats_remove_dead(cre__nats_record *value, const cre__nats_nodes *nodes);

/* ---- nats_presence.c ---- */

void cre__nats_presence_open(cre__nats_presence *presence);
/* The name of the stream of members. */
cre_slice cre__nats_members_stream(const cre_broker *broker, cre__nats_subject *out);
/* Does what is due, and returns the time of the next call. */
uint64_t cre__nats_presence_tick(cre_broker *broker, uint32_t shard);
/* The reply to one of the requests for members; NULL: there was none in time. */
void cre__nats_presence_replied(cre_broker *broker, uint32_t shard, const cre__nats_request *request,
                                const cre_nats_event *event);
/* Frees what a session has, at the end of its connection. */
void cre__nats_presence_close(cre_broker *broker, uint32_t shard, cre__nats_link *nats, bool reports);
/* Asks for the machines that are alive. */
bool cre__nats_ask_nodes(cre_broker *broker, uint32_t shard, cre__nats_reading *reading);
/* The server does not allow to publish to a subject. */
void cre__nats_presence_denied(cre_broker *broker, uint32_t shard, cre_slice subject);
/* Asks for the two streams again: one of them does not reply as it should. */
void cre__nats_presence_verify(cre_broker *broker, uint32_t shard);
/* Reports a cause, once until members are accepted again. */
void cre__nats_presence_report(cre_broker *broker, uint32_t shard, cre_slice cause);
void cre__nats_renew(cre_broker *broker, uint32_t shard);
void cre__nats_retire(cre_broker *broker, uint32_t shard);
void cre__nats_sweep(cre_broker *broker, uint32_t shard);
static inline bool cre__nats_presence_is_ready(const cre__nats_presence *presence) {
    return presence->members.state == CRE__STREAM_READY && presence->leases.state == CRE__STREAM_READY;
}

/* ---- nats_members.c ---- */

typedef struct cre__nats_change cre__nats_change;
bool cre__nats_members(cre_broker *broker, uint32_t shard, cre__presence_batch *batch);
/* The reply for a change; NULL: there was none in time. */
void cre__nats_read(cre_broker *broker, uint32_t shard, cre__nats_change *change,
                    const cre_nats_event *event);
void cre__nats_written(cre_broker *broker, uint32_t shard, cre__nats_change *change,
                       const cre_nats_event *event);
/* Stores `value` for a member that had another one with `sequence`, for a scan, which is continued by
 * cre__nats_reading_removed. False: the connection ends. */
bool cre__nats_replace(cre_broker *broker, uint32_t shard, cre__nats_reading *scan,
                       const cre__nats_member_name *name, uint64_t sequence, const cre__nats_record *value);
/* Removes a message of the stream of members that has no entries. If it is not removed, the next scan does
 * so. */
void cre__nats_clean(cre_broker *broker, uint32_t shard, uint64_t sequence);
/* Frees a change whose connection has ended; with `reports` its batch ends. */
void cre__nats_change_free(cre_broker *broker, uint32_t shard, cre__nats_change *change, bool reports);

/* ---- nats_readings.c ---- */

bool cre__nats_list_members(cre_broker *broker, uint32_t shard, cre_slice topic, uint32_t most, uint64_t tag);
/* Begins to look for members of machines that are not alive. */
void cre__nats_scan(cre_broker *broker, uint32_t shard);
/* A message of a subscription that is none of a topic. False: nobody reads it. */
bool cre__nats_reading_message(cre_broker *broker, uint32_t shard, const cre_nats_event *event);
/* The reply to a request; NULL: there was none in time. */
void cre__nats_reading_begun(cre_broker *broker, uint32_t shard, cre__nats_reading *reading,
                             const cre_nats_event *event);
void cre__nats_reading_nodes(cre_broker *broker, uint32_t shard, cre__nats_reading *reading,
                             const cre_nats_event *event);
void cre__nats_reading_removed(cre_broker *broker, uint32_t shard, cre__nats_reading *scan, bool done);
/* Starts those for which there is room, and ends those that get no messages. Returns the time of the next
 * call. */
uint64_t cre__nats_reading_tick(cre_broker *broker, uint32_t shard);
/* Ends all because the streams are not available; a scan that removes members ends later. */
void cre__nats_readings_fail(cre_broker *broker, uint32_t shard);
/* Frees all at the end of the connection; with `reports` lists are reported as unavailable. */
void cre__nats_readings_close(cre_broker *broker, cre__nats_link *nats, bool reports);

#endif
