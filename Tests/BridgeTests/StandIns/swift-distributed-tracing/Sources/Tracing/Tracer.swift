// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import Synchronization

public protocol Extractor: Sendable {
    associatedtype Carrier: Sendable
    func extract(key: String, from carrier: Carrier) -> String?
}

public protocol Injector: Sendable {
    associatedtype Carrier: Sendable
    func inject(_ value: String, forKey key: String, into carrier: inout Carrier)
}

public protocol Instrument: Sendable {
    func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier
    func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier
}

public protocol Tracer: Instrument {
    associatedtype Span: Tracing.Span
    func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> Span
    func forceFlush()
}

/// The tracer of the process.
public enum InstrumentationSystem {
    private static let current = Mutex<(any Tracer)?>(nil)

    public static func bootstrap(_ tracer: any Tracer) { current.withLock { $0 = tracer } }

    public static var instrument: any Instrument { tracer }
    public static var tracer: any Tracer {
        guard let current = current.withLock({ $0 }) else {
            fatalError("the stand-in has no tracer of its own: bootstrap one")
        }
        return current
    }
}

public func withSpan<Result>(
    _ operationName: String, context: @autoclosure () -> ServiceContext = .current ?? .topLevel,
    ofKind kind: SpanKind = .internal, isolation: isolated (any Actor)? = #isolation, function: String = #function,
    file fileID: String = #fileID, line: UInt = #line, _ operation: (any Span) async throws -> Result
) async rethrows -> Result {
    let span: any Span = InstrumentationSystem.tracer.startSpan(
        operationName, context: context(), ofKind: kind, at: DefaultTracerClock.now, function: function, file: fileID,
        line: line)
    defer { span.end(at: DefaultTracerClock.now) }
    do {
        return try await ServiceContext.$current.withValue(span.context) { try await operation(span) }
    } catch {
        span.recordError(error, attributes: [:], at: DefaultTracerClock.now)
        span.setStatus(SpanStatus(code: .error))
        throw error
    }
}
