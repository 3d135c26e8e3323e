/* HTTP/1.1 on a client's connection. */
#include <creactor/error.h>
#include <creactor/http_client.h>
#include <creactor/http_reader.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "client/client_internal.h"
#include "core/config.h"
#include "core/memory.h"
#include "net/tls.h"

CRE__CONFIG(cre_http_client_options, max_streams);

static uint32_t now_of(const cre_http_client *http) {
    return (uint32_t)cre_loop_now(http->client->clients->net.loop);
}

void cre__client_http_set_phase(cre_http_client *http, cre__http_phase next) {
    uint32_t limit = next == CRE__HTTP_IDLE   ? http->options.idle_timeout_ms
                     : next == CRE__HTTP_BUSY ? http->options.read_timeout_ms
                                              : 0;
    http->phase = (uint8_t)next;
    http->since = now_of(http);
    cre__transport_set_deadline(&http->client->transport, limit);
}

/* ---- the end ---- */

void cre__client_http_free(cre_client *client) {
    cre_http_client *http = client->http;
    if (!http) return;
    if (http->session) cre__client_http2_ended(http, client->error ? client->error : CRE_EGONE);
    client->http = NULL;
    cre_http_reader_deinit(&http->reader);
    cre_http2_destroy(http->session);
    cre__free(http->connect);
    cre__free(http);
}

static void on_closed(void *context, cre_client *client, const cre_client_ending *ending) {
    cre_http_client *http = context;
    (void)client;
    http->phase = CRE__HTTP_ENDED;
    http->options.closed(http->options.context, http, ending);
}

void cre__client_http_fail(cre_http_client *http, int error) {
    if (http->phase < CRE__HTTP_IDLE) http->client->opened = false;
    http->phase = CRE__HTTP_ENDED;
    cre__client_reset(http->client, error);
}

/* ---- requests ---- */

/* The most bytes that the head of this request can have, but for the fields that frame it. */
static size_t head_bound(const cre_http_request *request) {
    size_t bound = strlen(request->method) + strlen(request->target) + strlen(request->host) + 128;
    for (size_t i = 0; i < request->field_count; i++)
        bound += request->fields[i].name_length + (size_t)request->fields[i].value_length + 4;
    return bound;
}

static cre_http_method method_of(const char *name) {
    for (int method = CRE_HTTP_GET; method <= CRE_HTTP_PATCH; method++)
        if (strcmp(cre_http_method_name(method), name) == 0) return (cre_http_method)method;
    return CRE_HTTP_OTHER;
}

/* Queues a chunk. */
static int queue_chunk(cre__transport *transport, const void *data, size_t length) {
    char head[CRE_HTTP_CHUNK_HEAD_MAX];
    size_t head_length = cre_http_chunk_head(head, length);
    uint8_t *at = cre__queue_reserve(transport, head_length + length + 2);
    if (!at) return CRE_ENOMEM;
    memcpy(at, head, head_length);
    memcpy(at + head_length, data, length);
    memcpy(at + head_length + length, "\r\n", 2);
    return 0;
}

static int queue_body(cre_http_client *http, const void *data, size_t length) {
    cre__transport *transport = &http->client->transport;
    if (!length) return 0;
    if (http->chunked && !http->client->stream) return queue_chunk(transport, data, length);
    return cre__queue_append(transport, data, length) ? 0 : CRE_ENOMEM;
}

/* Sends a request on the stream of an HTTP/2 connection. */
static int send_carried(cre_http_client *http, const cre_http_request *request, const void *body,
                        size_t length) {
    cre_client *client = http->client;
    const bool more = request->chunked || http->body_left;
    const cre_http2_request head = { .method = request->method,
                                     .scheme = client->stream->by && client->stream->by->client->options.tls
                                                   ? "https"
                                                   : "http",
                                     .authority = request->host,
                                     .path = request->target,
                                     .fields = request->fields,
                                     .field_count = request->field_count,
                                     .has_length = request->has_length && !request->chunked,
                                     .content_length = request->content_length };
    uint8_t *at = length ? cre__queue_room(&client->transport, length) : NULL;
    if (length && !at) return CRE_ENOMEM;
    int result = cre__client_stream_send(client, &head, !more && !length);
    if (result || client->phase == CRE__CLIENT_ENDED) return result;
    if (length) {
        memcpy(at, body, length);
        cre__queue_commit(&client->transport, length);
    }
    http->sending = more;
    client->stream->output_ended = !more;
    cre__client_http_set_phase(http, CRE__HTTP_BUSY);
    return 0;
}

