#include "http/response.h"

#include <creactor/error.h>
#include <creactor/http_date.h>
#include <creactor/http_write.h>
#include <limits.h>
#include <string.h>

#include "core/decimal.h"
#include "core/memory.h"
#include "http/field_text.h"
#include "http/status.h"

static inline char *put(char *out, const char *text, size_t length) {
    memcpy(out, text, length);
    return out + length;
}

#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

/* The type of a text for which the fields have none. */
#define CONTENT_TYPE "Content-Type: text/plain; charset=utf-8\r\n"

_Static_assert(CRE__MAX_STATUS_LINE + sizeof "Date: \r\n" + CRE_HTTP_DATE_LENGTH + sizeof CONTENT_TYPE +
                       sizeof "Content-Length: \r\n" + CRE__MAX_DECIMAL +
                       sizeof "Connection: upgrade, close\r\n\r\n" <=
                   CRE__HTTP_RESPONSE_BASE,
               "the bound holds");

static inline char *put_tail(char *out, const cre__http_response *response, const char *date) {
    if (date) {
        out = PUT(out, "Date: ");
        out = put(out, date, CRE_HTTP_DATE_LENGTH);
        out = PUT(out, "\r\n");
    }
    /* 1xx and 204 have no body and must not have fields that frame one. */
    bool bodiless = response->status < 200 || response->status == 204;
    if (bodiless) {
    } else if (response->framing == CRE__FRAMED_BY_LENGTH) {
        out = PUT(out, "Content-Length: ");
        out = cre__put_decimal(out, response->length);
        out = PUT(out, "\r\n");
    } else if (response->framing == CRE__FRAMED_BY_CHUNKS) {
        out = PUT(out, "Transfer-Encoding: chunked\r\n");
    }
    if (response->status == 426) /* an Upgrade field must be named by Connection */
        out = response->connection == CRE__CONNECTION_CLOSE ? PUT(out, "Connection: upgrade, close\r\n")
                                                            : PUT(out, "Connection: upgrade\r\n");
    else if (response->connection == CRE__CONNECTION_CLOSE)
        out = PUT(out, "Connection: close\r\n");
    else if (response->connection == CRE__CONNECTION_KEEP_ALIVE)
        out = PUT(out, "Connection: keep-alive\r\n");
    return PUT(out, "\r\n");
}

char *cre__http_response_tail(char *out, const cre__http_response *response, const char *date) {
    return put_tail(out, response, date);
}

static inline cre__block no_test(cre__block block) {
    (void)block;
    return (cre__block){ 0 };
}

/* A field, in either form. */
typedef struct field {
    const uint8_t *name, *value;
    size_t name_length, value_length;
} field;

/* The forms of fields that put_fields is compiled for. */
typedef enum form { LINES, PACKED, CHECKED } form;

/* Reads the field at *cursor and moves that behind it. False: it is malformed. */
static inline __attribute__((always_inline)) bool next_field(const uint8_t **cursor, const uint8_t *end,
                                                             form kind, field *out) {
    const uint8_t *at = *cursor;
    size_t left = (size_t)(end - at);
    if (kind == LINES) {
        const uint8_t *colon = memchr(at, ':', left);
        if (!colon) return false;
        const uint8_t *value = colon + 1;
        while (value < end && *value == ' ')
            value++;
        const uint8_t *line_end = memchr(value, '\r', (size_t)(end - value));
        if (!line_end || end - line_end < 2 || line_end[1] != '\n') return false;
        *out = (field){ at, value, (size_t)(colon - at), (size_t)(line_end - value) };
        *cursor = line_end + 2;
        return true;
    }
    uint16_t lengths[2];
    if (left < sizeof lengths) return false;
    memcpy(lengths, at, sizeof lengths);
    at += sizeof lengths;
    if (left - sizeof lengths < (size_t)lengths[0] + lengths[1]) return false;
    *out = (field){ at, at + lengths[0], lengths[0], lengths[1] };
    *cursor = at + lengths[0] + lengths[1];
    return true;
}

