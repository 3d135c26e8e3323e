/* gzip through zlib. */
#include "http/coder.h"

#ifdef CRE_HAVE_DEFLATE
#include <limits.h>
#include <zlib.h>

#include "core/memory.h"
#include "core/zlib_memory.h"

static void *make(int level) {
    z_stream *stream = cre__calloc(1, sizeof *stream);
    if (!stream) return NULL;
    stream->zalloc = cre__zlib_allocate;
    stream->zfree = cre__zlib_free;
    /* The largest window, and the head and tail of gzip. */
    if (deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK) return stream;
    cre__free(stream);
    return NULL;
}

static bool reuse(void *state) {
    return deflateReset(state) == Z_OK;
}

static void free_state(void *state) {
    deflateEnd(state);
    cre__free(state);
}

static unsigned piece(size_t size) {
    return size < UINT_MAX ? (unsigned)size : UINT_MAX;
}

static int step(void *state, cre__coder_step *step) {
    static const int flushes[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };
    z_stream *stream = state;
    for (;;) {
        size_t left = (size_t)(step->in_end - step->in);
        unsigned in = piece(left), out = piece((size_t)(step->out_end - step->out));
        stream->next_in = (z_const Bytef *)(uintptr_t)step->in;
        stream->avail_in = in;
        stream->next_out = step->out;
        stream->avail_out = out;
        int result = deflate(stream, in == left ? flushes[step->mode] : Z_NO_FLUSH);
        if (result == Z_STREAM_ERROR) return CRE_ENOMEM;
        step->in += in - stream->avail_in;
        step->out += out - stream->avail_out;
        if (result == Z_STREAM_END) return 0;
        /* zlib has more output, or may have: the same call is repeated. */
        if (stream->avail_out == 0)
            return step->mode == CRE_HTTP_ENCODE_MORE && step->in == step->in_end ? 0 : 1;
        if (step->in == step->in_end && step->mode != CRE_HTTP_ENCODE_END) return 0;
    }
}

const cre__coder cre__coder_gzip = { make, reuse, free_state, step, 6, 9 };

#endif
