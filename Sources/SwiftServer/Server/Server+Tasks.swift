/// Tasks: work that blocks, handed to processes that are there for it (``Settings/taskWorkerCount``).
///
/// A task worker does one task at a time. A task goes to one that is idle, and when none is, to the one with the least
/// to do, where it waits. Posting never blocks: when too much waits it says so.
extension Server {
    /// Posts a task and returns at once. What `onTask` answers comes to this worker's `onFinish`; when it throws, or
    /// its process dies, `onTaskError` hears of it.
    ///
    /// From workers and the user's processes. The master, the manager and task workers may post, too, but hear nothing
    /// of it.
    ///
    /// - Parameters:
    ///   - data: at most ``Settings/maxTask`` bytes.
    ///   - index: the task worker, counted from 0; `nil`: the one with the least to do.
    @MainActor @discardableResult
    public func task(_ data: [UInt8], on index: Int? = nil) -> TaskPosting {
        guard let runtime else {
            return context?.client?.post(data, on: index, limit: settings.maxTask) ?? .refused
        }
        if runtime.role == .taskWorker { return runtime.poster.postOneWay(data, on: index) }
        return runtime.poster.post(data, on: index)
    }

    /// Posts text as a task.
    @MainActor @discardableResult
    public func task(_ text: String, on index: Int? = nil) -> TaskPosting { task([UInt8](text.utf8), on: index) }

    /// Posts a task whose first result, or failure, comes to `handler` instead of `onFinish`. It gets `nil` when the
    /// task was done without a result, and is called exactly once, at the latest after `timeout` if there is one; not,
    /// when this worker ends before that.
    @MainActor @discardableResult
    public func task(
        _ data: [UInt8], on index: Int? = nil, timeout: Duration? = nil,
        then handler: @escaping @MainActor (Result<[UInt8]?, TaskError>) -> Void
    ) -> TaskPosting {
        guard let runtime, runtime.role != .taskWorker else {
            handler(.failure(.refused))
            return .refused
        }
        return runtime.poster.post(data, on: index, timeout: timeout, deliver: MainLoop.direct(handler))
    }

    /// Posts a task and suspends until its first result is there: `nil` when it was done without one.
    @MainActor public func task(
        _ data: [UInt8], on index: Int? = nil, timeout: Duration
    ) async throws(TaskError) -> [UInt8]? {
        try await outcome(data, on: index, timeout).get()
    }

    /// Posts text as a task and suspends until its first result is there, as text.
    @MainActor public func task(
        _ text: String, on index: Int? = nil, timeout: Duration
    ) async throws(TaskError) -> String? {
        try await outcome([UInt8](text.utf8), on: index, timeout).get().map { String(decoding: $0, as: UTF8.self) }
    }

    /// Posts several tasks at once and suspends until each has a result, has failed, or `timeout` is over. The results
    /// are in the order of the tasks.
    @MainActor public func tasks(
        _ list: [[UInt8]], timeout: Duration
    ) async -> [Result<[UInt8]?, TaskError>] {
        guard let runtime, runtime.role != .taskWorker, !list.isEmpty else {
            return list.map { _ in .failure(.refused) }
        }
        var results = [Result<[UInt8]?, TaskError>](repeating: .failure(.timedOut), count: list.count)
        var missing = list.count
        return unsafe await withUnsafeContinuation { continuation in
            for (place, data) in list.enumerated() {
                runtime.poster.post(data, on: nil, timeout: timeout) { outcome in
                    results[place] = outcome
                    missing -= 1
                    if missing == 0 { unsafe continuation.resume(returning: results) }
                }
            }
        }
    }

    @MainActor private func outcome(
        _ data: [UInt8], on index: Int?, _ timeout: Duration
    ) async -> Result<[UInt8]?, TaskError> {
        guard let runtime, runtime.role != .taskWorker else { return .failure(.refused) }
        return unsafe await withUnsafeContinuation { continuation in
            runtime.poster.post(data, on: index, timeout: timeout) { unsafe continuation.resume(returning: $0) }
        }
    }

    // MARK: Messages

    /// Says something to another process of the server: its `onPipeMessage` gets it. Messages between two processes
    /// keep their order; when the receiver dies, those it has not taken wait for its successor.
    ///
    /// From every process. A worker that sends more than another one takes gets ``PushResult/full``.
    ///
    /// - Parameters:
    ///   - bytes: at most ``Settings/maxTask``.
    ///   - workerID: the number of a worker, task worker or user's process; not this process itself.
    @MainActor @discardableResult
    public func sendMessage(_ bytes: [UInt8], to workerID: Int) -> PushResult {
        guard bytes.count <= settings.maxTask else { return .invalid }
        if let worker { return worker.link.send(message: bytes, to: workerID) }
        return context?.client?.send(message: bytes, to: workerID) ?? .closed
    }

    /// Says text to another process of the server.
    @MainActor @discardableResult
    public func sendMessage(_ text: String, to workerID: Int) -> PushResult {
        sendMessage([UInt8](text.utf8), to: workerID)
    }
}
