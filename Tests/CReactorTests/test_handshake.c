#include <creactor/handshake.h>
#include <creactor/http.h>

#include "core/base64.h"
#include "http/sha1.h"
#include "test.h"

static cre_http_head head;
static cre_http_field fields[100];
static guard_page guard;
static const uint8_t *bytes;

static void parse(const char *text) {
    const size_t size = strlen(text);
    bytes = guard_place(&guard, text, size);
    REQUIRE(cre_http_parse_request(bytes, size, 0, NULL, &head, fields) == (int)size);
}

TEST(sha1_vectors) {
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        { "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
          "nopqrstu",
          "a49b2446a02c645bf419f995b67091253a04a259" },
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t digest[20];
        char hex[41];
        const size_t size = strlen(vectors[i].text);
        cre__sha1(guard_place(&guard, vectors[i].text, size), size, digest);
        for (int j = 0; j < 20; j++)
            snprintf(hex + 2 * j, 3, "%02x", digest[j]);
        CHECK_STR(hex, vectors[i].digest);
    }
    static uint8_t million[1000000];
    memset(million, 'a', sizeof million);
    uint8_t digest[20];
    cre__sha1(million, sizeof million, digest);
    CHECK_MEM(digest, "\x34\xaa\x97\x3c\xd4\xc4\xda\xa4\xf6\x1e\xeb\x2b\xdb\xad\x27\x31\x65\x34\x01\x6f", 20);
}

TEST(base64_vectors) {
    static const char *const vectors[][2] = { { "", "" },
                                              { "f", "Zg==" },
                                              { "fo", "Zm8=" },
                                              { "foo", "Zm9v" },
                                              { "foob", "Zm9vYg==" },
                                              { "fooba", "Zm9vYmE=" },
                                              { "foobar", "Zm9vYmFy" },
                                              { "\xff\xef\xbe", "/+++" } };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const char *text = vectors[i][0], *code = vectors[i][1];
        char out[16];
        uint8_t back[16];
        CHECK_EQ(cre__base64_encode(guard_place(&guard, text, strlen(text)), strlen(text), out),
                 strlen(code));
        CHECK_MEM(out, code, strlen(code));
        CHECK_EQ(cre__base64_decode(code, strlen(code), back), strlen(text));
        CHECK_MEM(back, text, strlen(text));
    }
    static const char *const refused[] = { "Z",    "Zg",   "Zg=",  "Zg==Zg==", "=g==",
                                           "Z===", "====", "Zm9*", "Zm 9",     "Zg=a" };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        uint8_t back[16];
        CHECK_EQ(cre__base64_decode(refused[i], strlen(refused[i]), back), -1);
    }
}

