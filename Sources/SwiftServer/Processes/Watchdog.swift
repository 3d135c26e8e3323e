internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Reads the signals of a master, or of a server in one process, on a thread of its own. It ends the process when a
/// stop exceeds its limit, even if the application's code blocks the main thread.
@safe final class Watchdog: @unchecked Sendable {
    // `@unchecked`: used on the main thread; the callbacks use only the log.

    /// The time after `shutdownTimeout` in which remaining processes are killed and `onShutdown` is called.
    static let grace: Duration = .seconds(1)
    /// The exit code of a process whose own code has not returned in that time.
    static let exitCode: Int32 = 1

    private let raw: OpaquePointer

    init(
        _ signals: Signals, stop: Flag, limit: Duration, takesFromThreads: Bool = false
    ) throws(ServerError) {
        var config = unsafe cre_watchdog_config()
        unsafe config.signals = signals.descriptor
        unsafe config.stop_flag = stop.descriptor
        unsafe config.takes_from_threads = takesFromThreads
        unsafe config.limit_ms = UInt32(limit.milliseconds)
        unsafe config.grace_ms = UInt32(Watchdog.grace.milliseconds)
        unsafe config.exit_code = Watchdog.exitCode
        unsafe config.killing = { _, pid in
            Log.warning("the manager (pid \(pid)) did not stop in time and is killed with its processes")
        }
        unsafe config.exiting = { _ in
            Log.error("the stop has exceeded shutdownTimeout, and the application's code blocks this process: it exits")
            Log.finish()
        }
        var watchdog: OpaquePointer?
        let result = unsafe cre_watchdog_start(&config, &watchdog)
        guard result == 0, let watchdog = unsafe watchdog else { throw .system("cannot start the watchdog", result) }
        unsafe raw = watchdog
    }

    /// Readable while there are signals.
    var descriptor: Int32 { unsafe cre_watchdog_descriptor(raw) }

    /// Returns the signals received so far, in order.
    func pending() -> [Int32] {
        var found: [Int32] = []
        while case let signal = unsafe cre_watchdog_next(raw), signal > 0 { found.append(signal) }
        return found
    }

    /// Names the process that is killed, with its children, when a stop exceeds its limit.
    func watch(manager pid: Int32) { unsafe cre_watchdog_guard(raw, pid) }

    /// Begins a stop, unless one has begun, and returns the time that is left for it.
    func begin() -> Duration { .milliseconds(Int64(unsafe cre_watchdog_arm(raw))) }

    /// Ends the thread: the stop is complete.
    func end() { unsafe cre_watchdog_stop(raw) }
}
