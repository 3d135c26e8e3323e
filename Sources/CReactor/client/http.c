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

CRE__CONFIG(cre_http_client_options, tunnel_tls_name);

enum {
    OPENING,   /* nothing can be sent */
    TUNNELING, /* the proxy was asked for a tunnel */
    IDLE,
    BUSY, /* a request was sent */
    ENDED
};

/* Freed with the connection that it belongs to. */
struct cre_http_client {
    cre_client *client;
    cre_http_client_options options; /* what it points to is not valid any more */
    cre_http_reader reader;
    uint64_t body_left; /* of a request body with a length */
    uint32_t since;     /* the beginning of the silence: the loop's time in ms, its lower half */
    char *connect;      /* the CONNECT; NULL: no tunnel is needed, or it was sent */
    size_t connect_length;
    uint8_t phase;
    bool sending; /* a request body is not complete */
    bool chunked;
};

static uint32_t now_of(const cre_http_client *http) {
    return (uint32_t)cre_loop_now(http->client->clients->net.loop);
}

static void set_phase(cre_http_client *http, uint8_t next) {
    uint32_t limit = next == IDLE   ? http->options.idle_timeout_ms
                     : next == BUSY ? http->options.read_timeout_ms
                                    : 0;
    http->phase = next;
    http->since = now_of(http);
    cre__transport_set_deadline(&http->client->transport, limit);
}

/* ---- the end ---- */

void cre__client_http_free(cre_client *client) {
    cre_http_client *http = client->http;
    if (!http) return;
    client->http = NULL;
    cre_http_reader_deinit(&http->reader);
    cre__free(http->connect);
    cre__free(http);
}

static void on_closed(void *context, cre_client *client, const cre_client_ending *ending) {
    cre_http_client *http = context;
    (void)client;
    http->phase = ENDED;
    http->options.closed(http->options.context, http, ending);
}

/* The connection ends with this error, at once. */
static void fail(cre_http_client *http, int error) {
    if (http->phase == TUNNELING) http->client->opened = false;
    http->phase = ENDED;
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
    if (http->chunked) return queue_chunk(transport, data, length);
    return cre__queue_append(transport, data, length) ? 0 : CRE_ENOMEM;
}

int cre_http_client_send(cre_http_client *http, const cre_http_request *request, const void *body,
                         size_t length) {
    cre__transport *transport = &http->client->transport;
    cre_http_method method = method_of(request->method);
    if (http->phase != IDLE) return CRE_ESTATE;
    if (method == CRE_HTTP_CONNECT) return CRE_EUNSUPPORTED;
    if (length > CRE_CLIENT_MAX_SEND) return CRE_ELIMIT;
    uint64_t announced = request->has_length ? request->content_length : 0;
    if (!request->chunked && length > announced) return CRE_EINVALID;
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
    http->chunked = request->chunked;
    http->body_left = announced - (request->chunked ? 0 : length);
    http->sending = request->chunked || http->body_left;
    cre_http_reader_expect(&http->reader, method);
    set_phase(http, BUSY);
    return 0;
}

int cre_http_client_write(cre_http_client *http, const void *data, size_t length) {
    cre__transport *transport = &http->client->transport;
    if (http->phase != BUSY || !http->sending) return CRE_ESTATE;
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
    if (http->phase != BUSY || !http->sending) return CRE_ESTATE;
    if (!http->chunked && http->body_left) return CRE_EINVALID;
    if (http->chunked && !cre__queue_append(&http->client->transport, "0\r\n\r\n", 5)) return CRE_ENOMEM;
    http->sending = false;
    http->since = now_of(http);
    return 0;
}

int cre_http_client_end_with(cre_http_client *http, const cre_http_header *trailers, size_t count) {
    size_t bound = 5;
    if (http->phase != BUSY || !http->sending) return CRE_ESTATE;
    if (!http->chunked) return CRE_EINVALID;
    for (size_t i = 0; i < count; i++)
        bound += trailers[i].name_length + (size_t)trailers[i].value_length + 4;
    if (bound > CRE_HTTP_CHUNKED_OVERHEAD) return CRE_ELIMIT;
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
    set_phase(http, reusable ? IDLE : ENDED);
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
        fail(http, CRE_EPROXY);
        return;
    }
    http->phase = OPENING;
    cre_http_reader_deinit(&http->reader);
    cre_http_reader_init(&http->reader, &http->options.limits);
    cre__client_secure(client);
}

