import SwiftServerTesting
import SwiftServerTracing
import Synchronization
import Testing
import Tracing

private enum TraceKey: ServiceContextKey {
    typealias Value = String
}

extension ServiceContext {
    fileprivate var trace: String? {
        get { self[TraceKey.self] }
        set { self[TraceKey.self] = newValue }
    }
}

private final class MemorySpan: Span {
    struct State {
        var name: String
        var attributes = SpanAttributes()
        var status: SpanStatus?
        var errors: [String] = []
        var isEnded = false
    }

    let context: ServiceContext
    let kind: SpanKind
    private let shared: Mutex<State>

    init(_ name: String, _ context: ServiceContext, _ kind: SpanKind) {
        self.context = context
        self.kind = kind
        shared = Mutex(State(name: name))
    }

    var state: State { shared.withLock { $0 } }
    var isRecording: Bool { !state.isEnded }
    var operationName: String {
        get { state.name }
        set { shared.withLock { $0.name = newValue } }
    }
    var attributes: SpanAttributes {
        get { state.attributes }
        set { shared.withLock { $0.attributes = newValue } }
    }

    func setStatus(_ status: SpanStatus) { shared.withLock { $0.status = status } }
    func addEvent(_ event: SpanEvent) {}
    func addLink(_ link: SpanLink) {}
    func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) { shared.withLock { $0.errors.append("\(error)") } }
    func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) { shared.withLock { $0.isEnded = true } }
}

private struct MemoryTracer: Tracer {
    let spans = Recorder<MemorySpan>()

    func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> MemorySpan {
        let span = MemorySpan(operationName, context(), kind)
        spans.add(span)
        return span
    }

    func forceFlush() {}

    func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        context.trace = extractor.extract(key: "traceparent", from: carrier)
    }

    func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {}

    static let shared = {
        let tracer = MemoryTracer()
        InstrumentationSystem.bootstrap(tracer)
        return tracer
    }()
}

extension BridgeTests {
    @Suite struct TracingTests {
        private struct Failure: Error {}
        private struct BadInput: RequestError {
            var message: String { "bad input" }
        }

        /// The spans that a request makes.
        private func spans(
            of method: String = "GET", _ target: String, fields: [(name: String, value: String)] = [],
            middleware: TracingMiddleware = TracingMiddleware(),
            _ handler: @escaping @MainActor (Request, Response) async throws -> Void
        ) async throws -> [MemorySpan] {
            let before = MemoryTracer.shared.spans.values.count
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onRequest(middleware.handler(handler))
            try await withServer(server) { client in
                _ = try await client.request(method, target, fields: fields)
            }
            return Array(MemoryTracer.shared.spans.values.dropFirst(before))
        }

        @Test func aRequestIsASpanBelowTheClients() async throws {
            let made = try await spans(
                of: "POST", "/rooms/1?secret=2", fields: [("Traceparent", "00-abc-def-01"), ("User-Agent", "test/1")]
            ) { _, response in
                #expect(ServiceContext.current?.trace == "00-abc-def-01")
                await withSpan("inner") { _ in await Task.yield() }
                response.status(201)
                response.end("made")
            }
            try #require(made.count == 2)
            let (outer, inner) = (made[0], made[1])
            #expect(outer.kind == .server && outer.operationName == "POST" && outer.context.trace == "00-abc-def-01")
            #expect(inner.operationName == "inner" && inner.context.trace == "00-abc-def-01")
            #expect(outer.attributes.get("http.request.method") == .string("POST"))
            #expect(outer.attributes.get("url.path") == .string("/rooms/1"))
            #expect(outer.attributes.get("url.scheme") == .string("http"))
            #expect(outer.attributes.get("network.protocol.version") == .string("1.1"))
            #expect(outer.attributes.get("client.address") == .string("127.0.0.1"))
            #expect(outer.attributes.get("user_agent.original") == .string("test/1"))
            #expect(outer.attributes.get("http.response.status_code") == .int64(201))
            #expect(outer.state.status == nil && outer.state.errors == [] && outer.state.isEnded)
        }

        @Test func errorsAreRecorded() async throws {
            let failed = try await spans("/") { _, _ in throw Failure() }
            #expect(failed.first?.state.errors == ["Failure()"])
            #expect(failed.first?.state.status == SpanStatus(code: .error))
            #expect(failed.first?.attributes.get("http.response.status_code") == .int64(500))

            let refused = try await spans("/") { _, _ in throw BadInput() }
            #expect(refused.first?.attributes.get("http.response.status_code") == .int64(400))

            let answered = try await spans("/") { _, response in
                response.status(503)
                response.end()
            }
            #expect(answered.first?.state.status == SpanStatus(code: .error))
            #expect(answered.first?.state.errors == [])
        }

        @Test func namesHaveFewValues() async throws {
            let unknown = try await spans(of: "BREW", "/") { _, response in response.end() }
            #expect(unknown.first?.operationName == "HTTP")
            #expect(unknown.first?.attributes.get("http.request.method") == .string("_OTHER"))
            let named = try await spans("/", middleware: TracingMiddleware { "page \($0.path)" }) { _, response in
                response.end()
            }
            #expect(named.first?.operationName == "page /")
        }

        @Test func asMiddlewareItSurroundsAllRoutes() async throws {
            let before = MemoryTracer.shared.spans.values.count
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.use(TracingMiddleware { $0.routePattern ?? "none" })
            server.get("/users/:id") { request, response in response.end("user") }
            try await withServer(server) { client in
                _ = try await client.request("GET", "/users/7")
                _ = try await client.request("GET", "/missing")
            }
            let made = MemoryTracer.shared.spans.values.dropFirst(before)
            #expect(made.map(\.operationName) == ["/users/:id", "none"])
            #expect(made.first?.attributes.get("http.response.status_code") == .int64(200))
            #expect(made.last?.attributes.get("http.response.status_code") == .int64(404))
        }
    }
}
