import Glibc
import SwiftServer
import TestProtocol

/// The server of Tests/Chaos: everything is answered with the number that it came with, so that what is lost, doubled or
/// out of order shows. `/line` has a straight-line handler, `/stream` a response in pieces, and `/upload` reads a body in
/// pieces.
@MainActor enum ChaosScenario {
    private static let padding = String(repeating: "x", count: 200_000)

    static func register(_ server: WebSocketServer) {
        server.settings.streamRequestBodies = true
        registerStreams(server)
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            // Some take a while, so that kills come in the middle of them.
            if Int.random(in: 0..<8) == 0 { usleep(.random(in: 0...1000)) }
            let message = try? decoded(ChaosMessage.self, frame.text)
            if case .large(let number, _) = message {
                server.push(encoded(ChaosMessage.large(number: number, padding: padding)), to: frame.fd)
                return
            }
            guard case .task(let number) = message else {
                server.push(frame, to: frame.fd)
                return
            }
            let order = ChaosMessage.order(number: number, client: frame.fd)
            let answer: ChaosMessage =
                switch server.task(encoded(order)) {
                case .posted(let id): .posted(number: number, worker: server.workerID, id: id.rawValue)
                case .full, .refused: .refused(number: number)
                }
            server.push(encoded(answer), to: frame.fd)
        }
        server.onTask { _, task in
            usleep(.random(in: 0...1000))
            return task.text
        }
        server.onFinish { server, _, bytes in
            let order = try? decoded(ChaosMessage.self, String(decoding: bytes, as: UTF8.self))
            guard case .order(let number, let fd) = order else { fatalError("a result of no task") }
            server.push(encoded(ChaosMessage.finished(number: number)), to: fd)
        }
        server.onTaskError { server, id, error in
            Event.taskError(worker: server.workerID, id: id.rawValue, error: error.description).report()
        }
        server.onRequest { request, response in response.end(request.path) }
        server.onBeforeReload { _ in Event.beforeReload(pid: getpid()).report() }
        server.onAfterReload { _ in Event.afterReload(pid: getpid()).report() }
    }

    private static func registerStreams(_ server: WebSocketServer) {
        server.handle("/line") { request, ws in
            try await ws.upgrade()
            if !ws.isResumed { welcome(ws.id, server) }
            for try await frame in ws.frames {
                if case .large(let number, _) = try? decoded(ChaosMessage.self, frame.text) {
                    try await ws.push(encoded(ChaosMessage.large(number: number, padding: padding)))
                } else {
                    try await ws.push(frame)
                }
            }
        }
        // The number of pieces is in the query, each has its own letter.
        server.get("/stream") { request, response in
            for piece in 0..<(Int(request.query["pieces"] ?? "") ?? 0) {
                try await response.write([UInt8](repeating: 97 + UInt8(piece % 26), count: 4096))
                if piece % 8 == 7 { await server.sleep(for: .milliseconds(1)) }
            }
            response.end()
        }
        server.post("/upload") { request, response in
            var count = 0
            for try await piece in request.bodyPieces { count += piece.count }
            response.end("\(count)")
        }
    }
}

/// A message in either direction, or the data of a task. Each has the number that its client gave it.
private enum ChaosMessage: Codable {
    /// Is echoed.
    case message(number: Int)
    /// Is answered with much padding.
    case large(number: Int, padding: String? = nil)
    /// Has a task posted.
    case task(number: Int)
    case posted(number: Int, worker: Int, id: UInt64)
    case refused(number: Int)
    case order(number: Int, client: ConnectionID)
    case finished(number: Int)
}
