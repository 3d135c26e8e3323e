internal import Glibc

/// The signals of a process that runs handlers.
///
/// Its manager requests its end by ``Signals/stop``. SIGTERM has two other senders: someone who wants this worker
/// replaced, and someone who stops everything by a signal to the process group. So SIGTERM takes effect after a short
/// delay: if the whole server turns out to be stopping, the worker continues until the manager requests its end, and
/// requests in progress are finished in order.
@safe final class WorkerSignals: @unchecked Sendable {
    // `@unchecked`: made and used on the process's main thread.

    /// Longer than the master needs to notice its own copy of a signal.
    private static let termDelay: Duration = .milliseconds(250)

    private let flags: ControlFlags
    private let certificates: Certificates
    private let name: String
    private let signals: Signals
    private var isDelayed = false
    private var isStopping = false

    /// Takes over the signals: from here on they have no other effect. `certificates` are those of base mode.
    init(flags: ControlFlags, certificates: Certificates, name: String) throws(ServerError) {
        self.flags = flags
        self.certificates = certificates
        self.name = name
        signals = try Signals(Signals.ofWorker)
    }

    /// Calls `stop` when the process has to end, with the limit that the manager has set, if any. It is called again
    /// when the manager sets one later.
    func watch(_ loop: EventLoop, _ timers: Timers, stop: @escaping @Sendable (_ limit: Duration?) -> Void) {
        loop.watch(signals.descriptor) { [self] in
            for signal in signals.pending() { handle(signal.number, signal.limit, timers, stop) }
        }
    }

    private func handle(
        _ signal: Int32, _ limit: Duration?, _ timers: Timers, _ stop: @escaping @Sendable (Duration?) -> Void
    ) {
        Log.debug("signal \(Signals.name(signal))")
        switch signal {
        case Signals.stop:
            // Not before this turn has emptied the rings: the master's earlier messages must still arrive.
            _ = timers.start(after: .milliseconds(1), every: nil) { [self] _ in stopOnce(limit, stop) }
        case SIGTERM:
            guard !isDelayed else { return }
            isDelayed = true
            _ = timers.start(after: WorkerSignals.termDelay, every: nil) { [self] _ in
                isDelayed = false
                if !flags.stopping.isRaised, !flags.draining.isRaised { stopOnce(nil, stop) }
            }
        case SIGHUP:
            Log.reopen()
            certificates.reload()
        case SIGINT: break  // a terminal's Ctrl-C reaches every process; the master handles it
        default: Signals.logIgnored(signal, by: name)
        }
    }

    private func stopOnce(_ limit: Duration?, _ stop: (Duration?) -> Void) {
        guard !isStopping || limit != nil else { return }
        isStopping = true
        stop(limit)
    }
}
