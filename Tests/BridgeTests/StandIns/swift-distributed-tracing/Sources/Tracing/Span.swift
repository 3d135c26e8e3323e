// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public protocol TracerInstant: Comparable, Hashable, Sendable {
    var nanosecondsSinceEpoch: UInt64 { get }
}

/// A clock that stands still: the tests do not measure.
public enum DefaultTracerClock {
    public struct Timestamp: TracerInstant {
        public let nanosecondsSinceEpoch: UInt64 = 0

        public static func < (a: Timestamp, b: Timestamp) -> Bool {
            a.nanosecondsSinceEpoch < b.nanosecondsSinceEpoch
        }
    }

    public static var now: Timestamp { Timestamp() }
}

public enum SpanKind: Sendable {
    case server, client, producer, consumer, `internal`
}

public struct SpanStatus: Equatable, Sendable {
    public enum Code: Sendable {
        case ok, error
    }

    public let code: Code

    public init(code: Code) { self.code = code }
}

public struct SpanEvent: Equatable, Sendable {
    public let name: String
}

public struct SpanLink: Sendable {
    public let context: ServiceContext
}

public protocol SpanAttributeConvertible {
    func toSpanAttribute() -> SpanAttribute
}

public enum SpanAttribute: Equatable, Sendable, SpanAttributeConvertible {
    case int64(Int64)
    case string(String)

    public func toSpanAttribute() -> SpanAttribute { self }
}

extension String: SpanAttributeConvertible {
    public func toSpanAttribute() -> SpanAttribute { .string(self) }
}

extension Int: SpanAttributeConvertible {
    public func toSpanAttribute() -> SpanAttribute { .int64(Int64(self)) }
}

public struct SpanAttributes: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    private var values: [String: SpanAttribute] = [:]

    public init(dictionaryLiteral elements: (String, SpanAttribute)...) {
        values = Dictionary(uniqueKeysWithValues: elements)
    }

    public subscript(_ name: String) -> (any SpanAttributeConvertible)? {
        get { values[name] }
        set { values[name] = newValue?.toSpanAttribute() }
    }

    public func get(_ name: String) -> SpanAttribute? { values[name] }
}

public protocol Span: Sendable {
    var context: ServiceContext { get }
    var operationName: String { get nonmutating set }
    var attributes: SpanAttributes { get nonmutating set }
    var isRecording: Bool { get }
    func setStatus(_ status: SpanStatus)
    func addEvent(_ event: SpanEvent)
    func addLink(_ link: SpanLink)
    func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant)
    func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant)
}

extension Span {
    public func updateAttributes(_ update: (inout SpanAttributes) -> Void) {
        var changed = attributes
        update(&changed)
        attributes = changed
    }
}
