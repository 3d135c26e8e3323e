#include "engine/user.h"

#include <stdio.h>

#include "engine/conn.h"
#include "engine/dispatch.h"
#include "engine/topics.h"

_Static_assert(sizeof CRE_TOPIC_USER - 1 + CRE_MAX_USER == CRE_MAX_TOPIC, "the topic of a user has room");

void cre__user_set_decimal(cre__user *user) {
    user->length = (size_t)snprintf((char *)user->name, sizeof user->name, "%u", user->id);
}

static int join(cre__conn *conn, const cre__user *user) {
    uint8_t topic[CRE_MAX_TOPIC];
    return cre__topic_join_user(conn, topic, cre__user_topic(topic, user->name, user->length));
}

int cre__user_bind(cre__conn *conn, const cre__user *user) {
    if (conn->stream.user_id || conn->stream.has_user) return CRE_ESTATE;
    if (!conn->stream.accepts_frames && !user->id) return CRE_ENOT_WEBSOCKET;
    const int result = conn->stream.accepts_frames ? join(conn, user) : 0;
    if (!result && user->id) cre__dispatch_bind(conn, user->id);
    return result;
}

void cre__user_unbind(cre__conn *conn) {
    cre__topic_leave_user(conn);
    cre__dispatch_bind(conn, 0);
}

bool cre__user_opened(cre__conn *conn) {
    cre__user user = { .id = conn->stream.user_id };
    if (!user.id) return true;
    cre__user_set_decimal(&user);
    return join(conn, &user) == 0;
}
