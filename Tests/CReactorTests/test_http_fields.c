/* Packed fields, and the head of a response that a server writes from them. */
#include <creactor/http.h>

#include "http/chars.h"
#include "http/field_text.h"
#include "http/response.h"
#include "test.h"

static guard_page guard, output;

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

typedef struct list {
    uint8_t bytes[2000];
    size_t size;
} list;

static void add(list *to, const char *name, const char *value) {
    size_t size = cre_http_fields_put(to->bytes + to->size, sizeof to->bytes - to->size, name, strlen(name),
                                      value, strlen(value));
    REQUIRE(size == CRE_HTTP_FIELD_OVERHEAD + strlen(name) + strlen(value));
    to->size += size;
}

/* ---- texts ---- */

static bool value_allowed(const uint8_t *value, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7F) return false;
    return !length ||
           (value[0] != ' ' && value[0] != '\t' && value[length - 1] != ' ' && value[length - 1] != '\t');
}

static bool name_allowed(const uint8_t *name, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!cre__is(name[i], CRE__TOKEN)) return false;
    return length > 0;
}

/* Checking and packing in one pass does the same as both. */
static void check_added(const cre_http_header *field) {
    static const uint8_t zeros[100];
    uint8_t expected[100];
    const size_t size = cre_http_fields_put(expected, sizeof expected, field->name, field->name_length,
                                            field->value, field->value_length);
    uint8_t *out = guard_place(&output, zeros, size);
    const int result =
        cre_http_fields_add(out, size, field->name, field->name_length, field->value, field->value_length);
    CHECK_EQ(result, cre_http_header_valid(field) ? (int)size : CRE_EHTTP_INVALID_FIELD);
    if (result > 0) CHECK_MEM(out, expected, size);
}

/* Each byte at each place of names and values of each length, read and written up to a guard page. */
TEST(each_byte_at_each_place) {
    uint8_t text[40], copy[40];
    for (size_t length = 0; length <= sizeof text; length++) {
        for (size_t at = 0; at < length; at++) {
            for (unsigned byte = 0; byte < 256; byte += TEST_STRIDE) {
                memset(text, 'x', sizeof text);
                text[at] = (uint8_t)byte;
                uint8_t *in = guard_place(&guard, text, length);
                char *out = (char *)guard_place(&output, copy, length);
                cre_http_header name = { (char *)in, "", (uint32_t)length, 0 };
                cre_http_header value = { "a", (char *)in, 1, (uint32_t)length };
                bool good = name_allowed(text, length);
                if (cre_http_header_valid(&name) != good)
                    TEST_FAIL("name: byte %u at %zu of %zu", byte, at, length);
                if (!cre__block_any(cre__pass(out, in, length, cre__name_block))) CHECK(good);
                CHECK_MEM(out, text, length);
                good = value_allowed(text, length);
                if (cre_http_header_valid(&value) != good)
                    TEST_FAIL("value: byte %u at %zu of %zu", byte, at, length);
                memset(out, 0, length);
                bool rejected = cre__block_any(cre__pass(out, in, length, cre__value_block));
                CHECK_EQ(rejected, byte < 0x20 || byte == 0x7F);
                CHECK_MEM(out, text, length);
                check_added(&name);
                check_added(&value);
            }
        }
    }
    CHECK(!cre__name_valid("", 0));
    CHECK(cre__value_valid("", 0));
}

/* ---- packing ---- */

