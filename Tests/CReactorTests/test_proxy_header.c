/* Headers of the PROXY protocol, in pieces that end at every byte. */
#include <netinet/in.h>

#include "net/proxy_header.h"
#include "net/sockaddr.h"
#include "test.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static guard_page guard;

/* Reads the input in two pieces, or byte by byte (split > size). Text of the client in `out`, or "". */
static cre__proxy_result read_split(const uint8_t *input, size_t size, size_t split, size_t *used,
                                    char out[80]) {
    cre__proxy_header header = { 0 };
    cre_address client = { 0 };
    cre__proxy_result result = CRE__PROXY_MORE;
    size_t at = 0, part;
    while (at < size && result == CRE__PROXY_MORE) {
        size_t piece = split > size ? 1 : at < split ? split - at : size - at;
        const uint8_t *data = guard_place(&guard, input + at, piece);
        result = cre__proxy_read(&header, data, piece, &part, &client);
        CHECK(part <= piece);
        if (result == CRE__PROXY_MORE) CHECK_EQ(part, piece);
        at += part;
    }
    *used = at;
    out[0] = 0;
    if (result == CRE__PROXY_DONE && client.family) {
        CHECK(cre__address_valid(&client));
        size_t length = cre_address_text(&client, out, 64);
        snprintf(out + length, 80 - length, " %u", client.port);
    }
    return result;
}

/* The same whichever way it is cut: `expected` is the client, "" for none. */
static void expect_done(const void *input, size_t size, size_t length, const char *expected) {
    for (size_t split = 0; split <= size + 1; split++) {
        size_t used;
        char client[80];
        CHECK_EQ(read_split(input, size, split, &used, client), CRE__PROXY_DONE);
        CHECK_EQ(used, length);
        CHECK_STR(client, expected);
    }
}

static void expect_result(const void *input, size_t size, cre__proxy_result expected) {
    for (size_t split = 0; split <= size + 1; split++) {
        size_t used;
        char client[80];
        cre__proxy_result result = read_split(input, size, split, &used, client);
        if (result != expected) TEST_FAIL("%d instead of %d at split %zu", result, expected, split);
    }
}

#define TEXT(text, client) expect_done(text "GET /", sizeof(text "GET /") - 1, sizeof(text) - 1, client)
#define BAD(text)          expect_result(text, sizeof(text) - 1, CRE__PROXY_INVALID)
#define PART(text)         expect_result(text, sizeof(text) - 1, CRE__PROXY_MORE)

TEST(lines) {
    guard = guard_make(8192);
    TEXT("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1 56324");
    TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535");
    TEXT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0");
    TEXT("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1 1");
    TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
         "65535\r\n",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
    TEXT("PROXY TCP6 ::ffff:192.0.2.1 ::1 7 8\r\n", "192.0.2.1 7");
    TEXT("PROXY UNKNOWN\r\n", "");
    TEXT("PROXY UNKNOWN ffff::1 whatever 1 2 3\r\n", "");
    guard_free(&guard);
}

TEST(incomplete_and_malformed_lines) {
    guard = guard_make(8192);
    PART("");
    PART("P");
    PART("PROXY ");
    PART("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r");
    BAD("proxy TCP4 192.0.2.1 198.51.100.1 56324 443\r\n");
    BAD("PROXX");
    BAD("PROXY\r\n");
    BAD("PROXY \r\n");
    BAD("PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n");
    BAD("PROXY TCP4\r\n");
    BAD("PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n");
    BAD("PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n");
    BAD("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n");
    BAD("PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n");
    BAD("PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n");
    BAD("PROXY TCP4 ::1 ::1 1 2\r\n");
    BAD("PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n");
    BAD("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n");
    BAD("GET / HTTP/1.1\r\n");
    BAD("\x16\x03\x01");
    /* The longest line ends with the 107th byte. */
    char line[CRE__PROXY_MAX_LINE + 1];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    expect_result(line, CRE__PROXY_MAX_LINE, CRE__PROXY_INVALID);
    expect_result(line, CRE__PROXY_MAX_LINE - 1, CRE__PROXY_MORE);
    memcpy(line + CRE__PROXY_MAX_LINE - 2, "\r\n", 2);
    expect_done(line, CRE__PROXY_MAX_LINE, CRE__PROXY_MAX_LINE, "");
    guard_free(&guard);
}

