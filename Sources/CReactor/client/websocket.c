/* WebSockets of clients: the opening handshake, frames, and the closing handshake. */
#include <creactor/error.h>
#include <creactor/handshake.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/client_internal.h"
#include "core/memory.h"

#define MAX_AUTHORITY  300
#define MAX_EXTENSIONS 1024

/* The bound on fragments is there for tiny ones: a limit that was raised for large messages raises it, too.
 */
#define FRAGMENT_BYTES 64u

/* ---- the request ---- */

/* The Host field for a host and a port: an IPv6 address gets brackets, a default port is omitted. */
static int write_authority(char out[MAX_AUTHORITY], const cre_client_options *options, bool secure) {
    const char *host = options->host;
    size_t length = strcspn(host, "%"); /* the interface of an IPv6 address */
    bool bare = memchr(host, ':', length) != NULL;
    if (strncmp(host, "unix:", 5) == 0) return snprintf(out, MAX_AUTHORITY, "localhost");
    if (options->port == (secure ? 443 : 80))
        return snprintf(out, MAX_AUTHORITY, bare ? "[%.*s]" : "%.*s", (int)length, host);
    return snprintf(out, MAX_AUTHORITY, bare ? "[%.*s]:%u" : "%.*s:%u", (int)length, host,
                    (unsigned)options->port);
}

/* A request, and the text that it refers to. */
typedef struct request {
    cre_ws_request parts;
    char authority[MAX_AUTHORITY], extension[CRE_WS_DEFLATE_MAX_EXTENSION + 1];
} request;

static int describe_request(const cre_client *client, const cre_client_options *options, bool secure,
                            request *it) {
    it->parts = (cre_ws_request){ .host = options->authority ? options->authority : it->authority,
                                  .target = options->target ? options->target : "/",
                                  .subprotocols = options->subprotocols,
                                  .origin = options->origin,
                                  .fields = options->fields,
                                  .field_count = options->field_count };
    if (write_authority(it->authority, options, secure) >= MAX_AUTHORITY) return CRE_EINVALID;
    if (client->offers_deflate) {
        it->extension[cre_ws_deflate_offer(&client->deflate_config, it->extension)] = 0;
        it->parts.extensions = it->extension;
    }
    return 0;
}

static int write_request(cre_client *client, const cre_client_options *options) {
    request it;
    uint8_t random[16];
    if (!cre__client_random(client->clients, random, sizeof random)) return -EIO;
    cre_ws_key(random, client->key);
    char key[sizeof client->key + 1] = "";
    memcpy(key, client->key, sizeof client->key);
    int result = describe_request(client, options, options->tls != NULL, &it);
    if (result) return result;
    it.parts.key = key;
    client->request = cre__malloc(CRE_HTTP_MAX_HEAD);
    if (!client->request) return CRE_ENOMEM;
    int written = cre_ws_write_request(client->request, CRE_HTTP_MAX_HEAD, &it.parts);
    if (written < 0) return written;
    client->request_length = (size_t)written;
    return 0;
}

int cre__client_ws_prepare(cre_client *client, const cre_client_options *options) {
    if (options->subprotocols) {
        client->subprotocols = cre__client_copy(options->subprotocols);
        if (!client->subprotocols) return CRE_ENOMEM;
    }
    if (options->deflate) {
        /* Also checks the configuration. */
        int result = cre_ws_deflate_pool_create(options->deflate, &client->pool);
        if (result) return result;
        size_t size = options->deflate->size;
        if (size > sizeof client->deflate_config) size = sizeof client->deflate_config;
        memcpy(&client->deflate_config, options->deflate, size);
        client->deflate_config.size = sizeof client->deflate_config;
        client->offers_deflate = true;
    }
    uint64_t fragments = options->max_message / FRAGMENT_BYTES;
    client->ws_config = (cre_ws_config){
        .client = true,
        .max_message = options->max_message,
        .max_fragments = fragments < CRE_WS_DEFAULT_MAX_FRAGMENTS ? CRE_WS_DEFAULT_MAX_FRAGMENTS
                         : fragments < UINT32_MAX                 ? (uint32_t)fragments
                                                                  : UINT32_MAX,
    };
    cre_ws_session_init(&client->session, &client->ws_config);
    return options->carrier ? 0 : write_request(client, options);
}

int cre__client_ws_request(cre_client *client, const cre_client_options *options) {
    const bool secure = options->carrier->client->options.tls != NULL;
    const size_t capacity = options->field_count + 4;
    request it;
    int result = describe_request(client, options, secure, &it);
    if (result) return result;
    cre_http_header *fields = cre__malloc(capacity * sizeof *fields);
    if (!fields) return CRE_ENOMEM;
    int count = cre_ws_request_fields(fields, capacity, &it.parts);
    const cre_http2_request head = { .protocol = "websocket",
                                     .scheme = secure ? "https" : "http",
                                     .authority = it.parts.host,
                                     .path = it.parts.target,
                                     .fields = fields,
                                     .field_count = count > 0 ? (size_t)count : 0 };
    result = count < 0 ? count : cre__client_stream_send(client, &head, false);
    cre__free(fields);
    return result == CRE_EUNSUPPORTED ? CRE_EHTTP2_CONNECT : result;
}

