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

    static func request(
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) -> RequestHandler {
        let function = HandlerRunners.AsyncHandler(handler)
        return RequestHandler { worker, request in
            guard worker.lanes.admits(request.fd) else { return queue(request, worker, handler) }
            run(function, request, worker)
        }
    }

    static func request(_ chain: Next) -> RequestHandler {
        guard let (middleware, rest) = chain.split else { return request { try await chain($0, $1) } }
        let function = HandlerRunners.AsyncHandler(middleware, rest)
        return RequestHandler { worker, request in
            guard worker.lanes.admits(request.fd) else {
                return queue(request, worker) { try await middleware.function($0, $1, rest) }
            }
            run(function, request, worker)
        }
    }

    /// Runs a handler, or gives the request to the task that asks for it.
    @inline(__always) @MainActor private static func run(
        _ function: HandlerRunners.AsyncHandler, _ request: consuming Request, _ worker: WorkerContext
    ) {
        let response = Response.take(for: request, worker: worker)
        if let runner = worker.askers.take(.closure) {
            runner.give(function, consume request, consume response)
        } else {
            worker.lanes.runRequest(function, consume request, consume response)
        }
    }

    /// Has the tasks of asynchronous handlers serve requests.
    static func serve(_ worker: WorkerContext) {
        let runners = worker.lanes.runners
        runners.whenServed =
            PlainHandlers.Served { object, runner, error in
                let response = unsafe unsafeDowncast(consume object, to: Response.self)
                if let error, let request = runner.request { failed(request, response, response.worker, error) }
                let hasEnded = response.hasEnded
                Response.leave(consume response)
                return hasEnded
            }.plain
        let worker = Uncounted(worker)  // which has the runners
        runners.nextToServe = { fd, runner in worker.with { $0.askForRequest(after: fd, .closure, runner) } }
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

extension HandlerRunners.AsyncHandler {
    private struct TypedMiddleware {
        let call: @MainActor (Request, Response, Next) async throws -> Void
    }

    /// A function of middleware, with what is behind it.
    fileprivate convenience init(_ middleware: MiddlewareFunction, _ rest: Next) {
        let plain = unsafe unsafeBitCast(TypedMiddleware(call: middleware.function), to: PlainMiddleware.self)
        self.init(plain, rest, as: unsafe unsafeBitCast(rest, to: UInt.self))
    }
}
