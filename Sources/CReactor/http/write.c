/* Heads of responses and requests. */
#include <creactor/http_date.h>
#include <creactor/http_write.h>

#include "chars.h"
#include "core/decimal.h"
#include "field_text.h"
#include "out.h"
#include "response.h"
#include "status.h"

void cre__put_number(cre__out *out, uint64_t number) {
    char digits[CRE__MAX_DECIMAL];
    cre__put(out, digits, (size_t)(cre__put_decimal(digits, number) - digits));
}

void cre__put_field(cre__out *out, const cre_http_header *field) {
    if (!cre_http_header_valid(field)) {
        if (!out->error) out->error = CRE_EHTTP_INVALID_FIELD;
        return;
    }
    cre__put(out, field->name, field->name_length);
    cre__put_text(out, ": ");
    cre__put(out, field->value, field->value_length);
    cre__put_text(out, "\r\n");
}

void cre__put_named(cre__out *out, const char *name, const char *value) {
    if (!value) return;
    size_t length = strlen(value);
    if (!cre__value_valid(value, length)) {
        if (!out->error) out->error = CRE_EHTTP_INVALID_FIELD;
        return;
    }
    cre__put_string(out, name);
    cre__put_text(out, ": ");
    cre__put(out, value, length);
    cre__put_text(out, "\r\n");
}

bool cre__frames_message(const cre_http_header *field) {
    return cre__field_kind_of(field->name, field->name_length) == CRE__FIELD_FRAMING;
}

static void put_status_line(cre__out *out, const cre_http_response *response) {
    char line[CRE__MAX_STATUS_LINE];
    if (!response->reason) {
        cre__put(out, line, (size_t)(cre__put_status_line(line, response->status) - line));
        return;
    }
    cre__put_text(out, "HTTP/1.1 ");
    cre__put_number(out, response->status);
    cre__put_text(out, " ");
    size_t length = strlen(response->reason);
    if (!cre__value_valid(response->reason, length)) out->error = CRE_EHTTP_INVALID_FIELD;
    cre__put(out, response->reason, length);
    cre__put_text(out, "\r\n");
}

int cre_http_write_response(char *room, size_t capacity, const cre_http_response *response) {
    if (response->status < 100 || response->status > 999) return CRE_EINVALID;
    if (response->chunked && (response->has_length || response->minor == 0)) return CRE_EINVALID;
    cre__out out = cre__out_make(room, capacity);
    cre__http_response rest = {
        .status = response->status,
        .framing = response->chunked      ? CRE__FRAMED_BY_CHUNKS
                   : response->has_length ? CRE__FRAMED_BY_LENGTH
                                          : CRE__FRAMED_BY_NOTHING,
        .connection = !response->keep_alive  ? CRE__CONNECTION_CLOSE
                      : response->minor == 0 ? CRE__CONNECTION_KEEP_ALIVE
                                             : CRE__CONNECTION_DEFAULT,
        .length = response->content_length,
    };
    const char *date = response->date, *server = response->server;
    put_status_line(&out, response);
    for (size_t i = 0; i < response->field_count; i++) {
        const cre_http_header *field = &response->fields[i];
        switch (cre__field_kind_of(field->name, field->name_length)) {
        case CRE__FIELD_FRAMING: continue;
        case CRE__FIELD_DATE: date = NULL; break;
        case CRE__FIELD_SERVER: server = NULL; break;
        case CRE__FIELD_OTHER: break;
        }
        cre__put_field(&out, field);
    }
    cre__put_named(&out, "Server", server);
    char tail[CRE__HTTP_RESPONSE_BASE];
    cre__put(&out, tail, (size_t)(cre__http_response_tail(tail, &rest, date) - tail));
    return cre__out_result(&out);
}

static void put_length(cre__out *out, bool chunked, bool has_length, uint64_t length) {
    if (chunked) cre__put_text(out, "Transfer-Encoding: chunked\r\n");
    if (!has_length) return;
    cre__put_text(out, "Content-Length: ");
    cre__put_number(out, length);
    cre__put_text(out, "\r\n");
}

int cre_http_write_request(char *room, size_t capacity, const cre_http_request *request) {
    const size_t method = strlen(request->method), target = strlen(request->target),
                 host = strlen(request->host);
    if (request->chunked && request->has_length) return CRE_EINVALID;
    if (!method || !cre__all(request->method, method, CRE__TOKEN) || !target ||
        !cre__all(request->target, target, CRE__TARGET) || !cre__all(request->host, host, CRE__TARGET))
        return CRE_EHTTP_INVALID_FIELD;
    cre__out out = cre__out_make(room, capacity);
    cre__put(&out, request->method, method);
    cre__put_text(&out, " ");
    cre__put(&out, request->target, target);
    cre__put_text(&out, " HTTP/1.1\r\nHost: ");
    cre__put(&out, request->host, host);
    cre__put_text(&out, "\r\n");
    bool has_te = false;
    for (size_t i = 0; i < request->field_count; i++) {
        const cre_http_header *field = &request->fields[i];
        if (cre__frames_message(field) || cre__is_word(field->name, field->name_length, "host")) continue;
        has_te |= cre__is_word(field->name, field->name_length, "te");
        cre__put_field(&out, field);
    }
    put_length(&out, request->chunked, request->has_length, request->content_length);
    /* RFC 9110 section 10.1.4: TE is for the next server only, and must be named here. */
    if (request->close || has_te) {
        cre__put_text(&out, "Connection: ");
        cre__put_string(&out, !has_te ? "close" : request->close ? "close, TE" : "TE");
        cre__put_text(&out, "\r\n");
    }
    cre__put_text(&out, "\r\n");
    return cre__out_result(&out);
}

int cre_http_write_last_chunk(char *room, size_t capacity, const cre_http_header *trailers, size_t count) {
    cre__out out = cre__out_make(room, capacity);
    cre__put_text(&out, "0\r\n");
    for (size_t i = 0; i < count; i++) {
        const cre_http_header *field = &trailers[i];
        if (cre__frames_message(field) || cre__is_word(field->name, field->name_length, "host") ||
            cre__is_word(field->name, field->name_length, "trailer"))
            return CRE_EHTTP_INVALID_FIELD;
        cre__put_field(&out, field);
    }
    cre__put_text(&out, "\r\n");
    return cre__out_result(&out);
}
