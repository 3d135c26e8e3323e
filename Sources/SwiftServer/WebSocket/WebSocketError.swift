/// What a ``WebSocket`` throws.
public enum WebSocketError: Error, Sendable, Hashable {
    /// The request is not a WebSocket handshake, so it cannot be upgraded. Answer it as plain HTTP.
    case notHandshake
    /// The request was answered before.
    case answered
    /// The WebSocket is not open: ``WebSocket/upgrade(subprotocol:)`` comes first.
    case notOpen
    /// The client has not offered this subprotocol, or it is no valid name.
    case invalidSubprotocol
    /// The connection is gone; ``WebSocket/closeReason`` has the cause.
    case closed
    /// ``ConnectionInfo/userData`` may have at most 256 bytes, and a user id must be 1...4,294,967,295.
    case invalidUserData
    /// Nothing was received within the time limit.
    case timedOut
    /// The message is too large, or not valid as a frame of its kind.
    case invalidMessage
    /// This worker ends and its successor serves the connection: it calls the handler again, with a
    /// ``WebSocket/isResumed`` connection. Let the error end the handler; it closes nothing.
    case moved
}

extension WebSocketError {
    /// Whether a handler may end with this error without having failed: its connection has ended, or its part of it.
    static func isExpected(_ error: any Error) -> Bool {
        switch error {
        case is CancellationError, WebSocketError.closed, WebSocketError.moved, WebSocketError.timedOut: true
        default: false
        }
    }
}

extension WebSocketError: CustomStringConvertible {
    /// In words, for logs.
    public var description: String {
        switch self {
        case .notHandshake: "the request is not a WebSocket handshake"
        case .answered: "the request was answered before"
        case .notOpen: "the WebSocket is not open"
        case .invalidSubprotocol: "the client has not offered this subprotocol"
        case .invalidUserData: "user data must have at most 256 bytes, and a user id must be 1...4,294,967,295"
        case .closed: "the connection is closed"
        case .timedOut: "nothing was received in time"
        case .invalidMessage: "the message is too large or invalid"
        case .moved: "the connection has moved to another worker"
        }
    }
}
