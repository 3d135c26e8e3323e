/// The kinds of tasks that may ask for a further request of the same input, each for its own kind of handlers. While
/// one asks, a new task of the other kind may run, and ask, too.
struct RequestAskers: OptionSet {
    let rawValue: UInt8

    /// Tasks of asynchronous closures.
    static let closure = RequestAskers(rawValue: 1)
    /// Tasks of straight-line handlers.
    static let straightLine = RequestAskers(rawValue: 2)
}

extension WorkerContext {
    /// Whether a request that has arrived is for a task that asks. It is kept for that task, which calls
    /// ``takeRequest()``. Nobody asks for the requests behind it before.
    @inline(__always) func givesRequest(to kind: RequestAskers) -> Bool {
        guard askers.contains(kind), !hasGivenRequest else { return false }
        hasGivenRequest = true
        return true
    }

    /// The task has taken the request that it was given.
    @inline(__always) func takeRequest() { hasGivenRequest = false }

    /// Has the requests behind that of the connection received, until one of them is given to a task that asks. Those
    /// with other handlers have arrived when this returns. If the task of such a handler is still to be resumed, which
    /// cannot happen inside of the calling one, no more are received: handlers begin in the order of their requests.
    @inline(__always) func askForRequest(after fd: ConnectionID, _ kind: RequestAskers) {
        guard !hasGivenRequest else { return }
        let outer = askers
        askers.insert(kind)
        var last = fd
        while let next = link.serveRequest(last), !hasGivenRequest, !loop.executor.hasQueuedJobs { last = next }
        askers = outer
    }
}
