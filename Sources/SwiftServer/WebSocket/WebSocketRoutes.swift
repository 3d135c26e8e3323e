/// What becomes of the connections of a straight-line handler when their worker ends: in a reload, at the end of
/// ``Settings/maxRequests``, or in a crash. The connections themselves stay open, since another process owns them; in
/// base mode they end with their worker, whatever is said here.
public enum WhenMoved: Sendable, Hashable {
    /// The worker's successor calls the handler again, with ``WebSocket/isResumed``.
    case resumes
    /// The connections are closed with this code; 1012 means "service restart".
    case closes(UInt16)
}

/// A path, and the straight-line handler that serves it.
struct WebSocketRoute: Sendable {
    /// The pattern of the path.
    let path: String
    let whenMoved: WhenMoved
    let handler: HandlerRunners.AsyncHandler

    /// Whether a close frame may have this code.
    static func isCloseCode(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// Finds the straight-line handlers of a port.
protocol WebSocketMatching: Sendable {
    /// The handler of a handshake, which gets the parameters of the handler's path.
    func webSocketRoute(of request: inout Request) -> WebSocketRoute?
}