TEST(the_example_of_the_rfc) {
    /* RFC 6455 sections 1.2 and 1.3 */
    parse("GET /chat HTTP/1.1\r\n"
          "Host: server.example.com\r\n"
          "Upgrade: websocket\r\n"
          "Connection: Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          "Origin: http://example.com\r\n"
          "Sec-WebSocket-Protocol: chat, superchat\r\n"
          "Sec-WebSocket-Version: 13\r\n\r\n");
    cre_ws_handshake handshake;
    CHECK_EQ(cre_ws_request_check(&head, fields, bytes, &handshake), 0);
    CHECK_MEM(handshake.key, "dGhlIHNhbXBsZSBub25jZQ==", 24);
    CHECK(handshake.has_protocols && !handshake.has_extensions && handshake.has_origin);
    CHECK_EQ(handshake.origin_length, 18);
    CHECK_MEM(bytes + handshake.origin, "http://example.com", 18);
    char accept[CRE_WS_ACCEPT_LENGTH];
    cre_ws_accept(handshake.key, accept);
    CHECK_MEM(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28);

    const char *const ours[] = { "mqtt", "superchat", "chat" };
    CHECK_EQ(cre_ws_choose_subprotocol(&head, fields, bytes, ours, 3), 1);
    CHECK_EQ(cre_ws_choose_subprotocol(&head, fields, bytes, ours, 1), -1);

    char out[300];
    static const cre_http_header extra[] = { { "X-A", "b", 3, 1 },
                                             { "Connection", "close", 10, 5 },
                                             { "sec-websocket-accept", "x", 20, 1 } };
    static const char expected[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "Sec-WebSocket-Protocol: chat\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\nX-A: b\r\n\r\n";
    const int size = cre_ws_write_response(out, sizeof out, accept, "chat", "permessage-deflate", extra, 3);
    CHECK_EQ(size, sizeof expected - 1);
    CHECK_MEM(out, expected, sizeof expected - 1);
    for (int capacity = 0; capacity < size; capacity++) {
        char *at = (char *)guard_place(&guard, out, (size_t)capacity);
        CHECK_EQ(cre_ws_write_response(at, (size_t)capacity, accept, "chat", "permessage-deflate", extra, 3),
                 CRE_ELIMIT);
    }
    CHECK_EQ(cre_ws_write_response(out, sizeof out, accept, "a b", NULL, NULL, 0), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_ws_write_response(out, sizeof out, accept, "", NULL, NULL, 0), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_ws_write_response(out, sizeof out, accept, NULL, "a\r\nb: c", NULL, 0),
             CRE_EHTTP_INVALID_FIELD);
}

#define LINE             "GET / HTTP/1.1\r\nHost: a\r\n"
#define UP               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY              "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n"
#define VER              "Sec-WebSocket-Version: 13\r\n"
#define NOKEY            LINE UP VER
#define EXTENSION(value) LINE UP KEY VER "Sec-WebSocket-Extensions: " value "\r\n\r\n"

static const struct {
    const char *text;
    int error, status;
} cases[] = {
    { LINE UP KEY VER "\r\n", 0, 0 },
    { LINE "UPGRADE: foo, WEBSOCKET\r\nConnection: keep-alive,upgrade\r\n" KEY VER "\r\n", 0, 0 },
    { "POST / HTTP/1.1\r\nHost: a\r\n" UP KEY VER "\r\n", CRE_EHTTP_HANDSHAKE_METHOD, 400 },
    { LINE UP KEY VER "Content-Length: 1\r\n\r\n", CRE_EHTTP_HANDSHAKE_METHOD, 400 },
    { "GET / HTTP/1.0\r\nHost: a\r\n" UP KEY VER "\r\n", CRE_EHTTP_HANDSHAKE_HTTP, 400 },
    { "GET / HTTP/1.1\r\nHost:\r\n" UP KEY VER "\r\n", CRE_EHTTP_HANDSHAKE_HOST, 400 },
    { LINE KEY VER "\r\n", CRE_EHTTP_HANDSHAKE_UPGRADE, 426 },
    { LINE "Upgrade: h2c\r\nConnection: upgrade\r\n" KEY VER "\r\n", CRE_EHTTP_HANDSHAKE_UPGRADE, 426 },
    { LINE "Upgrade: websocket\r\n" KEY VER "\r\n", CRE_EHTTP_HANDSHAKE_CONNECTION, 400 },
    { LINE "Upgrade: websocket\r\nConnection: keep-alive\r\n" KEY VER "\r\n", CRE_EHTTP_HANDSHAKE_CONNECTION,
      400 },
    { LINE UP KEY "\r\n", CRE_EHTTP_HANDSHAKE_VERSION, 426 },
    { LINE UP KEY "Sec-WebSocket-Version: 8\r\n\r\n", CRE_EHTTP_HANDSHAKE_VERSION, 426 },
    { LINE UP KEY "Sec-WebSocket-Version: 013\r\n\r\n", CRE_EHTTP_HANDSHAKE_VERSION, 426 },
    { LINE UP KEY VER VER "\r\n", CRE_EHTTP_HANDSHAKE_VERSION, 426 },
    { NOKEY "\r\n", CRE_EHTTP_HANDSHAKE_KEY, 400 },
    { NOKEY KEY KEY "\r\n", CRE_EHTTP_HANDSHAKE_KEY, 400 },
    { NOKEY "Sec-WebSocket-Key:\r\n\r\n", CRE_EHTTP_HANDSHAKE_KEY, 400 },
    { NOKEY "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=\r\n\r\n", CRE_EHTTP_HANDSHAKE_KEY, 400 },
    { NOKEY "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEAA=\r\n\r\n", CRE_EHTTP_HANDSHAKE_KEY, 400 },
    { NOKEY "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEAAA\r\n\r\n", CRE_EHTTP_HANDSHAKE_KEY, 400 },
    { NOKEY "Sec-WebSocket-Key: AQIDBAUGBwg*CgsMDQ4PEA==\r\n\r\n", CRE_EHTTP_HANDSHAKE_KEY, 400 },
    { LINE UP KEY VER "Sec-WebSocket-Protocol:\r\n\r\n", CRE_EHTTP_HANDSHAKE_PROTOCOL, 400 },
    { LINE UP KEY VER "Sec-WebSocket-Protocol: a b\r\n\r\n", CRE_EHTTP_HANDSHAKE_PROTOCOL, 400 },
    { LINE UP KEY VER "Sec-WebSocket-Protocol: a, \"b\"\r\n\r\n", CRE_EHTTP_HANDSHAKE_PROTOCOL, 400 },
    { EXTENSION("x"), 0, 0 },
    { EXTENSION("permessage-deflate; client_max_window_bits"), 0, 0 },
    { EXTENSION("x;a=b;c=\"d\" , ,\t y ; e = f,"), 0, 0 },
    { EXTENSION("x;a=\"b\\c\""), 0, 0 },
    { LINE UP KEY VER "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n\r\n", 0, 0 },
    { LINE UP KEY VER "Sec-WebSocket-Extensions: x\r\nSec-WebSocket-Extensions: y;\r\n\r\n",
      CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION(""), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION(" , ,"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x y"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x/y"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("\"x\""), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x=y"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION(";a"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;;a"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a="), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;=b"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=b c"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=b=c"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=\"\""), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=\"b c\""), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=\"b\\ c\""), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=\"b"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=\"b\\"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x;a=\"b\"c"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
    { EXTENSION("x, y;a=\"b"), CRE_EHTTP_HANDSHAKE_EXTENSION, 400 },
};

