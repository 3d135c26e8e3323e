import SwiftServer
import TestProtocol

/// What the tests of `Tests/HTTP2` need: short and long responses, WebSockets, requests without an answer, and the version
/// of HTTP by which each of them has come.
@MainActor enum HTTP2Scenario {
    /// Responses that are never sent.
    private static var held: [Response] = []

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        if configuration.compresses == true { server.settings.compression = Compression() }
        server.onOpen { server, request in
            if request.path == "/version" { server.push(request.httpVersion, to: request.fd) }
        }
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in
            switch request.path {
            case "/large": response.end(String(repeating: "text ", count: 60_000))
            case "/length": response.end("\(request.body.count)")
            case "/version": response.end(request.httpVersion)
            case "/trailers":
                response.header("Content-Type", "text/plain")
                response.trailer("X-Sum", "6", for: request)
                response.end("hello\n")
            case "/page":
                response.header("Content-Type", "text/html; charset=utf-8")
                response.end("<!doctype html><title>HTTP/2</title><link rel=icon href=data:,>")
            case "/held": held.append(response)
            case "/begun":
                _ = response.write("\(request.httpVersion)")
                held.append(response)
            default: response.end("hello\n")
            }
        }
    }
}
