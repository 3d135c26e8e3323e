/* The parts of a broker at servers of NATS. */
#ifndef CRE_BROKER_NATS_H
#define CRE_BROKER_NATS_H

#include <creactor/nats.h>

#include "broker/broker_internal.h"

enum { CRE__NATS_INBOX = 1 /* the subscription to replies; those of topics follow */ };

/* The most by which a reply of a leader overtakes messages that it has published before. */
enum { CRE__NATS_PASSING_MS = 1000 };

/* A subject: prefix, kind, perhaps a stream, and the topic, of which a byte takes up to three. */
enum { CRE__NATS_SUBJECT = CRE__MAX_PREFIX + 32 + 3 * CRE_BROKER_MAX_TOPIC };
typedef struct cre__nats_subject {
    uint8_t bytes[CRE__NATS_SUBJECT];
} cre__nats_subject;

/* Messages of one lane are stored in their order. */
typedef struct cre__nats_lane {
    cre__outgoing *first, *last; /* not sent */
    uint32_t unacknowledged;
} cre__nats_lane;

typedef enum cre__nats_stream_state {
    CRE__STREAM_UNKNOWN, /* is asked for at `due` */
    CRE__STREAM_ASKED,
    CRE__STREAM_READY,
    CRE__STREAM_REFUSED /* is asked for again at `due` */
} cre__nats_stream_state;

/* The stream of the topics with one history. */
typedef struct cre__nats_stream {
    cre_broker_history history;
    cre__nats_stream_state state;
    bool creating;       /* ASKED: to create it */
    bool reported;       /* its failure; until it is READY */
    bool stuck;          /* messages in its lanes are to be refused */
    uint32_t failures;   /* since it was READY */
    bool unchecked;      /* checks of topics were abandoned */
    bool suspect;        /* a message had a number from before: another stream may have its name */
    bool polled;         /* READY, and asked whether it still has its leader */
    uint64_t due, poll;  /* when it is asked for its state; READY: when it is polled */
    uint64_t epoch;      /* 0: not known yet */
    uint64_t last;       /* its last sequence when it last replied */
    uint64_t replied_at; /* when that was */
    uint64_t clock;      /* of a server alone: its time then, minus `now`; 0: not known */
    uint64_t passed;     /* no live message up to this sequence is still to come */
    uint32_t replies;
    uint64_t leader;     /* the hash of the name of its leader; 0: it has none */
    uint64_t settled_at; /* when a new leader has read all messages; 0: no leader is new */
    uint64_t audited;    /* `last` when the round of audits began */
    size_t bucket;       /* the next one of the round */
    bool auditing;       /* the round has not ended */
    bool direct;         /* its settings allow to ask each of its servers for messages, not only the leader */
    bool leader_only;    /* but a user may not, or a server does not know batches; while it is connected */
    cre__nats_lane *lanes;
} cre__nats_stream;

/* What a reply is for. */
typedef enum cre__nats_purpose {
    CRE__NATS_FREE,
    CRE__NATS_PUBLISH,   /* cre__outgoing */
    CRE__NATS_STREAM,    /* cre__nats_stream */
    CRE__NATS_FETCH,     /* cre__nats_fetch */
    CRE__NATS_BUCKET,    /* cre__nats_bucket */
    CRE__NATS_LEASE,     /* renewed, or (a target) to be removed */
    CRE__NATS_NODES,     /* cre__nats_reading; NULL: for a sweep */
    CRE__NATS_READING,   /* cre__nats_reading: the consumer that is created, or a message */
    CRE__NATS_READ,      /* cre__nats_change: what is stored */
    CRE__NATS_WRITE,     /* cre__nats_change */
    CRE__NATS_CLEAN,     /* nothing waits for it */
    CRE__NATS_CLOCK,     /* NULL: it is stored; cre__nats_values: it is read */
    CRE__NATS_GET_VALUE, /* cre__nats_operation */
    CRE__NATS_SET_VALUE  /* cre__nats_operation */
} cre__nats_purpose;

typedef struct cre__nats_request {
    cre__nats_purpose purpose;
    void *target;
    uint64_t deadline;
    uint32_t generation;
    uint32_t next, previous; /* of those in use in their queue; of those that are free `next` */
    bool is_short;           /* has the short timeout */
} cre__nats_request;

/* Requests with the same timeout, in the order of their deadlines. */
typedef struct cre__nats_queue {
    uint32_t first, last;
} cre__nats_queue;

/* A message that was read from a stream. */
typedef struct cre__nats_item {
    struct cre__nats_item *next;
    uint64_t sequence;
    size_t length;
    uint8_t payload[];
} cre__nats_item;

