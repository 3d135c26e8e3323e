/*
 * Messages between the machines of a cluster, through one or several independent servers of Redis or Valkey
 * (shards), a Redis Cluster, or a server or cluster of NATS, without I/O and without a clock: the caller
 * connects, moves bytes and names the time.
 *
 * A topic belongs to one shard, by consistent hashing. While it has a subscriber (cre_broker_subscribe) the
 * messages that any machine publishes to it arrive in one order, the same for all machines. A topic with
 * history numbers its messages: whoever knows the position of the last one it has can get those after it, all
 * of them or none. After a lost connection the broker does that by itself for each subscribed topic with
 * history, so that its messages arrive without gaps and duplicates, or the topic is reported as lost.
 *
 * All functions of a broker must be called on one thread, and not by its callbacks, except
 * cre_broker_subscribe, cre_broker_resume, cre_broker_unsubscribe, cre_broker_publish,
 * cre_broker_publish_again, cre_broker_recover, cre_broker_join, cre_broker_leave, cre_broker_retire,
 * cre_broker_list_members and cre_broker_apply, and what `connect` calls. `now` is a monotonic time in
 * milliseconds. After one call or several the caller calls cre_broker_tick, then sends the output of each
 * shard.
 */
#ifndef CREACTOR_BROKER_H
#define CREACTOR_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "error.h"
#include "export.h"
#include "value.h"

/** A broker. */
typedef struct cre_broker cre_broker;

/** Limits: bytes of a topic's name and of a message, shards. */
enum { CRE_BROKER_MAX_TOPIC = 255, CRE_BROKER_MAX_PAYLOAD = 8 << 20, CRE_BROKER_MAX_SHARDS = 64 };

/** The most messages of a history. */
enum { CRE_BROKER_MAX_HISTORY = 10000 };

/** Limits of members of topics. */
enum {
    CRE_BROKER_MAX_MEMBER_ID = 255,    /* bytes of an id, which has at least 1 */
    CRE_BROKER_MAX_MEMBER_INFO = 1024, /* bytes of an info */
    CRE_BROKER_MAX_LISTED = 10000,     /* members of one list */
    CRE_BROKER_MIN_PRESENCE = 48,      /* milliseconds of the shortest presence_ms */
    CRE_BROKER_MIN_NATS_PRESENCE = 100 /* the same with servers of NATS */
};

/** The default of max_queue, in bytes. */
enum { CRE_BROKER_DEFAULT_QUEUE = 8 << 20 };

/** The position of a message in the history of a topic. */
typedef struct cre_broker_position {
    uint64_t epoch;  /* random; changes when the history was lost. 0: no position */
    uint64_t offset; /* the first message has 1; 0: before it */
} cre_broker_position;

/** How a message is kept. */
typedef struct cre_broker_history {
    uint32_t count;   /* messages of the topic, at most CRE_BROKER_MAX_HISTORY; 0: none */
    uint32_t seconds; /* after the last one; required if `count` is not 0 */
} cre_broker_history;

/** A member of a topic. */
typedef struct cre_broker_member {
    cre_slice id;
    cre_slice info; /* may be empty */
} cre_broker_member;

/** The members of a topic on all machines. */
typedef struct cre_broker_presence {
    uint64_t count;                   /* of the members */
    const cre_broker_member *members; /* borrowed for the call */
    size_t listed;                    /* members[0...listed - 1], in no order: all, or none */
    bool complete;                    /* all are there; false when they are too many, or more than 4 MiB */
} cre_broker_presence;

/** What became of a connection. */
typedef enum cre_broker_state {
    CRE_BROKER_LOST = 0,     /* it ended, or could not be opened; it is tried again */
    CRE_BROKER_CONNECTED = 1 /* all subscriptions are there, and gaps are filled */
} cre_broker_state;