int cre_http_client_send(cre_http_client *http, const cre_http_request *request, const void *body,
                         size_t length) {
    cre__transport *transport = &http->client->transport;
    cre_http_method method = method_of(request->method);
    if (http->phase != CRE__HTTP_IDLE || http->session) return CRE_ESTATE;
    if (method == CRE_HTTP_CONNECT) return CRE_EUNSUPPORTED;
    if (length > CRE_CLIENT_MAX_SEND) return CRE_ELIMIT;
    uint64_t announced = request->has_length ? request->content_length : 0;
    if (!request->chunked && length > announced) return CRE_EINVALID;
    http->chunked = request->chunked;
    http->body_left = announced - (request->chunked ? 0 : length);
    if (http->client->stream) return send_carried(http, request, body, length);
    size_t bound = head_bound(request);
    if (bound > CRE_HTTP_MAX_HEAD) return CRE_ELIMIT;
    uint8_t *at = cre__queue_room(transport, bound + CRE_HTTP_CHUNK_HEAD_MAX + length + 2);
    if (!at) return CRE_ENOMEM;
    int written = cre_http_write_request((char *)at, bound, request);
    if (written < 0) return written;
    size_t total = (size_t)written;
    if (length && request->chunked) total += cre_http_chunk_head((char *)at + total, length);
    if (length) memcpy(at + total, body, length);
    total += length;
    if (length && request->chunked) {
        memcpy(at + total, "\r\n", 2);
        total += 2;
    }
    cre__queue_commit(transport, total);
    http->sending = request->chunked || http->body_left;
    cre_http_reader_expect(&http->reader, method);
    cre__client_http_set_phase(http, CRE__HTTP_BUSY);
    return 0;
}

int cre_http_client_write(cre_http_client *http, const void *data, size_t length) {
    cre__transport *transport = &http->client->transport;
    if (http->phase != CRE__HTTP_BUSY || !http->sending) return CRE_ESTATE;
    if (length > CRE_CLIENT_MAX_SEND) return CRE_ELIMIT;
    if (!http->chunked && length > http->body_left) return CRE_EINVALID;
    if (transport->queued >= http->options.max_queue) return CRE_EQUEUE_FULL;
    int result = queue_body(http, data, length);
    if (result) return result;
    if (!http->chunked) http->body_left -= length;
    http->since = now_of(http);
    return 0;
}

int cre_http_client_end(cre_http_client *http) {
    if (http->phase != CRE__HTTP_BUSY || !http->sending) return CRE_ESTATE;
    if (!http->chunked && http->body_left) return CRE_EINVALID;
    if (http->client->stream) {
        http->client->stream->output_ended = true;
        cre__transport_mark(&http->client->transport);
    } else if (http->chunked && !cre__queue_append(&http->client->transport, "0\r\n\r\n", 5)) {
        return CRE_ENOMEM;
    }
    http->sending = false;
    http->since = now_of(http);
    return 0;
}

int cre_http_client_end_with(cre_http_client *http, const cre_http_header *trailers, size_t count) {
    size_t bound = 5;
    if (http->phase != CRE__HTTP_BUSY || !http->sending) return CRE_ESTATE;
    if (!http->chunked) return CRE_EINVALID;
    for (size_t i = 0; i < count; i++)
        bound += trailers[i].name_length + (size_t)trailers[i].value_length + 4;
    if (bound > CRE_HTTP_CHUNKED_OVERHEAD) return CRE_ELIMIT;
    if (http->client->stream) {
        int result = cre__client_stream_send_trailers(http->client, trailers, count);
        if (!result) http->sending = false;
        return result;
    }
    uint8_t *at = cre__queue_room(&http->client->transport, bound);
    if (!at) return CRE_ENOMEM;
    int written = cre_http_write_last_chunk((char *)at, bound, trailers, count);
    if (written < 0) return written;
    cre__queue_commit(&http->client->transport, (size_t)written);
    http->sending = false;
    http->since = now_of(http);
    return 0;
}

