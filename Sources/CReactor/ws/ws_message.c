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
    if (old && old->give) return false; /* never: it has room for all of its frame */
    size_t capacity = expected;
    if (expected > SMALL && now < expected / FAIR_SHARE) capacity = now * STEP < SMALL ? SMALL : now * STEP;
    if (capacity < have * 2) capacity = have * 2 < limit ? have * 2 : limit;
    if (capacity < now) capacity = now;
    cre__ws_message *block = cre__realloc(old, sizeof *block + capacity);
    if (!block) return false;
    if (!old) memset(block, 0, sizeof *block);
    block->data = (uint8_t *)(block + 1);
    block->capacity = capacity;
    *message = block;
    return true;
}

bool cre__ws_message_move(cre__ws_message **message, size_t now, size_t expected,
                          const cre_ws_memory *memory) {
    cre__ws_message *old = *message;
    if (!memory->take || expected < memory->least || now < expected / FAIR_SHARE) return false;
    uint8_t *data = memory->take(memory->context, expected);
    cre__ws_message *block = data ? cre__malloc(sizeof *block) : NULL;
    if (!block) {
        if (data) memory->give(memory->context, data);
        return false;
    }
    *block = old ? *old : (cre__ws_message){ 0 };
    block->data = data;
    block->capacity = expected;
    block->give = memory->give;
    block->context = memory->context;
    if (old && old->used) memcpy(data, old->data, old->used);
    cre__ws_message_free(old);
    *message = block;
    return true;
}

void cre__ws_message_free(cre__ws_message *message) {
    if (message && message->give) message->give(message->context, message->data);
    cre__free(message);
}
