/// Middleware that acts before the handler and does not wait for anything.
///
/// ```swift
/// struct ServerName: SynchronousMiddleware {
///     func prepare(_ request: inout Request, _ response: Response) {
///         response.header("Server", "shop")
///     }
/// }
/// ```
///
/// It needs no task: a synchronous handler that is surrounded by such middleware only is called directly, as without
/// middleware. Code that runs when the response has ended is registered with ``Response/onEnd(_:)``. Middleware that
/// catches errors of the handler, or waits, is a ``Middleware``.
public protocol SynchronousMiddleware: Middleware {
    /// Called with each request before the remaining middleware and the handler, which are not called when it has
    /// begun the response or throws an error.
    ///
    /// - Parameters:
    ///   - request: the request as the handler gets it.
    ///   - response: its response.
    @MainActor func prepare(_ request: inout Request, _ response: Response) throws
}

extension SynchronousMiddleware {
    /// Prepares the request and calls the rest of the chain.
    @MainActor public func handle(_ request: Request, _ response: Response, next: Next) async throws {
        var request = request
        try prepare(&request, response)
        try await next(request, response)
    }
}

/// Synchronous middleware that is a function.
struct SynchronousMiddlewareFunction: SynchronousMiddleware {
    let function: @MainActor (Request, Response) throws -> Void

    @MainActor func prepare(_ request: inout Request, _ response: Response) throws { try function(request, response) }
}

extension RequestFunction {
    /// The handler with middleware around it, the outermost first. It stays synchronous when all of its parts are.
    func surrounded(by middleware: [any Middleware]) -> RequestFunction {
        if middleware.isEmpty { return self }
        let steps = middleware.compactMap { $0 as? any SynchronousMiddleware }
        guard steps.count == middleware.count, case .synchronous(let function) = self else {
            return .chain(Next(middleware, around: self))
        }
        return .synchronous { request, response in
            var request = request
            for step in steps {
                try step.prepare(&request, response)
                if response.isBegun { return }
            }
            try function(request, response)
        }
    }
}
