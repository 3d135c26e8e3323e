/* The parts of a broker at servers of Redis. */
#ifndef CRE_BROKER_REDIS_H
#define CRE_BROKER_REDIS_H

#include <creactor/redis_session.h>

#include "broker/broker_internal.h"
#include "core/hex.h"

/* What a command of a connection is for: the lowest bits of its tag, above which is a pointer. */
enum {
    CRE__TAG_HELLO = 0,
    CRE__TAG_SCRIPT = 1,  /* the identifier of a script; the pointer is a number instead */
    CRE__TAG_PUBLISH = 2, /* cre__outgoing */
    CRE__TAG_CHECK = 3,   /* cre__broker_topic */
    CRE__TAG_REQUEST = 4, /* cre__request */
    CRE__TAG_CHANNEL = 5, /* a subscription */
    CRE__TAG_READY = 6,   /* what was sent at the beginning has been answered */
    CRE__TAG_PROBE = 7,
    CRE__TAG_MASK = 7,
    CRE__TAG_SLOT = 8 | CRE__TAG_PROBE /* whether a node of a Redis Cluster serves the slot; no pointer */
};

enum {
    CRE__SCRIPT_PUBLISH,
    CRE__SCRIPT_RECOVER,
    CRE__SCRIPT_MEMBERS,
    CRE__SCRIPT_SWEEP,
    CRE__SCRIPT_PRESENT,
    CRE__SCRIPT_VALUE,
    CRE__SCRIPTS
};
enum { CRE__CHANNELS_AT_ONCE = 128, CRE__SCRIPT_ID = 40 };

/* Commands that a server refuses temporarily. */
typedef enum cre__redis_refusal {
    CRE__REFUSED_PLAIN = 1,   /* messages without history */
    CRE__REFUSED_HISTORY = 2, /* those with history */
    CRE__REFUSED_CHECKS = 4,  /* checks of topics, which are to be sent again */
    CRE__RETRYING = 8         /* they were sent again */
} cre__redis_refusal;

/* The state of the check of a topic. */
enum { CRE__CHECK_NONE, CRE__CHECK_QUEUED, CRE__CHECK_SENT };

enum { CRE__RECOVERY_BUCKETS = 256 };

/* The session of a link. */
typedef struct cre__redis_link {
    cre_redis_session *session;
    char scripts[CRE__SCRIPTS][CRE__SCRIPT_ID];
    uint32_t refusals;    /* a set of cre__redis_refusal: what the server refuses for now */
    cre__outgoing *trial; /* the message that was sent to see whether it still does; NULL: none */
    uint64_t retry;       /* when that is done next; 0: not known yet */
    bool refuses_members; /* and that was reported */
    cre__broker_topic *first_check, *last_check; /* of the queue */
    struct cre__question *first_question, *last_question;
    uint32_t next_sweep, sweeping; /* the partition that is swept next, and how many are being swept */
    size_t resuming;               /* topics with `resumes` */
    size_t awaited;                /* bytes that the replies on their way may have */
    uint64_t expiry;               /* of the oldest questions in the queue; 0: not known */
    bool resumed; /* all was sent that a connection begins with, but for checks and what follows them */
    struct cre__recovery *recoveries[CRE__RECOVERY_BUCKETS]; /* without a reply; see redis_history.c */
    /* of a node of a Redis Cluster: */
    bool moving;         /* the keys of the slot are being moved to another one */
    uint64_t slot_check; /* when it is asked whether it serves the slot; 0: not known yet */
} cre__redis_link;

/* A command whose reply concerns one file only. It is the beginning of a structure that is one allocation. */
typedef struct cre__request {
    /* Takes the reply, and frees the request. `value` is NULL when the connection was lost. */
    void (*replied)(cre_broker *broker, uint32_t shard, struct cre__request *request,
                    const cre_redis_value *value);
    void (*drop)(struct cre__request *request); /* frees it; NULL: it is all that was allocated */
} cre__request;

