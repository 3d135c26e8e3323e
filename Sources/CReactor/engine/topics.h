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
    uint8_t name_length; /* 0: everyone */
    uint8_t name[];
} cre__topic;

/* The topics of a connection. */
typedef struct cre__subscriptions {
    uint32_t count, capacity;
    struct {
        cre__topic *topic;
        uint32_t at; /* of the connection in the topic */
    } items[];
} cre__subscriptions;

cre__topic *cre__topic_find(cre_engine *engine, const void *name, size_t length);
/* The topic of all open WebSockets, made at the first call. NULL: no memory. */
cre__topic *cre__topic_everyone(cre_engine *engine);
/* The connection's place in a topic, NULL when it is not subscribed. */
cre__member *cre__topic_member(cre__conn *conn, const cre__topic *topic);
int cre__topic_subscribe(cre__conn *conn, const void *name, size_t length);
void cre__topic_unsubscribe(cre__conn *conn, const void *name, size_t length);

/* The connection's WebSocket was opened. False: no memory. */
bool cre__topics_opened(cre__conn *conn);
/* Writes a list (cre_topic_list) to `list`, which has CRE_TOPIC_LIST_BYTES. Returns its length. */
size_t cre__topics_list(const cre_engine *engine, const void *filter, size_t length, uint8_t *list);
/* The stream ends: it is removed from all topics. */
void cre__topics_leave(cre__conn *conn);
void cre__topics_free(cre_engine *engine);

#endif
