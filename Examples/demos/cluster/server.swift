import SwiftServer

/// One of the servers.
func serve(_ port: Int, other: Int, redis: String) -> Never {
    let server = WebSocketServer(host: "127.0.0.1", port: port)
    server.processName = "cluster"
    server.settings.workerCount = 2
    server.cluster = .redis(redis)
    server.cluster.topics["room"] = TopicSettings(history: 1000, enveloped: true)

    // To the subscribers of both servers, in the same order, and what a client has missed when it comes back.
    server.handle("/topics") { request, ws in
        try await ws.serveTopics { asked in
            switch asked {
            case .subscribe(let topic): topic == "room"
            case .publish(let text, let topic): topic == "room" && text.utf8.count <= 1000
            }
        }
    }
    server.onRequest { request, response in
        switch request.path {
        case "/":
            response.header("Content-Type", "text/html; charset=utf-8")
            response.header("Content-Security-Policy", "default-src 'self'; connect-src ws:")
            response.end(page(port, other))
        case "/page.js", "/swiftserver-topics.js":
            response.header("Content-Type", "text/javascript; charset=utf-8")
            if request.path == "/page.js" { response.end(script) } else { response.sendFile(client) }
        case "/state": response.end("\(server.clusterState.rawValue)\n")
        default:
            response.status(404)
            response.end("not found\n")
        }
    }
    server.onStart { print("listening on http://127.0.0.1:\($0.port)/") }
    server.serve()
}