/** What the broker calls. All are required, unless they may be NULL. Slices are borrowed for the call. */
typedef struct cre_broker_handlers {
    /** Start to connect to the server of this shard, and call cre_broker_connected or cre_broker_closed, at
     * once or later. */
    void (*connect)(void *context, uint32_t shard);
    /** Close the connection, or stop connecting, at once; nothing is to be reported for it any more. */
    void (*disconnect)(void *context, uint32_t shard);
    /** A message of a subscribed topic. An epoch of 0: it has no history. */
    void (*message)(void *context, cre_slice topic, cre_slice payload, cre_broker_position position);
    /** A topic with history was subscribed: the next message is the one after `position`. Not called by
     * cre_broker_resume. */
    void (*subscribed)(void *context, cre_slice topic, cre_broker_position position);
    /** Messages of a subscribed topic with history were missed and are no longer available. The next one is
     * the one after `position`. */
    void (*lost)(void *context, cre_slice topic, cre_broker_position position);
    /** What became of cre_broker_publish: 0 and, for a message with history, its position;
     * CRE_EBROKER_UNKNOWN: the connection was lost before the reply, so the message may have been published
     * (only without history, others are published once); CRE_EBROKER_REFUSED: the server refused it, and
     * `refused` was called. */
    void (*published)(void *context, uint64_t tag, int result, cre_broker_position position);
    /** A message that cre_broker_recover found, from the oldest one on. */
    void (*missed)(void *context, uint64_t tag, cre_slice payload, cre_broker_position position);
    /** The end of cre_broker_recover: 0, and all messages up to `position` were passed to `missed`;
     * CRE_EBROKER_GAP, and none was, since some are no longer available; CRE_EBROKER_UNAVAILABLE; or
     * CRE_EBROKER_SILENT: Redis was not asked, since others have waited for their replies too long, or NATS
     * has not answered for 15 seconds. The next message that `message` reports is the one after `position`,
     * if the topic was subscribed before. */
    void (*recovered)(void *context, uint64_t tag, int result, cre_broker_position position);
    /** A connection was established or lost: `error` and `text` are the cause, 0 and empty if there is none.
     */
    void (*state)(void *context, uint32_t shard, cre_broker_state state, int error, cre_slice text);
    /** The server refuses a part of what the broker needs, because of `text`, and the connection stays. When
     * it refuses messages for now (see cre_broker_publish) only the first cause is reported. May be NULL. */
    void (*refused)(void *context, uint32_t shard, cre_slice text);
    /** The server has named another one of its cluster. May be NULL; only called with servers of NATS, as is
     * the following one. */
    void (*server)(void *context, uint32_t shard, cre_slice host, uint16_t port);
    /** Begin TLS on the connection, and call cre_broker_secured, at once or later, or cre_broker_closed.
     * Required with CRE_BROKER_TLS_AFTER_INFO. */
    void (*secure)(void *context, uint32_t shard);
    /** A topic has a new member, or one has left: no machine has it any more, or the machines that had it
     * have crashed. Each change is reported on one machine, mostly that of the member. A change of a member
     * is lost with a connection; a join may be reported again when Redis has lost its data. May be NULL. */
    void (*member)(void *context, cre_slice topic, const cre_broker_member *member, bool joined);
    /** The answer to cre_broker_list_members, with CRE_BROKER_LOCAL before that returns: 0 and the members,
     * borrowed for the call; CRE_EBROKER_UNAVAILABLE or CRE_ENOMEM, and NULL. Required for these. */
    void (*present)(void *context, uint64_t tag, int result, const cre_broker_presence *presence);
    /** The end of cre_broker_apply: 1 when the operation was done or the value of GET is there, 0 when its
     * condition is not met or there is no value. `value` is that of GET or the sum of ADD, borrowed for the
     * call. CRE_EBROKER_UNKNOWN: the connection was lost before the reply, so the operation may have been
     * done. CRE_EBROKER_REFUSED: the server does not permit a command, and `refused` was called. Other errors
     * mean that nothing was changed: CRE_EVALUE_NUMBER; CRE_EVALUE_FULL when the server has no memory;
     * CRE_ELIMIT for a value of another program that is too long; CRE_EBROKER_UNAVAILABLE. Required for
     * cre_broker_apply. */
    void (*value)(void *context, uint64_t tag, int result, cre_slice value);
} cre_broker_handlers;

/** The kinds of servers. */
typedef enum cre_broker_kind {
    CRE_BROKER_REDIS = 0, /* Redis or Valkey; each shard is a server */
    CRE_BROKER_NATS = 1,  /* NATS, with JetStream for topics with history; one shard, which may be any server
                             of a cluster */
    CRE_BROKER_REDIS_CLUSTER = 2, /* a Redis Cluster with sharded channels (Redis 7 or later, Valkey); each
                                     shard is a slot, whose node `connect` finds each time */
    CRE_BROKER_LOCAL = 3 /* no server: members of topics of this broker, whose changes are reported before
                            cre_broker_join and cre_broker_leave return, and nothing else: subscriptions,
                            publications, recoveries and values return CRE_EBROKER_UNSUPPORTED; one shard,
                            and cre_broker_tick is not needed */
} cre_broker_kind;

/** The TLS of servers of NATS. */
typedef enum cre_broker_tls {
    CRE_BROKER_TLS_NONE = 0,       /* clear text */
    CRE_BROKER_TLS_AFTER_INFO = 1, /* begins when the server has introduced itself: `secure` is called */
    CRE_BROKER_TLS_FIRST = 2       /* the caller begins it, before cre_broker_connected */
} cre_broker_tls;

/** The settings of a broker. `size`, `shards` and `seed` are required; another member of 0 takes its default.
 */
