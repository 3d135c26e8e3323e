/// How much a server logs. Each level includes the more severe ones.
public enum LogLevel: Int, Sendable, Hashable, CaseIterable, Comparable {
    /// Also details for troubleshooting: signals, starts and ends of processes.
    case debug
    /// Also normal events: listening, reloads.
    case notice
    /// Problems that someone should look into.
    case warning
    /// Failures.
    case error
    /// No log lines at all.
    case none

    /// The level of this name, such as "warning".
    init?(name: String) {
        guard let level = LogLevel.allCases.first(where: { "\($0)" == name }) else { return nil }
        self = level
    }

    /// Levels are ordered from ``debug`` to ``none``.
    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}
