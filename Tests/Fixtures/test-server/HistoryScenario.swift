import SwiftServer
import TestProtocol

/// Topics with history: positions and recovery, in callbacks, straight-line handlers, tasks and custom processes.
@MainActor enum HistoryScenario {
    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            guard let command = command(frame) else { return }
            if let answer = await run(command, frame.fd, server) { server.answer(answer, to: frame.fd) }
        }
        server.handle("/line") { request, ws in
            try await ws.upgrade()
            while let frame = try await ws.recv() {
                guard case .recover(let topic, let since)? = command(frame) else { continue }
                let recovery = await ws.subscribe(to: topic, since: since.flatMap { TopicPosition($0) })
                server.answer(RecoveryReport(recovery), to: ws.id)
            }
        }
        server.handle("/topics") { request, ws in
            try await ws.serveTopics { asked in
                switch asked {
                case .subscribe(let topic): topic != "enveloped:secret"
                case .publish(let text, _): text != "forbidden"
                }
            }
        }
        server.onTask { server, task in await server.position(of: task.text).map { "\($0)" } ?? "none" }
        if server.mode != .single {
            server.addProcess("asker") { server in
                Task { @MainActor in
                    while true {
                        if let position = await server.position(of: "kept:process") {
                            return Event.outcome("\(position)").report()
                        }
                        await server.sleep(for: .milliseconds(20))
                    }
                }
            }
        }
    }

    private static func run(
        _ command: Command, _ fd: ConnectionID, _ server: WebSocketServer
    ) async -> Commands.Answer? {
        switch command {
        case .recover(let topic, let since):
            let position = since.flatMap { TopicPosition($0) }
            return RecoveryReport(await server.subscribe(fd, to: topic, since: position))
        case .position(let topic): return await server.position(of: topic).map { "\($0)" } ?? "none"
        case .positionInTask(let topic):
            return (try? await server.task(topic, timeout: .seconds(5)) ?? "none") ?? "failed"
        case .subscribe(let topic): return server.subscribe(fd, to: topic)
        case .unsubscribe(let topic): return server.unsubscribe(fd, from: topic)
        case .publish(let text, let topic): return server.publish(text, to: topic)
        case .publishToOthers(let text, let topic):
            return server.publish(Array(text.utf8), to: topic, opcode: .text, except: fd)
        default: return Commands.common(command, server)
        }
    }
}