TEST(each_check_has_its_error) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cre_ws_handshake handshake;
        parse(cases[i].text);
        const int error = cre_ws_request_check(&head, fields, bytes, &handshake);
        if (error != cases[i].error)
            TEST_FAIL("%s instead of %s: %s", cre_error_name(error), cre_error_name(cases[i].error),
                      cases[i].text);
        if (error) CHECK_EQ(cre_http_status_of(error), cases[i].status);
    }
    CHECK_MEM(cre_ws_version_field()->name, "Sec-WebSocket-Version", cre_ws_version_field()->name_length);
    CHECK_MEM(cre_ws_upgrade_field()->value, "websocket", cre_ws_upgrade_field()->value_length);
    CHECK(cre_http_header_valid(cre_ws_version_field()) && cre_http_header_valid(cre_ws_upgrade_field()));
}

TEST(subprotocols_over_several_lines) {
    parse(LINE "Sec-WebSocket-Protocol: a,,b ,\r\nX: c\r\nsec-websocket-protocol: d\r\n\r\n");
    const char *const one[] = { "d" }, *const wrong[] = { "c", "A", "" };
    CHECK_EQ(cre_ws_choose_subprotocol(&head, fields, bytes, one, 1), 0);
    CHECK_EQ(cre_ws_choose_subprotocol(&head, fields, bytes, wrong, 3), -1);
    CHECK_EQ(cre_ws_choose_subprotocol(&head, fields, bytes, NULL, 0), -1);
}

