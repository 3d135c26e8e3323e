import SwiftServer
import TestProtocol

/// An echo whose `onStart` changes what `start()` has read.
@MainActor enum LateChangeScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onStart { server in
            server.listen(.tcp).onReceive { _, _, _ in }
            server.addProcess("late") { _ in }
            server.processName = "late"
            server.settings.workerCount = 9
            server.onMessage { _, _ in }
            server.onHandshake { _, handshake in handshake.refuse() }
            let settings = server.settings
            Event.outcome(
                "ports \(server.ports.count), workers \(settings.workerCount), reactors \(settings.reactorCount ?? -1)"
            ).report()
            Scenarios.reportReady(server, configuration)
        }
    }
}
