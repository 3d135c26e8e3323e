/* Clients of client.h that record their events. */
#ifndef CRE_TEST_CLIENT_RECORD_H
#define CRE_TEST_CLIENT_RECORD_H

#include <creactor/client.h>

#ifdef CRE_HAVE_TLS
#include "tls_net.h"
#else
#include "net.h"
#endif

/* ---- a client that records what happens to it ---- */

typedef struct record_of {
    cre_clients *clients;
    cre_client *client; /* NULL after `closed` */
    int opened, drained, closed, messages;
    bool compressed, pause_each, abort_in_callback;
    char subprotocol[16];
    uint8_t *data; /* of all messages */
    size_t length;
    uint8_t opcode;
    cre_client_ending ending;
    char text[CRE_TLS_MESSAGE + 1];
} record_of;

static inline void on_opened(void *context, cre_client *client, const cre_client_opening *opening) {
    record_of *it = context;
    (void)client;
    it->opened++;
    it->compressed = opening->compressed;
    if (opening->subprotocol)
        snprintf(it->subprotocol, sizeof it->subprotocol, "%.*s", (int)opening->subprotocol_length,
                 opening->subprotocol);
}

static inline void on_message(void *context, cre_client *client, const cre_client_message *message) {
    record_of *it = context;
    it->messages++;
    it->opcode = message->opcode;
    it->data = realloc(it->data, it->length + message->length + 1);
    REQUIRE(it->data != NULL);
    if (message->length) memcpy(it->data + it->length, message->data, message->length);
    it->length += message->length;
    it->data[it->length] = 0;
    if (it->pause_each) cre_client_pause(client);
    if (it->abort_in_callback) cre_client_abort(client);
}

static inline void on_drained(void *context, cre_client *client) {
    record_of *it = context;
    CHECK_EQ(cre_client_queued(client), 0);
    it->drained++;
}

static inline void on_closed(void *context, cre_client *client, const cre_client_ending *ending) {
    record_of *it = context;
    CHECK(client == it->client || !it->client);
    it->client = NULL;
    it->closed++;
    it->ending = *ending;
    snprintf(it->text, sizeof it->text, "%.*s", (int)ending->text_length, ending->text);
}

static cre_tls_client *tls_of_case;

static inline cre_client_options options_for(record_of *it, uint16_t port, bool websocket) {
    return (cre_client_options){ .size = sizeof(cre_client_options),
                                 .host = "127.0.0.1",
                                 .port = port,
                                 .websocket = websocket,
                                 .tls = tls_of_case,
                                 .tls_name = "localhost",
                                 .context = it,
                                 .opened = on_opened,
                                 .received = on_message,
                                 .drained = on_drained,
                                 .closed = on_closed };
}

static inline record_of *record_start(net_server *net, const cre_client_options *options) {
    record_of *it = options->context;
    REQUIRE(cre_clients_create(net->loop, &it->clients) == 0);
    REQUIRE(cre_client_connect(it->clients, options, &it->client) == 0);
    return it;
}

static inline void record_stop(record_of *it) {
    cre_clients_destroy(it->clients);
    free(it->data);
    *it = (record_of){ 0 };
}

/* Server and client on one loop, plain and over TLS. */
#ifdef CRE_HAVE_TLS
#define CLIENT_BOTH(name)                    \
    static void with_either_##name(void);    \
    TEST(name) {                             \
        with_either_##name();                \
    }                                        \
    TEST(name##_over_tls) {                  \
        both_secure(true);                   \
        tls_of_case = trusting(&authority);  \
        with_either_##name();                \
        cre_tls_client_release(tls_of_case); \
        tls_of_case = NULL;                  \
        both_secure(false);                  \
    }                                        \
    static void with_either_##name(void)
#else
#define CLIENT_BOTH(name) TEST(name)
#endif

#endif
