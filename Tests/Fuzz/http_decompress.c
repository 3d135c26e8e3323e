/*
 * Decompressors: corrupt input is an error, pieces must give what the whole gives, and nothing is read or
 * written outside of the input and the output.
 *
 * Input: one byte with the coding, one byte that is the length of the pieces, one with the room of the
 * output, and the compressed body.
 */
#include <creactor/error.h>
#include <creactor/http_decompress.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

/* A few bytes may stand for gigabytes: this much of the output is enough. */
enum { MOST = 1 << 18 };

typedef struct outcome {
    int result;
    size_t length;
    uint64_t hash;
} outcome;

static void run(const char *coding, const uint8_t *data, size_t size, size_t step, size_t room,
                outcome *out) {
    cre_http_decompressor *decompressor;
    memset(out, 0, sizeof *out);
    REQUIRE(cre_http_decompressor_create(coding, strlen(coding), &decompressor) == 0);
    for (size_t at = 0; at < size && out->result >= 0 && out->length < MOST;) {
        size_t piece = size - at < step ? size - at : step;
        /* exactly as many bytes as there are, so that reading more is noticed */
        uint8_t *copy = malloc(piece), *made = malloc(room);
        REQUIRE(copy && made);
        memcpy(copy, data + at, piece);
        const uint8_t *cursor = copy, *end = copy + piece;
        do {
            size_t written;
            out->result = cre_http_decompress(decompressor, &cursor, end, made, room, &written);
            REQUIRE(cursor >= copy && cursor <= end && written <= room);
            for (size_t i = 0; i < written && out->length < MOST; i++, out->length++)
                out->hash = out->hash * 31 + made[i];
        } while (out->result == CRE_HTTP_DECOMPRESS_FULL && out->length < MOST);
        if (out->result == CRE_HTTP_DECOMPRESS_MORE) REQUIRE(cursor == end);
        free(copy);
        free(made);
        at += piece;
    }
    if (out->result == CRE_HTTP_DECOMPRESS_MORE) out->result = cre_http_decompressor_finish(decompressor);
    cre_http_decompressor_destroy(decompressor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const codings[] = { "gzip", "deflate", "br", "zstd" };
    if (size < 3) return 0;
    const char *coding = codings[data[0] % 4];
    cre_http_decompressor *probe;
    if (cre_http_decompressor_create(coding, strlen(coding), &probe)) return 0;
    cre_http_decompressor_destroy(probe);
    outcome whole, pieces;
    const size_t step = data[1] ? data[1] : 1, room = data[2] ? data[2] : 1;
    run(coding, data + 3, size - 3, size, 4096, &whole);
    run(coding, data + 3, size - 3, step, room, &pieces);
    if (whole.length == MOST || pieces.length == MOST) return 0; /* cut off at different places */
    REQUIRE((whole.result < 0) == (pieces.result < 0));
    if (whole.result >= 0) REQUIRE(whole.length == pieces.length && whole.hash == pieces.hash);
    return 0;
}
