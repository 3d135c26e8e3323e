/* The parts of a gateway. */
#ifndef CRE_GATEWAY_INTERNAL_H
#define CRE_GATEWAY_INTERNAL_H

#include <creactor/internal/gateway.h>
#include <pthread.h>

#include "gateway/journal.h"
#include "gateway/wants.h"
#include "link/bus_internal.h"

/* A process that has asked, and its number of the question. */
typedef struct cre__asker {
    uint32_t node;
    uint64_t number;
} cre__asker;

typedef struct cre__recovering cre__recovering;
typedef struct cre__waiting cre__waiting;
typedef struct cre__counting cre__counting;
typedef struct cre__tally cre__tally;

struct cre_gateway {
    cre_gateway_config config;
    cre_loop *loop;
    cre_node *node;
    cre_cluster *cluster;
    cre_broker *broker;       /* the cluster's */
    cre_cluster_stats *stats; /* in shared memory; only the gateway writes it */
    uint64_t server, *ids;    /* the name of this server, and the last id of a message, in shared memory */
    uint32_t max_queue;
    cre__journal journals[CRE_BROKER_MAX_SHARDS];
    uint64_t connected; /* bits of shards */
    cre__wants wants;
    cre__wants members;          /* of topics; see presence.c */
    uint64_t *awaited;           /* bits of owners that run and have not reported yet */
    bool subscribes;             /* their topics are known: subscriptions go to the cluster */
    bool resumes;                /* no cluster: a predecessor has reported the members of these owners */
    bool repeats;                /* a member is being added that was reported then */
    bool incomplete;             /* there was no memory for a topic: the owners are asked again */
    cre_timer *report_timer;     /* for the first reports of owners that do not answer */
    cre_timer *node_timer;       /* for the connections of this server; see nodes.c */
    char name[256];              /* of this server */
    cre_timer *ticks;            /* NULL: no topic is expected */
    bool expects;                /* some topics still are, after a tick */
    cre__recovering *recoveries; /* questions that wait for the broker; each one's tag is its address */
    uint32_t recovery_count;
    cre__waiting *questions; /* others that wait for the broker */
    uint32_t waiting_count;
    cre__counting *countings; /* questions that wait for other servers */
    uint32_t counting_count;
    uint64_t last_counting;                   /* the number of the last one */
    uint64_t lists_requested, lists_received; /* of the servers that are alive */
    uint64_t *servers;                        /* the last list, in ascending order */
    size_t server_count;
    cre__tally *tallies; /* answers to other servers that wait for owners; NULL: none was asked for yet */
    uint64_t *tally_bits;
    uint64_t last_tally;
    uint8_t *scratch; /* an envelope with its message */
    size_t scratch_size;
    pthread_t thread;  /* of cre_gateway_start */
    uint64_t deadline; /* when it stops at the latest */
};

