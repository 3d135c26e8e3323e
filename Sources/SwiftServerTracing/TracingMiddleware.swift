#if Tracing
public import SwiftServer
internal import Tracing

/// Makes a span of swift-distributed-tracing for each request, as a child of the one that the client names in its
/// header fields.
///
/// ```swift
/// InstrumentationSystem.bootstrap(tracer)
/// server.use(TracingMiddleware { $0.routePattern ?? "HTTP" })
/// server.get("/users/:id") { request, response in
///     let user = try await withSpan("load user") { _ in try await load(request) }
///     response.end(user)
/// }
/// ```
///
/// ``handler(_:)`` does so for a single handler.
///
/// The span has the kind `server` and ends when the handler has returned. `ServiceContext.current` is its context
/// meanwhile, so that spans and outgoing requests of the handler belong to it. Attributes, by the conventions of
/// OpenTelemetry: `http.request.method`, `url.path`, `url.scheme`, `network.protocol.version`, `client.address`,
/// `user_agent.original` and, when the response has begun, `http.response.status_code`. An error that the handler
/// throws is recorded, and so is a status from 500 as the span's status `error`.
public struct TracingMiddleware: Middleware {
    private let name: @Sendable (Request) -> String

    /// - Parameter name: the name of a request's span. It should have few different values, so it must not have
    ///   identifiers in it; default: the method.
    public init(name: @escaping @Sendable (Request) -> String = { TracingMiddleware.method(of: $0) ?? "HTTP" }) {
        self.name = name
    }

    /// Calls what the middleware surrounds, within a span.
    @MainActor public func handle(_ request: Request, _ response: Response, next: Next) async throws {
        try await trace(request, response) { try await next(request, response) }
    }

    /// The handler, within a span.
    public func handler(
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) -> @MainActor (Request, Response) async throws -> Void {
        { request, response in
            try await trace(request, response) { try await handler(request, response) }
        }
    }

    /// Runs `body` within the span of a request.
    @MainActor func trace(_ request: Request, _ response: Response, _ body: () async throws -> Void) async throws {
        var context = ServiceContext.current ?? .topLevel
        InstrumentationSystem.instrument.extract(request.header, into: &context, using: FieldExtractor())
        try await withSpan(name(request), context: context, ofKind: .server) { span in
            span.updateAttributes { TracingMiddleware.describe(request, in: &$0) }
            do {
                try await body()
                if let status = response.sentStatus { TracingMiddleware.set(status, on: span) }
            } catch {
                // What the server answers for the handler.
                TracingMiddleware.set(response.sentStatus ?? (error as? any RequestError)?.status ?? 500, on: span)
                throw error
            }
        }
    }

    private static func describe(_ request: Request, in attributes: inout SpanAttributes) {
        attributes["http.request.method"] = method(of: request) ?? "_OTHER"
        attributes["url.path"] = request.path
        attributes["url.scheme"] = request.scheme
        attributes["network.protocol.version"] = "\(request.httpVersion)"
        attributes["client.address"] = request.clientAddress
        attributes["user_agent.original"] = request.header["user-agent"]
    }

    private static func set(_ status: Int, on span: any Span) {
        span.updateAttributes { $0["http.response.status_code"] = status }
        if status >= 500 { span.setStatus(SpanStatus(code: .error)) }
    }

    /// The method of a request if it is a known one: a client could send any number of others.
    public static func method(of request: Request) -> String? {
        let method = request.method
        return methods.contains(method) ? method : nil
    }

    private static let methods: Set = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    ]
}

/// Finds the values of a tracer, such as `traceparent`, in header fields.
private struct FieldExtractor: Extractor {
    func extract(key: String, from fields: Request.Fields) -> String? {
        let values = fields.all(key)
        return values.isEmpty ? nil : values.joined(separator: ",")
    }
}
#endif
