/* Which worker gets a connection, and which a datagram. */
#ifndef CRE_ENGINE_DISPATCH_H
#define CRE_ENGINE_DISPATCH_H

#include "engine/conn.h"

/* Sets info->worker. Returns among how many workers from there on the session decides; 0: refused. */
uint16_t cre__dispatch_connection(const cre_engine *engine, cre_connection_info *info);
/* Sets from->worker; false: drop the datagram. */
bool cre__dispatch_datagram(const cre_engine *engine, uint16_t port, cre_address *from, const uint8_t *data,
                            size_t length);
/* Connections of a worker came (1) or went (-1). */
void cre__dispatch_count(const cre_engine *engine, uint16_t worker, int change);
/* Gives the connection the id of its user; 0: none any more. */
void cre__dispatch_bind(cre__conn *conn, uint32_t user_id);
/* The next event is the first for the worker of the connection's user. */
void cre__dispatch_move(cre__conn *conn);

#endif
