/* The connection of a shard: what its owner may report besides broker.h. */
#ifndef CRE_BROKER_LINK_H
#define CRE_BROKER_LINK_H

#include <creactor/broker.h>

/* Has the connection ended because of `error` as soon as its session may be freed. `text` is copied: the
 * words of the server, reported with the error; empty: none. */
void cre__link_fail(cre_broker *broker, uint32_t shard, int error, cre_slice text);

#endif
