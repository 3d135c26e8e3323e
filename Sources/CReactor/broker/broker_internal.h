/* The parts of a broker, and what it needs of the protocol of its servers. */
#ifndef CRE_BROKER_INTERNAL_H
#define CRE_BROKER_INTERNAL_H

#include <creactor/broker.h>
#include <string.h>

#include "broker/link.h"
#include "broker/nats_expiries.h"
#include "core/shard.h"

enum { CRE__MAX_PREFIX = 32 };

/* A subscribed topic. */
typedef struct cre__broker_topic {
    struct cre__broker_topic *next;          /* in its bucket */
    struct cre__broker_topic *newer, *older; /* in its shard */
    uint64_t hash;
    cre_broker_position position; /* of the last message that was delivered; epoch 0: unknown */
    cre_broker_history history;   /* count 0: its messages have no positions */
    uint32_t shard;
    uint32_t checks; /* recoveries without a reply */
    bool refilling;  /* messages with history are not delivered: the reply to a check has them */
    bool removed;    /* freed with the last check */
    union {
        struct {                   /* of servers of NATS */
            uint64_t subscription; /* its number */
            uint64_t delivered;    /* the highest sequence that was delivered since it was subscribed */
            uint64_t announced;    /* the highest one that arrived while it was refilled */
            uint64_t complete_at;  /* when nothing behind `position` was missing; 0: not known */
            bool unsettled;        /* messages up to `position` may still come, and it is not reported yet */
            uint32_t arrived;      /* messages while it was refilled, since the last reply */
            struct cre__nats_fetch *refill; /* the check that refills it; NULL: none has begun */
        };
        struct {                                  /* of servers of Redis */
            struct cre__broker_topic *next_check; /* in the queue */
            size_t check_bytes;                   /* the longest reply that the check asks for */
            uint8_t check;                        /* CRE__CHECK_... */
            bool check_again;                     /* something is missing since the check was sent */
            bool resumes; /* the connection is not ready before its checks have ended */
        };
    };
    uint8_t length;
    uint8_t name[];
} cre__broker_topic;

/* A message to publish. It is in the queue of its shard until it has a reply. */
typedef struct cre__outgoing {
    struct cre__outgoing *next, *previous;
    uint64_t tag, id;
    cre_broker_history history;
    struct cre__outgoing *waiting; /* of servers of NATS: the next one of its lane */
    uint32_t payload_length;
    bool sent, too_large;
    uint8_t topic_length;
    uint8_t bytes[]; /* the topic, the message */
} cre__outgoing;

/* A topic with members of this machine. */
typedef struct cre__presence_topic {
    struct cre__presence_topic *next;          /* in its bucket */
    struct cre__presence_topic *newer, *older; /* in its shard */
    struct cre__presence_member *members;
    uint64_t hash;
    uint32_t shard;
    uint8_t length;
    uint8_t name[];
} cre__presence_topic;

typedef struct cre__presence_member {
    struct cre__presence_member *next;          /* in its bucket */
    struct cre__presence_member *next_queued;   /* in the queue of its shard */
    struct cre__presence_member *newer, *older; /* in its topic */
    cre__presence_topic *topic;
    uint64_t hash;
    uint8_t *info;     /* NULL: none */
    uint32_t sent;     /* batches with it that have no reply */
    uint64_t sequence; /* NATS: of the stored value that this machine wrote; 0: not known */
    uint16_t info_length;
    bool queued;
    bool postponed; /* it is queued when its batch ends: batches of one member are not in order */
    bool leaves;    /* freed with the reply to the batch that says so */
    bool confirmed; /* the servers have its state */
    bool alone;     /* of servers of NATS: no other machine has it, as of `sequence` */
    char unknown;   /* of servers of NATS: the event of a change that perhaps was stored; 0: none */
    bool there;     /* NATS: the stored value has an entry of this machine, as far as is known */
    bool reported;  /* of a broker without servers: it has joined */
    uint8_t length;
    uint8_t id[];
} cre__presence_member;

/* Members of one topic that were sent and have no reply. The topic has them, so it exists. */
enum { CRE__PRESENCE_BATCH = 128 };
typedef struct cre__presence_batch {
    struct cre__presence_batch *next, **link; /* in its shard */
    cre__presence_topic *topic;
    size_t bytes;
    uint32_t count; /* at most CRE__PRESENCE_BATCH */
    cre__presence_member *members[];
} cre__presence_batch;

/* The members of a shard that are to be sent. */
typedef struct cre__presence_link {
    cre__presence_topic *topics; /* the newest one, of all with members */
    cre__presence_member *first, *last;
    cre__presence_batch *batches;
    size_t in_flight;        /* bytes of the batches */
    bool ready;              /* the servers accept members of this machine */
    bool retiring;           /* the servers do not know yet that this machine ends */
    bool pumping;            /* batches are being sent */
    uint64_t renewal, sweep; /* when they are due */
} cre__presence_link;

