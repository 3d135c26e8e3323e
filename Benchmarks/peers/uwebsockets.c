// uWebSockets echo, through the C interface of the shared library that the PyPI package socketify carries.
// No Python runs: only the declarations used here are written down, as the package ships no complete header.
//
//   uwebsockets [--port N]     any path echoes, /broadcast sends to all of that path, GET /hello answers, and
//                              GET /users/:id with JSON
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "options.h"

typedef struct uws_app_s uws_app;
typedef struct uws_request_s uws_request;
typedef struct uws_response_s uws_response;
typedef struct uws_websocket_s uws_websocket;
typedef struct uws_context_s uws_context;

struct us_socket_context_options {
    const char *key_file, *cert_file, *passphrase, *dh_params_file, *ca_file, *ciphers;
    int low_memory;
};

typedef struct {
    int port;
    const char *host;
    int options;
} uws_listen_config;

typedef void (*uws_upgrade_handler)(uws_response *, uws_request *, uws_context *, void *);
typedef void (*uws_handler)(uws_websocket *, void *);
typedef void (*uws_message_handler)(uws_websocket *, const char *, size_t, int opcode, void *);
typedef void (*uws_control_handler)(uws_websocket *, const char *, size_t, void *);
typedef void (*uws_close_handler)(uws_websocket *, int code, const char *, size_t, void *);
typedef void (*uws_subscription_handler)(uws_websocket *, const char *, size_t, int, int, void *);

typedef struct {
    int compression;
    unsigned max_payload_length;
    unsigned short idle_timeout;
    unsigned max_backpressure;
    bool close_on_backpressure_limit, reset_idle_timeout_on_send, send_pings_automatically;
    unsigned short max_lifetime;
    uws_upgrade_handler upgrade;
    uws_handler open;
    uws_message_handler message;
    uws_handler drain;
    uws_control_handler ping, pong;
    uws_close_handler close;
    uws_subscription_handler subscription;
} uws_behavior;

uws_app *uws_create_app(int ssl, struct us_socket_context_options options);
void uws_app_get(int ssl, uws_app *, const char *pattern, void (*)(uws_response *, uws_request *, void *),
                 void *);
void uws_app_listen_with_config(int ssl, uws_app *, uws_listen_config,
                                void (*)(void *socket, uws_listen_config, void *), void *);
void uws_app_run(int ssl, uws_app *);
void uws_ws(int ssl, uws_app *, const char *pattern, uws_behavior, void *);
int uws_ws_send(int ssl, uws_websocket *, const char *, size_t, int opcode);
bool uws_ws_subscribe(int ssl, uws_websocket *, const char *topic, size_t);
bool uws_publish(int ssl, uws_app *, const char *topic, size_t, const char *, size_t, int opcode,
                 bool compress);
size_t uws_req_get_parameter(uws_request *, unsigned short index, const char **out);
void uws_res_write_header(int ssl, uws_response *, const char *name, size_t, const char *value, size_t);
void uws_res_end(int ssl, uws_response *, const char *, size_t, bool close);
int us_socket_local_port(int ssl, void *socket);

static uws_app *app;

static void on_echo(uws_websocket *ws, const char *message, size_t length, int opcode, void *user) {
    (void)user;
    uws_ws_send(0, ws, message, length, opcode);
}

static void on_join(uws_websocket *ws, void *user) {
    (void)user;
    uws_ws_subscribe(0, ws, "all", 3);
}

static void on_broadcast(uws_websocket *ws, const char *message, size_t length, int opcode, void *user) {
    (void)ws;
    (void)user;
    uws_publish(0, app, "all", 3, message, length, opcode, false);
}

static void on_hello(uws_response *response, uws_request *request, void *user) {
    (void)request;
    (void)user;
    uws_res_end(0, response, HELLO, sizeof HELLO - 1, false);
}

static void on_user(uws_response *response, uws_request *request, void *user) {
    (void)user;
    const char *id;
    int length = (int)uws_req_get_parameter(request, 0, &id);
    char body[64];
    int size = snprintf(body, sizeof body, "{\"id\":%.*s,\"name\":\"Ada\"}", length < 20 ? length : 20, id);
    uws_res_write_header(0, response, "Content-Type", 12, "application/json", 16);
    uws_res_end(0, response, body, (size_t)size, false);
}

static void on_listen(void *socket, uws_listen_config config, void *user) {
    (void)config;
    (void)user;
    if (!socket) {
        fprintf(stderr, "uwebsockets: cannot listen\n");
        _exit(1);
    }
    announce(us_socket_local_port(0, socket));
}

int main(int argc, char **argv) {
    int port = port_option(argc, argv);
    app = uws_create_app(0, (struct us_socket_context_options){ 0 });
    uws_behavior behavior = {
        .max_payload_length = MAX_MESSAGE,
        .idle_timeout = 120,
        .max_backpressure = 4 * MAX_MESSAGE,
        .send_pings_automatically = true,
        .message = on_echo,
    };
    uws_ws(0, app, "/*", behavior, NULL);
    behavior.open = on_join;
    behavior.message = on_broadcast;
    uws_ws(0, app, "/broadcast", behavior, NULL);
    uws_app_get(0, app, "/hello", on_hello, NULL);
    uws_app_get(0, app, "/users/:id", on_user, NULL);
    uws_app_listen_with_config(0, app, (uws_listen_config){ port, "127.0.0.1", 0 }, on_listen, NULL);
    uws_app_run(0, app);
}
