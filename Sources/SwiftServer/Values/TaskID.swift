/// Identifies a task among those of the process that posted it. Together with ``ServerTask/workerID`` it is unique,
/// also when that process was restarted.
public struct TaskID: Hashable, Sendable, CustomStringConvertible {
    /// The number, from 1.
    public let rawValue: UInt64

    init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}
