// A page with two WebSockets: one gets its own text back, the other one is a chat with everybody who has the page open.
//
//   Open http://127.0.0.1:9501/ in two windows.
//
// A page that inserts received text as HTML lets one user run a script in the page of another. This one inserts text.
// WebSockets that are silent for 62 seconds are closed; the page sends something every 30 seconds, and connects again
// when it loses the connection.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)
server.settings.workerCount = 2
server.settings.maxMessage = 4096
server.settings.heartbeatIdleTime = .seconds(62)
server.settings.heartbeatCheckInterval = .seconds(30)

let topic = "chat"

server.onOpen { server, request in
    if request.path == "/chat" { server.subscribe(request.fd, to: topic) }
    print("open \(request.fd) \(request.path)")
}

server.onMessage { server, frame in
    // An empty message only shows that the page is alive.
    guard !frame.bytes.isEmpty else { return }
    if frame.text.hasPrefix("echo:") {
        server.push("server received data: \(frame.text.dropFirst(5))", to: frame.fd)
    } else {
        server.publish(frame.text, to: topic)
    }
}

server.onClose { _, fd, reason in print("close \(fd): \(reason)") }

server.onRequest { request, response in
    switch request.path {
    case "/":
        response.header("Content-Type", "text/html; charset=utf-8")
        response.header("Content-Security-Policy", "default-src 'self'; img-src data:; connect-src 'self' ws: wss:")
        response.end(page)
    case "/client.js":
        response.header("Content-Type", "text/javascript; charset=utf-8")
        response.end(script)
    default:
        response.status(404)
        response.end("not found\n")
    }
}

server.onStart { print("listening on http://127.0.0.1:\($0.port)/") }
server.serve()
