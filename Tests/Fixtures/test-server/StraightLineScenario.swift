import Glibc
import SwiftServer
import TestProtocol

/// Straight-line handlers: those of the tests, and callbacks for the paths that they do not have.
@MainActor enum StraightLineScenario {
    private static var open: Set<WebSocket> = []
    private static var loggedIn: Set<ConnectionID> = []
    private struct Failure: Error {}

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        if configuration.dispatch == .byUser { server.settings.dispatch = .byUser }
        server.handle("/echo") { request, ws in try await echo(server, ws) }
        server.handle("/echo/twice") { request, ws in
            try await ws.upgrade()
            while let frame = try await ws.recv() {
                try await ws.push("first \(frame.text)")
                try await ws.push("second \(frame.text)")
            }
        }
        server.handle("/login") { request, ws in
            guard request.query["token"] == "secret" else {
                ws.status(401)
                ws.header("WWW-Authenticate", "Bearer")
                ws.end("who are you?")
                while request.query["lingers"] != nil, !loggedIn.contains(ws.id), server.exists(ws.id) {
                    try await Task.sleep(for: .milliseconds(1))
                }
                return
            }
            ws.header("Set-Cookie", "user=7")
            try await ws.upgrade(subprotocol: request.subprotocols.last)
            loggedIn.insert(ws.id)
            try await ws.push("welcome")
            for try await frame in ws.messages(maxSize: 10) { try await ws.push(frame) }
        }
        server.handle("/batch") { request, ws in try await StraightLineBatch.serve(server, ws) }
        server.handle("/game", whenMoved: .closes(1012)) { request, ws in
            try await ws.upgrade()
            while try await ws.recv() != nil {}
        }
        server.handle("/ticks") { request, ws in
            try await ws.upgrade()
            while true {
                try await ws.push("tick \(getpid())")
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        server.handle("/sleeps") { request, ws in
            try await ws.upgrade()
            try await ws.push("\(getpid())")
            try await Task.sleep(for: .seconds(600))
        }
        server.handle("/bad-subprotocol") { request, ws in
            do { try await ws.upgrade(subprotocol: "v9") } catch { ws.end("\(error)") }
        }
        server.handle("/plain") { request, response in response.end("\(request.method) \(request.path)") }
        server.handle("/upgrades-plain") { request, ws in
            do { try await ws.upgrade() } catch { ws.end("\(error)") }
        }
        server.handle("/forgets") { request, response in }
        server.handle("/fails") { request, response in throw Failure() }
        server.handle("/late") { request, ws in
            // The client leaves meanwhile.
            Event.asked.report()
            while ws.closeReason == nil { await server.sleep(for: .milliseconds(1)) }
            do { try await ws.upgrade() } catch { Event.lateUpgrade("\(error)").report() }
        }
        guard configuration.hasCallbacks == true else { return }
        server.onOpen { server, request in server.push("callback \(request.path)", to: request.fd) }
        server.onMessage { server, frame in server.push("callback \(frame.text)", to: frame.fd) }
        server.onClose { _, fd, reason in Event.close(fd, reason.code, reason.cause, reason.text).report() }
        server.onRequest { request, response in response.end("callback \(request.path)") }
    }

    private static func echo(_ server: WebSocketServer, _ ws: WebSocket) async throws {
        try await ws.upgrade()
        open.insert(ws)
        defer {
            open.remove(ws)
            Event.handlerEnd(open: open.count, code: ws.closeReason?.code).report()
        }
        for try await frame in ws.frames {
            guard let command = command(frame) else {
                try await ws.push(frame)
                continue
            }
            switch command {
            case .isResumed: try await answer(ws.isResumed, ws)
            case .returnFromHandler: return
            case .fail: throw Failure()
            case .close(let code, let reason): ws.close(code: code, reason: reason)
            case .receive(let time): _ = try await ws.recv(timeout: time)
            case .tryToReceive(let time):
                do { _ = try await ws.recv(timeout: time) } catch { try await answer("\(error)", ws) }
            case .receiveInCancelledTask:
                let child = Task { try await ws.recv() }
                child.cancel()
                if case .failure(let error) = await child.result { try await answer("\(error)", ws) }
            case .pushLarge(let count):
                for index in 0..<count { try await ws.push("\(index) " + String(repeating: "x", count: 100_000)) }
                Event.pushedLarge.report()
                try await ws.push("done")
            case .pushFromTasks(let count):
                try await withThrowingTaskGroup { group in
                    for task in 0..<count {
                        group.addTask { for index in 0..<10 { try await ws.push("\(task) \(index)") } }
                    }
                    try await group.waitForAll()
                }
            case .pushToAll(let text): for other in open { try await other.push(text) }
            case .bind(let user): try await answer(server.bind(ws.id, to: user), ws)
            case .threads: try await answer(Commands.isMainThread, ws)
            default: if let result = Commands.common(command, server) { try await answer(result, ws) }
            }
        }
    }

    private static func answer(_ value: some Encodable & Sendable, _ ws: WebSocket) async throws {
        try await ws.push(encoded(["answer": value]))
    }
}
