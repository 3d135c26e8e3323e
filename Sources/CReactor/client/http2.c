/*
 * HTTP/2 on a client's connection. Its bytes go through a session (http2/), and each request or WebSocket is
 * a client of its own, which the connection carries: a stream of the session. Output is taken from the
 * session when the socket takes some, so that the session decides late which stream is next.
 */
#include <creactor/error.h>
#include <string.h>

#include "client/client_internal.h"
#include "core/append.h"
#include "core/config.h"
#include "core/memory.h"

#define CONNECTION_WINDOW (1u << 20)

/* The least limit of a head that sessions have. */
#define LEAST_HEAD 256u

/* Output that is still sent when the connection ends: GOAWAY, and what came before it. */
#define LAST_OUTPUT 4096u

static uint32_t now_of(const cre_client *client) {
    return (uint32_t)cre_loop_now(client->transport.net->loop);
}

static void mark(cre_http_client *http) {
    cre__transport_mark(&http->client->transport);
}

/* ---- the input of a stream ---- */

static void consume(cre_client *client) {
    cre__client_stream *stream = client->stream;
    if (!stream->unconsumed || !stream->by) return;
    (void)cre_http2_consume(stream->by->session, stream->id, stream->unconsumed); /* it may be closed */
    stream->unconsumed = 0;
    mark(stream->by);
}

static void feed(cre_client *client, uint8_t *data, size_t length) {
    cre__transport *transport = &client->transport;
    transport->last_receive = now_of(client);
    if (client->http) {
        const cre_http_client_options *options = &client->http->options;
        client->http->since = transport->last_receive;
        if (options->body) options->body(options->context, client->http, data, length);
        return;
    }
    transport->reading = true;
    transport->net->events->readable(transport, data, length, false);
    transport->reading = false;
    cre__transport_update_watch(transport); /* it may have been paused meanwhile */
}

/* Whether input must wait for the reader, or for what came before it. */
static bool waits(const cre_client *client) {
    return client->paused || client->pending || client->stream->pending_length;
}

/* Defers input until the client is resumed. No more arrives than the window of the stream allows. */
static void defer_input(cre_client *client, const uint8_t *data, size_t length) {
    cre__client_stream *stream = client->stream;
    if (cre__append(&stream->pending, &stream->pending_length, &stream->pending_capacity, data, length))
        cre__client_reset(client, CRE_ENOMEM);
}

static void complete(cre_client *client) {
    cre_http_client *http = client->http;
    http->phase = CRE__HTTP_ENDED;
    http->options.complete(http->options.context, http, false);
    if (client->phase == CRE__CLIENT_OPEN) cre__client_reset(client, 0);
}

/* Reports the end of the server's side behind everything else. */
static void report_end(cre_client *client) {
    cre__client_stream *stream = client->stream;
    if (!stream->input_complete || stream->end_reported || waits(client) || !cre__client_live(client)) return;
    stream->end_reported = true;
    if (!client->http) {
        client->transport.stopped |= CRE__STOP_ENDED;
        client->transport.net->events->ended(&client->transport, CRE__INPUT_ENDED);
        return;
    }
    const cre_http_client_options *options = &client->http->options;
    if (stream->trailers.count && options->trailers)
        options->trailers(options->context, client->http, &stream->trailers);
    if (client->phase == CRE__CLIENT_OPEN) complete(client);
}

static void resume_input(cre_client *client) {
    cre__client_stream *stream = client->stream;
    if (stream->pending_length && !client->paused && !client->pending) {
        uint8_t *data = stream->pending;
        const size_t length = stream->pending_length;
        stream->pending = NULL;
        stream->pending_length = stream->pending_capacity = 0;
        feed(client, data, length);
        cre__free(data);
    }
    report_end(client);
}

/* ---- events of the session ---- */

/* The stream has ended before its time. */
static void fail_stream(cre_client *client, int error) {
    if (client->phase == CRE__CLIENT_ENDED) {
        cre__transport_close(&client->transport, false);
        return;
    }
    client->by_server = true;
    if (client->http) {
        cre__client_http_fail(client->http, error);
        return;
    }
    if (!client->input_over) client->code = 1006;
    cre__client_reset(client, client->input_over ? client->error : error);
}

static void head_received(cre_client *client, const cre_http2_event *event) {
    client->stream->input_complete = event->final;
    if (client->http) {
        const cre_http_client_head head = { event->head, event->fields, event->head_bytes };
        client->http->since = now_of(client);
        client->http->options.head(client->http->options.context, client->http, &head);
    } else {
        cre__client_ws_answered(client, event);
    }
    report_end(client);
}

