/// Servers whose own port is not for TCP streams.
extension Server {
    /// Makes a server whose own port has this protocol: a `Server` for datagrams, for example, with `.udp`. Port and
    /// Unix sockets are as in ``init(host:port:mode:)``: "unix:/run/app.socket" is a host without a port.
    ///
    /// An ``HTTPServer`` serves `.http` and a ``WebSocketServer`` `.webSocket`: another protocol is an error of
    /// ``start()``, and further ports are added by ``ServerEvents/listen(host:port:_:)``.
    ///
    /// - Parameters:
    ///   - host: an address, a name, or "unix:" and a path.
    ///   - port: 0 lets the system choose.
    ///   - type: `.tcp` or `.udp`.
    ///   - mode: the division of work; see ``ServerMode``.
    public convenience init(
        host: String = "127.0.0.1", port: Int = 0, protocol type: PortProtocol, mode: ServerMode = .process
    ) {
        self.init(host: host, port: port, mode: mode)
        let usual = ports[0].type
        ports[0] = Port(host: host, port: port, type: type, index: 0)
        let isAllowed = type == usual || usual == .tcp && type == .udp
        if !isAllowed { ports[0].problem = "cannot be the own port of a server for \(usual)" }
    }
}