/* ---- responses ---- */

/* The response is complete; `more`: there is input behind it, which nothing can be the answer to. */
static void complete(cre_http_client *http, bool more) {
    bool reusable = cre_http_reader_keep_alive(&http->reader) && !http->sending && !more;
    if (http->client->paused) cre_client_resume(http->client);
    cre__client_http_set_phase(http, reusable ? CRE__HTTP_IDLE : CRE__HTTP_ENDED);
    http->options.complete(http->options.context, http, reusable);
    if (reusable || http->client->phase != CRE__CLIENT_OPEN) return;
    /* A server that has answered may not want the rest of the request. */
    if (http->sending || cre__queue_pending(&http->client->transport))
        cre__client_reset(http->client, 0);
    else
        cre__client_finish(http->client, 0);
}

/* The proxy has answered. */
static void tunnel_answered(cre_http_client *http, const cre_http_head *head, bool more) {
    cre_client *client = http->client;
    if (head->status >= 300 || more) {
        client->status = head->status;
        cre__client_http_fail(http, CRE_EPROXY);
        return;
    }
    http->phase = CRE__HTTP_OPENING;
    cre_http_reader_deinit(&http->reader);
    cre_http_reader_init(&http->reader, &http->options.limits);
    cre__client_secure(client);
}

static void head_received(cre_http_client *http, const cre_http_reader_event *event, bool more) {
    const cre_http_client_head head = { event->head, event->fields, event->head_bytes };
    if (http->phase == CRE__HTTP_TUNNELING)
        tunnel_answered(http, event->head, more);
    else if (event->head->status == 101) /* no request asks for it */
        cre__client_http_fail(http, CRE_EUNSUPPORTED);
    else
        http->options.head(http->options.context, http, &head);
}

static void trailers_received(cre_http_client *http, const cre_http_reader_event *event) {
    const cre_http_client_trailers trailers = { event->fields, event->field_count, event->head_bytes };
    if (http->options.trailers) http->options.trailers(http->options.context, http, &trailers);
}

/* One step of the reader. Returns whether there may be another one. */
static bool step(cre_http_client *http, const uint8_t **cursor, const uint8_t *end) {
    cre_http_reader_event event;
    int result = cre_http_reader_next(&http->reader, cursor, end, &event);
    switch (result) {
    case CRE_HTTP_READER_MORE: return false;
    case CRE_HTTP_READER_INTERIM:
        if (http->phase == CRE__HTTP_TUNNELING) return true;
        /* fallthrough */
    case CRE_HTTP_READER_HEAD: {
        bool tunnel = http->phase == CRE__HTTP_TUNNELING;
        head_received(http, &event, *cursor != end);
        return !tunnel;
    }
    case CRE_HTTP_READER_DATA:
        if (http->options.body)
            http->options.body(http->options.context, http, (uint8_t *)(uintptr_t)event.data, event.length);
        return true;
    case CRE_HTTP_READER_TRAILERS: trailers_received(http, &event); return true;
    case CRE_HTTP_READER_END: complete(http, *cursor != end); return true;
    default: cre__client_http_fail(http, result); return false;
    }
}

static void on_received(void *context, cre_client *client, const cre_client_message *message) {
    cre_http_client *http = context;
    if (http->session) {
        cre__client_http2_input(http, message->data, message->length);
        return;
    }
    const uint8_t *cursor = message->data, *end = cursor + message->length;
    http->since = now_of(http);
    while (client->phase == CRE__CLIENT_OPEN && http->phase != CRE__HTTP_ENDED) {
        if (client->paused && !cre_http_reader_is_complete(&http->reader)) {
            cre__client_defer(client, cursor, end);
            return;
        }
        if (!step(http, &cursor, end)) return;
    }
}

/* After a failed write: the server may have answered before it stopped reading. */
static void read_rest(cre_http_client *http) {
    cre__transport *transport = &http->client->transport;
    uint8_t *slab = transport->net->slab;
    while (http->phase == CRE__HTTP_BUSY && !http->client->paused) {
        ssize_t got = recv(transport->descriptor, slab, CRE__SLAB, MSG_DONTWAIT);
        if (got <= 0) return;
        const cre_client_message message = { .data = slab, .length = (size_t)got };
        on_received(http, http->client, &message);
    }
}

