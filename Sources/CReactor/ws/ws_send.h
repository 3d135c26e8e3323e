/* Checks of frames before they are sent, for payloads in several parts. */
#ifndef CRE_WS_SEND_H
#define CRE_WS_SEND_H

#include <creactor/buffer.h>
#include <creactor/websocket.h>

/* The size of a server's header for a payload of `length` bytes. */
static inline size_t cre__ws_header_size(size_t length) {
    return length < 126 ? 2 : length < 65536 ? 4 : 10;
}

/* Writes that header and returns its end. */
static inline uint8_t *cre__ws_put_header(uint8_t *at, uint8_t first, size_t length) {
    if (length >= 126) return at + cre_ws_header(at, first, length, NULL);
    at[0] = first;
    at[1] = (uint8_t)length;
    return at + 2;
}

/* cre_ws_send_check for a payload in parts. */
CRE_NODISCARD int cre__ws_send_check(cre_ws_send_state *state, uint8_t first, const cre_slice *parts,
                                     int count);

#endif