typedef struct cre_broker_config {
    size_t size;     /* sizeof(cre_broker_config) */
    uint32_t shards; /* the number of servers; all machines must name the same ones in the same order. Of a
                        Redis Cluster: that of its slots that are used, the same on all machines */
    uint32_t max_topics;  /* subscribed topics; 0: 1,000,000 */
    uint64_t seed;        /* a random number that no other broker has */
    const char *prefix;   /* of all keys, channels and subjects, at most 32 bytes; NULL: "sws" */
    const char *user;     /* NULL: the default user */
    const char *password; /* NULL: none */
    uint32_t max_queue;   /* bytes of messages to publish without a reply, for each shard; 0: 8 MiB */
    uint32_t max_recover; /* messages that one recovery may return; 0: 1024, at most CRE_BROKER_MAX_HISTORY */
    uint32_t min_backoff_ms; /* 0: 50 ms */
    uint32_t max_backoff_ms; /* 0: 5 s */
    uint32_t timeout_ms;     /* for connecting and the first reply; 0: 5 s */
    uint32_t
        probe_ms; /* silence after which a message to itself is sent, and time for its arrival; 0: 10 s */
    uint64_t publisher; /* of the ids of cre_broker_publish_again, the same for a broker and its successors;
                           0: the seed */
    uint32_t kind;      /* cre_broker_kind */
    uint32_t tls;       /* cre_broker_tls; of NATS, as those up to `replicas` */
    const char *token;  /* NULL: none */
    const char *nkey;   /* the seed of a user's key, "SU..."; NULL: none */
    const char *credentials; /* the text of a file of credentials, with a JWT and a seed; NULL: none */
    uint32_t replicas;       /* of each stream, at most 5; 0: 3 in a cluster, 1 otherwise */
    uint32_t presence_ms;    /* after which members expire that are not renewed, as a broker does about each
                                presence_ms * 5 / 12; at least CRE_BROKER_MIN_PRESENCE; 0: 60 s */
    uint32_t max_members;    /* of this machine; 0: 1,000,000 */
    uint32_t sweeps; /* 1: expired members are removed each presence_ms / 4, and reported by `member` */
} cre_broker_config;

CRE_BEGIN_DECLS

/** Creates a broker. Everything is copied. Returns 0 and *broker, which the caller destroys; it begins to
 * connect at the first cre_broker_tick. Otherwise returns CRE_ECONFIG_SIZE, CRE_EINVALID for a value out of
 * its range, or CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_broker_create(const cre_broker_config *config,
                                            const cre_broker_handlers *handlers, void *context,
                                            cre_broker **broker);

/** Frees a broker without a callback; the caller closes its connections. NULL is ignored. */
CRE_API void cre_broker_destroy(cre_broker *broker);

/** The connection of a shard is open. */
CRE_API void cre_broker_connected(cre_broker *broker, uint32_t shard, uint64_t now);

/** TLS was established on the connection, after `secure`. */
CRE_API void cre_broker_secured(cre_broker *broker, uint32_t shard, uint64_t now);

/** The connection of a shard has ended, or could not be opened because of `error` (0: it was closed). */
CRE_API void cre_broker_closed(cre_broker *broker, uint32_t shard, int error, uint64_t now);

/** Bytes were received. */
CRE_API void cre_broker_received(cre_broker *broker, uint32_t shard, const uint8_t *data, size_t length,
                                 uint64_t now);

/** Does what is due, and returns the time at which this must be called again. */
CRE_API uint64_t cre_broker_tick(cre_broker *broker, uint64_t now);

/** The bytes to send on the connection of a shard, borrowed until the next call. */
CRE_API cre_slice cre_broker_output(const cre_broker *broker, uint32_t shard);

/** The first `length` bytes of the output were accepted by the connection. */
CRE_API void cre_broker_sent(cre_broker *broker, uint32_t shard, size_t length);

/** The shard of a topic. */
CRE_API uint32_t cre_broker_shard(const cre_broker *broker, cre_slice topic);

/** Whether the connection of a shard is established. */
CRE_API bool cre_broker_is_connected(const cre_broker *broker, uint32_t shard);

/** Receives the messages of a topic from now on. `history`: how its messages are kept, as their publishers
 * name it; with a count of 0 they have no positions. Again for the same topic it does nothing. Returns 0;
 * CRE_EINVALID for a name that is empty or longer than CRE_BROKER_MAX_TOPIC, or a history out of range;
 * CRE_ELIMIT; CRE_ENOMEM. Without a connection it takes effect when there is one. */
CRE_NODISCARD CRE_API int cre_broker_subscribe(cre_broker *broker, cre_slice topic,
                                               cre_broker_history history);

/** As cre_broker_subscribe, for a topic with history of which the messages up to `position` are known: the
 * first one is the one after it, or `lost` is called. Returns what cre_broker_subscribe does. */
