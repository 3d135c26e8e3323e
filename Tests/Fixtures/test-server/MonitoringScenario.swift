import SwiftServer
import TestProtocol

/// A server that reports its metrics on a route, and whose clients give commands.
@MainActor enum MonitoringScenario {
    static func register(_ server: WebSocketServer) {
        server.metrics()
        server.health()
        server.onOpen { server, request in
            server.subscribe(request.fd, to: "news")
            welcome(request.fd, server)
        }
        server.onMessage { server, frame in
            guard let command = command(frame) else {
                server.push(frame, to: frame.fd)
                return
            }
            if let answer = Commands.run(command, from: frame.fd, server) { server.answer(answer, to: frame.fd) }
        }
        server.onTask { (_, _) -> [UInt8]? in nil }
    }
}
