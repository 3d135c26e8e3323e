/* Decompression of bodies. */
#include <creactor/error.h>
#include <creactor/http_decompress.h>

#ifdef CRE_HAVE_DEFLATE
#include <limits.h>
#include <stdbool.h>
#include <zlib.h>

#include "chars.h"
#include "core/memory.h"

/* zlib's values of windowBits, for the largest window. */
enum { RAW = -15, ZLIB = 15, GZIP = 15 + 16 };

struct cre_http_decompressor {
    z_stream stream;
    bool gzip;
    bool started;  /* the stream is set up */
    bool complete; /* nothing is missing: before the first byte, and after the end of a stream */
};

static void *allocate(void *context, unsigned count, unsigned size) {
    (void)context;
    return cre__calloc(count, size);
}

static void give_back(void *context, void *memory) {
    (void)context;
    cre__free(memory);
}

int cre_http_decompressor_create(const char *coding, size_t length, cre_http_decompressor **out) {
    bool gzip = cre__is_word(coding, length, "gzip") || cre__is_word(coding, length, "x-gzip");
    if (!gzip && !cre__is_word(coding, length, "deflate")) return CRE_EHTTP_UNKNOWN_CODING;
    cre_http_decompressor *made = cre__calloc(1, sizeof *made);
    if (!made) return CRE_ENOMEM;
    made->gzip = gzip;
    made->complete = true;
    *out = made;
    return 0;
}

void cre_http_decompressor_destroy(cre_http_decompressor *decompressor) {
    if (!decompressor) return;
    if (decompressor->started) inflateEnd(&decompressor->stream);
    cre__free(decompressor);
}

/* Sets up the stream. "deflate" is zlib's format, but some servers send deflate without its header: whose
 * first byte cannot be that of a header, except for a stored block with invalid padding. */
static int start(cre_http_decompressor *decompressor, uint8_t first) {
    int format = decompressor->gzip ? GZIP : (first & 0x0f) == 8 && first <= 0x78 ? ZLIB : RAW;
    decompressor->stream = (z_stream){ .zalloc = allocate, .zfree = give_back };
    if (inflateInit2(&decompressor->stream, format) != Z_OK) return CRE_ENOMEM;
    decompressor->started = true;
    return 0;
}

/* More input follows a complete stream: gzip allows a further one, deflate nothing. */
static int restart(cre_http_decompressor *decompressor) {
    if (!decompressor->gzip) return CRE_EHTTP_COMPRESSED;
    return inflateReset(&decompressor->stream) == Z_OK ? 0 : CRE_EHTTP_COMPRESSED;
}

int cre_http_decompress(cre_http_decompressor *decompressor, const uint8_t **cursor, const uint8_t *end,
                        void *out, size_t capacity, size_t *written) {
    z_stream *stream = &decompressor->stream;
    uint8_t *at = out;
    if (capacity > UINT_MAX) capacity = UINT_MAX;
    *written = 0;
    for (;;) {
        size_t available = (size_t)(end - *cursor);
        if (decompressor->complete) {
            if (!available) return CRE_HTTP_DECOMPRESS_MORE;
            int result = decompressor->started ? restart(decompressor) : start(decompressor, **cursor);
            if (result) return result;
            decompressor->complete = false;
        }
        if (*written == capacity) return CRE_HTTP_DECOMPRESS_FULL;
        if (available > UINT_MAX) available = UINT_MAX;
        stream->next_in = (Bytef *)(uintptr_t)*cursor;
        stream->avail_in = (uInt)available;
        stream->next_out = at + *written;
        stream->avail_out = (uInt)(capacity - *written);
        int result = inflate(stream, Z_NO_FLUSH);
        size_t used = available - stream->avail_in, made = capacity - *written - stream->avail_out;
        *cursor += used;
        *written += made;
        if (result == Z_STREAM_END)
            decompressor->complete = true;
        else if (result == Z_MEM_ERROR)
            return CRE_ENOMEM;
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return CRE_EHTTP_COMPRESSED;
        else if (!used && !made)
            return CRE_HTTP_DECOMPRESS_MORE;
    }
}

int cre_http_decompressor_finish(const cre_http_decompressor *decompressor) {
    return decompressor->complete ? 0 : CRE_EHTTP_COMPRESSED;
}

#else

int cre_http_decompressor_create(const char *coding, size_t coding_length, cre_http_decompressor **out) {
    (void)coding;
    (void)coding_length;
    (void)out;
    return CRE_EUNSUPPORTED;
}

void cre_http_decompressor_destroy(cre_http_decompressor *decompressor) {
    (void)decompressor;
}

int cre_http_decompress(cre_http_decompressor *decompressor, const uint8_t **cursor, const uint8_t *end,
                        void *out, size_t capacity, size_t *written) {
    (void)decompressor;
    (void)cursor;
    (void)end;
    (void)out;
    (void)capacity;
    *written = 0;
    return CRE_EUNSUPPORTED;
}

int cre_http_decompressor_finish(const cre_http_decompressor *decompressor) {
    (void)decompressor;
    return CRE_EUNSUPPORTED;
}

#endif
