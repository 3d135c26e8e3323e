/// Names one connection for ever: ids only grow, are never a descriptor, and are never used twice. So a late ``WebSocketServer/push(_:to:)-(String,_)``
/// can never reach another client.
public struct ConnectionID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (a: ConnectionID, b: ConnectionID) -> Bool { a.rawValue < b.rawValue }
    public var description: String { String(rawValue) }
}
