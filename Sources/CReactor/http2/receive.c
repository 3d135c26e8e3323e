/* Requests whose last frame was received: they are reported, refused with a status, or reset. */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include "http2/http2_internal.h"

int cre__h2_reject(cre_http2 *session, cre__h2_stream *stream) {
    if (stream->resetting) return 0; /* what is behind the error has errors of its own */
    if (!stream->delivered && !stream->responding) session->stats.refused++;
    int result = cre__h2_spend_reset(session);
    if (!result) result = cre__h2_stream_reset(session, stream, CRE_HTTP2_PROTOCOL_ERROR);
    return result == CRE_EGONE ? 0 : result;
}

/* Applies the Priority field. */
static int set_priority(const cre_http2 *session, const cre__h2_stream *stream) {
    const cre__h2_priority *read = &session->head.priority;
    if (!read->given) return 0;
    const nghttp2_extpri priority = { .urgency = read->urgency, .inc = read->incremental };
    int result =
        nghttp2_session_change_extpri_stream_priority(session->protocol, (int32_t)stream->id, &priority, 0);
    return result == NGHTTP2_ERR_NOMEM ? CRE_ENOMEM : 0;
}

static int refuse(cre_http2 *session, cre__h2_stream *stream, int status) {
    session->stats.refused++;
    session->stats.heads_too_large += status == 431;
    return cre__h2_stream_refuse(session, stream, status) == CRE_ENOMEM ? CRE_ENOMEM : 0;
}

int cre__h2_request_received(cre_http2 *session, cre__h2_stream *stream, bool final) {
    cre__h2_head *head = &session->head;
    if (!cre__h2_check_head(head) || (final && !cre__h2_check_end(stream)))
        return cre__h2_reject(session, stream);
    if (set_priority(session, stream)) return CRE_ENOMEM;
    stream->input_complete = final;
    int result = cre__h2_head_finish(session, final);
    if (result == CRE_ENOMEM) return result;
    if (result) return refuse(session, stream, cre_http_status_of(result));
    stream->delivered = true;
    stream->head_request = head->parsed.method == CRE_HTTP_HEAD;
    stream->extended_connect = head->protocol_length != 0;
    session->stats.requests++;
    session->requested = stream;
    return 0;
}

void cre__h2_request_report(cre_http2 *session) {
    const cre__h2_stream *stream = session->requested;
    cre__h2_head *head = &session->head;
    session->requested = NULL;
    head->is_reported = true; /* false again when on_event has the next head begin */
    session->reporting = true;
    CRE__H2_EMIT(session, .kind = CRE_HTTP2_REQUEST, .stream = stream->id, .stream_context = stream->context,
                 .head = &head->parsed, .fields = head->fields, .field_count = head->field_count,
                 .head_bytes = head->bytes, .final = stream->input_complete,
                 .protocol = head->protocol_length ? head->protocol : NULL,
                 .protocol_length = head->protocol_length, .followed = session->input_length != 0);
    session->reporting = false;
    if (head->is_reported) cre__h2_head_trim(session);
}

int cre__h2_body_received(cre_http2 *session, cre__h2_stream *stream) {
    if (!session->config.client && !cre__h2_check_end(stream)) return cre__h2_reject(session, stream);
    cre__h2_input_complete(session, stream);
    return 0;
}

void cre__h2_input_complete(cre_http2 *session, cre__h2_stream *stream) {
    if (stream->input_complete) return;
    stream->input_complete = true;
    if (stream->delivered && !stream->resetting)
        CRE__H2_EMIT(session, .kind = CRE_HTTP2_END, .stream = stream->id, .stream_context = stream->context);
}

#endif
