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
    /// A part of the chain. Those that do not wait are called without a frame of their own: each frame of an
    /// asynchronous function looks up its executor when it is entered, and when one that it has called returns.
    private indirect enum Step: Sendable {
        case handler(RequestFunction)
        case prepared(any SynchronousMiddleware, then: Step)
        case function(MiddlewareFunction, then: Step)
        case middleware(any Middleware, then: Step)
    }

    private let first: Step

    private init(_ first: Step) { self.first = first }

    /// A chain of middleware around a handler; the first one is the outermost.
    init(_ middleware: some BidirectionalCollection<any Middleware>, around handler: RequestFunction) {
        first = middleware.reversed().reduce(.handler(handler)) { rest, middleware in
            switch middleware {
            case let middleware as any SynchronousMiddleware: .prepared(middleware, then: rest)
            case let function as MiddlewareFunction: .function(function, then: rest)
            default: .middleware(middleware, then: rest)
            }
        }
    }

    /// The first part of the chain and the rest, if the first one is a function that may wait: it can be called without
    /// a frame of the chain.
    var split: (first: MiddlewareFunction, rest: Next)? {
        guard case .function(let function, let rest) = first else { return nil }
        return (function, Next(rest))
    }

    /// Calls the remaining middleware and the handler, and returns when they have returned: for a WebSocket when its
    /// handshake is answered. Does nothing when the response has begun.
    ///
    /// It is compiled into its caller, where a rest that does not wait costs neither an asynchronous call nor a look at
    /// the actor that runs.
    @inlinable public func callAsFunction(_ request: Request, _ response: Response) async throws {
        if try !callAtOnce(request, response) { try await call(request, response) }
    }

    /// Calls the remaining middleware and the handler if none of them may wait, and this is the loop's thread, on which
    /// they run. Otherwise it returns false and has called nothing.
    @usableFromInline func callAtOnce(_ request: Request, _ response: Response) throws -> Bool {
        guard response.worker.isHere, case .synchronous(let function) = handlerAtOnce else { return false }
        #if DEBUG
        MainActor.assertIsolated()
        #endif
        return try Next.plain.call(self, request, response, function)
    }

    private typealias Handler = @MainActor (Request, Response) throws -> Void
    private struct Isolated { let call: @MainActor (Next, Request, Response, Handler) throws -> Bool }
    private struct Plain: @unchecked Sendable { let call: (Next, Request, Response, Handler) throws -> Bool }
    /// ``callHere(_:_:_:)`` as a plain function; see ``RequestHandler``.
    private static let plain = unsafe unsafeBitCast(
        Isolated { try $0.callHere($1, $2, $3) }, to: Plain.self)

    @MainActor private func callHere(_ request: Request, _ response: Response, _ handler: Handler) throws -> Bool {
        if response.isBegun { return true }
        if case .prepared = first { try prepare(request, response, handler) } else { try handler(request, response) }
        return true
    }

    /// Only what prepares a request needs a copy of it.
    @inline(never) @MainActor private func prepare(
        _ request: Request, _ response: Response, _ handler: Handler
    ) throws {
        var (request, step) = (request, first)
        while case .prepared(let middleware, let rest) = step {
            try middleware.prepare(&request, response)
            if response.isBegun { return }
            step = rest
        }
        try handler(request, response)
    }

    /// The handler, if nothing around it may wait.
    private var handlerAtOnce: RequestFunction? {
        var step = first
        while case .prepared(_, let rest) = step { step = rest }
        guard case .handler(let function) = step else { return nil }
        return function
    }

    @usableFromInline @MainActor func call(_ request: Request, _ response: Response) async throws {
        var (request, step) = (request, first)
        if response.isBegun { return }
        while case .prepared(let middleware, let rest) = step {
            try middleware.prepare(&request, response)
            if response.isBegun { return }
            step = rest
        }
        switch step {
        case .handler(.synchronous(let function)): try function(request, response)
        case .handler(.asynchronous(let function)): try await function(request, response)
        case .handler(.chain(let chain)): try await chain(request, response)
        case .function(let middleware, let rest): try await middleware.function(request, response, Next(rest))
        case .middleware(let middleware, let rest):
            try await middleware.handle(request, response, next: Next(rest))
        case .prepared: break
        }
    }
}

/// Middleware that is a function.
struct MiddlewareFunction: Middleware {
    let function: @MainActor (Request, Response, Next) async throws -> Void

    @MainActor func handle(_ request: Request, _ response: Response, next: Next) async throws {
        try await function(request, response, next)
    }
}
