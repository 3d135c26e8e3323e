#include "ws/ws_send.h"

#include <creactor/websocket_utf8.h>

#include "core/slices.h"
#include "ws/ws_frame.h"
#include "ws/ws_utf8.h"

/* Up to this length a search for high bits inline is cheaper than the call of the vector code. */
#define SHORT_TEXT 128u

static inline bool text_valid(const uint8_t *data, size_t length) {
    return (length <= SHORT_TEXT && cre__is_ascii(data, length)) || cre_utf8_valid(data, length);
}

/* Validates the next piece of a text. False: it cannot become valid, or its end splits a code point. */
static bool feed(cre_utf8 *state, const cre_slice *parts, int count, bool final) {
    for (int i = 0; i < count; i++)
        if (parts[i].length && !cre_utf8_feed(state, parts[i].data, parts[i].length)) return false;
    return !final || cre_utf8_complete(state);
}

static int check_close(const cre_slice *parts, int count) {
    uint8_t payload[CRE_WS_MAX_CONTROL];
    size_t length = cre__slices_length(parts, count), offset = 0;
    if (length > sizeof payload) return CRE_EWS_CONTROL_SIZE;
    if (length == 0) return 0;
    if (length == 1) return CRE_EWS_CLOSE_SIZE;
    cre__slices_copy(payload, length, &parts, &offset);
    if (!cre_ws_close_code_valid((unsigned)payload[0] << 8 | payload[1])) return CRE_EWS_CLOSE_CODE;
    return text_valid(payload + 2, length - 2) ? 0 : CRE_EWS_CLOSE_REASON;
}

static int check_general(cre_ws_send_state *state, uint8_t first, const cre_slice *parts, int count) {
    uint8_t opcode = first & 0x0F;
    bool final = (first & CRE_WS_FIN) != 0;
    int error = cre__ws_check_first(first);
    if (!error && first & CRE_WS_RSV1) error = CRE_EWS_RSV;
    if (error) return error;
    if (state->message == CRE_WS_CLOSE) return CRE_ESTATE;
    if (cre__ws_is_control(first)) {
        if (opcode != CRE_WS_CLOSE)
            return cre__slices_length(parts, count) > CRE_WS_MAX_CONTROL ? CRE_EWS_CONTROL_SIZE : 0;
        error = check_close(parts, count);
        if (!error) state->message = CRE_WS_CLOSE;
        return error;
    }
    if (opcode != 0 && state->message) return CRE_EWS_INTERLEAVED;
    if (opcode == 0 && !state->message) return CRE_EWS_CONTINUATION;
    cre_ws_send_state next = { .utf8 = state->utf8, .message = opcode ? opcode : state->message };
    if (next.message == CRE_WS_TEXT && !feed(&next.utf8, parts, count, final)) return CRE_EWS_UTF8;
    *state = final ? (cre_ws_send_state){ 0 } : next;
    return 0;
}

int cre__ws_send_check(cre_ws_send_state *state, uint8_t first, const cre_slice *parts, int count) {
    if (state->message == 0 && count == 1) { /* the common case: a message of one frame in one part */
        if (first == (CRE_WS_FIN | CRE_WS_TEXT))
            return text_valid(parts->data, parts->length) ? 0 : CRE_EWS_UTF8;
        if (first == (CRE_WS_FIN | CRE_WS_BINARY)) return 0;
    }
    return check_general(state, first, parts, count);
}

int cre_ws_send_check(cre_ws_send_state *state, uint8_t first, const void *data, size_t length) {
    cre_slice whole = { data, length };
    return cre__ws_send_check(state, first, &whole, 1);
}
