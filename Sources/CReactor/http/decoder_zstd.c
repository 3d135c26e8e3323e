/* Zstandard. */
#include "decoder.h"

#ifdef CRE_HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

#include "core/memory.h"

/* The largest window as a power of two: 8 MiB, which is what HTTP allows (RFC 9659). */
#define WINDOW 23

typedef struct zstd {
    ZSTD_DCtx *context;
    bool complete; /* before the first byte, and after the end of a frame */
} zstd;

static void *make(void) {
    zstd *made = cre__calloc(1, sizeof *made);
    if (!made) return NULL;
    made->context = ZSTD_createDCtx();
    made->complete = true;
    if (made->context && !ZSTD_isError(ZSTD_DCtx_setParameter(made->context, ZSTD_d_windowLogMax, WINDOW)))
        return made;
    ZSTD_freeDCtx(made->context);
    cre__free(made);
    return NULL;
}

static void free_state(void *state) {
    ZSTD_freeDCtx(((zstd *)state)->context);
    cre__free(state);
}

static bool complete(const void *state) {
    return ((const zstd *)state)->complete;
}

/* Frames may follow each other. */
static int step(void *state, cre__decode_step *step) {
    zstd *self = state;
    for (;;) {
        if (self->complete && step->in == step->in_end) return CRE_HTTP_DECOMPRESS_MORE;
        if (step->out == step->out_end) return CRE_HTTP_DECOMPRESS_FULL;
        ZSTD_inBuffer in = { step->in, (size_t)(step->in_end - step->in), 0 };
        ZSTD_outBuffer out = { step->out, (size_t)(step->out_end - step->out), 0 };
        size_t left = ZSTD_decompressStream(self->context, &out, &in);
        if (ZSTD_isError(left)) {
            bool no_memory = ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation;
            return no_memory ? CRE_ENOMEM : CRE_EHTTP_COMPRESSED;
        }
        step->in += in.pos;
        step->out += out.pos;
        self->complete = !left;
        if (left && in.pos == in.size && out.pos < out.size) return CRE_HTTP_DECOMPRESS_MORE;
    }
}

const cre__decoder cre__decoder_zstd = { make, free_state, step, complete };

#endif
