extension Response {
    /// Limits the time until the response begins: a handler that has sent nothing by then is reported in the log, and
    /// the client gets status 503. The handler continues; what it sends then has no effect. A second call replaces the
    /// limit of the first, ``Settings/requestTimeout`` included.
    ///
    /// Only a handler that is suspended can be late: one that blocks its worker is a matter of
    /// ``Settings/stuckAfter``.
    public func limit(to time: Duration) {
        guard !isBegun else { return }
        let extras = neededExtras
        if let deadline = extras.deadline { worker.timers.clear(deadline) }
        extras.deadline = worker.timers.start(after: time, every: nil, .deadline) { [weak self] _ in
            MainActor.assumeIsolated { self?.expire() }
        }
    }

    /// Limits the time until the response begins, and chooses what happens when it has passed. Both remain when another
    /// call of ``limit(to:)`` changes the time.
    func limit(to time: Duration, status: Int, whenLate: @escaping @MainActor () -> Void) {
        guard !isBegun else { return }
        neededExtras.late = (status, whenLate)
        limit(to: time)
    }

    private func expire() {
        extras?.deadline = nil
        guard !isBegun else { return }
        if let ending = worker.lateLines.ending() {
            Log.warning(
                "\(worker.name): a request of connection \(request.connection) was not answered in time\(ending)")
        }
        let late = extras?.late
        status(late?.status ?? 503)
        endWithReason()
        late?.notify()
    }
}
