extension ServerEvents where Self: Server {
    /// Adds a port, before ``Server/start()``. Its events go to its own handlers, and those without one to the
    /// server's. Later calls are refused with an error in the log, and the port that they return is not one of
    /// ``Server/ports``.
    ///
    /// - Parameters:
    ///   - host: an IPv4 or IPv6 address, a name, or "unix:" and a path.
    ///   - port: 0 lets the system choose; not used for a Unix socket.
    ///   - type: the protocol; `nil` means that of the server's own port.
    @discardableResult
    public func listen(host: String = "127.0.0.1", port: Int = 0, _ type: PortProtocol? = nil) -> ServerPort<Self> {
        let added = ServerPort<Self>(
            owner: self, host: host, port: port, type: type ?? ports[0].type, index: ports.count)
        if ports[0].isRefused("a port by listen(host:port:_:)", verb: "add") {
            added.isStarted = true
        } else {
            ports.append(added)
        }
        return added
    }

    /// Called when a connection was accepted on a `.tcp` port. When the handler throws, the connection is closed.
    public func onConnect(_ handler: @escaping @MainActor (Self, ConnectionID) throws -> Void) {
        register(.connect) { handlers.connect = ConnectionHandlers.connect(HandlerOwner(self), handler) }
    }

    /// Called when a connection was accepted on a `.tcp` port. Data of the connection is queued until the handler
    /// returns.
    public func onConnect(_ handler: @escaping @MainActor (Self, ConnectionID) async throws -> Void) {
        register(.connect) { handlers.connect = ConnectionHandlers.connect(HandlerOwner(self), handler) }
    }

    /// Called with the bytes received on a `.tcp` port: as they arrive, or exactly one packet where the port has a
    /// ``Framing``. When the handler throws, the connection is closed.
    public func onReceive(_ handler: @escaping @MainActor (Self, ConnectionID, [UInt8]) throws -> Void) {
        register(.receive) { unsafe handlers.receive = ConnectionHandlers.receive(HandlerOwner(self), handler) }
    }

    /// Called with the bytes received on a `.tcp` port. While the handler is suspended, further data of the connection
    /// is queued.
    public func onReceive(_ handler: @escaping @MainActor (Self, ConnectionID, [UInt8]) async throws -> Void) {
        register(.receive) { unsafe handlers.receive = ConnectionHandlers.receive(HandlerOwner(self), handler) }
    }

    /// Called, in place of `onReceive`, with borrowed bytes received on a `.tcp` port: nothing is copied or allocated.
    /// The bytes are valid until the handler returns, which the compiler checks.
    public func onReceiveSpan(_ handler: @escaping @MainActor (Self, ConnectionID, RawSpan) throws -> Void) {
        register(.receive) { unsafe handlers.receive = ConnectionHandlers.receiveSpan(HandlerOwner(self), handler) }
    }

    /// Called with a datagram received on a `.udp` port. Datagrams of one sender reach the same worker.
    public func onPacket(_ handler: @escaping @MainActor (Self, [UInt8], SocketAddress) throws -> Void) {
        register(.packet) { unsafe handlers.packet = ConnectionHandlers.packet(HandlerOwner(self), handler) }
    }

    /// Called with a datagram received on a `.udp` port. Further datagrams do not wait while the handler is suspended.
    public func onPacket(_ handler: @escaping @MainActor (Self, [UInt8], SocketAddress) async throws -> Void) {
        register(.packet) { unsafe handlers.packet = ConnectionHandlers.packet(HandlerOwner(self), handler) }
    }

    /// Called when the output queue of a connection has drained: it was above the high watermark, half of
    /// ``Settings/maxQueue``, and has fallen to the low watermark, an eighth of it. It is the time to continue with
    /// output that had to wait, for example after ``PushResult/full``.
    ///
    /// For WebSockets and connections of `.tcp` ports, in the worker that handles their events. A port has its own
    /// handler, or uses the server's.
    public func onDrain(_ handler: @escaping @MainActor (Self, ConnectionID) throws -> Void) {
        register(.drain) { handlers.drain = ConnectionHandlers.drain(HandlerOwner(self), handler) }
    }

    /// Called when the output queue of a connection has drained. It runs also while another handler of the connection
    /// is suspended.
    public func onDrain(_ handler: @escaping @MainActor (Self, ConnectionID) async throws -> Void) {
        register(.drain) { handlers.drain = ConnectionHandlers.drain(HandlerOwner(self), handler) }
    }
}
