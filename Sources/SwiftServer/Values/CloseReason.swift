internal import CReactor

/// Why and how a connection was closed. Every closed connection has one reason.
public struct CloseReason: Sendable, Hashable, CustomStringConvertible {
    /// The cause of a close.
    public struct Cause: Sendable, Hashable, CustomStringConvertible {
        let number: UInt16

        /// The peer closed the connection, or left.
        public static let peer = Cause(number: UInt16(CRE_CLOSED_PEER.rawValue))
        /// A handler closed it.
        public static let server = Cause(number: UInt16(CRE_CLOSED_SERVER.rawValue))
        /// The peer violated the protocol; ``CloseReason/text`` has the details.
        public static let protocolError = Cause(number: UInt16(CRE_CLOSED_PROTOCOL.rawValue))
        /// The peer exceeded a time limit, for example ``Settings/messageTimeout``.
        public static let timeout = Cause(number: UInt16(CRE_CLOSED_TIMEOUT.rawValue))
        /// The output queue exceeded its limit, or the connection held the most bytes when the server exceeded
        /// ``Settings/memoryBudget``; see ``CloseReason/text``.
        public static let overflow = Cause(number: UInt16(CRE_CLOSED_OVERFLOW.rawValue))
        /// The socket failed; ``CloseReason/text`` has the details.
        public static let socketError = Cause(number: UInt16(CRE_CLOSED_ERROR.rawValue))
        /// The server is stopping.
        public static let shutdown = Cause(number: UInt16(CRE_CLOSED_SHUTDOWN.rawValue))
        /// TLS failed: a corrupt record, or an alert of the peer; ``CloseReason/text`` has the details.
        public static let tls = Cause(number: UInt16(CRE_CLOSED_TLS.rawValue))
        /// The peer sent nothing for too long: ``Settings/heartbeatIdleTime`` or ``Settings/pongTimeout``.
        public static let heartbeat = Cause(number: UInt16(CRE_CLOSED_HEARTBEAT.rawValue))
        /// There was no memory for the connection.
        public static let outOfMemory = Cause(number: UInt16(CRE_CLOSED_NOMEM.rawValue))

        /// In words.
        public var description: String { unsafe String(cString: cre_close_reason_text(Int32(number))) }
    }

    /// The cause of the close.
    public let cause: Cause
    /// The WebSocket close code: 1005 when there was none, 1006 when the connection broke off.
    public let code: UInt16
    /// The peer's reason, or the error; may be empty.
    public let text: String

    /// The system's error (`errno`) when the socket failed, else 0.
    public let errno: Int32

    /// In words, for logs.
    public var description: String {
        "\(cause) (\(code)\(text.isEmpty ? "" : ", \(text)"))"
    }
}

extension CloseReason {
    /// Reads the payload of a CLOSE event, `nil` when it is malformed.
    init?(_ payload: UnsafeRawBufferPointer) {
        let size = MemoryLayout<cre_closed>.size
        guard payload.count >= size else { return nil }
        let closed = unsafe payload.loadUnaligned(as: cre_closed.self)
        guard payload.count == size + Int(closed.text_length) else { return nil }
        cause = Cause(number: closed.reason)
        code = closed.code
        errno = (-4095..<0).contains(closed.error) && closed.error > CRE_ENOMEM.rawValue ? -closed.error : 0
        text =
            closed.error != 0 && closed.text_length == 0
            ? errorText(closed.error)
            : unsafe String(decoding: UnsafeRawBufferPointer(rebasing: payload[size...]), as: UTF8.self)
    }
}
