/* Shared by the input of a session (ws_session.c) and its closing handshake (ws_answer.c). */
#ifndef CRE_WS_SESSION_H
#define CRE_WS_SESSION_H

#include <creactor/websocket.h>

/* Ignores all further input. */
void cre__ws_input_finish(cre_ws_session *session);

/* Records the peer's close frame. */
void cre__ws_closing_received(cre_ws_session *session, uint16_t code);

/* cre__ws_message_follows for any frame, with at least 2 bytes. */
bool cre__ws_any_message_follows(const cre_ws_session *session, const uint8_t *data, size_t available);

/* Whether the input, from `data` to `end`, begins with a whole message in one frame, and nothing of an
 * earlier message is pending. Then cre_ws_session_next returns that message or an error, and what earlier
 * events point to stays. */
static inline bool cre__ws_message_follows(const cre_ws_session *session, const uint8_t *data,
                                           const uint8_t *end) {
    const size_t available = (size_t)(end - data);
    if (session->state || available < 2) return false;
    const size_t short_length = (size_t)data[1] - 0x80;
    if (__builtin_expect((uint8_t)((data[0] ^ CRE_WS_FIN) - 1) <= 1 && short_length < 126, 1))
        return available >= 6 && short_length <= available - 6;
    return cre__ws_any_message_follows(session, data, available);
}

#endif
