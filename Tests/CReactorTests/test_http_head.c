#include <creactor/http.h>

#include "http/head_internal.h"
#include "test.h"

static cre_http_head head;
static cre_http_field fields[200];
static guard_page guard;

static int parse(const char *text, size_t size, size_t already, const cre_http_limits *limits) {
    const uint8_t *at = guard_place(&guard, text, size);
    return cre_http_parse_request(at, size, already, limits, &head, fields);
}

/* Whole, cut in two at every point, and byte by byte: always the same outcome. */
static int outcome(const char *text, size_t size, const cre_http_limits *limits) {
    const int whole = parse(text, size, 0, limits);
    const size_t step = size > 2000 ? 97 : 1;
    for (size_t cut = 0; cut < size; cut += step) {
        int first = parse(text, cut, 0, limits);
        if (first == 0) first = parse(text, size, cut, limits);
        if (first != whole) TEST_FAIL("%d instead of %d when cut at %zu: %.60s", first, whole, cut, text);
    }
    if (size > 2000) return whole;
    int slow = 0;
    for (size_t length = 1; length <= size && slow == 0; length++)
        slow = parse(text, length, length - 1, limits);
    if (slow != whole) TEST_FAIL("%d instead of %d byte by byte: %.60s", slow, whole, text);
    test_checks++;
    parse(text, size, 0, limits);
    return whole;
}

#define REQUEST(text)  outcome(text, sizeof(text) - 1, NULL)
#define IS_WHOLE(text) CHECK_EQ(REQUEST(text), sizeof(text) - 1)

static void check_part(const char *text, uint16_t at, uint16_t length, const char *expected) {
    if (length != strlen(expected) || memcmp(text + at, expected, length) != 0)
        TEST_FAIL("part is \"%.*s\", expected \"%s\"", length, text + at, expected);
    test_checks++;
}

static const char browser[] =
    "GET /chat/room?id=42&lang=en HTTP/1.1\r\n"
    "Host: www.example.com:8080\r\n"
    "Connection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
    "X-Empty:\r\n"
    "X-Space: \t padded\tvalue \t\r\n"
    "cookie: a=1; b=\"2\"\r\n"
    "Accept: again\r\n"
    "\r\n";

TEST(a_browser_request) {
    IS_WHOLE(browser);
    CHECK_EQ(head.method, CRE_HTTP_GET);
    CHECK_EQ(head.minor, 1);
    CHECK_EQ(head.field_count, 8);
    CHECK_EQ(head.flags, CRE_HTTP_KEEP_ALIVE | CRE_HTTP_HAS_QUERY | CRE_HTTP_HAS_HOST);
    check_part(browser, head.method_start, head.method_length, "GET");
    check_part(browser, head.target, head.target_length, "/chat/room?id=42&lang=en");
    check_part(browser, head.path, head.path_length, "/chat/room");
    check_part(browser, head.query, head.query_length, "id=42&lang=en");
    check_part(browser, head.host, head.host_length, "www.example.com:8080");
    check_part(browser, fields[4].name, fields[4].name_length, "X-Empty");
    CHECK_EQ(fields[4].value_length, 0);
    check_part(browser, fields[5].value, fields[5].value_length, "padded\tvalue");

    const uint8_t *bytes = (const uint8_t *)browser;
    CHECK(cre_http_find(&head, fields, bytes, "cookie", 6) == &fields[6]);
    CHECK(cre_http_find(&head, fields, bytes, "user-agent", 10) == &fields[2]);
    CHECK(cre_http_find(&head, fields, bytes, "accept", 6) == &fields[3]);
    CHECK(cre_http_find_next(&head, fields, bytes, "accept", 6, &fields[3]) == &fields[7]);
    CHECK(cre_http_find_next(&head, fields, bytes, "accept", 6, &fields[7]) == NULL);
    CHECK(cre_http_find(&head, fields, bytes, "referer", 7) == NULL);
}

TEST(bytes_behind_the_head_are_not_read) {
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\1\2 bad bytes";
    CHECK_EQ(parse(text, sizeof text - 1, 0, NULL), 27);
    CHECK_EQ(head.head_length, 27);
}

TEST(an_incomplete_head_needs_more) {
    for (size_t n = 0; n < sizeof browser - 1; n++)
        CHECK_EQ(parse(browser, n, 0, NULL), 0);
}

