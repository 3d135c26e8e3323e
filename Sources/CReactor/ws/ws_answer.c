/* Answers of the protocol: pongs, and the closing handshake in either role. */
#include <creactor/error.h>
#include <creactor/websocket.h>
#include <string.h>

#include "ws/ws_session.h"

/* Bits of session->closing. */
enum { SENT = 1, RECEIVED = 2, PEER_FIRST = 4, FAILED = 8 };

static size_t control(uint8_t opcode, const uint8_t *payload, size_t length, const uint8_t *mask,
                      uint8_t out[CRE_WS_MAX_ANSWER]) {
    return cre_ws_pack(out, CRE_WS_MAX_ANSWER, (uint8_t)(CRE_WS_FIN | opcode), payload, length, mask);
}

size_t cre_ws_session_close(cre_ws_session *session, uint16_t code, const char *reason, size_t reason_length,
                            const uint8_t *mask, uint8_t out[CRE_WS_MAX_ANSWER]) {
    if (session->closing & SENT) return 0;
    if (session->closing == 0) session->close_code = cre_ws_close_code_valid(code) ? code : 1005;
    session->closing |= SENT;
    uint8_t payload[CRE_WS_MAX_CONTROL];
    return control(CRE_WS_CLOSE, payload, cre_ws_close_payload(payload, code, reason, reason_length), mask,
                   out);
}

size_t cre_ws_session_answer(cre_ws_session *session, const cre_ws_event *event, const uint8_t *mask,
                             uint8_t out[CRE_WS_MAX_ANSWER]) {
    switch (event->opcode) {
    case CRE_WS_PING:
        /* Nothing may follow a close frame. */
        return session->closing & SENT ? 0 : control(CRE_WS_PONG, event->data, event->length, mask, out);
    case CRE_WS_CLOSE: return cre_ws_session_close(session, event->close_code, NULL, 0, mask, out);
    default: return 0;
    }
}

size_t cre_ws_session_fail(cre_ws_session *session, int error, const uint8_t *mask,
                           uint8_t out[CRE_WS_MAX_ANSWER]) {
    uint16_t code = cre_ws_close_code(error);
    const char *reason = cre_error_message(error);
    size_t size = cre_ws_session_close(session, code, reason, strlen(reason), mask, out);
    session->closing |= FAILED;
    session->close_code = code;
    cre__ws_input_finish(session);
    return size;
}

void cre__ws_closing_received(cre_ws_session *session, uint16_t code) {
    if (session->closing == 0) {
        session->close_code = code;
        session->closing = PEER_FIRST;
    }
    session->closing |= RECEIVED;
}

cre_ws_closing cre_ws_session_closing(const cre_ws_session *session) {
    if (session->closing & FAILED) return CRE_WS_FAILED;
    switch (session->closing & (SENT | RECEIVED)) {
    case SENT: return CRE_WS_CLOSE_SENT;
    case RECEIVED: return CRE_WS_CLOSE_RECEIVED;
    case SENT | RECEIVED: return CRE_WS_CLOSED;
    default: return CRE_WS_OPEN;
    }
}

bool cre_ws_session_may_send(const cre_ws_session *session) {
    return !(session->closing & SENT);
}

bool cre_ws_session_closed(const cre_ws_session *session) {
    return cre_ws_session_closing(session) >= CRE_WS_CLOSED;
}

uint16_t cre_ws_session_close_code(const cre_ws_session *session) {
    return session->closing ? session->close_code : 1006;
}

bool cre_ws_session_closed_by_peer(const cre_ws_session *session) {
    return (session->closing & (PEER_FIRST | FAILED)) == PEER_FIRST;
}