TEST(fields_are_packed_and_read) {
    list it = { .size = 0 };
    add(&it, "Content-Type", "text/plain");
    add(&it, "X", "");
    add(&it, "Set-Cookie", "a=b; Path=/");
    uint8_t *at = guard_place(&guard, it.bytes, it.size);
    const uint8_t *cursor = at, *end = at + it.size;
    cre_http_header field;
    static const char *const expected[][2] = { { "Content-Type", "text/plain" },
                                               { "X", "" },
                                               { "Set-Cookie", "a=b; Path=/" } };
    for (int i = 0; i < 3; i++) {
        REQUIRE(cre_http_fields_next(&cursor, end, &field));
        CHECK_EQ(field.name_length, strlen(expected[i][0]));
        CHECK_EQ(field.value_length, strlen(expected[i][1]));
        CHECK_MEM(field.name, expected[i][0], field.name_length);
        CHECK_MEM(field.value, expected[i][1], field.value_length);
    }
    CHECK(!cre_http_fields_next(&cursor, end, &field) && cursor == end);
    CHECK_EQ(cre_http_fields_check(at, it.size), 0);
    CHECK_EQ(cre_http_fields_check(NULL, 0), 0);
    uint8_t room[20];
    for (size_t capacity = 0; capacity < 7; capacity++) {
        CHECK_EQ(cre_http_fields_put(guard_place(&guard, room, capacity), capacity, "a", 1, "bc", 2), 0);
        CHECK_EQ(cre_http_fields_add(guard_place(&guard, room, capacity), capacity, "a", 1, "bc", 2),
                 CRE_ELIMIT);
    }
    CHECK_EQ(cre_http_fields_put(guard_place(&guard, room, 7), 7, "a", 1, "bc", 2), 7);
    static char large[65536];
    static uint8_t big[2 * 65536 + 4];
    CHECK_EQ(cre_http_fields_put(big, sizeof big, large, 65536, "", 0), 0);
    CHECK_EQ(cre_http_fields_put(big, sizeof big, "", 0, large, 65536), 0);
    CHECK_EQ(cre_http_fields_add(big, sizeof big, large, 65536, "", 0), CRE_ELIMIT);
    CHECK_EQ(cre_http_fields_add(big, sizeof big, "a", 1, large, 65536), CRE_ELIMIT);
    CHECK_EQ(cre_http_fields_add(big, sizeof big, NULL, 0, NULL, 0), CRE_EHTTP_INVALID_FIELD);
    CHECK_EQ(cre_http_fields_put(big, sizeof big, large, 65535, large, 65535), 4 + 2 * 65535);
}

static int write_to_guard(cre__http_response *response, const uint8_t *fields, size_t size) {
    response->fields = guard_place(&guard, fields, size);
    response->fields_size = size;
    static const uint8_t zeros[4096];
    char first[4096];
    size_t room = cre__http_response_room(response);
    char *out = (char *)guard_place(&output, zeros, room);
    response->fields_checked = false;
    int result = cre__http_response_write(out, response);
    if (result < 0) return result;
    /* Without the check it writes the same. */
    memcpy(first, out, (size_t)result);
    out = (char *)guard_place(&output, zeros, room);
    response->fields_checked = true;
    CHECK_EQ(cre__http_response_write(out, response), result);
    CHECK_MEM(out, first, (size_t)result);
    return result;
}

/* A list that is cut anywhere, and every length in it changed to every other: the check and the writer agree,
 * and never look behind it. */
TEST(damaged_lists) {
    list it = { .size = 0 };
    add(&it, "Ab", "c");
    add(&it, "Date", "now");
    cre__http_response response = { .status = 200, .date = DATE };
    for (size_t size = 0; size < it.size; size++) {
        int expected = size == 0 || size == 7 ? 0 : CRE_EINVALID;
        CHECK_EQ(cre_http_fields_check(guard_place(&guard, it.bytes, size), size), expected);
        int written = write_to_guard(&response, it.bytes, size);
        CHECK_EQ(written < 0 ? written : 0, expected);
    }
    for (size_t at = 0; at < it.size; at++) {
        list damaged = it;
        for (unsigned byte = 0; byte < 256; byte++) {
            damaged.bytes[at] = (uint8_t)byte;
            response.fields_checked = true; /* damage is noticed all the same, and nothing behind it read */
            response.fields = guard_place(&guard, damaged.bytes, it.size);
            response.fields_size = it.size;
            static const uint8_t zeros[CRE__HTTP_RESPONSE_BASE + 100];
            REQUIRE(cre__http_response_room(&response) <= sizeof zeros);
            char *out = (char *)guard_place(&output, zeros, cre__http_response_room(&response));
            int unchecked = cre__http_response_write(out, &response);
            int expected = cre_http_fields_check(guard_place(&guard, damaged.bytes, it.size), it.size);
            CHECK(expected != CRE_EINVALID || unchecked < 0);
            int written = write_to_guard(&response, damaged.bytes, it.size);
            CHECK_EQ(written < 0 ? written : 0, expected);
        }
    }
}

