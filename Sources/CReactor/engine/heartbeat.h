/* Heartbeats: pings, and the end of connections that stay silent. */
#ifndef CRE_ENGINE_HEARTBEAT_H
#define CRE_ENGINE_HEARTBEAT_H

#include "engine/conn.h"

/* From here on something must be received from time to time, if the configuration demands it. */
void cre__heartbeat_begin(cre__conn *conn);
/* Sends pings that are due, with `ping`; ends the connection when it was silent for too long. */
void cre__heartbeat_due(cre__conn *conn, void (*ping)(cre__conn *conn), void (*give_notice)(cre__conn *conn));
void cre__heartbeat_protect(cre__conn *conn, bool on);

#endif
