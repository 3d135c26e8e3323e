/* The life of a client's connection, and streams. */
#include "client/client_internal.h"

#include <creactor/error.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/config.h"
#include "core/memory.h"
#include "net/tls.h"

CRE__CONFIG(cre_client_options, reserved);

#define TIMEOUT_MS 10000u

/* ---- the end ---- */

static void unlink_client(cre_client *client) {
    if (!client->previous) return;
    *client->previous = client->next;
    if (client->next) client->next->previous = client->previous;
    client->previous = NULL;
}

static void free_client(cre_client *client) {
    unlink_client(client);
    cre__client_ws_free(client);
    cre__client_http_free(client);
    cre__client_stream_free(client);
    cre_framing_deinit(&client->framing);
    cre_tls_client_release(client->options.tls);
    cre_tls_client_release(client->outer_tls);
    cre__free(client->outer_tls_name);
    cre__free(client->tls_name);
    cre__free(client->pending);
    cre__free(client);
}

/* Reports the end and frees the client. */
static void end_client(cre_client *client) {
    const cre_client_options *options = &client->options;
    cre_client_ending ending = { .error = client->error,
                                 .opened = client->opened,
                                 .by_server = client->by_server,
                                 .code = client->code,
                                 .status = client->status,
                                 .text = client->text,
                                 .text_length = client->text_length };
    client->phase = CRE__CLIENT_ENDED;
    if (!client->aborted) options->closed(options->context, client, &ending);
    free_client(client);
}

void cre__client_set_text(cre_client *client, const void *text, size_t length) {
    if (length > sizeof client->text) length = sizeof client->text;
    if (length) memcpy(client->text, text, length);
    client->text_length = (uint16_t)length;
}

void cre__client_finish(cre_client *client, int error) {
    client->error = error;
    client->phase = CRE__CLIENT_ENDED;
    cre__transport_finish(&client->transport, client->options.close_timeout_ms);
}

void cre__client_reset(cre_client *client, int error) {
    client->error = error;
    client->phase = CRE__CLIENT_ENDED;
    cre__transport_close(&client->transport, false);
}

/* ---- input ---- */

bool cre__client_defer(cre_client *client, const uint8_t *data, const uint8_t *end) {
    size_t length = (size_t)(end - data);
    if (!length) return true;
    if (client->pending) { /* the input is from there: the rest stays where it is */
        client->pending_at = (size_t)(data - client->pending);
        return true;
    }
    client->pending = cre__malloc(length);
    if (!client->pending) {
        cre__client_reset(client, CRE_ENOMEM);
        return false;
    }
    memcpy(client->pending, data, length);
    client->pending_at = 0;
    client->pending_end = length;
    return true;
}

static void deliver(cre_client *client, uint8_t *data, size_t length) {
    cre_client_message message = { .data = data, .length = length };
    client->options.received(client->options.context, client, &message);
}

static void stream_input(cre_client *client, uint8_t *data, size_t length) {
    const uint8_t *cursor = data, *end = data + length, *packet;
    if (client->framing_config.kind == CRE_FRAMING_NONE) {
        if (client->paused)
            cre__client_defer(client, data, end);
        else
            deliver(client, data, length);
        return;
    }
    while (client->phase == CRE__CLIENT_OPEN) {
        if (client->paused) {
            cre__client_defer(client, cursor, end);
            return;
        }
        int result = cre_framing_next(&client->framing, &cursor, end, &packet, &length);
        if (result == 0) return;
        if (result < 0)
            cre__client_finish(client, result);
        else
            deliver(client, (uint8_t *)(uintptr_t)packet, length);
    }
}

static void input(cre_client *client, uint8_t *data, size_t length) {
    if (client->options.websocket)
        cre__client_ws_input(client, data, length);
    else
        stream_input(client, data, length);
}

static void deliver_pending(cre_client *client) {
    size_t at = client->pending_at;
    client->pending_at = client->pending_end;
    input(client, client->pending + at, client->pending_end - at);
    if (client->pending_at != client->pending_end && cre__client_live(client)) return;
    cre__free(client->pending);
    client->pending = NULL;
}

/* ---- transport events ---- */

static void on_ready(cre__transport *transport) {
    cre_client *client = cre__client_of(transport);
    if (client->options.websocket)
        cre__client_ws_start(client);
    else
        cre__client_opened(client, &(cre_client_opening){ 0 });
}

uint32_t cre__client_time_left(const cre_client *client) {
    uint64_t now = cre_loop_now(client->clients->net.loop);
    return client->deadline > now ? (uint32_t)(client->deadline - now) : 1;
}

