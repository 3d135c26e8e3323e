/* Compressed bodies: whatever the pieces, a client decodes the same bytes. */
#include <creactor/http_encoder.h>

#include "test.h"

#ifdef CRE_HAVE_DEFLATE
#include <zlib.h>
#endif
#ifdef CRE_HAVE_BROTLI
#include <brotli/decode.h>
#endif
#ifdef CRE_HAVE_ZSTD
#include <zstd.h>
#endif

static guard_page guard;
static uint8_t packed[1 << 20], unpacked[1 << 20];
static size_t packed_length, unpacked_length;

/* ---- decoding ---- */

/* Decodes what there is into `unpacked`. Returns whether the body has ended exactly there; -1: corrupt. */
static int decode(int coding) {
    unpacked_length = 0;
    switch (coding) {
#ifdef CRE_HAVE_DEFLATE
    case CRE_HTTP_GZIP: {
        z_stream stream = { 0 };
        REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
        stream.next_in = packed;
        stream.avail_in = (unsigned)packed_length;
        stream.next_out = unpacked;
        stream.avail_out = sizeof unpacked;
        int result = inflate(&stream, Z_SYNC_FLUSH);
        unpacked_length = sizeof unpacked - stream.avail_out;
        int ended = result == Z_STREAM_END ? stream.avail_in == 0 : 0;
        bool corrupt = result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR;
        inflateEnd(&stream);
        return corrupt ? -1 : ended;
    }
#endif
#ifdef CRE_HAVE_BROTLI
    case CRE_HTTP_BROTLI: {
        BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        size_t in = packed_length, out = sizeof unpacked;
        const uint8_t *from = packed;
        uint8_t *to = unpacked;
        BrotliDecoderResult result = BrotliDecoderDecompressStream(state, &in, &from, &out, &to, NULL);
        unpacked_length = sizeof unpacked - out;
        BrotliDecoderDestroyInstance(state);
        if (result == BROTLI_DECODER_RESULT_ERROR) return -1;
        return result == BROTLI_DECODER_RESULT_SUCCESS && in == 0;
    }
#endif
#ifdef CRE_HAVE_ZSTD
    case CRE_HTTP_ZSTD: {
        ZSTD_DCtx *state = ZSTD_createDCtx();
        ZSTD_inBuffer in = { packed, packed_length, 0 };
        ZSTD_outBuffer out = { unpacked, sizeof unpacked, 0 };
        size_t result = 1;
        while (in.pos < in.size) {
            size_t before = in.pos + out.pos;
            result = ZSTD_decompressStream(state, &out, &in);
            if (ZSTD_isError(result) || !result || in.pos + out.pos == before) break;
        }
        unpacked_length = out.pos;
        ZSTD_freeDCtx(state);
        return ZSTD_isError(result) ? -1 : result == 0 && in.pos == in.size;
    }
#endif
    default: return -1;
    }
}

/* ---- encoding ---- */

/* Encodes a piece, through an output of `room` bytes that ends at a guard page. */
static void encode(cre_http_encoder *encoder, const void *data, size_t length, cre_http_encode_mode mode,
                   size_t room) {
    uint8_t *copy = malloc(length + !length);
    REQUIRE(copy != NULL);
    if (length) memcpy(copy, data, length);
    const uint8_t *cursor = copy;
    int result;
    do {
        static const uint8_t nothing[4096];
        size_t produced;
        uint8_t *out = guard_place(&guard, nothing, room);
        result = cre_http_encode(encoder, &cursor, copy + length, mode, out, room, &produced);
        REQUIRE(result >= 0 && produced <= room && packed_length + produced <= sizeof packed);
        memcpy(packed + packed_length, out, produced);
        packed_length += produced;
        REQUIRE(result == 0 || produced > 0 || cursor > copy);
    } while (result == 1);
    CHECK(cursor == copy + length);
    free(copy);
}

static const int codings[] = {
#ifdef CRE_HAVE_DEFLATE
    CRE_HTTP_GZIP,
#endif
#ifdef CRE_HAVE_BROTLI
    CRE_HTTP_BROTLI,
#endif
#ifdef CRE_HAVE_ZSTD
    CRE_HTTP_ZSTD,
#endif
    0
};