#define IPV4 "\xC0\x00\x02\x01\xC6\x33\x64\x01\xDC\x04\x01\xBB"
#define IPV6                                   \
    "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\1" \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"         \
    "\xDC\x04\x01\xBB"
/* Versions of TLS and the like: skipped. */
#define TLV "\x20\0\x05\1\0\0\0\0"

TEST(binary_headers) {
    guard = guard_make(8192);
    TEXT(V2 "\x21\x11\x00\x0C" IPV4, "192.0.2.1 56324");
    TEXT(V2 "\x21\x11\x00\x14" IPV4 TLV, "192.0.2.1 56324");
    TEXT(V2 "\x21\x21\x00\x24" IPV6, "2001:db8::1 56324");
    TEXT(V2 "\x21\x21\x00\x2C" IPV6 TLV, "2001:db8::1 56324");
    TEXT(V2 "\x21\x21\x00\x24"
            "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\2\1"
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xDC\4\1\xBB",
         "192.0.2.1 56324");
    /* Datagrams, and families without an IP address. */
    TEXT(V2 "\x21\x12\x00\x0C" IPV4, "");
    TEXT(V2 "\x21\x00\x00\x00", "");
    TEXT(V2 "\x21\x00\x00\x08" TLV, "");
    /* LOCAL, whatever its family */
    TEXT(V2 "\x20\x00\x00\x00", "");
    TEXT(V2 "\x20\x11\x00\x0C" IPV4, "");
    TEXT(V2 "\x20\xFF\x00\x08" TLV, "");
    guard_free(&guard);
}

TEST(long_binary_headers) {
    guard = guard_make(8192);
    static uint8_t input[16 + CRE__PROXY_MAX_BODY + 2];
    memcpy(input, V2 "\x21\x31\x00\xD8", 16);
    size_t used;
    char client[80];
    CHECK_EQ(read_split(input, 16 + 216, 16 + 216, &used, client), CRE__PROXY_DONE);
    CHECK_STR(client, "");
    memcpy(input, V2 "\x21\x11\x10\x00" IPV4, 28);
    for (size_t split = 0; split < sizeof input; split += 7) {
        CHECK_EQ(read_split(input, sizeof input, split, &used, client), CRE__PROXY_DONE);
        CHECK_EQ(used, 16 + CRE__PROXY_MAX_BODY);
        CHECK_STR(client, "192.0.2.1 56324");
    }
    CHECK_EQ(read_split(input, 16 + CRE__PROXY_MAX_BODY - 1, 20, &used, client), CRE__PROXY_MORE);
    guard_free(&guard);
}

TEST(incomplete_and_malformed_binary_headers) {
    guard = guard_make(8192);
    PART("\r\n\r\n");
    PART(V2);
    PART(V2 "\x21\x11\x00\x0C");
    PART(V2 "\x21\x11\x00\x0C\xC0\x00\x02\x01");
    BAD("\r\n\r\n\1");
    BAD("\r\n\r\nGET /");
    BAD(V2 "\x11\x11\x00\x0C" IPV4); /* version 1 in the binary form */
    BAD(V2 "\x22\x11\x00\x0C" IPV4); /* an unknown command */
    BAD(V2 "\x21\x13\x00\x0C" IPV4);
    BAD(V2 "\x21\x41\x00\x0C" IPV4);
    BAD(V2 "\x21\x10\x00\x0C" IPV4);
    BAD(V2 "\x21\x11\x00\x0B" IPV4);
    BAD(V2 "\x21\x21\x00\x23" IPV6);
    BAD(V2 "\x21\x31\x00\xD7");
    BAD(V2 "\x21\x11\x10\x01" IPV4);
    BAD(V2 "\x20\x00\x10\x01");
    guard_free(&guard);
}

TEST_MAIN()
