internal import CReactor
internal import Glibc

/// The result of a push, a send, a publication or a subscription. A client may leave at any time, so this is a result
/// and not an error.
public struct PushResult: Sendable, Hashable, CustomStringConvertible {
    private enum Code: String {
        case sent, queued, closed, notWebSocket, notStream, full
        case invalid, failed, unavailable, limitReached, noHistory
    }
    private let code: Code

    private init(code: Code) { self.code = code }

    /// The message is in the output queue of the connection.
    public static var sent: PushResult { PushResult(code: .sent) }
    /// The message is on its way to the process that owns the connection.
    public static var queued: PushResult { PushResult(code: .queued) }
    /// The connection is gone.
    public static var closed: PushResult { PushResult(code: .closed) }
    /// There is a connection, but it is not an open WebSocket.
    public static var notWebSocket: PushResult { PushResult(code: .notWebSocket) }
    /// There is a connection, but it is not one of a `.tcp` port.
    public static var notStream: PushResult { PushResult(code: .notStream) }
    /// The output queue of the client is full; nothing was sent. Try again in `onDrain`, or later.
    public static var full: PushResult { PushResult(code: .full) }
    /// The message is invalid: too large, an oversized control frame, or an invalid address.
    public static var invalid: PushResult { PushResult(code: .invalid) }
    /// The system did not send the datagram: the address is unreachable, or sending is not permitted.
    public static var failed: PushResult { PushResult(code: .failed) }

    /// The cluster takes no more messages: too many wait, since Redis or NATS is slow or cannot be reached. Nothing was
    /// published. Try again later. Of a subscription: the cluster has not answered, or there is none.
    public static var unavailable: PushResult { PushResult(code: .unavailable) }

    /// The subscription would exceed ``Settings/maxTopics`` or ``Settings/maxSubscriptions``.
    public static var limitReached: PushResult { PushResult(code: .limitReached) }

    /// The topic has no ``TopicSettings/history``, so it has no positions.
    public static var noHistory: PushResult { PushResult(code: .noHistory) }

    /// Whether the message was accepted: ``sent`` or ``queued``.
    public var isAccepted: Bool { self == .sent || self == .queued }

    /// The name of the result.
    public var description: String { code.rawValue }

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

    /// Translates a result of the C core. `local`, of an accepted message: this process owns the connection.
    @inline(__always) init(_ result: Int32, local: @autoclosure () -> Bool) {
        self = result == 0 ? local() ? .sent : .queued : PushResult.refusal(result)
    }

    @inline(never) private static func refusal(_ error: Int32) -> PushResult {
        switch error {
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
