/// Serves requests that were received together in one task: the task of an asynchronous handler asks for the next
/// request of the same input when the handler has answered, in place of being suspended, and resumed for that request.
/// These are pipelined requests, and those of the streams of one connection of HTTP/2.
///
/// The request arrives as the event that it is, with the routes, limits and middleware of any other one, while its task
/// asks for it. If its handler is asynchronous, the task calls that; a synchronous one has answered meanwhile. Each
/// request is taken when the one before it was answered.
@safe final class RequestBatch: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.

    /// The function of a handler, as the handlers of a port keep it: a task that calls it counts no reference for that.
    final class Plain: Sendable {
        struct Function: Sendable { let call: @MainActor (Request, Response) async throws -> Void }

        let function: Function

        init(_ call: @escaping @MainActor (Request, Response) async throws -> Void) { function = Function(call: call) }
    }

    /// Middleware, likewise, with what is behind it.
    final class Around: Sendable {
        struct Function: Sendable { let call: @MainActor (Request, Response, Next) async throws -> Void }

        let function: Function
        let rest: Next

        init(_ call: @escaping @MainActor (Request, Response, Next) async throws -> Void, _ rest: Next) {
            function = Function(call: call)
            self.rest = rest
        }
    }

    enum Handler {
        case plain(Uncounted<Plain>)
        case middleware(Uncounted<Around>)
    }

    @safe @exclusivity(unchecked) private var request: Request?
    @safe @exclusivity(unchecked) private var response: Response?
    @safe @exclusivity(unchecked) private var handler: Handler?

    /// The one of a worker.
    @inline(__always) static func of(_ worker: WorkerContext) -> RequestBatch {
        if let batch = worker.batch { return unsafe unsafeDowncast(batch, to: RequestBatch.self) }
        let batch = RequestBatch()
        worker.batch = batch
        return batch
    }

    /// The batch of a worker if a task asks for the request that has arrived, which is given to it then.
    @inline(__always) static func asking(_ worker: WorkerContext) -> RequestBatch? {
        worker.givesRequest(to: .closure) ? RequestBatch.of(worker) : nil
    }

    /// Gives a request to the task that asks for it.
    func give(_ request: consuming Request, _ response: consuming Response, _ handler: consuming Handler) {
        self.request = request
        self.response = response
        self.handler = handler
    }

    /// Has the request behind that of the connection received. Returns whether the calling task serves it.
    private func receive(_ fd: ConnectionID, _ worker: WorkerContext) -> Bool {
        worker.askForRequest(after: fd, .closure)
        guard handler != nil else { return false }
        worker.takeRequest()
        return true
    }

    /// Serves the requests that follow one that was answered, as long as each of them is answered by its handler.
    @MainActor static func serve(after response: Response, _ worker: WorkerContext) async {
        var last = response.request.connection
        guard response.hasEnded, worker.isHere else { return }
        let batch = RequestBatch.of(worker)
        let task = CurrentTask()
        while !task.isCancelled, batch.receive(last, worker), let request = batch.request.take(),
            let response = batch.response.take(), let handler = batch.handler.take()
        {
            do {
                switch handler {
                case .plain(let handler): try await handler.with { $0.function }.call(request, response)
                case .middleware(let handler):
                    try await handler.with { $0.function }.call(request, response, handler.with { $0.rest })
                }
            } catch { ConnectionHandlers.failed(request, response, worker, error) }
            guard response.hasEnded, worker.isHere else { return }
            last = response.request.connection
            Response.leave(consume response)
        }
    }
}
