// uWebSockets echo from its sources: what uwebsockets.c does through the shared library of a package. Built
// where a folder with the checkouts uWebSockets and uSockets is given.
//
//   uwebsockets-source [--port N] [--cert FILE --key FILE]
//
// WITH_TLS: with a certificate; WITH_DEFLATE: each message is compressed by itself.
#include <App.h>

#include <string>
#include <string_view>

#include "options.h"

#ifdef WITH_TLS
using application = uWS::SSLApp;
#else
using application = uWS::App;
#endif
#ifdef WITH_DEFLATE
constexpr auto compression = uWS::SHARED_COMPRESSOR;
constexpr bool compresses = true;
#else
constexpr auto compression = uWS::DISABLED;
constexpr bool compresses = false;
#endif
constexpr bool uses_tls = std::is_same_v<application, uWS::SSLApp>;

struct nothing {};
using socket_type = uWS::WebSocket<uses_tls, true, nothing>;

static application make(int argc, char **argv) {
    uWS::SocketContextOptions options;
    if (uses_tls && argc == 7) {
        options.cert_file_name = argv[4];
        options.key_file_name = argv[6];
    }
    return application(options);
}

int main(int argc, char **argv) {
    int port = port_option(uses_tls && argc == 7 ? 3 : argc, argv);
    application app = make(argc, argv);
    application::WebSocketBehavior<nothing> behavior;
    behavior.compression = compression;
    behavior.maxPayloadLength = MAX_MESSAGE;
    behavior.idleTimeout = 120;
    behavior.maxBackpressure = 4 * MAX_MESSAGE;
    behavior.message = [](socket_type *ws, std::string_view message, uWS::OpCode opcode) {
        ws->send(message, opcode, compresses);
    };
    app.ws<nothing>("/*", std::move(behavior));

    application::WebSocketBehavior<nothing> broadcast;
    broadcast.compression = uWS::DISABLED;
    broadcast.maxPayloadLength = MAX_MESSAGE;
    broadcast.idleTimeout = 120;
    broadcast.maxBackpressure = 4 * MAX_MESSAGE;
    broadcast.open = [](socket_type *ws) { ws->subscribe("all"); };
    broadcast.message = [&app](socket_type *, std::string_view message, uWS::OpCode opcode) {
        app.publish("all", message, opcode);
    };
    app.ws<nothing>("/broadcast", std::move(broadcast));

    app.get("/hello", [](auto *response, auto *) { response->end(HELLO); });
    app.get("/users/:id", [](auto *response, auto *request) {
        std::string body = "{\"id\":";
        body.append(request->getParameter(0).substr(0, 20)).append(",\"name\":\"Ada\"}");
        response->writeHeader("Content-Type", "application/json")->end(body);
    });
    app.listen("127.0.0.1", port, [](auto *listener) {
        if (!listener) {
            fprintf(stderr, "uwebsockets-source: cannot listen\n");
            _exit(1);
        }
        announce(us_socket_local_port(uses_tls, (struct us_socket_t *)listener));
    });
    app.run();
}