TEST(bytes_seen_before_are_not_read_again) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED && mprotect(map, page, PROT_NONE) == 0);
    memset(map + page, 'a', page);
    for (size_t already = 1; already < page; already += 50)
        CHECK_EQ(cre_http_parse_request(map + page - already, already + 1000, already, NULL, &head, fields),
                 0);
    munmap(map, 2 * page);
}

TEST(methods) {
    static const struct {
        const char *name;
        int method;
    } all[] = { { "GET", CRE_HTTP_GET },     { "HEAD", CRE_HTTP_HEAD },     { "POST", CRE_HTTP_POST },
                { "PUT", CRE_HTTP_PUT },     { "DELETE", CRE_HTTP_DELETE }, { "OPTIONS", CRE_HTTP_OPTIONS },
                { "TRACE", CRE_HTTP_TRACE }, { "PATCH", CRE_HTTP_PATCH },   { "PROPFIND", CRE_HTTP_OTHER },
                { "get", CRE_HTTP_OTHER },   { "GETS", CRE_HTTP_OTHER },    { "M-SEARCH", CRE_HTTP_OTHER } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char text[100];
        int size = snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", all[i].name);
        CHECK_EQ(outcome(text, (size_t)size, NULL), size);
        CHECK_EQ(head.method, all[i].method);
        CHECK_EQ(head.method_length, strlen(all[i].name));
        if (all[i].method) CHECK_STR(cre_http_method_name(head.method), all[i].name);
    }
    CHECK_STR(cre_http_method_name(CRE_HTTP_OTHER), "");
    CHECK_STR(cre_http_method_name(1000), "");
}

static void check_target(const char *method, const char *target, int flags, const char *path,
                         const char *query, const char *host) {
    char text[300];
    int size = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: field\r\n\r\n", method, target);
    CHECK_EQ(outcome(text, (size_t)size, NULL), size);
    const int forms = CRE_HTTP_ABSOLUTE_FORM | CRE_HTTP_AUTHORITY_FORM | CRE_HTTP_ASTERISK_FORM;
    CHECK_EQ(head.flags & (forms | CRE_HTTP_HAS_QUERY), flags);
    check_part(text, head.target, head.target_length, target);
    check_part(text, head.path, head.path_length, path);
    check_part(text, head.query, head.query_length, query);
    check_part(text, head.host, head.host_length, host);
}

TEST(forms_of_the_target) {
    check_target("GET", "/", 0, "/", "", "field");
    check_target("GET", "/?", CRE_HTTP_HAS_QUERY, "/", "", "field");
    check_target("GET", "/a?b?c", CRE_HTTP_HAS_QUERY, "/a", "b?c", "field");
    check_target("GET", "//x/../y", 0, "//x/../y", "", "field");
    check_target("GET", "/a|b{}^`\"<>\\", 0, "/a|b{}^`\"<>\\", "", "field");
    check_target("GET", "http://h:81/p?q", CRE_HTTP_ABSOLUTE_FORM | CRE_HTTP_HAS_QUERY, "/p", "q", "h:81");
    check_target("GET", "http://h", CRE_HTTP_ABSOLUTE_FORM, "/", "", "h");
    check_target("GET", "https://h?q", CRE_HTTP_ABSOLUTE_FORM | CRE_HTTP_HAS_QUERY, "/", "q", "h");
    check_target("GET", "ws+x.y-z://[::1]:8/p", CRE_HTTP_ABSOLUTE_FORM, "/p", "", "[::1]:8");
    check_target("OPTIONS", "*", CRE_HTTP_ASTERISK_FORM, "*", "", "field");
    check_target("CONNECT", "h.example:443", CRE_HTTP_AUTHORITY_FORM, "", "", "h.example:443");
    /* the '?' far behind the first 64 bytes */
    char target[200];
    memset(target, 'a', sizeof target);
    memcpy(target, "/", 1);
    memcpy(target + 150, "?x", 3);
    char path[151];
    memcpy(path, target, 150);
    path[150] = 0;
    check_target("GET", target, CRE_HTTP_HAS_QUERY, path, "x", "field");
}

/* Each byte at each of the first places of a target: these are not looked at in blocks. */
TEST(bytes_of_the_target) {
    for (int place = 1; place < 12; place++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[] = "GET /aaaaaaaaaaa HTTP/1.1\r\nHost: a\r\n\r\n";
            const int size = 12;
            text[4 + place] = (char)byte;
            int result = cre_http_parse_request((uint8_t *)text, sizeof text - 1, 0, NULL, &head, fields);
            bool allowed = byte > ' ' && byte < 0x7F && byte != '#';
            CHECK_EQ(result > 0, allowed);
            if (result <= 0) continue;
            CHECK_EQ(head.target_length, size);
            CHECK_EQ(head.path_length, byte == '?' ? place : size);
            CHECK_EQ(!!(head.flags & CRE_HTTP_HAS_QUERY), byte == '?');
        }
    }
}

