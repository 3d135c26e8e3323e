#include <creactor/error.h>
#include <creactor/http.h>

#include "test.h"

static guard_page guard;
static char decoded[70000];
static size_t decoded_length, left_over;
static uint64_t limit;

/* Feeds the input in pieces that end at `cut` and then every `step` bytes; the text of the runs is in
 * `decoded`. */
static int feed(const char *text, size_t size, size_t cut, size_t step) {
    cre_http_chunked decoder;
    cre_http_chunked_init(&decoder);
    if (limit) cre_http_chunked_set_limit(&decoder, limit);
    decoded_length = 0;
    size_t at = 0, piece = cut ? cut : step;
    int result = CRE_HTTP_CHUNKED_MORE;
    while (at < size) {
        if (piece > size - at) piece = size - at;
        const uint8_t *cursor = guard_place(&guard, text + at, piece), *end = cursor + piece, *data;
        size_t length;
        while ((result = cre_http_chunked_next(&decoder, &cursor, end, &data, &length)) ==
               CRE_HTTP_CHUNKED_DATA) {
            REQUIRE(length > 0 && decoded_length + length <= sizeof decoded);
            memcpy(decoded + decoded_length, data, length);
            decoded_length += length;
        }
        at += piece;
        if (result < 0) return result;
        if (result == CRE_HTTP_CHUNKED_END) {
            left_over = size - at + (size_t)(end - cursor);
            const uint8_t *again = cursor;
            CHECK_EQ(cre_http_chunked_next(&decoder, &cursor, end, &data, &length), CRE_HTTP_CHUNKED_END);
            CHECK(cursor == again);
            return result;
        }
        CHECK(cursor == end);
        piece = step;
    }
    return result;
}

static void check(const char *text, size_t size, int expected, const char *body, size_t rest) {
    for (size_t cut = 0; cut <= size; cut++) {
        for (int bytes = 0; bytes < (cut ? 1 : 2); bytes++) {
            const int result = feed(text, size, cut, bytes ? 1 : size ? size : 1);
            if (result != expected)
                TEST_FAIL("%d instead of %d, cut at %zu: %s", result, expected, cut, text);
            if (result < 0) continue;
            CHECK_EQ(decoded_length, strlen(body));
            CHECK_MEM(decoded, body, strlen(body));
            if (result == CRE_HTTP_CHUNKED_END) CHECK_EQ(left_over, rest);
        }
    }
}

#define BODY(text, body, rest) check(text, sizeof(text) - 1, CRE_HTTP_CHUNKED_END, body, rest)
#define PART(text, body)       check(text, sizeof(text) - 1, CRE_HTTP_CHUNKED_MORE, body, 0)
#define BAD(text, error)       check(text, sizeof(text) - 1, error, "", 0)

TEST(chunks) {
    BODY("0\r\n\r\n", "", 0);
    BODY("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
    BODY("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\nGET /", "hello world", 5);
    BODY("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", 0);
    BODY("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", 0);
    BODY("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0);
    BODY("1;a=b;c=\"d e\"\r\nx\r\n0;q\r\n\r\n", "x", 0);
    BODY("1 \t;a\r\nx\r\n0\r\n\r\n", "x", 0);
    BODY("0\r\nA: b\r\nTrailer-Two:\tc\xc3\xa4 \r\n\r\nrest", "", 4);
    PART("", "");
    PART("5\r\nhel", "hel");
    PART("5\r\nhello\r\n0\r\n", "hello");
    PART("7fffffffffffffff\r\nx", "x");
}

TEST(malformed_chunks) {
    BAD("\r\n", CRE_EHTTP_CHUNK);
    BAD(" 5\r\nhello\r\n", CRE_EHTTP_CHUNK);
    BAD("x\r\n", CRE_EHTTP_CHUNK);
    BAD("0x5\r\nhello\r\n", CRE_EHTTP_CHUNK);
    BAD("-1\r\n", CRE_EHTTP_CHUNK);
    BAD("+1\r\n", CRE_EHTTP_CHUNK);
    BAD(";a\r\n", CRE_EHTTP_CHUNK);
    BAD("0\n\r\n", CRE_EHTTP_CHUNK);
    BAD("0\r\r\n", CRE_EHTTP_CHUNK);
    BAD("1 \r\nx\r\n", CRE_EHTTP_CHUNK);
    BAD("1 2\r\nx\r\n", CRE_EHTTP_CHUNK);
    BAD("1;a\nb\r\nx\r\n", CRE_EHTTP_CHUNK);
    BAD("1;\0\r\nx\r\n", CRE_EHTTP_CHUNK);
    BAD("8000000000000000", CRE_EHTTP_BODY_TOO_LARGE);
    BAD("10000000000000000", CRE_EHTTP_BODY_TOO_LARGE);
    BAD("0000000000000000F", CRE_EHTTP_CHUNK);
    BAD("00000000000000001\r\nx\r\n", CRE_EHTTP_CHUNK);
    BAD("0\r\n a: b\r\n\r\n", CRE_EHTTP_TRAILER);
    BAD("0\r\na\r\n\r\n", CRE_EHTTP_TRAILER);
    BAD("0\r\na : b\r\n\r\n", CRE_EHTTP_TRAILER);
    BAD("0\r\na: b\nc: d\r\n\r\n", CRE_EHTTP_TRAILER);
    BAD("0\r\na: \x01\r\n\r\n", CRE_EHTTP_TRAILER);
    BAD("0\r\n\rx", CRE_EHTTP_TRAILER);
    /* after data that was given out */
    CHECK_EQ(feed("2\r\nabc\r\n", 8, 0, 8), CRE_EHTTP_CHUNK);
    CHECK_EQ(feed("2\r\nab\n\n", 7, 0, 7), CRE_EHTTP_CHUNK);
    CHECK_EQ(feed("2\r\nab\r\r", 7, 0, 7), CRE_EHTTP_CHUNK);
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_CHUNK), 400);
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_TRAILER), 400);
}

