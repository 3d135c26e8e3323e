/// One message of a client, or one to send. It owns its bytes: keep it, send it to another task.
public struct Frame: Sendable, Hashable {
    /// The connection it came from.
    public let fd: ConnectionID
    /// Text or binary.
    public let opcode: Opcode
    /// Whether the message is complete. Received messages always are: fragments are put together before.
    public let finish: Bool
    /// The payload.
    public let bytes: [UInt8]

    /// A frame to push, or one as it is received.
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
