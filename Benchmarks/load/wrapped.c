// A server with a protocol of its own inside WebSocket messages: a client sends a first message and is open
// with the reply, each payload is published between two fixed texts, and arrives anywhere in a message,
// perhaps together with others.
#include <stdlib.h>
#include <string.h>

#include "wsload.h"

enum { STAMP = 8 };

void wrapped_open(struct conn *c) {
    free(c->part);
    c->part = zalloc(WRAPPED_MAX, 1);
    c->part_have = 0;
    c->state = STATE_GREETING;
    frames_send(c, opt.first);
}

// What follows the stamp of each payload is the same.
void wrapped_received(struct conn *c) {
    const uint8_t *rest = pattern + strlen(opt.before) + STAMP, *at = c->part, *end = at + c->part_have;
    const size_t length = opt.size - STAMP;
    c->part_have = 0;
    if (c->state == STATE_GREETING) {
        uint8_t *kept = c->part;
        c->part = NULL;
        opened(c);
        c->part = kept;
        return;
    }
    for (const uint8_t *hit; (hit = memmem(at, (size_t)(end - at), rest, length)); at = hit + length)
        if (hit - at >= STAMP) message_done(c, hit - STAMP, opt.size);
}
