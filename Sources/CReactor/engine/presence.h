/* Members of topics: connections that are subscribed with an id. */
#ifndef CRE_ENGINE_PRESENCE_H
#define CRE_ENGINE_PRESENCE_H

#include "engine/topics.h"

/* A member of a topic on this engine. Several connections may be the same one. */
typedef struct cre__identity {
    struct cre__identity *next; /* in its bucket */
    cre__topic *topic;
    uint64_t hash;
    uint8_t *info;        /* NULL: none */
    uint32_t connections; /* of this member */
    uint16_t info_length;
    uint8_t length;
    uint8_t id[];
} cre__identity;

/* The parts of a JOIN. */
typedef struct cre__joining {
    cre_joining lengths;
    uint8_t topic[CRE_MAX_TOPIC];
    uint8_t id[CRE_MAX_MEMBER_ID];
    uint8_t info[CRE_MAX_MEMBER_INFO];
} cre__joining;

/* Takes a whole payload. Returns 0 or CRE_EINVALID. */
int cre__joining_read(cre__joining *joining, cre_slice *parts, int count);
/* Subscribes the connection as a member. Returns what cre__topic_subscribe does. */
int cre__topic_join(cre__conn *conn, const cre__joining *joining);
/* A connection is no longer this member of its topic, which exists. */
void cre__identity_release(cre_engine *engine, cre__identity *identity);
/* Visits some of the members, as cre__topics_visit does with topics. */
bool cre__members_visit(const cre_engine *engine, uint32_t *place,
                        void (*visit)(void *context, cre_slice topic, cre_slice id, cre_slice info),
                        void *context);

#endif
