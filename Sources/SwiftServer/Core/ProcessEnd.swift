internal import CReactor
internal import CReactorInternal
internal import Glibc

/// How a child process ended.
struct ProcessEnd: CustomStringConvertible {
    let pid: Int32
    let code: Int32
    let signal: Int32

    var isOrderly: Bool { signal == 0 && code == 0 }
    var description: String {
        signal == 0 ? "ended with exit code \(code)" : "was killed by signal \(signal) (\(Signals.name(signal)))"
    }

    /// Ends this process, a forked child.
    static func exit(_ code: Int32) -> Never {
        Log.finish()
        cre_process_exit(code)
    }

    /// Returns one child that has ended, `nil` when there is none. Does not wait.
    static func next() -> ProcessEnd? {
        var end = cre_process_end()
        guard unsafe cre_process_reap(&end) else { return nil }
        return ProcessEnd(pid: end.pid, code: end.code, signal: end.signal)
    }
}
