import Glibc
import SwiftServer

/// An echo, with handlers of either style, that reports what the server knows of a connection when it ends.
@MainActor enum BehaviourScenario {
    /// How often this worker's own timer has run.
    private static var ticks = 0
    private static var held: [CheckedContinuation<Void, Never>] = []

    static func register(_ server: WebSocketServer, _ options: Options) {
        server.onWorkerStart { server, id in
            server.tick(every: .milliseconds(2)) { _ in ticks += 1 }
            print("workerStart \(id) \(getpid())")
        }
        if options["async"] == nil {
            server.onMessage { server, frame in
                if !command(frame, server) { echo(frame, server) }
            }
        } else {
            server.onMessage { (server: WebSocketServer, frame: Frame) async in
                if command(frame, server) { return }
                if options["delay"] != nil { print("received") }
                if frame.opcode == .text && frame.text == "/hold" { await hold() }
                await server.sleep(for: .milliseconds(options.number("delay") ?? 1))
                echo(frame, server)
            }
        }
        server.onClose { server, fd, reason in reportClose(fd, reason, server) }
        server.onDrain { _, fd in print("drained \(fd)") }
        server.onRequest { _, response in response.end("hello") }
        let stream = server.listen(.tcp)
        stream.onReceive { (server: WebSocketServer, fd: ConnectionID, _: [UInt8]) in
            print("stream \(server.close(fd)) \(server.close(fd)) \(server.send("late", to: fd))")
        }
        server.onStart { server in
            print("ports \(server.ports.map { String($0.port) }.joined(separator: " "))")
            print("ready \(server.port) \(getpid())")
        }
    }

    /// What is refused is lost: the tests count on that it never is.
    private static func echo(_ frame: Frame, _ server: WebSocketServer) {
        let result = server.push(frame, to: frame.fd)
        if result == .full || result == .failed { print("refused \(result) \(frame.fd)") }
    }

    /// Suspends until the worker is released.
    private static func hold() async {
        print("held")
        await withCheckedContinuation { held.append($0) }
    }

    private static func command(_ frame: Frame, _ server: WebSocketServer) -> Bool {
        guard frame.opcode == .text else { return false }
        let fd = frame.fd
        switch frame.text {
        case "/ticks": server.push("\(ticks)", to: fd)
        case "/release":
            for continuation in held { continuation.resume() }
            held = []
        case "/who": server.push("\(server.workerID)", to: fd)
        case "/close":
            print("closed \(server.close(fd, code: 4000)) \(server.close(fd)) \(server.push("late", to: fd))")
            print("closing \(server.exists(fd)) \(server.isEstablished(fd))")
        default: return false
        }
        return true
    }

    private static func reportClose(_ fd: ConnectionID, _ reason: CloseReason, _ server: WebSocketServer) {
        print("close \(fd) \(reason.code) [\(reason.cause)]")
        let known = [server.exists(fd), server.isEstablished(fd), server.connectionInfo(fd) != nil]
        let listed = server.connections.contains(fd) || server.connections.contains { $0 == fd }
        print("known \(known.contains(true) || listed) \(server.close(fd)) \(server.push("late", to: fd))")
    }
}
