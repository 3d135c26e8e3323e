/* Single WebSocket frames (RFC 6455): headers, masks, close payloads, encoding and decoding without a
 * session. */
#ifndef CREACTOR_WEBSOCKET_FRAME_H
#define CREACTOR_WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "export.h"

CRE_BEGIN_DECLS

/** The opcodes of frames. */
typedef enum cre_ws_opcode {
    CRE_WS_CONTINUATION = 0, /* a further fragment of a message */
    CRE_WS_TEXT = 1,         /* a message of UTF-8 */
    CRE_WS_BINARY = 2,       /* a message of bytes */
    CRE_WS_CLOSE = 8,        /* the closing handshake */
    CRE_WS_PING = 9,         /* asks for a pong */
    CRE_WS_PONG = 10         /* answers a ping */
} cre_ws_opcode;

/* Flags in the first byte of a frame, above the opcode. */
#define CRE_WS_FIN  0x80u /* the last frame of a message */
#define CRE_WS_RSV1 0x40u /* a compressed message */

#define CRE_WS_MAX_HEADER  14  /* bytes of the longest header of a frame */
#define CRE_WS_MAX_CONTROL 125 /* payload bytes of a close, ping or pong frame */

/**
 * Writes the header of a frame and returns its size, 2 to CRE_WS_MAX_HEADER. `first` is the opcode with
 * CRE_WS_FIN and CRE_WS_RSV1; `mask` is the key that masks the payload, NULL for a server's frame. Nothing is
 * checked: control frames must have CRE_WS_FIN and at most CRE_WS_MAX_CONTROL bytes. Any thread, like all
 * functions of this header.
 */
CRE_NODISCARD static inline size_t cre_ws_header(uint8_t out[CRE_WS_MAX_HEADER], uint8_t first,
                                                 uint64_t length, const uint8_t *mask) {
    uint8_t masked = mask ? 0x80 : 0;
    size_t size = 2;
    out[0] = first;
    if (length < 126) {
        out[1] = (uint8_t)(masked | length);
    } else if (length < 65536) {
        out[1] = masked | 126;
        out[2] = (uint8_t)(length >> 8);
        out[3] = (uint8_t)length;
        size = 4;
    } else {
        out[1] = masked | 127;
        for (int i = 0; i < 8; i++)
            out[2 + i] = (uint8_t)(length >> (56 - 8 * i));
        size = 10;
    }
    if (mask) {
        memcpy(out + size, mask, 4);
        size += 4;
    }
    return size;
}

/** Masks or unmasks data in place. `offset` is the position of data[0] in the payload (modulo 4). */
CRE_API void cre_ws_mask(uint8_t *data, size_t length, const uint8_t key[4], size_t offset);

/**
 * Encodes one frame into `out` and returns its size, at most `length` + CRE_WS_MAX_HEADER. Returns 0 and
 * writes nothing when `capacity` is too small or the frame is not allowed: a reserved opcode or bit, a
 * control frame without CRE_WS_FIN or with more than CRE_WS_MAX_CONTROL bytes. `data` is borrowed and must
 * not overlap `out`; with a mask the payload is masked while it is copied.
 */
CRE_NODISCARD CRE_API size_t cre_ws_pack(uint8_t *out, size_t capacity, uint8_t first, const uint8_t *data,
                                         size_t length, const uint8_t *mask);

/** A frame in a buffer. `payload` points into that buffer. */
typedef struct cre_ws_frame {
    uint8_t opcode;         /* cre_ws_opcode */
    bool final;             /* the last frame of a message */
    bool rsv1;              /* the message is compressed */
    bool masked;            /* `payload` is masked with `key` */
    uint8_t key[4];         /* when masked: for cre_ws_mask on the payload or a copy of it */
    const uint8_t *payload; /* still masked */
    size_t length;          /* of `payload`, in bytes */
    size_t size;            /* header and payload: where the next frame begins */
} cre_ws_frame;

/**
 * Decodes the frame at the start of `data`, masked or not. Returns 1 and fills *frame, 0 when the frame is
 * incomplete, or CRE_EWS_* for an invalid header. UTF-8, close codes and the order of fragments are not
 * checked.
 */
CRE_NODISCARD CRE_API int cre_ws_unpack(const uint8_t *data, size_t size, cre_ws_frame *frame);

/** Whether a close frame may have this code: 1000-1003, 1007-1014, 3000-4999. */
CRE_NODISCARD CRE_API bool cre_ws_close_code_valid(unsigned code);

/** Whether this is the payload of a close frame with a code that may be sent, and a valid reason. */
CRE_NODISCARD CRE_API bool cre_ws_close_payload_valid(const uint8_t *payload, size_t length);

/**
 * Writes the payload of a close frame and returns its size. A reason that does not fit is cut between two
 * code points. Code 1005 (none) and every other invalid code give an empty payload. `reason` is borrowed,
 * must be UTF-8, and may be NULL when `reason_length` is 0.
 */
CRE_NODISCARD CRE_API size_t cre_ws_close_payload(uint8_t out[CRE_WS_MAX_CONTROL], uint16_t code,
                                                  const char *reason, size_t reason_length);

CRE_END_DECLS

#endif
