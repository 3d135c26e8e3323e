#include "ws/ws_isal.h"

#include <creactor/error.h>

#ifdef CRE_HAVE_ISAL
#include <isa-l/igzip_lib.h>

#include "core/memory.h"

/* Sizes are 32 bits wide in ISA-L. Larger messages gain nothing either: they are rare. */
#define MAX_LENGTH ((size_t)1 << 30)

/* ---- deflating ---- */

/* Level 1 finds nearly all that its higher levels find. The buffer holds the tokens of a block: with less,
 * large messages are cut into more blocks and take half as long again. */
typedef struct cre__isal_deflater {
    struct isal_zstream stream;
    uint8_t level[ISAL_DEF_LVL1_LARGE];
} cre__isal_deflater;

int64_t cre__ws_isal_deflate(cre__ws_isal *isal, int bits, const uint8_t *data, size_t length, uint8_t *out,
                             size_t capacity) {
    if (length > MAX_LENGTH || capacity > 2 * MAX_LENGTH) return CRE_EUNSUPPORTED;
    if (!isal->deflater) isal->deflater = cre__malloc(sizeof *isal->deflater);
    if (!isal->deflater) return CRE_ENOMEM;
    struct isal_zstream *stream = &isal->deflater->stream;
    isal_deflate_init(stream); /* the calls for whole buffers end some blocks without the marker */
    if (length < CRE__WS_ISAL_MIN_DYNAMIC) {
        isal_deflate_set_hufftables(stream, NULL, IGZIP_HUFFTABLE_STATIC);
    } else {
        stream->level = 1;
        stream->level_buf = isal->deflater->level;
        stream->level_buf_size = sizeof isal->deflater->level;
    }
    stream->hist_bits = (uint16_t)bits;
    stream->flush = SYNC_FLUSH;
    stream->next_in = (uint8_t *)(uintptr_t)data;
    stream->avail_in = (uint32_t)length;
    stream->next_out = out;
    stream->avail_out = (uint32_t)capacity;
    if (isal_deflate(stream) != COMP_OK) return CRE_EUNSUPPORTED;
    return stream->avail_out ? (int64_t)stream->total_out : 0; /* with a full buffer there may be more */
}

/* ---- inflating ---- */

typedef struct cre__isal_inflater {
    struct inflate_state state;
} cre__isal_inflater;

/* Inflates all of `data`. False: an error, the end of a final block, or no room within the limit. */
static bool inflate_into(struct inflate_state *state, const uint8_t *data, size_t length, size_t limit,
                         cre__ws_message **message) {
    state->next_in = (uint8_t *)(uintptr_t)data;
    state->avail_in = (uint32_t)length;
    for (;;) {
        size_t have = (*message)->capacity, room = have - (*message)->used;
        state->next_out = (*message)->data + (*message)->used;
        state->avail_out = (uint32_t)room;
        if (isal_inflate(state) != ISAL_DECOMP_OK) return false;
        (*message)->used += room - state->avail_out;
        if (state->block_state == ISAL_BLOCK_FINISH || state->block_state == ISAL_BLOCK_INPUT_DONE)
            return false;
        if (state->avail_out) return state->avail_in == 0;
        size_t more = have < limit / 2 ? have * 2 : limit;
        if (more <= have || !cre__ws_message_reserve(message, more, more, limit)) return false;
    }
}

/* ISA-L goes on to the next header at once, and may have begun it without any input. */
static bool is_between_blocks(const struct inflate_state *state) {
    return (state->block_state == ISAL_BLOCK_NEW_HDR || state->block_state == ISAL_BLOCK_HDR) &&
           state->read_in_length == 0 && state->tmp_in_size == 0;
}

int cre__ws_isal_inflate(cre__ws_isal *isal, const uint8_t *data, size_t length, size_t limit,
                         cre__ws_message **message) {
    static const uint8_t flush[4] = { 0x00, 0x00, 0xFF, 0xFF };
    if (length < CRE__WS_ISAL_MIN_INFLATE || length > MAX_LENGTH || limit > MAX_LENGTH) return 0;
    if (!isal->inflater) isal->inflater = cre__malloc(sizeof *isal->inflater);
    if (!isal->inflater) return 0;
    struct inflate_state *state = &isal->inflater->state;
    isal_inflate_init(state);
    bool complete = inflate_into(state, data, length, limit, message) &&
                    inflate_into(state, flush, sizeof flush, limit, message) && is_between_blocks(state);
    if (!complete) (*message)->used = 0;
    return complete;
}

void cre__ws_isal_free(cre__ws_isal *isal) {
    cre__free(isal->deflater);
    cre__free(isal->inflater);
}

#else

int64_t cre__ws_isal_deflate(cre__ws_isal *isal, int bits, const uint8_t *data, size_t length, uint8_t *out,
                             size_t capacity) {
    (void)isal, (void)bits, (void)data, (void)length, (void)out, (void)capacity;
    return CRE_EUNSUPPORTED;
}

int cre__ws_isal_inflate(cre__ws_isal *isal, const uint8_t *data, size_t length, size_t limit,
                         cre__ws_message **message) {
    (void)isal, (void)data, (void)length, (void)limit, (void)message;
    return 0;
}

void cre__ws_isal_free(cre__ws_isal *isal) {
    (void)isal;
}

#endif
