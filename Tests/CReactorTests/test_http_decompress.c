/* Decompression of bodies. */
#include <creactor/error.h>
#include <creactor/http_decompress.h>

#include "test.h"

#ifdef CRE_HAVE_DEFLATE
#include <zlib.h>

enum { ROOM = 300000 };
static uint8_t packed[ROOM], unpacked[ROOM];

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

TEST(codings) {
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
    CHECK_EQ(cre_http_decompressor_create("br", 2, &none), CRE_EHTTP_UNKNOWN_CODING);
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
    for (int fails = 1; fails <= 2; fails++) {
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

TEST_MAIN()