CRE_NODISCARD CRE_API int cre_broker_resume(cre_broker *broker, cre_slice topic, cre_broker_history history,
                                            cre_broker_position position);

/** Receives no more messages of a topic. */
CRE_API void cre_broker_unsubscribe(cre_broker *broker, cre_slice topic);

/**
 * Publishes a message, which is copied, to all machines, this one included. Returns 0, and `published` is
 * called with `tag` later; or CRE_EBROKER_UNAVAILABLE when max_queue bytes would wait for replies (a message
 * of any size is accepted when none waits), CRE_EINVALID for
 * the name or a history out of range, CRE_ELIMIT for a message above CRE_BROKER_MAX_PAYLOAD, CRE_ENOMEM.
 *
 * Without a connection the message waits for one. Messages of one broker to one topic keep their order. One
 * with history is published once, however often the connection is lost within five minutes; one without at
 * most once.
 *
 * A server of Redis may refuse messages for now: NOREPLICAS, MISCONF, OOM, BUSY, LOADING, MASTERDOWN,
 * TRYAGAIN. They wait until it accepts them again, which is tried every 250 ms. One that it has refused comes
 * behind one that it has accepted before the refusal was known here.
 */
CRE_NODISCARD CRE_API int cre_broker_publish(cre_broker *broker, cre_slice topic, cre_slice payload,
                                             cre_broker_history history, uint64_t tag);

/** As cre_broker_publish, for a message with history that a predecessor may have published: of all messages
 * with the same `publisher` and `id` within five minutes one is published. A broker that calls this must give
 * all of its messages with history an id. Returns what cre_broker_publish does. */
CRE_NODISCARD CRE_API int cre_broker_publish_again(cre_broker *broker, cre_slice topic, cre_slice payload,
                                                   cre_broker_history history, uint64_t id, uint64_t tag);

/** Returns the bytes of the messages of a shard that wait for a reply, as they count for max_queue. */
CRE_API size_t cre_broker_queued(const cre_broker *broker, uint32_t shard);

/** Asks for the messages of a topic with history after a position; an epoch of 0 asks for the current
 * position only. Returns 0, and `recovered` is called with `tag` later; CRE_EBROKER_UNAVAILABLE without a
 * connection or memory, or CRE_EINVALID for the name or the history. */
CRE_NODISCARD CRE_API int cre_broker_recover(cre_broker *broker, cre_slice topic, cre_broker_history history,
                                             cre_broker_position since, uint64_t tag);

/**
 * Adds a member to a topic. The same id on several machines is one member, which has left when none of them
 * has it; the last info holds. Again on this machine it only changes the info. Returns 0; CRE_EINVALID for a
 * length out of its range; CRE_ELIMIT when there are max_members; CRE_ENOMEM. Without a connection it takes
 * effect when there is one. Members are renewed until cre_broker_leave; those of a broker with the same
 * `publisher` are its successor's when that adds them, too. When a machine is gone its members expire.
 */
CRE_NODISCARD CRE_API int cre_broker_join(cre_broker *broker, cre_slice topic, cre_slice id, cre_slice info);

/** Removes a member of this machine from a topic, if it is there. */
CRE_API void cre_broker_leave(cre_broker *broker, cre_slice topic, cre_slice id);

/** Lets all members of this machine expire at once, and ignores further ones: for a machine that ends, so
 * that those that appear on another one before it removes them have not left. Without a connection they
 * expire later. */
CRE_API void cre_broker_retire(cre_broker *broker);

/** Returns whether changes of members are on their way on a connection. */
CRE_API bool cre_broker_sends_members(const cre_broker *broker);

/** Asks for the members of a topic on all machines, or with `most` 0 for their number only. When there are
 * more than `most`, only their number is returned. Returns 0, and `present` is called with `tag` later;
 * CRE_EBROKER_UNAVAILABLE without a connection; CRE_EINVALID for the name or more than CRE_BROKER_MAX_LISTED;
 * CRE_ENOMEM. */
CRE_NODISCARD CRE_API int cre_broker_list_members(cre_broker *broker, cre_slice topic, uint32_t most,
                                                  uint64_t tag);

/** Carries out an operation on a value that all machines share, in one atomic step. Everything is copied.
 * Returns 0, and `value` is called with `tag` later; CRE_EBROKER_UNAVAILABLE without a connection or memory,
 * or when 8 MiB of operations of the shard have no reply; CRE_ELIMIT for a value that is above max_payload of
 * a server of NATS; CRE_EBROKER_UNSUPPORTED with CRE_BROKER_LOCAL; or an error of cre_value_check. */
CRE_NODISCARD CRE_API int cre_broker_apply(cre_broker *broker, const cre_value_operation *operation,
                                           uint64_t tag);

CRE_END_DECLS

#endif
