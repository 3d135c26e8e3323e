/* What a session keeps of a message or frame that is not complete: one block of memory that grows. */
#ifndef CRE_WS_MESSAGE_H
#define CRE_WS_MESSAGE_H

#include <creactor/websocket_utf8.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cre__ws_message {
    size_t capacity;
    size_t used;  /* bytes of the message in `data`; a control frame under way is kept behind them */
    size_t total; /* bytes of the message so far; more than `used` when fragments were handed out */
    uint32_t fragments;
    cre_utf8 utf8;
    uint8_t control; /* bytes received of the control frame under way */
    uint8_t data[];
} cre__ws_message;

/*
 * Makes room for `now` bytes in *message, which may be NULL and may move. `expected` (at least `now`) is how
 * many there will be if the peer sends what it announced: they are reserved at once when they are few or when
 * a fair part is there already, else the block grows in steps, because an announcement is no reason to give
 * away memory. A block that grows several times doubles, but not beyond `limit`. False: no memory, nothing
 * changed.
 */
bool cre__ws_message_reserve(cre__ws_message **message, size_t now, size_t expected, size_t limit);

#endif
