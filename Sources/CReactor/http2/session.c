/* Sessions: bytes through nghttp2 in both directions, and its callbacks. */
#include "core/memory.h"

#ifdef CRE_HAVE_HTTP2
#include <stddef.h>
#include <string.h>

#include "core/config.h"
#include "http2/http2_internal.h"

CRE__CONFIG(cre_http2_config, reserved);

/* A client earns two WINDOW_UPDATE frames, one for the stream and one for the connection, with each frame
 * that it receives. */
enum { UPDATES_PER_FRAME = 2, LATE_PER_RESET = 4, MAX_EARNED_UPDATES = 4096 };

/* Ends the session with GOAWAY, which is still produced. Returns what a callback of nghttp2 returns to stop
 * it. */
static int fail(cre_http2 *session, int error) {
    if (!session->error) session->error = error;
    session->failed = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* As `fail`, because of a limit. */
static int exceed(cre_http2 *session, cre_http2_limit limit) {
    if (!session->error) session->stats.limit = limit;
    return fail(session, limit == CRE_HTTP2_LIMIT_MEMORY ? CRE_ENOMEM : CRE_EHTTP2_FLOOD);
}

static int spend_control(cre_http2 *session, cre_http2_limit limit) {
    return cre__h2_spend_control(session) ? exceed(session, limit) : 0;
}

/* A frame of a stream that is closed. */
static int spend_late(cre_http2 *session) {
    if (!session->earned_late) return spend_control(session, CRE_HTTP2_LIMIT_OTHER_FRAMES);
    session->earned_late--;
    return 0;
}

static int spend_reset(cre_http2 *session) {
    return cre__h2_spend_reset(session) ? exceed(session, CRE_HTTP2_LIMIT_RESETS) : 0;
}

/* Has the last frame say why the session ends. */
static void announce_end(cre_http2 *session) {
    if (session->broken) return;
    uint32_t code = session->error == CRE_ENOMEM         ? NGHTTP2_INTERNAL_ERROR
                    : session->error == CRE_EHTTP2_FLOOD ? NGHTTP2_ENHANCE_YOUR_CALM
                                                         : NGHTTP2_PROTOCOL_ERROR;
    /* without memory for it the connection is closed without a reason */
    (void)nghttp2_session_terminate_session(session->protocol, code);
}

/* ---- input ---- */

static int on_begin_frame(nghttp2_session *protocol, const nghttp2_frame_hd *head, void *context) {
    cre_http2 *session = context;
    /* nghttp2 has this rule for what it is given next; here it does not matter how input is cut */
    if (session->may_end && !nghttp2_session_want_read(protocol)) {
        session->finished = true;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    /* looked at here, so that no allocation has to fail for it: one frame takes little more */
    if (session->used > session->config.max_memory) return exceed(session, CRE_HTTP2_LIMIT_MEMORY);
    switch (head->type) {
    case NGHTTP2_RST_STREAM: /* a client has as many as its own requests */
        return session->config.client && !cre__h2_stream_find(session, head->stream_id) ? spend_late(session)
                                                                                        : 0;
    case NGHTTP2_DATA: /* these have other limits */
    case NGHTTP2_GOAWAY: return 0;
    case NGHTTP2_HEADERS:
        session->continuations = 0;
        if (session->config.client)
            return cre__h2_stream_find(session, head->stream_id) ? 0 : spend_late(session);
        if (head->stream_id > session->last_stream) {
            session->last_stream = head->stream_id;
            return 0;
        }
        /* one of a closed stream is decoded and ignored */
        return cre__h2_stream_find(session, head->stream_id)
                   ? 0
                   : spend_control(session, CRE_HTTP2_LIMIT_OTHER_FRAMES);
    case NGHTTP2_CONTINUATION:
        if (++session->continuations > session->config.max_continuations)
            return exceed(session, CRE_HTTP2_LIMIT_CONTINUATIONS);
        return spend_control(session, CRE_HTTP2_LIMIT_OTHER_FRAMES);
    case NGHTTP2_WINDOW_UPDATE:
        if (session->earned_updates) {
            session->earned_updates--;
            return 0;
        }
        return spend_control(session, CRE_HTTP2_LIMIT_WINDOW_UPDATES);
    case NGHTTP2_PRIORITY:
        /* ignored by nghttp2, but not on stream 0 (RFC 9113 section 6.3) */
        if (!head->stream_id) return fail(session, CRE_EHTTP2);
        return spend_control(session, CRE_HTTP2_LIMIT_OTHER_FRAMES);
    case NGHTTP2_PING: return spend_control(session, CRE_HTTP2_LIMIT_PINGS);
    case NGHTTP2_SETTINGS: return spend_control(session, CRE_HTTP2_LIMIT_SETTINGS);
    default: return spend_control(session, CRE_HTTP2_LIMIT_OTHER_FRAMES);
    }
}

/* Unknown frames are ignored; nghttp2 reports their beginning only with this callback. */
static int on_unknown_frame(nghttp2_session *protocol, void **payload, const nghttp2_frame_hd *head,
                            void *context) {
    (void)protocol, (void)payload, (void)head, (void)context;
    return NGHTTP2_ERR_CANCEL;
}

/* What a callback of nghttp2 returns when the rules for messages have this result. */
static int received(cre_http2 *session, int result) {
    if (!result) return 0;
    return result == CRE_EHTTP2_FLOOD ? exceed(session, CRE_HTTP2_LIMIT_RESETS) : fail(session, result);
}

static int on_begin_headers(nghttp2_session *protocol, const nghttp2_frame *frame, void *context) {
    cre_http2 *session = context;
    const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    cre__h2_stream *stream = request ? cre__h2_stream_create(session, (uint32_t)frame->hd.stream_id)
                                     : cre__h2_stream_find(session, frame->hd.stream_id);
    if (request && !stream) return fail(session, CRE_ENOMEM);
    cre__h2_head_begin(session, stream, session->config.client ? stream && stream->answered : !request);
    if (request) {
        nghttp2_session_set_stream_user_data(protocol, frame->hd.stream_id, stream);
        return 0;
    }
    if (session->config.client && !(stream && stream->tunnel)) return 0;
    /* a tunnel has no trailers (RFC 9113 section 8.5) */
    if (!stream || !stream->extended_connect || stream->resetting) return 0;
    return received(session, cre__h2_reject(session, stream));
}

int cre__h2_field_failed(cre_http2 *session, int error) {
    if (error == CRE_EHTTP2_FLOOD) return exceed(session, CRE_HTTP2_LIMIT_HEAD);
    if (error != CRE_EHTTP2) return fail(session, error);
    int result = received(session, cre__h2_reject(session, session->head.stream));
    return result ? result : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the other fields are only decoded */
}

/* Of a client: nghttp2 would drop the field, but RFC 9113 has such responses treated as malformed. */
static int on_invalid_header(nghttp2_session *protocol, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                             void *context) {
    (void)protocol, (void)frame, (void)name, (void)name_length;
    (void)value, (void)value_length, (void)flags, (void)context;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *protocol, const nghttp2_frame *frame, void *context) {
    (void)protocol;
    cre_http2 *session = context;
    const bool final = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    cre__h2_stream *stream = cre__h2_stream_find(session, frame->hd.stream_id);
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS: {
        int result = 0;
        if (session->config.client) {
            result = stream && !stream->resetting ? cre__h2_response_received(session, stream, final) : 0;
            cre__h2_head_trim(session);
            return result ? fail(session, result) : 0;
        }
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            result = stream ? cre__h2_request_received(session, stream, final) : 0;
        else if (stream) /* trailers */
            result = final ? cre__h2_body_received(session, stream) : cre__h2_reject(session, stream);
        if (!session->requested) cre__h2_head_trim(session);
        return received(session, result);
    }
    case NGHTTP2_DATA:
        if (!final && frame->hd.length == frame->data.padlen)
            return spend_control(session, CRE_HTTP2_LIMIT_EMPTY_DATA);
        return stream && final ? received(session, cre__h2_body_received(session, stream)) : 0;
    case NGHTTP2_RST_STREAM: return session->config.client ? 0 : spend_reset(session);
    case NGHTTP2_SETTINGS:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            session->acknowledged = true;
        else
            session->settled = true;
        if (session->config.client && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
            CRE__H2_EMIT(session, .kind = CRE_HTTP2_PEER);
        return 0;
    case NGHTTP2_GOAWAY:
        session->left = session->may_end = true;
        session->peer_goaway_code = frame->goaway.error_code;
        if (session->config.client) CRE__H2_EMIT(session, .kind = CRE_HTTP2_PEER);
        return 0;
    case NGHTTP2_PRIORITY_UPDATE: {
        /* ignored by nghttp2, but not about stream 0 (RFC 9218 section 7.1) */
        const nghttp2_ext_priority_update *update = frame->ext.payload;
        return update->stream_id ? 0 : fail(session, CRE_EHTTP2);
    }
    default: return 0;
    }
}

static int on_data(nghttp2_session *protocol, uint8_t flags, int32_t id, const uint8_t *data, size_t length,
                   void *context) {
    (void)flags;
    cre_http2 *session = context;
    cre__h2_stream *stream = cre__h2_stream_find(session, id);
    const bool server = !session->config.client;
    if (server && stream && !stream->resetting && !cre__h2_check_data(stream, length)) {
        int result = received(session, cre__h2_reject(session, stream));
        if (result) return result;
    }
    if (!stream || !stream->delivered || stream->resetting) {
        /* dropped: only the connection goes on */
        int result = nghttp2_session_consume(protocol, id, length);
        return result == NGHTTP2_ERR_NOMEM ? fail(session, CRE_ENOMEM) : 0;
    }
    stream->unconsumed += (uint32_t)length;
    if (session->config.client && nghttp2_session_consume_connection(protocol, length) == NGHTTP2_ERR_NOMEM)
        return fail(session, CRE_ENOMEM);
    CRE__H2_EMIT(session, .kind = CRE_HTTP2_DATA, .stream = stream->id, .stream_context = stream->context,
                 .data = data, .length = length);
    return 0;
}

/* A frame for which its stream is reset, or the connection ends. */
static int on_invalid_frame(nghttp2_session *protocol, const nghttp2_frame *frame, int error, void *context) {
    (void)protocol;
    cre_http2 *session = context;
    if (error == NGHTTP2_ERR_NOMEM) return fail(session, CRE_ENOMEM);
    const cre__h2_stream *stream = cre__h2_stream_find(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS && !(stream && stream->delivered)) session->stats.refused++;
    return 0;
}

static int on_stream_close(nghttp2_session *protocol, int32_t id, uint32_t code, void *context) {
    cre_http2 *session = context;
    cre__h2_stream *stream = cre__h2_stream_find(session, id);
    if (!stream) return 0;
    if (stream->unconsumed && !session->config.client &&
        nghttp2_session_consume_connection(protocol, stream->unconsumed) == NGHTTP2_ERR_NOMEM)
        fail(session, CRE_ENOMEM);
    if (stream->delivered)
        CRE__H2_EMIT(session, .kind = CRE_HTTP2_CLOSED, .stream = stream->id,
                     .stream_context = stream->context, .code = code, .error = stream->error,
                     .complete = session->config.client ? stream->input_complete : stream->output_complete);
    cre__h2_stream_destroy(session, stream);
    if (session->error != CRE_ENOMEM) return 0; /* nghttp2 forgets the stream, too */
    nghttp2_session_set_stream_user_data(protocol, id, NULL);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- output ---- */

static void reset_sent(cre_http2 *session) {
    /* a counter, since the stream is gone when the client has reset it, too */
    const bool own = session->own_resets != 0;
    session->own_resets -= own;
    if (session->config.client) { /* what the server has sent meanwhile */
        if (session->earned_late < MAX_EARNED_UPDATES) session->earned_late += LATE_PER_RESET;
    } else if (!own && !session->failed && spend_reset(session)) { /* nghttp2's, for an error of the client */
        announce_end(session);
    }
}

static int on_frame_sent(nghttp2_session *protocol, const nghttp2_frame *frame, void *context) {
    (void)protocol;
    cre_http2 *session = context;
    cre__h2_stream *stream = cre__h2_stream_find(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        session->may_end = true;
        session->stats.goaway_code = frame->goaway.error_code;
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR &&
            frame->goaway.error_code != session->goaway_code && !session->error)
            session->error = CRE_EHTTP2;
        return 0;
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        reset_sent(session);
        return 0;
    }
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
    session->drained = true;
    if (session->earned_updates < MAX_EARNED_UPDATES) session->earned_updates += UPDATES_PER_FRAME;
    if (!stream) return 0;
    stream->progressed = true;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    stream->output_complete = true;
    if (session->config.client) return 0;
    /* nobody wants the rest of the request; a tunnel is ended by either side for itself */
    if (!stream->input_complete && !stream->resetting && !stream->tunnel &&
        cre__h2_stream_reset(session, stream, CRE_HTTP2_NO_ERROR) == CRE_ENOMEM)
        return fail(session, CRE_ENOMEM);
    return 0;
}

/* A frame of a stream that could not be sent: nothing behind it may be, either. */
static int on_frame_not_sent(nghttp2_session *protocol, const nghttp2_frame *frame, int error,
                             void *context) {
    (void)protocol, (void)error;
    cre_http2 *session = context;
    cre__h2_stream *stream = cre__h2_stream_find(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_RST_STREAM && session->own_resets) session->own_resets--;
    if (!stream || stream->resetting || frame->hd.type != NGHTTP2_HEADERS) return 0;
    /* of a request: CLOSED follows, with CRE_HTTP2_REFUSED_STREAM */
    if (session->config.client && frame->headers.cat == NGHTTP2_HCAT_REQUEST) return 0;
    int result = cre__h2_stream_reset(session, stream, CRE_HTTP2_INTERNAL_ERROR);
    return result == CRE_ENOMEM ? fail(session, CRE_ENOMEM) : 0;
}

/* Something that nghttp2 describes in words. */
static int on_error(nghttp2_session *protocol, int error, const char *text, size_t length, void *context) {
    (void)protocol, (void)text, (void)length;
    cre_http2 *session = context;
    /* the server does not use HTTP/2 */
    if (error == NGHTTP2_ERR_SETTINGS_EXPECTED && session->config.client && !session->error)
        session->error = CRE_EHTTP2_PREFACE;
    return 0;
}

/* ---- create and destroy ---- */

static bool settle(uint32_t *value, uint32_t standard, uint32_t least, uint32_t most) {
    if (!*value) *value = standard;
    return *value >= least && *value <= most;
}

static bool settle_config(cre_http2_config *config) {
    return config->on_event && settle(&config->max_streams, 100, 1, 65535) &&
           settle(&config->max_head, CRE_HTTP_MAX_HEAD, 256, CRE_HTTP_MAX_HEAD) &&
           settle(&config->max_fields, CRE_HTTP_DEFAULT_FIELDS, 1, 65535) &&
           settle(&config->stream_window, 65535, 65535, 16 << 20) &&
           settle(&config->connection_window, 1 << 20, 65535, 64 << 20) &&
           settle(&config->max_queue, 1 << 20, 1, INT32_MAX) &&
           settle(&config->max_total_queue, 4 << 20, 1, INT32_MAX) &&
           settle(&config->max_memory, 1 << 20, 256 << 10, INT32_MAX) &&
           settle(&config->max_continuations, 8, 1, INT32_MAX) &&
           settle(&config->reset_burst, 200, 1, INT32_MAX) && settle(&config->reset_rate, 20, 1, INT32_MAX) &&
           settle(&config->control_burst, 400, 16, INT32_MAX) &&
           settle(&config->control_rate, 100, 1, INT32_MAX) &&
           settle(&config->stall_timeout_ms, 30000, 1, INT32_MAX) &&
           settle(&config->ack_timeout_ms, 30000, 1, INT32_MAX) && config->extended_connect <= 1 &&
           config->client <= 1 && !config->reserved;
}

static nghttp2_session_callbacks *make_callbacks(void) {
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unknown_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, cre__h2_on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_error);
    return callbacks;
}

static nghttp2_option *make_options(const cre_http2_config *config) {
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0) return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    /* requests are checked by message.h */
    nghttp2_option_set_no_http_messaging(option, !config->client);
    /* its limit counts a frame again for each piece in which its head is received: on_begin_frame has one */
    nghttp2_option_set_max_continuations(option, SIZE_MAX);
    /* acknowledgements that the client does not read */
    nghttp2_option_set_max_outbound_ack(option, config->control_burst);
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
    /* unknown frames would be skipped without a call of on_begin_frame */
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
        if (type != NGHTTP2_PRIORITY_UPDATE)
            nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
    /* its limit of resets reads the clock: the budget of the session comes first */
    nghttp2_option_set_stream_reset_rate_limit(option, INT32_MAX, INT32_MAX);
    return option;
}