/* Reads what a topic's history has after a position. */
typedef struct cre__nats_fetch {
    struct cre__nats_fetch *next, *previous;
    struct cre__nats_list *list; /* that it is in */
    cre__broker_topic *topic;    /* NULL: a recovery of `name` with `tag` */
    cre__nats_stream *stream;
    uint64_t tag;
    cre_broker_position since;
    uint64_t last;     /* the last sequence that was read, or that of `since` */
    uint64_t reached;  /* the highest one, also before it started over */
    uint64_t due;      /* when a pause ends */
    uint64_t deadline; /* then messages that the leader still does not have are lost; 0: none are missing */
    uint64_t expires;  /* of a recovery: when it fails; 0: not known yet */
    uint32_t replies;  /* of the stream when it did not have a message first, or when it settles */
    bool direct;       /* any server of the stream is asked, for all of it in one batch */
    bool asks_last;    /* for the last message only */
    bool settles;      /* pauses until the last message has passed */
    bool incomplete;   /* not all can be had */
    bool anchored;     /* the server that replies has the message of `since`, and so all it had after it */
    bool confirms;     /* everything is read, if the message of `since` is still there */
    bool asked_again;  /* for messages that were announced; `direct`: since there was no reply */
    uint32_t count;
    size_t bytes;
    cre__nats_item *items, **end;
    uint64_t following; /* `direct`: messages that the server had after that of `since` */
    /* Buffered messages that arrived during the fetch, without a gap between them. */
    cre__nats_item *buffered, **buffered_end;
    size_t buffered_bytes;
    uint64_t last_buffered;   /* the sequence of the last buffered message */
    uint64_t before_buffered; /* the sequence of the message before the first buffered one */
    uint8_t length;
    uint8_t name[];
} cre__nats_fetch;

typedef struct cre__nats_list {
    cre__nats_fetch *first, *last;
    uint32_t count;
} cre__nats_list;

/* Those that do not keep each other waiting. */
typedef enum cre__nats_fetch_kind {
    CRE__NATS_CHECKS,
    CRE__NATS_RECOVERIES,
    CRE__NATS_DIRECT, /* recoveries that any server is asked for */
    CRE__NATS_FETCH_KINDS
} cre__nats_fetch_kind;

typedef struct cre__nats_fetches {
    cre__nats_list waiting, active;
} cre__nats_fetches;

/* A message without history, sent before a PING. */
typedef struct cre__nats_live {
    cre__outgoing *message; /* NULL: it has its result */
    uint64_t ping;
} cre__nats_live;

/* ---- members of topics ---- */

/* As nats_buckets.h describes. */
typedef struct cre__nats_bucket_kind cre__nats_bucket_kind;
typedef struct cre__nats_bucket {
    const cre__nats_bucket_kind *kind;
    cre__nats_stream_state state;
    bool creating;     /* ASKED: to create it */
    uint32_t failures; /* in a row */
    uint64_t due;      /* UNKNOWN and REFUSED: when it is asked for */
} cre__nats_bucket;

/* A session of a machine that is alive. */
typedef struct cre__nats_node {
    uint64_t session;
    bool sweeps;
} cre__nats_node;

typedef struct cre__nats_nodes {
    cre__nats_node *first; /* in the order of sessions */
    size_t count;
} cre__nats_nodes;

typedef struct cre__nats_reading cre__nats_reading;

typedef struct cre__nats_presence {
    cre__nats_bucket members, leases;
    bool wanted;        /* a member, a list or a sweep needs it */
    bool asked;         /* for a list */
    bool reported;      /* its failure, until it is ready */
    bool leasing;       /* a request for the lease has no reply */
    bool renewed;       /* the lease was not lost before the request for it */
    uint64_t lease_due; /* the next attempt to get it; 0: none */
    uint64_t pause;     /* members are sent again then; 0: now */
    cre__nats_nodes known;
    bool elected;    /* this machine sweeps */
    uint32_t sweeps; /* of this machine while it was */
    bool asking;     /* for the machines, to sweep */
    bool rescans;    /* something was left by the last scan */
    bool scanning;
    cre__nats_reading *readings; /* in no order; some have not begun */
    uint32_t reading_count, started;
    size_t bytes;         /* of what they have read */
    uint64_t steps_until; /* they read without consumers */
} cre__nats_presence;

/* ---- values ---- */

typedef struct cre__nats_operation cre__nats_operation;

/* Operations of one lane are carried out in their order. */
typedef struct cre__nats_value_lane {
    cre__nats_operation *first, *last;
    cre__nats_operation *fresh; /* the first one without a deadline */
} cre__nats_value_lane;

