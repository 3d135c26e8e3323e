// Straight-line handlers that send to each other: every message goes to all connections of the worker.
//
//   Connect two WebSocket clients to ws://127.0.0.1:9501/chat.
//
// A common mistake is to remove a connection from the list only when its client closes it, and to forget the case that
// receiving fails. `defer` removes it on every exit.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)
// The set is a variable of one process. With more workers use `server.broadcast` or a topic.
server.settings.workerCount = 1

var connections: Set<WebSocket> = []

server.handle("/chat") { request, ws in
    try await ws.upgrade()
    connections.insert(ws)
    defer {
        connections.remove(ws)
        print("\(ws.id) has left, \(connections.count) remain")
    }
    while let frame = try await ws.recv() {
        for other in connections { server.push("\(ws.id): \(frame.text)", to: other.id) }
    }
}

server.onStart { print("listening on ws://127.0.0.1:\($0.port)/chat") }
server.serve()
