/* Decompression of bodies. */
#include <creactor/error.h>
#include <creactor/http_decompress.h>
#include <creactor/http_encoder.h>

#include "test.h"

#ifdef CRE_HAVE_DEFLATE
#include <zlib.h>
#endif

enum { ROOM = 300000 };
static uint8_t packed[ROOM], unpacked[ROOM];

/* Decompresses in pieces of `step` bytes with room for `room` bytes. Returns the length or an error. */
static long unpack(const char *coding, const uint8_t *data, size_t size, size_t step, size_t room) {
    cre_http_decompressor *decompressor;
    int result = cre_http_decompressor_create(coding, strlen(coding), &decompressor);
    if (result) return result;
    size_t length = 0;
    for (size_t at = 0; at < size && result >= 0;) {
        size_t piece = size - at < step ? size - at : step;
        const uint8_t *cursor = data + at, *end = cursor + piece;
        do {
            size_t written;
            REQUIRE(length + room <= ROOM);
            result = cre_http_decompress(decompressor, &cursor, end, unpacked + length, room, &written);
            CHECK(written <= room);
            length += written;
        } while (result == CRE_HTTP_DECOMPRESS_FULL);
        if (result == CRE_HTTP_DECOMPRESS_MORE) CHECK(cursor == end);
        at += piece;
    }
    if (result >= 0) result = cre_http_decompressor_finish(decompressor);
    cre_http_decompressor_destroy(decompressor);
    return result ? result : (long)length;
}

#ifdef CRE_HAVE_DEFLATE
/* Compresses; `bits` are zlib's windowBits. */
static size_t pack(const void *data, size_t length, int bits, uint8_t *out) {
    z_stream stream = { 0 };
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)length;
    stream.next_out = out;
    stream.avail_out = ROOM;
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    size_t size = stream.total_out;
    deflateEnd(&stream);
    return size;
}

TEST(codings_of_zlib) {
    static char text[100000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * i >> 7);
    static const struct {
        const char *coding;
        int bits;
    } cases[] = { { "gzip", 31 }, { "X-GZip", 31 }, { "deflate", 15 }, { "deflate", -15 }, { "DEFLATE", 9 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t length = 0; length <= sizeof text; length = length ? length * 20 : 5) {
            size_t size = pack(text, length, cases[i].bits, packed);
            for (size_t step = 1; step < 100000; step *= 37) {
                CHECK_EQ(unpack(cases[i].coding, packed, size, step, 1000), (long)length);
                CHECK_MEM(unpacked, text, length);
            }
        }
    }
    CHECK_EQ(unpack("gzip", packed, 0, 1, 1), 0);
}

TEST(several_streams_of_gzip) {
    size_t size = pack("hello ", 6, 31, packed);
    size += pack("world", 5, 31, packed + size);
    for (size_t step = 1; step <= size; step++) {
        CHECK_EQ(unpack("gzip", packed, size, step, 3), 11);
        CHECK_MEM(unpacked, "hello world", 11);
    }
}

TEST(invalid_input) {
    cre_http_decompressor *none;
    CHECK_EQ(cre_http_decompressor_create("lzma", 4, &none), CRE_EHTTP_UNKNOWN_CODING);
    CHECK_EQ(cre_http_decompressor_create("", 0, &none), CRE_EHTTP_UNKNOWN_CODING);
    CHECK_EQ(unpack("gzip", (const uint8_t *)"hello hello hello", 17, 17, 100), CRE_EHTTP_COMPRESSED);
    size_t size = pack("hello hello", 11, 31, packed);
    for (size_t cut = 1; cut < size; cut++)
        CHECK_EQ(unpack("gzip", packed, cut, 7, 100), CRE_EHTTP_COMPRESSED);
    packed[size - 5] ^= 1; /* of the checksum */
    CHECK_EQ(unpack("gzip", packed, size, size, 100), CRE_EHTTP_COMPRESSED);
    size = pack("hello hello", 11, 15, packed);
    packed[size] = 'x';
    CHECK_EQ(unpack("deflate", packed, size + 1, size + 1, 100), CRE_EHTTP_COMPRESSED);
}

