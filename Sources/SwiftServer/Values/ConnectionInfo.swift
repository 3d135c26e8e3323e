/// What is known of a connection. A snapshot: it does not change afterwards.
public struct ConnectionInfo: Sendable, Hashable {
    /// The connection.
    public let fd: ConnectionID
    /// Whether it is a WebSocket, and if so, in which state.
    public let webSocketStatus: WebSocketStatus
    /// The port of the server that it came in on.
    public let serverPort: Int
    /// The place in ``Server/ports`` of the port whose listening socket it came in on.
    public let portIndex: Int
    /// What kind of socket it is.
    public let socketType: SocketType
    /// Whether it speaks TLS.
    public let isSecure: Bool
    /// The client's address as text, "127.0.0.1" or "::1"; empty when it has none.
    public let remoteAddress: String
    /// The client's port, 0 when it has none.
    public let remotePort: Int
    /// When it connected, in seconds since 1970.
    public let connectTime: Double
    /// When bytes came from it last, to about an eighth of a second; at first the time it connected.
    public let lastReceiveTime: Double
    /// When bytes were last sent to it; `nil`: not yet.
    public let lastSendTime: Double?
    /// The number of the worker whose handlers get its events.
    public let workerID: Int
    /// The number of the reactor thread that owns its socket; `nil` in base mode, where the worker does.
    public let reactorID: Int?
    /// Bytes of output that wait for it.
    public let queuedBytes: Int
    /// The user id that ``Server/bind(_:to:)`` has set.
    public let userID: Int?

    /// Kinds of sockets that have connections, with the numbers by which other servers know them.
    public enum SocketType: Int, Sendable, Hashable {
        /// TCP over IPv4.
        case tcp = 1
        /// TCP over IPv6.
        case tcp6 = 3
        /// A stream on a Unix socket.
        case unixStream = 5
    }

    /// Where a connection is on its way to a WebSocket and back.
    public enum WebSocketStatus: Int, Sendable, Hashable {
        /// No WebSocket, or not yet.
        case none = 0
        /// The handshake is done; messages go both ways.
        case established = 3
        /// The closing handshake is under way.
        case closing = 4
    }
}