static const struct {
    const char *text;
    int error, status;
} bad[] = {
    /* the request line */
    { "GET\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET /\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { " GET / HTTP/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET  / HTTP/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET /  HTTP/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET / HTTP/1.1 \r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET / HTTP/1.1\t\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET\t/ HTTP/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "G(T / HTTP/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET / http/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET / HTTP/11\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET / HTTP/1.10\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET / HTTX/1.1\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_LINE, 400 },
    { "GET / HTTP/1.2\r\n\r\n", CRE_EHTTP_NO_HOST, 400 },
    { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_VERSION, 505 },
    { "GET / HTTP/0.9\r\n\r\n", CRE_EHTTP_BAD_VERSION, 505 },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", CRE_EHTTP_BAD_VERSION, 505 },
    { "GET / HTTP/1.1\nHost: a\n\n", CRE_EHTTP_LINE_END, 400 },
    { "GET / HTTP/1.1\r\rHost: a\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "GET /\nHost: a\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    /* the target */
    { "GET a HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET * HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET http://u@h/ HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET http://h:x/ HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "GET 1http://h/ HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "CONNECT h HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "CONNECT h: HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    { "CONNECT http://h:1/ HTTP/1.1\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_TARGET, 400 },
    /* field lines */
    { "GET / HTTP/1.1\r\n Host: a\r\n\r\n", CRE_EHTTP_FOLDED, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", CRE_EHTTP_FOLDED, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", CRE_EHTTP_FOLDED, 400 },
    { "GET / HTTP/1.1\r\nHost : a\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { "GET / HTTP/1.1\r\nHost\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { "GET / HTTP/1.1\r\n: a\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { "GET / HTTP/1.1\r\nH st: a\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { "GET / HTTP/1.1\r\nH\xc3\xa4st: a\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { "GET / HTTP/1.1\r\n(Host): a\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", CRE_EHTTP_BAD_VALUE, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n", CRE_EHTTP_BAD_VALUE, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\vb\r\n\r\n", CRE_EHTTP_BAD_VALUE, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\n\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    /* Host */
    { "GET / HTTP/1.1\r\n\r\n", CRE_EHTTP_NO_HOST, 400 },
    { "GET http://a/ HTTP/1.1\r\n\r\n", CRE_EHTTP_NO_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.0\r\nHost: a\r\nhOST: b\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: []\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    { "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", CRE_EHTTP_BAD_HOST, 400 },
    /* expectations */
    { "PUT / HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n", CRE_EHTTP_EXPECTATION, 417 },
};

TEST(malformed_heads) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int error = outcome(bad[i].text, strlen(bad[i].text), NULL);
        if (error != bad[i].error)
            TEST_FAIL("%s instead of %s: %s", cre_error_name(error), cre_error_name(bad[i].error),
                      bad[i].text);
        CHECK_EQ(cre_http_status_of(error), bad[i].status);
    }
}

#define START "POST / HTTP/1.1\r\nHost: a\r\n"

/* What two parsers could read in different ways must be read in none. */
static const struct {
    const char *text;
    int error, status;
} smuggling[] = {
    { START "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", CRE_EHTTP_LENGTH_AND_CODING, 400 },
    { START "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", CRE_EHTTP_LENGTH_AND_CODING, 400 },
    { START "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 5, 5\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 5,6\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length:\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: +5\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: -5\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 0x5\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 5 5\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 5_0\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 9223372036854775808\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length: 18446744073709551621\r\n\r\n", CRE_EHTTP_CONTENT_LENGTH, 400 },
    { START "Content-Length : 5\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { START "Content-Length\t: 5\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { START "Content-Length: 5\v\r\n\r\n", CRE_EHTTP_BAD_VALUE, 400 },
    { START "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING,
      400 },
    { START "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING,
      400 },
    { START "Transfer-Encoding: identity\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: xchunked\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: chunked, identity\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: chunked, chunked\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: , chunked\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: chunked,\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: \"chunked\"\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: chunked;a=b\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding:\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: gzip\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "Transfer-Encoding: gzip, chunked\r\n\r\n", CRE_EHTTP_UNKNOWN_CODING, 501 },
    { START "Transfer-Encoding: gzip,chunked\r\n\r\n", CRE_EHTTP_UNKNOWN_CODING, 501 },
    { START "Transfer-Encoding\v: chunked\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { START "Transfer-Encoding : chunked\r\n\r\n", CRE_EHTTP_BAD_FIELD, 400 },
    { START "Transfer-Encoding:\r\n chunked\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
    { START "X: a\r\n Transfer-Encoding: chunked\r\n\r\n", CRE_EHTTP_FOLDED, 400 },
    { START "X: a\nTransfer-Encoding: chunked\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { START "X: a\rTransfer-Encoding: chunked\r\n\r\n", CRE_EHTTP_LINE_END, 400 },
    { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", CRE_EHTTP_TRANSFER_ENCODING, 400 },
};

TEST(smuggling_is_refused) {
    for (size_t i = 0; i < sizeof smuggling / sizeof *smuggling; i++) {
        const int error = outcome(smuggling[i].text, strlen(smuggling[i].text), NULL);
        if (error != smuggling[i].error)
            TEST_FAIL("%s instead of %s: %s", cre_error_name(error), cre_error_name(smuggling[i].error),
                      smuggling[i].text);
        CHECK_EQ(cre_http_status_of(error), smuggling[i].status);
    }
    /* a NUL anywhere before the last line end, without which there is no head yet */
    static const char text[] = START "Content-Length: 5\r\nX: abc\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1 - 4; i++) {
        char with[sizeof text];
        memcpy(with, text, sizeof text);
        with[i] = 0;
        CHECK(outcome(with, sizeof text - 1, NULL) < 0);
    }
}

TEST(bodies) {
    IS_WHOLE(START "Content-Length: 0\r\n\r\n");
    CHECK_EQ(head.flags & (CRE_HTTP_HAS_LENGTH | CRE_HTTP_HAS_BODY), CRE_HTTP_HAS_LENGTH);
    IS_WHOLE(START "content-LENGTH: \t9223372036854775807 \r\n\r\n");
    CHECK_EQ(head.content_length, INT64_MAX);
    CHECK(head.flags & CRE_HTTP_HAS_BODY);
    IS_WHOLE(START "Transfer-Encoding:  CHUNKED \r\n\r\n");
    CHECK_EQ(head.flags, CRE_HTTP_CHUNKED | CRE_HTTP_HAS_BODY | CRE_HTTP_HAS_HOST | CRE_HTTP_KEEP_ALIVE);
    IS_WHOLE(START "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
    CHECK(head.flags & CRE_HTTP_EXPECT_CONTINUE);
    IS_WHOLE(START "Expect: 100-continue\r\n\r\n");
    CHECK(!(head.flags & CRE_HTTP_EXPECT_CONTINUE));
    IS_WHOLE("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    CHECK(!(head.flags & CRE_HTTP_EXPECT_CONTINUE));
    CHECK(head.flags >> 13 == 0);
}

static bool keeps(const char *minor, const char *lines) {
    char text[300];
    int size = snprintf(text, sizeof text, "GET / HTTP/1.%s\r\nHost: a\r\n%s\r\n", minor, lines);
    CHECK_EQ(outcome(text, (size_t)size, NULL), size);
    return head.flags & CRE_HTTP_KEEP_ALIVE;
}

TEST(keep_alive) {
    CHECK(keeps("1", ""));
    CHECK(!keeps("0", ""));
    CHECK(keeps("0", "Connection: Keep-Alive\r\n"));
    CHECK(keeps("0", "Connection: x, keep-alive\r\n"));
    CHECK(!keeps("0", "Connection: keep-alive, close\r\n"));
    CHECK(!keeps("1", "Connection: close\r\n"));
    CHECK(!keeps("1", "Connection: CLOSE\r\n"));
    CHECK(!keeps("1", "Connection: foo ,\tclose , bar\r\n"));
    CHECK(!keeps("1", "Connection: keep-alive\r\nConnection: close\r\n"));
    CHECK(keeps("1", "Connection: closed\r\n"));
    CHECK(keeps("1", "Connection: clos, e\r\n"));
    CHECK(keeps("1", "Connection: \"a,close\"\r\n"));
    CHECK(keeps("1", "Connection:\r\n"));
}

TEST(upgrades) {
    IS_WHOLE(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n");
    const int both = CRE_HTTP_UPGRADE_WEBSOCKET | CRE_HTTP_CONNECTION_UPGRADE;
    CHECK_EQ(head.flags & both, both);
    IS_WHOLE("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket2\r\nConnection: upgrades\r\n\r\n");
    CHECK_EQ(head.flags & both, 0);
    IS_WHOLE("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    CHECK_EQ(head.flags & both, 0);
}

TEST(hosts) {
    IS_WHOLE("GET / HTTP/1.1\r\nHost:\r\n\r\n");
    CHECK_EQ(head.host_length, 0);
    IS_WHOLE("GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
    IS_WHOLE("GET / HTTP/1.1\r\nHost: a%2Db_c.example:\r\n\r\n");
    IS_WHOLE("GET / HTTP/1.0\r\n\r\n");
    CHECK(!(head.flags & CRE_HTTP_HAS_HOST));
}

TEST(empty_lines_first) {
    static const char text[] = "\r\n\r\n\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    IS_WHOLE(text);
    CHECK_EQ(head.method_start, 8);
    check_part(text, head.path, head.path_length, "/x");
}

TEST(limits) {
    static char text[70000];
    static const char line_end[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    /* the line: exactly the limit, and one more */
    for (uint32_t limit = 17; limit < 200; limit += 23) {
        for (uint32_t size = limit - 1; size <= limit + 1; size++) {
            memset(text, 'a', size);
            memcpy(text, "GET /", 5);
            memcpy(text + size - 11, line_end, sizeof line_end - 1);
            const size_t all = size - 11 + sizeof line_end - 1;
            const cre_http_limits limits = { .max_line = limit };
            const int expected = size <= limit ? (int)all : CRE_EHTTP_LINE_TOO_LONG;
            CHECK_EQ(outcome(text, all, &limits), expected);
            /* no end at all */
            memset(text + size - 11, 'b', 300);
            CHECK_EQ(outcome(text, size - 11 + 300, &limits), CRE_EHTTP_LINE_TOO_LONG);
        }
    }
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_LINE_TOO_LONG), 414);

    /* the head: exactly the limit, and one more */
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    for (uint32_t limit = 40; limit < 400; limit += 37) {
        for (uint32_t size = limit - 1; size <= limit + 1; size++) {
            memset(text, 'a', size);
            memcpy(text, start, sizeof start - 1);
            memcpy(text + size - 4, "\r\n\r\n", 4);
            const cre_http_limits limits = { .max_head = limit };
            CHECK_EQ(outcome(text, size, &limits), size <= limit ? (int)size : CRE_EHTTP_HEAD_TOO_LARGE);
        }
    }
    /* the largest head there may be, and one byte more */
    for (uint32_t size = 65535; size <= 65536; size++) {
        memset(text, 'a', size);
        memcpy(text, start, sizeof start - 1);
        memcpy(text + size - 4, "\r\n\r\n", 4);
        CHECK_EQ(outcome(text, size, NULL), size == 65535 ? (int)size : CRE_EHTTP_HEAD_TOO_LARGE);
        CHECK_EQ(outcome(text, size - 10, NULL), 0);
    }
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_HEAD_TOO_LARGE), 431);

    /* the count */
    for (int count = 99; count <= 101; count++) {
        size_t size = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < count; i++)
            size += (size_t)snprintf(text + size, sizeof text - size, "X%d: y\r\n", i);
        size += (size_t)snprintf(text + size, sizeof text - size, "\r\n");
        CHECK_EQ(outcome(text, size, NULL), count <= 100 ? (int)size : CRE_EHTTP_TOO_MANY_FIELDS);
        const cre_http_limits limits = { .max_fields = 7 };
        CHECK_EQ(outcome(text, size, &limits), CRE_EHTTP_TOO_MANY_FIELDS);
    }
    CHECK_EQ(cre_http_status_of(CRE_EHTTP_TOO_MANY_FIELDS), 431);
}

TEST(every_byte_in_every_place) {
    /* in a method, a target, a name and a value, against the rules written out again */
    for (int c = 0; c < 256; c++) {
        char text[64];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        const bool token = c && (letter || strchr("!#$%&'*+-.^_`|~", c));
        int size = snprintf(text, sizeof text, "Gx / HTTP/1.1\r\nHost: a\r\n\r\n");
        text[1] = (char)c;
        CHECK_EQ(parse(text, (size_t)size, 0, NULL) > 0, token);
        size = snprintf(text, sizeof text, "G /x HTTP/1.1\r\nHost: a\r\n\r\n");
        text[3] = (char)c;
        CHECK_EQ(parse(text, (size_t)size, 0, NULL) > 0, c > 0x20 && c < 0x7f && c != '#');
        size = snprintf(text, sizeof text, "G / HTTP/1.1\r\nHost: a\r\nYxZ: abc\r\n\r\n");
        text[24] = (char)c;
        CHECK_EQ(parse(text, (size_t)size, 0, NULL) > 0, token || c == ':');
        size = snprintf(text, sizeof text, "G / HTTP/1.1\r\nHost: a\r\nYxZ: abc\r\n\r\n");
        text[29] = (char)c;
        CHECK_EQ(parse(text, (size_t)size, 0, NULL) > 0, c >= 0x80 || (c >= 0x20 && c != 0x7f) || c == '\t');
    }
}

#if defined(__x86_64__)
static uint32_t random_state = 1;

static uint32_t next_random(uint32_t below) {
    random_state = random_state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(random_state >> 8) * below >> 24);
}

static const struct {
    cre__http_parser *request, *response;
} sets[] = { { cre__http_scalar_request, cre__http_scalar_response },
             { cre__http_ssse3_request, cre__http_ssse3_response },
             { cre__http_avx2_request, cre__http_avx2_response } };

static int usable_sets(void) {
    return !__builtin_cpu_supports("ssse3") ? 1 : !__builtin_cpu_supports("avx2") ? 2 : 3;
}

/* The 32 bytes that a host ends with, and the first 32 of a target, are looked at together. */
TEST(all_instruction_sets_agree_about_hosts_and_targets) {
    static const char *const forms[] = { "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "G / HTTP/1.1\r\nHost:%s\r\n\r\n",
                                         "GET /0123456789 HTTP/1.1\r\nHost: %s\r\n\r\n",
                                         "GET / HTTP/1.1\r\nHost: %s:80\r\n\r\n",
                                         "GET / HTTP/1.1\r\nHost: %%41%s\r\n\r\n" };
    const cre__http_job job = { .max_line = 8192, .max_fields = 4 };
    const int usable = usable_sets();
    for (unsigned c = 1; c < 256; c++) {
        for (size_t length = 1; length < 36; length++) {
            for (int place = 0; place < 3; place++) {
                char part[40] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", text[128];
                part[place == 0 ? 0 : place == 1 ? length / 2 : length - 1] = (char)c;
                part[length] = 0;
                for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
                    const size_t size = (size_t)snprintf(text, sizeof text, forms[form], part);
                    const uint8_t *at = guard_place(&guard, text, size);
                    cre_http_head heads[3];
                    cre_http_field table[4];
                    int results[3];
                    for (int i = 0; i < usable; i++) {
                        results[i] = sets[i].request(at, (uint32_t)size, &job, &heads[i], table);
                        CHECK_EQ(results[i], results[0]);
                        if (results[i] > 0) CHECK_MEM(&heads[i], &heads[0], sizeof heads[0]);
                    }
                }
            }
        }
    }
}

TEST(all_instruction_sets_agree) {
    static const char interesting[] = "\r\n\t :,/?#\x7f\x80\xff\0aZ09";
    const int usable = usable_sets();
    for (int round = 0; round < 30000; round++) {
        char text[sizeof browser];
        const bool response = round % 3 == 0;
        memcpy(text, browser, sizeof browser);
        size_t from = 0;
        if (response) memcpy(text + (from = 22), "HTTP/1.1 200", 12);
        for (uint32_t changes = next_random(4); changes > 0; changes--)
            text[next_random(sizeof browser - 1)] = interesting[next_random(sizeof interesting - 1)];
        const size_t size = sizeof browser - 1 - from - next_random(5) * next_random(40);
        const uint8_t *at = guard_place(&guard, text + from, size);
        const cre__http_job job = {
            .max_line = 60 + next_random(60),
            .max_fields = (uint16_t)(4 + next_random(8)),
        };
        cre_http_head heads[3];
        cre_http_field tables[3][16];
        int results[3];
        for (int i = 0; i < usable; i++) {
            cre__http_parser *run = response ? sets[i].response : sets[i].request;
            results[i] = run(at, (uint32_t)size, &job, &heads[i], tables[i]);
            CHECK_EQ(results[i], results[0]);
            if (results[i] <= 0) continue;
            CHECK_MEM(&heads[i], &heads[0], sizeof heads[0]);
            CHECK_MEM(tables[i], tables[0], heads[0].field_count * sizeof tables[0][0]);
        }
    }
}
#endif

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(70000);
}

TEST_MAIN()
