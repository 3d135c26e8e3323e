/* Records with a member of a topic, between processes. */
#ifndef CRE_RUNTIME_PRESENCE_H
#define CRE_RUNTIME_PRESENCE_H

#include <creactor/internal/bus.h>

/* A member of a topic. */
typedef struct cre__membership {
    cre_slice topic, id, info;
} cre__membership;

/* Sends a CRE_MESSAGE_MEMBER. Returns what cre_node_send does. */
int cre__membership_send(cre_node *node, uint32_t to, const cre__membership *member, bool joined);
/* Reads one; the parts are those of the payload. False: it is malformed. */
bool cre__membership_read(const cre_record *record, const uint8_t *payload, cre__membership *member);

#endif
