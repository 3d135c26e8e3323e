/// Limits the time until a response begins, and cancels the handler's task when it has passed:
/// `server.group("/search", use: [TimeLimit(.seconds(2))])`.
///
/// The client then gets the status, and a line is logged. The task of the handler is cancelled, so that most calls that
/// it awaits throw a `CancellationError` at once. A handler that ignores the cancellation continues, and
/// what it sends has no effect; one that blocks its worker cannot be late (``Settings/stuckAfter``).
///
/// For these requests it replaces ``Settings/requestTimeout``, which cancels nothing. Of several limits around each
/// other the innermost counts. ``Response/limit(to:)`` changes the time for one request. A response that has begun is
/// not limited.
public struct TimeLimit: Middleware, ConfiguredMiddleware {
    /// The time until the response begins.
    public let limit: Duration
    /// The status of a late response.
    public let status: Status

    /// The status that a client gets when the limit has passed.
    public enum Status: Int, Sendable, Hashable {
        /// 503: the server is overloaded.
        case serviceUnavailable = 503
        /// 504: a server that the handler depends on has not responded in time.
        case gatewayTimeout = 504
    }

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - limit: the time until the response begins, 1 ms to 1 day.
    ///   - status: the status of a late response.
    public init(_ limit: Duration, status: Status = .serviceUnavailable) {
        self.limit = limit
        self.status = status
    }

    var problem: String? {
        guard limit < .milliseconds(1) || limit > .seconds(86_400) else { return nil }
        return "cannot use TimeLimit: limit must be 1 ms to 1 day, got \(limit)"
    }

    /// The task of the rest of the chain.
    @MainActor private final class Work {
        var task: Task<Void, any Error>?
        var isLate = false

        func cancel() {
            isLate = true
            task?.cancel()
        }
    }

    /// Runs the rest of the chain in a task that the limit cancels.
    public func handle(_ request: Request, _ response: Response, next: Next) async throws {
        let work = Work()
        response.limit(to: limit, status: status.rawValue) { work.cancel() }
        let task = Task.immediate(executorPreference: response.worker.loop.executor) { @MainActor in
            try await next(request, response)
        }
        work.task = task
        if work.isLate { task.cancel() }
        do {
            try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
        } catch {
            // A handler that was cancelled is expected to end like this.
            guard work.isLate, error is CancellationError || error as? ResponseError == .ended else { throw error }
        }
    }
}
