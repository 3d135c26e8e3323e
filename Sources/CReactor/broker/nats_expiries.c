/* Values that a server of NATS does not remove by itself when their lifetime ends: a heap, the earliest
 * first. */
#include "broker/nats_values.h"
#include "core/memory.h"

enum { FIRST = 64, MOST = 1 << 20 };

static bool grow(cre__nats_expiries *expiries) {
    const size_t capacity = expiries->capacity ? 2 * expiries->capacity : FIRST;
    if (capacity > MOST) return false;
    cre__nats_expiry *first = cre__realloc(expiries->first, capacity * sizeof *first);
    if (!first) return false;
    expiries->first = first;
    expiries->capacity = capacity;
    return true;
}

void cre__nats_expiry_add(cre__nats_expiries *expiries, uint64_t expires, uint64_t sequence) {
    if (expiries->count == expiries->capacity && !grow(expiries)) return;
    cre__nats_expiry *first = expiries->first;
    size_t at = expiries->count++;
    for (; at && first[(at - 1) / 2].expires > expires; at = (at - 1) / 2)
        first[at] = first[(at - 1) / 2];
    first[at] = (cre__nats_expiry){ expires, sequence };
}

uint64_t cre__nats_expiry_take(cre__nats_expiries *expiries, uint64_t server_now) {
    cre__nats_expiry *first = expiries->first;
    if (!expiries->count || first->expires > server_now) return 0;
    const uint64_t sequence = first->sequence;
    const cre__nats_expiry last = first[--expiries->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < expiries->count; at = child) {
        if (child + 1 < expiries->count && first[child + 1].expires < first[child].expires) child++;
        if (first[child].expires >= last.expires) break;
        first[at] = first[child];
    }
    first[at] = last;
    return sequence;
}
