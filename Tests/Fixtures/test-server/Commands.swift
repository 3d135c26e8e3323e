import CReactor
import CReactorInternal
import Dispatch
import Glibc
import SwiftServer
import TestProtocol

/// The command in a message; `nil`: it is to be echoed.
func command(_ frame: Frame) -> Command? { frame.opcode == .text ? Command(frame.text) : nil }

@MainActor func welcome(_ fd: ConnectionID, _ server: WebSocketServer) {
    server.push(encoded(Welcome(fd, server)), to: fd)
}

extension WebSocketServer {
    func answer(_ value: some Encodable, to fd: ConnectionID) { push(encoded(["answer": value]), to: fd) }
}

/// What a client can have a worker do.
@MainActor enum Commands {
    typealias Answer = any Encodable & Sendable

    /// Runs a command of several scenarios; the answer, if there is one, goes to the client that sent it.
    static func common(_ command: Command, _ server: WebSocketServer) -> Answer? {
        switch command {
        case .who: return WorkerIdentity(server)
        case .crash: fatalError("on purpose")
        case .shutdown:
            server.shutdown()
            return nil
        case .block(let time):
            Event.blocked.report()
            usleep(UInt32(time / .microseconds(1)))
            return true
        case .reload(let onlyTaskWorkers):
            server.reload(onlyTaskWorkers: onlyTaskWorkers)
            return nil
        case .info(let fd): return server.connectionInfo(fd).map { ConnectionReport($0) } as ConnectionReport? as Answer
        case .stats: return Counts(server.stats())
        default: return "\(command) is no command of this scenario"
        }
    }

    static func run(_ command: Command, from fd: ConnectionID, _ server: WebSocketServer) -> Answer? {
        switch command {
        case .parents: return Parents(master: server.masterPID, manager: server.managerPID, parent: getppid())
        case .close(let code, let reason): return server.close(fd, code: code, reason: reason) ? nil : false
        case .leave(let code): _exit(code)
        case .push(let text, let other): return server.push(text, to: other)
        case .exists(let other): return server.exists(other)
        case .isEstablished(let other): return server.isEstablished(other)
        case .connections: return server.connections.sorted()
        case .connectionCount: return server.connections.count
        case .pushToAll(let text):
            for client in server.connections where server.isEstablished(client) { server.push(text, to: client) }
            return nil
        case .pushMany(let count, let text):
            for index in 0..<count { server.push("\(index) \(text)", to: fd) }
            return nil
        case .printLines(let count, let text):
            for index in 0..<count { print("line \(server.workerID) \(index) \(text)") }
            return true
        case .printUnfinished(let text):
            print(text, terminator: "")
            return true
        case .orphan: return orphan()
        case .threads: return Threads(onMain: [isMainThread], count: Int(cre_process_threads()))
        case .answer(let place):
            switch place {
            case .detachedTask: Task.detached { server.answer(isMainThread, to: fd) }
            case .globalQueue: DispatchQueue.global().async { server.answer(isMainThread, to: fd) }
            case .mainQueue: DispatchQueue.main.async { server.answer(isMainThread, to: fd) }
            }
            return nil
        case .closeDetached:
            Task.detached { server.close(fd, code: 4001, reason: "detached") }
            return nil
        default: return common(command, server)
        }
    }

    /// Leaves a process without its parent, and returns its pid.
    private static func orphan() -> Int32 {
        var ends: [Int32] = [-1, -1]
        unsafe pipe(&ends)
        let child = cre_process_fork()
        if child == 0 {
            var orphan = cre_process_fork()
            if orphan == 0 { while true { pause() } }
            _ = unsafe write(ends[1], &orphan, 4)
            _exit(0)
        }
        var orphan: Int32 = 0
        _ = unsafe read(ends[0], &orphan, 4)
        var status: Int32 = 0
        unsafe waitpid(child, &status, 0)
        for end in ends { close(end) }
        return orphan
    }

    /// Whether the thread's number is the process's: that of its first thread.
    nonisolated static var isMainThread: Bool {
        var link = [UInt8](repeating: 0, count: 64)
        let count = unsafe link.withUnsafeMutableBytes {
            unsafe readlink("/proc/thread-self", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return String(decoding: link[..<max(0, count)], as: UTF8.self) == "\(getpid())/task/\(getpid())"
    }
}