/* A request whose reply may be long. */
typedef struct cre__question {
    cre__request request;
    struct cre__question *next; /* in the queue */
    size_t bytes;               /* the longest reply that it asks for */
    bool is_old;                /* it expires next */
    /* Sends the command. Returns false when the connection ends. */
    bool (*send)(cre_broker *broker, uint32_t shard, struct cre__question *question);
    /* Takes the reply, and frees the question or asks again. `value` is NULL when there will be none, as
     * `error` says. */
    void (*answered)(cre_broker *broker, uint32_t shard, struct cre__question *question,
                     const cre_redis_value *value, int error);
    void (*drop)(struct cre__question *question); /* frees it */
} cre__question;

static inline cre__redis_link *cre__redis(const cre_broker *broker, uint32_t shard) {
    return broker->links[shard].session;
}

static inline bool cre__redis_is_cluster(const cre_broker *broker) {
    return broker->kind == &cre__broker_redis_cluster;
}

/* ---- redis_scripts.c ---- */
extern const char *const cre__broker_scripts[CRE__SCRIPTS];
/* In place of CRE__SCRIPT_PUBLISH, in a Redis Cluster. */
extern const char *const cre__broker_sharded_script;

static inline const char *cre__redis_script(const cre_broker *broker, unsigned script) {
    const bool sharded = script == CRE__SCRIPT_PUBLISH && cre__redis_is_cluster(broker);
    return sharded ? cre__broker_sharded_script : cre__broker_scripts[script];
}

/* ---- redis_keys.c ---- */

/* A key or channel: prefix, partition, kind, name. Everything of a topic has the same partition, which is in
 * braces. In a Redis Cluster each shard is one partition, so that all of it is on one node. */
enum { CRE__MAX_KEY = CRE__MAX_PREFIX + 16 + CRE_BROKER_MAX_TOPIC, CRE__PARTITIONS = 128 };
typedef struct cre__key {
    char bytes[CRE__MAX_KEY];
} cre__key;
cre_slice cre__broker_key(const cre_broker *broker, uint64_t hash, char kind, cre_slice name, cre__key *out);
cre_slice cre__partition_key(const cre_broker *broker, uint64_t partition, char kind, cre_slice name,
                             cre__key *out);

/* Reads decimal digits. */
bool cre__parse_offset(cre_slice text, uint64_t *out);

/* ---- redis_link.c ---- */
/* Append commands. False: it was not appended, has no reply, and the connection ends. */
bool cre__redis_command(cre_broker *broker, uint32_t shard, const cre_slice *arguments, size_t count,
                        uint64_t tag);
/* As above, for a script with its keys and arguments behind the first two arguments, which are filled in. */
bool cre__redis_run(cre_broker *broker, uint32_t shard, unsigned script, cre_slice *arguments, size_t count,
                    cre__request *request);
void cre__redis_load(cre_broker *broker, uint32_t shard, unsigned script);
/* Does what is due, and returns the time of the next call. */
uint64_t cre__redis_tick(cre_broker *broker, uint32_t shard, uint64_t now);
/* Whether this is an error of Redis with this code, also one of a command of a script. */
bool cre__error_is(const cre_redis_value *value, const char *code);

/* ---- redis_cluster.c ---- */
/* Whether a Redis Cluster has refused a command because of its slot: the command is sent again when the slot
 * has arrived where it is moved to, or the connection ends. */
bool cre__redis_slot_refused(cre_broker *broker, uint32_t shard, const cre_redis_value *value);
/* Asks the node whether it serves the slot. */
void cre__redis_check_slot(cre_broker *broker, uint32_t shard, uint64_t tag);
/* `is_first`: of this connection, which is ready then. */
void cre__redis_slot_checked(cre_broker *broker, uint32_t shard, const cre_redis_value *value, bool is_first);
/* The server has ended a subscription: the slot was moved. */
void cre__redis_pushed(cre_broker *broker, uint32_t shard, const cre_redis_value *push);
/* Reads the reply to HELLO. */
void cre__redis_check_version(cre_broker *broker, uint32_t shard, const cre_redis_value *hello);
uint64_t cre__redis_cluster_tick(cre_broker *broker, uint32_t shard, uint64_t now);
bool cre__redis_cluster_publish(cre_broker *broker, uint32_t shard, cre__outgoing *message);
bool cre__redis_cluster_members(cre_broker *broker, uint32_t shard, cre__presence_batch *batch);

