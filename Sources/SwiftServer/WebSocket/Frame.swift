/// The type of a WebSocket frame. Unknown values cannot be received; they may be compared and printed.
public struct Opcode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let continuation = Opcode(rawValue: 0)
    public static let text = Opcode(rawValue: 1)
    public static let binary = Opcode(rawValue: 2)
    public static let close = Opcode(rawValue: 8)
    public static let ping = Opcode(rawValue: 9)
    public static let pong = Opcode(rawValue: 10)

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

/// One message of a client, or one to send. It owns its bytes: keep it, send it to another task.
public struct Frame: Sendable, Hashable {
    /// The connection it came from.
    public let fd: ConnectionID
    public let opcode: Opcode
    /// Whether the message is complete. Received messages always are: fragments are put together before.
    public let finish: Bool
    /// The payload.
    public let bytes: [UInt8]

    public init(fd: ConnectionID, opcode: Opcode = .text, finish: Bool = true, bytes: [UInt8]) {
        self.fd = fd
        self.opcode = opcode
        self.finish = finish
        self.bytes = bytes
    }

    /// The payload as text. That of a text message is valid UTF-8, checked before it came here.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Calls `body` with the payload without copying it.
    public func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe bytes.span.bytes)
    }
}
