/* Large records that are put together from their chunks. */
#include <creactor/error.h>
#include <string.h>

#include "core/memory.h"
#include "link/node_internal.h"

void cre__chunks_drop(inbound *in) {
    cre__free(in->data);
    in->data = NULL;
    in->length = in->capacity = 0;
}

/* The last part of a large record that is not there as a whole: there was no memory for it, or its beginning
 * went to a predecessor that died. */
static void end_incomplete(cre_node *node, inbound *in, const cre_record *record) {
    const uint32_t from = (uint32_t)(in - node->in);
    if (!in->lost && node->handlers.rest) node->handlers.rest(node->context, from, record);
    if (in->unreported && node->handlers.lost) node->handlers.lost(node->context, from, &in->partial);
    in->lost = in->unreported = false;
}

int cre__chunks_add(cre_node *node, inbound *in, const cre_record *record, const uint8_t *payload) {
    if (!(record->flags & CRE_RECORD_CONTINUED)) {
        cre__chunks_drop(in); /* its sender died half-way */
        in->lost = in->unreported = false;
        in->partial = *record;
    } else if (!in->data) {
        if (!(record->flags & CRE_RECORD_MORE)) end_incomplete(node, in, record);
        return 0;
    }
    if (in->length + record->length > node->bus->config.max_payload) return CRE_ELINK_RECORD;
    if (in->length + record->length > in->capacity) {
        size_t capacity = in->capacity ? in->capacity * 2 : (size_t)record->length * 4;
        while (capacity < in->length + record->length)
            capacity *= 2;
        uint8_t *data = cre__realloc(in->data, capacity);
        if (!data) {
            cre__chunks_drop(in); /* the stream stays in step */
            in->lost = in->unreported = true;
            if (!(record->flags & CRE_RECORD_MORE)) end_incomplete(node, in, record);
            return 0;
        }
        in->data = data;
        in->capacity = capacity;
    }
    if (record->length) memcpy(in->data + in->length, payload, record->length);
    in->length += record->length;
    if (record->flags & CRE_RECORD_MORE) return 0;

    cre_record whole = in->partial;
    whole.flags &= (uint16_t)~(CRE_RECORD_MORE | CRE_RECORD_CONTINUED);
    whole.length = (uint32_t)in->length;
    uint8_t *data = in->data;
    in->data = NULL;
    in->length = in->capacity = 0;
    int result = node->handlers.record(node->context, (uint32_t)(in - node->in), &whole, data);
    cre__free(data);
    return result;
}
