/* WebSocket on a connection, in the role of the server. */
#ifndef CRE_ENGINE_WEBSOCKET_H
#define CRE_ENGINE_WEBSOCKET_H

#include <creactor/websocket.h>

#include "engine/conn.h"
#include "engine/protocols/protocols.h"
#include "engine/response.h"

typedef struct cre__websocket {
    cre_ws_session session;
    cre_ws_send_state sent; /* of pushed messages: fragments and UTF-8 */
    bool input_over;        /* nothing more is taken from the peer */
    bool awaits_owner;      /* ...and its owner answers what it received before, then closes */
} cre__websocket;

_Static_assert(sizeof(cre__websocket) <= CRE__PROTOCOL_STATE, "the state of a protocol has this room");

static inline cre__websocket *cre__websocket_of(const cre__conn *conn) {
    return (cre__websocket *)(uintptr_t)conn->state;
}

/* Whether a handshake, in wire form, may be answered with 101. Returns 0 or an HTTP status. */
int cre__websocket_check_upgrade(cre__conn *conn, const uint8_t *payload, size_t length);
/* Answers it with 101 and emits OPEN. Returns 0 or a negative error; see cre__protocol. */
int cre__websocket_upgrade(cre__conn *conn, uint8_t *payload, size_t length, const cre__upgrade *upgrade);

#endif
