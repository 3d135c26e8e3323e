/// A server for WebSockets. It also answers plain HTTP on the same port when `onRequest` is set, and with status 400
/// otherwise.
open class WebSocketServer: HTTPServer, @unchecked Sendable {
    override var mainProtocol: PortProtocol { .webSocket }

    /// Whether the handshake is done and the connection is still open. From every process.
    public func isEstablished(_ fd: ConnectionID) -> Bool { context?.bus.isOpen(fd) ?? false }

    // MARK: Push

    /// Sends a text message. From any worker, to any connection of the server, on any thread.
    @discardableResult
    public final func push(_ text: String, to fd: ConnectionID) -> PushResult {
        pusher?.with { $0.push(text, to: fd) } ?? .closed
    }

    /// Sends a message, binary unless `opcode` says otherwise. With `finish: false` it is a fragment: the first has the
    /// message's opcode, the others ``Opcode/continuation``, the last `finish: true`.
    @discardableResult
    public final func push(
        _ bytes: [UInt8], to fd: ConnectionID, opcode: Opcode = .binary, finish: Bool = true
    ) -> PushResult {
        pusher?.with { $0.push(bytes, to: fd, opcode: opcode, finish: finish) } ?? .closed
    }

    /// Sends a message from borrowed bytes.
    @discardableResult
    public final func push(
        _ bytes: RawSpan, to fd: ConnectionID, opcode: Opcode = .binary, finish: Bool = true
    ) -> PushResult {
        pusher?.with { $0.push(bytes, to: fd, opcode: opcode, finish: finish) } ?? .closed
    }

    /// Sends a frame with its own opcode, as an echo does. A close frame begins the closing handshake, as
    /// ``Server/close(_:code:reason:)->CommandResult`` does.
    @discardableResult
    public final func push(_ frame: Frame, to fd: ConnectionID) -> PushResult {
        pusher?.with { $0.push(frame, to: fd) } ?? .closed
    }
}

// MARK: - Events

extension ServerEvents where Self: WebSocketServer {
    /// Called after the handshake of a WebSocket, with its request. Messages may be pushed from here on. When the
    /// handler throws, the WebSocket is closed with code 1011.
    public func onOpen(_ handler: @escaping @MainActor (Self, Request) throws -> Void) {
        register(.open) { handlers.open = ConnectionHandlers.open(HandlerOwner(self), handler) }
    }

    /// Called after the handshake of a WebSocket. Messages of the connection are queued until the handler returns.
    public func onOpen(_ handler: @escaping @MainActor (Self, Request) async throws -> Void) {
        register(.open) { handlers.open = ConnectionHandlers.open(HandlerOwner(self), handler) }
    }

    /// Called with a whole message, text or binary. When the handler throws, the WebSocket is closed with code 1011.
    /// Close, ping and pong frames are delivered where the settings ask for them; see ``Settings/deliversPings``.
    public func onMessage(_ handler: @escaping @MainActor (Self, Frame) throws -> Void) {
        register(.message) { handlers.message = FrameHandler(HandlerOwner(self), handler) }
    }

    /// Called with a whole message. While the handler is suspended other connections are served, and further messages
    /// of this one are queued.
    public func onMessage(_ handler: @escaping @MainActor (Self, Frame) async throws -> Void) {
        register(.message) { handlers.message = AsynchronousFrameHandler(HandlerOwner(self), handler) }
    }

    /// Called, in place of `onMessage`, with a whole message whose bytes are borrowed: nothing is copied or allocated.
    /// The bytes are valid until the handler returns, which the compiler checks.
    public func onMessageSpan(
        _ handler: @escaping @MainActor (Self, ConnectionID, Opcode, RawSpan) throws -> Void
    ) {
        register(.message) { handlers.message = SpanHandler(HandlerOwner(self), handler) }
    }
}