typedef struct cre__nats_values {
    cre__nats_bucket bucket;
    bool wanted;                 /* there was an operation */
    bool reported;               /* a failure of the stream, until it is ready */
    bool removes;                /* the server removes what has expired */
    cre__nats_value_lane *lanes; /* NULL: none yet */
    uint32_t count;              /* operations */
    uint64_t due;                /* when those that wait are tried */
    bool has_clock, asks_clock;
    uint64_t clock; /* the time of the server in milliseconds, minus `now` */
    uint64_t clock_asked, clock_due;
} cre__nats_values;

/* The session of a link. */
typedef struct cre__nats_link {
    cre_nats_reader reader;
    uint64_t now, alive;
    uint8_t *out;
    size_t out_start, out_used, out_capacity, max_out;
    /* of INFO */
    bool informed, clustered, connected, accepted;
    bool batches; /* the server sends exact ones */
    uint64_t max_payload;
    char nonce[128];
    size_t nonce_length;
    uint64_t last_subscription;
    uint64_t resumed_subscription; /* the last one of the topics that the connection began with... */
    size_t resumed_streams;        /* ...and the number of their streams */
    uint64_t pings, pongs;
    bool unpinged; /* a message was sent behind the last PING */
    cre__nats_live *live;
    size_t live_first, live_used, live_capacity;
    cre__nats_request *requests;
    uint32_t request_count, free_request;
    cre__nats_queue queues[2]; /* of requests in use, [1] of those with the short timeout */
    uint32_t generation;
    cre__nats_stream **streams;
    size_t stream_count;
    cre__nats_fetches fetches[CRE__NATS_FETCH_KINDS];
    cre__nats_list paused; /* ask again later */
    uint64_t sweep;        /* when these are looked at, and recoveries that wait */
    size_t item_bytes;
    cre__nats_presence presence;
    cre__nats_values values;
} cre__nats_link;

enum { CRE__NATS_NONE = UINT32_MAX };

static inline cre__nats_link *cre__nats(const cre_broker *broker, uint32_t shard) {
    return broker->links[shard].session;
}

/* The number of servers that keep a stream. */
static inline uint32_t cre__nats_replicas(const cre_broker *broker, uint32_t shard) {
    const uint32_t standard = cre__nats(broker, shard)->clustered ? 3 : 1;
    return broker->config.replicas ? broker->config.replicas : standard;
}

/* The instance of a stream, from the time of its creation. */
static inline uint64_t cre__nats_epoch_of(cre_slice created) {
    return cre__shard_hash(created) | 1;
}

/* ---- nats_names.c ---- */
/* The subject of a topic's messages as all subscribers get them, and of those to be stored. */
cre_slice cre__nats_live_subject(const cre_broker *broker, cre_slice topic, cre__nats_subject *out);
cre_slice cre__nats_kept_subject(const cre_broker *broker, cre_slice topic, cre_broker_history history,
                                 cre__nats_subject *out);
/* The subject of a value. */
cre_slice cre__nats_value_subject(const cre_broker *broker, cre_slice key, cre__nats_subject *out);
/* "PREFIX-COUNT-SECONDS". */
cre_slice cre__nats_stream_name(const cre_broker *broker, cre_broker_history history, cre__nats_subject *out);
/* "PREFIX.KIND.REST". */
cre_slice cre__nats_own_subject(const cre_broker *broker, const char *kind, const char *rest,
                                cre__nats_subject *out);
/* "PREFIX.r.BROKER." and the rest. */
cre_slice cre__nats_inbox(const cre_broker *broker, const char *rest, cre__nats_subject *out);
/* Reads the topic of a subject. Returns its length; 0: it is none. */
size_t cre__nats_topic_of(const cre_broker *broker, cre_slice subject, uint8_t out[CRE_BROKER_MAX_TOPIC]);

/* ---- nats_link.c ---- */
/* Append to the output. False: nothing was appended, and the connection ends. */
bool cre__nats_write(cre_broker *broker, uint32_t shard, const void *data, size_t length);
bool cre__nats_send(cre_broker *broker, uint32_t shard, const cre_nats_publication *publication);
void cre__nats_subscribe(cre_broker *broker, cre__broker_topic *topic);
/* Reports that the server refuses something, and the connection stays. */
void cre__nats_refused(cre_broker *broker, uint32_t shard, cre_slice text);

/* ---- nats_connect.c ---- */
/* Reads INFO. Returns 0 or an error. */
void cre__nats_inform(cre_broker *broker, uint32_t shard, cre_slice json);
/* Sends CONNECT, and what the first replies are needed for. */
void cre__nats_connect(cre_broker *broker, uint32_t shard);

