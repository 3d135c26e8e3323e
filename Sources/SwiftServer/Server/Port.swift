internal import CReactor

/// One of the addresses that a server listens on.
public class Port: @unchecked Sendable {
    // `@unchecked`: like its server, it is configured by one thread before the start.

    /// As it was asked for.
    public let host: String
    /// The port: the one that was asked for, and after the start the one that it is (for port 0). 0 for a Unix socket.
    public internal(set) var port: Int
    /// What is spoken there.
    public let type: PortProtocol
    /// Read by ``Server/start()``; later changes have no effect.
    public var settings = PortSettings()
    /// Has the port speak TLS. Read by ``Server/start()``, which throws an error that names the file and the cause when
    /// something is wrong with it. Default: no TLS.
    public var tls: TLSConfiguration?
    /// What those who own its sockets speak TLS with.
    var tlsContext: TLSContext?
    /// Its place in ``Server/ports``.
    public let index: Int

    var handlers = Handlers()

    init(host: String, port: Int, type: PortProtocol, index: Int) {
        self.host = host
        self.port = port
        self.type = type
        self.index = index
    }

    var name: String { isLocal ? "\(type) port \(host)" : "\(type) port \(host):\(port)" }
    var isLocal: Bool { host.hasPrefix("unix:") }

    /// Reads the certificates, if it has any. What is spoken on a port for bytes is nobody's business but the user's.
    func readCertificates() throws(ServerError) {
        if let tls { tlsContext = try TLSContext(tls, anyProtocol: type == .tcp) }
    }

    func check(_ handlers: Handlers) throws(ServerError) {
        try settings.check(name, type)
        if tls != nil && type == .udp {
            throw ServerError(code: .invalidSetting, message: "\(name) cannot speak TLS")
        }
        let missing: String? =
            switch type {
            case .webSocket: unsafe handlers.message == nil ? "onMessage" : nil
            case .http: handlers.request == nil ? "onRequest" : nil
            case .tcp: unsafe handlers.receive == nil ? "onReceive" : nil
            case .udp: unsafe handlers.packet == nil ? "onPacket" : nil
            }
        if let missing {
            throw ServerError(code: .missingHandler, message: "\(name) needs \(missing), and has none")
        }
    }
}

/// A port that was added by ``ServerEvents/listen(host:port:_:)``. Events for which it has no handler go to the server's.
public final class ServerPort<Owner: Server>: Port, @unchecked Sendable {
    /// A connection was accepted on this `.tcp` port.
    public func onConnect(_ handler: @escaping @MainActor (Owner, ConnectionID) -> Void) {
        handlers.connect = Handlers.connect(handler)
    }

    /// The same as an asynchronous handler.
    public func onConnect(_ handler: @escaping @MainActor (Owner, ConnectionID) async -> Void) {
        handlers.connect = Handlers.connect(handler)
    }

    /// Bytes, or one packet, came on a connection of this `.tcp` port.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) -> Void) {
        unsafe handlers.receive = Handlers.receive(handler)
    }

    /// The same as an asynchronous handler.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) async -> Void) {
        unsafe handlers.receive = Handlers.receive(handler)
    }

    /// The same with borrowed bytes: nothing is copied or allocated.
    public func onReceive(_ handler: @escaping @MainActor (Owner, ConnectionID, RawSpan) -> Void) {
        unsafe handlers.receive = Handlers.receive(handler)
    }

    /// A datagram came on this `.udp` port.
    public func onPacket(_ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) -> Void) {
        unsafe handlers.packet = Handlers.packet(handler)
    }

    /// The same as an asynchronous handler.
    public func onPacket(_ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) async -> Void) {
        unsafe handlers.packet = Handlers.packet(handler)
    }

    /// A connection of this port is gone: once for each that was opened.
    public func onClose(_ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) -> Void) {
        handlers.close = Handlers.close(handler)
    }

    /// The same as an asynchronous handler.
    public func onClose(_ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) async -> Void) {
        handlers.close = Handlers.close(handler)
    }

    /// A request came on this `.http` or `.webSocket` port.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) -> Void) {
        handlers.request = Handlers.request(handler)
    }

    /// The same as an asynchronous handler.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) async -> Void) {
        handlers.request = Handlers.request(handler)
    }
}

extension ServerPort where Owner: WebSocketServer {
    /// The handshake of a WebSocket on this port is done.
    public func onOpen(_ handler: @escaping @MainActor (Owner, Request) -> Void) {
        handlers.open = Handlers.open(handler)
    }

    /// The same as an asynchronous handler.
    public func onOpen(_ handler: @escaping @MainActor (Owner, Request) async -> Void) {
        handlers.open = Handlers.open(handler)
    }

    /// A message came on a WebSocket of this port.
    public func onMessage(_ handler: @escaping @MainActor (Owner, Frame) -> Void) {
        unsafe handlers.message = Handlers.message(handler)
    }

    /// The same as an asynchronous handler.
    public func onMessage(_ handler: @escaping @MainActor (Owner, Frame) async -> Void) {
        unsafe handlers.message = Handlers.message(handler)
    }

    /// The same with borrowed bytes.
    public func onMessage(_ handler: @escaping @MainActor (Owner, ConnectionID, Opcode, RawSpan) -> Void) {
        unsafe handlers.message = Handlers.message(handler)
    }
}
