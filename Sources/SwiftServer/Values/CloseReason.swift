internal import CReactor

/// Why and how a connection ended. Every end has one.
public struct CloseReason: Sendable, Hashable, CustomStringConvertible {
    /// What ended it.
    public struct Cause: Sendable, Hashable, CustomStringConvertible {
        let number: UInt16

        /// The peer closed it, or went away.
        public static let peer = Cause(number: UInt16(CRE_CLOSED_PEER.rawValue))
        /// A handler closed it.
        public static let server = Cause(number: UInt16(CRE_CLOSED_SERVER.rawValue))
        /// The peer broke the protocol; ``CloseReason/text`` says how.
        public static let protocolError = Cause(number: UInt16(CRE_CLOSED_PROTOCOL.rawValue))
        /// The peer took too long.
        public static let timeout = Cause(number: UInt16(CRE_CLOSED_TIMEOUT.rawValue))
        /// More output waited than is allowed.
        public static let overflow = Cause(number: UInt16(CRE_CLOSED_OVERFLOW.rawValue))
        /// The socket failed; ``CloseReason/text`` says how.
        public static let socketError = Cause(number: UInt16(CRE_CLOSED_ERROR.rawValue))
        /// The server stops.
        public static let shutdown = Cause(number: UInt16(CRE_CLOSED_SHUTDOWN.rawValue))
        /// TLS failed: a damaged record, or an alert of the peer; ``CloseReason/text`` says which.
        public static let tls = Cause(number: UInt16(CRE_CLOSED_TLS.rawValue))
        /// Nothing came from the peer for too long: ``Settings/heartbeatIdleTime`` or ``Settings/pongTimeout``.
        public static let heartbeat = Cause(number: UInt16(CRE_CLOSED_HEARTBEAT.rawValue))
        /// There was no memory for the connection.
        public static let outOfMemory = Cause(number: UInt16(CRE_CLOSED_NOMEM.rawValue))

        /// In words.
        public var description: String { unsafe String(cString: cre_close_reason_text(Int32(number))) }
    }

    /// What ended the connection.
    public let cause: Cause
    /// The WebSocket close code: 1005 when there was none, 1006 when the connection broke off.
    public let code: UInt16
    /// The peer's reason, or what the error was; may be empty.
    public let text: String

    /// The system's error (`errno`) when the socket failed, else 0.
    public let errno: Int32

    /// In words, for logs.
    public var description: String {
        "\(cause) (\(code)\(text.isEmpty ? "" : ", \(text)"))"
    }
}

extension CloseReason {
    /// From the payload of a CLOSE event.
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
