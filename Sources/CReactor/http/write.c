/* Heads of responses and requests. */
#include <creactor/http_date.h>
#include <creactor/http_write.h>

#include "chars.h"
#include "out.h"

void cre__put_number(cre__out *out, uint64_t number) {
    char digits[20], *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    cre__put(out, at, (size_t)(digits + sizeof digits - at));
}

static bool value_valid(const char *value, size_t length) {
    if (!length) return true;
    if (value[0] == ' ' || value[0] == '\t' || value[length - 1] == ' ' || value[length - 1] == '\t')
        return false;
    return cre__all(value, length, CRE__VALUE);
}

bool cre_http_header_valid(const cre_http_header *field) {
    return field->name_length && cre__all(field->name, field->name_length, CRE__TOKEN) &&
           value_valid(field->value, field->value_length);
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
    if (!value_valid(value, length)) {
        if (!out->error) out->error = CRE_EHTTP_INVALID_FIELD;
        return;
    }
    cre__put_string(out, name);
    cre__put_text(out, ": ");
    cre__put(out, value, length);
    cre__put_text(out, "\r\n");
}

bool cre__frames_message(const cre_http_header *field) {
    switch (field->name_length) {
    case 10: return cre__same(field->name, "connection", 10);
    case 14: return cre__same(field->name, "content-length", 14);
    case 17: return cre__same(field->name, "transfer-encoding", 17);
    default: return false;
    }
}

static void put_length(cre__out *out, bool chunked, bool has_length, uint64_t length) {
    if (chunked) cre__put_text(out, "Transfer-Encoding: chunked\r\n");
    if (!has_length) return;
    cre__put_text(out, "Content-Length: ");
    cre__put_number(out, length);
    cre__put_text(out, "\r\n");
}

int cre_http_write_response(char *room, size_t capacity, const cre_http_response *response) {
    const unsigned status = response->status;
    if (status < 100 || status > 999) return CRE_EINVALID;
    if (response->chunked && (response->has_length || response->minor == 0)) return CRE_EINVALID;
    cre__out out = cre__out_make(room, capacity);
    if (status == 200 && !response->reason) {
        cre__put_text(&out, "HTTP/1.1 200 OK\r\n");
    } else {
        const char *reason = response->reason ? response->reason : cre_http_reason((int)status);
        cre__put_text(&out, "HTTP/1.1 ");
        cre__put_number(&out, status);
        cre__put_text(&out, " ");
        size_t length = strlen(reason);
        if (!value_valid(reason, length)) return CRE_EHTTP_INVALID_FIELD;
        cre__put(&out, reason, length);
        cre__put_text(&out, "\r\n");
    }

    bool date = response->date != NULL, server = response->server != NULL;
    for (size_t i = 0; i < response->field_count; i++) {
        const cre_http_header *field = &response->fields[i];
        if (cre__frames_message(field)) continue;
        if (cre__is_word(field->name, field->name_length, "date"))
            date = false;
        else if (cre__is_word(field->name, field->name_length, "server"))
            server = false;
        cre__put_field(&out, field);
    }
    if (server) cre__put_named(&out, "Server", response->server);
    if (date) {
        cre__put_text(&out, "Date: ");
        cre__put(&out, response->date, CRE_HTTP_DATE_LENGTH);
        cre__put_text(&out, "\r\n");
    }
    /* neither 1xx nor 204 may have a body, so neither may say how long it is */
    if (status >= 200 && status != 204)
        put_length(&out, response->chunked, response->has_length, response->content_length);
    if (!response->keep_alive)
        cre__put_text(&out, "Connection: close\r\n");
    else if (response->minor == 0)
        cre__put_text(&out, "Connection: keep-alive\r\n");
    cre__put_text(&out, "\r\n");
    return cre__out_result(&out);
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
    for (size_t i = 0; i < request->field_count; i++) {
        const cre_http_header *field = &request->fields[i];
        if (cre__frames_message(field) || cre__is_word(field->name, field->name_length, "host")) continue;
        cre__put_field(&out, field);
    }
    put_length(&out, request->chunked, request->has_length, request->content_length);
    if (request->close) cre__put_text(&out, "Connection: close\r\n");
    cre__put_text(&out, "\r\n");
    return cre__out_result(&out);
}

const char *cre_http_reason(int status) {
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 208: return "Already Reported";
    case 226: return "IM Used";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 305: return "Use Proxy";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 506: return "Variant Also Negotiates";
    case 507: return "Insufficient Storage";
    case 508: return "Loop Detected";
    case 511: return "Network Authentication Required";
    default: return "Unknown";
    }
}