void cre__client_secure(cre_client *client) {
    cre__transport *transport = &client->transport;
    if (!client->options.tls) {
        cre__client_opened(client, &(cre_client_opening){ 0 });
        return;
    }
    client->phase = CRE__CLIENT_SECURING;
    client->opened = false;
    transport->established = false;
    int result = client->outer_tls ? cre__tls_nest_client(transport, client->options.tls, client->tls_name)
                                   : cre__tls_attach_client(transport, client->options.tls, client->tls_name);
    if (result)
        cre__client_reset(client, result);
    else
        cre__transport_set_deadline(transport, cre__client_time_left(client));
}

int cre__client_set_outer_tls(cre_client *client, cre_tls_client *tls, const char *name) {
    client->outer_tls_name = cre__client_copy(name);
    if (!client->outer_tls_name) return CRE_ENOMEM;
    client->outer_tls = cre_tls_client_retain(tls);
    return 0;
}

void cre__client_opened(cre_client *client, const cre_client_opening *opening) {
    const cre_client_options *options = &client->options;
    cre__transport_set_deadline(&client->transport, options->websocket ? options->ping_interval_ms : 0);
    client->phase = CRE__CLIENT_OPEN;
    client->opened = true;
    if (client->paused) cre__transport_stop(&client->transport, CRE__STOP_PAUSED);
    if (options->opened) options->opened(options->context, client, opening);
}

static bool on_may_read(cre__transport *transport) {
    (void)transport;
    return true;
}

static size_t on_destination(cre__transport *transport, uint8_t **at) {
    return cre_ws_session_destination(&cre__client_of(transport)->session, at);
}

static void on_readable(cre__transport *transport, uint8_t *data, size_t length, bool at_destination) {
    cre_client *client = cre__client_of(transport);
    if (client->pinged) { /* until now the deadline was that of the answer */
        client->pinged = false;
        if (client->phase == CRE__CLIENT_OPEN)
            cre__transport_set_deadline(transport, client->options.ping_interval_ms);
    }
    if (client->phase == CRE__CLIENT_HANDSHAKING)
        cre__client_ws_handshake(client, data, length);
    else if (!cre__client_live(client))
        return;
    else if (at_destination)
        cre__client_ws_received(client, length);
    else
        input(client, data, length);
}

static void on_ended(cre__transport *transport, int error) {
    cre_client *client = cre__client_of(transport);
    if (client->phase == CRE__CLIENT_ENDED) {
        cre__transport_close(transport, false);
    } else if (error == CRE_ETLS) {
        const char *cause = cre__tls_cause(transport);
        cre__client_set_text(client, cause, strlen(cause));
        if (client->options.websocket) client->code = 1006;
        cre__client_finish(client, CRE_ETLS); /* sends the alert */
    } else if (client->phase < CRE__CLIENT_OPEN) {
        cre__client_reset(client, error == CRE__INPUT_ENDED ? CRE_EGONE : error);
    } else if (client->http) {
        cre__client_http_ended(client, error);
    } else if (error != CRE__INPUT_ENDED) {
        client->by_server = true;
        if (client->options.websocket && !client->input_over) client->code = 1006;
        cre__client_reset(client, client->input_over ? client->error : error);
    } else if (client->options.websocket) {
        cre__client_ws_ended(client);
    } else {
        client->by_server = true;
        cre__client_finish(client, 0);
    }
}

static bool on_writable(cre__transport *transport, uint32_t *budget) {
    cre_client *client = cre__client_of(transport);
    if (client->http && client->http->session) return cre__client_http2_produce(client->http, budget);
    transport->producing = false;
    if (client->options.drained) client->options.drained(client->options.context, client);
    /* After a read the transport is no longer marked: the end of the turn must send the new output. */
    if (transport->producing || cre__queue_pending(transport)) cre__transport_mark_turn(transport);
    return false;
}

static void on_queue_changed(cre__transport *transport) {
    (void)transport;
}

static void on_active(cre__transport *transport, bool received) {
    (void)transport;
    (void)received;
}

static void on_due(cre__transport *transport) {
    cre_client *client = cre__client_of(transport);
    if (client->phase < CRE__CLIENT_OPEN)
        cre__client_time_out(client, client->options.timeout_ms);
    else if (client->http)
        cre__client_http_due(client);
    else
        cre__client_ws_due(client);
}