/* Defers the trailers until the body before them is read. */
static void trailers_received(cre_client *client, const cre_http2_event *event) {
    const size_t size = event->field_count * sizeof *event->fields;
    size_t length = 0;
    for (size_t i = 0; i < event->field_count; i++)
        if (length < (size_t)event->fields[i].value + event->fields[i].value_length)
            length = (size_t)event->fields[i].value + event->fields[i].value_length;
    cre_http_field *fields = client->stream->trailers.count ? NULL : cre__malloc(size + length);
    if (!fields) {
        cre__client_reset(client, CRE_ENOMEM);
        return;
    }
    memcpy(fields, event->fields, size);
    memcpy(fields + event->field_count, event->head_bytes, length);
    client->stream->trailers = (cre_http_client_trailers){
        .fields = fields, .count = event->field_count, .bytes = (uint8_t *)(fields + event->field_count)
    };
}

static void data_received(cre_client *client, const cre_http2_event *event) {
    client->stream->unconsumed += (uint32_t)event->length;
    if (waits(client))
        defer_input(client, event->data, event->length);
    else /* it is a part of what was received, which may be written to */
        feed(client, (uint8_t *)(uintptr_t)event->data, event->length);
    if (!client->paused) consume(client);
}

static void stream_closed(cre_client *client, const cre_http2_event *event) {
    client->stream->closed = true;
    if (client->transport.state == CRE__TRANSPORT_FINISHING)
        cre__transport_close(&client->transport, false);
    else if (!event->complete)
        fail_stream(client, event->error                              ? event->error
                            : event->code == CRE_HTTP2_REFUSED_STREAM ? CRE_EHTTP2_REFUSED
                                                                      : CRE_EHTTP2_RESET);
}

static void on_event(void *context, cre_http2 *session, const cre_http2_event *event) {
    cre_client *client = event->stream_context;
    (void)context, (void)session;
    if (!client) return; /* it has ended here, or the event is about the connection */
    if (event->kind == CRE_HTTP2_CLOSED) {
        stream_closed(client, event);
        return;
    }
    if (client->transport.state != CRE__TRANSPORT_OPEN) {
        if (event->kind == CRE_HTTP2_DATA) {
            client->stream->unconsumed += (uint32_t)event->length;
            consume(client);
        }
        return;
    }
    switch (event->kind) {
    case CRE_HTTP2_RESPONSE: head_received(client, event); break;
    case CRE_HTTP2_DATA: data_received(client, event); break;
    case CRE_HTTP2_TRAILERS: trailers_received(client, event); break;
    case CRE_HTTP2_END:
        client->stream->input_complete = true;
        report_end(client);
        break;
    default: break;
    }
}

/* The session takes output of a stream. */
static size_t read_output(void *context, uint32_t id, void *at, uint8_t *out, size_t capacity, bool *final) {
    cre_client *client = at;
    (void)context, (void)id;
    if (!client) return 0;
    cre__transport *transport = &client->transport;
    size_t length = cre__queue_take(transport, out, capacity);
    *final =
        !transport->queued && (client->stream->output_ended || transport->state == CRE__TRANSPORT_FINISHING);
    client->stream->output_complete = *final;
    if (length) cre__transport_mark(transport); /* its queue may be drained */
    return length;
}

/* ---- streams ---- */

static uint32_t room_of(const cre_http_client *http) {
    const uint32_t room = http->session ? cre_http2_room(http->session) : 0;
    return room > http->unsent ? room - http->unsent : 0;
}

int cre__client_carry(cre_client *client, cre_http_client *by) {
    if (!by->session || (by->phase != CRE__HTTP_IDLE && by->phase != CRE__HTTP_BUSY)) return CRE_ESTATE;
    if (!room_of(by)) return CRE_ELIMIT;
    cre__client_stream *stream = cre__calloc(1, sizeof *stream);
    if (!stream) return CRE_ENOMEM;
    client->stream = stream;
    stream->by = by;
    stream->next = by->streams;
    if (stream->next) stream->next->stream->previous = client;
    by->streams = client;
    by->stream_count++;
    by->unsent++;
    if (by->phase == CRE__HTTP_IDLE) cre__client_http_set_phase(by, CRE__HTTP_BUSY);
    cre__transport_open_carried(&client->transport, &client->clients->net);
    return 0;
}

static void leave_carrier(cre_client *client) {
    cre__client_stream *stream = client->stream;
    cre_http_client *by = stream->by;
    if (stream->previous)
        stream->previous->stream->next = stream->next;
    else
        by->streams = stream->next;
    if (stream->next) stream->next->stream->previous = stream->previous;
    if (!stream->id) by->unsent--;
    by->stream_count--;
    stream->by = NULL;
}

