/// Identifies a timer of one process; numbers are never reused.
public struct TimerID: Hashable, Sendable, CustomStringConvertible {
    /// The number, from 1; 0 for ``invalid``.
    public let rawValue: Int
    /// The number of no timer: where a timer could not be started.
    public static let invalid = TimerID(rawValue: 0)
    /// The number in decimal.
    public var description: String { String(rawValue) }
}