static int make_protocol(cre_http2 *session) {
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *option = make_options(&session->config);
    int result = NGHTTP2_ERR_NOMEM;
    if (callbacks && option)
        result = (session->config.client ? nghttp2_session_client_new3 : nghttp2_session_server_new3)(
            &session->protocol, callbacks, session, option, &session->memory);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return result;
}

/* The first frames. */
static int submit_settings(cre_http2 *session) {
    const cre_http2_config *config = &session->config;
    const nghttp2_settings_entry of_client[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, config->stream_window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, config->max_head },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    const nghttp2_settings_entry of_server[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, config->max_streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, config->stream_window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, config->max_head },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 }, /* with `extended_connect` */
    };
    const size_t count = config->client ? sizeof of_client / sizeof *of_client
                                        : sizeof of_server / sizeof *of_server - !config->extended_connect;
    int result = nghttp2_submit_settings(session->protocol, NGHTTP2_FLAG_NONE,
                                         config->client ? of_client : of_server, count);
    if (result) return result;
    return nghttp2_session_set_local_window_size(session->protocol, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)config->connection_window);
}

int cre_http2_create(const cre_http2_config *config, cre_http2 **created) {
    cre_http2_config own;
    int result = cre__config_take(&own, sizeof own, config);
    if (result) return result;
    if (!settle_config(&own)) return CRE_EINVALID;
    cre_http2 *session = cre__calloc(1, sizeof *session);
    if (!session) return CRE_ENOMEM;
    session->config = own;
    cre__h2_memory_init(session);
    cre__h2_budget_init(&session->resets, own.reset_burst, own.reset_rate);
    cre__h2_budget_init(&session->control, own.control_burst, own.control_rate);
    cre__h2_frames_init(&session->frames);
    if (make_protocol(session) || submit_settings(session)) {
        cre_http2_destroy(session);
        return CRE_ENOMEM;
    }
    *created = session;
    return 0;
}

