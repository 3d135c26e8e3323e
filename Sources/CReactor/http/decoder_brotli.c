/* Brotli. The window has at most 16 MiB: larger ones are an extension that HTTP does not have. */
#include "decoder.h"

#ifdef CRE_HAVE_BROTLI
#include <brotli/decode.h>

#include "core/memory.h"

typedef struct brotli {
    BrotliDecoderState *decoder;
    bool started, complete;
} brotli;

static void *allocate(void *context, size_t size) {
    (void)context;
    return cre__malloc(size);
}

static void give_back(void *context, void *memory) {
    (void)context;
    cre__free(memory);
}

static void *make(void) {
    brotli *made = cre__calloc(1, sizeof *made);
    if (!made) return NULL;
    made->decoder = BrotliDecoderCreateInstance(allocate, give_back, NULL);
    if (made->decoder) return made;
    cre__free(made);
    return NULL;
}

static void free_state(void *state) {
    BrotliDecoderDestroyInstance(((brotli *)state)->decoder);
    cre__free(state);
}

static bool complete(const void *state) {
    const brotli *self = state;
    return self->complete || !self->started;
}

static bool is_of_memory(BrotliDecoderErrorCode error) {
    return error <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           error >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static int step(void *state, cre__decode_step *step) {
    brotli *self = state;
    size_t in = (size_t)(step->in_end - step->in), out = (size_t)(step->out_end - step->out);
    if (self->complete) return in ? CRE_EHTTP_COMPRESSED : CRE_HTTP_DECOMPRESS_MORE;
    if (in) self->started = true;
    switch (BrotliDecoderDecompressStream(self->decoder, &in, &step->in, &out, &step->out, NULL)) {
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: return CRE_HTTP_DECOMPRESS_MORE;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: return CRE_HTTP_DECOMPRESS_FULL;
    case BROTLI_DECODER_RESULT_SUCCESS:
        self->complete = true;
        return in ? CRE_EHTTP_COMPRESSED : CRE_HTTP_DECOMPRESS_MORE;
    default:
        return is_of_memory(BrotliDecoderGetErrorCode(self->decoder)) ? CRE_ENOMEM : CRE_EHTTP_COMPRESSED;
    }
}

const cre__decoder cre__decoder_brotli = { make, free_state, step, complete };

#endif
