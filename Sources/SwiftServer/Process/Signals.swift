internal import CReactor
internal import Glibc

/// Signals as a descriptor that can be waited for. While it is open they have no other effect.
struct Signals: Sendable {
    let descriptor: Int32

    init(_ signals: [Int32]) throws(ServerError) {
        descriptor = unsafe signals.withUnsafeBufferPointer { unsafe cre_signals_open($0.baseAddress, $0.count) }
        guard descriptor >= 0 else { throw .system("opening a signal descriptor", descriptor) }
    }

    /// Those that have come, in order.
    func pending() -> [Int32] {
        var found: [Int32] = []
        while case let signal = cre_signals_next(descriptor), signal > 0 { found.append(signal) }
        return found
    }
}

/// How a child process ended.
struct ProcessEnd: CustomStringConvertible {
    let pid: Int32
    let code: Int32
    let signal: Int32

    var isOrderly: Bool { signal == 0 && code == 0 }
    var description: String {
        signal == 0 ? "ended with exit code \(code)" : "was killed by signal \(signal) (\(ProcessEnd.name(signal)))"
    }

    /// One child that has ended, if there is any. Does not wait.
    static func next() -> ProcessEnd? {
        var end = cre_process_end()
        guard unsafe cre_process_reap(&end) else { return nil }
        return ProcessEnd(pid: end.pid, code: end.code, signal: end.signal)
    }

    private static func name(_ signal: Int32) -> String {
        guard let text = unsafe strsignal(signal) else { return "unknown" }
        return unsafe String(cString: text)
    }
}