static uint8_t *make_text(size_t length, bool random) {
    uint8_t *text = malloc(length + 1);
    REQUIRE(text != NULL);
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = random ? (uint8_t)(state >> 24) : (uint8_t)("abcdefgh"[state >> 29] + (i % 97 == 0));
    }
    return text;
}

static cre_http_encoders *make_encoders(void) {
    cre_http_encoders *encoders;
    REQUIRE(cre_http_encoders_create(NULL, &encoders) == 0);
    if (!guard.map) guard = guard_make(4096);
    return encoders;
}

static cre_http_encoder *open_encoder(cre_http_encoders *encoders, int coding) {
    cre_http_encoder *encoder;
    REQUIRE(cre_http_encoder_open(encoders, coding, &encoder) == 0);
    packed_length = 0;
    return encoder;
}

static void expect(int coding, bool whole, const void *text, size_t length) {
    CHECK_EQ(decode(coding), whole);
    CHECK_EQ(unpacked_length, length);
    if (unpacked_length == length && length) CHECK_MEM(unpacked, text, length);
}

TEST(every_split_decodes) {
    cre_http_encoders *encoders = make_encoders();
    const size_t length = 300;
    uint8_t *text = make_text(length, false);
    for (const int *coding = codings; *coding; coding++) {
        for (size_t cut = 0; cut <= length; cut++) {
            for (int mode = 0; mode < 2; mode++) {
                cre_http_encoder *encoder = open_encoder(encoders, *coding);
                encode(encoder, text, cut, (cre_http_encode_mode)mode, 64);
                if (mode == CRE_HTTP_ENCODE_FLUSH) expect(*coding, false, text, cut);
                encode(encoder, text + cut, length - cut, CRE_HTTP_ENCODE_END, 64);
                expect(*coding, true, text, length);
                cre_http_encoder_close(encoder);
            }
        }
    }
    free(text);
    cre_http_encoders_destroy(encoders);
}

TEST(sizes_rooms_and_pieces) {
    cre_http_encoders *encoders = make_encoders();
    const size_t sizes[] = { 0, 1, 63, 64, 65, 5000, 300000 }, rooms[] = { 64, 65, 100, 4096 };
    for (const int *coding = codings; *coding; coding++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (size_t j = 0; j < sizeof rooms / sizeof *rooms; j++) {
                uint8_t *text = make_text(sizes[i], j % 2);
                cre_http_encoder *encoder = open_encoder(encoders, *coding);
                for (size_t at = 0, step = 1; at < sizes[i]; at += step, step = step * 3 + 1) {
                    if (step > sizes[i] - at) step = sizes[i] - at;
                    encode(encoder, text + at, step, j > 1 ? CRE_HTTP_ENCODE_FLUSH : CRE_HTTP_ENCODE_MORE,
                           rooms[j]);
                    if (j > 1) expect(*coding, false, text, at + step);
                }
                encode(encoder, NULL, 0, CRE_HTTP_ENCODE_FLUSH, rooms[j]);
                encode(encoder, NULL, 0, CRE_HTTP_ENCODE_FLUSH, rooms[j]);
                expect(*coding, false, text, sizes[i]);
                encode(encoder, NULL, 0, CRE_HTTP_ENCODE_END, rooms[j]);
                expect(*coding, true, text, sizes[i]);
                if (sizes[i] > 100000 && j == 0) CHECK(packed_length < sizes[i] / 2);
                cre_http_encoder_close(encoder);
                free(text);
            }
        }
    }
    cre_http_encoders_destroy(encoders);
}

TEST(closed_encoders_are_used_again) {
    cre_http_encoders *encoders = make_encoders();
    uint8_t *text = make_text(5000, false);
    for (const int *coding = codings; *coding; coding++) {
        cre_http_encoder *many[10];
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 10; i++) {
                many[i] = open_encoder(encoders, *coding);
                encode(many[i], text, 1000, CRE_HTTP_ENCODE_MORE, 4096);
            }
            /* Some of them in the middle of a body. */
            for (int i = 0; i < 10; i++) {
                if (i % 2) {
                    packed_length = 0;
                    encode(many[i], text + 1000, 4000, CRE_HTTP_ENCODE_END, 4096);
                }
                cre_http_encoder_close(many[i]);
            }
        }
        cre_http_encoder *encoder = open_encoder(encoders, *coding);
        encode(encoder, text, 5000, CRE_HTTP_ENCODE_END, 4096);
        expect(*coding, true, text, 5000);
        cre_http_encoder_close(encoder);
    }
    free(text);
    cre_http_encoders_destroy(encoders);
}

