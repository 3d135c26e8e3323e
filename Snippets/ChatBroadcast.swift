// Passes each message on to everybody, whichever worker they are with.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)
server.settings.workerCount = 2

server.onMessage { server, frame in
    let line = "\(frame.fd): \(frame.text)"
    // The connections of all workers; plain HTTP ones are among them, too.
    for fd in server.connections where server.isEstablished(fd) {
        server.push(line, to: fd)
    }
}

server.serve()
