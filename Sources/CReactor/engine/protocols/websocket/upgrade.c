/* From an HTTP request to a WebSocket: the opening handshake on a connection. */
#include <creactor/handshake.h>
#include <creactor/http.h>
#include <string.h>

#include "core/memory.h"
#include "core/probes.h"
#include "engine/protocols/websocket/websocket.h"
#include "engine/topics.h"
#include "engine/user.h"

/* The 101 with the longest subprotocol and extension that are accepted. */
#define ANSWER_ROOM     1024
#define SUBPROTOCOL_MAX CRE_MAX_SUBPROTOCOL

/* Fields that an owner may add to the 101. */
#define MOST_FIELDS 64

/* Any offer longer than this is not taken up; no client's comes near it. */
#define OFFERS_ROOM 1024

static size_t list_length(const char *const *list) {
    size_t count = 0;
    while (list && list[count])
        count++;
    return count;
}

static bool origin_allowed(const cre_engine_config *config, const cre_ws_handshake *handshake,
                           const uint8_t *bytes) {
    /* Only pages of browsers are kept out by this, and they have an Origin. */
    if (!config->origins || !handshake->has_origin) return true;
    return cre_ws_origin_allowed((const char *)bytes + handshake->origin, handshake->origin_length,
                                 config->origins, list_length(config->origins));
}

static const char *choose_subprotocol(const cre_engine_config *config, const cre_request_view *request) {
    if (!config->subprotocols) return NULL;
    int index = cre_ws_choose_subprotocol(request->head, request->fields, request->bytes,
                                          config->subprotocols, list_length(config->subprotocols));
    return index < 0 || strlen(config->subprotocols[index]) > SUBPROTOCOL_MAX ? NULL
                                                                              : config->subprotocols[index];
}

/* All offers in one list, as if they had come in one field line. */
static size_t gather_offers(const cre_request_view *request, char out[OFFERS_ROOM]) {
    static const char name[] = "sec-websocket-extensions";
    size_t used = 0;
    const cre_http_field *field = NULL;
    while ((field = cre_http_find_next(request->head, request->fields, request->bytes, name, sizeof name - 1,
                                       field))) {
        if (used + field->value_length + 1 > OFFERS_ROOM) return 0;
        if (used) out[used++] = ',';
        memcpy(out + used, request->bytes + field->value, field->value_length);
        used += field->value_length;
    }
    return used;
}

/* Takes up permessage-deflate if the client offers it. Without memory for it the connection does without. */
static size_t negotiate_deflate(cre__conn *conn, const cre_request_view *request,
                                char extension[CRE_WS_DEFLATE_MAX_EXTENSION + 1]) {
    cre_engine *engine = cre__conn_engine(conn);
    if (!engine->deflate_pool) return 0;
    char offers[OFFERS_ROOM];
    size_t length = gather_offers(request, offers);
    if (!length) return 0;
    cre_ws_deflate_parameters agreed;
    length = cre_ws_deflate_accept(&engine->deflate_config, offers, length, &agreed, extension);
    if (!length) return 0;
    conn->stream.deflate = cre__malloc(sizeof *conn->stream.deflate);
    if (!conn->stream.deflate) return 0;
    cre_ws_deflate_init(conn->stream.deflate, engine->deflate_pool, &agreed, false);
    extension[length] = 0;
    return length;
}

int cre__websocket_check_upgrade(cre__conn *conn, const uint8_t *payload, size_t length) {
    cre_request_view request;
    cre_ws_handshake handshake;
    int result = cre_request_view_init(&request, payload, (uint32_t)length);
    if (!result) result = cre_ws_request_check(request.head, request.fields, request.bytes, &handshake);
    if (result) return cre_http_status_of(result);
    return origin_allowed(&cre__conn_engine(conn)->config, &handshake, request.bytes) ? 0 : 403;
}

/* The subprotocol of the answer, NULL for none. Returns 0, or CRE_EINVALID for one that was not offered. */
static int answer_subprotocol(const cre__conn *conn, const cre_request_view *request,
                              const cre__upgrade *upgrade, const char **subprotocol) {
    *subprotocol = NULL;
    if (!upgrade || !upgrade->chosen) {
        *subprotocol = choose_subprotocol(&cre__conn_engine(conn)->config, request);
        return 0;
    }
    if (!upgrade->subprotocol[0]) return 0;
    *subprotocol = upgrade->subprotocol;
    return cre_ws_choose_subprotocol(request->head, request->fields, request->bytes, subprotocol, 1) == 0
               ? 0
               : CRE_EINVALID;
}

/* Unpacks the fields of the answer. Returns their number, or CRE_ELIMIT. */
static int answer_fields(const cre__upgrade *upgrade, cre_http_header fields[MOST_FIELDS]) {
    if (!upgrade || !upgrade->fields.length) return 0;
    const uint8_t *cursor = upgrade->fields.data, *end = cursor + upgrade->fields.length;
    int count = 0;
    cre_http_header field;
    while (cre_http_fields_next(&cursor, end, &field)) {
        if (count == MOST_FIELDS) return CRE_ELIMIT;
        fields[count++] = field;
    }
    return count;
}

