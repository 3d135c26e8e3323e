internal import Glibc

/// What signals mean to a process that runs handlers.
///
/// Its manager tells it to stop by ``Signals/stop``. SIGTERM comes from elsewhere, and there are two who send it: somebody
/// who wants this worker replaced, and somebody who stops everything by a signal to the whole process group. So it is held
/// for a moment: when the server turns out to be stopping, the worker goes on until it is its turn, so that requests in
/// progress are finished in order.
@safe final class WorkerSignals: @unchecked Sendable {
    // `@unchecked`: made and used on the process's main thread.

    /// Longer than it takes the master to notice its own copy of a signal.
    private static let hold: Duration = .milliseconds(250)

    private let server: Server
    private let signals: Signals
    private var isHolding = false
    private var isStopping = false

    init(server: Server) throws(ServerError) {
        self.server = server
        signals = try Signals(Signals.ofWorker)
    }

    /// Calls `stop`, once, when it is time to.
    func watch(_ loop: EventLoop, _ timers: Timers, stop: @escaping @Sendable () -> Void) {
        loop.watch(signals.descriptor) { [self] in
            for signal in signals.pending() { handle(signal, timers, stop) }
        }
    }

    private func handle(_ signal: Int32, _ timers: Timers, _ stop: @escaping @Sendable () -> Void) {
        Log.debug("signal \(ProcessEnd.name(signal))")
        switch signal {
        case Signals.stop:
            // Not before this turn has emptied the rings: what the master told before it said this is still to be heard.
            _ = timers.start(after: .milliseconds(1), every: nil) { [self] _ in stopOnce(stop) }
        case SIGTERM:
            guard !isHolding else { return }
            isHolding = true
            _ = timers.start(after: WorkerSignals.hold, every: nil) { [self] _ in
                isHolding = false
                if server.orders?.stopping.isRaised != true { stopOnce(stop) }
            }
        case SIGHUP:
            Log.reopen()
            if server.mode == .base { server.reloadCertificates() }  // else they are the master's business
        case SIGINT: break  // a terminal's Ctrl-C goes to every process and is the master's business
        default: Signals.tellUnused(signal, by: "worker \(server.workerID)")
        }
    }

    private func stopOnce(_ stop: () -> Void) {
        guard !isStopping else { return }
        isStopping = true
        stop()
    }
}
