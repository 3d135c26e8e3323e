// Work that blocks, done by processes that are there for it.
import Glibc
import SwiftServer

let server = HTTPServer(port: 8080)
server.settings.workerCount = 2
server.settings.taskWorkerCount = 2

// In a task worker, one at a time. It may block as long as it likes.
server.onTask { server, task -> String? in
    sleep(1)
    return "\(task.text) was done by process \(server.workerID)"
}

// In a worker. It serves others while the task is done.
server.onRequest { request, response in
    do {
        let result = try await server.task(request.path, timeout: .seconds(10))
        response.end("\(result ?? "nothing")\n")
    } catch {
        response.status(503)
        response.end("\(error)\n")
    }
}

server.serve()
