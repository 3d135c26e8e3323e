// A chat among the connections of one worker, which keeps them in a set. For those of all workers, subscribe them to a
// topic and publish to it.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

var connections: Set<WebSocket> = []

server.handle("/chat") { request, ws in
    try await ws.upgrade()
    connections.insert(ws)
    // However this function ends: the client leaves, an error is thrown, the worker is replaced.
    defer { connections.remove(ws) }
    for try await frame in ws.frames {
        for other in connections where other != ws {
            // Do not wait for the others: one of them may be slow.
            server.push(frame, to: other.id)
        }
    }
}

server.serve()
