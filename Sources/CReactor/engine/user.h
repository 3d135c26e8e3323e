/* Users: each one is a topic of the connections that were given it. */
#ifndef CRE_ENGINE_USER_H
#define CRE_ENGINE_USER_H

#include "engine/engine_internal.h"

typedef struct cre__user {
    uint32_t id; /* for the dispatch of events; 0: none */
    size_t length;
    uint8_t name[CRE_MAX_USER];
} cre__user;

/* Writes the topic of a user, whose name has at most CRE_MAX_USER bytes. Returns its length. */
static inline size_t cre__user_topic(uint8_t topic[CRE_MAX_TOPIC], const void *name, size_t length) {
    const size_t front = sizeof CRE_TOPIC_USER - 1;
    memcpy(topic, CRE_TOPIC_USER, front);
    memcpy(topic + front, name, length);
    return front + length;
}

/* The id in decimal becomes the name. */
void cre__user_set_decimal(cre__user *user);
/* Gives the connection a user. Returns 0, CRE_ESTATE when it has one, CRE_ENOT_WEBSOCKET without an id unless
 * it is an open WebSocket, CRE_ENOMEM. */
int cre__user_bind(cre__conn *conn, const cre__user *user);
void cre__user_unbind(cre__conn *conn);
/* The connection's WebSocket was opened: it joins the topic of a user that it was given before. False: no
 * memory. */
bool cre__user_opened(cre__conn *conn);

#endif
