/* Decompression of bodies: the choice of the decoder. */
#include <creactor/http_decompress.h>
#include <string.h>

#include "chars.h"
#include "core/memory.h"
#include "decoder.h"

struct cre_http_decompressor {
    const cre__decoder *decoder;
    void *state;
};

static const struct coding {
    const char *name;
    const cre__decoder *decoder; /* NULL: not in this build */
} codings[] = {
#ifdef CRE_HAVE_DEFLATE
    { "gzip", &cre__decoder_gzip }, { "x-gzip", &cre__decoder_gzip }, { "deflate", &cre__decoder_deflate },
#else
    { "gzip", NULL }, { "x-gzip", NULL }, { "deflate", NULL },
#endif
#ifdef CRE_HAVE_BROTLI
    { "br", &cre__decoder_brotli },
#else
    { "br", NULL },
#endif
#ifdef CRE_HAVE_ZSTD
    { "zstd", &cre__decoder_zstd },
#else
    { "zstd", NULL },
#endif
};

static const struct coding *find(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++)
        if (strlen(codings[i].name) == length && cre__same(name, codings[i].name, length)) return &codings[i];
    return NULL;
}

int cre_http_decompressor_create(const char *name, size_t length, cre_http_decompressor **out) {
    const struct coding *coding = find(name, length);
    if (!coding) return CRE_EHTTP_UNKNOWN_CODING;
    if (!coding->decoder) return CRE_EUNSUPPORTED;
    cre_http_decompressor *made = cre__malloc(sizeof *made);
    if (!made) return CRE_ENOMEM;
    made->decoder = coding->decoder;
    made->state = made->decoder->make();
    if (!made->state) {
        cre__free(made);
        return CRE_ENOMEM;
    }
    *out = made;
    return 0;
}

void cre_http_decompressor_destroy(cre_http_decompressor *decompressor) {
    if (!decompressor) return;
    decompressor->decoder->free(decompressor->state);
    cre__free(decompressor);
}

int cre_http_decompress(cre_http_decompressor *decompressor, const uint8_t **cursor, const uint8_t *end,
                        void *out, size_t capacity, size_t *written) {
    cre__decode_step step = { *cursor, end, out, (uint8_t *)out + capacity };
    int result = decompressor->decoder->step(decompressor->state, &step);
    *cursor = step.in;
    *written = (size_t)(step.out - (uint8_t *)out);
    return result;
}

int cre_http_decompressor_finish(const cre_http_decompressor *decompressor) {
    return decompressor->decoder->complete(decompressor->state) ? 0 : CRE_EHTTP_COMPRESSED;
}
