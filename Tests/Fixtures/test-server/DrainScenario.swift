import SwiftServer
import TestProtocol

/// Fills the output queue of a client that asks for it, and reports when it has drained.
@MainActor enum DrainScenario {
    private static let piece = String(repeating: "x", count: 4096)
    /// The connections whose queue was full. A queue may also drain on its way there, as the system's buffers grow.
    private static var full: Set<ConnectionID> = []

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            fill(frame.fd, server) { server.push(piece, to: frame.fd) }
        }
        if configuration.isAsync != true {
            server.onDrain { server, fd in
                guard full.remove(fd) != nil else { return }
                Event.drained(fd).report()
                server.push("drained", to: fd)
            }
        } else {
            server.onDrain { (server: WebSocketServer, fd: ConnectionID) async in
                guard full.remove(fd) != nil else { return }
                await server.sleep(for: .milliseconds(1))
                Event.drained(fd).report()
                server.push("drained", to: fd)
            }
        }
        let stream = server.listen(.tcp)
        stream.onReceive { (server: WebSocketServer, fd: ConnectionID, _: [UInt8]) in
            fill(fd, server) { server.send(piece, to: fd) }
        }
        stream.onDrain { server, fd in
            guard full.remove(fd) != nil else { return }
            Event.portDrained(fd).report()
            server.send("drained", to: fd)
            server.close(fd)
        }
        let plain = server.listen(.tcp)
        plain.onReceive { (server: WebSocketServer, fd: ConnectionID, _: [UInt8]) in
            fill(fd, server) { server.send(piece, to: fd) }
        }
    }

    /// Sends until the connection's queue is full: in small steps, since a worker in another process than the socket's sees
    /// the length of the queue with a delay.
    private static func fill(_ fd: ConnectionID, _ server: WebSocketServer, _ send: @escaping () -> PushResult) {
        server.tick(every: .milliseconds(1)) { timer in
            for _ in 0..<8 where send() == .full {
                server.clearTimer(timer)
                full.insert(fd)
                Event.full(fd).report()
                return
            }
        }
    }
}
