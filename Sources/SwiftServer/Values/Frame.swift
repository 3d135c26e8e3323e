/// A WebSocket message that was received, or one to send. It may be kept, and sent to other tasks.
public struct Frame: Sendable, Hashable, CustomStringConvertible {
    /// The connection of the message.
    public let fd: ConnectionID
    /// Text or binary; of a control frame that was asked for, as by ``Settings/deliversPings``, its own.
    public let opcode: Opcode
    /// Whether the message is complete. Received messages always are: fragments are joined before.
    public let finish: Bool
    private let payload: Payload

    /// Received bytes are not copied for a frame that is dropped before its handler returns, nor for one that is pushed
    /// as it is.
    private enum Payload: Sendable, Hashable {
        case own([UInt8])
        case received(MessageBytes)

        var array: [UInt8] {
            switch self {
            case .own(let bytes): bytes
            case .received(let message): message.array
            }
        }

        static func == (a: Payload, b: Payload) -> Bool { a.array == b.array }
        func hash(into hasher: inout Hasher) { hasher.combine(array) }
    }

    /// Makes a frame to push.
    public init(fd: ConnectionID, opcode: Opcode = .text, finish: Bool = true, bytes: [UInt8]) {
        self.fd = fd
        self.opcode = opcode
        self.finish = finish
        payload = .own(bytes)
    }

    /// A message that is being delivered.
    @inline(__always) init(fd: ConnectionID, opcode: Opcode, received message: MessageBytes) {
        self.fd = fd
        self.opcode = opcode
        finish = true
        payload = .received(message)
    }

    /// A message that waits for its handler.
    init(fd: ConnectionID, opcode: Opcode, copied payload: UnsafeRawBufferPointer) {
        unsafe self.init(fd: fd, opcode: opcode, bytes: [UInt8](payload))
    }

    /// The payload.
    public var bytes: [UInt8] { payload.array }

    /// The number of bytes of the payload.
    var count: Int {
        switch payload {
        case .own(let bytes): bytes.count
        case .received(let message): message.count
        }
    }

    /// The payload as text. A received text message is valid UTF-8.
    public var text: String { unsafe withBuffer { unsafe String(decoding: $0, as: UTF8.self) } }

    /// The connection, the opcode and the payload: text up to 64 characters, or the number of bytes.
    public var description: String {
        let payload =
            switch opcode {
            case .text: text.count > 64 ? "\"\(text.prefix(64))...\" (\(count) bytes)" : "\"\(text)\""
            case .close: closeFrame.map { "\($0)" } ?? "malformed"
            default: "\(count) bytes"
            }
        return "\(finish ? "" : "unfinished ")\(opcode) of \(fd): \(payload)"
    }

    /// Calls `body` with the payload without copying it.
    public func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe try withBuffer { buffer throws(Failure) in try body(unsafe buffer.bytes) }
    }

    /// The payload of a received message that was not copied, on its thread; valid while the frame lives and the
    /// message is being delivered.
    @inline(__always) var borrowedBytes: UnsafeRawBufferPointer? {
        guard case .received(let message) = payload else { return nil }
        return unsafe message.borrowedBytes
    }

    /// Calls `body` with a pointer to the payload, which is valid in `body` only.
    @inline(__always)
    func withBuffer<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        switch payload {
        case .own(let bytes): unsafe try bytes.span.bytes.withUnsafeBytes(body)
        case .received(let message): unsafe try message.withBytes(body)
        }
    }
}

/// A ``Frame`` that does not retain its message: to retain and release it for each delivery takes two atomic
/// operations, and each of them waits for all stores before it. It has the layout of a frame, so a function that takes
/// a frame can be called with it; a handler that keeps the frame retains the message itself.
@safe struct LentFrame {
    private let fd: ConnectionID
    private let opcode: Opcode
    private let finish: Bool
    private let payload: UInt

    /// The caller keeps the message alive.
    @inline(__always) init(fd: ConnectionID, opcode: Opcode, received message: Uncounted<MessageBytes>) {
        self = message.with {
            unsafe unsafeBitCast(Frame(fd: fd, opcode: opcode, received: $0), to: LentFrame.self)
        }
    }
}

/// A message that is lent to a task, until that gives it back.
struct TaskMessage {
    /// What the handler gets.
    let frame: LentFrame
    let bytes: Uncounted<MessageBytes>

    @inline(__always) init(fd: ConnectionID, opcode: Opcode, bytes: Uncounted<MessageBytes>) {
        frame = LentFrame(fd: fd, opcode: opcode, received: bytes)
        self.bytes = bytes
    }
}
