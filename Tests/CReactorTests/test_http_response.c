#include <creactor/http.h>

#include "test.h"

static cre_http_head head;
static cre_http_field fields[100];
static guard_page guard;

static int parse(const char *text, size_t size, size_t already, int method) {
    const uint8_t *at = guard_place(&guard, text, size);
    return cre_http_parse_response(at, size, already, NULL, method, &head, fields);
}

static int outcome(const char *text, int method) {
    const size_t size = strlen(text);
    const int whole = parse(text, size, 0, method);
    for (size_t cut = 0; cut < size; cut++) {
        int first = parse(text, cut, 0, method);
        if (first == 0) first = parse(text, size, cut, method);
        if (first != whole) TEST_FAIL("%d instead of %d when cut at %zu: %.60s", first, whole, cut, text);
    }
    int slow = 0;
    for (size_t length = 1; length <= size && slow == 0; length++)
        slow = parse(text, length, length - 1, method);
    CHECK_EQ(slow, whole);
    parse(text, size, 0, method);
    return whole;
}

static void good(const char *text, int method, int status, int flags) {
    CHECK_EQ(outcome(text, method), strlen(text));
    CHECK_EQ(head.status, status);
    if (head.flags != flags) TEST_FAIL("flags %x, expected %x: %s", head.flags, (unsigned)flags, text);
}

