/* Transports that connect to a server of net.h, and TLS configurations for them. Tests turn one loop by hand,
 * on which both sides are. */
#ifndef CRE_TEST_DIALER_H
#define CRE_TEST_DIALER_H

#include "net/tls.h"
#include "net/transport.h"
#include "tls_net.h"

/* ---- a protocol that collects its input ---- */

typedef struct peer {
    cre__transport transport;
    uint8_t *data; /* received */
    size_t length, capacity;
    int ready, ended, errors, due;
    int error; /* of `ended` */
    char cause[128];
    bool freed;
} peer;

/* The transports of clients on the loop of a server. */
typedef struct dialer {
    cre__hook flush; /* first */
    cre__net net;
    net_server *server;
} dialer;

static inline peer *peer_of(cre__transport *transport) {
    return (peer *)transport;
}

static inline void on_ready(cre__transport *transport) {
    CHECK_EQ(peer_of(transport)->length, 0);
    peer_of(transport)->ready++;
}

static inline bool may_read(cre__transport *transport) {
    (void)transport;
    return true;
}

static inline size_t destination(cre__transport *transport, uint8_t **at) {
    (void)transport;
    (void)at;
    return 0;
}

static inline void on_readable(cre__transport *transport, uint8_t *data, size_t length, bool at_destination) {
    peer *it = peer_of(transport);
    CHECK_EQ(it->ready, 1);
    CHECK(!at_destination);
    if (it->capacity - it->length < length) {
        it->capacity = 2 * it->capacity + length;
        it->data = realloc(it->data, it->capacity);
        REQUIRE(it->data != NULL);
    }
    memcpy(it->data + it->length, data, length);
    it->length += length;
}

static inline void on_ended(cre__transport *transport, int error) {
    peer *it = peer_of(transport);
    if (error == CRE__INPUT_ENDED) {
        it->ended++;
        return;
    }
    it->errors++;
    it->error = error;
    snprintf(it->cause, sizeof it->cause, "%s", cre__tls_cause(transport));
    cre__transport_finish(transport, 1000);
}

static inline bool on_writable(cre__transport *transport, uint32_t *budget) {
    (void)transport;
    (void)budget;
    return false;
}

static inline void ignore(cre__transport *transport) {
    (void)transport;
}

static inline void ignore_activity(cre__transport *transport, bool received) {
    (void)transport;
    (void)received;
}

static inline void on_due(cre__transport *transport) {
    peer_of(transport)->due++;
}

static inline bool on_turn(cre__transport *transport) {
    (void)transport;
    return true;
}

static inline void on_free(cre__transport *transport) {
    peer_of(transport)->freed = true;
}

static const cre__transport_events peer_events = {
    .ready = on_ready,
    .may_read = may_read,
    .destination = destination,
    .readable = on_readable,
    .ended = on_ended,
    .writable = on_writable,
    .queue_changed = ignore,
    .active = ignore_activity,
    .due = on_due,
    .turn = on_turn,
    .free = on_free,
};

static inline bool flush_peers(cre__hook *hook) {
    cre__net_flush(&((dialer *)hook)->net);
    return false;
}

static inline dialer *dialer_start(net_server *net) {
    dialer *it = calloc(1, sizeof *it);
    REQUIRE(it != NULL);
    it->server = net;
    it->flush.run = flush_peers;
    REQUIRE(cre__net_init(&it->net, net->loop, &peer_events) == 0);
    cre__loop_add_hook(net->loop, CRE__FLUSH, &it->flush);
    return it;
}

static inline void dialer_stop(dialer *it) {
    CHECK_EQ(it->net.open, 0);
    CHECK_EQ(it->net.queued, 0);
    cre__loop_remove_hook(it->server->loop, CRE__FLUSH, &it->flush);
    cre__net_deinit(&it->net);
    free(it);
}

static inline void on_connected(void *context, int result) {
    REQUIRE(result >= 0);
    *(int *)context = result;
}

/* A connected transport that is not started. `client` NULL: without TLS. */
static inline peer *peer_open(dialer *from, uint16_t port, cre_tls_client *client, const char *name) {
    peer *it = calloc(1, sizeof *it);
    REQUIRE(it != NULL);
    int descriptor = -1;
    cre_connector *connector;
    cre_connect_options options = { .size = sizeof options, .host = "127.0.0.1", .port = port };
    REQUIRE(cre_connector_start(from->server->loop, &options, on_connected, &descriptor, &connector) == 0);
    NET_UNTIL(from->server, descriptor >= 0);
    REQUIRE(cre__transport_open(&it->transport, &from->net, descriptor) == 0);
    if (client) REQUIRE(cre__tls_attach_client(&it->transport, client, name) == 0);
    return it;
}

static inline peer *peer_start(dialer *from, cre_tls_client *client, const char *name) {
    peer *it = peer_open(from, from->server->port, client, name);
    cre__transport_start(&it->transport);
    return it;
}

static inline void peer_free(dialer *from, peer *it) {
    cre__transport_close(&it->transport, false);
    NET_UNTIL(from->server, it->freed);
    free(it->data);
    free(it);
}

static inline void peer_send(peer *it, const void *data, size_t length) {
    for (size_t at = 0, n; at < length; at += n) {
        n = length - at < 4000 ? length - at : 4000;
        REQUIRE(cre__queue_append(&it->transport, (const uint8_t *)data + at, n));
    }
}

static const char dialer_request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/* A request and its response. */
static inline void peer_check(dialer *from, peer *it) {
    peer_send(it, dialer_request, sizeof dialer_request - 1);
    NET_UNTIL(from->server,
              it->errors || (it->length > 5 && memcmp(it->data + it->length - 5, "hello", 5) == 0));
    CHECK_EQ(it->ready, 1);
    if (it->errors) TEST_FAIL("%s", it->cause);
    it->length = 0;
}

/* ---- configurations ---- */

static inline cre_tls_client *client_of(cre_tls_client_config config) {
    char why[CRE_TLS_MESSAGE] = "";
    cre_tls_client *client = NULL;
    config.size = sizeof config;
    int result = cre_tls_client_create(&config, &client, why);
    if (result) TEST_FAIL("%s", why);
    REQUIRE(result == 0);
    CHECK_STR(why, "");
    return client;
}

static inline cre_tls_client *trusting(const identity *authority_of_server) {
    return client_of((cre_tls_client_config){ .authorities = in_memory(authority_of_server->chain_pem) });
}

static inline cre_tls_client *trusting_all(void) {
    return client_of((cre_tls_client_config){ .accept_any_certificate = true });
}

static inline net_server *server_with(const identity *it) {
    cre_tls_certificate own = certificate_of(it, NULL);
    return tls_start((cre_engine_config){ 0 }, (cre_tls_config){ .certificates = &own, .count = 1 });
}

static inline void accepted(dialer *from, cre_tls_client *client, const char *name) {
    peer *it = peer_start(from, client, name);
    peer_check(from, it);
    peer_free(from, it);
}

static inline void refused(dialer *from, cre_tls_client *client, const char *name, const char *cause) {
    peer *it = peer_start(from, client, name);
    NET_UNTIL(from->server, it->errors);
    CHECK_EQ(it->ready, 0);
    CHECK_EQ(it->ended, 0);
    CHECK_EQ(it->error, CRE_ETLS);
    CHECK_STR(it->cause, cause);
    peer_free(from, it);
}

#endif
