/* What the protocol answers by itself: pongs, and the closing handshake of either side. */
#include <creactor/websocket.h>

enum { SENT = 1, RECEIVED = 2 };

static size_t control(uint8_t opcode, const uint8_t *payload, size_t length, const uint8_t *mask,
                      uint8_t out[CRE_WS_MAX_ANSWER]) {
    return cre_ws_pack(out, CRE_WS_MAX_ANSWER, (uint8_t)(CRE_WS_FIN | opcode), payload, length, mask);
}

size_t cre_ws_session_close(cre_ws_session *session, uint16_t code, const char *reason, size_t reason_length,
                            const uint8_t *mask, uint8_t out[CRE_WS_MAX_ANSWER]) {
    if (session->closing & SENT) return 0;
    session->closing |= SENT;
    uint8_t payload[CRE_WS_MAX_CONTROL];
    return control(CRE_WS_CLOSE, payload, cre_ws_close_payload(payload, code, reason, reason_length), mask,
                   out);
}

size_t cre_ws_session_answer(cre_ws_session *session, const cre_ws_event *event, const uint8_t *mask,
                             uint8_t out[CRE_WS_MAX_ANSWER]) {
    switch (event->opcode) {
    case CRE_WS_PING:
        /* After our close frame nothing may follow. */
        return session->closing & SENT ? 0 : control(CRE_WS_PONG, event->data, event->length, mask, out);
    case CRE_WS_CLOSE:
        session->closing |= RECEIVED;
        return cre_ws_session_close(session, event->close_code, NULL, 0, mask, out);
    default: return 0;
    }
}

bool cre_ws_session_closed(const cre_ws_session *session) {
    return session->closing == (SENT | RECEIVED);
}
