/*
 * multipart/form-data: whole and in pieces it gives the same parts.
 *
 * Input: one byte with the size of the pieces, one byte with the length of the content type (0: a usual one),
 * the content type, the body.
 */
#include <creactor/http_multipart.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

typedef struct outcome {
    uint8_t *bytes;
    size_t length, room;
    int result;
} outcome;

static void note(outcome *out, const void *bytes, size_t length) {
    REQUIRE(out->length + length <= out->room);
    if (length) memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

static outcome feed(const char *type, size_t type_length, const uint8_t *data, size_t size, size_t step) {
    static cre_http_multipart parser;
    outcome out = { .room = 8 * size + 100 };
    out.bytes = malloc(out.room);
    REQUIRE(out.bytes);
    out.result = cre_http_multipart_init(&parser, type, type_length, 20);
    if (out.result < 0) return out;
    for (size_t at = 0; at < size;) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = malloc(piece);
        REQUIRE(copy);
        memcpy(copy, data + at, piece);
        const uint8_t *cursor = copy;
        do {
            out.result = cre_http_multipart_next(&parser, &cursor, copy + piece);
            REQUIRE(cursor >= copy && cursor <= copy + piece);
            if (out.result == CRE_HTTP_MULTIPART_PART) {
                note(&out, "P", 1);
                note(&out, parser.name.text, parser.name.length);
                note(&out, parser.filename.text, parser.filename.length);
                note(&out, parser.type.text, parser.type.length);
            } else if (out.result == CRE_HTTP_MULTIPART_DATA) {
                REQUIRE(parser.length > 0);
                note(&out, parser.data, parser.length);
            } else if (out.result == CRE_HTTP_MULTIPART_PART_END) {
                note(&out, "E", 1);
            }
        } while (out.result > 0 && out.result != CRE_HTTP_MULTIPART_END);
        free(copy);
        if (out.result < 0) break;
        at += piece;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char usual[] = "multipart/form-data; boundary=X";
    if (size < 2) return 0;
    const size_t step = 1 + data[0] % 64, wanted = data[1];
    data += 2;
    size -= 2;
    const char *type = wanted && wanted <= size ? (const char *)data : usual;
    const size_t type_length = wanted && wanted <= size ? wanted : sizeof usual - 1;
    if (type != usual) {
        data += wanted;
        size -= wanted;
    }
    outcome whole = feed(type, type_length, data, size, size + 1),
            part = feed(type, type_length, data, size, step);
    REQUIRE(whole.result == part.result && whole.length == part.length);
    REQUIRE(memcmp(whole.bytes, part.bytes, whole.length) == 0);
    free(whole.bytes);
    free(part.bytes);
    return 0;
}