TEST(a_chunk_beyond_the_limit_is_rejected_by_its_size) {
    limit = 10;
    BODY("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0);
    BODY("000a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0);
    BODY("4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n", "0123456789", 0);
    /* by the digit with which the size exceeds the limit, not by the end of the line or the data */
    BAD("b", CRE_EHTTP_BODY_TOO_LARGE);
    BAD("0010", CRE_EHTTP_BODY_TOO_LARGE);
    PART("a", "");
    limit = 6;
    CHECK_EQ(feed("4\r\n0123\r\n3", 10, 0, 10), CRE_EHTTP_BODY_TOO_LARGE);
    CHECK_EQ(feed("6\r\n012345\r\n1", 12, 0, 1), CRE_EHTTP_BODY_TOO_LARGE);
    CHECK_EQ(decoded_length, 6);
    limit = UINT64_MAX; /* no more than without a limit */
    BAD("8000000000000000", CRE_EHTTP_BODY_TOO_LARGE);
    limit = 0;
    CHECK_EQ(feed("7ffffffffffffffe\r\n0123", 22, 0, 22), CRE_HTTP_CHUNKED_MORE);
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_BODY_TOO_LARGE), 413);
}

TEST(overhead_is_bounded) {
    static char text[80000];
    /* one extension, many extensions, many trailers */
    memset(text, 'a', sizeof text);
    memcpy(text, "1;", 2);
    CHECK_EQ(feed(text, sizeof text, 0, 1000), CRE_EHTTP_OVERHEAD);
    for (size_t i = 0; i + 8 <= sizeof text; i += 8)
        memcpy(text + i, "1;a\r\nx\r\n", 8);
    CHECK_EQ(feed(text, sizeof text, 0, 1000), CRE_EHTTP_OVERHEAD);
    memcpy(text, "0\r\n", 3);
    for (size_t i = 3; i + 5 <= sizeof text; i += 5)
        memcpy(text + i, "a:b\r\n", 5);
    CHECK_EQ(feed(text, sizeof text, 0, 1000), CRE_EHTTP_OVERHEAD);
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_OVERHEAD), 413);
    /* chunks without extensions cost nothing, however many there are */
    for (size_t i = 0; i + 6 <= sizeof text; i += 6)
        memcpy(text + i, "1\r\nx\r\n", 6);
    CHECK_EQ(feed(text, sizeof text / 6 * 6, 0, 1000), CRE_HTTP_CHUNKED_MORE);
    CHECK_EQ(decoded_length, sizeof text / 6);
}

/* Reported trailers, cut at every byte. */
TEST(reported_trailers) {
    static const char text[] = "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nrest", lines[] = "A: b\r\nC:\r\n";
    for (size_t step = 1; step < sizeof text; step++) {
        cre_http_chunked decoder;
        char trailers[64] = "";
        size_t at = 0, length;
        int result = CRE_HTTP_CHUNKED_MORE;
        cre_http_chunked_init(&decoder);
        cre_http_chunked_report_trailers(&decoder);
        while (result != CRE_HTTP_CHUNKED_END) {
            size_t piece = sizeof text - 1 - at < step ? sizeof text - 1 - at : step;
            const uint8_t *cursor = guard_place(&guard, text + at, piece), *begin = cursor, *data;
            while ((result = cre_http_chunked_next(&decoder, &cursor, begin + piece, &data, &length)) > 0 &&
                   result != CRE_HTTP_CHUNKED_END) {
                REQUIRE(length > 0 && data + length <= begin + piece);
                if (result == CRE_HTTP_CHUNKED_TRAILER) strncat(trailers, (const char *)data, length);
            }
            REQUIRE(result >= 0);
            at += (size_t)(cursor - begin);
        }
        CHECK_EQ(at, sizeof text - 5);
        CHECK_STR(trailers, lines);
    }
    static char many[80000];
    memcpy(many, "0\r\n", 3);
    for (size_t i = 3; i + 5 <= sizeof many; i += 5)
        memcpy(many + i, "a:b\r\n", 5);
    cre_http_chunked decoder;
    cre_http_chunked_init(&decoder);
    cre_http_chunked_report_trailers(&decoder);
    const uint8_t *cursor = (const uint8_t *)many, *data;
    size_t length;
    CHECK_EQ(cre_http_chunked_next(&decoder, &cursor, cursor + sizeof many, &data, &length),
             CRE_EHTTP_OVERHEAD);
}

TEST(chunk_heads) {
    char out[CRE_HTTP_CHUNK_HEAD_MAX];
    CHECK_EQ(cre_http_chunk_head(out, 1), 3);
    CHECK_MEM(out, "1\r\n", 3);
    CHECK_EQ(cre_http_chunk_head(out, 0x1a0), 5);
    CHECK_MEM(out, "1a0\r\n", 5);
    CHECK_EQ(cre_http_chunk_head(out, UINT64_MAX), 18);
    CHECK_MEM(out, "ffffffffffffffff\r\n", 18);
    CHECK_EQ(cre_http_chunk_head(out, UINT64_C(1) << 60), 18);
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(70000);
}

TEST_MAIN()