TEST(status_lines) {
    static const char text[] = "HTTP/1.1 404 Not\tFound \xc3\xa4\r\nContent-Length: 0\r\n\r\n";
    good(text, CRE_HTTP_GET, 404, CRE_HTTP_KEEP_ALIVE | CRE_HTTP_HAS_LENGTH);
    CHECK_EQ(head.target_length, 12);
    CHECK_MEM(text + head.target, "Not\tFound \xc3\xa4", 12);
    good("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", CRE_HTTP_GET, 200,
         CRE_HTTP_KEEP_ALIVE | CRE_HTTP_HAS_LENGTH);
    CHECK_EQ(head.target_length, 0);
    good("HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n", CRE_HTTP_GET, 999,
         CRE_HTTP_KEEP_ALIVE | CRE_HTTP_HAS_LENGTH);
    /* A later version of HTTP/1 is read as HTTP/1.1. */
    good("HTTP/1.3 200 OK\r\nContent-Length: 0\r\n\r\n", CRE_HTTP_GET, 200,
         CRE_HTTP_KEEP_ALIVE | CRE_HTTP_HAS_LENGTH);
    CHECK_EQ(head.minor, 1);
    CHECK_EQ(outcome("HTTP/1.1 2000 OK\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    CHECK_EQ(outcome("HTTP/1.1 20 OK\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    CHECK_EQ(outcome("HTTP/1.1 099 OK\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    CHECK_EQ(outcome("HTTP/1.1  200 OK\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    CHECK_EQ(outcome("HTTP/1.1\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    CHECK_EQ(outcome("HTTP/2.0 200 OK\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_VERSION);
    CHECK_EQ(outcome("http/1.1 200 OK\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    CHECK_EQ(outcome("HTTP/1.1 200 O\x01K\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    CHECK_EQ(outcome("HTTP/1.1 200 OK\n\n", CRE_HTTP_GET), CRE_EHTTP_LINE_END);
    CHECK_EQ(outcome("HTTP/1.1 200 OK\rX\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_LINE_END);
    CHECK_EQ(outcome("\r\nHTTP/1.1 200 OK\r\n\r\n", CRE_HTTP_GET), CRE_EHTTP_BAD_LINE);
    const cre_http_limits limits = { .max_line = 20 };
    const uint8_t *at = guard_place(&guard, "HTTP/1.1 200 abcdefghijkl\r\n\r\n", 29);
    CHECK_EQ(cre_http_parse_response(at, 29, 0, &limits, CRE_HTTP_GET, &head, fields),
             CRE_EHTTP_LINE_TOO_LONG);
}

#define OK "HTTP/1.1 200 OK\r\n"

TEST(bodies_of_responses) {
    const int keep = CRE_HTTP_KEEP_ALIVE, until = CRE_HTTP_UNTIL_CLOSE | CRE_HTTP_HAS_BODY;
    good(OK "\r\n", CRE_HTTP_GET, 200, until);
    good(OK "Content-Length: 3\r\n\r\n", CRE_HTTP_GET, 200, keep | CRE_HTTP_HAS_LENGTH | CRE_HTTP_HAS_BODY);
    good(OK "Content-Length: 3\r\n\r\n", CRE_HTTP_HEAD, 200, keep | CRE_HTTP_HAS_LENGTH);
    good(OK "Transfer-Encoding: chunked\r\n\r\n", CRE_HTTP_GET, 200,
         keep | CRE_HTTP_CHUNKED | CRE_HTTP_HAS_BODY);
    good(OK "\r\n", CRE_HTTP_CONNECT, 200, keep);
    good("HTTP/1.1 204 No Content\r\n\r\n", CRE_HTTP_GET, 204, keep);
    good("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", CRE_HTTP_GET, 304,
         keep | CRE_HTTP_HAS_LENGTH);
    good("HTTP/1.1 100 Continue\r\n\r\n", CRE_HTTP_POST, 100, keep);
    good("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", CRE_HTTP_GET, 200, CRE_HTTP_HAS_LENGTH);
    good(OK "Host: a\r\nHost: b/\r\nExpect: x\r\nContent-Length: 0\r\n\r\n", CRE_HTTP_GET, 200,
         keep | CRE_HTTP_HAS_LENGTH);
    CHECK_EQ(outcome(OK "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", CRE_HTTP_GET),
             CRE_EHTTP_CONTENT_LENGTH);
    CHECK_EQ(outcome(OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", CRE_HTTP_GET),
             CRE_EHTTP_LENGTH_AND_CODING);
}

/* ---- writing ---- */

static void check_written(const char *expected, const cre_http_response *response) {
    char room[2000];
    const int size = cre_http_write_response(room, sizeof room, response);
    if (size < 0) {
        TEST_FAIL("%s", cre_error_name(size));
        return;
    }
    room[size] = 0;
    CHECK_STR(room, expected);
    /* any smaller room is too small, and nothing is written behind it */
    for (int capacity = 0; capacity < size; capacity++) {
        char *at = (char *)guard_place(&guard, room, (size_t)capacity);
        CHECK_EQ(cre_http_write_response(at, (size_t)capacity, response), CRE_ELIMIT);
    }
    char *at = (char *)guard_place(&guard, room, (size_t)size);
    CHECK_EQ(cre_http_write_response(at, (size_t)size, response), size);
}

#define FIELD(n, v) { n, v, sizeof(n) - 1, sizeof(v) - 1 }

TEST(responses_are_written) {
    static const cre_http_header list[] = { FIELD("Content-Type", "text/plain"), FIELD("X-Empty", ""),
                                            FIELD("content-length", "99"),
                                            FIELD("Transfer-Encoding", "chunked"),
                                            FIELD("CONNECTION", "close") };
    check_written("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Empty: \r\nServer: s\r\n"
                  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 18446744073709551615\r\n\r\n",
                  &(cre_http_response){ .status = 200,
                                        .minor = 1,
                                        .keep_alive = true,
                                        .has_length = true,
                                        .content_length = UINT64_MAX,
                                        .server = "s",
                                        .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                                        .fields = list,
                                        .field_count = 5 });
    check_written("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
                  &(cre_http_response){ .status = 404, .minor = 1, .chunked = true });
    check_written(
        "HTTP/1.1 299 Fine\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        &(cre_http_response){ .status = 299, .reason = "Fine", .keep_alive = true, .has_length = true });
    check_written("HTTP/1.1 204 No Content\r\n\r\n",
                  &(cre_http_response){ .status = 204, .minor = 1, .keep_alive = true, .has_length = true });
    check_written("HTTP/1.1 100 Continue\r\n\r\n",
                  &(cre_http_response){ .status = 100, .minor = 1, .keep_alive = true });
    static const cre_http_header own[] = { FIELD("Server", "mine"), FIELD("date", "now") };
    check_written("HTTP/1.1 200 OK\r\nServer: mine\r\ndate: now\r\n\r\n",
                  &(cre_http_response){ .status = 200,
                                        .minor = 1,
                                        .keep_alive = true,
                                        .server = "s",
                                        .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                                        .fields = own,
                                        .field_count = 2 });
}

TEST(injection_is_refused) {
    static const cre_http_header refused[] = {
        FIELD("", "a"),          FIELD("a b", "a"),  FIELD("a:", "a"),    FIELD("a\r\nb", "c"),
        FIELD("a", "b\r\nc: d"), FIELD("a", "b\nc"), FIELD("a", "b\rc"),  FIELD("a", "b\0c"),
        FIELD("a", " b"),        FIELD("a", "b\t"),  FIELD("a", "b\x7f"), FIELD("\xc3\xa4", "b"),
        FIELD("a", "\x1b["),
    };
    char room[200];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(!cre_http_header_valid(&refused[i]));
        const cre_http_response response = { .status = 200, .fields = &refused[i], .field_count = 1 };
        CHECK_EQ(cre_http_write_response(room, sizeof room, &response), CRE_EHTTP_INVALID_FIELD);
        const cre_http_request request = {
            .method = "GET", .target = "/", .host = "a", .fields = &refused[i], .field_count = 1
        };
        CHECK_EQ(cre_http_write_request(room, sizeof room, &request), CRE_EHTTP_INVALID_FIELD);
    }
    CHECK_EQ(cre_http_write_response(room, 200, &(cre_http_response){ .status = 200, .reason = "a\r\nb" }),
             CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_http_write_response(room, 200, &(cre_http_response){ .status = 200, .server = "a\nb" }),
             CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_http_write_response(room, 200, &(cre_http_response){ .status = 99 }), CRE_EINVALID);
    CHECK_EQ(cre_http_write_response(room, 200, &(cre_http_response){ .status = 1000 }), CRE_EINVALID);
    CHECK_EQ(cre_http_write_response(room, 200, &(cre_http_response){ .status = 200, .chunked = true }),
             CRE_EINVALID);
    CHECK_EQ(cre_http_write_response(
                 room, 200,
                 &(cre_http_response){ .status = 200, .minor = 1, .chunked = true, .has_length = true }),
             CRE_EINVALID);
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_INVALID_FIELD), 500);
    CHECK_EQ(cre_http_status_of(CRE_ENOMEM), 500);
}

TEST(requests_are_written_and_read) {
    static const cre_http_header list[] = { FIELD("Accept", "*/*"), FIELD("host", "other") };
    char room[200];
    const int size = cre_http_write_request(room, sizeof room,
                                            &(cre_http_request){ .method = "POST",
                                                                 .target = "/a?b",
                                                                 .host = "h:1",
                                                                 .has_length = true,
                                                                 .content_length = 3,
                                                                 .close = true,
                                                                 .fields = list,
                                                                 .field_count = 2 });
    REQUIRE(size > 0);
    room[size] = 0;
    CHECK_STR(
        room,
        "POST /a?b HTTP/1.1\r\nHost: h:1\r\nAccept: */*\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
    const uint8_t *at = guard_place(&guard, room, (size_t)size);
    CHECK_EQ(cre_http_parse_request(at, (size_t)size, 0, NULL, &head, fields), size);
    CHECK_EQ(head.content_length, 3);
    CHECK_EQ(cre_http_write_request(room, 200, &(cre_http_request){ "G T", "/", "h", .close = true }),
             CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(
        cre_http_write_request(room, 200, &(cre_http_request){ "GET", "/ HTTP/1.1", "h", .close = true }),
        CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_http_write_request(room, 200, &(cre_http_request){ "GET", "/", "h\r\nX: y", .close = true }),
             CRE_EHTTP_INVALID_FIELD);
}

/* RFC 9110 section 10.1.4: a sender of TE must name it in Connection. */
TEST(te_is_an_option_of_the_connection) {
    static const cre_http_header te = FIELD("te", "trailers");
    static const char *const expected[] = { "Connection: TE\r\n\r\n", "Connection: close, TE\r\n\r\n" };
    char room[200];
    for (int close = 0; close < 2; close++) {
        const cre_http_request request = {
            .method = "GET", .target = "/", .host = "a", .close = close, .fields = &te, .field_count = 1
        };
        const int size = cre_http_write_request(room, sizeof room, &request);
        REQUIRE(size > 0);
        room[size] = 0;
        const char *const start = "GET / HTTP/1.1\r\nHost: a\r\nte: trailers\r\n";
        CHECK(strncmp(room, start, strlen(start)) == 0);
        CHECK_STR(room + strlen(start), expected[close]);
    }
}

TEST(reasons) {
    CHECK_STR(cre_http_reason(200), "OK");
    CHECK_STR(cre_http_reason(431), "Request Header Fields Too Large");
    CHECK_STR(cre_http_reason(299), "Unknown");
}

static void check_date(int64_t seconds, const char *text) {
    char out[CRE_HTTP_DATE_LENGTH + 1] = { 0 };
    cre_http_date(out, seconds);
    CHECK_STR(out, text);
    CHECK_EQ(cre_http_date_parse(text, strlen(text)), seconds);
}

TEST(dates) {
    check_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    check_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    check_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    check_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
    check_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
    char out[CRE_HTTP_DATE_LENGTH + 1] = { 0 };
    cre_http_date(out, -5);
    CHECK_STR(out, "Thu, 01 Jan 1970 00:00:00 GMT");
    cre_http_date(out, INT64_MAX);
    CHECK_STR(out, "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK_EQ(cre_http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT", 30), 784111777);
    CHECK_EQ(cre_http_date_parse("Sun Nov  6 08:49:37 1994", 24), 784111777);
    CHECK_EQ(cre_http_date_parse("Thursday, 01-Jan-70 00:00:00 GMT", 32), 0);
    CHECK_EQ(cre_http_date_parse("Tuesday, 31-Dec-69 23:59:59 GMT", 31), 3155759999);
    static const char *const refused[] = {
        "",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Xun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 06 Nov 1894 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08-49-37 GMT",
        "Sunday, 06-Nov-9x 08:49:37 GMT",
        "Sun Nov  6 08:49:37 199x",
        "Sunday, 06 Nov 94 08:49:37 GMT  ",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *at = (const char *)guard_place(&guard, refused[i], strlen(refused[i]));
        CHECK_EQ(cre_http_date_parse(at, strlen(refused[i])), -1);
    }
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(4096);
}

TEST_MAIN()
