/* Answers to HTTP requests: status line, the engine's own fields, whole bodies, error pages. */
#include <stdio.h>
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

int cre__http1_write_head(cre__conn *conn, const cre__response *response, cre__http_framing framing,
                          uint64_t length, bool keep_alive, size_t extra, uint8_t **behind) {
    cre_engine *engine = cre__conn_engine(conn);
    cre__http_response head = { .status = response->status,
                                .framing = (uint8_t)framing,
                                .connection = CRE__CONNECTION_DEFAULT,
                                .length = length,
                                .date = current_date(engine),
                                .fields = response->fields.data,
                                .fields_size = response->fields.length,
                                .fields_checked = response->checked };
    if (!keep_alive)
        head.connection = CRE__CONNECTION_CLOSE;
    else if (cre__http1_of(conn)->http10)
        head.connection = CRE__CONNECTION_KEEP_ALIVE;
    size_t room = cre__http_response_room(&head);
    uint8_t *at = cre__conn_reserve(conn, room + extra);
    if (!at) return CRE_ENOMEM;
    int size = cre__http_response_write((char *)at, &head);
    if (size < 0) {
        cre__queue_give_back(&conn->transport, room + extra);
        return size;
    }
    engine->stats.responses++;
    *behind = at + size;
    cre__queue_give_back(&conn->transport, room - (size_t)size);
    return 0;
}

int cre__http1_respond(cre__conn *conn, const cre__response *response, const cre_slice *body, int count,
                       bool close) {
    cre__http1 *http = cre__http1_of(conn);
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    int status = response->status;
    bool keep_alive = cre__http1_goes_on(conn, close);
    uint64_t length = cre__slices_length(body, count);
    bool no_body = http->head_request || status == 204 || status == 304;
    size_t sent_length = no_body ? 0 : (size_t)length;
    /* Refusing would leave the client without an answer. */
    int result = cre__conn_accept(conn, sent_length, CRE__FORCE);
    if (result) return result;
    /* The length of a 304 is that of the 200 it stands for, which is known only when it is given. */
    bool bodiless = status == 204 || (status == 304 && length == 0);
    bool large = sent_length > CRE__LARGE_PAYLOAD;
    uint8_t *behind;
    result = cre__http1_write_head(conn, response, bodiless ? CRE__FRAMED_BY_NOTHING : CRE__FRAMED_BY_LENGTH,
                                   length, keep_alive, large ? 0 : sent_length, &behind);
    if (result) return result;
    if (large)
        result = cre__conn_send(conn, NULL, 0, body, count, sent_length);
    else if (sent_length)
        cre__slices_join(behind, body, count);
    if (result) return result;
    cre__http1_answered(conn, keep_alive);
    return 0;
}

/* ---- error pages ---- */

static uint8_t *put_field(uint8_t *at, const char *name, const char *value) {
    return at + cre_http_fields_put(at, SIZE_MAX, name, strlen(name), value, strlen(value));
}

int cre__http1_error(cre__conn *conn, uint8_t number, int status, bool close) {
    char body[256];
    const char *reason = cre_http_reason(status);
    int length = snprintf(body, sizeof body, "<!doctype html><title>%d %s</title><h1>%d %s</h1>\n", status,
                          reason, status, reason);
    uint8_t fields[160], *end = put_field(fields, "Content-Type", "text/html; charset=utf-8");
    if (status == 426) {
        end = put_field(end, "Sec-WebSocket-Version", "13");
        end = put_field(end, "Upgrade", "websocket");
    }
    cre_response response = { .status = (uint16_t)status, .fields_length = (uint32_t)(end - fields) };
    cre_slice parts[] = { { (const uint8_t *)&response, sizeof response },
                          { fields, response.fields_length },
                          { (const uint8_t *)body, (size_t)length } };
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
