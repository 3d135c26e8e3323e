/* Checks of a frame header that need no session, in the order of its bytes. */
#ifndef CRE_WS_FRAME_H
#define CRE_WS_FRAME_H

#include <creactor/error.h>
#include <creactor/websocket_frame.h>

static inline bool cre__ws_is_control(uint8_t first) {
    return (first & 8) != 0;
}

/* Checks the first byte except RSV1, which the caller checks: 0 or an error. */
static inline int cre__ws_check_first(uint8_t first) {
    if (first & 0x30) return CRE_EWS_RSV;
    if ((first & 7) > 2) return CRE_EWS_OPCODE;
    if (cre__ws_is_control(first) && !(first & CRE_WS_FIN)) return CRE_EWS_CONTROL_FRAGMENT;
    return 0;
}

/* Checks the length field of the second byte: 0 or an error. */
static inline int cre__ws_check_second(uint8_t first, uint8_t second) {
    if (cre__ws_is_control(first) && (second & 0x7F) > CRE_WS_MAX_CONTROL) return CRE_EWS_CONTROL_SIZE;
    if ((first & 0x0F) == CRE_WS_CLOSE && (second & 0x7F) == 1) return CRE_EWS_CLOSE_SIZE;
    return 0;
}

/* The size of the header up to the mask. */
static inline size_t cre__ws_length_end(uint8_t second) {
    uint8_t length = second & 0x7F;
    return length < 126 ? 2 : length == 126 ? 4 : 10;
}

/* Reads the length of a header of which cre__ws_length_end bytes are available: 0 or an error. */
int cre__ws_read_length(const uint8_t *header, uint64_t *length);

#endif
