import Glibc
import SwiftServer
import TestProtocol

/// An echo, with handlers of either style, that reports what the server knows of a connection when it ends.
@MainActor enum BehaviourScenario {
    /// How often this worker's own timer has run.
    private static var ticks = 0
    private static var held: [CheckedContinuation<Void, Never>] = []

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onWorkerStart { server, id in
            server.tick(every: .milliseconds(2)) { _ in ticks += 1 }
            Event.workerStart(id: id, pid: getpid()).report()
        }
        if configuration.isAsync != true {
            server.onMessage { server, frame in
                if let command = command(frame) { run(command, frame.fd, server) } else { echo(frame, server) }
            }
        } else {
            server.onMessage { (server: WebSocketServer, frame: Frame) async in
                if let command = command(frame) {
                    if case .hold = command { await hold() } else { return run(command, frame.fd, server) }
                }
                if configuration.delay != nil { Event.received.report() }
                await server.sleep(for: configuration.delay ?? .milliseconds(1))
                echo(frame, server)
            }
        }
        server.onClose { server, fd, reason in reportClose(fd, reason, server) }
        server.onDrain { _, fd in Event.drained(fd).report() }
        server.onRequest { _, response in response.end("hello") }
        let stream = server.listen(.tcp)
        stream.onReceive { (server: WebSocketServer, fd: ConnectionID, _: [UInt8]) in
            Event.closedStream(server.close(fd), server.close(fd), send: server.send("late", to: fd)).report()
        }
    }

    /// What is refused is lost: the tests count on that it never is.
    private static func echo(_ frame: Frame, _ server: WebSocketServer) {
        let result = server.push(frame, to: frame.fd)
        if result == .full || result == .failed { Event.refused(result).report() }
    }

    /// Suspends until the worker is released.
    private static func hold() async {
        Event.held.report()
        await withCheckedContinuation { held.append($0) }
    }

    private static func run(_ command: Command, _ fd: ConnectionID, _ server: WebSocketServer) {
        switch command {
        case .ticks: server.answer(ticks, to: fd)
        case .release:
            for continuation in held { continuation.resume() }
            held = []
        case .closeTwice:
            Event.closedTwice(
                server.close(fd, code: 4000), server.close(fd), push: server.push("late", to: fd),
                exists: server.exists(fd), isEstablished: server.isEstablished(fd)
            ).report()
        default: if let answer = Commands.common(command, server) { server.answer(answer, to: fd) }
        }
    }

    private static func reportClose(_ fd: ConnectionID, _ reason: CloseReason, _ server: WebSocketServer) {
        Event.close(fd, reason.code, reason.cause, reason.text).report()
        let known = [server.exists(fd), server.isEstablished(fd), server.connectionInfo(fd) != nil]
        let listed = server.connections.contains(fd) || server.connections.contains { $0 == fd }
        Event.afterClose(
            isKnown: known.contains(true) || listed, close: server.close(fd), push: server.push("late", to: fd)
        ).report()
    }
}
