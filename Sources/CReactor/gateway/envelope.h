/* A message as servers exchange it: what a WebSocket frame needs, before the message itself.
 *
 *   't' message                                     text
 *   'b' message                                     binary
 *   'c' payload of a close frame                    closes the connections
 *   'T', 'B' or 'C' server session delivered message     of a server whose subscribers are treated specially:
 *        `session`, one of its connections, does not get it, or with '1' none of them, since they have it;
 *        `server` and `session` are 16 hexadecimal digits each, `delivered` is '0' or '1'
 */
#ifndef CRE_GATEWAY_ENVELOPE_H
#define CRE_GATEWAY_ENVELOPE_H

#include <creactor/buffer.h>
#include <stdbool.h>
#include <stdint.h>

enum { CRE__MAX_ENVELOPE = 34 };

typedef struct cre__envelope {
    uint8_t opcode;   /* text, binary or close, of cre_ws_opcode */
    bool delivered;   /* the subscribers of `server` have the message */
    uint64_t server;  /* 0: any */
    uint64_t session; /* a connection of `server`; 0: none */
    cre_slice message;
} cre__envelope;

/* Whether there may be an envelope of this message. */
bool cre__envelope_takes(uint8_t opcode, cre_slice message);

/* Writes the envelope in front of a message. Returns its length. */
size_t cre__envelope_put(uint8_t out[CRE__MAX_ENVELOPE], const cre__envelope *envelope);

/* Reads a whole one. The message is a part of `bytes`. False: it is malformed. */
bool cre__envelope_read(cre_slice bytes, cre__envelope *envelope);

#endif
