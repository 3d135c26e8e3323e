/* HTTP clients that record what happens to them, and a server for them. */
#ifndef CRE_TEST_HTTP_RECORD_H
#define CRE_TEST_HTTP_RECORD_H

#include <creactor/http_client.h>
#include <poll.h>

#include "both.h"
#include "client_record.h"
#include "raw_server.h"
#ifdef CRE_HAVE_TLS
#include "dialer.h"
#endif

typedef struct http_record {
    cre_clients *clients;
    cre_http_client *client; /* NULL after `closed` */
    int opened, heads, interim, complete, reusable, drained, closed;
    unsigned status;
    char field[64];    /* the value of "x" */
    char trailers[64]; /* "name=value;" */
    uint8_t *body;
    size_t length;
    size_t
        unsent; /* of a request body that begins after "100 Continue", and goes on when the queue is empty */
    bool pause_each, abort_in_head, again_in_complete;
    cre_client_ending ending;
    char text[CRE_TLS_MESSAGE + 1];
} http_record;

static inline void get(http_record *it, const char *target) {
    const cre_http_request request = { .method = "GET", .target = target, .host = "a" };
    CHECK_EQ(cre_http_client_send(it->client, &request, NULL, 0), 0);
}

static inline void http_opened(void *context, cre_http_client *client) {
    http_record *it = context;
    CHECK(client == it->client);
    it->opened++;
}

static inline void http_send_body(http_record *it, cre_http_client *client) {
    static const uint8_t piece[10000] = { 0 };
    while (it->unsent) {
        int result = cre_http_client_write(client, piece, sizeof piece);
        if (result) {
            CHECK_EQ(result, CRE_EQUEUE_FULL);
            cre_http_client_await_drain(client);
            return;
        }
        it->unsent -= sizeof piece;
    }
    CHECK_EQ(cre_http_client_end(client), 0);
}

static inline void http_head(void *context, cre_http_client *client, const cre_http_client_head *head) {
    http_record *it = context;
    it->status = head->head->status;
    if (it->status < 200) {
        it->interim++;
        if (it->unsent) http_send_body(it, client);
        return;
    }
    it->heads++;
    const cre_http_field *field = cre_http_find(head->head, head->fields, head->bytes, "x", 1);
    if (field) snprintf(it->field, sizeof it->field, "%.*s", field->value_length, head->bytes + field->value);
    if (it->abort_in_head) {
        cre_http_client_abort(client);
        it->client = NULL;
    } else if (it->pause_each) {
        cre_http_client_pause(client);
    }
}

static inline void http_body(void *context, cre_http_client *client, uint8_t *data, size_t length) {
    http_record *it = context;
    CHECK(length > 0);
    it->body = realloc(it->body, it->length + length + 1);
    REQUIRE(it->body != NULL);
    memcpy(it->body + it->length, data, length);
    it->length += length;
    it->body[it->length] = 0;
    if (it->pause_each) cre_http_client_pause(client);
}

static inline void http_complete(void *context, cre_http_client *client, bool reusable) {
    http_record *it = context;
    it->complete++;
    it->reusable += reusable;
    if (!reusable) {
        const cre_http_request request = { .method = "GET", .target = "/", .host = "a" };
        CHECK_EQ(cre_http_client_send(client, &request, NULL, 0), CRE_ESTATE);
    } else if (it->again_in_complete && it->complete < 5) {
        get(it, "/again");
    }
}

static inline void http_trailers(void *context, cre_http_client *client,
                                 const cre_http_client_trailers *trailers) {
    http_record *it = context;
    CHECK(client == it->client);
    CHECK_EQ(it->complete, 0);
    for (size_t i = 0; i < trailers->count; i++) {
        const cre_http_field *field = &trailers->fields[i];
        size_t used = strlen(it->trailers);
        snprintf(it->trailers + used, sizeof it->trailers - used, "%.*s=%.*s;", field->name_length,
                 trailers->bytes + field->name, field->value_length, trailers->bytes + field->value);
    }
}

static inline void http_drained(void *context, cre_http_client *client) {
    http_record *it = context;
    CHECK_EQ(cre_http_client_queued(client), 0);
    it->drained++;
    if (it->unsent) http_send_body(it, client);
}

static inline void http_closed(void *context, cre_http_client *client, const cre_client_ending *ending) {
    http_record *it = context;
    CHECK(client == it->client);
    it->client = NULL;
    it->closed++;
    it->ending = *ending;
    snprintf(it->text, sizeof it->text, "%.*s", (int)ending->text_length, ending->text);
}

static inline cre_http_client_options http_options(http_record *it, uint16_t port) {
    return (cre_http_client_options){ .size = sizeof(cre_http_client_options),
                                      .host = "127.0.0.1",
                                      .port = port,
                                      .tls = tls_of_case,
                                      .tls_name = "localhost",
                                      .context = it,
                                      .opened = http_opened,
                                      .head = http_head,
                                      .body = http_body,
                                      .complete = http_complete,
                                      .drained = http_drained,
                                      .closed = http_closed,
                                      .trailers = http_trailers };
}

static inline void http_start(http_record *it, net_server *net, const cre_http_client_options *options) {
    REQUIRE(cre_clients_create(net->loop, &it->clients) == 0);
    REQUIRE(cre_http_client_connect(it->clients, options, &it->client) == 0);
}

static inline void http_open(http_record *it, net_server *net, uint16_t port) {
    cre_http_client_options options = http_options(it, port);
    http_start(it, net, &options);
    NET_UNTIL(net, it->opened);
}

static inline void http_stop(http_record *it) {
    cre_clients_destroy(it->clients);
    free(it->body);
    *it = (http_record){ 0 };
}

/* Answers with the method's number, the path and the body. */
static inline int serve(net_server *net, const cre_record *event, uint8_t *payload) {
    if (event->kind != CRE_EVENT_REQUEST) return 0;
    cre_request_view view;
    CHECK_EQ(cre_request_view_init(&view, payload, event->length), 0);
    if (cre_request_is(payload, event->length, "/silence")) return 0;
    size_t path = view.head->path_length, length = path + 1 + view.body_length;
    char *body = malloc(length);
    REQUIRE(body != NULL);
    body[0] = (char)('0' + view.head->method);
    memcpy(body + 1, view.bytes + view.head->path, path);
    if (view.body_length) memcpy(body + 1 + path, view.body, view.body_length);
    CHECK_EQ(cre_engine_respond(net->engine, event->session, 200, "X: y\r\n", body, length), 0);
    free(body);
    return 0;
}

static inline net_server *start(void) {
    return net_start((cre_engine_config){ .http = true, .max_body = 10000000 }, serve);
}

static inline void answer(raw_server *raw, const char *text) {
    raw_write(raw, text, strlen(text));
}

/* A client whose connection to a raw server is open. The server that is returned turns the loop. */
static inline net_server *open_to_raw(http_record *it, raw_server *raw) {
    net_server *net = start();
    *it = (http_record){ 0 };
    raw_start(raw);
    http_open(it, net, raw->port);
    return net;
}

static inline void stop_all(http_record *it, raw_server *raw, net_server *net) {
    http_stop(it);
    raw_stop(raw);
    net_stop(net);
}

#endif
