/* The interface of permessage-deflate for the session. */
#ifndef CRE_WS_DEFLATE_H
#define CRE_WS_DEFLATE_H

#include <creactor/websocket_deflate.h>

#include "ws/ws_message.h"

/*
 * Inflates a complete message into a new block. `data` must not be in *out. `limit` is checked while
 * inflating. Returns 1, or CRE_EWS_TOO_BIG, CRE_EWS_DEFLATE or CRE_ENOMEM and leaves *out unchanged.
 */
int cre__ws_inflate(cre_ws_deflate *deflate, const uint8_t *data, size_t length, size_t limit,
                    cre__ws_message **out);

#endif
