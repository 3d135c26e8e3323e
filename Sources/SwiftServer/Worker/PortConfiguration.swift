/// A port of a server, as it was configured.
struct PortConfiguration: Sendable {
    let host: String
    /// The requested port; 0 lets the system choose.
    let port: Int
    let type: PortProtocol
    let index: Int
    let settings: PortSettings
    let tls: TLSConfiguration?
    /// The port's handlers, and for other events the server's.
    let handlers: ConnectionHandlers
    /// The port's straight-line handlers, or else the server's.
    let routes: WebSocketRoutes
    /// Why the port cannot be used; `nil`: it can.
    var problem: String?
    /// Whether handshakes are decided by a handler.
    var decidesHandshakes: Bool { type == .webSocket && (handlers.handshake != nil || !routes.isEmpty) }
    /// Whether plain HTTP requests are handled.
    var servesHTTP: Bool { handlers.request != nil || !routes.isEmpty }

    var name: String { isLocal ? "\(type) port \(host)" : "\(type) port \(host):\(port)" }
    /// Whether the port is a Unix socket.
    var isLocal: Bool { host.hasPrefix("unix:") }

    func check() throws(ServerError) {
        if let problem { throw .setting("\(name) \(problem)") }
        try settings.check(name, type)
        try settings.checkUse(name, type, isLocal: isLocal)
        if tls != nil && type == .udp { throw .setting("\(name) cannot use TLS") }
        if let path = routes.invalidPath {
            throw .setting(
                "\(name) cannot have a handler for \(path): it needs a path like /chat and a valid close code")
        }
        if !routes.isEmpty, type != .webSocket {
            throw .setting("\(name) cannot have straight-line handlers, which need a .webSocket port")
        }
        if routes.isEmpty, let missing = handlers.missing(for: type) {
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
}
