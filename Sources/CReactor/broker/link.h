/* The connection of a shard: what its owner may report besides broker.h. */
#ifndef CRE_BROKER_LINK_H
#define CRE_BROKER_LINK_H

#include <creactor/broker.h>

/* Closes the connection because of `error` as soon as its session may be freed. `text` is copied: the
 * server's error message, reported with the error; empty: none. */
void cre__link_fail(cre_broker *broker, uint32_t shard, int error, cre_slice text);

#endif