void cre_http2_destroy(cre_http2 *session) {
    if (!session) return;
    while (session->streams)
        cre__h2_stream_destroy(session, session->streams);
    cre__h2_free_all(session); /* those of nghttp2, too: it has nothing else */
    cre__free(session);
}

/* ---- bytes ---- */

/* What the result of nghttp2_session_mem_recv or _send means. */
static int error_of(ssize_t result) {
    switch (result) {
    case NGHTTP2_ERR_NOMEM: return CRE_ENOMEM;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC: return CRE_EHTTP2_PREFACE;
    default: return CRE_EHTTP2;
    }
}

/* Enters nghttp2, as far as the session is in order. */
static int enter(cre_http2 *session) {
    if (session->busy) return CRE_ESTATE;
    if (session->broken) return session->error;
    session->busy = true;
    return 0;
}

/* Leaves it after an operation with this result. */
static int leave(cre_http2 *session, ssize_t result) {
    session->busy = false;
    if (result >= 0 && !session->broken) return 0;
    if (result == NGHTTP2_ERR_FLOODED)
        exceed(session, CRE_HTTP2_LIMIT_ACKNOWLEDGEMENTS); /* its other limits are disabled */
    else
        fail(session, error_of(result));
    announce_end(session);
    return session->error;
}

/* Parses the input up to the next request, and reports that. Returns whether there was one. */
static bool receive_request(cre_http2 *session) {
    while (session->input_length && !session->failed && !session->finished && !session->broken) {
        const uint8_t *data = session->input;
        size_t length = session->input_length;
        if (!session->config.client) length = cre__h2_frames_cut(&session->frames, data, length);
        session->input += length;
        session->input_length -= length;
        session->received = nghttp2_session_mem_recv(session->protocol, data, length);
        if (session->received < 0) break;
        if (!session->requested) continue;
        cre__h2_request_report(session);
        return true;
    }
    session->input_length = 0;
    return false;
}

