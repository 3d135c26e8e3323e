/* Shared by the input of a session (ws_session.c) and its closing handshake (ws_answer.c). */
#ifndef CRE_WS_SESSION_H
#define CRE_WS_SESSION_H

#include <creactor/websocket.h>

/* Ignores all further input. */
void cre__ws_input_finish(cre_ws_session *session);

/* Records the peer's close frame. */
void cre__ws_closing_received(cre_ws_session *session, uint16_t code);

/* Whether the input, from `data` to `end`, begins with a whole message in one frame, and nothing of an
 * earlier message is pending. Then cre_ws_session_next returns that message or an error, and what earlier
 * events point to stays. */
bool cre__ws_message_follows(const cre_ws_session *session, const uint8_t *data, const uint8_t *end);

#endif
