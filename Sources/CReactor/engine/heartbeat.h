/* Deadlines of open WebSockets and streams: pings, the end of connections that stay silent, and of messages
 * that are not completed. */
#ifndef CRE_ENGINE_HEARTBEAT_H
#define CRE_ENGINE_HEARTBEAT_H

#include "engine/conn.h"

/* From here on something must be received from time to time, if the configuration demands it. */
void cre__heartbeat_begin(cre__conn *conn);
/* Sends pings that are due, with `ping`; ends the connection when it was silent for too long. */
void cre__heartbeat_due(cre__conn *conn, void (*ping)(cre__conn *conn), void (*give_notice)(cre__conn *conn));
void cre__heartbeat_protect(cre__conn *conn, bool on);

/* ---- messages that are not complete ---- */

/* The input ends inside a message: its time runs, unless it does already. */
void cre__message_begin(cre__conn *conn);
/* Whether an unfinished message has exceeded its time. The time for which this side does not read, by itself
 * or because of a slow worker, is the peer's. */
bool cre__message_overdue(cre__conn *conn);

#endif
