/// A port of a server, as it was configured.
struct PortConfiguration: Sendable {
    let host: String
    /// The requested port; 0 lets the system choose.
    let port: Int
    let type: PortProtocol
    let index: Int
    var settings: PortSettings
    let tls: TLSConfiguration?
    /// The port's handlers, and for other events the server's.
    let handlers: ConnectionHandlers
    /// `onRequest` as it was registered.
    let requestFunction: RequestFunction?
    /// The port's routes, or else the server's; `nil`: there are none, and no middleware either.
    let routes: RouteTable?
    /// Why the routes cannot be served; `nil`: they can.
    var routeProblem: String?
    /// Why the port cannot be used; `nil`: it can.
    var problem: String?
    /// Whether handshakes are decided here: by a handler or middleware, or because no callbacks serve WebSockets.
    var decidesHandshakes: Bool {
        guard type == .webSocket else { return false }
        guard let routes else { return handlers.handshake != nil }
        return handlers.handshake != nil || routes.hasWebSockets || !routes.middleware.isEmpty
            || handlers.message == nil
    }
    /// The straight-line handlers, if there are any.
    var webSockets: (any WebSocketMatching)? { routes?.hasWebSockets == true ? routes : nil }
    /// Whether plain HTTP requests are handled.
    var servesHTTP: Bool { handlers.request != nil || routes != nil }

    var name: String { isLocal ? "\(type) port \(host)" : "\(type) port \(host):\(port)" }
    /// Whether the port is a Unix socket.
    var isLocal: Bool { host.hasPrefix("unix:") }

    func check() throws(ServerError) {
        if let problem { throw .setting("\(name) \(problem)") }
        try settings.check(name, type)
        try settings.checkUse(name, type, isLocal: isLocal)
        if tls != nil && type == .udp { throw .setting("\(name) cannot use TLS") }
        if let routeProblem { throw ServerError(code: .invalidRoute, message: "\(name) \(routeProblem)") }
        if let routes, type != .webSocket {
            guard type == .http else { throw .setting("\(name) cannot have routes, which need HTTP") }
            guard !routes.hasWebSockets else {
                throw .setting("\(name) cannot have straight-line handlers, which need a .webSocket port")
            }
        }
        if routes?.routes.isEmpty ?? true, let missing = handlers.missing(for: type) {
            throw ServerError(code: .missingHandler, message: "\(name) needs an \(missing) handler")
        }
    }

    /// Reads certificates and keys, `nil` for a port without TLS. A port for plain streams does not restrict the
    /// application's protocol (ALPN).
    func readCertificates() throws(ServerError) -> Certificates.Entry? {
        guard let tls else { return nil }
        return Certificates.Entry(
            port: index, name: name, configuration: tls, context: try TLSContext(tls, anyProtocol: type == .tcp))
    }

    /// The handlers of the port as its worker calls them: routes in front of those of requests and handshakes.
    func routedHandlers(_ worker: WorkerContext, _ sockets: OpenWebSockets?) -> ConnectionHandlers {
        guard let routes else { return handlers }
        return RouteDispatcher.handlers(
            routes, handlers, requestFunction, worker, upgrades: type == .webSocket, sockets: sockets)
    }
}
