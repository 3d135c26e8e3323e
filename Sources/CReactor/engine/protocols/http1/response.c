/* Answers to HTTP requests: status line, the engine's own fields, whole bodies, error pages. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/probes.h"
#include "engine/protocols/http1/http1.h"

/* Formatted once per second, by the loop's clock, which stands still during a turn. */
static const char *current_date(cre_engine *engine) {
    uint64_t now = cre__loop_now(engine->loop);
    if (now >= engine->date_until) {
        struct timespec clock;
        clock_gettime(CLOCK_REALTIME, &clock);
        cre_http_date(engine->date, clock.tv_sec);
        engine->date_until = now + 1000 - (uint64_t)clock.tv_nsec / 1000000;
    }
    return engine->date;
}

const char *cre__http1_date(cre_engine *engine) {
    return current_date(engine);
}

static inline int write_head(cre__conn *conn, const cre__response *response, cre__http_framing framing,
                             uint64_t length, bool keep_alive, size_t extra, uint8_t **behind) {
    if (conn->transport.carried) return cre__http1_send_head(conn, response, framing, length, extra, behind);
    cre_engine *engine = cre__conn_engine(conn);
    cre__http_response head = { .status = response->status,
                                .framing = (uint8_t)framing,
                                .connection = CRE__CONNECTION_DEFAULT,
                                .length = length,
                                .date = current_date(engine),
                                .fields = response->fields.data,
                                .fields_size = response->fields.length,
                                .text =
                                    response->text && !(response->status == 204 || response->status == 304),
                                .field_lines = response->lines,
                                .fields_checked = response->checked };
    if (!keep_alive)
        head.connection = CRE__CONNECTION_CLOSE;
    else if (cre__http1_of(conn)->first_traits & CRE__HTTP_1_0)
        head.connection = CRE__CONNECTION_KEEP_ALIVE;
    uint8_t *at = cre__conn_room(conn, cre__http_response_room(&head) + extra);
    if (!at) return CRE_ENOMEM;
    int size = cre__http_response_write((char *)at, &head);
    if (size == CRE_ENOMEM) return cre__conn_no_memory(conn);
    if (size < 0) return size;
    engine->stats.responses++;
    *behind = at + size;
    cre__queue_commit(&conn->transport, (size_t)size + extra);
    CRE__PROBE3(response, conn->stream.session, response->status, length);
    return 0;
}

int cre__http1_write_head(cre__conn *conn, const cre__response *response, cre__http_framing framing,
                          uint64_t length, bool keep_alive, size_t extra, uint8_t **behind) {
    return write_head(conn, response, framing, length, keep_alive, extra, behind);
}

int cre__http1_respond(cre__conn *conn, const cre__response *response, uint16_t flags, const cre_slice *body,
                       int count) {
    const cre__http1 *http = cre__http1_of(conn);
    bool close = flags & CRE_RECORD_CLOSE;
    if (flags & CRE_RECORD_MORE_BODY) return cre__http1_respond_more(conn, response, body, count, close);
    if (!cre__http1_answerable(conn)) return CRE_ENO_REQUEST;
    bool keep_alive = cre__http1_goes_on(conn, close);
    /* 205 must have an empty body. */
    size_t length = response->status == 205 ? 0 : cre__slices_length(body, count);
    bool no_body = response->status == 204 || response->status == 304;
    size_t sent_length = no_body || http->first_traits & CRE__HEAD_REQUEST ? 0 : length;
    /* Refusing would leave the client without an answer. */
    int result = cre__conn_accept(conn, sent_length, CRE__FORCE);
    if (result) return result;
    /* The length of a 304 is that of the 200 it stands for, which is known only when it is given. */
    bool bodiless = no_body && (response->status == 204 || length == 0);
    bool large = sent_length > CRE__LARGE_PAYLOAD;
    uint8_t *behind;
    result = write_head(conn, response, bodiless ? CRE__FRAMED_BY_NOTHING : CRE__FRAMED_BY_LENGTH, length,
                        keep_alive, large ? 0 : sent_length, &behind);
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
