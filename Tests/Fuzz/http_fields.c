/*
 * Packed fields: the check, the iterator and both ways to write a response agree, and what is written is a
 * head that the parser accepts; so is what is written of field lines.
 */
#include <creactor/error.h>
#include <creactor/http.h>
#include <stdlib.h>
#include <string.h>

#include "http/response.h"

#define REQUIRE(condition)         \
    do {                           \
        if (!(condition)) abort(); \
    } while (0)

static int each_valid(const uint8_t *data, size_t size) {
    const uint8_t *cursor = data, *end = data + size;
    cre_http_header field;
    int result = 0;
    while (cre_http_fields_next(&cursor, end, &field)) {
        REQUIRE((const uint8_t *)field.value + field.value_length == cursor && cursor <= end);
        if (!cre_http_header_valid(&field)) result = CRE_EHTTP_INVALID_FIELD;
    }
    return result ? result : cursor == end ? 0 : CRE_EINVALID;
}

/* The same input as lines: what is written from them is a head that the parser accepts. */
static void write_lines(const uint8_t *data, size_t size, cre_http_field *fields,
                        const cre_http_limits *limits) {
    cre__http_response response = { .status = 200,
                                    .framing = CRE__FRAMED_BY_CHUNKS,
                                    .fields = data,
                                    .fields_size = size,
                                    .field_lines = true };
    size_t room = cre__http_response_room(&response);
    char *out = malloc(room);
    REQUIRE(out);
    int length = cre__http_response_write(out, &response);
    REQUIRE(length > 0 || length == CRE_EINVALID || length == CRE_EHTTP_INVALID_FIELD);
    if (length > 0) {
        REQUIRE((size_t)length <= room);
        cre_http_head head;
        int parsed =
            cre_http_parse_response((uint8_t *)out, (size_t)length, 0, limits, CRE_HTTP_GET, &head, fields);
        REQUIRE(parsed == length || parsed == CRE_EHTTP_TOO_MANY_FIELDS);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static cre_http_field fields[1000];
    const cre_http_limits limits = { .max_fields = 1000 };
    if (size > 30000) return 0;
    write_lines(data, size, fields, &limits);
    int expected = cre_http_fields_check(data, size);
    REQUIRE(expected == each_valid(data, size));
    cre__http_response response = { .status = 200,
                                    .framing = CRE__FRAMED_BY_LENGTH,
                                    .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                                    .fields = data,
                                    .fields_size = size };
    size_t room = cre__http_response_room(&response);
    char *out = malloc(room);
    REQUIRE(out);
    int length = cre__http_response_write(out, &response);
    REQUIRE((length < 0 ? length : 0) == expected);
    if (length > 0) {
        REQUIRE((size_t)length <= room);
        cre_http_head head;
        int parsed =
            cre_http_parse_response((uint8_t *)out, (size_t)length, 0, &limits, CRE_HTTP_GET, &head, fields);
        REQUIRE(parsed == length || parsed == CRE_EHTTP_TOO_MANY_FIELDS);
        char *again = malloc(room);
        REQUIRE(again);
        response.fields_checked = true;
        REQUIRE(cre__http_response_write(again, &response) == length &&
                memcmp(out, again, (size_t)length) == 0);
        free(again);
    }
    free(out);
    return 0;
}
