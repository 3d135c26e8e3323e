// A custom process beside the workers, messages between processes, and the events of their lives.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)
server.settings.workerCount = 2

// The manager starts it, and restarts it when it ends. It can do everything that workers can, but has no connections.
server.addProcess("clock") { server in
    server.tick(every: .seconds(1)) { _ in server.broadcast("tick") }
}

// A client's message goes to the clock, and from there back to the client.
server.onMessage { server, frame in
    if let clock = server.workerID(ofProcess: "clock") {
        server.sendMessage("\(frame.fd)", to: clock)
    }
}
server.onPipeMessage { server, from, bytes in
    guard let fd = UInt64(String(decoding: bytes, as: UTF8.self)) else { return }
    server.push("the clock was asked by worker \(from)", to: ConnectionID(rawValue: fd))
}

server.onWorkerStart { server, id in print("worker \(id) is process \(server.workerPID)") }
server.onWorkerError { _, failure in print(failure) }

server.serve()
