import CReactor
import CReactorInternal
import Dispatch
import Glibc
import SwiftServer

/// What a client can have a worker do, by a text message that begins with a slash.
@MainActor enum Commands {
    /// Runs a command; the answer, if there is one, goes to the client that sent it.
    static func run(_ text: Substring, from fd: ConnectionID, _ server: WebSocketServer) -> String? {
        let words = text.split(separator: " ", maxSplits: 2).map(String.init)
        let number = words.count > 1 ? Int(words[1]) ?? 0 : 0
        let other = ConnectionID(rawValue: UInt64(number))
        let rest = words.count > 2 ? words[2] : ""
        switch words[0] {
        case "who": return "\(server.workerID) \(getpid())"
        case "parents": return "\(server.masterPID) \(server.managerPID) \(getppid())"
        case "close": return server.close(fd, code: UInt16(number), reason: rest) ? nil : "refused"
        case "crash": fatalError("on purpose")
        case "leave": _exit(Int32(number))
        case "block":
            print("blocked")
            usleep(UInt32(number) * 1000)
            return "unblocked"
        case "push": return server.push(rest, to: other).description
        case "exists": return "\(server.exists(other))"
        case "established": return "\(server.isEstablished(other))"
        case "list": return server.connections.sorted().map(\.description).joined(separator: ",")
        case "count": return "\(server.connections.count)"
        case "all":
            for client in server.connections where server.isEstablished(client) { server.push(words[1], to: client) }
            return nil
        case "many":
            for index in 0..<number { server.push("\(index) \(rest)", to: fd) }
            return nil
        case "print":
            for index in 0..<number { print("line \(server.workerID) \(index) \(rest)") }
            return "printed"
        case "partial":
            print(rest, terminator: "")
            return "printed"
        case "orphan": return orphan()
        case "threads": return "\(isMainThread) \(cre_process_threads())"
        case "shutdown":
            server.shutdown()
            return nil
        default: return elsewhere(words[0], fd, server)
        }
    }

    /// Leaves a process without its parent, and says which.
    private static func orphan() -> String {
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
        return "\(orphan)"
    }

    /// Answers from another thread, or another turn of the loop.
    private static func elsewhere(_ place: String, _ fd: ConnectionID, _ server: WebSocketServer) -> String? {
        switch place {
        case "detached": Task.detached { server.push("from \(isMainThread)", to: fd) }
        case "thread": DispatchQueue.global().async { server.push("from \(isMainThread)", to: fd) }
        case "mainQueue": DispatchQueue.main.async { server.push("from \(isMainThread)", to: fd) }
        case "closeDetached": Task.detached { server.close(fd, code: 4001, reason: "detached") }
        default: return "no command \(place)"
        }
        return nil
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
