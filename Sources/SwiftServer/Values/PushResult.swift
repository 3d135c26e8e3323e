internal import CReactor
internal import Glibc

/// The result of a push, a send, a publication or a subscription. A client may leave at any time, so this is a result
/// and not an error.
public struct PushResult: Sendable, Hashable, CustomStringConvertible {
    /// The name of the result.
    public let description: String

    /// The message is in the output queue of the connection.
    public static let sent = PushResult(description: "sent")
    /// The message is on its way to the process that owns the connection.
    public static let queued = PushResult(description: "queued")
    /// The connection is gone.
    public static let closed = PushResult(description: "closed")
    /// There is a connection, but it is not an open WebSocket.
    public static let notWebSocket = PushResult(description: "notWebSocket")
    /// There is a connection, but it is not one of a `.tcp` port.
    public static let notStream = PushResult(description: "notStream")
    /// The output queue of the client is full; nothing was sent. Try again in `onDrain`, or later.
    public static let full = PushResult(description: "full")
    /// The message is invalid: too large, an oversized control frame, or an invalid address.
    public static let invalid = PushResult(description: "invalid")
    /// The system did not send the datagram: the address is unreachable, or sending is not permitted.
    public static let failed = PushResult(description: "failed")

    /// The cluster takes no more messages: too many wait, since Redis or NATS is slow or cannot be reached. Nothing was
    /// published. Try again later. Of a subscription: the cluster has not answered, or there is none.
    public static let unavailable = PushResult(description: "unavailable")

    /// The subscription would exceed ``Settings/maxTopics`` or ``Settings/maxSubscriptions``.
    public static let limitReached = PushResult(description: "limitReached")

    /// The topic has no ``TopicSettings/history``, so it has no positions.
    public static let noHistory = PushResult(description: "noHistory")

    /// Whether the message was accepted: ``sent`` or ``queued``.
    public var isAccepted: Bool { self == .sent || self == .queued }

    private init(description: String) { self.description = description }

    /// The result of a push that closes.
    init(_ result: CommandResult) {
        self =
            switch result {
            case .done: .sent
            case .queued: .queued
            case .full: .full
            case .invalid: .invalid
            default: .closed
            }
    }

    /// Translates a result of the C core. `local`: this process owns the connection.
    init(_ result: Int32, local: Bool) {
        self =
            switch result {
            case 0: local ? .sent : .queued
            case CRE_EGONE.rawValue: .closed
            case CRE_ENOT_WEBSOCKET.rawValue: .notWebSocket
            case CRE_ENOT_STREAM.rawValue: .notStream
            case CRE_EQUEUE_FULL.rawValue, CRE_ELINK_FULL.rawValue, CRE_ENOMEM.rawValue: .full
            case CRE_EBROKER_UNAVAILABLE.rawValue: .unavailable
            case -EMSGSIZE, -EINVAL, -EAFNOSUPPORT, -EDESTADDRREQ: .invalid
            case (CRE_ENOMEM.rawValue + 1)..<0: .failed  // other errors of the system
            default: .invalid
            }
    }
}
