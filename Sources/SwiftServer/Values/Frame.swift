/// A WebSocket message that was received, or one to send. It owns its bytes: it may be kept, and sent to other tasks.
public struct Frame: Sendable, Hashable, CustomStringConvertible {
    /// The connection of the message.
    public let fd: ConnectionID
    /// Text or binary; of a control frame that was asked for, as by ``Settings/deliversPings``, its own.
    public let opcode: Opcode
    /// Whether the message is complete. Received messages always are: fragments are joined before.
    public let finish: Bool
    /// The payload.
    public let bytes: [UInt8]

    /// Makes a frame to push.
    public init(fd: ConnectionID, opcode: Opcode = .text, finish: Bool = true, bytes: [UInt8]) {
        self.fd = fd
        self.opcode = opcode
        self.finish = finish
        self.bytes = bytes
    }

    /// The payload as text. A received text message is valid UTF-8.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The connection, the opcode and the payload: text up to 64 characters, or the number of bytes.
    public var description: String {
        let payload =
            switch opcode {
            case .text: text.count > 64 ? "\"\(text.prefix(64))...\" (\(bytes.count) bytes)" : "\"\(text)\""
            case .close: closeFrame.map { "\($0)" } ?? "malformed"
            default: "\(bytes.count) bytes"
            }
        return "\(finish ? "" : "unfinished ")\(opcode) of \(fd): \(payload)"
    }

    /// Calls `body` with the payload without copying it.
    public func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe bytes.span.bytes)
    }
}
