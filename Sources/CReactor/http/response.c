#include "http/response.h"

#include <creactor/error.h>
#include <creactor/http_date.h>
#include <creactor/http_write.h>
#include <limits.h>
#include <string.h>

#include "core/decimal.h"
#include "http/field_text.h"
#include "http/status.h"

static inline char *put(char *out, const char *text, size_t length) {
    memcpy(out, text, length);
    return out + length;
}

#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

_Static_assert(CRE__MAX_STATUS_LINE + sizeof "Date: \r\n" + CRE_HTTP_DATE_LENGTH +
                       sizeof "Content-Length: \r\n" + CRE__MAX_DECIMAL +
                       sizeof "Connection: keep-alive\r\n\r\n" <=
                   CRE__HTTP_RESPONSE_BASE,
               "the bound holds");

char *cre__http_response_tail(char *out, const cre__http_response *response, const char *date) {
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
    if (response->connection == CRE__CONNECTION_CLOSE)
        out = PUT(out, "Connection: close\r\n");
    else if (response->connection == CRE__CONNECTION_KEEP_ALIVE)
        out = PUT(out, "Connection: keep-alive\r\n");
    return PUT(out, "\r\n");
}

static inline cre__block no_test(cre__block block) {
    (void)block;
    return (cre__block){ 0 };
}

/* Writes the fields' lines and returns their end; NULL when the packing is damaged. Without `checked`,
 * *suspect is set when a field may be invalid. A Date among the fields sets *date to NULL. */
static inline __attribute__((always_inline)) char *put_fields(char *at, const cre__http_response *response,
                                                              bool checked, bool *suspect,
                                                              const char **date) {
    const uint8_t *field = response->fields;
    size_t left = response->fields_size;
    cre__block rejected = { 0 };
    while (left) {
        uint16_t lengths[2];
        if (left < sizeof lengths) return NULL;
        memcpy(lengths, field, sizeof lengths);
        size_t name_length = lengths[0], value_length = lengths[1];
        size_t size = sizeof lengths + name_length + value_length;
        if (left < size) return NULL;
        const uint8_t *name = field + sizeof lengths, *value = name + name_length;
        field += size;
        left -= size;
        /* An entry is as long as its line: the two lengths have the size of ": " and CRLF. */
        rejected |= cre__pass(at, name, name_length, checked ? no_test : cre__name_block);
        char *line = put(at + name_length, ": ", 2);
        rejected |= cre__pass(line, value, value_length, checked ? no_test : cre__value_block);
        if (!checked)
            *suspect |= !name_length || (value_length && (value[0] <= ' ' || value[value_length - 1] <= ' '));
        cre__field_kind kind = cre__field_kind_of(name, name_length);
        if (kind == CRE__FIELD_FRAMING) continue;
        if (kind == CRE__FIELD_DATE) *date = NULL;
        at = put(line + value_length, "\r\n", 2);
    }
    *suspect |= !checked && cre__block_any(rejected);
    return at;
}

int cre__http_response_write(char *out, const cre__http_response *response) {
    if (response->status - 100u > 899 || response->fields_size > INT_MAX / 2) return CRE_EINVALID;
    const char *date = response->date;
    bool suspect = false;
    char *at = cre__put_status_line(out, response->status);
    at = response->fields_checked ? put_fields(at, response, true, &suspect, &date)
                                  : put_fields(at, response, false, &suspect, &date);
    if (!at || suspect) {
        int error = cre_http_fields_check(response->fields, response->fields_size);
        if (error) return error;
    }
    return (int)(cre__http_response_tail(at, response, date) - out);
}