bool cre_http2_receive_more(cre_http2 *session) {
    if (!session->reporting) return false;
    session->reporting = false;
    const bool reported = receive_request(session);
    session->reporting = true;
    return reported;
}

int cre_http2_receive(cre_http2 *session, const uint8_t *data, size_t length, uint64_t now) {
    int result = enter(session);
    if (result) return result;
    if (session->failed || session->finished) {
        session->busy = false;
        return session->error;
    }
    if (!session->started) {
        session->started = true;
        session->resets.updated_at = session->control.updated_at = now;
    }
    if (now > session->now) session->now = now;
    session->input = data;
    session->input_length = length;
    session->received = 0;
    while (receive_request(session))
        ;
    if (session->error == CRE_EHTTP2_PREFACE) session->received = NGHTTP2_ERR_BAD_CLIENT_MAGIC;
    return leave(session, session->finished ? 0 : session->received);
}

static ssize_t produce(cre_http2 *session, uint8_t *out, size_t capacity, size_t *produced) {
    for (;;) {
        size_t room = capacity - *produced;
        size_t size = session->output_length < room ? session->output_length : room;
        if (size) memcpy(out + *produced, session->output, size);
        *produced += size;
        session->output += size;
        session->output_length -= size;
        if (*produced == capacity) return 0;
        ssize_t result = nghttp2_session_mem_send(session->protocol, &session->output);
        if (result < 0) {
            session->broken = true; /* there is no other reason than that there is no memory */
            return result;
        }
        session->output_length = (size_t)result;
        if (!result && !cre__h2_report_room(session)) return 0;
        if (session->broken) return NGHTTP2_ERR_NOMEM;
    }
}

