/* Ownership and creation of the zlib streams of permessage-deflate. Only with CRE_HAVE_DEFLATE. */
#ifndef CRE_WS_DEFLATE_POOL_H
#define CRE_WS_DEFLATE_POOL_H

#include <creactor/websocket_deflate.h>
#include <zlib.h>

#include "ws/ws_isal.h"

struct cre_ws_deflate_pool {
    cre_ws_deflate_config config;
    z_stream *inflater; /* NULL until it is used; with the largest window */
    z_stream *deflater; /* NULL until it is used; with a window of deflater_bits */
    uint8_t deflater_bits;
    cre__ws_isal isal;
    uint8_t *scratch; /* output of the last compression */
    size_t capacity;
};

/* Returns a stream ready for the next message, the connection's or the pool's, and creates it if necessary.
 * NULL without memory. */
z_stream *cre__ws_take_inflater(cre_ws_deflate *deflate);
z_stream *cre__ws_take_deflater(cre_ws_deflate *deflate);

#endif
