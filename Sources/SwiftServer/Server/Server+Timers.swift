internal import Glibc

/// Timers belong to the processes that run handlers: workers, task workers and custom processes.
///
/// Everywhere else (before ``start()``, in `onStart`, `onManagerStart` and the other handlers of master and manager,
/// after the server has ended) ``tick(every:holdsWorker:_:)`` and ``after(_:holdsWorker:_:)`` log an error and return
/// ``TimerID/invalid``. In ``ServerMode/single`` the one process has timers from `onStart` on. ``Loop`` has timers of
/// programs without a server.
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
        every interval: Duration, holdsWorker: Bool = false, _ handler: @escaping @MainActor (TimerID) throws -> Void
    ) -> TimerID {
        guard Timers.isValid(interval: interval), let timers = timers("tick(every:)") else { return .invalid }
        return timers.start(after: interval, every: interval, holdsWorker ? .holding : .users, Timers.function(handler))
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
        _ delay: Duration, holdsWorker: Bool = false, _ handler: @escaping @MainActor () throws -> Void
    ) -> TimerID {
        guard let timers = timers("after(_:)") else { return .invalid }
        let run = Timers.function { _ in try handler() }
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
        if let timers = activeTimers {
            await timers.sleep(for: duration)
        } else {
            try? await Task.sleep(for: duration)
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
