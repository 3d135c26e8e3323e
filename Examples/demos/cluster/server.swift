import SwiftServer

/// One of the servers.
func serve(_ port: Int, other: Int, redis: String) -> Never {
    let server = WebSocketServer(host: "127.0.0.1", port: port)
    server.processName = "cluster"
    server.settings.workerCount = 2
    server.cluster = .redis(redis)
    server.cluster.topics["room"] = TopicSettings(history: 1000)

    server.onOpen { server, request in server.subscribe(request.fd, to: "room") }
    server.onMessage { server, frame in
        // To the subscribers of both servers, in the same order.
        let result = server.publish("by \(port): \(frame.text)", to: "room")
        if !result.isAccepted { server.push("not published: \(result)", to: frame.fd) }
    }
    server.onRequest { request, response in
        switch request.path {
        case "/":
            response.header("Content-Type", "text/html; charset=utf-8")
            response.header("Content-Security-Policy", "default-src 'self'; connect-src ws:")
            response.end(page(port, other))
        case "/client.js":
            response.header("Content-Type", "text/javascript; charset=utf-8")
            response.end(script)
        case "/state": response.end("\(server.clusterState.rawValue)\n")
        default:
            response.status(404)
            response.end("not found\n")
        }
    }
    server.onStart { print("listening on http://127.0.0.1:\($0.port)/") }
    server.serve()
}
