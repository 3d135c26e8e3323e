/* The side of a client: requests, and the heads of responses to them. */
#include <creactor/http2_request.h>

#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <string.h>

#include "core/config.h"
#include "core/decimal.h"
#include "http/chars.h"
#include "http/head_internal.h"
#include "http2/http2_internal.h"

/* The longest method. */
#define MAX_METHOD 64

/* ---- what the server allows ---- */

static bool may_ask(const cre_http2 *session) {
    return session->config.client && !session->failed && !session->finished && !session->leaving &&
           nghttp2_session_check_request_allowed(session->protocol);
}

uint32_t cre_http2_room(const cre_http2 *session) {
    if (!may_ask(session)) return 0;
    uint32_t most =
        nghttp2_session_get_remote_settings(session->protocol, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (most > session->config.max_streams) most = session->config.max_streams;
    return most > session->stats.streams ? most - session->stats.streams : 0;
}

void cre_http2_get_peer(const cre_http2 *session, cre_http2_peer *peer, size_t size) {
    cre_http2_peer own = { .settled = session->settled,
                           .leaving = session->left,
                           .goaway_code = session->peer_goaway_code,
                           .max_streams = UINT32_MAX };
    if (!session->broken) {
        nghttp2_session *protocol = session->protocol;
        own.max_streams =
            nghttp2_session_get_remote_settings(protocol, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
        own.extended_connect =
            nghttp2_session_get_remote_settings(protocol, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
        own.numbers_used_up = nghttp2_session_get_next_stream_id(protocol) > INT32_MAX;
    }
    cre__config_give(peer, size, &own, sizeof own);
}

/* ---- requests ---- */

static bool is_token(const char *text, size_t most) {
    size_t length = strlen(text);
    return length && length <= most && cre__all(text, length, CRE__TOKEN);
}

static bool is_path(const cre_http2_request *request) {
    const char *path = request->path;
    if (path[0] == '*') return !path[1] && strcmp(request->method, "OPTIONS") == 0;
    return path[0] == '/' && cre__all(path, strlen(path), CRE__TARGET);
}

static int check(const cre_http2 *session, const cre_http2_request *request, bool final) {
    bool has_port;
    if (!session->config.client) return CRE_ESTATE;
    if (!may_ask(session)) return CRE_EGONE;
    if (!cre_http2_room(session)) return CRE_ELIMIT;
    if (request->protocol) {
        cre_http2_peer peer;
        cre_http2_get_peer(session, &peer, sizeof peer);
        if (!peer.extended_connect) return CRE_EUNSUPPORTED;
        if (!is_token(request->protocol, CRE__H2_MAX_PROTOCOL) || final || request->has_length)
            return CRE_EINVALID;
        if (request->path[0] == '*') return CRE_EINVALID;
    } else if (!is_token(request->method, MAX_METHOD)) {
        return CRE_EINVALID;
    } else if (strcmp(request->method, "CONNECT") == 0) {
        return CRE_EUNSUPPORTED;
    }
    if (strcmp(request->scheme, "http") != 0 && strcmp(request->scheme, "https") != 0) return CRE_EINVALID;
    if (!request->authority[0] ||
        !cre__http_host_valid((const uint8_t *)request->authority, strlen(request->authority), &has_port))
        return CRE_EINVALID;
    return is_path(request) ? 0 : CRE_EINVALID;
}

static void add_text(cre__h2_pairs *list, const char *name, const char *value) {
    cre__h2_add_pair(list, name, strlen(name), value, strlen(value));
}

static bool is_skipped(const cre_http_header *field) {
    if (cre__h2_is_named(field, "te"))
        return field->value_length != 8 || !cre__same(field->value, "trailers", 8);
    return cre__h2_is_named(field, "host") || cre__h2_is_skipped(field);
}

static int submit(cre_http2 *session, cre__h2_stream *stream, const cre_http2_request *request, bool final) {
    char digits[CRE__MAX_DECIMAL];
    cre__h2_pairs list;
    if (!cre__h2_pairs_begin(&list, request->field_count + 6)) return CRE_ENOMEM;
    add_text(&list, ":method", request->protocol ? "CONNECT" : request->method);
    if (request->protocol) add_text(&list, ":protocol", request->protocol);
    add_text(&list, ":scheme", request->scheme);
    add_text(&list, ":authority", request->authority);
    add_text(&list, ":path", request->path);
    if (request->has_length) {
        const char *end = cre__put_decimal(digits, request->content_length);
        cre__h2_add_pair(&list, "content-length", 14, digits, (size_t)(end - digits));
    }
    for (size_t i = 0; i < request->field_count; i++) {
        const cre_http_header *field = &request->fields[i];
        if (!is_skipped(field))
            cre__h2_add_pair(&list, field->name, field->name_length, field->value, field->value_length);
    }
    nghttp2_data_provider body = cre__h2_body_of(stream);
    int32_t id =
        nghttp2_submit_request(session->protocol, NULL, list.at, list.count, final ? NULL : &body, stream);
    cre__h2_pairs_end(&list);
    if (id > 0) stream->id = (uint32_t)id;
    return cre__h2_submitted(id);
}

int cre_http2_send_request(cre_http2 *session, const cre_http2_request *request, bool final, void *context,
                           uint32_t *id) {
    int result = check(session, request, final);
    if (result) return result;
    cre__h2_stream *stream = cre__h2_stream_create(session, 0);
    if (!stream) return CRE_ENOMEM;
    stream->context = context;
    size_t bytes = strlen(request->path) + strlen(request->authority) + 2 * MAX_METHOD;
    result = cre__h2_check_fields(session, stream, request->fields, request->field_count, bytes);
    if (!result) result = submit(session, stream, request, final);
    if (result) {
        cre__h2_stream_destroy(session, stream);
        return result;
    }
    stream->delivered = stream->responding = true;
    stream->ended = final;
    stream->extended_connect = request->protocol != NULL;
    session->stats.requests++;
    *id = stream->id;
    return 0;
}

/* ---- responses ---- */

int cre__h2_response_received(cre_http2 *session, cre__h2_stream *stream, bool final) {
    const cre__h2_head *head = &session->head;
    int result = cre__h2_response_finish(session, final);
    if (result == CRE_ENOMEM) return result;
    if (result) {
        session->stats.refused++;
        stream->error = result;
        return cre__h2_stream_reset(session, stream, CRE_HTTP2_CANCEL) == CRE_ENOMEM ? CRE_ENOMEM : 0;
    }
    const bool trailers = stream->answered, interim = !trailers && head->parsed.status < 200;
    /* a server may send any number of them */
    if (interim && cre__h2_spend_control(session)) return CRE_EHTTP2_FLOOD;
    if (!trailers && !interim) {
        stream->answered = true;
        stream->input_complete = final;
        stream->tunnel = stream->extended_connect && head->parsed.status < 300 && !final;
    }
    if (trailers && head->field_count)
        CRE__H2_EMIT(session, .kind = CRE_HTTP2_TRAILERS, .stream = stream->id,
                     .stream_context = stream->context, .fields = head->fields,
                     .field_count = head->field_count, .head_bytes = head->bytes);
    else if (!trailers)
        CRE__H2_EMIT(session, .kind = CRE_HTTP2_RESPONSE, .stream = stream->id,
                     .stream_context = stream->context, .head = &head->parsed, .fields = head->fields,
                     .field_count = head->field_count, .head_bytes = head->bytes, .final = final);
    if (trailers && final) cre__h2_input_complete(session, stream);
    return 0;
}

#endif
