import Glibc
import SwiftServer
import TestProtocol

/// A worker that logs as many lines as a client asks for: each is the failure of a task that nobody handles.
@MainActor enum LogScenario {
    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static func register(_ server: WebSocketServer) {
        server.settings.taskWorkerCount = 1
        server.onTask { (_, task) throws -> [UInt8]? in
            guard !task.data.isEmpty else { return [] }
            throw Failure(description: String(decoding: task.data, as: UTF8.self))
        }
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            if frame.text == "own" {
                server.log(.debug, "hidden")
                server.log(.notice, "started", ["rooms": "12"])
                server.connection(frame.fd).log(.warning, "two\nlines", ["room": "a \"b\\"])
            }
            for index in 0..<(Int(frame.text) ?? 0) { server.task(Array("message \(index)".utf8)) }
            server.task([UInt8]()) { _ in server.push("logged", to: frame.fd) }
        }
    }

    /// Makes files that cannot grow, as on a full disk.
    static func fillDisk() {
        signal(SIGXFSZ, SIG_IGN)
        var limit = rlimit(rlim_cur: 0, rlim_max: 0)
        unsafe setrlimit(__rlimit_resource_t(UInt32(RLIMIT_FSIZE.rawValue)), &limit)
    }
}
