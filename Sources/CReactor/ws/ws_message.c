#include "ws/ws_message.h"

#include <string.h>

#include "core/memory.h"

#define SMALL      16384u /* announced sizes up to this are reserved at once */
#define FAIR_SHARE 32u    /* larger ones when this fraction has arrived */
#define STEP       4u     /* otherwise the block grows to this multiple of the bytes that have arrived */

bool cre__ws_message_reserve(cre__ws_message **message, size_t now, size_t expected, size_t limit) {
    cre__ws_message *old = *message;
    size_t have = old ? old->capacity : 0;
    if (old && have >= now) return true;
    size_t capacity = expected;
    if (expected > SMALL && now < expected / FAIR_SHARE) capacity = now * STEP < SMALL ? SMALL : now * STEP;
    if (capacity < have * 2) capacity = have * 2 < limit ? have * 2 : limit;
    if (capacity < now) capacity = now;
    cre__ws_message *block = cre__realloc(old, sizeof *block + capacity);
    if (!block) return false;
    if (!old) memset(block, 0, sizeof *block);
    block->capacity = capacity;
    *message = block;
    return true;
}