void cre__client_ws_start(cre_client *client) {
    client->phase = CRE__CLIENT_HANDSHAKING;
    if (client->stream) return; /* its request was sent when the stream was opened */
    bool queued = cre__queue_append(&client->transport, client->request, client->request_length);
    cre__free(client->request);
    client->request = NULL;
    if (!queued) cre__client_reset(client, CRE_ENOMEM);
}

void cre__client_ws_free(cre_client *client) {
    if (!client->options.websocket) return;
    if (client->ws_config.client) cre_ws_session_deinit(&client->session);
    if (client->compressed) cre_ws_deflate_deinit(&client->deflate);
    cre_ws_deflate_pool_destroy(client->pool);
    cre__free(client->request);
    cre__free(client->subprotocols);
    cre__free(client->head);
}

/* ---- the response ---- */

typedef struct response {
    cre_http_head head;
    cre_http_field fields[CRE_HTTP_DEFAULT_FIELDS];
} response;

/* Enables the extension if the server has accepted it. Returns 0 or an error. */
static int agree(cre_client *client, const cre_http_head *head, const cre_http_field *fields,
                 const uint8_t *bytes) {
    static const char name[] = "sec-websocket-extensions";
    char answer[MAX_EXTENSIONS];
    size_t length = 0;
    const cre_http_field *field = NULL;
    while ((field = cre_http_find_next(head, fields, bytes, name, sizeof name - 1, field))) {
        if (length + field->value_length + 1 > sizeof answer) return CRE_EWS_EXTENSION;
        if (length) answer[length++] = ',';
        memcpy(answer + length, bytes + field->value, field->value_length);
        length += field->value_length;
    }
    if (!client->offers_deflate) return 0; /* the check of the response has refused extensions */
    cre_ws_deflate_parameters agreed;
    int result = cre_ws_deflate_agree(&client->deflate_config, answer, length, &agreed);
    if (result <= 0) return result;
    cre_ws_deflate_init(&client->deflate, client->pool, &agreed, true);
    cre_ws_session_set_deflate(&client->session, &client->deflate);
    client->compressed = true;
    return 0;
}

/* The head is complete. Returns 0 or an error. */
static int accept_response(cre_client *client, const cre_http_head *head, const cre_http_field *fields,
                           const uint8_t *bytes) {
    const cre_http_field *subprotocol = NULL;
    client->status = head->status;
    int result = cre_ws_response_check(head, fields, bytes, client->key, client->subprotocols,
                                       client->offers_deflate ? "permessage-deflate" : NULL, &subprotocol);
    if (!result) result = agree(client, head, fields, bytes);
    if (result) return result;
    client->status = 0;
    cre_client_opening opening = {
        .head = head, .fields = fields, .head_bytes = bytes, .compressed = client->compressed
    };
    if (subprotocol) {
        opening.subprotocol = (const char *)bytes + subprotocol->value;
        opening.subprotocol_length = subprotocol->value_length;
    }
    cre__client_opened(client, &opening);
    return 0;
}

void cre__client_ws_answered(cre_client *client, const cre_http2_event *event) {
    if (client->phase != CRE__CLIENT_HANDSHAKING || event->head->status < 200) return;
    int result = accept_response(client, event->head, event->fields, event->head_bytes);
    if (!result && event->final) result = CRE_EGONE;
    if (result) cre__client_reset(client, result);
}

static bool append_head(cre_client *client, const uint8_t *data, size_t length) {
    size_t needed = client->head_length + length;
    if (needed > client->head_capacity) {
        uint8_t *grown = cre__realloc(client->head, 2 * needed);
        if (!grown) return false;
        client->head = grown;
        client->head_capacity = 2 * needed;
    }
    memcpy(client->head + client->head_length, data, length);
    client->head_length = needed;
    return true;
}