void cre__client_stream_uncarry(cre_client *client) {
    cre__client_stream *stream = client->stream;
    cre_http_client *by = stream->by;
    if (!by) return;
    leave_carrier(client);
    if (stream->id && !stream->closed) {
        (void)cre_http2_set_context(by->session, stream->id, NULL);
        if (!(stream->input_complete && stream->output_complete))
            (void)cre_http2_reset(by->session, stream->id, CRE_HTTP2_CANCEL);
    }
    if (by->phase == CRE__HTTP_BUSY && !by->stream_count) cre__client_http_set_phase(by, CRE__HTTP_IDLE);
    mark(by);
}

void cre__client_stream_free(cre_client *client) {
    if (!client->stream) return;
    cre__free((void *)(uintptr_t)client->stream->trailers.fields);
    cre__free(client->stream->pending);
    cre__free(client->stream);
    client->stream = NULL;
}

int cre__client_stream_send(cre_client *client, const cre_http2_request *request, bool final) {
    cre__client_stream *stream = client->stream;
    if (!stream->by) return CRE_ESTATE;
    int result = cre_http2_send_request(stream->by->session, request, final, client, &stream->id);
    if (result == CRE_EGONE || result == CRE_EQUEUE_FULL || result == CRE_ELIMIT) {
        /* there was room when the stream was opened */
        if (!client->http) return CRE_ELIMIT;
        cre__client_http_fail(client->http, CRE_EHTTP2_REFUSED);
        return 0;
    }
    if (result == CRE_EHTTP_HEAD_TOO_LARGE) return CRE_ELIMIT;
    if (result) return result == CRE_EINVALID ? CRE_EHTTP_INVALID_FIELD : result;
    stream->by->unsent--;
    stream->output_ended = stream->output_complete = final;
    mark(stream->by);
    return 0;
}

int cre__client_stream_send_trailers(cre_client *client, const cre_http_header *fields, size_t count) {
    cre__client_stream *stream = client->stream;
    if (!stream->by) return CRE_ESTATE;
    int result = count ? cre_http2_send_trailers(stream->by->session, stream->id, fields, count) : 0;
    if (result == CRE_EGONE) return CRE_ESTATE;
    if (result) return result == CRE_EHTTP_HEAD_TOO_LARGE || result == CRE_EQUEUE_FULL ? CRE_ELIMIT : result;
    stream->output_ended = true;
    cre__transport_mark(&client->transport);
    return 0;
}

void cre__client_stream_carry(cre_client *client) {
    cre__client_stream *stream = client->stream;
    cre__transport *transport = &client->transport;
    const cre_client_options *options = &client->options;
    if (transport->state == CRE__TRANSPORT_OPEN) {
        resume_input(client);
        if (transport->state == CRE__TRANSPORT_OPEN && transport->producing && !transport->queued) {
            transport->producing = false;
            if (options->drained) options->drained(options->context, client);
        }
    }
    if (transport->state == CRE__TRANSPORT_CLOSED) return;
    if (!stream->by || !stream->id || stream->closed) { /* there is nothing that could end */
        if (transport->state == CRE__TRANSPORT_FINISHING) cre__transport_close(transport, false);
        return;
    }
    if (!client->paused) consume(client);
    const bool ends = stream->output_ended || transport->state == CRE__TRANSPORT_FINISHING;
    if (stream->output_complete || !(transport->queued || ends)) return;
    (void)cre_http2_resume(stream->by->session, stream->id); /* without memory the session ends */
    mark(stream->by);
}

/* ---- the connection ---- */

void cre__client_http2_ended(cre_http_client *http, int error) {
    while (http->streams) {
        cre_client *client = http->streams;
        leave_carrier(client);
        client->stream->closed = true;
        /* a response that is here as a whole is still read */
        if (!client->stream->input_complete || !client->http) fail_stream(client, error);
    }
}

void cre__client_http2_leave(cre_http_client *http, int error) {
    cre_client *client = http->client;
    uint8_t out[LAST_OUTPUT];
    size_t size;
    if (http->phase < CRE__HTTP_IDLE) client->opened = false;
    http->phase = CRE__HTTP_ENDED;
    cre__client_http2_ended(http, error ? error : CRE_EGONE);
    (void)cre_http2_goaway(http->session, CRE_HTTP2_NO_ERROR); /* it may have ended itself */
    if (cre_http2_produce(http->session, out, sizeof out, &size) == 0 && size)
        (void)cre__queue_append(&client->transport, out, size);
    client->error = error;
    client->phase = CRE__CLIENT_ENDED;
    cre__transport_finish(&client->transport, 0);
}