void cre__client_http_ended(cre_client *client, int error) {
    cre_http_client *http = client->http;
    bool is_end = error == CRE__INPUT_ENDED;
    client->by_server = true;
    if (http->session) {
        cre__client_http_fail(http, is_end && http->phase == CRE__HTTP_IDLE ? 0 : is_end ? CRE_EGONE : error);
        return;
    }
    if (http->phase == CRE__HTTP_TUNNELING) {
        cre__client_http_fail(http, is_end ? CRE_EGONE : error);
        return;
    }
    if (!is_end && http->phase == CRE__HTTP_BUSY && !client->transport.tls) read_rest(http);
    if (client->phase != CRE__CLIENT_OPEN) return; /* the answer was there */
    if (http->phase != CRE__HTTP_BUSY) {
        cre__client_http_fail(http, 0);
        return;
    }
    /* Without the server's own word that this is the end, anybody may have cut the body off. */
    bool trusted = !client->transport.tls || cre__tls_end_is_authentic(&client->transport);
    if (is_end && trusted) {
        int result = cre_http_reader_finish(&http->reader);
        if (result == CRE_HTTP_READER_END) {
            complete(http, false);
            return;
        }
    }
    cre__client_http_fail(http, is_end ? CRE_EGONE : error);
}

/* ---- opening ---- */

void cre__client_http_ready(cre_http_client *http) {
    cre__client_http_set_phase(http, CRE__HTTP_IDLE);
    if (http->options.opened) http->options.opened(http->options.context, http);
}

/* The connection is open, and TLS has chosen the protocol if there is TLS. */
static void negotiated(cre_http_client *http) {
    const char *name;
    size_t length = cre__tls_protocol(&http->client->transport, &name);
    const bool chosen = length == 2 && memcmp(name, "h2", 2) == 0;
    const bool must = http->options.http2 == CRE_HTTP_CLIENT_HTTP2_ONLY;
    if (chosen || (must && !http->client->transport.tls))
        cre__client_http2_start(http);
    else if (must)
        cre__client_http_fail(http, CRE_EHTTP2_NOT_CHOSEN);
    else
        cre__client_http_ready(http);
}

static void on_opened(void *context, cre_client *client, const cre_client_opening *opening) {
    cre_http_client *http = context;
    (void)opening;
    if (!http->connect) {
        if (client->stream || !http->options.http2)
            cre__client_http_ready(http);
        else
            negotiated(http);
        return;
    }
    http->phase = CRE__HTTP_TUNNELING;
    cre_http_reader_expect(&http->reader, CRE_HTTP_CONNECT);
    bool queued = cre__queue_append(&client->transport, http->connect, http->connect_length);
    cre__free(http->connect);
    http->connect = NULL;
    cre__transport_set_deadline(&client->transport, cre__client_time_left(client));
    if (!queued) cre__client_http_fail(http, CRE_ENOMEM);
}

static void on_drained(void *context, cre_client *client) {
    cre_http_client *http = context;
    (void)client;
    http->since = now_of(http);
    if (http->options.drained) http->options.drained(http->options.context, http);
}

static int write_connect(cre_http_client *http, const cre_http_client_options *options) {
    const cre_http_request request = { .method = "CONNECT",
                                       .target = options->tunnel,
                                       .host = options->tunnel,
                                       .fields = options->tunnel_fields,
                                       .field_count = options->tunnel_field_count };
    size_t bound = head_bound(&request);
    if (bound > CRE_HTTP_MAX_HEAD) return CRE_ELIMIT;
    http->connect = cre__malloc(bound);
    if (!http->connect) return CRE_ENOMEM;
    int written = cre_http_write_request(http->connect, bound, &request);
    if (written < 0) return written;
    http->connect_length = (size_t)written;
    return 0;
}