TEST(no_memory) {
    size_t size = pack("hello hello", 11, 31, packed);
    for (int fails = 1; fails <= 3; fails++) {
        atomic_store(&test_fail_at, fails);
        CHECK_EQ(unpack("gzip", packed, size, size, 100), CRE_ENOMEM);
        atomic_store(&test_fail_at, 0);
    }
}
#else
TEST(without_zlib) {
    cre_http_decompressor *none;
    CHECK_EQ(cre_http_decompressor_create("gzip", 4, &none), CRE_EUNSUPPORTED);
    cre_http_decompressor_destroy(NULL);
}
#endif

/* ---- the other codings, against the encoders ---- */

static size_t encode(int coding, const void *data, size_t length, uint8_t *out) {
    cre_http_encoders *encoders;
    cre_http_encoder *encoder;
    const uint8_t *cursor = data;
    size_t size;
    REQUIRE(cre_http_encoders_create(NULL, &encoders) == 0);
    REQUIRE(cre_http_encoder_open(encoders, coding, &encoder) == 0);
    REQUIRE(cre_http_encode(encoder, &cursor, cursor + length, CRE_HTTP_ENCODE_END, out, ROOM, &size) == 0);
    cre_http_encoder_close(encoder);
    cre_http_encoders_destroy(encoders);
    return size;
}

static const struct {
    const char *name;
    int coding;
} others[] = { { "br", CRE_HTTP_BROTLI }, { "ZStd", CRE_HTTP_ZSTD } };

#define EACH_OTHER(i)                                           \
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) \
        if (cre_http_coding_supported(others[i].coding))

TEST(other_codings) {
    static char text[100000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * i >> 7);
    EACH_OTHER(i) {
        for (size_t length = 0; length <= sizeof text; length = length ? length * 20 : 5) {
            size_t size = encode(others[i].coding, text, length, packed);
            for (size_t step = 1; step < 100000; step *= 37) {
                CHECK_EQ(unpack(others[i].name, packed, size, step, 1000), (long)length);
                CHECK_MEM(unpacked, text, length);
            }
        }
        CHECK_EQ(unpack(others[i].name, packed, 0, 1, 1), 0);
    }
}

/* Cut at every byte, with room for one byte and for all. */
TEST(other_codings_cut_or_corrupt) {
    EACH_OTHER(i) {
        const char *name = others[i].name;
        size_t size = encode(others[i].coding, "hello hello hello", 17, packed);
        for (size_t step = 1; step <= size; step++) {
            for (size_t room = 1; room <= 100; room += 99) {
                CHECK_EQ(unpack(name, packed, size, step, room), 17);
                CHECK_MEM(unpacked, "hello hello hello", 17);
            }
        }
        for (size_t cut = 1; cut < size; cut++)
            CHECK_EQ(unpack(name, packed, cut, 7, 100), CRE_EHTTP_COMPRESSED);
        packed[size] = 'x';
        CHECK_EQ(unpack(name, packed, size + 1, size + 1, 100), CRE_EHTTP_COMPRESSED);
        CHECK_EQ(unpack(name, packed, size + 1, 1, 100), CRE_EHTTP_COMPRESSED);
        CHECK_EQ(unpack(name, (const uint8_t *)"\xff\xff\xff\xff\xff\xff", 6, 6, 100), CRE_EHTTP_COMPRESSED);
    }
}

#ifdef CRE_HAVE_ZSTD
TEST(several_frames_of_zstd) {
    size_t size = encode(CRE_HTTP_ZSTD, "hello ", 6, packed);
    size += encode(CRE_HTTP_ZSTD, "world", 5, packed + size);
    for (size_t step = 1; step <= size; step++) {
        CHECK_EQ(unpack("zstd", packed, size, step, 3), 11);
        CHECK_MEM(unpacked, "hello world", 11);
    }
}

/* The header of a frame with a window of 16 MiB. */
TEST(a_window_that_is_too_large) {
    static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 0x01, 0x00, 0x00 };
    CHECK_EQ(unpack("zstd", frame, sizeof frame, sizeof frame, 100), CRE_EHTTP_COMPRESSED);
    static const uint8_t small[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x01, 0x00, 0x00 };
    CHECK_EQ(unpack("zstd", small, sizeof small, sizeof small, 100), 0);
}

