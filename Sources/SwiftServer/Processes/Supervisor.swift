internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Reports the state of the server to the program that supervises it, by the protocol of systemd: messages like
/// "READY=1" to the socket in `NOTIFY_SOCKET`.
@safe final class Supervisor {
    private let socket: String
    /// The interval of signs of life; `nil`: none are expected of this process.
    let lifeInterval: Duration?
    private var hasFailed = false
    /// Messages for which the socket had no room yet, in order.
    private var pending: [String] = []
    private static let mostPending = 16

    /// The interval at which changes of the state are looked for.
    static let interval: Duration = .milliseconds(50)

    /// The supervisor that an environment names, `nil` if there is none.
    init?(_ environment: (String) -> String?, pid: Int32 = getpid()) {
        guard let socket = environment("NOTIFY_SOCKET") else { return nil }
        guard socket.hasPrefix("/") || socket.hasPrefix("@") else {
            Log.warning("NOTIFY_SOCKET must be an absolute path or the name of an abstract socket, got \(socket)")
            return nil
        }
        self.socket = socket
        let isMeant = environment("WATCHDOG_PID").map { $0 == "\(pid)" } ?? true
        let limit = environment("WATCHDOG_USEC").flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil }
        // Half of the time after which the supervisor takes the process for dead.
        lifeInterval = isMeant ? limit.map { .milliseconds(max(1, $0 / 2000)) } : nil
    }

    /// The supervisor of this process.
    convenience init?() {
        self.init { name in unsafe getenv(name).map { unsafe String(cString: $0) } }
    }

    /// Sends a change of the state, now or when there is room.
    private func report(_ message: String) {
        if pending.count < Supervisor.mostPending { pending.append(message) }
        flush()
    }

    /// Sends what is pending, as far as there is room.
    private func flush() {
        while let message = pending.first, send(message) { pending.removeFirst() }
    }

    /// Returns false when the socket has no room. A message that cannot be sent at all is logged.
    private func send(_ message: String) -> Bool {
        var message = message
        let result = message.withUTF8 { unsafe cre_process_notify(socket, $0.baseAddress, $0.count) }
        if result == -EAGAIN || result == -ENOBUFS { return false }
        if result != 0, !hasFailed { Log.warning("cannot notify the supervisor at \(socket): \(errorText(result))") }
        hasFailed = result != 0
        return true
    }

    /// Reports readiness and reloads from now on, and gives signs of life. On the loop of the timers.
    func follow(_ monitor: Monitor, _ timers: Timers) {
        var state = State(monitor)
        _ = timers.start(after: .zero, every: Supervisor.interval) { [unowned self] _ in
            flush()
            for message in state.changes(in: monitor) { report(message) }
        }
        guard let lifeInterval else { return }
        _ = timers.start(after: .zero, every: lifeInterval) { [unowned self] _ in _ = send("WATCHDOG=1") }
    }

    /// Reports that the server is stopping.
    func stopping() { report("STOPPING=1") }

    /// What was reported last.
    private struct State {
        var isReady = false
        /// Reloads that had begun, and whether the last of them is still in progress.
        var reloads: UInt64
        var isReloading = false

        init(_ monitor: Monitor) { reloads = monitor.reloadsBegun }

        /// The messages that the state of the server requires now. No reload is missed, however short it is.
        mutating func changes(in monitor: Monitor) -> [String] {
            guard !monitor.isStopping else { return [] }
            guard isReady else {
                isReady = monitor.missingWorkers.isEmpty
                return isReady ? ["READY=1"] : []
            }
            var messages: [String] = []
            let begun = monitor.reloadsBegun
            if begun != reloads, !isReloading {
                reloads = begun
                isReloading = true
                var now = timespec()
                unsafe clock_gettime(CLOCK_MONOTONIC, &now)
                messages.append(
                    "RELOADING=1\nMONOTONIC_USEC=\(Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)")
            }
            if isReloading, !monitor.isReloading {
                isReloading = false
                messages.append("READY=1")
            }
            return messages
        }
    }
}
