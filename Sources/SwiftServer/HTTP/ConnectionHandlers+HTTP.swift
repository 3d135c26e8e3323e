/// Handlers of requests.
extension ConnectionHandlers {
    static func request(
        _ handler: @escaping @MainActor (Request, Response) throws -> Void
    ) -> RequestHandler {
        RequestHandler { worker, request in
            guard !worker.isBusy(request.fd) else { return queue(request, worker, handler) }
            let response = Response.take(for: request, worker: worker)
            do { try handler(request, response) } catch { failed(request, response, worker, error) }
            Response.leave(consume response)
        }
    }

    // Asynchronous handlers are called directly by the closure that their task runs, which does nothing else unless
    // further requests are there: each further asynchronous function, and whatever comes before or after the call,
    // costs a change of actors.

    static func request(
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) -> RequestHandler {
        let plain = RequestBatch.Plain(handler)
        return RequestHandler { worker, request in
            guard worker.lanes.admits(request.fd) else { return queue(request, worker, handler) }
            let response = Response.take(for: request, worker: worker)
            if let batch = RequestBatch.asking(worker) {
                return batch.give(request, response, .plain(Uncounted(plain)))
            }
            run(request, response, worker, handler)
            Response.leave(consume response)
        }
    }

    static func request(_ chain: Next) -> RequestHandler {
        guard let (middleware, rest) = chain.split else { return request { try await chain($0, $1) } }
        let function = middleware.function
        let around = RequestBatch.Around(function, rest)
        return RequestHandler { worker, request in
            guard worker.lanes.admits(request.fd) else {
                return queue(request, worker) { try await function($0, $1, rest) }
            }
            let response = Response.take(for: request, worker: worker)
            if let batch = RequestBatch.asking(worker) {
                return batch.give(request, response, .middleware(Uncounted(around)))
            }
            run(request, response, worker, function, rest)
            Response.leave(consume response)
        }
    }

    // The task has released the response when these return, unless the handler is suspended.

    @inline(__always) @MainActor private static func run(
        _ request: Request, _ response: Response, _ worker: WorkerContext,
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) {
        let outcome =
            if worker.link.mayServeRequest(request.fd) {
                worker.lanes.runRequest(request.fd) {
                    try await handler(request, response)
                    await RequestBatch.serve(after: response, worker)
                }
            } else {
                worker.lanes.runRequest(request.fd) { try await handler(request, response) }
            }
        finish(outcome, request, response, worker)
    }

    @inline(__always) @MainActor private static func run(
        _ request: Request, _ response: Response, _ worker: WorkerContext,
        _ function: @escaping @MainActor (Request, Response, Next) async throws -> Void, _ rest: Next
    ) {
        let outcome =
            if worker.link.mayServeRequest(request.fd) {
                worker.lanes.runRequest(request.fd) {
                    try await function(request, response, rest)
                    await RequestBatch.serve(after: response, worker)
                }
            } else {
                worker.lanes.runRequest(request.fd) { try await function(request, response, rest) }
            }
        finish(outcome, request, response, worker)
    }

    @inline(__always) private static func finish(
        _ outcome: HandlerRunners.Outcome, _ request: Request, _ response: Response, _ worker: WorkerContext
    ) {
        if case .ended = outcome { return }
        finishLater(outcome, request, response, worker)
    }

    @inline(never) private static func finishLater(
        _ outcome: HandlerRunners.Outcome, _ request: Request, _ response: Response, _ worker: WorkerContext
    ) {
        switch outcome {
        case .ended: break
        case .failed(let error): failed(request, response, worker, error)
        case .suspended(let runner): runner.whenLateFailed = { failed(request, response, worker, $0) }
        }
    }

    /// A request behind others of its connection.
    @inline(never) private static func queue(
        _ request: Request, _ worker: WorkerContext,
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) {
        worker.lanes.run(request.fd, .request) {
            let response = Response.take(for: request, worker: worker)
            do { try await handler(request, response) } catch { failed(request, response, worker, error) }
        }
    }

    /// The handler has thrown an error: the client gets status 500, or what a ``RequestError`` says, or the end of the
    /// connection when the response has begun.
    @inline(never) static func failed(
        _ request: Request, _ response: Response, _ worker: WorkerContext, _ error: any Error
    ) {
        log(request, worker, error)
        MainActor.assumeIsolated { response.conclude(error) }
    }

    private static func log(_ request: Request, _ worker: WorkerContext, _ error: any Error) {
        guard let pattern = request.routePattern else { return worker.handlerFailed(.request, request.fd, error) }
        guard !worker.hasClosed, !(error is any RequestError), error as? ResponseError != .closed else { return }
        HandlerFailures.log(
            worker.name, "the handler of \(request.method) \(pattern) on connection \(request.fd)", error)
    }
}
