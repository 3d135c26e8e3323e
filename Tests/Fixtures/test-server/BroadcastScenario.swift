import SwiftServer
import TestProtocol

/// Topics, broadcast, signs of life and what is known of connections.
@MainActor enum BroadcastScenario {
    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in welcome(request.fd, server) }
        Scenarios.reportClosing(server)
        server.handle("/user") { request, ws in
            try await ws.upgrade()
            try await ws.push("\(ws.bind(to: request.query["name"] ?? ""))")
            while try await ws.recv() != nil {}
            Event.handlerEnd(open: 0, code: ws.closeReason?.code).report()
        }
        server.handle("/topics") { request, ws in try await ws.serveTopics { _ in true } }
        server.onClusterState { server, state in
            Event.clusterState("\(state.rawValue) \(server.clusterState == state)").report()
        }
        server.onMessage { server, frame in
            guard let command = command(frame) else { return }
            if let answer = run(command, frame.fd, server) { server.answer(answer, to: frame.fd) }
        }
    }

    private static func run(_ command: Command, _ fd: ConnectionID, _ server: WebSocketServer) -> Commands.Answer? {
        switch command {
        case .subscribe(let topic): return server.subscribe(fd, to: topic)
        case .unsubscribe(let topic): return server.unsubscribe(fd, from: topic)
        case .publish(let text, let topic): return server.publish(text, to: topic)
        case .publishToOthers(let text, let topic):
            return server.publish(Array(text.utf8), to: topic, opcode: .text, except: fd)
        case .publishNumbers(let first, let last, let name, let topic):
            return publishNumbers(first...last, as: name, to: topic, server)
        case .bind(let number): return (server.bind(fd, to: number) as CommandResult).description
        case .bindUser(let user): return (server.bind(fd, to: user) as CommandResult).description
        case .unbind: return (server.unbind(fd) as CommandResult).description
        case .pushToUser(let text, let user, let exceptSelf):
            return server.push(text, toUser: user, except: exceptSelf ? fd : nil)
        case .pushToNumber(let text, let user): return server.push(text, toUser: user)
        case .disconnect(let user, let code, let reason):
            return server.disconnect(user: user, code: code, reason: reason, except: fd)
        case .broadcastToCluster(let text): return server.broadcast(text, scope: .cluster)
        case .broadcast(let text): return server.broadcast(text)
        case .broadcastToOthers(let bytes): return server.broadcast(bytes, except: fd)
        case .broadcastPing: return server.broadcast([], opcode: .ping)
        case .broadcastDetached(let text):
            Task.detached { server.broadcast(text) }
            return nil
        case .protect: return server.protect(fd)
        case .loopLag:
            let lag = server.stats().loopLag
            return LoopLag(longest: lag.longest, average: lag.average)
        default: return Commands.common(command, server)
        }
    }

    private static func publishNumbers(
        _ numbers: ClosedRange<Int>, as name: String, to topic: String, _ server: WebSocketServer
    ) -> String {
        var rows: [(first: Int, last: Int, result: PushResult)] = []
        for number in numbers {
            let result = server.publish("\(topic) \(name) \(number)", to: topic)
            if rows.last?.result == result {
                rows[rows.count - 1].last = number
            } else {
                rows.append((number, number, result))
            }
        }
        return rows.map { "\($0.first) \($0.last) \($0.result)" }.joined(separator: " ")
    }
}
