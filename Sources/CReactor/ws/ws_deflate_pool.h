/* The zlib streams of permessage-deflate: who has them and how they are made. Only with CRE_HAVE_DEFLATE. */
#ifndef CRE_WS_DEFLATE_POOL_H
#define CRE_WS_DEFLATE_POOL_H

#include <creactor/websocket_deflate.h>
#include <zlib.h>

struct cre_ws_deflate_pool {
    cre_ws_deflate_config config;
    z_stream *inflater; /* NULL until it is needed; its window is as large as any peer's */
    z_stream *deflater; /* likewise; its window is of deflater_bits */
    uint8_t deflater_bits;
    uint8_t *scratch; /* output of the last compression */
    size_t capacity;
};

/* A stream ready for the next message: the connection's own or the pool's, made when there is none. NULL: no
 * memory. */
z_stream *cre__ws_take_inflater(cre_ws_deflate *deflate);
z_stream *cre__ws_take_deflater(cre_ws_deflate *deflate);

#endif
