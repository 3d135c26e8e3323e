/// The handlers of a port's events, in the one form in which a worker calls them. Registration has settled the
/// differences between synchronous and asynchronous handlers, and between the forms of a payload.
@safe struct ConnectionHandlers: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the loop's thread only.
    /// Decides handshakes; without it they are accepted.
    var handshake: HandshakeHandler?
    var open: ((WorkerContext, Request) -> Void)?
    var message: MessageHandler?
    var close: ((WorkerContext, ConnectionID, CloseReason) -> Void)?
    var request: RequestHandler?
    var connect: ((WorkerContext, ConnectionID) -> Void)?
    var receive: ((WorkerContext, ConnectionID, UnsafeRawBufferPointer) -> Void)?
    var packet: ((WorkerContext, SocketAddress, UnsafeRawBufferPointer) -> Void)?
    var drain: ((WorkerContext, ConnectionID) -> Void)?

    /// These handlers, and for other events those of `main`.
    func orElse(_ main: ConnectionHandlers) -> ConnectionHandlers {
        var all = self
        all.handshake = handshake ?? main.handshake
        all.open = open ?? main.open
        all.message = message ?? main.message
        all.close = close ?? main.close
        all.request = request ?? main.request
        all.connect = connect ?? main.connect
        unsafe all.receive = unsafe receive ?? main.receive
        unsafe all.packet = unsafe packet ?? main.packet
        all.drain = drain ?? main.drain
        return all
    }

    /// The name of the handler that a port of this protocol needs and does not have.
    func missing(for type: PortProtocol) -> String? {
        switch type {
        case .webSocket: message == nil ? "onMessage" : nil
        case .http: request == nil ? "onRequest" : nil
        case .tcp: unsafe receive == nil ? "onReceive" : nil
        case .udp: unsafe packet == nil ? "onPacket" : nil
        }
    }
}
