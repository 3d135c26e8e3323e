/// One of the addresses that a server listens on.
public class Port: @unchecked Sendable {
    // `@unchecked`: like its server, it is configured by one thread before the start.

    /// The address as it was configured.
    public let host: String
    /// The port: the configured one, and after the start the one that was bound (for port 0). 0 for a Unix socket.
    public internal(set) var port: Int
    /// The protocol of the port.
    public let type: PortProtocol
    /// The kind of its socket, by the host as it was configured; a name counts as an IPv4 address.
    public var socketType: SocketType {
        let isDatagram = type == .udp
        if host.hasPrefix("unix:") { return isDatagram ? .unixDatagram : .unixStream }
        if host.contains(":") { return isDatagram ? .udp6 : .tcp6 }
        return isDatagram ? .udp : .tcp
    }

    /// Kinds of sockets, with the numbers that Swoole uses for them.
    public enum SocketType: Int, Sendable, Hashable {
        /// TCP over IPv4.
        case tcp = 1
        /// UDP over IPv4.
        case udp = 2
        /// TCP over IPv6.
        case tcp6 = 3
        /// UDP over IPv6.
        case udp6 = 4
        /// Streams on a Unix socket.
        case unixStream = 5
        /// Datagrams on a Unix socket.
        case unixDatagram = 6
    }

    /// Read by ``Server/start()``. Later changes are refused with an error in the log.
    public var settings = PortSettings() {
        didSet { if isRefused("settings of a port") { settings = oldValue } }
    }
    /// Enables TLS. Read by ``Server/start()``, which throws an error that names the file and the cause when it is
    /// invalid. Default: no TLS. Later changes are refused with an error in the log.
    public var tls: TLSConfiguration? {
        didSet { if isRefused("tls") { tls = oldValue } }
    }
    /// Its place in ``Server/ports``.
    public let index: Int

    var handlers = ConnectionHandlers()
    /// `onRequest` as it was registered.
    private var requestFunction: RequestFunction?
    /// The routes that were added to this port.
    let ownRouter = Router()
    /// The folders that this port serves.
    var staticFiles = StaticFileMounts()
    /// The folders that options describe.
    var namedFolders = StaticFileMounts()
    /// The events for which handlers were registered here; the first port has those of the server.
    private(set) var events: Set<ServerEvent.Kind> = []
    /// The first thing that is wrong with a handler registered by name.
    var registrationError: String?
    /// Whether the server was started.
    var isStarted = false {
        didSet { ownRouter.isStarted = isStarted }
    }
    /// Why the port cannot be used, found before the start.
    var problem: String?

    init(host: String, port: Int, type: PortProtocol, index: Int) {
        self.host = host
        self.port = port
        self.type = type
        self.index = index
    }

    /// Whether this port has a handler of its own for an event. Other events go to the server's.
    public func handles(_ event: ServerEvent) -> Bool { events.contains(event.kind) }

    /// Registers the handler of an event by `change`, before the start.
    func register(_ event: ServerEvent.Kind, _ change: () -> Void) {
        guard !isRefused(event.handlerName) else { return }
        events.insert(event)
        change()
    }

    /// Registers `onRequest`, before the start.
    func register(_ function: RequestFunction) {
        register(.request) {
            handlers.request = function.handler
            requestFunction = function
        }
    }

    /// Whether a change comes too late, which is logged. `change` is an object of "set", unless it has a `verb` of its
    /// own; `hint` says what to do instead.
    func isRefused(_ change: String, verb: String = "set", hint: String? = nil) -> Bool {
        if isStarted {
            let hint = hint.map { "; \($0)" } ?? ""
            Log.error("cannot \(verb) \(change) after start(), which has read the configuration\(hint)")
        }
        return isStarted
    }

    /// `main` is the server's own port, whose handlers get the events that the port has none for. A server in the
    /// background has another working directory, so its file names are made absolute.
    func configuration(_ main: Port, absolutePaths: Bool) -> PortConfiguration {
        var handlers = handlers.orElse(main.handlers)
        handlers.handshake?.timeLimit = settings.handshakeTimeout ?? .seconds(10)
        var routes: RouteTable?
        var routeProblem: String?
        do throws(RouteError) { routes = try compiledRoutes(main) } catch { routeProblem = error.message }
        let (files, fileProblem) = servedFiles(main)
        var function = requestFunction ?? main.requestFunction
        if !files.isEmpty {
            function = files.function(before: function)
            handlers.request = function?.handler
        }
        return PortConfiguration(
            host: host, port: port, type: type, index: index, settings: settings,
            tls: absolutePaths ? tls?.withAbsolutePaths() : tls, handlers: handlers, requestFunction: function,
            routes: routes, routeProblem: routeProblem, problem: problem ?? fileProblem)
    }

    /// The port's folders, or else those of the server, and what is wrong with them.
    private func servedFiles(_ main: Port) -> (files: StaticFileMounts, problem: String?) {
        guard type == .http || type == .webSocket else {
            let problem = staticFiles.isEmpty ? nil : "cannot serve files, which needs an .http or .webSocket port"
            return (StaticFileMounts(), problem)
        }
        let files = (staticFiles.isEmpty ? main.staticFiles : staticFiles).adding(main.namedFolders)
        return (files, files.problem)
    }

    /// The port's routes, or else those of the server that it can serve.
    private func compiledRoutes(_ main: Port) throws(RouteError) -> RouteTable? {
        if !ownRouter.isEmpty { return try RouteTable(ownRouter) }
        guard type == .http || type == .webSocket, !main.ownRouter.isEmpty else { return nil }
        return try RouteTable(main.ownRouter, skipsWebSockets: type == .http)
    }
}
