#if Logging
public import Logging
public import SwiftServer

extension Server {
    /// Sends the lines of the server's own log to `logger`, in place of standard error or ``Settings/logFile``.
    ///
    /// ```swift
    /// server.log(to: Logger(label: "chat.server"))
    /// ```
    ///
    /// Call it before ``start()``: the processes that the server starts inherit it. ``Settings/logLevel`` selects the
    /// lines, and the logger's own level selects among those. Their metadata names the process: `role`, such as
    /// "worker 3", is missing in ``ServerMode/single``. The log handler is used by all processes, each with a copy of
    /// its memory, and must need no thread that was started before.
    ///
    /// It concerns all servers of the program. `nil`: the lines go where the settings say.
    public func log(to logger: Logger?) {
        guard let logger else { return LogSink.install(nil) }
        LogSink.install { level, role, message in
            logger.log(
                level: Logger.Level(level), "\(message)", metadata: role.isEmpty ? nil : ["role": "\(role)"],
                source: "SwiftServer")
        }
    }
}

extension Logger.Level {
    /// The level of the same name.
    init(_ level: LogLevel) {
        self =
            switch level {
            case .debug: .debug
            case .notice: .notice
            case .warning: .warning
            case .error, .none: .error
            }
    }
}
#endif