static void head_received(cre_http_client *http, const cre_http_reader_event *event, bool more) {
    const cre_http_client_head head = { event->head, event->fields, event->head_bytes };
    if (http->phase == TUNNELING)
        tunnel_answered(http, event->head, more);
    else if (event->head->status == 101) /* no request asks for it */
        fail(http, CRE_EUNSUPPORTED);
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
        if (http->phase == TUNNELING) return true;
        /* fallthrough */
    case CRE_HTTP_READER_HEAD: {
        bool tunnel = http->phase == TUNNELING;
        head_received(http, &event, *cursor != end);
        return !tunnel;
    }
    case CRE_HTTP_READER_DATA:
        if (http->options.body)
            http->options.body(http->options.context, http, (uint8_t *)(uintptr_t)event.data, event.length);
        return true;
    case CRE_HTTP_READER_TRAILERS: trailers_received(http, &event); return true;
    case CRE_HTTP_READER_END: complete(http, *cursor != end); return true;
    default: fail(http, result); return false;
    }
}

static void on_received(void *context, cre_client *client, const cre_client_message *message) {
    cre_http_client *http = context;
    const uint8_t *cursor = message->data, *end = cursor + message->length;
    http->since = now_of(http);
    while (client->phase == CRE__CLIENT_OPEN && http->phase != ENDED) {
        if (client->paused && !cre_http_reader_is_complete(&http->reader)) {
            cre__client_keep(client, cursor, end);
            return;
        }
        if (!step(http, &cursor, end)) return;
    }
}

/* After a failed write: the server may have answered before it stopped reading. */
static void read_rest(cre_http_client *http) {
    cre__transport *transport = &http->client->transport;
    uint8_t *slab = transport->net->slab;
    while (http->phase == BUSY && !http->client->paused) {
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
    if (http->phase == TUNNELING) {
        fail(http, is_end ? CRE_EGONE : error);
        return;
    }
    if (!is_end && http->phase == BUSY && !client->transport.tls) read_rest(http);
    if (client->phase != CRE__CLIENT_OPEN) return; /* the answer was there */
    if (http->phase != BUSY) {
        fail(http, 0);
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
    fail(http, is_end ? CRE_EGONE : error);
}

/* ---- opening ---- */

static void on_opened(void *context, cre_client *client, const cre_client_opening *opening) {
    cre_http_client *http = context;
    (void)opening;
    if (!http->connect) {
        set_phase(http, IDLE);
        if (http->options.opened) http->options.opened(http->options.context, http);
        return;
    }
    uint64_t now = cre_loop_now(client->clients->net.loop);
    http->phase = TUNNELING;
    cre_http_reader_expect(&http->reader, CRE_HTTP_CONNECT);
    bool queued = cre__queue_append(&client->transport, http->connect, http->connect_length);
    cre__free(http->connect);
    http->connect = NULL;
    cre__transport_set_deadline(&client->transport,
                                client->deadline > now ? (uint32_t)(client->deadline - now) : 1);
    if (!queued) fail(http, CRE_ENOMEM);
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
    if (!options.host || !options.head || !options.complete || !options.closed || options.port > UINT16_MAX)
        return CRE_EINVALID;
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
                                        .closed = on_closed };
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

void cre__client_http_due(cre_client *client) {
    cre_http_client *http = client->http;
    if (http->phase == IDLE) {
        http->phase = ENDED;
        cre__client_finish(client, 0);
        return;
    }
    if (http->phase == TUNNELING) {
        fail(http, -ETIMEDOUT);
        return;
    }
    if (http->phase != BUSY) return;
    uint32_t limit = http->options.read_timeout_ms, now = now_of(http), silent = now - http->since;
    uint32_t unsent = now - client->transport.last_send;
    bool queued = cre__queue_pending(&client->transport);
    if (queued && unsent < silent) silent = unsent;
    /* The application is to blame for the silence: it does not take, or does not send. */
    if (client->paused || (http->sending && !queued)) silent = 0;
    if (silent >= limit)
        fail(http, -ETIMEDOUT);
    else
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