/* Counters have one writer. */
static inline void cre__gateway_count(uint64_t *counter, uint64_t by) {
    __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

/* Publishes a number that may fall, too. */
static inline void cre__gateway_publish_stat(uint64_t *stat, uint64_t number) {
    __atomic_store_n(stat, number, __ATOMIC_RELAXED);
}

static inline void cre__gateway_publish_question_count(cre_gateway *gateway) {
    cre__gateway_publish_stat(&gateway->stats->questions_open,
                              gateway->recovery_count + gateway->waiting_count + gateway->counting_count);
}

/* A position of the broker as the processes of the server get it. */
static inline cre_topic_position cre__gateway_position(cre_broker_position position) {
    return (cre_topic_position){ position.epoch, position.offset };
}

/* ---- topics.c ---- */

/* A record with a change of the topics of an owner. */
int cre__gateway_interest(cre_gateway *gateway, uint32_t from, const cre_record *record,
                          const uint8_t *payload);
/* Delivers messages of the topic to all owners for some time: one of them is about to report it. Returns
 * whether the topic is subscribed. */
bool cre__gateway_expect(cre_gateway *gateway, cre_slice name);
/* Whether an owner that runs has not reported yet. */
bool cre__gateway_awaits(const cre_gateway *gateway, uint32_t owner);
/* Asks all owners for reports. At the start the cluster waits for those of owners that run. */
int cre__gateway_request_reports(cre_gateway *gateway, bool at_start);
/* How messages of a topic are kept, by its rule. */
cre_broker_history cre__gateway_history(const cre_gateway *gateway, cre_slice topic);
/* Callbacks of the broker. */
void cre__gateway_message(void *gateway, cre_slice topic, cre_slice payload, cre_broker_position position);
void cre__gateway_subscribed(void *gateway, cre_slice topic, cre_broker_position position);
void cre__gateway_lost(void *gateway, cre_slice topic, cre_broker_position position);

/* ---- questions.c ---- */

int cre__gateway_question(cre_gateway *gateway, uint32_t from, const cre_record *record,
                          const uint8_t *payload);
/* Sends a part of an answer, the last one with `final`, behind the cre_answer with `result`; at most
 * CRE__MOST_ANSWER_PARTS slices. Returns 0 or an error of cre_node_send: then nothing more should be sent,
 * and the process that has asked stops waiting at its timeout. */
enum { CRE__MOST_ANSWER_PARTS = 7 };
int cre__gateway_answer(cre_gateway *gateway, cre__asker to, int result, bool final, const cre_slice *parts,
                        int count);

/* ---- recovery.c ---- */

/* Questions, as questions.c dispatches them. */
int cre__gateway_ask_position(cre_gateway *gateway, cre__asker asker, cre_slice payload);
int cre__gateway_ask_recover(cre_gateway *gateway, cre__asker asker, cre_slice payload);
/* Callbacks of the broker. */
void cre__gateway_missed(void *gateway, uint64_t tag, cre_slice payload, cre_broker_position position);
void cre__gateway_recovered(void *gateway, uint64_t tag, int result, cre_broker_position position);
/* Frees the questions that wait, after the end of the broker. */
void cre__gateway_drop_recoveries(cre_gateway *gateway);

/* ---- waiting.c ---- */

/* A question waits for the broker. Returns 0, and its address is the tag; CRE_EBROKER_UNAVAILABLE when too
 * many do, or CRE_ENOMEM. */
int cre__gateway_wait(cre_gateway *gateway, cre__asker asker, cre__waiting **waiting);
/* The end of that. Frees it, and returns who has asked. */
cre__asker cre__gateway_waited(cre_gateway *gateway, cre__waiting *waiting);
/* Frees all of them, after the end of the broker. */
void cre__gateway_drop_waiting(cre_gateway *gateway);

/* ---- presence.c ---- */

/* A record with a change of the members of an owner. */
int cre__gateway_member(cre_gateway *gateway, uint32_t from, const cre_record *record,
                        const uint8_t *payload);
/* A complete report of an owner begins and ends. */
void cre__gateway_begin_members(cre_gateway *gateway, uint32_t owner);
void cre__gateway_end_members(cre_gateway *gateway, uint32_t owner);
/* Callbacks of the broker. */
void cre__gateway_member_changed(void *gateway, cre_slice topic, const cre_broker_member *member,
                                 bool joined);
void cre__gateway_present(void *gateway, uint64_t tag, int result, const cre_broker_presence *presence);
/* A question, as questions.c dispatches it. */
int cre__gateway_ask_members(cre_gateway *gateway, cre__asker asker, cre_slice payload);

/* ---- values.c ---- */

/* A question, as questions.c dispatches it. */
int cre__gateway_ask_value(cre_gateway *gateway, cre__asker asker, cre_slice payload);
/* Callback of the broker. */
void cre__gateway_value(void *gateway, uint64_t tag, int result, cre_slice value);

/* ---- counts.c ---- */

/* The tag of messages of gateways to each other, which no statistics count. */
#define CRE__GATEWAY_TAG (UINT64_MAX - 1)
/* The tag of the list of servers. */
#define CRE__SERVERS_TAG 0

/* Receives answers of other servers, from now on. Returns 0 or an error of cre_broker_subscribe. */
int cre__gateway_open_counts(cre_gateway *gateway);
/* A question, as questions.c dispatches it. */
int cre__gateway_ask_count(cre_gateway *gateway, cre__asker asker, cre_slice payload);
/* The list of servers was received, or cannot be. */
void cre__gateway_servers(cre_gateway *gateway, int result, const cre_broker_presence *presence);
/* Handles a message for which there is no want. Returns whether it is one of a gateway. */
bool cre__gateway_receive_count(cre_gateway *gateway, cre_slice topic, cre_slice payload);
/* Sends the number of subscribers here to a server that has asked for it. */
void cre__gateway_answer_count(cre_gateway *gateway, uint64_t server, uint64_t number, uint64_t count);
/* Frees the questions that wait. */
void cre__gateway_drop_countings(cre_gateway *gateway);

/* ---- tallies.c ---- */

/* A server has asked for the number of subscribers here. */
void cre__gateway_count_here(cre_gateway *gateway, uint64_t server, uint64_t number, cre_slice topic);
/* A record with the number of subscribers of an owner. */
int cre__gateway_counted(cre_gateway *gateway, uint32_t from, const cre_record *record,
                         const uint8_t *payload);
void cre__gateway_drop_tallies(cre_gateway *gateway);

/* ---- nodes.c ---- */

/* The topic whose members are the servers. */
cre_slice cre__gateway_topic_of_nodes(void);

/* Publishes this server and its connections to the others, from now on. Returns 0 or an error of
 * cre_timer_start. */
int cre__gateway_publish_node(cre_gateway *gateway);
/* Whether the members of a topic are servers. */
bool cre__gateway_is_nodes(cre_slice topic);

/* ---- outgoing.c ---- */

/* Opens the journals, and publishes what a predecessor has left in them. */
void cre__gateway_open_journals(cre_gateway *gateway);
int cre__gateway_publish(cre_gateway *gateway, uint32_t from, const cre_record *record, uint8_t *payload);
/* Callback of the broker. */
void cre__gateway_published(void *gateway, uint64_t tag, int result, cre_broker_position position);

#endif
