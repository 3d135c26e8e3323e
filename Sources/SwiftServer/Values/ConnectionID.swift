/// Names one connection for ever: ids only grow, are never a descriptor, and are never used twice. So a late push
/// can never reach another client.
public struct ConnectionID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64

    /// The connection of this number, which may or may not be there.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Older connections come first.
    public static func < (a: ConnectionID, b: ConnectionID) -> Bool { a.rawValue < b.rawValue }
    /// The number in decimal.
    public var description: String { String(rawValue) }
}