/* Members of topics on this machine, in tables of the same size. */
typedef struct cre__presence {
    cre__presence_topic **topics;
    cre__presence_member **members;
    size_t count, mask; /* of the members */
    bool retires;       /* they leave by expiring, and no others join */
    uint64_t lease;     /* of servers of NATS: the sequence of this machine's lease; 0: none */
    uint64_t epoch;     /* of servers of NATS: the instance of the stream of members; 0: none */
} cre__presence;

typedef enum cre__link_state {
    CRE__LINK_WAITING,    /* for the time of the next attempt */
    CRE__LINK_CONNECTING, /* for the caller */
    CRE__LINK_GREETING,   /* for the server to accept the broker */
    CRE__LINK_RESUMING,   /* for subscriptions and checks */
    CRE__LINK_READY
} cre__link_state;

/* The connection of a shard. */
typedef struct cre__link {
    void *session; /* of the kind's protocol; NULL while there is no connection */
    cre__link_state state;
    uint32_t attempts; /* since it was ready */
    uint64_t due;  /* end of WAITING, or of the time for CONNECTING and GREETING; later: of the next probe */
    bool probing;  /* a probe was sent and did not arrive */
    bool inside;   /* its input is being read: the session must not be freed */
    bool is_timed; /* the time that the session was given is that of now, not an earlier one */
    int failure;   /* ends the connection as soon as possible; 0: none */
    char failure_text[128];
    cre__broker_topic *topics; /* the newest one */
    cre__outgoing *first, *last;
    size_t queued; /* bytes of the messages in the queue */
    cre__presence_link presence;
    size_t values; /* bytes of operations on values that have no reply */
} cre__link;

/* What depends on the protocol of the servers. Errors, also those of functions without a result, are reported
 * by cre__link_fail. */
typedef struct cre__broker_kind {
    /* Returns CRE_EINVALID for settings that the servers do not support. */
    int (*check)(const cre_broker_config *config);
    /* The broker was created. NULL: nothing is to be done. */
    void (*created)(cre_broker *broker);
    /* Creates the session of a connection that is open, and greets. Once it was accepted, it calls
     * cre__link_resume, subscribes to all topics, and then calls cre__publish_pending; when gaps are filled,
     * cre__link_ready. */
    void (*open)(cre_broker *broker, uint32_t shard);
    /* Frees a session that its link has no more. The broker is being destroyed, or (`reports`) recoveries are
     * reported as unavailable. */
    void (*close)(cre_broker *broker, uint32_t shard, void *session, bool reports);
    /* Reads bytes of the server. Each message that shows that the server delivers ends with
     * cre__link_alive. */
    void (*received)(cre_broker *broker, uint32_t shard, const uint8_t *data, size_t length, uint64_t now);
    /* Sends what cre__link_alive will be called for. */
    void (*probe)(cre_broker *broker, uint32_t shard);
    /* Does what is due, and returns the time of the next call. NULL: there is nothing. */
    uint64_t (*tick)(cre_broker *broker, uint32_t shard, uint64_t now);
    cre_slice (*output)(const void *session);
    void (*sent)(void *session, size_t length);
    /* On a usable link. The first one begins a check, too. */
    void (*subscribe)(cre_broker *broker, cre__broker_topic *topic);
    void (*unsubscribe)(cre_broker *broker, cre__broker_topic *topic);
    /* Sends a message, for which cre__publish_finish will be called, and returns whether it was sent. */
    bool (*publish)(cre_broker *broker, uint32_t shard, cre__outgoing *message);
    /* Returns whether `recovered` will be called. */
    bool (*recover)(cre_broker *broker, uint32_t shard, cre_slice topic, cre_broker_history history,
                    cre_broker_position since, uint64_t tag);
    /* Presence. Members are sent after cre__presence_resume. */
    uint32_t batch_members; /* the most of a batch */
    size_t batch_bytes;     /* of a batch besides its members, as they count for what has no reply */
    /* Sends the members of a batch, for which cre__presence_done will be called, and returns whether they
     * were sent; if not, they are sent after the next call of cre__presence_pump. */
    bool (*members)(cre_broker *broker, uint32_t shard, cre__presence_batch *batch);
    /* Keeps the members of this machine from expiring. NULL: each one is sent again. */
    void (*renew)(cre_broker *broker, uint32_t shard);
    /* Lets all members of this machine expire, behind the batches that have no reply: it clears `retiring`.
     * NULL: each one is sent. */
    void (*retire)(cre_broker *broker, uint32_t shard);
    /* Removes expired members, and reports them. */
    void (*sweep)(cre_broker *broker, uint32_t shard);
    /* Returns whether `present` will be called. */
    bool (*list_members)(cre_broker *broker, uint32_t shard, cre_slice topic, uint32_t most, uint64_t tag);
    /* Carries out an operation on a value. Returns 0, and `value` is called later, or an error. NULL: the
     * servers do not support it. */
    int (*apply)(cre_broker *broker, uint32_t shard, const cre_value_operation *operation, uint64_t tag);
} cre__broker_kind;

