/* Values by keys at servers of NATS. */
#ifndef CRE_BROKER_NATS_VALUES_H
#define CRE_BROKER_NATS_VALUES_H

#include "broker/nats.h"

void cre__nats_values_open(cre__nats_values *values);
/* Begins an operation. Returns 0, or an error of cre_broker_apply. */
int cre__nats_apply(cre_broker *broker, uint32_t shard, const cre_value_operation *operation, uint64_t tag);
/* The reply to one of the requests for values; NULL: there was none in time. */
void cre__nats_values_replied(cre_broker *broker, uint32_t shard, const cre__nats_request *request,
                              const cre_nats_event *event);
/* Does what is due, and returns the time of the next call. */
uint64_t cre__nats_values_tick(cre_broker *broker, uint32_t shard);
/* The server does not allow to publish to a subject. */
void cre__nats_values_denied(cre_broker *broker, uint32_t shard, cre_slice subject);
/* Frees what a session has, at the end of its connection; with `reports` its operations end. */
void cre__nats_values_close(cre_broker *broker, uint32_t shard, cre__nats_values *values, bool reports);

/* ---- nats_expiries.c ---- */

/* Remembers that the message with this sequence is to be removed at a time of the server. Without room it is
 * forgotten. */
void cre__nats_expiry_add(cre__nats_expiries *expiries, uint64_t expires, uint64_t sequence);
/* Takes the first one if its time has come; 0: none. */
uint64_t cre__nats_expiry_take(cre__nats_expiries *expiries, uint64_t server_now);

#endif
