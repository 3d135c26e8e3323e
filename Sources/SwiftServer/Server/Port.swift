/// One of the addresses that a server listens on.
public class Port: @unchecked Sendable {
    // `@unchecked`: like its server, it is configured by one thread before the start.

    /// The address as it was configured.
    public let host: String
    /// The port: the configured one, and after the start the one that was bound (for port 0). 0 for a Unix socket.
    public internal(set) var port: Int
    /// The protocol of the port.
    public let type: PortProtocol
    /// Read by ``Server/start()``; later changes have no effect.
    public var settings = PortSettings()
    /// Enables TLS. Read by ``Server/start()``, which throws an error that names the file and the cause when it is
    /// invalid. Default: no TLS.
    public var tls: TLSConfiguration?
    /// Its place in ``Server/ports``.
    public let index: Int

    var handlers = ConnectionHandlers()
    var routes = WebSocketRoutes()

    init(host: String, port: Int, type: PortProtocol, index: Int) {
        self.host = host
        self.port = port
        self.type = type
        self.index = index
    }

    /// `main` is the server's own port, whose handlers get the events that the port has none for. A server in the
    /// background has another working directory, so its file names are made absolute.
    func configuration(_ main: Port, absolutePaths: Bool) -> PortConfiguration {
        PortConfiguration(
            host: host, port: port, type: type, index: index, settings: settings,
            tls: absolutePaths ? tls?.withAbsolutePaths() : tls, handlers: handlers.orElse(main.handlers),
            routes: routes.isEmpty && type == .webSocket ? main.routes : routes)
    }
}
