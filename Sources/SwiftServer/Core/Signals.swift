internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Signals read from a descriptor. While it is open they have no other effect.
struct Signals: Sendable {
    let descriptor: Int32

    /// The signal by which a parent asks its child to stop. SIGTERM can come from anyone, and pending signals of one
    /// kind are merged.
    static var stop: Int32 { __libc_current_sigrtmin() }

    /// A child reads its parent's signals until it opens its own descriptor, so the master's set is the manager's.
    static var ofSupervisor: [Int32] { ofWorker + [SIGCHLD] }
    static var ofWorker: [Int32] { [SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGIO, stop] }

    /// Logs a signal that would end a process by default and has no function in this one.
    static func logIgnored(_ signal: Int32, by process: String) {
        Log.notice("\(process) ignores signal \(signal) (\(name(signal)))")
    }

    static func name(_ signal: Int32) -> String {
        guard let text = unsafe strsignal(signal) else { return "unknown" }
        return unsafe String(cString: text)
    }

    init(_ signals: [Int32]) throws(ServerError) {
        descriptor = unsafe signals.withUnsafeBufferPointer { unsafe cre_signals_open($0.baseAddress, $0.count) }
        guard descriptor >= 0 else { throw .system("cannot open a signal descriptor", descriptor) }
    }

    /// Closes the descriptor; the signals have their usual effect again.
    func close() { cre_signals_close(descriptor) }

    /// A received signal.
    struct Signal {
        let number: Int32
        /// The time in which the receiver must have stopped, if the sender has set one.
        let limit: Duration?
    }

    /// Returns the signals received so far, in order.
    func pending() -> [Signal] {
        var found: [Signal] = []
        var value: Int32 = 0
        while case let number = unsafe cre_signals_next_value(descriptor, &value), number > 0 {
            found.append(Signal(number: number, limit: value > 0 ? .milliseconds(Int64(value)) : nil))
        }
        return found
    }

    /// Asks a child to stop within a time.
    static func sendStop(to pid: Int32, within limit: Duration) {
        cre_process_send(pid, stop, Int32(clamping: max(1, limit.milliseconds)))
    }
}