int cre_http2_produce(cre_http2 *session, uint8_t *out, size_t capacity, size_t *produced) {
    *produced = 0;
    int result = enter(session);
    return result ? result : leave(session, produce(session, out, capacity, produced));
}

bool cre_http2_is_done(const cre_http2 *session) {
    if (session->broken) return true;
    return !session->output_length && !nghttp2_session_want_write(session->protocol) &&
           (session->failed || !nghttp2_session_want_read(session->protocol));
}

int cre_http2_error(const cre_http2 *session) {
    return session->error;
}

static int result_of(int result) {
    return result == 0 ? 0 : result == NGHTTP2_ERR_NOMEM ? CRE_ENOMEM : CRE_EGONE;
}

int cre_http2_announce_end(cre_http2 *session) {
    return session->failed ? CRE_EGONE : result_of(nghttp2_submit_shutdown_notice(session->protocol));
}

int cre_http2_goaway(cre_http2 *session, cre_http2_code code) {
    if (session->failed) return CRE_EGONE;
    int32_t last = nghttp2_session_get_last_proc_stream_id(session->protocol);
    int result = nghttp2_submit_goaway(session->protocol, NGHTTP2_FLAG_NONE, last, (uint32_t)code, NULL, 0);
    if (result) return result_of(result);
    session->goaway_code = (uint32_t)code;
    session->leaving = true;
    return 0;
}

void cre_http2_get_stats(const cre_http2 *session, cre_http2_stats *stats, size_t size) {
    cre_http2_stats own = session->stats;
    own.memory = session->used + session->spare_bytes;
    own.queued = session->queued;
    cre__config_give(stats, size, &own, sizeof own);
}

#endif
