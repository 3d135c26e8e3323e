// uWebSockets echo from its sources: what uwebsockets.c does through the shared library of a package. Built
// where a folder with the checkouts uWebSockets and uSockets is given.
//
//   uwebsockets-source [--port N]
#include <App.h>

#include <string>
#include <string_view>

#include "options.h"

struct nothing {};
using socket_type = uWS::WebSocket<false, true, nothing>;

int main(int argc, char **argv) {
    int port = port_option(argc, argv);
    uWS::App app;
    uWS::App::WebSocketBehavior<nothing> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = MAX_MESSAGE;
    behavior.idleTimeout = 120;
    behavior.maxBackpressure = 4 * MAX_MESSAGE;
    behavior.message = [](socket_type *ws, std::string_view message, uWS::OpCode opcode) {
        ws->send(message, opcode);
    };
    app.ws<nothing>("/*", std::move(behavior));

    uWS::App::WebSocketBehavior<nothing> broadcast;
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
        announce(us_socket_local_port(0, (struct us_socket_t *)listener));
    });
    app.run();
}