static void describe(const cre_http_client *http, cre_http_client_carrier *carrier) {
    cre_http2_peer peer;
    *carrier = (cre_http_client_carrier){ 0 };
    if (!http->session || (http->phase != CRE__HTTP_IDLE && http->phase != CRE__HTTP_BUSY)) return;
    cre_http2_get_peer(http->session, &peer, sizeof peer);
    carrier->http2 = true;
    carrier->leaving = peer.leaving || peer.numbers_used_up || cre_http2_error(http->session);
    carrier->websockets = peer.extended_connect;
    carrier->room = carrier->leaving ? 0 : room_of(http);
}

void cre_http_client_get_carrier(const cre_http_client *http, cre_http_client_carrier *carrier, size_t size) {
    cre_http_client_carrier own;
    describe(http, &own);
    cre__config_give(carrier, size, &own, sizeof own);
}

/* Looks at the session after its events: reports changes, and ends the connection when it has nothing left.
 */
static void review(cre_http_client *http) {
    cre_client *client = http->client;
    cre_http_client_carrier now;
    cre_http2_peer peer;
    if (client->phase != CRE__CLIENT_OPEN || http->phase == CRE__HTTP_ENDED) return;
    int error = cre_http2_error(http->session);
    cre_http2_get_peer(http->session, &peer, sizeof peer);
    if (!error && http->phase == CRE__HTTP_OPENING) {
        if (!peer.settled) return;
        describe(http, &http->reported);
        cre__client_http_ready(http);
        if (client->phase != CRE__CLIENT_OPEN) return;
    }
    describe(http, &now);
    if (error || (now.leaving && !http->stream_count)) {
        cre__client_http2_leave(http, error);
        return;
    }
    const cre_http_client_carrier *old = &http->reported;
    if (now.room == old->room && now.leaving == old->leaving && now.websockets == old->websockets &&
        now.http2 == old->http2)
        return;
    http->reported = now;
    if (http->options.changed) http->options.changed(http->options.context, http);
}

/* Half of it is for requests: each has some 600 bytes, a head that waits for the socket more. */
static uint32_t session_memory(uint32_t streams) {
    const uint64_t bytes = (512u << 10) + ((uint64_t)(streams ? streams : 100) << 12);
    return bytes < INT32_MAX ? (uint32_t)bytes : INT32_MAX;
}

void cre__client_http2_start(cre_http_client *http) {
    const cre_http_client_options *options = &http->options;
    cre_client *client = http->client;
    const uint32_t head = options->limits.max_head;
    const cre_http2_config config = {
        .size = sizeof config,
        .on_event = on_event,
        .context = http,
        .client = 1,
        .read_body = read_output,
        .max_streams = options->max_streams,
        .max_memory = session_memory(options->max_streams),
        .max_head = head && head < LEAST_HEAD ? LEAST_HEAD : head,
        .max_fields = options->limits.max_fields,
        .stream_window = options->stream_window,
        .connection_window =
            options->stream_window > CONNECTION_WINDOW ? options->stream_window : CONNECTION_WINDOW,
    };
    int result = cre_http2_create(&config, &http->session);
    if (result) {
        cre__client_http_fail(http, result);
        return;
    }
    /* requests wait for the SETTINGS: before, the limits of the server are not known */
    http->phase = CRE__HTTP_OPENING;
    client->transport.producing = true;
    cre__transport_set_deadline(&client->transport, cre__client_time_left(client));
    mark(http);
}

void cre__client_http2_input(cre_http_client *http, const uint8_t *data, size_t length) {
    /* an error shows in the review */
    (void)!cre_http2_receive(http->session, data, length, cre_loop_now(http->client->transport.net->loop));
    review(http);
    mark(http);
}

bool cre__client_http2_produce(cre_http_client *http, uint32_t *budget) {
    cre__transport *transport = &http->client->transport;
    size_t size;
    if (!*budget) {
        transport->blocked = true; /* others have their turn; poll reports that there is room */
        return false;
    }
    int result = cre_http2_produce(http->session, transport->net->slab, CRE__SLAB, &size);
    if (!result && size) {
        const cre_slice part = { transport->net->slab, size };
        *budget -= size < *budget ? (uint32_t)size : *budget;
        result = cre__queue_large(transport, NULL, 0, &part, 1);
        if (result == CRE_EGONE) return false; /* and it was reported */
    }
    if (result) {
        cre__client_http_fail(http, result);
        return false;
    }
    if (size == CRE__SLAB) return true;
    review(http);
    return false;
}
