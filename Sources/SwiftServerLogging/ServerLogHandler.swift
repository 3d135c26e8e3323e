#if Logging
public import Logging
internal import SwiftServer

/// A log handler that writes to the server's own log, so that the lines of handlers and libraries stand beside those of
/// the server, in its form: time, process, level, message.
///
/// ```swift
/// LoggingSystem.bootstrap { label in ServerLogHandler(label: label) }
/// let log = Logger(label: "chat")
/// log.info("joined", metadata: ["room": "main"])
/// // 2026-11-29T04:20:00Z [4711 worker 0] info: chat: joined room=main
/// ```
///
/// It writes to standard error or ``Settings/logFile``, from all processes of the server, and does not wait for a slow
/// reader of the log. Its own ``logLevel`` selects the lines, not ``Settings/logLevel``. An entry is one line: control
/// characters are escaped.
public struct ServerLogHandler: LogHandler {
    /// The name of the logger, with which its lines begin.
    public let label: String
    /// The least severe level that is written; default: `info`.
    public var logLevel = Logger.Level.info
    /// Metadata of all lines.
    public var metadata = Logger.Metadata()
    /// The source of further metadata.
    public var metadataProvider: Logger.MetadataProvider?

    /// A handler for the logger of this name; an empty one is not written.
    public init(label: String, metadataProvider: Logger.MetadataProvider? = nil) {
        self.label = label
        self.metadataProvider = metadataProvider
    }

    /// One of the entries of ``metadata``.
    public subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes a line.
    public func log(event: LogEvent) {
        var all = metadata
        if let metadataProvider { all.merge(metadataProvider.get()) { $1 } }
        if let metadata = event.metadata { all.merge(metadata) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        let message = label.isEmpty ? "\(event.message)" : "\(label): \(event.message)"
        let fields = all.sorted { $0.key < $1.key }.map { LogField($0.key, "\($0.value)") }
        Log.write(application: LogLevel(event.level), as: "\(event.level)", message, fields)
    }
}

extension LogLevel {
    /// The nearest level of the server's log.
    init(_ level: Logger.Level) {
        self =
            switch level {
            case .trace, .debug: .debug
            case .info, .notice: .notice
            case .warning: .warning
            case .error, .critical: .error
            }
    }
}
#endif