static bool on_turn(cre__transport *transport) {
    cre_client *client = cre__client_of(transport);
    if (client->stream && client->phase == CRE__CLIENT_SECURING) on_ready(transport);
    if (!client->resume_due) return true;
    client->resume_due = false;
    if (!cre__client_live(client) || client->paused) return true;
    if (client->pending) deliver_pending(client);
    if (cre__client_live(client) && !client->paused) cre__transport_resume(transport, CRE__STOP_PAUSED);
    return true;
}

static void on_free(cre__transport *transport) {
    end_client(cre__client_of(transport));
}

static void on_carry(cre__transport *transport) {
    cre__client_stream_carry(cre__client_of(transport));
}

static void on_uncarry(cre__transport *transport, bool reset) {
    (void)reset;
    cre__client_stream_uncarry(cre__client_of(transport));
}

static const cre__transport_events events = {
    .ready = on_ready,
    .may_read = on_may_read,
    .destination = on_destination,
    .readable = on_readable,
    .ended = on_ended,
    .writable = on_writable,
    .queue_changed = on_queue_changed,
    .active = on_active,
    .due = on_due,
    .turn = on_turn,
    .free = on_free,
    .carry = on_carry,
    .uncarry = on_uncarry,
};

/* ---- connecting ---- */

static int open_transport(cre_client *client, int descriptor) {
    int result = cre__transport_open(&client->transport, &client->clients->net, descriptor);
    if (result) {
        client->transport.net = NULL;
        close(descriptor);
        return result;
    }
    client->phase = CRE__CLIENT_SECURING;
    if (client->outer_tls)
        result = cre__tls_attach_client(&client->transport, client->outer_tls, client->outer_tls_name);
    else if (client->options.tls && !client->secures_later)
        result = cre__tls_attach_client(&client->transport, client->options.tls, client->tls_name);
    if (result) return result;
    cre__transport_set_deadline(&client->transport, cre__client_time_left(client));
    cre__transport_start(&client->transport);
    return 0;
}

static void on_connected(void *context, int result) {
    cre_client *client = context;
    client->connector = NULL;
    if (result >= 0) result = open_transport(client, result);
    if (!result) return;
    client->error = result;
    client->phase = CRE__CLIENT_ENDED;
    if (client->transport.net)
        cre__transport_discard(&client->transport);
    else
        end_client(client);
}

