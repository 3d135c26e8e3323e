/// Identifies a timer of one process; numbers are never reused.
public struct TimerID: Hashable, Sendable, CustomStringConvertible {
    /// The number, from 1.
    public let rawValue: Int
    /// The number in decimal.
    public var description: String { String(rawValue) }
}
