/* The reader of responses: framing, splits at every byte, limits, and what must be refused. */
#include <creactor/error.h>
#include <creactor/http_reader.h>

#include "test.h"

static guard_page guard;
static char log_text[8192];
static size_t left_over;
static bool keep_alive;
static const cre_http_limits *limits;

static void note(const char *text, size_t length) {
    size_t used = strlen(log_text);
    REQUIRE(used + length < sizeof log_text);
    memcpy(log_text + used, text, length);
    log_text[used + length] = 0;
}

static void note_number(unsigned value, const char *after) {
    char text[32];
    note(text, (size_t)snprintf(text, sizeof text, "%u%s", value, after));
}

static void note_head(const cre_http_reader_event *event) {
    note_number(event->head->status, "");
    static const char name[] = "x";
    const cre_http_field *field =
        cre_http_find(event->head, event->fields, event->head_bytes, name, sizeof name - 1);
    if (field) {
        note(" x=", 3);
        note((const char *)event->head_bytes + field->value, field->value_length);
    }
    note("|", 1);
}

/* Feeds the input in pieces that end at `cut` and then every `step` bytes; what was read is in log_text. */
static int feed(cre_http_reader *reader, const char *text, size_t size, size_t cut, size_t step) {
    size_t at = 0, piece = cut ? cut : step;
    int result = CRE_HTTP_READER_MORE;
    log_text[0] = 0;
    left_over = 0;
    do {
        if (piece > size - at) piece = size - at;
        const uint8_t *cursor = guard_place(&guard, text + at, piece), *end = cursor + piece;
        cre_http_reader_event event;
        while ((result = cre_http_reader_next(reader, &cursor, end, &event)) > 0) {
            if (result == CRE_HTTP_READER_INTERIM) note("interim ", 8);
            if (result == CRE_HTTP_READER_INTERIM || result == CRE_HTTP_READER_HEAD) note_head(&event);
            if (result == CRE_HTTP_READER_DATA) {
                REQUIRE(event.length > 0 && event.data + event.length <= end);
                note((const char *)event.data, event.length);
            }
            if (result == CRE_HTTP_READER_TRAILERS) {
                note("|", 1);
                for (size_t i = 0; i < event.field_count; i++) {
                    note((const char *)event.head_bytes + event.fields[i].name, event.fields[i].name_length);
                    note("=", 1);
                    note((const char *)event.head_bytes + event.fields[i].value,
                         event.fields[i].value_length);
                    note(";", 1);
                }
            }
            if (result == CRE_HTTP_READER_END) {
                left_over = size - at - piece + (size_t)(end - cursor);
                return result;
            }
        }
        if (result < 0) return result;
        CHECK(cursor == end);
        at += piece;
        piece = step;
    } while (at < size);
    return result;
}

/* Cut at every byte, and byte by byte. `finished`: the end of the input follows. */
static void check(int method, const char *text, size_t size, int expected, const char *read, bool finished) {
    for (size_t cut = 0; cut <= size; cut++) {
        for (size_t step = 1; step <= size; step += size > 1 ? size - 1 : 1) {
            cre_http_reader reader;
            cre_http_reader_init(&reader, limits);
            cre_http_reader_expect(&reader, method);
            int result = feed(&reader, text, size, cut, step);
            if (finished && result == CRE_HTTP_READER_MORE) result = cre_http_reader_finish(&reader);
            if (result != expected)
                TEST_FAIL("%d instead of %d, cut at %zu, steps of %zu: %s", result, expected, cut, step,
                          text);
            if (result >= 0) CHECK_STR(log_text, read);
            keep_alive = cre_http_reader_keep_alive(&reader);
            cre_http_reader_deinit(&reader);
        }
    }
}

#define WHOLE(method, text, read)  check(method, text, sizeof(text) - 1, CRE_HTTP_READER_END, read, false)
#define CLOSED(method, text, read) check(method, text, sizeof(text) - 1, CRE_HTTP_READER_END, read, true)
#define PART(method, text, read)   check(method, text, sizeof(text) - 1, CRE_HTTP_READER_MORE, read, false)
#define CUT(text)                  check(CRE_HTTP_GET, text, sizeof(text) - 1, CRE_EGONE, "", true)
#define REFUSED(text, error)       check(CRE_HTTP_GET, text, sizeof(text) - 1, error, "", true)

