/// Tasks: blocking work, handed to task workers (``Settings/taskWorkerCount``).
///
/// A task worker runs one task at a time. A task goes to an idle task worker, or is queued for the one with the
/// shortest queue. Posting never blocks: it reports full queues.
extension Server {
    /// Posts a task and returns at once. Results of `onTask` are delivered to this worker's `onFinish`; when it throws,
    /// or its process dies, `onTaskError` is called.
    ///
    /// From workers and custom processes. The master, the manager and task workers may post, too, but get no results.
    ///
    /// - Parameters:
    ///   - data: at most ``Settings/maxTask`` bytes.
    ///   - index: the task worker, counted from 0; `nil`: the one with the shortest queue.
    @MainActor @discardableResult
    public func task(_ data: [UInt8], on index: Int? = nil) -> TaskPosting {
        guard let runtime = open else {
            return context?.client?.post(data, on: index, limit: settings.maxTask) ?? .refused
        }
        if runtime.role == .taskWorker { return runtime.poster.postOneWay(data, on: index) }
        return runtime.poster.post(data, on: index)
    }

    /// Posts text as a task.
    @MainActor @discardableResult
    public func task(_ text: String, on index: Int? = nil) -> TaskPosting { task([UInt8](text.utf8), on: index) }

    /// Posts a task whose first result, or failure, is delivered to `handler` instead of `onFinish`. The handler gets
    /// `nil` when the task has ended without a result. It is called exactly once, at the latest after `timeout`, unless
    /// this worker ends before.
    @MainActor @discardableResult
    public func task(
        _ data: [UInt8], on index: Int? = nil, timeout: Duration? = nil,
        then handler: @escaping @MainActor (Result<[UInt8]?, TaskError>) -> Void
    ) -> TaskPosting {
        guard let runtime = open, runtime.role != .taskWorker else {
            handler(.failure(.refused))
            return .refused
        }
        return runtime.poster.post(data, on: index, timeout: timeout, deliver: MainLoop.direct(handler))
    }

    /// Posts a task and suspends until its first result has arrived: `nil` when it has ended without one.
    @MainActor public func task(
        _ data: [UInt8], on index: Int? = nil, timeout: Duration
    ) async throws(TaskError) -> [UInt8]? {
        try await outcome(data, on: index, timeout).get()
    }

    /// Posts text as a task and suspends until its first result has arrived, as text.
    @MainActor public func task(
        _ text: String, on index: Int? = nil, timeout: Duration
    ) async throws(TaskError) -> String? {
        try await outcome([UInt8](text.utf8), on: index, timeout).get().map { String(decoding: $0, as: UTF8.self) }
    }

    /// Posts several tasks at once and suspends until each has a result or has failed, or `timeout` has passed. The
    /// results are in the order of the tasks.
    @MainActor public func tasks(
        _ list: [[UInt8]], timeout: Duration
    ) async -> [Result<[UInt8]?, TaskError>] {
        guard let runtime = open, runtime.role != .taskWorker, !list.isEmpty else {
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
        guard let runtime = open, runtime.role != .taskWorker else { return .failure(.refused) }
        return unsafe await withUnsafeContinuation { continuation in
            runtime.poster.post(data, on: index, timeout: timeout) { unsafe continuation.resume(returning: $0) }
        }
    }

    /// This process, if it can post and send. A successor that does so in its `onWorkerStart` takes over before.
    @MainActor private var open: WorkerRuntime? {
        guard let runtime else { return nil }
        if let takeOver = runtime.takeOver { takeOver() }
        return runtime.context.isOpen ? runtime : nil
    }

    // MARK: Messages

    /// Sends a message to another process of the server, which receives it by `onPipeMessage`. Messages between two
    /// processes keep their order; when the receiver dies, the messages it has not read are delivered to its successor.
    ///
    /// From every process. A sender that is faster than the receiver gets ``PushResult/full``.
    ///
    /// - Parameters:
    ///   - bytes: at most ``Settings/maxTask``.
    ///   - workerID: the number of a worker, task worker or custom process; not this process itself.
    @MainActor @discardableResult
    public func sendMessage(_ bytes: [UInt8], to workerID: Int) -> PushResult {
        guard bytes.count <= settings.maxTask else { return .invalid }
        if runtime != nil { return open?.link.send(message: bytes, to: workerID) ?? .closed }
        return context?.client?.send(message: bytes, to: workerID) ?? .closed
    }

    /// Sends a text message to another process of the server.
    @MainActor @discardableResult
    public func sendMessage(_ text: String, to workerID: Int) -> PushResult {
        sendMessage([UInt8](text.utf8), to: workerID)
    }
}
