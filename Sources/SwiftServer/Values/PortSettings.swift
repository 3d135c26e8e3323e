/// What can be set for one port. `nil` means what the server's ``Settings`` say, or else what the system does.
public struct PortSettings: Sendable {
    /// Where packets end, on a `.tcp` port. Default: nowhere.
    public var framing = Framing.none
    /// Bytes of one packet, header and marker included; a longer one ends the connection. Default: 2 MiB.
    public var maxPacket = 2 << 20
    /// See ``Settings/maxMessage``.
    public var maxMessage: Int?
    /// See ``Settings/maxHead``.
    public var maxHead: Int?
    /// See ``Settings/maxBody``.
    public var maxBody: Int?
    /// See ``Settings/streamRequestBodies``.
    public var streamRequestBodies: Bool?
    /// See ``Settings/maxStreamedBody``.
    public var maxStreamedBody: Int?
    /// See ``Settings/maxQueue``.
    public var maxQueue: Int?
    /// See ``Settings/headTimeout``.
    public var headTimeout: Duration?
    /// See ``Settings/bodyTimeout``.
    public var bodyTimeout: Duration?
    /// See ``Settings/idleTimeout``.
    public var idleTimeout: Duration?
    /// See ``Settings/closeTimeout``.
    public var closeTimeout: Duration?
    /// See ``Settings/backlog``.
    public var backlog: Int?
    /// Small answers leave at once instead of waiting for the peer's acknowledgement of earlier ones. Default: true.
    public var noDelay = true
    /// Default: no probes.
    public var keepAlive: KeepAlive?
    /// TCP_FASTOPEN: how many connections may wait with their first data. Default: off.
    public var fastOpen: Int?
    /// TCP_DEFER_ACCEPT: a connection is accepted when it has sent something, or after so long. Default: off.
    public var deferAccept: Duration?
    /// Bytes of the system's receive buffer of each connection.
    public var receiveBuffer: Int?
    /// Bytes of the system's send buffer of each connection.
    public var sendBuffer: Int?
    /// Other servers that ask for it, too, may listen on the same port and share its connections. Default: false.
    public var reusePort = false
    /// Who may connect to a Unix socket, as permissions of its file. Default: 0o600, the same user.
    public var permissions: UInt32 = 0o600
    /// A socket that was bound by somebody else, such as a service manager, is used instead of binding one.
    public var descriptor: Int32?

    /// All defaults.
    public init() {}
}
