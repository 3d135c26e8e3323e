/// A port that was added by ``ServerEvents/listen(host:port:_:)``. Events for which it has no handler go to the
/// server's.
public final class ServerPort<Owner: Server>: Port, @unchecked Sendable {
    private let owner: HandlerOwner<Owner>

    init(owner: Owner, host: String, port: Int, type: PortProtocol, index: Int) {
        self.owner = HandlerOwner(owner)
        super.init(host: host, port: port, type: type, index: index)
    }

    /// Called when a connection was accepted on this `.tcp` port.
    public func onConnect(_ handler: @escaping @MainActor (Owner, ConnectionID) throws -> Void) {
        register(.connect) { handlers.connect = ConnectionHandlers.connect(owner, handler) }
    }

    /// Called when a connection was accepted on this `.tcp` port. The asynchronous form.
    public func onConnect(_ handler: @escaping @MainActor (Owner, ConnectionID) async throws -> Void) {
        register(.connect) { handlers.connect = ConnectionHandlers.connect(owner, handler) }
    }

    /// Called with the bytes, or the packet, received on a connection of this `.tcp` port.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) throws -> Void) {
        register(.receive) { unsafe handlers.receive = ConnectionHandlers.receive(owner, handler) }
    }

    /// Called with the bytes, or the packet, received on a connection of this `.tcp` port. The asynchronous form.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) async throws -> Void) {
        register(.receive) { unsafe handlers.receive = ConnectionHandlers.receive(owner, handler) }
    }

    /// Called, in place of `onReceive`, with borrowed bytes: nothing is copied or allocated.
    public func onReceiveSpan(_ handler: @escaping @MainActor (Owner, ConnectionID, RawSpan) throws -> Void) {
        register(.receive) { unsafe handlers.receive = ConnectionHandlers.receiveSpan(owner, handler) }
    }

    /// Called with a datagram received on this `.udp` port.
    public func onPacket(_ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) throws -> Void) {
        register(.packet) { unsafe handlers.packet = ConnectionHandlers.packet(owner, handler) }
    }

    /// Called with a datagram received on this `.udp` port. The asynchronous form.
    public func onPacket(_ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) async throws -> Void) {
        register(.packet) { unsafe handlers.packet = ConnectionHandlers.packet(owner, handler) }
    }

    /// Called when the output queue of a connection of this port has drained; see `onDrain` of the server.
    public func onDrain(_ handler: @escaping @MainActor (Owner, ConnectionID) throws -> Void) {
        register(.drain) { handlers.drain = ConnectionHandlers.drain(owner, handler) }
    }

    /// Called when the output queue of a connection of this port has drained. The asynchronous form.
    public func onDrain(_ handler: @escaping @MainActor (Owner, ConnectionID) async throws -> Void) {
        register(.drain) { handlers.drain = ConnectionHandlers.drain(owner, handler) }
    }

    /// Called once for each opened connection of this port, when it is gone.
    public func onClose(_ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) throws -> Void) {
        register(.close) { handlers.close = ConnectionHandlers.close(owner, handler) }
    }

    /// Called once for each opened connection of this port, when it is gone. The asynchronous form.
    public func onClose(_ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) async throws -> Void) {
        register(.close) { handlers.close = ConnectionHandlers.close(owner, handler) }
    }

    /// Called with a request on this `.http` or `.webSocket` port.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        register(.synchronous(handler))
    }

    /// Called with a request on this `.http` or `.webSocket` port. The asynchronous form.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        register(.asynchronous(handler))
    }
}

extension ServerPort where Owner: WebSocketServer {
    /// Called after the handshake of a WebSocket on this port.
    public func onOpen(_ handler: @escaping @MainActor (Owner, Request) throws -> Void) {
        register(.open) { handlers.open = ConnectionHandlers.open(owner, handler) }
    }

    /// Called after the handshake of a WebSocket on this port. The asynchronous form.
    public func onOpen(_ handler: @escaping @MainActor (Owner, Request) async throws -> Void) {
        register(.open) { handlers.open = ConnectionHandlers.open(owner, handler) }
    }

    /// Called with a message received on a WebSocket of this port.
    public func onMessage(_ handler: @escaping @MainActor (Owner, Frame) throws -> Void) {
        register(.message) { handlers.message = FrameHandler(owner, handler) }
    }

    /// Called with a message received on a WebSocket of this port. The asynchronous form.
    public func onMessage(_ handler: @escaping @MainActor (Owner, Frame) async throws -> Void) {
        register(.message) { handlers.message = AsynchronousFrameHandler(owner, handler) }
    }

    /// Called, in place of `onMessage`, with borrowed bytes: nothing is copied or allocated.
    public func onMessageSpan(_ handler: @escaping @MainActor (Owner, ConnectionID, Opcode, RawSpan) throws -> Void) {
        register(.message) { handlers.message = SpanHandler(owner, handler) }
    }
}
