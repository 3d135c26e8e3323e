internal import CReactor
internal import CReactorInternal

extension ServerEvents where Self: Server {
    /// Adds a port, before ``Server/start()``. Its events go to its own handlers, and where it has none to the server's.
    ///
    /// - Parameters:
    ///   - host: an IPv4 or IPv6 address, or "unix:" and a path.
    ///   - port: 0 lets the system choose; not used for a Unix socket.
    ///   - type: what is spoken there; `nil` means the same as on the server's own port.
    @discardableResult
    public func listen(host: String = "127.0.0.1", port: Int = 0, _ type: PortProtocol? = nil) -> ServerPort<Self> {
        precondition(masterPID == 0, "ports are added before start()")
        let added = ServerPort<Self>(host: host, port: port, type: type ?? ports[0].type, index: ports.count)
        ports.append(added)
        return added
    }

    /// A connection was accepted on a `.tcp` port.
    public func onConnect(_ handler: @escaping @MainActor (Self, ConnectionID) -> Void) {
        handlers.connect = Handlers.connect(handler)
    }

    /// The same as an asynchronous handler. What the connection sends waits until it is done.
    public func onConnect(_ handler: @escaping @MainActor (Self, ConnectionID) async -> Void) {
        handlers.connect = Handlers.connect(handler)
    }

    /// Bytes came on a `.tcp` port: as they arrived, or exactly one packet where the port has a ``Framing``.
    public func onReceive(_ handler: @escaping @MainActor (Self, ConnectionID, [UInt8]) -> Void) {
        unsafe handlers.receive = Handlers.receive(handler)
    }

    /// The same as an asynchronous handler. While it is suspended, what else comes on the connection waits.
    public func onReceive(_ handler: @escaping @MainActor (Self, ConnectionID, [UInt8]) async -> Void) {
        unsafe handlers.receive = Handlers.receive(handler)
    }

    /// The same with borrowed bytes: nothing is copied or allocated. They are gone when the handler returns, which the
    /// compiler checks.
    public func onReceive(_ handler: @escaping @MainActor (Self, ConnectionID, RawSpan) -> Void) {
        unsafe handlers.receive = Handlers.receive(handler)
    }

    /// A datagram came on a `.udp` port. All of one sender reach the same worker.
    public func onPacket(_ handler: @escaping @MainActor (Self, [UInt8], SocketAddress) -> Void) {
        unsafe handlers.packet = Handlers.packet(handler)
    }

    /// The same as an asynchronous handler. Further datagrams do not wait for it.
    public func onPacket(_ handler: @escaping @MainActor (Self, [UInt8], SocketAddress) async -> Void) {
        unsafe handlers.packet = Handlers.packet(handler)
    }
}

extension Server {
    /// Sends text on a connection of a `.tcp` port. From any worker, on any thread.
    @discardableResult
    public func send(_ text: String, to fd: ConnectionID) -> PushResult {
        guard let runtime else { return .closed }
        guard runtime.isHere else { return sendFromElsewhere([UInt8](text.utf8), fd, runtime) }
        var text = text
        return text.withUTF8 { unsafe runtime.send(fd, UnsafeRawBufferPointer($0)) }
    }

    /// Sends bytes on a connection of a `.tcp` port.
    @discardableResult
    public func send(_ bytes: [UInt8], to fd: ConnectionID) -> PushResult {
        guard let runtime else { return .closed }
        guard runtime.isHere else { return sendFromElsewhere(bytes, fd, runtime) }
        return unsafe bytes.withUnsafeBytes { unsafe runtime.send(fd, $0) }
    }

    /// Sends borrowed bytes on a connection of a `.tcp` port.
    @discardableResult
    public func send(_ bytes: RawSpan, to fd: ConnectionID) -> PushResult {
        guard let runtime else { return .closed }
        return unsafe bytes.withUnsafeBytes {
            guard runtime.isHere else { return unsafe sendFromElsewhere([UInt8]($0), fd, runtime) }
            return unsafe runtime.send(fd, $0)
        }
    }

    /// Sends a datagram. `from` is the `.udp` port that it leaves by; `nil`: the one on which the address was heard of,
    /// else the first. Whether it arrives nobody knows.
    @discardableResult
    public func send(_ bytes: [UInt8], to address: SocketAddress, from port: Port? = nil) -> PushResult {
        guard let runtime,
            let index = port?.index ?? address.receivedOn.map(Int.init)
                ?? ports.first(where: { $0.type == .udp })?.index
        else { return .closed }
        guard runtime.isHere else {
            runtime.loop.post { _ = runtime.send(bytes, to: address, port: index) }
            return .queued
        }
        return runtime.send(bytes, to: address, port: index)
    }

    /// Sends text as a datagram.
    @discardableResult
    public func send(_ text: String, to address: SocketAddress, from port: Port? = nil) -> PushResult {
        send([UInt8](text.utf8), to: address, from: port)
    }

    private func sendFromElsewhere(_ bytes: [UInt8], _ fd: ConnectionID, _ runtime: WorkerRuntime) -> PushResult {
        // As far as it is known here; a client that leaves meanwhile is no error.
        let state = bus.map { unsafe cre_table_state($0.table, fd.rawValue) } ?? 0
        guard state != 0 else { return .closed }
        guard state == CRE_CONNECTION_STREAM.rawValue else { return .notStream }
        runtime.loop.post { unsafe bytes.withUnsafeBytes { _ = unsafe runtime.send(fd, $0) } }
        return .queued
    }

    /// The configuration of an engine, which borrows what it points to for the life of the process.
    func engineConfig() -> cre_engine_config {
        var config = unsafe settings.engineConfig(servesHTTP: handlers.request != nil)
        let table = UnsafeMutablePointer<cre_port_options>.allocate(capacity: ports.count)
        for (index, port) in ports.enumerated() {
            var options = unsafe port.settings.options(port.type, servesHTTP: handlers(of: port).request != nil)
            unsafe options.stream_bodies = port.settings.streamRequestBodies ?? settings.streamRequestBodies
            unsafe options.max_streamed_body = UInt64(port.settings.maxStreamedBody ?? settings.maxStreamedBody ?? 0)
            unsafe (table + index).initialize(to: options)
        }
        unsafe config.ports = UnsafePointer(table)
        unsafe config.port_count = UInt16(ports.count)
        return unsafe config
    }

    /// Bytes of the largest packet that a port may give to a worker.
    var largestPacket: Int {
        ports.map { max($0.settings.maxPacket, $0.settings.maxMessage ?? 0, ($0.settings.maxBody ?? 0) + 65_536) }.max()
            ?? 65_536
    }
}

extension WorkerRuntime {
    func send(_ fd: ConnectionID, _ payload: UnsafeRawBufferPointer) -> PushResult {
        let result = unsafe cre_worker_send(worker, fd.rawValue, payload.baseAddress, payload.count)
        return PushResult(result, local: unsafe result == 0 && cre_worker_owns(worker, fd.rawValue))
    }

    func send(_ bytes: [UInt8], to address: SocketAddress, port: Int) -> PushResult {
        var to = address.core
        let result = unsafe bytes.withUnsafeBytes {
            unsafe cre_worker_send_to(worker, UInt16(port), &to, $0.baseAddress, $0.count)
        }
        return PushResult(result, local: unsafe cre_worker_engine(worker) != nil)
    }
}
