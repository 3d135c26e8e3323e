/* Answers to HTTP requests: status line, the engine's own fields, whole bodies, error pages. */
#include <string.h>
#include <time.h>

#include "engine/engine_internal.h"

static const char *current_date(cre_engine *engine) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != engine->date_second) {
        engine->date_second = now.tv_sec;
        cre_http_date(engine->date, now.tv_sec);
    }
    return engine->date;
}

static char *put(char *at, const char *text, size_t length) {
    memcpy(at, text, length);
    return at + length;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_number(char *at, uint64_t number) {
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n)
        *at++ = digits[--n];
    return at;
}

size_t cre__http_write_head(cre__conn *conn, char *out, const cre_response *response, uint64_t length,
                            bool keep_alive) {
    int status = response->status;
    /* What a 304 says of a length is that of the 200 it stands for, which is known only when it is given. */
    bool bodiless = status == 204 || (status == 304 && length == 0);
    char *at;
    if (status == 200) {
        at = PUT(out, "HTTP/1.1 200 OK\r\n");
    } else {
        const char *reason = cre_http_reason(status);
        at = PUT(out, "HTTP/1.1 ");
        at = put_number(at, (uint64_t)status);
        *at++ = ' ';
        at = put(at, reason, strlen(reason));
        at = PUT(at, "\r\n");
    }
    if (!(response->flags & CRE_RESPONSE_HAS_DATE)) {
        at = PUT(at, "Date: ");
        at = put(at, current_date(conn->engine), CRE_HTTP_DATE_LENGTH);
        at = PUT(at, "\r\n");
    }
    if (length == CRE__HTTP_LENGTH_CHUNKED) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    } else if (!bodiless && length != CRE__HTTP_LENGTH_OPEN) {
        at = PUT(at, "Content-Length: ");
        at = put_number(at, length);
        at = PUT(at, "\r\n");
    }
    if (!keep_alive)
        at = PUT(at, "Connection: close\r\n");
    else if (conn->http10)
        at = PUT(at, "Connection: keep-alive\r\n");
    return (size_t)(at - out);
}

int cre__http_respond(cre__conn *conn, const cre_response *response, cre_slice fields, const cre_slice *body,
                      int count, bool close) {
    if (!cre__http_answerable(conn)) return CRE_ENO_REQUEST;
    if (response->status < 200 || response->status > 999) return CRE_EINVALID;
    bool keep_alive = cre__http_goes_on(conn, close);
    uint64_t length = cre__slices_length(body, count);
    bool no_body = conn->head_request || response->status == 204 || response->status == 304;
    uint64_t sent_length = no_body ? 0 : length;
    if (conn->queued + sent_length > (uint64_t)conn->settings->options.max_queue * 2) {
        cre__conn_end(conn, CRE_CLOSED_OVERFLOW, 0, CRE_EQUEUE_FULL, (cre_slice){ 0 }, false);
        return CRE_EQUEUE_FULL;
    }
    char head[CRE__HTTP_HEAD_ROOM];
    size_t head_length = cre__http_write_head(conn, head, response, length, keep_alive);
    size_t total = head_length + fields.length + 2 + (size_t)sent_length;
    conn->engine->stats.responses++;
    if (total <= CRE__CHUNK_BYTES) {
        uint8_t *at = cre__out_reserve(conn, total);
        if (!at) return CRE_ENOMEM;
        at = (uint8_t *)put((char *)at, head, head_length);
        if (fields.length) at = (uint8_t *)put((char *)at, (const char *)fields.data, fields.length);
        *at++ = '\r';
        *at++ = '\n';
        for (int i = 0; sent_length && i < count; i++)
            if (body[i].length) at = (uint8_t *)put((char *)at, (const char *)body[i].data, body[i].length);
    } else {
        if (!cre__out_append(conn, head, head_length) || !cre__out_append(conn, fields.data, fields.length))
            return CRE_ENOMEM;
        int result = cre__out_large(conn, "\r\n", 2, body, no_body ? 0 : count);
        if (result) return result;
    }
    cre__http_answered(conn, keep_alive);
    return 0;
}

int cre__http_error(cre__conn *conn, uint8_t number, int status, bool close) {
    char body[256];
    const char *reason = cre_http_reason(status);
    char *at = PUT(body, "<!doctype html><title>");
    at = put_number(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, reason, strlen(reason));
    at = PUT(at, "</title><h1>");
    at = put_number(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, reason, strlen(reason));
    at = PUT(at, "</h1>\n");
    char fields[128];
    char *end = PUT(fields, "Content-Type: text/html; charset=utf-8\r\n");
    if (status == 426) end = PUT(end, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
    cre_response response = { .status = (uint16_t)status, .fields_length = (uint32_t)(end - fields) };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { (const uint8_t *)fields, response.fields_length },
                          { (const uint8_t *)body, (size_t)(at - body) } };
    cre_record command = { .kind = CRE_COMMAND_RESPOND,
                           .opcode = number,
                           .flags = close ? CRE_RECORD_CLOSE : 0,
                           .session = conn->session };
    return cre__http_command(conn, &command, parts, 3, true);
}

void cre__http_refuse(cre__conn *conn, int status) {
    uint8_t number;
    conn->http.traits = 0; /* the last one */
    if (cre__http_begin(conn, 0, &number)) cre__http_error(conn, number, status, true);
}
