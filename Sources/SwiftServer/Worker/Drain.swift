/// The orderly end of a worker: nothing new is begun, everything in progress is finished, and then its loop stops.
@safe final class Drain: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.

    /// The work in progress in a worker.
    struct Load {
        /// Requests that were not answered.
        var requests = 0
        var suspendedHandlers = 0
        /// Posted tasks whose results have not arrived.
        var postedTasks = 0
        /// Whether a task is running here.
        var isOnTask = false
        /// Timers that hold the worker.
        var timers = 0
        /// Whether there are any timers of the application.
        var hasTimers = false
    }

    /// What a drain does to its worker, and asks of it.
    struct Actions {
        /// Publishes the end, and stops receiving.
        var begin: (EndingCause) -> Void
        /// Runs a closure in a later turn of the loop.
        var post: (@escaping @Sendable () -> Void) -> Void
        /// Runs a closure after a time.
        var after: (Duration, @escaping () -> Void) -> Void
        /// Calls the application's `onWorkerExit`.
        var notify: () -> Void
        /// Clears the application's timers, except those that hold the worker.
        var clearTimers: () -> Void
        /// The work in progress.
        var load: () -> Load
        /// Calls the closure whenever some work has ended, from now on.
        var watch: (@escaping () -> Void) -> Void
        /// Closes the connections of this process, and calls the closure when none is left. Returns false, without a
        /// call, in a process that owns no sockets.
        var closeConnections: (Duration, @escaping () -> Void) -> Bool
        /// Whether closing the link now would lose something. If not, nothing more is received.
        var isLinkBusy: () -> Bool
        /// Stops the loop.
        var stop: () -> Void
    }

    private let name: String
    /// Whether this is a worker or task worker, which finishes everything. A custom process may be suspended for as
    /// long as it lives, so only the results of its tasks are awaited.
    private let finishesAll: Bool
    private let deadline: Duration
    /// Whether the whole server is stopping. Task workers have ended before custom processes then, so missing results
    /// will not arrive.
    private let isServerStopping: () -> Bool
    private let actions: Actions
    private(set) var isDraining = false
    private var hasConnections = false
    private var hasEnded = false

    /// The interval at which a busy link is checked.
    static let linkInterval: Duration = .milliseconds(5)

    init(
        name: String, finishesAll: Bool, deadline: Duration, isServerStopping: @escaping () -> Bool, actions: Actions
    ) {
        self.name = name
        self.finishesAll = finishesAll
        self.deadline = deadline
        self.isServerStopping = isServerStopping
        self.actions = actions
    }

    /// Stops the loop when everything in progress is finished, at the latest after the limit, which is the deadline
    /// unless it is given. The process's own connections are closed, and events that it has not read are left to its
    /// successor. A drain in progress gets the new limit, if that is earlier than its own.
    func start(_ cause: EndingCause, within limit: Duration? = nil) {
        guard !isDraining else {
            if let limit { stop(after: limit) }
            return
        }
        isDraining = true
        actions.begin(cause)
        actions.post { [self] in finish(within: limit ?? deadline) }
    }

    /// Stops the loop after a time, whatever is left.
    private func stop(after limit: Duration) {
        actions.after(limit) { [unowned self] in
            guard !hasEnded else { return }
            Log.warning("\(name) did not finish in time and stops with \(remaining)")
            actions.stop()
        }
    }

    private func finish(within limit: Duration) {
        let load = actions.load()
        if isHeld(load) || load.timers > 0 || load.hasTimers { actions.notify() }
        actions.clearTimers()
        actions.watch { [weak self] in self?.step() }
        stop(after: limit)
        hasConnections = true
        let isClosing = actions.closeConnections(limit) { [unowned self] in
            hasConnections = false
            step()
        }
        if !isClosing { hasConnections = false }
        step()
    }

    /// Whether work in progress must be finished before the end.
    private func isHeld(_ load: Load) -> Bool {
        guard finishesAll else { return load.postedTasks > 0 && !isServerStopping() }
        return load.requests > 0 || load.suspendedHandlers > 0 || load.postedTasks > 0 || load.isOnTask
    }

    private var remaining: String {
        let load = actions.load()
        let parts = [
            (load.requests, "requests without a response"), (load.suspendedHandlers, "handlers suspended"),
            (load.postedTasks, "tasks without a result"), (load.timers, "timers"),
            (hasConnections ? 1 : 0, "its connections open"),
        ]
        return parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }

    /// The link is closed: nothing is waited for any more.
    func end() { hasEnded = true }

    /// Stops the loop if nothing is left to finish.
    func step() {
        guard isDraining, !hasConnections, !hasEnded else { return }
        let load = actions.load()
        guard !isHeld(load), load.timers == 0 else { return }
        guard !actions.isLinkBusy() else {
            // Output still waits for room in a ring, or a large record has arrived in part. Both end by themselves.
            actions.after(Drain.linkInterval) { [unowned self] in step() }
            return
        }
        actions.stop()
    }
}