TEST(a_body_with_a_length) {
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello", "200 x=y|hello");
    CHECK(keep_alive);
    CHECK_EQ(left_over, 0);
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", "404|");
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 200\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "200|ok");
    CHECK(!keep_alive);
    WHOLE(CRE_HTTP_GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "200|ok");
    CHECK(!keep_alive);
    WHOLE(CRE_HTTP_GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", "200|ok");
    CHECK(keep_alive);
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1", "200|ok");
    CHECK_EQ(left_over, 8);
    PART(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel", "200|hel");
}

TEST(a_chunked_body) {
    WHOLE(
        CRE_HTTP_GET,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
        "200|hello!|A=b;");
    CHECK(keep_alive);
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore", "200|");
    CHECK_EQ(left_over, 4);
    PART(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "200|ok");
}

TEST(trailers) {
    WHOLE(CRE_HTTP_GET,
          "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
          "Digest: sha=:\r\nEmpty:\r\nContent-Length:\t 7 \t\r\n\r\nHTTP",
          "200 x=y|ok|Digest=sha=:;Empty=;Content-Length=7;");
    CHECK_EQ(left_over, 4);
    CHECK(keep_alive);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n a: b\r\n\r\n", CRE_EHTTP_TRAILER);
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n");
    static const cre_http_limits two = { .max_fields = 2 };
    limits = &two;
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:b\r\nC:d\r\n\r\n",
          "200||A=b;C=d;");
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:b\r\nC:d\r\nE:f\r\n\r\n",
            CRE_EHTTP_TOO_MANY_FIELDS);
    limits = NULL;
}

TEST(a_body_until_the_end_of_the_connection) {
    CLOSED(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\n\r\nhello", "200|hello");
    CHECK(!keep_alive);
    CLOSED(CRE_HTTP_POST, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "200|");
    CHECK(!keep_alive);
    PART(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\n\r\nhello", "200|hello");
}

TEST(responses_without_a_body) {
    WHOLE(CRE_HTTP_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200|");
    CHECK(keep_alive);
    WHOLE(CRE_HTTP_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "200|");
    WHOLE(CRE_HTTP_HEAD, "HTTP/1.1 200 OK\r\n\r\n", "200|");
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 204 No Content\r\n\r\n", "204|");
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", "304|");
    WHOLE(CRE_HTTP_CONNECT, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes", "200|");
    CHECK(!keep_alive);
    CHECK_EQ(left_over, 5);
    WHOLE(CRE_HTTP_CONNECT, "HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno", "407|no");
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 5\r\n\r\nbytes", "101|");
    CHECK(!keep_alive);
    CHECK_EQ(left_over, 5);
}

TEST(interim_responses) {
    WHOLE(CRE_HTTP_GET,
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: 1\r\nContent-Length: 7\r\n\r\n"
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
          "interim 100|interim 103 x=1|200|ok");
    CUT("HTTP/1.1 100 Continue\r\n\r\n");
    static char many[64 * 32];
    for (int count = 32; count <= 33; count++) {
        many[0] = 0;
        for (int i = 0; i < count; i++)
            strcat(many, "HTTP/1.1 102 x\r\n\r\n");
        cre_http_reader reader;
        cre_http_reader_init(&reader, NULL);
        cre_http_reader_expect(&reader, CRE_HTTP_GET);
        CHECK_EQ(feed(&reader, many, strlen(many), 0, strlen(many)), count == 32 ? 0 : CRE_ELIMIT);
        cre_http_reader_deinit(&reader);
    }
}

TEST(several_responses_on_one_connection) {
    cre_http_reader reader;
    cre_http_reader_init(&reader, NULL);
    static const char one[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    CHECK_EQ(feed(&reader, one, sizeof one - 1, 0, 1), CRE_ESTATE);
    CHECK_EQ(cre_http_reader_finish(&reader), CRE_ESTATE);
    for (size_t step = 1; step < sizeof one; step++) {
        cre_http_reader_expect(&reader, CRE_HTTP_GET);
        CHECK_EQ(feed(&reader, one, sizeof one - 1, 0, step), CRE_HTTP_READER_END);
        CHECK_STR(log_text, "200|ok");
        CHECK_EQ(feed(&reader, "", 0, 0, 1), CRE_HTTP_READER_MORE);
    }
    CHECK_EQ(feed(&reader, one, sizeof one - 1, 0, 1), CRE_ESTATE);
    cre_http_reader_deinit(&reader);
}

TEST(responses_that_are_cut_off) {
    CUT("H");
    CUT("HTTP/1.1 200 OK\r\n\r");
    CUT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    CUT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n");
}

/* Two parties that disagree about the end of a response let one response pass for another. */
TEST(responses_with_two_readings) {
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            CRE_EHTTP_CONTENT_LENGTH);
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", CRE_EHTTP_CONTENT_LENGTH);
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", CRE_EHTTP_CONTENT_LENGTH);
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH);
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH);
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            CRE_EHTTP_LENGTH_AND_CODING);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            CRE_EHTTP_LENGTH_AND_CODING);
    REFUSED("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", CRE_EHTTP_UNKNOWN_CODING);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING);
    REFUSED("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", CRE_EHTTP_BAD_FIELD);
    REFUSED("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", CRE_EHTTP_FOLDED);
    REFUSED("HTTP/1.1 200 OK\nContent-Length: 0\n\n", CRE_EHTTP_LINE_END);
    REFUSED("HTTP/1.1 200 OK\r\nX: a\rContent-Length: 0\r\n\r\n", CRE_EHTTP_LINE_END);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", CRE_EHTTP_CHUNK);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello", CRE_EHTTP_CHUNK);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", CRE_EHTTP_CHUNK);
    REFUSED("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            CRE_EHTTP_BODY_TOO_LARGE);
}

