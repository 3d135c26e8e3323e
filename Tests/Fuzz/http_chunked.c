/*
 * The chunked decoder: whole and in pieces it gives the same bytes and the same result.
 *
 * Input: one byte with the size of the pieces, the body.
 */
#include <creactor/http_chunked.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

typedef struct outcome {
    uint8_t *bytes;
    size_t length, used;
    int result;
} outcome;

static outcome decode(const uint8_t *data, size_t size, size_t step) {
    outcome out = { .bytes = malloc(size + 1) };
    cre_http_chunked decoder;
    REQUIRE(out.bytes);
    cre_http_chunked_init(&decoder);
    while (out.used < size) {
        const size_t piece = size - out.used < step ? size - out.used : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + out.used, piece);
        const uint8_t *cursor = copy, *run;
        size_t length;
        while ((out.result = cre_http_chunked_next(&decoder, &cursor, copy + piece, &run, &length)) ==
               CRE_HTTP_CHUNKED_DATA) {
            REQUIRE(length && run >= copy && run + length == cursor && cursor <= copy + piece);
            memcpy(out.bytes + out.length, run, length);
            out.length += length;
        }
        out.used += (size_t)(cursor - copy);
        REQUIRE(out.result != CRE_HTTP_CHUNKED_MORE || cursor == copy + piece);
        free(copy);
        if (out.result != CRE_HTTP_CHUNKED_MORE) break;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    outcome whole = decode(data + 1, size - 1, size), part = decode(data + 1, size - 1, 1 + data[0] % 32);
    REQUIRE(whole.result == part.result && whole.length == part.length);
    REQUIRE(memcmp(whole.bytes, part.bytes, whole.length) == 0);
    if (whole.result >= 0) REQUIRE(whole.used == part.used);
    free(whole.bytes);
    free(part.bytes);
    return 0;
}