/* Sends the 200 of a stream of HTTP/2. Returns as send_answer. */
static int send_carried(cre__conn *conn, const cre_request_view *request, const char *subprotocol,
                        const cre_http_header *added, int count) {
    char extension[CRE_WS_DEFLATE_MAX_EXTENSION + 1];
    cre_http_header fields[MOST_FIELDS + 2];
    bool deflates = negotiate_deflate(conn, request, extension) > 0;
    int all = cre_ws_response_fields(fields, MOST_FIELDS + 2, subprotocol, deflates ? extension : NULL, added,
                                     (size_t)count);
    if (all < 0) return all;
    size_t size = 0;
    for (int i = 0; i < all; i++)
        size += CRE_HTTP_FIELD_OVERHEAD + (size_t)fields[i].name_length + fields[i].value_length;
    uint8_t *packed = cre__malloc(size + 1), *at = packed;
    if (!packed) {
        cre__conn_no_memory(conn);
        return 0;
    }
    for (int i = 0; i < all; i++)
        at += cre_http_fields_put(at, (size_t)(packed + size - at), fields[i].name, fields[i].name_length,
                                  fields[i].value, fields[i].value_length);
    const cre__response response = { .status = 200, .fields = { packed, (size_t)(at - packed) } };
    int result = cre__conn_carrier(conn)->send_head(conn, &(cre__head){ .response = &response });
    cre__free(packed);
    return result;
}

/* Queues the 101. Returns 0, or a negative error when there is nothing to send. The connection may have ended
 * then. */
static int send_answer(cre__conn *conn, const cre_request_view *request, const cre__upgrade *upgrade,
                       const char **subprotocol) {
    cre_http_header fields[MOST_FIELDS];
    int result = answer_subprotocol(conn, request, upgrade, subprotocol);
    int count = result ? result : answer_fields(upgrade, fields);
    if (count < 0) return count;
    cre_ws_handshake handshake;
    result = cre_ws_request_check(request->head, request->fields, request->bytes, &handshake);
    if (result) return result;
    if (conn->transport.carried) return send_carried(conn, request, *subprotocol, fields, count);
    char accept[CRE_WS_ACCEPT_LENGTH], extension[CRE_WS_DEFLATE_MAX_EXTENSION + 1];
    cre_ws_accept(handshake.key, accept);
    bool deflates = negotiate_deflate(conn, request, extension) > 0;
    size_t room = ANSWER_ROOM + (upgrade ? upgrade->fields.length : 0);
    uint8_t *at = cre__conn_room(conn, room);
    if (!at) return 0;
    int size = cre_ws_write_response((char *)at, room, accept, *subprotocol, deflates ? extension : NULL,
                                     fields, (size_t)count);
    if (size < 0)
        CRE__RESET(conn, .reason = CRE_CLOSED_ERROR, .error = size);
    else
        cre__queue_commit(&conn->transport, (size_t)size);
    return 0;
}

/* What other processes see of the handshake. */
static void show_note(cre__conn *conn, const char *subprotocol, const cre__upgrade *upgrade) {
    cre_slice chosen = { (const uint8_t *)subprotocol, subprotocol ? strlen(subprotocol) : 0 };
    cre_slice data = upgrade ? upgrade->data : (cre_slice){ 0 };
    cre_table *table = cre__conn_engine(conn)->table;
    if (chosen.length > CRE_MAX_SUBPROTOCOL) chosen.length = 0;
    if (chosen.length || data.length)
        cre__table_set_note(table, conn->stream.session, chosen, data);
    else if (upgrade)
        cre__table_flag(table, conn->stream.session, CRE__NOTE_ASKING, false);
}

int cre__websocket_upgrade(cre__conn *conn, uint8_t *payload, size_t length, const cre__upgrade *upgrade) {
    cre_request_view request;
    int result = cre_request_view_init(&request, payload, (uint32_t)length);
    const char *subprotocol = NULL;
    if (!result) result = send_answer(conn, &request, upgrade, &subprotocol);
    if (result || !cre__conn_live(conn)) return result;
    show_note(conn, subprotocol, upgrade);
    bool kept = conn->stream.has_handshake, keep = conn->port->options.keep_handshake;
    if (keep && !kept && !cre__conn_keep_handshake(conn, payload, length)) return 0;
    CRE__CALL_PROBE(handshake, conn->stream.session, conn->stream.deflate != NULL);
    cre__conn_switch(conn, &cre__protocol_websocket);
    if (cre__topics_opened(conn) && cre__user_opened(conn))
        cre__conn_emit(conn, CRE_EVENT_OPEN, 0, payload, length);
    else
        cre__conn_no_memory(conn);
    if (!keep) cre__conn_drop_handshake(conn);
    return 0;
}
