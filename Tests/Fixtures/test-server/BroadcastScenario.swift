import Glibc
import SwiftServer

/// Topics, broadcast, signs of life and what is known of connections.
@MainActor enum BroadcastScenario {
    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in server.push("welcome \(request.fd)", to: request.fd) }
        Scenarios.tellClosing(server)
        server.onMessage { server, frame in
            let words = frame.text.split(separator: " ", maxSplits: 2).map(String.init)
            let answer = run(
                words[0], words.count > 1 ? words[1] : "", words.count > 2 ? words[2] : "", frame.fd, server)
            if let answer { server.push(answer, to: frame.fd) }
        }
    }

    private static func run(
        _ command: String, _ word: String, _ rest: String, _ fd: ConnectionID, _ server: WebSocketServer
    ) -> String? {
        switch command {
        case "/who": return "\(server.workerID) \(getpid())"
        case "join": return "\(server.subscribe(fd, to: word))"
        case "part": return "\(server.unsubscribe(fd, from: word))"
        case "publish": return "\(server.publish(word, rest))"
        case "others": return "\(server.publish(word, Array(rest.utf8), opcode: .text, except: fd))"
        case "all": return "\(server.broadcast(word))"
        case "rest": return "\(server.broadcast([1, 2, 3], except: fd))"
        case "ping": return "\(server.broadcast([], opcode: .ping))"
        case "elsewhere":
            Task.detached { server.broadcast(word) }
            return nil
        case "protect": return "\(server.protect(fd))"
        case "info": return describe(server, ConnectionID(rawValue: UInt64(word) ?? 0))
        case "kind":
            let info = server.connectionInfo(ConnectionID(rawValue: UInt64(word) ?? 0))
            return info.map { "\($0.socketType) \($0.portIndex) \($0.isSecure)" } ?? "gone"
        case "lag":
            let lag = server.stats().loopLag
            return "\(lag.turns) \(lag.longest >= lag.average && lag.average > .zero) \(lag.longest / .seconds(1))"
        case "block":
            usleep(50_000)
            return "unblocked"
        case "stats":
            let stats = server.stats()
            return """
                \(stats.connections) \(stats.accepted) \(stats.closed) \(stats.messagesReceived) \
                \(stats.closedBy[.peer] ?? 0) \(stats.bytesReceived > 0) \(stats.bytesSent > 0)
                """
        default: return "what?"
        }
    }

    private static func describe(_ server: WebSocketServer, _ fd: ConnectionID) -> String {
        guard let info = server.connectionInfo(fd) else { return "gone" }
        let now = Double(time(nil))
        return """
            \(info.webSocketStatus) \(info.serverPort == server.port) \(info.remoteAddress) \(info.remotePort) \
            \(info.workerID) \(info.reactorID.map(String.init) ?? "none") \(abs(info.connectTime - now) < 60) \
            \(info.lastReceiveTime >= info.connectTime) \((info.lastSendTime ?? 0) > 0) \(info.queuedBytes)
            """
    }
}