void cre__client_ws_handshake(cre_client *client, const uint8_t *data, size_t length) {
    response it;
    size_t already = client->head_length;
    if (!append_head(client, data, length)) {
        cre__client_reset(client, CRE_ENOMEM);
        return;
    }
    int result = 0;
    for (;;) {
        result = cre_http_parse_response(client->head, client->head_length, already, NULL, CRE_HTTP_GET,
                                         &it.head, it.fields);
        if (result <= 0 || it.head.status >= 200 || it.head.status == 101) break;
        /* An interim response, which another head follows. */
        client->head_length -= (size_t)result;
        memmove(client->head, client->head + result, client->head_length);
        already = 0;
    }
    if (result == 0) return;
    size_t used = (size_t)result;
    if (result > 0) result = accept_response(client, &it.head, it.fields, client->head);
    if (result < 0) {
        cre__client_finish(client, result);
        return;
    }
    /* Frames may follow the head. */
    uint8_t *head = client->head;
    size_t rest = client->head_length - used;
    client->head = NULL;
    if (cre__client_live(client)) cre__client_ws_input(client, head + used, rest);
    cre__free(head);
}

/* ---- sending ---- */

static bool append_frame(cre_client *client, const uint8_t *frame, size_t size) {
    if (cre__queue_append(&client->transport, frame, size)) return true;
    client->code = 1006;
    cre__client_reset(client, CRE_ENOMEM);
    return false;
}

/* A masked frame, which is copied to the queue. */
static int send_frame(cre_client *client, uint8_t first, const void *data, size_t length) {
    uint8_t mask[4];
    if (!cre__client_random(client->clients, mask, sizeof mask)) return -EIO;
    uint8_t header[CRE_WS_MAX_HEADER];
    size_t size = cre_ws_header(header, first, length, mask);
    uint8_t *at = cre__queue_reserve(&client->transport, size + length);
    if (!at) return CRE_ENOMEM;
    memcpy(at, header, size);
    if (!length) return 0;
    memcpy(at + size, data, length);
    cre_ws_mask(at + size, length, mask, 0);
    return 0;
}

/* Sends a message compressed, if it is whole and shrinks. Returns 1 when it is sent, 0 when it is not
 * compressed, or an error. */
static int send_compressed(cre_client *client, uint8_t first, const void *data, size_t length) {
    uint8_t *out;
    size_t size;
    uint8_t opcode = first & 0x0f;
    if (!client->compressed || !(first & CRE_WS_FIN) || (opcode != CRE_WS_TEXT && opcode != CRE_WS_BINARY))
        return 0;
    if (cre_ws_deflate_message(&client->deflate, data, length, &out, &size) != 1) return 0;
    int result = send_frame(client, first | CRE_WS_RSV1, out, size);
    if (!result) return 1;
    /* The compressor refers to a message that was never sent. */
    client->code = 1006;
    cre__client_reset(client, result);
    return result;
}

int cre_client_push(cre_client *client, uint8_t first, const void *data, size_t length) {
    if (!client->options.websocket || client->phase != CRE__CLIENT_OPEN) return CRE_ESTATE;
    if ((first & 0x0f) == CRE_WS_CLOSE) return CRE_EINVALID;
    if (length > CRE_CLIENT_MAX_SEND) return CRE_ELIMIT;
    if (client->transport.queued >= client->options.max_queue) return CRE_EQUEUE_FULL;
    cre_ws_send_state before = client->sent;
    int result = cre_ws_send_check(&client->sent, first, data, length);
    if (result) return result;
    result = send_compressed(client, first, data, length);
    if (result) return result < 0 ? result : 0;
    result = send_frame(client, first, data, length);
    if (result) client->sent = before;
    return result;
}

/* ---- the closing handshake ---- */

int cre__client_ws_close(cre_client *client, uint16_t code, const char *reason, size_t reason_length) {
    if (client->failing) {
        cre_client_conclude(client);
        return 0;
    }
    uint8_t frame[CRE_WS_MAX_ANSWER], mask[4];
    if (!cre__client_random(client->clients, mask, sizeof mask)) return -EIO;
    size_t size = cre_ws_session_close(&client->session, code, reason, reason_length, mask, frame);
    client->code = code;
    client->phase = CRE__CLIENT_CLOSING;
    cre__transport_set_deadline(&client->transport, client->options.close_timeout_ms);
    return append_frame(client, frame, size) ? 0 : CRE_ENOMEM;
}

/* Nothing more is received: the server closes the connection. */
static void await_end(cre_client *client) {
    client->input_over = true;
    client->phase = CRE__CLIENT_CLOSING;
    cre__transport_set_deadline(&client->transport, client->options.close_timeout_ms);
}

void cre__client_ws_ended(cre_client *client) {
    if (client->input_over) {
        cre__client_finish(client, 0);
        return;
    }
    if (client->failing) {
        cre_client_conclude(client);
        return;
    }
    client->by_server = true;
    client->code = 1006;
    cre__client_finish(client, CRE_EGONE);
}

/* ---- input ---- */

static void fail(cre_client *client, int error) {
    uint8_t frame[CRE_WS_MAX_ANSWER], mask[4];
    size_t size = 0;
    if (cre__client_random(client->clients, mask, sizeof mask))
        size = cre_ws_session_fail(&client->session, error, mask, frame);
    if (size && !append_frame(client, frame, size)) return;
    client->code = cre_ws_close_code(error);
    cre__client_finish(client, error);
}