TEST(lists) {
    parse(LINE "X: a, \"b,c\\\",d\" ; q , ,e\r\nY: z\r\nx: ,\r\nx: f\r\n\r\n");
    cre_http_list list;
    const char *element, *const expected[] = { "a", "\"b,c\\\",d\" ; q", "e", "f" };
    size_t length, n = 0;
    cre_http_list_of(&list, &head, fields, bytes, "x", 1);
    for (; cre_http_list_next(&list, &element, &length); n++) {
        REQUIRE(n < 4);
        CHECK_EQ(length, strlen(expected[n]));
        CHECK_MEM(element, expected[n], length);
    }
    CHECK_EQ(n, 4);
    CHECK(!cre_http_list_next(&list, &element, &length));
    CHECK(cre_http_list_has(&head, fields, bytes, "x", 1, "f", 1));
    CHECK(!cre_http_list_has(&head, fields, bytes, "x", 1, "z", 1));
    cre_http_list_of_value(&list, NULL, 0);
    CHECK(!cre_http_list_next(&list, &element, &length));
    cre_http_list_of_value(&list, "\"open, end", 10);
    CHECK(cre_http_list_next(&list, &element, &length));
    CHECK_EQ(length, 10);
}

static bool allowed(const char *origin, const char *entry) {
    const char *at = (const char *)guard_place(&guard, origin, strlen(origin));
    return cre_ws_origin_allowed(at, strlen(origin), &entry, 1);
}

TEST(origins) {
    CHECK(allowed("https://example.com", "https://example.com"));
    CHECK(allowed("HTTPS://Example.com", "https://eXample.com"));
    CHECK(allowed("https://example.com", "https://example.com:443"));
    CHECK(allowed("http://example.com:80", "http://example.com"));
    CHECK(allowed("https://a.example.com", "https://*.example.com"));
    CHECK(allowed("https://a.b.example.com:1", "https://*.example.com:1"));
    CHECK(allowed("http://[::1]:3000", "http://[::1]:3000"));
    CHECK(allowed("null", "*"));
    CHECK(allowed("null", "null"));
    CHECK(!allowed("null", "https://example.com"));
    CHECK(!allowed("http://example.com", "https://example.com"));
    CHECK(!allowed("https://example.com:444", "https://example.com"));
    CHECK(!allowed("https://example.com", "https://*.example.com"));
    CHECK(!allowed("https://evilexample.com", "https://*.example.com"));
    CHECK(!allowed("https://example.com.evil.com", "https://*.example.com"));
    CHECK(!allowed("https://example.com.evil.com", "https://example.com"));
    CHECK(!allowed("https://evil.com/.example.com", "https://*.example.com"));
    CHECK(!allowed("https://a.example.com", "https://*"));
    CHECK(!allowed("", "https://example.com"));
    CHECK(!allowed("https://", "https://example.com"));
    CHECK(!allowed("https://[::1", "https://[::1]"));
    CHECK(!cre_ws_origin_allowed("https://a", 9, NULL, 0));
}