/* The library would read these: the formats of Zstandard 0.5, 0.6 and 0.7. */
TEST(formats_of_zstd_before_the_standard) {
    for (uint8_t first = 0x25; first <= 0x27; first++) {
        const uint8_t frame[] = { first, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0x00, 0x00, 0x00 };
        for (size_t step = 1; step <= sizeof frame; step++)
            CHECK_EQ(unpack("zstd", frame, sizeof frame, step, 100), CRE_EHTTP_COMPRESSED);
    }
}

/* A frame that says 200 bytes and has none. */
TEST(a_frame_of_zstd_that_is_shorter_than_it_says) {
    static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0xc8, 0x01, 0x00, 0x00 };
    for (size_t step = 1; step <= sizeof frame; step++)
        for (size_t room = 1; room <= 256; room += 255)
            CHECK_EQ(unpack("zstd", frame, sizeof frame, step, room), CRE_EHTTP_COMPRESSED);
}

/* Each length that the size of the content may have, and a checksum. */
TEST(headers_of_zstd) {
    static const struct {
        size_t length;
        uint8_t bytes[24];
    } frames[] = {
        { 12, { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x19, 0, 0, 'a', 'b', 'c' } },
        { 12, { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x19, 0, 0, 'a', 'b', 'c' } },
        { 16, { 0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x58, 3, 0, 0, 0, 0x19, 0, 0, 'a', 'b', 'c' } },
        { 15, { 0x28, 0xb5, 0x2f, 0xfd, 0xa0, 3, 0, 0, 0, 0x19, 0, 0, 'a', 'b', 'c' } },
        { 19, { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 3, 0, 0, 0, 0, 0, 0, 0, 0x19, 0, 0, 'a', 'b', 'c' } },
    };
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
        for (size_t step = 1; step <= frames[i].length; step++) {
            CHECK_EQ(unpack("zstd", frames[i].bytes, frames[i].length, step, 2), 3);
            CHECK_MEM(unpacked, "abc", 3);
        }
}

/* A frame to be skipped, before and after one with content. Every strict beginning is incomplete. */
TEST(skipped_frames_of_zstd) {
    static const uint8_t skipped[] = { 0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z' };
    memcpy(packed, skipped, sizeof skipped);
    size_t size = sizeof skipped + encode(CRE_HTTP_ZSTD, "hello", 5, packed + sizeof skipped);
    for (size_t end = 1; end < size; end++)
        if (end != sizeof skipped) CHECK_EQ(unpack("zstd", packed, end, 1, 100), CRE_EHTTP_COMPRESSED);
    memcpy(packed + size, skipped, sizeof skipped);
    size += sizeof skipped;
    for (size_t step = 1; step <= size; step++) {
        CHECK_EQ(unpack("zstd", packed, size, step, 3), 5);
        CHECK_MEM(unpacked, "hello", 5);
    }
}
#else
TEST(without_zstd) {
    cre_http_decompressor *none;
    CHECK_EQ(cre_http_decompressor_create("zstd", 4, &none), CRE_EUNSUPPORTED);
}
#endif

#ifdef CRE_HAVE_BROTLI
TEST(no_memory_for_brotli) {
    static char text[10000];
    size_t size = encode(CRE_HTTP_BROTLI, text, sizeof text, packed);
    long result = CRE_ENOMEM;
    int fails = 1;
    for (; result == CRE_ENOMEM && fails < 100; fails++) {
        atomic_store(&test_fail_at, fails);
        result = unpack("br", packed, size, size, ROOM);
        atomic_store(&test_fail_at, 0);
    }
    CHECK_EQ(result, sizeof text);
    CHECK(fails > 4);
}
#else
TEST(without_brotli) {
    cre_http_decompressor *none;
    CHECK_EQ(cre_http_decompressor_create("br", 2, &none), CRE_EUNSUPPORTED);
}
#endif

TEST_MAIN()
