import Glibc
import SwiftServer
import TestProtocol

/// Workers whose `onWorkerStart` does what a file says, like one that reads a configuration.
@MainActor enum SuccessorScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        let file = configuration.orders ?? ""
        server.settings.taskWorkerCount = 1
        Scenarios.reportClosing(server)
        TaskScenario.reportProcesses(server)
        if configuration.isAsync == true {
            server.onWorkerStart { (server, id) async throws in
                try await startLater(server, id, file)
                Event.workerStart(id: id, pid: getpid()).report()
            }
        } else {
            server.onWorkerStart { server, id in
                try start(server, id, file)
                Event.workerStart(id: id, pid: getpid()).report()
            }
        }
        server.onPipeMessage { server, from, bytes in
            Event.message(to: server.workerID, from: from, size: bytes.count, .text("")).report()
        }
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            if case .who = command(frame) { server.answer(WorkerIdentity(server), to: frame.fd) }
        }
        server.onTask { (_, task) -> [UInt8]? in task.data }
    }

    /// As `start`, after the handler was suspended.
    private static func startLater(_ server: WebSocketServer, _ id: Int, _ file: String) async throws {
        await server.sleep(for: .milliseconds(5))
        switch read(file) {
        case .wait:
            Event.ordered(worker: id, .wait).report()
            while read(file) == .wait { await server.sleep(for: .milliseconds(1)) }
        case .task where id == 0:
            Event.ordered(worker: id, .task).report()
            _ = try await server.task([1], timeout: .seconds(10)) as [UInt8]?
            Event.taskResult(worker: id).report()
        default: try start(server, id, file)
        }
    }

    private static func start(_ server: WebSocketServer, _ id: Int, _ file: String) throws {
        let order = read(file)
        Event.ordered(worker: id, order).report()
        switch order {
        case .report: break
        case .crash: exit(9)
        case .fail: throw TaskError.failed("the configuration is broken")
        case .block: while true { pause() }
        case .wait: while read(file) == .wait { usleep(1000) }
        case .push:
            server.tick(every: .milliseconds(1)) { timer in
                server.clearTimer(timer)
                Event.ticked(worker: id).report()
            }
            for connection in server.connections {
                Event.pushed(worker: id, server.push("from \(id)", to: connection)).report()
            }
        case .task:
            guard id == 0 else { return }
            server.task([1]) { _ in Event.taskResult(worker: id).report() }
            Event.sentInStart(server.sendMessage("hello", to: server.settings.workerCount)).report()
        }
    }

    private static func read(_ path: String) -> StartOrder {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return .report }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, $0.count) }
        return StartOrder(rawValue: String(decoding: bytes[..<max(0, count)], as: UTF8.self)) ?? .report
    }
}