TEST(the_client_side) {
    uint8_t random[16];
    for (uint8_t i = 0; i < 16; i++)
        random[i] = i + 1;
    char key[CRE_WS_KEY_LENGTH], text[500];
    cre_ws_key(random, key);
    CHECK_MEM(key, "AQIDBAUGBwgJCgsMDQ4PEA==", 24);
    static const cre_http_header extra[] = { { "Cookie", "a=b", 6, 3 }, { "Upgrade", "x", 7, 1 } };
    const cre_ws_request request = { .host = "h:1",
                                     .target = "/p?q",
                                     .key = key,
                                     .subprotocols = "chat, two",
                                     .extensions = "permessage-deflate",
                                     .origin = "http://o",
                                     .fields = extra,
                                     .field_count = 2 };
    int size = cre_ws_write_request(text, sizeof text - 1, &request);
    REQUIRE(size > 0);
    text[size] = 0;
    parse(text);
    cre_ws_handshake handshake;
    CHECK_EQ(cre_ws_request_check(&head, fields, bytes, &handshake), 0);
    CHECK_MEM(handshake.key, key, 24);
    CHECK(handshake.has_protocols && handshake.has_extensions && handshake.has_origin);
    CHECK(cre_http_find(&head, fields, bytes, "cookie", 6) != NULL);
    cre_ws_request wrong = request;
    wrong.target = "/ HTTP/1.1\r\nX:";
    CHECK_EQ(cre_ws_write_request(text, sizeof text, &wrong), CRE_EHTTP_INVALID_FIELD);
    wrong = request;
    wrong.origin = "a\nb";
    CHECK_EQ(cre_ws_write_request(text, sizeof text, &wrong), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_ws_write_request(text, 100, &request), CRE_ELIMIT);

    char accept[CRE_WS_ACCEPT_LENGTH + 1] = { 0 };
    cre_ws_accept(handshake.key, accept);
    const struct {
        const char *status, *lines, *accept;
        int error;
    } answers[] = {
        { "101 ", UP, accept, 0 },
        { "101 ", UP "Sec-WebSocket-Protocol: two\r\n", accept, 0 },
        { "200 ", UP, accept, CRE_EHTTP_HANDSHAKE_STATUS },
        { "101 ", "Connection: upgrade\r\n", accept, CRE_EHTTP_HANDSHAKE_UPGRADE },
        { "101 ", "Upgrade: websocket\r\n", accept, CRE_EHTTP_HANDSHAKE_CONNECTION },
        { "101 ", UP, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", CRE_EHTTP_HANDSHAKE_ACCEPT },
        { "101 ", UP, "", CRE_EHTTP_HANDSHAKE_ACCEPT },
        { "101 ", UP "Sec-WebSocket-Protocol: three\r\n", accept, CRE_EHTTP_HANDSHAKE_PROTOCOL },
        { "101 ", UP "Sec-WebSocket-Protocol: two\r\nSec-WebSocket-Protocol: chat\r\n", accept,
          CRE_EHTTP_HANDSHAKE_PROTOCOL },
        { "101 ", UP "Sec-WebSocket-Extensions: x\r\n", accept, CRE_EHTTP_HANDSHAKE_EXTENSION },
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        size = snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%sSec-WebSocket-Accept: %s\r\n\r\n",
                        answers[i].status, answers[i].lines, answers[i].accept);
        bytes = guard_place(&guard, text, (size_t)size);
        REQUIRE(cre_http_parse_response(bytes, (size_t)size, 0, NULL, CRE_HTTP_GET, &head, fields) == size);
        const cre_http_field *chosen;
        CHECK_EQ(cre_ws_response_check(&head, fields, bytes, key, "chat, two", NULL, &chosen),
                 answers[i].error);
        CHECK_EQ(chosen != NULL, i == 1);
    }
    CHECK_EQ(cre_ws_response_check(&head, fields, bytes, key, NULL, "x", NULL), 0);
    size = snprintf(text, sizeof text,
                    "HTTP/1.1 101 \r\n" UP "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: x;\r\n\r\n",
                    accept);
    bytes = guard_place(&guard, text, (size_t)size);
    REQUIRE(cre_http_parse_response(bytes, (size_t)size, 0, NULL, CRE_HTTP_GET, &head, fields) == size);
    CHECK_EQ(cre_ws_response_check(&head, fields, bytes, key, NULL, "x", NULL),
             CRE_EHTTP_HANDSHAKE_EXTENSION);
}

__attribute__((constructor)) static void make_guard(void) {
    guard = guard_make(4096);
}

TEST_MAIN()
