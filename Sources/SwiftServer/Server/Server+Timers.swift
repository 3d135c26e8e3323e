extension Server {
    /// Calls `handler` repeatedly in this worker, `interval` apart; missed rounds are skipped.
    ///
    /// A timer started in `onWorkerStart` exists in each worker: compare the worker's number to have it in one. Timers
    /// end with their worker, also when it is reloaded.
    ///
    /// - Parameters:
    ///   - interval: at least 1 ms.
    ///   - holdsWorker: a worker that has to end waits, as long as ``Settings/shutdownTimeout`` allows, until the timer
    ///     is cleared.
    ///   - handler: gets the timer's id, to clear it.
    @MainActor @discardableResult
    public func tick(
        every interval: Duration, holdsWorker: Bool = false, _ handler: @escaping @MainActor (TimerID) -> Void
    ) -> TimerID {
        precondition(interval >= .milliseconds(1), "a tick needs an interval of at least 1 ms")
        return timers.start(after: interval, every: interval, holdsWorker ? .holding : .users, MainLoop.direct(handler))
    }

    /// Calls `handler` once, after `delay`, in this worker. With `holdsWorker` a worker that has to end waits for it.
    @MainActor @discardableResult
    public func after(
        _ delay: Duration, holdsWorker: Bool = false, _ handler: @escaping @MainActor () -> Void
    ) -> TimerID {
        let run = MainLoop.direct { (_: TimerID) in handler() }
        return timers.start(after: delay, every: nil, holdsWorker ? .holding : .users, run)
    }

    /// Clears a timer; a timer's handler may clear its own. Returns false when there is no such timer any more.
    @MainActor @discardableResult
    public func clearTimer(_ id: TimerID) -> Bool { timers.clear(id) }

    /// Suspends an asynchronous handler. The loop's own timer resumes it, so no thread is started or changed. (A `Task
    /// { }` started in a handler does not inherit this: it starts pool threads, and returns to the main one.)
    @MainActor public func sleep(for duration: Duration) async {
        let timers = timers
        unsafe await withUnsafeContinuation { continuation in
            _ = timers.start(after: duration, every: nil) { _ in unsafe continuation.resume() }
        }
    }

    @MainActor private var timers: Timers {
        guard let worker else { preconditionFailure("timers belong to workers: set them in onWorkerStart or later") }
        return worker.timers
    }
}
