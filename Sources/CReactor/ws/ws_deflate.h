/* Where the session hands compressed messages to permessage-deflate. */
#ifndef CRE_WS_DEFLATE_H
#define CRE_WS_DEFLATE_H

#include <creactor/websocket.h>

/* Turns the event of a complete compressed message into that of its content. 1, or an error. */
int cre__ws_inflate(cre_ws_session *session, cre_ws_event *event);

#endif
