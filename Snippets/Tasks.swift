// Work that blocks, done by task workers.
import Glibc
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)
server.settings.workerCount = 2
server.settings.taskWorkerCount = 4

// In a task worker: one task at a time, and it may block.
server.onTask { _, task in
    sleep(1)
    return "\(task.text) is done by process \(getpid())"
}

// In a worker: it serves other connections meanwhile, and continues here when the result has arrived.
server.onMessage { server, frame in
    do {
        let answer = try await server.task(frame.text, timeout: .seconds(10))
        server.push(answer ?? "done", to: frame.fd)
    } catch {
        server.push("that did not work: \(error)", to: frame.fd)
    }
}

server.serve()
