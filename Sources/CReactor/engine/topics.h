/* Topics: dense lists of connections, and the topics of each connection. */
#ifndef CRE_ENGINE_TOPICS_H
#define CRE_ENGINE_TOPICS_H

#include "engine/engine_internal.h"

/* A connection's place in a topic. */
typedef struct cre__member {
    cre__conn *conn;
    uint32_t at;    /* of the topic in the connection's list */
    uint32_t taken; /* bytes of its form of the batch that it has, or must not get; 0 between batches */
} cre__member;

typedef struct cre__topic {
    struct cre__topic *next; /* in its bucket */
    cre__member *members;
    uint32_t count, capacity;
    uint32_t deflating; /* members that get the compressed form */
    uint32_t hash;
    cre_topic_position position; /* of the last message of the cluster */
    uint8_t name_length;         /* 0: everyone */
    uint8_t name[];
} cre__topic;

/* The topics of a connection. */
typedef struct cre__subscriptions {
    uint32_t count, capacity;
    struct {
        cre__topic *topic;
        struct cre__identity *identity; /* the member of the topic that the connection is; NULL: none */
        uint32_t at;                    /* of the connection in the topic */
    } items[];
} cre__subscriptions;

cre__topic *cre__topic_find(cre_engine *engine, const void *name, size_t length);
/* The topic of all open WebSockets, made at the first call. NULL: no memory. */
cre__topic *cre__topic_everyone(cre_engine *engine);
/* The number of connections of a topic. */
uint32_t cre__topic_count(cre_engine *engine, const void *name, size_t length);
/* The connection's place in a topic, NULL when it is not subscribed. */
cre__member *cre__topic_member(cre__conn *conn, const cre__topic *topic);
int cre__topic_subscribe(cre__conn *conn, const void *name, size_t length);
void cre__topic_unsubscribe(cre__conn *conn, const void *name, size_t length);

/* Joins the topic of a user, without a limit; the connection is in none. Leaves it again. */
int cre__topic_join_user(cre__conn *conn, const void *name, size_t length);
void cre__topic_leave_user(cre__conn *conn);

/* The connection's WebSocket was opened. False: no memory. */
bool cre__topics_opened(cre__conn *conn);
/* Writes a list (cre_topic_list) to `list`, which has CRE_TOPIC_LIST_BYTES. Returns its length. */
size_t cre__topics_list(const cre_engine *engine, const void *filter, size_t length, uint8_t *list);
/* Sets the position of a topic's last message. False: it has no subscriber, or they have the message already.
 */
bool cre__topic_advance(cre_engine *engine, cre_slice name, cre_topic_position position);
/* Visits some of the topics, all of them in calls from *place 0 on until it returns false; those that begin
 * meanwhile may be among them or not. */
bool cre__topics_visit(const cre_engine *engine, uint32_t *place,
                       void (*visit)(void *context, cre_slice name, cre_topic_position position),
                       void *context);
/* The stream ends: it is removed from all topics. */
void cre__topics_leave(cre__conn *conn);
void cre__topics_free(cre_engine *engine);

#endif
