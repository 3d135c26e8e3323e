/*
 * Encoders: whatever the pieces, modes and rooms, the output decodes to the input.
 *
 * Input: one byte with the coding, then pieces: a byte with the mode, one with the room of the output, one
 * with the length, and the bytes.
 */
#include <creactor/http_encoder.h>
#include <stdlib.h>
#include <string.h>

#ifdef CRE_HAVE_DEFLATE
#include <zlib.h>
#endif

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

typedef struct bytes {
    uint8_t *data;
    size_t length;
} bytes;

static void append(bytes *to, const uint8_t *data, size_t length) {
    to->data = realloc(to->data, to->length + length + 1);
    REQUIRE(to->data != NULL);
    if (length) memcpy(to->data + to->length, data, length);
    to->length += length;
}

static void encode(cre_http_encoder *encoder, const uint8_t *data, size_t length, cre_http_encode_mode mode,
                   size_t room, bytes *output) {
    const uint8_t *cursor = data;
    int result;
    do {
        uint8_t *out = malloc(room);
        size_t produced;
        REQUIRE(out != NULL);
        result = cre_http_encode(encoder, &cursor, data + length, mode, out, room, &produced);
        REQUIRE(result >= 0 && produced <= room);
        append(output, out, produced);
        free(out);
    } while (result == 1);
    REQUIRE(cursor == data + length);
}

/* Only gzip is decoded: the others have their own decoders in the unit tests. */
static void check(int coding, const bytes *packed, const bytes *input) {
#ifdef CRE_HAVE_DEFLATE
    if (coding != CRE_HTTP_GZIP) return;
    z_stream stream = { 0 };
    uint8_t *text = malloc(input->length + 1);
    REQUIRE(text != NULL && inflateInit2(&stream, 15 + 16) == Z_OK);
    stream.next_in = packed->data;
    stream.avail_in = (unsigned)packed->length;
    stream.next_out = text;
    stream.avail_out = (unsigned)input->length + 1;
    REQUIRE(inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0);
    REQUIRE(stream.total_out == input->length);
    REQUIRE(!input->length || memcmp(text, input->data, input->length) == 0);
    inflateEnd(&stream);
    free(text);
#else
    (void)coding, (void)packed, (void)input;
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static cre_http_encoders *encoders;
    if (!encoders) REQUIRE(cre_http_encoders_create(NULL, &encoders) == 0);
    if (size < 1) return 0;
    const uint8_t *at = data + 1, *end = data + size;
    int coding = 1 + data[0] % 3;
    cre_http_encoder *encoder;
    if (!cre_http_coding_supported(coding)) return 0;
    REQUIRE(cre_http_encoder_open(encoders, coding, &encoder) == 0);
    bytes packed = { 0 }, input = { 0 };
    append(&packed, NULL, 0);
    append(&input, NULL, 0);
    while (end - at >= 3) {
        cre_http_encode_mode mode = (cre_http_encode_mode)(at[0] % 2);
        size_t room = CRE_HTTP_ENCODE_MIN_CAPACITY + at[1], length = at[2];
        at += 3;
        if (length > (size_t)(end - at)) length = (size_t)(end - at);
        encode(encoder, at, length, mode, room, &packed);
        append(&input, at, length);
        at += length;
    }
    if (data[0] & 0x80) { /* sometimes a body is left unfinished */
        encode(encoder, NULL, 0, CRE_HTTP_ENCODE_END, CRE_HTTP_ENCODE_MIN_CAPACITY, &packed);
        check(coding, &packed, &input);
    }
    cre_http_encoder_close(encoder);
    free(packed.data);
    free(input.data);
    return 0;
}