TEST(invalid_fields_are_refused) {
    static const char *const refused[][2] = { { "", "a" },           { "a b", "a" },  { "a:", "a" },
                                              { "a\r\nb", "c" },     { "a", "\r\n" }, { "a", "b\r\nc: d" },
                                              { "a", "b\nc" },       { "a", " b" },   { "a", "b\t" },
                                              { "\xc3\xa4", "b" },   { "a", "\x7f" }, { "a", "\x1b[" },
                                              { "connection", "\n" } };
    cre__http_response response = { .status = 200 };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        list it = { .size = 0 };
        add(&it, "Good", "good");
        add(&it, refused[i][0], refused[i][1]);
        CHECK_EQ(cre_http_fields_check(it.bytes, it.size), CRE_EHTTP_INVALID_FIELD);
        CHECK_EQ(write_to_guard(&response, it.bytes, it.size), CRE_EHTTP_INVALID_FIELD);
    }
}

/* ---- lines ---- */

static int write_lines(const char *lines, char *text) {
    size_t size = strlen(lines);
    static const uint8_t zeros[4096];
    cre__http_response response = { .status = 200,
                                    .date = DATE,
                                    .fields = guard_place(&guard, (const uint8_t *)lines, size),
                                    .fields_size = size,
                                    .field_lines = true };
    char *out = (char *)guard_place(&output, zeros, cre__http_response_room(&response));
    int result = cre__http_response_write(out, &response);
    if (result > 0) {
        memcpy(text, out, (size_t)result);
        text[result] = 0;
    }
    return result;
}

#define OK   "HTTP/1.1 200 OK\r\n"
#define TAIL "Date: " DATE "\r\n\r\n"

TEST(lines) {
    static const char *const written[][2] = {
        { "", OK TAIL },
        { "A: b\r\n", OK "A: b\r\n" TAIL },
        { "Empty:\r\nEmpty: \r\n", OK "Empty: \r\nEmpty: \r\n" TAIL },
        { "a:b\r\nb:   c\r\nc:d:e\r\n", OK "a: b\r\nb: c\r\nc: d:e\r\n" TAIL },
        { "X-1: a\tb\r\nY_2: \xc3\xa4\r\n", OK "X-1: a\tb\r\nY_2: \xc3\xa4\r\n" TAIL },
        { "Date: now\r\nA: b\r\n", OK "Date: now\r\nA: b\r\n\r\n" },
        { "Content-Length: 5\r\nCONNECTION:close\r\nA: b\r\n", OK "A: b\r\n" TAIL },
    };
    char text[4096];
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        CHECK_EQ(write_lines(written[i][0], text), (int)strlen(written[i][1]));
        CHECK_STR(text, written[i][1]);
    }
}

TEST(malformed_lines_are_refused) {
    static const struct {
        const char *lines;
        int error;
    } refused[] = {
        { "A", CRE_EINVALID },
        { "A\r\n", CRE_EINVALID },
        { "A: b", CRE_EINVALID },
        { "A: b\r", CRE_EINVALID },
        { "A: b\n", CRE_EINVALID },
        { "A: b\rc\r\n", CRE_EINVALID },
        { "\r\nA: b\r\n", CRE_EINVALID },
        { "no colon\r\nA: b\r\n", CRE_EINVALID },
        { "A: b\r\nno colon\r\n", CRE_EINVALID },
        { "A: b\r\n\r\n", CRE_EINVALID },
        { ": b\r\n", CRE_EHTTP_INVALID_FIELD },
        { "A : b\r\n", CRE_EHTTP_INVALID_FIELD },
        { "A: b \r\n", CRE_EHTTP_INVALID_FIELD },
        { "A:\tb\r\n", CRE_EHTTP_INVALID_FIELD },
        { "A: b\nc: d\r\n", CRE_EHTTP_INVALID_FIELD },
        { "A\nB: c\r\n", CRE_EHTTP_INVALID_FIELD },
        { "A: \x7f\r\n", CRE_EHTTP_INVALID_FIELD },
        { "Connection: \x01\r\n", CRE_EHTTP_INVALID_FIELD },
    };
    char text[4096];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_EQ(write_lines(refused[i].lines, text), refused[i].error);
}