int cre_http_client_connect(cre_clients *clients, const cre_http_client_options *given,
                            cre_http_client **out) {
    cre_http_client_options options;
    int result = cre__config_take(&options, sizeof options, given);
    if (result) return result;
    if (!options.host || !options.head || !options.complete || !options.closed || options.port > UINT16_MAX ||
        options.http2 > CRE_HTTP_CLIENT_HTTP2_ONLY)
        return CRE_EINVALID;
    if (options.carrier) options.tunnel = NULL, options.tls = NULL, options.idle_timeout_ms = 0;
    if (options.carrier) options.http2 = CRE_HTTP_CLIENT_HTTP1; /* it sends requests */
    if (options.http2 && !cre_http2_supported()) return CRE_EUNSUPPORTED;
    cre_http_client *http = cre__calloc(1, sizeof *http);
    if (!http) return CRE_ENOMEM;
    http->options = options;
    if (!http->options.max_queue) http->options.max_queue = CRE_CLIENT_DEFAULT_QUEUE;
    cre_http_reader_init(&http->reader, &options.limits);
    const cre_client_options stream = { .size = sizeof stream,
                                        .host = options.host,
                                        .port = (uint16_t)options.port,
                                        .timeout_ms = options.timeout_ms,
                                        .tls = options.tls,
                                        .tls_name = options.tls_name,
                                        .context = http,
                                        .opened = on_opened,
                                        .received = on_received,
                                        .drained = on_drained,
                                        .closed = on_closed,
                                        .carrier = options.carrier };
    if (options.tunnel) result = write_connect(http, &options);
    if (!result) result = cre_client_connect(clients, &stream, &http->client);
    if (!result && options.tunnel && options.tunnel_tls)
        result = cre__client_set_outer_tls(http->client, options.tunnel_tls,
                                           options.tunnel_tls_name ? options.tunnel_tls_name : options.host);
    if (result) {
        if (http->client) cre_client_abort(http->client);
        cre_http_reader_deinit(&http->reader);
        cre__free(http->connect);
        cre__free(http);
        return result;
    }
    http->client->http = http;
    http->client->secures_later = options.tunnel != NULL;
    *out = http;
    return 0;
}

/* ---- use ---- */

/* The carrier of a client that has waited in vain for `limit` ms, if it has received nothing, either. */
static cre_http_client *dead_carrier(const cre_client *client, uint32_t limit) {
    cre_http_client *by = client->stream ? client->stream->by : NULL;
    return by && now_of(by) - by->client->transport.last_receive >= limit ? by : NULL;
}

void cre__client_time_out(cre_client *client, uint32_t limit) {
    cre_http_client *dead = dead_carrier(client, limit);
    if (dead)
        cre__client_http_fail(dead, -ETIMEDOUT);
    else
        cre__client_reset(client, -ETIMEDOUT);
}

void cre__client_http_due(cre_client *client) {
    cre_http_client *http = client->http;
    if (http->phase == CRE__HTTP_IDLE) {
        if (http->session) {
            cre__client_http2_leave(http, 0);
            return;
        }
        http->phase = CRE__HTTP_ENDED;
        cre__client_finish(client, 0);
        return;
    }
    if (http->phase == CRE__HTTP_TUNNELING || http->phase == CRE__HTTP_OPENING) {
        cre__client_http_fail(http, -ETIMEDOUT);
        return;
    }
    if (http->phase != CRE__HTTP_BUSY || http->session) return;
    uint32_t limit = http->options.read_timeout_ms, now = now_of(http), silent = now - http->since;
    uint32_t unsent = now - client->transport.last_send;
    bool queued = cre__queue_pending(&client->transport);
    if (queued && unsent < silent) silent = unsent;
    /* The application is to blame for the silence: it does not take, or does not send. */
    if (client->paused || (http->sending && !queued)) silent = 0;
    if (silent >= limit) {
        cre_http_client *dead = dead_carrier(client, limit);
        cre__client_http_fail(dead ? dead : http, -ETIMEDOUT);
    } else
        cre__transport_set_deadline(&client->transport, limit - silent);
}

size_t cre_http_client_queued(const cre_http_client *http) {
    return cre_client_queued(http->client);
}

void cre_http_client_await_drain(cre_http_client *http) {
    cre_client_await_drain(http->client);
}

void cre_http_client_pause(cre_http_client *http) {
    cre_client_pause(http->client);
}

void cre_http_client_resume(cre_http_client *http) {
    http->since = now_of(http);
    cre_client_resume(http->client);
}

void cre_http_client_abort(cre_http_client *http) {
    if (http) cre_client_abort(http->client);
}