/* ---- redis_refusals.c ---- */
/* Whether an error says that the server refuses something for now. */
bool cre__redis_is_temporary(const cre_redis_value *error);
/* Reports an error for which something is dropped. */
void cre__redis_refused(cre_broker *broker, uint32_t shard, const cre_redis_value *error);
/* Whether the server has refused something for now, which is sent again later. The first cause is reported.
 */
bool cre__redis_defers(cre_broker *broker, uint32_t shard, const cre_redis_value *error,
                       cre__redis_refusal refused);
/* Whether a message waits because the server refuses such ones for now. */
bool cre__redis_is_deferred(const cre_broker *broker, uint32_t shard, const cre__outgoing *message);
/* The server has accepted the message that it was tried with. */
void cre__redis_accepted(cre_broker *broker, uint32_t shard);
uint64_t cre__redis_refusals_tick(cre_broker *broker, uint32_t shard, uint64_t now);

/* ---- redis_publish.c ---- */
/* The time without messages, and without servers that check it, after which the epoch of a topic is
 * forgotten. A new one looks like a loss. */
uint64_t cre__redis_meta_seconds(cre_broker_history history);
bool cre__redis_publish(cre_broker *broker, uint32_t shard, cre__outgoing *message);
void cre__redis_published(cre_broker *broker, uint32_t shard, cre__outgoing *message,
                          const cre_redis_value *value);

/* ---- redis_questions.c ---- */
/* The length of a reply that is asked for first, where it is not known. */
enum { CRE__FIRST_REPLY = 16 << 10 };
/* Checks what is missing of a topic, as soon as there is room for the reply. */
void cre__redis_check(cre_broker *broker, cre__broker_topic *topic);
/* The check has a reply. Returns whether another check was asked for since it was sent. */
bool cre__redis_check_replied(cre_broker *broker, cre__broker_topic *topic);
/* The reply was read. Releases the topic, and sends what there is room for. */
void cre__redis_check_ended(cre_broker *broker, cre__broker_topic *topic);
/* Sends a question as soon as there is room for a reply of `bytes`. `answered` is called later, with
 * CRE_EBROKER_SILENT if it was not sent in time. */
void cre__redis_ask(cre_broker *broker, uint32_t shard, cre__question *question, size_t bytes);
/* Sends what there is room for. */
void cre__redis_pump(cre_broker *broker, uint32_t shard);
uint64_t cre__redis_questions_tick(cre_broker *broker, uint32_t shard, uint64_t now);
/* Ends what is in the queue of a session that its link has no more. */
void cre__redis_drop_questions(cre_broker *broker, uint32_t shard, cre__redis_link *redis, bool reports);

/* ---- redis_history.c ---- */
void cre__redis_message(cre_broker *broker, uint32_t shard, cre_slice channel, cre_slice payload);
/* Checks the topics of which messages are missing, or no position is known, and that are not being checked.
 */
void cre__redis_check_awaiting(cre_broker *broker, uint32_t shard);
/* Sends the check of a topic. Returns false when the connection ends. */
bool cre__redis_send_check(cre_broker *broker, cre__broker_topic *topic, size_t bytes);
void cre__redis_checked(cre_broker *broker, cre__broker_topic *topic, const cre_redis_value *value);
bool cre__redis_recover(cre_broker *broker, uint32_t shard, cre_slice topic, cre_broker_history history,
                        cre_broker_position since, uint64_t tag);

/* ---- redis_presence.c ---- */
bool cre__redis_members(cre_broker *broker, uint32_t shard, cre__presence_batch *batch);
void cre__redis_sweep(cre_broker *broker, uint32_t shard);
bool cre__redis_list_members(cre_broker *broker, uint32_t shard, cre_slice topic, uint32_t most,
                             uint64_t tag);

/* ---- redis_values.c ---- */
int cre__redis_apply(cre_broker *broker, uint32_t shard, const cre_value_operation *operation, uint64_t tag);

#endif
