import Glibc
import SwiftServer

/// What Tests/Chaos talks to: everything is answered with the number that it came with, so that what is lost, doubled or
/// out of order shows. "m NUMBER" is a message, "t NUMBER" posts a task, whose result is "f NUMBER".
@MainActor enum ChaosScenario {
    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in server.push("welcome \(server.workerID) \(getpid())", to: request.fd) }
        server.onMessage { server, frame in
            // Some take a while, so that kills come in the middle of them.
            if Int.random(in: 0..<8) == 0 { usleep(.random(in: 0...1000)) }
            guard frame.text.hasPrefix("t ") else {
                server.push(frame, to: frame.fd)
                return
            }
            switch server.task("\(frame.fd) \(frame.text.dropFirst(2))") {
            case .posted(let id): server.push("\(frame.text) \(server.workerID) \(id)", to: frame.fd)
            case .full, .refused: server.push("\(frame.text) refused", to: frame.fd)
            }
        }
        server.onTask { _, task in
            usleep(.random(in: 0...1000))
            return task.text
        }
        server.onFinish { server, _, bytes in
            let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
            server.push("f \(words[1])", to: ConnectionID(rawValue: UInt64(words[0])!))
        }
        server.onTaskError { server, id, error in print("taskError \(server.workerID) \(id) \(error)") }
        server.onRequest { request, response in response.end(request.path) }
        server.onBeforeReload { _ in print("beforeReload") }
        server.onAfterReload { _ in print("afterReload") }
    }
}
