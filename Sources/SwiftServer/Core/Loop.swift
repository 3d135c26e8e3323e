/// Timers, with and without a server.
///
/// In a script, timers are pending until ``run()`` is called, which returns when the last one has fired or was cleared:
///
/// ```swift
/// var rounds = 0
/// Loop.tick(every: .seconds(1)) { id in
///     rounds += 1
///     print("round \(rounds)")
///     if rounds == 5 { Loop.clearTimer(id) }
/// }
/// try Loop.run()
/// ```
///
/// In a process that runs handlers (a worker, a task worker, a custom process, or the one process of
/// ``ServerMode/single``) the same calls start timers on its loop, as ``Server/tick(every:holdsWorker:_:)`` and
/// ``Server/after(_:holdsWorker:_:)`` do. In the master and the manager (`onStart`, `onManagerStart` and the like) they
/// log an error and return ``TimerID/invalid``.
///
/// Timers that are pending when a server starts do not fire in its processes, and a warning is logged. They fire in a
/// ``run()`` that follows after the server has ended.
public enum Loop: Sendable {
    /// Calls `handler` repeatedly, `interval` apart; rounds that were missed are skipped.
    ///
    /// - Parameters:
    ///   - interval: at least 1 ms; less is logged as an error.
    ///   - handler: receives the timer's number, with which it can clear it.
    /// - Returns: the timer's number, or ``TimerID/invalid`` when no timer was started.
    @MainActor @discardableResult
    public static func tick(every interval: Duration, _ handler: @escaping @MainActor (TimerID) throws -> Void)
        -> TimerID
    {
        guard Timers.isValid(interval: interval), let timers = timers("Loop.tick(every:)") else { return .invalid }
        return timers.start(after: interval, every: interval, .users, Timers.function(handler))
    }

    /// Calls `handler` once, after `delay`.
    ///
    /// - Parameters:
    ///   - delay: measured from this call; zero and less: as soon as the loop runs and the current code has returned.
    ///   - handler: is called once.
    /// - Returns: the timer's number, or ``TimerID/invalid`` when no timer was started.
    @MainActor @discardableResult
    public static func after(_ delay: Duration, _ handler: @escaping @MainActor () throws -> Void) -> TimerID {
        guard let timers = timers("Loop.after(_:)") else { return .invalid }
        return timers.start(after: delay, every: nil, .users, Timers.function { _ in try handler() })
    }

    /// Clears a timer of this process, pending or running; its own handler may do so, too. Returns false when there is
    /// no timer of this number, as for ``TimerID/invalid``.
    @MainActor @discardableResult
    public static func clearTimer(_ id: TimerID) -> Bool {
        (ProcessTimers.ofWorker ?? ProcessTimers.ofScript).clear(id)
    }

    /// Suspends a task until `duration` has passed or the task is cancelled. Inside ``run()`` it counts as a timer, and
    /// in a process that runs handlers it is ``Server/sleep(for:)``. Elsewhere it is `Task.sleep`.
    @MainActor public static func sleep(for duration: Duration) async {
        let timers = ProcessTimers.ofWorker ?? ProcessTimers.ofScript
        if timers.loop != nil { await timers.sleep(for: duration) } else { try? await Task.sleep(for: duration) }
    }

    /// Runs the timers of a program without a server. Returns when the last one has fired or was cleared; at once when
    /// there is none.
    ///
    /// `@MainActor` code and asynchronous code of timers run meanwhile. A task that waits for something other than a
    /// timer does not keep the loop running. Asynchronous clients have a thread of their own, and work also after this
    /// call has returned.
    ///
    /// - Throws: ``ServerError`` with the code `alreadyStarted` inside itself and while a server runs in this process,
    ///   whose own loop runs the timers; with `system` when the system has no resources for a loop.
    @MainActor public static func run() throws(ServerError) {
        guard ProcessTimers.ofWorker == nil, !RunningServer.exists else {
            throw ServerError(
                code: .alreadyStarted, message: "cannot run the loop: a server is running, whose own loop runs timers")
        }
        guard !ProcessTimers.isRunning else {
            throw ServerError(code: .alreadyStarted, message: "cannot run the loop: Loop.run() is running")
        }
        let timers = ProcessTimers.ofScript
        let loop = try EventLoop()
        ProcessTimers.isRunning = true
        loop.becomeMainActor(serves: false)
        timers.attach(to: loop)
        defer {
            timers.whenEmpty = nil
            timers.detach()
            ProcessTimers.isRunning = false
            loop.end()
        }
        runJobs(loop)
        timers.whenEmpty = { loop.stop() }
        while !timers.isEmpty {
            loop.run()
            runJobs(loop)
        }
    }

    /// Runs the jobs of the main actor: those that the last timer has caused may start further timers.
    private static func runJobs(_ loop: EventLoop) {
        EventLoop.runPendingWork()
        loop.executor.drain()
    }

    /// The timers of this process; `nil`, with an error in the log, where there are none.
    @MainActor private static func timers(_ call: String) -> Timers? {
        if let timers = ProcessTimers.ofWorker { return timers }
        guard !RunningServer.exists else {
            Log.error(
                """
                cannot start a timer in the master or the manager: call \(call) in onWorkerStart, onTask, a process of \
                addProcess() or a later handler
                """)
            return nil
        }
        return ProcessTimers.ofScript
    }
}
