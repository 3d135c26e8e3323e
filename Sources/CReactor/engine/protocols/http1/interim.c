/* Interim responses (1xx), which precede the response to a request. */
#include <creactor/http_write.h>
#include <string.h>

#include "engine/protocols/http1/http1.h"
#include "http/field_text.h"
#include "http/status.h"

uint8_t *cre__http1_put_fields(uint8_t *at, const cre_slice *fields) {
    const uint8_t *cursor = fields->data, *end = cursor + fields->length;
    cre_http_header field;
    while (cre_http_fields_next(&cursor, end, &field)) {
        if (cre__field_kind_of(field.name, field.name_length) == CRE__FIELD_FRAMING) continue;
        memcpy(at, field.name, field.name_length);
        at += field.name_length;
        memcpy(at, ": ", 2);
        at += 2;
        if (field.value_length) memcpy(at, field.value, field.value_length);
        at += field.value_length;
        memcpy(at, "\r\n", 2);
        at += 2;
    }
    memcpy(at, "\r\n", 2);
    return at + 2;
}

int cre__http1_respond_interim(cre__conn *conn, const cre__response *response, cre__policy policy) {
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    if (!response->checked) {
        int result = cre_http_fields_check(response->fields.data, response->fields.length);
        if (result) return result;
    }
    if (conn->transport.carried)
        return cre__conn_carrier(conn)->send_head(conn, &(cre__head){ .response = response });
    /* HTTP/1.0 has no such responses (RFC 9110 section 15.2) */
    if (cre__http1_of(conn)->first_traits & CRE__HTTP_1_0) return 0;
    /* The packed form of a field is as long as its line. */
    size_t most = CRE__MAX_STATUS_LINE + response->fields.length + 2;
    int result = cre__conn_accept(conn, most, policy);
    if (result) return result;
    uint8_t *start = cre__conn_room(conn, most);
    if (!start) return CRE_ENOMEM;
    uint8_t *at = (uint8_t *)cre__put_status_line((char *)start, response->status);
    at = cre__http1_put_fields(at, &response->fields);
    cre__queue_commit(&conn->transport, (size_t)(at - start));
    return 0;
}
