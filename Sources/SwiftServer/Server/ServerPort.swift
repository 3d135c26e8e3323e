/// A port that was added by ``ServerEvents/listen(host:port:_:)``. Events for which it has no handler go to the
/// server's.
public final class ServerPort<Owner: Server>: Port, @unchecked Sendable {
    private let owner: HandlerOwner<Owner>

    init(owner: Owner, host: String, port: Int, type: PortProtocol, index: Int) {
        self.owner = HandlerOwner(owner)
        super.init(host: host, port: port, type: type, index: index)
    }

    /// Called when a connection was accepted on this `.tcp` port.
    public func onConnect(_ handler: @escaping @MainActor (Owner, ConnectionID) -> Void) {
        handlers.connect = ConnectionHandlers.connect(owner, handler)
    }

    /// Called when a connection was accepted on this `.tcp` port. The asynchronous form.
    public func onConnect(_ handler: @escaping @MainActor (Owner, ConnectionID) async -> Void) {
        handlers.connect = ConnectionHandlers.connect(owner, handler)
    }

    /// Called with the bytes, or the packet, received on a connection of this `.tcp` port.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) -> Void) {
        unsafe handlers.receive = ConnectionHandlers.receive(owner, handler)
    }

    /// Called with the bytes, or the packet, received on a connection of this `.tcp` port. The asynchronous form.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) async -> Void) {
        unsafe handlers.receive = ConnectionHandlers.receive(owner, handler)
    }

    /// Called with borrowed bytes: nothing is copied or allocated.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, RawSpan) -> Void) {
        unsafe handlers.receive = ConnectionHandlers.receive(owner, handler)
    }

    /// Called with a datagram received on this `.udp` port.
    public func onPacket(_ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) -> Void) {
        unsafe handlers.packet = ConnectionHandlers.packet(owner, handler)
    }

    /// Called with a datagram received on this `.udp` port. The asynchronous form.
    public func onPacket(_ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) async -> Void) {
        unsafe handlers.packet = ConnectionHandlers.packet(owner, handler)
    }

    /// Called when the output queue of a connection of this port has drained; see `onDrain` of the server.
    public func onDrain(_ handler: @escaping @MainActor (Owner, ConnectionID) -> Void) {
        handlers.drain = ConnectionHandlers.drain(owner, handler)
    }

    /// Called when the output queue of a connection of this port has drained. The asynchronous form.
    public func onDrain(_ handler: @escaping @MainActor (Owner, ConnectionID) async -> Void) {
        handlers.drain = ConnectionHandlers.drain(owner, handler)
    }

    /// Called once for each opened connection of this port, when it is gone.
    public func onClose(_ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) -> Void) {
        handlers.close = ConnectionHandlers.close(owner, handler)
    }

    /// Called once for each opened connection of this port, when it is gone. The asynchronous form.
    public func onClose(_ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) async -> Void) {
        handlers.close = ConnectionHandlers.close(owner, handler)
    }

    /// Called with a request on this `.http` or `.webSocket` port.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) -> Void) {
        handlers.request = ConnectionHandlers.request(handler)
    }

    /// Called with a request on this `.http` or `.webSocket` port. The asynchronous form.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) async -> Void) {
        handlers.request = ConnectionHandlers.request(handler)
    }
}

extension ServerPort where Owner: WebSocketServer {
    /// Called after the handshake of a WebSocket on this port.
    public func onOpen(_ handler: @escaping @MainActor (Owner, Request) -> Void) {
        handlers.open = ConnectionHandlers.open(owner, handler)
    }

    /// Called after the handshake of a WebSocket on this port. The asynchronous form.
    public func onOpen(_ handler: @escaping @MainActor (Owner, Request) async -> Void) {
        handlers.open = ConnectionHandlers.open(owner, handler)
    }

    /// Called with a message received on a WebSocket of this port.
    public func onMessage(_ handler: @escaping @MainActor (Owner, Frame) -> Void) {
        handlers.message = ConnectionHandlers.message(owner, handler)
    }

    /// Called with a message received on a WebSocket of this port. The asynchronous form.
    public func onMessage(_ handler: @escaping @MainActor (Owner, Frame) async -> Void) {
        handlers.message = ConnectionHandlers.message(owner, handler)
    }

    /// Called with a message whose bytes are borrowed: nothing is copied or allocated.
    public func onMessage(_ handler: @escaping @MainActor (Owner, ConnectionID, Opcode, RawSpan) -> Void) {
        handlers.message = ConnectionHandlers.message(owner, handler)
    }
}
