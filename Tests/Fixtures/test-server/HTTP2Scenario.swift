import SwiftServer

/// What `Tests/HTTP2/server-modes` needs: short and long responses, WebSockets, and requests without an answer.
@MainActor enum HTTP2Scenario {
    /// Responses that are never sent.
    private static var held: [Response] = []

    static func register(_ server: WebSocketServer) {
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in
            switch request.path {
            case "/large": response.end(String(repeating: "text ", count: 60_000))
            case "/held": held.append(response)
            case "/begun":
                _ = response.write("\(request.httpVersion)")
                held.append(response)
            default: response.end("hello\n")
            }
        }
    }
}