TEST(input_that_is_no_response) {
    REFUSED("HTTP/2.0 200 OK\r\n\r\n", CRE_EHTTP_BAD_VERSION);
    REFUSED("SSH-2.0-server\r\n", CRE_EHTTP_BAD_LINE);
    REFUSED("\x16\x03\x01\x02", CRE_EHTTP_BAD_LINE);
    REFUSED("HTTP/1.1 20 OK\r\n\r\n", CRE_EHTTP_BAD_LINE);
    REFUSED("HTTP/1.1 099 OK\r\n\r\n", CRE_EHTTP_BAD_LINE);
    REFUSED("\r\nHTTP/1.1 200 OK\r\n\r\n", CRE_EHTTP_BAD_LINE);
    REFUSED("GET / HTTP/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE);
}

TEST(limits_of_heads) {
    static const cre_http_limits small = { .max_head = 80, .max_line = 30, .max_fields = 2 };
    limits = &small;
    WHOLE(CRE_HTTP_GET, "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\n\r\nok", "200 x=1|ok");
    REFUSED("HTTP/1.1 200 OK OK OK OK OK OK\r\n", CRE_EHTTP_LINE_TOO_LONG);
    REFUSED("HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", CRE_EHTTP_TOO_MANY_FIELDS);
    REFUSED(
        "HTTP/1.1 200 OK\r\nA: 12345678901234567890123456789012345678901234567890123456789012345678\r\n\r\n",
        CRE_EHTTP_HEAD_TOO_LARGE);
    limits = NULL;
}

/* The largest head, in pieces that carry as much of the body as fits. */
TEST(a_large_head_in_pieces) {
    static char text[70000];
    char *at = text + sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n");
    for (int i = 0; i < 60; i++) {
        at += sprintf(at, "A%d: ", i);
        memset(at, 'a', 1000);
        memcpy(at + 1000, "\r\n", 2);
        at += 1002;
    }
    at += sprintf(at, "\r\nok");
    for (size_t step = 1000; step < 65000; step += 7919) {
        cre_http_reader reader;
        cre_http_reader_init(&reader, NULL);
        for (int round = 0; round < 2; round++) {
            cre_http_reader_expect(&reader, CRE_HTTP_GET);
            CHECK_EQ(feed(&reader, text, (size_t)(at - text), 0, step), CRE_HTTP_READER_END);
            CHECK_STR(log_text, "200 x=y|ok");
        }
        cre_http_reader_deinit(&reader);
    }
}

TEST(no_memory) {
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (int fails = 1; fails <= 2; fails++) {
        cre_http_reader reader;
        cre_http_reader_init(&reader, NULL);
        cre_http_reader_expect(&reader, CRE_HTTP_GET);
        atomic_store(&test_fail_at, fails);
        CHECK_EQ(feed(&reader, text, sizeof text - 1, 0, 10), CRE_ENOMEM);
        atomic_store(&test_fail_at, 0);
        cre_http_reader_deinit(&reader);
    }
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(70000);
}

TEST_MAIN()
