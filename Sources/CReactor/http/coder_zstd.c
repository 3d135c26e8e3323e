/* Zstandard. */
#include "http/coder.h"

#ifdef CRE_HAVE_ZSTD
#include <zstd.h>

/* The window as a power of two; clients need not accept more than 2^23. */
#define WINDOW 17

static void *make(int level) {
    ZSTD_CCtx *state = ZSTD_createCCtx();
    if (!state) return NULL;
    ZSTD_CCtx_setParameter(state, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(state, ZSTD_c_windowLog, WINDOW);
    return state;
}

static bool reuse(void *state) {
    return !ZSTD_isError(ZSTD_CCtx_reset(state, ZSTD_reset_session_only));
}

static void free_state(void *state) {
    ZSTD_freeCCtx(state);
}

static int step(void *state, cre__coder_step *step) {
    static const ZSTD_EndDirective directives[] = { ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end };
    for (;;) {
        ZSTD_inBuffer in = { step->in, (size_t)(step->in_end - step->in), 0 };
        ZSTD_outBuffer out = { step->out, (size_t)(step->out_end - step->out), 0 };
        size_t left = ZSTD_compressStream2(state, &out, &in, directives[step->mode]);
        if (ZSTD_isError(left)) return CRE_ENOMEM;
        step->in += in.pos;
        step->out += out.pos;
        bool done = step->mode == CRE_HTTP_ENCODE_MORE ? in.pos == in.size : !left;
        if (done) return 0;
        if (out.pos == out.size) return 1;
    }
}

const cre__coder cre__coder_zstd = { make, reuse, free_state, step, 3, 19 };

#endif
