/// The tasks that ask for a further request of the same input, each for its own kind of handlers. While one asks, a new
/// task of the other kind may run, and ask, too.
struct RequestAskers {
    enum Kind {
        /// Tasks of asynchronous closures.
        case closure
        /// Tasks of straight-line handlers.
        case straightLine
    }

    typealias Runner = HandlerRunners.Runner

    // Not counted: a task runs while it asks.
    private var closure: Uncounted<Runner>?
    private var straightLine: Uncounted<Runner>?
    /// Whether one of them was given a request that it has not taken yet.
    fileprivate var hasGiven = false

    fileprivate subscript(kind: Kind) -> Uncounted<Runner>? {
        @inline(__always) get { kind == .closure ? closure : straightLine }
        @inline(__always) set { if kind == .closure { closure = newValue } else { straightLine = newValue } }
    }

    /// The task that gets the request that has arrived, if one of that kind asks. Nobody asks for the requests behind
    /// it before that task has taken it.
    @inline(__always) mutating func take(_ kind: Kind) -> Uncounted<Runner>? {
        guard !hasGiven, let runner = self[kind] else { return nil }
        hasGiven = true
        return runner
    }
}

extension WorkerContext {
    /// Has the requests behind that of the connection received, until one of them is given to a task that asks. Those
    /// with other handlers have arrived when this returns. If the task of such a handler is still to be resumed, which
    /// cannot happen inside of the calling one, no more are received: handlers begin in the order of their requests.
    @inline(__always) func askForRequest(
        after fd: ConnectionID, _ kind: RequestAskers.Kind, _ runner: HandlerRunners.Runner
    ) {
        if isHere, !askers.hasGiven, link.mayServeRequest(fd) { ask(after: fd, kind, runner) }
    }

    private func ask(after fd: ConnectionID, _ kind: RequestAskers.Kind, _ runner: HandlerRunners.Runner) {
        let outer = askers[kind]
        askers[kind] = Uncounted(runner)
        var last = fd
        while let next = link.serveRequest(last), !askers.hasGiven, !loop.executor.hasQueuedJobs { last = next }
        askers[kind] = outer
        if runner.isGiven { askers.hasGiven = false }
    }
}
