/*
 * Requests on carried connections: the streams of HTTP/2. There is one on each, whose head was parsed by its
 * carrier, and the connection ends with its answer. Bodies are the bytes of the connection, without framing.
 */
#include <string.h>

#include "engine/protocols/http1/http1.h"

void cre__http1_take(cre__conn *conn, const cre_http_head *parsed, const cre_http_field *fields,
                     const uint8_t *bytes) {
    cre_engine *engine = cre__conn_engine(conn);
    cre__http1 *http = cre__http1_of(conn);
    const cre_port_options *options = &conn->port->options;
    cre_http_head *head = (cre_http_head *)(void *)engine->scratch;
    const cre__conn *bearer = cre__conn_bearer(conn);
    const size_t table = parsed->field_count * sizeof *fields;
    size_t size = sizeof *head + table;
    memcpy(head, parsed, sizeof *head);
    if (table) memcpy(engine->scratch + sizeof *head, fields, table);
    memcpy(engine->scratch + size, bytes, parsed->head_length);
    size += parsed->head_length;
    if (bearer->transport.tls) size += cre__http1_add_tls(bearer, head, engine->scratch + size);
    http->alone = true;
    if (head->method == CRE_HTTP_CONNECT) { /* there are no tunnels */
        cre__http1_refuse(conn, 501);
        return;
    }
    http->traits = head->method == CRE_HTTP_HEAD ? CRE__HEAD_REQUEST : 0;
    const bool websocket = options->protocol == CRE_PROTOCOL_WEBSOCKET;
    if (websocket && head->flags & CRE_HTTP_UPGRADE_WEBSOCKET)
        cre__http1_upgrade_input(conn, engine->scratch, size);
    else if (websocket && !options->http)
        cre__http1_refuse(conn, 400);
    else if (head->flags & CRE_HTTP_HAS_BODY)
        cre__http1_body_begin(conn, engine->scratch, size, true);
    else
        cre__http1_deliver(conn, CRE_RECORD_FINAL, engine->scratch, size);
}

int cre__http1_send_head(cre__conn *conn, const cre__response *response, cre__http_framing framing,
                         uint64_t length, size_t extra, uint8_t **behind) {
    const uint16_t status = response->status;
    const cre__http1 *http = cre__http1_of(conn);
    cre_engine *engine = cre__conn_engine(conn);
    uint8_t *at = extra ? cre__conn_room(conn, extra) : NULL;
    if (extra && !at) return CRE_ENOMEM;
    bool bodiless = status == 204 || status == 304 || http->first_traits & CRE__HEAD_REQUEST;
    const cre__head head = { .response = response,
                             .date = cre__http1_date(engine),
                             .length = length,
                             .has_length = framing == CRE__FRAMED_BY_LENGTH && status != 204,
                             .ends = !http->streaming && (bodiless || !length) };
    int result = cre__conn_carrier(conn)->send_head(conn, &head);
    if (result) return result;
    engine->stats.responses++;
    *behind = at;
    if (extra) cre__queue_commit(&conn->transport, extra);
    cre__transport_mark(&conn->transport); /* a file may follow */
    return 0;
}

int cre__http1_send_continue(cre__conn *conn) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!conn->transport.carried) return cre__conn_append(conn, text, sizeof text - 1) ? 0 : CRE_ENOMEM;
    const cre__response response = { .status = 100 };
    return cre__conn_carrier(conn)->send_head(conn, &(cre__head){ .response = &response });
}
