import Glibc
import SwiftServer
import TestProtocol

/// Handlers that throw errors.
@MainActor enum ThrowingScenario {
    private struct Refusal: Error, CustomStringConvertible {
        let description: String
    }

    private struct ClientMistake: RequestError {
        let message = "mind the form"
    }

    /// Throws for "throw", after it has suspended for "throw later".
    private static func check(_ text: String) throws {
        if text.hasPrefix("throw") { throw Refusal(description: "refused\n\(text)") }
    }

    private static func checkLater(_ text: String) async throws {
        if text.hasSuffix("later") { await Task.yield() }
        try check(text)
    }

    /// Changes that come too late.
    private static func changeLate(_ server: WebSocketServer) {
        server.settings.maxQueue = 1
        server.tls = TLSConfiguration(certificateFile: "x", privateKeyFile: "y")
        server.ports[1].settings.maxPacket = 1
        server.onOpen { _, _ in }
        server.on("request") { (_: Request, _: Response) in }
        server.handle("/late") { _, _ in }
    }

    private static func text(_ bytes: RawSpan) -> String {
        unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        if configuration.isAsync == true { registerAsync(server) } else { register(server) }
        if configuration.usesSpans == true { registerSpans(server) }
        registerProcesses(server, configuration)
    }

    private static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in
            try check(request.query["word"] ?? "")
            welcome(request.fd, server)
        }
        server.onMessage { server, frame in
            try check(frame.text)
            if frame.text == "task" { server.task("throw in onTask") }
            if frame.text == "finish" { server.task("finish") }
            if frame.text == "late" { changeLate(server) }
            if frame.text == "timer" { server.after(.zero) { try check("throw in a timer") } }
            if frame.text == "client" { throw ClientMistake() }
            if frame.text == "pipe" { server.sendMessage("throw in onPipeMessage", to: 1) }
            server.push(frame, to: frame.fd)
        }
        server.onClose { _, fd, reason in
            Event.close(fd, reason.code, reason.cause, reason.text).report()
            try check("throw in onClose")
        }
        server.onRequest { request, response in
            if request.path == "/begun" { _ = response.write("a part") }
            if request.path == "/client" { throw ClientMistake() }
            try check(request.query["word"] ?? "")
            response.end("hello")
        }
        let lines = server.listen(.tcp)
        lines.onReceive { server, fd, bytes in
            try check(String(decoding: bytes, as: UTF8.self))
            server.send(bytes, to: fd)
        }
        server.listen(.tcp).onConnect { _, _ in try check("throw in onConnect") }
        server.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
        server.listen(.udp).onPacket { server, bytes, sender in
            try check(String(decoding: bytes, as: UTF8.self))
            server.send(bytes, to: sender)
        }
    }

    private static func registerAsync(_ server: WebSocketServer) {
        server.onOpen { server, request in
            try await checkLater(request.query["word"] ?? "")
            welcome(request.fd, server)
        }
        server.onMessage { server, frame in
            try await checkLater(frame.text)
            server.push(frame, to: frame.fd)
        }
        server.onClose { _, fd, reason in
            Event.close(fd, reason.code, reason.cause, reason.text).report()
            try await checkLater("throw in onClose")
        }
        server.onRequest { request, response in
            if request.path == "/begun" { let _: Bool = response.write("a part") }
            try await checkLater(request.query["word"] ?? "")
            response.end("hello")
        }
        let lines = server.listen(.tcp)
        lines.onReceive { server, fd, bytes in
            try await checkLater(String(decoding: bytes, as: UTF8.self))
            server.send(bytes, to: fd)
        }
        server.listen(.tcp).onConnect { _, _ in try await checkLater("throw in onConnect later") }
        server.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
        server.listen(.udp).onPacket { server, bytes, sender in
            try await checkLater(String(decoding: bytes, as: UTF8.self))
            server.send(bytes, to: sender)
        }
    }

    /// The server's own handlers, and those of the port behind it, take borrowed bytes.
    private static func registerSpans(_ server: WebSocketServer) {
        server.onMessageSpan { server, fd, opcode, bytes in
            try check(text(bytes))
            server.push(bytes, to: fd, opcode: opcode)
        }
        server.listen(.tcp).onReceiveSpan { server, fd, bytes in
            try check(text(bytes))
            server.send(bytes, to: fd)
        }
    }

    private static func registerProcesses(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onTask { _, task in
            try check(task.text)
            return "throw in onFinish"
        }
        server.onFinish { _, _, result in try check(String(decoding: result, as: UTF8.self)) }
        server.onTaskError { _, _, error in try check("throw in onTaskError") }
        server.onPipeMessage { _, _, bytes in try check(String(decoding: bytes, as: UTF8.self)) }
        server.onStart { server in
            Scenarios.reportReady(server, configuration)
            try check("throw in onStart")
        }
        server.onManagerStart { _ in try check("throw in onManagerStart") }
        server.onWorkerStop { _, _ in try check("throw in onWorkerStop") }
        guard let failures = configuration.failingStarts, let count = try? SharedAtomic(0) else { return }
        if configuration.isAsync == true {
            server.onWorkerStart { server, id in
                let start = count.add(1)
                if start <= failures { try await checkLater("throw in start \(start) later") }
                Event.workerStart(id: id, pid: getpid()).report()
            }
        } else {
            server.onWorkerStart { server, id in
                let start = count.add(1)
                if start <= failures { try check("throw in start \(start)") }
                Event.workerStart(id: id, pid: getpid()).report()
            }
        }
    }
}