TEST(misuse_is_an_error) {
    cre_http_encoders *encoders;
    cre_http_encoders_config config = { .size = sizeof config, .max_open = 2 };
    CHECK_EQ(cre_http_encoders_create(&(cre_http_encoders_config){ 0 }, &encoders), CRE_ECONFIG_SIZE);
    const cre_http_encoders_config bad[] = { { .size = sizeof config, .gzip_level = 10 },
                                             { .size = sizeof config, .brotli_level = 12 },
                                             { .size = sizeof config, .zstd_level = 20 } };
    for (int i = 0; i < 3; i++)
        CHECK_EQ(cre_http_encoders_create(&bad[i], &encoders), CRE_EINVALID);
    REQUIRE(cre_http_encoders_create(&config, &encoders) == 0);
    cre_http_encoder *one, *two, *three;
    CHECK_EQ(cre_http_encoder_open(encoders, 0, &one), CRE_EUNSUPPORTED);
    CHECK_EQ(cre_http_encoder_open(encoders, 4, &one), CRE_EUNSUPPORTED);
    CHECK(!cre_http_coding_supported(0) && !cre_http_coding_supported(4));
    for (const int *coding = codings; *coding; coding++) {
        CHECK(cre_http_coding_supported(*coding));
        REQUIRE(cre_http_encoder_open(encoders, *coding, &one) == 0);
        REQUIRE(cre_http_encoder_open(encoders, *coding, &two) == 0);
        CHECK_EQ(cre_http_encoder_open(encoders, *coding, &three), CRE_ELIMIT);
        cre_http_encoder_close(two);
        uint8_t out[64];
        const uint8_t text[] = "text", *cursor = text;
        size_t produced = 9;
        CHECK_EQ(cre_http_encode(one, &cursor, text + 4, CRE_HTTP_ENCODE_END, out, 63, &produced),
                 CRE_EINVALID);
        CHECK_EQ(cre_http_encode(one, &cursor, text + 4, (cre_http_encode_mode)3, out, 64, &produced),
                 CRE_EINVALID);
        CHECK(cursor == text && produced == 0);
        CHECK_EQ(cre_http_encode(one, &cursor, text + 4, CRE_HTTP_ENCODE_END, out, 64, &produced), 0);
        CHECK(cursor == text + 4 && produced > 4);
        CHECK_EQ(cre_http_encode(one, &cursor, cursor, CRE_HTTP_ENCODE_END, out, 64, &produced), CRE_ESTATE);
        cre_http_encoder_close(one);
    }
    cre_http_encoder_close(NULL);
    cre_http_encoders_destroy(NULL);
    cre_http_encoders_destroy(encoders);
}

static bool without_memory(void) {
    cre_http_encoders *encoders;
    if (cre_http_encoders_create(NULL, &encoders)) return false;
    bool good = true;
    uint8_t *text = make_text(200000, true), out[4096];
    for (const int *coding = codings; *coding; coding++) {
        cre_http_encoder *encoder;
        if (cre_http_encoder_open(encoders, *coding, &encoder)) {
            good = false;
            continue;
        }
        const uint8_t *cursor = text;
        size_t produced;
        int result;
        do
            result = cre_http_encode(encoder, &cursor, text + 200000, CRE_HTTP_ENCODE_END, out, sizeof out,
                                     &produced);
        while (result == 1);
        if (result) {
            CHECK_EQ(result, CRE_ENOMEM);
            CHECK_EQ(
                cre_http_encode(encoder, &cursor, cursor, CRE_HTTP_ENCODE_END, out, sizeof out, &produced),
                CRE_ESTATE);
            good = false;
        }
        cre_http_encoder_close(encoder);
    }
    free(text);
    cre_http_encoders_destroy(encoders);
    return good;
}

TEST(no_memory) {
    test_fail_each_allocation(without_memory);
}

TEST_MAIN()