/* ---- nats_requests.c ---- */
/* Sets the time. */
void cre__nats_time(const cre_broker *broker, cre__nats_link *nats, uint64_t now);
/* Sends a request. Returns false if there will be no reply, because the connection ends. */
bool cre__nats_ask(cre_broker *broker, uint32_t shard, cre_nats_publication publication,
                   cre__nats_purpose purpose, void *target);
/* Sends a request `verb` for a stream to the API of JetStream, such as "STREAM.INFO". */
bool cre__nats_ask_stream(cre_broker *broker, uint32_t shard, const char *verb, cre_slice stream,
                          cre_slice payload, cre__nats_purpose purpose, void *target);
/* Asks the leader of a stream for the last message of a subject. */
bool cre__nats_ask_last(cre_broker *broker, uint32_t shard, cre_slice stream, cre_slice subject,
                        cre__nats_purpose purpose, void *target);
/* Removes a message from a stream. */
bool cre__nats_remove(cre_broker *broker, uint32_t shard, cre_slice stream, uint64_t sequence,
                      cre__nats_purpose purpose, void *target);
/* A message in the reply of a stream. */
typedef struct cre__nats_stored {
    uint64_t sequence;
    cre_slice subject;
    cre_slice data, headers; /* base64; may be empty */
    cre_slice time;          /* when it was stored, as RFC 3339 writes it */
} cre__nats_stored;
/* False: malformed. */
bool cre__nats_stored_of(const cre_nats_event *event, cre__nats_stored *out);
/* Reads the sequence of a message from its acknowledgement. False: malformed. */
bool cre__nats_acknowledgement(const cre_nats_event *event, uint64_t *sequence);
/* Takes the request that a reply is for, with the last one if it has several. False: it is none any more. */
bool cre__nats_answered(cre__nats_link *nats, const cre_nats_event *event, cre__nats_request *out);
/* Whether more replies to the same request follow. */
bool cre__nats_more_follow(const cre_nats_event *event);
/* Reads a number of the headers. */
bool cre__nats_number(cre_slice headers, const char *name, uint64_t *number);
/* Takes the request whose deadline has passed. */
bool cre__nats_timed_out(cre__nats_link *nats, cre__nats_request *out);
/* The next request in use, the first one for CRE__NATS_NONE; CRE__NATS_NONE: there is none. */
uint32_t cre__nats_next_request(const cre__nats_link *nats, uint32_t index);
/* The first deadline; UINT64_MAX: there is none. */
uint64_t cre__nats_deadline(const cre__nats_link *nats);
/* Takes the oldest request for this target. */
bool cre__nats_cancel(cre__nats_link *nats, cre__nats_purpose purpose, const void *target);
/* The error in a reply of JetStream. */
typedef struct cre__nats_error {
    uint64_t code, kind; /* as of HTTP; which one it is */
    cre_slice text;
} cre__nats_error;
/* False: there is none. */
bool cre__nats_error_of(const cre_nats_event *event, cre__nats_error *out);
/* Whether it may be another one soon. */
static inline bool cre__nats_is_transient(const cre__nats_error *error) {
    enum { NO_PEERS = 10005 };
    return error->code == 503 || error->code == 429 || error->code == 408 || error->kind == NO_PEERS;
}
/* What follows from the reply to a request for a stream or to create it. */
typedef enum cre__nats_finding {
    CRE__NATS_EXISTS,
    CRE__NATS_MISSING, /* it is to be created */
    CRE__NATS_RETRY,   /* it is asked for again soon... */
    CRE__NATS_REFUSED  /* ...or later, because of `cause` */
} cre__nats_finding;
/* `event` is NULL when there was no reply in time; `failures` in a row have come before. */
cre__nats_finding cre__nats_find_stream(const cre__nats_link *nats, const cre_nats_event *event,
                                        bool creating, uint32_t failures, cre_slice *cause);
/* Whether a message was not stored, since the last one of its subject is another one than expected. */
static inline bool cre__nats_is_conflict(const cre__nats_error *error) {
    enum { WRONG_SEQUENCE = 10071, WRONG_CONSTANT = 10164 };
    return error->kind == WRONG_SEQUENCE || error->kind == WRONG_CONSTANT;
}

/* ---- nats_streams.c ---- */
/* The stream of a history. NULL: no memory; the connection ends. */
cre__nats_stream *cre__nats_stream_of(cre_broker *broker, uint32_t shard, cre_broker_history history);
/* The reply to its request; NULL: there was none in time. */
void cre__nats_stream_replied(cre_broker *broker, uint32_t shard, cre__nats_stream *stream,
                              const cre_nats_event *event);
