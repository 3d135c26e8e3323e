/* Answers to HTTP requests: status line, the engine's own fields, whole bodies, error pages. */
#include <string.h>
#include <time.h>

#include "engine/protocols/http1/http1.h"

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

size_t cre__http1_write_head(cre__conn *conn, char *out, const cre__response *response, uint64_t length,
                             bool keep_alive) {
    cre__http1 *http = cre__http1_of(conn);
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
        at = put(at, current_date(cre__conn_engine(conn)), CRE_HTTP_DATE_LENGTH);
        at = PUT(at, "\r\n");
    }
    if (length == CRE__HTTP1_LENGTH_CHUNKED) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    } else if (!bodiless && length != CRE__HTTP1_LENGTH_OPEN) {
        at = PUT(at, "Content-Length: ");
        at = put_number(at, length);
        at = PUT(at, "\r\n");
    }
    if (!keep_alive)
        at = PUT(at, "Connection: close\r\n");
    else if (http->http10)
        at = PUT(at, "Connection: keep-alive\r\n");
    return (size_t)(at - out);
}

int cre__http1_respond(cre__conn *conn, const cre__response *response, const cre_slice *body, int count,
                       bool close) {
    cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    bool keep_alive = cre__http1_goes_on(conn, close);
    uint64_t length = cre__slices_length(body, count);
    bool no_body = http->head_request || response->status == 204 || response->status == 304;
    uint64_t sent_length = no_body ? 0 : length;
    /* Refusing would leave the client without an answer. */
    int result = cre__conn_accept(conn, (size_t)sent_length, CRE__FORCE);
    if (result) return result;
    char head[CRE__HTTP1_HEAD_ROOM];
    size_t head_length = cre__http1_write_head(conn, head, response, length, keep_alive);
    size_t total = head_length + response->fields.length + 2 + (size_t)sent_length;
    cre__conn_engine(conn)->stats.responses++;
    if (total <= CRE__CHUNK_BYTES) {
        uint8_t *at = cre__conn_reserve(conn, total);
        if (!at) return CRE_ENOMEM;
        at = (uint8_t *)put((char *)at, head, head_length);
        if (response->fields.length)
            at = (uint8_t *)put((char *)at, (const char *)response->fields.data, response->fields.length);
        *at++ = '\r';
        *at++ = '\n';
        for (int i = 0; sent_length && i < count; i++)
            if (body[i].length) at = (uint8_t *)put((char *)at, (const char *)body[i].data, body[i].length);
    } else {
        if (!cre__conn_append(conn, head, head_length) ||
            !cre__conn_append(conn, response->fields.data, response->fields.length))
            return CRE_ENOMEM;
        result = cre__conn_send(conn, "\r\n", 2, body, no_body ? 0 : count, (size_t)sent_length);
        if (result) return result;
    }
    cre__http1_answered(conn, keep_alive);
    return 0;
}

int cre__http1_error(cre__conn *conn, uint8_t number, int status, bool close) {
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
                           .session = conn->stream.session };
    return cre__http1_command(conn, &command, parts, 3, CRE__FORCE);
}

void cre__http1_refuse(cre__conn *conn, int status) {
    cre__http1 *http = cre__http1_of(conn);
    uint8_t number;
    http->traits &= CRE__HEAD_REQUEST; /* the last one; a refused HEAD has no body either */
    if (cre__http1_begin(conn, 0, &number)) cre__http1_error(conn, number, status, true);
}
