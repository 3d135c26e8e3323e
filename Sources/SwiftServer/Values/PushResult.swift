internal import CReactor
internal import Glibc

/// What became of a push. Racing a client that leaves is normal, so it is a result and not an error.
public struct PushResult: Sendable, Hashable, CustomStringConvertible {
    /// The name of the result.
    public let description: String

    /// It is in the output of the connection.
    public static let sent = PushResult(description: "sent")
    /// It is on its way to the process that owns the connection.
    public static let queued = PushResult(description: "queued")
    /// The connection is gone.
    public static let closed = PushResult(description: "closed")
    /// There is a connection, but it is not an open WebSocket.
    public static let notWebSocket = PushResult(description: "notWebSocket")
    /// There is a connection, but it is not one of a `.tcp` port.
    public static let notStream = PushResult(description: "notStream")
    /// Too much waits for this client already; nothing was sent. Try again when it has drained.
    public static let full = PushResult(description: "full")
    /// It is nothing that may be sent: too large, a control frame that is, or a bad address.
    public static let invalid = PushResult(description: "invalid")
    /// The system would not send the datagram: nobody can be reached there, or it is not allowed.
    public static let failed = PushResult(description: "failed")

    /// Whether it was taken: ``sent`` or ``queued``.
    public var isAccepted: Bool { self == .sent || self == .queued }

    private init(description: String) { self.description = description }

    /// From a result of the C core. `local`: the connection is owned by this process.
    init(_ result: Int32, local: Bool) {
        self =
            switch result {
            case 0: local ? .sent : .queued
            case CRE_EGONE.rawValue: .closed
            case CRE_ENOT_WEBSOCKET.rawValue: .notWebSocket
            case CRE_ENOT_STREAM.rawValue: .notStream
            case CRE_EQUEUE_FULL.rawValue, CRE_ELINK_FULL.rawValue, CRE_ENOMEM.rawValue: .full
            case -EMSGSIZE, -EINVAL, -EAFNOSUPPORT, -EDESTADDRREQ: .invalid
            case (CRE_ENOMEM.rawValue + 1)..<0: .failed  // other errors of the system
            default: .invalid
            }
    }
}
