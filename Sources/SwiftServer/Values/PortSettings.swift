/// The settings of one port. `nil` means the value of the server's ``Settings``, or the system's default.
public struct PortSettings: Sendable {
    /// The ends of packets, on a `.tcp` port. Default: no packets.
    public var framing = Framing.none
    /// The maximum size of a packet including header and marker, in bytes; a larger one closes the connection. Default:
    /// 2 MiB.
    public var maxPacket = 2 << 20
    /// See ``Settings/maxMessage``.
    public var maxMessage: Int?
    /// See ``Settings/deliversCloseFrames``.
    public var deliversCloseFrames: Bool?
    /// See ``Settings/deliversPings``.
    public var deliversPings: Bool?
    /// See ``Settings/deliversPongs``.
    public var deliversPongs: Bool?
    /// See ``Settings/maxHead``.
    public var maxHead: Int?
    /// See ``Settings/maxBody``.
    public var maxBody: Int?
    /// See ``Settings/streamRequestBodies``.
    public var streamRequestBodies: Bool?
    /// See ``Settings/maxStreamedBody``.
    public var maxStreamedBody: Int?
    /// See ``Settings/compressResponses``. Without ``ResponseCompression/codings`` this port does not compress.
    public var compressResponses: ResponseCompression?
    /// See ``Settings/maxQueue``.
    public var maxQueue: Int?
    /// See ``Settings/headTimeout``.
    public var headTimeout: Duration?
    /// The time limit for `onHandshake` to decide; the client gets status 503 then. Default: `nil`, 10 seconds.
    public var handshakeTimeout: Duration?
    /// See ``Settings/bodyTimeout``.
    public var bodyTimeout: Duration?
    /// See ``Settings/messageTimeout``.
    public var messageTimeout: Duration?
    /// See ``Settings/idleTimeout``.
    public var idleTimeout: Duration?
    /// See ``Settings/closeTimeout``.
    public var closeTimeout: Duration?
    /// Serve HTTP/2 beside HTTP/1.1, on a `.http` port and on a `.webSocket` port that serves requests: to clients
    /// that choose it over TLS, and without TLS to those that begin with it. Default: `nil`, yes if the program was
    /// built with the trait `HTTP2`.
    public var http2: Bool?
    /// The maximum number of requests in progress on one connection of HTTP/2. Default: `nil`, 100.
    public var maxStreams: Int?
    /// The number of bytes of one request's body that a client of HTTP/2 may send before the handler takes them.
    /// Default: `nil`, 65,535.
    public var streamWindow: Int?
    /// The limit of ``streamWindow`` for all requests of one connection together. Default: `nil`, 1 MiB.
    public var connectionWindow: Int?
    /// See ``Settings/backlog``.
    public var backlog: Int?
    /// Send small output at once instead of waiting for acknowledgements of earlier output (TCP_NODELAY). Default:
    /// true.
    public var noDelay = true
    /// Probes of idle connections by the system. Default: none.
    public var keepAlive: KeepAlive?
    /// The PROXY protocol of the load balancers in front of this port. Default: `nil`, clients connect themselves.
    public var proxyProtocol: ProxyProtocol?
    /// The queue length of TCP_FASTOPEN. Default: off.
    public var fastOpen: Int?
    /// Accept a connection when it has sent something, at the latest after this time (TCP_DEFER_ACCEPT). Default: off.
    public var deferAccept: Duration?
    /// The size of the system's receive buffer of each connection, in bytes.
    public var receiveBuffer: Int?
    /// The size of the system's send buffer of each connection, in bytes.
    public var sendBuffer: Int?
    /// Let other servers that set it, too, listen on the same port and share its connections (SO_REUSEPORT). Default:
    /// false.
    public var reusePort = false
    /// The permissions of the file of a Unix socket, which decide who may connect. Default: 0o600, the same user.
    public var permissions: UInt32 = 0o600
    /// A bound socket, inherited for example from a service manager, to use instead of binding one.
    public var descriptor: Int32?
    /// The name of the socket that the service manager passes to the program for this port (`LISTEN_FDS`): that of the
    /// socket unit, or its `FileDescriptorName`. Several of one name are taken in order. Without it a passed socket is
    /// used if it is bound to the address of the port. Default: `nil`, by the address.
    public var socketName: String?

    /// Makes the default settings.
    public init() {}
}