/* ---- heads ---- */

static void head(cre__http_response response, const list *fields, const char *expected) {
    response.fields = fields->bytes;
    response.fields_size = fields->size;
    char out[2500];
    size_t room = cre__http_response_room(&response);
    REQUIRE(room < sizeof out);
    memset(out, '#', sizeof out);
    int size = cre__http_response_write(out, &response);
    REQUIRE(size > 0 && (size_t)size <= room);
    for (size_t i = room; i < sizeof out; i++)
        CHECK_EQ(out[i], '#');
    out[size] = 0;
    CHECK_STR(out, expected);
    write_to_guard(&response, fields->bytes, fields->size);
}

TEST(heads) {
    list none = { .size = 0 }, two = { .size = 0 }, all = { .size = 0 };
    add(&two, "Content-Type", "text/plain; charset=utf-8");
    add(&two, "x_y", "tab\there");
    add(&all, "content-LENGTH", "1");
    add(&all, "Server", "mine");
    add(&all, "Transfer-Encoding", "gzip");
    add(&all, "DATE", "now");
    add(&all, "Connection", "upgrade");
    add(&all, "Connections", "kept");
    head((cre__http_response){ .status = 200 }, &none, "HTTP/1.1 200 OK\r\n\r\n");
    head((cre__http_response){ .status = 200, .date = DATE, .framing = CRE__FRAMED_BY_LENGTH }, &two,
         "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nx_y: tab\there\r\nDate: " DATE
         "\r\nContent-Length: 0\r\n\r\n");
    head((cre__http_response){ .status = 404,
                               .date = DATE,
                               .framing = CRE__FRAMED_BY_LENGTH,
                               .length = UINT64_MAX,
                               .connection = CRE__CONNECTION_KEEP_ALIVE },
         &all,
         "HTTP/1.1 404 Not Found\r\nServer: mine\r\nDATE: now\r\nConnections: kept\r\n"
         "Content-Length: 18446744073709551615\r\nConnection: keep-alive\r\n\r\n");
    head((cre__http_response){ .status = 299,
                               .framing = CRE__FRAMED_BY_CHUNKS,
                               .connection = CRE__CONNECTION_CLOSE },
         &none, "HTTP/1.1 299 Unknown\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    for (int framing = 0; framing < 3; framing++) {
        head((cre__http_response){ .status = 204, .framing = (uint8_t)framing }, &none,
             "HTTP/1.1 204 No Content\r\n\r\n");
        head((cre__http_response){ .status = 103, .framing = (uint8_t)framing }, &none,
             "HTTP/1.1 103 Early Hints\r\n\r\n");
    }
    CHECK_EQ(cre__http_response_write(NULL, &(cre__http_response){ .status = 99 }), CRE_EINVALID);
    CHECK_EQ(cre__http_response_write(NULL, &(cre__http_response){ .status = 1000 }), CRE_EINVALID);
}

/* Every status with everything that can be written stays within the bound. */
TEST(the_bound_holds_for_every_status) {
    for (unsigned status = 100; status < 1000; status++) {
        cre__http_response response = { .status = (uint16_t)status,
                                        .framing = CRE__FRAMED_BY_LENGTH,
                                        .length = UINT64_MAX,
                                        .connection = CRE__CONNECTION_KEEP_ALIVE,
                                        .date = DATE };
        char start[64];
        int size = write_to_guard(&response, NULL, 0);
        CHECK(size > 0 && size <= CRE__HTTP_RESPONSE_BASE);
        int length =
            snprintf(start, sizeof start, "HTTP/1.1 %u %s\r\n", status, cre_http_reason((int)status));
        CHECK_MEM(output.map + output.size - CRE__HTTP_RESPONSE_BASE, start, (size_t)length);
    }
}

__attribute__((constructor)) static void make_guards(void) {
    guard = guard_make(4096);
    output = guard_make(4096);
}

TEST_MAIN()