struct cre_broker {
    const cre__broker_kind *kind;
    cre_broker_config config;
    cre_broker_handlers handlers;
    void *context;
    char prefix[CRE__MAX_PREFIX + 1];
    char *user, *password, *token, *jwt;
    uint8_t seed[32]; /* a private key */
    bool has_seed;
    uint64_t random;                      /* the state of the generator */
    uint64_t last_id;                     /* of published messages */
    uint32_t tags[CRE_BROKER_MAX_SHARDS]; /* of a Redis Cluster: the partition of each shard */
    cre__broker_topic **buckets;
    size_t topics, mask;
    cre__presence presence;
    cre__nats_expiries expiries;
    cre__link links[];
};

extern const cre__broker_kind cre__broker_redis, cre__broker_redis_cluster, cre__broker_nats,
    cre__broker_local;

static inline cre_slice cre__text(const char *text) {
    return (cre_slice){ (const uint8_t *)text, strlen(text) };
}

/* ---- broker.c ---- */
uint64_t cre__broker_random(cre_broker *broker);

/* ---- topics.c ---- */
int cre__topics_init(cre_broker *broker);
void cre__topics_deinit(cre_broker *broker);
cre__broker_topic *cre__broker_find(const cre_broker *broker, cre_slice topic);
/* Frees a topic that was removed, with its last check. */
void cre__broker_topic_release(cre__broker_topic *topic);
/* The topic is not freed during the callback, which may unsubscribe. */
void cre__topic_deliver(cre_broker *broker, cre__broker_topic *topic, cre_slice payload,
                        cre_broker_position position);
/* Messages of the topic are no longer available. The next one is the one after `position`. */
void cre__topic_lose(cre_broker *broker, cre__broker_topic *topic, cre_broker_position position);

static inline cre_slice cre__topic_name(const cre__broker_topic *topic) {
    return (cre_slice){ topic->name, topic->length };
}

/* ---- link.c ---- */
/* The server has accepted the broker: topics are subscribed, and their gaps are filled. */
void cre__link_resume(cre_broker *broker, uint32_t shard, uint64_t now);
void cre__link_ready(cre_broker *broker, uint32_t shard);
/* The server delivers. */
void cre__link_alive(cre_broker *broker, uint32_t shard, uint64_t now);
/* Whether the server has accepted the broker, so that commands may be appended. */
static inline bool cre__link_is_usable(const cre__link *link) {
    return link->state >= CRE__LINK_RESUMING && !link->failure;
}

/* ---- presence.c ---- */
/* The servers accept members: those of the shard are sent, all of them or (`unconfirmed`) those whose state
 * is not known there. */
void cre__presence_resume(cre_broker *broker, uint32_t shard, uint64_t now, bool unconfirmed);
/* Sends members that are queued. */
void cre__presence_pump(cre_broker *broker, uint32_t shard);
/* Queues the members whose state is not known at the servers. */
void cre__presence_repeat(cre_broker *broker, uint32_t shard);
/* Does what is due, and returns the time at which this must be called again. */
uint64_t cre__presence_tick(cre_broker *broker, uint32_t shard, uint64_t now);
/* A batch has a reply, or its connection was lost. It is freed. */
typedef enum cre__presence_result {
    CRE__PRESENCE_APPLIED, /* it has taken effect */
    CRE__PRESENCE_REPEAT,  /* its members are sent again */
    CRE__PRESENCE_DEFER    /* they are sent again by cre__presence_repeat */
} cre__presence_result;
void cre__presence_done(cre_broker *broker, uint32_t shard, cre__presence_batch *batch,
                        cre__presence_result result);
/* The servers have reported a change. */
void cre__presence_changed(cre_broker *broker, cre_slice topic, const cre_broker_member *member, bool joined);
void cre__presence_free(cre_broker *broker);
/* A topic with members of this machine. NULL: there is none. */
const cre__presence_topic *cre__presence_find(const cre_broker *broker, cre_slice topic);

/* ---- publish.c ---- */
bool cre__history_is_valid(cre_broker_history history);
void cre__publish_pending(cre_broker *broker, uint32_t shard);
void cre__publish_disconnected(cre_broker *broker, uint32_t shard);
void cre__publish_deinit(cre__link *link);
/* Removes a message from its queue, frees it and reports the result. */
void cre__publish_finish(cre_broker *broker, uint32_t shard, cre__outgoing *message, int result,
                         cre_broker_position position);
/* Moves a message to the end of its queue. */
void cre__publish_requeue(cre__link *link, cre__outgoing *message);

static inline cre_slice cre__outgoing_topic(const cre__outgoing *message) {
    return (cre_slice){ message->bytes, message->topic_length };
}

static inline cre_slice cre__outgoing_payload(const cre__outgoing *message) {
    return (cre_slice){ message->bytes + message->topic_length, message->payload_length };
}

#endif
