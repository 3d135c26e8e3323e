/* The buffer of a session for an incomplete message or frame. It grows, unless it is in memory of the caller.
 */
#ifndef CRE_WS_MESSAGE_H
#define CRE_WS_MESSAGE_H

#include <creactor/websocket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cre__ws_message {
    size_t capacity;
    size_t used;  /* bytes of the message in `data`, followed by those of an incomplete control frame */
    size_t total; /* bytes of the message so far; more than `used` when fragments are delivered */
    uint32_t fragments;
    cre_utf8 utf8;
    uint8_t control; /* bytes received of an incomplete control frame */
    uint8_t *data;   /* in the same block, or it was taken from the caller's */
    /* Gives `data` back; NULL: it is in this block. By value, since it may outlive the configuration. */
    void (*give)(void *context, uint8_t *data);
    void *context;
} cre__ws_message;

/*
 * Makes room for `now` bytes in *message, which may be NULL and may move. `expected` (at least `now`) is the
 * announced number of bytes. They are reserved at once when they are few or when a fair part has arrived;
 * otherwise the block grows in steps, so that an announcement alone costs no memory. A block that grows
 * several times doubles, up to `limit`. False: no memory, nothing has changed.
 */
bool cre__ws_message_reserve(cre__ws_message **message, size_t now, size_t expected, size_t limit);

/* Moves *message, which may be NULL, to memory of the caller with room for `expected` bytes, if they are many
 * and a fair part has arrived. False: nothing has changed. */
bool cre__ws_message_move(cre__ws_message **message, size_t now, size_t expected,
                          const cre_ws_memory *memory);

/* NULL is ignored. */
void cre__ws_message_free(cre__ws_message *message);

#endif
