internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Signals as a descriptor that can be waited for. While it is open they have no other effect.
struct Signals: Sendable {
    let descriptor: Int32

    /// By which a parent tells its child to stop. SIGTERM may come from anybody, and several of one kind become one.
    static var stop: Int32 { __libc_current_sigrtmin() }

    /// A child takes what its parent does until it says what it takes itself, so the master's are the manager's.
    static var ofSupervisor: [Int32] { ofWorker + [SIGCHLD] }
    static var ofWorker: [Int32] { [SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGIO, stop] }

    /// Signals that would end a process and have no meaning there.
    static func tellUnused(_ signal: Int32, by process: String) {
        Log.notice("signal \(signal) (\(ProcessEnd.name(signal))) means nothing to \(process)")
    }

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

    static func name(_ signal: Int32) -> String {
        guard let text = unsafe strsignal(signal) else { return "unknown" }
        return unsafe String(cString: text)
    }
}