/* Whether the name of a valid field is "Content-Type". Setting bit 5 turns no other token into it. */
static inline bool is_content_type(const uint8_t *name, size_t length) {
    uint64_t start, wanted_start;
    uint32_t rest, wanted_rest;
    if (length != 12) return false;
    memcpy(&start, name, 8);
    memcpy(&rest, name + 8, 4);
    memcpy(&wanted_start, "content-", 8);
    memcpy(&wanted_rest, "type", 4);
    return (start | UINT64_C(0x2020202020202020)) == wanted_start &&
           (rest | UINT32_C(0x20202020)) == wanted_rest;
}

/* Writes the fields' lines and returns their end; NULL when a field is malformed. *suspect is set when one
 * may be invalid, except for those that were checked. A Date among the fields sets *date to NULL, a
 * Content-Type *text to false. */
static inline __attribute__((always_inline)) char *put_fields(char *at, const cre__http_response *response,
                                                              form kind, bool *suspect, const char **date,
                                                              bool *text) {
    const uint8_t *cursor = response->fields, *end = cursor + response->fields_size;
    const bool checked = kind == CHECKED;
    cre__block rejected = { 0 };
    field next;
    while (cursor != end) {
        if (!next_field(&cursor, end, kind, &next)) return NULL;
        /* A packed field is as long as its line: the two lengths have the size of ": " and CRLF. */
        rejected |= cre__pass(at, next.name, next.name_length, checked ? no_test : cre__name_block);
        char *value = put(at + next.name_length, ": ", 2);
        rejected |= cre__pass(value, next.value, next.value_length, checked ? no_test : cre__value_block);
        /* The copies are looked at: the fields may be in memory that another process writes. */
        const uint8_t *name = (const uint8_t *)at, *copy = (const uint8_t *)value;
        if (!checked)
            *suspect |= !next.name_length ||
                        (next.value_length && (copy[0] <= ' ' || copy[next.value_length - 1] <= ' '));
        cre__field_kind role = cre__field_kind_of(name, next.name_length);
        if (role == CRE__FIELD_FRAMING) continue;
        if (role == CRE__FIELD_DATE) *date = NULL;
        if (*text && is_content_type(name, next.name_length)) *text = false;
        at = put(value + next.value_length, "\r\n", 2);
    }
    *suspect |= !checked && cre__block_any(rejected);
    return at;
}

/* Finds what is wrong with lines that may be. */
static int check_lines(const cre__http_response *response) {
    const uint8_t *cursor = response->fields, *end = cursor + response->fields_size;
    field next;
    while (cursor != end) {
        if (!next_field(&cursor, end, LINES, &next) || memchr(next.name, '\r', next.name_length))
            return CRE_EINVALID; /* a line without a colon looks like a part of the next one's name */
        if (!cre__name_valid(next.name, next.name_length) || !cre__value_valid(next.value, next.value_length))
            return CRE_EHTTP_INVALID_FIELD;
    }
    return 0;
}

/* Writes a response one of whose packed fields may be invalid: it checks a copy of them, which no other
 * process can change, and writes that. */
static __attribute__((noinline)) int write_copy(char *out, const cre__http_response *response) {
    uint8_t *fields = cre__malloc(response->fields_size);
    if (!fields) return CRE_ENOMEM;
    cre__http_response own = *response;
    own.fields = memcpy(fields, response->fields, response->fields_size);
    own.fields_checked = true;
    int result = cre_http_fields_check(fields, response->fields_size);
    if (!result) result = cre__http_response_write(out, &own);
    cre__free(fields);
    return result;
}

int cre__http_response_write(char *out, const cre__http_response *response) {
    if (response->status - 100u > 899 || response->fields_size > INT_MAX / 2) return CRE_EINVALID;
    const char *date = response->date;
    bool suspect = false, text = response->text;
    char *at =
        response->status == 200 ? PUT(out, CRE__STATUS_LINE_OK) : cre__put_status_line(out, response->status);
    at = response->field_lines      ? put_fields(at, response, LINES, &suspect, &date, &text)
         : response->fields_checked ? put_fields(at, response, CHECKED, &suspect, &date, &text)
                                    : put_fields(at, response, PACKED, &suspect, &date, &text);
    if (!at || suspect) {
        if (!response->field_lines)
            return response->fields_checked ? CRE_EINVALID : write_copy(out, response);
        int error = check_lines(response);
        if (error) return error;
        if (!at) return CRE_EINVALID;
    }
    if (text) at = PUT(at, CONTENT_TYPE);
    return (int)(put_tail(at, response, date) - out);
}
