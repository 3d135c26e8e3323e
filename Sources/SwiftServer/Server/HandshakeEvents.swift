extension ServerEvents where Self: WebSocketServer {
    /// Decides whether a WebSocket handshake is accepted, before the client gets its answer. Without this handler, each
    /// valid handshake from an allowed origin (``Settings/allowedOrigins``) is accepted.
    ///
    /// The handler may await, for ``PortSettings/handshakeTimeout`` at most; see ``Handshake``. It is not called for
    /// paths with a straight-line handler (``WebSocketServer/handle(_:whenMoved:_:)``), which decide themselves.
    public func onHandshake(_ handler: @escaping @MainActor (Request, Handshake) async throws -> Void) {
        register(.handshake) { handlers.handshake = HandshakeHandler(handler) }
    }
}

extension ServerPort where Owner: WebSocketServer {
    /// Decides whether a WebSocket handshake on this port is accepted; see ``Handshake``.
    public func onHandshake(_ handler: @escaping @MainActor (Request, Handshake) async throws -> Void) {
        register(.handshake) { handlers.handshake = HandshakeHandler(handler) }
    }
}
