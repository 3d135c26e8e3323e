// Boost.Beast: asynchronous sessions on one thread, as in its own server examples. Any path echoes,
// /broadcast sends to all of that path, GET /hello answers.
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <memory>
#include <unordered_set>

#include "options.h"

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using Error = beast::error_code;
using Request = http::request<http::empty_body>;

struct Message {
    std::string bytes;
    bool binary;
};

class Session : public std::enable_shared_from_this<Session> {
    websocket::stream<tcp::socket> ws;
    beast::flat_buffer buffer;
    std::deque<std::shared_ptr<const Message>> queue;
    const bool broadcast;
    inline static std::unordered_set<Session *> group;

  public:
    Session(tcp::socket &&socket, bool to_all) : ws(std::move(socket)), broadcast(to_all) {}

    ~Session() { group.erase(this); }

    void run(const Request &request) {
        ws.read_message_max(MAX_MESSAGE);
        ws.auto_fragment(false);
        ws.async_accept(request, [self = shared_from_this()](Error error) {
            if (error) return;
            if (self->broadcast) group.insert(self.get());
            self->read();
        });
    }

  private:
    void read() {
        ws.async_read(buffer, [self = shared_from_this()](Error error, std::size_t) {
            if (error) return;
            if (self->broadcast)
                self->publish();
            else
                self->echo();
        });
    }

    void echo() {
        ws.binary(ws.got_binary());
        ws.async_write(buffer.data(), [self = shared_from_this()](Error error, std::size_t) {
            if (error) return;
            self->buffer.consume(self->buffer.size());
            self->read();
        });
    }

    void publish() {
        auto message = std::make_shared<const Message>(
            Message{ beast::buffers_to_string(buffer.data()), ws.got_binary() });
        buffer.consume(buffer.size());
        for (Session *session : group) {
            session->queue.push_back(message);
            if (session->queue.size() == 1) session->write();
        }
        read();
    }

    void write() {
        ws.binary(queue.front()->binary);
        ws.async_write(asio::buffer(queue.front()->bytes),
                       [self = shared_from_this()](Error error, std::size_t) {
                           if (error) return;
                           self->queue.pop_front();
                           if (!self->queue.empty()) self->write();
                       });
    }
};

class Connection : public std::enable_shared_from_this<Connection> {
    tcp::socket socket;
    beast::flat_buffer buffer;
    Request request;
    http::response<http::string_body> response;

  public:
    explicit Connection(tcp::socket &&accepted) : socket(std::move(accepted)) {}

    void read() {
        request = {};
        http::async_read(socket, buffer, request, [self = shared_from_this()](Error error, std::size_t) {
            if (!error) self->answer();
        });
    }

  private:
    void answer() {
        if (websocket::is_upgrade(request)) {
            std::make_shared<Session>(std::move(socket), request.target() == "/broadcast")->run(request);
            return;
        }
        response = { http::status::ok, request.version() };
        response.set(http::field::content_type, "text/plain");
        response.keep_alive(request.keep_alive());
        response.body() = HELLO;
        response.prepare_payload();
        http::async_write(socket, response, [self = shared_from_this()](Error error, std::size_t) {
            if (!error && self->request.keep_alive()) self->read();
        });
    }
};

static void accept(tcp::acceptor &acceptor) {
    acceptor.async_accept([&acceptor](Error error, tcp::socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true), error);
            std::make_shared<Connection>(std::move(socket))->read();
        }
        accept(acceptor);
    });
}

int main(int argc, char **argv) {
    auto port = static_cast<unsigned short>(port_option(argc, argv));
    asio::io_context context(1);
    tcp::acceptor acceptor(context, { asio::ip::address_v4::loopback(), port });
    announce(acceptor.local_endpoint().port());
    accept(acceptor);
    context.run();
}
