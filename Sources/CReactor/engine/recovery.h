/* A subscription that begins with messages of the past. */
#ifndef CRE_ENGINE_RECOVERY_H
#define CRE_ENGINE_RECOVERY_H

#include "engine/engine_internal.h"

enum { CRE__WAS_SUBSCRIBED = 1 };

/* Subscribes a connection to a topic and sends it `count` messages before those that are published from now
 * on. `messages` has a cre_missed_message in front of each and is well-formed. Returns 0, or
 * CRE__WAS_SUBSCRIBED and nothing was sent. Otherwise nothing has happened: CRE_EGONE, CRE_ENOT_WEBSOCKET,
 * CRE_ELIMIT or CRE_ENOMEM for the subscription, CRE_EQUEUE_FULL when the queue of the connection has no room
 * for all messages now, CRE_EBROKER_GAP when it never has. */
int cre__topic_recover(cre_engine *engine, cre_session session, cre_slice topic, cre_slice messages,
                       uint32_t count);

#endif
