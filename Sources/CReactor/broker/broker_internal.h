/* The parts of a broker. */
#ifndef CRE_BROKER_INTERNAL_H
#define CRE_BROKER_INTERNAL_H

#include <creactor/broker.h>
#include <creactor/redis_session.h>
#include <string.h>

#include "core/shard.h"

/* What a command of a connection is for: the lowest bits of its tag, above which is a pointer. */
enum {
    CRE__TAG_HELLO = 0,
    CRE__TAG_SCRIPT = 1,  /* the identifier of a script; the pointer is a number instead */
    CRE__TAG_PUBLISH = 2, /* cre__outgoing */
    CRE__TAG_CHECK = 3,   /* cre__broker_topic */
    CRE__TAG_RECOVER = 4, /* cre__recovery */
    CRE__TAG_CHANNEL = 5, /* a subscription */
    CRE__TAG_READY = 6,   /* what was sent at the beginning has been answered */
    CRE__TAG_PROBE = 7,
    CRE__TAG_MASK = 7
};

enum { CRE__SCRIPT_PUBLISH, CRE__SCRIPT_RECOVER, CRE__SCRIPTS };
enum { CRE__CHANNELS_AT_ONCE = 128 };
enum { CRE__SCRIPT_ID = 40, CRE__MAX_PREFIX = 32 };

/* A subscribed topic. */
typedef struct cre__broker_topic {
    struct cre__broker_topic *next; /* in its bucket */
    uint64_t hash;
    cre_broker_position position; /* of the last message that was delivered; epoch 0: unknown */
    uint32_t shard;
    uint32_t checks; /* recoveries without a reply */
    bool history;
    bool refilling; /* messages with history are dropped: the reply to a check has them */
    bool removed;   /* freed with the last check */
    uint8_t length;
    uint8_t name[];
} cre__broker_topic;

/* A message to publish. It is in the queue of its shard until it has a reply. */
typedef struct cre__outgoing {
    struct cre__outgoing *next, *previous;
    uint64_t tag, id;
    cre_broker_history history;
    uint32_t payload_length;
    bool sent;
    uint8_t topic_length;
    uint8_t bytes[]; /* the topic, the message */
} cre__outgoing;

typedef struct cre__recovery {
    uint64_t tag;
} cre__recovery;

typedef enum cre__link_state {
    CRE__LINK_WAITING,    /* for the time of the next attempt */
    CRE__LINK_CONNECTING, /* for the caller */
    CRE__LINK_GREETING,   /* for the replies to HELLO and SCRIPT */
    CRE__LINK_RESUMING,   /* for the replies to subscriptions and checks */
    CRE__LINK_READY
} cre__link_state;

/* The connection of a shard. */
typedef struct cre__link {
    cre_redis_session *session; /* NULL while there is no connection */
    cre__link_state state;
    uint32_t attempts; /* since it was ready */
    uint64_t due; /* end of WAITING, or of the time for CONNECTING and GREETING; later: of the next probe */
    bool probing; /* a probe was sent and did not arrive */
    bool inside;  /* its input is being read: the session must not be freed */
    int failure;  /* ends the connection as soon as possible; 0: none */
    char failure_text[128];
    char scripts[CRE__SCRIPTS][CRE__SCRIPT_ID];
    cre__outgoing *first, *last;
    size_t queued; /* bytes of the messages in the queue */
} cre__link;

struct cre_broker {
    cre_broker_config config;
    cre_broker_handlers handlers;
    void *context;
    char prefix[CRE__MAX_PREFIX + 1];
    char *user, *password;
    uint64_t random;  /* the state of the generator */
    uint64_t last_id; /* of published messages */
    cre__broker_topic **buckets;
    size_t topics, mask;
    cre__link links[];
};

extern const char *const cre__broker_scripts[CRE__SCRIPTS];

/* ---- broker.c ---- */
uint64_t cre__broker_random(cre_broker *broker);
cre__broker_topic *cre__broker_find(const cre_broker *broker, cre_slice topic);
void cre__broker_topic_release(cre__broker_topic *topic);

static inline cre_slice cre__topic_name(const cre__broker_topic *topic) {
    return (cre_slice){ topic->name, topic->length };
}

/* A key or channel: prefix, partition, kind, name. Everything of a topic has the same partition, which is in
 * braces, so that all of it would be on one node of a Redis Cluster. */
enum { CRE__MAX_KEY = CRE__MAX_PREFIX + 16 + CRE_BROKER_MAX_TOPIC, CRE__PARTITIONS = 128 };
typedef struct cre__key {
    char bytes[CRE__MAX_KEY];
} cre__key;
cre_slice cre__broker_key(const cre_broker *broker, uint64_t hash, char kind, cre_slice name, cre__key *out);

/* Numbers as text: 16 hexadecimal digits, and decimal ones. */
enum { CRE__HEX = 16 };
void cre__put_hex(char out[CRE__HEX], uint64_t number);
bool cre__parse_hex(cre_slice text, uint64_t *out);
bool cre__parse_offset(cre_slice text, uint64_t *out);
static inline cre_slice cre__text(const char *text) {
    return (cre_slice){ (const uint8_t *)text, strlen(text) };
}

/* ---- link.c ---- */
/* Has the connection ended because of `error` as soon as its session may be freed. */
void cre__link_fail(cre_broker *broker, uint32_t shard, int error, cre_slice text);
/* Whether commands may be appended. */
static inline bool cre__link_is_usable(const cre__link *link) {
    return link->state >= CRE__LINK_RESUMING && !link->failure;
}
/* Append commands. False: it was not appended, has no reply, and the connection ends. */
bool cre__link_command(cre_broker *broker, uint32_t shard, const cre_slice *arguments, size_t count,
                       uint64_t tag);
/* At most CRE__CHANNELS_AT_ONCE topics. */
void cre__link_subscribe(cre_broker *broker, uint32_t shard, cre_redis_subscription verb,
                         cre__broker_topic *const *topics, size_t count);

void cre__link_load(cre_broker *broker, uint32_t shard, unsigned script);
/* Whether an error of Redis begins with this word. */
bool cre__error_is(const cre_redis_value *value, const char *word);

/* ---- publish.c ---- */
void cre__publish_pending(cre_broker *broker, uint32_t shard);
void cre__publish_reply(cre_broker *broker, uint32_t shard, cre__outgoing *message,
                        const cre_redis_value *value);
void cre__publish_disconnected(cre_broker *broker, uint32_t shard);

/* ---- history.c ---- */
void cre__history_message(cre_broker *broker, uint32_t shard, cre_slice channel, cre_slice payload);
void cre__history_check(cre_broker *broker, cre__broker_topic *topic);
void cre__history_checked(cre_broker *broker, cre__broker_topic *topic, const cre_redis_value *value);
/* `value` is NULL when the connection was lost. */
void cre__history_recovered(cre_broker *broker, uint32_t shard, cre__recovery *recovery,
                            const cre_redis_value *value);

#endif
