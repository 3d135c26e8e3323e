/// The connections of a server.
extension Server {
    /// All connections of the server, from every process and in every mode.
    public var connections: Connections { Connections(bus: context?.bus) }

    /// Whether the connection exists; see ``WebSocketServer/isEstablished(_:)`` for open WebSockets.
    public func exists(_ fd: ConnectionID) -> Bool { connections.contains(fd) }

    /// The connection as an object, for code that prefers `connection.push(text)` to `push(text, to: fd)`. It costs
    /// nothing, also when there is no such connection. In workers, task workers and custom processes; elsewhere its
    /// methods report a closed connection.
    public func connection(_ fd: ConnectionID) -> Connection { Connection(id: fd, worker: worker) }

    /// Closes a connection after its pending output was sent: a WebSocket by its closing handshake. `onClose` follows.
    ///
    /// - Parameters:
    ///   - fd: the connection.
    ///   - code: 1000, or another code that may be sent: 1001-1003, 1007-1014, 3000-4999.
    ///   - reason: at most 123 bytes are sent.
    /// - Returns: ``CommandResult/invalid`` for a code that may not be sent.
    @discardableResult
    public func close(_ fd: ConnectionID, code: UInt16 = 1000, reason: String = "") -> CommandResult {
        worker?.close(fd, code: code, reason: reason) ?? .notInWorker
    }

    /// The state of a connection, `nil` when it is closed. From every process, without asking its owner.
    ///
    /// - Parameters:
    ///   - fd: the connection.
    ///   - ignoringClose: also return the last state of a connection that is closed, as in `onClose`. It is known until
    ///     its place is used again: for some time, but not for ever. ``ConnectionInfo/userData`` and
    ///     ``ConnectionInfo/subprotocol`` end with the connection.
    public func connectionInfo(_ fd: ConnectionID, ignoringClose: Bool = false) -> ConnectionInfo? {
        context.flatMap { ConnectionInfo(fd, $0.bus, $0.connectionServer, ignoringClose: ignoringClose) }
    }

    /// The certificate that the client of a `.tcp` port has presented; `nil`: none. Requests have theirs in
    /// ``Request/clientCertificate``.
    ///
    /// In `onConnect` only, up to the first suspension of the handler; `nil` elsewhere. A user id keeps what the
    /// handler has found: ``bind(_:to:)->CommandResult``.
    public func clientCertificate(of fd: ConnectionID) -> ClientCertificate? {
        guard let worker, worker.isHere, let connecting = worker.connecting, connecting.fd == fd else { return nil }
        return ClientCertificate(connecting.certificate)
    }

    /// Exempts a connection from ``Settings/heartbeatIdleTime`` and ``Settings/pingInterval``, or ends the exemption.
    @discardableResult
    public func protect(_ fd: ConnectionID, _ on: Bool = true) -> CommandResult {
        worker?.protect(fd, on) ?? .notInWorker
    }

    /// Gives a connection a user id, unless it has one. ``connectionInfo(_:ignoringClose:)`` returns it, and messages
    /// for the user (``WebSocketServer/push(_:toUser:except:)-(String,_,_)``) reach the connection while it is an open
    /// WebSocket.
    ///
    /// With ``Dispatch/byUser`` the worker `user % workerCount` gets the connection's events from the next one on, and
    /// its close in any case. Events before are still handled by the previous worker, perhaps at the same time.
    ///
    /// - Returns: ``CommandResult/bound`` when it has one already, ``CommandResult/invalid`` unless the id is
    ///   1...4,294,967,295.
    @discardableResult
    public func bind(_ fd: ConnectionID, to user: Int) -> CommandResult {
        guard let worker else { return .notInWorker }
        guard let user = UInt32(exactly: user), user > 0 else { return .invalid }
        return worker.bind(fd, to: user)
    }

    // MARK: Streams and datagrams

    /// Sends text on a connection of a `.tcp` port. From any worker, on any thread.
    @discardableResult
    public func send(_ text: String, to fd: ConnectionID) -> PushResult { worker?.send(text, to: fd) ?? .closed }

    /// Sends bytes on a connection of a `.tcp` port.
    @discardableResult
    public func send(_ bytes: [UInt8], to fd: ConnectionID) -> PushResult { worker?.send(bytes, to: fd) ?? .closed }

    /// Sends borrowed bytes on a connection of a `.tcp` port.
    @discardableResult
    public func send(_ bytes: RawSpan, to fd: ConnectionID) -> PushResult { worker?.send(bytes, to: fd) ?? .closed }

    /// Sends a datagram from a `.udp` port; `nil`: the one on which a datagram of this address was received, else the
    /// first. Datagrams may be lost without notice.
    @discardableResult
    public func send(_ bytes: [UInt8], to address: SocketAddress, from port: Port? = nil) -> PushResult {
        guard let worker,
            let index = port?.index ?? address.receivedOn.map(Int.init)
                ?? ports.first(where: { $0.type == .udp })?.index
        else { return .closed }
        return worker.send(bytes, to: address, port: index)
    }

    /// Sends text as a datagram.
    @discardableResult
    public func send(_ text: String, to address: SocketAddress, from port: Port? = nil) -> PushResult {
        send([UInt8](text.utf8), to: address, from: port)
    }
}