char *cre__client_copy(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = cre__malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

/* Copies the options that are needed later. */
static int take_options(cre_client *client, const cre_client_options *options) {
    client->options = *options;
    client->options.tls = options->carrier ? NULL : cre_tls_client_retain(options->tls);
    cre_client_options *own = &client->options;
    if (!own->timeout_ms) own->timeout_ms = TIMEOUT_MS;
    if (!own->max_queue) own->max_queue = CRE_CLIENT_DEFAULT_QUEUE;
    if (!own->close_timeout_ms) own->close_timeout_ms = CRE_CLIENT_DEFAULT_CLOSE_MS;
    if (!own->ping_timeout_ms) own->ping_timeout_ms = CRE_CLIENT_DEFAULT_PING_MS;
    client->tls_name = cre__client_copy(options->tls_name ? options->tls_name : options->host);
    if (!client->tls_name) return CRE_ENOMEM;
    if (options->websocket) return cre__client_ws_prepare(client, options);
    if (options->framing) {
        int result =
            cre__config_take(&client->framing_config, sizeof client->framing_config, options->framing);
        if (!result && client->framing_config.kind != CRE_FRAMING_NONE)
            result = cre_framing_config_check(&client->framing_config);
        if (result) return result;
    }
    cre_framing_init(&client->framing, &client->framing_config);
    return 0;
}

/* Opens the client as a stream of a connection. */
static int open_carried(cre_client *client, const cre_client_options *options) {
    int result = cre__client_carry(client, options->carrier);
    if (!result && options->websocket) result = cre__client_ws_request(client, options);
    if (result) {
        if (client->stream) cre__client_stream_uncarry(client);
        return result;
    }
    client->phase = CRE__CLIENT_SECURING;
    cre__transport_set_deadline(&client->transport, client->options.timeout_ms);
    cre__transport_mark_turn(&client->transport);
    return 0;
}

int cre_client_connect(cre_clients *clients, const cre_client_options *given, cre_client **out) {
    cre_client_options options;
    int result = cre__config_take(&options, sizeof options, given);
    if (result) return result;
    if (!options.host || !options.received || !options.closed || options.websocket > 1) return CRE_EINVALID;
    if (options.secures_later > 1 || (options.secures_later && (options.websocket || !options.tls)))
        return CRE_EINVALID;
    cre_client *client = cre__calloc(1, sizeof *client);
    if (!client) return CRE_ENOMEM;
    client->clients = clients;
    client->secures_later = options.secures_later;
    result = take_options(client, &options);
    cre_connect_options to = { .size = sizeof to,
                               .host = options.host,
                               .port = options.port,
                               .timeout_ms = client->options.timeout_ms };
    cre_loop *loop = clients->net.loop;
    if (!result && options.carrier)
        result = open_carried(client, &options);
    else if (!result)
        result = cre_connector_start(loop, &to, on_connected, client, &client->connector);
    if (result) {
        free_client(client);
        return result;
    }
    client->deadline = cre_loop_now(loop) + client->options.timeout_ms;
    client->next = clients->first;
    if (client->next) client->next->previous = &client->next;
    client->previous = &clients->first;
    clients->first = client;
    *out = client;
    return 0;
}

/* ---- use ---- */

int cre_client_send(cre_client *client, const void *data, size_t length) {
    if (client->options.websocket || client->phase != CRE__CLIENT_OPEN) return CRE_ESTATE;
    if (length > CRE_CLIENT_MAX_SEND) return CRE_ELIMIT;
    if (client->transport.queued >= client->options.max_queue) return CRE_EQUEUE_FULL;
    return cre__queue_append(&client->transport, data, length) ? 0 : CRE_ENOMEM;
}

int cre_client_secure(cre_client *client) {
    const bool may = client->options.secures_later && client->phase == CRE__CLIENT_OPEN;
    if (!may || client->transport.tls || client->transport.queued) return CRE_ESTATE;
    cre__client_secure(client);
    return 0;
}

size_t cre_client_queued(const cre_client *client) {
    return client->transport.queued;
}

void cre_client_await_drain(cre_client *client) {
    if (!cre__client_live(client)) return;
    client->transport.producing = true;
    cre__transport_mark(&client->transport);
}

void cre_client_pause(cre_client *client) {
    client->paused = true;
    client->transport.has_destination = false;
    if (client->phase == CRE__CLIENT_OPEN) cre__transport_stop(&client->transport, CRE__STOP_PAUSED);
}

void cre_client_resume(cre_client *client) {
    client->paused = false;
    if (!cre__client_live(client)) return;
    client->resume_due = true;
    cre__transport_mark_turn(&client->transport);
}

int cre_client_close(cre_client *client, uint16_t code, const char *reason, size_t reason_length) {
    if (client->phase != CRE__CLIENT_OPEN) return CRE_ESTATE;
    cre__loop_update_time(client->transport.net->loop); /* the loop may not have run for long */
    if (!client->options.websocket) {
        cre__client_finish(client, 0);
        return 0;
    }
    int result = cre__client_ws_close(client, code, reason, reason_length);
    /* The answer must be received. */
    cre_client_resume(client);
    return result;
}

void cre_client_abort(cre_client *client) {
    if (!client) return;
    client->aborted = true;
    if (client->phase == CRE__CLIENT_CONNECTING) {
        cre_connector_stop(client->connector);
        free_client(client);
    } else {
        client->phase = CRE__CLIENT_ENDED;
        if (client->transport.net) cre__transport_close(&client->transport, false);
    }
}

/* ---- the clients of a loop ---- */

bool cre__client_random(cre_clients *clients, void *out, size_t length) {
    if (clients->random_left < length) {
        if (getrandom(clients->random, sizeof clients->random, 0) != sizeof clients->random) return false;
        clients->random_left = sizeof clients->random;
    }
    clients->random_left -= (uint32_t)length;
    memcpy(out, clients->random + clients->random_left, length);
    return true;
}

static bool on_flush(cre__hook *hook) {
    cre__net_flush(&((cre_clients *)hook)->net);
    return false;
}

int cre_clients_create(cre_loop *loop, cre_clients **out) {
    cre_clients *clients = cre__calloc(1, sizeof *clients);
    if (!clients) return CRE_ENOMEM;
    int result = cre__net_init(&clients->net, loop, &events);
    if (result) {
        cre__free(clients);
        return result;
    }
    clients->flush.run = on_flush;
    cre__loop_add_hook(loop, CRE__FLUSH, &clients->flush);
    *out = clients;
    return 0;
}

void cre_clients_destroy(cre_clients *clients) {
    if (!clients) return;
    while (clients->first) {
        cre_client *client = clients->first;
        unlink_client(client);
        cre_client_abort(client);
    }
    cre__net_forget(&clients->net);
    cre__loop_remove_hook(clients->net.loop, CRE__FLUSH, &clients->flush);
    cre__net_deinit(&clients->net);
    cre__free(clients);
}
