// Sends each message to all clients, whichever worker they have.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)
server.settings.workerCount = 2

server.onMessage { server, frame in
    // To the open WebSockets of all workers. `subscribe` and `publish` do the same for a part of them.
    server.broadcast("\(frame.fd): \(frame.text)")
}

server.serve()
