/* Zstandard. */
#include "decoder.h"

#ifdef CRE_HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

#include "core/memory.h"

/* The largest window as a power of two: 8 MiB, which is what HTTP allows (RFC 9659). */
#define WINDOW 23

/* The magic number, the descriptor, and at most the window, the dictionary and the size of the content. */
enum { MAGIC = 4, MOST_OF_HEADER = MAGIC + 1 + 1 + 4 + 8 };

/*
 * The library gets the header of a frame alone and in one piece. It would read the formats that are older
 * than RFC 8878 as well, and which of its two decoders it takes, one of which does not compare the size of
 * the content with what the header says, would depend on how the input is cut.
 */
typedef struct zstd {
    ZSTD_DCtx *context;
    uint8_t header[MOST_OF_HEADER];
    size_t gathered;  /* bytes of the header, before it is passed on */
    bool in_frame;    /* the header has been passed on */
    bool has_size;    /* it says how large the content is: */
    uint64_t size;    /* this large */
    uint64_t written; /* bytes of this frame's content */
} zstd;

static void *make(void) {
    zstd *made = cre__calloc(1, sizeof *made);
    if (!made) return NULL;
    made->context = ZSTD_createDCtx();
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
    const zstd *self = state;
    return !self->in_frame && !self->gathered;
}

static uint64_t little_endian(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* How many bytes the size of the content has, from the descriptor. */
static size_t bytes_of_size(uint8_t descriptor) {
    bool single = descriptor & 0x20;
    int code = descriptor >> 6;
    return code ? (size_t)1 << code : single ? 1 : 0;
}

/* Whether the gathered bytes are the beginning of a frame, or of a frame to be skipped. */
static bool magic_fits(const zstd *self) {
    static const uint8_t frame[MAGIC] = { 0x28, 0xb5, 0x2f, 0xfd },
                         skipped[MAGIC] = { 0x50, 0x2a, 0x4d, 0x18 };
    bool is_frame = true, is_skipped = true;
    for (size_t i = 0; i < self->gathered && i < MAGIC; i++) {
        is_frame = is_frame && self->header[i] == frame[i];
        is_skipped = is_skipped && (i ? self->header[i] : self->header[i] & 0xf0) == skipped[i];
    }
    return is_frame || is_skipped;
}

static bool is_skipped(const zstd *self) {
    return self->header[0] != 0x28;
}

/* The length of the header as far as it is known from the gathered bytes. */
static size_t header_length(const zstd *self) {
    static const size_t dictionary[] = { 0, 1, 2, 4 };
    if (self->gathered <= MAGIC) return MAGIC + 1;
    if (is_skipped(self)) return MAGIC + 4;
    uint8_t descriptor = self->header[MAGIC];
    bool single = descriptor & 0x20;
    return MAGIC + 1 + !single + dictionary[descriptor & 3] + bytes_of_size(descriptor);
}

static void read_size(zstd *self) {
    size_t count = is_skipped(self) ? 0 : bytes_of_size(self->header[MAGIC]);
    self->has_size = count;
    self->size = little_endian(self->header + self->gathered - count, count);
    if (count == 2) self->size += 256;
    self->written = 0;
}

/* Runs the library. Returns CRE_HTTP_DECOMPRESS_MORE or an error. */
static int run(zstd *self, ZSTD_inBuffer *in, cre__decode_step *step) {
    ZSTD_outBuffer out = { step->out, (size_t)(step->out_end - step->out), 0 };
    size_t left = ZSTD_decompressStream(self->context, &out, in);
    if (ZSTD_isError(left)) {
        bool no_memory = ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation;
        return no_memory ? CRE_ENOMEM : CRE_EHTTP_COMPRESSED;
    }
    step->out += out.pos;
    self->written += out.pos;
    self->in_frame = left;
    if (self->has_size && (left ? self->written > self->size : self->written != self->size))
        return CRE_EHTTP_COMPRESSED;
    return CRE_HTTP_DECOMPRESS_MORE;
}

/* Gathers a header and passes it on. Returns CRE_HTTP_DECOMPRESS_MORE or an error. */
static int begin_frame(zstd *self, cre__decode_step *step) {
    while (self->gathered < header_length(self)) {
        if (step->in == step->in_end) return CRE_HTTP_DECOMPRESS_MORE;
        self->header[self->gathered++] = *step->in++;
        if (!magic_fits(self)) return CRE_EHTTP_COMPRESSED;
    }
    read_size(self);
    ZSTD_inBuffer in = { self->header, self->gathered, 0 };
    self->gathered = 0;
    int result = run(self, &in, step);
    return result || in.pos == in.size ? result : CRE_EHTTP_COMPRESSED;
}

/* Frames may follow each other. */
static int step(void *state, cre__decode_step *step) {
    zstd *self = state;
    for (;;) {
        if (!self->in_frame && step->in == step->in_end) return CRE_HTTP_DECOMPRESS_MORE;
        if (step->out == step->out_end) return CRE_HTTP_DECOMPRESS_FULL;
        int result;
        if (!self->in_frame) {
            result = begin_frame(self, step);
        } else {
            ZSTD_inBuffer in = { step->in, (size_t)(step->in_end - step->in), 0 };
            result = run(self, &in, step);
            step->in += in.pos;
        }
        if (result) return result;
        if (self->in_frame && step->in == step->in_end && step->out < step->out_end)
            return CRE_HTTP_DECOMPRESS_MORE;
    }
}

const cre__decoder cre__decoder_zstd = { make, free_state, step, complete };

#endif
