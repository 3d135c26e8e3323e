/// The type of a WebSocket frame. Unknown values cannot be received; they may be compared and printed.
public struct Opcode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number on the wire, 0...15.
    public let rawValue: UInt8
    /// Makes the opcode of this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A further fragment of a message.
    public static let continuation = Opcode(rawValue: 0)
    /// A text message, or its first fragment.
    public static let text = Opcode(rawValue: 1)
    /// A binary message, or its first fragment.
    public static let binary = Opcode(rawValue: 2)
    /// Closes the connection.
    public static let close = Opcode(rawValue: 8)
    /// Asks for a pong.
    public static let ping = Opcode(rawValue: 9)
    /// Answers a ping, or is sent unasked as a heartbeat.
    public static let pong = Opcode(rawValue: 10)

    /// The name.
    public var description: String {
        switch self {
        case .continuation: "continuation"
        case .text: "text"
        case .binary: "binary"
        case .close: "close"
        case .ping: "ping"
        case .pong: "pong"
        default: "opcode \(rawValue)"
        }
    }
}
