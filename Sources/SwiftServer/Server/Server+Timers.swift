internal import Glibc

/// Timers belong to the processes that run handlers: workers, task workers and custom processes.
///
/// Everywhere else (before ``start()``, in `onStart`, `onManagerStart` and the other handlers of master and manager,
/// after the server has ended) ``tick(every:holdsWorker:_:)`` and ``after(_:holdsWorker:_:)`` log an error and return
/// ``TimerID/invalid``. In ``ServerMode/single`` the one process has timers from `onStart` on.
extension Server {
    /// Calls `handler` repeatedly in this worker, `interval` apart; rounds that were missed are skipped.
    ///
    /// A timer made in `onWorkerStart` exists once in each worker: compare the worker's number to have it in one.
    /// Timers end with their worker, also when it is reloaded.
    ///
    /// - Parameters:
    ///   - interval: at least 1 ms; less is logged as an error.
    ///   - holdsWorker: a worker that is to end waits, as long as ``Settings/shutdownTimeout`` allows, until the timer
    ///     is cleared.
    ///   - handler: receives the timer's number, with which it can clear it.
    /// - Returns: the timer's number, or ``TimerID/invalid`` when no timer was started.
    @MainActor @discardableResult
    public func tick(
        every interval: Duration, holdsWorker: Bool = false, _ handler: @escaping @MainActor (TimerID) -> Void
    ) -> TimerID {
        guard interval >= .milliseconds(1) else {
            Log.error("cannot start a timer: the interval of tick(every:) must be 1 ms or more, got \(interval)")
            return .invalid
        }
        guard let timers = timers("tick(every:)") else { return .invalid }
        return timers.start(after: interval, every: interval, holdsWorker ? .holding : .users, MainLoop.direct(handler))
    }

    /// Calls `handler` once, after `delay`, in this worker.
    ///
    /// - Parameters:
    ///   - delay: zero and less: as soon as the current handler has returned or suspended.
    ///   - holdsWorker: a worker that is to end waits for the timer, as long as ``Settings/shutdownTimeout`` allows.
    ///   - handler: is called once.
    /// - Returns: the timer's number, or ``TimerID/invalid`` when no timer was started.
    @MainActor @discardableResult
    public func after(
        _ delay: Duration, holdsWorker: Bool = false, _ handler: @escaping @MainActor () -> Void
    ) -> TimerID {
        guard let timers = timers("after(_:)") else { return .invalid }
        let run = MainLoop.direct { (_: TimerID) in handler() }
        return timers.start(after: delay, every: nil, holdsWorker ? .holding : .users, run)
    }

    /// Clears a timer; its own handler may do so, too. Returns false when there is no timer of this number, as for
    /// ``TimerID/invalid``.
    @MainActor @discardableResult
    public func clearTimer(_ id: TimerID) -> Bool { activeTimers?.clear(id) ?? false }

    /// Suspends an asynchronous handler until `duration` has passed or its task is cancelled.
    ///
    /// The loop's own timer resumes it, so that no thread is started and none is changed. (A `Task { }` made inside a
    /// handler does not inherit that: it starts pool threads, and returns to the main one.) In a process without timers
    /// it is `Task.sleep`, which starts threads. When the server ends, it returns early.
    @MainActor public func sleep(for duration: Duration) async {
        guard !Task.isCancelled else { return }
        guard let worker, let timers = activeTimers else {
            try? await Task.sleep(for: duration)
            return
        }
        let sleeper = Sleeper()
        await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { continuation in
                unsafe sleeper.begin(continuation, timers, duration)
            }
        } onCancel: {
            worker.loop.post { sleeper.cancel() }
        }
    }

    /// Those of this process; `nil` where handlers of connections and tasks do not run.
    @MainActor private var activeTimers: Timers? {
        guard let worker, worker.isOnLoop else { return nil }
        return worker.timers
    }

    @MainActor private func timers(_ call: String) -> Timers? {
        if let timers = activeTimers { return timers }
        let place =
            if masterPID == 0 { "before start()" } else if worker != nil {
                "after the server has ended"
            } else if masterPID == getpid() { "in the master (onStart, onShutdown)" } else {
                "in the manager (onManagerStart, onWorkerError)"
            }
        Log.error(
            """
            cannot start a timer \(place): call \(call) in onWorkerStart, onTask, a process of addProcess() or a later \
            handler
            """)
        return nil
    }
}

/// A handler that is suspended until its timer fires or its task is cancelled.
@safe private final class Sleeper: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private var continuation: UnsafeContinuation<Void, Never>?
    private var timers: Timers?
    private var timer = TimerID.invalid

    func begin(_ continuation: UnsafeContinuation<Void, Never>, _ timers: Timers, _ duration: Duration) {
        unsafe self.continuation = continuation
        self.timers = timers
        timer = timers.start(after: duration, every: nil, .sleeping) { [self] _ in wake() }
    }

    func cancel() {
        if timers?.clear(timer) == true { wake() }
    }

    private func wake() {
        timers = nil
        unsafe continuation.take()?.resume()
    }
}
