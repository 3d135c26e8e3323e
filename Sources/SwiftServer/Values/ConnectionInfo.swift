/// The state of a connection at one moment. It does not change afterwards.
public struct ConnectionInfo: Sendable, Hashable {
    /// The connection.
    public let fd: ConnectionID
    /// Whether the connection is a WebSocket, and in which state.
    public let webSocketStatus: WebSocketStatus
    /// The server's port that accepted the connection.
    public let serverPort: Int
    /// The place in ``Server/ports`` of the port that accepted the connection.
    public let portIndex: Int
    /// The kind of socket.
    public let socketType: SocketType
    /// Whether the connection uses TLS.
    public let isSecure: Bool
    /// The client's address as text, "127.0.0.1" or "::1"; empty when it has none.
    public let remoteAddress: String
    /// The client's port, 0 when it has none.
    public let remotePort: Int
    /// The server's address that the client has connected to, as text, also when the port listens on all addresses. Of
    /// a Unix socket it is "unix:" and the path. Empty in the rare case that the connections of this server have had
    /// more than 255 different local addresses: those of further ones are not known. With the PROXY protocol it is the
    /// address that the load balancer has connected to.
    public let localAddress: String
    /// The time at which it was accepted, in seconds since 1970.
    public let connectTime: Double
    /// The time at which bytes were last received, to about an eighth of a second; at first the time it was accepted.
    public let lastReceiveTime: Double
    /// The time at which bytes were last sent; `nil`: not yet.
    public let lastSendTime: Double?
    /// The number of the worker that handles its events.
    public let workerID: Int
    /// The number of the reactor thread that owns its socket; `nil` in base mode, where the worker does.
    public let reactorID: Int?
    /// The length of its output queue, in bytes.
    public let queuedBytes: Int
    /// The user id that ``Server/bind(_:to:)->CommandResult`` has set.
    public let userID: Int?
    /// The subprotocol that was chosen in the handshake of a WebSocket; `nil`: none.
    public let subprotocol: String?
    /// What `onHandshake` has left with the WebSocket: ``Handshake/accept(subprotocol:userData:userID:)``.
    public let userData: [UInt8]
    /// Whether the heartbeat passes over the connection: ``Server/protect(_:_:)->CommandResult``.
    public let isProtected: Bool
    /// The descriptor of the listening socket that accepted the connection, in the process that listens. `nil` in a
    /// program that has joined a running server.
    public let serverDescriptor: Int32?
    /// Whether the connection is closed; see ``Server/connectionInfo(_:ignoringClose:)``.
    public let isClosed: Bool
    /// The system's error (`errno`) with which the connection was closed; 0: none, or it is open.
    public let closeErrno: Int32

    /// Kinds of sockets that have connections, with the numbers that Swoole uses for them.
    public enum SocketType: Int, Sendable, Hashable {
        /// TCP over IPv4.
        case tcp = 1
        /// TCP over IPv6.
        case tcp6 = 3
        /// A stream on a Unix socket.
        case unixStream = 5
    }

    /// The state of a connection on its way to a WebSocket and back.
    public enum WebSocketStatus: Int, Sendable, Hashable {
        /// A connection of a port without WebSockets, or a closed one.
        case none = 0
        /// A connection that has not begun a handshake; it may stay plain HTTP.
        case connecting = 1
        /// A handshake that a handler has not answered yet.
        case handshake = 2
        /// The handshake is done; messages go both ways.
        case established = 3
        /// The closing handshake is under way.
        case closing = 4
    }
}
