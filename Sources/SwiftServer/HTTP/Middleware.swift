/// Code around the handlers of requests: it may look at the request, answer it in place of the handler, add fields to
/// the response, and handle what the handler throws.
///
/// ```swift
/// struct ServerName: Middleware {
///     func handle(_ request: Request, _ response: Response, next: Next) async throws {
///         response.header("Server", "shop")
///         try await next(request, response)
///     }
/// }
///
/// server.use(ServerName())
/// ```
///
/// Middleware runs in the order in which it was added: that of the server first, then that of each group from the
/// outermost to the innermost, then the handler. A group's middleware surrounds all routes of the group, also those
/// that are added before it.
///
/// What a handler throws passes through the middleware around it, which may catch it; an error that nothing catches is
/// handled as one of `onRequest`. Middleware that answers, or does not call `next`, ends the chain: neither further
/// middleware nor the handler is called.
public protocol Middleware: Sendable {
    /// Called with each request in place of the handler.
    ///
    /// - Parameters:
    ///   - request: the request, with the ``Request/parameters`` of its route.
    ///   - response: its response, which the handler gets, too.
    ///   - next: the remaining middleware and the handler.
    @MainActor func handle(_ request: Request, _ response: Response, next: Next) async throws
}

/// The rest of a chain of middleware, with the handler at its end: `try await next(request, response)`.
public struct Next: Sendable {
    private let body: @MainActor (Request, Response) async throws -> Void

    /// The end of a chain.
    init(_ handler: @escaping @MainActor (Request, Response) async throws -> Void) { body = handler }

    /// A chain of middleware around a handler; the first one is the outermost.
    init(
        _ middleware: some BidirectionalCollection<any Middleware>,
        around handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) {
        self = middleware.reversed().reduce(Next(handler)) { next, middleware in
            Next { try await middleware.handle($0, $1, next: next) }
        }
    }

    /// Calls the remaining middleware and the handler, and returns when they have returned: for a WebSocket when its
    /// handshake is answered. Does nothing when the response has begun.
    @MainActor public func callAsFunction(_ request: Request, _ response: Response) async throws {
        if !response.isBegun { try await body(request, response) }
    }
}

/// Middleware that is a function.
struct MiddlewareFunction: Middleware {
    let function: @MainActor (Request, Response, Next) async throws -> Void

    @MainActor func handle(_ request: Request, _ response: Response, next: Next) async throws {
        try await function(request, response, next)
    }
}
