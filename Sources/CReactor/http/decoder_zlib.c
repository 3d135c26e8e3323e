/* gzip and deflate. */
#include "decoder.h"

#ifdef CRE_HAVE_DEFLATE
#include <limits.h>
#include <zlib.h>

#include "core/memory.h"
#include "core/zlib_memory.h"

/* zlib's values of windowBits, for the largest window. */
enum { RAW = -15, ZLIB = 15, GZIP = 15 + 16 };

typedef struct inflater {
    z_stream stream;
    bool gzip;
    bool started;  /* the stream is set up */
    bool complete; /* nothing is missing: before the first byte, and after the end of a stream */
} inflater;

static void *make(bool gzip) {
    inflater *made = cre__calloc(1, sizeof *made);
    if (!made) return NULL;
    made->gzip = gzip;
    made->complete = true;
    return made;
}

static void *make_gzip(void) {
    return make(true);
}

static void *make_deflate(void) {
    return make(false);
}

static void free_state(void *state) {
    inflater *self = state;
    if (self->started) inflateEnd(&self->stream);
    cre__free(self);
}

static bool complete(const void *state) {
    return ((const inflater *)state)->complete;
}

/* Sets up the stream. "deflate" is zlib's format, but some servers send deflate without its header: whose
 * first byte cannot be that of a header, except for a stored block with invalid padding. */
static int start(inflater *self, uint8_t first) {
    int format = self->gzip ? GZIP : (first & 0x0f) == 8 && first <= 0x78 ? ZLIB : RAW;
    self->stream = (z_stream){ .zalloc = cre__zlib_allocate, .zfree = cre__zlib_free };
    if (inflateInit2(&self->stream, format) != Z_OK) return CRE_ENOMEM;
    self->started = true;
    return 0;
}

/* More input follows a complete stream: gzip allows a further one, deflate nothing. */
static int restart(inflater *self) {
    if (!self->gzip) return CRE_EHTTP_COMPRESSED;
    return inflateReset(&self->stream) == Z_OK ? 0 : CRE_EHTTP_COMPRESSED;
}

static uInt at_most(size_t length) {
    return length < UINT_MAX ? (uInt)length : UINT_MAX;
}

static int step(void *state, cre__decode_step *step) {
    inflater *self = state;
    z_stream *stream = &self->stream;
    for (;;) {
        if (self->complete) {
            if (step->in == step->in_end) return CRE_HTTP_DECOMPRESS_MORE;
            int result = self->started ? restart(self) : start(self, *step->in);
            if (result) return result;
            self->complete = false;
        }
        if (step->out == step->out_end) return CRE_HTTP_DECOMPRESS_FULL;
        const uInt in = at_most((size_t)(step->in_end - step->in)),
                   out = at_most((size_t)(step->out_end - step->out));
        stream->next_in = (Bytef *)(uintptr_t)step->in;
        stream->avail_in = in;
        stream->next_out = step->out;
        stream->avail_out = out;
        int result = inflate(stream, Z_NO_FLUSH);
        step->in += in - stream->avail_in;
        step->out += out - stream->avail_out;
        if (result == Z_STREAM_END)
            self->complete = true;
        else if (result == Z_MEM_ERROR)
            return CRE_ENOMEM;
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return CRE_EHTTP_COMPRESSED;
        else if (in == stream->avail_in && out == stream->avail_out)
            return CRE_HTTP_DECOMPRESS_MORE;
    }
}

const cre__decoder cre__decoder_gzip = { make_gzip, free_state, step, complete };
const cre__decoder cre__decoder_deflate = { make_deflate, free_state, step, complete };

#endif
