/// What the server knows of a request's connection.
extension Request {
    /// The state of the request's connection at this moment, or its last one when it is closed. `nil` outside of a
    /// server, and long after the close.
    public var connectionInfo: ConnectionInfo? {
        CurrentWorker.context?.info(fd, ignoringClose: true)
    }

    /// The address of the remote end, as ``ConnectionInfo/remoteAddress``. Behind a proxy it is the proxy's; see
    /// ``clientAddress``.
    public var remoteAddress: String? {
        CurrentWorker.context.flatMap { ConnectionInfo.remoteAddress(fd, $0.bus) }
    }
    /// The client's port.
    public var remotePort: Int? { connectionInfo?.remotePort }
    /// The address of the local end, as ``ConnectionInfo/localAddress``; its port is ``serverPort``.
    public var localAddress: String? {
        CurrentWorker.context.flatMap { ConnectionInfo.localAddress(fd, $0.bus, $0.server) }
    }
    /// The server's port that received the request.
    public var serverPort: Int? { connectionInfo?.serverPort }
}
