import Glibc
import SwiftServer
import TestProtocol

/// A program of which there are several versions, to be replaced while it runs.
@MainActor enum VersionScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.settings.reload = .newProgram
        let version = configuration.version ?? 1
        switch configuration.startFailure {
        case .exit: exit(7)
        case .hang: while true { sleep(100) }
        case .crash: server.onWorkerStart { _, _ in exit(9) }
        case nil: break
        }
        let visits = try! SharedAtomic()
        if configuration.allocatesMore == true {
            do { _ = try SharedAtomic() } catch {
                Event.sharedMemoryError("\(error)").report()
                exit(8)
            }
        }
        Scenarios.reportClosing(server)
        TaskScenario.reportProcesses(server)
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            let fd = frame.fd
            switch command(frame) {
            case .version: server.answer(VersionReport(version, WorkerIdentity(server)), to: fd)
            case .visit: server.answer(Visit(version: version, count: visits.add()), to: fd)
            case .post:
                server.task([]) { result in
                    if case .success(let bytes?) = result {
                        server.push(String(decoding: bytes, as: UTF8.self), to: fd)
                    }
                }
            case let command?: if let answer = Commands.common(command, server) { server.answer(answer, to: fd) }
            case nil: server.push(frame, to: fd)
            }
        }
        server.onTask { server, task -> String? in
            encoded(Answer(VersionReport(version, WorkerIdentity(server))))
        }
        server.onRequest { _, response in response.end("version \(version)") }
    }
}