/* The input is invalid. The owner may still be busy with what it received before. */
static void failed(cre_client *client, int error) {
    const cre_client_options *options = &client->options;
    if (!options->failing || client->phase != CRE__CLIENT_OPEN) {
        fail(client, error);
        return;
    }
    client->failing = error;
    client->pinged = false;
    cre__transport_set_deadline(&client->transport, options->close_timeout_ms);
    options->failing(options->context, client);
}

void cre_client_conclude(cre_client *client) {
    int error = client->failing;
    client->failing = 0;
    if (error && client->phase == CRE__CLIENT_OPEN) fail(client, error);
}

static void answer(cre_client *client, const cre_ws_event *event) {
    uint8_t frame[CRE_WS_MAX_ANSWER], mask[4];
    if (!cre__client_random(client->clients, mask, sizeof mask)) return;
    size_t size = cre_ws_session_answer(&client->session, event, mask, frame);
    if (size) append_frame(client, frame, size);
}

static void handle_close(cre_client *client, const cre_ws_event *event) {
    if (client->phase == CRE__CLIENT_OPEN) {
        client->by_server = true;
        client->code = event->close_code;
        cre__client_set_text(client, event->data, event->length);
        answer(client, event);
    }
    if (cre__client_live(client)) await_end(client);
}

static void handle(cre_client *client, const cre_ws_event *event) {
    bool open = client->phase == CRE__CLIENT_OPEN;
    cre_client_message message = { .data = event->data, .length = event->length, .opcode = event->opcode };
    if (event->opcode == CRE_WS_CLOSE)
        handle_close(client, event);
    else if (event->opcode == CRE_WS_PING) { /* with a full queue the server reads nothing anyway */
        if (open && client->transport.queued < client->options.max_queue) answer(client, event);
    } else if (open)
        client->options.received(client->options.context, client, &message);
}

static bool takes_input(const cre_client *client) {
    return cre__client_live(client) && !client->input_over && !client->failing;
}

void cre__client_ws_input(cre_client *client, uint8_t *data, size_t length) {
    uint8_t *end = data + length;
    cre_ws_event event;
    while (takes_input(client)) {
        if (client->paused && client->phase == CRE__CLIENT_OPEN) {
            cre__client_defer(client, data, end);
            return;
        }
        int result = cre_ws_session_next(&client->session, &data, end, &event);
        if (result == 0) break;
        if (result > 0)
            handle(client, &event);
        else
            failed(client, result);
    }
    client->transport.has_destination = client->session.message != NULL && takes_input(client);
}

void cre__client_ws_received(cre_client *client, size_t length) {
    cre_ws_event event;
    if (!takes_input(client)) return;
    int result = cre_ws_session_received(&client->session, length, &event);
    if (result == 0) return;
    if (result > 0)
        handle(client, &event);
    else
        failed(client, result);
    cre__client_ws_input(client, NULL, 0); /* frees the message's memory */
}

/* ---- time ---- */

/* The heartbeat: pings a silent server, and ends the connection when it stays silent. */
static void heartbeat(cre_client *client) {
    const cre_client_options *options = &client->options;
    cre__transport *transport = &client->transport;
    uint32_t now = (uint32_t)cre_loop_now(transport->net->loop), silent = now - transport->last_receive;
    if (client->paused) silent = 0; /* what the server has sent is not read */
    if (client->pinged && !client->paused) {
        if (now - client->pinged_at >= options->ping_timeout_ms) {
            client->code = 1006;
            cre__client_time_out(client, options->ping_timeout_ms);
            return;
        }
        cre__transport_set_deadline(transport, options->ping_timeout_ms - (now - client->pinged_at));
        return;
    }
    client->pinged = silent >= options->ping_interval_ms;
    if (!client->pinged) {
        cre__transport_set_deadline(transport, options->ping_interval_ms - silent);
        return;
    }
    client->pinged_at = now;
    /* In a full queue a ping would change nothing: the server takes no output. */
    int result = cre_client_push(client, CRE_WS_FIN | CRE_WS_PING, NULL, 0);
    if (result && result != CRE_EQUEUE_FULL) {
        client->code = 1006;
        cre__client_reset(client, result);
        return;
    }
    cre__transport_set_deadline(transport, options->ping_timeout_ms);
}

void cre__client_ws_due(cre_client *client) {
    if (client->failing) {
        cre_client_conclude(client);
    } else if (client->phase == CRE__CLIENT_OPEN) {
        heartbeat(client);
    } else if (client->input_over) {
        cre__client_reset(client, 0); /* the server left closing to the client */
    } else {
        client->code = 1006;
        cre__client_reset(client, -ETIMEDOUT);
    }
}