/* Asks for streams whose time has come. Returns the time of the next one. */
uint64_t cre__nats_stream_tick(cre_broker *broker, uint32_t shard);
void cre__nats_stream_fail(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, bool transient,
                           cre_slice text);

/* ---- nats_publish.c ---- */
bool cre__nats_publish(cre_broker *broker, uint32_t shard, cre__outgoing *message);
/* Sends what waits in the lanes of a stream that is READY. */
void cre__nats_pump(cre_broker *broker, uint32_t shard, cre__nats_stream *stream);
/* The reply for a message with history; NULL: there was none in time. */
void cre__nats_acknowledged(cre_broker *broker, uint32_t shard, cre__outgoing *message,
                            const cre_nats_event *event);
void cre__nats_ponged(cre_broker *broker, uint32_t shard);
/* The server does not allow to publish to a subject. */
void cre__nats_publish_denied(cre_broker *broker, uint32_t shard, cre_slice subject);
/* Ends the messages of a stream that is REFUSED. */
void cre__nats_refuse_lanes(cre_broker *broker, uint32_t shard, cre__nats_stream *stream);

/* ---- nats_history.c ---- */
void cre__nats_message(cre_broker *broker, uint32_t shard, const cre_nats_event *event);
/* Begins the check of a topic whose stream is known. It waits until that is READY. NULL: no memory; the
 * connection ends. */
cre__nats_fetch *cre__nats_check(cre_broker *broker, cre__broker_topic *topic, cre__nats_stream *stream);
/* Begins the checks of all topics of a stream, which is READY. `complete_at`: the time at which the topics
 * that are not refilled had all messages; 0: not known. */
void cre__nats_check_all(cre_broker *broker, uint32_t shard, cre__nats_stream *stream, uint64_t complete_at);
/* Begins the checks of some topics of a stream that has stored messages since all topics were checked. */
void cre__nats_audit(cre_broker *broker, uint32_t shard, cre__nats_stream *stream);
bool cre__nats_recover(cre_broker *broker, uint32_t shard, cre_slice topic, cre_broker_history history,
                       cre_broker_position since, uint64_t tag);

/* ---- nats_fetches.c ---- */
/* NULL: no memory; the connection ends. */
cre__nats_fetch *cre__nats_fetch_new(cre_broker *broker, uint32_t shard, cre__nats_stream *stream,
                                     cre__broker_topic *topic, cre_slice name, cre_broker_position since);
/* Makes one active that waits. */
void cre__nats_fetch_start(cre__nats_link *nats, cre__nats_fetch *fetch);
/* Makes it wait for the leader. */
void cre__nats_fetch_wait(cre__nats_link *nats, cre__nats_fetch *fetch);
/* Makes it pause until a time. */
void cre__nats_fetch_pause(cre__nats_link *nats, cre__nats_fetch *fetch, uint64_t due);
/* Frees the messages that it has read, and those that it has buffered. */
void cre__nats_fetch_forget(cre__nats_link *nats, cre__nats_fetch *fetch);
void cre__nats_fetch_unbuffer(cre__nats_link *nats, cre__nats_fetch *fetch);
/* Keeps a message that it has read. `data`: base64 unless it was asked for directly. False: it is not kept,
 * or malformed. */
bool cre__nats_keep(const cre_broker *broker, cre__nats_link *nats, cre__nats_fetch *fetch, cre_slice data,
                    uint64_t sequence);
/* Buffers a message that arrives while its topic is refilled. */
void cre__nats_buffer(cre__nats_link *nats, cre__nats_fetch *fetch, cre_slice payload, uint64_t sequence,
                      uint64_t before);
/* Takes it from its list. Its callbacks may begin others. */
void cre__nats_fetch_leave(cre__nats_fetch *fetch);
/* Frees it. It is in no list. */
void cre__nats_fetch_free(cre__nats_link *nats, cre__nats_fetch *fetch);

/* ---- nats_fetch.c ---- */
void cre__nats_fetch_replied(cre_broker *broker, uint32_t shard, cre__nats_fetch *fetch,
                             const cre_nats_event *event);
/* The user may not ask the servers of a stream but for its leader. */
void cre__nats_fetch_denied(cre__nats_link *nats, cre__nats_stream *stream);
/* Starts those for which there is room, and asks again. Returns the time of the next one. */
uint64_t cre__nats_fetch_tick(cre_broker *broker, uint32_t shard);
/* Ends those of a stream that is REFUSED, or all of them (NULL). */
void cre__nats_fetch_end(cre_broker *broker, cre__nats_link *nats, const cre__nats_stream *stream,
                         bool reports);

#endif
