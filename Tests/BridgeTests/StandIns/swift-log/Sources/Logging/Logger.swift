// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

/// Forwards entries to its handler.
public struct Logger: Sendable {
    public typealias Metadata = [String: MetadataValue]

    public enum Level: String, CaseIterable, Sendable, Comparable {
        case trace, debug, info, notice, warning, error, critical

        public static func < (a: Level, b: Level) -> Bool {
            allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
        }
    }

    public struct Message: ExpressibleByStringInterpolation, CustomStringConvertible, Equatable, Sendable {
        public let description: String

        public init(stringLiteral value: String) { description = value }
    }

    public enum MetadataValue: ExpressibleByStringInterpolation, CustomStringConvertible, Sendable {
        case string(String)
        case stringConvertible(any CustomStringConvertible & Sendable)

        public init(stringLiteral value: String) { self = .string(value) }

        public var description: String {
            switch self {
            case .string(let value): value
            case .stringConvertible(let value): value.description
            }
        }
    }

    public struct MetadataProvider: Sendable {
        private let provide: @Sendable () -> Metadata

        public init(_ provide: @escaping @Sendable () -> Metadata) { self.provide = provide }

        public func get() -> Metadata { provide() }
    }

    public let label: String
    public var handler: any LogHandler
    public var logLevel: Level {
        get { handler.logLevel }
        set { handler.logLevel = newValue }
    }

    public init(label: String, factory: (String) -> any LogHandler) {
        self.label = label
        handler = factory(label)
    }

    public func log(
        level: Level, _ message: @autoclosure () -> Message, error: @autoclosure () -> (any Error)? = nil,
        metadata: @autoclosure () -> Metadata? = nil, source: @autoclosure () -> String? = nil, file: String = #fileID,
        function: String = #function, line: UInt = #line
    ) {
        guard level >= logLevel else { return }
        handler.log(
            event: LogEvent(
                level: level, message: message(), error: error(), metadata: metadata(), source: source() ?? "unknown",
                file: file, function: function, line: line))
    }
}

public protocol LogHandler: Sendable {
    var metadataProvider: Logger.MetadataProvider? { get set }
    var metadata: Logger.Metadata { get set }
    var logLevel: Logger.Level { get set }
    subscript(metadataKey key: String) -> Logger.MetadataValue? { get set }
    func log(event: LogEvent)
}

public struct LogEvent: Sendable {
    public var level: Logger.Level
    public var message: Logger.Message
    public var error: (any Error)?
    public var metadata: Logger.Metadata?
    public var source: String
    public var file: String
    public var function: String
    public var line: UInt
}
