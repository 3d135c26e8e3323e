/* The functions of a build without HTTP/2: there are no sessions. */
#include <creactor/http2.h>
#include <creactor/http2_request.h>

#ifndef CRE_HAVE_HTTP2
#include "core/config.h"

int cre_http2_create(const cre_http2_config *config, cre_http2 **session) {
    (void)config;
    *session = NULL;
    return CRE_EUNSUPPORTED;
}

void cre_http2_destroy(cre_http2 *session) {
    (void)session;
}

int cre_http2_receive(cre_http2 *session, const uint8_t *data, size_t length, uint64_t now_ms) {
    (void)session, (void)data, (void)length, (void)now_ms;
    return CRE_EUNSUPPORTED;
}

bool cre_http2_receive_more(cre_http2 *session) {
    (void)session;
    return false;
}

int cre_http2_produce(cre_http2 *session, uint8_t *out, size_t capacity, size_t *produced) {
    (void)session, (void)out, (void)capacity;
    *produced = 0;
    return CRE_EUNSUPPORTED;
}

void cre_http2_expire(cre_http2 *session, uint64_t now_ms) {
    (void)session, (void)now_ms;
}

bool cre_http2_is_done(const cre_http2 *session) {
    (void)session;
    return true;
}

int cre_http2_error(const cre_http2 *session) {
    (void)session;
    return CRE_EUNSUPPORTED;
}

int cre_http2_consume(cre_http2 *session, uint32_t stream, size_t length) {
    (void)session, (void)stream, (void)length;
    return CRE_EUNSUPPORTED;
}

int cre_http2_respond(cre_http2 *session, uint32_t stream, const cre_http2_response *response,
                      const cre_slice *body, int count, bool final) {
    (void)session, (void)stream, (void)response, (void)body, (void)count, (void) final;
    return CRE_EUNSUPPORTED;
}

int cre_http2_send(cre_http2 *session, uint32_t stream, const cre_slice *parts, int count, bool final) {
    (void)session, (void)stream, (void)parts, (void)count, (void) final;
    return CRE_EUNSUPPORTED;
}

int cre_http2_resume(cre_http2 *session, uint32_t stream) {
    (void)session, (void)stream;
    return CRE_EUNSUPPORTED;
}

int cre_http2_set_context(cre_http2 *session, uint32_t stream, void *context) {
    (void)session, (void)stream, (void)context;
    return CRE_EUNSUPPORTED;
}

int cre_http2_send_trailers(cre_http2 *session, uint32_t stream, const cre_http_header *fields,
                            size_t count) {
    (void)session, (void)stream, (void)fields, (void)count;
    return CRE_EUNSUPPORTED;
}

int cre_http2_reset(cre_http2 *session, uint32_t stream, cre_http2_code code) {
    (void)session, (void)stream, (void)code;
    return CRE_EUNSUPPORTED;
}

int cre_http2_announce_end(cre_http2 *session) {
    (void)session;
    return CRE_EUNSUPPORTED;
}

int cre_http2_goaway(cre_http2 *session, cre_http2_code code) {
    (void)session, (void)code;
    return CRE_EUNSUPPORTED;
}

int cre_http2_send_request(cre_http2 *session, const cre_http2_request *request, bool final, void *context,
                           uint32_t *stream) {
    (void)session, (void)request, (void) final, (void)context, (void)stream;
    return CRE_EUNSUPPORTED;
}

uint32_t cre_http2_room(const cre_http2 *session) {
    (void)session;
    return 0;
}

void cre_http2_get_peer(const cre_http2 *session, cre_http2_peer *peer, size_t size) {
    (void)session;
    cre_http2_peer none = { 0 };
    cre__config_give(peer, size, &none, sizeof none);
}

void cre_http2_get_stats(const cre_http2 *session, cre_http2_stats *stats, size_t size) {
    (void)session;
    cre_http2_stats none = { 0 };
    cre__config_give(stats, size, &none, sizeof none);
}

#endif
